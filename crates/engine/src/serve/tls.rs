//! Speaking TLS with a certificate and key from files.
//!
//! In: two PEM files. Out: encrypted streams, and the pin clients may know the engine by. The files are looked at again
//! while the engine runs: a renewed certificate is taken up without a restart, a broken one is not.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use identities::trust;
use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use telemetry::Repeated;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::certificate::TlsFiles;
use crate::error::EngineError;

/// How often the files are looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// TLS with one certificate; clones are the same one.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    current: Arc<Current>,
}

/// The certificate shown at this moment.
#[derive(derive_more::Debug)]
struct Current {
    files: TlsFiles,
    /// The certificate and its key. Nothing waits under this lock, and no other is held with it.
    #[debug(skip)]
    key: RwLock<Arc<CertifiedKey>>,
}

impl Tls {
    pub fn new(files: TlsFiles) -> Result<Self, EngineError> {
        let key = RwLock::new(Arc::new(load(&files)?));
        let current = Arc::new(Current { files, key });
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(EngineError::Tls)?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), current })
    }

    /// Base64 of the SHA-256 of the certificate's SubjectPublicKeyInfo: what a client's `pin_sha256` holds.
    pub fn pin(&self) -> Result<String, EngineError> {
        let key = self.current.key.read().clone();
        pin(&key).ok_or_else(|| EngineError::UnusableCertificate { path: self.current.files.certificate.clone() })
    }

    pub async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }

    /// Takes up the files whenever they have changed, until told to stop.
    pub async fn keep_up_to_date(self, stopping: CancellationToken) {
        let broken = Repeated::new(Duration::from_secs(3600));
        let mut seen = self.current.changed();
        while stopping.run_until_cancelled(tokio::time::sleep(LOOK_AGAIN)).await.is_some() {
            let changed = self.current.changed();
            if changed == seen {
                continue;
            }
            match self.current.reload() {
                Ok(()) => {
                    seen = changed;
                    info!("the certificate has changed; new connections get the new one");
                }
                // Certificate and key may be on their way, one after the other: tried again at the next look.
                Err(error) => {
                    if let Some(line) = broken.note(Instant::now(), error) {
                        warn!("the changed certificate cannot be used, the one before goes on: {line}");
                    }
                }
            }
        }
    }
}

impl Current {
    fn changed(&self) -> [Option<SystemTime>; 2] {
        [&self.files.certificate, &self.files.key].map(|path| fs::metadata(path).ok()?.modified().ok())
    }

    fn reload(&self) -> Result<(), EngineError> {
        let key = Arc::new(load(&self.files)?);
        *self.key.write() = key;
        Ok(())
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key.read().clone())
    }
}

/// Reads both files and makes sure that they belong together.
fn load(files: &TlsFiles) -> Result<CertifiedKey, EngineError> {
    let read = |path: &PathBuf| fs::read(path).map_err(EngineError::file("read", path));
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(&read(&files.certificate)?).filter_map(Result::ok).collect();
    let unusable_certificate = || EngineError::UnusableCertificate { path: files.certificate.clone() };
    let unusable_key = || EngineError::UnusableKey { path: files.key.clone() };
    if certificates.is_empty() {
        return Err(unusable_certificate());
    }
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|_| unusable_key())?;
    let certified =
        CertifiedKey::from_der(certificates, key, &ring::default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                EngineError::KeyOfAnother { certificate: files.certificate.clone(), key: files.key.clone() }
            }
            rustls::Error::InvalidCertificate(_) => unusable_certificate(),
            _ => unusable_key(),
        })?;
    pin(&certified).map(|_| certified).ok_or_else(unusable_certificate)
}

fn pin(key: &CertifiedKey) -> Option<String> {
    trust::key_of(key.cert.first()?).ok().map(|pin| pin.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(folder: &std::path::Path) -> TlsFiles {
        TlsFiles::self_made(folder, "127.0.0.1".parse().unwrap(), &["door.example".into()]).unwrap()
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (a, b) = (made(one.path()), made(other.path()));
        let with = |certificate: &PathBuf, key: &PathBuf| {
            Tls::new(TlsFiles { certificate: certificate.clone(), key: key.clone() }).map(drop).unwrap_err()
        };
        let nothing = one.path().join("nothing");
        assert!(matches!(with(&a.certificate, &b.key), EngineError::KeyOfAnother { .. }));
        assert!(matches!(with(&nothing, &a.key), EngineError::File { .. }));
        assert!(matches!(with(&a.key, &a.key), EngineError::UnusableCertificate { .. }));
        assert!(matches!(with(&a.certificate, &a.certificate), EngineError::UnusableKey { .. }));
    }

    #[test]
    fn a_renewed_certificate_is_taken_up_and_a_broken_one_is_not() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (files, renewed) = (made(one.path()), made(other.path()));
        let tls = Tls::new(files.clone()).unwrap();
        let before = tls.pin().unwrap();
        fs::copy(&renewed.certificate, &files.certificate).unwrap();
        assert!(tls.current.reload().is_err());
        assert_eq!(tls.pin().unwrap(), before);
        fs::copy(&renewed.key, &files.key).unwrap();
        tls.current.reload().unwrap();
        assert_eq!(tls.pin().unwrap(), Tls::new(renewed).unwrap().pin().unwrap());
    }
}
