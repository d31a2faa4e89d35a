//! Whom the client trusts.

use std::path::Path;
use std::sync::Arc;

use identities::trust::KeyPin;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PublicKeyData};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ResolvesServerCert;
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};

use super::*;

/// A server's certificate with its key.
struct Server {
    certificate: CertificateDer<'static>,
    key: KeyPair,
    /// The authority that signed it, as PEM.
    authority: String,
}

impl Server {
    /// Signed by an authority of our own; `change` may spoil it.
    fn signed(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &authority).unwrap();
        Self { certificate: certificate.der().clone(), key, authority: authority.pem() }
    }

    /// Its own authority, as on-premise installers make them.
    fn self_signed(names: &[&str]) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate: certificate.der().clone(), key, authority: certificate.pem() }
    }

    /// The pin, computed here from the key and not from the certificate.
    fn pin(&self) -> KeyPin {
        KeyPin(Sha256::digest(self.key.subject_public_key_info()).into())
    }

    fn tls(&self) -> Arc<rustls::ServerConfig> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        Arc::new(config.with_single_cert(vec![self.certificate.clone()], key).unwrap())
    }

    async fn start(&self) -> Fake {
        engine(self.tls()).await
    }
}

async fn engine(config: Arc<rustls::ServerConfig>) -> Fake {
    let answer = |request: &Request| {
        if request.is("/authenticate") { Reply::token("token-1") } else { Reply::json(200, "{}") }
    };
    Fake::start_tls(answer, config).await
}

fn trusting(fake: &Fake, ca_file: Option<&Path>, pins: &[KeyPin]) -> Client {
    let mut config = config(&format!("https://{}", fake.address));
    config.ca_file = ca_file.map(Into::into);
    config.pin_sha256 = pins.to_vec();
    Client::new(&config).unwrap()
}

/// Whether a sighting gets through; if not, nothing at all may have been sent.
async fn gets_through(fake: &Fake, client: &Client) -> Result<(), String> {
    match identify(client, &IdentifyConfig::default()).await {
        Ok(_) => Ok(()),
        Err(error) => {
            assert_eq!(fake.seen().len(), 0, "not even the login was sent");
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(next) = cause {
                text += &format!(": {next}");
                cause = next.source();
            }
            assert!(failed(Err(error)).0, "it is tried again: {text}");
            Err(text)
        }
    }
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_when_it_is_named_and_only_then() {
    let server = Server::signed(&["127.0.0.1"], |_| {});
    let fake = server.start().await;
    let reason = gets_through(&fake, &trusting(&fake, None, &[])).await.unwrap_err();
    assert!(
        reason.contains("identities trust https://127.0.0.1:") && reason.contains("identities.ca_file"),
        "{reason}"
    );

    let dir = tempfile::tempdir().unwrap();
    let (file, other) = (dir.path().join("authority.pem"), dir.path().join("other.pem"));
    std::fs::write(&other, Server::signed(&["127.0.0.1"], |_| {}).authority).unwrap();
    gets_through(&fake, &trusting(&fake, Some(&other), &[])).await.unwrap_err();

    std::fs::write(&file, &server.authority).unwrap();
    let client = trusting(&fake, Some(&file), &[]);
    assert_eq!(client.certificate_ends(), None);
    gets_through(&fake, &client).await.unwrap();
    assert_eq!(fake.seen().len(), 2);
    let (_, shown) = x509_parser::parse_x509_certificate(&server.certificate).unwrap();
    let ends = client.certificate_ends().unwrap();
    assert_eq!(ends.timestamp(), shown.validity().not_after.timestamp());
}

#[tokio::test]
async fn a_pinned_key_is_believed_whatever_else_its_certificate_says_and_no_other_key_is() {
    let stranger = Server::self_signed(&["127.0.0.1"]);
    let ended = |params: &mut CertificateParams| params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    for (what, server) in [
        ("self-signed", Server::self_signed(&["127.0.0.1"])),
        ("for another name", Server::self_signed(&["engine.example"])),
        ("without a name", Server::self_signed(&[])),
        ("of an unknown authority", Server::signed(&["127.0.0.1"], |_| {})),
        ("out of date", Server::signed(&["engine.example"], ended)),
    ] {
        let fake = server.start().await;
        let reason = gets_through(&fake, &trusting(&fake, None, &[stranger.pin()])).await.unwrap_err();
        assert!(reason.contains(&format!("the server's key is {}", server.pin())), "{what}: {reason}");
        gets_through(&fake, &trusting(&fake, None, &[])).await.unwrap_err();
        gets_through(&fake, &trusting(&fake, None, &[stranger.pin(), server.pin()])).await.expect(what);
    }
}

#[tokio::test]
async fn with_an_authority_and_a_pin_both_must_hold() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("authority.pem");
    let (good, stranger) = (Server::signed(&["127.0.0.1"], |_| {}), Server::self_signed(&["127.0.0.1"]));
    std::fs::write(&file, &good.authority).unwrap();
    let fake = good.start().await;
    gets_through(&fake, &trusting(&fake, Some(&file), &[stranger.pin()])).await.unwrap_err();
    gets_through(&fake, &trusting(&fake, Some(&file), &[good.pin()])).await.unwrap();
    // The key is the pinned one, but the authority does not vouch for this name.
    let misnamed = Server::signed(&["engine.example"], |_| {});
    std::fs::write(&file, &misnamed.authority).unwrap();
    let fake = misnamed.start().await;
    gets_through(&fake, &trusting(&fake, Some(&file), &[misnamed.pin()])).await.unwrap_err();
}

