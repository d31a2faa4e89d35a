//! The book of open visits: what was sent, what the engine said, what was done, until a visit can be closed.
//!
//! In: the decisions of the rooms, as they happen. Out: a [`Visit`] for every visit, once, when the visitor has left,
//! every sighting is settled and every action has ended. It holds no picture and does no I/O.
//!
//! ```text
//! sent --▶ awaiting answer --▶ answered --▶ actions under way -┐
//!   └---------------- left ------------------------------------┴-▶ closed: one outcome, counted
//! ```

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{ActionResult, Sent, Visit, VisitAction, VisitOutcome};
use crate::capture::CaptureTime;
use crate::config::DetectorName;
use crate::recognition::{Nearest, Recognition};
use crate::rules::{ActionRequest, RefusedAction};
use crate::track::{VisitEnd, VisitId};

/// Open visits kept at most. During a long outage of the engine a visit stays open until its sighting is settled; past
/// this many the oldest are let go as [`VisitOutcome::Pending`], on record, and opened again by their answer. Each
/// takes up to two kilobytes.
const MAX_OPEN: usize = 1_000;

/// The open visits.
#[derive(Debug, Default)]
pub struct VisitBook {
    open: HashMap<VisitId, OpenVisit>,
}

#[derive(Debug)]
struct OpenVisit {
    visit: Visit,
    /// Sightings sent or stored whose answer is not in.
    unanswered: Vec<Uuid>,
    /// Actions asked for that have not ended.
    acting: usize,
    left: bool,
    /// The ids of those its answers named, in order.
    named: Vec<String>,
}

impl VisitBook {
    /// A shot became a sighting.
    pub fn sent(&mut self, sent: &Sent) {
        let open = self.open.entry(sent.visit).or_insert_with(|| {
            OpenVisit::new(sent.visit, sent.detector.clone(), moment(sent.first_seen), moment(sent.last_seen))
        });
        open.seen_until(sent.last_seen);
        open.visit.stay = sent.stay;
        open.visit.shots.push(sent.shot.clone());
        if sent.delivered {
            open.unanswered.push(sent.shot.sighting);
        } else {
            open.visit.outcome = VisitOutcome::DryRun;
        }
    }

    /// The engine answered, these actions were asked for, and those held back by their guards. A visit of an earlier
    /// life of the process, of which only the stored sighting is left, is opened for this.
    pub fn answered(
        &mut self,
        recognition: &Recognition,
        requests: &[ActionRequest],
        refused: &[RefusedAction],
    ) -> Option<Visit> {
        let visit = self.open.entry(recognition.visit).or_insert_with(|| OpenVisit {
            left: true,
            ..OpenVisit::new(
                recognition.visit,
                recognition.detector.clone(),
                (recognition.seen_at, 0),
                (recognition.seen_at, 0),
            )
        });
        visit.unanswered.retain(|sighting| *sighting != recognition.sighting);
        let outcome = VisitOutcome::from(&recognition.answer);
        let known = recognition.answer.known();
        visit.named.extend(known.map(|known| known.person.id.clone()));
        // Of two people a visit's shots were taken for, it was the one they are more like.
        let surer = known.zip(visit.visit.known.as_ref()).is_some_and(|(it, before)| it.surer_than(before));
        if surer || outcome.says_more_than(&visit.visit.outcome) {
            visit.visit.outcome = outcome;
            visit.visit.known = known.cloned();
        }
        visit.note_nearest(recognition.answer.nearest());
        visit.acting += requests.len();
        // What was held back and is asked for now, or held back for another reason, has not been refused (so).
        let again = |line: &VisitAction| {
            matches!(line.result, Some(ActionResult::Refused { .. }))
                && (requests.iter().any(|request| request.key == line.key)
                    || refused.iter().any(|refused| refused.request.key == line.key))
        };
        visit.visit.actions.retain(|line| !again(line));
        visit.visit.actions.extend(refused.iter().map(VisitAction::refused));
        visit.visit.actions.extend(requests.iter().map(VisitAction::asked));
        self.close_if_done(recognition.visit)
    }

    /// A sighting ended without an answer.
    pub fn dropped(&mut self, visit: VisitId, sighting: Uuid, reason: &str) -> Option<Visit> {
        let open = self.open.get_mut(&visit)?;
        open.unanswered.retain(|waiting| *waiting != sighting);
        let outcome = VisitOutcome::Dropped(reason.into());
        if outcome.says_more_than(&open.visit.outcome) {
            open.visit.outcome = outcome;
        }
        self.close_if_done(visit)
    }

