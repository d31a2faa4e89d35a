//! Patience with an engine, and its end: when everything stops, and why.
//!
//! In: calls that may be repeated. Out: their answers, however often it took; or the failure, once there is no sense in
//! going on. It is the only place of an import that waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use identities::{Backoff, ClientError, Verdict};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// An engine that does not answer is asked for this long: enough for a restart or an update.
const PATIENCE: Duration = Duration::from_secs(180);

/// Whether to go on; cheap to clone.
#[derive(Clone)]
pub struct Cut {
    /// How the client of the engine waits.
    backoff: Backoff,
    stopped: CancellationToken,
    /// Guards the first reason to stop. No other lock is taken while it is held.
    reason: Arc<Mutex<Option<anyhow::Error>>>,
}

impl Cut {
    pub fn new(backoff: Backoff) -> Self {
        Self { backoff, stopped: CancellationToken::new(), reason: Arc::default() }
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.is_cancelled()
    }

    /// Lets nothing new begin; the first reason counts.
    pub fn stop(&self, reason: anyhow::Error) {
        self.reason.lock().get_or_insert(reason);
        self.stopped.cancel();
    }

    /// Why everything stopped, if it did.
    pub fn reason(&self) -> Option<anyhow::Error> {
        self.reason.lock().take()
    }

    /// The answer of a call that may be repeated without harm: it is made again until it succeeds, fails for good, has
    /// failed for too long, or everything stops.
    pub async fn patiently<T>(&self, mut call: impl AsyncFnMut() -> Result<T, ClientError>) -> Result<T, ClientError> {
        let (mut failed, mut first_failure) = (0, None);
        loop {
            let error = match call().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Verdict::Again { after } = error.verdict() else { return Err(error) };
            failed += 1;
            let since: Instant = *first_failure.get_or_insert_with(Instant::now);
            let pause = self.backoff.pause(failed, after, rand::random());
            if since.elapsed() + pause > PATIENCE {
                return Err(error);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stopped.cancelled() => return Err(error),
            }
        }
    }
}

/// Whether a failure is about one photo or record, so that the next may well succeed.
pub fn is_of_one(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::Rejected { .. }
            | ClientError::NotFound { .. }
            | ClientError::File { .. }
            | ClientError::TooLarge { .. }
            | ClientError::Broken { .. }
    )
}
