//! Trying again: how often, for how long, and when it must not be.
//!
//! In: one try, as often as it is worth repeating. Out: how the last one ended. Whether a failure may be repeated is
//! the action's to say, for each try ([`Again`]); what may have happened already is never repeated for an actuator.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use super::{Performed, Said, Undone};
use crate::clock;
use crate::rules::ActionRequest;

/// The pauses between tries grow from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How an action is tried again.
pub struct Retry {
    pub tries: u32,
    /// How long one try may take.
    pub timeout: Duration,
    /// How long all tries and the pauses between them may take; no try starts after it.
    pub within: Duration,
    /// The action is an actuator: nothing is repeated that may have happened, and no try outlives the request's last
    /// moment.
    pub at_most_once: bool,
}

/// Why a try failed, whether another can help, and what the receiver said.
pub struct Failure {
    pub reason: String,
    pub again: Again,
    pub said: Said,
}

/// When another try makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    Never,
    /// The try never reached the receiver: even an actuator may try again.
    NotSent,
    /// The try may have been received: only what may arrive twice tries again, after the pause the receiver asked for.
    MaybeSent {
        after: Option<Duration>,
    },
}

impl Failure {
    pub fn new(reason: impl Into<String>, again: Again) -> Self {
        Self { reason: reason.into(), again, said: None }
    }

    /// The failure of a try whose repetition would end the same.
    pub fn for_good(reason: impl Into<String>) -> Self {
        Self::new(reason, Again::Never)
    }

    /// The failure of a try that may have been received, after which the receiver asked for no pause.
    pub fn maybe_sent(reason: impl Into<String>) -> Self {
        Self::new(reason, Again::MaybeSent { after: None })
    }

    /// A receiver that did not answer in time may have received it all the same.
    pub fn too_late(what: &str, timeout: Duration) -> Self {
        Self::maybe_sent(format!("{what} within {} ms", timeout.as_millis()))
    }
}

/// Breaks a try off that takes longer than it may; `what` says what the receiver did not do in time.
pub async fn in_time<T>(
    timeout: Duration,
    what: &str,
    once: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(timeout, once).await.unwrap_or_else(|_| Err(Failure::too_late(what, timeout)))
}

impl Retry {
    pub fn new(timeout_ms: u64, tries: u32, within_ms: u64) -> Self {
        let (timeout, within) = (Duration::from_millis(timeout_ms), Duration::from_millis(within_ms));
        Self { tries: tries.max(1), timeout, within, at_most_once: false }
    }

    /// Tries until it works or no try is left; `once` is given the time it may take. What the receiver said last comes
    /// back either way.
    pub async fn run<Try>(&self, request: &ActionRequest, mut once: impl FnMut(Duration) -> Try) -> Performed
    where
        Try: Future<Output = Result<Said, Failure>>,
    {
        let end = clock::now() + self.within;
        let end = request.expires_at.filter(|_| self.at_most_once).map_or(end, |expires| end.min(expires));
        let mut pauses = pauses(FIRST_PAUSE, LONGEST_PAUSE);
        let mut tries = 1;
        loop {
            let timeout = self.timeout.min(end.saturating_duration_since(clock::now()));
            let Failure { reason, again, said } = match once(timeout).await {
                Ok(said) => return Ok(said),
                Err(failure) => failure,
            };
            let pause = pauses.next().unwrap_or(LONGEST_PAUSE);
            let pause = match again {
                Again::NotSent => pause,
                Again::MaybeSent { after } if !self.at_most_once => after.unwrap_or(pause),
                Again::MaybeSent { .. } | Again::Never => return Err(Undone { reason, said }),
            };
            if tries >= self.tries || clock::now() + pause >= end {
                let tries = if tries == 1 { "1 try".to_owned() } else { format!("{tries} tries") };
                return Err(Undone { reason: format!("{reason} (after {tries})"), said });
            }
            metrics::counter!("doorward_actions_retries_total", "action" => request.action.clone()).increment(1);
            tokio::time::sleep(pause).await;
            tries += 1;
        }
    }
}

/// Pauses without end that grow from the first to the longest, each made up to twice as long by chance.
pub fn pauses(first: Duration, longest: Duration) -> ExponentialBackoff {
    let pauses = ExponentialBuilder::default().with_min_delay(first).with_max_delay(longest);
    pauses.with_jitter().without_max_times().build()
}
