//! Who is present in front of one detector, and when somebody has left.
//!
//! In: which visits are in the newest frame, the answers, and the pipeline's clock. Out: [`Stay`]s as they begin, and
//! each once when it is over. It knows no rule and keeps no time: every call says what time it is.
//!
//! ```text
//!               a live answer for a visit that is in view               not in view for `absent`
//!  (nobody) -----------------------------------------------▶ present ---------------------------▶ left, once
//!                                                              ▲  │ in view
//!                                                              └--┘
//! ```
//!
//! A person is one guest however many visits it takes, and so is somebody unknown: the visits of one face are one stay.
//! Where no embedding tells faces apart, whose track is lost and found again within `absent` is the same stranger, as
//! long as the two were never in view at once. A stranger turns into the person when a better shot is recognised. A
//! second person has a stay of their own.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::RuleClock;
use super::stay::{Guest, Stay};
use crate::recognition::Recognition;
use crate::track::VisitId;

/// Guests at once. Beyond this, who has not been seen for longest leaves early.
const GUESTS: usize = 1024;
/// Visits remembered at once; whoever is forgotten here cannot arrive any more.
const SIGHTS: usize = 4096;

/// The presence in front of one detector. Times are on the pipeline's clock, since the source's first frame.
pub struct Presence {
    absent: Duration,
    /// When each visit was last in view.
    sights: HashMap<VisitId, InView>,
    guests: BTreeMap<Guest, PresentGuest>,
}

/// A visit whose face was in view lately.
#[derive(Clone, Copy)]
struct InView {
    /// When the visit came into view, and when it was last there.
    first: Duration,
    last: Duration,
    seen_at: DateTime<Utc>,
    /// Whoever it is has left at this time, unless seen before.
    leaves: Duration,
}

/// Somebody who is present.
struct PresentGuest {
    stay: Stay,
    /// The visit that keeps this guest here; `None` once it belongs to somebody else, and after a restart.
    visit: Option<VisitId>,
    /// The guest has left at this time, unless seen before.
    leaves: Duration,
}

impl Presence {
    /// Nobody is there. Who is not in view for `absent` has left.
    pub fn new(absent: Duration) -> Self {
        Self { absent, sights: HashMap::new(), guests: BTreeMap::new() }
    }

    /// Brings back who was there before a restart, at time zero of the new clock. They have what is left of their time
    /// to be seen again; a clock that was set back does not give them more than the whole of it.
    pub fn restore(&mut self, stays: impl IntoIterator<Item = Stay>, now: DateTime<Utc>) {
        for stay in stays {
            let Some(guest) = Guest::of(&stay.recognition) else { continue };
            let gone = (now - stay.last_seen).to_std().unwrap_or(Duration::ZERO);
            self.guests.insert(guest, PresentGuest { stay, visit: None, leaves: self.absent.saturating_sub(gone) });
        }
    }

    /// This visit's face is in the newest frame; true when it is of somebody who is present.
    pub fn in_view(&mut self, visit: VisitId, seen_at: DateTime<Utc>, now: Duration) -> bool {
        let first = self.sights.get(&visit).map_or(now, |sight| sight.first);
        let sight = InView { first, last: now, seen_at, leaves: now + self.absent };
        self.sights.insert(visit, sight);
        if self.sights.len() > SIGHTS {
            let oldest = self.sights.iter().min_by_key(|(_, sight)| sight.leaves).map(|(visit, _)| *visit);
            oldest.and_then(|visit| self.sights.remove(&visit));
        }
        let mut known = false;
        for held in self.guests.values_mut().filter(|held| held.visit == Some(visit)) {
            held.seen(sight);
            known = true;
        }
        known
    }

