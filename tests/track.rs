//! From recordings to visits: the clips of the shared test data through capture, detection and tracking.
//!
//! Every detector model that is there must give the right visits, whichever frames are lost, cut off, played
//! backwards or mirrored. The photos of the shared test data show what the parts of quality are worth.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::DateTime;
use doorward::capture::{self, CaptureTime, Frame, Next, ShotTime};
use doorward::config::{CameraConfig, CropConfig, DetectorName, Pace, ReplayConfig, Subject, TrackConfig};
use doorward::crop;
use doorward::detect::Detections;
use doorward::track::{BestShot, ShotReason, TrackEvent, Tracker, Unsent, VisitEnd};
use faces::detect::SearchOptions;
use faces::detect::{self, Face, FaceDetector};
use faces::models::{ModelStore, Presence, Role};
use faces::picture::{Border, Interpolation, MAX_PIXELS, Picture};
use faces::quality::QualityOptions;
use faces::quality::{self, Quality};

#[path = "support/shared.rs"]
mod shared;
use shared::shared;

const DOOR: &str = "face-demographics-walking-and-pause.mjpg.avi";
const WALKING: &str = "face-demographics-walking.mjpg.avi";
const FEMALE: &str = "head-pose-face-detection-female.mjpg.avi";
const MALE: &str = "head-pose-face-detection-male.mjpg.avi";
const BOTH: &str = "head-pose-face-detection-female-and-male.mjpg.avi";
const CLASSROOM: &str = "classroom.mjpg.avi";
const BOTTLES: &str = "bottle-detection.mp4";

/// A picture and when it was taken, from the first one on.
type Taken = (Arc<Picture>, Duration);
/// A picture, when it was taken, and its faces.
type Seen = (Arc<Picture>, Duration, Vec<Face>);

#[test]
fn three_people_at_a_door_are_three_visits_with_one_or_two_shots_each() {
    for (model, seen) in with_every_detector(DOOR, 1, |taken| taken) {
        for (how, frames) in mishaps(&seen) {
            let (shots, ends) = play(&frames, Subject::Each);
            assert_eq!(ends.len(), 3, "{model}, {how}: {ends:?}");
            assert!(ends.iter().all(|end| (1..=2).contains(&end.shots)), "{model}, {how}: {ends:?}");
            assert_well_chosen(&shots, &ends, &format!("{model}, {how}"));
        }
        // They walk up side by side: the largest one is sent first, and nobody is forgotten.
        let (shots, ends) = play(&seen, Subject::Largest);
        assert!(ends.len() == 3 && ends.iter().all(|end| end.unsent.is_none()), "{model}: {ends:?}");
        let (at, first) = &shots[0];
        let larger = first.others.iter().filter(|other| other.area() > first.face.bbox.area()).count();
        assert_eq!(larger, 0, "{model}: at {at:?}");
    }
    for (model, seen) in with_every_detector(DOOR, 1, |taken| taken.into_iter().map(mirrored).collect()) {
        assert_eq!(play(&seen, Subject::Each).1.len(), 3, "{model}, mirrored");
    }
}

#[test]
fn one_person_is_one_visit_and_two_turning_heads_are_two() {
    for (clip, people) in [(FEMALE, 1), (MALE, 1), (BOTH, 2)] {
        for (model, seen) in with_every_detector(clip, 1, |taken| taken) {
            for (how, frames) in mishaps(&seen) {
                let (shots, ends) = play(&frames, Subject::Each);
                assert_eq!(ends.len(), people, "{clip}, {model}, {how}: {ends:?}");
                // The two hold their heads more and more aslant: who comes late finds nothing worth sending.
                let all_sent = ends.iter().all(|end| end.shots >= 1);
                assert!(all_sent || (clip == BOTH && how != "as it is"), "{clip}, {model}, {how}: {ends:?}");
                assert_well_chosen(&shots, &ends, &format!("{clip}, {model}, {how}"));
            }
        }
    }
}

#[test]
fn people_too_far_away_are_visits_without_a_shot() {
    // At the far end of a corridor a third person shows now and then, to some detectors.
    for (clip, people) in [(WALKING, 2..=3), (CLASSROOM, 4..=4)] {
        for (model, seen) in with_every_detector(clip, 1, |taken| taken) {
            let (shots, ends) = play(&seen, Subject::Each);
            assert!(shots.is_empty() && people.contains(&ends.len()), "{clip}, {model}: {ends:?}");
            assert!(ends.iter().all(|end| end.unsent == Some(Unsent::TooSmall)), "{clip}, {model}: {ends:?}");
            assert!(ends.iter().all(|end| (10.0..48.0).contains(&end.largest_px)), "{clip}, {model}: {ends:?}");
        }
    }
}

