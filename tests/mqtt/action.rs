//! The `mqtt` action: done when the broker has it, and never sent when it is no longer wanted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use doorward::actions::mqtt::{Broker, Link};
use doorward::actions::{ActionResult, Actions, Outcome};
use doorward::config::{self, ActionConfig, EventKind};
use doorward::rules::ActionRequest;
use doorward::track::VisitId;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::broker::{Mosquitto, Watcher, free_port};
use crate::support::wait_for;
use crate::{Ours, name, settings};

/// One action `a` with these keys.
fn actions(toml: &str, broker: &Broker) -> Actions {
    let toml = format!("[action.a]\ntype = 'mqtt'\n{toml}");
    let file: BTreeMap<String, BTreeMap<String, ActionConfig>> =
        config::from_toml(&toml).unwrap_or_else(|error| panic!("{toml}: {error}"));
    Actions::new(&file["action"], None, Some(broker)).unwrap()
}

fn request(person: &str) -> ActionRequest {
    let inputs = json!({
        "event": "recognition", "id": "KEY", "rule": "greet", "action": "a", "detector": "front-door",
        "time_zone": "Europe/Berlin", "seen_at": "2026-06-10T10:00:00.000Z",
        "local_time": "2026-06-10T12:00:00.000+02:00", "visit": Uuid::nil(), "sighting": Uuid::nil(), "shot": 1,
        "outcome": "known", "late": false, "quality": 0.8, "confidence": 0.9, "reason": null,
        "person": {"id": "p1", "name": person, "tags": [], "fields": {}},
    });
    ActionRequest {
        action: "a".into(),
        event: EventKind::Recognition,
        rule: "greet".into(),
        detector: name("front-door"),
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

fn perform(ours: &Ours, toml: &str, request: ActionRequest) -> Outcome {
    let actions = actions(toml, &ours.broker);
    ours.runtime.block_on(actions.perform(request))
}

#[test]
fn messages_are_made_from_templates() {
    let broker = Mosquitto::start();
    let watcher = Watcher::start(broker.port, "watcher");
    let ours = Ours::start(&settings(&format!("url = '{}'", broker.url())), &[]);
    let hostile = "A/+\"#\nB";
    for (toml, topic, payload) in [
        ("topic = 'plain/{{ detector }}'", "plain/front-door", None),
        (
            "topic = 'to/{{ person.name }}/x'\npayload = '{{ person.name }} is here'\nqos = 0",
            "to/A__\"__B/x",
            Some(json!(format!("{hostile} is here"))),
        ),
        (
            "topic = 'json'\npayload = '{\"who\": \"{{ person.name }}\", \"id\": {{ id }}}'",
            "json",
            Some(json!({"who": hostile, "id": "KEY"})),
        ),
        ("topic = 'kept'\npayload = 'ON'\nretain = true", "kept", Some(json!("ON"))),
    ] {
        assert_eq!(perform(&ours, toml, request(hostile)).result, ActionResult::Done, "{toml}");
        let got = watcher.wait(topic, |_| true);
        match payload {
            None => assert_eq!(got.json(), request(hostile).inputs, "the event, with the id that tells a repeat"),
            Some(Value::String(text)) => assert_eq!(got.text(), text),
            Some(json) => assert_eq!(got.json(), json),
        }
    }
    let newcomer = Watcher::start(broker.port, "newcomer");
    assert_eq!(newcomer.wait("kept", |got| got.retained).text(), "ON");
    assert!(newcomer.on("plain/front-door").is_empty(), "not kept");

    let outcome = perform(&ours, "topic = '{{ person.name }}'", request(""));
    assert_eq!(reason(&outcome), "cannot fill in `topic`: it is empty, too long, or holds `+` or `#`");
    let outcome = perform(&ours, "topic = 't'\npayload = '{{ person.name }}'", request(&"x".repeat(2 << 20)));
    assert!(reason(&outcome).starts_with("the message has 2097162 bytes, more than"), "{outcome:?}");
    ours.stop();
}

#[test]
fn what_waits_for_a_broker_is_sent_when_it_comes_in_time_and_never_later() {
    let port = free_port();
    let ours = Ours::start(&settings(&format!("url = 'mqtt://127.0.0.1:{port}'")), &[]);
    let outcome = perform(&ours, "topic = 'too-late'\ntimeout_ms = 500", request("Ann"));
    assert_eq!(
        reason(&outcome),
        "the broker did not confirm it within 500 ms: nobody listens at the broker's address: does it run, is the port right?"
    );
    let mut soon = request("Ann");
    soon.expires_at = Some(Instant::now() + Duration::from_millis(300));
    let outcome = perform(&ours, "topic = 'door'\nactuator = true\ntimeout_ms = 60000", soon);
    assert!(outcome.took < Duration::from_secs(30), "an actuator waits no longer than its request");
    assert!(reason(&outcome).contains("did not confirm it within"), "{outcome:?}");

    let patient = actions("topic = 'in-time'\ntimeout_ms = 60000", &ours.broker);
    let waiting = ours.runtime.spawn(async move { patient.perform(request("Ann")).await });
    let mut broker = Mosquitto::with("allow_anonymous true\npersistence true");
    broker.stop();
    let config = std::fs::read_to_string(broker.folder.path().join("mosquitto.conf")).unwrap();
    let moved = config.replace(&format!("listener {} ", broker.port), &format!("listener {port} "));
    std::fs::write(broker.folder.path().join("mosquitto.conf"), moved).unwrap();
    broker.port = port;
    broker.restart();
    let watcher = Watcher::start(port, "watcher");
    assert_eq!(ours.runtime.block_on(waiting).unwrap().result, ActionResult::Done);
    // What came first would have been sent first.
    assert_eq!(perform(&ours, "topic = 'next'", request("Ann")).result, ActionResult::Done);
    watcher.wait("next", |_| true);
    assert!(watcher.on("too-late").is_empty() && watcher.on("door").is_empty());
    ours.stop();
}

/// A broker that takes everything and confirms nothing; gives how many messages it was sent.
async fn silent_broker(listener: TcpListener, drops_after: Option<usize>) -> usize {
    let mut published = 0;
    for connection in 0..2 {
        let Ok(Ok((mut stream, _))) = tokio::time::timeout(Duration::from_secs(5), listener.accept()).await else {
            break;
        };
        let mut buffer = vec![0; 4096];
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
        stream.write_all(&[0x20, 2, 0, 0]).await.unwrap();
        let until = tokio::time::Instant::now() + Duration::from_secs(3);
        while let Ok(Ok(length @ 1..)) = tokio::time::timeout_at(until, stream.read(&mut buffer)).await {
            published += buffer[..length].windows(9).filter(|bytes| bytes == b"the-topic").count();
            if connection == 0 && drops_after.is_some_and(|count| published >= count) {
                break;
            }
        }
    }
    published
}

#[test]
fn only_a_confirmed_message_is_done_and_an_actuator_is_never_repeated() {
    for (toml, drops, wanted, sent) in [
        ("timeout_ms = 1500", None, "the broker did not confirm it within 1500 ms", 1),
        (
            "timeout_ms = 60000\nactuator = true",
            Some(1),
            "the connection broke before the broker confirmed it; it may have arrived, and is not repeated",
            1,
        ),
        ("timeout_ms = 12000", Some(1), "the broker did not confirm it within 12000 ms", 2),
    ] {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let receiver = runtime.spawn(silent_broker(listener, drops));
        let ours = Ours::start(&settings(&format!("url = 'mqtt://127.0.0.1:{port}'")), &[]);
        wait_for("the connection", || (*ours.broker.link().borrow() == Link::Up).then_some(()));
        let outcome = perform(&ours, &format!("topic = 'the-topic'\n{toml}"), request("Ann"));
        assert!(reason(&outcome).starts_with(wanted), "{toml}: {outcome:?}");
        assert_eq!(runtime.block_on(receiver).unwrap(), sent, "{toml}");
        ours.stop();
    }
}
