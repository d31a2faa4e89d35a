//! `type = "webhook"`: an HTTP request, of one's own making or a preset.

use std::collections::BTreeMap;
use std::path::PathBuf;

use identities::stays_private;
use identities::trust::KeyPin;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::{GuardConfig, check_tries, default};
use crate::config::address;
use crate::config::diagnose::listed;
use crate::config::validate::ActionChecker;

/// `type = "webhook"`: an HTTP request.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// A template; the values filled in are percent-encoded. Not with a preset.
    pub url: Option<SecretString>,
    /// A request that is known already, from a few keys.
    pub preset: Option<Preset>,
    #[serde(default = "default_method")]
    pub method: String,
    /// Added to the address; values are templates.
    #[serde(default)]
    pub query: BTreeMap<String, SecretString>,
    /// Values are templates.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretString>,
    /// A template; without it what `body_format` says.
    #[serde(default)]
    pub body: Option<String>,
    #[serde(default)]
    pub body_format: BodyFormat,
    /// Multipart form data of these fields; values are templates.
    #[serde(default)]
    pub form: BTreeMap<String, SecretString>,
    /// The crop goes along: multipart form data with the body as `event` (or the fields of `form`) and the JPEG.
    #[serde(default)]
    pub picture: bool,
    /// What the JPEG's part is called.
    #[serde(default = "default_picture_name")]
    pub picture_name: String,
    /// Signs the request after the Standard Webhooks specification: `whsec_` and Base64, or any other text.
    #[serde(default)]
    pub signing_key: Option<SecretString>,
    /// One try, from connecting to the last byte of the answer.
    #[serde(default = "default::timeout_ms")]
    pub timeout_ms: u64,
    /// Tries in all, on connection errors, 408, 429 and 5xx.
    #[serde(default = "default::tries")]
    pub tries: u32,
    /// All tries and the pauses between them; no try starts after it.
    #[serde(default = "default::within_ms")]
    pub within_ms: u64,
    /// Requests under way at once.
    #[serde(default = "default::concurrency")]
    pub concurrency: u16,
    /// It moves something in the world (opens a door): never performed late, never repeated.
    #[serde(default)]
    pub actuator: bool,
    /// A PEM file with the certificates the receiver is signed by; then no others are believed.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The receiver's key must be one of these; without `ca_file` that is all that is asked of its certificate.
    #[serde(default)]
    pub pin_sha256: Vec<KeyPin>,
    /// What must hold before it does.
    #[serde(default)]
    pub guard: GuardConfig,
}

/// What is sent where no template says it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyFormat {
    /// The whole event.
    #[default]
    Event,
    /// The face webhook of eConnect's Events Bridge.
    EventsBridge,
    /// The JPEG itself.
    Picture,
}

/// A request that is known already; told by its `type`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// A Shelly relay of the first generation.
    ShellyGen1(SwitchPreset),
    /// A Shelly relay of a later generation.
    ShellyGen2(SwitchPreset),
    /// A relay with Tasmota firmware.
    Tasmota(SwitchPreset),
    /// A message to a topic of ntfy.
    Ntfy(NtfyPreset),
    /// A message through Pushover.
    Pushover(PushoverPreset),
}

/// One pulse of a relay that ends it by itself.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchPreset {
    /// The device: `http://10.0.0.7`.
    pub url: String,
    /// The relay, as the device counts: from 0 at Shelly's, from 1 at Tasmota's.
    pub channel: Option<u8>,
    #[serde(default = "default_pulse_ms")]
    pub pulse_ms: u64,
    /// Shelly's later generations know `admin` only.
    pub username: Option<String>,
    pub password: Option<SecretString>,
}

/// `type = "ntfy"`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NtfyPreset {
    /// The topic's address. Whoever knows it can read along.
    pub url: SecretString,
    pub token: Option<SecretString>,
    /// A template.
    #[serde(default = "default_title")]
    pub title: String,
    /// A template.
    #[serde(default = "default_message")]
    pub message: String,
    /// 1 to 5.
    pub priority: Option<u8>,
}

