//! A count, and how fast it grows.
//!
//! In: what was counted, with its moment. Out: the total, and the average over the last whole seconds. It asks no
//! clock.

use std::collections::VecDeque;
use std::time::Instant;

/// Rates are averages over this many whole seconds.
const RATE_SECONDS: u64 = 10;

/// A count, and how fast it grows.
#[derive(Debug, Clone)]
pub struct Rate {
    started: Instant,
    pub total: u64,
    /// Counts by second since the start; those that have left the window are gone.
    seconds: VecDeque<(u64, u64)>,
}

impl Rate {
    pub fn new(started: Instant) -> Self {
        Self { started, total: 0, seconds: VecDeque::new() }
    }

    pub fn add(&mut self, count: u64, at: Instant) {
        let second = at.saturating_duration_since(self.started).as_secs();
        self.total += count;
        match self.seconds.back_mut() {
            // A report that comes late counts for the newest second.
            Some((newest, sum)) if *newest >= second => *sum += count,
            _ => self.seconds.push_back((second, count)),
        }
        while self.seconds.front().is_some_and(|(oldest, _)| *oldest + RATE_SECONDS < second) {
            self.seconds.pop_front();
        }
    }

    /// Over the last whole seconds; the one under way does not count, or the rate would flicker.
    pub fn per_second(&self, now: Instant) -> f64 {
        let second = now.saturating_duration_since(self.started).as_secs();
        let window = second.min(RATE_SECONDS);
        if window == 0 {
            return 0.0;
        }
        let inside = self.seconds.iter().filter(|(at, _)| *at < second && at + window >= second);
        inside.map(|(_, count)| *count as f64).sum::<f64>() / window as f64
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn rates_are_averages_over_whole_seconds() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut rate = Rate::new(start);
        // 15 a second for 20 seconds, then none.
        (0..300).for_each(|n| rate.add(1, at(n * 1000 / 15)));
        for (ms, expected) in [(500, 0.0), (1_000, 15.0), (1_999, 15.0), (20_000, 15.0), (25_000, 7.5), (31_000, 0.0)] {
            // Before the window is full the later frames are not yet there: count them afresh.
            let mut until = Rate::new(start);
            (0..300).map(|n| n * 1000 / 15).filter(|frame| *frame < ms).for_each(|frame| until.add(1, at(frame)));
            assert!((until.per_second(at(ms)) - expected).abs() < 0.2, "at {ms}: {}", until.per_second(at(ms)));
        }
        assert_eq!(rate.total, 300);
        assert!(rate.seconds.len() as u64 <= RATE_SECONDS + 1);
    }
}
