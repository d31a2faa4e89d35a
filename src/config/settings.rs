//! The sections of `doorward.toml` that hold for the whole box.
//!
//! In: what the file says. Out: one struct per section, with its defaults. Detectors, rules and actions have files of
//! their own beside this one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use identities::ClientOptions;
use identities::text;
use identities::trust::KeyPin;
use secrecy::{ExposeSecret, SecretString};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use url::Url;
use zeroize::Zeroizing;

use super::address;

/// `dry_run`: which actions are decided and recorded, and not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DryRun {
    /// `true` or `false`: all of them, or none.
    All(bool),
    /// Those of these names.
    Actions(Vec<String>),
}

/// `[log]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// What is logged: `info`, or per module, `info,doorward::capture=debug`.
    pub filter: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One line per event for people; no time stamp under systemd, whose journal has its own.
    Text,
    Json,
}

/// `[models]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelsConfig {
    /// Where the model files are; `DOORWARD_MODELS_DIR` wins over it, and without either it is the usual places.
    pub dir: Option<PathBuf>,
    /// Threads of one inference; 1 leaves the other cores to the other detectors.
    pub threads: u16,
}

/// `[identities]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentitiesConfig {
    /// `https://customer.econnectcloud.com/identities` or `https://host:5009`.
    #[serde(deserialize_with = "address::deserialize")]
    pub url: Url,
    pub username: String,
    pub password: SecretString,
    /// One request from the first byte sent to the last received.
    #[serde(default = "default::timeout_ms")]
    pub timeout_ms: u64,
    #[serde(default = "default::connect_timeout_ms")]
    pub connect_timeout_ms: u64,
    /// The longest pause between two tries.
    #[serde(default = "default::retry_max_ms")]
    pub retry_max_ms: u64,
    /// Sightings under way at once.
    #[serde(default = "default::concurrency")]
    pub concurrency: u16,
    /// A PEM file with the certificates an on-premise server is signed by; then no others are believed.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The server's key must be one of these; without `ca_file` that is all that is asked of its certificate.
    #[serde(default)]
    pub pin_sha256: Vec<KeyPin>,
    /// `http://` to another machine is meant: passwords and faces travel unencrypted.
    #[serde(default)]
    pub allow_plain_http: bool,
}

/// `[outbox]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutboxConfig {
    /// What is stored of faces and people is encrypted with this: 32 bytes, written as hexadecimal digits or Base64.
    /// Without it a key is made once and kept in the state folder.
    pub key: Option<SecretString>,
    /// When the stored sightings exceed this, the least valuable go first, counted.
    pub max_bytes: u64,
    /// The same by their number.
    pub max_sightings: u32,
    /// Sightings older than this are not sent any more, counted.
    pub max_age_hours: u32,
    /// An answer later than this after the face was seen never reaches an actuator.
    pub late_after_ms: u64,
    /// Sightings of the backlog sent in a second after an outage; 0 is without limit. Whoever stands at the door goes first.
    pub drain_per_sec: u32,
    /// How long the record of visits and actions is kept (without pictures).
    pub history_days: u32,
    /// In which order the backlog of an outage is sent; whoever stands in front of a camera always goes first.
    pub drain: Drain,
    /// How long the picture of a recognised person is kept, encrypted, once it has been answered.
    pub keep_known_hours: u32,
    /// The same for somebody the engine does not know.
    pub keep_unknown_hours: u32,
    /// The same for every other answer: accepted without a name, no face found, refused.
    pub keep_other_hours: u32,
    /// When the kept pictures exceed this, the oldest go first.
    pub keep_max_bytes: u64,
}

/// The order in which a backlog is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drain {
    /// As it was seen: the engine's history fills up in order.
    InOrder,
    /// What is most likely to matter still goes first.
    NewestFirst,
}

/// `[status]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StatusConfig {
    /// Where health, metrics and the live page are served; `off` for nowhere.
    #[serde(deserialize_with = "listen_or_off")]
    pub listen: Option<SocketAddr>,
}

impl IdentitiesConfig {
    /// Everything but the address and the account at its default.
    pub fn new(url: Url, username: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Self {
            url,
            username: username.into(),
            password: password.into(),
            timeout_ms: default::timeout_ms(),
            connect_timeout_ms: default::connect_timeout_ms(),
            retry_max_ms: default::retry_max_ms(),
            concurrency: default::concurrency(),
            ca_file: None,
            pin_sha256: Vec::new(),
            allow_plain_http: false,
        }
    }
}

