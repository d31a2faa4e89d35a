//! The service manager: ready, alive, stopping; and the signals it stops us with.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use telemetry::Metrics;
use tokio_util::sync::CancellationToken;

use crate::status::Board;

/// How often the manager reads how things are.
const STATUS_EVERY: Duration = Duration::from_secs(10);
/// A detector that searches one frame for this long hangs: the watchdog is no longer fed, and the manager starts the agent anew.
const HANGS_AFTER: Duration = Duration::from_secs(60);

/// What a working thread shows of itself: since when it has been busy with one thing.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Mutex<Option<Instant>>>);

impl Pulse {
    /// Busy from now on.
    pub fn busy(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Done with it.
    pub fn idle(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn hangs(&self) -> bool {
        let busy = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        busy.is_some_and(|since| since.elapsed() > HANGS_AFTER)
    }
}

/// Says that the agent runs, and goes on saying it until `ending`, unless a thread hangs; sums up the metrics in passing. Without
/// a service manager it says nothing.
pub async fn beat(pulses: Vec<Pulse>, board: Board, metrics: Option<Metrics>, ending: CancellationToken) {
    tell(&[NotifyState::Ready]);
    // Twice as often as asked, so that one late beat does no harm.
    let every = sd_notify::watchdog_enabled().map_or(STATUS_EVERY, |limit| (limit / 2).min(STATUS_EVERY));
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = ending.cancelled() => return,
        }
        if let Some(metrics) = &metrics {
            metrics.upkeep();
        }
        let health = board.health(Instant::now());
        tell(&[NotifyState::Status(&health.summary())]);
        if pulses.iter().any(Pulse::hangs) {
            tracing::error!(
                "a detector has been busy with one frame for over a minute; the watchdog is not fed any more"
            );
        } else {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

/// Says that the agent is on its way out.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The next SIGTERM or SIGINT.
pub async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        // Without a handler SIGTERM ends the process by itself; SIGINT is still ours.
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager does not listen");
    }
}