/// `type = "pushover"`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushoverPreset {
    /// Pushover's own, or something that speaks like it.
    #[serde(default = "default_pushover_url")]
    pub url: String,
    pub token: SecretString,
    pub user: SecretString,
    /// A template.
    #[serde(default = "default_title")]
    pub title: String,
    /// A template.
    #[serde(default = "default_message")]
    pub message: String,
    /// -2 to 1.
    pub priority: Option<i8>,
}

impl WebhookConfig {
    /// Posts the event as JSON.
    pub fn new(url: impl Into<SecretString>) -> Self {
        Self {
            url: Some(url.into()),
            preset: None,
            method: default_method(),
            query: BTreeMap::new(),
            headers: BTreeMap::new(),
            body: None,
            body_format: BodyFormat::default(),
            form: BTreeMap::new(),
            picture: false,
            picture_name: default_picture_name(),
            signing_key: None,
            timeout_ms: default::timeout_ms(),
            tries: default::tries(),
            within_ms: default::within_ms(),
            concurrency: default::concurrency(),
            actuator: false,
            ca_file: None,
            pin_sha256: Vec::new(),
            guard: GuardConfig::default(),
        }
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

    pub(super) fn check(&self, checker: &mut ActionChecker<'_, '_>) {
        match (&self.url, &self.preset) {
            (Some(url), None) => check_url(&["url"], url.expose_secret(), checker),
            (None, None) => {
                checker.wrong(&["url"], "this is missing; write `url = \"https://host.example/path\"`, or a `preset`")
            }
            (_, Some(preset)) => self.check_preset(preset, checker),
        }
        let origin = self.origin();
        if origin.as_ref().is_some_and(|origin| !stays_private(origin)) {
            let path: &[&str] = if self.preset.is_some() { &["preset", "url"] } else { &["url"] };
            checker.unwise(path, "what is sent there travels unencrypted; use https if the receiver can");
        }
        let plain = origin.is_some_and(|origin| origin.scheme() == "http");
        if plain && (self.ca_file.is_some() || !self.pin_sha256.is_empty()) {
            let key = if self.ca_file.is_some() { "ca_file" } else { "pin_sha256" };
            checker.wrong(&[key], "there is no certificate to check over http; use https");
        }
        const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
        if !METHODS.iter().any(|method| method.eq_ignore_ascii_case(&self.method)) {
            checker.wrong(&["method"], format!("it must be one of {}", listed(&METHODS)));
        }
        for header in self.headers.keys() {
            if header.is_empty() || !header.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~!#$%&'*+^`|".contains(c))
            {
                checker.wrong(&["headers", header], "this is not the name of a header");
            }
        }
        let quoted = |name: &str| name.is_empty() || name.contains(['"', '\r', '\n']);
        for field in self.form.keys().filter(|field| quoted(field)) {
            checker.wrong(&["form", field], "this is not the name of a form's field");
        }
        if quoted(&self.picture_name) {
            checker.wrong(&["picture_name"], "this is not the name of a form's field");
        }
        let other_body = self.body_format != BodyFormat::Event;
        if self.body.is_some() && (other_body || !self.form.is_empty()) {
            checker.wrong(&["body"], "it stands beside another body; leave out `body_format` and `form`, or this");
        } else if other_body && !self.form.is_empty() {
            checker.wrong(&["form"], "it stands beside another body; leave out `body_format`, or this");
        } else if self.body_format == BodyFormat::Picture && self.picture {
            checker.wrong(&["picture"], "`body_format` sends the picture already; leave one of them out");
        }
        check_tries(checker, self.timeout_ms, self.tries, self.within_ms, self.concurrency);
    }

    /// A preset fills in the request: what it fills in cannot be said beside it.
    fn check_preset(&self, preset: &Preset, checker: &mut ActionChecker<'_, '_>) {
        let said = [
            ("url", self.url.is_some()),
            ("method", self.method != default_method()),
            ("query", !self.query.is_empty()),
            ("body", self.body.is_some()),
            ("body_format", self.body_format != BodyFormat::Event),
            ("form", !self.form.is_empty()),
            ("picture", self.picture && preset.is_switch()),
            ("picture_name", self.picture_name != default_picture_name()),
        ];
        for (key, _) in said.iter().filter(|(_, said)| *said) {
            checker.wrong(&[key], "the preset fills this in; leave it out");
        }
        match preset {
            Preset::ShellyGen1(switch) | Preset::ShellyGen2(switch) | Preset::Tasmota(switch) => {
                if !(100..=60_000).contains(&switch.pulse_ms) {
                    let problem = format!("{} is out of range; it must be from 100 to 60000", switch.pulse_ms);
                    checker.wrong(&["preset", "pulse_ms"], problem);
                }
                if switch.username.is_some() && switch.password.is_none() {
                    checker.wrong(&["preset", "username"], "there is no `password` with it");
                }
                let fine = match preset {
                    Preset::Tasmota(_) => 1..=32,
                    _ => 0..=32,
                };
                if switch.channel.is_some_and(|channel| !fine.contains(&channel)) {
                    let (low, high) = fine.into_inner();
                    checker.wrong(&["preset", "channel"], format!("it must be from {low} to {high}"));
                }
            }
            Preset::Ntfy(ntfy) => {
                if ntfy.priority.is_some_and(|priority| !(1..=5).contains(&priority)) {
                    checker.wrong(&["preset", "priority"], "it must be from 1 to 5");
                }
            }
            Preset::Pushover(pushover) => {
                if pushover.priority.is_some_and(|priority| !(-2..=1).contains(&priority)) {
                    checker.wrong(&["preset", "priority"], "it must be from -2 to 1");
                }
            }
        }
        check_url(&["preset", "url"], preset.url(), checker);
    }
}

impl Preset {
    /// Where the receiver is; a secret for some.
    fn url(&self) -> &str {
        match self {
            Self::ShellyGen1(switch) | Self::ShellyGen2(switch) | Self::Tasmota(switch) => &switch.url,
            Self::Ntfy(ntfy) => ntfy.url.expose_secret(),
            Self::Pushover(pushover) => &pushover.url,
        }
    }

