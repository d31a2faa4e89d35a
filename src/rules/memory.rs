//! What has fired: once per visit and person, and not again for a person within a rule's cooldown.
//!
//! In: [`Firing`]s. Out: whether one more would be too much. Bounded: the oldest firings are forgotten first; the
//! outbox, which claims every key once, is the second lock behind this one.

use std::collections::{HashMap, HashSet, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use identities::text::folded;

use super::occasion::Occasion;
use super::{Decision, Firing};
use crate::config::{DetectorName, EventKind};
use crate::track::VisitId;

/// Firings remembered. At one visit every two seconds, each firing four rules, half an hour; a cooldown that must reach
/// further back belongs to a door with fewer visitors.
const FIRINGS: usize = 4096;
/// Visits remembered as recognised. A visit's second shot comes within seconds of its first.
const VISITS: usize = 1024;

/// A rule's actions are remembered in parts, so that an answer too late for the door does not use up the live one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Everything that only tells somebody.
    Tell,
    /// Actuators.
    Move,
    /// Actuators an answer came too late for.
    Withheld,
    /// What follows when somebody has left.
    Left,
}

/// What has fired, newest last.
#[derive(Default)]
pub struct Memory {
    order: VecDeque<Entry>,
    /// Fired for this visit and person.
    fired: HashSet<(Subject, VisitId)>,
    /// When, by the people it fired for.
    rests: HashMap<Subject, Vec<DateTime<Utc>>>,
    visits: VecDeque<VisitId>,
    recognised: HashSet<VisitId>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Subject {
    part: Part,
    rule: String,
    detector: DetectorName,
    /// As [`folded`]; `None` is whoever stood there during the visit.
    person: Option<String>,
}

struct Entry {
    subject: Subject,
    visit: VisitId,
    seen_at: DateTime<Utc>,
}

impl Memory {
    /// Why this must not fire now; `None` when it may.
    pub fn blocks(&self, part: Part, firing: &Firing, cooldown: TimeDelta) -> Option<Decision> {
        let subject = Subject::new(part, firing);
        let nobody = subject.person.is_none();
        if self.fired.contains(&(subject.clone(), firing.visit)) {
            return Some(Decision::Repeated);
        }
        if nobody && part != Part::Left {
            return self.recognised.contains(&firing.visit).then_some(Decision::VisitKnown);
        }
        // In both directions: answers come out of order, and a clock set back must not silence a rule for longer than
        // its cooldown.
        let near = |seen: &&DateTime<Utc>| (firing.seen_at - **seen).abs() < cooldown;
        self.rests.get(&subject)?.iter().rev().find(near).map(|since| Decision::Resting { since: *since })
    }

    /// To be called for every part that fired, and only then.
    pub fn remember(&mut self, part: Part, firing: &Firing) {
        if part == Part::Move {
            // What has been moved is not withheld from a later shot that comes too late.
            self.remember(Part::Withheld, firing);
        }
        let subject = Subject::new(part, firing);
        if subject.person.is_some() && part != Part::Left {
            self.recognised(firing.visit);
        }
        if !self.fired.insert((subject.clone(), firing.visit)) {
            return;
        }
        if subject.person.is_some() {
            self.rests.entry(subject.clone()).or_default().push(firing.seen_at);
        }
        self.order.push_back(Entry { subject, visit: firing.visit, seen_at: firing.seen_at });
        if self.order.len() > FIRINGS {
            self.forget_oldest();
        }
    }

    /// The visit's person is known: answers without a person no longer matter in it.
    pub fn recognised(&mut self, visit: VisitId) {
        if self.recognised.insert(visit) {
            self.visits.push_back(visit);
            if self.visits.len() > VISITS
                && let Some(oldest) = self.visits.pop_front()
            {
                self.recognised.remove(&oldest);
            }
        }
    }

    fn forget_oldest(&mut self) {
        let Some(Entry { subject, visit, seen_at }) = self.order.pop_front() else { return };
        if let Some(times) = self.rests.get_mut(&subject) {
            if let Some(at) = times.iter().position(|time| *time == seen_at) {
                times.remove(at);
            }
            if times.is_empty() {
                self.rests.remove(&subject);
            }
        }
        self.fired.remove(&(subject, visit));
    }
}

impl Part {
    /// The part of something that fired before a restart.
    pub fn before(event: EventKind, actuator: bool) -> Self {
        match (event, actuator) {
            (EventKind::Left, _) => Part::Left,
            (EventKind::Recognition, false) => Part::Tell,
            (EventKind::Recognition, true) => Part::Move,
        }
    }

