//! Somebody at a door, from the camera's device to the action.
//!
//! In: a clip of a face in a camera of the kernel, the real engine with that person enrolled, the real agent. Out: what
//! the action is told of who came. With the shared test data the clip is a recording of a person, else the portrait
//! that comes with the models, walking up to a doorway.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::loopback::{DEVICE, Loopback};
use crate::support::{Running, doorward, recording, serve, shared};

/// The engine's data, where the person of the clip is enrolled already: `tests/vm/test-vm.sh` makes it.
const DOOR: &str = "/door";
/// An emulated machine takes seconds for each face.
const PATIENCE: Duration = Duration::from_secs(240);

/// What a camera shows: each picture as a JPEG, all of one size.
struct Clip {
    size: (u32, u32),
    frames: Vec<Vec<u8>>,
}

fn clip() -> Clip {
    if let Some(recording) = shared("video/head-pose-face-detection-female.mjpg.avi") {
        let frames = jpegs(&fs::read(recording).unwrap());
        // All but the one she was enrolled with.
        return Clip { size: (480, 270), frames: frames[1..].to_vec() };
    }
    let folder = tempfile::tempdir().unwrap();
    recording::brief_visit(folder.path());
    let mut files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort_unstable();
    let frames = files.iter().map(|file| fs::read(file).unwrap()).collect();
    Clip { size: (640, 480), frames }
}

/// The pictures of an AVI file in motion JPEG, each a chunk named `00dc`.
fn jpegs(avi: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut at = avi.windows(4).position(|name| name == b"movi").unwrap() + 4;
    while avi[at..].starts_with(b"00dc") {
        let length = u32::from_le_bytes(avi[at + 4..at + 8].try_into().unwrap()) as usize;
        frames.push(avi[at + 8..at + 8 + length].to_vec());
        // Chunks begin at even places.
        at += 8 + length.next_multiple_of(2);
    }
    frames
}

#[test]
fn a_person_at_a_camera_of_this_machine_is_recognised_and_the_action_knows_who_it_is() {
    let Clip { size: (width, height), frames } = clip();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let of_door = |name: &str| fs::read_to_string(Path::new(DOOR).join(name)).unwrap();
    let enrolled: Value = serde_json::from_str(&of_door("enrolled.json")).unwrap();
    let (_engine, url) = serve(&Path::new(DOOR).join("engine"), "127.0.0.1:0", &[]);
    let main = format!(
        "state_dir = \"{}\"\n[identities]\nurl = \"{url}\"\nusername = \"door\"\npassword = \"{}\"\n\
         timeout_ms = 120000\n[status]\nlisten = \"off\"\n[action.journal]\ntype = \"journal\"\n\
         path = \"{}\"\n[[rule]]\nname = \"staff\"\nwhen = {{ tags_any = [\"staff\"] }}\nactions = [\"journal\"]\n",
        path("state").display(),
        of_door("password"),
        path("journal").display()
    );
    // The camera is slow and its control is misspelt: neither makes the door blind.
    let detector = format!(
        "time_zone = \"UTC\"\n[camera]\ntype = \"v4l2\"\ndevice = \"{DEVICE}\"\nformat = \"mjpeg\"\nwidth_px = {width}\n\
         height_px = {height}\nfps = 4\ncontrols = {{ kep_format = false }}\n[detect]\nlongest_side_px = 320\n\
         [track]\nlost_after_ms = 20000\n"
    );
    fs::write(path("doorward.toml"), main).unwrap();
    fs::create_dir(path("detectors")).unwrap();
    fs::write(path("detectors/door.toml"), detector).unwrap();

    let camera = Loopback::showing(b"MJPG", (width, height), frames, 4);
    let log = fs::File::create(path("log")).unwrap();
    let mut agent = doorward();
    agent.args(["run", "--config"]).arg(path("doorward.toml")).stdout(Stdio::null()).stderr(log);
    let agent = Running(agent.spawn().unwrap());

    let since = Instant::now();
    let journal = loop {
        let journal = fs::read_to_string(path("journal")).unwrap_or_default();
        if journal.ends_with('\n') {
            break journal;
        }
        let log = fs::read_to_string(path("log")).unwrap();
        assert!(since.elapsed() < PATIENCE, "nobody was recognised:\n{log}");
        std::thread::sleep(Duration::from_millis(100));
    };
    println!("recognised after {:?}", since.elapsed());
    let line: Value = serde_json::from_str(journal.lines().next().unwrap()).unwrap();
    assert_eq!((&line["outcome"], &line["detector"]), (&"known".into(), &"door".into()), "{line}");
    assert_eq!((&line["person"]["id"], &line["person"]["name"]), (&enrolled["person_id"], &"Mara".into()), "{line}");
    assert!(agent.stop().success());
    drop(camera);

    let log = fs::read_to_string(path("log")).unwrap();
    let warned = "has no control `kep_format`; did you mean `keep_format`?";
    assert!(log.contains("MJPEG") && log.contains(warned), "{log}");
    assert!(!log.contains("panicked"), "{log}");
}
