//! The sections of `doorward.toml` that hold for the whole box.
//!
//! In: what the file says. Out: one struct per section, with its defaults. Detectors, rules and actions have files of
//! their own beside this one.

use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

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
    /// Where the model files are; without it `DOORWARD_MODELS_DIR`, then the usual places.
    pub dir: Option<PathBuf>,
    /// Threads of one inference; 1 leaves the other cores to the other detectors.
    pub threads: u16,
}

/// `[identities]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentitiesConfig {
    /// `https://customer.econnectcloud.com/identities` or `https://host:5009`.
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
    /// A PEM file with the certificates an on-premise server is signed by.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// `[outbox]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutboxConfig {
    /// When the stored sightings exceed this, the oldest go first, counted.
    pub max_bytes: u64,
    /// Sightings older than this are not sent any more, counted.
    pub max_age_hours: u32,
    /// An answer later than this after the face was seen never reaches an actuator.
    pub late_after_ms: u64,
    /// How long the record of visits and actions is kept (without pictures).
    pub history_days: u32,
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
            .field("timeout_ms", &self.timeout_ms)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".into(), format: LogFormat::Text }
    }
}

impl Default for ModelsConfig {
    fn default() -> Self {
        Self { dir: None, threads: 1 }
    }
}

impl Default for OutboxConfig {
    fn default() -> Self {
        Self { max_bytes: 256 << 20, max_age_hours: 72, late_after_ms: 5000, history_days: 7 }
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
