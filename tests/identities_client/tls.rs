//! Whom the client trusts.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;

use super::*;

/// An authority of our own, as PEM, and a server certificate it signed for 127.0.0.1.
fn server() -> (String, Arc<rustls::ServerConfig>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (authority.pem(), Arc::new(config))
}

async fn engine(config: Arc<rustls::ServerConfig>) -> Fake {
    let answer = |request: &Request| {
        if request.is("/authenticate") { Reply::token("token-1") } else { Reply::json(200, "{}") }
    };
    Fake::start_tls(answer, config).await
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_when_it_is_named_and_only_then() {
    let (authority, tls) = server();
    let fake = engine(tls).await;
    let mut config = config(&format!("https://{}", fake.address));

    let (again, _, reason) = failed(identify(&Client::new(&config).unwrap(), &IdentifyConfig::default()).await);
    assert!(again && reason.contains("identities.ca_file"), "{reason}");
    assert_eq!(fake.seen().len(), 0, "not even the login was sent");

    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("other.pem");
    std::fs::write(&other, server().0).unwrap();
    config.ca_file = Some(other);
    assert!(failed(identify(&Client::new(&config).unwrap(), &IdentifyConfig::default()).await).0);
    assert_eq!(fake.seen().len(), 0);

    let file = dir.path().join("authority.pem");
    std::fs::write(&file, authority).unwrap();
    config.ca_file = Some(file);
    identify(&Client::new(&config).unwrap(), &IdentifyConfig::default()).await.unwrap();
    assert_eq!(fake.seen().len(), 2);
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
