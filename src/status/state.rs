//! What the board knows: of each detector, the engine, the broker and the outbox.
//!
//! In: nothing; the [`Board`](super::Board) fills it in. Out: plain values, dated by the monotonic clock until they are
//! shown.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::lines::{ActionLine, VisitLine};
use super::rate::Rate;
use crate::config::DetectorName;

/// Everything on the board.
#[derive(Debug)]
pub(super) struct State {
    pub started: Instant,
    pub detectors: BTreeMap<DetectorName, Detector>,
    pub engine: EngineView<Instant>,
    /// `None` when no broker is configured.
    pub broker: Option<BrokerView<Instant>>,
    pub outbox: OutboxLine,
    pub outbox_fault: Option<Since>,
    /// Threads that hang now.
    pub hangs: Vec<Hanging>,
    pub warnings: Vec<Warning>,
    pub visits: VecDeque<VisitLine>,
    pub actions: VecDeque<ActionLine>,
}

/// One detector, by the monotonic clock.
#[derive(Debug)]
pub(super) struct Detector {
    pub phase: CameraPhase,
    pub phase_since: Since,
    pub last_frame: Option<Instant>,
    pub last_searched: Option<Instant>,
    /// Dark, frozen or covered.
    pub lens: Option<Since>,
    /// The built-in face is no longer found.
    pub canary: Option<Since>,
    pub received: Rate,
    pub searched: Rate,
    pub dropped: Rate,
}

/// Since when, and why.
#[derive(Debug, Clone)]
pub(super) struct Since {
    pub at: Instant,
    pub reason: String,
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

/// Whether sightings are sent to the engine: a circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// All that is due.
    Closed,
    /// None for a while: the engine failed.
    Open,
    /// One, to see whether it answers again.
    HalfOpen,
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

/// The engine: on the board by the monotonic clock, as it is shown with dates.
#[derive(Debug, Clone, Serialize)]
pub struct EngineView<T = DateTime<Utc>> {
    pub state: EngineState,
    pub since: T,
    /// Why it is in this state; empty when all is well.
    pub reason: String,
    pub last_answer: Option<T>,
    pub breaker: BreakerState,
    /// When the engine is asked again, while the breaker is open.
    pub next_try: Option<T>,
}

/// The MQTT broker: on the board by the monotonic clock, as it is shown with dates.
#[derive(Debug, Clone, Serialize)]
pub struct BrokerView<T = DateTime<Utc>> {
    pub state: BrokerState,
    pub since: T,
    /// Why it is in this state; empty when all is well.
    pub reason: String,
    /// Messages that wait for it.
    pub waiting: u64,
}

impl EngineView<Instant> {
    pub(super) fn dated(&self, date: impl Fn(Instant) -> DateTime<Utc>) -> EngineView {
        EngineView {
            state: self.state,
            since: date(self.since),
            reason: self.reason.clone(),
            last_answer: self.last_answer.map(&date),
            breaker: self.breaker,
            next_try: self.next_try.map(&date),
        }
    }
}

impl BrokerView<Instant> {
    pub(super) fn dated(&self, date: impl Fn(Instant) -> DateTime<Utc>) -> BrokerView {
        BrokerView { state: self.state, since: date(self.since), reason: self.reason.clone(), waiting: self.waiting }
    }
}

impl BreakerState {
    /// For the metric: the more, the less is sent.
    pub fn number(self) -> f64 {
        match self {
            Self::Closed => 0.0,
            Self::HalfOpen => 1.0,
            Self::Open => 2.0,
        }
    }
}

impl Detector {
    pub fn new(now: Instant) -> Self {
        Self {
            phase: CameraPhase::Starting,
            phase_since: Since { at: now, reason: String::new() },
            last_frame: None,
            last_searched: None,
            lens: None,
            canary: None,
            received: Rate::new(now),
            searched: Rate::new(now),
            dropped: Rate::new(now),
        }
    }
}

impl Since {
    pub fn lasts(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.at)
    }
}
