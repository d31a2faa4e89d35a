//! Every thread and task that must not hang: its name, what it is at, and how long that may take.
//!
//! In: beats, from the threads themselves. Out: who hangs and with what, for the page and for the watchdog; and the end
//! of each, waited for no longer than a deadline. A thread that hangs cannot be stopped, only told of and left behind.
//!
//! ```text
//! idle ──busy("searching a frame")──▶ busy ──idle()──▶ idle
//!                                      └── longer than it may take ──▶ hangs: named on the page,
//!                                                                        and the watchdog is not fed
//! ```

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// All that is watched; cheap to clone. Its lock guards the list alone; a beat's is only taken within it to look at the
/// beat, and nothing waits under either.
#[derive(Clone, Default)]
pub struct Supervisor(Arc<Mutex<Vec<Watched>>>);

/// How a thread or task shows what it is at; clones show the same. One that nobody watches is shown to nobody.
#[derive(Clone, Default)]
pub struct Beat(Arc<Mutex<Option<Busy>>>);

struct Watched {
    name: String,
    beat: Beat,
    /// It must be done with one thing within this time.
    limit: Duration,
}

#[derive(Clone, Copy)]
struct Busy {
    with: &'static str,
    since: Instant,
}

/// Somebody who has been busy with one thing for too long.
#[derive(Debug, Clone, PartialEq)]
pub struct Hang {
    /// The thread's name: what it does, and for which detector.
    pub name: String,
    pub with: &'static str,
    pub since: Instant,
}

/// A running thread.
pub struct Thread<T> {
    pub name: String,
    /// Hung up when the thread's body has ended.
    ended: Receiver<()>,
    handle: JoinHandle<T>,
}

/// How a thread ended, or that it did not.
pub enum Ending<T> {
    Ended(T),
    /// It panicked, which only a mistake in the program makes it do. The panic hook has told where.
    Broken,
    /// It hangs, and is left behind.
    Hangs,
}

impl Supervisor {
    /// Starts a thread that is watched: it shows what it is at with the beat.
    pub fn thread<T: Send + 'static>(
        &self,
        name: String,
        limit: Duration,
        body: impl FnOnce(Beat) -> T + Send + 'static,
    ) -> std::io::Result<Thread<T>> {
        let beat = self.watch(name.clone(), limit);
        let span = tracing::info_span!("thread", name);
        let (alive, ended): (SyncSender<()>, _) = sync_channel(0);
        let handle = Builder::new().name(name.clone()).spawn(move || {
            let _alive = alive;
            span.in_scope(|| body(beat))
        })?;
        Ok(Thread { name, ended, handle })
    }

    /// Watches something that is no thread of its own.
    pub fn watch(&self, name: String, limit: Duration) -> Beat {
        let beat = Beat::default();
        self.0.lock().push(Watched { name, beat: beat.clone(), limit });
        beat
    }

    /// Who hangs at this moment.
    pub fn hangs(&self, now: Instant) -> Vec<Hang> {
        let hangs = |watched: &Watched| {
            let busy = (*watched.beat.0.lock())?;
            let too_long = now.saturating_duration_since(busy.since) > watched.limit;
            too_long.then(|| Hang { name: watched.name.clone(), with: busy.with, since: busy.since })
        };
        self.0.lock().iter().filter_map(hangs).collect()
    }
}

impl Beat {
    /// Busy with this from now on.
    pub fn busy(&self, with: &'static str) {
        *self.0.lock() = Some(Busy { with, since: Instant::now() });
    }

    /// Done with it; waiting for the next thing may take any time.
    pub fn idle(&self) {
        *self.0.lock() = None;
    }

    /// Does something while the beat shows it.
    pub fn during<T>(&self, with: &'static str, work: impl FnOnce() -> T) -> T {
        self.busy(with);
        let done = work();
        self.idle();
        done
    }
}

impl<T> Thread<T> {
    /// Waits for the thread's end, no longer than until this moment.
    pub fn join_until(self, deadline: Instant) -> Ending<T> {
        match self.ended.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Timeout) => Ending::Hangs,
            // Its body has ended: joining it waits for nothing more.
            _ => self.handle.join().map_or(Ending::Broken, Ending::Ended),
        }
    }

    /// Whether the thread has ended.
    pub fn has_ended(&self) -> bool {
        self.handle.is_finished()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_busy_for_too_long_is_named_with_what() {
        let supervisor = Supervisor::default();
        let limit = Duration::from_secs(60);
        let (quick, slow) = (supervisor.watch("detect:a".into(), limit), supervisor.watch("detect:b".into(), limit));
        quick.busy("searching a frame");
        slow.busy("searching a frame");
        let now = Instant::now();
        assert!(supervisor.hangs(now + limit - Duration::from_secs(1)).is_empty());
        quick.idle();
        let hangs = supervisor.hangs(now + limit + Duration::from_secs(1));
        let names: Vec<_> = hangs.iter().map(|hang| (hang.name.as_str(), hang.with)).collect();
        assert_eq!(names, [("detect:b", "searching a frame")]);
    }

    #[test]
    fn a_thread_that_hangs_is_left_behind_and_one_that_panics_is_told() {
        let supervisor = Supervisor::default();
        let (release, hang) = sync_channel::<()>(0);
        let limit = Duration::from_secs(60);
        let hanging = supervisor.thread("hanging".into(), limit, move |_| hang.recv().ok()).unwrap();
        assert!(matches!(hanging.join_until(Instant::now() + Duration::from_millis(20)), Ending::Hangs));
        drop(release);
        let far = Instant::now() + Duration::from_secs(60);
        let done = supervisor.thread("done".into(), limit, |_| 7).unwrap();
        assert!(matches!(done.join_until(far), Ending::Ended(7)));
        let broken = supervisor.thread("broken".into(), limit, |_| panic!("on purpose")).unwrap();
        assert!(matches!(broken.join_until(far), Ending::<()>::Broken));
    }
}