#[test]
fn bottles_are_nobody() {
    for (model, seen) in with_every_detector(BOTTLES, 5, |taken| taken) {
        let (shots, ends) = play(&seen, Subject::Each);
        assert!(shots.is_empty() && ends.is_empty(), "{model}: {ends:?}");
    }
}

#[test]
fn the_crop_of_a_visit_shows_its_face_and_no_other() {
    let config = CropConfig::default();
    for (model, mut detector) in detectors() {
        let Some(taken) = recording(DOOR) else { return };
        let seen = detect(&taken, &mut detector);
        for (_, shot) in play(&seen, Subject::Each).0 {
            let sighting = crop::cut(&shot, None, &config, chrono_tz::Tz::UTC, true).unwrap();
            let crop = Picture::decode(&sighting.expanded, MAX_PIXELS).unwrap();
            let faces = detector.detect(&crop).unwrap();
            assert_eq!(faces.len(), 1, "{model}: {faces:?}");
            assert!(faces[0].bbox.iou(&sighting.face) > 0.6, "{model}: {:?} at {:?}", faces[0].bbox, sighting.face);
            let chip = Picture::decode(&sighting.aligned.unwrap(), MAX_PIXELS).unwrap();
            assert_eq!((chip.width(), chip.height()), (112, 112));
        }
    }
}

