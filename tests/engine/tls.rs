//! HTTPS: with a certificate of the engine's own or a given one, and what becomes of clients that do not speak it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::PublicKeyData;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::server::{Server, doorward};

const LOOPBACK: [&str; 3] = ["--listen", "127.0.0.1:0", "--https"];

/// A client that trusts this certificate and nothing else.
fn trusting(certificate: &Path) -> reqwest::Client {
    identities::trust::crypto();
    let pem = std::fs::read(certificate).unwrap();
    let root = reqwest::Certificate::from_pem(&pem).unwrap();
    reqwest::Client::builder().tls_certs_only([root]).build().unwrap()
}

/// By the name a certificate must hold, whatever address the engine listens on.
fn base(server: &Server) -> String {
    format!("https://localhost:{}", address(server).port())
}

fn address(server: &Server) -> SocketAddr {
    server.base.trim_start_matches("https://").replace("0.0.0.0", "127.0.0.1").parse().unwrap()
}

async fn log_in(client: &reqwest::Client, base: &str, password: &str) -> Value {
    let body = json!({"username": "admin", "password": password});
    let answer = client.post(format!("{base}/api/v1/authenticate")).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

#[tokio::test]
async fn a_self_made_certificate_is_kept_and_its_pin_told() {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &LOOPBACK);
    let certificate = server.data().join("tls-cert.pem");
    for file in [&certificate, &server.data().join("tls-key.pem")] {
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let key = rcgen::KeyPair::from_pem(&std::fs::read_to_string(server.data().join("tls-key.pem")).unwrap()).unwrap();
    let pin = BASE64_STANDARD.encode(Sha256::digest(key.subject_public_key_info()));
    assert_eq!(server.pin, Some(pin.clone()));
    let password = server.password.clone().unwrap();
    let client = trusting(&certificate);
    assert!(log_in(&client, &base(&server), &password).await["token"].is_string());
    log_in(&client, &server.base, &password).await;

    let folder = server.kill();
    let server = Server::start_with(folder, &["--listen", "0.0.0.0:0"]);
    assert!(server.base.starts_with("https://"), "what others can reach is HTTPS without being told");
    assert_eq!(server.pin, Some(pin), "a restart changes nothing for clients that pin");
    log_in(&trusting(&certificate), &base(&server), &password).await;
}

#[tokio::test]
async fn a_given_certificate_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("given.pem"), folder.path().join("given.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let paths = [certificate.to_str().unwrap().to_owned(), key.to_str().unwrap().to_owned()];
    let given = ["--listen", "127.0.0.1:0", "--certificate", &paths[0], "--key", &paths[1]];
    let server = Server::start_with(tempfile::tempdir().unwrap(), &given);
    let pin = BASE64_STANDARD.encode(Sha256::digest(made.signing_key.subject_public_key_info()));
    assert_eq!(server.pin, Some(pin));
    log_in(&trusting(&certificate), &base(&server), server.password.as_deref().unwrap()).await;
    assert!(!server.data().join("tls-key.pem").exists());
}

#[test]
fn plain_http_beyond_this_machine_must_be_asked_for() {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--listen", "0.0.0.0:0", "--http"]);
    assert!(server.base.starts_with("http://") && server.pin.is_none());
    let serve = |arguments: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let output = doorward()
            .args(["engine", "serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.path().join("engine"))
            .args(arguments)
            .stderr(std::process::Stdio::piped())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(serve(&["--http", "--https"]).0, Some(2));
    assert_eq!(serve(&["--certificate", "Cargo.toml"]).0, Some(2));
    let (code, said) = serve(&["--certificate", "Cargo.toml", "--key", "Cargo.toml"]);
    assert!(code == Some(1) && said.contains("holds no certificate"), "{said}");
    let (code, said) = serve(&["--https", "--name", "no name\u{fc}"]);
    assert!(code == Some(1) && said.contains("--name"), "{said}");
}

#[tokio::test]
async fn clients_that_speak_something_else_harm_nobody() {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &LOOPBACK);
    let mut idle = Vec::new();
    for garbage in [&b""[..], b"\x16\x03\x01\x02\x00", b"\x00\xff\x00\xff"] {
        let mut stream = TcpStream::connect(address(&server)).unwrap();
        stream.write_all(garbage).unwrap();
        idle.push(stream);
    }
    let mut plain = TcpStream::connect(address(&server)).unwrap();
    plain.write_all(b"GET /api/v1/Tags HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1"));
    let client = trusting(&server.data().join("tls-cert.pem"));
    log_in(&client, &base(&server), server.password.as_deref().unwrap()).await;
    // Nobody's word but the certificate's own: a client with other roots refuses it.
    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = server.folder.path().join("stranger.pem");
    std::fs::write(&file, stranger.cert.pem()).unwrap();
    assert!(trusting(&file).get(format!("{}/api/v1/Tags", base(&server))).send().await.is_err());
}

#[tokio::test]
async fn slow_clients_do_not_keep_others_out() {
    let server = Server::start();
    let address: SocketAddr = server.base.trim_start_matches("http://").parse().unwrap();
    // As many as one address may have, less one, each with a header that never ends.
    let slow: Vec<_> = (0..255)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"POST /api/v1/authenticate HTTP/1.1\r\nHost: x\r\nX-Slow: ").unwrap();
            stream
        })
        .collect();
    let api = server.administrator().await;
    api.get("/api/v1/Tags").await.ok();
    assert_eq!(slow.len(), 255);
}

#[tokio::test]
async fn a_stop_lets_requests_under_way_finish() {
    let Some(photo) = crate::server::portrait() else { return };
    let mut server = Server::start();
    let api = server.administrator().await;
    let asking: Vec<_> = (0..6)
        .map(|n| {
            let (api, photo) = (api.clone(), photo.clone());
            let options = json!({"detectorName": format!("door {n}")});
            tokio::spawn(async move { api.publish(&photo, options).await.len() })
        })
        .collect();
    // All six are with the engine: the first answers come while the others still wait for the models.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let stopped = tokio::task::spawn_blocking(move || server.terminate().success());
    for answer in asking {
        assert!(answer.await.unwrap() > 0);
    }
    assert!(stopped.await.unwrap());
}
