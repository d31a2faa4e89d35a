//! Whether the broker lets us in, and how it is told when it does not.

use std::net::IpAddr;
use std::path::Path;

use doorward::actions::mqtt::Link;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use serde_json::Value;

use crate::broker::{Mosquitto, Watcher, free_port};
use crate::support::{doorward, run, wait_for};
use crate::{Ours, settings};

/// The reason for not being connected.
fn reason(ours: &Ours) -> String {
    let link = ours.broker.link();
    wait_for("a failed connection", || match &*link.borrow() {
        Link::Down { reason } => Some(reason.clone()),
        _ => None,
    })
}

/// `ca.pem`, and `server.pem` and `server.key` signed by it for 127.0.0.1 and localhost.
fn certificates(folder: &Path) {
    let mut ca = CertificateParams::new([]).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let mut server = CertificateParams::new(["localhost".to_owned()]).unwrap();
    server.subject_alt_names.push(SanType::IpAddress(IpAddr::from([127, 0, 0, 1])));
    let key = KeyPair::generate().unwrap();
    let signed = server.signed_by(&key, &ca).unwrap();
    std::fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
    std::fs::write(folder.join("server.pem"), signed.pem()).unwrap();
    std::fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
}

#[test]
fn a_broker_with_a_certificate_of_its_own_authority() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let (port, here) = (free_port(), folder.path().display());
    let broker = Mosquitto::with(&format!(
        "allow_anonymous true\nlistener {port} 127.0.0.1\ncertfile {here}/server.pem\nkeyfile {here}/server.key\n\
         listener {port} 127.0.0.2\ncertfile {here}/server.pem\nkeyfile {here}/server.key"
    ));
    let watcher = Watcher::start(broker.port, "watcher");
    for host in ["127.0.0.1", "localhost"] {
        let toml =
            format!("url = 'mqtts://{host}:{port}'\nca_file = '{here}/ca.pem'\nstates = true\nclient_id = 'to-{host}'");
        let ours = Ours::start(&settings(&toml), &["front-door"]);
        watcher.wait(&format!("to-{host}/availability"), |got| got.text() == "online");
        ours.stop();
        watcher.wait(&format!("to-{host}/availability"), |got| got.text() == "offline");
    }

    let other = tempfile::tempdir().unwrap();
    certificates(other.path());
    let plain = broker.port;
    for (what, toml, wanted) in [
        (
            "another authority",
            format!("url = 'mqtts://localhost:{port}'\nca_file = '{}/ca.pem'", other.path().display()),
            "the broker's certificate is not accepted",
        ),
        (
            "the system's authorities",
            format!("url = 'mqtts://localhost:{port}'"),
            "`mqtt.ca_file` names the authority that signed it",
        ),
        ("another name", format!("url = 'mqtts://127.0.0.2:{port}'\nca_file = '{here}/ca.pem'"), "not valid for name"),
        (
            "no TLS there",
            format!("url = 'mqtts://localhost:{plain}'\nca_file = '{here}/ca.pem'"),
            "does the broker speak TLS at this port?",
        ),
        ("TLS there", format!("url = 'mqtt://localhost:{port}'"), "does this port want TLS (`mqtts://`)?"),
        ("nobody there", format!("url = 'mqtt://127.0.0.1:{}'", free_port()), "nobody listens at the broker's address"),
    ] {
        let ours = Ours::start(&settings(&toml), &["front-door"]);
        let reason = reason(&ours);
        assert!(reason.contains(wanted), "{what}: {reason}");
        ours.stop();
    }
}

#[test]
fn a_certificate_file_that_is_none_is_told_at_start() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty.pem"), "no certificate").unwrap();
    std::fs::write(folder.path().join("bad.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    identities::trust::crypto();
    for (file, wanted) in
        [("empty.pem", "holds no certificate"), ("bad.pem", "cannot be used"), ("none.pem", "cannot read")]
    {
        let config = settings(&format!("url = 'mqtts://h'\nca_file = '{}/{file}'", folder.path().display()));
        let error = doorward::actions::mqtt::Broker::new(&config).unwrap_err().to_string();
        assert!(error.starts_with("`mqtt.ca_file` is wrong: ") && error.contains(wanted), "{error}");
    }
}

#[test]
fn a_wrong_password_is_told_clearly_and_not_shown() {
    let passwords = tempfile::tempdir().unwrap();
    let file = passwords.path().join("passwords");
    run(std::process::Command::new("mosquitto_passwd").args(["-b", "-c"]).arg(&file).args(["box", "right-word"]));
    let broker = Mosquitto::with(&format!("allow_anonymous false\npassword_file {}", file.display()));
    let section =
        |password: &str| format!("url = '{}'\nusername = 'box'\npassword = '{password}'\nstates = true", broker.url());

    let ours = Ours::start(&settings(&section("wrong-word")), &["front-door"]);
    let told = reason(&ours);
    assert_eq!(told, "the broker does not let us in: check `mqtt.username` and `mqtt.password`");
    assert!(!format!("{:?} {:?}", ours.broker, settings(&section("wrong-word"))).contains("wrong-word"));
    ours.stop();

    let ours = Ours::start(&settings(&section("right-word")), &["front-door"]);
    wait_for("the connection", || (*ours.broker.link().borrow() == Link::Up).then_some(()));
    ours.stop();

    // The same from the command line.
    let folder = tempfile::tempdir().unwrap();
    let check = |password: &str| {
        std::fs::write(folder.path().join("doorward.toml"), format!("[mqtt]\n{}", section(password))).unwrap();
        let mut command = doorward();
        command.args(["check", "--json", "--online", "--config"]).arg(folder.path().join("doorward.toml"));
        let output = command.env("DOORWARD__STATE_DIR", folder.path()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!text.contains(password), "{text}");
        let checks: Value = serde_json::from_str(&text).unwrap();
        let found = checks["checks"].as_array().unwrap().iter().find(|check| check["name"] == "MQTT broker").cloned();
        found.unwrap_or_else(|| panic!("{text}"))
    };
    let wrong = check("wrong-word");
    assert_eq!(wrong["result"], "error");
    assert!(wrong["detail"].as_str().unwrap().ends_with("check `mqtt.username` and `mqtt.password`"), "{wrong}");
    let right = check("right-word");
    assert_eq!(
        (&right["result"], right["detail"].as_str().unwrap().ends_with("lets us in")),
        (&"ok".into(), true),
        "{right}"
    );
}
