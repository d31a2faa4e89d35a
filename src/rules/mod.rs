//! When to do what: a recognition, the clock and the configured rules become [`ActionRequest`]s.
//!
//! Pure: `now` is an argument, decisions are returned, and what has fired is remembered only here ([`Firing`] brings it
//! back after a restart). It does not know what an action does, only whether it is an actuator.
//!
//! ```text
//! Recognition ─▶ matchers: does every one hold? ─▶ memory: fired for this visit, resting for this person? ─▶ requests
//!                (matchers.rs, explained as Checks)  (memory.rs)                    (one event document each, event.rs)
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::config::{Days, DetectorName, RuleConfig};
use crate::identities::{Answer, Recognition};
use crate::track::VisitId;

#[cfg(test)]
mod cases;
mod condition;
mod event;
mod fields;
mod history;
mod matchers;
mod memory;
mod request;
mod schedule;

pub use event::{KEYS as EVENT_KEYS, PERSON_KEYS, UnknownName, check_names};
pub use history::Seen;
pub use matchers::Check;
pub use request::ActionRequest;

use condition::Condition;
use history::History;
use matchers::{Facts, Matchers};
use memory::{Memory, Part};
use request::key;

/// The moment a recognition is judged at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleClock {
    /// Now, on the pipeline's clock; a tag must be unexpired then as well as when the face was seen.
    pub utc: DateTime<Utc>,
    /// The answer is older than the age limit, replayed after a restart, or seen across a clock step. A recognition
    /// without `arrived` is late whatever is said here.
    pub late: bool,
}

/// A rule that fired, as remembered across restarts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    pub rule: String,
    pub detector: DetectorName,
    /// `None` for everybody the engine did not recognise: they count per visit.
    pub person: Option<String>,
    pub visit: VisitId,
    pub seen_at: DateTime<Utc>,
}

/// What one rule made of one recognition: every matcher with what it wanted and found, and what follows. It may hold
/// names of tags and values of fields: it is for `explain`, never for a log.
#[derive(Clone, PartialEq)]
pub struct Verdict {
    pub rule: String,
    /// One per matcher of the rule, in a fixed order.
    pub checks: Vec<Check>,
    pub decision: Decision,
}

/// What follows from the matchers and the memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Some matcher did not hold.
    NoMatch,
    /// It matched, and these actions are asked for, in order. Those withheld are actuators the answer is too late for:
    /// asked for only to be counted as expired.
    Fire { actions: Vec<String>, withheld: Vec<String> },
    /// It matched, but has fired for this visit and person before.
    Repeated,
    /// It matched, but fired for this person at `since`, within its cooldown.
    Resting { since: DateTime<Utc> },
    /// It matched an answer without a person, but the visit's person is known from another shot.
    VisitKnown,
}

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    #[error("two rules are called `{rule}`: what has fired is remembered by name, so give one of them another")]
    TwiceNamed { rule: String },
    #[error("rule `{rule}`: `if` is not an expression over the event: {problem}")]
    BadCondition { rule: String, problem: String },
    #[error("cannot read a stored action request: `{key}` is missing or not what it should be")]
    BadRecord { key: &'static str },
}

/// The rules of one detector, and what they have fired.
pub struct Rules {
    rules: Vec<Rule>,
    zone: Tz,
    holidays: Vec<Days>,
    late_after: Duration,
    memory: Memory,
    history: History,
}

/// A rule made ready.
struct Rule {
    name: Arc<str>,
    when: Matchers,
    unless: Option<Matchers>,
    condition: Option<Condition>,
    cooldown: TimeDelta,
    /// In the order they are performed.
    actions: Vec<Planned>,
}

struct Planned {
    name: String,
    actuator: bool,
}

