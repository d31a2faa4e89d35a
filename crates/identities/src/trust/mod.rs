//! Whom we believe over TLS: the system's authorities, an authority of one's own, or a known key.
//!
//! In: a `ca_file` and pins of the configuration. Out: a rustls configuration for one endpoint, and when the
//! certificate it showed last ends. There is no way to turn checking off: without a pin the chain, the name and the
//! dates are checked, with one the key is.
//!
//! ```text
//!             │ no ca_file                     │ ca_file
//! ------------┼--------------------------------┼----------------------------------------------
//! no pin      │ the system's authorities       │ those of the file alone
//! pin_sha256  │ the key alone, whatever else   │ the key, and an authority of the file vouches
//!             │ the certificate says           │ for name and dates
//! ```
//!
//! A pin is held against the key that rustls itself reads out of the certificate and then checks the handshake's
//! signature with, so nobody can show one key and use another.

mod probe;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

pub use probe::{Presented, ProbeError, present};

/// Why no trust can be set up.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("cannot read {}, which `ca_file` names", file.display())]
    CaFile { file: PathBuf, source: std::io::Error },
    #[error("{}, which `ca_file` names, holds no certificate in PEM form, or one that cannot be used", file.display())]
    CaFormat { file: PathBuf },
    #[error(
        "this system has no authorities to trust; install its certificates (package ca-certificates), or set `ca_file` \
         or `pin_sha256`"
    )]
    NoAuthorities,
    #[error("cannot set up TLS")]
    Tls { source: rustls::Error },
}

/// The trust in one endpoint.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The configuration of TLS, for HTTP/1.1 and whatever else speaks it; without client authentication.
    pub config: ClientConfig,
    pub shown: Shown,
    verifier: Arc<Verifier>,
}

/// When the certificate an endpoint showed last ends; clones are the same one. Nothing waits under this lock, and no
/// other is held with it.
#[derive(Debug, Clone, Default)]
pub struct Shown(Arc<Mutex<Option<DateTime<Utc>>>>);

impl Trust {
    /// Reads the authorities; nothing is sent.
    pub fn new(ca_file: Option<&Path>, pins: &[KeyPin]) -> Result<Self, TrustError> {
        let provider = provider();
        let authorities = match ca_file {
            Some(file) => Some(authorities_of(file)?),
            None if pins.is_empty() => Some(authorities_of_system()?),
            None => None,
        };
        let chain = authorities.map(|roots| chain_verifier(roots, &provider)).transpose()?;
        let shown = Shown::default();
        let belief = Belief::Checked { chain, pins: pins.to_vec() };
        let verifier = verifier(belief, shown.clone(), &provider);
        let mut config = believing(verifier.clone(), &provider)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config, shown, verifier })
    }

    /// Whether this host is the one that is trusted, for TLS that another library speaks: it must have seen that the
    /// host holds the key of its certificate, the first of these. The error says why not.
    pub fn check(&self, host: &str, certificates: &[CertificateDer<'_>]) -> Result<(), String> {
        let Ok(name) = ServerName::try_from(host) else { return Err("it has no name that could be checked".into()) };
        let Some((own, others)) = certificates.split_first() else { return Err("it shows no certificate".into()) };
        let verdict = self.verifier.verify_server_cert(own, others, &name, &[], UnixTime::now());
        verdict.map(drop).map_err(|error| probe::in_words(&error))
    }
}

impl Shown {
    /// When the certificate ends; `None` before the first connection.
    pub fn ends(&self) -> Option<DateTime<Utc>> {
        *self.0.lock()
    }

    fn note(&self, ends: i64) {
        *self.0.lock() = DateTime::from_timestamp(ends, 0);
    }
}

/// Makes the process's TLS use `ring`; a second call does nothing.
pub fn crypto() {
    // An error only says that a provider is there already.
    let _ = ring::default_provider().install_default();
}

fn provider() -> Arc<CryptoProvider> {
    // The program installs it at its start; a test or an embedder may not have.
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()))
}

