//! Visits and actions as the status page lists them: ids and tags, never names.
//!
//! In: the record of a visit, the end of an action. Out: a line for each.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::actions::Outcome;
use crate::config::DetectorName;
use crate::rules::{ActionRequest, RefusedAction};
use crate::visits::Visit;

/// A visit, in ids.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VisitLine {
    pub visit: String,
    pub detector: DetectorName,
    pub first_seen: DateTime<Utc>,
    pub last_seen: DateTime<Utc>,
    /// In the words of the record: known, unknown, too small …; `None` while the visit lasts.
    pub outcome: Option<String>,
    /// Why that outcome.
    pub why: Option<String>,
    pub person_id: Option<String>,
    pub tags: Vec<String>,
    /// Pictures sent.
    pub shots: u8,
    /// Of the best shot, 0 to 1.
    pub quality: Option<f32>,
    /// How sure the engine is that it is a face, 0 to 1.
    pub confidence: Option<f32>,
    /// How sure the engine is that it is this person, 0 to 1, where it says so.
    pub match_confidence: Option<f32>,
    /// Of somebody unknown who came nearest.
    pub nearest: Option<NearestLine>,
}

/// Who came nearest to somebody unknown, in ids.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NearestLine {
    pub person_id: String,
    /// `0.41 of 0.43`.
    pub measured: String,
}

/// What became of one action.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ActionLine {
    pub at: DateTime<Utc>,
    pub action: String,
    pub rule: String,
    pub detector: DetectorName,
    pub visit: String,
    /// done, expired, failed, dry_run, or refused by a guard.
    pub result: String,
    pub reason: Option<String>,
    pub took_ms: u64,
}

impl From<&Visit> for VisitLine {
    fn from(visit: &Visit) -> Self {
        let known = visit.known.as_ref();
        Self {
            visit: visit.id.to_string(),
            detector: visit.detector.clone(),
            first_seen: visit.first_seen,
            last_seen: visit.last_seen,
            outcome: Some(visit.outcome.label().into()),
            why: visit.outcome.reason().map(str::to_owned),
            person_id: known.map(|known| known.person.id.clone()),
            tags: known.map(|known| known.tags.iter().map(|tag| tag.name.clone()).collect()).unwrap_or_default(),
            shots: visit.shots.len().min(u8::MAX.into()) as u8,
            quality: visit.shots.iter().map(|shot| shot.quality.total).reduce(f32::max),
            confidence: known.and_then(|known| known.confidence),
            match_confidence: known.and_then(|known| known.match_confidence),
            nearest: visit
                .nearest
                .as_ref()
                .map(|nearest| NearestLine { person_id: nearest.person.id.clone(), measured: nearest.measured() }),
        }
    }
}

impl ActionLine {
    /// An action that ended just now.
    pub fn ended(request: &ActionRequest, outcome: &Outcome) -> Self {
        Self {
            at: Utc::now(),
            action: outcome.action.clone(),
            rule: request.rule.clone(),
            detector: request.detector.clone(),
            visit: request.visit.to_string(),
            result: outcome.result.label().into(),
            reason: outcome.result.reason().map(str::to_owned),
            took_ms: outcome.took.as_millis() as u64,
        }
    }

    /// An actuator that was held back just now, with what its guards wanted and found, which are no names.
    pub fn refused(RefusedAction { request, refusal }: &RefusedAction) -> Self {
        Self {
            at: Utc::now(),
            action: request.action.clone(),
            rule: request.rule.clone(),
            detector: request.detector.clone(),
            visit: request.visit.to_string(),
            result: "refused".into(),
            reason: Some(refusal.reason()),
            took_ms: 0,
        }
    }
}