    /// The engine answered; gives the stay that begins with it. A late answer makes nobody present, nor does one for a
    /// visit that has not been in view for a while.
    pub fn recognised(
        &mut self,
        recognition: &Recognition,
        quality: f32,
        clock: RuleClock,
        now: Duration,
    ) -> Option<Stay> {
        let visit = recognition.visit;
        let guest = Guest::of(recognition)?;
        let sight = self.sights.get(&visit).copied().filter(|sight| sight.leaves > now)?;
        if clock.is_late_for(recognition) {
            return None;
        }
        let mut since = recognition.seen_at;
        match &guest {
            Guest::Unknown(stay) => {
                if let Some(held) = self.known_in(visit, *stay) {
                    // Not recognised this time, and there all the same.
                    held.seen(sight);
                    held.visit = Some(visit);
                    return None;
                }
                if recognition.stay.is_none() {
                    self.found_again(&guest, sight);
                }
            }
            Guest::Known(_) => {
                // The unknown visitor was this person all along, and has not left.
                if let Some(unknown) = self.guests.remove(&Guest::Unknown(recognition.stay())) {
                    since = since.min(unknown.stay.since);
                }
                for (other, held) in &mut self.guests {
                    if *other != guest && held.visit == Some(visit) {
                        held.visit = None;
                    }
                }
            }
        }
        if let Some(held) = self.guests.get_mut(&guest) {
            held.seen(sight);
            if recognition.seen_at >= held.stay.recognition.seen_at {
                held.visit = Some(visit);
                held.stay.recognition = recognition.clone();
                held.stay.quality = quality;
            }
            return None;
        }
        let stay = Stay { recognition: recognition.clone(), quality, since, last_seen: sight.seen_at };
        let held = PresentGuest { stay: stay.clone(), visit: Some(visit), leaves: sight.leaves };
        self.guests.insert(guest, held);
        Some(stay)
    }

    /// The person that a visit is of, or one before it in the same stay.
    fn known_in(&mut self, visit: VisitId, stay: VisitId) -> Option<&mut PresentGuest> {
        let of_visit = |held: &PresentGuest| held.visit == Some(visit);
        let of_stay = |held: &PresentGuest| held.visit.is_some() && held.stay.recognition.stay() == stay;
        let mut known = self.guests.iter_mut().filter(|(guest, _)| matches!(guest, Guest::Known(_)));
        known.find(|(_, held)| of_visit(held) || of_stay(held)).map(|(_, held)| held)
    }

    /// Lets a stranger whose earlier visit was out of view before this one began, or whose later one began after it
    /// ended, be the guest of this visit. Of several the one seen last; nobody can tell strangers apart by more than
    /// that.
    fn found_again(&mut self, guest: &Guest, sight: InView) {
        if self.guests.contains_key(guest) {
            return;
        }
        let apart = |held: &PresentGuest| {
            let other = held.visit.and_then(|visit| self.sights.get(&visit));
            other.is_none_or(|other| other.last < sight.first || sight.last < other.first)
        };
        let strangers = self.guests.iter().filter(|(other, _)| matches!(other, Guest::Unknown(_)));
        let lost = strangers.filter(|(_, held)| held.leaves > sight.first && apart(held));
        let same = lost.max_by_key(|(_, held)| held.leaves).map(|(other, _)| other.clone());
        if let Some(held) = same.and_then(|same| self.guests.remove(&same)) {
            self.guests.insert(guest.clone(), held);
        }
    }

    /// Who has left by now, each told once; in the order they left.
    pub fn left(&mut self, now: Duration) -> Vec<Stay> {
        self.sights.retain(|_, sight| sight.leaves > now);
        let mut gone: Vec<_> = self.guests.extract_if(.., |_, held| held.leaves <= now).map(|(_, held)| held).collect();
        while self.guests.len() > GUESTS {
            let first = self.guests.iter().min_by_key(|(_, held)| held.leaves).map(|(guest, _)| guest.clone());
            gone.extend(first.and_then(|guest| self.guests.remove(&guest)));
        }
        gone.sort_by_key(|held| held.leaves);
        gone.into_iter().map(|held| held.stay).collect()
    }

    /// Who is there, the one who came first at the front.
    pub fn present(&self) -> Vec<Stay> {
        let mut stays: Vec<_> = self.guests.values().map(|held| held.stay.clone()).collect();
        stays.sort_by_key(|stay| stay.since);
        stays
    }
}

