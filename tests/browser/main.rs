//! The pages in a real browser: Chromium, driven by the Python scripts beside this file. Screenshots are left in
//! `target/browser`.

#[path = "../support/mod.rs"]
mod support;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::Utc;
use doorward::config::DetectorName;
use doorward::status::{self, ActionLine, Board, CameraPhase, EngineState, StatusView, VisitLine};
use faces::models::ModelStore;
use faces::picture::{Interpolation, Picture};
use support::{Engine, Running, doorward, run};

/// A script with its interpreter.
fn script(name: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/venv/bin/python");
    assert!(python.exists(), "{} is missing: run `make test`, which sets it up", python.display());
    let mut command = Command::new(python);
    command.arg(root.join("tests/browser").join(name));
    command
}

fn screenshots(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/browser").join(name)
}

/// A picture that `make models` fetches.
fn sample(name: &str) -> PathBuf {
    ModelStore::locate(None).picture(name).expect("`make models` fetches the sample pictures")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the paths of the tests are plain text")
}

/// One person of a group picture: a square of it, as a JPEG file.
fn portrait(name: &str, (x, y): (i64, i64), side: u32, folder: &Path) -> PathBuf {
    let cut = Picture::read(&sample(name)).unwrap().cropped(x, y, side, side).unwrap();
    let file = folder.join(format!("{name}-{x}-{y}.jpg"));
    std::fs::write(&file, cut.jpeg(92).unwrap()).unwrap();
    file
}

/// Films a photo: Chromium takes a file of JPEG pictures for its camera.
fn film(photo: &Path, file: &Path) {
    let picture = Picture::read(photo).unwrap().resized(480, 480, Interpolation::Area).unwrap();
    std::fs::write(file, picture.jpeg(92).unwrap().repeat(30)).unwrap();
}

#[test]
fn people_are_enrolled_browsed_edited_and_erased_on_the_engines_page() {
    let engine = Engine::start();
    run(doorward()
        .args(["engine", "user", "add", "--username", "looker", "--role", "Viewer", "--data"])
        .arg(engine.data.path().join("engine"))
        .arg("--password-file")
        .arg(&engine.password_file));
    let folder = tempfile::tempdir().unwrap();
    let camera = folder.path().join("camera.mjpeg");
    film(&portrait("sample3", (1352, 166), 500, folder.path()), &camera);
    let (photo, closer) = (sample("astronaut"), portrait("astronaut", (100, 0), 260, folder.path()));
    let stranger = portrait("sample5", (636, 0), 440, folder.path());
    let shots = screenshots("engine");
    let files = [&engine.password_file, &camera, &shots, &photo, &closer, &stranger].map(|file| text(file));
    run(script("engine_page.py").arg(&engine.url).args(files));
}

#[test]
fn strangers_are_named_and_matches_put_right_on_the_engines_page() {
    let engine = Engine::start();
    let folder = tempfile::tempdir().unwrap();
    let ada = sample("astronaut");
    let people = [("sample3", (1352, 166), 500), ("sample5", (636, 0), 440), ("sample5", (666, 14), 380)];
    let [grace, joan, other] = people.map(|(name, corner, side)| portrait(name, corner, side, folder.path()));
    let shots = screenshots("corrections");
    let files = [&engine.password_file, &shots, &ada, &grace, &joan, &other].map(|file| text(file));
    run(script("corrections_page.py").arg(&engine.url).args(files));
}

#[test]
fn the_api_is_tried_on_the_engines_page() {
    let engine = Engine::start();
    let (shots, photo) = (screenshots("swagger"), sample("astronaut"));
    let files = [&engine.password_file, &shots, &photo].map(|file| text(file));
    run(script("swagger_page.py").arg(&engine.url).args(files));
}

/// A board as a door with one visitor has it; the browser tells when to break the camera, and when to go silent.
#[tokio::test(flavor = "multi_thread")]
async fn the_status_page_shows_a_visit_a_fault_and_its_own_silence() {
    identities::trust::crypto();
    let name = DetectorName::new("front").unwrap();
    let board = Board::new(Instant::now(), [name.clone()]);
    board.camera(&name, CameraPhase::Live, "", Instant::now());
    board.engine(EngineState::Answering, "", Instant::now());
    board.visit(VisitLine {
        visit: "0192f3c4-0000-7000-8000-000000000000".into(),
        detector: name.clone(),
        first_seen: Utc::now(),
        last_seen: Utc::now(),
        outcome: Some("known".into()),
        why: None,
        person_id: Some("6f1e2f0c-0000-4000-8000-000000000000".into()),
        tags: vec!["VIP".into(), "<img src=x onerror=alert(1)>".into()],
        shots: 2,
        quality: Some(0.8),
        confidence: Some(0.97),
        match_confidence: None,
        nearest: None,
    });
    board.action(ActionLine {
        at: Utc::now(),
        action: "open-door".into(),
        rule: "staff".into(),
        detector: name.clone(),
        visit: "0192f3c4-0000-7000-8000-000000000000".into(),
        result: "failed".into(),
        reason: Some("it ended with exit status: 3".into()),
        took_ms: 12,
    });
    let frames = Arc::new(AtomicBool::new(true));
    let (camera, door, filming) = (board.clone(), name.clone(), Arc::clone(&frames));
    tokio::spawn(async move {
        while filming.load(Ordering::Relaxed) {
            camera.received(&door, Instant::now());
            camera.searched(&door, Instant::now());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let view = StatusView { board: board.clone(), metrics: telemetry::metrics().unwrap() };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut stop = Some(stop);
    tokio::spawn(status::serve(listener, view, async move {
        let _ = stopped.await;
    }));
    let watching = tokio::task::spawn_blocking(move || {
        let shots = screenshots("status");
        let mut child = script("status_page.py").arg(url).arg(shots).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut running = Running(child);
        let mut seen = Vec::new();
        for line in lines.map_while(Result::ok) {
            match line.as_str() {
                "well" => {
                    frames.store(false, Ordering::Relaxed);
                    board.camera(&name, CameraPhase::Lost, "no frame for 5 s", Instant::now());
                }
                "lost" => {
                    board.camera(&name, CameraPhase::Live, "", Instant::now());
                    board.canary(&name, Err("the built-in face is not found".into()), Instant::now());
                }
                "fault" => drop(stop.take()),
                _ => {}
            }
            seen.push(line);
        }
        (seen, running.0.wait().unwrap())
    });
    let (seen, ended) = watching.await.unwrap();
    assert!(ended.success() && seen == ["well", "lost", "fault", "silent"], "{ended} after {seen:?}");
}
