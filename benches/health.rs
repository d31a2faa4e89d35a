//! What watching a camera's picture costs, a frame of 640x480 at 15 a second.
//!
//! The budget is 0.3 ms a frame on average, beside a detection that takes 5. One frame in three is read, and every two
//! seconds what was read is compared with the scene: which is found at once while all is well, and searched for in
//! vain, turned and shifted, while something else is there by another light.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use doorward::capture::{Lens, LensWatch};
use faces::picture::Picture;

const FPS: u32 = 15;
/// Frames that differ, as a camera's do.
const FRAMES: u32 = 16;
/// How long the scene is learned first.
const LEARNED_SECS: u32 = 70;

/// Blocks of different brightness and size, under a sensor's noise; `seed` says which and where.
fn picture(seed: u32, noise: u32, darker: u32) -> Picture {
    let hash = |n: u32| {
        let n = n.wrapping_mul(0x9e37_79b1);
        (n ^ (n >> 15)).wrapping_mul(0x85eb_ca77) >> 16
    };
    let value = |at: u32| {
        let (x, y) = (at / 3 % 640, at / 3 / 640);
        let block = hash(x / 37 + 1000 * (y / 29) + 100_000 * seed) % 150 + hash(x / 11 + 2000 * (y / 90) + seed) % 40;
        ((30 + block + hash(at + 1_000_003 * noise) % 5) / darker) as u8
    };
    Picture::new(640, 480, (0..640 * 480 * 3).map(value).collect()).expect("the size fits")
}

fn observe(criterion: &mut Criterion) {
    let frames = |seed, darker| (0..FRAMES).map(|noise| picture(seed, noise, darker)).collect::<Vec<_>>();
    let scene = frames(1, 1);
    for (name, shown) in [("all is well", frames(1, 1)), ("the scene is searched for", frames(2, 3))] {
        let mut watch = LensWatch::new();
        let mut number = 0;
        let mut show = |frames: &[Picture]| {
            let offset = Duration::from_secs(1) * number / FPS;
            let lens = watch.observe(black_box(&frames[(number % FRAMES) as usize]), offset);
            number += 1;
            lens
        };
        (0..LEARNED_SECS * FPS).for_each(|_| assert_eq!(show(&scene), Lens::Clear));
        criterion.bench_function(&format!("a frame while {name}"), |bencher| bencher.iter(|| show(&shown)));
    }
}

criterion_group!(benches, observe);
criterion_main!(benches);
