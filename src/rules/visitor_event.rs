//! What the rules judge: an answer, or that somebody has left.
//!
//! In: a recognition, or a [`Stay`] that is over. Out: one [`VisitorEvent`], in the same terms for both, so that every
//! matcher and template works on either.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use super::stay::Stay;
use super::{Firing, RuleClock};
use crate::config::{EventKind, OutcomeKind};
use crate::recognition::{Recognition, Tag};

/// One thing that happened to one visitor.
pub struct VisitorEvent<'a> {
    pub event: EventKind,
    /// The answer; of somebody who has left the newest one, dated with the moment they were last seen.
    pub recognition: Cow<'a, Recognition>,
    /// The shot's quality, 0 to 1.
    pub quality: f32,
    /// What the liveness models say of the visit together, as far as it is known; see `guard_memory`.
    pub live: Option<f32>,
    /// Since when they had been there; only of somebody who has left.
    pub since: Option<DateTime<Utc>>,
    pub now: RuleClock,
    /// Whether it is too late for an actuator.
    pub late: bool,
}

impl<'a> VisitorEvent<'a> {
    pub fn answer(recognition: &'a Recognition, quality: f32, now: RuleClock) -> Self {
        let late = now.is_late_for(recognition);
        let live = recognition.live;
        let recognition = Cow::Borrowed(recognition);
        Self { event: EventKind::Recognition, recognition, quality, live, since: None, now, late }
    }

    pub fn left(stay: &Stay, now: RuleClock) -> Self {
        let recognition = Recognition { seen_at: stay.last_seen, ..stay.recognition.clone() };
        let (late, live) = (now.is_late_for(&recognition), recognition.live);
        let (quality, since) = (stay.quality, Some(stay.since));
        Self { event: EventKind::Left, recognition: Cow::Owned(recognition), quality, live, since, now, late }
    }

    /// What a rule that fires on this is remembered by; `rests`: it is not to fire for every visit of a stay.
    pub fn firing(&self, rule: &str, rests: bool) -> Firing {
        let visit = self.recognition.visit;
        Firing {
            rule: rule.into(),
            event: self.event,
            detector: self.recognition.detector.clone(),
            person: self.recognition.answer.person_id().map(str::to_owned),
            visit,
            stay: if rests { self.recognition.stay() } else { visit },
            seen_at: self.recognition.seen_at,
        }
    }

    /// The answer's kind, as rules name it.
    pub fn outcome(&self) -> OutcomeKind {
        self.recognition.answer.kind()
    }

    /// Whether a tag counts at this event: it must not have expired when the face was seen, nor now.
    pub fn counts(&self, tag: &Tag) -> bool {
        tag.expires.is_none_or(|expires| expires > self.recognition.seen_at.max(self.now.utc))
    }

    /// The tags of somebody that count at this event.
    pub fn valid_tags<'t>(&'t self, of: &'t Recognition) -> impl Iterator<Item = &'t Tag> {
        let tags = of.answer.known().map_or(&[][..], |known| &known.tags);
        tags.iter().filter(|tag| self.counts(tag))
    }
}
