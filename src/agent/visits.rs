//! The book of open visits: what was sent, what the engine said, what was done, until a visit can be closed.
//!
//! In: the decisions of the rooms, as they happen. Out: a [`VisitSummary`] for every visit, once, when the visitor has left,
//! every sighting is settled and every action has ended. It holds no picture and does no I/O.
//!
//! ```text
//! sent ──▶ awaiting answer ──▶ answered ──▶ actions under way ─┐
//!   └──────────────── left ────────────────────────────────────┴─▶ closed: one outcome, counted
//! ```

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use faces::detect::Rect;
use faces::quality::Quality;
use uuid::Uuid;

use crate::actions::{ActionResult, Outcome};
use crate::capture::CaptureTime;
use crate::config::DetectorName;
use crate::recognition::{Answer, Known, Recognition};
use crate::rules::{ActionRequest, RefusedAction};
use crate::track::{BestShot, Unsent, VisitEnd, VisitId};

/// Open visits kept at most. During a long outage of the engine a visit stays open until its sighting is settled; past this
/// many the oldest are let go as [`VisitOutcome::Pending`], on record, and opened again by their answer. Each takes up to two
/// kilobytes.
const MAX_OPEN: usize = 1_000;

/// The open visits.
#[derive(Debug, Default)]
pub struct VisitBook {
    open: HashMap<VisitId, OpenVisit>,
}

#[derive(Debug)]
struct OpenVisit {
    summary: VisitSummary,
    /// Sightings sent or stored whose answer is not in.
    unanswered: Vec<Uuid>,
    /// Actions asked for that have not ended.
    acting: usize,
    left: bool,
}

/// Everything about one visit, told when it is closed.
#[derive(Debug, Clone)]
pub struct VisitSummary {
    pub visit: VisitId,
    pub detector: DetectorName,
    pub first_seen: DateTime<Utc>,
    pub last_seen: DateTime<Utc>,
    /// On the pipeline's clock, since the source's first frame.
    pub first_seen_ms: u64,
    pub last_seen_ms: u64,
    pub sent: Vec<SentShot>,
    pub outcome: VisitOutcome,
    /// Of the best answer.
    pub known: Option<Known>,
    pub actions: Vec<ActionLine>,
    /// The best quality seen, sent or not.
    pub best: Option<Quality>,
    /// The tallest face seen, in pixels.
    pub largest_px: f32,
}

/// A shot that was sent, without its pixels.
#[derive(Debug, Clone)]
pub struct SentShot {
    pub sighting: Uuid,
    /// On the pipeline's clock, since the source's first frame: when the frame was taken.
    pub at_ms: u64,
    /// The frame's sequence number.
    pub frame: u64,
    pub bbox: Rect,
    pub quality: Quality,
}

/// An action and its end.
#[derive(Debug, Clone)]
pub struct ActionLine {
    pub rule: String,
    pub action: String,
    pub key: String,
    /// `None` while it is under way.
    pub result: Option<ActionResult>,
}

/// The one outcome of a visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VisitOutcome {
    Known,
    Unknown,
    NoFace,
    Refused(String),
    /// The outbox gave it up before the engine answered, and why.
    Dropped(String),
    /// Taken in by the engine, which was not asked for an answer.
    Accepted,
    /// Not sent, and why.
    Unsent(Unsent),
    /// Sent nowhere: a dry run.
    DryRun,
    /// Nobody has answered yet; the sighting is in the outbox.
    Pending,
}

impl VisitOutcome {
    /// The word for it in logs, metrics and JSON.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Unknown => "unknown",
            Self::NoFace => "no_face",
            Self::Refused(_) => "refused",
            Self::Dropped(_) => "dropped",
            Self::Accepted => "accepted",
            Self::Unsent(unsent) => unsent.as_str(),
            Self::DryRun => "dry_run",
            Self::Pending => "pending",
        }
    }

    /// What more there is to say, for people.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Refused(reason) | Self::Dropped(reason) => Some(reason),
            Self::Unsent(Unsent::TooSmall) => Some("the face never reached quality.min_face_px"),
            Self::Unsent(Unsent::TooPoor) => Some("no shot reached quality.min_total"),
            Self::Unsent(Unsent::NotSubject) => Some("somebody larger was in front of the camera all the time"),
            Self::Pending => Some("not answered yet; it is in the outbox"),
            Self::Known | Self::Unknown | Self::NoFace | Self::Accepted | Self::DryRun => None,
        }
    }

    /// A better answer replaces a poorer one: the second shot may be recognised where the first was not.
    fn rank(&self) -> u8 {
        match self {
            Self::Known => 6,
            Self::Unknown => 5,
            Self::Accepted => 4,
            Self::NoFace => 3,
            Self::Refused(_) | Self::Dropped(_) => 2,
            Self::DryRun | Self::Unsent(_) => 1,
            Self::Pending => 0,
        }
    }
}

