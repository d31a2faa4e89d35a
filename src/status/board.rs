//! The board: what the agent knows of itself, for whoever asks.
//!
//! In: what happened, from every part of the agent, with the moment it happened. Out: a [`State`], and the health it
//! implies. It holds ids and tags, never names or pictures, and asks no clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use chrono::Utc;
use faces::picture::Turn;
use parking_lot::Mutex;

use super::health::{self, Health};
use super::lines::{ActionLine, VisitLine};
use super::state::{
    BreakerState, BrokerState, BrokerStatus, CameraPhase, Detector, EngineState, EngineStatus, Hanging, OutboxLine,
    Phase, Problem, State, Warning,
};
use crate::capture::{CameraState, Lens};
use crate::config::DetectorName;

/// Visits and actions shown, newest first; older ones are for `doorward explain`.
const LINES: usize = 50;

/// A cheap handle; all clones are the same board. Nothing waits under its lock, and no other is taken with it.
#[derive(Clone, derive_more::Debug)]
#[debug("Board")]
pub struct Board(Arc<Mutex<State>>);

impl Board {
    /// A board with these detectors, whose cameras are about to be opened.
    pub fn new(now: Instant, detectors: impl IntoIterator<Item = DetectorName>) -> Self {
        Self(Arc::new(Mutex::new(State {
            started: now,
            detectors: detectors.into_iter().map(|name| (name, Detector::new(now))).collect(),
            engine: EngineStatus {
                phase: Phase::new(EngineState::None, now),
                last_answer: None,
                breaker: BreakerState::Closed,
                next_try: None,
            },
            broker: None,
            outbox: OutboxLine::default(),
            outbox_fault: None,
            hangs: Vec::new(),
            warnings: Vec::new(),
            visits: VecDeque::new(),
            actions: VecDeque::new(),
        })))
    }

    /// The camera's phase, with a reason when it is lost.
    pub fn camera(&self, name: &DetectorName, phase: CameraPhase, reason: impl Into<String>, at: Instant) {
        self.detector(name, at, |detector| detector.camera.report(phase, reason, at));
    }

    /// What the camera is doing, and what is wrong with its picture.
    pub fn camera_state(&self, name: &DetectorName, state: &CameraState, at: Instant) {
        let (phase, reason, lens) = match state {
            CameraState::Connecting => (CameraPhase::Starting, "", None),
            CameraState::Streaming { lens, .. } => (CameraPhase::Live, "", lens_problem(*lens)),
            CameraState::Failed { reason, .. } => (CameraPhase::Lost, reason.as_str(), None),
            CameraState::Ended => (CameraPhase::Ended, "", None),
        };
        self.camera(name, phase, reason, at);
        self.detector(name, at, |detector| match state {
            CameraState::Streaming { least_fps, .. } => detector.least_fps = f64::from(*least_fps),
            CameraState::Failed { reason, .. } => detector.last_loss.clone_from(reason),
            CameraState::Connecting | CameraState::Ended => {}
        });
        self.lens(name, lens.map(str::to_owned), at);
    }

    /// A frame came from the camera.
    pub fn received(&self, name: &DetectorName, at: Instant) {
        self.detector(name, at, |detector| {
            detector.received.add(1, at);
            detector.last_frame = Some(at);
        });
    }

    /// A frame was searched for faces.
    pub fn searched(&self, name: &DetectorName, at: Instant) {
        self.detector(name, at, |detector| {
            detector.searched.add(1, at);
            detector.last_searched = Some(at);
        });
    }

    /// Frames came from the camera and were dropped in favour of newer ones.
    pub fn dropped(&self, name: &DetectorName, count: u64, at: Instant) {
        self.detector(name, at, |detector| {
            detector.received.add(count, at);
            detector.dropped.add(count, at);
        });
    }

    /// What is wrong with the picture, or `None` when it is fine again.
    pub fn lens(&self, name: &DetectorName, problem: Option<String>, at: Instant) {
        self.detector(name, at, |detector| set_problem(&mut detector.lens, problem, at));
    }

    /// How the camera hangs, where that is wrong, or `None` when it is right again.
    pub fn mounting(&self, name: &DetectorName, problem: Option<String>, at: Instant) {
        self.detector(name, at, |detector| set_problem(&mut detector.mounting, problem, at));
    }

    /// Whether the detector model still finds the built-in face; to be tried at least every half minute.
    pub fn canary(&self, name: &DetectorName, outcome: Result<(), String>, at: Instant) {
        self.detector(name, at, |detector| set_problem(&mut detector.canary, outcome.err(), at));
    }

