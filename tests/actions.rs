//! Actions against the real thing: an HTTP receiver with faults, programs that misbehave, files that fill up or vanish.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use doorward::actions::{ActionResult, Actions, Outcome};
use doorward::config::{self, ActionConfig, DetectorName};
use doorward::rules::ActionRequest;
use doorward::track::VisitId;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use uuid::Uuid;

/// The actions of `[action.NAME]` blocks.
fn actions(toml: &str) -> Result<Actions, String> {
    static RUSTLS: Once = Once::new();
    RUSTLS.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
    #[derive(serde::Deserialize)]
    struct File {
        action: BTreeMap<String, ActionConfig>,
    }
    let file: File = config::from_toml(toml).unwrap_or_else(|error| panic!("{toml}: {error}"));
    Actions::new(&file.action).map_err(|error| {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
        format!("{error}{}", source.unwrap_or_default())
    })
}

/// A live request for action `a`, for a person of this name.
fn request(name: &str) -> ActionRequest {
    let inputs = json!({
        "event": "recognition", "id": "KEY", "rule": "greet", "action": "a", "detector": "Front door",
        "time_zone": "Europe/Berlin", "seen_at": "2026-06-10T10:00:00.000Z",
        "local_time": "2026-06-10T12:00:00.000+02:00", "visit": Uuid::nil(), "sighting": Uuid::nil(), "shot": 1,
        "outcome": "known", "late": false, "quality": 0.8, "confidence": 0.9, "reason": null,
        "person": {"id": "p1", "name": name, "tags": [{"name": "Staff", "expires": null}], "fields": {"Badge": "C-1187"}},
    });
    ActionRequest {
        action: "a".into(),
        rule: "greet".into(),
        detector: DetectorName::new("Front door").unwrap(),
        visit: VisitId(Uuid::nil()),
        sighting: Uuid::nil(),
        person: Some("p1".into()),
        seen_at: "2026-06-10T10:00:00Z".parse().unwrap(),
        key: "KEY".into(),
        inputs,
        picture: None,
        late: false,
        expires_at: Some(Instant::now() + Duration::from_secs(60)),
    }
}

fn reason(outcome: &Outcome) -> &str {
    match &outcome.result {
        ActionResult::Failed { reason } => reason,
        other => panic!("it did not fail: {other:?}"),
    }
}

