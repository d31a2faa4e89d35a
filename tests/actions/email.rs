//! The `email` action against a mail server of another make (Python's aiosmtpd), with TLS and a certificate authority
//! of its own.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver as Lines, channel};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::support::Running;
use super::*;

/// The server, what it prints, and how to reach it.
struct MailServer {
    _running: Running,
    lines: Lines<Value>,
    port: u16,
    security: &'static str,
    folder: tempfile::TempDir,
}

impl MailServer {
    fn start(security: &'static str, user: &str, password: &str) -> Self {
        Self::with(security, user, password, &[])
    }

    /// With these variables in its environment.
    fn with(security: &'static str, user: &str, password: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        certificates(folder.path());
        let file = |name: &str| folder.path().join(name).display().to_string();
        let mut child = Command::new(python())
            .args(["-W", "ignore", "tests/actions/smtp_server.py"])
            .args([security, &file("server.pem"), &file("key.pem"), user, password])
            .envs(variables.iter().copied())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        let mut server = Self { _running: Running(child), lines, port: 0, security, folder };
        server.port = server.next()["port"].as_u64().unwrap() as u16;
        server
    }

    fn next(&self) -> Value {
        self.lines.recv_timeout(Duration::from_secs(60)).expect("the mail server says something")
    }

    /// The next mail that was taken.
    fn mail(&self) -> Value {
        std::iter::repeat_with(|| self.next()).find(|line| line.get("from").is_some()).unwrap()
    }

    /// Every mail and every question about a recipient up to now, which a mail of its own marks.
    async fn told(&self) -> Vec<Value> {
        assert_eq!(perform(&self.toml("to = ['end@a.example']"), None).await.result, ActionResult::Done);
        let lines = std::iter::repeat_with(|| self.next()).take_while(|line| line["to"] != json!(["end@a.example"]));
        lines.filter(|line| line["asked"] != "end@a.example").collect()
    }

    fn toml(&self, more: &str) -> String {
        let ca = match self.security {
            "none" => String::new(),
            _ => format!("ca_file = '{}'\n", self.folder.path().join("authority.pem").display()),
        };
        let to = if more.contains("to = ") { "" } else { "to = ['desk@site.example']\n" };
        format!(
            "[action.a]\ntype = 'email'\nhost = '127.0.0.1'\nport = {}\nsecurity = '{}'\n{ca}\
             from = 'Front door <door@site.example>'\n{to}{more}",
            self.port, self.security
        )
    }
}

