//! A week without the engine: what it costs, and who is served first when it is back.
//!
//! The real outbox, delivery, rules and actions; only the cameras and the engine are stand-ins, so that a week of
//! visitors takes a minute. A process of its own, because it measures its own memory.

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use chrono::{DateTime, TimeDelta, Utc};
use doorward::actions::Actions;
use doorward::agent::{Beat, Delivery, DeliveryOptions, Detector, Event, Events, Handover, History, Parts, Presences};
use doorward::capture::{CaptureTime, Frame};
use doorward::clock;
use doorward::config::{
    ActionConfig, CameraConfig, DetectorConfig, IdentitiesConfig, JournalConfig, OutboxConfig, ReplayConfig,
    RuleConfig, from_toml,
};
use doorward::crop::Sighting;
use doorward::outbox::Outbox;
use doorward::rules::Rules;
use doorward::status::Board;
use doorward::track::{BestShot, ShotReason, VisitEnd};
use faces::detect::{Face, Point};
use faces::picture::Picture;
use faces::quality::{Part, Quality};
use identities::Client;
use serde_json::{Value, json};
use support::sightings::{door, sighting};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Seven days of a visit every 20 s; `DOORWARD_TEST_OUTAGE_VISITS` makes it another time.
const WEEK: usize = 30_240;
const EVERY: TimeDelta = TimeDelta::seconds(20);
const PICTURE_BYTES: usize = 4_096;
/// About nine tenths of the visits fit, so that the bound is met.
const BYTES_A_VISIT: u64 = 4_150;
const LATE_AFTER: Duration = Duration::from_secs(5);
const MOST_MEMORY: u64 = 20 << 20;

/// The engine: nobody is known to it.
#[derive(Default)]
struct Engine {
    /// When what was asked about was seen, in the order of the questions, in milliseconds.
    asked: Mutex<Vec<i64>>,
    answers_after_ms: AtomicI64,
}

impl Engine {
    fn asked(&self) -> Vec<i64> {
        self.asked.lock().unwrap().clone()
    }
}

async fn publish(State(engine): State<Arc<Engine>>, Json(body): Json<Value>) -> Json<Value> {
    let seen: DateTime<Utc> = body["detectTimeUtc"].as_str().unwrap().parse().unwrap();
    engine.asked.lock().unwrap().push(seen.timestamp_millis());
    let pause = engine.answers_after_ms.load(Ordering::Relaxed);
    if pause > 0 {
        tokio::time::sleep(Duration::from_millis(pause.unsigned_abs())).await;
    }
    Json(json!({"detectedFaces": [{"confidence": 0.5}]}))
}

async fn serve(engine: Arc<Engine>, address: SocketAddr) {
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let router = Router::new()
        .route("/api/v1/authenticate", post(|| async { Json(json!({"username": "box", "token": "t"})) }))
        .route("/api/v1/faceEdge/publishWithResponse", post(publish))
        .with_state(engine);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
}

/// The agent's second half, with nobody in front of it yet.
struct Station {
    folder: tempfile::TempDir,
    outbox: Outbox,
    handover: Handover,
    told: std::thread::JoinHandle<()>,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
    frame: Arc<Frame>,
}

impl Station {
    fn start(engine: SocketAddr, max_bytes: u64, concurrency: u16) -> Self {
        // In memory where there is such a folder: this is about memory and order, and other tests want the disk.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let config = OutboxConfig { max_bytes, max_age_hours: 24 * 30, ..OutboxConfig::default() };
        let outbox = Outbox::open(folder.path(), &config).unwrap();
        let (events, stream) = Events::stream(vec![Box::new(History(outbox.clone()))]);
        let told = std::thread::spawn(|| stream.run(&Beat::default()));
        let board = Board::new(Instant::now(), [door()]);
        let (presences, wake) = (Presences::default(), Arc::new(Notify::new()));
        let mut identities = IdentitiesConfig::new(format!("http://{engine}").parse().unwrap(), "box", "password");
        identities.retry_max_ms = 1000;
        let journal = JournalConfig { max_bytes: 1 << 30, ..JournalConfig::new(folder.path().join("journal.jsonl")) };
        let actions = Actions::new(&[("log".to_string(), ActionConfig::Journal(journal))].into(), None, None).unwrap();
        let rule: RuleConfig =
            from_toml("name = 'everybody'\nwhen = { outcome = ['unknown'] }\nactions = ['log']").unwrap();
        let rules = Rules::new(vec![rule], chrono_tz::UTC, LATE_AFTER, |_| None).unwrap();
        let camera = CameraConfig::Replay(ReplayConfig::new("nowhere"));
        let detector =
            Detector { config: Arc::new(DetectorConfig::new(door(), camera)), rules: parking_lot::Mutex::new(rules) };
        let parts = Parts {
            outbox: outbox.clone(),
            client: Client::new(&identities.client()).unwrap(),
            actions,
            detectors: [(door(), detector)].into(),
            presences: presences.clone(),
            events: events.clone(),
            board: board.clone(),
            wake: wake.clone(),
        };
        let delivery = Delivery::new(parts, DeliveryOptions { late_after: LATE_AFTER, concurrency, drain_per_sec: 0 });
        let handover = Handover { outbox: Some(outbox.clone()), events, presences, board, wake };
        let stop = CancellationToken::new();
        let running = tokio::spawn(delivery.run(stop.clone(), Beat::default()));
        let picture = Arc::new(Picture::filled(8, 8, [0; 3]));
        let frame = Arc::new(Frame { detector: door(), seq: 0, time: now(Utc::now()), picture, damaged: false });
        Self { folder, outbox, handover, told, stop, running, frame }
    }

