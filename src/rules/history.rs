//! PersonAtDetector was seen where and when: what `first_today`, `absent_secs`, `visits` and `others` look at.
//!
//! In: every recognition, whether a rule fires or not. Out: the times of earlier visits of the same person at the same
//! detector; unknown people are taken together. Bounded: the person not seen for longest is forgotten first.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use identities::text::folded;

use crate::config::DetectorName;
use crate::recognition::{Answer, Recognition};
use crate::track::VisitId;

/// People remembered per detector; a busy office has fewer in a day.
const PEOPLE: usize = 4096;
/// Visits remembered of each; also the most that `visits` can count.
const VISITS: usize = 128;
/// People seen within this time of each other are there together: a visit sends its shots within its first seconds, so
/// two who came together are answered within them, and two who came after each other stand a while.
const TOGETHER: TimeDelta = TimeDelta::seconds(30);

/// A visit of somebody, as remembered across restarts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub detector: DetectorName,
    /// `None` for an unknown person.
    pub person: Option<String>,
    /// Which of their visits; those of one stay count as one.
    pub visit: VisitId,
    pub seen_at: DateTime<Utc>,
}

/// The visits of everybody.
#[derive(Default)]
pub struct History {
    people: HashMap<PersonAtDetector, BTreeMap<VisitId, DateTime<Utc>>>,
}

/// Somebody, as one detector knows them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PersonAtDetector {
    detector: DetectorName,
    /// The person's id, folded; `None` for all unknown people.
    person: Option<String>,
}

impl Seen {
    /// What a recognition adds to the history; nothing where there was no face, or no answer.
    pub fn of(recognition: &Recognition) -> Option<Self> {
        let person = match &recognition.answer {
            Answer::Known(known) => Some(known.person.id.clone()),
            Answer::Unknown { .. } => None,
            Answer::NoFace | Answer::Accepted | Answer::Refused { .. } => return None,
        };
        let Recognition { detector, seen_at, .. } = recognition;
        Some(Self { detector: detector.clone(), person, visit: recognition.stay(), seen_at: *seen_at })
    }

    fn who(&self) -> PersonAtDetector {
        PersonAtDetector { detector: self.detector.clone(), person: self.person.as_deref().map(folded) }
    }
}

impl History {
    /// Remembers a visit, or a later moment of it. One whose person turns out to be known was not an unknown one.
    pub fn remember(&mut self, seen: &Seen) {
        let who = seen.who();
        if who.person.is_some() {
            let unknown = PersonAtDetector { person: None, ..who.clone() };
            if let Some(visits) = self.people.get_mut(&unknown) {
                visits.remove(&seen.visit);
            }
        } else if self.people.iter().any(|(other, visits)| {
            other.detector == who.detector && other.person.is_some() && visits.contains_key(&seen.visit)
        }) {
            return;
        }
        let visits = self.people.entry(who).or_default();
        let last = visits.entry(seen.visit).or_insert(seen.seen_at);
        *last = seen.seen_at.max(*last);
        if visits.len() > VISITS {
            let oldest = visits.iter().min_by_key(|(_, at)| **at).map(|(visit, _)| *visit);
            oldest.and_then(|visit| visits.remove(&visit));
        }
        if self.people.len() > PEOPLE {
            let longest =
                self.people.iter().min_by_key(|(_, visits)| visits.values().max()).map(|(who, _)| who.clone());
            longest.and_then(|who| self.people.remove(&who));
        }
    }

    /// When the same person was last seen in each earlier visit at the same detector, in no order.
    pub fn earlier(&self, seen: &Seen) -> impl Iterator<Item = DateTime<Utc>> {
        let visits = self.people.get(&seen.who());
        let other =
            |(visit, at): (&VisitId, &DateTime<Utc>)| (*visit != seen.visit && *at <= seen.seen_at).then_some(*at);
        visits.into_iter().flatten().filter_map(other)
    }

