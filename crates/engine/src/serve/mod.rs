//! Serving the API on a listener until told to stop.
//!
//! In: a listener, an engine, perhaps a certificate, and a future that resolves when it is time to stop. Out: answers,
//! and meanwhile what an engine does by itself. How connections are kept within bounds is written in [`serving`].

mod tls;

use std::time::Duration;

use serving::{Limits, Plain, Proxies, Server};
use telemetry::Metrics;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine::Engine;
use crate::housekeeping::{self, Retention};
use crate::limits::KeepLimits;
use crate::{http, takeover};

pub use tls::{Tls, TlsFiles};

/// How often measurements are summed up.
const UPKEEP: Duration = Duration::from_secs(5);

/// How an engine is served.
#[derive(Clone, Default)]
pub struct ServeOptions {
    /// Over TLS when there is a certificate.
    pub tls: Option<Tls>,
    /// With `/metrics` when there are any.
    pub metrics: Option<Metrics>,
    pub retention: Retention,
    pub keep: KeepLimits,
    /// Who may say which client asks.
    pub proxies: Proxies,
}

/// Serves until `shutdown` resolves and the requests then under way are answered. A model to be prepared is prepared
/// meanwhile, and what is older than it may be is erased.
pub async fn serve(
    listener: TcpListener,
    engine: Engine,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let ServeOptions { tls, metrics, retention, keep, proxies } = options;
    engine.set_keep_limits(keep);
    let stopping = CancellationToken::new();
    let aside = TaskTracker::new();
    aside.spawn(housekeeping::run(engine.clone(), retention, stopping.clone()));
    aside.spawn(takeover::run(engine.clone(), stopping.clone()));
    if let Some(tls) = tls.clone() {
        aside.spawn(tls.keep_up_to_date(stopping.clone()));
    }
    if let Some(metrics) = metrics.clone() {
        aside.spawn(sum_up(metrics, stopping.clone()));
    }
    let app = http::router(engine, metrics);
    let (counter, limits) = ("doorward_engine_connections_total", Limits::default());
    let plain = Server { app, handshake: Plain, limits, proxies, counter, stopping: stopping.clone() };
    match tls {
        None => plain.serve(listener, shutdown).await,
        Some(tls) => plain.with(tls).serve(listener, shutdown).await,
    }
    stopping.cancel();
    aside.close();
    aside.wait().await;
}

/// Keeps measurements from piling up while nobody scrapes them.
async fn sum_up(metrics: Metrics, stopping: CancellationToken) {
    while stopping.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
        metrics.run_upkeep();
    }
}
