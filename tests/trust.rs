//! Trust from the command line and in webhooks: the real binary and real sockets, certificates made on the spot.

#[allow(dead_code)] // made for the client's tests, which use more of it
#[path = "identities_client/fake.rs"]
mod fake;
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use doorward::actions::{ActionResult, Actions};
use doorward::config::{self, ActionConfig, DetectorName};
use doorward::rules::ActionRequest;
use doorward::track::VisitId;
use faces::picture::Picture;
use fake::{Fake, Reply, Request};
use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData};
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::{doorward, run};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// A self-signed server, as on-premise installers make them; its certificate and its pin.
fn server(runtime: &Runtime, name: &str, answer: fn(&Request) -> Reply) -> (Fake, rcgen::Certificate, String) {
    identities::trust::crypto();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "the engine downstairs");
    params.not_after = rcgen::date_time_ymd(2041, 2, 3);
    let certificate = params.self_signed(&key).unwrap();
    let pin = BASE64_STANDARD.encode(Sha256::digest(key.subject_public_key_info()));
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    (runtime.block_on(Fake::start_tls(answer, Arc::new(config))), certificate, pin)
}

fn engine(request: &Request) -> Reply {
    match request {
        request if request.is("/authenticate") => Reply::token("token-1"),
        request if request.is("/faceEnroll") => {
            Reply::json(200, r#"{"personId":"0192f3c4-0000-7000-8000-000000000000"}"#)
        }
        _ => Reply::json(200, "{}"),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_certificate_a_server_shows_is_told_with_the_line_that_trusts_it() {
    let runtime = Runtime::new().unwrap();
    let (fake, certificate, pin) = server(&runtime, "engine.example", engine);
    let url = format!("https://{}", fake.address);
    let told: Value =
        serde_json::from_slice(&run(doorward().args(["identities", "trust", "--json", &url])).stdout).unwrap();
    let fingerprint = Sha256::digest(certificate.der());
    let fingerprint: Vec<_> = fingerprint.iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(
        told,
        json!({
            "subject": "CN=the engine downstairs", "issuer": "CN=the engine downstairs", "self_signed": true,
            "names": ["engine.example"], "not_before": "1975-01-01T00:00:00Z", "not_after": "2041-02-03T00:00:00Z",
            "key": "elliptic curve, 256 bits", "certificate_sha256": fingerprint.join(":"), "pin_sha256": pin,
            "further_certificates": 0, "authorities": "system roots", "accepted": false,
            "refused_because": "no authority they know has signed it",
        })
    );
    let shown = text(&run(doorward().args(["identities", "trust", &url])).stdout);
    let line = shown.lines().last().unwrap();
    assert_eq!(line, format!("pin_sha256 = [\"{pin}\"]"));
    assert_eq!(fake.seen().len(), 0, "the server was told something");

    // The line goes into the configuration as it is, and is what lets us in.
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("doorward.toml");
    std::fs::create_dir(folder.path().join("detectors")).unwrap();
    let detector = "time_zone = \"UTC\"\n[camera]\ntype = \"replay\"\npath = \"/\"\n";
    std::fs::write(folder.path().join("detectors/door.toml"), detector).unwrap();
    for (line, said) in [("", "no trusted TLS connection"), (line, "lets us in")] {
        let identities = format!("[identities]\nurl = \"{url}\"\nusername = \"u\"\npassword = \"${{P}}\"\n{line}\n");
        std::fs::write(&main, format!("state_dir = \"{}\"\n{identities}", folder.path().display())).unwrap();
        let mut check = doorward();
        check.args(["check", "--online", "--config"]).arg(&main).env("P", "x");
        let output = text(&check.output().unwrap().stdout);
        assert!(output.contains(said), "{said}: {output}");
    }

    // And on the command line.
    let (photo, password) = (folder.path().join("photo.jpg"), folder.path().join("password"));
    std::fs::write(&photo, Picture::filled(64, 64, [90; 3]).jpeg(90).unwrap()).unwrap();
    std::fs::write(&password, "x").unwrap();
    let enroll = |more: &[&str]| {
        let mut command = doorward();
        command.args(["identities", "enroll", "--url", &url, "--username", "u", "--photo"]).arg(&photo);
        command.arg("--password-file").arg(&password).args(more).output().unwrap()
    };
    let refused = enroll(&[]);
    assert!(!refused.status.success() && text(&refused.stderr).contains("identities trust https://127.0.0.1:"));
    let other = BASE64_STANDARD.encode([7; 32]);
    assert!(text(&enroll(&["--pin", &other]).stderr).contains(&pin), "the error names the key that was shown");
    assert!(text(&enroll(&["--pin", "abc"]).stderr).contains("not the SHA-256 of a public key"));
    assert!(enroll(&["--pin", &other, "--pin", &pin]).status.success());
}

#[test]
fn an_authority_is_held_against_the_certificate() {
    let runtime = Runtime::new().unwrap();
    let (good, certificate, _) = server(&runtime, "127.0.0.1", engine);
    let (misnamed, other, _) = server(&runtime, "engine.example", engine);
    let folder = tempfile::tempdir().unwrap();
    for (fake, authority, refused) in [
        (&good, &certificate, Value::Null),
        (&good, &other, "the authority they know by that name has not signed it".into()),
        (&misnamed, &other, "it is for other names than this one".into()),
    ] {
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, authority.pem()).unwrap();
        let mut command = doorward();
        command.args(["identities", "trust", "--json", &format!("https://{}", fake.address), "--ca-file"]).arg(&file);
        let told: Value = serde_json::from_slice(&run(&mut command).stdout).unwrap();
        assert_eq!((&told["accepted"], &told["refused_because"]), (&refused.is_null().into(), &refused));
    }
}

#[test]
fn where_there_is_no_certificate_to_see_the_error_says_why() {
    let runtime = Runtime::new().unwrap();
    let plain = runtime.block_on(Fake::start(engine));
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, said) in [
        ("http://127.0.0.1:1".to_owned(), "write https://HOST"),
        (format!("https://{}", plain.address), "does not speak TLS"),
        (format!("https://{gone}"), "cannot connect to 127.0.0.1"),
        ("https://bad_host!/".to_owned(), "is not the name of a server"),
    ] {
        let output = doorward().args(["identities", "trust", &url]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(said), "{url}: {}", text(&output.stderr));
    }
}

/// Performs the webhook action `[action.a]` once.
async fn perform(toml: &str) -> ActionResult {
    let file: BTreeMap<String, BTreeMap<String, ActionConfig>> = config::from_toml(toml).unwrap();
    let actions = Actions::new(&file["action"], None, None).unwrap();
    let request = ActionRequest {
        event: doorward::config::EventKind::Recognition,
        action: "a".into(),
        rule: "r".into(),
        detector: DetectorName::new("door").unwrap(),
        visit: VisitId(Uuid::nil()),
        sighting: Uuid::nil(),
        person: None,
        seen_at: chrono::DateTime::UNIX_EPOCH,
        key: "KEY".into(),
        inputs: json!({ "event": "recognition", "id": "KEY" }),
        picture: None,
        late: false,
        expires_at: Some(Instant::now() + Duration::from_secs(60)),
    };
    actions.perform(request).await.result
}

#[test]
fn a_webhook_trusts_a_pin_or_an_authority_of_its_own() {
    let runtime = Runtime::new().unwrap();
    let (fake, certificate, pin) = server(&runtime, "127.0.0.1", engine);
    let (stranger, other, stranger_pin) = server(&runtime, "127.0.0.1", engine);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, certificate: &rcgen::Certificate| {
        let file = folder.path().join(name);
        std::fs::write(&file, certificate.pem()).unwrap();
        file
    };
    let (file, other) = (file("ca.pem", &certificate), file("other.pem", &other));
    let ca = |file: &Path| format!("ca_file = '{}'", file.display());
    let pins = |pin: &str| format!("pin_sha256 = ['sha256//{pin}']");
    for (trust, done) in [
        (String::new(), false),
        (pins(&pin), true),
        (pins(&stranger_pin), false),
        (ca(&file), true),
        (ca(&other), false),
        (format!("{}\n{}", ca(&file), pins(&pin)), true),
        (format!("{}\n{}", ca(&file), pins(&stranger_pin)), false),
        (format!("{}\n{}", ca(&other), pins(&pin)), false),
    ] {
        let before = fake.seen().len();
        let secret = "headers = { Authorization = 'Bearer hunter2' }";
        let toml = format!(
            "[action.a]\ntype = 'webhook'\ntries = 1\nurl = 'https://{}/hook'\n{secret}\n{trust}",
            fake.address
        );
        let result = runtime.block_on(perform(&toml));
        assert_eq!(result == ActionResult::Done, done, "{trust}: {result:?}");
        assert_eq!(fake.seen().len() - before, usize::from(done), "{trust}");
    }
    assert_eq!(stranger.seen().len(), 0);
}

#[test]
fn a_redirected_webhook_takes_its_secrets_nowhere() {
    let runtime = Runtime::new().unwrap();
    identities::trust::crypto();
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = runtime.block_on(Fake::start_raw(|_| Reply::json(200, "{}")));
        let location: &'static str = format!("Location: {}/elsewhere\r\n", elsewhere.url()).leak();
        let fake = runtime.block_on(Fake::start_raw(move |_| Reply::with(status, location, "")));
        let toml = format!(
            "[action.a]\ntype = 'webhook'\nurl = '{}/'\nheaders = {{ Authorization = 'Bearer hunter2' }}",
            fake.url()
        );
        let result = runtime.block_on(perform(&toml));
        assert!(matches!(&result, ActionResult::Failed { reason } if reason.contains("redirects are not followed")));
        assert_eq!((fake.seen().len(), elsewhere.seen().len()), (1, 0), "{status}");
        assert!(fake.seen()[0].head.contains("hunter2"));
    }
}
