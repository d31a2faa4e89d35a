//! What the outbox promises, filed by property, against real files.

mod answered;
mod backlog;
mod command;
mod damage;
mod disk;
mod full;
mod keep;
mod model;
mod order;
mod power;
mod purge;
mod restart;
mod sealed;
mod vfs;

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use doorward::config::{DetectorName, OutboxConfig};
use doorward::crop::Sighting;
use doorward::outbox::{Answered, Outbox, Planned};
use doorward::track::VisitId;
use faces::detect::Rect;
use faces::embed::Embedding;
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
        outcome: "known",
        reason: None,
        person,
        confidence: Some(0.9),
        match_confidence: None,
        late: false,
        judged: None,
        refused: Vec::new(),
    }
}

fn planned(key: &str, of: &Sighting) -> Planned {
    Planned {
        key: key.into(),
        visit: of.visit,
        sighting: of.id,
        detector: of.detector.clone(),
        rule: "greet".into(),
        event: doorward::config::EventKind::Recognition,
        action: "lamp".into(),
        person: Some("person-1".into()),
        seen_at: of.seen_at,
        request: serde_json::json!({ "key": key }),
    }
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
    std::iter::from_fn(|| outbox.next(now).unwrap()).map(|queued| queued.sighting.id.as_u128() as u64).collect()
}
