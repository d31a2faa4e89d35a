//! The MQTT broker: where it is, how doorward is let in, and what is told there.
//!
//! In: `[mqtt]`. Out: [`MqttConfig`], checked as far as it can be without asking anybody: the certificate file and the
//! broker itself are for `doorward check`.

use std::net::IpAddr;
use std::path::PathBuf;

use identities::is_loopback;
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::address;
use super::reading::At;
use super::section::section;
use super::settings::check_no_account;

section! {
    /// `[mqtt]`
    pub struct MqttConfig: new(url: Url), checked by check_mqtt {
        /// `mqtt://broker.example` or `mqtts://broker.example:8883`.
        pub url: Url, shown as address::server;
        pub username: Option<String> = None, shown as Option::is_some;
        pub password: Option<SecretString> = None;
        /// A PEM file with the certificates the broker is signed by; without it the system's.
        pub ca_file: Option<PathBuf> = None;
        /// Unlike any other client's of the broker; without it `doorward-` and the machine's name.
        pub client_id: Option<String> = None;
        /// What every topic of doorward's own starts with.
        pub topic: String = "doorward".into();
        /// An idle connection is tried this often.
        pub keep_alive_secs: u16 = 30, in 5..=3_600;
        /// No message is larger, topic included. Brokers take this much as they come.
        pub max_packet_bytes: u32 = 1 << 20, in 1_024..=256 << 20;
        /// Announces every detector to Home Assistant and publishes its events and states.
        pub home_assistant: bool = false;
        /// Where Home Assistant looks for announcements.
        pub discovery_topic: String = "homeassistant".into();
        /// Publishes every detector's events and states, also without Home Assistant.
        pub states: bool = false;
        /// Events and states name people; else they hold their ids.
        pub names: bool = true;
        /// The last picture of every detector is published.
        pub pictures: bool = true;
    }
}

fn check_mqtt(mqtt: &MqttConfig, at: &At<'_>) {
    mqtt.check_address(at);
    let nobody = mqtt.password.is_some() && mqtt.username.is_none();
    at.wrong_if(nobody, &["password"], "MQTT knows no password without a user name; write `mqtt.username`");
    let empty_name = mqtt.username.as_deref() == Some("");
    at.wrong_if(empty_name, &["username"], "it is empty; for a broker without accounts leave it out");
    let empty_password = mqtt.password.as_ref().is_some_and(|password| password.expose_secret().is_empty());
    at.wrong_if(empty_password, &["password"], "it is empty; provide it as a credential or variable");
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if mqtt.client_id.as_ref().is_some_and(|id| id.is_empty() || id.len() > 64 || !id.chars().all(plain)) {
        at.wrong(&["client_id"], "it must be 1 to 64 letters, digits, `.`, `_` or `-`");
    }
    for (key, topic) in [("topic", &mqtt.topic), ("discovery_topic", &mqtt.discovery_topic)] {
        if topic.is_empty()
            || topic.len() > 256
            || topic.starts_with(['/', '$'])
            || topic.ends_with('/')
            || topic.contains(|c: char| "+#".contains(c) || c.is_control())
        {
            let problem = "it must be a topic like `doorward` or `house/doors`: not empty, without `+`, `#` and \
                           `$`, and no `/` at its ends";
            at.wrong(&[key], problem);
        }
    }
}

impl MqttConfig {
    /// Whether events and states are published at all.
    pub fn publishes(&self) -> bool {
        self.home_assistant || self.states
    }

    fn check_address(&self, at: &At<'_>) {
        let (url, path) = (&self.url, ["url"]);
        match url.scheme() {
            "mqtts" if matches!(url.host(), Some(Host::Ipv6(_))) => {
                at.wrong(&path, "with TLS the broker needs a name or an IPv4 address, as its certificate has it");
            }
            "mqtts" => {}
            "mqtt" => {
                if !is_local(url) && (self.password.is_some() || self.publishes()) {
                    at.unwise(&path, "passwords, names and pictures travel unencrypted; use mqtts");
                }
                at.wrong_if(self.ca_file.is_some(), &["ca_file"], "it has an effect with `mqtts://` alone");
            }
            scheme => at.wrong(&path, format!("`{scheme}` is not a way to reach a broker; use mqtts or mqtt")),
        }
        let no_host = url.host_str().is_none_or(str::is_empty);
        at.wrong_if(no_host, &path, "it names no broker; write it like `mqtt://broker.example:1883`");
        check_no_account(url, at);
        let more = !["", "/"].contains(&url.path()) || url.query().is_some() || url.fragment().is_some();
        at.wrong_if(more, &path, "after the broker's name and port nothing may follow; topics go into `topic`");
    }
}

/// Whether the broker is on this machine. The `url` crate leaves IPv4 addresses of schemes it does not know as text.
fn is_local(url: &Url) -> bool {
    let address = url.host_str().and_then(|host| host.parse::<IpAddr>().ok());
    is_loopback(url) || address.is_some_and(|address| address.is_loopback())
}
