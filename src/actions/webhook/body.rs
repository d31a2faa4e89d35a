//! What a webhook sends: the event, a template's text, a form, or the picture itself.
//!
//! In: an event and perhaps the crop. Out: the body's bytes and what kind they are. Multipart bodies are bytes, too,
//! and not a form for the HTTP client, so that the whole can be signed and sent again as it was.

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use minijinja::value::Value;
use reqwest::multipart::{Form, Part};
use secrecy::{ExposeSecret, SecretString};

use super::super::setup::Setup;
use super::super::template::{Place, Template};
use super::events_bridge;
use crate::config::{BodyFormat, WebhookConfig};
use crate::rules::ActionRequest;

/// A body made ready.
pub struct Body {
    kind: Kind,
    /// The name of the part in which the crop goes along as multipart form data.
    picture: Option<String>,
    /// Whether a header of the configuration's own says what the body is.
    typed: bool,
}

enum Kind {
    Event,
    EventsBridge,
    Template(Box<Template>),
    Form(Vec<(String, Template)>),
    Picture,
}

impl Body {
    /// Compiles the templates.
    pub fn new(setup: &mut Setup, config: &WebhookConfig) -> Self {
        let content_type = config.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let content_type = content_type.map(|(_, value)| value.expose_secret().to_ascii_lowercase());
        let place = match &content_type {
            Some(kind) if kind.contains("form-urlencoded") => Place::Url,
            Some(kind) if !kind.contains("json") => Place::Text,
            _ => Place::Json,
        };
        let is_multipart = config.picture || !config.form.is_empty();
        if is_multipart && content_type.is_some() {
            let problem = "with `picture` or `form` the content type is multipart form data; leave it out";
            setup.note("headers", problem);
        }
        let kind = match (&config.body, config.body_format) {
            (Some(body), _) => Kind::Template(Box::new(setup.template("body", body, place))),
            (None, _) if !config.form.is_empty() => {
                Kind::Form(setup.templates("form", &config.form, SecretString::expose_secret))
            }
            (None, BodyFormat::Event) => Kind::Event,
            (None, BodyFormat::EventsBridge) => Kind::EventsBridge,
            (None, BodyFormat::Picture) => Kind::Picture,
        };
        let picture = config.picture.then(|| config.picture_name.clone());
        Self { kind, picture, typed: content_type.is_some() }
    }

    /// The body's content type, unless a header says it, and its bytes.
    pub async fn rendered(&self, event: &Value, request: &ActionRequest) -> Result<(Option<String>, Bytes), String> {
        let picture = request.picture.as_ref();
        // Names go out as they were written; the configuration takes none that would end its quotes.
        let mut form = Form::new().percent_encode_noop();
        let text = match &self.kind {
            Kind::Picture => {
                // From before a restart there is no picture any more.
                let kind = picture.filter(|_| !self.typed).map(|_| "image/jpeg".to_owned());
                return Ok((kind, picture.cloned().unwrap_or_default()));
            }
            Kind::Form(fields) => {
                for (name, template) in fields {
                    form = form.text(name.clone(), template.fill(event)?);
                }
                return multipart(form, self.picture.as_deref().zip(picture)).await;
            }
            Kind::Event => request.inputs.to_string(),
            Kind::EventsBridge => events_bridge::payload(&request.inputs)?.to_string(),
            Kind::Template(body) => body.fill(event)?,
        };
        if let Some(name) = &self.picture {
            let event = Part::text(text).mime_str("application/json").map_err(unusable)?;
            return multipart(form.part("event", event), picture.map(|picture| (name.as_str(), picture))).await;
        }
        Ok(((!self.typed).then(|| "application/json".to_owned()), text.into()))
    }
}

/// The content type and the bytes of multipart form data, with the picture as its last part.
async fn multipart(mut form: Form, picture: Option<(&str, &Bytes)>) -> Result<(Option<String>, Bytes), String> {
    if let Some((name, picture)) = picture {
        let picture =
            Part::stream(picture.clone()).file_name("picture.jpg").mime_str("image/jpeg").map_err(unusable)?;
        form = form.part(name.to_owned(), picture);
    }
    let content_type = format!("multipart/form-data; boundary={}", form.boundary());
    let body: BytesMut = form.into_stream().try_collect().await.map_err(unusable)?;
    Ok((Some(content_type), body.freeze()))
}

fn unusable(error: reqwest::Error) -> String {
    format!("the form cannot be written: {error}")
}