impl IdentitiesConfig {
    /// What a client is made of.
    pub fn client(&self) -> ClientOptions {
        ClientOptions {
            url: self.url.clone(),
            username: self.username.clone(),
            password: self.password.clone(),
            timeout: Duration::from_millis(self.timeout_ms),
            connect_timeout: Duration::from_millis(self.connect_timeout_ms),
            longest_pause: Duration::from_millis(self.retry_max_ms),
            ca_file: self.ca_file.clone(),
            pin_sha256: self.pin_sha256.clone(),
            allow_plain_http: self.allow_plain_http,
        }
    }
}

impl std::fmt::Debug for IdentitiesConfig {
    /// Of the address the scheme and host only: the rest may hold an account.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdentitiesConfig")
            .field("scheme", &self.url.scheme())
            .field("host", &self.url.host_str())
            .field("port", &self.url.port_or_known_default())
            .field("ca_file", &self.ca_file)
            .field("pin_sha256", &self.pin_sha256)
            .field("timeout_ms", &self.timeout_ms)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

impl DryRun {
    /// Whether the action of this name is not done.
    pub fn covers(&self, action: &str) -> bool {
        match self {
            Self::All(all) => *all,
            Self::Actions(names) => names.iter().any(|name| name == action),
        }
    }
}

impl Default for DryRun {
    fn default() -> Self {
        Self::All(false)
    }
}

impl<'de> Deserialize<'de> for DryRun {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AllOrSome;

        impl<'de> Visitor<'de> for AllOrSome {
            type Value = DryRun;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("true, false, or a list of names of actions")
            }

            fn visit_bool<E: Error>(self, all: bool) -> Result<DryRun, E> {
                Ok(DryRun::All(all))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<DryRun, A::Error> {
                let names = Vec::<String>::deserialize(SeqAccessDeserializer::new(names))?;
                Ok(DryRun::Actions(names.iter().map(|name| text::composed(name).into_owned()).collect()))
            }
        }

        deserializer.deserialize_any(AllOrSome)
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".into(), format: LogFormat::Text }
    }
}

impl LogConfig {
    /// What logging is started with.
    pub fn options(&self) -> telemetry::LogOptions {
        let format = match self.format {
            LogFormat::Text => telemetry::LogFormat::Text,
            LogFormat::Json => telemetry::LogFormat::Json,
        };
        telemetry::LogOptions { filter: self.filter.clone(), format }
    }
}

impl Default for ModelsConfig {
    fn default() -> Self {
        Self { dir: None, threads: 1 }
    }
}

impl Default for OutboxConfig {
    fn default() -> Self {
        Self {
            key: None,
            max_bytes: 256 << 20,
            max_sightings: 50_000,
            max_age_hours: 72,
            late_after_ms: 5000,
            drain_per_sec: 10,
            history_days: 7,
            drain: Drain::InOrder,
            keep_known_hours: 0,
            keep_unknown_hours: 0,
            keep_other_hours: 0,
            keep_max_bytes: 64 << 20,
        }
    }
}

impl OutboxConfig {
    /// The 32 bytes of `key`; `None` without one. The error says how a key is written.
    pub fn key_bytes(&self) -> Result<Option<Zeroizing<[u8; 32]>>, &'static str> {
        let Some(text) = &self.key else { return Ok(None) };
        let text = text.expose_secret().trim();
        let bytes = Zeroizing::new(match text.len() {
            64 => hex::decode(text).unwrap_or_default(),
            _ => STANDARD_NO_PAD.decode(text.trim_end_matches('=')).unwrap_or_default(),
        });
        let key = <[u8; 32]>::try_from(bytes.as_slice());
        let wrong = "it must be 32 bytes in hexadecimal digits or Base64; `openssl rand -hex 32` makes one";
        key.map(|key| Some(Zeroizing::new(key))).map_err(|_| wrong)
    }
}

impl Default for StatusConfig {
    fn default() -> Self {
        Self { listen: Some(SocketAddr::from(([127, 0, 0, 1], 8780))) }
    }
}

fn listen_or_off<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "off" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            serde::de::Error::custom(format!("`{text}` is neither an address like \"127.0.0.1:8780\" nor \"off\""))
        }),
    }
}

/// Defaults of keys in sections that have required ones.
mod default {
    pub fn timeout_ms() -> u64 {
        10_000
    }
    pub fn connect_timeout_ms() -> u64 {
        3_000
    }
    pub fn retry_max_ms() -> u64 {
        30_000
    }
    pub fn concurrency() -> u16 {
        2
    }
}
