//! Decoding by devices that paint their own pictures: by VA-API with a driver (`va_driver.c`) on the graphics device of
//! the kernel's vgem, which has nothing to decode with, and by a memory-to-memory device (`m2m_decoder.c`).

use std::path::{Path, PathBuf};

use doorward::capture::{self, About, CameraState, Next};
use doorward::config::{CameraConfig, Decode, StreamConfig};
use faces::picture::Picture;
use ffmpeg_next::codec::Id;
use ffmpeg_next::log;
use tempfile::TempDir;

use crate::clip::Clip;
use crate::support::doorward;
use crate::{run, watch_camera};

const DEVICE: &str = "/dev/dri/renderD128";
const NAME: &str = "decoded by VA-API (/dev/dri/renderD128)";
/// What the driver is told, and what it tells when it is closed.
const SETTINGS: &str = "/tmp/va-driver";
const CLOSED: &str = "/tmp/va-driver.closed";
/// No multiple of the blocks that a device decodes.
const SIZE: (u32, u32) = (200, 120);
const FRAMES: usize = 30;

/// What came of a stream, from its opening to its end.
struct Played {
    before: About,
    after: About,
    pictures: Vec<Picture>,
    lost: u64,
    damaged: usize,
}

/// Frames that the software decodes to their number.
fn clip(frames: usize, key_every: u32) -> (TempDir, PathBuf) {
    // The encoder tells of all it does.
    log::set_level(log::Level::Error);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("door.ts");
    let (width, height) = SIZE;
    let shown = |frame: usize| vec![100 + 2 * frame as u8; (width * height * 3) as usize];
    Clip { key_every, ..Clip::steady(Id::H264, SIZE, frames, 40) }.write(&path, shown);
    (folder, path)
}

fn settings(words: &str) {
    std::fs::write(SETTINGS, words).unwrap();
    let _ = std::fs::remove_file(CLOSED);
}

fn stream(path: &Path, decode: Decode) -> CameraConfig {
    CameraConfig::Stream(StreamConfig { decode, ..StreamConfig::new(path.display().to_string()) })
}

fn play(path: &Path, decode: Decode) -> Played {
    let mut source = capture::open(&stream(path, decode)).unwrap();
    let (before, mut pictures, mut lost, mut damaged) = (source.about(), Vec::new(), 0, 0);
    loop {
        match source.next_shot().unwrap() {
            Next::Shot(shot) => {
                damaged += usize::from(shot.damaged);
                pictures.push(shot.image.into_picture().unwrap());
            }
            Next::Lost(frames) => lost += frames,
            Next::End => return Played { before, after: source.about(), pictures, lost, damaged },
            other @ (Next::NotDue | Next::Skipped(_)) => panic!("{other:?}"),
        }
    }
}

/// Of the driver's picture of this number: red at its left, and at its right the number's grey.
fn assert_painted(picture: &Picture, number: usize) {
    assert_eq!((picture.width(), picture.height()), SIZE);
    let grey = ((4 + 5 * number) as f32 * 255.0 / 219.0).round() as u8;
    for y in [0, 60, 119] {
        let row = picture.row(y);
        let near = |x: usize, expected: [u8; 3]| row[x * 3..][..3].iter().zip(expected).all(|(a, b)| a.abs_diff(b) < 4);
        // Colours are half as fine as brightness, and run into each other in the middle.
        for (x, expected) in [(0, [0, 0, 255]), (90, [0, 0, 255]), (110, [grey; 3]), (199, [grey; 3])] {
            assert!(near(x, expected), "picture {number}, row {y}, {x}: {:?}, not {expected:?}", &row[x * 3..][..3]);
        }
    }
}

/// What the software makes of the clip.
fn assert_decoded(picture: &Picture, number: usize) {
    assert_eq!((picture.width(), picture.height()), SIZE);
    let expected = 100 + 2 * number as u8;
    let near = picture.bgr().iter().all(|byte| byte.abs_diff(expected) < 6);
    assert!(near, "picture {number}: {:?}, not {expected}", &picture.bgr()[..3]);
}

/// Of each connection to the driver: the pictures it was to decode, and what it did not get back.
fn closed() -> Vec<(usize, usize)> {
    let text = std::fs::read_to_string(CLOSED).unwrap_or_default();
    let numbers = |line: &str| line.split_once(' ').map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap())).unwrap();
    text.lines().map(numbers).collect()
}

