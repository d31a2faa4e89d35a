//! What handlers take requests apart with. Whatever is wrong with a request is a 400 here, whichever way it is wrong.
//!
//! In: a request that has passed the guard, its body in memory. Out: path segments, queries, JSON bodies and form
//! parts, checked as far as their types go.

use std::convert::Infallible;

use axum::body::Bytes;
use axum::extract::multipart::Field;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use encoding_rs::{Encoding, UTF_8};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use super::names;
use crate::auth::Caller;
use crate::engine::Engine;
use crate::error::{Refusal, Unauthenticated};
use crate::store::guid;

/// A JSON object; other media types and other JSON are refused.
pub struct Json<T>(pub T);

/// The same where a request may also go without a body.
pub struct OptionalJson<T>(pub T);

/// The query of the URL.
pub struct Query<T>(pub T);

/// The variable segments of the path.
pub struct Segments<T>(pub T);

/// A path segment that is a GUID.
pub struct Guid(pub Uuid);

/// The one variable segment of a path, where it is a GUID.
pub struct Id(pub Uuid);

/// The parts of a multipart form, one after the other.
pub struct Form(pub(super) axum::extract::Multipart);

impl<T: DeserializeOwned> FromRequest<Engine> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, engine: &Engine) -> Result<Self, Refusal> {
        let (media_type, body) = sent(request, engine).await?;
        object(&media_type, body).map(Self)
    }
}

impl<T: DeserializeOwned + Default> FromRequest<Engine> for OptionalJson<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, engine: &Engine) -> Result<Self, Refusal> {
        let (media_type, body) = sent(request, engine).await?;
        if body.trim_ascii().is_empty() { Ok(Self(T::default())) } else { object(&media_type, body).map(Self) }
    }
}

/// What the media type of a body was said to be, and the body as it was sent.
async fn sent(request: Request, engine: &Engine) -> Result<(String, Bytes), Refusal> {
    let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.to_owned();
    Ok((media_type, Bytes::from_request(request, engine).await.map_err(|_| unreadable())?))
}

/// The encoding a media type states; refused when it is not one of JSON's media types.
fn charset(media_type: &str) -> Result<Option<&'static Encoding>, Refusal> {
    let mut parts = media_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let suffixed = essence.starts_with("application/") && essence.ends_with("+json");
    if !["application/json", "text/json"].contains(&essence.as_str()) && !suffixed {
        return Err(Refusal::bad_input("the body must be application/json"));
    }
    let stated = parts.find_map(|part| part.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("charset")));
    let Some((_, label)) = stated else { return Ok(None) };
    match Encoding::for_label(label.trim_matches('"').as_bytes()) {
        Some(encoding) => Ok(Some(encoding)),
        None => Err(Refusal::bad_input("the charset of the body is not known; send UTF-8")),
    }
}

/// The body in UTF-8 and without a byte order mark.
fn in_utf8(body: Bytes, stated: Option<&'static Encoding>) -> Result<Bytes, Refusal> {
    let (encoding, mark) = Encoding::for_bom(&body).unwrap_or((stated.unwrap_or(UTF_8), 0));
    let body = body.slice(mark..);
    if encoding == UTF_8 {
        return Ok(body);
    }
    let text = encoding.decode_without_bom_handling_and_without_replacement(&body).ok_or_else(unreadable)?;
    Ok(Bytes::from(text.into_owned()))
}

/// A JSON object, its names in any case. A property that is `null` is absent where its type allows it to be.
fn object<T: DeserializeOwned>(media_type: &str, body: Bytes) -> Result<T, Refusal> {
    let body = in_utf8(body, charset(media_type)?)?;
    // Derived types would also be read from an array of their values.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::bad_input("the body must be a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(&body);
    let value = names::read(&mut json).map_err(Refusal::bad_input)?;
    json.end().map_err(|_| Refusal::bad_input("the body must be one JSON object"))?;
    Ok(value)
}

impl<T: DeserializeOwned> FromRequestParts<Engine> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Engine) -> Result<Self, Refusal> {
        names::query(parts.uri.query().unwrap_or_default()).map(Self).map_err(Refusal::bad_input)
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

impl FromRequestParts<Engine> for Id {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, engine: &Engine) -> Result<Self, Refusal> {
        Segments::from_request_parts(parts, engine).await.map(|Segments(Guid(id))| Self(id))
    }
}

impl FromRequestParts<Engine> for Engine {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, engine: &Engine) -> Result<Self, Infallible> {
        Ok(engine.clone())
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

/// Which of these parts it is; its name may be in any case.
pub fn which(field: &Field<'_>, names: &[&'static str]) -> Option<&'static str> {
    names::known(field.name()?, names)
}

pub async fn bytes(field: Field<'_>) -> Result<Bytes, Refusal> {
    field.bytes().await.map_err(|_| bad_form())
}

pub async fn text(field: Field<'_>) -> Result<String, Refusal> {
    let text = identities::text_file::decode(&bytes(field).await?);
    text.ok_or_else(|| Refusal::bad_input("a text part of the form must be UTF-8"))
}

/// A text that must say something.
pub fn filled(name: &str, text: &str) -> Result<(), Refusal> {
    if text.is_empty() { Err(Refusal::bad_input(format!("{name} must not be empty"))) } else { Ok(()) }
}

/// A text that may be left out, but must say something where it is given.
pub fn filled_if_given(name: &str, text: &Option<String>) -> Result<(), Refusal> {
    text.as_deref().map_or(Ok(()), |text| filled(name, text))
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
