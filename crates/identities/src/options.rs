//! What a client is told at its start, and what the engine's address says about the way to it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::{Host, Url};

use super::trust::KeyPin;

/// How to reach an engine: its address, the account, time limits, and whom to believe over TLS.
#[derive(Clone)]
pub struct ClientOptions {
    /// `https://customer.econnectcloud.com/identities` or `https://host:5009`.
    pub url: Url,
    pub username: String,
    pub password: SecretString,
    /// How long one request may take, from the first byte sent to the last received.
    pub timeout: Duration,
    pub connect_timeout: Duration,
    /// The longest pause between two tries.
    pub longest_pause: Duration,
    /// A PEM file with the certificates that an on-premise server is signed by; no others are believed then.
    pub ca_file: Option<PathBuf>,
    /// The server's key must be one of these; without `ca_file` that is all that is asked of its certificate.
    pub pin_sha256: Vec<KeyPin>,
    /// Whether `http://` to another machine is allowed: passwords and faces then travel unencrypted.
    pub allow_plain_http: bool,
}

impl ClientOptions {
    /// Everything but the address and the account at its default.
    pub fn new(url: Url, username: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Self {
            url,
            username: username.into(),
            password: password.into(),
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            longest_pause: Duration::from_secs(30),
            ca_file: None,
            pin_sha256: Vec::new(),
            allow_plain_http: false,
        }
    }
}

/// Whether the address is this machine itself. A name below `.localhost` is not: resolvers may send it anywhere.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).to_canonical().is_loopback(),
        None => false,
    }
}

/// Whether nobody on the way can read what is sent there: it is encrypted, or stays on this machine.
pub fn stays_private(url: &Url) -> bool {
    url.scheme() == "https" || is_loopback(url)
}
