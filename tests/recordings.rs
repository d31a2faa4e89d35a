//! `doorward replay` on recordings that lie on their side, are damaged, or are none.
//!
//! In: files made on the spot, and those of the shared test data where it is there. Out: what the command prints and
//! how it ends.

use std::path::{Path, PathBuf};
use std::process::Output;

use faces::picture::{Picture, Turn};
use ffmpeg_next::codec::Id;
use serde_json::Value;

#[path = "support/clip.rs"]
mod clip;
mod support;

use clip::Clip;
use support::{Engine, doorward, json_lines, recording, run, shared};

fn replay(recording: &Path) -> Output {
    doorward().args(["replay", "--dry-run", "--json", "--input"]).arg(recording).output().unwrap()
}

/// What is told of the visits, and of the recording itself where it lost something.
fn told(output: &Output) -> (Vec<Value>, Vec<Value>) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    json_lines(output).into_iter().partition(|line| line.get("visit").is_some())
}

fn complaints(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect()
}

/// Rows below what the camera would see otherwise.
const FLOOR: u32 = 128;

/// The known person walks up to the camera and leaves, in one file: as it is, or as a camera lying on its left side
/// would have recorded it.
fn visit(folder: &Path, name: &str, codec: Id, on_its_side: bool) -> PathBuf {
    let pictures = folder.join("pictures");
    if !pictures.exists() {
        recording::visit(&pictures);
    }
    let mut files: Vec<_> = std::fs::read_dir(&pictures).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let pictures: Vec<Picture> = files.iter().map(|file| Picture::read(file).unwrap()).collect();
    // With a floor below, so that a picture on its head shows the face at another place.
    let (width, height) = (pictures[0].width(), pictures[0].height() + FLOOR);
    let path = folder.join(name);
    let size = if on_its_side { (height, width) } else { (width, height) };
    Clip::steady(codec, size, pictures.len(), 100).write(&path, |number| {
        let picture = &pictures[number];
        let pixel = |x: u32, y: u32| match y < picture.height() {
            true => [0, 1, 2].map(|n| picture.row(y)[x as usize * 3 + n]),
            false => [90; 3],
        };
        if !on_its_side {
            return (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect();
        }
        // Its first row is the last column of what was there to be seen.
        (0..width).rev().flat_map(|x| (0..height).flat_map(move |y| pixel(x, y))).collect()
    });
    path
}

#[test]
fn a_recording_lying_on_its_side_is_set_upright_before_anybody_is_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let upright = visit(dir.path(), "upright.mp4", Id::MPEG4, false);
    let side = visit(dir.path(), "side.mp4", Id::MPEG4, true);
    clip::turn(&side, [0, 1, -1, 0]);
    let [(expected, _), (seen, rest)] = [upright, side].map(|path| told(&replay(&path)));
    assert!(rest.is_empty(), "{rest:?}");
    assert_eq!(seen.len(), expected.len());
    for (seen, expected) in seen.iter().zip(&expected) {
        let (first, wanted) = (&seen["sent"][0], &expected["sent"][0]);
        assert!(first.is_object(), "a shot is sent: {seen}");
        for side in 0..4 {
            let apart = (first["box"][side].as_f64().unwrap() - wanted["box"][side].as_f64().unwrap()).abs();
            // It may be another frame of somebody who walks.
            assert!(apart < 40.0, "{first} is not where {wanted} is");
        }
    }
}

