//! Whether the agent does its work.
//!
//! In: the board and the moment. Out: [`Health`]: no fault, or each fault with its reason. Silence is not health: a
//! camera without frames, a picture that shows nothing or the wrong thing, a detector that no longer finds the built-in
//! face and an engine that does not answer are faults within a minute.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::state::{BrokerState, CameraPhase, Detector, EngineState, Phase, State};

/// No frame, or none searched, for this long is a fault; also while a camera is opened for the first time.
const NO_FRAMES: Duration = Duration::from_secs(30);
/// Over this long too few frames are a fault: a camera that comes and goes is never silent for long.
const FEW_FRAMES_SECS: u64 = 45;
/// A picture that is believed to be bad for this long is a fault; it has been bad for half a minute by then, and
/// somebody who puts the camera right again is not told of.
pub const BAD_PICTURE: Duration = Duration::from_secs(20);
/// An engine or broker that does not answer for this long is a fault: a restart of it is not.
const NO_ANSWER: Duration = Duration::from_secs(45);

/// Parts of a detector that are its camera's.
pub const CAMERA_PARTS: [&str; 3] = ["camera", "picture", "detection"];

/// The verdict, and what it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    pub ok: bool,
    pub faults: Vec<Fault>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// `camera`, `picture`, `detection`, `engine`, `broker`, `outbox` or `program`.
    pub part: &'static str,
    pub detector: Option<String>,
    pub reason: String,
    /// How long it has lasted, and since when that is.
    pub for_secs: u64,
    pub since: DateTime<Utc>,
}

impl Health {
    /// The faults of a detector, or of the box.
    pub fn of<'a>(&'a self, detector: Option<&'a str>) -> impl Iterator<Item = &'a Fault> + Clone {
        self.faults.iter().filter(move |fault| fault.detector.as_deref() == detector)
    }

    /// One line for a service manager: all is well, or the first fault and how many more there are.
    pub fn summary(&self) -> String {
        let Some(first) = self.faults.first() else { return "all is well".into() };
        let at = first.detector.as_ref().map(|name| format!(" at {name}")).unwrap_or_default();
        let more = match self.faults.len() - 1 {
            0 => String::new(),
            n => format!(" (and {n} more)"),
        };
        format!("{}{at}: {}{more}", first.part, first.reason)
    }
}

/// The verdict at this moment by both clocks.
pub(super) fn judge(board: &State, now: Instant, utc: DateTime<Utc>) -> Health {
    let mut faults = Vec::new();
    let fault = |part, reason: &str, lasts| fault(part, reason, lasts, utc);
    for hang in &board.hangs {
        let lasts = now.saturating_duration_since(hang.since);
        let reason = format!("{} has been {} for {} s", hang.thread, hang.with, lasts.as_secs());
        let detector = hang.thread.split_once(':').map(|(_, detector)| detector.to_owned());
        faults.push(Fault { detector, ..fault("program", &reason, lasts) });
    }
    for (name, detector) in &board.detectors {
        let mut found = detector_faults(detector, now, utc);
        if board.hangs.iter().any(|hang| hang.thread.ends_with(&format!(":{name}"))) {
            // Frames may well come: nobody takes them.
            found.retain(|fault| fault.part != "camera" && fault.part != "detection");
        }
        faults.extend(found.into_iter().map(|fault| Fault { detector: Some(name.to_string()), ..fault }));
    }
    let engine = &board.engine;
    let Phase { state, since, reason } = &engine.phase;
    let unheard = match state {
        EngineState::Silent => Some(("engine", *since, or(reason, "the engine does not answer"))),
        EngineState::Unknown => Some(("engine", *since, "the engine has not answered since the start")),
        // Nobody has asked it for so long that nobody knows.
        EngineState::Answering => {
            Some(("engine", engine.last_answer.unwrap_or(*since), "nothing was heard of the engine"))
        }
        EngineState::None => None,
    };
    let broker = board.broker.iter().map(|broker| &broker.phase).filter(|phase| phase.state != BrokerState::Connected);
    let away = broker.map(|phase| ("broker", phase.since, or(&phase.reason, "the MQTT broker does not answer")));
    for (part, since, reason) in unheard.into_iter().chain(away) {
        let lasts = now.saturating_duration_since(since);
        if lasts >= NO_ANSWER {
            faults.push(fault(part, reason, lasts));
        }
    }
    if let Some(problem) = &board.outbox_fault {
        faults.push(fault("outbox", &problem.reason, problem.lasts(now)));
    }
    Health { ok: faults.is_empty(), faults }
}

