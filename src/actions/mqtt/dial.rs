//! How the broker is reached: address, account, certificates, last will; and what a failure means to the operator.
//!
//! In: `[mqtt]`. Out: the options of one connection, or which key is wrong; and for a connection that failed one line
//! that says what to do, without a secret in it.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use identities::trust::{Trust, TrustError};
use rumqttc::{
    ConnectReturnCode, ConnectionError, LastWill, MqttOptions, QoS, StateError, TlsConfiguration, Transport,
};
use secrecy::ExposeSecret;

use super::outgoing::WINDOW;
use crate::actions::ActionError;
use crate::config::MqttConfig;
use crate::terminal::with_causes;

const PLAIN_PORT: u16 = 1883;
const TLS_PORT: u16 = 8883;
/// Subscribed to are Home Assistant's birth message, of a few bytes, and states of our own detectors.
const MAX_INCOMING_BYTES: usize = 64 << 10;
/// A packet's head is longer on the wire than by our count when the packet is large; what is too large we say
/// ourselves.
const HEADER_BYTES: usize = 64;

/// What the broker knows this client as.
pub fn client_id(config: &MqttConfig) -> String {
    if let Some(id) = &config.client_id {
        return id.clone();
    }
    let host = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let host: String = host.chars().take(48).map(plain).collect();
    if host.is_empty() { "doorward".into() } else { format!("doorward-{host}") }
}

/// The options of a connection, where a topic is given with a last will of `offline` on it.
pub fn options(config: &MqttConfig, client_id: &str, will: Option<&str>) -> Result<MqttOptions, ActionError> {
    let wrong = |key, problem: &str| ActionError::Broker { key, problem: problem.to_owned() };
    let tls = config.url.scheme() == "mqtts";
    let host = config.url.host_str().ok_or_else(|| wrong("url", "it names no broker"))?;
    let port = config.url.port().unwrap_or(if tls { TLS_PORT } else { PLAIN_PORT });
    let mut options = MqttOptions::new(client_id, host, port);
    options
        .set_keep_alive(Duration::from_secs(config.keep_alive_secs.max(1).into()))
        .set_clean_session(true)
        .set_inflight(WINDOW as u16)
        .set_max_packet_size(MAX_INCOMING_BYTES, config.max_packet_bytes as usize + HEADER_BYTES);
    if let Some(will) = will {
        options.set_last_will(LastWill::new(will, "offline", QoS::AtLeastOnce, true));
    }
    if let Some(username) = &config.username {
        let password = config.password.as_ref().map_or("", |password| password.expose_secret());
        options.set_credentials(username, password);
    }
    if tls {
        let trust = Trust::new(config.ca_file.as_deref(), &[]).map_err(|error| match error {
            TrustError::NoAuthorities => wrong(
                "ca_file",
                "this system has no certificates of its own; install `ca-certificates`, or name a file",
            ),
            error => wrong("ca_file", &with_causes(&error)),
        })?;
        let mut client = trust.config;
        // It is made for HTTP.
        client.alpn_protocols.clear();
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(client))));
    }
    Ok(options)
}

/// Whether it was the broker who ended the connection.
pub fn has_hung_up(error: &ConnectionError) -> bool {
    use rumqttc::mqttbytes::Error;
    match error {
        ConnectionError::Io(error)
        | ConnectionError::MqttState(StateError::Io(error) | StateError::Deserialization(Error::Io(error))) => {
            use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
            matches!(error.kind(), ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof)
        }
        ConnectionError::MqttState(error) => matches!(error, StateError::ConnectionAborted),
        _ => false,
    }
}

/// What went wrong with a connection, and what to do about it; of an open one with the largest message that was on its
/// way, its bytes and the topic of a retained one.
pub fn why(error: &ConnectionError, was_up: bool, under_way: Option<(usize, Option<&str>)>) -> String {
    let closed = |was_up| closed(was_up, under_way);
    match error {
        ConnectionError::ConnectionRefused(code) => match code {
            ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
                "the broker does not let us in: check `mqtt.username` and `mqtt.password`".into()
            }
            ConnectReturnCode::BadClientId => "the broker does not take this `mqtt.client_id`".into(),
            ConnectReturnCode::RefusedProtocolVersion => "the broker does not speak MQTT 3.1.1".into(),
            _ => "the broker is there, but takes nobody at the moment".into(),
        },
        ConnectionError::Tls(error) => tls_problem(error),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => "the broker does not answer in time".into(),
        ConnectionError::Io(error) | ConnectionError::MqttState(StateError::Io(error)) => match error.kind() {
            ErrorKind::ConnectionRefused => {
                "nobody listens at the broker's address: does it run, is the port right?".into()
            }
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => closed(was_up),
            _ => format!("the broker cannot be reached: {error}"),
        },
        ConnectionError::MqttState(StateError::AwaitPingResp) => "the broker no longer answers".into(),
        ConnectionError::MqttState(StateError::ConnectionAborted | StateError::Deserialization(_)) => closed(was_up),
        error => format!("the connection to the broker broke: {error}"),
    }
}

fn closed(was_up: bool, under_way: Option<(usize, Option<&str>)>) -> String {
    match (was_up, under_way) {
        (true, Some((bytes, topic))) => {
            let topic = topic.map(|topic| format!(" for `{topic}`")).unwrap_or_default();
            format!(
                "the broker closed the connection with a message of {bytes} bytes{topic} on its way; if that repeats, \
                 it takes none of that size, or another client has the same `mqtt.client_id`"
            )
        }
        (true, None) => {
            "the broker closed the connection; if that repeats, another client has the same `mqtt.client_id`".into()
        }
        (false, _) => {
            "the broker closed the connection before it answered; does this port want TLS (`mqtts://`)?".into()
        }
    }
}

fn tls_problem(error: &rumqttc::TlsError) -> String {
    let inner = match error {
        rumqttc::TlsError::TLS(error) => Some(error),
        rumqttc::TlsError::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()),
        _ => None,
    };
    match inner {
        Some(rustls::Error::InvalidCertificate(problem)) => format!(
            "the broker's certificate is not accepted ({problem}); `mqtt.ca_file` names the authority that signed it, \
             and `mqtt.url` must have the name it was made for"
        ),
        Some(rustls::Error::InvalidMessage(_)) => "the broker does not speak TLS at this port".into(),
        Some(error) => format!("the broker and we cannot agree on encryption: {error}"),
        None => {
            format!("the connection broke before it was encrypted; does the broker speak TLS at this port? ({error})")
        }
    }
}
