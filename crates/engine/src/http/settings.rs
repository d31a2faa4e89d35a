//! Entity field settings: definitions of custom fields, of which only the paths are documented.

use identities::operation::{CONFIGURE_DATETIME_FIELD, CONFIGURE_STRING_FIELD, Operation};
use serde_json::{Map, Value};

use super::Route;
use super::extract::{Json, Segments, filled};
use crate::refusal::Refusal;
use crate::store::settings;

pub fn routes() -> Vec<Route> {
    vec![configuring(&CONFIGURE_STRING_FIELD, "string"), configuring(&CONFIGURE_DATETIME_FIELD, "datetime")]
}

/// The route that defines fields of this kind.
fn configuring(operation: &'static Operation, kind: &'static str) -> Route {
    Route::changing(operation, move |transaction, _, (Segments((entity_type, field)), Json(body)): Asked| {
        check(&body)?;
        settings::put(transaction, &entity_type, &field, kind, &Value::Object(body).to_string())?;
        Ok((field, ()))
    })
}

/// The kind of entity, the field, and its definition.
type Asked = (Segments<(String, String)>, Json<Map<String, Value>>);

/// Refuses a definition whose known properties are of another type.
fn check(body: &Map<String, Value>) -> Result<(), Refusal> {
    match property(body, "name") {
        None | Some(Value::Null) => {}
        Some(Value::String(name)) => filled("name", name)?,
        Some(_) => return Err(Refusal::bad_input("name: a text is expected")),
    }
    if !matches!(property(body, "disabled"), None | Some(Value::Null | Value::Bool(_))) {
        return Err(Refusal::bad_input("disabled: true or false is expected"));
    }
    Ok(())
}

/// A property in any case.
fn property<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    body.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}
