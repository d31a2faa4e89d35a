//! `type = "email"`: a mail through an SMTP server.

use std::path::PathBuf;

use secrecy::SecretString;

use super::{CommonOfActions, Nature};
use crate::config::reading::At;
use crate::config::section::{hidden, section};
use crate::config::value::words;

section! {
    /// `type = "email"`: a mail through an SMTP server. Its addresses are people's.
    pub struct EmailConfig: new(host: impl Into<String>, from: impl Into<String>, to: Vec<String>),
        checked by check_mail {
        /// The SMTP server's name.
        pub host: String;
        /// 587, or 465 with `security = "tls"`, or 25 with `security = "none"`.
        pub port: Option<u16> = None, in 1..=u16::MAX;
        pub security: Security = Security::Starttls;
        /// A PEM file with the certificates a server of one's own is signed by.
        pub ca_file: Option<PathBuf> = None;
        pub username: Option<String> = None, shown as Option::is_some;
        pub password: Option<SecretString> = None;
        /// An address, with or without a name: `Front door <door@site.example>`.
        pub from: String, shown as hidden;
        /// Templates, each one address; one that renders to nothing is left out.
        pub to: Vec<String>, shown as Vec::len;
        /// A template.
        pub subject: String =
            "{{ person.name if person else 'Somebody unknown' }} at the {{ detector }}".into(), shown as hidden;
        /// A template, plain text.
        pub body: String =
            "{{ person.name if person else 'Somebody unknown' }} was seen at the {{ detector }} at {{ local_time }}.\n"
                .into(), shown as hidden;
        pub picture: PictureIn = PictureIn::None;
        /// One try, from connecting to the server's last word. Mail servers make strangers wait.
        pub timeout_ms: u64 = 20_000, in 100..=60_000;
        /// Tries in all, on connection errors and 4xx.
        pub tries: u32 = 4, in 1..=20;
        /// All tries and the pauses between them; no try starts after it.
        pub within_ms: u64 = 60_000, in 100..=3_600_000;
        /// Mails under way at once.
        pub concurrency: u16 = 2, in 1..=64;
    }
}

words! {
    /// How the connection is encrypted.
    pub enum Security {
        /// A plain connection that must become an encrypted one before anything is said.
        Starttls,
        /// Encrypted from the first byte.
        Tls,
        None,
    }

    /// Whether and how the crop goes along.
    pub enum PictureIn {
        None,
        Attached,
        /// Shown in the text.
        Inline,
    }
}

impl EmailConfig {
    /// The port, said or not.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.security {
            Security::Starttls => 587,
            Security::Tls => 465,
            Security::None => 25,
        })
    }
}

impl CommonOfActions for EmailConfig {
    fn nature(&self) -> Nature<'_> {
        Nature { concurrency: self.concurrency, ..Nature::default() }
    }
}

fn check_mail(mail: &EmailConfig, at: &At<'_>) {
    let no_host = mail.host.trim().is_empty() || mail.host.contains(['/', ' ']);
    at.wrong_if(no_host, &["host"], "it must be the name of an SMTP server, like `smtp.site.example`");
    at.wrong_if(mail.to.is_empty(), &["to"], "it is empty; write who gets the mail");
    match (&mail.username, &mail.password) {
        (Some(_), None) => at.wrong(&["username"], "there is no `password` with it"),
        (None, Some(_)) => at.wrong(&["password"], "there is no `username` with it"),
        (Some(_), Some(_)) if mail.security == Security::None && !is_local(&mail.host) => {
            at.unwise(&["security"], "the password travels unencrypted; use \"starttls\" or \"tls\"");
        }
        _ => {}
    }
    if mail.ca_file.is_some() && mail.security == Security::None {
        at.unwise(&["ca_file"], "it has no effect: the connection is not encrypted");
    }
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
