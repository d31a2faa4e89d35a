//! Steps of the wall clock: what was seen before one is not trusted to open anything after it.
//!
//! Pure: in go moments of the clock that never steps together with the date, out comes whether they parted since. How
//! old an answer is never depends on the date; but whether a face was seen within its rule's hours does, and a date
//! that has just been corrected was wrong when the face was seen.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};

/// NTP slews a clock by half a millisecond in a second at most; more than this between two looks is a step.
const STEP: TimeDelta = TimeDelta::seconds(1);

/// Both clocks as they were last seen, and when they last parted.
#[derive(Debug)]
pub struct Steps {
    seen: (Instant, DateTime<Utc>),
    stepped: Option<Instant>,
}

impl Steps {
    pub fn new(now: Instant, date: DateTime<Utc>) -> Self {
        Self { seen: (now, date), stepped: None }
    }

    /// Looks at both clocks; true when the date has stepped since the last look.
    pub fn look(&mut self, now: Instant, date: DateTime<Utc>) -> bool {
        let (then, date_then) = std::mem::replace(&mut self.seen, (now, date));
        let passed = TimeDelta::from_std(now.saturating_duration_since(then)).unwrap_or(TimeDelta::MAX);
        let stepped = (date - date_then).checked_sub(&passed).is_none_or(|parted| parted.abs() >= STEP);
        if stepped {
            self.stepped = Some(now);
        }
        stepped
    }

    /// Whether the date has stepped since then, as far as was looked.
    pub fn since(&self, moment: Instant) -> bool {
        self.stepped.is_some_and(|stepped| stepped >= moment)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_step_in_either_direction_is_seen_and_drift_is_not() {
        let start = Instant::now();
        // The date, in milliseconds, half a second later by the clock that does not step; whether that is a step.
        for (ms, stepped) in [
            (500, false),
            (501, false),
            (1_400, false),
            (-400, false),
            (1_500, true),
            (-500, true),
            (3_600_500, true),
            (-3_599_500, true),
            (-1_700_000_000_000, true),
            (i64::MAX / 1_000_000, true),
        ] {
            let date = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
            let mut steps = Steps::new(start, date);
            let later = start + Duration::from_millis(500);
            assert_eq!(steps.look(later, date + TimeDelta::milliseconds(ms)), stepped, "{ms}");
            assert_eq!(steps.since(start), stepped, "what was seen before, {ms}");
            let after = later + Duration::from_millis(500);
            assert!(!steps.look(after, date + TimeDelta::milliseconds(ms + 500)), "{ms}: it goes on from there");
            assert!(!steps.since(later + Duration::from_millis(1)), "what was seen after, {ms}");
        }
    }
}