impl ActionLine {
    /// The end's word, or `pending` while it is under way.
    pub fn result_label(&self) -> &'static str {
        self.result.as_ref().map_or("pending", ActionResult::label)
    }

    /// Why it failed, or was refused.
    pub fn reason(&self) -> Option<&str> {
        self.result.as_ref().and_then(ActionResult::reason)
    }
}

impl From<&Answer> for VisitOutcome {
    fn from(answer: &Answer) -> Self {
        match answer {
            Answer::Known(_) => Self::Known,
            Answer::Unknown { .. } => Self::Unknown,
            Answer::NoFace => Self::NoFace,
            Answer::Accepted => Self::Accepted,
            Answer::Refused { reason } => Self::Refused(reason.clone()),
        }
    }
}

impl VisitBook {
    /// A shot became a sighting. `delivered` is false in a dry run, where no answer will come.
    pub fn sent(&mut self, shot: &BestShot, sighting: Uuid, delivered: bool) {
        let visit = self.entry(shot);
        visit.seen_until(shot.last_seen);
        visit.summary.sent.push(SentShot {
            sighting,
            at_ms: shot.frame.time.offset.as_millis() as u64,
            frame: shot.frame.seq,
            bbox: shot.face.bbox,
            quality: shot.quality.clone(),
        });
        if delivered {
            visit.unanswered.push(sighting);
        } else {
            visit.summary.outcome = VisitOutcome::DryRun;
        }
    }

    /// The engine answered, these actions were asked for, and those held back by their guards. A visit of an earlier life of the process, of which only the
    /// stored sighting is left, is opened for this.
    pub fn answered(
        &mut self,
        recognition: &Recognition,
        requests: &[ActionRequest],
        refused: &[RefusedAction],
    ) -> Option<VisitSummary> {
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
        if outcome.rank() > visit.summary.outcome.rank() {
            visit.summary.outcome = outcome;
            visit.summary.known = match &recognition.answer {
                Answer::Known(known) => Some(known.clone()),
                _ => None,
            };
        }
        visit.acting += requests.len();
        // What was held back and is asked for now, or held back for another reason, has not been refused (so).
        let again = |line: &ActionLine| {
            matches!(line.result, Some(ActionResult::Refused { .. }))
                && (requests.iter().any(|request| request.key == line.key)
                    || refused.iter().any(|refused| refused.key == line.key))
        };
        visit.summary.actions.retain(|line| !again(line));
        visit.summary.actions.extend(refused.iter().map(|refused| ActionLine {
            rule: refused.rule.clone(),
            action: refused.refusal.action.clone(),
            key: refused.key.clone(),
            result: Some(ActionResult::Refused { guards: refused.refusal.guards(), reason: refused.refusal.reason() }),
        }));
        visit.summary.actions.extend(requests.iter().map(|request| ActionLine {
            rule: request.rule.clone(),
            action: request.action.clone(),
            key: request.key.clone(),
            result: None,
        }));
        self.close_if_done(recognition.visit)
    }

    /// A sighting ended without an answer.
    pub fn dropped(&mut self, visit: VisitId, sighting: Uuid, reason: &str) -> Option<VisitSummary> {
        let open = self.open.get_mut(&visit)?;
        open.unanswered.retain(|waiting| *waiting != sighting);
        let outcome = VisitOutcome::Dropped(reason.into());
        if outcome.rank() > open.summary.outcome.rank() {
            open.summary.outcome = outcome;
        }
        self.close_if_done(visit)
    }

    /// An action ended.
    pub fn acted(&mut self, visit: VisitId, outcome: &Outcome) -> Option<VisitSummary> {
        let open = self.open.get_mut(&visit)?;
        let line = open.summary.actions.iter_mut().find(|line| line.key == outcome.key && line.result.is_none())?;
        line.result = Some(outcome.result.clone());
        open.acting -= 1;
        self.close_if_done(visit)
    }

