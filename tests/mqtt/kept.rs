//! What the broker keeps of ours, when a detector goes and when somebody is purged.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use crate::agent::{start, write_config};
use crate::broker::{Mosquitto, Watcher};
use crate::support::{Engine, doorward, recording, wait_for};

/// A house with two detectors, whose visitor has been recognised, and whose agent has been stopped.
struct House {
    folder: tempfile::TempDir,
    _engine: Engine,
    broker: Mosquitto,
}

impl House {
    fn new() -> Self {
        let engine = Engine::start();
        engine.enroll(&recording::known_person(), "Eileen", &["VIP"]);
        let folder = tempfile::tempdir().unwrap();
        recording::visit(&folder.path().join("visit"));
        let broker = Mosquitto::start();
        let mqtt = format!("url = \"{}\"\nhome_assistant = true\nclient_id = \"box-1\"", broker.url());
        write_config(folder.path(), &engine, &mqtt);
        let house = Self { folder, _engine: engine, broker };
        let watcher = Watcher::start(house.broker.port, "first");
        let agent = start(house.folder.path());
        watcher.wait_json("front-door/last", "person", "Eileen");
        watcher.wait("front-door/picture", |_| true);
        watcher.wait("back-door/state", |_| true);
        assert!(agent.stop().success());
        house
    }

    fn detectors(&self) -> std::path::PathBuf {
        self.folder.path().join("detectors")
    }

    fn purge(&self, args: &[&str]) -> Output {
        let config: &Path = &self.folder.path().join("doorward.toml");
        doorward().arg("purge").args(args).arg("--config").arg(config).output().unwrap()
    }

    /// What a newcomer finds at the broker.
    fn kept(&self, newcomer: &str) -> BTreeSet<String> {
        let watcher = Watcher::start(self.broker.port, newcomer);
        watcher.keep(&format!("end/{newcomer}"), "x");
        watcher.wait(&format!("end/{newcomer}"), |_| true);
        watcher.on("").into_iter().filter(|got| got.retained).map(|got| got.topic).collect()
    }
}

fn of<'a>(kept: &'a BTreeSet<String>, detector: &str) -> Vec<&'a str> {
    kept.iter().filter(|topic| topic.contains(detector)).map(String::as_str).collect()
}

#[test]
fn a_renamed_detector_leaves_nothing_at_the_broker_and_another_boxs_stays() {
    let house = House::new();
    let before = house.kept("before");
    assert_eq!((of(&before, "front-door").len(), of(&before, "back-door").len()), (6, 4), "{before:#?}");
    // Both are renamed here; the back door is another box's by now.
    for (old, new) in [("front-door", "hall"), ("back-door", "garden")] {
        let file = |name: &str| house.detectors().join(format!("{name}.toml"));
        std::fs::rename(file(old), file(new)).unwrap();
    }
    let watcher = Watcher::start(house.broker.port, "watcher");
    watcher.keep("doorward/detector/back-door/state", r#"{"present": true, "box": "box-2"}"#);
    watcher.wait("back-door/state", |got| got.json()["box"] == "box-2");
    let agent = start(house.folder.path());
    for leaf in ["doorward_front-door/config", "front-door/picture", "front-door/last", "front-door/state"] {
        watcher.wait(leaf, |got| got.payload.is_empty());
    }
    watcher.wait("hall/state", |_| true);
    assert!(agent.stop().success());
    let after = house.kept("after");
    assert_eq!(of(&after, "front-door"), [""; 0], "{after:#?}");
    assert_eq!(of(&after, "back-door"), of(&before, "back-door"), "another box's");
    assert!(of(&after, "garden").len() >= 4 && of(&after, "hall").len() >= 4, "{after:#?}");
}

#[test]
fn a_purge_clears_what_the_broker_keeps_or_says_what_remains() {
    let mut house = House::new();
    let person = {
        let watcher = Watcher::start(house.broker.port, "reader");
        watcher.wait("front-door/last", |_| true).json()["person_id"].as_str().unwrap().to_owned()
    };
    let somebody_else = house.purge(&["--person", "somebody-else", "--json"]);
    assert!(somebody_else.status.success(), "{somebody_else:?}");
    assert!(of(&house.kept("still"), "front-door/").contains(&"doorward/detector/front-door/picture"));

    let purged = house.purge(&["--person", &person]);
    let text = String::from_utf8_lossy(&purged.stdout).into_owned();
    assert!(purged.status.success() && text.contains("front-door/picture at the MQTT broker"), "{purged:?}");
    let kept = house.kept("purged");
    let personal: Vec<_> =
        kept.iter().filter(|topic| topic.ends_with("door/picture") || topic.ends_with("door/last")).collect();
    assert_eq!(personal, [""; 0]);
    assert!(kept.contains("doorward/detector/front-door/availability"), "what is nobody's stays: {kept:#?}");

    // Without the broker each topic is named.
    house.broker.kill();
    let alone = house.purge(&["--all", "--json"]);
    assert_eq!(alone.status.code(), Some(1), "{alone:?}");
    let answer: serde_json::Value = serde_json::from_slice(&alone.stdout).unwrap();
    let left = answer["still_at_broker"].as_array().unwrap();
    for topic in ["doorward/detector/front-door/picture", "homeassistant/device/box-1/config"] {
        assert!(left.iter().any(|left| left["topic"] == topic), "{answer:#}");
    }
    assert!(left[0]["why"].as_str().unwrap().starts_with("nobody listens"), "{answer:#}");
}

#[test]
fn a_purge_of_everything_leaves_nothing_of_the_box_at_the_broker() {
    let house = House::new();
    let watcher = Watcher::start(house.broker.port, "watcher");
    watcher.keep("doorward/detector/other/state", r#"{"present": true, "box": "box-2"}"#);
    wait_for("the other box", || house.kept("other").contains("doorward/detector/other/state").then_some(()));
    let purged = house.purge(&["--all"]);
    assert!(purged.status.success(), "{purged:?}");
    let kept: Vec<String> = house.kept("purged").into_iter().filter(|topic| !topic.starts_with("end/")).collect();
    assert_eq!(kept, ["doorward/detector/other/state"]);
}
