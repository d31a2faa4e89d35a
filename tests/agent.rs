//! The agent end to end: the real binary, the real engine, real recordings.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use faces::picture::Turn;
use serde_json::Value;
use support::{Engine, Running, doorward, json_lines, recording, run, shared, wait_for};

/// The visits of a recording, as a dry run sees them.
fn visits(clip: &Path, subject: &str) -> Vec<Value> {
    json_lines(&run(doorward().args(["replay", "--dry-run", "--json", "--subject", subject, "--input"]).arg(clip)))
}

#[test]
fn the_clips_give_the_visits_a_person_would_count() {
    // Clip, subject, visits that must come out.
    for (clip, subject, expected) in [
        ("face-demographics-walking-and-pause.mjpg.avi", "each", 3),
        ("bottle-detection.mp4", "each", 0),
        ("head-pose-face-detection-female.mjpg.avi", "largest", 1),
        ("head-pose-face-detection-male.mjpg.avi", "largest", 1),
    ] {
        let Some(file) = shared(&format!("video/{clip}")) else { continue };
        let visits = visits(&file, subject);
        assert_eq!(visits.len(), expected, "{clip}: {visits:#?}");
        for visit in &visits {
            let sent = visit["sent"].as_array().unwrap();
            assert!((1..=2).contains(&sent.len()), "{clip}: {visit:#}");
            assert_eq!(visit["outcome"], "dry_run");
            assert!(visit["first_seen_ms"].as_u64() <= visit["last_seen_ms"].as_u64());
            for shot in sent {
                for part in ["size", "sharpness", "pose", "exposure", "contrast", "truncation"] {
                    let score = shot["quality"][part]["score"].as_f64().unwrap();
                    assert!((0.0..=1.0).contains(&score), "{part} is {score}");
                    assert!(shot["quality"][part]["value"].is_number());
                }
            }
        }
    }
}

#[test]
fn a_visitor_made_from_a_picture_is_one_visit() {
    let folder = tempfile::tempdir().unwrap();
    recording::visit(folder.path());
    let visits = visits(folder.path(), "largest");
    assert_eq!(visits.len(), 1, "{visits:#?}");
    recording::nobody(&folder.path().join("nobody"));
    assert!(self::visits(&folder.path().join("nobody"), "each").is_empty());
}

#[test]
fn who_is_enrolled_from_a_clip_is_known_in_it_and_nobody_else_is() {
    let [Some(female), Some(male)] =
        ["female", "male"].map(|who| shared(&format!("video/head-pose-face-detection-{who}.mjpg.avi")))
    else {
        return;
    };
    let engine = Engine::start();
    let folder = tempfile::tempdir().unwrap();
    // The frame of the best shot of a dry run is the enrolment photo: the clip is all there is of the person.
    let photo = folder.path().join("photo.jpg");
    let frame = visits(&female, "largest")[0]["sent"].as_array().unwrap().last().unwrap()["frame"].as_u64().unwrap();
    save_frame(&female, frame, &photo);
    let person = engine.enroll(&photo, "Ada", &["VIP"]);

    let config = folder.path().join("doorward.toml");
    write_config(&config, &engine.section(&engine.url), folder.path(), "replay", "");
    let replay = |clip: &Path| {
        json_lines(&run(doorward().args(["replay", "--json", "--config"]).arg(&config).arg("--input").arg(clip)))
    };
    let known = replay(&female);
    assert_eq!(known[0]["outcome"], "known", "{known:#?}");
    assert_eq!(known[0]["person"]["id"], Value::String(person));
    assert_eq!(known[0]["person"]["tags"][0], "VIP");
    assert_eq!(known[0]["actions"][0]["result"], "done");
    let stranger = replay(&male);
    assert_eq!(stranger[0]["outcome"], "unknown", "{stranger:#?}");
}

fn save_frame(clip: &Path, number: u64, to: &Path) {
    use doorward::capture::{self, Next};
    use doorward::config::{CameraConfig, Pace, ReplayConfig};
    let replay = ReplayConfig { pace: Pace::Fast, ..ReplayConfig::new(clip) };
    let mut source = capture::open(&CameraConfig::Replay(replay)).unwrap();
    for _ in 0..number {
        source.next_shot().unwrap();
    }
    let Next::Shot(shot) = source.next_shot().unwrap() else { panic!("the clip is shorter than {number} frames") };
    std::fs::write(to, shot.image.into_picture().unwrap().jpeg(95).unwrap()).unwrap();
}

