//! A count, and how fast it grows.
//!
//! In: what was counted, with its moment. Out: the total, and the average over the last whole seconds. It asks no
//! clock.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Rates are averages over this many whole seconds.
const RATE_SECONDS: u64 = 10;
/// So many are remembered.
const REMEMBERED: u64 = 600;

/// A count, and how fast it grows.
#[derive(Debug, Clone)]
pub struct Rate {
    started: Instant,
    pub total: u64,
    /// The highest average over ten whole seconds there has been.
    pub best: f64,
    /// Counts by second since the start; those that have left the window are gone.
    seconds: VecDeque<(u64, u64)>,
}

impl Rate {
    pub fn new(started: Instant) -> Self {
        Self { started, total: 0, best: 0.0, seconds: VecDeque::new() }
    }

    pub fn add(&mut self, count: u64, at: Instant) {
        let second = at.saturating_duration_since(self.started).as_secs();
        self.total += count;
        match self.seconds.back_mut() {
            // A report that comes late counts for the newest second.
            Some((newest, sum)) if *newest >= second => *sum += count,
            _ => {
                self.seconds.push_back((second, count));
                if second >= RATE_SECONDS {
                    self.best = self.best.max(self.between(second - RATE_SECONDS, second) as f64 / RATE_SECONDS as f64);
                }
            }
        }
        while self.seconds.front().is_some_and(|(oldest, _)| *oldest + REMEMBERED < second) {
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
        self.between(second - window, second) as f64 / window as f64
    }

    /// The count of the last so many whole seconds.
    pub fn within(&self, seconds: u64, now: Instant) -> u64 {
        let second = now.saturating_duration_since(self.started).as_secs();
        self.between(second.saturating_sub(seconds), second)
    }

    /// For how long there have been fewer a second than `least` on the average of so many seconds; `None` where there
    /// are not, or it has not been counted for so long yet. Ten minutes back at most.
    pub fn below(&self, least: f64, seconds: u64, now: Instant) -> Option<Duration> {
        let second = now.saturating_duration_since(self.started).as_secs();
        let few = |end: &u64| (self.between(end - seconds, *end) as f64) < least * seconds as f64;
        let earliest = seconds.max(second.saturating_sub(REMEMBERED - seconds));
        let since = (earliest..=second).rev().take_while(few).last()?;
        Some(Duration::from_secs(second - since + seconds))
    }

    /// Of the seconds from the first to before the last.
    fn between(&self, from: u64, to: u64) -> u64 {
        // The newest are asked for most, and stand last.
        let newest_first = self.seconds.iter().rev().skip_while(|(at, _)| *at >= to).take_while(|(at, _)| *at >= from);
        newest_first.map(|(_, count)| *count).sum()
    }
}

#[cfg(test)]
mod tests {
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
        assert!(rate.seconds.len() as u64 <= REMEMBERED + 1);
    }

    #[test]
    fn too_few_are_told_from_when_there_were_enough() {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        // Ten a second for a minute, then one in ten seconds.
        for (second, expected) in
            [(39, None), (60, None), (70, None), (91, Some(42)), (120, Some(71)), (1999, Some(600))]
        {
            let mut rate = Rate::new(start);
            (0..60).filter(|at| *at < second).for_each(|second| rate.add(10, at(second)));
            (60..second).step_by(10).for_each(|second| rate.add(1, at(second)));
            let lasts = rate.below(3.0, 40, at(second)).map(|lasts| lasts.as_secs());
            assert_eq!(lasts, expected, "at {second} s");
            assert_eq!(rate.below(0.0, 40, at(second)), None);
            assert!(second < 100 || rate.within(40, at(second)) == 4);
        }
    }
}
