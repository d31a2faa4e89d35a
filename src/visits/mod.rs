//! What is known of a visit: one record, and one ranking of its outcomes.
//!
//! In: what the other rooms decide about a visitor. Out: a [`Visit`], which the page, the broker, the metrics and the
//! history all read. [`VisitBook`] keeps those that are not over yet. A record holds no picture; it may hold a name,
//! and is never logged.

mod book;

use chrono::{DateTime, Utc};
use faces::detect::Rect;
use faces::liveness::Liveness;
use faces::quality::{Part, Quality};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::capture::CaptureTime;
use crate::config::{DetectorName, OutcomeKind};
use crate::crop::Sighting;
use crate::recognition::{Answer, Known, Nearest};
use crate::rules::{ActionRequest, RefusedAction};
use crate::track::{BestShot, Unsent, VisitId};
pub use book::VisitBook;

/// Everything about one visit, from its first face to its last action.
#[derive(Debug, Clone)]
pub struct Visit {
    pub id: VisitId,
    /// See [`Sighting::stay`].
    pub stay: Option<VisitId>,
    pub detector: DetectorName,
    pub first_seen: DateTime<Utc>,
    pub last_seen: DateTime<Utc>,
    /// First and last seen on the pipeline's clock: milliseconds since the source's first frame.
    pub first_seen_ms: u64,
    pub last_seen_ms: u64,
    pub shots: Vec<SentShot>,
    pub outcome: VisitOutcome,
    /// Who it was, by the best answer.
    pub known: Option<Known>,
    /// Who came nearest, of all answers that it is somebody unknown; `None` once somebody is known.
    pub nearest: Option<Nearest>,
    pub actions: Vec<VisitAction>,
    /// The best quality seen, sent or not.
    pub best: Option<Quality>,
    /// The height of the tallest face seen, in pixels.
    pub largest_px: f32,
}

/// A shot that was sent, without its pixels.
#[derive(Debug, Clone)]
pub struct SentShot {
    pub sighting: Uuid,
    /// When the frame was taken, on the pipeline's clock: milliseconds since the source's first frame.
    pub at_ms: u64,
    /// The frame's sequence number.
    pub frame: u64,
    pub bbox: Rect,
    pub quality: Quality,
    pub liveness: Option<Liveness>,
}

/// A shot that has just been sent, and the visit it is of.
#[derive(Debug, Clone)]
pub struct Sent {
    pub visit: VisitId,
    /// See [`Sighting::stay`].
    pub stay: Option<VisitId>,
    pub detector: DetectorName,
    /// 1 for the first shot of the visit, then 2, 3, …
    pub number: u8,
    pub first_seen: CaptureTime,
    pub last_seen: CaptureTime,
    pub shot: SentShot,
    /// False in a dry run, where no answer will come.
    pub delivered: bool,
}

impl Sent {
    /// The shot that became this sighting.
    pub fn new(shot: &BestShot, sighting: &Sighting, delivered: bool) -> Self {
        Self {
            visit: shot.visit,
            stay: sighting.stay,
            detector: shot.frame.detector.clone(),
            number: shot.number,
            first_seen: shot.first_seen,
            last_seen: shot.last_seen,
            shot: SentShot {
                sighting: sighting.id,
                at_ms: shot.frame.time.offset.as_millis() as u64,
                frame: shot.frame.seq,
                bbox: shot.face.bbox,
                quality: shot.quality.clone(),
                liveness: sighting.liveness.clone(),
            },
            delivered,
        }
    }
}

/// An action that a rule asked for, and how it ended.
#[derive(Debug, Clone)]
pub struct VisitAction {
    pub rule: String,
    pub action: String,
    pub key: String,
    /// `None` while it is under way.
    pub result: Option<ActionResult>,
}

/// The ends an action can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActionResult {
    Done,
    /// Its time had passed before it could be performed.
    Expired,
    Failed {
        reason: String,
    },
    /// It would have been performed, and `dry_run` says not to.
    DryRun,
    /// Guards held it back, before it was asked for: their names, and what they wanted and found.
    Refused {
        guards: String,
        reason: String,
    },
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

