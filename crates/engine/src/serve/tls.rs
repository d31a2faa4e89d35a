//! Speaking TLS with a certificate and key from files, which may be the engine's own.
//!
//! In: two PEM files, or the names the engine is reached by. Out: encrypted streams, and the pin clients may know the
//! engine by. The files are looked at again while the engine runs: a renewed certificate is taken up without a restart,
//! a broken one is not. A certificate of the engine's own is kept in the data folder, readable by its owner alone, and
//! made anew from the same key when need be; the key stays as long as its file does, and with it the pin.

use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Datelike, Months, Utc};
use identities::trust;
use parking_lot::RwLock;
use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData};
use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serving::Handshake;
use telemetry::Repeated;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use x509_parser::prelude::{FromDer, X509Certificate};

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

    /// Takes up the files whenever they have changed, until told to stop.
    pub async fn keep_up_to_date(self, stopping: CancellationToken) {
        let broken = Repeated::new(Duration::from_secs(3600));
        while stopping.run_until_cancelled(tokio::time::sleep(LOOK_AGAIN)).await.is_some() {
            match self.current.reload() {
                Ok(true) => info!("the certificate has changed; new connections get the new one"),
                Ok(false) => {}
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

impl Handshake for Tls {
    type Stream = TlsStream<TcpStream>;

    async fn shake(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }
}

impl Current {
    /// Takes up what the files hold now; whether it is another certificate, which has a key of its own.
    fn reload(&self) -> Result<bool, EngineError> {
        let key = Arc::new(load(&self.files)?);
        let before = std::mem::replace(&mut *self.key.write(), key.clone());
        Ok(before.cert != key.cert)
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

const CERTIFICATE: &str = "tls-cert.pem";
const KEY: &str = "tls-key.pem";

/// How long a new certificate is good for.
const YEARS: u32 = 10;
/// A certificate that ends sooner than this is replaced at a start.
const YEARS_LEFT: u32 = 1;

/// Where a certificate and its key are.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// PEM; the engine's own certificate first, then those that lead to its issuer.
    pub certificate: PathBuf,
    /// PEM: PKCS#8, SEC1 or PKCS#1.
    pub key: PathBuf,
}

impl TlsFiles {
    /// The files of the engine's own certificate in its data folder, good for `names` beside the names this machine is
    /// likely to be reached by when it listens on `address`; made where need be.
    pub fn self_made(folder: &Path, address: IpAddr, names: &[String]) -> Result<Self, EngineError> {
        self_made(folder, &usual_names(address, names), Utc::now())
    }
}

/// The files of a certificate that is good for every one of `names` (host names or addresses), made where they are
/// missing or no longer fit.
fn self_made(folder: &Path, names: &[String], now: DateTime<Utc>) -> Result<TlsFiles, EngineError> {
    let files = TlsFiles { certificate: folder.join(CERTIFICATE), key: folder.join(KEY) };
    let key = match fs::read_to_string(&files.key) {
        Ok(pem) => {
            KeyPair::from_pem(&pem).map_err(|source| EngineError::SelfMadeKey { path: files.key.clone(), source })?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = KeyPair::generate().map_err(EngineError::MakeCertificate)?;
            write_secret(&files.key, &key.serialize_pem())?;
            key
        }
        Err(error) => return Err(EngineError::file("read", &files.key)(error)),
    };
    let kept = fs::read(&files.certificate).unwrap_or_default();
    if !fits(&kept, &key, names, now) {
        write_secret(&files.certificate, &make(&key, names, now).map_err(EngineError::MakeCertificate)?)?;
    }
    Ok(files)
}

/// These names and those this machine is likely to be reached by when it listens on `address`.
fn usual_names(address: IpAddr, names: &[String]) -> Vec<String> {
    let mut names = [names, &["localhost".into(), "127.0.0.1".into(), "::1".into()]].concat();
    let machine = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_ascii_lowercase();
    // What is no DNS name cannot be in a certificate either.
    if !machine.is_empty() && machine.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)) {
        names.extend([machine.clone(), format!("{machine}.local")]);
    }
    if address.is_unspecified() {
        let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
        names.extend(interfaces.filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
            let v6 = address.as_sockaddr_in6().map(|v6| v6.ip()).filter(|v6| !v6.is_unicast_link_local());
            v4.or(v6.map(IpAddr::from)).map(|address| address.to_string())
        }));
    } else {
        names.push(address.to_string());
    }
    names.sort();
    names.dedup();
    names
}

