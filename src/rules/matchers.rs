//! The matchers of a rule: what `when` says, held against what happened.
//!
//! In: [`Facts`]. Out: one [`Check`] per matcher, with what was wanted, what was found, and whether it held; a rule
//! matches when all of them did. Text (tags, ids, field names and values) is compared as [`folded`]: however it is
//! composed, in any case, and whatever spaces are in it.

use chrono::{DateTime, TimeDelta};
use chrono_tz::Tz;
use identities::text::folded;

use super::check::{Check, NO_MATCH_SCORE, list};
use super::fields::{self, Today};
use super::history::{History, Seen};
use super::schedule::Schedule;
use super::visitor_event::VisitorEvent;
use crate::config::{Days, EventKind, FieldTest, OutcomeKind, VisitCount, WhenConfig};
use crate::recognition::{Known, Recognition};

/// What the matchers look at.
pub struct Facts<'a> {
    event: EventKind,
    recognition: &'a Recognition,
    outcome: OutcomeKind,
    known: Option<&'a Known>,
    /// Folded names of the tags that count.
    tags: Vec<String>,
    /// How sure the engine is of the person.
    match_confidence: Option<f32>,
    /// The shot's quality, 0 to 1.
    quality: f32,
    late: bool,
    /// When the face was seen, on the clock on the wall beside the detector.
    local: DateTime<Tz>,
    holidays: &'a [Days],
    /// Whom the history knows this as; nothing where there was no face or no answer.
    seen: Option<Seen>,
    history: &'a History,
}

/// `when` or `unless`, with its text folded.
pub struct Matchers {
    /// The kinds of event that match; empty for any.
    event: Vec<EventKind>,
    /// The outcomes that match; empty for any.
    outcome: Vec<OutcomeKind>,
    tags_any: Vec<String>,
    tags_all: Vec<String>,
    tags_none: Vec<String>,
    person_ids: Vec<String>,
    names: Vec<String>,
    fields: Vec<(String, FieldTest)>,
    min_confidence: Option<f32>,
    min_quality: Option<f32>,
    detectors: Vec<String>,
    schedule: Schedule,
    first_today: Option<bool>,
    absent: Option<TimeDelta>,
    visits: Option<VisitCount>,
    others: Option<bool>,
    late: Option<bool>,
}

impl<'a> Facts<'a> {
    pub fn new(happened: &'a VisitorEvent, zone: Tz, holidays: &'a [Days], history: &'a History) -> Self {
        let VisitorEvent { event, quality, late, .. } = *happened;
        let recognition: &Recognition = &happened.recognition;
        let known = recognition.answer.known();
        Self {
            event,
            outcome: happened.outcome(),
            tags: happened.valid_tags(recognition).map(|tag| folded(&tag.name)).collect(),
            local: recognition.seen_at.with_timezone(&zone),
            seen: Seen::of(recognition),
            late,
            recognition,
            known,
            match_confidence: recognition.answer.match_confidence(),
            quality,
            holidays,
            history,
        }
    }
}

impl Matchers {
    /// The matchers of a `when`: they are about answers and known people, unless it says otherwise.
    pub fn when(when: &WhenConfig) -> Self {
        let mut matchers = Self::unless(when);
        if matchers.event.is_empty() {
            matchers.event.push(EventKind::Recognition);
        }
        if matchers.outcome.is_empty() {
            matchers.outcome.push(OutcomeKind::Known);
        }
        matchers
    }

    /// The matchers of an `unless`: they are about everybody, unless it says otherwise.
    pub fn unless(when: &WhenConfig) -> Self {
        let fold = |texts: &[String]| texts.iter().map(|text| folded(text)).collect();
        let seconds = |secs: u64| i64::try_from(secs).ok().and_then(TimeDelta::try_seconds).unwrap_or(TimeDelta::MAX);
        Self {
            event: when.event.clone(),
            outcome: when.outcome.clone(),
            tags_any: fold(&when.tags_any),
            tags_all: fold(&when.tags_all),
            tags_none: fold(&when.tags_none),
            person_ids: fold(&when.person_ids),
            names: fold(&when.names),
            fields: when.fields.iter().map(|(name, test)| (folded(name), test.clone())).collect(),
            min_confidence: when.min_confidence,
            min_quality: when.min_quality,
            detectors: when.detectors.iter().map(|name| name.as_str().to_owned()).collect(),
            schedule: Schedule::new(when),
            first_today: when.first_today,
            absent: when.absent_secs.map(seconds),
            visits: when.visits,
            others: when.others,
            late: when.late,
        }
    }

    /// One check per matcher in use.
    pub fn checks(&self, facts: &Facts) -> Vec<Check> {
        let mut checks = self.about_the_answer(facts);
        checks.extend(self.schedule.checks(facts.local, facts.holidays));
        checks.extend(self.about_the_past(facts));
        if let Some(wanted) = self.late {
            checks.push(Check::of("late", wanted, facts.late, wanted == facts.late));
        }
        checks
    }

