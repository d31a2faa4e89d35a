//! What certificate a server shows, whether or not anybody should believe it.
//!
//! In: host and port. Out: [`Presented`]. A handshake is made and the connection closed; the server proves that it
//! holds the key, and is told nothing. What it shows is for a person to compare: nothing here makes it trusted.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustls::CertificateError;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName, UnixTime};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::{
    Belief, KeyPin, Shown, TrustError, authorities_of, authorities_of_system, believing, chain_verifier, key_of,
    provider, verifier,
};

/// Connecting and the handshake together.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A certificate, as it was shown.
#[derive(Debug, Clone)]
pub struct Presented {
    pub subject: String,
    pub issuer: String,
    /// It vouches for itself.
    pub self_signed: bool,
    /// Host names and addresses it is for.
    pub names: Vec<String>,
    pub not_before: DateTime<Utc>,
    pub not_after: DateTime<Utc>,
    /// Kind and size, for people.
    pub key: String,
    /// SHA-256 of the certificate: `AB:CD:…`, as openssl and browsers show it.
    pub fingerprint: String,
    pub pin: KeyPin,
    /// Certificates that came with it.
    pub others: usize,
    /// Why the system's authorities, or those of the given file, do not accept it.
    pub refused: Option<String>,
}

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("`{host}` is not the name of a server")]
    Name { host: String, source: InvalidDnsNameError },
    #[error("cannot connect to {host} port {port}")]
    Connect { host: String, port: u16, source: std::io::Error },
    #[error("{host} port {port} does not answer within {} s", TIMEOUT.as_secs())]
    Silent { host: String, port: u16 },
    #[error("{host} port {port} does not speak TLS as it should")]
    Handshake { host: String, port: u16, source: std::io::Error },
    #[error("{host} port {port} shows a certificate that cannot be read")]
    Unreadable { host: String, port: u16 },
    #[error(transparent)]
    Trust(#[from] TrustError),
}

/// Connects, looks at the certificate, and holds it against the authorities of `ca_file`, or the system's.
pub async fn present(host: &str, port: u16, ca_file: Option<&Path>) -> Result<Presented, ProbeError> {
    // An IPv6 address stands in brackets in a URL.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name =
        ServerName::try_from(bare.to_owned()).map_err(|source| ProbeError::Name { host: host.to_owned(), source })?;
    let shaking = tokio::time::timeout(TIMEOUT, shake_hands(bare, port, name.clone())).await;
    let silent = |_| ProbeError::Silent { host: host.to_owned(), port };
    let chain = shaking.map_err(silent)??;
    let unreadable = || ProbeError::Unreadable { host: host.to_owned(), port };
    let (end_entity, others) = chain.split_first().ok_or_else(unreadable)?;
    let authorities = ca_file.map_or_else(authorities_of_system, authorities_of);
    let refused = judge(authorities, end_entity, others, &name)?;
    describe(end_entity, others.len(), refused).ok_or_else(unreadable)
}

/// The certificates the server shows, its own first.
async fn shake_hands(
    host: &str,
    port: u16,
    name: ServerName<'static>,
) -> Result<Vec<CertificateDer<'static>>, ProbeError> {
    let server = || host.to_owned();
    let stream = TcpStream::connect((host, port)).await;
    let stream = stream.map_err(|source| ProbeError::Connect { host: server(), port, source })?;
    let provider = provider();
    let config = believing(verifier(Belief::Anything, Shown::default(), &provider), &provider)?;
    let connected = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    // The connection goes away with this: nothing is sent over it.
    let connected = connected.map_err(|source| ProbeError::Handshake { host: server(), port, source })?;
    Ok(connected.get_ref().1.peer_certificates().unwrap_or_default().to_vec())
}

/// Why these authorities do not accept it; a system without any accepts nothing.
fn judge(
    authorities: Result<rustls::RootCertStore, TrustError>,
    end_entity: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    name: &ServerName<'_>,
) -> Result<Option<String>, TrustError> {
    let verifier = match authorities.and_then(|roots| chain_verifier(roots, &provider())) {
        Ok(verifier) => verifier,
        Err(TrustError::NoAuthorities) => return Ok(Some("there are no authorities on this machine".into())),
        Err(error) => return Err(error),
    };
    let verdict = verifier.verify_server_cert(end_entity, others, name, &[], UnixTime::now());
    Ok(verdict.err().map(|error| in_words(&error)))
}

/// Why a certificate is not believed.
pub(super) fn in_words(error: &rustls::Error) -> String {
    use CertificateError as C;
    if let rustls::Error::Other(other) = error {
        return other.0.to_string();
    }
    let rustls::Error::InvalidCertificate(problem) = error else { return error.to_string() };
    match problem {
        C::UnknownIssuer => "no authority they know has signed it".into(),
        C::BadSignature => "the authority they know by that name has not signed it".into(),
        C::Expired | C::ExpiredContext { .. } => "it has expired".into(),
        C::NotValidYet | C::NotValidYetContext { .. } => "it is not valid yet; is this machine's clock right?".into(),
        C::NotValidForName | C::NotValidForNameContext { .. } => "it is for other names than this one".into(),
        other => other.to_string(),
    }
}

fn describe(end_entity: &CertificateDer<'_>, others: usize, refused: Option<String>) -> Option<Presented> {
    let (_, certificate) = X509Certificate::from_der(end_entity).ok()?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|names| names.value.general_names.iter().filter_map(name).collect()).unwrap_or_default();
    let validity = certificate.validity();
    let fingerprint = Sha256::digest(end_entity.as_ref());
    Some(Presented {
        subject: visible(&certificate.subject().to_string()),
        issuer: visible(&certificate.issuer().to_string()),
        self_signed: certificate.subject() == certificate.issuer(),
        names,
        not_before: DateTime::from_timestamp(validity.not_before.timestamp(), 0)?,
        not_after: DateTime::from_timestamp(validity.not_after.timestamp(), 0)?,
        key: match certificate.public_key().parsed() {
            Ok(PublicKey::RSA(key)) => format!("RSA, {} bits", key.key_size()),
            Ok(PublicKey::EC(point)) => format!("elliptic curve, {} bits", point.key_size()),
            _ => "of another kind".into(),
        },
        fingerprint: fingerprint.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":"),
        pin: key_of(end_entity).ok()?,
        others,
        refused,
    })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(visible(name)),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|v4| Ipv4Addr::from(v4).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|v6| Ipv6Addr::from(v6).to_string()),
        },
        _ => None,
    }
}

/// A stranger's text, fit for a terminal.
fn visible(text: &str) -> String {
    text.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