#[test]
fn a_photo_is_worth_less_blurred_dark_bright_small_or_cut_off() {
    let Some(photos) = shared("photos/johns") else { return };
    let limits = QualityOptions::default();
    let mut detector = detectors().remove(0).1;
    let (mut sharp, mut photographed) = (0, 0);
    type Damage = (&'static str, fn(&Picture, &Face) -> Picture, fn(&Quality) -> f32);
    let damages: [Damage; 6] = [
        ("blurred", |it, _| blurred(it, 7.0), |it| it.sharpness.score),
        ("dark", |it, _| changed(it, |value| value * 0.1), |it| it.exposure.score),
        ("overexposed", |it, _| changed(it, |value| value * 4.0 + 100.0), |it| it.exposure.score),
        ("without contrast", |it, _| changed(it, |value| 120.0 + (value - 120.0) * 0.06), |it| it.contrast.score),
        ("cut off at the nose", |it, face| left_of(it, face.landmarks[2].x), |it| it.truncation.score),
        ("cut off at the mouth", |it, face| above(it, face.landmarks[3].y - 3.0), |it| it.truncation.score),
    ];
    for file in jpegs(&photos) {
        let picture = Picture::read(&file).unwrap();
        let Some(face) = detector.detect(&picture).unwrap().into_iter().next() else { continue };
        let whole = quality::measure(&picture, &face, &limits);
        photographed += 1;
        sharp += u32::from(whole.total >= 0.6);
        for (damage, apply, part) in &damages {
            let worse = quality::measure(&apply(&picture, &face), &face, &limits);
            assert!(worse.total < whole.total, "{file:?}, {damage}: {} after {}", worse.total, whole.total);
            assert!(part(&worse) < 0.7, "{file:?}, {damage}: {worse:?}");
        }
        // The same face further away, and even further.
        let far = [80.0, 60.0, 40.0, 20.0].map(|height| {
            let scale = height / face.bbox.height;
            let side = |length: u32| (length as f32 * scale).round() as u32;
            let small = picture.resized(side(picture.width()), side(picture.height()), Interpolation::Area).unwrap();
            quality::measure(&small, &scaled(&face, scale), &limits).total
        });
        assert!(far.is_sorted_by(|near, far| near > far) && whole.total > far[0], "{file:?}: {far:?}");
    }
    assert!(photographed >= 50, "faces were found in {photographed} photos");
    assert!(sharp * 100 >= photographed * 95, "of {photographed} good photos {sharp} are called good");
}

#[test]
fn a_head_that_turns_to_the_camera_gains() {
    for (model, seen) in with_every_detector(FEMALE, 1, |taken| taken) {
        let limits = QualityOptions::default();
        let pose = |number: usize| {
            let (picture, _, faces) = &seen[number];
            quality::measure(picture, &faces[0], &limits).pose
        };
        // She looks far to the side, across the camera, to the other side, and back to the camera.
        assert!(pose(0).value > 40.0 && pose(9).value < 25.0 && pose(18).value < 25.0, "{model}");
        assert!(pose(13).value > pose(9).value + 10.0, "{model}: {:?} and {:?}", pose(13), pose(9));
        assert!(pose(0).score < 0.6 && pose(9).score > 0.9, "{model}");
    }
}

/// A first shot good enough to be sent, in time; a second one clearly better; the frames really of that visit.
fn assert_well_chosen(shots: &[(Duration, BestShot)], ends: &[VisitEnd], what: &str) {
    let (config, limits) = (TrackConfig::default(), QualityOptions::default());
    for end in ends.iter().filter(|end| end.shots > 0) {
        let mut of_visit = shots.iter().filter(|(_, shot)| shot.visit == end.visit);
        let first = of_visit.next().unwrap_or_else(|| panic!("{what}: no first shot"));
        assert!(first.1.quality.good_enough(&limits) && first.1.reason == ShotReason::First, "{what}");
        if let Some((_, better)) = of_visit.next() {
            assert!(better.quality.total >= first.1.quality.total + config.better_by, "{what}");
        }
        for (at, shot) in shots.iter().filter(|(_, shot)| shot.visit == end.visit) {
            let taken = shot.frame.time.offset;
            assert!(end.first_seen.offset <= taken && taken <= *at && taken <= end.last_seen.offset, "{what}");
        }
    }
}

/// What happens to recordings: frames are lost, the beginning is missing, time runs backwards, faces are missed.
fn mishaps(seen: &[Seen]) -> Vec<(String, Vec<Seen>)> {
    let mut played = vec![("as it is".to_string(), seen.to_vec())];
    for every in [2, 3, 5] {
        for from in 0..2 {
            let thin = seen.iter().skip(from).step_by(every).cloned().collect();
            played.push((format!("every {every}th frame from {from}"), thin));
        }
    }
    for from in [1, 4, 9] {
        played.push((format!("without the first {from}"), seen[from..].to_vec()));
    }
    let end = seen.last().map_or(Duration::ZERO, |(_, at, _)| *at);
    let backwards = seen.iter().rev().map(|(picture, at, faces)| (picture.clone(), end - *at, faces.clone()));
    played.push(("backwards".into(), backwards.collect()));
    for seed in 1..4u32 {
        // A third of all faces, by a small generator of its own so that every run is the same.
        let mut state = seed;
        let mut found = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % 3 != 0
        };
        let missed = seen
            .iter()
            .map(|(picture, at, faces)| (picture.clone(), *at, faces.iter().filter(|_| found()).cloned().collect()));
        played.push((format!("a third of the faces missed, {seed}"), missed.collect()));
    }
    played
}

/// Runs the tracker over a recording; shots with the time they were sent at.
fn play(seen: &[Seen], subject: Subject) -> (Vec<(Duration, BestShot)>, Vec<VisitEnd>) {
    let name = DetectorName::new("door").unwrap();
    let config = TrackConfig { subject, ..TrackConfig::default() };
    let mut tracker = Tracker::new(name.clone(), &config, &QualityOptions::default());
    let (mut shots, mut ends) = (Vec::new(), Vec::new());
    let mut take = |at: Duration, events: Vec<TrackEvent>| {
        for event in events {
            match event {
                TrackEvent::Shot(shot) => shots.push((at, shot)),
                TrackEvent::Ended(end) => ends.push(end),
            }
        }
    };
    for (seq, (picture, at, faces)) in seen.iter().enumerate() {
        let utc = DateTime::from_timestamp_millis(1_700_000_000_000).unwrap() + *at;
        let time = CaptureTime { utc, offset: *at, arrived: Instant::now() };
        let frame = Frame { detector: name.clone(), seq: seq as u64, time, picture: picture.clone(), damaged: false };
        take(*at, tracker.observe(&Detections { frame: Arc::new(frame), faces: faces.clone() }));
    }
    take(Duration::MAX, tracker.finish());
    (shots, ends)
}

