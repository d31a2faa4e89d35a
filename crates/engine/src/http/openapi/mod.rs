//! The API as an OpenAPI document, to generate a client from, and a page to try it on.
//!
//! In: the table of operations, what [`described`] says of each, and the shapes in `schemas.json`. Out: the document at
//! the vendor's path, `/swagger/v1/swagger.json`, and the page at `/swagger`. Both are for everybody: they hold nothing
//! of anybody's.

mod described;

use axum::Router;
use axum::extract::OriginalUri;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use identities::{OPERATIONS, Operation};
use serde_json::{Map, Value, json};

use crate::Engine;
use described::{Answer, Body, DESCRIBED, Described, OWN, Parameter, WITH_500, WITHOUT_400};

/// Where the document is.
pub const DOCUMENT: &str = "/swagger/v1/swagger.json";
/// Where the page is; its files are among the [page's](super::page).
pub const INDEX: &str = "/swagger/index.html";
/// What leads there.
pub const PAGE: [&str; 2] = ["/swagger", "/swagger/"];

const SCHEMAS: &str = include_str!("schemas.json");

/// Variable segments of paths that are GUIDs; others are any text.
const GUIDS: [&str; 6] = ["personId", "aliasId", "personTagId", "noteId", "entityId", "tagId"];

pub fn router() -> Router<Engine> {
    let router = Router::new().route(DOCUMENT, get(serve));
    PAGE.into_iter().fold(router, |router, path| router.route(path, get(to_page)))
}

/// The document, for the prefix it was asked for under.
async fn serve(OriginalUri(uri): OriginalUri) -> Response {
    // The document's path may have been asked for in any case.
    let path = uri.path();
    let prefix = path.len().checked_sub(DOCUMENT.len()).and_then(|end| path.get(..end)).unwrap_or_default();
    Json(document(if prefix.is_empty() { "/" } else { prefix })).into_response()
}

/// Relative, so that it leads to the right place under a prefix, too.
async fn to_page(OriginalUri(uri): OriginalUri) -> Response {
    let to = if uri.path().ends_with('/') { "index.html" } else { "swagger/index.html" };
    (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, HeaderValue::from_static(to))]).into_response()
}

/// The document; `server` is the address of the API as seen from it.
fn document(server: &str) -> Value {
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let Some(described) = DESCRIBED.iter().find(|described| described.id == operation.id) else { continue };
        let verb = operation.verb.method().as_str().to_ascii_lowercase();
        add(&mut paths, operation.path, &verb, entry(described, operation, operation.path));
    }
    for own in OWN {
        let Some(alike) = OPERATIONS.iter().find(|operation| operation.id == own.permitted_as) else { continue };
        add(&mut paths, own.path, own.verb, entry(&own.described, alike, own.path));
    }
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "doorward Identities engine",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Names of properties, parameters and paths are taken in any case, and a property that is \
                            null is absent. Log in with `authenticate`; its token goes into the header Authorization \
                            of every other request.",
        },
        "servers": [{"url": server}],
        "security": [{"bearerAuth": []}],
        "paths": paths,
        "components": {
            // The text is compiled in, and a test reads it.
            "schemas": serde_json::from_str::<Value>(SCHEMAS).unwrap_or_default(),
            "securitySchemes": {"bearerAuth": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    })
}

fn add(paths: &mut Map<String, Value>, path: &str, verb: &str, entry: Value) {
    paths.entry(path).or_insert_with(|| json!({}))[verb] = entry;
}

/// An operation as the document has it.
fn entry(described: &Described, operation: &Operation, path: &str) -> Value {
    let is_anonymous = operation.id == "authenticate";
    let names: Vec<_> = operation.permissions.iter().map(|one| format!("{} ({})", one.name, one.category)).collect();
    let needs = match (is_anonymous, names.is_empty()) {
        (true, _) => "No token is needed.".to_owned(),
        (false, true) => "Any token will do.".to_owned(),
        (false, false) => format!("Needs the permission {}.", names.join(" or ")),
    };
    let parameters = variables(path).chain(described.query.iter().map(parameter)).collect::<Vec<_>>();
    let mut entry = json!({
        "operationId": described.id,
        "tags": [described.group],
        "summary": described.summary,
        "description": needs,
        "parameters": parameters,
        "responses": responses(described, operation),
    });
    let content = match described.body {
        Body::None => None,
        Body::Json(shape) => Some(("application/json", shape)),
        Body::Form(shape) => Some(("multipart/form-data", shape)),
    };
    if let Some((media_type, shape)) = content {
        entry["requestBody"] = json!({"required": true, "content": {media_type: {"schema": reference(shape)}}});
    }
    if is_anonymous {
        entry["security"] = json!([]);
    }
    entry
}

/// The variable segments of a path as parameters.
fn variables(path: &str) -> impl Iterator<Item = Value> {
    let names = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| {
        let schema = match GUIDS.contains(&name) {
            true => json!({"type": "string", "format": "uuid"}),
            false => json!({"type": "string", "minLength": 1}),
        };
        json!({"name": name, "in": "path", "required": true, "schema": schema})
    })
}

fn parameter((name, schema): &Parameter) -> Value {
    // The texts are constants, which a test reads.
    let schema: Value = serde_json::from_str(schema).unwrap_or_default();
    json!({"name": name, "in": "query", "schema": schema})
}

fn responses(described: &Described, operation: &Operation) -> Value {
    let content = match described.answer {
        Answer::Empty => None,
        Answer::Json(shape) => Some(("application/json", reference(shape))),
        Answer::List(shape) => Some(("application/json", json!({"type": "array", "items": reference(shape)}))),
        Answer::Bytes(media_type) => Some((media_type, json!({"type": "string", "format": "binary"}))),
    };
    let mut responses = match content {
        None => json!({"200": {"description": "Done; the body is empty."}}),
        Some((media_type, schema)) => {
            json!({"200": {"description": "Done.", "content": {media_type: {"schema": schema}}}})
        }
    };
    let missing = operation.missing.map(|what| format!("There is no such {what}."));
    for (status, why) in [
        ("400", (!WITHOUT_400.contains(&operation.id)).then(|| "The input is wrong; `detail` says how.".to_owned())),
        ("401", Some("There is no valid token, or the password is wrong.".to_owned())),
        ("403", (!operation.permissions.is_empty()).then(|| "The caller lacks the permission.".to_owned())),
        ("404", missing),
        ("500", WITH_500.contains(&operation.id).then(|| "The picture is turned down, or a fault.".to_owned())),
    ] {
        if let Some(why) = why {
            let problem = json!({"application/problem+json": {"schema": reference("ProblemDetails")}});
            responses[status] = json!({"description": why, "content": problem});
        }
    }
    responses
}

fn reference(shape: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{shape}")})
}

#[cfg(test)]
mod tests;
