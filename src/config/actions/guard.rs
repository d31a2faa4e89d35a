//! `guard`: what must hold before an actuator moves, beyond the rule that asks for it.

use serde::Deserialize;

use crate::config::TimeWindow;
use crate::config::validate::ActionChecker;

/// `[action.NAME.guard]`, of actuators alone. Whatever does not hold keeps the actuator still, and is told by its key.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuardConfig {
    /// So many of the visit's newest `of` answers must say the same person and reach the floors below; the tracker takes
    /// the pictures that are missing as soon as they are.
    pub sightings: u8,
    pub of: u8,
    /// 0 to 1; an answer without a confidence reaches 0 alone.
    pub min_confidence: f32,
    /// 0 to 1, of the shot.
    pub min_quality: f32,
    /// The person must carry a tag that has not expired.
    pub needs_tag: bool,
    /// And it must be one of these; empty: any.
    pub tags_any: Vec<String>,
    /// Nobody who is present may carry one of these.
    pub banned_tags: Vec<String>,
    /// `"08:00-18:00"`, in the detector's time zone; empty: at any time.
    pub between: Vec<TimeWindow>,
    /// From the face to its answer; `outbox.late_after_ms` is a limit of its own.
    pub max_age_ms: u64,
    /// Times it moves in a minute at one detector.
    pub per_minute: u32,
}

impl GuardConfig {
    pub(super) fn check(&self, actuator: bool, checker: &mut ActionChecker<'_, '_>) {
        if !actuator && *self != Self::default() {
            checker.unwise(&["guard"], "it has no effect: only an actuator is guarded; write `actuator = true`");
        }
        checker.within("guard", "of", self.of, 1..=10);
        checker.within("guard", "sightings", self.sightings, 1..=self.of.clamp(1, 10));
        checker.within("guard", "min_confidence", self.min_confidence, 0.0..=1.0);
        checker.within("guard", "min_quality", self.min_quality, 0.0..=1.0);
        checker.within("guard", "max_age_ms", self.max_age_ms, 100..=60_000);
        checker.within("guard", "per_minute", self.per_minute, 1..=600);
        if !self.tags_any.is_empty() && !self.needs_tag {
            checker.wrong(&["guard", "tags_any"], "it has no effect with `needs_tag = false`; leave one of them out");
        }
        if self.between.iter().any(|window| window.start == window.end) {
            let problem = "a time window that ends when it starts is empty; for the whole day leave it out";
            checker.wrong(&["guard", "between"], problem);
        }
    }
}

impl Default for GuardConfig {
    /// Safe for a door.
    fn default() -> Self {
        Self {
            sightings: 2,
            of: 3,
            min_confidence: 0.6,
            min_quality: 0.4,
            needs_tag: true,
            tags_any: Vec::new(),
            banned_tags: vec!["banned".into(), "blocked".into()],
            between: Vec::new(),
            max_age_ms: 5_000,
            per_minute: 6,
        }
    }
}