    /// An action ended.
    pub fn acted(&mut self, visit: VisitId, key: &str, result: &ActionResult) -> Option<Visit> {
        let open = self.open.get_mut(&visit)?;
        let action = open.visit.actions.iter_mut().find(|action| action.key == key && action.result.is_none())?;
        action.result = Some(result.clone());
        open.acting -= 1;
        self.close_if_done(visit)
    }

    /// Sightings of a visit whose answers are not in.
    pub fn unanswered(&self, visit: VisitId) -> usize {
        self.open.get(&visit).map_or(0, |visit| visit.unanswered.len())
    }

    /// How many answers of a visit that is not closed named this person.
    pub fn named(&self, visit: VisitId, person: &str) -> usize {
        let named = self.open.get(&visit).map(|visit| visit.named.iter());
        named.map_or(0, |named| named.filter(|id| *id == person).count())
    }

    /// The visitor left.
    pub fn left(&mut self, end: &VisitEnd) -> Option<Visit> {
        let visit = self.open.entry(end.visit).or_insert_with(|| {
            OpenVisit::new(end.visit, end.detector.clone(), moment(end.first_seen), moment(end.last_seen))
        });
        visit.left = true;
        visit.seen_until(end.last_seen);
        visit.visit.best = end.best.clone();
        visit.visit.largest_px = end.largest_px;
        if let (VisitOutcome::Pending, Some(unsent)) = (&visit.visit.outcome, end.unsent) {
            visit.visit.outcome = VisitOutcome::Unsent(unsent);
        }
        self.close_if_done(end.visit)
    }

    /// Closes the oldest visits beyond the bound, as they stand.
    pub fn overflow(&mut self) -> Vec<Visit> {
        let mut closed = Vec::new();
        while self.open.len() > MAX_OPEN {
            // A visit id starts with its time (UUID v7), so that the smallest is the oldest.
            let Some(oldest) = self.open.keys().min().copied() else { break };
            closed.extend(self.open.remove(&oldest).map(|open| open.visit));
        }
        closed
    }

    /// Closes whatever is still open, as it stands: the end of the process.
    pub fn close_all(&mut self) -> Vec<Visit> {
        let mut rest: Vec<_> = self.open.drain().map(|(_, open)| open.visit).collect();
        rest.sort_by_key(|visit| visit.id);
        rest
    }

    /// A visit that is not closed, as it stands.
    pub fn open(&self, visit: VisitId) -> Option<&Visit> {
        self.open.get(&visit).map(|open| &open.visit)
    }

    fn close_if_done(&mut self, visit: VisitId) -> Option<Visit> {
        let open = self.open.get(&visit)?;
        if open.left && open.unanswered.is_empty() && open.acting == 0 {
            self.open.remove(&visit).map(|open| open.visit)
        } else {
            None
        }
    }
}

/// A moment on the pipeline's clock: its date, and milliseconds since the source's first frame.
type Moment = (DateTime<Utc>, u64);

fn moment(time: CaptureTime) -> Moment {
    (time.utc, time.offset.as_millis() as u64)
}

impl OpenVisit {
    fn new(id: VisitId, detector: DetectorName, first: Moment, last: Moment) -> Self {
        let visit = Visit {
            id,
            stay: None,
            detector,
            first_seen: first.0,
            last_seen: last.0,
            first_seen_ms: first.1,
            last_seen_ms: last.1,
            shots: Vec::new(),
            outcome: VisitOutcome::Pending,
            known: None,
            nearest: None,
            actions: Vec::new(),
            best: None,
            largest_px: 0.0,
        };
        Self { visit, unanswered: Vec::new(), acting: 0, left: false, named: Vec::new() }
    }

    /// Of several pictures of somebody unknown, the one that came nearest to anybody says most.
    fn note_nearest(&mut self, nearest: Option<&Nearest>) {
        let visit = &mut self.visit;
        let before = visit.nearest.take().filter(|_| visit.outcome == VisitOutcome::Unknown);
        let nearest = nearest.filter(|_| visit.outcome == VisitOutcome::Unknown).cloned();
        visit.nearest = [before, nearest].into_iter().flatten().min_by(|a, b| a.missed_by().total_cmp(&b.missed_by()));
    }

