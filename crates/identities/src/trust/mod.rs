//! Whom we believe over TLS: the system's authorities, an authority of one's own, or a known key.
//!
//! In: a `ca_file` and pins of the configuration. Out: a rustls configuration for one endpoint, and when the
//! certificate it showed last ends. There is no way to turn checking off: without a pin the chain, the name and the
//! dates are checked, with one the key is.
//!
//! ```text
//!             │ no ca_file                     │ ca_file
//! ────────────┼────────────────────────────────┼──────────────────────────────────────────────
//! no pin      │ the system's authorities       │ those of the file alone
//! pin_sha256  │ the key alone, whatever else   │ the key, and an authority of the file vouches
//!             │ the certificate says           │ for name and dates
//! ```

mod pin;
mod probe;
mod verifier;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

pub use pin::KeyPin;
pub use probe::{Presented, ProbeError, present};
pub use verifier::key_of;

use verifier::{Endpoint, Judge, Verifier};

/// Why no trust can be set up.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("cannot read {}, which `ca_file` names", file.display())]
    CaFile {
        file: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{}, which `ca_file` names, holds no certificate in PEM form, or one that cannot be used", file.display())]
    CaFormat { file: PathBuf },
    #[error(
        "this system has no authorities to trust; install its certificates (package ca-certificates), or set `ca_file` \
         or `pin_sha256`"
    )]
    NoAuthorities,
    #[error("cannot set up TLS")]
    Tls {
        #[source]
        source: rustls::Error,
    },
}

/// The trust in one endpoint.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The configuration of TLS, for HTTP/1.1 and whatever else speaks it; without client authentication.
    pub config: ClientConfig,
    pub shown: Shown,
}

/// What is remembered of the certificate an endpoint showed last; clones are the same one.
#[derive(Debug, Clone)]
pub struct Shown(Arc<AtomicI64>);

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
        let endpoint = Endpoint { chain, pins: pins.to_vec(), shown: shown.clone() };
        let mut config = judged_by(Arc::new(endpoint), &provider)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config, shown })
    }
}

impl Shown {
    /// When the certificate ends; `None` before the first connection.
    pub fn ends(&self) -> Option<DateTime<Utc>> {
        match self.0.load(Ordering::Relaxed) {
            NEVER => None,
            ends => DateTime::from_timestamp(ends, 0),
        }
    }

    fn note(&self, ends: i64) {
        self.0.store(ends, Ordering::Relaxed);
    }
}

const NEVER: i64 = i64::MIN;

impl Default for Shown {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(NEVER)))
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

/// A configuration in which `judge` decides about certificates.
fn judged_by(judge: Arc<dyn Judge>, provider: &Arc<CryptoProvider>) -> Result<ClientConfig, TrustError> {
    let verifier = Verifier { judge, algorithms: provider.signature_verification_algorithms };
    let config = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let config = config.map_err(|source| TrustError::Tls { source })?;
    Ok(config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
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