fn detector_faults(detector: &Detector, now: Instant, utc: DateTime<Utc>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let fault = |part, reason: &str, lasts| fault(part, reason, lasts, utc);
    if detector.camera.state == CameraPhase::Ended {
        return faults;
    }
    let since_frame = now.saturating_duration_since(detector.last_frame.unwrap_or(detector.camera.since));
    if since_frame >= NO_FRAMES {
        faults.push(fault("camera", or(&detector.camera.reason, "no frames come from the camera"), since_frame));
    } else if detector.camera.state == CameraPhase::Live && detector.last_frame.is_some() {
        let since_searched = now.saturating_duration_since(detector.last_searched.unwrap_or(detector.camera.since));
        if since_searched >= NO_FRAMES {
            faults.push(fault("detection", "frames come, but none is searched for faces", since_searched));
        }
    }
    if since_frame < NO_FRAMES
        && let Some(lasts) = detector.received.below(detector.owed_fps(), FEW_FRAMES_SECS, now)
    {
        faults.push(fault("camera", &too_few(detector, now), lasts));
    }
    if let Some(lens) = detector.lens.as_ref().filter(|lens| lens.lasts(now) >= BAD_PICTURE) {
        faults.push(fault("picture", &lens.reason, lens.lasts(now)));
    }
    // It took several visitors to know.
    if let Some(mounting) = &detector.mounting {
        faults.push(fault("picture", &mounting.reason, mounting.lasts(now)));
    }
    // No grace: a model that misses a clear face will not get better by waiting.
    if let Some(canary) = &detector.canary {
        faults.push(fault("detection", &canary.reason, canary.lasts(now)));
    }
    faults
}

fn too_few(detector: &Detector, now: Instant) -> String {
    let frames = detector.received.within(FEW_FRAMES_SECS, now);
    let last = match detector.last_loss.as_str() {
        "" => String::new(),
        loss => format!("; it was lost last because of this: {loss}"),
    };
    format!(
        "only {frames} frames came in the last {FEW_FRAMES_SECS} s, at a camera that gave {:.0} a second: it comes \
         and goes, or the way to it is too slow; look at its power, its cable and its network{last}",
        detector.received.best
    )
}

fn fault(part: &'static str, reason: &str, lasts: Duration, utc: DateTime<Utc>) -> Fault {
    Fault { part, detector: None, reason: reason.into(), for_secs: lasts.as_secs(), since: utc - lasts }
}

fn or<'a>(reason: &'a str, otherwise: &'a str) -> &'a str {
    if reason.is_empty() { otherwise } else { reason }
}

#[cfg(test)]
mod tests {
    use super::super::Board;
    use super::*;
    use crate::capture::{CameraState, Lens};
    use crate::config::DetectorName;

    /// What happens at the start, with a moment to place later events, and what is wrong a minute later.
    type Case =
        (&'static str, fn(&Board, &DetectorName, &dyn Fn(u64) -> Instant), &'static [(&'static str, &'static str)]);

