//! The REST API: what answers each operation, and the conversation around it.
//!
//! In: HTTP. Out: exactly the statuses the contract names for each operation; 404 and 405 for what it does not name.
//! Paths, methods and permissions come from the [table of operations](identities::operation). One file per group of
//! operations holds its handlers; they call the engine and know no SQL and no model.

mod corrections;
mod extract;
mod faces;
mod files;
pub mod fuzzing;
mod guard;
mod names;
mod openapi;
mod page;
mod parts;
mod people;

use std::any::Any;

use ::faces::picture::MAX_PHOTO_BYTES;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts};
use axum::handler::Handler;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use axum::{Json, Router};
use guard::{Guard, guard};
use identities::operation::Operation;
use identities::wire::ProblemDetails;
use names::Paths;
use rusqlite::{Connection, Transaction};
use serde::Serialize;
use telemetry::Metrics;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::error;
use uuid::Uuid;
use wording::with_causes;

use crate::admission::Urgency;
use crate::auth::Caller;
use crate::engine::Engine;
use crate::error::{Refusal, Unauthenticated};
use crate::store::{Stop, people as records};

/// The largest body of an operation with a picture: the largest photo as base64 (four bytes for three), and the rest of
/// the request.
const PICTURES: usize = MAX_PHOTO_BYTES.div_ceil(3) * 4 + (256 << 10);
/// The largest body of an operation with two pictures.
const TWO_PICTURES: usize = 2 * PICTURES;
/// The largest body of an operation about a record.
const RECORD: usize = 256 << 10;
/// The largest body of an upload.
const FILE: usize = 64 << 20;

/// What a handler gives whose answer is JSON.
type Answered<T> = Result<Json<T>, Refusal>;

/// An operation and what answers it. Everything else about it is said by the operation itself.
pub struct Route {
    operation: &'static Operation,
    urgency: Urgency,
    /// The data folder grows by it: refused while the disk is too full.
    grows: bool,
    /// The largest body that is read, in bytes.
    body_limit: usize,
    handler: MethodRouter<Engine>,
}

impl Route {
    fn new<H: Handler<T, Engine>, T: 'static>(operation: &'static Operation, handler: H) -> Self {
        // Every method of the table is one that routes know.
        let method = MethodFilter::try_from(operation.method.clone()).expect("a method of the table");
        let (urgency, handler) = (Urgency::Upload, on(method, handler));
        Self { operation, urgency, grows: false, body_limit: RECORD, handler }
    }

    /// An operation that reads from one snapshot of the data folder and answers in JSON.
    fn reading<A, T>(
        operation: &'static Operation,
        read: impl Fn(&Connection, A) -> Result<T, Stop> + Clone + Send + Sync + 'static,
    ) -> Self
    where
        A: FromRequestParts<Engine> + Send + 'static,
        T: Serialize + Send + 'static,
    {
        Self::new(operation, move |engine: Engine, asked: A| async move {
            engine.read(operation.id, move |connection| read(connection, asked)).await.map(Json)
        })
    }

    /// An operation that reads something of a person.
    fn of_person<T: Serialize + Send + 'static>(
        operation: &'static Operation,
        read: fn(&Connection, Uuid) -> Result<T, Stop>,
    ) -> Self {
        Self::reading(operation, move |connection, extract::Id(person)| {
            records::require(connection, person)?;
            read(connection, person)
        })
    }

    /// An operation that changes a record in one transaction. `change` is told the caller's name; beside the answer it
    /// gives the id of what was changed, for the audit log.
    fn changing<M, A, T>(
        operation: &'static Operation,
        change: impl Fn(&Transaction, &str, A) -> Result<(String, T), Stop> + Clone + Send + Sync + 'static,
    ) -> Self
    where
        M: 'static,
        A: FromRequest<Engine, M> + Send + 'static,
        T: IntoResponse + Send + 'static,
    {
        let route = Self::new(operation, move |engine: Engine, caller: Caller, asked: A| async move {
            engine.change(caller, operation, move |transaction, username| change(transaction, username, asked)).await
        });
        if operation.method == Method::DELETE { route } else { route.growing() }
    }

    /// The same for somebody who stands at a door: it goes before what has time.
    fn live(self) -> Self {
        Self { urgency: Urgency::Live, ..self }
    }

    /// The same where it makes the data folder grow.
    fn growing(self) -> Self {
        Self { grows: true, ..self }
    }

    /// The same with another limit than that of a record.
    fn with_body(self, body_limit: usize) -> Self {
        Self { body_limit, ..self }
    }
}

