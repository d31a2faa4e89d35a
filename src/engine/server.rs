//! Serving the API on a listener until told to stop.
//!
//! In: a listener, an engine, and a future that resolves when it is time to stop. Out: answers; then, once what was
//! under way is answered or [`DRAIN`] has passed, the end.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Engine, EngineError, http};

/// How long requests under way are waited for.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves until `shutdown` resolves and the requests then under way are answered.
pub async fn serve(
    listener: TcpListener,
    engine: Engine,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), EngineError> {
    let stopping = CancellationToken::new();
    let told = {
        let stopping = stopping.clone();
        async move {
            shutdown.await;
            stopping.cancel();
        }
    };
    let service = http::router(engine).into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, service).with_graceful_shutdown(told);
    let overdue = async {
        stopping.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        ended = served => ended.map_err(EngineError::Serve),
        () = overdue => {
            warn!("some requests were not answered within {} seconds of the stop; they are given up", DRAIN.as_secs());
            Ok(())
        }
    }
}
