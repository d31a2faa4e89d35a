//! What a webhook sends: the event, a template's text, a form, or the picture itself.
//!
//! In: an event and perhaps the crop. Out: the body's bytes and what kind they are. Multipart bodies are written here
//! and not by the HTTP client, so that the whole can be signed and sent again as it was.

use bytes::Bytes;
use minijinja::value::Value;
use secrecy::ExposeSecret;
use uuid::Uuid;

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
                let fields = config.form.iter().map(|(name, value)| (name, value.expose_secret()));
                Kind::Form(setup.templates("form", fields))
            }
            (None, BodyFormat::Event) => Kind::Event,
            (None, BodyFormat::EventsBridge) => Kind::EventsBridge,
            (None, BodyFormat::Picture) => Kind::Picture,
        };
        let picture = config.picture.then(|| config.picture_name.clone());
        Self { kind, picture, typed: content_type.is_some() }
    }

    /// The body's content type, unless a header says it, and its bytes.
    pub fn rendered(&self, event: &Value, request: &ActionRequest) -> Result<(Option<String>, Bytes), String> {
        let picture = request.picture.as_ref();
        let text = match &self.kind {
            Kind::Picture => {
                // From before a restart there is no picture any more.
                let kind = picture.filter(|_| !self.typed).map(|_| "image/jpeg".to_owned());
                return Ok((kind, picture.cloned().unwrap_or_default()));
            }
            Kind::Form(fields) => {
                let mut parts = Multipart::new();
                for (name, template) in fields {
                    parts.text(name, None, &template.fill(event)?);
                }
                return Ok(parts.ended(self.picture.as_deref().zip(picture)));
            }
            Kind::Event => request.inputs.to_string(),
            Kind::EventsBridge => events_bridge::payload(&request.inputs)?.to_string(),
            Kind::Template(body) => body.fill(event)?,
        };
        if let Some(name) = &self.picture {
            let mut parts = Multipart::new();
            parts.text("event", Some("application/json"), &text);
            return Ok(parts.ended(picture.map(|picture| (name.as_str(), picture))));
        }
        Ok(((!self.typed).then(|| "application/json".to_owned()), text.into()))
    }
}

/// Multipart form data. The boundary is random: a picture that holds it is not to be expected in the age of the
/// universe.
struct Multipart {
    boundary: String,
    body: Vec<u8>,
}

impl Multipart {
    fn new() -> Self {
        Self { boundary: Uuid::new_v4().simple().to_string(), body: Vec::new() }
    }

    fn text(&mut self, name: &str, kind: Option<&str>, text: &str) {
        self.part(&format!("name=\"{name}\""), kind, text.as_bytes());
    }

    fn part(&mut self, disposition: &str, kind: Option<&str>, content: &[u8]) {
        let kind = kind.map(|kind| format!("Content-Type: {kind}\r\n")).unwrap_or_default();
        let head = format!("--{}\r\nContent-Disposition: form-data; {disposition}\r\n{kind}\r\n", self.boundary);
        self.body.extend_from_slice(head.as_bytes());
        self.body.extend_from_slice(content);
        self.body.extend_from_slice(b"\r\n");
    }

    /// Ends the form, with the picture as its last part.
    fn ended(mut self, picture: Option<(&str, &Bytes)>) -> (Option<String>, Bytes) {
        if let Some((name, picture)) = picture {
            self.part(&format!("name=\"{name}\"; filename=\"picture.jpg\""), Some("image/jpeg"), picture);
        }
        self.body.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        (Some(format!("multipart/form-data; boundary={}", self.boundary)), self.body.into())
    }
}
