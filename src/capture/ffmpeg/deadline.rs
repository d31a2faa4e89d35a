//! Until when FFmpeg may work: it is asked again and again from inside opening and reading.
//!
//! In: a time limit, set before each call that may wait. Out: whether it has passed, for the callback that FFmpeg looks
//! to. It does not know what is being waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A moment shared by who sets it and FFmpeg's callback.
#[derive(Clone)]
pub struct Deadline {
    origin: Instant,
    /// Milliseconds after `origin`.
    until: Arc<AtomicU64>,
}

/// There is no deadline.
const NEVER: u64 = u64::MAX;

impl Deadline {
    pub fn never() -> Self {
        Self { origin: Instant::now(), until: Arc::new(AtomicU64::new(NEVER)) }
    }

    /// From now on there is this much time; without a limit there is no end to it.
    pub fn set(&self, limit: Option<Duration>) {
        let until =
            limit.map_or(NEVER, |limit| u64::try_from((self.origin.elapsed() + limit).as_millis()).unwrap_or(NEVER));
        self.until.store(until, Ordering::Relaxed);
    }

    pub fn passed(&self) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        until != NEVER && self.origin.elapsed().as_millis() >= u128::from(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_passes_for_everybody_who_holds_it_and_can_be_moved() {
        let deadline = Deadline::never();
        let other = deadline.clone();
        assert!(!other.passed());
        deadline.set(Some(Duration::ZERO));
        assert!(other.passed() && deadline.passed());
        deadline.set(Some(Duration::from_secs(3600)));
        assert!(!other.passed());
        deadline.set(None);
        assert!(!other.passed());
    }
}