/// How much the outcome of this name says of a visit; the one that says more replaces the other, as the second shot may
/// be recognised where the first was not. Whatever is not listed (a visit of which nothing was sent, a dry run) says
/// only more than that nobody has answered yet.
pub fn rank(outcome: &str) -> u8 {
    match outcome {
        "known" => 7,
        "unknown" => 6,
        "accepted" => 5,
        "no_face" => 4,
        "refused" => 3,
        "dropped" => 2,
        "pending" => 0,
        _ => 1,
    }
}

impl VisitOutcome {
    /// The word for it in logs, metrics, JSON and the history.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Known => OutcomeKind::Known.as_str(),
            Self::Unknown => OutcomeKind::Unknown.as_str(),
            Self::NoFace => OutcomeKind::NoFace.as_str(),
            Self::Refused(_) => OutcomeKind::Refused.as_str(),
            Self::Accepted => OutcomeKind::Accepted.as_str(),
            Self::Dropped(_) => "dropped",
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
            Self::Unsent(Unsent::Damaged) => Some("its pictures came damaged from the camera"),
            Self::Pending => Some("not answered yet; it is in the outbox"),
            Self::Known | Self::Unknown | Self::NoFace | Self::Accepted | Self::DryRun => None,
        }
    }

    /// Whether this outcome says more of a visit than the other; see [`rank`].
    pub fn says_more_than(&self, other: &Self) -> bool {
        rank(self.label()) > rank(other.label())
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

impl VisitAction {
    /// An action that was asked for just now.
    fn asked(request: &ActionRequest) -> Self {
        Self { rule: request.rule.clone(), action: request.action.clone(), key: request.key.clone(), result: None }
    }

    /// An actuator that a guard held back.
    fn refused(RefusedAction { request, refusal }: &RefusedAction) -> Self {
        let result = ActionResult::Refused { guards: refusal.guards(), reason: refusal.reason() };
        Self { result: Some(result), ..Self::asked(request) }
    }

    /// The end's word, or `pending` while it is under way.
    pub fn result_label(&self) -> &'static str {
        self.result.as_ref().map_or("pending", ActionResult::label)
    }

    /// Why it failed, or was refused.
    pub fn reason(&self) -> Option<&str> {
        self.result.as_ref().and_then(ActionResult::reason)
    }
}

impl ActionResult {
    /// The word for it in metrics, JSON, the history and on the status page; it never changes.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Expired => "expired",
            Self::Failed { .. } => "failed",
            Self::DryRun => "dry_run",
            Self::Refused { .. } => "refused",
        }
    }

    /// Why it failed, or was refused.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Failed { reason } | Self::Refused { reason, .. } => Some(reason),
            Self::Done | Self::Expired | Self::DryRun => None,
        }
    }
}

/// A quality with its parts, as every JSON of the agent shows it; three decimals are finer than any of it is measured.
pub fn quality_json(quality: &Quality) -> Value {
    let part = |part: Part| json!({ "score": rounded(part.score), "value": rounded(part.value) });
    let mut json = json!({ "total": rounded(quality.total) });
    for (name, measured) in quality.parts() {
        json[name] = part(measured);
    }
    json
}

/// What the liveness models said of a shot: together as `live`, and each by its name.
pub fn liveness_json(liveness: &Liveness) -> Value {
    let models: serde_json::Map<_, _> =
        liveness.models.iter().map(|score| (score.model.clone(), json!(rounded(score.live)))).collect();
    json!({ "live": rounded(liveness.live), "models": models })
}

fn rounded(value: f32) -> f64 {
    (f64::from(value) * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_engine_said_says_more_than_what_it_could_not_be_asked() {
        let ascending = [
            VisitOutcome::Pending,
            VisitOutcome::Unsent(Unsent::TooSmall),
            VisitOutcome::Dropped("full".into()),
            VisitOutcome::Refused("no".into()),
            VisitOutcome::NoFace,
            VisitOutcome::Accepted,
            VisitOutcome::Unknown,
            VisitOutcome::Known,
        ];
        for pair in ascending.windows(2) {
            assert!(pair[1].says_more_than(&pair[0]) && !pair[0].says_more_than(&pair[1]), "{pair:?}");
        }
        assert_eq!(rank("dry_run"), rank("too_poor"));
    }
}