/// Every `every`th frame of a clip, changed, as each detector sees it; nothing when the clip is not there.
fn with_every_detector(clip: &str, every: usize, change: fn(Vec<Taken>) -> Vec<Taken>) -> Vec<(String, Vec<Seen>)> {
    let Some(taken) = recording(clip) else { return Vec::new() };
    let taken: Vec<Taken> = change(taken.into_iter().step_by(every).collect());
    detectors().into_iter().map(|(name, mut detector)| (name, detect(&taken, &mut detector))).collect()
}

fn detect(taken: &[Taken], detector: &mut FaceDetector) -> Vec<Seen> {
    taken.iter().map(|(picture, at)| (picture.clone(), *at, detector.detect(picture).unwrap())).collect()
}

/// Every detector model whose file is there; at least one must be.
fn detectors() -> Vec<(String, FaceDetector)> {
    let store = ModelStore::locate(None);
    let present = store.manifest().preference(Role::Detector).into_iter();
    let present = present.filter(|entry| store.presence(entry) == Presence::Present);
    let detectors: Vec<_> = present
        .map(|entry| {
            let config = SearchOptions { model: entry.name.clone(), ..SearchOptions::default() };
            (entry.name.clone(), detect::load(&store, &config, 1).unwrap())
        })
        .collect();
    assert!(
        !detectors.is_empty(),
        "there is no detector model in {}; `make models` fetches one",
        store.dir().display()
    );
    detectors
}

/// All frames of a clip through the replay source, as fast as possible.
fn recording(clip: &str) -> Option<Vec<Taken>> {
    let config = ReplayConfig {
        path: shared(&format!("video/{clip}"))?,
        pace: Pace::Fast,
        fps: None,
        looped: false,
        starts_at: Some(DateTime::UNIX_EPOCH),
        rotate: 0,
    };
    let mut source = capture::open(&CameraConfig::Replay(config)).unwrap();
    let mut taken = Vec::new();
    loop {
        match source.next_shot().unwrap() {
            Next::Shot(shot) => {
                let ShotTime::Recording { position, .. } = shot.time else { panic!("a recording has its own clock") };
                taken.push((Arc::new(shot.image.into_picture().unwrap()), position));
            }
            Next::Skipped(skipped) => panic!("{}", skipped.what),
            Next::Lost(frames) => panic!("{frames} frames of {clip} are lost"),
            Next::NotDue => panic!("all were asked for"),
            Next::End => break,
        }
    }
    assert!(taken.len() > 20, "{clip} has {} frames", taken.len());
    Some(taken)
}

fn jpegs(folder: &Path) -> Vec<PathBuf> {
    let people = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        people.flat_map(|person| std::fs::read_dir(person).unwrap().map(|entry| entry.unwrap().path())).collect();
    files.retain(|file| file.extension().is_some_and(|it| it == "jpg"));
    files.sort();
    files
}

fn mirrored((picture, at): Taken) -> Taken {
    let across = [[-1.0, 0.0, f64::from(picture.width()) - 1.0], [0.0, 1.0, 0.0]];
    (Arc::new(picture.warped(&across, picture.width(), picture.height(), Border::Black).unwrap()), at)
}

/// Shrunk by a factor and enlarged again.
fn blurred(picture: &Picture, factor: f32) -> Picture {
    let side = |length: u32| (length as f32 / factor).round() as u32;
    let small = picture.resized(side(picture.width()), side(picture.height()), Interpolation::Area).unwrap();
    small.resized(picture.width(), picture.height(), Interpolation::Linear).unwrap()
}

fn changed(picture: &Picture, change: impl Fn(f32) -> f32) -> Picture {
    let bgr = picture.bgr().iter().map(|&value| change(f32::from(value)).clamp(0.0, 255.0) as u8).collect();
    Picture::new(picture.width(), picture.height(), bgr).unwrap()
}

fn left_of(picture: &Picture, x: f32) -> Picture {
    picture.cropped(0, 0, x as u32, picture.height()).unwrap()
}

fn above(picture: &Picture, y: f32) -> Picture {
    picture.cropped(0, 0, picture.width(), y as u32).unwrap()
}

fn scaled(face: &Face, by: f32) -> Face {
    let mut face = face.clone();
    for length in [&mut face.bbox.x, &mut face.bbox.y, &mut face.bbox.width, &mut face.bbox.height] {
        *length *= by;
    }
    for point in &mut face.landmarks {
        (point.x, point.y) = (point.x * by, point.y * by);
    }
    face
}