impl PresentGuest {
    fn seen(&mut self, sight: InView) {
        self.leaves = self.leaves.max(sight.leaves);
        self.stay.last_seen = self.stay.last_seen.max(sight.seen_at);
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use uuid::Uuid;

    use super::super::cases::Case;
    use super::*;

    /// What a story is made of, each at a second.
    enum Step {
        /// These visits are in view.
        View(&'static [u128]),
        /// An answer, as in `cases.txt`, seen now.
        Answer(&'static str),
        /// The same, seen so many seconds ago.
        Delayed(&'static str, i64),
        Restart,
    }
    use Step::{Answer, Delayed, Restart, View};

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn name(stay: &Stay) -> String {
        stay.person().map_or_else(|| format!("visit{}", stay.recognition.visit.0.as_u128()), str::to_owned)
    }

    /// Plays a story with `absent` = 60 s: `+who` for every arrival and `-who` for everybody who left, with the second.
    fn told(steps: &[(i64, Step)]) -> Vec<String> {
        let mut presence = Presence::new(Duration::from_secs(60));
        let (mut told, mut begun) = (Vec::new(), 0);
        let last = steps.last().map_or(0, |(second, _)| *second);
        for second in 0..=last {
            let utc = start() + TimeDelta::seconds(second);
            let now = |begun: i64| Duration::from_secs((second - begun) as u64);
            for (_, step) in steps.iter().filter(|(at, _)| *at == second) {
                match step {
                    View(visits) => {
                        for visit in *visits {
                            presence.in_view(VisitId(Uuid::from_u128(*visit)), utc, now(begun));
                        }
                    }
                    Answer(case) | Delayed(case, _) => {
                        let delay = if let Delayed(_, delay) = step { *delay } else { 0 };
                        let mut case = Case::parse(case);
                        case.recognition.seen_at = utc - TimeDelta::seconds(delay);
                        let clock = RuleClock { utc, late: false };
                        let arrived = presence.recognised(&case.recognition, 0.8, clock, now(begun));
                        told.extend(arrived.iter().map(|stay| format!("+{} {second}", name(stay))));
                    }
                    Restart => {
                        let stored: Vec<_> = presence.present().iter().map(Stay::to_record).collect();
                        presence = Presence::new(Duration::from_secs(60));
                        presence.restore(stored.iter().map(|stay| Stay::from_record(stay).unwrap()), utc);
                        begun = second;
                    }
                }
            }
            told.extend(presence.left(now(begun)).iter().map(|stay| format!("-{} {second}", name(stay))));
        }
        told
    }

    #[test]
    fn stories_of_coming_and_going() {
        let end = |second| (second, View(&[]));
        for (why, steps, wanted) in [
            ("one comes and goes", vec![(0, View(&[2])), (1, Answer("known")), end(100)], &["+ann 1", "-ann 60"][..]),
            (
                "stands there for long without another answer",
                vec![(0, View(&[2])), (1, Answer("known")), (50, View(&[2])), (100, View(&[2])), end(200)],
                &["+ann 1", "-ann 160"],
            ),
            (
                "comes back in time, in another visit",
                vec![(0, View(&[2])), (1, Answer("known")), (50, View(&[3])), (51, Answer("known visit=3")), end(200)],
                &["+ann 1", "-ann 110"],
            ),
            (
                "comes back too late",
                vec![(0, View(&[2])), (1, Answer("known")), (70, View(&[3])), (71, Answer("known visit=3")), end(200)],
                &["+ann 1", "-ann 60", "+ann 71", "-ann 130"],
            ),
            (
                "a second person is on their own",
                vec![
                    (0, View(&[2, 3])),
                    (1, Answer("known")),
                    (2, Answer("known visit=3 id=bob")),
                    (30, View(&[3])),
                    end(100),
                ],
                &["+ann 1", "+bob 2", "-ann 60", "-bob 90"],
            ),
            (
                "two unknown people are two",
                vec![(0, View(&[2, 3])), (1, Answer("unknown")), (2, Answer("unknown visit=3")), end(100)],
                &["+visit2 1", "+visit3 2", "-visit2 60", "-visit3 60"],
            ),
            (
                "a stranger who is lost and found again is one",
                vec![
                    (0, View(&[2])),
                    (1, Answer("unknown")),
                    (20, View(&[3])),
                    (21, Answer("unknown visit=3")),
                    (40, View(&[4])),
                    (41, Answer("unknown visit=4")),
                    // An answer for the second visit that took its time.
                    (42, Delayed("unknown visit=3 shot=2", 20)),
                    end(140),
                ],
                &["+visit2 1", "-visit4 100"],
            ),
            (
                "a stranger found again beside another one is one of two",
                vec![
                    (0, View(&[2, 3])),
                    (1, Answer("unknown")),
                    (2, Answer("unknown visit=3")),
                    (20, View(&[3, 4])),
                    (21, Answer("unknown visit=4")),
                    end(100),
                ],
                &["+visit2 1", "+visit3 2", "-visit3 80", "-visit4 80"],
            ),
            (
                "strangers told apart by their faces are two, and each found again by it",
                vec![
                    (0, View(&[2])),
                    (1, Answer("unknown stay=2")),
                    (20, View(&[3])),
                    (21, Answer("unknown visit=3 stay=3")),
                    (30, View(&[4])),
                    (31, Answer("unknown visit=4 stay=2")),
                    (40, View(&[5])),
                    (41, Answer("unknown visit=5 stay=3")),
                    end(140),
                ],
                &["+visit2 1", "+visit3 21", "-visit4 90", "-visit5 100"],
            ),
            (
                "a person whose face is found again, and not recognised then, has not left",
                vec![
                    (0, View(&[2])),
                    (1, Answer("known stay=2")),
                    (30, View(&[3])),
                    (31, Answer("unknown visit=3 stay=2")),
                    (40, View(&[3])),
                    end(140),
                ],
                &["+ann 1", "-ann 100"],
            ),
            (
                "a stranger whose face is recognised in a later visit has not left",
                vec![
                    (0, View(&[2])),
                    (1, Answer("unknown stay=2")),
                    (30, View(&[3])),
                    (31, Answer("known visit=3 stay=2")),
                    end(140),
                ],
                &["+visit2 1", "+ann 31", "-ann 90"],
            ),
            (
                "a stranger who comes after the other has left is another",
                vec![
                    (0, View(&[2])),
                    (1, Answer("unknown")),
                    (70, View(&[3])),
                    (71, Answer("unknown visit=3")),
                    end(140),
                ],
                &["+visit2 1", "-visit2 60", "+visit3 71", "-visit3 130"],
            ),
            (
                "a stranger found again after a restart is one",
                vec![
                    (0, View(&[2])),
                    (1, Answer("unknown")),
                    (30, Restart),
                    (40, View(&[3])),
                    (41, Answer("unknown visit=3")),
                    end(120),
                ],
                &["+visit2 1", "-visit3 100"],
            ),
            (
                "a stranger found again who is recognised then has not left",
                vec![
                    (0, View(&[2])),
                    (1, Answer("unknown")),
                    (20, View(&[3])),
                    (21, Answer("unknown visit=3")),
                    (22, Answer("known visit=3 shot=2")),
                    end(100),
                ],
                &["+visit2 1", "+ann 22", "-ann 80"],
            ),
            (
                "an unknown one who is recognised has not left",
                vec![(0, View(&[2])), (1, Answer("unknown")), (3, Answer("known shot=2")), end(100)],
                &["+visit2 1", "+ann 3", "-ann 60"],
            ),
            (
                "a known one whose next shot is not recognised is still there",
                vec![(0, View(&[2])), (1, Answer("known")), (3, Answer("unknown shot=2")), end(100)],
                &["+ann 1", "-ann 60"],
            ),
            (
                "the visit turns out to be somebody else's",
                vec![(0, View(&[2])), (1, Answer("known")), (2, Answer("known id=bob")), (40, View(&[2])), end(120)],
                &["+ann 1", "+bob 2", "-ann 60", "-bob 100"],
            ),
            ("a late answer", vec![(0, View(&[2])), (1, Answer("known late")), end(100)], &[]),
            ("an answer for a visit nobody saw", vec![(1, Answer("known")), end(100)], &[]),
            ("an answer when they have long gone", vec![(0, View(&[2])), (60, Delayed("known", 60)), end(100)], &[]),
            ("no face is nobody", vec![(0, View(&[2])), (1, Answer("no_face")), (2, Answer("refused")), end(100)], &[]),
            (
                "an older answer does not take the guest back to an older visit",
                vec![
                    (0, View(&[2])),
                    (2, View(&[3])),
                    (3, Answer("known visit=3")),
                    (4, Delayed("known", 4)),
                    (40, View(&[3])),
                    (50, View(&[2])),
                    end(120),
                ],
                &["+ann 3", "-ann 100"],
            ),
            (
                "a restart neither repeats an arrival nor loses a leaving",
                vec![(0, View(&[2])), (1, Answer("known")), (30, Restart), end(100)],
                &["+ann 1", "-ann 60"],
            ),
            (
                "seen again after a restart",
                vec![
                    (0, View(&[2])),
                    (1, Answer("known")),
                    (30, Restart),
                    (40, View(&[3])),
                    (41, Answer("known visit=3")),
                    end(120),
                ],
                &["+ann 1", "-ann 100"],
            ),
            (
                "left before the restart, and not again after it",
                vec![(0, View(&[2])), (1, Answer("known")), (70, Restart), end(200)],
                &["+ann 1", "-ann 60"],
            ),
        ] {
            assert_eq!(told(&steps), wanted, "{why}");
        }
    }

    #[test]
    fn who_left_while_the_process_was_away_leaves_at_once_and_a_clock_set_back_holds_nobody() {
        for (away, leaves) in [(10, 50), (3600, 0), (-3600, 60)] {
            let recognition = Case::parse("known").recognition;
            let stay = Stay { quality: 0.5, since: start(), last_seen: start(), recognition };
            let mut presence = Presence::new(Duration::from_secs(60));
            presence.restore([stay], start() + TimeDelta::seconds(away));
            let first = (0..).find(|second| !presence.left(Duration::from_secs(*second)).is_empty());
            assert_eq!(first, Some(leaves), "{away} s away");
        }
    }

    #[test]
    fn a_stay_knows_from_when_to_when() {
        let mut presence = Presence::new(Duration::from_secs(60));
        let visit = VisitId(Uuid::from_u128(2));
        for second in 0..=9 {
            presence.in_view(visit, start() + TimeDelta::seconds(second), Duration::from_secs(second as u64));
            let case = if second == 2 { "unknown" } else { "known" };
            let mut case = Case::parse(case);
            case.recognition.seen_at = start() + TimeDelta::seconds(second);
            if second == 2 || second == 5 {
                let clock = RuleClock { utc: start(), late: false };
                presence.recognised(&case.recognition, 0.8, clock, Duration::from_secs(second as u64));
            }
        }
        assert_eq!(presence.present().len(), 1);
        let left = presence.left(Duration::from_secs(69)).remove(0);
        let seconds = |at: DateTime<Utc>| (at - start()).num_seconds();
        assert_eq!((left.person(), seconds(left.since), seconds(left.last_seen)), (Some("ann"), 2, 9));
    }

    #[test]
    fn presence_is_bounded() {
        let mut presence = Presence::new(Duration::from_secs(3600));
        for n in 0..SIGHTS + 10 {
            let visit = VisitId(Uuid::from_u128(n as u128));
            presence.in_view(visit, start(), Duration::from_millis(n as u64));
            let mut case = Case::parse(&format!("known id=person{n}"));
            case.recognition.visit = visit;
            presence.recognised(&case.recognition, 0.5, RuleClock { utc: start(), late: false }, Duration::ZERO);
        }
        let left = presence.left(Duration::ZERO);
        assert_eq!((left.len(), presence.guests.len(), presence.sights.len()), (SIGHTS + 10 - GUESTS, GUESTS, SIGHTS));
        assert_eq!(left[0].recognition.visit, VisitId(Uuid::from_u128(0)), "who has been away longest goes first");
    }
}
