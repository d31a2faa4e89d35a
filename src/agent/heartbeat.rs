//! The service manager: ready, alive, stopping; and the signals it stops us with.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use telemetry::Metrics;
use tokio_util::sync::CancellationToken;

use super::supervisor::Supervisor;
use crate::status::{Board, CAMERA_PARTS, Hanging, Health};

/// How often the manager reads how things are.
const STATUS_EVERY: Duration = Duration::from_secs(10);
/// Whoever has been busy with one thing for this long keeps the watchdog from being fed: the manager starts the agent
/// anew.
const UNFED_AFTER: Duration = Duration::from_secs(60);

/// Says that the agent runs, and goes on saying it until `ending`, unless a thread hangs, which is told by name; sums
/// up the metrics in passing. Without a service manager it says nothing.
pub async fn beat(supervisor: Supervisor, board: Board, metrics: Option<Metrics>, ending: CancellationToken) {
    tell(&[NotifyState::Ready]);
    // Twice as often as asked, so that one late beat does no harm.
    let every = sd_notify::watchdog_enabled().map_or(STATUS_EVERY, |limit| (limit / 2).min(STATUS_EVERY));
    let mut told = Vec::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = ending.cancelled() => return,
        }
        if let Some(metrics) = &metrics {
            metrics.run_upkeep();
        }
        let now = Instant::now();
        let hangs = supervisor.hangs(now);
        board.hangs(hangs.iter().map(|hang| Hanging { thread: hang.name.clone(), with: hang.with, since: hang.since }));
        let health = board.health(now);
        show(&board, &health);
        tell(&[NotifyState::Status(&health.summary())]);
        if !hangs.iter().any(|hang| now.saturating_duration_since(hang.since) > UNFED_AFTER) {
            tell(&[NotifyState::Watchdog]);
        }
        if hangs != told {
            for hang in &hangs {
                let (thread, with) = (&hang.name, hang.with);
                let secs = now.saturating_duration_since(hang.since).as_secs();
                tracing::error!(
                    thread,
                    "{thread} has been {with} for {secs} s; if that goes on, the watchdog is not fed any more"
                );
            }
        }
        told = hangs;
    }
}

/// Says that the agent is on its way out.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Since when each part of each camera is at fault, in seconds of Unix time; 0 while it is not.
fn show(board: &Board, health: &Health) {
    for name in board.detectors() {
        for part in CAMERA_PARTS {
            let fault = health.of(Some(name.as_str())).find(|fault| fault.part == part);
            let since = fault.map_or(0, |fault| fault.since.timestamp());
            metrics::gauge!("doorward_agent_fault_since_seconds", "detector" => name.to_string(), "part" => part)
                .set(since as f64);
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager does not listen");
    }
}