/// `authority.pem`, and `server.pem` and `key.pem` signed by it for 127.0.0.1.
fn certificates(folder: &Path) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap().signed_by(&key, &authority).unwrap();
    for (name, text) in
        [("authority.pem", authority.pem()), ("server.pem", server.pem()), ("key.pem", key.serialize_pem())]
    {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

async fn perform(toml: &str, picture: Option<Bytes>) -> Outcome {
    actions(toml).unwrap().perform(ActionRequest { picture, ..request("Zoë \"Z\"\r\nBcc: all@site.example") }).await
}

#[tokio::test]
async fn a_mail_arrives_as_it_was_meant_over_every_kind_of_connection() {
    for (security, user) in [("none", ""), ("starttls", "door"), ("tls", "door")] {
        let server = MailServer::start(security, user, "hunter2");
        let login = if user.is_empty() { "" } else { "username = 'door'\npassword = 'hunter2'" };
        let more = format!(
            "to = ['Desk <desk@site.example>', '{{{{ person.fields.Badge }}}}@site.example', '{{{{ reason }}}}']\n{login}\n\
             body = \"\"\"{{{{ person.name }}}} is at the door.\n.\nBye\n\"\"\""
        );
        let outcome = perform(&server.toml(&more), None).await;
        assert_eq!(
            (&outcome.result, outcome.said.as_deref()),
            (&ActionResult::Done, Some("taken for 2 of 2")),
            "{security}"
        );
        for to in ["desk@site.example", "C-1187@site.example"] {
            let mail = server.mail();
            assert_eq!((&mail["from"], &mail["to"]), (&json!("door@site.example"), &json!([to])));
            let header = |name: &str| mail["headers"][name].as_str().unwrap_or_default().to_owned();
            assert_eq!(header("Subject"), "Zoë \"Z\" Bcc: all@site.example at the Front door");
            assert_eq!(header("From"), "Front door <door@site.example>");
            assert_eq!(header("To"), "Desk <desk@site.example>, C-1187@site.example");
            assert_eq!(
                (header("Message-ID"), header("Auto-Submitted")),
                ("<KEY@site.example>".into(), "auto-generated".into())
            );
            assert!(mail["headers"].get("Bcc").is_none() && !header("Date").is_empty(), "{mail}");
            assert_eq!((&mail["kind"], &mail["defects"]), (&json!("text/plain"), &json!([])));
            // Line breaks at the end are added on the way.
            let text = mail["parts"][0]["text"].as_str().unwrap().replace("\r\n", "\n");
            assert_eq!(text.trim_end(), "Zoë \"Z\"\nBcc: all@site.example is at the door.\n.\nBye");
            assert_eq!((&mail["tls"], mail["user"].is_null()), (&json!(security != "none"), user.is_empty()));
        }
    }
}

#[tokio::test]
async fn the_picture_is_attached_or_shown() {
    let server = MailServer::start("none", "", "");
    let picture = Bytes::from(vec![0xff; 40_000]);
    for (how, kind, parts) in [
        ("none", "text/plain", vec![("text/plain", None)]),
        ("attached", "multipart/mixed", vec![("text/plain", None), ("image/jpeg", Some("attachment"))]),
        (
            "inline",
            "multipart/alternative",
            vec![("text/plain", None), ("text/html", None), ("image/jpeg", Some("inline"))],
        ),
    ] {
        let toml = server.toml(&format!("picture = '{how}'\nbody = '<b>{{{{ detector }}}}</b>'"));
        assert_eq!(perform(&toml, Some(picture.clone())).await.result, ActionResult::Done);
        let mail = server.mail();
        let got = mail["parts"].as_array().unwrap();
        let seen: Vec<_> =
            got.iter().map(|part| (part["type"].as_str().unwrap(), part["disposition"].as_str())).collect();
        assert_eq!((mail["kind"].as_str().unwrap(), seen), (kind, parts), "{how}");
        if let Some(image) = got.iter().find(|part| part["type"] == "image/jpeg") {
            assert_eq!(image["bytes"], 40_000);
        }
        if how == "inline" {
            let html = got[1]["text"].as_str().unwrap();
            assert!(html.contains("&lt;b&gt;Front door&lt;/b&gt;") && html.contains("src=\"cid:picture\""), "{html}");
            assert_eq!(got[2]["id"], "<picture>");
        } else if how == "attached" {
            assert_eq!(got[1]["name"], "picture.jpg");
        }
        // From before a restart there is none any more.
        assert_eq!(perform(&toml, None).await.result, ActionResult::Done);
        assert_eq!(server.mail()["kind"], "text/plain");
    }
}

#[tokio::test]
async fn a_refused_recipient_costs_the_others_nothing() {
    let server = MailServer::start("none", "", "");
    let everybody = "to = ['refused@a.example', 'ann@a.example', 'busy@a.example']";
    let outcome = perform(&server.toml(everybody), None).await;
    assert_eq!(reason(&outcome), "`to[0]` is refused (550)");
    assert_eq!(outcome.said.as_deref(), Some("taken for 2 of 3"));
    let lines = server.told().await;
    let count = |key: &str, address: &str| {
        let is_it = |line: &&Value| line[key] == json!(address) || line[key] == json!([address]);
        lines.iter().filter(is_it).count()
    };
    for (address, asked, taken) in [("refused@a.example", 1, 0), ("ann@a.example", 1, 1), ("busy@a.example", 2, 1)] {
        assert_eq!((count("asked", address), count("to", address)), (asked, taken), "{address}");
    }

    let outcome = perform(&server.toml("to = ['full@a.example', 'refused@a.example']\ntries = 2"), None).await;
    assert_eq!(reason(&outcome), "`to[0]` is put off (452) (after 2 tries); `to[1]` is refused (550)");
    let asked: Vec<_> = server.told().await.iter().map(|line| line["asked"].as_str().unwrap().to_owned()).collect();
    assert_eq!(asked, ["full@a.example", "refused@a.example", "full@a.example"]);
}

/// Addresses from a person's fields are as good as whoever typed them in.
#[tokio::test]
async fn an_address_that_cannot_be_filled_in_costs_the_others_nothing() {
    let server = MailServer::start("none", "", "");
    let everybody = "to = ['desk@site.example', '{{ person.name }}', '{{ person.fields.Nothing }}', 'ann@a.example']";
    let outcome = perform(&server.toml(everybody), None).await;
    let wanted = "cannot fill in `to[1]`: it is no address; cannot fill in `to[2]`: line 1: undefined value";
    assert!(reason(&outcome).starts_with(wanted), "{outcome:?}");
    assert_eq!(outcome.said.as_deref(), Some("taken for 2 of 4"));
    for to in ["desk@site.example", "ann@a.example"] {
        assert_eq!(server.mail()["to"], json!([to]));
    }
}

#[tokio::test]
async fn an_address_with_other_letters_needs_a_server_that_takes_it() {
    let everybody = "to = ['desk@site.example', 'jörg@a.example']";
    let server = MailServer::start("none", "", "");
    assert_eq!(perform(&server.toml(everybody), None).await.result, ActionResult::Done);
    let headers = [server.mail(), server.mail()].map(|mail| mail["headers"]["To"].as_str().unwrap().to_owned());
    assert_eq!(headers, ["desk@site.example", "desk@site.example, jörg@a.example"]);

    let server = MailServer::with("none", "", "", &[("NO_SMTPUTF8", "1")]);
    let outcome = perform(&server.toml(everybody), None).await;
    assert!(reason(&outcome).starts_with("`to[1]` needs SMTPUTF8"), "{outcome:?}");
    assert_eq!(outcome.said.as_deref(), Some("taken for 1 of 2"));
    assert_eq!(server.mail()["to"], json!(["desk@site.example"]));
}

#[tokio::test]
async fn what_is_wrong_with_the_server_is_told_without_addresses() {
    // Signed by somebody nobody knows, no encryption where it is wanted, a wrong password.
    let server = MailServer::start("tls", "door", "hunter2");
    let login = "username = 'door'\npassword = 'wrong'";
    let untrusted: String = server
        .toml(login)
        .lines()
        .filter(|line| !line.starts_with("ca_file"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(reason(&perform(&untrusted, None).await).starts_with("no trusted TLS connection to the server"));
    assert_eq!(
        reason(&perform(&server.toml(login), None).await),
        "the server refuses the login (535); check `username` and its password"
    );
    let plain = MailServer::start("none", "", "");
    let outcome = perform(&plain.toml("").replace("security = 'none'", "security = 'starttls'"), None).await;
    assert!(reason(&outcome).starts_with("the server offers no encryption"), "{outcome:?}");
    assert_eq!(plain.told().await.len(), 0, "nothing was said before it was encrypted");

    // Silent, gone, and not a mail server.
    let outcome =
        perform(&plain.toml("to = ['silent@a.example', 'ann@a.example']\ntimeout_ms = 300\ntries = 2"), None).await;
    assert_eq!(reason(&outcome), "the server did not take it within 300 ms (after 2 tries)");
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = |port: u16, more: &str| plain.toml(more).replace(&plain.port.to_string(), &port.to_string());
    let port = silent.local_addr().unwrap().port();
    let outcome = perform(&at(port, "timeout_ms = 200\ntries = 1"), None).await;
    assert_eq!(reason(&outcome), "the server did not take it within 200 ms (after 1 try)");
    drop(silent);
    let outcome = perform(&at(port, "tries = 2"), None).await;
    assert_eq!(reason(&outcome), "the connection to the server failed or broke (after 2 tries)");
    let (_, http) = Receiver::start(vec![]).await;
    let port = http.rsplit(':').next().unwrap().parse().unwrap();
    let outcome = perform(&at(port, "tries = 1\ntimeout_ms = 1000"), None).await;
    assert!(!reason(&outcome).contains("site.example"), "{outcome:?}");
}

#[tokio::test]
async fn who_gets_it_is_up_to_the_event_only_as_one_address() {
    let server = MailServer::start("none", "", "");
    for (to, wanted) in [
        ("['{{ person.name }}']", "cannot fill in `to[0]`: it is no address"),
        ("['{{ reason }}']", "there is nobody to send it to"),
        ("['{{ person.fields.Email }}']", "cannot fill in `to[0]`: line 1: undefined value"),
        ("['a@b.example, c@d.example']", "cannot fill in `to[0]`: it is no address"),
    ] {
        let outcome = perform(&server.toml(&format!("to = {to}")), None).await;
        assert!(reason(&outcome).starts_with(wanted), "{outcome:?}");
    }
    assert_eq!(server.told().await.len(), 0);
    for (wrong, wanted) in [
        ("from = 'door'", "`from` is wrong: it is no address"),
        ("from = 'a@b.example'\nca_file = '/nonexistent'", "`ca_file` is wrong: cannot read /nonexistent"),
        ("from = 'a@b.example'\nca_file = '/dev/null'", "`ca_file` is wrong: /dev/null holds no certificate"),
        ("from = 'a@b.example'\nsubject = '{{ persn }}'", "`subject` is wrong: this is not a template"),
    ] {
        let toml = format!("[action.a]\ntype = 'email'\nhost = 'h'\nto = ['c@d.example']\n{wrong}");
        let error = actions(&toml).err().unwrap();
        assert!(error.contains(wanted), "{error}");
    }
}
