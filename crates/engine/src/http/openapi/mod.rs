//! The API as an OpenAPI document, to generate a client from, and a page to try it on.
//!
//! In: the operations that are served, and the shapes in `schemas.json`. Out: the document at the vendor's path,
//! `/swagger/v1/swagger.json`, and the page at `/swagger`. Both are for everybody: they hold nothing of anybody's.

use std::sync::Arc;

use axum::extract::OriginalUri;
use axum::response::{Json, Redirect};
use axum::routing::get;
use axum::{Extension, Router};
use identities::operation::{Access, Content, Operation, Parameter};
use serde_json::{Map, Value, json};

use crate::engine::Engine;

/// Where the document is.
pub const DOCUMENT: &str = "/swagger/v1/swagger.json";
/// Where the page is; its files are among the [page's](super::page).
pub const INDEX: &str = "/swagger/index.html";
/// What leads there.
pub const PAGE: [&str; 2] = ["/swagger", "/swagger/"];

const SCHEMAS: &str = include_str!("schemas.json");

/// Variable segments of paths that are GUIDs; others are any text.
const GUIDS: [&str; 6] = ["personId", "aliasId", "personTagId", "noteId", "entityId", "tagId"];

type Operations = Arc<[&'static Operation]>;

/// The routes of the document, which describes `operations`, and what leads to the page.
pub fn router(operations: Vec<&'static Operation>) -> Router<Engine> {
    let operations: Operations = operations.into();
    let router = Router::new().route(DOCUMENT, get(serve).layer(Extension(operations)));
    PAGE.into_iter().fold(router, |router, path| router.route(path, get(to_page)))
}

/// The document, for the prefix it was asked for under.
async fn serve(OriginalUri(uri): OriginalUri, Extension(operations): Extension<Operations>) -> Json<Value> {
    // The document's path may have been asked for in any case.
    let path = uri.path();
    let prefix = path.len().checked_sub(DOCUMENT.len()).and_then(|end| path.get(..end)).unwrap_or_default();
    Json(document(&operations, if prefix.is_empty() { "/" } else { prefix }))
}

/// Relative, so that it leads to the right place under a prefix, too.
async fn to_page(OriginalUri(uri): OriginalUri) -> Redirect {
    Redirect::temporary(if uri.path().ends_with('/') { "index.html" } else { "swagger/index.html" })
}

/// The document; `server` is the address of the API as seen from it.
fn document(operations: &[&Operation], server: &str) -> Value {
    let mut paths = Map::new();
    // What the page has for itself is nobody else's to build on.
    for operation in operations.iter().filter(|operation| !operation.path.starts_with("/page/")) {
        let method = operation.method.as_str().to_ascii_lowercase();
        paths.entry(operation.path).or_insert_with(|| json!({}))[method] = entry(operation);
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

/// An operation as the document has it.
fn entry(operation: &Operation) -> Value {
    let needs = match operation.access {
        Access::Anonymous => "No token is needed.".to_owned(),
        Access::Authenticated => "Any token will do.".to_owned(),
        Access::AnyOf(permissions) => {
            let names = permissions.iter().map(|one| format!("{} ({})", one.name(), one.category()));
            format!("Needs the permission {}.", names.collect::<Vec<_>>().join(" or "))
        }
    };
    let parameters = variables(operation.path).chain(operation.query.iter().map(parameter)).collect::<Vec<_>>();
    let mut entry = json!({
        "operationId": operation.id,
        "tags": [operation.group],
        "summary": operation.summary,
        "description": needs,
        "parameters": parameters,
        "responses": responses(operation),
    });
    if let Some(content) = content(operation.request) {
        entry["requestBody"] = json!({"required": true, "content": content});
    }
    if operation.access == Access::Anonymous {
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

fn parameter(parameter: &Parameter) -> Value {
    // The texts are constants, which a test reads.
    let schema: Value = serde_json::from_str(parameter.schema).unwrap_or_default();
    json!({"name": parameter.name, "in": "query", "schema": schema})
}

/// A body by its media type; `None` when there is none.
fn content(content: Content) -> Option<Value> {
    let (media_type, schema) = match content {
        Content::Empty => return None,
        Content::Json(shape) => ("application/json", reference(shape)),
        Content::List(shape) => ("application/json", json!({"type": "array", "items": reference(shape)})),
        Content::Form(shape) => ("multipart/form-data", reference(shape)),
        Content::Bytes(media_type) => (media_type, json!({"type": "string", "format": "binary"})),
    };
    Some(json!({media_type: {"schema": schema}}))
}

fn responses(operation: &Operation) -> Value {
    let done = match content(operation.answer) {
        None => json!({"description": "Done; the body is empty."}),
        Some(content) => json!({"description": "Done.", "content": content}),
    };
    let mut responses = json!({"200": done});
    for status in operation.statuses().filter(|status| *status != 200) {
        let why = match status {
            400 => "The input is wrong; `detail` says how.".to_owned(),
            401 => "There is no valid token, or the password is wrong.".to_owned(),
            403 => "The caller lacks the permission.".to_owned(),
            404 => format!("There is no such {}.", operation.missing.unwrap_or("record")),
            _ => "The picture is turned down, or a fault.".to_owned(),
        };
        let problem = json!({"application/problem+json": {"schema": reference("ProblemDetails")}});
        responses[status.to_string()] = json!({"description": why, "content": problem});
    }
    responses
}

fn reference(shape: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{shape}")})
}

#[cfg(test)]
mod tests;
