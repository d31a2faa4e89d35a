//! How long a sighting takes through the outbox: accepted on disk, taken, answered, its action claimed and ended.

use std::time::Instant;

use chrono::Utc;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use doorward::config::{DetectorName, OutboxConfig};
use doorward::crop::Sighting;
use doorward::outbox::{Answered, Outbox};
use doorward::rules::ActionRequest;
use doorward::track::VisitId;
use doorward::visits::ActionResult;
use faces::detect::Rect;
use uuid::Uuid;

/// A usual expanded crop: 640 pixels, JPEG at 90.
const PICTURE_BYTES: usize = 60_000;

fn sighting() -> Sighting {
    Sighting {
        id: Uuid::now_v7(),
        visit: VisitId(Uuid::now_v7()),
        stay: None,
        detector: DetectorName::new("door").expect("a plain word is a name"),
        time_zone: chrono_tz::UTC,
        seen_at: Utc::now(),
        arrived: Some(Instant::now()),
        shot: 1,
        quality: 0.8,
        expanded: vec![0x5a; PICTURE_BYTES].into(),
        face: Rect { x: 1.0, y: 2.0, width: 3.0, height: 4.0 },
        aligned: None,
        embedding: None,
        liveness: None,
    }
}

fn answer(sighting: Uuid) -> Answered {
    let (person, refused) = (Some("p".into()), Vec::new());
    Answered {
        sighting,
        outcome: doorward::config::OutcomeKind::Known,
        reason: None,
        person,
        confidence: None,
        match_confidence: None,
        nearest: None,
        late: false,
        judged: None,
        refused,
        requests: Vec::new(),
    }
}

fn planned(of: &Sighting) -> ActionRequest {
    ActionRequest {
        key: of.id.to_string(),
        visit: of.visit,
        sighting: of.id,
        detector: of.detector.clone(),
        rule: "greet".into(),
        event: doorward::config::EventKind::Recognition,
        action: "lamp".into(),
        person: None,
        seen_at: of.seen_at,
        inputs: serde_json::Value::Null,
        picture: None,
        late: false,
        expires_at: None,
    }
}

/// The answer with the actions that follow from it.
fn following(answered: Answered, requests: &[ActionRequest]) -> Answered {
    Answered { requests: requests.to_vec(), ..answered }
}

fn outbox(c: &mut Criterion) {
    // On the disk the project is built on: a temporary folder may be memory, which syncs for nothing.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the build folder can be written to");
    let outbox = Outbox::open(dir.path(), &OutboxConfig::default()).expect("a new outbox opens");
    let mut group = c.benchmark_group("outbox");
    group.sample_size(30);
    group.bench_function("accept", |b| {
        b.iter_batched(sighting, |sighting| outbox.accept(&sighting).wait().expect("stored"), BatchSize::PerIteration);
    });
    while let Some(queued) = outbox.next(Instant::now()).wait().expect("read") {
        outbox.answered(answer(queued.sighting.id)).wait().expect("recorded");
    }
    group.bench_function("accept to answered", |b| {
        b.iter_batched(
            sighting,
            |sighting| {
                outbox.accept(&sighting).wait().expect("stored");
                let queued = outbox.next(Instant::now()).wait().expect("read").expect("it is there");
                outbox.answered(answer(queued.sighting.id)).wait().expect("recorded");
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("accept to action done", |b| {
        b.iter_batched(
            sighting,
            |sighting| {
                outbox.accept(&sighting).wait().expect("stored");
                let queued = outbox.next(Instant::now()).wait().expect("read").expect("it is there");
                let settled = outbox
                    .answered(following(answer(queued.sighting.id), &[planned(&queued.sighting)]))
                    .wait()
                    .expect("recorded");
                assert!(outbox.claim(&settled.planned[0]).wait().expect("claimed"));
                outbox.finish(&settled.planned[0], &ActionResult::Done).wait().expect("ended");
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, outbox);
criterion_main!(benches);
