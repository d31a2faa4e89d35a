//! The stage for the tracker's tests: people with a textured face and a shirt in a synthetic picture, and a detector
//! that may miss or invent things. What must hold for every scene is asserted while it is played.

use std::sync::Arc;
use std::time::{Duration, Instant};

use faces::align::ARCFACE;
use faces::detect::Point;
use faces::picture::Picture;
use faces::quality::QualityOptions;

use super::*;
use crate::config::{Subject, TrackConfig};
use crate::detect::Detections;
use chrono::DateTime;

pub const WIDTH: u32 = 640;
pub const HEIGHT: u32 = 360;
pub const RED: [u8; 3] = [40, 40, 180];
pub const BLUE: [u8; 3] = [180, 70, 40];
pub const GREEN: [u8; 3] = [60, 150, 60];

/// Where somebody is at a moment: the centre of the face, its height, and how far it is turned away in degrees.
#[derive(Clone, Copy)]
pub struct Pose {
    pub x: f32,
    pub y: f32,
    pub height: f32,
    pub turn: f32,
}

pub struct Actor {
    pub shirt: [u8; 3],
    /// By seconds; `None` while out of sight.
    pub at: Box<dyn Fn(f32) -> Option<Pose>>,
}

pub fn actor(shirt: [u8; 3], at: impl Fn(f32) -> Option<Pose> + 'static) -> Actor {
    Actor { shirt, at: Box::new(at) }
}

pub fn front(x: f32, y: f32, height: f32) -> Option<Pose> {
    Some(Pose { x, y, height, turn: 0.0 })
}

impl Pose {
    pub fn face(&self) -> Face {
        let width = self.height * 0.75;
        let bbox = Rect { x: self.x - width / 2.0, y: self.y - self.height / 2.0, width, height: self.height };
        let unit = self.height / 90.0;
        let mut landmarks = ARCFACE.map(|p| Point { x: self.x + (p.x - 56.0) * unit, y: self.y + (p.y - 72.0) * unit });
        landmarks[2].x += self.turn.to_radians().tan() * 14.0 * unit;
        Face { bbox, landmarks, score: 0.9 }
    }
}

/// The picture of a moment: the first actor is the furthest away.
pub fn picture(poses: &[([u8; 3], Pose)]) -> Picture {
    let mut bgr = [110u8; 3].repeat((WIDTH * HEIGHT) as usize);
    let mut paint = |rect: Rect, colour: &dyn Fn(u32, u32) -> [u8; 3]| {
        let clip = |v: f32, limit: u32| v.clamp(0.0, limit as f32) as u32;
        for y in clip(rect.y, HEIGHT)..clip(rect.y + rect.height, HEIGHT) {
            for x in clip(rect.x, WIDTH)..clip(rect.x + rect.width, WIDTH) {
                let at = (y * WIDTH + x) as usize * 3;
                bgr[at..at + 3].copy_from_slice(&colour(x, y));
            }
        }
    };
    for (shirt, pose) in poses {
        let b = pose.face().bbox;
        let body = Rect { x: b.x - b.width * 0.6, y: b.y + b.height, width: b.width * 2.2, height: b.height * 4.0 };
        paint(body, &|_, _| *shirt);
        // Features of a sixteenth of the face, at their place in it.
        let skin = |x: u32, y: u32| {
            let cell = |v: u32, from: f32| ((v as f32 - from) / b.height * 16.0) as i32 as u32;
            let mut h = cell(x, b.x).wrapping_mul(0x9e37_79b1) ^ cell(y, b.y).wrapping_mul(0x85eb_ca6b);
            h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
            let light = (h >> 16) as u8 % 90;
            [70 + light / 2, 80 + light, 110 + light]
        };
        paint(b, &skin);
    }
    Picture::new(WIDTH, HEIGHT, bgr).unwrap()
}