/// A main file with a journal for everybody, and one detector `door` that replays `recording`.
fn write_config(file: &Path, identities: &str, state: &Path, recording: &str, more: &str) {
    let state = state.display();
    let text = format!(
        "state_dir = \"{state}/state\"\n{identities}\n[status]\nlisten = \"off\"\n\
         [action.journal]\ntype = \"journal\"\npath = \"{state}/journal.jsonl\"\n\
         [[rule]]\nname = \"everybody\"\nwhen = {{ outcome = [\"known\", \"unknown\"] }}\nactions = [\"journal\"]\n{more}"
    );
    std::fs::write(file, text).unwrap();
    let detectors = file.parent().unwrap().join("detectors");
    std::fs::create_dir_all(&detectors).unwrap();
    let detector =
        format!("time_zone = \"Europe/Helsinki\"\n[camera]\ntype = \"replay\"\npath = \"{recording}\"\nfps = 10.0\n");
    std::fs::write(detectors.join("door.toml"), detector).unwrap();
}

/// Stands between the agent and the engine. While it holds, requests reach the engine and their answers go nowhere.
struct Gate {
    url: String,
    holding: Arc<AtomicBool>,
    /// `detectTimeUtc` of every publishWithResponse that came by.
    published: Arc<std::sync::Mutex<Vec<String>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Gate {
    fn before(engine: &Engine) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let holding = Arc::new(AtomicBool::new(true));
        let published = Arc::new(std::sync::Mutex::new(Vec::new()));
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (client, target) = (reqwest::Client::new(), engine.url.clone());
        let (hold, seen) = (Arc::clone(&holding), Arc::clone(&published));
        let forward = move |request: axum::extract::Request| {
            let (client, target, hold, seen) = (client.clone(), target.clone(), Arc::clone(&hold), Arc::clone(&seen));
            async move {
                let (head, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
                let publishes = head.uri.path().ends_with("publishWithResponse");
                if publishes {
                    let sent: Value = serde_json::from_slice(&body).unwrap();
                    seen.lock().unwrap().push(sent["detectTimeUtc"].as_str().unwrap().to_string());
                }
                let mut onward = client.request(head.method, format!("{target}{}", head.uri)).body(body);
                for name in ["authorization", "content-type"] {
                    if let Some(value) = head.headers.get(name) {
                        onward = onward.header(name, value);
                    }
                }
                let answer = onward.send().await.unwrap();
                while publishes && hold.load(Ordering::SeqCst) {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
                let mut back = axum::response::Response::builder().status(answer.status());
                if let Some(kind) = answer.headers().get("content-type") {
                    back = back.header("content-type", kind);
                }
                back.body(axum::body::Body::from(answer.bytes().await.unwrap())).unwrap()
            }
        };
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, axum::Router::new().fallback(forward)).await });
        Self { url, holding, published, _runtime: runtime }
    }
}

