//! What a camera shows when all is well: the clips of the shared test data, or scenes made of the demo's pictures.
//!
//! In: nothing. Out: short loops of frames with their rate. A made scene is a photograph with somebody who walks to and
//! fro in front of it, changing light, and a sensor's noise.

use std::path::{Path, PathBuf};

use doorward::capture::{self, CameraSource, Next, ShotTime};
use doorward::config::{CameraConfig, Pace, ReplayConfig};
use faces::models::ModelStore;
use faces::picture::{Interpolation, Picture};

use super::changes::{self, Dice};

/// A loop of frames.
pub struct Scene {
    pub name: String,
    pub frames: Vec<Picture>,
    pub fps: f32,
    /// There are shapes all over it, and not only where people are.
    pub rich: bool,
}

/// The clips, with whether there are shapes all over them.
pub const CLIPS: [(&str, bool); 8] = [
    ("classroom.mjpg.avi", true),
    ("face-demographics-walking.mjpg.avi", true),
    ("one-by-one-person-detection.mp4", true),
    ("head-pose-face-detection-female-and-male.mjpg.avi", true),
    ("face-demographics-walking-and-pause.mjpg.avi", true),
    ("bottle-detection.mp4", false),
    ("head-pose-face-detection-male.mjpg.avi", false),
    ("head-pose-face-detection-female.mjpg.avi", false),
];
/// Of a long clip so many frames are looped.
const FRAMES: usize = 24;
/// Frames that follow sooner are not looked at, and not made here.
const APART_SECS: f32 = 0.2;
/// The size and rate of made scenes.
const MADE: (u32, u32) = (480, 270);
const MADE_FPS: f32 = 4.0;
const MADE_FRAMES: u32 = 16;

/// The beginning of a clip, in the frames that are looked at.
pub fn clip(file: &Path, rich: bool) -> Scene {
    let mut frames = Vec::new();
    let mut positions = Vec::new();
    play(file, |_, picture, seconds| {
        if positions.last().is_none_or(|last| seconds - last >= APART_SECS) {
            frames.push(picture);
            positions.push(seconds);
        }
        frames.len() < FRAMES
    });
    let fps = (frames.len() - 1) as f32 / positions[frames.len() - 1];
    Scene { name: file.file_stem().unwrap().to_string_lossy().into(), frames, fps, rich }
}

/// Plays a file once: the number of each frame, its picture and its time in seconds, until `false` comes back.
pub fn play(file: &Path, mut each: impl FnMut(usize, Picture, f32) -> bool) {
    let replay = ReplayConfig { pace: Pace::Fast, ..ReplayConfig::new(file) };
    let mut source: Box<dyn CameraSource> = capture::open(&CameraConfig::Replay(replay)).unwrap();
    let mut number = 0;
    loop {
        let (picture, position) = match source.next_shot().unwrap() {
            Next::End => return,
            Next::Shot(shot) => match shot.time {
                ShotTime::Recording { position, .. } => (shot.image.into_picture().unwrap(), position),
                ShotTime::Arrival => panic!("a recording has its own clock"),
            },
            Next::NotDue | Next::Skipped(_) | Next::Lost(_) => continue,
        };
        if !each(number, picture, position.as_secs_f32()) {
            return;
        }
        number += 1;
    }
}

/// Scenes of the pictures every machine has.
pub fn made() -> Vec<Scene> {
    let (width, height) = MADE;
    let visitor = visitor();
    let photographs = ["sample3", "sample4", "sample5", "sample6"];
    let scene = |(number, name): (usize, &&str)| {
        let photograph = Picture::read(&picture(name)).unwrap();
        // Its upper part, so that nothing is squeezed.
        let part = photograph.cropped(0, 0, photograph.width(), photograph.width() * height / width).unwrap();
        let wall = part.resized(width, height, Interpolation::Area).unwrap();
        let mut dice = Dice::new(number as u64);
        let frame = |frame: u32| {
            let phase = frame as f32 / MADE_FRAMES as f32 * std::f32::consts::TAU;
            let (left, light) = (0.35 + 0.3 * phase.sin(), 1.0 + 0.03 * (2.0 * phase).cos());
            let walks = changes::person(&wall, &visitor, [left, 0.25, left + 0.42, 1.0]);
            changes::noise(&changes::brighter(&walks, light, 0.0), 1.5, &mut dice)
        };
        let frames = (0..MADE_FRAMES).map(frame).collect();
        Scene { name: format!("made of {name}"), frames, fps: MADE_FPS, rich: true }
    };
    photographs.iter().enumerate().map(scene).collect()
}

/// Whoever stands in front.
pub fn visitor() -> Picture {
    Picture::read(&picture("astronaut")).unwrap()
}

fn picture(name: &str) -> PathBuf {
    ModelStore::locate(None).picture(name).expect("`make models` fetches the demo's pictures")
}