impl Rules {
    /// The rules of one detector in their order. `zone` is the detector's; a request for an actuator expires
    /// `late_after` after its frame entered the process.
    pub fn new(
        rules: Vec<RuleConfig>,
        zone: Tz,
        late_after: Duration,
        is_actuator: impl Fn(&str) -> bool,
    ) -> Result<Self, RuleError> {
        let mut names = BTreeSet::new();
        if let Some(twice) = rules.iter().find(|rule| !names.insert(rule.name.as_str())) {
            return Err(RuleError::TwiceNamed { rule: twice.name.clone() });
        }
        let ready = |rule: RuleConfig| {
            let mut actions: Vec<Planned> = Vec::new();
            for name in rule.actions {
                if !actions.iter().any(|action| action.name == name) {
                    actions.push(Planned { actuator: is_actuator(&name), name });
                }
            }
            let condition = rule.condition.as_deref().map(Condition::new).transpose();
            let cooldown = i64::try_from(rule.cooldown_secs).ok().and_then(TimeDelta::try_seconds);
            Ok(Rule {
                condition: condition.map_err(|problem| RuleError::BadCondition { rule: rule.name.clone(), problem })?,
                name: rule.name.into(),
                when: Matchers::when(&rule.when),
                unless: rule.unless.as_ref().map(Matchers::unless),
                cooldown: cooldown.unwrap_or(TimeDelta::MAX),
                actions,
            })
        };
        Ok(Self {
            rules: rules.into_iter().map(ready).collect::<Result<_, _>>()?,
            zone,
            holidays: Vec::new(),
            late_after,
            memory: Memory::default(),
            history: History::default(),
        })
    }

    /// The days `holiday` means; without them there are none.
    pub fn with_holidays(self, holidays: Vec<Days>) -> Self {
        Self { holidays, ..self }
    }

    /// Brings back what fired before a restart, oldest first. A rule restored for a person rests as if all its actions
    /// had been asked for.
    pub fn restore(&mut self, firings: impl IntoIterator<Item = Firing>) {
        for firing in firings {
            for part in Part::ALL {
                self.memory.remember(part, &firing);
            }
        }
    }

    /// Brings back who was seen before a restart, oldest first: `first_today`, `absent_secs` and `visits` go by it.
    pub fn restore_seen(&mut self, seen: impl IntoIterator<Item = Seen>) {
        for seen in seen {
            self.history.remember(&seen);
        }
    }

    /// Judges a recognition, remembers what fires, and returns what is to be done, in the order of the rules and of
    /// their actions. `quality` is the shot's, 0 to 1.
    ///
    /// - A rule fires once per visit and person; without a person, once per visit, and not at all once the visit's
    ///   person is known. An unknown visitor who is recognised in a later shot fires what matches then.
    /// - After firing for a person it rests for that person for its cooldown, measured between the times they were seen,
    ///   in either direction, so that late answers and clocks set back neither flood nor block.
    /// - A late recognition asks for its actuators only to have them counted as expired, under a key of their own; they
    ///   do not count as fired, so that a live answer of the same visit still reaches them.
    pub fn evaluate(&mut self, recognition: &Recognition, quality: f32, now: RuleClock) -> Vec<ActionRequest> {
        self.judge(recognition, quality, now).0
    }

    /// [`evaluate`](Self::evaluate), with what every rule made of it.
    pub fn judge(
        &mut self,
        recognition: &Recognition,
        quality: f32,
        now: RuleClock,
    ) -> (Vec<ActionRequest>, Vec<Verdict>) {
        let late = now.is_late_for(recognition);
        let deadline = recognition.arrived.filter(|_| !late).and_then(|arrived| arrived.checked_add(self.late_after));
        if let Answer::Known(_) = recognition.answer {
            self.memory.recognised(recognition.visit);
        }
        if let Some(seen) = Seen::of(recognition) {
            self.history.remember(&seen);
        }
        let mut requests = Vec::new();
        let verdicts = self.verdicts(recognition, quality, now);
        for (rule, verdict) in self.rules.iter().zip(&verdicts) {
            let Decision::Fire { actions, withheld } = &verdict.decision else { continue };
            let firing = firing(&rule.name, recognition);
            let mut parts = BTreeSet::new();
            for action in rule.actions.iter().filter(|a| actions.contains(&a.name) || withheld.contains(&a.name)) {
                let part = Part::of(action.actuator, late);
                parts.insert(part);
                let key = key(&firing, part, &action.name);
                requests.push(ActionRequest {
                    inputs: event::document(recognition, &rule.name, &action.name, &key, quality, late, now, self.zone),
                    action: action.name.clone(),
                    rule: rule.name.to_string(),
                    detector: recognition.detector.clone(),
                    visit: recognition.visit,
                    sighting: recognition.sighting,
                    person: firing.person.clone(),
                    seen_at: recognition.seen_at,
                    key,
                    picture: None,
                    late,
                    expires_at: deadline.filter(|_| action.actuator),
                });
            }
            for part in parts {
                self.memory.remember(part, &firing);
            }
        }
        (requests, verdicts)
    }

