//! The sections of `doorward.toml` that hold for the whole box.
//!
//! In: what the file says. Out: one struct per section, with its defaults. Detectors, rules, actions and the broker
//! have files of their own beside this one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ::config::ValueKind;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use identities::trust::KeyPin;
use identities::{ClientOptions, is_loopback};
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use zeroize::Zeroizing;

use super::address;
use super::reading::At;
use super::section::section;
use super::value::{Value, names, words};

/// `dry_run`: which actions are decided and recorded, and not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DryRun {
    /// `true` or `false`: all of them, or none.
    All(bool),
    /// Those of these names.
    Actions(Vec<String>),
}

section! {
    /// `[log]`
    pub struct LogConfig: Default, checked by check_log {
        /// What is logged: `info`, or per module, `info,doorward::capture=debug`.
        pub filter: String = "info".into();
        pub format: LogFormat = LogFormat::Text;
    }
}

words! {
    /// The form of a line of the log.
    pub enum LogFormat {
        /// One line per event for people; no time stamp under systemd, whose journal has its own.
        Text,
        Json,
    }
}

section! {
    /// `[models]`
    pub struct ModelsConfig: Default {
        /// Where the model files are; `DOORWARD_MODELS_DIR` wins over it, and without either it is the usual places.
        pub dir: Option<PathBuf> = None;
        /// Threads of one inference; 1 leaves the other cores to the other detectors.
        pub threads: u16 = 1, in 1..=64;
    }
}

section! {
    /// `[identities]`
    pub struct IdentitiesConfig: new(url: Url, username: impl Into<String>, password: impl Into<SecretString>),
        checked by check_identities {
        /// `https://customer.econnectcloud.com/identities` or `https://host:5009`. It may hold an account, which is a
        /// mistake and still not shown.
        pub url: Url, shown as address::server;
        pub username: String;
        pub password: SecretString;
        /// One request from the first byte sent to the last received.
        pub timeout_ms: u64 = 10_000, in 100..=600_000;
        pub connect_timeout_ms: u64 = 3_000, in 100..=60_000;
        /// The longest pause between two tries.
        pub retry_max_ms: u64 = 30_000, in 100..=3_600_000;
        /// Sightings under way at once.
        pub concurrency: u16 = 2, in 1..=32;
        /// A PEM file with the certificates an on-premise server is signed by; then no others are believed.
        pub ca_file: Option<PathBuf> = None;
        /// The server's key must be one of these; without `ca_file` that is all that is asked of its certificate.
        pub pin_sha256: Vec<KeyPin> = Vec::new();
        /// `http://` to another machine is meant: passwords and faces travel unencrypted.
        pub allow_plain_http: bool = false;
    }
}

section! {
    /// `[outbox]`
    pub struct OutboxConfig: Default, checked by check_outbox {
        /// What is stored of faces and people is encrypted with this: 32 bytes, written as hexadecimal digits or
        /// Base64. Without it a key is made once and kept in the state folder.
        pub key: Option<SecretString> = None;
        /// When the stored sightings exceed this, the least valuable go first, counted.
        pub max_bytes: u64 = 256 << 20, in 1 << 20..=1 << 44;
        /// The same by their number.
        pub max_sightings: u32 = 50_000, in 10..=1_000_000;
        /// Sightings older than this are not sent any more, counted.
        pub max_age_hours: u32 = 72, in 1..=8_760;
        /// An answer later than this after the face was seen never reaches an actuator.
        pub late_after_ms: u64 = 5_000, in 100..=60_000;
        /// Sightings of the backlog sent in a second after an outage; 0 is without limit. Whoever stands at the door
        /// goes first.
        pub drain_per_sec: u32 = 10, in 0..=1_000;
        /// How long the record of visits and actions is kept (without pictures).
        pub history_days: u32 = 7, in 1..=366;
        /// In which order the backlog of an outage is sent; whoever stands in front of a camera always goes first.
        pub drain: Drain = Drain::InOrder;
        /// How long the picture of a recognised person is kept, encrypted, once it has been answered.
        pub keep_known_hours: u32 = 0, in 0..=8_760;
        /// The same for somebody the engine does not know.
        pub keep_unknown_hours: u32 = 0, in 0..=8_760;
        /// The same for every other answer: accepted without a name, no face found, refused.
        pub keep_other_hours: u32 = 0, in 0..=8_760;
        /// When the kept pictures exceed this, the oldest go first.
        pub keep_max_bytes: u64 = 64 << 20, in 1 << 20..=1 << 44;
    }
}