/// Every operation there is: the contract's, and what the page needs beside it.
fn routes() -> Vec<Route> {
    let of_the_page = [page::routes(), corrections::routes()];
    let groups = [guard::routes(), faces::routes(), files::routes(), people::routes(), parts::routes()];
    groups.into_iter().chain(of_the_page).flatten().collect()
}

/// The whole API, at the root and below `/identities` as the vendor's cloud has it.
pub fn router(engine: Engine, metrics: Option<Metrics>) -> Router {
    let body_memory = guard::body_memory();
    let routes = routes();
    let operations: Vec<_> = routes.iter().map(|route| route.operation).collect();
    let swagger = [openapi::DOCUMENT, openapi::INDEX].into_iter().chain(openapi::PAGE);
    let paths = Paths::new(operations.iter().map(|operation| operation.path).chain(swagger));
    let api = routes.into_iter().fold(Router::new(), |router, route| {
        let Route { operation, urgency, grows, body_limit, handler } = route;
        let (engine, body_memory) = (engine.clone(), body_memory.clone());
        let state = Guard { engine, operation, urgency, grows, body_limit, body_memory };
        router.route(operation.path, handler.route_layer(from_fn_with_state(state, guard)))
    });
    let api = api.merge(openapi::router(operations)).merge(page::files());
    let router = Router::new()
        .merge(api.clone())
        .nest("/identities", api)
        .merge(page::health_and_metrics(metrics))
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "Not found", "there is no such operation") })
        .method_not_allowed_fallback(|| async {
            problem(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", "the operation exists with another method")
        })
        // The guard limits bodies, each operation's by its own measure.
        .layer(DefaultBodyLimit::disable())
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(engine);
    // Around the whole, for a path is spelt before it is looked up.
    Router::new().fallback_service(router).layer(from_fn_with_state(paths, names::spell))
}

/// The panic hook has logged it.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    problem(StatusCode::INTERNAL_SERVER_ERROR, "Internal error", "the engine's log says more")
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, title, detail) = match &self {
            Self::BadInput(detail) => (StatusCode::BAD_REQUEST, "Bad request", detail.clone()),
            Self::Unauthenticated(why) => (StatusCode::UNAUTHORIZED, "Unauthorized", why.to_string()),
            Self::Forbidden(wanted) => {
                let names: Vec<_> = wanted.iter().map(|permission| permission.name()).collect();
                let detail = format!("this needs the permission {}", names.join(" or "));
                (StatusCode::FORBIDDEN, "Forbidden", detail)
            }
            Self::NotFound(what) => (StatusCode::NOT_FOUND, "Not found", format!("there is no such {what}")),
            Self::NobodyMatches(_) => {
                (StatusCode::NOT_FOUND, "Not found", "there is no such person with this face".into())
            }
            Self::TurnedDown(detail) => (StatusCode::INTERNAL_SERVER_ERROR, "Picture turned down", detail.clone()),
            Self::NoRoom(detail) => (StatusCode::INSUFFICIENT_STORAGE, "No room", detail.clone()),
            Self::Internal(failure) => {
                error!("{}", with_causes(failure));
                (StatusCode::INTERNAL_SERVER_ERROR, "Internal error", "the engine's log says more".into())
            }
        };
        if let Self::NobodyMatches(nearest) = self {
            let nearest = nearest.map(|nearest| *nearest);
            return respond(status, ProblemDetails { nearest, ..details(status, title, detail) });
        }
        let mut response = problem(status, title, detail);
        if let Self::Unauthenticated(why) = self {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            if let Unauthenticated::Throttled { retry_secs } = why {
                response.headers_mut().insert(RETRY_AFTER, retry_secs.into());
            }
        }
        response
    }
}

/// A problem+json response.
pub fn problem(status: StatusCode, title: &str, detail: impl Into<String>) -> Response {
    respond(status, details(status, title, detail))
}

fn details(status: StatusCode, title: &str, detail: impl Into<String>) -> ProblemDetails {
    let (title, detail) = (Some(title.into()), Some(detail.into()));
    ProblemDetails { title, status: Some(i32::from(status.as_u16())), detail, ..ProblemDetails::default() }
}

fn respond(status: StatusCode, details: ProblemDetails) -> Response {
    (status, [(CONTENT_TYPE, "application/problem+json")], Json(details)).into_response()
}
