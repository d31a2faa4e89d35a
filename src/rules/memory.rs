//! What has fired: once per stay and person (actuators: per visit), and not again for a person within a rule's
//! cooldown.
//!
//! In: [`Firing`]s. Out: whether one more would be too much. Bounded: the oldest firings are forgotten first; the
//! outbox, which claims every key once, is the second lock behind this one.

use chrono::{DateTime, TimeDelta, Utc};
use identities::text::folded;

use super::Firing;
use super::groups::ActionGroup;
use super::newest::Newest;
use super::verdict::Decision;
use crate::config::DetectorName;
use crate::track::VisitId;

/// Firings remembered. At one visit every two seconds, each firing four rules, half an hour; a cooldown that must reach
/// further back belongs to a door with fewer visitors.
const FIRINGS: usize = 4096;
/// Visits and stays remembered as recognised. A visit's second shot comes within seconds of its first.
const VISITS: usize = 1024;

/// What has fired.
#[derive(Default)]
pub struct Memory {
    /// When which groups of which rules have fired for whom, in which stay or visit.
    fired: Newest<(FiredFor, VisitId), DateTime<Utc>, FIRINGS>,
    /// The visits and stays whose person is known.
    recognised: Newest<VisitId, (), VISITS>,
}

/// A group of a rule's actions, and whom it fired for.
#[derive(Clone, PartialEq, Eq, Hash)]
struct FiredFor {
    group: ActionGroup,
    rule: String,
    detector: DetectorName,
    /// As [`folded`]; `None` is whoever stood there during the visit.
    person: Option<String>,
}

impl Memory {
    /// Why this must not fire now; `None` when it may.
    pub fn blocks(&self, group: ActionGroup, firing: &Firing, cooldown: TimeDelta) -> Option<Decision> {
        let scope = group.scope(firing);
        let key = (FiredFor::new(group, firing), scope);
        if self.fired.get(&key).is_some() {
            return Some(Decision::Repeated);
        }
        if firing.person.is_none() {
            let known = group != ActionGroup::Left && self.recognised.get(&scope).is_some();
            return known.then_some(Decision::VisitKnown);
        }
        // In both directions: answers come out of order, and a clock set back must not silence a rule for longer than
        // its cooldown.
        let near = |seen: &&DateTime<Utc>| (firing.seen_at - **seen).abs() < cooldown;
        let times = self.fired.newest_first().filter(|((fired_for, _), _)| *fired_for == key.0).map(|(_, seen)| seen);
        times.into_iter().find(near).map(|since| Decision::Resting { since: *since })
    }

    /// To be called for every group that fired, and only then.
    pub fn remember(&mut self, group: ActionGroup, firing: &Firing) {
        if group == ActionGroup::Move {
            // What has been moved is not withheld from a later shot that comes too late.
            self.remember(ActionGroup::Withheld, firing);
        }
        if firing.person.is_some() && group != ActionGroup::Left {
            self.recognised(firing.visit, firing.stay);
        }
        let key = (FiredFor::new(group, firing), group.scope(firing));
        if self.fired.get(&key).is_none() {
            *self.fired.get_or_add(key) = firing.seen_at;
        }
    }

    /// The person of a visit is known: answers without a person no longer matter in it, nor in its stay.
    pub fn recognised(&mut self, visit: VisitId, stay: VisitId) {
        self.recognised.get_or_add(visit);
        self.recognised.get_or_add(stay);
    }
}