    /// Whether the engine answers. With an engine configured: `Unknown` at the start, then the result of every request,
    /// and of a probe when there was none for half a minute.
    pub fn engine(&self, state: EngineState, reason: impl Into<String>, at: Instant) {
        let mut board = self.0.lock();
        board.engine.phase.report(state, reason, at);
        if state == EngineState::Answering {
            board.engine.last_answer = Some(at);
        }
    }

    /// Whether the MQTT broker is connected, and how many messages wait for it; from the start when one is configured.
    pub fn broker(&self, state: BrokerState, reason: impl Into<String>, waiting: u64, at: Instant) {
        let mut board = self.0.lock();
        let broker = board.broker.get_or_insert_with(|| BrokerStatus { phase: Phase::new(state, at), waiting });
        broker.phase.report(state, reason, at);
        broker.waiting = waiting;
    }

    /// Whether sightings are sent, and when the engine is asked again where they are not.
    pub fn breaker(&self, state: BreakerState, next_try: Option<Instant>) {
        let mut board = self.0.lock();
        (board.engine.breaker, board.engine.next_try) = (state, next_try);
    }

    pub fn outbox(&self, line: OutboxLine) {
        self.0.lock().outbox = line;
    }

    /// The outbox cannot write, or `None` when it can again.
    pub fn outbox_problem(&self, problem: Option<String>, at: Instant) {
        set_problem(&mut self.0.lock().outbox_fault, problem, at);
    }

    /// The threads that hang now.
    pub fn hangs(&self, hangs: impl Iterator<Item = Hanging>) {
        self.0.lock().hangs = hangs.collect();
    }

    /// All that is to be warned of now.
    pub fn warnings(&self, warnings: Vec<Warning>) {
        self.0.lock().warnings = warnings;
    }

    /// A new visit, or the new state of one that is shown.
    pub fn visit(&self, visit: impl Into<VisitLine>) {
        let line = visit.into();
        let mut board = self.0.lock();
        match board.visits.iter_mut().find(|shown| shown.visit == line.visit) {
            Some(shown) => *shown = line,
            None => push(&mut board.visits, line),
        }
    }

    /// An action that ended. One that was refused and is let through after all, or refused for another reason, is one
    /// line.
    pub fn action(&self, line: ActionLine) {
        let mut board = self.0.lock();
        let same = |a: &ActionLine| (&a.visit, &a.rule, &a.action) == (&line.visit, &line.rule, &line.action);
        board.actions.retain(|shown| !(shown.result == "refused" && same(shown)));
        push(&mut board.actions, line);
    }

    /// Whether all is well, at this moment of the monotonic clock.
    pub fn health(&self, now: Instant) -> Health {
        health::judge(&self.0.lock(), now, Utc::now())
    }

    /// The detectors there are.
    pub fn detectors(&self) -> Vec<DetectorName> {
        self.0.lock().detectors.keys().cloned().collect()
    }

    /// Everything, as it is now.
    pub fn state(&self) -> State {
        self.0.lock().clone()
    }

    fn detector(&self, name: &DetectorName, now: Instant, change: impl FnOnce(&mut Detector)) {
        change(self.0.lock().detectors.entry(name.clone()).or_insert_with(|| Detector::new(now)));
    }
}

/// What is wrong, and what to do about it.
fn lens_problem(lens: Lens) -> Option<&'static str> {
    match lens {
        Lens::Clear => None,
        Lens::Dark => Some("the picture is dark: light the door, or take the cap off"),
        Lens::Overexposed => Some("the picture is nearly white: shade the camera, or lower its exposure"),
        Lens::Covered => Some("the lens is covered, in part or all of it: clear what is in front of it"),
        Lens::Frozen => Some("the picture is frozen: the camera sends the same one again and again"),
        Lens::Moved => Some(
            "the camera shows another place than it did: turn it back (in an hour, its new view is taken as meant)",
        ),
        Lens::Blurred => Some("the picture is blurred: clean the lens, or focus it"),
        Lens::Turned(turn) => Some(match turn {
            Turn::Quarter => "the picture lies on its side: hang the camera as it was, or add 270 to its `rotate`",
            Turn::Half => "the picture is upside down: hang the camera as it was, or add 180 to its `rotate`",
            Turn::ThreeQuarters => "the picture lies on its side: hang the camera as it was, or add 90 to its `rotate`",
        }),
    }
}