#[test]
fn pictures_come_from_the_device_in_their_size_number_and_colour() {
    let (_folder, path) = clip(FRAMES, 1);
    for (words, decode) in [("", Decode::Vaapi), ("", Decode::Auto), ("main-alone", Decode::Vaapi)] {
        settings(words);
        let Played { before, after, pictures, lost, damaged } = play(&path, decode);
        assert_eq!((pictures.len(), lost, damaged), (FRAMES, 0, 0), "{words}");
        pictures.iter().enumerate().for_each(|(number, picture)| assert_painted(picture, number));
        assert!(!before.name.contains("VA-API"), "it is not known yet: {}", before.name);
        assert!(after.name.ends_with(NAME), "{}", after.name);
        assert_eq!((after.unmet, closed()), (vec![], vec![(FRAMES, 0)]));
    }
    let played = play(&path, Decode::Software);
    played.pictures.iter().enumerate().for_each(|(number, picture)| assert_decoded(picture, number));
    assert_eq!(played.after, played.before);
    println!("{FRAMES} pictures of {DEVICE}, each as it was painted");
}

#[test]
fn software_decodes_what_the_device_does_not_and_who_asked_for_it_is_told() {
    let (_folder, path) = clip(FRAMES, 10);
    for (words, decode, told_at_once, problem) in [
        ("no-device", Decode::Vaapi, true, "/dev/dri/renderD128 has no VA-API"),
        (
            "no-config",
            Decode::Vaapi,
            false,
            "VA-API (/dev/dri/renderD128) does not decode this stream (Failed to create",
        ),
        ("", Decode::V4l2m2m, true, "V4L2 M2M (/dev/video*) does not decode `h264`"),
        ("no-device", Decode::Auto, true, ""),
        ("no-config", Decode::Auto, false, ""),
    ] {
        settings(words);
        let Played { before, after, pictures, lost, .. } = play(&path, decode);
        assert_eq!((pictures.len(), lost), (FRAMES, 0), "{words}");
        pictures.iter().enumerate().for_each(|(number, picture)| assert_decoded(picture, number));
        assert_eq!(after.name, path.display().to_string());
        println!("{decode:?}, {words}: {:?}", after.unmet);
        match after.unmet.as_slice() {
            [] => assert!(problem.is_empty() && decode == Decode::Auto),
            [unmet] => {
                assert!(unmet.key == "decode" && unmet.problem.starts_with(problem), "{}", unmet.problem);
                assert!(unmet.problem.contains("decode = \"software\"") || words == "no-device");
                assert_eq!(before.unmet.len(), usize::from(told_at_once));
            }
            more => panic!("{more:?}"),
        }
        assert!(closed().iter().all(|(_, left)| *left == 0), "{words}: {:?}", closed());
    }
}

#[test]
fn software_goes_on_from_the_last_key_frame_when_the_device_fails() {
    // One key frame: what comes after the failure is right only when all before it was decoded again.
    let (_folder, path) = clip(FRAMES, 100);
    let whole = play(&path, Decode::Software).pictures;
    for (words, said) in [("fail-from=10", "Failed to end picture decode"), ("lost-from=10", "Failed to sync surface")]
    {
        for decode in [Decode::Vaapi, Decode::Auto] {
            settings(words);
            let Played { after, pictures, lost, .. } = play(&path, decode);
            assert_eq!(
                (pictures.len() as u64 + lost, after.name),
                (FRAMES as u64, path.display().to_string()),
                "{words}"
            );
            assert!((5..=12).contains(&lost), "{words}: {lost} lost");
            let by_software = pictures.iter().position(|it| it.bgr()[2] < 250).unwrap();
            assert!(pictures[..by_software].iter().all(|it| it.bgr()[..2] != [0, 0] || it.bgr()[2] > 250));
            let from = FRAMES - (pictures.len() - by_software);
            assert!(pictures[by_software..].iter().zip(&whole[from..]).all(|(a, b)| a.bgr() == b.bgr()), "{words}");
            println!("{words}: {by_software} pictures of the device, {lost} lost, {:?}", after.unmet);
            let told = after.unmet.iter().any(|it| it.key == "decode" && it.problem.contains(said));
            assert_eq!(told, decode == Decode::Vaapi, "{:?}", after.unmet);
            assert!(closed().iter().all(|(_, left)| *left == 0), "{words}: {:?}", closed());
        }
    }
}

/// The memory-to-memory device is there until this is dropped.
struct Mem2mem;

impl Mem2mem {
    fn loaded() -> Self {
        assert!(run("insmod", &[&std::env::var("M2M_DECODER").unwrap()]));
        Self
    }

    fn set(&self, parameter: &str, value: i32) {
        std::fs::write(format!("/sys/module/m2m_decoder/parameters/{parameter}"), value.to_string()).unwrap();
    }
}