/// Shows a certificate it has no key for.
#[derive(Debug)]
struct Thief(Arc<CertifiedKey>);

impl ResolvesServerCert for Thief {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

#[tokio::test]
async fn who_shows_a_pinned_certificate_without_its_key_is_not_believed() {
    let (victim, thief) = (Server::self_signed(&["127.0.0.1"]), Server::self_signed(&["127.0.0.1"]));
    let provider = rustls::crypto::ring::default_provider();
    let key = PrivateKeyDer::try_from(thief.key.serialize_der()).unwrap();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let stolen = Arc::new(CertifiedKey::new(vec![victim.certificate.clone()], key));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = rustls::ServerConfig::builder_with_provider(provider.clone().into());
        let config = config.with_protocol_versions(&[version]).unwrap().with_no_client_auth();
        let fake = engine(Arc::new(config.with_cert_resolver(Arc::new(Thief(stolen.clone()))))).await;
        let reason = gets_through(&fake, &trusting(&fake, None, &[victim.pin()])).await.unwrap_err();
        assert!(reason.contains("BadSignature"), "{version:?}: {reason}");

        // With the right key the same server is believed, so it was the signature that told.
        let key = PrivateKeyDer::try_from(victim.key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider.clone().into());
        let config = config.with_protocol_versions(&[version]).unwrap().with_no_client_auth();
        let fake = engine(Arc::new(config.with_single_cert(vec![victim.certificate.clone()], key).unwrap())).await;
        gets_through(&fake, &trusting(&fake, None, &[victim.pin()])).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_without_tls_is_told_apart_from_an_unreachable_one() {
    let fake = Fake::start(|_| Reply::json(200, "{}")).await;
    let client = Client::new(&config(&format!("https://{}", fake.address))).unwrap();
    let (again, _, reason) = failed(identify(&client, &IdentifyConfig::default()).await);
    assert!(again && reason.contains("no trusted TLS connection"), "{reason}");
}

#[tokio::test]
async fn a_file_without_certificates_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    let mut config = config("https://127.0.0.1:1");
    config.ca_file = Some(file.clone());
    let error = Client::new(&config).unwrap_err().to_string();
    assert!(error.contains("cannot read") && error.contains("ca.pem"), "{error}");
    std::fs::write(&file, "no certificate").unwrap();
    let error = Client::new(&config).unwrap_err().to_string();
    assert!(error.contains("holds no certificate"), "{error}");
}
