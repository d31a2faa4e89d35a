//! Whether the motion gate costs a visit, or a visit time: recordings with it and without.
//!
//! In: people who come and go, made on the spot, and the recordings of the shared test data where they are there. Out:
//! the visits of both, and how much was searched for them.

use std::path::{Path, PathBuf};

use serde_json::Value;

mod support;

use support::{doorward, json_lines, recording, run, shared};

/// A visit, from when it was seen to when it was seen last, in milliseconds of the recording.
#[derive(Debug, Clone, Copy)]
struct Visit {
    first: i64,
    last: i64,
    sent: usize,
}

/// The visits of a recording, in the order in which they began.
fn visits(recording: &Path, gate: bool) -> Vec<Visit> {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "time_zone = 'UTC'\n[camera]\ntype = 'replay'\npath = '{}'\nstarts_at = '2026-01-01T00:00:00Z'\n\
         [detect]\nmotion_gate = {gate}\n[track]\nsubject = 'each'\n",
        recording.display()
    );
    let main = folder.path().join("doorward.toml");
    std::fs::create_dir(folder.path().join("detectors")).unwrap();
    std::fs::write(&main, "").unwrap();
    std::fs::write(folder.path().join("detectors/door.toml"), text).unwrap();
    let output =
        run(doorward().args(["replay", "--dry-run", "--json", "--config"]).arg(&main).arg("--input").arg(recording));
    let visit = |line: &Value| Visit {
        first: line["first_seen_ms"].as_i64().unwrap(),
        last: line["last_seen_ms"].as_i64().unwrap(),
        sent: line["sent"].as_array().unwrap().len(),
    };
    let mut visits: Vec<Visit> = json_lines(&output).iter().filter(|it| it.get("visit").is_some()).map(visit).collect();
    visits.sort_by_key(|visit| visit.first);
    visits
}

/// Each visit without the gate is one with it, which began no later than a frame; as many are sent, and where `clear` no
/// others are seen. (What is hardly a face is one in one frame and none in the next, whoever looks.)
fn assert_none_is_missed(recording: &Path, frame_ms: i64, clear: bool) {
    let [mut with, without] = [true, false].map(|gate| visits(recording, gate));
    let told = format!("{}: {with:?} with the gate, {without:?} without", recording.display());
    println!("{told}");
    let sent = |visits: &[Visit]| visits.iter().filter(|visit| visit.sent > 0).count();
    assert_eq!(sent(&with), sent(&without), "{told}");
    assert!(with.len() >= without.len() && (!clear || with.len() == without.len()), "{told}");
    for visit in without {
        let same = with.iter().position(|it| it.first <= visit.first + frame_ms && it.last >= visit.first);
        let same = with.remove(same.unwrap_or_else(|| panic!("{visit:?} is missed: {told}")));
        assert!(!clear || same.last + frame_ms >= visit.last, "{visit:?} is lost early: {told}");
    }
}

#[test]
fn who_comes_and_goes_is_a_visit_with_the_gate_as_without() {
    let folder = tempfile::tempdir().unwrap();
    type Made = (&'static str, fn(&Path));
    let made: [Made; 4] = [
        ("visit", recording::visit),
        ("slow", recording::slow_visit),
        ("brief", recording::brief_visit),
        ("again", recording::found_again),
    ];
    for (name, make) in made {
        let pictures: PathBuf = folder.path().join(name);
        make(&pictures);
        assert!(!visits(&pictures, false).is_empty(), "{name} has a visit");
        assert_none_is_missed(&pictures, 100, true);
    }
}

#[test]
fn so_is_everybody_in_the_recordings() {
    for (clip, frame_ms, clear) in [
        ("face-demographics-walking-and-pause.mjpg.avi", 80, true),
        ("face-demographics-walking.mjpg.avi", 80, true),
        ("head-pose-face-detection-female-and-male.mjpg.avi", 100, true),
        ("one-by-one-person-detection.mp4", 100, false),
    ] {
        if let Some(path) = shared(&format!("video/{clip}")) {
            assert_none_is_missed(&path, frame_ms, clear);
        }
    }
}
