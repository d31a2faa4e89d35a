//! What following faces costs: quality of one face, and a frame with five of them.
//!
//! The budget is a frame every 66 ms (15 a second) of which detection takes the most: quality well under a millisecond
//! a face, tracking five of them a few.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::DateTime;
use criterion::{Criterion, criterion_group, criterion_main};
use doorward::capture::{CaptureTime, Frame};
use doorward::config::{DetectorName, TrackConfig};
use doorward::detect::Detections;
use doorward::track::Tracker;
use faces::align::ARCFACE;
use faces::detect::{Face, Point, Rect};
use faces::picture::Picture;
use faces::quality;
use faces::quality::QualityOptions;

fn face(x: f32, y: f32, height: f32) -> Face {
    let unit = height / 112.0;
    Face {
        bbox: Rect { x, y, width: height * 0.75, height },
        landmarks: ARCFACE.map(|p| Point { x: x + (p.x - 14.0) * unit, y: y + p.y * unit }),
        score: 0.9,
    }
}

/// 1280x720, with detail everywhere.
fn picture() -> Picture {
    let value = |i: u32| {
        let h = (i / 9).wrapping_mul(0x9e37_79b1);
        60 + ((h ^ (h >> 15)) >> 16) as u8 % 140
    };
    Picture::new(1280, 720, (0..1280 * 720 * 3).map(value).collect()).expect("the size fits")
}

fn measure(criterion: &mut Criterion) {
    let (picture, limits) = (picture(), QualityOptions::default());
    for height in [50.0, 100.0, 600.0] {
        let face = face(100.0, 50.0, height);
        criterion.bench_function(&format!("quality of a face of {height} px"), |bencher| {
            bencher.iter(|| quality::measure(black_box(&picture), black_box(&face), &limits));
        });
    }
}

fn observe(criterion: &mut Criterion) {
    let picture = Arc::new(picture());
    let name = DetectorName::new("door").expect("a valid name");
    for people in [1, 5, 20] {
        let mut tracker = Tracker::new(name.clone(), &TrackConfig::default(), &QualityOptions::default());
        let mut number = 0u32;
        criterion.bench_function(&format!("a frame with {people} faces"), |bencher| {
            bencher.iter(|| {
                number += 1;
                let offset = Duration::from_millis(u64::from(number) * 66);
                let time = CaptureTime { utc: DateTime::UNIX_EPOCH + offset, offset, arrived: Instant::now() };
                let frame = Frame {
                    detector: name.clone(),
                    seq: number.into(),
                    time,
                    picture: picture.clone(),
                    damaged: false,
                };
                let sway = (number as f32 * 0.2).sin() * 15.0;
                let place = |i: u32| ((i % 7) as f32 * 170.0 + 40.0 + sway, (i / 7) as f32 * 220.0 + 20.0);
                let faces = (0..people).map(|i| face(place(i).0, place(i).1, 100.0)).collect();
                tracker.observe(black_box(&Detections { frame: Arc::new(frame), faces }))
            });
        });
    }
}

criterion_group!(benches, measure, observe);
criterion_main!(benches);
