//! `type = "webhook"`: an HTTP request, of one's own making or a preset.

use std::collections::BTreeMap;
use std::path::PathBuf;

use identities::stays_private;
use identities::trust::KeyPin;
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use wording::listed;

use super::preset::{Preset, check_url};
use super::{CommonOfActions, GuardConfig, Nature, door};
use crate::config::reading::At;
use crate::config::section::{hidden, section};
use crate::config::settings::check_no_certificates;
use crate::config::value::words;

section! {
    /// `type = "webhook"`: an HTTP request.
    pub struct WebhookConfig: Default, checked by check_webhook {
        /// A template; the values filled in are percent-encoded. Not with a preset.
        pub url: Option<SecretString> = None;
        /// A request that is known already, from a few keys.
        pub preset: Option<Preset> = None;
        pub method: String = "POST".into();
        /// Added to the address; values are templates.
        pub query: BTreeMap<String, SecretString> = BTreeMap::new();
        /// Values are templates.
        pub headers: BTreeMap<String, SecretString> = BTreeMap::new();
        /// A template; without it what `body_format` says. It may hold a secret.
        pub body: Option<String> = None, shown as hidden;
        pub body_format: BodyFormat = BodyFormat::Event;
        /// Multipart form data of these fields; values are templates.
        pub form: BTreeMap<String, SecretString> = BTreeMap::new();
        /// The crop goes along: multipart form data with the body as `event` (or the fields of `form`) and the JPEG.
        pub picture: bool = false;
        /// What the JPEG's part is called.
        pub picture_name: String = "picture".into();
        /// Signs the request after the Standard Webhooks specification: `whsec_` and Base64, or any other text.
        pub signing_key: Option<SecretString> = None;
        /// One try, from connecting to the last byte of the answer.
        pub timeout_ms: u64 = 5_000, in 100..=60_000;
        /// Tries in all, on connection errors, 408, 429 and 5xx.
        pub tries: u32 = 4, in 1..=20;
        /// All tries and the pauses between them; no try starts after it.
        pub within_ms: u64 = 60_000, in 100..=3_600_000;
        /// Requests under way at once.
        pub concurrency: u16 = 4, in 1..=64;
        /// It moves something in the world (opens a door): never performed late, never repeated.
        pub actuator: bool = false;
        /// A PEM file with the certificates the receiver is signed by; then no others are believed.
        pub ca_file: Option<PathBuf> = None;
        /// The receiver's key must be one of these; without `ca_file` that is all that is asked of its certificate.
        pub pin_sha256: Vec<KeyPin> = Vec::new();
        /// What must hold before it does.
        pub guard: GuardConfig = GuardConfig::default();
    }
}

words! {
    /// What is sent where no template says it.
    pub enum BodyFormat {
        /// The whole event.
        Event,
        /// The face webhook of eConnect's Events Bridge.
        EventsBridge,
        /// The JPEG itself.
        Picture,
    }
}

impl WebhookConfig {
    /// Posts the event as JSON.
    pub fn new(url: impl Into<SecretString>) -> Self {
        Self { url: Some(url.into()), ..Self::default() }
    }

    /// Scheme, host and port, which no template may change; `None` when they cannot be read.
    pub fn origin(&self) -> Option<Url> {
        let url = match &self.preset {
            Some(preset) => preset.url(),
            None => self.url.as_ref()?.expose_secret(),
        };
        let (scheme, rest) = url.trim_start().split_once("://")?;
        // An account in front of the host is nobody's business.
        let host = rest.split(['/', '?', '#', '\\']).next()?.rsplit('@').next()?;
        Url::parse(&format!("{scheme}://{host}")).ok()
    }

    /// Whether it says so, or its preset switches a relay.
    pub fn is_actuator(&self) -> bool {
        self.actuator || self.preset.as_ref().is_some_and(Preset::is_switch)
    }

    /// Notes what is said beside a preset, which fills it in.
    fn check_beside_preset(&self, preset: &Preset, at: &At<'_>) {
        let unsaid = Self::default();
        let said = [
            ("url", self.url.is_some()),
            ("method", self.method != unsaid.method),
            ("query", !self.query.is_empty()),
            ("body", self.body.is_some()),
            ("body_format", self.body_format != unsaid.body_format),
            ("form", !self.form.is_empty()),
            ("picture", self.picture && preset.is_switch()),
            ("picture_name", self.picture_name != unsaid.picture_name),
        ];
        for (key, _) in said.iter().filter(|(_, said)| *said) {
            at.wrong(&[key], "the preset fills this in; leave it out");
        }
    }
}

impl CommonOfActions for WebhookConfig {
    fn nature(&self) -> Nature<'_> {
        Nature {
            concurrency: self.concurrency,
            is_actuator: self.is_actuator(),
            guard: Some(&self.guard),
            ..Nature::default()
        }
    }

    fn looks_like_a_door(&self, name: &str) -> Option<String> {
        if self.preset.is_some() {
            return None;
        }
        let secrets = self.url.iter().chain(self.query.values()).map(ExposeSecret::expose_secret);
        door::in_words(name).or_else(|| secrets.chain(self.body.as_deref()).find_map(door::in_address))
    }
}

fn check_webhook(webhook: &WebhookConfig, at: &At<'_>) {
    match (&webhook.url, &webhook.preset) {
        (Some(url), None) => check_url(&["url"], url.expose_secret(), at),
        (None, None) => {
            at.wrong(&["url"], "this is missing; write `url = \"https://host.example/path\"`, or a `preset`")
        }
        (_, Some(preset)) => webhook.check_beside_preset(preset, at),
    }
    let origin = webhook.origin();
    if let Some(origin) = &origin {
        check_no_certificates(origin, webhook.ca_file.is_some(), &webhook.pin_sha256, at);
    }
    if origin.is_some_and(|origin| !stays_private(&origin)) {
        let path: &[&str] = if webhook.preset.is_some() { &["preset", "url"] } else { &["url"] };
        at.unwise(path, "what is sent there travels unencrypted; use https if the receiver can");
    }
    const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    if !METHODS.iter().any(|method| method.eq_ignore_ascii_case(&webhook.method)) {
        at.wrong(&["method"], format!("it must be one of {}", listed(&METHODS)));
    }
    for header in webhook.headers.keys() {
        if header.is_empty() || !header.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~!#$%&'*+^`|".contains(c)) {
            at.wrong(&["headers", header], "this is not the name of a header");
        }
    }
    let quoted = |name: &str| name.is_empty() || name.contains(['"', '\r', '\n']);
    for field in webhook.form.keys().filter(|field| quoted(field)) {
        at.wrong(&["form", field], "this is not the name of a form's field");
    }
    at.wrong_if(quoted(&webhook.picture_name), &["picture_name"], "this is not the name of a form's field");
    let other_body = webhook.body_format != BodyFormat::Event;
    if webhook.body.is_some() && (other_body || !webhook.form.is_empty()) {
        at.wrong(&["body"], "it stands beside another body; leave out `body_format` and `form`, or this");
    } else if other_body && !webhook.form.is_empty() {
        at.wrong(&["form"], "it stands beside another body; leave out `body_format`, or this");
    } else if webhook.body_format == BodyFormat::Picture && webhook.picture {
        at.wrong(&["picture"], "`body_format` sends the picture already; leave one of them out");
    }
}
