//! Entity field settings: definitions of custom fields, of which only the paths are documented.

use axum::extract::State;
use axum::routing::put;
use serde_json::{Map, Value};

use super::extract::{Json, Segments, filled};
use super::{Access, RECORD, Route};
use crate::Engine;
use crate::auth::Caller;
use crate::permission::Permission::*;
use crate::refusal::Refusal;
use crate::store::{audit, settings};

pub fn routes() -> Vec<Route> {
    let writing = Access::AnyOf(&[MutateAllIdentity]);
    let (string, datetime) = (
        "/api/v1/EntityFieldSettings/{entityType}/stringField/{fieldId}",
        "/api/v1/EntityFieldSettings/{entityType}/datetimeField/{fieldId}",
    );
    vec![
        Route::new("configureStringField", string, writing, RECORD, put(string_field)),
        Route::new("configureDatetimeField", datetime, writing, RECORD, put(datetime_field)),
    ]
}

async fn string_field(
    State(engine): State<Engine>,
    caller: Caller,
    Segments(field): Segments<(String, String)>,
    Json(body): Json<Map<String, Value>>,
) -> Result<(), Refusal> {
    store(&engine, caller, "configureStringField", "string", field, body).await
}

async fn datetime_field(
    State(engine): State<Engine>,
    caller: Caller,
    Segments(field): Segments<(String, String)>,
    Json(body): Json<Map<String, Value>>,
) -> Result<(), Refusal> {
    store(&engine, caller, "configureDatetimeField", "datetime", field, body).await
}

async fn store(
    engine: &Engine,
    caller: Caller,
    operation: &'static str,
    kind: &'static str,
    (entity_type, field): (String, String),
    body: Map<String, Value>,
) -> Result<(), Refusal> {
    match property(&body, "name") {
        None | Some(Value::Null) => {}
        Some(Value::String(name)) => filled("name", name)?,
        Some(_) => return Err(Refusal::bad_input("name: a text is expected")),
    }
    if !matches!(property(&body, "disabled"), None | Some(Value::Null | Value::Bool(_))) {
        return Err(Refusal::bad_input("disabled: true or false is expected"));
    }
    let body = Value::Object(body).to_string();
    let stored = engine.blocking(move |inner| {
        inner.store.write("store the settings of a field", |transaction| {
            settings::put(transaction, &entity_type, &field, kind, &body)?;
            Ok(audit::record(transaction, &caller.username, operation, Some(&field))?)
        })
    });
    stored.await
}

/// A property in any case.
fn property<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    body.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}
