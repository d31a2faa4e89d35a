//! `guard`: what must hold before an actuator moves, beyond the rule that asks for it.

use crate::config::reading::At;
use crate::config::section::section;
use crate::config::time::TimeWindow;

section! {
    /// `[action.NAME.guard]`, of actuators alone. Whatever does not hold keeps the actuator still, and is told by its
    /// key. The defaults are safe for a door.
    #[derive(PartialEq)]
    pub struct GuardConfig: Default, checked by check_guard {
        /// So many of the visit's newest `of` answers must say the same person and reach the floors below; the tracker
        /// takes the pictures that are missing as soon as they are.
        pub sightings: u8 = 2;
        pub of: u8 = 3, in 1..=10;
        /// An answer without a confidence reaches 0 alone.
        pub min_confidence: f32 = 0.6, in 0.0..=1.0;
        /// The least quality of the shot.
        pub min_quality: f32 = 0.4, in 0.0..=1.0;
        /// What the liveness models say of the visit together; a visit that none has looked at reaches 0 alone.
        pub min_live: f32 = 0.0, in 0.0..=1.0;
        /// The person must carry a tag that has not expired.
        pub needs_tag: bool = true;
        /// And it must be one of these; empty: any.
        pub tags_any: Vec<String> = Vec::new();
        /// Nobody who is present may carry one of these.
        pub banned_tags: Vec<String> = vec!["banned".into(), "blocked".into()];
        /// `"08:00-18:00"`, in the detector's time zone; empty: at any time.
        pub between: Vec<TimeWindow> = Vec::new();
        /// From the face to its answer; `outbox.late_after_ms` is a limit of its own.
        pub max_age_ms: u64 = 5_000, in 100..=60_000;
        /// Times it moves in a minute at one detector.
        pub per_minute: u32 = 6, in 1..=600;
    }
}

fn check_guard(guard: &GuardConfig, at: &At<'_>) {
    at.range("sightings", guard.sightings, &(1..=guard.of.clamp(1, 10)));
    let no_tag_needed = !guard.tags_any.is_empty() && !guard.needs_tag;
    at.wrong_if(no_tag_needed, &["tags_any"], "it has no effect with `needs_tag = false`; leave one of them out");
    TimeWindow::check_all(&guard.between, at);
}
