//! The MQTT broker's part of the agent: its connection, and what only the status board knows for it.
//!
//! In: the board, cameras, the moment to stop. Out: the connection kept up until then, and how cameras, engine and
//! outbox do, told every few seconds when it has changed. What happens at the doors is told by
//! [`BrokerNews`](super::listeners::BrokerNews).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use chrono::{DateTime, SecondsFormat, Utc};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::actions::mqtt::{BoxDiagnostics, Broker, DetectorDiagnostics, Home, Link};
use crate::config::{DetectorName, MqttConfig, Settings};
use crate::outbox::{BrokerTopic, Outbox};
use crate::status::{Board, BrokerState, Health};

/// How often the broker is told how things are, if that has changed.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// What the broker is told of the doors, if anything. What an earlier start told under topics that are none any more,
/// because a detector was removed or something renamed, is retired; the record of that is the outbox's, as the broker
/// cannot tell which of the boxes that share it has left a topic behind.
pub fn home(settings: &Settings, broker: &Broker, outbox: &Outbox) -> Result<Option<Arc<Home>>> {
    let config = settings.mqtt.as_ref();
    let detectors: Vec<DetectorName> = settings.detectors.iter().map(|detector| detector.name.clone()).collect();
    let home = config.filter(|config| config.publishes()).map(|config| {
        let late_after = Duration::from_millis(settings.outbox.late_after_ms);
        Arc::new(Home::new(config, broker.clone(), &detectors, late_after))
    });
    let told: Vec<BrokerTopic> = match (config, &home) {
        (Some(config), Some(_)) => Home::topics(config, broker, &detectors),
        // Whether the box is there is told in any case.
        _ => Home::topics(
            &MqttConfig { home_assistant: false, ..config.cloned().context("there is no [mqtt]")? },
            broker,
            &[],
        ),
    };
    let address = broker.address();
    let before = outbox.broker_topics().wait()?;
    outbox.keep_broker_topics(told.clone()).wait()?;
    let is_told = |topic: &BrokerTopic| told.iter().any(|other| other.topic == topic.topic);
    let stale = before.into_iter().filter(|topic| topic.broker == address && !is_told(topic));
    broker.retire(stale.collect());
    Ok(home)
}

/// Keeps the connection up until `ending`, and then says goodbye.
pub async fn run(broker: Broker, home: Option<Arc<Home>>, outbox: Outbox, board: Board, ending: CancellationToken) {
    show(&broker, &board);
    let connection = broker.clone().run(ending.clone());
    let telling = async {
        let mut link = broker.link();
        let mut tick = tokio::time::interval(TELL_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut wrong_since = HashMap::new();
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                // The sender is the broker's, which lives as long as this.
                _ = link.changed() => {}
                () = ending.cancelled() => return,
            }
            forget(&broker, &outbox).await;
            show(&broker, &board);
            if let Some(home) = &home {
                tell(home, &board, &mut wrong_since);
            }
        }
    };
    tokio::join!(connection, telling);
}

/// Topics that are cleared need not be on record any more.
async fn forget(broker: &Broker, outbox: &Outbox) {
    let gone = broker.retired();
    if gone.is_empty() {
        return;
    }
    tracing::info!(topics = gone.len(), "what was told the MQTT broker under earlier names is cleared there");
    if let Err(error) = outbox.forget_broker_topics(broker.address(), gone).await {
        tracing::warn!(%error, "the record of what the MQTT broker keeps is out of date until the next start");
    }
}

/// The connection, on the board.
fn show(broker: &Broker, board: &Board) {
    let link = broker.link().borrow().clone();
    let (state, reason) = match link {
        Link::New => (BrokerState::Unknown, String::new()),
        Link::Up => (BrokerState::Connected, broker.trouble()),
        Link::Down { reason } => (BrokerState::Away, reason),
    };
    metrics::gauge!("doorward_agent_broker_connected").set(f64::from(u8::from(state == BrokerState::Connected)));
    board.broker(state, reason, broker.waiting() as u64, Instant::now());
}

/// The board, at the broker.
fn tell(home: &Home, board: &Board, wrong_since: &mut HashMap<DetectorName, DateTime<Utc>>) {
    let now = Instant::now();
    let (state, health) = (board.state(), board.health(now));
    for (name, detector) in &state.detectors {
        let problems = problems(&health, Some(name.as_str()));
        // Kept as it was first told: what is told anew is what has changed.
        match health.of(Some(name.as_str())).map(|fault| fault.since).min() {
            Some(since) => drop(wrong_since.entry(name.clone()).or_insert(since)),
            None => drop(wrong_since.remove(name)),
        }
        let problem_since = wrong_since.get(name).map(|since| since.to_rfc3339_opts(SecondsFormat::Secs, true));
        let diagnostics = DetectorDiagnostics {
            camera: word(&detector.camera.state),
            camera_reason: detector.camera.reason.clone(),
            received_fps: detector.received.per_second(now).round(),
            searched_fps: detector.searched.per_second(now).round(),
            problem: !problems.is_empty(),
            problem_since,
            problems,
        };
        home.detector(name, &diagnostics);
    }
    let problems = problems(&health, None);
    home.of_box(&BoxDiagnostics {
        version: env!("CARGO_PKG_VERSION").into(),
        engine: word(&state.engine.phase.state),
        engine_reason: state.engine.phase.reason,
        waiting: state.outbox.pending,
        problem: !problems.is_empty(),
        problems,
    });
}

/// What is wrong with this detector, or with the box.
fn problems(health: &Health, detector: Option<&str>) -> Vec<String> {
    health.of(detector).map(|fault| format!("{}: {}", fault.part, fault.reason)).collect()
}

/// A state as the status page writes it.
fn word(state: &impl serde::Serialize) -> String {
    serde_json::to_value(state).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}