impl FiredFor {
    fn new(group: ActionGroup, firing: &Firing) -> Self {
        Self {
            group,
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
    use crate::config::EventKind;

    fn firing(rule: &str, person: Option<&str>, visit: u128, second: i64) -> Firing {
        Firing {
            rule: rule.into(),
            event: EventKind::Recognition,
            detector: DetectorName::new("Door").unwrap(),
            person: person.map(Into::into),
            visit: VisitId(Uuid::from_u128(visit)),
            stay: VisitId(Uuid::from_u128(visit)),
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
            memory.remember(ActionGroup::Tell, &firing("r", Some("ann"), 1, 0));
            let next = firing(rule, person, visit, second);
            let blocks = memory.blocks(ActionGroup::Tell, &next, TimeDelta::seconds(60));
            assert_eq!(blocks.is_some(), blocked, "{why}: {blocks:?}");
            if person.is_some() {
                assert_eq!(
                    memory.blocks(ActionGroup::Move, &next, TimeDelta::seconds(60)),
                    None,
                    "{why}: the other group is free"
                );
            }
        }
    }

    #[test]
    fn unknown_people_count_per_visit() {
        let mut memory = Memory::default();
        memory.remember(ActionGroup::Tell, &firing("r", None, 1, 0));
        let blocks =
            |memory: &Memory, visit| memory.blocks(ActionGroup::Tell, &firing("r", None, visit, 1), TimeDelta::MAX);
        assert_eq!(blocks(&memory, 1), Some(Decision::Repeated));
        assert_eq!(blocks(&memory, 2), None);
        memory.recognised(VisitId(Uuid::from_u128(2)), VisitId(Uuid::from_u128(2)));
        assert_eq!(blocks(&memory, 2), Some(Decision::VisitKnown));
    }

    #[test]
    fn who_is_found_again_is_told_of_once_and_let_in_again() {
        let in_stay = |visit, person| Firing { stay: VisitId(Uuid::from_u128(1)), ..firing("r", person, visit, 1) };
        for (person, other) in [(None, None), (Some("ann"), Some("bob"))] {
            let mut memory = Memory::default();
            memory.remember(ActionGroup::Tell, &in_stay(1, person));
            memory.remember(ActionGroup::Move, &in_stay(1, person));
            let blocks = |group, firing: &Firing| memory.blocks(group, firing, TimeDelta::zero());
            assert_eq!(blocks(ActionGroup::Tell, &in_stay(2, person)), Some(Decision::Repeated));
            assert_eq!(blocks(ActionGroup::Move, &in_stay(2, person)), None);
            assert_eq!(blocks(ActionGroup::Move, &in_stay(1, person)), Some(Decision::Repeated));
            assert_eq!(blocks(ActionGroup::Tell, &firing("r", other, 2, 1)), None, "another stay");
        }
        let mut memory = Memory::default();
        memory.remember(ActionGroup::Tell, &in_stay(1, Some("ann")));
        let unknown = memory.blocks(ActionGroup::Tell, &in_stay(2, None), TimeDelta::zero());
        assert_eq!(unknown, Some(Decision::VisitKnown), "not recognised this time");
        assert_eq!(memory.blocks(ActionGroup::Tell, &in_stay(2, Some("bob")), TimeDelta::zero()), None);
    }

    #[test]
    fn an_out_of_order_firing_does_not_shorten_the_rest_of_a_newer_one() {
        let mut memory = Memory::default();
        memory.remember(ActionGroup::Tell, &firing("r", Some("ann"), 1, 1000));
        memory.remember(ActionGroup::Tell, &firing("r", Some("ann"), 2, 0));
        assert!(memory.blocks(ActionGroup::Tell, &firing("r", Some("ann"), 3, 1001), TimeDelta::seconds(60)).is_some());
    }

    #[test]
    fn memory_is_bounded_and_forgets_the_oldest() {
        let mut memory = Memory::default();
        for n in 0..(2 * FIRINGS as u128) {
            memory.remember(ActionGroup::Tell, &firing("r", Some(&format!("p{n}")), n, n as i64));
        }
        assert_eq!(memory.fired.newest_first().count(), FIRINGS);
        let known = |n: &u128| memory.recognised.get(&VisitId(Uuid::from_u128(*n))).is_some();
        let newest = 2 * FIRINGS as u128 - VISITS as u128;
        assert!((0..2 * FIRINGS as u128).filter(known).eq(newest..2 * FIRINGS as u128));
        let last = 2 * FIRINGS - 1;
        let newest = firing("r", Some(&format!("p{last}")), 7, last as i64);
        assert!(memory.blocks(ActionGroup::Tell, &newest, TimeDelta::seconds(60)).is_some());
        assert!(memory.blocks(ActionGroup::Tell, &firing("r", Some("p0"), 0, 0), TimeDelta::seconds(60)).is_none());
    }
}