    /// It switches a relay.
    pub fn is_switch(&self) -> bool {
        matches!(self, Self::ShellyGen1(_) | Self::ShellyGen2(_) | Self::Tasmota(_))
    }
}

fn check_url(path: &[&str], url: &str, checker: &mut ActionChecker<'_, '_>) {
    if !["http://", "https://", "{"].iter().any(|start| url.trim_start().starts_with(start)) {
        checker.wrong(path, "it must start with https:// or http://");
        return;
    }
    // What a template makes of an address is known once it is filled in.
    if !["{{", "{%"].iter().any(|template| url.contains(template))
        && let Err(problem) = address::parse(url.trim())
    {
        checker.wrong(path, problem);
    }
}

impl std::fmt::Debug for WebhookConfig {
    /// Address, headers and body may hold secrets: their names and sizes only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookConfig")
            .field("preset", &self.preset)
            .field("method", &self.method)
            .field("query", &self.query.keys())
            .field("headers", &self.headers.keys())
            .field("body_bytes", &self.body.as_ref().map(String::len))
            .field("body_format", &self.body_format)
            .field("form", &self.form.keys())
            .field("picture", &self.picture)
            .field("signed", &self.signing_key.is_some())
            .field("timeout_ms", &self.timeout_ms)
            .field("tries", &self.tries)
            .field("concurrency", &self.concurrency)
            .field("actuator", &self.actuator)
            .field("guard", &self.guard)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for SwitchPreset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { channel, pulse_ms, .. } = self;
        f.debug_struct("SwitchPreset").field("channel", channel).field("pulse_ms", pulse_ms).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for NtfyPreset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NtfyPreset").field("priority", &self.priority).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for PushoverPreset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushoverPreset").field("priority", &self.priority).finish_non_exhaustive()
    }
}

fn default_method() -> String {
    "POST".into()
}

fn default_picture_name() -> String {
    "picture".into()
}

fn default_pulse_ms() -> u64 {
    3_000
}

fn default_title() -> String {
    "{{ detector }}".into()
}

fn default_message() -> String {
    "{{ person.name if person else 'Somebody unknown' }}".into()
}

fn default_pushover_url() -> String {
    "https://api.pushover.net/1/messages.json".into()
}
