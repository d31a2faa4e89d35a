//! The `syslog` action: a line in the system's log, in the journal, or in a log server's.
//!
//! In: an event. Out: done when the line was handed over; over UDP nobody tells whether it arrived. A line is one line
//! whatever the event holds: control characters become spaces. What is sent over the network is RFC 5424, with the
//! event's ids as structured data; the local socket gets the older form that every local daemon reads; the journal gets
//! fields.

use std::io;

use chrono::{Local, SecondsFormat, Utc};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UdpSocket, UnixDatagram};

use super::Performed;
use super::retry::{Failure, Retry, in_time};
use super::setup::{ActionError, Setup};
use super::template::{Place, Template, context};
use crate::config::{LogTarget, SyslogConfig};
use crate::rules::ActionRequest;

/// What the lines are said to come from.
const PROGRAM: &str = "doorward";
/// A datagram larger than this does not get through everywhere (RFC 5426, 3.2); a line is cut to this many bytes.
const LONGEST_LINE: usize = 1800;
/// Keys of the event that go along as data: ids and what is not personal.
const DATA: [&str; 11] = [
    "id",
    "rule",
    "detector",
    "visit",
    "sighting",
    "outcome",
    "late",
    "confidence",
    "match_confidence",
    "quality",
    "live",
];
/// The structured data's name: 32473 is the number the standards use for examples (RFC 5612), as no other is ours.
const DATA_ID: &str = "doorward@32473";

/// A line made ready.
pub struct Syslog {
    to: LogTarget,
    /// Facility and severity.
    priority: u8,
    message: Template,
    retry: Retry,
}

impl Syslog {
    /// Compiles the template.
    pub fn new(action: &str, config: &SyslogConfig) -> Result<Self, ActionError> {
        let mut setup = Setup::new(action);
        let message = setup.template("message", &config.message, Place::Text);
        setup.finish(Self {
            to: config.to.clone(),
            priority: config.facility as u8 * 8 + config.severity as u8,
            message,
            retry: Retry::new(config.timeout_ms, config.tries, config.within_ms),
        })
    }

    /// Writes one line.
    pub async fn perform(&self, request: &ActionRequest) -> Performed {
        let message = one_line(&self.message.fill(&context(&request.inputs))?);
        let message = &message[..message.floor_char_boundary(LONGEST_LINE)];
        let packet = &match &self.to {
            LogTarget::Unix(_) => self.local(message),
            LogTarget::Journald(_) => self.journal(message, request),
            LogTarget::Udp(_) | LogTarget::Tcp(_) => self.rfc5424(message, request),
        };
        let failed = |error| Failure::maybe_sent(format!("cannot write to {}: {error}", self.to));
        let silent = &format!("{} took nothing", self.to);
        let once = |timeout| async move {
            let sent = async { self.send(packet).await.map_err(failed) };
            in_time(timeout, silent, sent).await.map(|()| None)
        };
        self.retry.run(request, once).await
    }

    async fn send(&self, packet: &[u8]) -> io::Result<()> {
        match &self.to {
            LogTarget::Unix(path) | LogTarget::Journald(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.send(packet).await.map(drop)
            }
            LogTarget::Udp(address) => {
                let to = tokio::net::lookup_host(address).await?.next();
                let to = to.ok_or_else(|| io::Error::other("the name has no address"))?;
                let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any).await?;
                socket.connect(to).await?;
                socket.send(packet).await.map(drop)
            }
            LogTarget::Tcp(address) => {
                // A connection a line: a kept one that broke swallows the first line written to it.
                let mut connection = TcpStream::connect(address).await?;
                connection.write_all(format!("{} ", packet.len()).as_bytes()).await?;
                connection.write_all(packet).await?;
                connection.shutdown().await
            }
        }
    }

    /// What syslog(3) writes, with the local time; the daemon knows the host.
    fn local(&self, message: &str) -> Vec<u8> {
        let time = Local::now().format("%b %e %T");
        format!("<{}>{time} {PROGRAM}[{}]: {message}", self.priority, std::process::id()).into_bytes()
    }

    /// RFC 5424, in UTF-8.
    fn rfc5424(&self, message: &str, request: &ActionRequest) -> Vec<u8> {
        let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let host = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok());
        let host = host.filter(|host| !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic()));
        let host = host.as_deref().unwrap_or("-");
        let mut data = format!("[{DATA_ID}");
        for (key, value) in data_of(request) {
            let value = one_line(&value).replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]");
            data.push_str(&format!(" {key}=\"{value}\""));
        }
        data.push(']');
        // The mark says that what follows is UTF-8.
        format!("<{}>1 {time} {host} {PROGRAM} {} action {data} \u{feff}{message}", self.priority, std::process::id())
            .into_bytes()
    }

    /// systemd's own protocol: a field a line, and with a length where a value has lines of its own.
    /// <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>
    fn journal(&self, message: &str, request: &ActionRequest) -> Vec<u8> {
        let mut packet = Vec::new();
        let mut field = |name: &str, value: &str| {
            packet.extend_from_slice(name.as_bytes());
            if value.contains('\n') {
                packet.push(b'\n');
                packet.extend_from_slice(&(value.len() as u64).to_le_bytes());
            } else {
                packet.push(b'=');
            }
            packet.extend_from_slice(value.as_bytes());
            packet.push(b'\n');
        };
        field("MESSAGE", message);
        field("PRIORITY", &(self.priority % 8).to_string());
        field("SYSLOG_FACILITY", &(self.priority / 8).to_string());
        field("SYSLOG_IDENTIFIER", PROGRAM);
        for (key, value) in data_of(request) {
            field(&format!("DOORWARD_{}", key.to_uppercase()), &value);
        }
        packet
    }
}

/// The event's ids, and who: an id as well.
fn data_of(request: &ActionRequest) -> Vec<(&'static str, String)> {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let keys = DATA.iter().map(|key| (*key, &request.inputs[*key]));
    let person = std::iter::once(("person", &request.inputs["person"]["id"]));
    keys.chain(person).filter(|(_, value)| !value.is_null()).map(|(key, value)| (key, text(value))).collect()
}

fn one_line(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