    /// Sightings of a visit whose answers are not in.
    pub fn unanswered(&self, visit: VisitId) -> usize {
        self.open.get(&visit).map_or(0, |visit| visit.unanswered.len())
    }

    /// The visitor left.
    pub fn left(&mut self, end: &VisitEnd) -> Option<VisitSummary> {
        let visit = self.open.entry(end.visit).or_insert_with(|| {
            OpenVisit::new(end.visit, end.detector.clone(), moment(end.first_seen), moment(end.last_seen))
        });
        visit.left = true;
        visit.seen_until(end.last_seen);
        visit.summary.best = end.best.clone();
        visit.summary.largest_px = end.largest_px;
        if let (VisitOutcome::Pending, Some(unsent)) = (&visit.summary.outcome, end.unsent) {
            visit.summary.outcome = VisitOutcome::Unsent(unsent);
        }
        self.close_if_done(end.visit)
    }

    /// Closes the oldest visits beyond the bound, as they stand.
    pub fn overflow(&mut self) -> Vec<VisitSummary> {
        let mut closed = Vec::new();
        while self.open.len() > MAX_OPEN {
            // A visit id starts with its time (UUID v7), so that the smallest is the oldest.
            let Some(oldest) = self.open.keys().min().copied() else { break };
            closed.extend(self.open.remove(&oldest).map(|visit| visit.summary));
        }
        closed
    }

    /// Closes whatever is still open, as it stands: the end of the process.
    pub fn close_all(&mut self) -> Vec<VisitSummary> {
        let mut rest: Vec<_> = self.open.drain().map(|(_, visit)| visit.summary).collect();
        rest.sort_by_key(|summary| summary.visit);
        rest
    }

    /// A visit that is not closed, as it stands.
    pub fn open(&self, visit: VisitId) -> Option<&VisitSummary> {
        self.open.get(&visit).map(|visit| &visit.summary)
    }

    fn entry(&mut self, shot: &BestShot) -> &mut OpenVisit {
        self.open.entry(shot.visit).or_insert_with(|| {
            let detector = shot.frame.detector.clone();
            OpenVisit::new(shot.visit, detector, moment(shot.first_seen), moment(shot.last_seen))
        })
    }