    #[test]
    fn silence_is_a_fault_within_a_minute() {
        fn frames(board: &Board, name: &DetectorName, at: &dyn Fn(u64) -> Instant) {
            board.camera(name, CameraPhase::Live, "", at(0));
            board.engine(EngineState::Answering, "", at(50));
            for second in 0..60 {
                board.received(name, at(second));
                board.searched(name, at(second));
            }
        }
        let cases: &[Case] = &[
            ("all is well", frames, &[]),
            ("the camera never opens", |_, _, _| {}, &[("camera", "no frames come from the camera")]),
            (
                "the camera is lost",
                |board, name, at| {
                    board.received(name, at(10));
                    board.camera(name, CameraPhase::Lost, "no such device", at(12));
                },
                &[("camera", "no such device")],
            ),
            (
                "the camera comes and goes",
                |board, name, at| {
                    let (lens, source) = (Lens::Clear, "a camera".into());
                    let streaming = CameraState::Streaming { size: (64, 48), fps: 15.0, least_fps: 0.3, source, lens };
                    board.camera_state(name, &streaming, at(0));
                    board.engine(EngineState::Answering, "", at(50));
                    // Six a second at first, then one in twelve seconds.
                    for second in 0..12 {
                        (0..6).for_each(|_| board.received(name, at(second)));
                        board.searched(name, at(second));
                    }
                    for second in (12..60).step_by(12) {
                        board.received(name, at(second));
                        board.searched(name, at(second));
                    }
                },
                &[(
                    "camera",
                    "only 3 frames came in the last 45 s, at a camera that gave 6 a second: it comes and goes, or the \
                     way to it is too slow; look at its power, its cable and its network",
                )],
            ),
            (
                "the camera was lost a moment ago",
                |board, name, at| {
                    frames(board, name, at);
                    board.camera(name, CameraPhase::Lost, "no such device", at(59));
                },
                &[],
            ),
            (
                "a recording has ended",
                |board, name, at| {
                    board.received(name, at(1));
                    board.camera(name, CameraPhase::Ended, "", at(2));
                },
                &[],
            ),
            (
                "nobody searches",
                |board, name, at| {
                    board.camera(name, CameraPhase::Live, "", at(0));
                    (0..60).for_each(|second| board.received(name, at(second)));
                },
                &[("detection", "frames come, but none is searched for faces")],
            ),
            (
                "the lens is covered",
                |board, name, at| {
                    frames(board, name, at);
                    board.lens(name, Some("the picture is dark".into()), at(5));
                    board.lens(name, Some("the picture is black".into()), at(55));
                },
                &[("picture", "the picture is black")],
            ),
            (
                "the lens was covered and is free again",
                |board, name, at| {
                    frames(board, name, at);
                    board.lens(name, Some("the picture is dark".into()), at(5));
                    board.lens(name, None, at(50));
                    board.lens(name, Some("the picture is dark".into()), at(55));
                },
                &[],
            ),
            (
                "the camera hangs upside down",
                |board, name, at| {
                    frames(board, name, at);
                    board.mounting(name, Some("the camera hangs upside down".into()), at(59));
                },
                &[("picture", "the camera hangs upside down")],
            ),
            (
                "the camera hangs the right way up again",
                |board, name, at| {
                    frames(board, name, at);
                    board.mounting(name, Some("the camera hangs upside down".into()), at(5));
                    board.mounting(name, None, at(59));
                },
                &[],
            ),
            (
                "the built-in face is not found",
                |board, name, at| {
                    frames(board, name, at);
                    board.canary(name, Err("the built-in face is not found".into()), at(59));
                },
                &[("detection", "the built-in face is not found")],
            ),
            (
                "the engine is silent",
                |board, name, at| {
                    frames(board, name, at);
                    board.engine(EngineState::Silent, "connection refused", at(10));
                    board.engine(EngineState::Silent, "connection reset", at(40));
                },
                &[("engine", "connection reset")],
            ),
            (
                "the engine was never heard",
                |board, name, at| {
                    frames(board, name, at);
                    board.engine(EngineState::Unknown, "", at(0));
                },
                &[("engine", "the engine has not answered since the start")],
            ),
            (
                "the engine is not asked any more",
                |board, name, at| {
                    frames(board, name, at);
                    board.engine(EngineState::None, "", at(0));
                    board.engine(EngineState::Answering, "", at(5));
                },
                &[("engine", "nothing was heard of the engine")],
            ),
            (
                "no engine is wanted",
                |board, name, at| {
                    frames(board, name, at);
                    board.engine(EngineState::None, "", at(0));
                },
                &[],
            ),
            (
                "the broker is away",
                |board, name, at| {
                    frames(board, name, at);
                    board.broker(BrokerState::Connected, "", 0, at(0));
                    board.broker(BrokerState::Away, "nobody listens there", 3, at(10));
                    board.broker(BrokerState::Away, "the broker does not let us in", 4, at(30));
                },
                &[("broker", "the broker does not let us in")],
            ),
            (
                "the broker restarts",
                |board, name, at| {
                    frames(board, name, at);
                    board.broker(BrokerState::Connected, "", 0, at(0));
                    board.broker(BrokerState::Away, "nobody listens there", 3, at(20));
                },
                &[],
            ),
            (
                "the disk is full",
                |board, name, at| {
                    frames(board, name, at);
                    board.outbox_problem(Some("no space left".into()), at(60));
                },
                &[("outbox", "no space left")],
            ),
        ];
        for (what, happens, expected) in cases {
            let start = Instant::now();
            let at = |seconds| start + Duration::from_secs(seconds);
            let name = DetectorName::new("front").unwrap();
            let board = Board::new(start, [name.clone()]);
            happens(&board, &name, &at);
            let health = board.health(at(60));
            let found: Vec<_> = health.faults.iter().map(|fault| (fault.part, fault.reason.as_str())).collect();
            assert_eq!(found, *expected, "{what}");
            assert_eq!(health.ok, expected.is_empty(), "{what}");
            let at_door =
                health.faults.iter().all(|f| f.detector.is_some() != ["engine", "broker", "outbox"].contains(&f.part));
            assert!(at_door, "{what}: {health:?}");
        }
    }

    #[test]
    fn a_start_is_given_its_time() {
        let start = Instant::now();
        let board = Board::new(start, [DetectorName::new("front").unwrap()]);
        board.engine(EngineState::Unknown, "", start);
        assert!(board.health(start + Duration::from_secs(29)).ok);
        assert!(!board.health(start + Duration::from_secs(30)).ok);
    }
}
