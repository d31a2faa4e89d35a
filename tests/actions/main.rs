//! Actions against the real thing: receivers with faults, programs that misbehave, files that fill up or vanish, a mail
//! server, a log server, the embedded engine. What is true of every action stands here; each has a file of its own
//! beside this one.

mod command;
mod email;
mod exec;
mod identities;
mod journal;
mod preset;
mod syslog;
mod webhook;

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use ::identities::Client;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use doorward::actions::{ActionResult, Actions, Outcome};
use doorward::config::{self, ActionConfig, DetectorName, DryRun};
use doorward::rules::ActionRequest;
use doorward::track::VisitId;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

/// The actions of `[action.NAME]` blocks.
fn actions(toml: &str) -> Result<Actions, String> {
    actions_with(toml, None)
}

/// The same with an engine to write back to.
fn actions_with(toml: &str, client: Option<&Client>) -> Result<Actions, String> {
    static RUSTLS: Once = Once::new();
    RUSTLS.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
    let file: BTreeMap<String, BTreeMap<String, ActionConfig>> =
        config::from_toml(toml).unwrap_or_else(|error| panic!("{toml}: {error}"));
    Actions::new(&file["action"], client, None).map_err(|error| {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
        format!("{error}{}", source.unwrap_or_default())
    })
}

/// A live request for action `a`, for a person of this name.
fn request(name: &str) -> ActionRequest {
    let inputs = json!({
        "event": "recognition", "id": "KEY", "rule": "greet", "action": "a", "detector": "Front door",
        "time_zone": "Europe/Berlin", "seen_at": "2026-06-10T10:00:00.000Z",
        "local_time": "2026-06-10T12:00:00.000+02:00", "since": null, "stayed_secs": null, "visit": Uuid::nil(), "sighting": Uuid::nil(), "shot": 1,
        "outcome": "known", "late": false, "quality": 0.8, "confidence": 0.9, "reason": null,
        "person": {"id": "p1", "name": name, "tags": [{"name": "Staff", "expires": null}], "fields": {"Badge": "C-1187"}},
    });
    ActionRequest {
        action: "a".into(),
        event: doorward::config::EventKind::Recognition,
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

#[tokio::test]
async fn an_action_nobody_configured_fails() {
    let outcome = actions("[action.b]\ntype = 'journal'\npath = '/dev/null'").unwrap().perform(request("Ann")).await;
    assert_eq!(reason(&outcome), "no action of this name is configured (any more)");
}

/// A picture that counts itself.
struct Counted {
    bytes: Vec<u8>,
    alive: Arc<std::sync::atomic::AtomicUsize>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
    }
}

/// Whatever the kind: what waits is bounded, and the rest is told at once.
#[tokio::test]
async fn a_flood_for_a_receiver_that_hangs_has_bounded_memory() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    for toml in [
        format!("type = 'webhook'\nurl = 'http://{address}/'\npicture = true\nconcurrency = 2"),
        format!(
            "type = 'email'\nhost = '127.0.0.1'\nport = {}\nsecurity = 'none'\nfrom = 'a@b.example'\nto = ['c@d.example']",
            address.port()
        ),
        "type = 'exec'\nprogram = 'sleep'\nargs = ['1000']\nconcurrency = 1".to_owned(),
    ] {
        let actions = Arc::new(actions(&format!("[action.a]\n{toml}\ntimeout_ms = 60000")).unwrap());
        let alive = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let mut all = tokio::task::JoinSet::new();
        let mut turned_down = 0;
        for _ in 0..5_000 {
            alive.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let picture = Counted { bytes: vec![0; 1000], alive: alive.clone() };
            let request = ActionRequest { picture: Some(Bytes::from_owner(picture)), ..request("Ann") };
            let actions = actions.clone();
            all.spawn(async move { actions.perform(request).await });
            tokio::task::yield_now().await;
            while let Some(outcome) = all.try_join_next() {
                assert_eq!(reason(&outcome.unwrap()), "256 requests are already waiting for this action");
                turned_down += 1;
            }
        }
        while turned_down < 5_000 - 256 {
            assert_eq!(
                reason(&all.join_next().await.unwrap().unwrap()),
                "256 requests are already waiting for this action"
            );
            turned_down += 1;
        }
        assert_eq!((all.len(), alive.load(std::sync::atomic::Ordering::SeqCst)), (256, 256), "{toml}");
    }
}

/// The Python the tests compare with; `make test` puts it there.
fn python() -> PathBuf {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    assert!(python.exists(), "{} is missing: `make test` installs it", python.display());
    python
}

#[tokio::test]
async fn a_dry_run_does_nothing_and_says_so() {
    let (receiver, address) = Receiver::start(vec![]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let toml = format!(
        "[action.a]\ntype = 'webhook'\nurl = 'http://{address}/'\n\
         [action.b]\ntype = 'exec'\nprogram = 'touch'\nargs = ['{}']\nactuator = true\n\
         [action.c]\ntype = 'journal'\npath = '{}'",
        file("mark"),
        file("journal")
    );
    let some = DryRun::Actions(vec!["a".into(), "b".into()]);
    for (dry_run, done) in [(DryRun::All(true), vec![]), (some, vec!["c"]), (DryRun::All(false), vec!["a", "b", "c"])] {
        let actions = actions(&toml).unwrap().with_dry_run(dry_run.clone());
        for action in ["a", "b", "c"] {
            let wanted = if done.contains(&action) { ActionResult::Done } else { ActionResult::DryRun };
            let outcome = actions.perform(ActionRequest { action: action.into(), ..request("Ann") }).await;
            assert_eq!(outcome.result, wanted, "{dry_run:?} {action}");
        }
        let happened =
            [!receiver.got().is_empty(), Path::new(&file("mark")).exists(), Path::new(&file("journal")).exists()];
        assert_eq!(happened, ["a", "b", "c"].map(|action| done.contains(&action)), "{dry_run:?}");
    }
}
