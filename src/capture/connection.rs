//! One opened camera on a thread of its own, where it may block, panic or hang without harm to the others.
//!
//! In: how to open it. Out: [`Event`]s, the last of which is [`Event::Over`]. It does not know what follows a
//! fault, and a thread that hangs is handed back to be left behind.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::{About, CameraSource, CaptureError, Next, Shot, Skipped};
use crate::clock;
use crate::config::DetectorName;

/// Opens the camera, within a limit; called on the connection's thread.
pub(super) type Opener = dyn Fn(Duration) -> Result<Box<dyn CameraSource>, CaptureError> + Send + Sync;

/// An opened camera, or one being opened.
pub(super) struct Connection {
    thread: JoinHandle<()>,
    events: Receiver<Event>,
}

/// What a connection tells.
#[derive(Debug)]
pub(super) enum Event {
    /// What was opened; again before a shot that has shown more of it.
    Opened(About),
    /// A shot, and the moment it was there.
    Shot(Shot, Instant),
    /// A frame that nobody asked for, and the moment it was there.
    NotDue(Instant),
    Skipped(Skipped),
    /// So many frames could not be decoded.
    Lost(u64),
    /// The last one: the end of a recording, or a fault.
    Over(Result<(), CaptureError>),
}

/// What waiting for an event gave.
#[derive(Debug)]
pub(super) enum Waited {
    Event(Event),
    Silence,
    Cancelled,
}

/// Frames between the thread and the loop: none waits for long, the channel behind drops or holds back.
const EVENTS: usize = 1;
/// How soon a request to stop is noticed while nothing comes.
pub(super) const CANCEL_POLL: Duration = Duration::from_millis(50);
/// A thread gets this long to put its camera away.
const GOODBYE: Duration = Duration::from_millis(500);

impl Connection {
    pub fn start(detector: &DetectorName, open: Arc<Opener>, limit: Duration) -> Result<Self, CaptureError> {
        let (sender, events) = sync_channel(EVENTS);
        let span = Span::current();
        let thread = thread::Builder::new()
            .name(format!("source {detector}"))
            .spawn(move || span.in_scope(|| work(&*open, limit, &sender)))
            .map_err(CaptureError::Thread)?;
        Ok(Self { thread, events })
    }

    /// Waits for the next event, until the deadline or until told to stop.
    pub fn wait(&self, deadline: Option<Instant>, cancel: &CancellationToken) -> Waited {
        loop {
            if cancel.is_cancelled() {
                return Waited::Cancelled;
            }
            let left = deadline.map_or(CANCEL_POLL, |deadline| deadline.saturating_duration_since(Instant::now()));
            match self.events.recv_timeout(left.min(CANCEL_POLL)) {
                Ok(event) => return Waited::Event(event),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => return Waited::Silence,
                Err(RecvTimeoutError::Timeout) => {}
                // The thread always says `Over` first, unless it could not even do that.
                Err(RecvTimeoutError::Disconnected) => {
                    let what = "its thread is gone".into();
                    return Waited::Event(Event::Over(Err(CaptureError::Panicked { what })));
                }
            }
        }
    }

    /// Lets go of the camera. A thread that does not end within half a second is handed back: it hangs in a driver
    /// or a decoder, or it sleeps until its next frame is due.
    pub fn close(self) -> Option<JoinHandle<()>> {
        drop(self.events);
        let until = Instant::now() + GOODBYE;
        while !self.thread.is_finished() && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        (!self.thread.is_finished()).then_some(self.thread)
    }
}

/// The thread's body.
fn work(open: &Opener, limit: Duration, events: &SyncSender<Event>) {
    // A source is used by this thread alone and dropped in here, so a panic leaves nothing half-changed to see.
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mut source = open(limit)?;
        let mut event = Event::Opened(source.about());
        // When nobody listens any more this connection is no longer wanted.
        while events.send(event).is_ok() {
            event = match source.next_shot()? {
                Next::Shot(shot) => {
                    let arrived = clock::now();
                    if source.has_news() && events.send(Event::Opened(source.about())).is_err() {
                        break;
                    }
                    Event::Shot(shot, arrived)
                }
                Next::NotDue => Event::NotDue(clock::now()),
                Next::Skipped(skipped) => Event::Skipped(skipped),
                Next::Lost(frames) => Event::Lost(frames),
                Next::End => break,
            };
        }
        Ok(())
    }));
    let over = result.unwrap_or_else(|panic| Err(CaptureError::Panicked { what: message(&*panic) }));
    // Nobody listening is fine: it is over either way.
    let _ = events.send(Event::Over(over));
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".into())
}

#[cfg(test)]
mod tests {
    use faces::picture::Picture;

    use super::*;
    use crate::capture::{ShotTime, Unmet};

    /// A camera of which the second picture shows more, and the third is the last.
    struct Reveals(usize);

    impl CameraSource for Reveals {
        fn about(&self) -> About {
            let unmet = Unmet { key: "decode".into(), problem: "no".into() };
            About { name: "a camera".into(), fps: 10.0, unmet: [unmet].into_iter().filter(|_| self.0 >= 2).collect() }
        }

        fn has_news(&mut self) -> bool {
            self.0 == 2
        }

        fn next_shot(&mut self) -> Result<Next, CaptureError> {
            self.0 += 1;
            let image = Picture::filled(8, 6, [90; 3]).into();
            let shot = Shot { image, time: ShotTime::Arrival, damaged: false };
            Ok(if self.0 > 3 { Next::End } else { Next::Shot(shot) })
        }
    }

    #[test]
    fn what_a_picture_shows_of_its_camera_is_told_before_it() {
        let open: Arc<Opener> = Arc::new(|_| Ok(Box::new(Reveals(0))));
        let connection = Connection::start(&DetectorName::new("door").unwrap(), open, Duration::ZERO).unwrap();
        let next = || match connection.wait(None, &CancellationToken::new()) {
            Waited::Event(Event::Opened(about)) => format!("opened, {} unmet", about.unmet.len()),
            Waited::Event(Event::Shot(..)) => "shot".into(),
            Waited::Event(Event::Over(over)) => format!("over, {}", over.is_ok()),
            other => panic!("{other:?}"),
        };
        let told: Vec<String> = (0..6).map(|_| next()).collect();
        assert_eq!(told, ["opened, 0 unmet", "shot", "opened, 1 unmet", "shot", "shot", "over, true"]);
    }
}
