//! The outbox's thread: whatever is asked of the outbox, one after the other, committed in groups.
//!
//! In: jobs, from any thread or task. Out: their answers, once what they changed is on disk. It alone holds the
//! database.
//!
//! ```text
//! asked --▶ taken together with all that wait --▶ each one's transaction --▶ one sync for all --▶ answered
//!              nobody asks: a little disk space is given back
//! ```

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::error::OutboxError;
use super::inner::Inner;
use super::terms::Figures;

/// Something to do, which gives what tells its caller.
pub type Job = Box<dyn FnOnce(&mut Inner) -> Answer + Send>;
/// Tells a caller what came of the job; to be called once that is on disk.
pub type Answer = Box<dyn FnOnce() + Send>;

/// Jobs that share one sync of the disk: the next ones must not wait too long for theirs.
const TOGETHER: usize = 64;
/// How long the last handle waits for the thread to write what it has taken and to close the file. A disk that hangs
/// must not hold up the end of the process.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

/// The handle of the thread; dropping it ends the thread.
pub struct Thread {
    /// `None` while it is being dropped. Jobs are as many as callers wait for, so that there is no need for a bound.
    jobs: Option<Sender<Job>>,
    /// Nobody sends here: it hangs up when the thread has ended.
    ended: Mutex<Receiver<()>>,
    /// As of the last group of jobs, so that whoever only looks does not wait for the disk. Nothing waits under this
    /// lock.
    figures: Arc<Mutex<Figures>>,
}

impl Thread {
    pub fn start(inner: Inner) -> Result<Self, OutboxError> {
        let (jobs, asked) = channel();
        let (alive, ended) = sync_channel(0);
        let figures = Arc::new(Mutex::new(inner.figures()));
        let shown = Arc::clone(&figures);
        let body = move || {
            serve(inner, &asked, &shown);
            drop(alive);
        };
        let started = std::thread::Builder::new().name("outbox".into()).spawn(body);
        started.map_err(|source| OutboxError::Thread { source })?;
        Ok(Self { jobs: Some(jobs), ended: Mutex::new(ended), figures })
    }

    /// Hands a job over. A thread that has ended, which only a mistake in the program makes it do, drops it, and the
    /// caller finds that out.
    pub fn send(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }

    pub fn figures(&self) -> Figures {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.jobs = None;
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        if ended.recv_timeout(ENDS_WITHIN) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the outbox is still busy with the disk; it is left behind");
        }
    }
}

fn serve(mut inner: Inner, asked: &Receiver<Job>, shown: &Mutex<Figures>) {
    while let Some(first) = next(&mut inner, asked) {
        let group: Vec<Job> = std::iter::once(first).chain(asked.try_iter().take(TOGETHER - 1)).collect();
        inner.recover();
        let together = group.len() > 1 && inner.begin_group();
        let answers: Vec<Answer> = group.into_iter().map(|job| job(&mut inner)).collect();
        if together {
            inner.end_group();
        }
        *shown.lock().unwrap_or_else(PoisonError::into_inner) = inner.figures();
        answers.into_iter().for_each(|answer| answer());
    }
}

/// The next job; while there is none, what can wait is done a little at a time. `None` when nobody can ask any more.
fn next(inner: &mut Inner, asked: &Receiver<Job>) -> Option<Job> {
    loop {
        match asked.try_recv() {
            Ok(job) => return Some(job),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) if inner.works_when_idle() => {}
            Err(TryRecvError::Empty) => return asked.recv().ok(),
        }
    }
}