    /// Somebody comes and goes.
    fn visit(&self, sighting: Sighting) {
        let part = Part { score: 0.75, value: 1.0 };
        let quality = Quality { total: 0.75, ..Quality::of([part; 6]) };
        let seen = now(sighting.seen_at);
        let shot = BestShot {
            visit: sighting.visit,
            frame: Arc::clone(&self.frame),
            face: Face { bbox: sighting.face, landmarks: [Point { x: 0.0, y: 0.0 }; 5], score: 0.9 },
            others: Vec::new(),
            quality: quality.clone(),
            first_seen: seen,
            last_seen: seen,
            reason: ShotReason::First,
            number: 1,
        };
        let end = VisitEnd {
            visit: sighting.visit,
            detector: door(),
            first_seen: seen,
            last_seen: seen,
            frames: 9,
            largest_px: 60.0,
            shots: 1,
            best: Some(quality),
            unsent: None,
        };
        tokio::task::block_in_place(|| self.handover.accept(&shot, sighting));
        self.handover.events.tell(Event::Left(Box::new(end)));
    }

    /// The journal, and how many sightings ended how.
    async fn stop(self) -> (Vec<Value>, BTreeMap<String, usize>) {
        self.stop.cancel();
        self.running.await.unwrap();
        self.handover.events.end();
        self.told.join().unwrap();
        let journal = std::fs::read_to_string(self.folder.path().join("journal.jsonl")).unwrap();
        let ledger = rusqlite::Connection::open(self.folder.path().join("outbox/outbox.sqlite")).unwrap();
        let mut ends = ledger.prepare("SELECT COALESCE(outcome, 'none'), COUNT(*) FROM shot GROUP BY 1").unwrap();
        let ends = ends.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as usize))).unwrap();
        (
            journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
            ends.collect::<Result<_, _>>().unwrap(),
        )
    }
}

fn now(utc: DateTime<Utc>) -> CaptureTime {
    CaptureTime { utc, offset: Duration::ZERO, arrived: clock::now() }
}

