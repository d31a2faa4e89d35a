//! Recordings made on the spot, from the pictures the demo uses.

use std::path::{Path, PathBuf};

use doorward::commands::demo::walk::{self, Walk};
use faces::detect;
use faces::detect::SearchOptions;
use faces::models::ModelStore;
use faces::picture::{Picture, Turn};

/// The picture of the person the tests enrol.
pub fn known_person() -> PathBuf {
    ModelStore::locate(None).picture("astronaut").expect("`make models` fetches the demo's pictures")
}

/// A picture of others.
fn others() -> PathBuf {
    ModelStore::locate(None).picture("sample4").expect("`make models` fetches the demo's pictures")
}

/// The known person walks up to the camera and leaves: a folder of pictures, ten a second.
pub fn visit(folder: &Path) {
    walk(folder, (40.0, 120.0), 20, 25);
}

/// The same, taking six seconds for it: time for further pictures also where the machine is busy.
pub fn slow_visit(folder: &Path) {
    walk(folder, (40.0, 120.0), 60, 25);
}

/// The known person is there for a moment, and gone: twelve pictures, to be played in a loop.
pub fn brief_visit(folder: &Path) {
    walk(folder, (110.0, 120.0), 6, 3);
}

/// The known person comes and goes twice, and then others come and go.
pub fn found_again(folder: &Path) {
    for (part, person) in [known_person(), known_person(), others()].iter().enumerate() {
        let frames = frames(person, (110.0, 120.0), 12, 10);
        save(folder, 100 * part, frames);
    }
}

/// An empty doorway, the known person coming closer for so many frames, and nobody for so many.
fn walk(folder: &Path, face_px: (f32, f32), frames: u32, empty_after: usize) {
    save(folder, 0, self::frames(&known_person(), face_px, frames, empty_after));
}

fn frames(person: &Path, face_px: (f32, f32), frames: u32, empty_after: usize) -> Vec<Picture> {
    let store = ModelStore::locate(None);
    let mut detector = detect::load(&store, &SearchOptions::default(), 2).unwrap();
    let picture = Picture::read(person).unwrap();
    let face = detector.detect(&picture).unwrap().remove(0);
    let walk = Walk {
        picture: &picture,
        face: &face,
        face_px,
        light: 0.9,
        sway_degrees: 6.0,
        blur: 1.0,
        mirrored: false,
        frames,
    };
    let doorway = walk::doorway();
    let frames = (0..3).map(|_| doorway.clone()).chain((0..walk.frames).map(|n| walk.frame(n, &doorway).unwrap()));
    frames.chain((0..empty_after).map(|_| doorway.clone())).collect()
}

fn save(folder: &Path, first: usize, frames: Vec<Picture>) {
    std::fs::create_dir_all(folder).unwrap();
    for (n, frame) in frames.iter().enumerate() {
        let file = folder.join(format!("{:04}.jpg", first + n));
        std::fs::write(file, frame.jpeg(92).unwrap()).unwrap();
    }
}

/// Turns every picture of a recording, as a camera mounted so would show it.
pub fn turn(folder: &Path, by: Turn) {
    turned_copy(folder, folder, by);
}

/// The same into another folder.
pub fn turned_copy(from: &Path, to: &Path, by: Turn) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let turned = Picture::read(&file).unwrap().turned(by).unwrap();
        std::fs::write(to.join(file.file_name().unwrap()), turned.jpeg(92).unwrap()).unwrap();
    }
}

/// A video as a folder of its pictures.
pub fn unpack(video: &Path, to: &Path) {
    use doorward::capture::{self, Next};
    use doorward::config::{CameraConfig, Pace, ReplayConfig};
    let replay = ReplayConfig { pace: Pace::Fast, ..ReplayConfig::new(video) };
    let mut source = capture::open(&CameraConfig::Replay(replay)).unwrap();
    std::fs::create_dir_all(to).unwrap();
    for n in 0.. {
        let Next::Shot(shot) = source.next_shot().unwrap() else { break };
        std::fs::write(to.join(format!("{n:04}.jpg")), shot.image.into_picture().unwrap().jpeg(92).unwrap()).unwrap();
    }
}

/// Nobody comes.
pub fn nobody(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let doorway = walk::doorway().jpeg(92).unwrap();
    for n in 0..10 {
        std::fs::write(folder.join(format!("{n:04}.jpg")), &doorway).unwrap();
    }
}
