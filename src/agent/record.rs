//! What the rooms after the outbox say, in the outbox's and the status page's own words: neither knows them.

use anyhow::Result;
use chrono::{TimeDelta, Utc};
use faces::quality::{Part, Quality};
use serde_json::{Value, json};
use uuid::Uuid;

use super::visits::{SentShot, VisitSummary};
use crate::actions::{ActionResult, Outcome};
use crate::capture::{CameraState, Lens};
use crate::config::{DetectorConfig, DetectorName, EventKind};
use crate::outbox::{ActionEnd, Answered, Judged, Outbox, PastFiring, PastSight, Planned, Refused, VisitClosed};
use crate::recognition::{Answer, Recognition};
use crate::rules::{ActionRequest, Firing, Judgement, RefusedAction, Seen, Verdict};
use crate::status::{ActionLine, CameraPhase, VisitLine};
use crate::track::VisitId;

/// How far back the rules' memory is filled after a restart, at least and at most. In between, as far as a rule rests.
const REMEMBERED: (TimeDelta, TimeDelta) = (TimeDelta::days(1), TimeDelta::days(366));

/// How far back a rule can ask who was seen (`absent_secs`), as far as the history goes.
const SEEN: TimeDelta = TimeDelta::days(30);

/// An answer and the actions that follow from it.
pub fn settled(recognition: &Recognition, late: bool, judgement: &Judgement) -> (Answered, Vec<Planned>) {
    let (outcome, reason, known) = match &recognition.answer {
        Answer::Known(known) => ("known", None, Some(known)),
        Answer::Unknown { .. } => ("unknown", None, None),
        Answer::NoFace => ("no_face", None, None),
        Answer::Accepted => ("accepted", None, None),
        Answer::Refused { reason } => ("refused", Some(reason.clone()), None),
    };
    let confidence = match &recognition.answer {
        Answer::Known(known) => known.confidence,
        Answer::Unknown { confidence } => *confidence,
        _ => None,
    };
    let match_confidence = known.and_then(|known| known.match_confidence);
    let person = known.map(|known| known.person.id.clone());
    let Recognition { sighting, visit, .. } = *recognition;
    let judged = judged(visit, sighting, EventKind::Recognition, &judgement.verdicts);
    let refused = judgement.refused.iter().map(refused).collect();
    let answered = Answered { sighting, outcome, reason, person, confidence, match_confidence, late, judged, refused };
    (answered, planned(&judgement.requests))
}

/// What the rules made of something; nothing where there are none.
pub fn judged(visit: VisitId, sighting: Uuid, event: EventKind, verdicts: &[Verdict]) -> Option<Judged> {
    let rules = verdicts.iter().map(Verdict::to_record).collect();
    (!verdicts.is_empty()).then_some(Judged { visit, sighting, event, rules })
}

fn refused(refused: &RefusedAction) -> Refused {
    Refused {
        key: refused.key.clone(),
        visit: refused.visit,
        sighting: refused.sighting,
        detector: refused.detector.clone(),
        rule: refused.rule.clone(),
        action: refused.refusal.action.clone(),
        person: refused.person.clone(),
        seen_at: refused.seen_at,
        reason: refused.refusal.reason(),
    }
}

/// Actions to perform, for the ledger.
pub fn planned(requests: &[ActionRequest]) -> Vec<Planned> {
    let planned = |request: &ActionRequest| Planned {
        key: request.key.clone(),
        visit: request.visit,
        sighting: request.sighting,
        detector: request.detector.clone(),
        rule: request.rule.clone(),
        event: request.event,
        action: request.action.clone(),
        person: request.person.clone(),
        seen_at: request.seen_at,
        request: request.to_record(),
    };
    requests.iter().map(planned).collect()
}

/// How an action ended.
pub fn end(result: &ActionResult) -> ActionEnd {
    match result {
        ActionResult::Done => ActionEnd::Done,
        ActionResult::Expired => ActionEnd::Expired,
        // What was refused is on record as that, and has never been asked for.
        ActionResult::Failed { reason } | ActionResult::Refused { reason, .. } => {
            ActionEnd::Failed { reason: reason.clone() }
        }
        ActionResult::DryRun => ActionEnd::DryRun,
    }
}

/// What one detector's rules fired before a restart, and which action.
pub fn firings(outbox: &Outbox, detector: &DetectorConfig) -> Result<Vec<(Firing, String)>> {
    let longest = detector.rules.iter().filter_map(|rule| rule.cooldown_secs).max().unwrap_or_default();
    let rests = i64::try_from(longest).ok().and_then(TimeDelta::try_seconds).unwrap_or(TimeDelta::MAX);
    let past = outbox.recent_firings(Utc::now() - rests.clamp(REMEMBERED.0, REMEMBERED.1))?.into_iter();
    Ok(past
        .filter(|firing| firing.detector == detector.name)
        .map(|PastFiring { rule, event, action, detector, person, visit, seen_at }| {
            (Firing { rule, event, detector, person, visit, seen_at }, action)
        })
        .collect())
}

/// Who one detector saw before a restart.
pub fn seen(outbox: &Outbox, detector: &DetectorName) -> Result<Vec<Seen>> {
    let past = outbox.recent_sights(Utc::now() - SEEN)?.into_iter();
    Ok(past
        .filter(|sight| sight.detector == *detector)
        .map(|PastSight { detector, person, visit, seen_at }| Seen { detector, person, visit, seen_at })
        .collect())
}

