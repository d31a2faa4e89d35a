//! The real agent: what a home user writes is enough, and its end is noticed however it ends.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::broker::{Mosquitto, Watcher, holds};
use crate::support::{Engine, Running, doorward, recording, wait_for};

/// One detector that sees a visitor again and again, one whose camera is not there; no rule, no action.
pub fn write_config(folder: &Path, engine: &Engine, mqtt: &str) {
    let main = format!(
        "state_dir = \"{}/state\"\n{}\n[status]\nlisten = \"off\"\n[mqtt]\n{mqtt}\n",
        folder.display(),
        engine.section(&engine.url)
    );
    std::fs::write(folder.join("doorward.toml"), main).unwrap();
    std::fs::create_dir_all(folder.join("detectors")).unwrap();
    let front = format!(
        "time_zone = \"Europe/Helsinki\"\n[camera]\ntype = \"replay\"\npath = \"{}/visit\"\nfps = 10.0\nloop = true\n\
         [presence]\nabsent_secs = 1\n",
        folder.display()
    );
    std::fs::write(folder.join("detectors/front-door.toml"), front).unwrap();
    let back = "time_zone = \"Europe/Helsinki\"\n[camera]\ntype = \"stream\"\nurl = \"rtsp://127.0.0.1:1/none\"\n";
    std::fs::write(folder.join("detectors/back-door.toml"), back).unwrap();
}

pub fn start(folder: &Path) -> Running {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("agent.log")).unwrap();
    let mut command = doorward();
    command.args(["run", "--config"]).arg(folder.join("doorward.toml")).stderr(log).stdout(Stdio::null());
    Running(command.spawn().unwrap())
}

/// What the status page's server answers.
fn get(port: u16, path: &str) -> String {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn an_address_and_one_word_are_enough_for_home_assistant() {
    let engine = Engine::start();
    engine.enroll(&recording::known_person(), "Eileen", &["VIP"]);
    let folder = tempfile::tempdir().unwrap();
    recording::visit(&folder.path().join("visit"));
    let broker = Mosquitto::start();
    write_config(folder.path(), &engine, &format!("url = \"{}\"\nhome_assistant = true", broker.url()));
    let watcher = Watcher::start(broker.port, "watcher");
    let agent = start(folder.path());

    // Announced before anybody comes.
    watcher.wait("doorward_front-door/config", |_| true);
    watcher.wait("doorward_back-door/config", |_| true);
    let all = watcher.on("");
    assert!(all.iter().all(|got| !got.topic.ends_with("/event")), "{all:#?}");
    watcher.wait_json("front-door/state", "person", "nobody");
    watcher.wait("front-door/availability", |got| got.text() == "online");
    assert!(watcher.on("back-door/availability").iter().all(|got| got.text() == "offline"), "its camera is not there");

    // A visitor: the picture, who it is, who is there, and that nobody is there any more.
    let event = watcher.wait_json("front-door/event", "event_type", "recognised");
    assert_eq!((&event["person"], &event["tags"][0]), (&"Eileen".into(), &"VIP".into()), "{event:#}");
    let picture = watcher.wait("front-door/picture", |_| true);
    assert!(picture.payload.starts_with(b"\xff\xd8\xff"), "a JPEG");
    watcher.wait_json("front-door/state", "person", "Eileen");
    watcher.wait_json("front-door/last", "person", "Eileen");
    let left = watcher.wait_json("front-door/event", "event_type", "left");
    assert_eq!(left["person"], "Eileen");
    wait_for("nobody to be there", || {
        let states: Vec<Value> = watcher.on("front-door/state").iter().map(|got| got.json()).collect();
        let there = states.iter().position(|state| state["person"] == "Eileen").unwrap();
        states[there..].iter().any(|state| state["present"] == false).then_some(())
    });
    // The recording starts again: a visit of its own.
    wait_for("the next visit", || {
        let events: Vec<Value> = watcher.on("front-door/event").iter().map(|got| got.json()).collect();
        (events.iter().filter(|event| event["event_type"] == "recognised").count() >= 2).then_some(())
    });
    watcher.wait_json("front-door/diagnostics", "camera", "live");
    wait_for("the back door's camera to be told of", || {
        let told = watcher.on("back-door/diagnostics");
        told.iter().any(|got| got.json()["camera"] == "lost" && got.json()["camera_reason"] != "").then_some(())
    });
    wait_for("what is wrong with it, and since when", || {
        let told = watcher.on("back-door/diagnostics");
        let since = |told: &Value| told["problem_since"].as_str().is_some_and(|since| since.ends_with('Z'));
        told.iter().any(|got| got.json()["problem"] == true && since(&got.json())).then_some(())
    });
    wait_for("the engine to be told of", || {
        watcher.on("/diagnostics").iter().any(|got| got.json()["engine"] == "answering").then_some(())
    });

    // Killed: the broker says it.
    let of_box = |word: &str, times: usize| {
        wait_for(&format!("the box to be {word}"), || {
            let told = watcher.on("/availability").into_iter().filter(|got| got.topic.contains("/box/"));
            (told.filter(|got| got.text() == word).count() >= times).then_some(())
        });
    };
    of_box("online", 1);
    agent.kill();
    of_box("offline", 1);
    // Stopped in order: it says so itself.
    let agent = start(folder.path());
    of_box("online", 2);
    assert!(agent.stop().success());
    of_box("offline", 2);
    assert!(!holds(&folder.path().join("agent.log"), "Eileen"), "no names in the log");
}

#[test]
fn a_broker_that_never_comes_disturbs_nothing_and_is_told_of_once() {
    let engine = Engine::start();
    let folder = tempfile::tempdir().unwrap();
    recording::visit(&folder.path().join("visit"));
    let port = crate::broker::free_port();
    write_config(folder.path(), &engine, &format!("url = \"mqtt://127.0.0.1:{port}\"\nhome_assistant = true"));
    std::fs::remove_file(folder.path().join("detectors/back-door.toml")).unwrap();
    let main = std::fs::read_to_string(folder.path().join("doorward.toml")).unwrap();
    let page = crate::broker::free_port();
    let main = main.replace("listen = \"off\"", &format!("listen = \"127.0.0.1:{page}\""));
    std::fs::write(folder.path().join("doorward.toml"), main).unwrap();
    let agent = start(folder.path());
    let log = || std::fs::read_to_string(folder.path().join("agent.log")).unwrap();
    wait_for("three visits to end", || (log().matches("visit ended").count() >= 3).then_some(()));
    let told = log();
    assert_eq!(told.matches("nobody listens at the broker's address").count(), 1, "{told}");
    let status: Value = serde_json::from_str(&get(page, "/status.json")).unwrap();
    assert_eq!(status["broker"]["state"], "away", "{status}");
    assert!(status["broker"]["reason"].as_str().unwrap().starts_with("nobody listens"), "{status}");
    assert!(get(page, "/metrics").contains("doorward_agent_broker_connected 0"));
    assert!(agent.stop().success());
}
