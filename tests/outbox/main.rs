//! What the outbox promises, filed by property, against real files.

mod answered;
mod backlog;
mod command;
mod damage;
mod disk;
mod full;
mod keep;
mod liveness;
mod model;
mod order;
mod power;
mod purge;
mod restart;
mod sealed;
#[path = "../support/mod.rs"]
mod support;
mod vfs;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use doorward::config::{DetectorName, EventKind, OutboxConfig, OutcomeKind};
use doorward::crop::Sighting;
use doorward::outbox::{Answered, Judged, Outbox, Presence};
use doorward::rules::ActionRequest;
use doorward::track::VisitId;
use doorward::visits::{Visit, VisitOutcome};
use faces::detect::Rect;
use faces::embed::Embedding;
use faces::liveness::{Liveness, ModelScore};
use serde_json::Value;
use support::wait_for;
use uuid::Uuid;

fn open(dir: &Path) -> Outbox {
    Outbox::open(dir, &OutboxConfig::default()).unwrap()
}

fn name() -> DetectorName {
    DetectorName::new("Front door").unwrap()
}

/// The `n`th sighting, each of a visit of its own, with `bytes` of picture that tell it from every other.
fn sighting(n: u64, bytes: usize) -> Sighting {
    Sighting {
        id: Uuid::from_u128(u128::from(n)),
        visit: visit(n),
        stay: Some(visit(n / 2)),
        detector: name(),
        time_zone: chrono_tz::Europe::Helsinki,
        seen_at: seen_at(n),
        arrived: Some(Instant::now()),
        shot: 1,
        quality: 0.75,
        expanded: picture(n, bytes).into(),
        face: Rect { x: -1.5, y: 2.5, width: 30.25, height: 40.75 },
        aligned: Some(picture(n + 1, 300).into()),
        embedding: Some(Embedding { model: "m".into(), values: vec![n as f32, -0.5, f32::MIN_POSITIVE] }),
        liveness: Some(Liveness { live: 0.625, models: vec![ModelScore { model: "l".into(), live: 0.625 }] }),
    }
}

/// Told from every other by its beginning and by its end.
fn visit(n: u64) -> VisitId {
    VisitId(Uuid::from_u128(u128::from(n) << 64 | u128::from(n)))
}

fn seen_at(n: u64) -> DateTime<Utc> {
    "2026-03-04T05:06:07.123456Z".parse::<DateTime<Utc>>().unwrap() + Duration::from_secs(n)
}

fn picture(n: u64, bytes: usize) -> Vec<u8> {
    format!("picture {n:016} ").into_bytes().into_iter().cycle().take(bytes).collect()
}

fn known(sighting: Uuid) -> Answered {
    let person = Some("person-1".into());
    Answered {
        sighting,
        outcome: OutcomeKind::Known,
        reason: None,
        person,
        confidence: Some(0.9),
        match_confidence: None,
        nearest: None,
        late: false,
        judged: None,
        refused: Vec::new(),
        requests: Vec::new(),
    }
}

fn planned(key: &str, of: &Sighting) -> ActionRequest {
    ActionRequest {
        key: key.into(),
        visit: of.visit,
        sighting: of.id,
        detector: of.detector.clone(),
        rule: "greet".into(),
        event: EventKind::Recognition,
        action: "lamp".into(),
        person: Some("person-1".into()),
        seen_at: of.seen_at,
        inputs: serde_json::json!({ "key": key }),
        picture: None,
        late: false,
        expires_at: None,
    }
}

/// The answer with the actions that follow from it.
fn following(answered: Answered, requests: &[ActionRequest]) -> Answered {
    Answered { requests: requests.to_vec(), ..answered }
}

/// Who is present, and what follows from who has left.
fn present(stays: &[Value], requests: &[ActionRequest], judged: &[Judged]) -> Presence {
    Presence { detector: name(), stays: stays.to_vec(), requests: requests.to_vec(), judged: judged.to_vec() }
}

/// The visit of a sighting, closed with this outcome.
fn closed(of: &Sighting, outcome: VisitOutcome) -> Arc<Visit> {
    Arc::new(Visit {
        id: of.visit,
        stay: of.stay,
        detector: name(),
        first_seen: of.seen_at,
        last_seen: of.seen_at,
        first_seen_ms: 0,
        last_seen_ms: 0,
        shots: Vec::new(),
        outcome,
        known: None,
        nearest: None,
        actions: Vec::new(),
        best: None,
        largest_px: 0.0,
    })
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Every file below a folder, with what is in it.
fn files(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    found
}

/// Takes everything that is due, in order.
fn drain(outbox: &Outbox) -> Vec<u64> {
    let now = Instant::now();
    std::iter::from_fn(|| outbox.next(now).wait().unwrap()).map(|queued| queued.sighting.id.as_u128() as u64).collect()
}
