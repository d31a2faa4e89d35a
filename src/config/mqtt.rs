//! The MQTT broker: where it is, how doorward is let in, and what is told there.
//!
//! In: `[mqtt]`. Out: [`MqttConfig`], checked as far as it can be without asking anybody: the certificate file and the
//! broker itself are for `doorward check`.

use std::net::IpAddr;
use std::path::PathBuf;

use identities::is_loopback;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::{Host, Url};

use super::address;
use super::validate::Checker;

/// `[mqtt]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttConfig {
    /// `mqtt://broker.example` or `mqtts://broker.example:8883`.
    #[serde(deserialize_with = "address::deserialize")]
    pub url: Url,
    #[serde(default)]
    pub username: Option<String>,
    #[serde(default)]
    pub password: Option<SecretString>,
    /// A PEM file with the certificates the broker is signed by; without it the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Unlike any other client's of the broker; without it `doorward-` and the machine's name.
    #[serde(default)]
    pub client_id: Option<String>,
    /// What every topic of doorward's own starts with.
    #[serde(default = "default::topic")]
    pub topic: String,
    /// An idle connection is tried this often.
    #[serde(default = "default::keep_alive_secs")]
    pub keep_alive_secs: u16,
    /// No message is larger, topic included.
    #[serde(default = "default::max_packet_bytes")]
    pub max_packet_bytes: u32,
    /// Announces every detector to Home Assistant and publishes its events and states.
    #[serde(default)]
    pub home_assistant: bool,
    /// Where Home Assistant looks for announcements.
    #[serde(default = "default::discovery_topic")]
    pub discovery_topic: String,
    /// Publishes every detector's events and states, also without Home Assistant.
    #[serde(default)]
    pub states: bool,
    /// Events and states name people; else they hold their ids.
    #[serde(default = "default::yes")]
    pub names: bool,
    /// The last picture of every detector is published.
    #[serde(default = "default::yes")]
    pub pictures: bool,
}

impl MqttConfig {
    /// Everything but the address at its default.
    pub fn new(url: Url) -> Self {
        Self {
            url,
            username: None,
            password: None,
            ca_file: None,
            client_id: None,
            topic: default::topic(),
            keep_alive_secs: default::keep_alive_secs(),
            max_packet_bytes: default::max_packet_bytes(),
            home_assistant: false,
            discovery_topic: default::discovery_topic(),
            states: false,
            names: true,
            pictures: true,
        }
    }

    /// Whether events and states are published at all.
    pub fn publishes(&self) -> bool {
        self.home_assistant || self.states
    }
}

impl std::fmt::Debug for MqttConfig {
    /// Of the address the scheme and host only: the rest may hold an account.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MqttConfig")
            .field("scheme", &self.url.scheme())
            .field("host", &self.url.host_str())
            .field("port", &self.url.port())
            .field("account", &self.username.is_some())
            .field("ca_file", &self.ca_file)
            .field("client_id", &self.client_id)
            .field("topic", &self.topic)
            .field("keep_alive_secs", &self.keep_alive_secs)
            .field("max_packet_bytes", &self.max_packet_bytes)
            .field("home_assistant", &self.home_assistant)
            .field("discovery_topic", &self.discovery_topic)
            .field("states", &self.states)
            .field("names", &self.names)
            .field("pictures", &self.pictures)
            .finish_non_exhaustive()
    }
}

impl Checker<'_> {
    pub(super) fn mqtt(&mut self, mqtt: &MqttConfig) {
        self.broker_address(mqtt);
        if mqtt.password.is_some() && mqtt.username.is_none() {
            self.wrong(&["mqtt", "password"], "MQTT knows no password without a user name; write `mqtt.username`");
        }
        if mqtt.username.as_deref() == Some("") {
            self.wrong(&["mqtt", "username"], "it is empty; for a broker without accounts leave it out");
        }
        if mqtt.password.as_ref().is_some_and(|password| password.expose_secret().is_empty()) {
            self.wrong(&["mqtt", "password"], "it is empty; provide it as a credential or variable");
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if mqtt.client_id.as_ref().is_some_and(|id| id.is_empty() || id.len() > 64 || !id.chars().all(plain)) {
            self.wrong(&["mqtt", "client_id"], "it must be 1 to 64 letters, digits, `.`, `_` or `-`");
        }
        for (key, topic) in [("topic", &mqtt.topic), ("discovery_topic", &mqtt.discovery_topic)] {
            if topic.is_empty()
                || topic.len() > 256
                || topic.starts_with(['/', '$'])
                || topic.ends_with('/')
                || topic.contains(|c: char| "+#".contains(c) || c.is_control())
            {
                let problem = "it must be a topic like `doorward` or `house/doors`: not empty, without `+`, `#` and `$`, \
                               and no `/` at its ends";
                self.wrong(&["mqtt", key], problem);
            }
        }
        self.range(&["mqtt", "keep_alive_secs"], mqtt.keep_alive_secs, 5..=3_600);
        self.range(&["mqtt", "max_packet_bytes"], mqtt.max_packet_bytes, 1_024..=256 << 20);
    }

    fn broker_address(&mut self, mqtt: &MqttConfig) {
        let (url, path) = (&mqtt.url, ["mqtt", "url"]);
        match url.scheme() {
            "mqtts" if matches!(url.host(), Some(Host::Ipv6(_))) => {
                self.wrong(&path, "with TLS the broker needs a name or an IPv4 address, as its certificate has it");
            }
            "mqtts" => {}
            "mqtt" => {
                if !is_local(url) && (mqtt.password.is_some() || mqtt.publishes()) {
                    self.unwise(&path, "passwords, names and pictures travel unencrypted; use mqtts");
                }
                if mqtt.ca_file.is_some() {
                    self.wrong(&["mqtt", "ca_file"], "it has an effect with `mqtts://` alone");
                }
            }
            scheme => self.wrong(&path, format!("`{scheme}` is not a way to reach a broker; use mqtts or mqtt")),
        }
        if url.host_str().is_none_or(str::is_empty) {
            self.wrong(&path, "it names no broker; write it like `mqtt://broker.example:1883`");
        }
        if !url.username().is_empty() || url.password().is_some() {
            self.wrong(&path, "it holds an account; write that as `username` and `password`");
        }
        if !["", "/"].contains(&url.path()) || url.query().is_some() || url.fragment().is_some() {
            self.wrong(&path, "after the broker's name and port nothing may follow; topics go into `topic`");
        }
    }
}

/// Whether the broker is on this machine. The `url` crate leaves IPv4 addresses of schemes it does not know as text.
fn is_local(url: &Url) -> bool {
    let address = url.host_str().and_then(|host| host.parse::<IpAddr>().ok());
    is_loopback(url) || address.is_some_and(|address| address.is_loopback())
}

/// Defaults of keys in sections that have required ones.
mod default {
    pub fn topic() -> String {
        "doorward".into()
    }
    pub fn discovery_topic() -> String {
        "homeassistant".into()
    }
    pub fn keep_alive_secs() -> u16 {
        30
    }
    /// Brokers take this much as they come.
    pub fn max_packet_bytes() -> u32 {
        1 << 20
    }
    pub fn yes() -> bool {
        true
    }
}