/// A closed visit for the status page: ids and tags only.
pub fn visit_line(summary: &VisitSummary) -> VisitLine {
    let known = summary.known.as_ref();
    VisitLine {
        visit: summary.visit.to_string(),
        detector: summary.detector.clone(),
        first_seen: summary.first_seen,
        last_seen: summary.last_seen,
        outcome: Some(summary.outcome.label().into()),
        why: summary.outcome.reason().map(str::to_string),
        person_id: known.map(|known| known.person.id.clone()),
        tags: known.map(|known| known.tags.iter().map(|tag| tag.name.clone()).collect()).unwrap_or_default(),
        shots: summary.sent.len().min(u8::MAX.into()) as u8,
        quality: summary.sent.iter().map(|shot| shot.quality.total).reduce(f32::max),
        confidence: known.and_then(|known| known.confidence),
        match_confidence: known.and_then(|known| known.match_confidence),
    }
}

/// An action that ended, for the status page.
pub fn action_line(request: &ActionRequest, outcome: &Outcome) -> ActionLine {
    let result = &outcome.result;
    ActionLine {
        at: Utc::now(),
        action: outcome.action.clone(),
        rule: request.rule.clone(),
        detector: request.detector.clone(),
        visit: request.visit.to_string(),
        result: result.label().into(),
        reason: result.reason().map(str::to_owned),
        took_ms: outcome.took.as_millis() as u64,
    }
}

/// An actuator that was held back, for the status page: with what the guards wanted and found, which are no names.
pub fn refused_line(refused: &RefusedAction) -> ActionLine {
    ActionLine {
        at: Utc::now(),
        action: refused.refusal.action.clone(),
        rule: refused.rule.clone(),
        detector: refused.detector.clone(),
        visit: refused.visit.to_string(),
        result: "refused".into(),
        reason: Some(refused.refusal.reason()),
        took_ms: 0,
    }
}

/// What a camera is doing, in the status page's words: its phase and why, and what is wrong with its picture.
pub fn camera(state: &CameraState) -> (CameraPhase, String, Option<String>) {
    match state {
        CameraState::Connecting => (CameraPhase::Starting, String::new(), None),
        CameraState::Streaming { lens, .. } => (CameraPhase::Live, String::new(), lens_problem(*lens)),
        CameraState::Failed { reason, .. } => (CameraPhase::Lost, reason.clone(), None),
        CameraState::Ended => (CameraPhase::Ended, String::new(), None),
    }
}

fn lens_problem(lens: Lens) -> Option<String> {
    let problem = match lens {
        Lens::Clear => return None,
        Lens::Dark => "the picture is dark: light the door, or take the cap off",
        Lens::Covered => "the lens is covered: the picture shows nothing",
        Lens::Frozen => "the picture is frozen: the camera sends the same one again and again",
    };
    Some(problem.into())
}

/// A closed visit for the history: with its shots, without anybody's name.
pub fn closed(summary: &VisitSummary) -> VisitClosed {
    let shot = |shot: &SentShot| {
        json!({
            "sighting": shot.sighting,
            "frame": shot.frame,
            "at_ms": shot.at_ms,
            "box": [shot.bbox.x, shot.bbox.y, shot.bbox.width, shot.bbox.height],
            "quality": quality(&shot.quality),
        })
    };
    VisitClosed {
        visit: summary.visit,
        detector: summary.detector.clone(),
        first_seen: summary.first_seen,
        last_seen: summary.last_seen,
        outcome: summary.outcome.label(),
        reason: summary.outcome.reason().map(str::to_string),
        detail: match summary.sent.is_empty() && summary.best.is_none() {
            // Opened again by its answer: what was told of it before says more.
            true => Value::Null,
            false => json!({
                "sent": summary.sent.iter().map(shot).collect::<Vec<_>>(),
                "best": summary.best.as_ref().map(quality),
                "largest_px": summary.largest_px,
            }),
        },
    }
}

/// A quality with its parts, as every JSON of the agent shows it.
pub fn quality(quality: &Quality) -> Value {
    let part = |part: Part| json!({ "score": rounded(part.score), "value": rounded(part.value) });
    json!({
        "total": rounded(quality.total),
        "size": part(quality.size),
        "sharpness": part(quality.sharpness),
        "pose": part(quality.pose),
        "exposure": part(quality.exposure),
        "truncation": part(quality.truncation),
    })
}

/// Three decimals: finer than any of it is measured.
fn rounded(value: f32) -> f64 {
    (f64::from(value) * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_frozen_picture_is_a_fault_within_a_minute() {
        // The camera is reopened once in between.
        let reopening = Duration::from_secs(5);
        assert!(crate::capture::FROZEN_AFTER + reopening + crate::status::BAD_PICTURE < Duration::from_secs(60));
        let frozen =
            CameraState::Streaming { size: (64, 48), fps: 15.0, source: "a camera".into(), lens: Lens::Frozen };
        let (phase, _, problem) = camera(&frozen);
        assert_eq!(phase, CameraPhase::Live);
        assert!(problem.is_some_and(|problem| problem.contains("frozen")));
    }
}
