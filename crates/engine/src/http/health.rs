//! What is no operation of the contract: `/health` for whoever watches the engine, `/metrics` for Prometheus.
//!
//! Neither asks for a token, so neither says more than that it works and how far it is; metrics are for this machine.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use axum::{Extension, Router};
use serde::Serialize;
use telemetry::Metrics;

use super::problem::problem;
use crate::engine::Engine;
use crate::preparation::Progress;
use crate::store::meta;

#[derive(Serialize)]
struct Health {
    ok: bool,
    /// The embedding model that answers.
    model: String,
    /// The one that will, once it has seen every enrolled photo.
    preparing: Option<Progress>,
    /// Enrolled photos in which the model that answers finds no face.
    photos_without_face: usize,
}

pub fn router(metrics: Option<Metrics>) -> Router<Engine> {
    let router = Router::new().route("/health", get(health));
    match metrics {
        Some(metrics) => router.route("/metrics", get(render).layer(Extension(metrics))),
        None => router,
    }
}

/// 200 while the data folder can be read, 503 otherwise.
async fn health(engine: Engine) -> Response {
    let ok = engine.read("read the data folder", meta::model).await.is_ok();
    let state = engine.model_state();
    let health = Health { ok, model: state.answering, preparing: state.preparing, photos_without_face: state.faceless };
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health)).into_response()
}

async fn render(
    Extension(ConnectInfo(client)): Extension<ConnectInfo<SocketAddr>>,
    Extension(metrics): Extension<Metrics>,
) -> Response {
    if !client.ip().to_canonical().is_loopback() {
        return problem(StatusCode::FORBIDDEN, "Forbidden", "metrics are for this machine alone");
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()).into_response()
}
