//! Rules: when to do what.
//!
//! In: `[[rule]]`. Out: [`RuleConfig`], whose times, days and comparisons are read here, and whose `if` stands as it
//! was written; the rules room reads it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wording::listed;

use super::actions::ActionConfig;
use super::fields::FieldTest;
use super::name::DetectorName;
use super::reading::{At, did_you_mean};
use super::section::section;
use super::time::{Days, TimeWindow, Weekday};
use super::value::{name, names, words};

section! {
    /// `[[rule]]`
    pub struct RuleConfig: new(name: impl Into<String>, actions: Vec<String>), checked by check_rule {
        pub name: String, read by name;
        pub when: WhenConfig = WhenConfig::default();
        /// The rule does not fire when all of this holds; an empty `outcome` is any here.
        pub unless: Option<WhenConfig> = None;
        /// A minijinja expression over the event that must be true as well: what the matchers cannot say.
        pub condition named "if": Option<String> = None;
        /// After firing for a person the rule rests for that person this long (unknown people count per stay). What is
        /// not said is filled in when the configuration is read, by [`RuleConfig::fill_cooldown`].
        pub cooldown_secs: Option<u64> = None;
        /// Names of `[action.NAME]` blocks, performed in order.
        pub actions: Vec<String>, read by names;
    }
}

section! {
    /// `when` and `unless`: all that is said must hold; lists hold when any item does.
    pub struct WhenConfig: Default, checked by check_when {
        /// Any of recognition, left; or camera alone. Empty: recognition.
        pub event: Vec<EventKind> = Vec::new();
        /// Any of known, unknown, no_face, refused, accepted. Empty: known.
        pub outcome: Vec<OutcomeKind> = Vec::new();
        /// The person carries any of these tags (unexpired).
        pub tags_any: Vec<String> = Vec::new();
        pub tags_all: Vec<String> = Vec::new();
        pub tags_none: Vec<String> = Vec::new();
        pub person_ids: Vec<String> = Vec::new();
        /// What the person is called.
        pub names: Vec<String> = Vec::new();
        /// Each named field must pass its test.
        pub fields: BTreeMap<String, FieldTest> = BTreeMap::new();
        /// An answer without a confidence does not reach it.
        pub min_confidence: Option<f32> = None, in 0.0..=1.0;
        /// The least quality of the shot.
        pub min_quality: Option<f32> = None, in 0.0..=1.0;
        /// What the liveness models say of the visit together; a visit that none has looked at is neither.
        pub live: Option<LiveRange> = None;
        pub detectors: Vec<DetectorName> = Vec::new();
        /// `"08:00-18:00"`, in the detector's time zone; past midnight when the end is before the start.
        pub between: Vec<TimeWindow> = Vec::new();
        pub weekdays: Vec<Weekday> = Vec::new();
        /// Single days or ranges, `"2026-12-24"`, `"2026-12-24..2027-01-06"`, or every year, `"12-24..01-06"`.
        pub dates: Vec<Days> = Vec::new();
        /// The day is, or is not, one of the detector's `holidays`.
        pub holiday: Option<bool> = None;
        /// The person has not been seen at this detector before on this day, or has. Unknown people are taken together
        /// here and in the next two.
        pub first_today: Option<bool> = None;
        /// The person was last seen at this detector at least this long ago, or never.
        pub absent_secs: Option<u64> = None;
        /// How many visits of the person, with this one, began in a time before it.
        pub visits: Option<VisitCount> = None;
        /// Somebody else was seen at this detector within 30 seconds before or after.
        pub others: Option<bool> = None;
        /// The answer came too late for an actuator, or did not.
        pub late: Option<bool> = None;
    }
}

section! {
    /// `visits = { within_mins = 60, at_least = 3 }`
    #[derive(Copy, PartialEq, Eq)]
    pub struct VisitCount {
        pub within_mins: u32;
        pub at_least: Option<u32> = None;
        pub at_most: Option<u32> = None;
    }
}

section! {
    /// `live = { at_least = 0.5 }`
    #[derive(Copy, PartialEq)]
    pub struct LiveRange: Default {
        pub at_least: f32 = 0.0, in 0.0..=1.0;
        pub at_most: f32 = 1.0, in 0.0..=1.0;
    }
}

words! {
    /// What happened.
    #[derive(Default, Deserialize, Serialize)]
    #[serde(rename_all = "snake_case")]
    pub enum EventKind {
        /// The engine answered.
        #[default]
        Recognition,
        /// Somebody who was present has not been seen for `presence.absent_secs`.
        Left,
        /// A camera is in trouble, or well again.
        Camera,
    }

    /// What the engine answered.
    #[derive(Deserialize, Serialize)]
    #[serde(rename_all = "snake_case")]
    pub enum OutcomeKind {
        Known,
        Unknown,
        NoFace,
        Refused,
        Accepted,
    }
}

fn check_when(when: &WhenConfig, at: &At<'_>) {
    TimeWindow::check_all(&when.between, at);
}

