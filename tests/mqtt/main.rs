//! MQTT against a real mosquitto: Home Assistant, outages, certificates, the action, the whole agent.

mod action;
mod agent;
mod broker;
mod home_assistant;
mod kept;
mod limit;
mod outage;
#[path = "../support/mod.rs"]
mod support;
mod welcome;

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use doorward::actions::mqtt::{Broker, Home};
use doorward::config::{self, DetectorName, MqttConfig};
use doorward::recognition::{Answer, Known, Person, Recognition, Tag};
use doorward::rules::Stay;
use doorward::track::VisitId;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What counts as late in these tests.
const LATE_AFTER: Duration = Duration::from_secs(2);

fn name(name: &str) -> DetectorName {
    DetectorName::new(name).unwrap()
}

/// The `[mqtt]` section of this text.
fn settings(toml: &str) -> MqttConfig {
    config::from_toml(toml).unwrap_or_else(|error| panic!("{toml}: {error}"))
}

/// The agent's side of the broker, running.
struct Ours {
    broker: Broker,
    home: Home,
    running: JoinHandle<()>,
    stop: CancellationToken,
    runtime: Runtime,
}

impl Ours {
    fn start(config: &MqttConfig, detectors: &[&str]) -> Self {
        identities::trust::crypto();
        let runtime = Runtime::new().unwrap();
        let broker = Broker::new(config).unwrap();
        let detectors: Vec<_> = detectors.iter().map(|detector| name(detector)).collect();
        let home = Home::new(config, broker.clone(), &detectors, LATE_AFTER);
        let stop = CancellationToken::new();
        let running = runtime.spawn(broker.clone().run(stop.clone()));
        Self { broker, home, running, stop, runtime }
    }

    /// Says goodbye.
    fn stop(self) {
        self.stop.cancel();
        self.runtime.block_on(self.running).unwrap();
    }
}

/// An answer for visit `n` at the detector `front-door`, seen just now.
fn recognition(n: u128, answer: Answer) -> Recognition {
    Recognition {
        sighting: Uuid::from_u128(n << 64),
        visit: VisitId(Uuid::from_u128(n)),
        stay: None,
        detector: name("front-door"),
        seen_at: Utc::now(),
        arrived: Some(Instant::now()),
        shot: 1,
        live: None,
        answer,
    }
}

fn ada() -> Answer {
    Answer::Known(Known {
        person: Person { id: "person-1".into(), name: Some("Ada Lovelace".into()) },
        tags: vec![Tag { name: "VIP".into(), expires: None }],
        fields: Vec::new(),
        confidence: Some(0.97),
        match_confidence: Some(0.91),
        face_id: None,
        detect_id: None,
        left_out: None,
    })
}

fn stay(recognition: &Recognition, since: DateTime<Utc>) -> Stay {
    Stay { recognition: recognition.clone(), quality: 0.8, since, last_seen: recognition.seen_at }
}
