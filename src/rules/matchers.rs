//! The matchers of a rule: what `when` says, held against what happened.
//!
//! In: [`Facts`]. Out: one [`Check`] per matcher, with what was wanted, what was found, and whether it held; a rule
//! matches when all of them did. Text (tags, ids, field names and values) is compared as [`folded`]: however it is
//! composed, in any case, and whatever spaces are in it.

use chrono::{DateTime, TimeDelta};
use chrono_tz::Tz;
use identities::text::folded;

use super::check::{Check, list, live_text, match_score};
use super::fields::{self, Today};
use super::history::{History, Seen};
use super::schedule;
use super::visitor_event::VisitorEvent;
use crate::config::{Days, DetectorName, EventKind, FieldTest, LiveRange, OutcomeKind, VisitCount, WhenConfig};
use crate::recognition::{Known, Recognition};

/// What the matchers look at.
pub struct Facts<'a> {
    happened: &'a VisitorEvent<'a>,
    recognition: &'a Recognition,
    known: Option<&'a Known>,
    /// Folded names of the tags that count.
    tags: Vec<String>,
    /// When the face was seen, on the clock on the wall beside the detector.
    local: DateTime<Tz>,
    holidays: &'a [Days],
    /// Whom the history knows this as; nothing where there was no face or no answer.
    seen: Option<Seen>,
    history: &'a History,
}

/// `when` or `unless`, with its text folded.
pub struct Matchers {
    wanted: WhenConfig,
    /// The tests of fields, by their folded names.
    fields: Vec<(String, FieldTest)>,
}

impl<'a> Facts<'a> {
    pub fn new(happened: &'a VisitorEvent, zone: Tz, holidays: &'a [Days], history: &'a History) -> Self {
        let recognition: &Recognition = &happened.recognition;
        Self {
            happened,
            recognition,
            known: recognition.answer.known(),
            tags: happened.valid_tags(recognition).map(|tag| folded(&tag.name)).collect(),
            local: recognition.seen_at.with_timezone(&zone),
            holidays,
            seen: Seen::of(recognition),
            history,
        }
    }
}

impl Matchers {
    /// The matchers of a `when`: they are about answers and known people, unless it says otherwise.
    pub fn when(when: &WhenConfig) -> Self {
        let mut matchers = Self::unless(when);
        if when.event.is_empty() {
            matchers.wanted.event.push(EventKind::Recognition);
        }
        if when.outcome.is_empty() {
            matchers.wanted.outcome.push(OutcomeKind::Known);
        }
        matchers
    }

    /// The matchers of an `unless`: they are about everybody, unless it says otherwise.
    pub fn unless(when: &WhenConfig) -> Self {
        let fields = when.fields.iter().map(|(name, test)| (folded(name), test.clone())).collect();
        let mut wanted = when.clone();
        let WhenConfig { tags_any, tags_all, tags_none, person_ids, names, .. } = &mut wanted;
        for text in [tags_any, tags_all, tags_none, person_ids, names].into_iter().flatten() {
            *text = folded(text);
        }
        Self { wanted, fields }
    }

    /// One check per matcher in use.
    pub fn checks(&self, facts: &Facts) -> Vec<Check> {
        let mut checks = self.about_the_answer(facts);
        checks.extend(schedule::checks(&self.wanted, facts.local, facts.holidays));
        checks.extend(self.about_the_past(facts));
        if let Some(wanted) = self.wanted.late {
            checks.push(Check::of("late", wanted, facts.happened.late, wanted == facts.happened.late));
        }
        checks
    }

    /// One check per matcher in use that a camera can meet; the others are mistakes of the configuration there.
    pub fn checks_of_camera(&self, at: &DetectorName, local: DateTime<Tz>, holidays: &[Days]) -> Vec<Check> {
        let mut checks = Vec::new();
        checks.extend(self.event(EventKind::Camera));
        checks.extend(self.detector(at));
        checks.extend(schedule::checks(&self.wanted, local, holidays));
        checks
    }

    fn event(&self, found: EventKind) -> Option<Check> {
        let wanted = &self.wanted.event;
        let check = || Check::of("event", list(wanted, |kind| kind.as_str()), found.as_str(), wanted.contains(&found));
        (!wanted.is_empty()).then(check)
    }

    fn detector(&self, found: &DetectorName) -> Option<Check> {
        let wanted = &self.wanted.detectors;
        let check = || Check::of("detectors", list(wanted, DetectorName::to_string), found, wanted.contains(found));
        (!wanted.is_empty()).then(check)
    }

