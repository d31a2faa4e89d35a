//! What Home Assistant is told, against its documented schema (`device.schema.json`) and as its templates read it.
//!
//! The schema is written down from Home Assistant's documentation by hand; it cannot show what a running Home Assistant
//! does with it, such as how it names entities.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use chrono::{TimeDelta, Utc};
use doorward::recognition::Answer;
use serde_json::{Value, json};

use crate::broker::{Mosquitto, Watcher};
use crate::support::wait_for;
use crate::{Ours, ada, name, recognition, settings, stay};

/// What is wrong with each of these payloads.
fn mistakes(payloads: &[Value]) -> Vec<Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut python = Command::new(root.join("target/venv/bin/python"));
    python.args([root.join("tests/mqtt/schema_errors.py"), root.join("tests/mqtt/device.schema.json")]);
    let mut python = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("`make test` installs it");
    python.stdin.take().unwrap().write_all(Value::from(payloads).to_string().as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The announcements a newcomer finds at the broker, by their topic.
fn announcements(port: u16, count: usize) -> BTreeMap<String, Value> {
    let see = |id: &str| {
        let watcher = Watcher::start(port, id);
        wait_for("the announcements", || (watcher.on("/config").len() >= count).then_some(()));
        watcher.on("/config")
    };
    see("first");
    let found = see("newcomer");
    assert!(found.iter().all(|got| got.retained), "{found:#?}");
    found.into_iter().map(|got| (got.topic.clone(), got.json())).collect()
}

#[test]
fn announcements_are_valid_and_there_before_the_first_visit() {
    let broker = Mosquitto::start();
    let toml = format!("url = '{}'\nhome_assistant = true\nclient_id = 'box-1'", broker.url());
    let ours = Ours::start(&settings(&toml), &["front-door", "Hintertür 2"]);
    let found = announcements(broker.port, 3);
    let topics: Vec<_> = found.keys().map(String::as_str).collect();
    assert_eq!(
        topics[..2],
        ["homeassistant/device/box-1/config", "homeassistant/device/doorward_Hintert_r_2_0a1c6f68/config"]
    );
    assert_eq!(topics[2..], ["homeassistant/device/doorward_front-door/config"]);

    let mut unique = BTreeSet::new();
    let payloads: Vec<Value> = found.values().cloned().collect();
    assert_eq!(mistakes(&payloads), [[""; 0]; 3], "{found:#?}");
    for payload in &payloads {
        for component in payload["components"].as_object().unwrap().values() {
            assert!(unique.insert(component["unique_id"].as_str().unwrap().to_owned()), "{component}");
        }
    }
    let door = &found["homeassistant/device/doorward_front-door/config"];
    assert_eq!((&door["device"]["name"], &door["device"]["via_device"]), (&json!("front-door"), &json!("box-1")));
    assert_eq!(door["availability_mode"], "all", "the box and the camera, both");
    let parts: Vec<_> = door["components"].as_object().unwrap().keys().cloned().collect();
    let wanted = ["camera", "fps", "last_person", "last_seen", "person", "picture", "present", "problem", "visit"];
    assert_eq!(parts, wanted);
    for (part, component) in door["components"].as_object().unwrap() {
        let diagnostic = ["camera", "fps", "problem"].contains(&part.as_str());
        assert_eq!(component.get("entity_category").is_some(), diagnostic, "{component}");
        // They tell why the camera is away, so they must outlive it.
        assert_eq!(component.get("availability").is_some(), diagnostic, "{component}");
    }
    ours.stop();
}

/// The schema finds what Home Assistant would turn down.
#[test]
fn the_schema_can_fail() {
    let broker = Mosquitto::start();
    let ours = Ours::start(&settings(&format!("url = '{}'\nhome_assistant = true", broker.url())), &["front-door"]);
    let found = announcements(broker.port, 2);
    let good = &found["homeassistant/device/doorward_front-door/config"];
    let cases = [
        ("/device/identifiers", Value::Null),
        ("/device/colour", json!("red")),
        ("/origin/name", Value::Null),
        ("/components", json!({})),
        ("/availability_mode", json!("some")),
        ("/availability/0/topic", json!("a/+/b")),
        ("/components/person/unique_id", Value::Null),
        ("/components/person/state_topic", Value::Null),
        ("/components/person/options", json!(["a"])),
        ("/components/person/entity_category", json!("config")),
        ("/components/camera/unit_of_measurement", json!("x")),
        ("/components/present/device_class", json!("occupied")),
        ("/components/picture/image_topic", Value::Null),
        ("/components/visit/event_types", Value::Null),
    ];
    let broken = cases.iter().map(|(place, value)| {
        let mut bad = good.clone();
        let (parent, key) = place.rsplit_once('/').unwrap();
        let parent = bad.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Value::Null => drop(parent.remove(key).unwrap()),
            value => drop(parent.insert(key.to_owned(), value.clone())),
        }
        bad
    });
    let payloads: Vec<Value> = std::iter::once(good.clone()).chain(broken).collect();
    let mistakes = mistakes(&payloads);
    assert_eq!(mistakes[0], [""; 0]);
    for ((place, _), mistakes) in cases.iter().zip(&mistakes[1..]) {
        assert!(!mistakes.is_empty(), "{place}");
    }
    ours.stop();
}

