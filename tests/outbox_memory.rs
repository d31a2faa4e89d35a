//! What the outbox takes of memory while its disk takes nothing, in a process of its own: the figure is the process's.

#[path = "outbox/vfs.rs"]
#[allow(dead_code)]
mod vfs;

use std::sync::Arc;
use std::time::Instant;

use chrono::Utc;
use doorward::config::{DetectorName, EventKind, OutboxConfig, OutcomeKind};
use doorward::crop::Sighting;
use doorward::outbox::{Answered, Outbox};
use doorward::rules::ActionRequest;
use doorward::track::VisitId;
use doorward::visits::{ActionResult, Visit, VisitOutcome};
use faces::detect::Rect;
use uuid::Uuid;

const VISITS: u128 = 100_000;
const MOST: u64 = 16 << 20;

fn name() -> DetectorName {
    DetectorName::new("door").unwrap()
}

fn sighting(n: u128) -> Sighting {
    Sighting {
        id: Uuid::from_u128(n),
        visit: VisitId(Uuid::from_u128(n << 64 | n)),
        stay: None,
        detector: name(),
        time_zone: chrono_tz::UTC,
        seen_at: Utc::now(),
        arrived: Some(Instant::now()),
        shot: 1,
        quality: 0.75,
        expanded: vec![7; 20_000].into(),
        face: Rect { x: 0.0, y: 0.0, width: 30.0, height: 40.0 },
        aligned: None,
        embedding: None,
        liveness: None,
    }
}

fn answered(of: &Sighting) -> Answered {
    let request = ActionRequest {
        key: format!("{}-0123456789abcdef", of.visit),
        visit: of.visit,
        sighting: of.id,
        detector: name(),
        rule: "everybody".into(),
        event: EventKind::Recognition,
        action: "journal".into(),
        person: Some("person".into()),
        seen_at: of.seen_at,
        inputs: serde_json::json!({ "person": { "name": "Ann Example", "tags": ["VIP", "Guest"] }, "quality": 0.75 }),
        picture: None,
        late: false,
        expires_at: None,
    };
    Answered {
        sighting: of.id,
        outcome: OutcomeKind::Known,
        reason: None,
        person: Some("person".into()),
        confidence: Some(0.9),
        match_confidence: Some(0.8),
        nearest: None,
        late: false,
        judged: None,
        requests: vec![request],
        refused: Vec::new(),
    }
}

fn closed(of: &Sighting) -> Arc<Visit> {
    Arc::new(Visit {
        id: of.visit,
        stay: None,
        detector: name(),
        first_seen: of.seen_at,
        last_seen: of.seen_at,
        first_seen_ms: 0,
        last_seen_ms: 0,
        shots: Vec::new(),
        outcome: VisitOutcome::Known,
        known: None,
        nearest: None,
        actions: Vec::new(),
        best: None,
        largest_px: 60.0,
    })
}

/// What the process holds, in bytes.
fn memory() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[test]
fn a_disk_that_stays_away_costs_no_more_memory_than_promised() {
    let dir = tempfile::tempdir().unwrap();
    let disk = vfs::watch(dir.path());
    let outbox = Outbox::open(dir.path(), &OutboxConfig::default()).unwrap();
    outbox.accept(&sighting(VISITS + 1)).wait().unwrap();
    disk.fail(vfs::Fault::Full);
    let before = memory();
    let (mut most, mut performed) = (0, 0);
    for n in 1..=VISITS {
        let sent = sighting(n);
        outbox.accept(&sent).wait().unwrap();
        // Every tenth waits for an engine that is away as well.
        if n % 10 > 0 {
            let answered = answered(&sent);
            let key = answered.requests[0].key.clone();
            assert!(outbox.answered(answered).wait().unwrap().first);
            performed += u128::from(outbox.claim(&key).wait().unwrap());
            assert!(!outbox.claim(&key).wait().unwrap(), "once");
            outbox.finish(&key, &ActionResult::Done).wait().unwrap();
            outbox.visit_closed(closed(&sent)).wait().unwrap();
        }
        if n % 1000 == 0 {
            most = most.max(memory());
        }
    }
    assert_eq!(performed, VISITS - VISITS / 10, "each action once");
    let (figures, grown) = (outbox.figures(), most.saturating_sub(before));
    println!("memory grew by {:.1} MiB; {} wait in it", grown as f64 / f64::from(1 << 20), figures.in_memory);
    assert!(figures.problem.is_some() && figures.in_memory > 100, "{figures:?}");
    assert!(grown <= MOST, "memory grew by {grown} bytes");
}
