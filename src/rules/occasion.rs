//! What the rules judge: an answer, or that somebody has left.
//!
//! In: a recognition, or a [`Stay`] that is over. Out: one [`Occasion`], in the same terms for both, so that every matcher
//! and template works on either.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use super::stay::Stay;
use super::{Firing, RuleClock};
use crate::config::EventKind;
use crate::recognition::{Answer, Recognition};

/// One thing that happened to one visitor.
pub struct Occasion<'a> {
    pub event: EventKind,
    /// Of somebody who has left: the newest one, dated with the moment they were last seen.
    pub recognition: Cow<'a, Recognition>,
    /// Of the shot, 0 to 1.
    pub quality: f32,
    /// Since when they had been there; only of somebody who has left.
    pub since: Option<DateTime<Utc>>,
    pub now: RuleClock,
    /// Too late for an actuator.
    pub late: bool,
}

impl<'a> Occasion<'a> {
    pub fn answer(recognition: &'a Recognition, quality: f32, now: RuleClock) -> Self {
        let late = now.is_late_for(recognition);
        let recognition = Cow::Borrowed(recognition);
        Self { event: EventKind::Recognition, recognition, quality, since: None, now, late }
    }

    pub fn left(stay: &Stay, now: RuleClock) -> Self {
        let recognition = Recognition { seen_at: stay.last_seen, ..stay.recognition.clone() };
        let (late, recognition) = (now.is_late_for(&recognition), Cow::Owned(recognition));
        Self { event: EventKind::Left, recognition, quality: stay.quality, since: Some(stay.since), now, late }
    }

    /// What a rule that fires on this is remembered by.
    pub fn firing(&self, rule: &str) -> Firing {
        let person = match &self.recognition.answer {
            Answer::Known(known) => Some(known.person.id.clone()),
            _ => None,
        };
        Firing {
            rule: rule.into(),
            event: self.event,
            detector: self.recognition.detector.clone(),
            person,
            visit: self.recognition.visit,
            seen_at: self.recognition.seen_at,
        }
    }
}