    fn about_the_answer(&self, facts: &Facts) -> Vec<Check> {
        let WhenConfig { outcome, tags_any, tags_all, tags_none, .. } = &self.wanted;
        let mut checks = Vec::from_iter(self.event(facts.happened.event));
        if !outcome.is_empty() {
            let (wanted, found) = (list(outcome, |kind| kind.as_str()), facts.happened.outcome());
            checks.push(Check::of("outcome", wanted, found.as_str(), outcome.contains(&found)));
        }
        let carries = |tag: &String| facts.tags.contains(tag);
        for (matcher, wanted, held) in [
            ("tags_any", tags_any, tags_any.iter().any(carries)),
            ("tags_all", tags_all, tags_all.iter().all(carries)),
            ("tags_none", tags_none, !tags_none.iter().any(carries)),
        ] {
            if !wanted.is_empty() {
                let found = list(&facts.tags, String::clone);
                checks.push(Check::of(matcher, list(wanted, String::clone), found, held));
            }
        }
        let id = facts.known.map(|known| folded(&known.person.id));
        let name = facts.known.and_then(|known| known.person.name.as_deref()).map(folded);
        for (matcher, wanted, found) in
            [("person_ids", &self.wanted.person_ids, id), ("names", &self.wanted.names, name)]
        {
            if !wanted.is_empty() {
                let held = found.as_ref().is_some_and(|found| wanted.contains(found));
                let found = found.unwrap_or_else(|| "nobody".into());
                checks.push(Check::of(matcher, list(wanted, String::clone), found, held));
            }
        }
        checks.extend(self.fields.iter().map(|(name, test)| field(name, test, facts)));
        if let Some(least) = self.wanted.min_confidence {
            let score = facts.recognition.answer.match_confidence();
            let held = score.is_some_and(|score| score >= least);
            checks.push(Check::of("min_confidence", least, match_score(score), held));
        }
        if let Some(least) = self.wanted.min_quality {
            let found = facts.happened.quality;
            checks.push(Check::of("min_quality", least, found, found >= least));
        }
        if let Some(LiveRange { at_least, at_most }) = self.wanted.live {
            let found = facts.happened.live;
            let held = found.is_some_and(|live| (at_least..=at_most).contains(&live));
            checks.push(Check::of("live", format!("{at_least} to {at_most}"), live_text(found), held));
        }
        checks.extend(self.detector(&facts.recognition.detector));
        checks
    }

    /// The checks of what was before; none of it holds of an answer without a face.
    fn about_the_past(&self, facts: &Facts) -> Vec<Check> {
        let WhenConfig { first_today, absent_secs, visits, others, .. } = &self.wanted;
        let mut checks = Vec::new();
        let Some(seen) = &facts.seen else {
            let used = [
                ("first_today", first_today.is_some()),
                ("absent_secs", absent_secs.is_some()),
                ("visits", visits.is_some()),
                ("others", others.is_some()),
            ];
            return used.iter().filter(|used| used.1).map(|used| Check::of(used.0, "a face", "none", false)).collect();
        };
        let last = facts.history.earlier(seen).max();
        let last_text =
            || last.map_or_else(|| "never".into(), |at| at.with_timezone(&facts.local.timezone()).to_rfc3339());
        if let Some(wanted) = *first_today {
            let before = last
                .is_some_and(|at| at.with_timezone(&facts.local.timezone()).date_naive() == facts.local.date_naive());
            checks.push(Check::of("first_today", wanted, format!("last seen {}", last_text()), wanted != before));
        }
        if let Some(wanted) = *absent_secs {
            let since = |at: DateTime<_>| u64::try_from((seen.seen_at - at).num_seconds());
            let held = last.is_none_or(|at| since(at).is_ok_and(|since| since >= wanted));
            checks.push(Check::of("absent_secs", wanted, format!("last seen {}", last_text()), held));
        }
        if let Some(VisitCount { within_mins, at_least, at_most }) = *visits {
            let within = TimeDelta::minutes(within_mins.into());
            let earlier = facts.history.earlier(seen).filter(|at| seen.seen_at - *at < within).count();
            let count = u32::try_from(earlier).unwrap_or(u32::MAX).saturating_add(1);
            let wanted = [("at least ", at_least), ("at most ", at_most)];
            let wanted: Vec<_> = wanted.iter().filter_map(|(key, n)| Some(format!("{key}{}", (*n)?))).collect();
            let held = at_least.is_none_or(|least| count >= least) && at_most.is_none_or(|most| count <= most);
            checks.push(Check::of("visits", format!("{} in {within_mins} min", wanted.join(" and ")), count, held));
        }
        if let Some(wanted) = *others {
            let found = facts.history.others(seen);
            checks.push(Check::of("others", wanted, found, wanted == (found > 0)));
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
    let found = list(&values, |field| field.value.to_string());
    Check::of("fields", format!("{name} {}", fields::wanted_text(test)), found, held)
}
