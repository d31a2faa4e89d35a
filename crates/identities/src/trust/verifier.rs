//! The check of one handshake: is this the server we mean?
//!
//! In: the certificates a server shows. Out: yes, or why not. A pin is held against the key that rustls itself reads
//! out of the certificate and then checks the handshake's signature with, so nobody can show one key and use another.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{DigitallySignedStruct, Error, OtherError, SignatureScheme};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{KeyPin, Shown};

/// Whom one endpoint may be; the signatures of a handshake are always checked.
#[derive(Debug)]
pub(super) struct Verifier {
    pub belief: Belief,
    pub shown: Shown,
    pub algorithms: WebPkiSupportedAlgorithms,
}

/// What is asked of a server's certificate.
#[derive(Debug)]
pub(super) enum Belief {
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