    /// How many other visits, of other people, were at the same detector at about that time.
    pub fn others(&self, seen: &Seen) -> usize {
        let me = seen.who();
        let here = self.people.iter().filter(|(who, _)| who.detector == me.detector);
        // Two unknown people are two, a person known in two visits is one.
        let others = here.filter(|(who, _)| who.person.is_none() || **who != me);
        let near = |visits: &BTreeMap<VisitId, DateTime<Utc>>| {
            let others = visits.iter().filter(|(visit, _)| **visit != seen.visit);
            others.filter(|(_, at)| (**at - seen.seen_at).abs() <= TOGETHER).count()
        };
        others.map(|(who, visits)| if who.person.is_some() { near(visits).min(1) } else { near(visits) }).sum()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn seen(person: Option<&str>, visit: u128, second: i64) -> Seen {
        Seen {
            detector: DetectorName::new("Door").unwrap(),
            person: person.map(Into::into),
            visit: VisitId(Uuid::from_u128(visit)),
            seen_at: DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap(),
        }
    }

    fn seconds(history: &History, seen: &Seen) -> Vec<i64> {
        let mut seconds: Vec<_> = history.earlier(seen).map(|at| at.timestamp() - 1_800_000_000).collect();
        seconds.sort_unstable();
        seconds
    }

    #[test]
    fn earlier_visits_are_of_the_same_person_and_before() {
        let mut history = History::default();
        for seen in [
            seen(Some("ann"), 1, 0),
            seen(Some("ANN"), 1, 4),
            seen(Some("ann"), 2, 100),
            seen(Some("bob"), 3, 50),
            seen(Some("ann"), 4, 300),
            seen(None, 5, 60),
        ] {
            history.remember(&seen);
        }
        assert_eq!(seconds(&history, &seen(Some("ann"), 6, 200)), [4, 100]);
        assert_eq!(seconds(&history, &seen(Some("ann"), 2, 200)), [4]);
        assert_eq!(seconds(&history, &seen(Some("bob"), 6, 200)), [50]);
        assert_eq!(seconds(&history, &seen(None, 6, 200)), [60]);
        let gate = Seen { detector: DetectorName::new("Gate").unwrap(), ..seen(Some("ann"), 6, 200) };
        assert_eq!(seconds(&history, &gate), [0i64; 0]);
    }

    #[test]
    fn a_visit_is_of_its_known_person_whichever_answer_came_first() {
        for order in [[None, Some("ann")], [Some("ann"), None]] {
            let mut history = History::default();
            for person in order {
                history.remember(&seen(person, 1, 0));
            }
            assert_eq!(seconds(&history, &seen(None, 2, 10)), [0i64; 0]);
            assert_eq!(seconds(&history, &seen(Some("ann"), 2, 10)), [0]);
            assert_eq!(history.others(&seen(Some("bob"), 2, 10)), 1);
        }
    }

    #[test]
    fn others_are_other_people_at_about_the_same_time() {
        let mut history = History::default();
        for seen in [
            seen(Some("ann"), 1, 0),
            seen(Some("bob"), 2, 20),
            seen(None, 3, 25),
            seen(None, 4, 50),
            seen(Some("eve"), 5, 900),
        ] {
            history.remember(&seen);
        }
        for (who, others) in [
            (seen(Some("ann"), 1, 0), 2),
            (seen(Some("ann"), 6, 30), 3),
            (seen(None, 3, 25), 3),
            (seen(Some("eve"), 5, 900), 0),
        ] {
            assert_eq!(history.others(&who), others, "{who:?}");
        }
    }

    #[test]
    fn history_is_bounded() {
        let mut history = History::default();
        for n in 0..2 * VISITS as u128 {
            history.remember(&seen(Some("ann"), n, n as i64));
        }
        assert_eq!(seconds(&history, &seen(Some("ann"), 1 << 40, 1 << 20)), (128..256).collect::<Vec<_>>());
        for n in 0..PEOPLE as u128 {
            history.remember(&seen(Some(&format!("p{n}")), n, 1000 + n as i64));
        }
        assert_eq!(history.people.len(), PEOPLE);
        assert_eq!(seconds(&history, &seen(Some("ann"), 1 << 40, 1 << 20)), [0i64; 0]);
    }
}