    fn seen_until(&mut self, time: CaptureTime) {
        (self.visit.last_seen, self.visit.last_seen_ms) = moment(time);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use faces::detect::Rect;
    use faces::quality::{Part, Quality};

    use super::*;
    use crate::recognition::{Answer, Known, Person};
    use crate::track::Unsent;
    use crate::visits::SentShot;

    fn visit(n: u128) -> VisitId {
        VisitId(Uuid::from_u128(n))
    }

    fn name() -> DetectorName {
        DetectorName::new("door").unwrap()
    }

    fn time(ms: u64) -> CaptureTime {
        CaptureTime { utc: DateTime::UNIX_EPOCH, offset: Duration::from_millis(ms), arrived: Instant::now() }
    }

    fn sent(n: u128, at: u64, sighting: u128, delivered: bool) -> Sent {
        let bbox = Rect { x: 1.0, y: 2.0, width: 50.0, height: 60.0 };
        let part = Part { score: 0.5, value: 1.0 };
        let quality = Quality { total: 0.5, ..Quality::of([part; 6]) };
        let shot =
            SentShot { sighting: Uuid::from_u128(sighting), at_ms: at, frame: at / 100, bbox, quality, liveness: None };
        let (first_seen, last_seen) = (time(0), time(at));
        Sent { visit: visit(n), stay: None, detector: name(), number: 1, first_seen, last_seen, shot, delivered }
    }

    fn left(n: u128, unsent: Option<Unsent>) -> VisitEnd {
        VisitEnd {
            visit: visit(n),
            detector: name(),
            first_seen: time(0),
            last_seen: time(3000),
            frames: 20,
            largest_px: 60.0,
            shots: u8::from(unsent.is_none()),
            best: None,
            unsent,
        }
    }

    fn answer(n: u128, sighting: u128, answer: Answer) -> Recognition {
        Recognition {
            sighting: Uuid::from_u128(sighting),
            visit: visit(n),
            stay: None,
            detector: name(),
            seen_at: DateTime::UNIX_EPOCH,
            arrived: None,
            shot: 1,
            live: None,
            answer,
        }
    }

    fn known() -> Answer {
        let person = Person { id: "p".into(), name: None };
        let (tags, fields) = (Vec::new(), Vec::new());
        Answer::Known(Known {
            person,
            tags,
            fields,
            confidence: None,
            match_confidence: None,
            face_id: None,
            detect_id: None,
            left_out: None,
        })
    }

    fn request(n: u128, key: &str) -> ActionRequest {
        ActionRequest {
            action: "journal".into(),
            event: crate::config::EventKind::Recognition,
            rule: "everybody".into(),
            detector: name(),
            visit: visit(n),
            sighting: Uuid::nil(),
            key: key.into(),
            inputs: serde_json::Value::Null,
            person: None,
            seen_at: DateTime::UNIX_EPOCH,
            picture: None,
            late: false,
            expires_at: None,
        }
    }

    #[test]
    fn a_visit_closes_once_when_all_is_in_whatever_comes_last() {
        // Each order of the last three things that happen to a visit.
        for last in ["left", "answered", "acted"] {
            let mut book = VisitBook::default();
            book.sent(&sent(1, 400, 7, true));
            let mut closed = Vec::new();
            let request = [request(1, "k")];
            match last {
                "left" => {
                    closed.extend(book.answered(&answer(1, 7, known()), &request, &[]));
                    closed.extend(book.acted(visit(1), "k", &ActionResult::Done));
                    assert!(closed.is_empty());
                    closed.extend(book.left(&left(1, None)));
                }
                "answered" => {
                    closed.extend(book.left(&left(1, None)));
                    assert!(closed.is_empty());
                    closed.extend(book.answered(&answer(1, 7, known()), &[], &[]));
                }
                _ => {
                    closed.extend(book.left(&left(1, None)));
                    closed.extend(book.answered(&answer(1, 7, known()), &request, &[]));
                    assert!(closed.is_empty());
                    closed.extend(book.acted(visit(1), "k", &ActionResult::Done));
                }
            }
            assert_eq!(closed.len(), 1, "{last} last");
            assert_eq!(closed[0].outcome, VisitOutcome::Known);
            assert_eq!(closed[0].last_seen_ms, 3000);
            assert!(book.open.is_empty());
            assert!(book.acted(visit(1), "k", &ActionResult::Done).is_none(), "a second end is ignored");
        }
    }

    #[test]
    fn the_best_answer_of_two_shots_counts() {
        for (first, second) in
            [(Answer::NoFace, known()), (known(), Answer::Unknown { confidence: None, nearest: None })]
        {
            let mut book = VisitBook::default();
            book.sent(&sent(1, 400, 7, true));
            book.sent(&sent(1, 900, 8, true));
            book.left(&left(1, None));
            assert!(book.answered(&answer(1, 8, first), &[], &[]).is_none());
            let closed = book.answered(&answer(1, 7, second), &[], &[]).unwrap();
            assert_eq!(closed.outcome, VisitOutcome::Known);
            assert!(closed.known.is_some());
            assert_eq!(closed.shots.len(), 2);
        }
    }

    #[test]
    fn of_two_people_it_was_the_one_the_engine_is_surer_of() {
        let match_of = |id: &str, sure: Option<f32>| match known() {
            Answer::Known(known) => {
                let person = Person { id: id.into(), name: None };
                Answer::Known(Known { person, match_confidence: sure, ..known })
            }
            other => other,
        };
        // (the answers, whose visit it was)
        let cases = [
            ([("ann", Some(0.6)), ("bob", Some(0.95))], "bob"),
            ([("bob", Some(0.95)), ("ann", Some(0.6))], "bob"),
            ([("ann", None), ("bob", Some(0.95))], "ann"),
        ];
        for (answers, who) in cases {
            let mut book = VisitBook::default();
            book.sent(&sent(1, 400, 7, true));
            book.sent(&sent(1, 900, 8, true));
            for (sighting, (id, sure)) in (7..).zip(answers) {
                book.answered(&answer(1, sighting, match_of(id, sure)), &[], &[]);
                assert_eq!(book.named(visit(1), id), 1);
            }
            let closed = book.left(&left(1, None)).unwrap();
            assert_eq!(closed.known.unwrap().person.id, who, "{answers:?}");
        }
    }

    #[test]
    fn of_somebody_unknown_the_nearest_of_all_pictures_is_told_until_somebody_is_known() {
        let near = |id: &str, score| {
            let person = Person { id: id.into(), name: None };
            Answer::Unknown { confidence: None, nearest: Some(Nearest { person, score, threshold: 0.43 }) }
        };
        let (ann, bob) = (near("ann", 0.41), near("bob", 0.3));
        let none = Answer::Unknown { confidence: None, nearest: None };
        for (answers, outcome, nearest) in [
            (vec![ann.clone(), bob.clone(), none.clone()], VisitOutcome::Unknown, Some("ann")),
            (vec![none, bob.clone(), ann.clone()], VisitOutcome::Unknown, Some("ann")),
            (vec![Answer::NoFace, bob.clone()], VisitOutcome::Unknown, Some("bob")),
            (vec![ann.clone(), known()], VisitOutcome::Known, None),
            (vec![known(), ann], VisitOutcome::Known, None),
        ] {
            let mut book = VisitBook::default();
            let numbered: Vec<_> = (1..).zip(answers).collect();
            numbered.iter().for_each(|(n, _)| book.sent(&sent(1, 400, *n, true)));
            book.left(&left(1, None));
            let closed =
                numbered.into_iter().filter_map(|(n, said)| book.answered(&answer(1, n, said), &[], &[])).last();
            let closed = closed.unwrap();
            let found = closed.nearest.as_ref().map(|nearest| nearest.person.id.as_str());
            assert_eq!((closed.outcome, found), (outcome, nearest));
        }
    }

    #[test]
    fn a_visit_that_sent_nothing_says_why() {
        let mut book = VisitBook::default();
        let closed = book.left(&left(1, Some(Unsent::TooSmall))).unwrap();
        assert_eq!((closed.outcome.label(), closed.shots.len()), ("too_small", 0));
    }

    #[test]
    fn a_sighting_given_up_closes_its_visit_with_the_reason() {
        let mut book = VisitBook::default();
        book.sent(&sent(1, 400, 7, true));
        assert!(book.left(&left(1, None)).is_none());
        let closed = book.dropped(visit(1), Uuid::from_u128(7), "too old").unwrap();
        assert_eq!((closed.outcome.label(), closed.outcome.reason()), ("dropped", Some("too old")));
    }

    #[test]
    fn a_dry_run_waits_for_no_answer() {
        let mut book = VisitBook::default();
        book.sent(&sent(1, 400, 7, false));
        assert_eq!(book.left(&left(1, None)).unwrap().outcome, VisitOutcome::DryRun);
    }

    #[test]
    fn a_sighting_from_an_earlier_life_makes_its_own_visit() {
        let mut book = VisitBook::default();
        assert!(book.answered(&answer(9, 7, known()), &[request(9, "k")], &[]).is_none());
        let closed = book.acted(visit(9), "k", &ActionResult::Done).unwrap();
        assert_eq!(closed.outcome, VisitOutcome::Known);
    }

    #[test]
    fn an_outage_leaves_the_book_bounded() {
        let mut book = VisitBook::default();
        for n in 0..MAX_OPEN as u128 + 10 {
            book.sent(&sent(n, 400, n, true));
            book.left(&left(n, None));
        }
        let closed = book.overflow();
        assert_eq!((closed.len(), book.open.len()), (10, MAX_OPEN));
        assert_eq!(closed[0].id, visit(0));
        assert!(closed.iter().all(|visit| visit.outcome == VisitOutcome::Pending));
    }
}
