//! The REST API: which path is which operation, who may ask for it, and the conversation around it.
//!
//! In: HTTP. Out: exactly the statuses the contract names for each operation; 404 and 405 for what it does not name.
//! One file per group of operations holds its handlers; they call the engine and know no SQL and no model.

mod auth;
mod detections;
mod documents;
mod extract;
mod face_edge;
mod faces;
mod guard;
mod health;
mod named;
mod names;
mod openapi;
mod page;
mod parts;
mod paths;
mod people;
mod photos;
mod problem;
mod settings;
mod tags;

use std::any::Any;
use std::sync::Arc;

use ::faces::picture::MAX_PHOTO_BYTES;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::MethodRouter;
use telemetry::Metrics;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;

use super::Engine;
use super::permission::Permission;
use guard::{Guard, guard};
use paths::Paths;
use problem::problem;

/// The largest body of an operation with a picture: the largest photo as base64 (four bytes for three), and the rest of
/// the request.
const PICTURES: usize = MAX_PHOTO_BYTES.div_ceil(3) * 4 + (256 << 10);
/// Of one with two.
const TWO_PICTURES: usize = 2 * PICTURES;
/// Of a record.
const RECORD: usize = 256 << 10;
/// Of an uploaded file.
const FILE: usize = 64 << 20;

/// Who may ask for an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Anonymous,
    /// Anybody with a valid token.
    Authenticated,
    /// Whoever holds at least one of these.
    AnyOf(&'static [Permission]),
}

/// One operation.
pub struct Route {
    /// The contract's operation id; the page's own begin with `page`.
    operation: &'static str,
    path: &'static str,
    access: Access,
    body_limit: usize,
    handler: MethodRouter<Engine>,
}

impl Route {
    fn new(
        operation: &'static str,
        path: &'static str,
        access: Access,
        body_limit: usize,
        handler: MethodRouter<Engine>,
    ) -> Self {
        Self { operation, path, access, body_limit, handler }
    }
}

/// Every operation there is: the contract's, and what the page needs beside it.
fn routes() -> Vec<Route> {
    let groups = [
        auth::routes(),
        face_edge::routes(),
        faces::routes(),
        people::routes(),
        parts::routes(),
        named::routes(),
        photos::routes(),
        documents::routes(),
        tags::routes(),
        detections::routes(),
        settings::routes(),
        page::routes(),
    ];
    groups.into_iter().flatten().collect()
}

/// The whole API, at the root and below `/identities` as the vendor's cloud has it.
pub fn router(engine: Engine, metrics: Option<Metrics>) -> Router {
    let body_memory = Arc::new(Semaphore::new(guard::BODY_MEMORY_KIB as usize));
    let swagger = [openapi::DOCUMENT, openapi::INDEX].into_iter().chain(openapi::PAGE);
    let paths = Paths::new(routes().into_iter().map(|route| route.path).chain(swagger));
    let api = routes().into_iter().fold(Router::new(), |router, route| {
        let Route { operation, path, access, body_limit, handler } = route;
        let state = Guard { engine: engine.clone(), operation, access, body_limit, body_memory: body_memory.clone() };
        router.route(path, handler.route_layer(from_fn_with_state(state, guard)))
    });
    let api = api.merge(openapi::router()).merge(page::files());
    let router = Router::new()
        .merge(api.clone())
        .nest("/identities", api)
        .merge(health::router(metrics))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        // The guard limits bodies, each operation's by its own measure.
        .layer(DefaultBodyLimit::disable())
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(engine);
    // Around the whole, for a path is spelt before it is looked up.
    Router::new().fallback_service(router).layer(from_fn_with_state(paths, paths::spell))
}

async fn no_such_path() -> Response {
    problem(StatusCode::NOT_FOUND, "Not found", "there is no such operation")
}

async fn no_such_method() -> Response {
    problem(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", "the operation exists with another method")
}

/// The panic hook has logged it.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    problem(StatusCode::INTERNAL_SERVER_ERROR, "Internal error", "the engine's log says more")
}
