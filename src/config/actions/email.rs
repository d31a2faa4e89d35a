//! `type = "email"`: a mail through an SMTP server.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

use super::{check_tries, default};
use crate::config::validate::ActionChecker;

/// `type = "email"`: a mail through an SMTP server.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailConfig {
    /// The SMTP server's name.
    pub host: String,
    /// 587, or 465 with `security = "tls"`, or 25 with `security = "none"`.
    pub port: Option<u16>,
    #[serde(default)]
    pub security: Security,
    /// A PEM file with the certificates a server of one's own is signed by.
    pub ca_file: Option<PathBuf>,
    pub username: Option<String>,
    pub password: Option<SecretString>,
    /// An address, with or without a name: `Front door <door@site.example>`.
    pub from: String,
    /// Templates, each one address; one that renders to nothing is left out.
    pub to: Vec<String>,
    /// A template.
    #[serde(default = "default_subject")]
    pub subject: String,
    /// A template, plain text.
    #[serde(default = "default_body")]
    pub body: String,
    #[serde(default)]
    pub picture: PictureIn,
    /// One try, from connecting to the server's last word.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
    /// Tries in all, on connection errors and 4xx.
    #[serde(default = "default::tries")]
    pub tries: u32,
    /// All tries and the pauses between them; no try starts after it.
    #[serde(default = "default::within_ms")]
    pub within_ms: u64,
    /// Mails under way at once.
    #[serde(default = "default_concurrency")]
    pub concurrency: u16,
}

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// A plain connection that must become an encrypted one before anything is said.
    #[default]
    Starttls,
    /// Encrypted from the first byte.
    Tls,
    None,
}

/// Whether and how the crop goes along.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PictureIn {
    #[default]
    None,
    Attached,
    /// Shown in the text.
    Inline,
}

impl EmailConfig {
    /// To one address, at the defaults.
    pub fn new(host: &str, from: &str, to: &str) -> Self {
        Self {
            host: host.into(),
            port: None,
            security: Security::default(),
            ca_file: None,
            username: None,
            password: None,
            from: from.into(),
            to: vec![to.into()],
            subject: default_subject(),
            body: default_body(),
            picture: PictureIn::default(),
            timeout_ms: default_timeout_ms(),
            tries: default::tries(),
            within_ms: default::within_ms(),
            concurrency: default_concurrency(),
        }
    }

    /// The port, said or not.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.security {
            Security::Starttls => 587,
            Security::Tls => 465,
            Security::None => 25,
        })
    }

    pub(super) fn check(&self, checker: &mut ActionChecker<'_, '_>) {
        if self.host.trim().is_empty() || self.host.contains(['/', ' ']) {
            checker.wrong(&["host"], "it must be the name of an SMTP server, like `smtp.site.example`");
        }
        if self.port == Some(0) {
            checker.wrong(&["port"], "it must be from 1 to 65535");
        }
        if self.to.is_empty() {
            checker.wrong(&["to"], "it is empty; write who gets the mail");
        }
        match (&self.username, &self.password) {
            (Some(_), None) => checker.wrong(&["username"], "there is no `password` with it"),
            (None, Some(_)) => checker.wrong(&["password"], "there is no `username` with it"),
            (Some(_), Some(_)) if self.security == Security::None && !is_local(&self.host) => {
                checker.unwise(&["security"], "the password travels unencrypted; use \"starttls\" or \"tls\"");
            }
            _ => {}
        }
        if self.ca_file.is_some() && self.security == Security::None {
            checker.unwise(&["ca_file"], "it has no effect: the connection is not encrypted");
        }
        check_tries(checker, self.timeout_ms, self.tries, self.within_ms, self.concurrency);
    }
}

impl std::fmt::Debug for EmailConfig {
    /// Without the password, and without addresses: they are people's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmailConfig")
            .field("host", &self.host)
            .field("port", &self.port())
            .field("security", &self.security)
            .field("ca_file", &self.ca_file)
            .field("logs_in", &self.username.is_some())
            .field("to", &self.to.len())
            .field("picture", &self.picture)
            .field("timeout_ms", &self.timeout_ms)
            .field("tries", &self.tries)
            .field("within_ms", &self.within_ms)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn default_subject() -> String {
    "{{ person.name if person else 'Somebody unknown' }} at the {{ detector }}".into()
}

fn default_body() -> String {
    "{{ person.name if person else 'Somebody unknown' }} was seen at the {{ detector }} at {{ local_time }}.\n".into()
}

/// Mail servers make strangers wait.
fn default_timeout_ms() -> u64 {
    20_000
}

fn default_concurrency() -> u16 {
    2
}