/// What came of a scene.
#[derive(Default)]
pub struct Played {
    pub shots: Vec<(Duration, BestShot)>,
    pub ends: Vec<VisitEnd>,
    pub glimpses: u64,
    /// Shots the engine has answered.
    pub answered: usize,
    /// For every actor, the visits its face was given, in turn.
    pub given: Vec<Vec<VisitId>>,
}

pub struct Scene {
    pub actors: Vec<Actor>,
    pub fps: f32,
    pub secs: f32,
    pub config: TrackConfig,
    /// Whether the detector finds an actor at a frame; one behind another is never found.
    pub finds: fn(frame: u32, actor: usize) -> bool,
    /// What the detector finds beside the actors.
    pub invents: fn(frame: u32) -> Vec<Face>,
    /// Which frames the decoder had to make up in part.
    pub damages: fn(frame: u32) -> bool,
    /// What an engine says, [`ANSWERED_AFTER`] it was asked.
    pub answers: Option<fn(&BestShot) -> ShotAnswer>,
}

const ANSWERED_AFTER: Duration = Duration::from_millis(200);

impl Scene {
    pub fn new(actors: Vec<Actor>, secs: f32) -> Self {
        let config = TrackConfig { subject: Subject::Each, ..TrackConfig::default() };
        Self {
            actors,
            fps: 12.5,
            secs,
            config,
            finds: |_, _| true,
            invents: |_| Vec::new(),
            damages: |_| false,
            answers: None,
        }
    }

    pub fn play(&self) -> Played {
        let [mut tracker, mut other] = [(); 2].map(|()| Tracker::new(name(), &self.config, &QualityOptions::default()));
        let mut played = Played { given: vec![Vec::new(); self.actors.len()], ..Played::default() };
        for number in 0..(self.secs * self.fps) as u32 {
            let time = number as f32 / self.fps;
            if let Some(answer) = self.answers {
                let now = Duration::from_secs_f32(time);
                let due = |(at, _): &&(Duration, BestShot)| *at + ANSWERED_AFTER <= now;
                let answered = played.answered;
                for (_, shot) in played.shots.iter().skip(answered).take_while(due) {
                    let feedback = Feedback { shot: shot.number, answer: answer(shot), confirm: None };
                    tracker.hear(shot.visit, feedback);
                    other.hear(shot.visit, feedback);
                    played.answered += 1;
                }
            }
            let present: Vec<(usize, Pose)> =
                self.actors.iter().enumerate().filter_map(|(i, it)| Some((i, (it.at)(time)?))).collect();
            let poses: Vec<_> = present.iter().map(|(i, pose)| (self.actors[*i].shirt, *pose)).collect();
            let hidden = |n: usize| {
                let bbox = present[n].1.face().bbox;
                present[n + 1..].iter().any(|(_, other)| other.face().bbox.iou(&bbox) > 0.25)
            };
            let found: Vec<(usize, Face)> = (0..present.len())
                .filter(|&n| !hidden(n) && (self.finds)(number, present[n].0))
                .map(|n| (present[n].0, present[n].1.face()))
                .collect();
            let mut faces: Vec<Face> = found.iter().map(|(_, face)| face.clone()).collect();
            faces.extend((self.invents)(number));
            faces.sort_by(|a, b| b.bbox.area().total_cmp(&a.bbox.area()));
            let frame = frame(number, Duration::from_secs_f32(time), picture(&poses));
            let frame = Arc::new(Frame { damaged: (self.damages)(number), ..Arc::unwrap_or_clone(frame) });
            let detections = Detections { frame, faces };
            let events = tracker.observe(&detections);
            // To the other it is a frame at which nobody looked.
            let passed = match detections.faces.is_empty() {
                true => other.observe_nobody(detections.frame.time),
                false => other.observe(&detections),
            };
            assert_eq!(events.iter().map(told).collect::<Vec<_>>(), passed.iter().map(told).collect::<Vec<_>>());
            played.take(events, Duration::from_secs_f32(time));
            for (visit, bbox) in tracker.present() {
                if let Some((actor, _)) = found.iter().find(|(_, face)| face.bbox == bbox)
                    && played.given[*actor].last() != Some(&visit)
                {
                    played.given[*actor].push(visit);
                }
            }
        }
        played.take(tracker.finish(), Duration::from_secs_f32(self.secs));
        played.glimpses = tracker.glimpses();
        played
    }
}