    fn about_the_answer(&self, facts: &Facts) -> Vec<Check> {
        let mut checks = Vec::new();
        if !self.event.is_empty() {
            let wanted = list(&self.event, |kind| kind.as_str());
            checks.push(Check::of("event", wanted, facts.event.as_str(), self.event.contains(&facts.event)));
        }
        if !self.outcome.is_empty() {
            let wanted = list(&self.outcome, |kind| kind.as_str());
            checks.push(Check::of("outcome", wanted, facts.outcome.as_str(), self.outcome.contains(&facts.outcome)));
        }
        let carries = |tag: &String| facts.tags.contains(tag);
        let mut tags = |matcher, wanted: &[String], held| {
            if !wanted.is_empty() {
                let found = list(&facts.tags, String::clone);
                checks.push(Check::of(matcher, list(wanted, String::clone), found, held));
            }
        };
        tags("tags_any", &self.tags_any, self.tags_any.iter().any(carries));
        tags("tags_all", &self.tags_all, self.tags_all.iter().all(carries));
        tags("tags_none", &self.tags_none, !self.tags_none.iter().any(carries));
        let id = facts.known.map(|known| folded(&known.person.id));
        let name = facts.known.and_then(|known| known.person.name.as_deref()).map(folded);
        for (matcher, wanted, found) in [("person_ids", &self.person_ids, id), ("names", &self.names, name)] {
            if !wanted.is_empty() {
                let held = found.as_ref().is_some_and(|found| wanted.contains(found));
                let found = found.unwrap_or_else(|| "nobody".into());
                checks.push(Check::of(matcher, list(wanted, String::clone), found, held));
            }
        }
        checks.extend(self.fields.iter().map(|(name, test)| field(name, test, facts)));
        if let Some(least) = self.min_confidence {
            let found = facts.match_confidence.map_or_else(|| NO_MATCH_SCORE.into(), |score| score.to_string());
            let held = facts.match_confidence.is_some_and(|score| score >= least);
            checks.push(Check::of("min_confidence", least, found, held));
        }
        if let Some(least) = self.min_quality {
            checks.push(Check::of("min_quality", least, facts.quality, facts.quality >= least));
        }
        if !self.detectors.is_empty() {
            let name = facts.recognition.detector.as_str();
            let held = self.detectors.iter().any(|wanted| wanted == name);
            checks.push(Check::of("detectors", list(&self.detectors, String::clone), name, held));
        }
        checks
    }

    /// The checks of what was before; none of it holds of an answer without a face.
    fn about_the_past(&self, facts: &Facts) -> Vec<Check> {
        let mut checks = Vec::new();
        let Some(seen) = &facts.seen else {
            let used = [
                ("first_today", self.first_today.is_some()),
                ("absent_secs", self.absent.is_some()),
                ("visits", self.visits.is_some()),
                ("others", self.others.is_some()),
            ];
            return used.iter().filter(|used| used.1).map(|used| Check::of(used.0, "a face", "none", false)).collect();
        };
        let last = facts.history.earlier(seen).max();
        let last_text =
            || last.map_or_else(|| "never".into(), |at| at.with_timezone(&facts.local.timezone()).to_rfc3339());
        if let Some(wanted) = self.first_today {
            let before = last
                .is_some_and(|at| at.with_timezone(&facts.local.timezone()).date_naive() == facts.local.date_naive());
            checks.push(Check::of("first_today", wanted, format!("last seen {}", last_text()), wanted != before));
        }
        if let Some(wanted) = self.absent {
            let held = last.is_none_or(|at| seen.seen_at - at >= wanted);
            checks.push(Check::of("absent_secs", wanted.num_seconds(), format!("last seen {}", last_text()), held));
        }
        if let Some(VisitCount { within_mins, at_least, at_most }) = self.visits {
            let within = TimeDelta::minutes(within_mins.into());
            let earlier = facts.history.earlier(seen).filter(|at| seen.seen_at - *at < within).count();
            let count = u32::try_from(earlier).unwrap_or(u32::MAX).saturating_add(1);
            let wanted = [("at least ", at_least), ("at most ", at_most)];
            let wanted: Vec<_> = wanted.iter().filter_map(|(key, n)| Some(format!("{key}{}", (*n)?))).collect();
            let held = at_least.is_none_or(|least| count >= least) && at_most.is_none_or(|most| count <= most);
            checks.push(Check::of("visits", format!("{} in {within_mins} min", wanted.join(" and ")), count, held));
        }
        if let Some(wanted) = self.others {
            let others = facts.history.others(seen);
            checks.push(Check::of("others", wanted, others, wanted == (others > 0)));
        }
        checks
    }
}

/// A person may have a field twice: one that passes is enough.
fn field(name: &str, test: &FieldTest, facts: &Facts) -> Check {
    let values = facts.known.map_or(&[][..], |known| &known.fields);
    let values: Vec<_> = values.iter().filter(|field| folded(&field.name) == name).collect();
    let today = Today { zone: facts.local.timezone(), day: facts.local.date_naive() };
    let passes = |value| fields::passes(test, value, today);
    let held = match (facts.known, values.as_slice()) {
        (None, _) => false,
        (Some(_), []) => passes(None),
        (Some(_), values) => values.iter().any(|field| passes(Some(&field.value))),
    };
    let found = list(&values, |field| fields::value_text(&field.value));
    Check::of("fields", format!("{name} {}", fields::wanted_text(test)), found, held)
}