#[test]
fn a_damaged_recording_is_told_of_and_what_is_whole_is_used() {
    let dir = tempfile::tempdir().unwrap();
    for (codec, lost, damaged) in [(Id::MJPEG, 3, 0), (Id::MPEG4, 0, 3)] {
        let path = visit(dir.path(), "damaged.mp4", codec, false);
        let frames = clip::frames(&path);
        clip::edit(&path, |bytes| {
            for &(at, length) in &frames[14..17] {
                bytes[at + length / 2..at + length * 3 / 4].fill(0x55);
            }
        });
        let output = replay(&path);
        let (visits, rest) = told(&output);
        assert!(visits.iter().any(|visit| visit["sent"][0].is_object()), "{visits:?}");
        assert_eq!(rest.len(), 1, "{rest:?}");
        assert_eq!((rest[0]["lost"].as_u64(), rest[0]["damaged"].as_u64()), (Some(lost), Some(damaged)), "{codec:?}");
        assert_eq!(rest[0]["frames"].as_u64(), Some(frames.len() as u64 - lost));
        assert_eq!(rest[0]["recording"].as_str(), path.to_str());
        let complaints = complaints(&output);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(
            complaints[0].contains("damaged.mp4") && complaints[0].contains(&format!("{lost} of its frames are lost"))
        );
        let sent = visits.iter().flat_map(|visit| visit["sent"].as_array().unwrap());
        // The frames before the damage keep their numbers; of those with it none is a shot.
        let numbers: Vec<u64> = sent.map(|shot| shot["frame"].as_u64().unwrap()).collect();
        assert!(damaged == 0 || numbers.iter().all(|number| !(14..17).contains(number)), "{numbers:?}");
    }
}

#[test]
fn what_gives_no_frame_at_all_is_an_error_that_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let ruined = dir.path().join("ruined.mp4");
    Clip::steady(Id::MJPEG, (64, 48), 6, 40).write(&ruined, |_| vec![90; 64 * 48 * 3]);
    let frames = clip::frames(&ruined);
    clip::edit(&ruined, |bytes| frames.iter().for_each(|&(at, length)| bytes[at..at + length].fill(0)));
    let silence = [
        &b"RIFF\x64\x1f\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\x40\x1f\0\0"[..],
        &[128; 8000],
    ];
    for (path, hint) in [
        (ruined, "no frame of"),
        (file("text.mp4", b"this is no video"), "not a video"),
        (file("sound.mp4", &silence.concat()), "no moving picture"),
    ] {
        let output = replay(&path);
        let complaints = complaints(&output).join("\n");
        assert!(!output.status.success(), "{}", path.display());
        assert!(complaints.contains(hint) && complaints.contains(path.to_str().unwrap()), "{complaints}");
        assert!(!complaints.contains(" @ 0x"), "FFmpeg's own words are not to stand on the error stream: {complaints}");
    }
}

#[test]
fn recordings_that_went_wrong_in_use_are_right_now() {
    if let Some(path) = shared("cases/rot90.mp4") {
        let (visits, rest) = told(&replay(&path));
        assert!(rest.is_empty(), "{rest:?}");
        // The man's head is in the upper half.
        let box_of = |visit: &Value| visit["sent"][0]["box"].as_array().map(|it| (it[1].clone(), it[3].clone()));
        let boxes: Vec<_> = visits.iter().filter_map(box_of).collect();
        assert!(!boxes.is_empty(), "a shot is sent: {visits:?}");
        for (top, height) in boxes {
            assert!(top.as_f64().unwrap() + height.as_f64().unwrap() / 2.0 < 135.0, "{visits:?}");
        }
    }
    if let Some(path) = shared("cases/corrupt.mp4") {
        let output = replay(&path);
        let (visits, rest) = told(&output);
        assert!(visits.iter().any(|visit| visit["sent"][0].is_object()), "{visits:?}");
        assert_eq!((rest[0]["frames"].as_u64(), rest[0]["lost"].as_u64()), (Some(50), Some(12)), "{rest:?}");
        assert_eq!(complaints(&output).len(), 1);
    }
}