fn check_rule(rule: &RuleConfig, at: &At<'_>) {
    at.wrong_if(rule.name.trim().is_empty(), &["name"], "it is empty; give the rule a name of its own");
    let no_actions = at.below("actions").items().is_some_and(|items| items.is_empty());
    at.wrong_if(no_actions, &["actions"], "it is empty; write the names of `[action.NAME]` sections");
    let when = &rule.when;
    if when.event.contains(&EventKind::Camera) {
        let alone = "a rule is about cameras or about visitors: write another one for the others";
        at.wrong_if(when.event.len() > 1, &["when", "event"], alone);
        for (section, given) in [("when", Some(when)), ("unless", rule.unless.as_ref())] {
            for key in given.map(WhenConfig::about_visitors).unwrap_or_default() {
                at.wrong(&[section, key], "a rule about cameras has no visitor whom this could be true of");
            }
        }
    }
    let known = when.outcome.is_empty() || when.outcome.contains(&OutcomeKind::Known);
    let of_person = [
        ("tags_any", !when.tags_any.is_empty()),
        ("tags_all", !when.tags_all.is_empty()),
        ("person_ids", !when.person_ids.is_empty()),
        ("names", !when.names.is_empty()),
        ("fields", !when.fields.is_empty()),
    ];
    for (key, _) in of_person.iter().filter(|(_, given)| *given && !known) {
        let problem = "the rule never fires: only a known person has this, and `outcome` excludes `known`";
        at.unwise(&["when", key], problem);
    }
}

impl WhenConfig {
    /// The keys in use that ask something of a visitor.
    fn about_visitors(&self) -> Vec<&'static str> {
        let Self { outcome, tags_any, tags_all, tags_none, person_ids, names, fields, .. } = self;
        let Self { min_confidence, min_quality, live, first_today, absent_secs, visits, others, late, .. } = self;
        let used = [
            ("outcome", !outcome.is_empty()),
            ("tags_any", !tags_any.is_empty()),
            ("tags_all", !tags_all.is_empty()),
            ("tags_none", !tags_none.is_empty()),
            ("person_ids", !person_ids.is_empty()),
            ("names", !names.is_empty()),
            ("fields", !fields.is_empty()),
            ("min_confidence", min_confidence.is_some()),
            ("min_quality", min_quality.is_some()),
            ("live", live.is_some()),
            ("first_today", first_today.is_some()),
            ("absent_secs", absent_secs.is_some()),
            ("visits", visits.is_some()),
            ("others", others.is_some()),
            ("late", late.is_some()),
        ];
        used.iter().filter(|(_, used)| *used).map(|(key, _)| *key).collect()
    }
}

impl RuleConfig {
    /// Where the rule does not say how long it rests: a minute, because who is lost from view and found again makes a
    /// new visit, and nobody wants two messages; not at all where it only keeps a record, which must not leave anybody
    /// out.
    pub fn fill_cooldown(&mut self, actions: &BTreeMap<String, ActionConfig>) {
        let records = |name: &String| actions.get(name).is_some_and(ActionConfig::only_records);
        let rests = if self.actions.iter().all(records) { 0 } else { 60 };
        self.cooldown_secs.get_or_insert(rests);
    }

    /// Notes what does not fit the actions and detectors there are. `detectors` is `None` for a rule in a detector's
    /// file, where `when.detectors` has no meaning.
    pub(super) fn check_names(
        &self,
        at: &At<'_>,
        actions: &BTreeMap<String, ActionConfig>,
        detectors: Option<&[DetectorName]>,
    ) {
        for action in self.actions.iter().filter(|name| !actions.contains_key(*name)) {
            // An action that is there and wrong has been told of already.
            if at.branch.get(&["action", action]).is_some() {
                continue;
            }
            let help = did_you_mean(action, actions.keys().map(String::as_str), || match actions.is_empty() {
                true => format!("there is none; add a section `[action.{action}]`"),
                false => format!("there are {}", listed(&actions.keys().collect::<Vec<_>>())),
            });
            at.wrong(&["actions"], format!("there is no action `{action}`; {help}"));
        }
        let nobody = match &self.when.event[..] {
            [EventKind::Left] => Some("somebody who has left"),
            [EventKind::Camera] => Some("a camera"),
            _ => None,
        };
        if let Some(nobody) = nobody {
            let moves = |name: &&String| actions.get(*name).is_some_and(ActionConfig::is_actuator);
            for action in self.actions.iter().filter(moves) {
                at.wrong(&["actions"], format!("`{action}` is an actuator, and nothing is opened for {nobody}"));
            }
        }
        for (key, when) in [("when", Some(&self.when)), ("unless", self.unless.as_ref())] {
            let named = when.map(|when| when.detectors.as_slice()).unwrap_or_default();
            let path = [key, "detectors"];
            let Some(detectors) = detectors else {
                if !named.is_empty() {
                    at.wrong(&path, "a rule in a detector's file is for that detector alone; leave this out");
                }
                continue;
            };
            for name in named.iter().filter(|name| !detectors.contains(name)) {
                let there_are: Vec<&str> = detectors.iter().map(DetectorName::as_str).collect();
                let known = there_are.iter().copied();
                let help = did_you_mean(name.as_str(), known, || format!("there are {}", listed(&there_are)));
                at.wrong(&path, format!("there is no detector `{name}`; {help}"));
            }
        }
    }
}
