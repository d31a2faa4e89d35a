//! A stream that comes in pieces of several seconds (HLS): which of its frames are new, and when each is due.
//!
//! In: where each frame lies on the stream's clock, and how long it was waited for. Out: when to show it, or that it is
//! old. A live stream begins with a piece that may have been there for hours, when the camera behind it has died: only
//! what comes after a wait is new. From then on a piece comes at once, and is shown at the pace it was filmed at.
//!
//! ```text
//! old --a frame was waited for--▶ shown when due --a frame was waited for, or jumps--▶ due from here on anew
//! ```

use std::time::{Duration, Instant};

/// The frames of one connection.
pub(super) struct Pieces {
    opened: Instant,
    /// When a frame was due, and where it lies, in milliseconds; `None` while everything is old.
    anchor: Option<(Instant, f64)>,
}

/// Frames that are there already come faster. For a new piece FFmpeg waits half as long as a piece lasts, and again.
const A_WAIT: Duration = Duration::from_millis(400);
/// Reading the first piece takes less; a machine that takes longer may never catch up with the camera.
const FIRST_PIECE: Duration = Duration::from_secs(6);
/// A longer way to the next frame is no pause between two, but a jump of the clock or a piece that is missing.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl Pieces {
    pub fn new(opened: Instant) -> Self {
        Self { opened, anchor: None }
    }

    /// Whether a frame has been new.
    pub fn is_new(&self) -> bool {
        self.anchor.is_some()
    }

    /// When to show a frame that was asked for then and is there now; `None` for an old one.
    pub fn due(&mut self, position_ms: f64, asked: Instant, now: Instant) -> Option<Instant> {
        let waited = now - asked >= A_WAIT;
        match self.anchor {
            None if !waited && now - self.opened < FIRST_PIECE => return None,
            None => {}
            Some((at, from_ms)) => {
                let ahead = Duration::try_from_secs_f64((position_ms - from_ms) / 1000.0).ok();
                let due = ahead.and_then(|ahead| at.checked_add(ahead));
                let near = |due: &Instant| *due <= now + LONGEST_PAUSE && now <= *due + LONGEST_PAUSE;
                if let Some(due) = due.filter(near).filter(|due| !waited || *due >= now) {
                    return Some(due);
                }
            }
        }
        // Whatever it was waited for, those after it follow at their distance.
        self.anchor = Some((now, position_ms));
        Some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_frames_are_passed_over_and_new_ones_shown_when_they_are_due() {
        let opened = Instant::now();
        let at = |ms: u64| opened + Duration::from_millis(ms);
        let mut pieces = Pieces::new(opened);
        // Position, asked for, there, and when it is shown, all in milliseconds.
        for (position, asked, there, shown) in [
            // The piece that was there.
            (90_000.0, 0, 10, None),
            (91_960.0, 40, 50, None),
            // The next one: all of it at once.
            (92_000.0, 50, 1_500, Some(1_500)),
            (92_040.0, 1_500, 1_501, Some(1_540)),
            (92_080.0, 1_540, 1_541, Some(1_580)),
            // We were busy: those that wait are shown at once, and the pace stays.
            (92_120.0, 1_900, 1_901, Some(1_620)),
            (92_520.0, 1_901, 1_902, Some(2_020)),
            // It was late, and those after it are at their distance.
            (94_000.0, 3_400, 4_300, Some(4_300)),
            (94_040.0, 4_300, 4_301, Some(4_340)),
            // A piece is missing, or the clock has jumped.
            (100_000.0, 4_340, 4_400, Some(4_400)),
            (100_040.0, 4_400, 4_401, Some(4_440)),
            (0.0, 4_440, 4_450, Some(4_450)),
            (40.0, 4_450, 4_460, Some(4_490)),
        ] {
            let due = pieces.due(position, at(asked), at(there));
            assert_eq!(due, shown.map(at), "at {position}");
        }
    }

    #[test]
    fn a_stream_that_is_read_no_faster_than_it_is_filmed_is_new_all_the_same() {
        let opened = Instant::now();
        let mut pieces = Pieces::new(opened);
        let mut due = |ms: u64| {
            let there = opened + Duration::from_millis(ms);
            pieces.due(ms as f64, there - Duration::from_millis(40), there)
        };
        assert!((40..5_960).step_by(40).all(|ms| due(ms).is_none()) && due(6_000).is_some());
    }
}
