//! The board as programs and the page read it, at `/status.json`.
//!
//! In: what the board knows, and the moment by both clocks. Out: JSON, in which every moment is a date. It holds what
//! the board holds: ids and tags, no names.

use std::time::Instant;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::health;
use super::state::{BrokerStatus, Detector, Phase, State};
use crate::config::DetectorName;

/// Everything, at this moment by both clocks.
pub(super) fn status_json(state: &State, now: Instant, utc: DateTime<Utc>) -> Value {
    let date = |at: Instant| utc - now.saturating_duration_since(at) + at.saturating_duration_since(now);
    let detector = |(name, detector): (&DetectorName, &Detector)| {
        let Detector { camera, last_frame, lens, received, searched, dropped, .. } = detector;
        json!({
            "name": name,
            "camera": camera.state,
            "camera_since": date(camera.since),
            "camera_reason": camera.reason,
            "last_frame": last_frame.map(date),
            // What is wrong with the picture, also before it is a fault.
            "picture": lens.as_ref().map(|lens| &lens.reason),
            "picture_since": lens.as_ref().map(|lens| date(lens.since)),
            // Since the start.
            "received": received.total,
            "searched": searched.total,
            "dropped": dropped.total,
            // Per second, over the last seconds.
            "received_fps": received.per_second(now),
            "searched_fps": searched.per_second(now),
            "dropped_fps": dropped.per_second(now),
        })
    };
    let broker = |BrokerStatus { phase, waiting }: &BrokerStatus| {
        let Phase { state, since, reason } = phase;
        json!({ "state": state, "since": date(*since), "reason": reason, "waiting": waiting })
    };
    let engine = &state.engine;
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "now": utc,
        "up_secs": now.saturating_duration_since(state.started).as_secs(),
        "health": health::judge(state, now, utc),
        "detectors": state.detectors.iter().map(detector).collect::<Vec<_>>(),
        "engine": {
            "state": engine.phase.state,
            "since": date(engine.phase.since),
            "reason": engine.phase.reason,
            "last_answer": engine.last_answer.map(date),
            "breaker": engine.breaker,
            "next_try": engine.next_try.map(date),
        },
        "broker": state.broker.as_ref().map(broker),
        "outbox": state.outbox,
        "warnings": state.warnings,
        "visits": state.visits,
        "actions": state.actions,
    })
}