    /// The part an action belongs to; none for an actuator when somebody has left, for whom nothing is opened.
    pub fn of(actuator: bool, occasion: &Occasion) -> Option<Self> {
        match (occasion.event, actuator, occasion.late) {
            (EventKind::Left, true, _) => None,
            (EventKind::Left, false, _) => Some(Part::Left),
            (EventKind::Recognition, false, _) => Some(Part::Tell),
            (EventKind::Recognition, true, false) => Some(Part::Move),
            (EventKind::Recognition, true, true) => Some(Part::Withheld),
        }
    }
}

impl Subject {
    fn new(part: Part, firing: &Firing) -> Self {
        Self {
            part,
            rule: firing.rule.clone(),
            detector: firing.detector.clone(),
            person: firing.person.as_deref().map(folded),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn firing(rule: &str, person: Option<&str>, visit: u128, second: i64) -> Firing {
        Firing {
            rule: rule.into(),
            event: EventKind::Recognition,
            detector: DetectorName::new("Door").unwrap(),
            person: person.map(Into::into),
            visit: VisitId(Uuid::from_u128(visit)),
            seen_at: DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap(),
        }
    }

    /// After the first firing (rule `r`, person `ann`, visit 1, second 0, cooldown 60 s), is the second one blocked?
    #[test]
    fn what_a_firing_blocks() {
        for (why, rule, person, visit, second, blocked) in [
            ("the same again", "r", Some("ann"), 1, 0, true),
            ("a later shot of the visit", "r", Some("ann"), 1, 100, true),
            ("the id in capitals", "r", Some("ANN"), 1, 5, true),
            ("another visit within the cooldown", "r", Some("ann"), 2, 59, true),
            ("another visit at its end", "r", Some("ann"), 2, 60, false),
            ("an earlier visit whose answer was delayed", "r", Some("ann"), 2, -59, true),
            ("the clock was set back an hour", "r", Some("ann"), 2, -3600, false),
            ("a second person in another visit", "r", Some("bob"), 2, 1, false),
            ("a second person in the same visit", "r", Some("bob"), 1, 1, false),
            ("another rule", "s", Some("ann"), 1, 0, false),
            ("an unknown in another visit", "r", None, 2, 1, false),
            ("an unknown in the visit of a known", "r", None, 1, 1, true),
        ] {
            let mut memory = Memory::default();
            memory.remember(Part::Tell, &firing("r", Some("ann"), 1, 0));
            let next = firing(rule, person, visit, second);
            let blocks = memory.blocks(Part::Tell, &next, TimeDelta::seconds(60));
            assert_eq!(blocks.is_some(), blocked, "{why}: {blocks:?}");
            if person.is_some() {
                assert_eq!(
                    memory.blocks(Part::Move, &next, TimeDelta::seconds(60)),
                    None,
                    "{why}: the other part is free"
                );
            }
        }
    }

    #[test]
    fn unknown_people_count_per_visit() {
        let mut memory = Memory::default();
        memory.remember(Part::Tell, &firing("r", None, 1, 0));
        let blocks = |memory: &Memory, visit| memory.blocks(Part::Tell, &firing("r", None, visit, 1), TimeDelta::MAX);
        assert_eq!(blocks(&memory, 1), Some(Decision::Repeated));
        assert_eq!(blocks(&memory, 2), None);
        memory.recognised(VisitId(Uuid::from_u128(2)));
        assert_eq!(blocks(&memory, 2), Some(Decision::VisitKnown));
    }

    #[test]
    fn an_out_of_order_firing_does_not_shorten_the_rest_of_a_newer_one() {
        let mut memory = Memory::default();
        memory.remember(Part::Tell, &firing("r", Some("ann"), 1, 1000));
        memory.remember(Part::Tell, &firing("r", Some("ann"), 2, 0));
        assert!(memory.blocks(Part::Tell, &firing("r", Some("ann"), 3, 1001), TimeDelta::seconds(60)).is_some());
    }

    #[test]
    fn memory_is_bounded_and_forgets_the_oldest() {
        let mut memory = Memory::default();
        for n in 0..(2 * FIRINGS as u128) {
            memory.remember(Part::Tell, &firing("r", Some(&format!("p{n}")), n, n as i64));
        }
        assert_eq!((memory.order.len(), memory.fired.len(), memory.rests.len()), (FIRINGS, FIRINGS, FIRINGS));
        assert_eq!((memory.visits.len(), memory.recognised.len()), (VISITS, VISITS));
        let last = 2 * FIRINGS - 1;
        let newest = firing("r", Some(&format!("p{last}")), 7, last as i64);
        assert!(memory.blocks(Part::Tell, &newest, TimeDelta::seconds(60)).is_some());
        assert!(memory.blocks(Part::Tell, &firing("r", Some("p0"), 0, 0), TimeDelta::seconds(60)).is_none());
    }
}