    /// What every rule makes of a recognition, without remembering anything.
    pub fn verdicts(&self, recognition: &Recognition, quality: f32, now: RuleClock) -> Vec<Verdict> {
        let facts = Facts::new(recognition, quality, now, (self.zone, &self.holidays), &self.history);
        let late = now.is_late_for(recognition);
        let verdict = |rule: &Rule| {
            let mut checks = rule.when.checks(&facts);
            if let Some(unless) = &rule.unless {
                checks.push(matchers::unless(&unless.checks(&facts)));
            }
            if let Some(condition) = &rule.condition {
                let event = event::document(recognition, &rule.name, "", "", quality, late, now, self.zone);
                checks.push(condition.check(&event));
            }
            let decision = match checks.iter().all(|check| check.held) {
                true => self.decide(rule, recognition, late),
                false => Decision::NoMatch,
            };
            Verdict { rule: rule.name.to_string(), checks, decision }
        };
        self.rules.iter().map(verdict).collect()
    }

    /// A matching rule, held against the memory: its actuators and its other actions each on their own.
    fn decide(&self, rule: &Rule, recognition: &Recognition, late: bool) -> Decision {
        let firing = firing(&rule.name, recognition);
        let (mut actions, mut withheld, mut blocked) = (Vec::new(), Vec::new(), None);
        for action in &rule.actions {
            let part = Part::of(action.actuator, late);
            match self.memory.blocks(part, &firing, rule.cooldown) {
                Some(block) => blocked = Some(block),
                None if part == Part::Withheld => withheld.push(action.name.clone()),
                None => actions.push(action.name.clone()),
            }
        }
        match blocked {
            Some(block) if actions.is_empty() && withheld.is_empty() => block,
            _ => Decision::Fire { actions, withheld },
        }
    }
}

impl RuleClock {
    fn is_late_for(self, recognition: &Recognition) -> bool {
        self.late || recognition.arrived.is_none()
    }
}

impl std::fmt::Debug for Verdict {
    /// Without what the matchers found.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verdict({}: {:?})", self.rule, self.decision)
    }
}