words! {
    /// The order in which a backlog is sent.
    pub enum Drain {
        /// As it was seen: the engine's history fills up in order.
        InOrder,
        /// What is most likely to matter still goes first.
        NewestFirst,
    }
}

section! {
    /// `[status]`
    pub struct StatusConfig: Default, checked by check_status {
        /// Where health, metrics and the live page are served; `off` for nowhere.
        pub listen: Option<SocketAddr> = Some(SocketAddr::from(([127, 0, 0, 1], 8780))), read by listen_or_off;
    }
}

fn check_log(log: &LogConfig, at: &At<'_>) {
    if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(&log.filter) {
        at.wrong(&["filter"], format!("it is not like `info,doorward::capture=debug`: {error}"));
    }
}

fn check_identities(identities: &IdentitiesConfig, at: &At<'_>) {
    let url = &identities.url;
    let path = ["url"];
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(url) => {}
        "http" if identities.allow_plain_http => {
            at.unwise(&path, "passwords and faces travel unencrypted, as `allow_plain_http` says; use https");
        }
        "http" => at.wrong(
            &path,
            "passwords and faces would travel unencrypted; use https, or say `allow_plain_http = true` beside it",
        ),
        scheme => at.wrong(&path, format!("`{scheme}` is not a way to reach an engine; use https or http")),
    }
    check_no_account(url, at);
    let more = url.query().is_some() || url.fragment().is_some();
    at.wrong_if(more, &path, "it ends in a query or fragment; write the address without `?` and `#`");
    check_no_certificates(url, identities.ca_file.is_some(), &identities.pin_sha256, at);
    at.wrong_if(identities.username.is_empty(), &["username"], "it is empty; write the account doorward logs in with");
    let no_password = identities.password.expose_secret().is_empty();
    at.wrong_if(no_password, &["password"], "it is empty; provide it as a credential or variable");
}

fn check_outbox(outbox: &OutboxConfig, at: &At<'_>) {
    if let Err(problem) = outbox.key_bytes() {
        at.wrong(&["key"], problem);
    }
}

fn check_status(status: &StatusConfig, at: &At<'_>) {
    if status.listen.is_some_and(|address| !address.ip().is_loopback()) {
        at.unwise(&["listen"], "everyone who reaches this address can read the status page");
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

impl DryRun {
    /// Whether the action of this name is not done.
    pub fn covers(&self, action: &str) -> bool {
        match self {
            Self::All(all) => *all,
            Self::Actions(names) => names.iter().any(|name| name == action),
        }
    }
}

impl Value for DryRun {
    fn read(at: &At<'_>) -> Option<Self> {
        match at.value()? {
            ValueKind::Boolean(all) => Some(Self::All(*all)),
            ValueKind::Array(_) => names(at).map(Self::Actions),
            _ => at.refuse("true, false, or a list of names of actions"),
        }
    }
}

impl LogConfig {
    /// What logging is started with.
    pub fn options(&self) -> telemetry::LogOptions {
        telemetry::LogOptions { filter: self.filter.clone(), json: self.format == LogFormat::Json }
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

/// Notes an account in the address of something that has keys of their own for it.
pub(super) fn check_no_account(url: &Url, at: &At<'_>) {
    let account = !url.username().is_empty() || url.password().is_some();
    at.wrong_if(account, &["url"], "it holds an account; write that as `username` and `password`");
}

/// Notes what is said of certificates where the server shows none.
pub(super) fn check_no_certificates(url: &Url, ca_file: bool, pins: &[KeyPin], at: &At<'_>) {
    let key = if ca_file { "ca_file" } else { "pin_sha256" };
    let in_vain = url.scheme() == "http" && (ca_file || !pins.is_empty());
    at.wrong_if(in_vain, &[key], "there is no certificate to check over http; use https");
}

fn listen_or_off(at: &At<'_>) -> Option<Option<SocketAddr>> {
    at.parsed(|text| match text {
        "off" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|_| format!("`{text}` is neither an address like \"127.0.0.1:8780\" nor \"off\"")),
    })
}
