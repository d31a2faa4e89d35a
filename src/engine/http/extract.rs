//! What handlers take requests apart with. Whatever is wrong with a request is a 400 here, whichever way it is wrong.
//!
//! In: a request that has passed the guard, its body in memory. Out: path segments, queries, JSON bodies and form
//! parts, checked as far as their types go.

use axum::body::Bytes;
use axum::extract::multipart::Field;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use crate::engine::auth::Caller;
use crate::engine::refusal::{Refusal, Unauthenticated};
use crate::engine::{Engine, guid};

/// A JSON object; other media types and other JSON are refused.
pub struct Json<T>(pub T);

/// The query of the URL.
pub struct Query<T>(pub T);

/// The variable segments of the path.
pub struct Segments<T>(pub T);

/// A path segment that is a GUID.
pub struct Guid(pub Uuid);

/// The parts of a multipart form, one after the other.
pub struct Form(axum::extract::Multipart);

/// What is read from a JSON body.
pub trait JsonRequest: DeserializeOwned {
    /// Properties that may be left out but not be `null`, where the type itself makes no difference.
    const NOT_NULL: &[&str] = &[];
}

impl<T: JsonRequest> FromRequest<Engine> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, engine: &Engine) -> Result<Self, Refusal> {
        let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if essence != "application/json" && !(essence.starts_with("application/") && essence.ends_with("+json")) {
            return Err(Refusal::bad_input("the body must be application/json"));
        }
        let body = Bytes::from_request(request, engine).await.map_err(|_| unreadable())?;
        // Derived types would also be read from an array of their values.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(Refusal::bad_input("the body must be a JSON object"));
        }
        let mut json = serde_json::Deserializer::from_slice(&body);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let (path, cause) = (error.path().to_string(), error.inner());
            Refusal::bad_input(if path == "." { cause.to_string() } else { format!("{path}: {cause}") })
        })?;
        json.end().map_err(|_| Refusal::bad_input("the body must be one JSON object"))?;
        if !T::NOT_NULL.is_empty() {
            let mut json = serde_json::Deserializer::from_slice(&body);
            NotNull(T::NOT_NULL).deserialize(&mut json).map_err(|error| Refusal::bad_input(error.to_string()))?;
        }
        Ok(Self(value))
    }
}

/// Goes through an object and fails at a `null` that may not be one.
struct NotNull(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for NotNull {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for NotNull {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value::<Option<IgnoredAny>>()?;
            if value.is_none() && self.0.contains(&key.as_str()) {
                return Err(A::Error::custom(format!("{key}: leave it out rather than null")));
            }
        }
        Ok(())
    }
}

impl<T: DeserializeOwned> FromRequestParts<Engine> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Engine) -> Result<Self, Refusal> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|query| Self(query.0))
            .map_err(|rejection| Refusal::bad_input(rejection.body_text()))
    }
}

impl<T: DeserializeOwned + Send> FromRequestParts<Engine> for Segments<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, engine: &Engine) -> Result<Self, Refusal> {
        Path::from_request_parts(parts, engine)
            .await
            .map(|Path(segments)| Self(segments))
            .map_err(|rejection| Refusal::bad_input(rejection.body_text()))
    }
}

impl<'de> Deserialize<'de> for Guid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        guid(&text).map(Self).map_err(|_| D::Error::custom("an id must be a GUID"))
    }
}

impl FromRequestParts<Engine> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Engine) -> Result<Self, Refusal> {
        // The guard puts it there for every operation that is not anonymous.
        parts.extensions.get::<Self>().cloned().ok_or(Refusal::Unauthenticated(Unauthenticated::NoToken))
    }
}

impl FromRequest<Engine> for Form {
    type Rejection = Refusal;

    async fn from_request(request: Request, engine: &Engine) -> Result<Self, Refusal> {
        let form = axum::extract::Multipart::from_request(request, engine).await;
        form.map(Self).map_err(|_| Refusal::bad_input("the body must be multipart/form-data"))
    }
}

impl Form {
    pub async fn next(&mut self) -> Result<Option<Field<'_>>, Refusal> {
        self.0.next_field().await.map_err(|_| bad_form())
    }
}

pub async fn bytes(field: Field<'_>) -> Result<Bytes, Refusal> {
    field.bytes().await.map_err(|_| bad_form())
}

pub async fn text(field: Field<'_>) -> Result<String, Refusal> {
    let bytes = bytes(field).await?;
    String::from_utf8(bytes.into()).map_err(|_| Refusal::bad_input("a text part of the form must be UTF-8"))
}

/// A text that must say something.
pub fn filled(name: &str, text: &str) -> Result<(), Refusal> {
    if text.is_empty() { Err(Refusal::bad_input(format!("{name} must not be empty"))) } else { Ok(()) }
}

/// A moment that ISO 8601 can write with four digits of year.
pub fn datable(name: &str, time: chrono::DateTime<chrono::Utc>) -> Result<(), Refusal> {
    match chrono::Datelike::year(&time) {
        0..=9999 => Ok(()),
        _ => Err(Refusal::bad_input(format!("{name} must lie in the years 0 to 9999"))),
    }
}

fn bad_form() -> Refusal {
    Refusal::bad_input("the multipart form is malformed or cut short")
}

fn unreadable() -> Refusal {
    Refusal::bad_input("the body cannot be read")
}