#[test]
fn announced_again_when_home_assistant_or_the_broker_has_forgotten() {
    let mut broker = Mosquitto::start();
    let watcher = Watcher::start(broker.port, "watcher");
    let ours = Ours::start(&settings(&format!("url = '{}'\nhome_assistant = true", broker.url())), &["front-door"]);
    let announced = |times: usize| {
        wait_for("an announcement", || (watcher.on("doorward_front-door/config").len() >= times).then_some(()));
    };
    announced(1);
    watcher.publish("homeassistant/status", "offline");
    watcher.publish("homeassistant/status", "online");
    announced(2);
    assert_eq!(watcher.on("doorward_front-door/config").len(), 2, "`offline` is no birth");
    watcher.wait("/state", |got| got.json()["person"] == "nobody");

    // Nothing of what it had is left.
    broker.kill();
    broker.restart();
    let found = announcements(broker.port, 2);
    assert!(found.contains_key("homeassistant/device/doorward_front-door/config"));
    let newcomer = Watcher::start(broker.port, "another");
    newcomer.wait("/state", |got| got.retained && got.json()["person"] == "nobody");
    newcomer.wait("front-door/availability", |got| got.retained);
    ours.stop();
    newcomer.wait("/availability", |got| got.topic.contains("/box/") && got.text() == "offline");
}

/// What an entity shows after what was published so far, by Home Assistant's rules: the newest payload of its topic,
/// through its template.
fn shown(watcher: &Watcher, component: &Value) -> Option<String> {
    let topic = component["state_topic"].as_str()?;
    let newest = watcher.on(topic).pop()?;
    let template = component["value_template"].as_str()?;
    let environment = minijinja::Environment::new();
    let value = minijinja::Value::from(minijinja::value::Serde(newest.json()));
    Some(environment.render_str(template, minijinja::context! { value_json => value }).unwrap())
}

