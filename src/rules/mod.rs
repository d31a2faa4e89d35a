//! When to do what: a recognition, the clock and the configured rules become [`ActionRequest`]s.
//!
//! Pure: `now` is an argument, decisions are returned, and what has fired is remembered only here ([`Firing`] brings it
//! back after a restart). It does not know what an action does, only whether it is an actuator.
//!
//! ```text
//! Recognition -> matchers: does every one hold? -> memory: fired for this visit, resting for this person?
//! or left        (matchers.rs, explained as Checks)  (memory.rs)      |
//!                                                                     + what only tells ------------------> requests
//!                                                                     + actuators -> guards: does every one
//!                                                                                    hold? (guard.rs) ----> requests
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde_json::Value;

use crate::config::{Days, DetectorName, EventKind, GuardConfig, RuleConfig};
use crate::recognition::{Answer, Recognition};
use crate::track::{Confirm, VisitId};

mod camera;
#[cfg(test)]
mod cases;
mod check;
mod condition;
mod event;
mod fields;
mod groups;
mod guard;
mod guard_memory;
mod history;
mod matchers;
mod memory;
mod newest;
mod pictures;
mod presence;
#[cfg(test)]
mod properties;
mod request;
mod schedule;
mod stay;
#[cfg(test)]
mod stories;
mod verdict;
mod visitor_event;

pub use camera::CameraNews;
pub use check::Check;
pub use condition::{check_names, environment};
pub use event::{KEYS as EVENT_KEYS, PERSON_KEYS};
pub use history::Seen;
pub use newest::Newest;
pub use presence::Presence;
pub use request::{ActionRequest, scope_of};
pub use stay::{Guest, Stay};
pub use verdict::{Decision, Judgement, Refusal, RefusedAction, Verdict};

use camera::Told;
use condition::Condition;
use groups::ActionGroup;
use guard::{Circumstances, Guard};
use guard_memory::GuardMemory;
use history::History;
use matchers::{Facts, Matchers};
use memory::Memory;
use pictures::{PictureNeed, WantedPictures};
use request::key;
use visitor_event::VisitorEvent;

/// The moment a recognition is judged at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleClock {
    /// Now, on the pipeline's clock; a tag must be unexpired then as well as when the face was seen.
    pub utc: DateTime<Utc>,
    /// The answer is older than the age limit, replayed after a restart, or seen across a clock step. A recognition
    /// without `arrived` is late whatever is said here.
    pub late: bool,
}

/// A rule that fired, as remembered across restarts with the action it fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    pub rule: String,
    pub event: EventKind,
    pub detector: DetectorName,
    /// `None` for everybody the engine did not recognise: they count per stay, and per visit for actuators.
    pub person: Option<String>,
    pub visit: VisitId,
    /// The visit that the stay began with; of a rule that does not rest, and so leaves no visit out, the visit itself.
    pub stay: VisitId,
    pub seen_at: DateTime<Utc>,
}

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    #[error("two rules are called `{rule}`: what has fired is remembered by name, so give one of them another")]
    TwiceNamed { rule: String },
    #[error("rule `{rule}`: `if` is not an expression over the event: {problem}")]
    BadCondition { rule: String, problem: String },
    #[error("cannot read {what}: {problem}")]
    BadRecord { what: &'static str, problem: String },
}

/// The rules of one detector, and what they have fired.
pub struct Rules {
    rules: Vec<Rule>,
    zone: Tz,
    holidays: Vec<Days>,
    late_after: Duration,
    memory: Memory,
    history: History,
    guards: GuardMemory,
    pictures: WantedPictures,
    /// Of cameras.
    told: Told,
}

/// A rule made ready.
struct Rule {
    name: Arc<str>,
    when: Matchers,
    unless: Option<Matchers>,
    condition: Option<Condition>,
    cooldown: TimeDelta,
    /// In the order they are performed.
    actions: Vec<PlannedAction>,
}

/// An action of a rule.
struct PlannedAction {
    name: String,
    /// What must hold before an actuator moves; other actions have no guard.
    guard: Option<Guard>,
}

