//! What the reconnect loop keeps count of: time, frames and drops.
//!
//! In: moments and positions. Out: offsets on the pipeline's clock, frames per second, metrics. It knows nothing of
//! cameras.

use std::time::{Duration, Instant};

use metrics::Counter;

use super::SkipReason;
use crate::config::DetectorName;

/// The pipeline's clock across connections: starts at zero, never goes back.
#[derive(Debug, Default)]
pub(super) struct Clock {
    origin: Option<Instant>,
    /// Where this connection's positions begin.
    base: Duration,
    last: Option<Duration>,
}

/// Measures frames per second.
#[derive(Debug)]
pub(super) struct Meter {
    fps: f32,
    began: Option<Instant>,
    frames: u32,
}

/// The room's metrics for one detector; every series exists from the start, at zero.
pub(super) struct Counters {
    pub frames: Counter,
    pub reconnects: Counter,
    /// Dropped because a newer frame came before the detector was ready.
    pub busy: Counter,
    /// Delivered although damaged.
    pub damaged: Counter,
    /// Not delivered: the decoder could not make a picture of them.
    pub lost: Counter,
    /// Not decoded: fewer are asked for.
    pub not_due: Counter,
    undecodable: Counter,
    too_large: Counter,
}

/// Frames per second are measured over this long.
const METER: Duration = Duration::from_secs(5);
/// The step between frames of a recording without a rate.
const STEP: Duration = Duration::from_millis(40);

impl Clock {
    /// A new connection: a recording's positions go on one frame after the last one.
    pub fn reopened(&mut self, fps: f32) {
        let step = if fps > 0.0 { Duration::from_micros((1e6 / fps).round() as u64) } else { STEP };
        self.base = self.last.map_or(Duration::ZERO, |last| last + step);
    }

    pub fn arrival(&mut self, arrived: Instant) -> Duration {
        let origin = *self.origin.get_or_insert(arrived);
        self.forward(arrived.saturating_duration_since(origin))
    }

    pub fn recording(&mut self, position: Duration) -> Duration {
        self.forward(self.base + position)
    }

    fn forward(&mut self, offset: Duration) -> Duration {
        let offset = self.last.map_or(offset, |last| last.max(offset));
        self.last = Some(offset);
        offset
    }
}

impl Meter {
    /// Starts with the source's own figure.
    pub fn new(fps: f32) -> Self {
        Self { fps, began: None, frames: 0 }
    }

    /// Counts a frame; answers what is known now.
    pub fn frame(&mut self, arrived: Instant) -> f32 {
        let passed = arrived.saturating_duration_since(*self.began.get_or_insert(arrived));
        if passed >= METER {
            self.fps = self.frames as f32 / passed.as_secs_f32();
            (self.began, self.frames) = (Some(arrived), 0);
        }
        self.frames += 1;
        self.fps
    }
}

impl Counters {
    pub fn new(detector: &DetectorName) -> Self {
        let name = || detector.to_string();
        let dropped =
            |reason| metrics::counter!("doorward_capture_dropped_total", "detector" => name(), "reason" => reason);
        Self {
            frames: metrics::counter!("doorward_capture_frames_total", "detector" => name()),
            reconnects: metrics::counter!("doorward_capture_reconnects_total", "detector" => name()),
            busy: dropped("busy"),
            damaged: metrics::counter!("doorward_capture_damaged_total", "detector" => name()),
            lost: dropped("lost"),
            not_due: metrics::counter!("doorward_capture_not_due_total", "detector" => name()),
            undecodable: dropped("undecodable"),
            too_large: dropped("too_large"),
        }
    }

    pub fn skipped(&self, reason: SkipReason) -> &Counter {
        match reason {
            SkipReason::Undecodable | SkipReason::CutShort | SkipReason::Damaged => &self.undecodable,
            SkipReason::TooLarge => &self.too_large,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_goes_back() {
        let ms = Duration::from_millis;
        let began = Instant::now();
        let mut clock = Clock::default();
        assert_eq!(clock.arrival(began), ms(0));
        assert_eq!(clock.arrival(began + ms(70)), ms(70));
        assert_eq!(clock.arrival(began + ms(30)), ms(70));

        let mut clock = Clock::default();
        clock.reopened(10.0);
        assert_eq!([0, 100, 250].map(|at| clock.recording(ms(at))), [0, 100, 250].map(ms));
        clock.reopened(10.0);
        assert_eq!([0, 100].map(|at| clock.recording(ms(at))), [350, 450].map(ms));
        clock.reopened(0.0);
        assert_eq!(clock.recording(ms(0)), ms(490));
    }

    #[test]
    fn the_rate_is_the_cameras_word_until_it_has_been_measured() {
        let began = Instant::now();
        let mut meter = Meter::new(30.0);
        let shown: Vec<f32> = (0..=120).map(|index| meter.frame(began + Duration::from_millis(100 * index))).collect();
        assert_eq!((shown[0], shown[49]), (30.0, 30.0));
        assert!((shown[50] - 10.0).abs() < 0.01 && (shown[120] - 10.0).abs() < 0.01, "{shown:?}");
    }
}