/// What a receiver was sent.
#[derive(Clone, Debug)]
struct Got {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// Answers the first requests with these, and 200 from then on.
#[derive(Clone, Default)]
struct Receiver {
    answers: Arc<Mutex<Vec<Response<Body>>>>,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Receiver {
    /// Starts it; returns it with its address.
    async fn start(answers: Vec<Response<Body>>) -> (Self, String) {
        let receiver = Self { answers: Arc::new(Mutex::new(answers)), got: Arc::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let app = Router::new().fallback(Self::answer).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (receiver, address)
    }

    async fn answer(
        State(this): State<Self>,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Response<Body> {
        this.got.lock().unwrap().push(Got { method, uri, headers, body });
        let mut answers = this.answers.lock().unwrap();
        if answers.is_empty() { Response::new(Body::from("fine")) } else { answers.remove(0) }
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

fn status(code: u16) -> Response<Body> {
    Response::builder().status(code).body(Body::empty()).unwrap()
}

fn status_with(code: u16, header: &str, value: &str) -> Response<Body> {
    Response::builder().status(code).header(header, value).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_webhook_without_a_body_sends_the_event() {
    let (receiver, address) = Receiver::start(vec![]).await;
    let actions = actions(&format!("[action.a]\ntype = 'webhook'\nurl = 'http://{address}/hook'")).unwrap();
    let outcome = actions.perform(request("Ann")).await;
    assert_eq!(outcome.result, ActionResult::Done);
    assert_eq!((outcome.action.as_str(), outcome.key.as_str(), outcome.said.as_deref()), ("a", "KEY", Some("fine")));
    let got = receiver.got().remove(0);
    assert_eq!((got.method, got.uri.path()), (Method::POST, "/hook"));
    assert_eq!(got.headers["content-type"], "application/json");
    assert_eq!(got.headers["idempotency-key"], "KEY");
    assert_eq!(serde_json::from_slice::<Value>(&got.body).unwrap(), request("Ann").inputs);
}

#[tokio::test]
async fn a_webhook_is_made_from_templates() {
    let (receiver, address) = Receiver::start(vec![]).await;
    let toml = format!(
        r#"[action.a]
        type = "webhook"
        method = "put"
        url = "http://{address}/people/{{{{ person.name }}}}?door={{{{ detector }}}}"
        headers = {{ Authorization = "Bearer s3cret", X-Rule = "{{{{ rule }}}} {{{{ person.name }}}}", Content-Type = "application/vnd.x+json" }}
        body = '{{"text": "Hello {{{{ person.name }}}}", "sure": {{{{ confidence }}}}}}'
        "#
    );
    let name = "Zoë / \"Z\" &?#%";
    assert_eq!(actions(&toml).unwrap().perform(request(name)).await.result, ActionResult::Done);
    let got = receiver.got().remove(0);
    assert_eq!(got.method, Method::PUT);
    assert_eq!(got.uri.to_string(), "/people/Zo%C3%AB%20%2F%20%22Z%22%20%26%3F%23%25?door=Front%20door");
    assert_eq!(got.headers["authorization"], "Bearer s3cret");
    assert_eq!(got.headers["x-rule"].as_bytes(), format!("greet {name}").as_bytes());
    assert_eq!(got.headers["content-type"], "application/vnd.x+json");
    assert_eq!(
        serde_json::from_slice::<Value>(&got.body).unwrap(),
        json!({"text": format!("Hello {name}"), "sure": 0.9})
    );
}

#[tokio::test]
async fn a_signed_webhook_is_signed_as_it_is_sent() {
    use base64::Engine;
    use hmac::{KeyInit, Mac};
    for (more, method) in [("", "POST"), ("picture = true", "POST"), ("", "GET")] {
        let (receiver, address) = Receiver::start(vec![status(503)]).await;
        let toml = format!(
            "[action.a]\ntype = 'webhook'\nmethod = '{method}'\nurl = 'http://{address}/'\n\
             signing_key = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'\n{more}"
        );
        let request = ActionRequest { picture: Some(Bytes::from_static(b"\xff\xd8JPEG\xff\xd9")), ..request("Zoë") };
        assert_eq!(actions(&toml).unwrap().perform(request).await.result, ActionResult::Done);
        let got = receiver.got();
        assert_eq!(got.len(), 2);
        for got in got {
            assert_eq!((&got.headers["webhook-id"], got.body.is_empty()), (&"KEY".parse().unwrap(), method == "GET"));
            let time = got.headers["webhook-timestamp"].to_str().unwrap();
            let age = chrono::Utc::now().timestamp() - time.parse::<i64>().unwrap();
            assert!((0..300).contains(&age), "a receiver would turn it down");
            let key = base64::engine::general_purpose::STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
            let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
            mac.update(&[b"KEY.", time.as_bytes(), b".", &got.body].concat());
            let signature = got.headers["webhook-signature"].to_str().unwrap().strip_prefix("v1,").unwrap();
            mac.verify_slice(&base64::engine::general_purpose::STANDARD.decode(signature).unwrap()).unwrap();
        }
    }
    let error =
        actions("[action.a]\ntype = 'webhook'\nurl = 'http://h/'\nsigning_key = 'whsec_s3cret!'").err().unwrap();
    assert_eq!(error, "action `a`: `signing_key` is wrong: what follows `whsec_` is not Base64");
}

#[tokio::test]
async fn a_picture_goes_along() {
    use axum::extract::{FromRequest, Multipart, Request};
    let picture = Bytes::from_static(b"\xff\xd8\r\n--JPEG\r\n\xff\xd9");
    let (receiver, address) = Receiver::start(vec![]).await;
    let actions = actions(&format!(
        "[action.a]\ntype = 'webhook'\nurl = 'http://{address}/'\npicture = true\nbody = '{{\"who\": {{{{ person.name }}}}}}'"
    ))
    .unwrap();
    for picture in [Some(picture), None] {
        let request = ActionRequest { picture: picture.clone(), ..request("Zoë") };
        assert_eq!(actions.perform(request).await.result, ActionResult::Done);
        let got = receiver.got().pop().unwrap();
        let request = Request::builder().header("content-type", &got.headers["content-type"]);
        let mut parts = Multipart::from_request(request.body(Body::from(got.body)).unwrap(), &()).await.unwrap();
        let event = parts.next_field().await.unwrap().unwrap();
        assert_eq!((event.name(), event.content_type()), (Some("event"), Some("application/json")));
        assert_eq!(event.text().await.unwrap(), "{\"who\": \"Zoë\"}");
        let sent = parts.next_field().await.unwrap();
        assert_eq!(sent.as_ref().and_then(|part| part.name()), picture.as_ref().map(|_| "picture"));
        if let Some(part) = sent {
            assert_eq!((part.content_type(), part.file_name()), (Some("image/jpeg"), Some("picture.jpg")));
            assert_eq!(Some(part.bytes().await.unwrap()), picture);
        }
        assert!(parts.next_field().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn what_cannot_be_filled_in_is_not_sent() {
    let (receiver, address) = Receiver::start(vec![]).await;
    for (key, name, wanted) in [
        ("url = 'http://A/{{ person.name }}/x'", "..", "would make `.` or `..` of a part of its path"),
        (
            "url = 'http://A/'\nheaders = { X-Name = '{{ person.name }}' }",
            "Eve\r\nX-Admin: 1",
            "a header holds no line breaks",
        ),
        ("url = 'http://A/'\nbody = '{{ person.fields.Nothing }}'", "Ann", "undefined value"),
        ("url = 'http://A/'\nbody = '{\"a\": x{{ rule }}}'", "Ann", "does not render to JSON"),
    ] {
        let toml = format!("[action.a]\ntype = 'webhook'\n{}", key.replace("//A/", &format!("//{address}/")));
        let outcome = actions(&toml).unwrap().perform(request(name)).await;
        assert!(reason(&outcome).contains(wanted), "{key}: {outcome:?}");
        assert!(!reason(&outcome).contains("Eve"), "{outcome:?}");
    }
    assert_eq!(receiver.got().len(), 0);
}

#[tokio::test]
async fn a_webhook_is_tried_again_where_that_helps() {
    for (answers, tries, wanted) in [
        (vec![status(503), status(500)], 3, Ok(())),
        (vec![status(408)], 2, Ok(())),
        (vec![status_with(429, "retry-after", "0")], 2, Ok(())),
        (vec![status_with(503, "retry-after", "1")], 2, Ok(())),
        ((0..9).map(|_| status(502)).collect(), 4, Err("it answered 502 (after 4 tries)")),
        (vec![status_with(429, "retry-after", "3600")], 1, Err("it answered 429 (after 1 try)")),
        (vec![status(400)], 1, Err("it answered 400")),
        (vec![status(401)], 1, Err("it answered 401")),
        (vec![status_with(302, "location", "/elsewhere")], 1, Err("it answered 302; redirects are not followed")),
    ] {
        let (receiver, address) = Receiver::start(answers).await;
        let toml = format!("[action.a]\ntype = 'webhook'\nurl = 'http://{address}/'");
        let outcome = actions(&toml).unwrap().perform(request("Ann")).await;
        match wanted {
            Ok(()) => assert_eq!(outcome.result, ActionResult::Done),
            Err(wanted) => assert_eq!(reason(&outcome), wanted),
        }
        let got = receiver.got();
        assert_eq!(got.len(), tries, "{outcome:?}");
        assert!(got.iter().all(|each| each.headers["idempotency-key"] == "KEY" && each.body == got[0].body));
    }
}

#[tokio::test]
async fn an_actuator_is_never_sent_twice() {
    for code in [408, 429, 500, 503] {
        let (receiver, address) = Receiver::start(vec![status_with(code, "retry-after", "0")]).await;
        let toml = format!("[action.a]\ntype = 'webhook'\nactuator = true\nurl = 'http://{address}/'");
        let actions = actions(&toml).unwrap();
        assert!(actions.is_actuator("a") && !actions.is_actuator("b"));
        assert_eq!(reason(&actions.perform(request("Ann")).await), format!("it answered {code}"));
        assert_eq!(receiver.got().len(), 1);
    }
}

/// A raw listener that counts requests and hangs up, or keeps silent, after reading each.
async fn rude(silent: bool) -> (Arc<Mutex<usize>>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let count = Arc::new(Mutex::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4096];
            if connection.read(&mut buffer).await.unwrap_or(0) > 0 {
                *counted.lock().unwrap() += 1;
            }
            if silent {
                tokio::spawn(async move {
                    let _connection = connection;
                    std::future::pending::<()>().await;
                });
            }
        }
    });
    (count, address)
}

#[tokio::test]
async fn a_broken_or_silent_connection_is_tried_again_but_not_for_an_actuator() {
    for (silent, wanted) in
        [(false, "the connection broke before it answered"), (true, "it did not answer within 200 ms")]
    {
        for (actuator, tries) in [(false, 2), (true, 1)] {
            let (count, address) = rude(silent).await;
            let toml = format!(
                "[action.a]\ntype = 'webhook'\nurl = 'http://{address}/'\ntimeout_ms = 200\ntries = 2\nactuator = {actuator}"
            );
            let outcome = actions(&toml).unwrap().perform(request("Ann")).await;
            assert!(reason(&outcome).starts_with(wanted), "{outcome:?}");
            assert_eq!(*count.lock().unwrap(), tries, "actuator = {actuator}");
        }
    }
}

#[tokio::test]
async fn even_an_actuator_tries_again_to_connect() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let toml = format!("[action.a]\ntype = 'webhook'\nurl = 'http://{free}/'\nactuator = true\ntries = 50");
    let actions = actions(&toml).unwrap();
    let later = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let listener = TcpListener::bind(free).await.unwrap();
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 4096];
        let length = connection.read(&mut buffer).await.unwrap();
        connection.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        length
    };
    let (outcome, length) = tokio::join!(actions.perform(request("Ann")), later);
    assert_eq!(outcome.result, ActionResult::Done);
    assert!(length > 0);
}

#[tokio::test]
async fn an_actuator_is_never_late() {
    let (receiver, address) = Receiver::start(vec![]).await;
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let hook = |actuator| format!("[action.a]\ntype = 'webhook'\nurl = 'http://{address}/'\nactuator = {actuator}");
    let exec = |actuator| {
        format!("[action.a]\ntype = 'exec'\nprogram = 'touch'\nargs = ['{}']\nactuator = {actuator}", mark.display())
    };
    let live = request("Ann");
    let late = ActionRequest { late: true, ..live.clone() };
    let past = ActionRequest { expires_at: Some(Instant::now()), ..live.clone() };
    let without = ActionRequest { expires_at: None, ..live.clone() };
    let restored = ActionRequest::from_record(&live.to_record()).unwrap();
    for toml in [hook(true), exec(true)] {
        let actions = actions(&toml).unwrap();
        for expired in [&late, &past, &without, &restored] {
            assert_eq!(actions.perform(expired.clone()).await.result, ActionResult::Expired, "{toml}");
        }
    }
    assert_eq!(receiver.got().len(), 0);
    assert!(!mark.exists());
    // What only tells somebody may be late, and says so.
    for toml in [hook(false), exec(false)] {
        assert_eq!(actions(&toml).unwrap().perform(restored.clone()).await.result, ActionResult::Done, "{toml}");
    }
    let event: Value = serde_json::from_slice(&receiver.got()[0].body).unwrap();
    assert_eq!(event["late"], json!(true));
    assert!(mark.exists());
}

#[tokio::test]
async fn an_actuator_gives_up_at_its_last_moment() {
    let (count, address) = rude(true).await;
    let toml = format!("[action.a]\ntype = 'webhook'\nurl = 'http://{address}/'\nactuator = true\ntimeout_ms = 600000");
    let soon = ActionRequest { expires_at: Some(Instant::now() + Duration::from_millis(300)), ..request("Ann") };
    let outcome = actions(&toml).unwrap().perform(soon).await;
    assert!(reason(&outcome).starts_with("it did not answer within"), "{outcome:?}");
    assert_eq!(*count.lock().unwrap(), 1);
}

#[tokio::test]
async fn secrets_do_not_come_out() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let toml = format!(
        "[action.a]\ntype = 'webhook'\nurl = 'http://user:hunter2@{free}/s3cret-path?key=s3cret'\ntries = 1\n\
         headers = {{ Authorization = 'Bearer s3cret' }}"
    );
    let outcome = actions(&toml).unwrap().perform(request("Ann")).await;
    assert_eq!(reason(&outcome), "cannot connect to it (after 1 try)");
    for wrong in
        ["url = 'http://h/s3cret{{ x }}'", "url = 's3cret://h/'", "url = 'http://h/'\nheaders = { A = 's3cret {{' }"]
    {
        let error = actions(&format!("[action.a]\ntype = 'webhook'\n{wrong}")).err().unwrap();
        assert!(error.starts_with("action `a`: `") && !error.contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut sent = Vec::new();
        while !sent.ends_with(b"}") {
            connection.read_buf(&mut sent).await.unwrap();
        }
        connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        while connection.write_all(&[b'x'; 4096]).await.is_ok() {}
    });
    let toml = format!("[action.a]\ntype = 'webhook'\nurl = 'http://{address}/'\ntimeout_ms = 600000");
    let outcome = actions(&toml).unwrap().perform(request("Ann")).await;
    assert_eq!((&outcome.result, outcome.said.unwrap().len()), (&ActionResult::Done, 64 << 10));
}

#[tokio::test]
async fn a_queue_that_is_full_says_so_and_the_rest_gets_its_turn() {
    let (receiver, address) = Receiver::start(vec![]).await;
    let actions = Arc::new(actions(&format!("[action.a]\ntype = 'webhook'\nurl = 'http://{address}/'")).unwrap());
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let actions = actions.clone();
        all.spawn(async move { actions.perform(request("Ann")).await });
    }
    let (mut done, mut full) = (0, 0);
    while let Some(outcome) = all.join_next().await {
        match outcome.unwrap() {
            Outcome { result: ActionResult::Done, .. } => done += 1,
            outcome => {
                assert_eq!(reason(&outcome), "256 requests are already waiting for this action");
                full += 1;
            }
        }
    }
    assert_eq!(done + full, 300);
    assert!(done >= 256 && full > 0 && receiver.got().len() == done);
    assert_eq!(actions.perform(request("Ann")).await.result, ActionResult::Done, "there is room again");
}

/// A shell script in a file of its own, and the `[action.a]` block that runs it.
fn script(folder: &Path, text: &str, more: &str) -> String {
    let path = folder.join("script.sh");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    format!("[action.a]\ntype = 'exec'\nprogram = '{}'\n{more}", path.display())
}

async fn run(text: &str, more: &str, name: &str) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    actions(&script(folder.path(), text, more)).unwrap().perform(request(name)).await
}

#[tokio::test]
async fn arguments_never_become_shell() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let name = format!("a 'b' \"c\"\n$(touch {0}) `touch {0}`; touch {0} & | > * \\ --help", mark.display());
    let args = r#"args = ["{{ person.name }}", "", "x {{ shot }} y", "{{ person.tags | map(attribute='name') | join(',') }}"]
        env = { GREETING = "Hello {{ person.name }}" }"#;
    let outcome = run(r#"printf '%s\0' "$#" "$@" "$GREETING" "$DOORWARD_PERSON_NAME""#, args, &name).await;
    assert_eq!(outcome.result, ActionResult::Done);
    let said = outcome.said.unwrap();
    let said: Vec<_> = said.split('\0').collect();
    assert_eq!(said, ["4", &name, "", "x 1 y", "Staff", &format!("Hello {name}"), &name, ""]);
    assert!(!mark.exists());
}

#[tokio::test]
async fn a_nul_byte_is_a_clear_failure_only_where_it_cannot_go() {
    let nul = "A\0B";
    for (more, key) in [("args = ['{{ person.name }}']", "args[0]"), ("env = { X = '{{ person.name }}' }", "env.X")] {
        let outcome = run("true", more, nul).await;
        assert_eq!(
            reason(&outcome),
            format!("cannot fill in `{key}`: a value holds a NUL byte, which no program can be given")
        );
    }
    let outcome = run(r#"printf %s "$DOORWARD_PERSON_NAME""#, "", nul).await;
    assert_eq!((outcome.result, outcome.said.as_deref()), (ActionResult::Done, Some("AB")));
}

#[tokio::test]
async fn a_program_gets_the_event_and_nothing_of_ours() {
    let outcome = run("cat", "", "Ann").await;
    assert_eq!(serde_json::from_str::<Value>(&outcome.said.unwrap()).unwrap(), request("Ann").inputs);

    let outcome = run("/usr/bin/env", "env = { EXTRA = 'x' }", "Ann").await;
    let said = outcome.said.unwrap();
    let names: Vec<_> = said.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    for name in &names {
        // The last three are the shell's own.
        assert!(
            name.starts_with("DOORWARD_") || ["PATH", "EXTRA", "PWD", "SHLVL", "_", "OLDPWD"].contains(name),
            "{name}"
        );
    }
    assert!(names.contains(&"EXTRA") && !names.iter().any(|name| name.starts_with("DOORWARD__")));
    for line in ["DOORWARD_OUTCOME=known", "DOORWARD_DETECTOR=Front door", "DOORWARD_LATE=false", "DOORWARD_REASON="] {
        assert!(said.lines().any(|said| said == line), "{line}");
    }
}

#[tokio::test]
async fn how_it_ended_is_told() {
    for (text, wanted) in [
        ("exit 3", "it ended with exit code 3"),
        ("kill -SEGV $$", "it was ended by SIGSEGV (11)"),
        ("kill -KILL $$", "it was ended by SIGKILL (9)"),
        ("exec /nonexistent/program", "it ended with exit code 127"),
    ] {
        assert_eq!(reason(&run(text, "", "Ann").await), wanted, "{text}");
    }
    // Not reading is within a program's rights, even when the event does not fit into a pipe.
    let outcome = run("exec <&-; exit 0", "", &"x".repeat(1 << 20)).await;
    assert!(
        matches!(&outcome.result, ActionResult::Failed { reason } if reason.starts_with("cannot start")),
        "{outcome:?}"
    );
    let mut large = request("Ann");
    large.inputs["padding"] = json!("x".repeat(1 << 20));
    let folder = tempfile::tempdir().unwrap();
    let outcome = actions(&script(folder.path(), "exec <&-; exit 0", "")).unwrap().perform(large).await;
    assert_eq!(outcome.result, ActionResult::Done);
}

/// Waits for a process to be gone, or a zombie nobody has asked after yet.
async fn gone(pid: &str) -> bool {
    for _ in 0..500 {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if state.is_empty() || state.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn a_program_that_hangs_is_ended_with_everything_it_started() {
    for (text, ended) in [
        ("sleep 1000 & echo $! >PIDS; echo $$ >>PIDS; sleep 1000", "and was ended"),
        (
            "trap '' TERM; sh -c 'sleep 1000' & echo $! >PIDS; echo $$ >>PIDS; while :; do sleep 1000; done",
            "and was killed",
        ),
        // Asleep before a pipe that nobody reads is how a program hangs without meaning to.
        ("sleep 1000 & echo $! >PIDS; echo $$ >>PIDS; mkfifo PIPE; cat <PIPE", "and was ended"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name).display().to_string();
        let text = text.replace("PIDS", &path("pids")).replace("PIPE", &path("pipe"));
        let toml = script(folder.path(), &text, "timeout_ms = 300");
        let outcome = actions(&toml).unwrap().perform(request("Ann")).await;
        assert_eq!(reason(&outcome), format!("it did not end within 300 ms {ended}"));
        let pids = fs::read_to_string(path("pids")).unwrap();
        assert_eq!(pids.lines().count(), 2);
        for pid in pids.lines() {
            assert!(gone(pid).await, "{pid} of: {text}");
        }
    }
}

#[tokio::test]
async fn what_a_program_leaves_behind_neither_holds_us_up_nor_stays() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let text = format!("sleep 1000 & echo $! >{}; echo said; exit 0", pids.display());
    let toml = script(folder.path(), &text, "timeout_ms = 600000");
    let outcome = actions(&toml).unwrap().perform(request("Ann")).await;
    assert_eq!((outcome.result, outcome.said.as_deref()), (ActionResult::Done, Some("said\n")));
    assert!(gone(fs::read_to_string(&pids).unwrap().trim()).await);

    // One that left the group keeps the pipes open; we do not wait for it.
    let text = format!(
        "setsid sh -c 'echo $$ >{}; exec sleep 1000' & while ! [ -s {0} ]; do :; done; echo said",
        pids.display()
    );
    fs::remove_file(&pids).unwrap();
    let outcome = actions(&script(folder.path(), &text, "timeout_ms = 600000")).unwrap().perform(request("Ann")).await;
    assert_eq!((outcome.result, outcome.said.as_deref()), (ActionResult::Done, Some("said\n")));
    let pid = fs::read_to_string(&pids).unwrap().trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn a_flood_of_output_is_read_but_not_kept() {
    let flood = "head -c 20000000 /dev/zero; head -c 20000000 /dev/zero >&2";
    let outcome = run(flood, "timeout_ms = 600000", "Ann").await;
    assert_eq!((outcome.result, outcome.said.unwrap().len()), (ActionResult::Done, 2 * (64 << 10)));
    let outcome = run("exec yes", "timeout_ms = 300", "Ann").await;
    assert_eq!(reason(&outcome), "it did not end within 300 ms and was ended");
    assert_eq!(outcome.said.unwrap().len(), 64 << 10);
}

#[tokio::test]
async fn giving_up_kills_the_group() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let text = format!("sleep 1000 & echo $! >{0}.new; echo $$ >>{0}.new; mv {0}.new {0}; sleep 1000", pids.display());
    let actions = actions(&script(folder.path(), &text, "timeout_ms = 600000")).unwrap();
    let started = async {
        while !pids.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        outcome = actions.perform(request("Ann")) => panic!("{outcome:?}"),
        () = started => {}
    }
    for pid in fs::read_to_string(&pids).unwrap().lines() {
        assert!(gone(pid).await, "{pid}");
    }
}

#[test]
fn programs_are_looked_for_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    fs::write(&plain, "").unwrap();
    let _runtime = tokio::runtime::Runtime::new().unwrap().enter();
    for (program, wanted) in [
        ("/nonexistent/program", "there is no such file"),
        ("no-such-program-anywhere", "no folder of PATH has a program of this name"),
        (plain.to_str().unwrap(), "it may not be executed"),
        (folder.path().to_str().unwrap(), "there is no such file"),
    ] {
        let error = actions(&format!("[action.a]\ntype = 'exec'\nprogram = '{program}'")).err().unwrap();
        assert!(error.starts_with(&format!("action `a`: `program` is wrong: {wanted}")), "{error}");
    }
    let error = actions("[action.a]\ntype = 'exec'\nprogram = 'sh'\nargs = ['-c', '{{ persn.name }}']").err().unwrap();
    assert!(error.contains("`args[1]`") && error.contains("did you mean `person`?"), "{error}");
}

#[tokio::test]
async fn an_action_nobody_configured_fails() {
    let outcome = actions("[action.b]\ntype = 'journal'\npath = '/dev/null'").unwrap().perform(request("Ann")).await;
    assert_eq!(reason(&outcome), "no action of this name is configured (any more)");
}

fn journal(path: &Path, more: &str) -> String {
    format!("[action.a]\ntype = 'journal'\npath = '{}'\n{more}\n", path.display())
}

/// The names in a journal's lines; every line must be whole.
fn names(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let name =
        |line: &str| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{line}"))["person"]["name"].clone();
    text.lines().map(|line| name(line).as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_journal_makes_its_folder_and_keeps_lines_to_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/journal");
    let actions = actions(&journal(&path, "")).unwrap();
    for name in ["Ann", "line\nbreak", "Bob"] {
        assert_eq!(actions.perform(request(name)).await.result, ActionResult::Done);
    }
    assert_eq!(names(&path), ["Ann", "line\nbreak", "Bob"]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o007, 0, "not for everybody");
}

#[tokio::test]
async fn a_journal_rotates_and_keeps_as_many_as_it_should() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let nth = |n: usize| folder.path().join(format!("journal.{n}"));
    let line = request("P00").inputs.to_string().len() + 1;
    let actions = actions(&journal(&path, &format!("max_bytes = {}\nkeep = 2", 3 * line))).unwrap();
    for n in 0..11 {
        assert_eq!(actions.perform(request(&format!("P{n:02}"))).await.result, ActionResult::Done);
    }
    assert_eq!(names(&path), ["P09", "P10"]);
    assert_eq!(names(&nth(1)), ["P06", "P07", "P08"]);
    assert_eq!(names(&nth(2)), ["P03", "P04", "P05"]);
    assert!(!nth(3).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_one_journal_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    // Two actions of one process on one file, and another process (here: another set of actions) on it too.
    let two = journal(&path, "") + &journal(&path, "").replace("action.a", "action.b");
    let sets = [Arc::new(actions(&two).unwrap()), Arc::new(actions(&two).unwrap())];
    let mut all = tokio::task::JoinSet::new();
    for n in 0..200 {
        let actions = sets[n % 2].clone();
        let action = if n % 4 < 2 { "a" } else { "b" };
        let long = format!("P{n} {}", "x".repeat(n * 100));
        all.spawn(async move { actions.perform(ActionRequest { action: action.into(), ..request(&long) }).await });
    }
    while let Some(outcome) = all.join_next().await {
        assert_eq!(outcome.unwrap().result, ActionResult::Done);
    }
    let mut numbers: Vec<usize> =
        names(&path).iter().map(|name| name[1..].split_once(' ').unwrap().0.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_journal_that_is_moved_or_deleted_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs/journal");
    let moved = folder.path().join("moved");
    let actions = actions(&journal(&path, "")).unwrap();
    let write = async |name| assert_eq!(actions.perform(request(name)).await.result, ActionResult::Done);
    write("Ann").await;
    fs::rename(&path, &moved).unwrap();
    write("Bob").await;
    assert_eq!((names(&moved), names(&path)), (vec!["Ann".into()], vec!["Bob".into()]));
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    write("Eve").await;
    assert_eq!(names(&path), ["Eve"]);
}

#[tokio::test]
async fn a_line_cut_off_by_a_crash_does_not_spoil_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    fs::write(&path, "{\"torn").unwrap();
    assert_eq!(actions(&journal(&path, "")).unwrap().perform(request("Ann")).await.result, ActionResult::Done);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (2, "{\"torn"));
    assert_eq!(serde_json::from_str::<Value>(lines[1]).unwrap(), request("Ann").inputs);
}

#[tokio::test]
async fn a_full_disk_or_a_bad_path_is_a_failure_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    for (path, wanted) in [
        ("/dev/full".into(), "No space left on device"),
        (folder.path().join("file/journal"), "File exists"),
        (folder.path().to_owned(), "Is a directory"),
    ] {
        let outcome = actions(&journal(&path, "")).unwrap().perform(request("Ann")).await;
        assert!(reason(&outcome).contains(wanted), "{outcome:?}");
        assert!(reason(&outcome).contains(path.to_str().unwrap()), "{outcome:?}");
    }
}