impl Rules {
    /// The rules of one detector in their order. `zone` is the detector's; a request for an actuator, which is what has
    /// a guard, expires `late_after` after its frame entered the process.
    pub fn new(
        rules: Vec<RuleConfig>,
        zone: Tz,
        late_after: Duration,
        guard: impl Fn(&str) -> Option<GuardConfig>,
    ) -> Result<Self, RuleError> {
        let mut names = BTreeSet::new();
        if let Some(twice) = rules.iter().find(|rule| !names.insert(rule.name.as_str())) {
            return Err(RuleError::TwiceNamed { rule: twice.name.clone() });
        }
        let ready = |rule: RuleConfig| {
            let mut actions: Vec<PlannedAction> = Vec::new();
            for name in rule.actions {
                if !actions.iter().any(|action| action.name == name) {
                    actions.push(PlannedAction { guard: guard(&name).map(Guard::new), name });
                }
            }
            let condition = rule.condition.as_deref().map(Condition::new).transpose();
            let cooldown = i64::try_from(rule.cooldown_secs.unwrap_or_default()).ok().and_then(TimeDelta::try_seconds);
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
            guards: GuardMemory::default(),
            pictures: WantedPictures::default(),
            told: Told::default(),
        })
    }

    /// The days `holiday` means; without them there are none.
    pub fn with_holidays(self, holidays: Vec<Days>) -> Self {
        Self { holidays, ..self }
    }

    /// Brings back what fired before a restart, and the action of each, oldest first. An actuator that was asked for
    /// counts as moved, whatever became of it.
    pub fn restore(&mut self, fired: impl IntoIterator<Item = (Firing, String)>) {
        for (firing, action) in fired {
            let actions = self.rules.iter().filter(|rule| *rule.name == *firing.rule).flat_map(|rule| &rule.actions);
            let actuator = actions.clone().any(|planned| planned.name == action && planned.guard.is_some());
            if actuator {
                self.guards.moved(&action, firing.seen_at);
            }
            if let Some(group) = ActionGroup::of(actuator, firing.event, false) {
                self.memory.remember(group, &firing);
            }
        }
    }

    /// Brings back who was seen before a restart, oldest first: `first_today`, `absent_secs` and `visits` go by it.
    pub fn restore_seen(&mut self, seen: impl IntoIterator<Item = Seen>) {
        for seen in seen {
            self.history.remember(&seen);
        }
    }

    /// Judges a recognition, remembers what fires, and returns what is to be done. `quality` is the shot's, 0 to 1;
    /// `present` is everybody at the detector, as far as is known.
    ///
    /// - A rule that rests fires once per stay and person, one that does not once per visit and person; without a
    ///   person, once, and not at all once the person is known. An unknown visitor who is recognised in a later shot
    ///   fires what matches then. A stay is one visit, and those that the same face makes of it while it is away for a
    ///   moment. An actuator moves once per visit: who comes back to a door that has closed is let in again.
    /// - After firing for a person it rests for that person for its cooldown, measured between the times they were
    ///   seen, in either direction, so that late answers and clocks set back neither flood nor block.
    /// - An actuator that its guard holds back is not asked for and has not fired: the next answer may let it through,
    ///   and further pictures are asked for where they can help (`pictures.rs`).
    /// - A late recognition asks for its actuators only to have them counted as expired, under a key of their own; they
    ///   do not count as fired, so that a live answer of the same visit still reaches them.
    pub fn judge(&mut self, recognition: &Recognition, quality: f32, now: RuleClock, present: &[Stay]) -> Judgement {
        if let Answer::Known(_) = recognition.answer {
            self.memory.recognised(recognition.visit, recognition.stay());
        }
        if let Some(seen) = Seen::of(recognition) {
            self.history.remember(&seen);
        }
        let mut happened = VisitorEvent::answer(recognition, quality, now);
        self.guards.saw(&happened);
        happened.live = self.guards.live(&happened);
        let mut judgement = self.fire(&happened, present);
        judgement.live = happened.live;
        judgement.confirm = self.pictures_after(&happened, &judgement, present);
        judgement
    }

    /// The further pictures an actuator waits for after this answer.
    fn pictures_after(&mut self, happened: &VisitorEvent, judgement: &Judgement, present: &[Stay]) -> Option<Confirm> {
        let circumstances = Circumstances { happened, memory: &self.guards, present, zone: self.zone };
        let planned = self.rules.iter().zip(&judgement.verdicts).filter(|(_, verdict)| verdict.fits_another_visitor());
        let guards = planned.flat_map(|(rule, _)| &rule.actions);
        let guards = guards.filter_map(|action| Some((action.name.as_str(), action.guard.as_ref()?)));
        let need = PictureNeed {
            answered: self.guards.answered(happened.recognition.visit),
            // What moves has a moment to expire at, and nothing else has one.
            moves: judgement.requests.iter().any(|request| request.expires_at.is_some()),
            lacking: Confirm::all(judgement.refused.iter().filter_map(|refused| refused.refusal.confirm)),
            hoped_for: &|| {
                Confirm::all(guards.clone().filter_map(|(name, guard)| guard.hopes_for(name, &circumstances)))
            },
        };
        self.pictures.after(happened, &need)
    }

    /// Somebody has left. Told twice, what follows is done once; actuators are never asked for.
    pub fn left(&mut self, stay: &Stay, now: RuleClock) -> Judgement {
        let mut happened = VisitorEvent::left(stay, now);
        happened.live = self.guards.live(&happened);
        self.fire(&happened, &[])
    }

    fn fire(&mut self, happened: &VisitorEvent, present: &[Stay]) -> Judgement {
        let recognition: &Recognition = &happened.recognition;
        let late = happened.late;
        let deadline = recognition.arrived.filter(|_| !late).and_then(|arrived| arrived.checked_add(self.late_after));
        let (mut requests, mut refused_actions) = (Vec::new(), Vec::new());
        let verdicts = self.look(happened, present);
        for (rule, verdict) in self.rules.iter().zip(&verdicts) {
            let Decision::Fire { actions, withheld, refused } = &verdict.decision else { continue };
            let firing = happened.firing(&rule.name, rule.rests());
            let request = |group: ActionGroup, action: &str| {
                let key = key(&firing, group, action);
                ActionRequest {
                    inputs: event::document(happened, &rule.name, action, &key, self.zone),
                    action: action.to_owned(),
                    event: happened.event,
                    rule: rule.name.to_string(),
                    detector: recognition.detector.clone(),
                    visit: recognition.visit,
                    sighting: recognition.sighting,
                    person: firing.person.clone(),
                    seen_at: recognition.seen_at,
                    key,
                    picture: None,
                    late,
                    expires_at: deadline.filter(|_| group == ActionGroup::Move),
                }
            };
            let mut groups = BTreeSet::new();
            for action in rule.actions.iter().filter(|a| actions.contains(&a.name) || withheld.contains(&a.name)) {
                let Some(group) = ActionGroup::of(action.guard.is_some(), happened.event, happened.late) else {
                    continue;
                };
                groups.insert(group);
                if group == ActionGroup::Move {
                    self.guards.moved(&action.name, recognition.seen_at);
                }
                requests.push(request(group, &action.name));
            }
            refused_actions.extend(refused.iter().map(|refusal| RefusedAction {
                request: request(ActionGroup::Move, &refusal.action),
                refusal: refusal.clone(),
            }));
            for group in groups {
                self.memory.remember(group, &firing);
            }
        }
        Judgement { requests, refused: refused_actions, verdicts, live: None, confirm: None }
    }

    /// What every rule makes of it, without remembering anything.
    fn look(&self, happened: &VisitorEvent, present: &[Stay]) -> Vec<Verdict> {
        let facts = Facts::new(happened, self.zone, &self.holidays, &self.history);
        let verdict = |rule: &Rule| {
            let checks = rule.checks(
                |matchers| matchers.checks(&facts),
                || event::document(happened, &rule.name, "", "", self.zone),
            );
            let decision = match checks.iter().all(|check| check.held) {
                true => self.decide(rule, happened, present),
                false => Decision::NoMatch,
            };
            Verdict { rule: rule.name.to_string(), checks, decision }
        };
        self.rules.iter().map(verdict).collect()
    }

    /// A matching rule, held against the memory and the guards: its actuators and its other actions each on their own.
    fn decide(&self, rule: &Rule, happened: &VisitorEvent, present: &[Stay]) -> Decision {
        let firing = happened.firing(&rule.name, rule.rests());
        let (mut actions, mut withheld, mut refused, mut blocked) = (Vec::new(), Vec::new(), Vec::new(), None);
        let circumstances = Circumstances { happened, memory: &self.guards, present, zone: self.zone };
        for action in &rule.actions {
            let Some(group) = ActionGroup::of(action.guard.is_some(), happened.event, happened.late) else { continue };
            match self.memory.blocks(group, &firing, rule.cooldown) {
                Some(block) => blocked = Some(block),
                None if group == ActionGroup::Withheld => withheld.push(action.name.clone()),
                None => {
                    let guard = action.guard.as_ref().filter(|_| group == ActionGroup::Move);
                    match guard.and_then(|guard| guard.refuses(&action.name, &circumstances)) {
                        Some(refusal) => refused.push(refusal),
                        None => actions.push(action.name.clone()),
                    }
                }
            }
        }
        match blocked {
            Some(block) if actions.is_empty() && withheld.is_empty() && refused.is_empty() => block,
            _ => Decision::Fire { actions, withheld, refused },
        }
    }
}

impl Rule {
    /// All it asks: what each of its matchers says, and its condition of the event.
    fn checks(&self, of: impl Fn(&Matchers) -> Vec<Check>, event: impl FnOnce() -> Value) -> Vec<Check> {
        let mut checks = of(&self.when);
        checks.extend(self.unless.as_ref().map(|unless| Check::unless(&of(unless))));
        checks.extend(self.condition.as_ref().map(|condition| condition.check(&event())));
        checks
    }

    /// Whether it leaves a visit out that follows another too soon.
    fn rests(&self) -> bool {
        self.cooldown > TimeDelta::zero()
    }
}

impl RuleClock {
    fn is_late_for(self, recognition: &Recognition) -> bool {
        self.late || recognition.arrived.is_none()
    }
}