fn make(key: &KeyPair, names: &[String], now: DateTime<Utc>) -> Result<String, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "doorward engine");
    // Every day up to the 28th exists in every month; which one it is makes no difference here.
    let day = |date: DateTime<Utc>| rcgen::date_time_ymd(date.year(), date.month() as u8, date.day().min(28) as u8);
    // A client's clock may be behind.
    params.not_before = day(now - Months::new(12));
    params.not_after = day(now + Months::new(12 * YEARS));
    Ok(params.self_signed(key)?.pem())
}

/// Whether the certificate belongs to the key, knows every name and lasts.
fn fits(pem: &[u8], key: &KeyPair, names: &[String], now: DateTime<Utc>) -> bool {
    let Ok(shown) = CertificateDer::from_pem_slice(pem) else { return false };
    let Ok((_, certificate)) = X509Certificate::from_der(&shown) else { return false };
    let Ok(parsed) = ParsedCertificate::try_from(&shown) else { return false };
    let known = |name: &String| {
        ServerName::try_from(name.as_str()).is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
    };
    let enough = (now + Months::new(12 * YEARS_LEFT)).timestamp();
    certificate.public_key().raw == key.subject_public_key_info()
        && certificate.validity().not_after.timestamp() > enough
        && names.iter().all(known)
}

/// Puts the file there whole or not at all, for its owner alone.
fn write_secret(path: &PathBuf, text: &str) -> Result<(), EngineError> {
    let write = || {
        let folder = path.parent().unwrap_or(Path::new("."));
        // A temporary file has mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        fs::File::open(folder)?.sync_all()
    };
    write().map_err(EngineError::file("write", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use chrono::TimeDelta;

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
        assert!(tls.current.reload().unwrap() && !tls.current.reload().unwrap());
        assert_eq!(tls.pin().unwrap(), Tls::new(renewed).unwrap().pin().unwrap());
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn it_is_kept_until_it_no_longer_fits_and_the_key_stays() {
        let folder = tempfile::tempdir().unwrap();
        let now = Utc::now();
        let read = |files: &TlsFiles| (fs::read(&files.certificate).unwrap(), fs::read(&files.key).unwrap());
        let make = |wanted: &[&str], now| read(&self_made(folder.path(), &names(wanted), now).unwrap());
        let first = make(&["localhost", "192.0.2.7"], now);
        assert_eq!(make(&["192.0.2.7"], now + TimeDelta::days(365)), first);
        let renamed = make(&["localhost", "192.0.2.8", "2001:db8::1"], now);
        assert_ne!(renamed.0, first.0);
        let renewed = make(&["localhost"], now + TimeDelta::days(3400));
        assert_ne!(renewed.0, renamed.0);
        assert!(renamed.1 == first.1 && renewed.1 == first.1);
        for file in [CERTIFICATE, KEY] {
            assert_eq!(fs::metadata(folder.path().join(file)).unwrap().permissions().mode() & 0o777, 0o600);
        }
        // Another key is another engine; a damaged one is not replaced in silence.
        fs::remove_file(folder.path().join(KEY)).unwrap();
        assert_ne!(make(&["localhost"], now).1, first.1);
        fs::write(folder.path().join(KEY), "damaged").unwrap();
        assert!(matches!(self_made(folder.path(), &names(&["localhost"]), now), Err(EngineError::SelfMadeKey { .. })));
    }

    #[test]
    fn the_machine_is_known_by_its_addresses() {
        let all = usual_names("0.0.0.0".parse().unwrap(), &[]);
        for name in ["localhost", "127.0.0.1"] {
            assert!(all.contains(&name.to_owned()), "{all:?}");
        }
        assert!(usual_names("192.0.2.7".parse().unwrap(), &[]).contains(&"192.0.2.7".to_owned()));
        let now = Utc::now();
        assert!(self_made(tempfile::tempdir().unwrap().path(), &all, now).is_ok());
    }
}