/// What the process holds, in bytes.
fn memory() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_week_without_the_engine() {
    identities::trust::crypto();
    let visits = std::env::var("DOORWARD_TEST_OUTAGE_VISITS").map_or(WEEK, |visits| visits.parse().unwrap());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let max_bytes = BYTES_A_VISIT * visits as u64;
    let station = Station::start(address, max_bytes, 2);
    let start = Utc::now() - EVERY * visits as i32;

    // Down. Long ago as far as the doors are concerned; the clocks of ages say the same.
    let (mut before, mut most) = (0, 0);
    let fed = Instant::now();
    for n in 0..visits {
        let long_ago = clock::now().checked_sub(2 * LATE_AFTER);
        let waiting = Sighting { arrived: long_ago, ..sighting(n as u64, start + EVERY * n as i32, PICTURE_BYTES) };
        station.visit(waiting);
        if n == visits / 20 {
            before = memory();
        }
        most = most.max(memory());
    }
    let fed = fed.elapsed();
    let figures = station.outbox.figures();
    let (kept, bytes) = (figures.sightings, figures.bytes);
    assert!(bytes <= max_bytes && kept < visits && kept > visits * 8 / 10, "{kept} of {visits} kept, {bytes} bytes");

    // Back. Somebody comes now and then while the backlog goes out.
    let engine = Arc::new(Engine::default());
    serve(Arc::clone(&engine), address).await;
    let back = Instant::now();
    let mut waits = Vec::new();
    let mut n = visits as u64;
    while station.outbox.figures().sightings > 0 {
        let live = Sighting { arrived: Some(clock::now()), ..sighting(n, Utc::now(), PICTURE_BYTES) };
        let seen = live.seen_at.timestamp_millis();
        n += 1;
        let came = Instant::now();
        station.visit(live);
        let stored = engine.asked().len();
        support::until("the visitor to be asked about", || engine.asked().contains(&seen)).await;
        let place = engine.asked().iter().position(|asked| *asked == seen).unwrap();
        if stored > 0 {
            waits.push((place.saturating_sub(stored), came.elapsed()));
        }
        most = most.max(memory());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let drained = back.elapsed();
    let (journal, ends) = station.stop().await;

    let asked = engine.asked();
    let grown = most.saturating_sub(before);
    let slowest = waits.iter().map(|(_, wait)| *wait).max().unwrap();
    println!(
        "{visits} visits in {fed:.1?}; {kept} kept in {bytes} bytes; drained in {drained:.1?}, {:.0} a second; {} visitors meanwhile, asked about within {slowest:.1?}; memory grew by {:.1} MiB",
        kept as f64 / drained.as_secs_f64(),
        waits.len(),
        grown as f64 / f64::from(1 << 20),
    );
    assert!(grown < MOST_MEMORY, "memory grew by {grown} bytes");
    assert!(!waits.is_empty(), "nobody came while the backlog went out");
    // The one that was under way, and one that set out beside the visitor's and overtook it. More overtake only a
    // request that a busy machine does not let run, which is rare; and of a backlog of thousands, never many.
    let overtaken: Vec<_> = waits.iter().map(|(ahead, _)| *ahead).filter(|ahead| *ahead > 2).collect();
    assert!(
        overtaken.len() <= waits.len() / 10 && overtaken.iter().all(|ahead| *ahead < 100),
        "{overtaken:?} of the backlog were asked about before {} of {} visitors",
        overtaken.len(),
        waits.len()
    );
    let backlog: Vec<_> =
        asked.iter().filter(|seen| **seen < (start + EVERY * visits as i32).timestamp_millis()).collect();
    assert!(backlog.is_sorted_by(|a, b| a < b), "each once, in the order they were seen");
    // Visitors who came while it was still full took the place of others.
    assert!((kept - waits.len() - 1..=kept).contains(&backlog.len()), "{} of {kept}", backlog.len());
    let expected = [("dropped".to_string(), visits - backlog.len()), ("unknown".to_string(), asked.len())];
    assert_eq!(ends, expected.into(), "every sighting ended, as it should");
    assert_eq!(journal.len(), asked.len());
    let late = journal.iter().filter(|line| line["late"] == true).count();
    assert_eq!(late, backlog.len(), "all of the backlog and nobody else is late");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_waits_for_one_request_at_most() {
    identities::trust::crypto();
    // With one place the request under way is waited for; with two, one may set out beside the visitor's and overtake
    // it.
    for (concurrency, most_ahead) in [(1, 1), (2, 1)] {
        let engine = Arc::new(Engine { answers_after_ms: AtomicI64::new(60), ..Engine::default() });
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let station = Station::start(address, 64 << 20, concurrency);
        for n in 0..60 {
            station.outbox.accept(&sighting(n, Utc::now() - EVERY, 1000)).await.unwrap();
        }
        serve(Arc::clone(&engine), address).await;
        for n in 60..66 {
            let before = engine.asked().len();
            support::until("the backlog to go on", || engine.asked().len() > before.max(1)).await;
            let live = Sighting { arrived: Some(clock::now()), ..sighting(n, Utc::now(), 1000) };
            let seen = live.seen_at.timestamp_millis();
            station.visit(live);
            let stored = engine.asked().len();
            support::until("the visitor to be asked about", || engine.asked().contains(&seen)).await;
            let place = engine.asked().iter().position(|asked| *asked == seen).unwrap();
            assert!(place <= stored + most_ahead, "{place} for {stored}, concurrency {concurrency}");
        }
        assert!(engine.asked().len() < 60, "the backlog was not there all the time");
        station.stop().await;
    }
}