fn firing(rule: &str, recognition: &Recognition) -> Firing {
    let person = match &recognition.answer {
        Answer::Known(known) => Some(known.person.id.clone()),
        _ => None,
    };
    Firing {
        rule: rule.into(),
        detector: recognition.detector.clone(),
        person,
        visit: recognition.visit,
        seen_at: recognition.seen_at,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use chrono_tz::Europe::Berlin;
    use proptest::prelude::*;

    use super::cases::{Case, rules};
    use super::*;

    const KNOWN: &str = "[[rule]]\nname = 'known'\nactions = ['log', 'door']\ncooldown_secs = 60\n";
    const UNKNOWN: &str =
        "[[rule]]\nname = 'unknown'\nactions = ['log']\nwhen = { outcome = ['unknown', 'no_face'] }\n";

    /// The `rule>action` pairs asked for at each step of a story, `!` behind those that are late. A step is a case with a
    /// second to be seen at.
    fn story(steps: &[(i64, &str)]) -> Vec<String> {
        let mut rules = rules(&format!("{KNOWN}{UNKNOWN}"), Berlin);
        let told = |(second, case): &(i64, &str)| {
            let mut case = Case::parse(case);
            case.recognition.seen_at += TimeDelta::seconds(*second);
            let requests = rules.evaluate(&case.recognition, case.quality, case.clock());
            let told = |r: &ActionRequest| format!("{}>{}{}", r.rule, r.action, if r.late { "!" } else { "" });
            requests.iter().map(told).collect::<Vec<_>>().join(" ")
        };
        steps.iter().map(told).collect()
    }

    #[test]
    fn stories_of_visits() {
        let both = "known>log known>door";
        for (why, steps, wanted) in [
            ("a better shot with the same answer", &[(0, "known"), (3, "known shot=2")][..], &[both, ""][..]),
            ("the same recognition once more", &[(0, "known"), (0, "known")], &[both, ""]),
            ("back within the cooldown", &[(0, "known"), (59, "known visit=3")], &[both, ""]),
            ("back after it", &[(0, "known"), (60, "known visit=3")], &[both, both]),
            (
                "the cooldown counts from firing",
                &[(0, "known"), (59, "known visit=3"), (61, "known visit=4")],
                &[both, "", both],
            ),
            ("a second person at once", &[(0, "known"), (1, "known visit=3 id=bob")], &[both, both]),
            ("two people in one visit", &[(0, "known"), (1, "known id=bob shot=2")], &[both, both]),
            ("two unknown people", &[(0, "unknown"), (1, "unknown visit=3")], &["unknown>log", "unknown>log"]),
            ("an unknown, seen better, still unknown", &[(0, "unknown"), (3, "unknown shot=2")], &["unknown>log", ""]),
            ("no face, then unknown: one visit", &[(0, "no_face"), (3, "unknown shot=2")], &["unknown>log", ""]),
            ("unknown, then known", &[(0, "unknown"), (3, "known shot=2")], &["unknown>log", both]),
            ("… whose answers come the other way round", &[(3, "known shot=2"), (0, "unknown")], &[both, ""]),
            ("known, then unknown", &[(0, "known"), (3, "unknown shot=2")], &[both, ""]),
            (
                "late, then live: the door has not been used up",
                &[(0, "known late"), (3, "known shot=2")],
                &["known>log! known>door!", "known>door"],
            ),
            ("late twice", &[(0, "known late"), (3, "known shot=2 late")], &["known>log! known>door!", ""]),
            ("live, then late", &[(0, "known"), (3, "known shot=2 late")], &[both, ""]),
            ("answers out of order", &[(30, "known visit=3"), (0, "known")], &[both, ""]),
            (
                "the clock set back by a day",
                &[(86_400, "known visit=3"), (0, "known"), (30, "known visit=4")],
                &[both, both, ""],
            ),
            ("another detector", &[(0, "known"), (1, "known visit=3 detector=Gate")], &[both, both]),
        ] {
            assert_eq!(story(steps), wanted, "{why}");
        }
    }

    /// Which of the rules fire at each step, by the first letter of their names.
    #[test]
    fn stories_of_the_past() {
        let toml = [
            ("today", "when = { first_today = true }"),
            ("absent", "when = { absent_secs = 3600 }"),
            ("often", "when = { visits = { within_mins = 60, at_least = 3 } }"),
            ("others", "when = { others = true }"),
            ("strangers", "when = { outcome = ['unknown'], visits = { within_mins = 10, at_least = 2 } }"),
        ]
        .map(|(name, when)| format!("[[rule]]\nname = '{name}'\nactions = ['log']\ncooldown_secs = 0\n{when}\n"))
        .concat();
        for (why, steps, wanted) in [
            ("one visit, two shots", &[(0, "known"), (3, "known shot=2")][..], &["today absent", ""][..]),
            ("back after a while", &[(0, "known"), (600, "known visit=3")], &["today absent", ""]),
            ("back after an hour", &[(0, "known"), (3600, "known visit=3")], &["today absent", "absent"]),
            // Seen at noon: twelve hours on it is tomorrow beside the door, though not yet in UTC.
            ("back the next day", &[(0, "known"), (12 * 3600, "known visit=3")], &["today absent", "today absent"]),
            (
                "absence counts from the last sight",
                &[(0, "known"), (300, "known shot=2"), (3700, "known visit=3")],
                &["today absent", "", ""],
            ),
            (
                "three times in an hour",
                &[(0, "known"), (600, "known visit=3"), (3599, "known visit=4")],
                &["today absent", "", "often"],
            ),
            (
                "three times, but not in an hour",
                &[(0, "known"), (600, "known visit=3"), (3600, "known visit=4")],
                &["today absent", "", ""],
            ),
            (
                "two people together",
                &[(0, "known"), (5, "known visit=3 id=bob")],
                &["today absent", "today absent others"],
            ),
            (
                "two people after each other",
                &[(0, "known"), (31, "known visit=3 id=bob")],
                &["today absent", "today absent"],
            ),
            ("a stranger beside somebody", &[(0, "unknown"), (5, "known visit=3")], &["", "today absent others"]),
            ("two strangers", &[(0, "unknown"), (400, "unknown visit=3")], &["", "strangers"]),
            (
                "a stranger who turned out to be known is none",
                &[(0, "unknown"), (3, "known shot=2"), (400, "unknown visit=3")],
                &["", "today absent", ""],
            ),
            (
                "somebody else's visits do not count",
                &[(0, "known id=bob"), (600, "known visit=3")],
                &["today absent", "today absent"],
            ),
            ("answers out of order", &[(600, "known visit=3"), (0, "known")], &["today absent", "today absent"]),
        ] {
            let mut rules = rules(&toml, Berlin);
            let told = |(second, case): &(i64, &str)| {
                let mut case = Case::parse(case);
                case.recognition.seen_at += TimeDelta::seconds(*second);
                let requests = rules.evaluate(&case.recognition, case.quality, case.clock());
                requests.into_iter().map(|request| request.rule).collect::<Vec<_>>().join(" ")
            };
            assert_eq!(steps.iter().map(told).collect::<Vec<_>>(), wanted, "{why}");
        }
    }

    #[test]
    fn a_restart_forgets_nobody_who_was_seen() {
        let toml = "[[rule]]\nname = 'r'\nactions = ['log']\nwhen = { first_today = true }";
        let case = Case::parse("known visit=3");
        let mut restarted = rules(toml, Berlin);
        restarted.restore_seen(Seen::of(&Case::parse("known at=2026-06-10T09:00:00Z").recognition));
        assert_eq!(restarted.evaluate(&case.recognition, case.quality, case.clock()), []);
    }

    #[test]
    fn what_does_not_match_uses_nothing_up() {
        let toml = "[[rule]]\nname = 'r'\nactions = ['log']\nwhen = { tags_any = ['Staff'] }";
        let mut rules = rules(toml, Berlin);
        let fired = |rules: &mut Rules, case| {
            let case = Case::parse(case);
            rules.evaluate(&case.recognition, case.quality, case.clock()).len()
        };
        assert_eq!(fired(&mut rules, "known"), 0);
        assert_eq!(fired(&mut rules, "known tag=Staff"), 1);
    }

    #[test]
    fn verdicts_remember_nothing_and_say_why() {
        let mut rules = rules(&format!("{KNOWN}{UNKNOWN}"), Berlin);
        let case = Case::parse("known");
        let decisions = |rules: &Rules, case: &Case| {
            let verdicts = rules.verdicts(&case.recognition, case.quality, case.clock());
            verdicts.into_iter().map(|verdict| verdict.decision).collect::<Vec<_>>()
        };
        let fires = Decision::Fire { actions: vec!["log".into(), "door".into()], withheld: vec![] };
        assert_eq!(decisions(&rules, &case), [fires.clone(), Decision::NoMatch]);
        assert_eq!(decisions(&rules, &case), [fires, Decision::NoMatch]);
        rules.evaluate(&case.recognition, case.quality, case.clock());
        assert_eq!(decisions(&rules, &case), [Decision::Repeated, Decision::NoMatch]);
        let since = case.recognition.seen_at;
        assert_eq!(decisions(&rules, &Case::parse("known visit=3")), [Decision::Resting { since }, Decision::NoMatch]);
        assert_eq!(decisions(&rules, &Case::parse("unknown")), [Decision::NoMatch, Decision::VisitKnown]);
        let late = Decision::Fire { actions: vec!["log".into()], withheld: vec!["door".into()] };
        assert_eq!(decisions(&rules, &Case::parse("known visit=4 id=bob late"))[0], late);
    }

    #[test]
    fn a_restart_forgets_nothing_that_fired() {
        let case = Case::parse("known");
        let fired = rules(KNOWN, Berlin).evaluate(&case.recognition, case.quality, case.clock());
        let mut restarted = rules(KNOWN, Berlin);
        restarted.restore(fired.iter().map(ActionRequest::firing));
        for blocked in ["known", "known visit=3", "known late", "known visit=3 late"] {
            let case = Case::parse(blocked);
            assert_eq!(restarted.evaluate(&case.recognition, case.quality, case.clock()), [], "{blocked}");
        }
        let bob = Case::parse("known visit=3 id=bob");
        assert_eq!(restarted.evaluate(&bob.recognition, bob.quality, bob.clock()).len(), 2);
    }

    #[test]
    fn nothing_personal_is_in_the_debug_text() {
        let case = Case::parse("known tag=Staff text:Badge=C-1187");
        let toml =
            "[[rule]]\nname = 'r'\nactions = ['log']\nwhen = { tags_any = ['Staff'], fields = { Badge = 'C-1187' } }";
        let mut rules = rules(toml, Berlin);
        let verdicts = format!("{:?}", rules.verdicts(&case.recognition, case.quality, case.clock()));
        let requests = format!("{:?}", rules.evaluate(&case.recognition, case.quality, case.clock()));
        for secret in ["Ann", "C-1187", "Staff"] {
            assert!(!verdicts.contains(secret) && !requests.contains(secret), "{secret}: {verdicts} {requests}");
        }
    }

    #[test]
    fn rules_of_one_name_are_turned_down() {
        let rule = || toml::from_str::<RuleConfig>("name = 'r'\nactions = []").unwrap();
        let error = Rules::new(vec![rule(), rule()], Berlin, Duration::ZERO, |_| false).err().unwrap();
        assert!(error.to_string().starts_with("two rules are called `r`"));
    }

    /// One step of a random life: who, in which visit, when, which shot, late or not, and whether the process restarts
    /// before it.
    fn step() -> impl Strategy<Value = (Option<u8>, u8, i64, u8, bool, bool)> {
        let person = prop_oneof![3 => (0u8..3).prop_map(Some), 1 => Just(None)];
        (person, 0u8..6, -200i64..200, 1u8..3, any::<bool>(), prop::bool::weighted(0.05))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Whatever the order, delay or repetition of recognitions: no (rule, visit, person, action) twice, no actuator
        /// late, and every person's first live recognition at a rested rule reaches it.
        #[test]
        fn nothing_fires_twice_and_nobody_is_swallowed(steps in prop::collection::vec(step(), 1..40)) {
            let toml = format!("{KNOWN}{UNKNOWN}[[rule]]\nname = 'all'\nactions = ['log', 'door']\ncooldown_secs = 0\nwhen = {{ outcome = ['known', 'unknown'] }}");
            let mut now = rules(&toml, Berlin);
            let mut seen = HashSet::new();
            let mut live = HashSet::new();
            let mut met = HashSet::new();
            let mut firings = Vec::new();
            for (person, visit, second, shot, late, restart) in steps {
                if restart {
                    now = rules(&toml, Berlin);
                    now.restore(firings.iter().cloned());
                }
                let outcome = person.map_or("unknown".into(), |id| format!("known id=p{id}"));
                let mut case = Case::parse(&format!("{outcome} visit={visit} shot={shot} {}", if late { "late" } else { "" }));
                case.recognition.seen_at += TimeDelta::seconds(second);
                let requests = now.evaluate(&case.recognition, case.quality, case.clock());
                if let Some(person) = person && met.insert(person) {
                    prop_assert!(requests.iter().any(|r| r.rule == "known" && r.action == "log"), "the first time of p{person}");
                }
                for request in requests {
                    prop_assert!(seen.insert(request.key.clone()), "{request:?} twice");
                    let moves = request.action == "door" && !request.late;
                    prop_assert_eq!(request.expires_at.is_some(), moves);
                    prop_assert!(!moves || !late);
                    if !request.late || request.action != "door" {
                        prop_assert!(live.insert((request.rule.clone(), visit, request.person.clone(), request.action.clone())));
                    }
                    firings.push(request.firing());
                }
            }
        }
    }
}
