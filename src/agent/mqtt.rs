//! The MQTT broker's part of the agent: its connection, and what only the status board knows for it.
//!
//! In: the board, cameras, the moment to stop. Out: the connection kept up until then, and how cameras, engine and outbox do,
//! told every few seconds when it has changed. What happens at the doors the [`Intake`](super::intake::Intake) tells itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::actions::mqtt::{BoxDiagnostics, Broker, DetectorDiagnostics, Home, Link};
use crate::config::{DetectorName, Settings};
use crate::status::{Board, BrokerState, Health, Snapshot};

/// How often the broker is told how things are, if that has changed.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// What the broker is told of the doors, if anything.
pub fn home(settings: &Settings, broker: &Broker) -> Option<Arc<Home>> {
    let config = settings.mqtt.as_ref().filter(|config| config.publishes())?;
    let detectors: Vec<DetectorName> = settings.detectors.iter().map(|detector| detector.name.clone()).collect();
    let late_after = Duration::from_millis(settings.outbox.late_after_ms);
    Some(Arc::new(Home::new(config, broker.clone(), &detectors, late_after)))
}

/// Keeps the connection up until `ending`, and then says goodbye.
pub async fn run(broker: Broker, home: Option<Arc<Home>>, board: Board, ending: CancellationToken) {
    show(&broker, &board);
    let connection = broker.clone().run(ending.clone());
    let telling = async {
        let mut link = broker.link();
        let mut tick = tokio::time::interval(TELL_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                // The sender is the broker's, which lives as long as this.
                _ = link.changed() => {}
                () = ending.cancelled() => return,
            }
            show(&broker, &board);
            if let Some(home) = &home {
                tell(home, &board.snapshot(Instant::now(), Utc::now()));
            }
        }
    };
    tokio::join!(connection, telling);
}

/// The connection, on the board.
fn show(broker: &Broker, board: &Board) {
    let link = broker.link().borrow().clone();
    let (state, reason) = match link {
        Link::New => (BrokerState::Unknown, String::new()),
        Link::Up => (BrokerState::Connected, String::new()),
        Link::Down { reason } => (BrokerState::Away, reason),
    };
    metrics::gauge!("doorward_agent_broker_connected").set(f64::from(u8::from(state == BrokerState::Connected)));
    board.broker(state, reason, broker.waiting() as u64, Instant::now());
}

/// The board, at the broker.
fn tell(home: &Home, board: &Snapshot) {
    for view in &board.detectors {
        let problems = problems(&board.health, Some(view.name.as_str()));
        let diagnostics = DetectorDiagnostics {
            camera: word(&view.camera),
            camera_reason: view.camera_reason.clone(),
            received_fps: view.received_fps.round(),
            searched_fps: view.searched_fps.round(),
            problem: !problems.is_empty(),
            problems,
        };
        home.detector(&view.name, &diagnostics);
    }
    let problems = problems(&board.health, None);
    home.of_box(&BoxDiagnostics {
        version: board.version.into(),
        engine: word(&board.engine.state),
        engine_reason: board.engine.reason.clone(),
        waiting: board.outbox.pending,
        problem: !problems.is_empty(),
        problems,
    });
}

/// What is wrong with this detector, or with the box.
fn problems(health: &Health, detector: Option<&str>) -> Vec<String> {
    let faults = health.faults.iter().filter(|fault| fault.detector.as_deref() == detector);
    faults.map(|fault| format!("{}: {}", fault.part, fault.reason)).collect()
}

/// A state as the status page writes it.
fn word(state: &impl serde::Serialize) -> String {
    serde_json::to_value(state).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}
