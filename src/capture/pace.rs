//! Which of a camera's frames are looked at, where fewer are asked for than it sends.
//!
//! In: the rate asked for, and where each frame lies in time. Out: whether it is due; what is not need not be decoded.
//! It asks the clock only for cameras that do not say where their frames lie.

use std::time::{Duration, Instant};

/// Lets so many frames a second through.
#[derive(Debug)]
pub(super) struct Pace {
    /// From one frame to the next; `None` for every frame.
    every_ms: Option<f64>,
    /// When the next one is due.
    next_ms: f64,
    began: Instant,
}

/// A frame may come early by this share of the time between two: who asks for as many as the camera sends gets them
/// all, although none comes on time.
const EARLY: f64 = 0.25;
/// Frames that are built on later ones come out of their order by less than this. What lies further back is a clock
/// that has started again.
const OUT_OF_ORDER_MS: f64 = 1000.0;

impl Pace {
    /// For so many frames a second, as `detect.max_fps`: with 0 every frame is due.
    pub fn new(max_fps: f32) -> Self {
        let every_ms = (max_fps > 0.0).then(|| 1000.0 / f64::from(max_fps));
        Self { every_ms, next_ms: f64::NEG_INFINITY, began: Instant::now() }
    }

    /// Whether the frame at this time is due.
    pub fn due(&mut self, at_ms: f64) -> bool {
        let Some(every_ms) = self.every_ms else { return true };
        let early_ms = self.next_ms - at_ms;
        if early_ms > every_ms * EARLY && early_ms <= every_ms + OUT_OF_ORDER_MS {
            return false;
        }
        // From the moment that was due, and not from the frame, so that the mean rate is kept; but never a burst after
        // a pause.
        let on_time = early_ms.abs() <= every_ms;
        self.next_ms = if on_time { self.next_ms + every_ms } else { at_ms + every_ms };
        true
    }

    /// The same for a frame that is there now.
    pub fn due_now(&mut self) -> bool {
        self.due_after(self.began.elapsed())
    }

    /// The same for a moment since the beginning.
    pub fn due_after(&mut self, since: Duration) -> bool {
        self.due(since.as_secs_f64() * 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(max_fps: f32, times_ms: &[f64]) -> Vec<f64> {
        let mut pace = Pace::new(max_fps);
        times_ms.iter().copied().filter(|&at| pace.due(at)).collect()
    }

    /// Frames at a rate, each early or late by up to a tenth of the time between two.
    fn jittered(fps: f64, frames: u32) -> Vec<f64> {
        let jitter = |n: u32| f64::from(n * 7 % 11) / 50.0 - 0.1;
        (0..frames).map(|n| (f64::from(n) + jitter(n)) * 1000.0 / fps).collect()
    }

    #[test]
    fn the_mean_rate_is_the_one_asked_for_and_never_more_than_the_cameras() {
        for (camera, asked, expected) in
            [(25.0, 0.0, 25.0), (25.0, 10.0, 10.0), (25.0, 15.0, 15.0), (30.0, 4.0, 4.0), (15.0, 15.0, 15.0)]
        {
            let shown = due(asked, &jittered(camera, 1000)).len() as f64 * camera / 1000.0;
            assert!((shown / expected - 1.0).abs() < 0.02, "{asked} of {camera}: {shown}");
        }
        assert_eq!(due(15.0, &jittered(14.5, 500)).len(), 500, "slower than asked for");
    }

    #[test]
    fn after_a_pause_nothing_is_made_up_for() {
        assert_eq!(due(10.0, &[0.0, 50.0, 100.0, 5000.0, 5040.0, 5080.0, 5120.0]), [0.0, 100.0, 5000.0, 5080.0]);
    }

    #[test]
    fn a_clock_that_starts_again_is_followed_and_frames_out_of_order_are_not_due_twice() {
        assert_eq!(due(5.0, &[90_000.0, 90_100.0, 0.0, 100.0, 200.0]), [90_000.0, 0.0, 200.0]);
        assert_eq!(due(10.0, &[0.0, 120.0, 40.0, 80.0, 240.0, 160.0, 200.0]), [0.0, 120.0, 240.0]);
        assert_eq!(due(0.1, &[0.0, 120.0, 40.0, 10_000.0, 9_960.0]), [0.0, 10_000.0]);
    }
}