    fn close_if_done(&mut self, visit: VisitId) -> Option<VisitSummary> {
        let open = self.open.get(&visit)?;
        if open.left && open.unanswered.is_empty() && open.acting == 0 {
            self.open.remove(&visit).map(|visit| visit.summary)
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
    fn new(visit: VisitId, detector: DetectorName, first: Moment, last: Moment) -> Self {
        let summary = VisitSummary {
            visit,
            detector,
            first_seen: first.0,
            last_seen: last.0,
            first_seen_ms: first.1,
            last_seen_ms: last.1,
            sent: Vec::new(),
            outcome: VisitOutcome::Pending,
            known: None,
            actions: Vec::new(),
            best: None,
            largest_px: 0.0,
        };
        Self { summary, unanswered: Vec::new(), acting: 0, left: false }
    }

    fn seen_until(&mut self, time: CaptureTime) {
        (self.summary.last_seen, self.summary.last_seen_ms) = moment(time);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::capture::Frame;
    use crate::recognition::Person;
    use crate::track::ShotReason;
    use faces::detect::{Face, Point};
    use faces::picture::Picture;
    use faces::quality::Part;

    fn visit(n: u128) -> VisitId {
        VisitId(Uuid::from_u128(n))
    }

    fn name() -> DetectorName {
        DetectorName::new("door").unwrap()
    }

    fn time(ms: u64) -> CaptureTime {
        CaptureTime { utc: DateTime::UNIX_EPOCH, offset: Duration::from_millis(ms), arrived: Instant::now() }
    }

    fn shot(n: u128, at: u64) -> BestShot {
        let bbox = Rect { x: 1.0, y: 2.0, width: 50.0, height: 60.0 };
        let part = Part { score: 0.5, value: 1.0 };
        let quality = Quality { total: 0.5, size: part, sharpness: part, pose: part, exposure: part, truncation: part };
        let picture = Arc::new(Picture::filled(8, 8, [0; 3]));
        BestShot {
            visit: visit(n),
            frame: Arc::new(Frame { detector: name(), seq: at / 100, time: time(at), picture, damaged: false }),
            face: Face { bbox, landmarks: [Point { x: 0.0, y: 0.0 }; 5], score: 0.9 },
            quality,
            first_seen: time(0),
            last_seen: time(at),
            reason: ShotReason::First,
            number: 1,
            others: Vec::new(),
        }
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
            detector: name(),
            seen_at: DateTime::UNIX_EPOCH,
            arrived: None,
            shot: 1,
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

    fn done(key: &str) -> Outcome {
        Outcome {
            action: "journal".into(),
            key: key.into(),
            result: ActionResult::Done,
            took: Duration::ZERO,
            said: None,
        }
    }

    #[test]
    fn a_visit_closes_once_when_all_is_in_whatever_comes_last() {
        // Each order of the last three things that happen to a visit.
        for last in ["left", "answered", "acted"] {
            let mut book = VisitBook::default();
            book.sent(&shot(1, 400), Uuid::from_u128(7), true);
            let mut closed = Vec::new();
            let request = [request(1, "k")];
            match last {
                "left" => {
                    closed.extend(book.answered(&answer(1, 7, known()), &request, &[]));
                    closed.extend(book.acted(visit(1), &done("k")));
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
                    closed.extend(book.acted(visit(1), &done("k")));
                }
            }
            assert_eq!(closed.len(), 1, "{last} last");
            assert_eq!(closed[0].outcome, VisitOutcome::Known);
            assert_eq!(closed[0].last_seen_ms, 3000);
            assert!(book.open.is_empty());
            assert!(book.acted(visit(1), &done("k")).is_none(), "a second end is ignored");
        }
    }

    #[test]
    fn the_best_answer_of_two_shots_counts() {
        for (first, second) in [(Answer::NoFace, known()), (known(), Answer::Unknown { confidence: None })] {
            let mut book = VisitBook::default();
            book.sent(&shot(1, 400), Uuid::from_u128(7), true);
            book.sent(&shot(1, 900), Uuid::from_u128(8), true);
            book.left(&left(1, None));
            assert!(book.answered(&answer(1, 8, first), &[], &[]).is_none());
            let closed = book.answered(&answer(1, 7, second), &[], &[]).unwrap();
            assert_eq!(closed.outcome, VisitOutcome::Known);
            assert!(closed.known.is_some());
            assert_eq!(closed.sent.len(), 2);
        }
    }

    #[test]
    fn a_visit_that_sent_nothing_says_why() {
        let mut book = VisitBook::default();
        let closed = book.left(&left(1, Some(Unsent::TooSmall))).unwrap();
        assert_eq!((closed.outcome.label(), closed.sent.len()), ("too_small", 0));
    }

    #[test]
    fn a_sighting_given_up_closes_its_visit_with_the_reason() {
        let mut book = VisitBook::default();
        book.sent(&shot(1, 400), Uuid::from_u128(7), true);
        assert!(book.left(&left(1, None)).is_none());
        let closed = book.dropped(visit(1), Uuid::from_u128(7), "too old").unwrap();
        assert_eq!((closed.outcome.label(), closed.outcome.reason()), ("dropped", Some("too old")));
    }

    #[test]
    fn a_dry_run_waits_for_no_answer() {
        let mut book = VisitBook::default();
        book.sent(&shot(1, 400), Uuid::from_u128(7), false);
        assert_eq!(book.left(&left(1, None)).unwrap().outcome, VisitOutcome::DryRun);
    }

    #[test]
    fn a_sighting_from_an_earlier_life_makes_its_own_visit() {
        let mut book = VisitBook::default();
        assert!(book.answered(&answer(9, 7, known()), &[request(9, "k")], &[]).is_none());
        let closed = book.acted(visit(9), &done("k")).unwrap();
        assert_eq!(closed.outcome, VisitOutcome::Known);
    }

    #[test]
    fn an_outage_leaves_the_book_bounded() {
        let mut book = VisitBook::default();
        for n in 0..MAX_OPEN as u128 + 10 {
            book.sent(&shot(n, 400), Uuid::from_u128(n), true);
            book.left(&left(n, None));
        }
        let closed = book.overflow();
        assert_eq!((closed.len(), book.open.len()), (10, MAX_OPEN));
        assert_eq!(closed[0].visit, visit(0));
        assert!(closed.iter().all(|summary| summary.outcome == VisitOutcome::Pending));
    }
}