impl Played {
    /// Checks on the way what must hold for every scene.
    pub fn take(&mut self, events: Vec<TrackEvent>, now: Duration) {
        for event in events {
            match event {
                TrackEvent::Shot(shot) => {
                    let before: Vec<_> = self.shots.iter().filter(|(_, it)| it.visit == shot.visit).collect();
                    let first = shot.reason == ShotReason::First;
                    assert!(before.is_empty() == first && before.len() < 5, "{:?} after {}", shot.reason, before.len());
                    assert_eq!(usize::from(shot.number), before.len() + 1);
                    assert!(self.ends.iter().all(|end| end.visit != shot.visit), "a shot after the end");
                    self.shots.push((now, shot));
                }
                TrackEvent::Ended(end) => {
                    assert!(self.ends.iter().all(|it| it.visit != end.visit), "ended twice");
                    let shots = self.shots.iter().filter(|(_, it)| it.visit == end.visit).count();
                    assert_eq!((usize::from(end.shots), end.unsent.is_none()), (shots, shots > 0));
                    self.ends.push(end);
                }
            }
        }
    }

    /// Every actor was one visit from beginning to end, and there were no others.
    pub fn assert_one_visit_each(&self, what: &str) {
        let mut visits: Vec<_> = self.given.iter().flatten().collect();
        assert!(self.given.iter().all(|given| given.len() == 1), "{what}: {:?}", self.given);
        visits.sort();
        visits.dedup();
        assert_eq!((visits.len(), self.ends.len()), (self.given.len(), self.given.len()), "{what}");
    }

    pub fn outcomes(&self) -> Vec<&str> {
        self.ends.iter().map(|end| end.unsent.map_or("sent", Unsent::as_str)).collect()
    }
}

/// An event as far as two trackers must agree on it.
fn told(event: &TrackEvent) -> (VisitId, u8, u32) {
    match event {
        TrackEvent::Shot(shot) => (shot.visit, shot.number, shot.frame.seq as u32),
        TrackEvent::Ended(end) => (end.visit, 0, end.frames),
    }
}

pub fn name() -> DetectorName {
    DetectorName::new("door").unwrap()
}

pub fn frame(seq: u32, offset: Duration, picture: Picture) -> Arc<Frame> {
    let utc = DateTime::from_timestamp_millis(1_700_000_000_000).unwrap() + offset;
    let time = CaptureTime { utc, offset, arrived: Instant::now() };
    Arc::new(Frame { detector: name(), seq: u64::from(seq), time, picture: Arc::new(picture), damaged: false })
}

/// The scenes prove nothing of telling people apart unless these can be told apart, and each from itself cannot.
#[test]
fn actors_look_like_themselves_and_unlike_others() {
    let (left, right) = (front(160.0, 120.0, 60.0).unwrap(), front(480.0, 120.0, 60.0).unwrap());
    let both = picture(&[(RED, left), (BLUE, right)]);
    let swapped = picture(&[(BLUE, left), (RED, right)]);
    let look = |picture: &Picture, pose: &Pose| look::Look::of(picture, &pose.face().bbox);
    let distance = |a: &look::Look, b: &look::Look| a.distance(b).unwrap();
    let same = distance(&look(&both, &left), &look(&swapped, &right));
    let other = distance(&look(&both, &left), &look(&both, &right));
    assert!(same < 0.05 && other > 5.0 * same + 0.2, "{same} {other}");
}