/// Checks chain, name and dates.
fn chain_verifier(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TrustError> {
    let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    // Without certificate revocation lists the only error is that there is no root.
    built.map_err(|_| TrustError::NoAuthorities)
}

/// What asks this of certificates, and notes when the one that was `shown` ends.
fn verifier(belief: Belief, shown: Shown, provider: &Arc<CryptoProvider>) -> Arc<Verifier> {
    Arc::new(Verifier { belief, shown, algorithms: provider.signature_verification_algorithms })
}

/// A configuration that leaves it to this which certificates are believed.
fn believing(verifier: Arc<Verifier>, provider: &Arc<CryptoProvider>) -> Result<ClientConfig, TrustError> {
    let config = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let config = config.map_err(|source| TrustError::Tls { source })?;
    Ok(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn authorities_of(file: &Path) -> Result<RootCertStore, TrustError> {
    let pem = std::fs::read(file).map_err(|source| TrustError::CaFile { file: file.into(), source })?;
    let mut roots = RootCertStore::empty();
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let wrong = || TrustError::CaFormat { file: file.into() };
    for certificate in certificates.map_err(|_| wrong())? {
        roots.add(certificate).map_err(|_| wrong())?;
    }
    if roots.is_empty() { Err(wrong()) } else { Ok(roots) }
}

/// What the Debian package ca-certificates installs, or `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
fn authorities_of_system() -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(TrustError::NoAuthorities) } else { Ok(roots) }
}

/// Whom one endpoint may be; the signatures of a handshake are always checked.
#[derive(Debug)]
struct Verifier {
    pub belief: Belief,
    pub shown: Shown,
    pub algorithms: WebPkiSupportedAlgorithms,
}

/// What is asked of a server's certificate.
#[derive(Debug)]
enum Belief {
    Checked {
        /// Chain, name and dates; `None` only where a pin stands for them.
        chain: Option<Arc<WebPkiServerVerifier>>,
        /// The server's own key must be one of these; empty where any will do that the chain vouches for.
        pins: Vec<KeyPin>,
    },
    /// Nothing. For the probe alone: no request ever goes over its connection.
    Anything,
}

/// The server has another key than the pinned ones.
#[derive(Debug, thiserror::Error)]
#[error("the server's key is {key}, which `pin_sha256` does not name")]
struct OtherKey {
    key: KeyPin,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Belief::Checked { chain, pins } = &self.belief else { return Ok(ServerCertVerified::assertion()) };
        if !pins.is_empty() {
            let key = key_of(end_entity)?;
            if !pins.contains(&key) {
                // Not `CertificateError::Other`, which shows itself in Rust's words.
                return Err(OtherError(Arc::new(OtherKey { key })).into());
            }
        }
        match chain {
            Some(chain) => {
                chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
            }
            // `Trust::new` makes none of these; a mistake there must not become trust in everybody.
            None if pins.is_empty() => return Err(Error::General("nothing says which server to believe".into())),
            None => {}
        }
        if let Ok((_, certificate)) = X509Certificate::from_der(end_entity) {
            self.shown.note(certificate.validity().not_after.timestamp());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The pin of a certificate's key.
pub fn key_of(certificate: &CertificateDer<'_>) -> Result<KeyPin, Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    Ok(KeyPin(Sha256::digest(parsed.subject_public_key_info()).into()))
}

/// SHA-256 of the DER of a certificate's SubjectPublicKeyInfo (RFC 7469, section 2.4). No secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, derive_more::Debug, derive_more::Display)]
#[debug("KeyPin({self})")]
#[display("{}", BASE64_STANDARD.encode(_0))]
pub struct KeyPin(pub [u8; 32]);

impl FromStr for KeyPin {
    type Err = String;

    /// Base64, with curl's `sha256//` before it or without.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let encoded = ["sha256//", "sha256/"].iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
        let bytes = BASE64_STANDARD.decode(encoded).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes.map(Self).ok_or_else(|| {
            "this is not the SHA-256 of a public key in Base64, 44 characters; `doorward identities trust URL` \
             prints it"
                .into()
        })
    }
}

impl<'de> Deserialize<'de> for KeyPin {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_read_as_others_write_them() {
        let text = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        for written in [text.to_owned(), format!("sha256//{text}"), format!("sha256/{text}"), format!(" {text}\n")] {
            assert_eq!(written.parse::<KeyPin>().unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "sha256//",
            "47DEQ",
            "d41d8cd98f00b204e9800998ecf8427e",
            &text[1..],
            "sha1//2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
        ] {
            assert!(wrong.parse::<KeyPin>().unwrap_err().contains("identities trust"), "{wrong}");
        }
    }
}