/// A problem keeps its first moment while its wording may change.
fn set_problem(place: &mut Option<Problem>, problem: Option<String>, at: Instant) {
    *place = problem.map(|reason| Problem { since: place.as_ref().map_or(at, |before| before.since), reason });
}

fn push<T>(lines: &mut VecDeque<T>, line: T) {
    lines.push_front(line);
    lines.truncate(LINES);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;
    use serde_json::json;

    use super::super::view::status_json;
    use super::*;

    pub fn visit(id: &str, outcome: Option<&str>) -> VisitLine {
        VisitLine {
            visit: id.into(),
            detector: DetectorName::new("front").unwrap(),
            first_seen: DateTime::UNIX_EPOCH,
            last_seen: DateTime::UNIX_EPOCH,
            outcome: outcome.map(Into::into),
            why: None,
            person_id: None,
            tags: Vec::new(),
            shots: 1,
            quality: None,
            confidence: None,
            match_confidence: None,
            nearest: None,
        }
    }

    #[test]
    fn whatever_is_wrong_with_a_picture_is_a_fault_within_a_minute() {
        let minute = Duration::from_secs(60);
        assert!(crate::capture::BELIEVED_WITHIN + crate::status::BAD_PICTURE < minute);
        // Of a frozen one the camera is reopened once in between.
        let reopening = Duration::from_secs(5);
        assert!(crate::capture::FROZEN_AFTER + reopening + crate::status::BAD_PICTURE < minute);
        let (start, name) = (Instant::now(), DetectorName::new("front").unwrap());
        let now = start + crate::status::BAD_PICTURE;
        for (lens, reason) in [
            (Lens::Dark, "dark"),
            (Lens::Overexposed, "nearly white"),
            (Lens::Covered, "covered"),
            (Lens::Frozen, "frozen"),
            (Lens::Moved, "another place"),
            (Lens::Blurred, "blurred"),
            (Lens::Turned(Turn::Half), "upside down"),
            // What was turned a quarter clockwise takes three more to stand again.
            (Lens::Turned(Turn::Quarter), "add 270"),
            (Lens::Turned(Turn::ThreeQuarters), "add 90"),
        ] {
            let board = Board::new(start, [name.clone()]);
            board.camera_state(&name, &CameraState::showing(lens), start);
            let faults = board.health(now).faults;
            assert!(faults.iter().any(|fault| fault.part == "picture" && fault.reason.contains(reason)), "{faults:?}");
            board.camera_state(&name, &CameraState::showing(Lens::Clear), now);
            let faults = board.health(now).faults;
            assert!(!faults.iter().any(|fault| fault.part == "picture"), "{faults:?}");
        }
    }

    #[test]
    fn lines_are_replaced_by_visit_and_bounded() {
        let board = Board::new(Instant::now(), []);
        for n in 0..60 {
            board.visit(visit(&n.to_string(), None));
        }
        board.visit(visit("59", Some("known")));
        board.visit(visit("30", Some("unknown")));
        let shown = board.state().visits;
        assert_eq!(shown.len(), LINES);
        assert_eq!((shown[0].visit.as_str(), shown[0].outcome.as_deref()), ("59", Some("known")));
        assert_eq!((shown[29].visit.as_str(), shown[29].outcome.as_deref()), ("30", Some("unknown")));
    }

    #[test]
    fn moments_are_dated_by_the_clock_of_the_snapshot() {
        let start = Instant::now();
        let name = DetectorName::new("front").unwrap();
        let board = Board::new(start, [name.clone()]);
        board.camera(&name, CameraPhase::Live, "", start + Duration::from_secs(2));
        board.camera(&name, CameraPhase::Live, "", start + Duration::from_secs(5));
        board.received(&name, start + Duration::from_secs(9));
        board.dropped(&name, 3, start + Duration::from_secs(9));
        let utc = DateTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let shown = || status_json(&board.state(), start + Duration::from_secs(10), utc);
        let at = |seconds: u64| json!(DateTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let before = shown();
        let detector = &before["detectors"][0];
        assert_eq!((&detector["camera_since"], &detector["last_frame"]), (&at(992), &at(999)));
        assert_eq!((&detector["received"], &detector["dropped"]), (&json!(4), &json!(3)));
        assert_eq!((&before["engine"]["breaker"], &before["engine"]["next_try"]), (&json!("closed"), &json!(null)));
        board.breaker(BreakerState::Open, Some(start + Duration::from_secs(13)));
        let engine = &shown()["engine"];
        assert_eq!((&engine["breaker"], &engine["next_try"]), (&json!("open"), &at(1_003)));
        assert_eq!(before["up_secs"], 10);
    }
}
