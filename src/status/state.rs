//! What the board knows: of each detector, the engine, the broker and the outbox.
//!
//! In: nothing; the [`Board`](super::Board) fills it in. Out: plain values, dated by the monotonic clock; whatever
//! shows them to people puts dates there.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::lines::{ActionLine, VisitLine};
use super::rate::Rate;
use crate::config::DetectorName;

/// Everything on the board.
#[derive(Debug, Clone)]
pub struct State {
    pub started: Instant,
    pub detectors: BTreeMap<DetectorName, Detector>,
    pub engine: EngineStatus,
    /// `None` when no broker is configured.
    pub broker: Option<BrokerStatus>,
    pub outbox: OutboxLine,
    pub outbox_fault: Option<Problem>,
    /// Threads that hang now.
    pub hangs: Vec<Hanging>,
    pub warnings: Vec<Warning>,
    /// Newest first.
    pub visits: VecDeque<VisitLine>,
    /// Newest first.
    pub actions: VecDeque<ActionLine>,
}

/// One detector.
#[derive(Debug, Clone)]
pub struct Detector {
    pub camera: Phase<CameraPhase>,
    pub last_frame: Option<Instant>,
    pub last_searched: Option<Instant>,
    /// What is wrong with the picture.
    pub lens: Option<Problem>,
    /// The camera hangs on its side or upside down, by the faces it shows.
    pub mounting: Option<Problem>,
    /// The built-in face is no longer found.
    pub canary: Option<Problem>,
    /// Frames the camera gave.
    pub received: Rate,
    /// Fewer of them a second are too few; 0 where any number will do.
    pub least_fps: f64,
    /// Why the camera was lost the last time; empty while it never was.
    pub last_loss: String,
    /// Frames searched for faces.
    pub searched: Rate,
    pub dropped: Rate,
}

/// A state of a camera, the engine or the broker.
#[derive(Debug, Clone)]
pub struct Phase<S> {
    pub state: S,
    pub since: Instant,
    /// Why it is in this state; empty when all is well.
    pub reason: String,
}

/// Something that is wrong.
#[derive(Debug, Clone)]
pub struct Problem {
    pub since: Instant,
    pub reason: String,
}

/// The engine, as far as it can be told from here.
#[derive(Debug, Clone)]
pub struct EngineStatus {
    pub phase: Phase<EngineState>,
    pub last_answer: Option<Instant>,
    pub breaker: BreakerState,
    /// When the engine is asked again, while the breaker is open.
    pub next_try: Option<Instant>,
}

/// The MQTT broker.
#[derive(Debug, Clone)]
pub struct BrokerStatus {
    pub phase: Phase<BrokerState>,
    /// Messages that wait for it.
    pub waiting: u64,
}

/// Where a camera is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CameraPhase {
    /// Not opened yet.
    Starting,
    /// Frames come.
    Live,
    /// It is gone, and tried again.
    Lost,
    /// A recording that has come to its end; nothing more is expected of it.
    Ended,
}

/// Whether the engine answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineState {
    /// None is configured, or nothing is expected of it (a dry run).
    None,
    /// It has not been asked yet.
    Unknown,
    /// It answered the last time; an answer that refuses is an answer.
    Answering,
    /// It did not answer the last time.
    Silent,
}

/// Whether the MQTT broker is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BrokerState {
    /// It has not been tried yet.
    Unknown,
    Connected,
    /// It cannot be reached, or does not let us in; it is tried again.
    Away,
}

/// Whether sightings are sent to the engine: a circuit breaker. The later in this list, the less is sent; the metric is
/// the place in it, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// All that is due.
    Closed,
    /// One, to see whether the engine answers again.
    HalfOpen,
    /// None for a while: it failed.
    Open,
}

/// What waits to be sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct OutboxLine {
    pub pending: u64,
    pub bytes: u64,
    /// When the oldest waiting face was seen.
    pub oldest: Option<DateTime<Utc>>,
}

/// A thread that has been busy with one thing for too long.
#[derive(Debug, Clone, PartialEq)]
pub struct Hanging {
    /// Its name: what it does, a colon, and for which detector; or what it does alone.
    pub thread: String,
    pub with: &'static str,
    pub since: Instant,
}

/// Something that works and should not stay as it is; never a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// `engine` or `action`.
    pub part: &'static str,
    pub reason: String,
}

impl<S: PartialEq> Phase<S> {
    pub fn new(state: S, since: Instant) -> Self {
        Self { state, since, reason: String::new() }
    }

    /// Takes in a report. The time a state lasts runs from its first one.
    pub fn report(&mut self, state: S, reason: impl Into<String>, at: Instant) {
        if self.state != state {
            self.since = at;
        }
        (self.state, self.reason) = (state, reason.into());
    }
}

/// No camera is held to a third of more frames a second than this: many give half as many by night.
const MOST_OWED: f64 = 10.0;

impl Detector {
    /// Fewer frames a second than this are too few: a third of what the camera gives when all is well.
    pub fn owed_fps(&self) -> f64 {
        if self.least_fps == 0.0 { 0.0 } else { self.least_fps.max(self.received.best.min(MOST_OWED) / 3.0) }
    }

    pub fn new(now: Instant) -> Self {
        Self {
            camera: Phase::new(CameraPhase::Starting, now),
            last_frame: None,
            last_searched: None,
            lens: None,
            mounting: None,
            canary: None,
            received: Rate::new(now),
            least_fps: 0.0,
            last_loss: String::new(),
            searched: Rate::new(now),
            dropped: Rate::new(now),
        }
    }
}

impl Problem {
    pub fn lasts(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }
}
