//! From the engine's answer to a webhook's arrival, at fifty answers a second: the real agent between an engine and a
//! receiver on loopback, with its outbox on the disk the project is built on.
//!
//! The claim: p99 under 20 ms. The way includes reading the answer, the rules, two durable writes (the answer with its
//! actions, and the claim of one) and the request. Exits with 1 when the claim does not hold.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{DateTime, TimeDelta, Utc};
use doorward::agent::{self, Options};
use doorward::config::{
    ActionConfig, CameraConfig, DetectorConfig, DetectorName, IdentitiesConfig, OutboxConfig, ReplayConfig, RuleConfig,
    Settings, WebhookConfig,
};
use doorward::crop::Sighting;
use doorward::outbox::Outbox;
use doorward::track::VisitId;
use faces::detect::Rect;
use faces::picture::Picture;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const ANSWERS: usize = 1000;
const EVERY: Duration = Duration::from_millis(20);
const LIMIT: Duration = Duration::from_millis(20);
const DETECTOR: &str = "door";

/// When each answer left the engine, and each webhook reached its receiver, by the moment the face was seen.
#[derive(Default)]
struct Times {
    next: Mutex<Option<tokio::time::Instant>>,
    answered: Mutex<HashMap<DateTime<Utc>, Instant>>,
    arrived: Mutex<HashMap<DateTime<Utc>, Instant>>,
}

async fn publish(State(times): State<Arc<Times>>, Json(request): Json<Value>) -> Json<Value> {
    let due = {
        let mut next = times.next.lock().expect("nobody panics with it");
        let due = next.unwrap_or_else(tokio::time::Instant::now);
        *next = Some(due + EVERY);
        due
    };
    tokio::time::sleep_until(due).await;
    let seen_at = request["detectTimeUtc"].as_str().and_then(|text| text.parse().ok()).expect("a time");
    let person = json!({
        "personId": Uuid::new_v4(), "aliases": [{"firstName": "Ann", "lastName": "Example"}],
        "personTags": [{"tag": {"name": "Staff"}}],
    });
    let face = json!({
        "faceId": "f", "detectId": "d", "confidence": 0.97, "faceQuality": 0.8,
        "boundingBox": {"x": 1, "y": 1, "width": 60, "height": 80}, "person": person,
    });
    times.answered.lock().expect("nobody panics with it").insert(seen_at, Instant::now());
    Json(json!({ "detectedFaces": [face] }))
}

async fn receive(State(times): State<Arc<Times>>, Json(event): Json<Value>) {
    let at = Instant::now();
    let seen_at = event["seen_at"].as_str().and_then(|text| text.parse().ok()).expect("a time");
    times.arrived.lock().expect("nobody panics with it").insert(seen_at, at);
}

#[tokio::main]
async fn main() -> ExitCode {
    identities::trust::crypto();
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the build folder can be written to");
    let times = Arc::new(Times::default());
    let app = Router::new()
        .route("/api/v1/authenticate", post(|| async { Json(json!({"username": "box", "token": "t"})) }))
        .route("/auth/v1/user/profile", get(|| async { Json(json!({"roles": []})) }))
        .route("/hook", post(receive))
        .fallback(publish)
        .with_state(Arc::clone(&times));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move { axum::serve(listener, app).await });

    fill(dir.path());
    let settings = settings(dir.path(), &url);
    let stop = CancellationToken::new();
    let running = tokio::spawn(agent::run(Arc::new(settings), Options::default(), stop.clone()));
    let started = Instant::now();
    while times.arrived.lock().expect("nobody panics with it").len() < ANSWERS {
        assert!(!running.is_finished(), "the agent ended");
        assert!(started.elapsed() < Duration::from_secs(120), "the webhooks stopped coming");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    running.await.expect("the agent ends well").expect("the agent ran");

    let answered = times.answered.lock().expect("nobody panics with it");
    let arrived = times.arrived.lock().expect("nobody panics with it");
    let took = arrived.iter().map(|(seen_at, at)| at.saturating_duration_since(answered[seen_at]));
    let mut took: Vec<Duration> = took.collect();
    took.sort();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    let span = answered.values().max().zip(answered.values().min()).map_or(Duration::ZERO, |(max, min)| *max - *min);
    let rate = (ANSWERS - 1) as f64 / span.as_secs_f64();
    println!(
        "recognition to webhook, {ANSWERS} at {rate:.1}/s: p50 {:.1?}, p90 {:.1?}, p99 {:.1?}, max {:.1?} (limit p99 {LIMIT:?})",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
    if at(0.99) < LIMIT { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What a box that was cut off has to send.
fn fill(state_dir: &std::path::Path) {
    let outbox = Outbox::open(state_dir, &OutboxConfig::default()).expect("a new outbox opens");
    let picture = Picture::filled(160, 200, [90, 110, 140]).jpeg(90).expect("it can be encoded");
    let first = Utc::now() - TimeDelta::minutes(10);
    for n in 0..ANSWERS {
        // Whole milliseconds, a tenth of a second apart: what travels as text comes back the same.
        let seen_at = DateTime::from_timestamp_millis(first.timestamp_millis() + n as i64 * 100).expect("a time");
        let sighting = Sighting {
            id: Uuid::now_v7(),
            visit: VisitId(Uuid::now_v7()),
            stay: None,
            detector: DetectorName::new(DETECTOR).expect("a name"),
            time_zone: chrono_tz::UTC,
            seen_at,
            arrived: None,
            shot: 1,
            quality: 0.8,
            expanded: picture.clone().into(),
            face: Rect { x: 1.0, y: 1.0, width: 60.0, height: 80.0 },
            aligned: None,
            embedding: None,
            liveness: None,
        };
        outbox.accept(&sighting).wait().expect("it is stored");
    }
}

fn settings(state_dir: &std::path::Path, url: &str) -> Settings {
    let nobody = state_dir.join("nobody");
    std::fs::create_dir(&nobody).expect("a folder");
    let empty = Picture::filled(320, 240, [100; 3]).jpeg(90).expect("it can be encoded");
    std::fs::write(nobody.join("0.jpg"), empty).expect("a picture");
    let name = DetectorName::new(DETECTOR).expect("a name");
    let camera = CameraConfig::Replay(ReplayConfig { fps: Some(10.0), ..ReplayConfig::new(nobody) });
    let mut detector = DetectorConfig::new(name, camera);
    detector.rules = vec![RuleConfig::new("everybody", vec!["hook".into()])];
    let mut settings = Settings { state_dir: state_dir.into(), ..Settings::default() };
    settings.status.listen = None;
    settings.outbox.drain_per_sec = 50;
    settings.identities = Some(IdentitiesConfig::new(url.parse().expect("an address"), "box", "password"));
    settings.detectors = vec![detector];
    settings.actions.insert("hook".into(), ActionConfig::Webhook(WebhookConfig::new(format!("{url}/hook"))));
    settings
}