#[test]
fn a_visit_as_home_assistant_shows_it() {
    let broker = Mosquitto::start();
    let watcher = Watcher::start(broker.port, "watcher");
    let ours = Ours::start(&settings(&format!("url = '{}'\nhome_assistant = true", broker.url())), &["front-door"]);
    let (home, door) = (&ours.home, name("front-door"));
    let announced = watcher.wait("doorward_front-door/config", |_| true).json();
    let shows = |part: &str, wanted: &str| {
        let what = format!("{part} to show {wanted}");
        wait_for(&what, || (shown(&watcher, &announced["components"][part]).as_deref() == Some(wanted)).then_some(()));
    };
    shows("person", "nobody");
    shows("present", "OFF");
    home.camera(&door, true);
    watcher.wait("front-door/availability", |got| got.text() == "online");

    // Somebody comes, is not recognised at first, and then is.
    home.sighted(&door, b"\xff\xd8 picture \xff\xd9".to_vec().into());
    let mut seen = recognition(1, Answer::Unknown { confidence: None, nearest: None });
    let since = Utc::now() - TimeDelta::seconds(3);
    home.present(&door, &[stay(&seen, since)]);
    home.recognised(&seen, 0.61, None, false);
    shows("person", "unknown person");
    shows("present", "ON");
    seen = recognition(1, ada());
    home.present(&door, &[stay(&seen, since)]);
    home.recognised(&seen, 0.84, None, false);
    home.recognised(&seen, 0.84, None, false);
    home.recognised(&recognition(1, Answer::Unknown { confidence: None, nearest: None }), 0.5, None, false);
    shows("person", "Ada Lovelace");
    shows("last_person", "Ada Lovelace");
    let date = shown(&watcher, &announced["components"]["last_seen"]).unwrap();
    assert_eq!(date.parse::<chrono::DateTime<Utc>>().unwrap().timestamp_millis(), seen.seen_at.timestamp_millis());

    home.present(&door, &[]);
    home.left(&stay(&seen, since));
    shows("person", "nobody");
    shows("present", "OFF");
    shows("last_person", "Ada Lovelace");

    watcher.wait_json("front-door/event", "event_type", "left");
    let events: Vec<Value> = watcher.on("front-door/event").iter().map(|got| got.json()).collect();
    let kinds: Vec<_> = events.iter().map(|event| event["event_type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["unknown", "recognised", "left"], "one visit, one event, and one more when it got better");
    let types = announced["components"]["visit"]["event_types"].as_array().unwrap();
    assert!(kinds.iter().all(|kind| types.contains(&json!(kind))));
    let (event, visit) = (&events[1], seen.visit.0.to_string());
    assert_eq!(
        (&event["person"], &event["tags"], &event["visit"]),
        (&json!("Ada Lovelace"), &json!(["VIP"]), &json!(visit))
    );
    assert_eq!((&event["late"], &event["quality"]), (&json!(false), &json!(0.84)));
    assert_eq!((&event["confidence"], &event["match_confidence"]), (&json!(0.97), &json!(0.91)));
    assert_eq!(watcher.on("/late").len(), 0);

    // Who comes later sees how it is, not what was.
    let newcomer = Watcher::start(broker.port, "newcomer");
    assert_eq!(newcomer.wait("/picture", |_| true).payload, b"\xff\xd8 picture \xff\xd9");
    newcomer.wait_json("/state", "person", "nobody");
    newcomer.wait_json("/last", "person", "Ada Lovelace");
    assert!(newcomer.on("/event").is_empty());
    ours.stop();
    watcher.wait("/availability", |got| got.topic.contains("/box/") && got.text() == "offline");
}

#[test]
fn neither_names_nor_pictures_where_they_are_not_wanted() {
    let broker = Mosquitto::start();
    let (door, seen) = (name("front-door"), recognition(1, ada()));
    let visit = |toml: &str| {
        let ours = Ours::start(&settings(&format!("url = '{}'\nstates = true\n{toml}", broker.url())), &["front-door"]);
        ours.home.sighted(&door, b"\xff\xd8".to_vec().into());
        ours.home.present(&door, &[stay(&seen, Utc::now())]);
        ours.home.recognised(&seen, 0.84, None, false);
        ours.home.left(&stay(&seen, Utc::now()));
        ours.stop();
    };
    visit("topic = 'house/doors'");
    let watcher = Watcher::start(broker.port, "watcher");
    watcher.wait_json("house/doors/detector/front-door/last", "person", "Ada Lovelace");
    assert!(!watcher.wait("/picture", |_| true).payload.is_empty());

    // What was there of before goes as well.
    visit("topic = 'house/doors'\nnames = false\npictures = false");
    watcher.wait_json("/event", "event_type", "left");
    for topic in ["/event", "/state", "/last"] {
        watcher.wait_json(topic, "person", "person-1");
    }
    let newcomer = Watcher::start(broker.port, "newcomer");
    newcomer.wait_json("/last", "person", "person-1");
    let all = newcomer.on("");
    assert!(all.iter().all(|got| !String::from_utf8_lossy(&got.payload).contains("Ada")), "{all:#?}");
    assert!(all.iter().all(|got| !got.topic.ends_with("/picture") && !got.topic.starts_with("homeassistant")));
}
