//! `type = "syslog"`: a line in the system's log, or in a log server's.

use std::path::PathBuf;

use super::{CommonOfActions, Nature};
use crate::config::reading::At;
use crate::config::section::section;
use crate::config::value::{texts, words};

section! {
    /// `type = "syslog"`: a line in a log.
    pub struct SyslogConfig: Default, checked by check_syslog {
        pub to: LogTarget = LogTarget::Unix(DEV_LOG.into());
        pub facility: Facility = Facility::Daemon;
        pub severity: Severity = Severity::Info;
        /// A template. What it holds is in a log afterwards: ids rather than names.
        pub message: String = "{{ rule }}: {{ person.id if person else outcome }} at {{ detector }}".into();
        /// One try.
        pub timeout_ms: u64 = 5_000, in 100..=60_000;
        /// Tries in all.
        pub tries: u32 = 4, in 1..=20;
        /// All tries and the pauses between them; no try starts after it.
        pub within_ms: u64 = 60_000, in 100..=3_600_000;
        /// Lines under way at once.
        pub concurrency: u16 = 4, in 1..=64;
    }
}

/// Where the lines go.
#[derive(Debug, Clone, PartialEq, Eq, derive_more::Display)]
pub enum LogTarget {
    /// `unix:/dev/log`: a datagram socket of this machine, in the form local daemons read.
    #[display("unix:{}", _0.display())]
    Unix(PathBuf),
    /// `journald:/run/systemd/journal/socket`: the journal's own protocol, with fields.
    #[display("journald:{}", _0.display())]
    Journald(PathBuf),
    /// `udp://host:514`: RFC 5424, one datagram a line; nobody tells when it is lost.
    #[display("udp://{_0}")]
    Udp(String),
    /// `tcp://host:601`: RFC 5424, octet-counted.
    #[display("tcp://{_0}")]
    Tcp(String),
}

words! {
    /// Whose kind of line it is.
    pub enum Facility {
        User = 1,
        Daemon = 3,
        Auth = 4,
        Authpriv = 10,
        Local0 = 16,
        Local1,
        Local2,
        Local3,
        Local4,
        Local5,
        Local6,
        Local7,
    }

    /// How bad it is.
    pub enum Severity {
        Alert = 1,
        Critical,
        Error,
        Warning,
        Notice,
        Info,
        Debug,
    }
}

const DEV_LOG: &str = "/dev/log";
const JOURNAL: &str = "/run/systemd/journal/socket";

impl CommonOfActions for SyslogConfig {
    fn nature(&self) -> Nature<'_> {
        Nature { concurrency: self.concurrency, only_records: true, ..Nature::default() }
    }
}

fn check_syslog(syslog: &SyslogConfig, at: &At<'_>) {
    at.wrong_if(syslog.message.trim().is_empty(), &["message"], "it is empty; write a template, or leave it out");
}

impl LogTarget {
    fn parse(text: &str) -> Option<Self> {
        let address = |text: &str| {
            let (host, port) = text.rsplit_once(':')?;
            let fine =
                !host.is_empty() && !host.contains(['/', '@', ' ']) && port.parse::<u16>().is_ok_and(|port| port > 0);
            fine.then(|| text.to_owned())
        };
        let path = |text: &str| text.starts_with('/').then(|| PathBuf::from(text));
        match text.split_once(':') {
            None if text == "local" => Some(Self::Unix(DEV_LOG.into())),
            None if text == "journald" => Some(Self::Journald(JOURNAL.into())),
            Some(("unix", rest)) => path(rest).map(Self::Unix),
            Some(("journald", rest)) => path(rest).map(Self::Journald),
            Some(("udp", rest)) => address(rest.strip_prefix("//")?).map(Self::Udp),
            Some(("tcp", rest)) => address(rest.strip_prefix("//")?).map(Self::Tcp),
            _ => None,
        }
    }
}

texts! {
    LogTarget: |text| LogTarget::parse(text).ok_or_else(|| format!(
        "`{text}` is none of \"local\", \"unix:/dev/log\", \"journald\", \"udp://log.example:514\" and \
         \"tcp://log.example:601\""
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_lines_may_go() {
        for (text, wanted) in [
            ("local", Some("unix:/dev/log")),
            ("unix:/run/log", Some("unix:/run/log")),
            ("journald", Some("journald:/run/systemd/journal/socket")),
            ("udp://log.example:514", Some("udp://log.example:514")),
            ("tcp://[::1]:601", Some("tcp://[::1]:601")),
            ("udp://log.example", None),
            ("udp:log.example:514", None),
            ("tcp://user@log.example:601", None),
            ("tcp://log.example:0", None),
            ("unix:dev/log", None),
            ("log.example", None),
            ("", None),
        ] {
            assert_eq!(LogTarget::parse(text).map(|to| to.to_string()).as_deref(), wanted, "{text}");
        }
    }
}