/// However a camera hangs, with `rotate` set its visitors are those that an upright one would see.
#[test]
fn whichever_way_a_camera_hangs_rotate_gives_the_same_visits() {
    let engine = Engine::start();
    let known = engine.enroll(&recording::known_person(), "Eileen", &[]);
    let dir = tempfile::tempdir().unwrap();
    let mut upright = vec![("who walks up", dir.path().join("upright"))];
    recording::visit(&upright[0].1);
    if let Some(clip) = shared("video/face-demographics-walking-and-pause.mjpg.avi") {
        upright.push(("a real door", dir.path().join("clip")));
        recording::unpack(&clip, &upright[1].1);
    }
    for (what, upright) in upright {
        let expected = replayed(&engine, dir.path(), &upright, "");
        assert!(!expected.is_empty(), "{what}: nobody is seen");
        assert!(what != "who walks up" || expected.iter().any(|visit| visit["person"]["id"] == known.as_str()));
        for (turn, rotate) in [(Turn::Quarter, 270), (Turn::Half, 180), (Turn::ThreeQuarters, 90)] {
            let turned = dir.path().join(format!("{rotate}"));
            recording::turned_copy(&upright, &turned, turn);
            let seen = replayed(&engine, dir.path(), &turned, &format!("rotate = {rotate}\n"));
            // How many shots are sent is a matter of how soon answers come; which one is first, of its quality, which
            // turning and storing a picture changes a little.
            let in_short = |visits: &[Value]| -> Vec<(i64, [Value; 2])> {
                let first = |it: &Value| it["sent"][0]["frame"].as_i64().unwrap_or(-1);
                let short = |it: &Value| (first(it), [it["outcome"].clone(), it["person"]["id"].clone()]);
                let mut short: Vec<_> = visits.iter().map(short).collect();
                short.sort_by_key(|(first, _)| *first);
                short
            };
            let (seen, expected) = (in_short(&seen), in_short(&expected));
            let same = seen.iter().zip(&expected).all(|(a, b)| a.1 == b.1 && (a.0 - b.0).abs() <= 4);
            assert!(same && seen.len() == expected.len(), "{what}, rotate = {rotate}: {seen:?}, not {expected:?}");
            std::fs::remove_dir_all(&turned).unwrap();
        }
    }
}

/// What a detector with more in its file, from its `[camera]` on, tells of a recording.
fn replayed(engine: &Engine, folder: &Path, recording: &Path, detector: &str) -> Vec<Value> {
    let config = folder.join("doorward.toml");
    std::fs::write(&config, format!("{}[status]\nlisten = \"off\"\n", engine.section(&engine.url))).unwrap();
    std::fs::create_dir_all(folder.join("detectors")).unwrap();
    let text = format!(
        "time_zone = \"UTC\"\n[camera]\ntype = \"replay\"\npath = \"{}\"\nfps = 10.0\n{detector}[identify]\n\
         allow_double_detection = true\n[track]\nsubject = \"each\"\n",
        recording.display()
    );
    std::fs::write(folder.join("detectors/door.toml"), text).unwrap();
    json_lines(&run(doorward().args(["replay", "--json", "--config"]).arg(&config).arg("--input").arg(recording)))
}

/// Who stands where the camera is not to look is nobody: not a visit, and not a pixel of it leaves the box.
#[test]
fn nobody_is_seen_where_the_camera_is_not_to_look() {
    let engine = Engine::start();
    engine.enroll(&recording::known_person(), "Eileen", &[]);
    let dir = tempfile::tempdir().unwrap();
    let visit = dir.path().join("visit");
    recording::visit(&visit);
    let outcomes = |view: &str| -> Vec<String> {
        let visits = replayed(&engine, dir.path(), &visit, &format!("[view]\n{view}\n"));
        visits.iter().map(|visit| visit["outcome"].as_str().unwrap().to_owned()).collect()
    };
    let everywhere = "[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]";
    let corner = "[[0.0, 0.0], [0.1, 0.0], [0.1, 0.1], [0.0, 0.1]]";
    for (view, expected) in [
        ("", &["known"][..]),
        ("mirror = true", &["known"]),
        (&format!("ignore = [{corner}]"), &["known"]),
        (&format!("ignore = [{everywhere}]"), &[]),
        (&format!("watch = [{everywhere}]"), &["known"]),
        (&format!("watch = [{corner}]"), &[]),
        (&format!("watch = [{corner}, {everywhere}]"), &["known"]),
        ("crop = [0.0, 0.0, 0.1, 0.1]", &[]),
        ("crop = [0.0, 0.0, 1.0, 1.0]", &["known"]),
    ] {
        assert_eq!(outcomes(view), expected, "{view}");
    }
}
