//! How long a camera may take to be opened.
//!
//! In: how its openings went so far. Out: the limit of the next one. A connection that hangs keeps a door unwatched,
//! and so is given up soon; a camera that is merely slow is found out, and waited for from then on.

use std::collections::VecDeque;
use std::time::Duration;

/// The limits of one camera's openings.
#[derive(Debug, Clone)]
pub struct Patience {
    usual: Duration,
    /// The last openings that came to something.
    took: VecDeque<Duration>,
    /// Openings given up one after the other.
    given_up: u32,
}

/// The longest limit, of what is usual.
const LONGEST: u32 = 4;
/// The shortest, of a camera that has shown how quick it is.
const SHORTEST: Duration = Duration::from_secs(2);
/// How many times what its quickest of the last few openings took: the others may have been slow for reasons of ours.
const SLOWER: u32 = 3;
const LAST_FEW: usize = 3;
/// Of so many openings given up one after the other the last had the longest limit.
const ONE_LONG_IN: u32 = 4;

impl Patience {
    pub fn new(usual: Duration) -> Self {
        Self { usual, took: VecDeque::new(), given_up: 0 }
    }

    /// Of the next opening.
    pub fn limit(&self) -> Duration {
        if self.given_up % ONE_LONG_IN == ONE_LONG_IN - 1 {
            return self.longest();
        }
        let quickest = self.took.iter().min();
        quickest.map_or(self.usual, |took| (SLOWER * *took).max(SHORTEST).min(self.longest()))
    }

    /// For an opening that is tried once.
    pub fn longest(&self) -> Duration {
        LONGEST * self.usual
    }

    pub fn opened(&mut self, within: Duration) {
        self.took.push_back(within);
        self.took.drain(..self.took.len().saturating_sub(LAST_FEW));
        self.given_up = 0;
    }

    pub fn gave_up(&mut self) {
        self.given_up += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_that_hangs_is_given_up_soon_and_a_slow_one_is_waited_for() {
        let mut patience = Patience::new(Duration::from_secs(3));
        let mut limits = Vec::new();
        for _ in 0..5 {
            limits.push(patience.limit().as_secs());
            patience.gave_up();
        }
        assert_eq!(limits, [3, 3, 3, 12, 3]);
        for (took_ms, limit) in [(2000, 6), (300, 2), (1000, 2), (3000, 2), (2000, 3), (9000, 6), (9000, 6), (9000, 12)]
        {
            patience.opened(Duration::from_millis(took_ms));
            assert_eq!(patience.limit().as_secs(), limit, "after {took_ms} ms");
        }
    }
}
