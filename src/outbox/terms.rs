//! The words the outbox is spoken to in, and answers with.

use std::time::Instant;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::worth::Worth;
use crate::config::{DetectorName, EventKind, OutcomeKind};
use crate::crop::Sighting;
use crate::recognition::{Nearest, Recognition};
use crate::rules::{ActionRequest, Judgement, RefusedAction, Verdict};
use crate::track::VisitId;

/// What accepting a sighting brought about.
#[derive(Debug, Default, PartialEq)]
pub struct Accepted {
    /// False for a sighting that had been accepted before, which changes nothing.
    pub new: bool,
    /// What had to go to make room; the sighting itself when nothing worth less makes enough.
    pub dropped: Vec<Dropped>,
}

/// A sighting that ended without an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Dropped {
    pub sighting: Uuid,
    pub visit: VisitId,
    pub detector: String,
    pub reason: DropReason,
}

/// Why a sighting ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// `outbox.max_bytes` or `outbox.max_sightings` was reached, and it was worth least.
    Full(Worth),
    /// It got older than `outbox.max_age_hours`.
    TooOld,
    /// What is stored of it makes no sense any more.
    Unreadable,
    /// The file it was stored in was damaged, and it could not be saved from it.
    Damaged,
    /// The disk took nothing, and memory no more.
    Memory,
    /// `doorward purge` erased it.
    Erased,
}

/// A sighting whose turn it is.
#[derive(Debug, Clone)]
pub struct Queued {
    pub sighting: Sighting,
    /// Tries of this life of the process that ended in `postpone`.
    pub tries: u32,
}

/// How a sighting was answered, and what follows from that.
#[derive(Debug, Clone)]
pub struct Answered {
    pub sighting: Uuid,
    pub outcome: OutcomeKind,
    /// Why it was refused.
    pub reason: Option<String>,
    /// The recognised person's id.
    pub person: Option<String>,
    /// How sure the engine is of the face, and of the person.
    pub confidence: Option<f32>,
    pub match_confidence: Option<f32>,
    /// Who comes nearest to somebody unknown.
    pub nearest: Option<Nearest>,
    /// It came too late for an actuator.
    pub late: bool,
    /// What the rules made of it, where there are any.
    pub judged: Option<Judged>,
    /// What they ask for, without pictures.
    pub requests: Vec<ActionRequest>,
    /// What their guards held back.
    pub refused: Vec<RefusedAction>,
}

/// Who is present at a detector now, what follows from who has left, and what the rules made of that.
#[derive(Debug, Clone)]
pub struct Presence {
    pub detector: DetectorName,
    /// As [`Stay::to_record`](crate::rules::Stay::to_record) writes them.
    pub stays: Vec<Value>,
    /// What the rules ask for, without pictures.
    pub requests: Vec<ActionRequest>,
    pub judged: Vec<Judged>,
}

/// What the rules made of something, for the record.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    pub visit: VisitId,
    pub sighting: Uuid,
    pub event: EventKind,
    pub rules: Value,
}

impl Judged {
    /// What these verdicts are; `None` where there are no rules.
    pub fn of(visit: VisitId, sighting: Uuid, event: EventKind, verdicts: &[Verdict]) -> Option<Self> {
        let rules = verdicts.iter().map(Verdict::to_record).collect();
        (!verdicts.is_empty()).then_some(Self { visit, sighting, event, rules })
    }
}

/// What recording an answer brought about.
#[derive(Debug, Default, PartialEq)]
pub struct Settled {
    /// False when the sighting had been settled before: then nothing was recorded and nothing may be done.
    pub first: bool,
    /// The keys that were planned now and not at any time before; only these may be performed.
    pub planned: Vec<String>,
}

/// What waits, at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// Sightings stored, in flight included.
    pub sightings: usize,
    pub bytes: u64,
    /// Of these, those that only memory holds.
    pub in_memory: usize,
    /// When the oldest was stored, by this machine's clock then.
    pub oldest: Option<DateTime<Utc>>,
    /// When the next of those postponed is due.
    pub next_due: Option<Instant>,
    /// Why the disk takes nothing; `None` when it does.
    pub problem: Option<String>,
}

impl Answered {
    /// An answer and what the rules made of it.
    pub fn of(recognition: &Recognition, late: bool, judgement: &Judgement) -> Self {
        let Recognition { sighting, visit, answer, .. } = recognition;
        Self {
            sighting: *sighting,
            outcome: answer.kind(),
            reason: answer.reason().map(str::to_owned),
            person: answer.person_id().map(str::to_owned),
            confidence: answer.confidence(),
            match_confidence: answer.match_confidence(),
            nearest: answer.nearest().cloned(),
            late,
            judged: Judged::of(*visit, *sighting, EventKind::Recognition, &judgement.verdicts),
            requests: judgement.requests.iter().map(ActionRequest::without_picture).collect(),
            refused: judgement.refused.clone(),
        }
    }
}

impl DropReason {
    /// The word for it in metrics and JSON.
    pub fn label(self) -> &'static str {
        match self {
            Self::Full(worth) => worth.label(),
            Self::TooOld => "too_old",
            Self::Unreadable => "unreadable",
            Self::Damaged => "damaged",
            Self::Memory => "memory",
            Self::Erased => "erased",
        }
    }

    /// For people.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Full(worth) => worth.reason(),
            Self::TooOld => "it could not be sent within outbox.max_age_hours",
            Self::Unreadable => "what was stored of it could not be read",
            Self::Damaged => "the outbox's file was damaged, and it could not be saved from it",
            Self::Memory => "the disk took nothing, and neither could memory any more",
            Self::Erased => "it was erased before it was sent (doorward purge)",
        }
    }
}