#[test]
fn a_sighting_outlives_kill_9_and_is_acted_on_once() {
    let engine = Engine::start();
    engine.enroll(&recording::known_person(), "Eileen", &["VIP"]);
    let gate = Gate::before(&engine);
    let folder = tempfile::tempdir().unwrap();
    let (visit, nobody) = (folder.path().join("visit"), folder.path().join("nobody"));
    recording::visit(&visit);
    recording::nobody(&nobody);
    let config = folder.path().join("doorward.toml");
    let opened = folder.path().join("door-opened");
    let door = format!(
        "[action.door]\ntype = \"exec\"\nprogram = \"/usr/bin/touch\"\nargs = [\"{}\"]\nactuator = true\n\
         [[rule]]\nname = \"vip\"\nwhen = {{ tags_any = [\"VIP\"] }}\nactions = [\"door\"]\n",
        opened.display()
    );
    let configure = |recording: &Path| {
        write_config(&config, &engine.section(&gate.url), folder.path(), &recording.display().to_string(), &door);
    };
    let agent = || {
        let mut command = doorward();
        command.args(["run", "--config"]).arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        Running(command.spawn().unwrap())
    };
    let journal = || -> Vec<Value> {
        let text = std::fs::read_to_string(folder.path().join("journal.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };

    configure(&visit);
    let first = agent();
    wait_for("the sighting to reach the engine", || (!gate.published.lock().unwrap().is_empty()).then_some(()));
    first.kill();
    assert!(journal().is_empty(), "acted on before the answer");

    gate.holding.store(false, Ordering::SeqCst);
    configure(&nobody);
    let held = gate.published.lock().unwrap().clone();
    let second = agent();
    wait_for("every held sighting to be sent again and acted on", || (journal().len() >= held.len()).then_some(()));
    assert!(second.stop().success());
    let published = gate.published.lock().unwrap().clone();
    for time in &held {
        assert!(published[held.len()..].contains(time), "{time} was not sent again: {published:?}");
    }

    let third = agent();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(third.stop().success());
    assert_eq!(*gate.published.lock().unwrap(), published, "sent again after it was answered");
    let mut times = BTreeMap::new();
    for line in journal() {
        *times.entry(line["id"].as_str().unwrap().to_string()).or_insert(0) += 1;
        assert_eq!(line["outcome"], "known");
        assert_eq!(line["late"], true, "an answer from before a restart is late");
    }
    assert!(times.values().all(|n| *n == 1), "acted on twice: {times:?}");
    assert!(!opened.exists(), "a late answer opened the door");
}

#[test]
fn a_live_answer_opens_the_door_once() {
    let engine = Engine::start();
    engine.enroll(&recording::known_person(), "Eileen", &["VIP"]);
    let folder = tempfile::tempdir().unwrap();
    let visit = folder.path().join("visit");
    // Slowly: on a busy machine frames are dropped, and somebody who comes in leaps would be two visits.
    recording::slow_visit(&visit);
    let config = folder.path().join("doorward.toml");
    let opened = folder.path().join("door-opened");
    let script = folder.path().join("open");
    std::fs::write(&script, "#!/bin/sh\necho opened >> \"$1\"\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let door = format!(
        "[action.door]\ntype = \"exec\"\nprogram = \"{}\"\nargs = [\"{}\"]\nactuator = true\n\
         [[rule]]\nname = \"vip\"\nwhen = {{ tags_any = [\"VIP\"] }}\nactions = [\"door\"]\n",
        script.display(),
        opened.display()
    );
    write_config(&config, &engine.section(&engine.url), folder.path(), &visit.display().to_string(), &door);
    let agent = Running(doorward().args(["run", "--config"]).arg(&config).stderr(Stdio::null()).spawn().unwrap());
    wait_for("the door to open", || opened.exists().then_some(()));
    // Long enough for further shots to be answered, too.
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert!(agent.stop().success());
    assert_eq!(std::fs::read_to_string(&opened).unwrap(), "opened\n");

    let journal = std::fs::read_to_string(folder.path().join("journal.jsonl")).unwrap();
    let line: Value = serde_json::from_str(journal.lines().next().unwrap()).unwrap();
    let visit = line["visit"].as_str().unwrap();
    let told = json_lines(&run(doorward().args(["explain", visit, "--json", "--config"]).arg(&config)));
    assert_eq!((told.len(), &told[0]["outcome"]), (1, &"known".into()), "{told:#?}");
    assert_eq!(told[0]["shots"][0]["outcome"], "known");
    let actions: Vec<_> =
        told[0]["actions"].as_array().unwrap().iter().map(|action| (&action["action"], &action["state"])).collect();
    assert!(actions.contains(&(&"door".into(), &"done".into())), "{actions:?}");
    let text = run(doorward().args(["explain", &visit[..13], "--config"]).arg(&config));
    assert!(String::from_utf8_lossy(&text.stdout).contains("quality"), "{text:?}");
}

#[test]
fn the_demo_recognises_the_enrolled_visitor_and_nobody_else() {
    let output = run(doorward().args(["demo", "--once", "--json"]));
    let lines = json_lines(&output);
    let summary = &lines.last().unwrap()["summary"];
    assert_eq!(
        (&summary["visits"], &summary["recognised"], &summary["unknown"]),
        (&3.into(), &2.into(), &1.into()),
        "{lines:#?}"
    );
    assert_eq!(summary["actions"], 5);
    assert!(summary["first_face_to_action_ms"]["p50"].is_u64() && summary["first_face_to_action_ms"]["max"].is_u64());
}

#[test]
fn a_silent_engine_is_a_fault_within_a_minute_and_is_missed_no_longer_once_it_is_back() {
    let mut engine = Engine::start();
    let folder = tempfile::tempdir().unwrap();
    let nobody = folder.path().join("nobody");
    recording::nobody(&nobody);
    let config = folder.path().join("doorward.toml");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    write_config(&config, &engine.section(&engine.url), folder.path(), &nobody.display().to_string(), "");
    let text = std::fs::read_to_string(&config).unwrap().replace("\"off\"", &format!("\"127.0.0.1:{port}\""));
    std::fs::write(&config, text).unwrap();
    let agent = Running(doorward().args(["run", "--config"]).arg(&config).stderr(Stdio::null()).spawn().unwrap());

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let get = |path: &str| {
        let request = client.get(format!("http://127.0.0.1:{port}{path}")).send();
        runtime.block_on(async { request.await.ok()?.text().await.ok() })
    };
    let engine_is = |state: &str| {
        let status: Value = serde_json::from_str(&get("/status.json")?).unwrap();
        (status["engine"]["state"] == state).then_some(())
    };
    wait_for("the engine to be asked before anybody comes", || engine_is("answering"));
    engine.stop();
    wait_for("the silence to be noticed", || engine_is("silent"));
    engine.restart();
    wait_for("the engine to be heard again", || engine_is("answering"));
    let metrics = get("/metrics").unwrap();
    assert!(metrics.contains("doorward_detect_frames_total{detector=\"door\"}"), "{metrics}");
    assert!(agent.stop().success());
}

/// Nobody has told the agent that the camera hangs on its side: its visitors do, and `rotate` mends it.
#[test]
fn a_camera_on_its_side_is_told_of_and_rotate_sets_it_upright() {
    let engine = Engine::start();
    engine.enroll(&recording::known_person(), "Eileen", &["VIP"]);
    let folder = tempfile::tempdir().unwrap();
    let visit = folder.path().join("visit");
    recording::brief_visit(&visit);
    recording::turn(&visit, Turn::Quarter);
    let config = folder.path().join("doorward.toml");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    write_config(&config, &engine.section(&engine.url), folder.path(), &visit.display().to_string(), "");
    let text = std::fs::read_to_string(&config).unwrap().replace("\"off\"", &format!("\"127.0.0.1:{port}\""));
    std::fs::write(&config, text).unwrap();
    let detector = folder.path().join("detectors/door.toml");
    let plain = std::fs::read_to_string(&detector).unwrap();
    std::fs::write(&detector, format!("{plain}loop = true\n[track]\nlost_after_ms = 300\n")).unwrap();
    let agent = Running(doorward().args(["run", "--config"]).arg(&config).stderr(Stdio::null()).spawn().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let health = || {
        let request = client.get(format!("http://127.0.0.1:{port}/health")).send();
        runtime.block_on(async { request.await.ok()?.text().await.ok() })
    };
    wait_for("several visitors to show how the camera hangs", || {
        health().filter(|told| told.contains("hangs on its side") && told.contains("`rotate = 270`"))
    });
    assert!(agent.stop().success());

    std::fs::write(&detector, format!("{plain}rotate = 270\n")).unwrap();
    let replayed = run(doorward().args(["replay", "--json", "--config"]).arg(&config).arg("--input").arg(&visit));
    assert_eq!(json_lines(&replayed)[0]["outcome"], "known");
    std::fs::write(&detector, format!("{plain}rotate = 100\n")).unwrap();
    let refused = doorward().args(["check", "--config"]).arg(&config).output().unwrap();
    let told = [refused.stdout, refused.stderr].map(|told| String::from_utf8_lossy(&told).into_owned()).concat();
    assert!(!refused.status.success() && told.contains("camera.rotate") && told.contains("90, 180"), "{told}");
}

/// Who is lost and found again is told of once, and somebody else by themselves, though nobody is known.
#[test]
fn who_is_found_again_by_the_face_is_the_same_visitor() {
    let engine = Engine::start();
    let folder = tempfile::tempdir().unwrap();
    let visit = folder.path().join("visit");
    recording::found_again(&visit);
    let told = |same_face: bool| {
        let folder = folder.path().join(same_face.to_string());
        std::fs::create_dir(&folder).unwrap();
        let config = folder.join("doorward.toml");
        write_config(&config, &engine.section(&engine.url), &folder, &visit.display().to_string(), "");
        // A journal leaves nobody out unless it is told to.
        let main = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, main.replace("name = \"everybody\"", "name = \"everybody\"\ncooldown_secs = 60"))
            .unwrap();
        let detector = folder.join("detectors/door.toml");
        let plain = std::fs::read_to_string(&detector).unwrap();
        let more = format!("[track]\nlost_after_ms = 300\n[presence]\nsame_face = {same_face}\n");
        std::fs::write(&detector, plain + &more).unwrap();
        let replay = run(doorward().args(["replay", "--json", "--config"]).arg(&config).arg("--input").arg(&visit));
        let journal = std::fs::read_to_string(folder.join("journal.jsonl")).unwrap();
        let lines: Vec<Value> = journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let text = |key: &str| lines.iter().map(|line| line[key].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        (text("visit"), text("stay"), json_lines(&replay))
    };
    let (visits, stays, replayed) = told(false);
    assert_eq!((visits.len(), &stays), (replayed.len(), &visits), "every visit by itself");
    assert!(replayed.len() >= 3 && replayed.iter().all(|visit| visit["stay"] == Value::Null), "{replayed:#?}");
    let (visits, stays, replayed) = told(true);
    assert_eq!(stays, visits, "each in their first visit");
    let stay = |visit: &Value| visit["stay"].as_str().unwrap().to_owned();
    assert_eq!(replayed.iter().map(stay).collect::<BTreeSet<_>>(), stays.iter().cloned().collect(), "{replayed:#?}");
    assert!(replayed.iter().filter(|visit| stay(visit) == stays[0]).count() >= 2, "{replayed:#?}");
    assert!(stays.len() >= 2, "somebody else is somebody else: {replayed:#?}");
}

/// `doorward replay … | head -1`: the reader has what it wanted, and nothing of the visitors stays on this machine.
#[test]
fn a_replay_nobody_reads_any_more_ends_in_order() {
    let folder = tempfile::tempdir().unwrap();
    recording::visit(&folder.path().join("visit"));
    let scratch = folder.path().join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    let mut command = doorward();
    command.args(["replay", "--dry-run", "--json", "--input"]).arg(folder.path().join("visit"));
    let mut replay = command.env("TMPDIR", &scratch).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(replay.stdout.take());
    let output = replay.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let left: Vec<_> = std::fs::read_dir(&scratch).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Told twice to stop in the middle of a search, it goes at once, and ONNX Runtime complains of nothing.
#[test]
fn a_second_signal_ends_a_search_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let visit = folder.path().join("visit");
    recording::visit(&visit);
    // Long enough to be in the middle of.
    for n in 1..40 {
        for frame in 0..48 {
            let from = visit.join(format!("{frame:04}.jpg"));
            std::fs::hard_link(from, visit.join(format!("{:04}.jpg", n * 48 + frame))).unwrap();
        }
    }
    for _ in 0..3 {
        let log = folder.path().join("log");
        let mut command = doorward();
        command.args(["replay", "--dry-run", "--input"]).arg(&visit).env("RUST_LOG", "info");
        let replay = command.stdout(Stdio::null()).stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
        let mut replay = Running(replay);
        wait_for("the recording to be watched", || {
            std::fs::read_to_string(&log).unwrap().contains("watching").then_some(())
        });
        let process = nix::unistd::Pid::from_raw(replay.0.id() as i32);
        for signal in [nix::sys::signal::Signal::SIGTERM, nix::sys::signal::Signal::SIGINT] {
            let _ = nix::sys::signal::kill(process, signal);
        }
        replay.0.wait().unwrap();
        let text = std::fs::read_to_string(&log).unwrap();
        assert!(!text.contains("could not be searched") && !text.contains("onnx"), "{text}");
    }
}