impl Drop for Mem2mem {
    fn drop(&mut self) {
        assert!(run("rmmod", &["m2m_decoder"]) || std::thread::panicking(), "somebody still has it open");
    }
}

#[test]
fn pictures_come_from_a_memory_to_memory_device_and_so_does_what_it_tells_of_damage() {
    let device = Mem2mem::loaded();
    let (_folder, path) = clip(FRAMES, 1);
    settings("no-device");
    for (decode, damaged_from) in [(Decode::V4l2m2m, FRAMES), (Decode::Auto, FRAMES), (Decode::V4l2m2m, 20)] {
        device.set("damaged_from", damaged_from as i32);
        let Played { after, pictures, lost, damaged, .. } = play(&path, decode);
        assert_eq!((pictures.len(), lost, damaged), (FRAMES, 0, FRAMES - damaged_from), "{decode:?}");
        pictures.iter().enumerate().for_each(|(number, picture)| assert_painted(picture, number));
        assert!(after.name.ends_with("decoded by V4L2 M2M (/dev/video*)") && after.unmet.is_empty(), "{after:?}");
    }

    device.set("silent_from", 10);
    let (_folder, path) = clip(60, 100);
    let whole = play(&path, Decode::Software).pictures;
    let Played { after, pictures, .. } = play(&path, Decode::V4l2m2m);
    assert!(after.unmet[0].problem.contains("gives no frame for 30 packets"), "{:?}", after.unmet);
    let (painted, decoded) = pictures.split_at(10);
    painted.iter().enumerate().for_each(|(number, picture)| assert_painted(picture, number));
    let at_the_end = &whole[whole.len() - decoded.len()..];
    assert!(decoded.len() >= 15 && decoded.iter().zip(at_the_end).all(|(a, b)| a.bgr() == b.bgr()));
    println!("{} pictures of the device, {} of the software after it", painted.len(), decoded.len());
}

#[test]
fn the_state_of_a_camera_and_a_snapshot_say_what_decodes() {
    let (_folder, path) = clip(FRAMES, 10);
    let camera = format!("type = \"stream\"\nurl = \"{}\"\ndecode = \"vaapi\"\n", path.display());
    let folder = crate::commands::configured_as(&camera);
    let snapshot = || {
        let (config, out) = (folder.path().join("doorward.toml"), folder.path().join("door.jpg"));
        let mut snapshot = doorward();
        snapshot.args(["camera", "snapshot", "--force", "--config"]).arg(config).arg("--out").arg(out);
        String::from_utf8(crate::support::run(&mut snapshot).stdout).unwrap()
    };
    settings("");
    let told = snapshot();
    assert!(told.contains(NAME) && !told.contains("`camera.decode`"), "{told}");
    settings("no-config");
    let told = snapshot();
    assert!(told.contains("`camera.decode`: VA-API (/dev/dri/renderD128) does not decode this stream"), "{told}");

    settings("");
    // A pipe has no end.
    let pipe = folder.path().join("pipe");
    assert!(run("mkfifo", &[&pipe.display().to_string()]));
    let (from, into) = (std::fs::read(&path).unwrap(), pipe.clone());
    std::thread::spawn(move || std::fs::write(into, from.repeat(20)));
    let watched = watch_camera("hardware", stream(&pipe, Decode::Auto));
    watched.wait_for(|state| matches!(state, CameraState::Streaming { source, .. } if source.ends_with(NAME)));
    watched.stop();
}

/// A camera that breaks off again and again must not cost the box anything.
#[test]
fn opening_it_two_hundred_times_leaves_nothing_behind() {
    let (_folder, path) = clip(FRAMES, 10);
    settings("");
    let files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let kilobytes = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap()
    };
    let open_and_drop = |times: usize| {
        for _ in 0..times {
            let mut source = capture::open(&stream(&path, Decode::Vaapi)).unwrap();
            assert!(matches!(source.next_shot().unwrap(), Next::Shot(_)));
            assert!(source.about().name.ends_with(NAME));
        }
    };
    open_and_drop(20);
    let (files_before, before) = (files(), kilobytes());
    open_and_drop(200);
    let (files_after, after) = (files(), kilobytes());
    println!("{files_before} files and {before} kB before, {files_after} and {after} after");
    assert_eq!(files_after, files_before);
    // One decoder of this size holds more than a megabyte.
    assert!(after < before + 8_000, "{before} kB before, {after} after");
    assert_eq!((closed().len(), closed().iter().map(|(_, left)| left).sum::<usize>()), (220, 0));
}
