//! What memory a frame takes: none for a frame in which nothing moves, and none of a picture's size for one that is
//! searched.
//!
//! In: the gate and the detector, on frames that follow frames of their kind. Out: how often this thread asked for
//! memory meanwhile, and how much at once. ONNX Runtime's own memory is not Rust's, and is not counted; the handles that
//! `ort` makes of a run's outputs are.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use doorward::capture::{Image, View};
use doorward::config::{CameraConfig, ReplayConfig, ViewConfig};
use doorward::detect::{Gate, Look};
use faces::detect::{self, Rect, SearchOptions};
use faces::models::ModelStore;
use faces::picture::{Interpolation, Picture};

/// The system's allocator, counted.
struct Counted;

#[global_allocator]
static ALLOCATOR: Counted = Counted;

thread_local! {
    /// Requests of this thread, and the largest of them in bytes.
    static ASKED: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

// SAFETY: everything is the system's allocator's; counting takes no memory, because the cell needs none.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that ends has no cell any more.
        let _ = ASKED.try_with(|asked| {
            let (count, largest) = asked.get();
            asked.set((count + 1, largest.max(layout.size())));
        });
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// How often memory was asked for meanwhile, and the most at once.
fn asked(work: impl FnOnce()) -> (usize, usize) {
    ASKED.set((0, 0));
    work();
    ASKED.get()
}

/// A still scene with shapes.
fn scene(width: u32, height: u32) -> Picture {
    let pixel = |n: u32| (60 + 40 * ((n % width / 40 + n / width / 60) % 3)) as u8;
    Picture::new(width, height, (0..width * height).flat_map(|n| [pixel(n); 3]).collect()).unwrap()
}

#[test]
fn a_frame_in_which_nothing_moves_takes_none() {
    let camera = CameraConfig::Replay(ReplayConfig::new("clip.mp4"));
    let view = View::new(&camera, &ViewConfig::default());
    let image = Image::from(scene(640, 480));
    let mut gate = Gate::default();
    let mut look = |n: u64| gate.look(&image, &view, Duration::from_millis(66 * n));
    let before: Vec<Look> = (0..100).map(&mut look).collect();
    assert_eq!(before[0], Look::Everywhere);
    let mut looks = Vec::with_capacity(100);
    let asked = asked(|| looks.extend((100..200).map(look)));
    assert_eq!(asked.0, 0, "{asked:?}");
    assert!(looks.iter().filter(|look| **look == Look::Nowhere).count() > 90);
}

#[test]
fn a_frame_that_is_searched_takes_none_of_a_pictures_size() {
    let store = ModelStore::locate(None);
    let mut detector = detect::load(&store, &SearchOptions::default(), 1).unwrap();
    for (width, height) in [(640, 480), (1280, 720), (1920, 1080)] {
        let nobody = scene(width, height);
        let part = Rect { x: 200.0, y: 100.0, width: 100.0, height: 100.0 };
        let mut frame = || {
            let faces = detector.detect(&nobody).unwrap().len() + detector.detect_part(&nobody, &part).unwrap().len();
            assert_eq!(faces, 0);
        };
        (0..3).for_each(|_| frame());
        let (count, largest) = asked(|| (0..10).for_each(|_| frame()));
        println!("{width}x{height}: {} times a frame, at most {largest} bytes", count / 10);
        // Four runs of the network, each of a dozen outputs.
        assert!(count / 10 <= 4 * 64 && largest <= 4096, "{width}x{height}: {count} of at most {largest}");
    }
}

#[test]
fn a_face_takes_no_more_than_its_numbers() {
    let store = ModelStore::locate(None);
    let mut detector = detect::load(&store, &SearchOptions::default(), 1).unwrap();
    let photo = Picture::read(&store.picture("astronaut").unwrap()).unwrap();
    let photo = photo.resized(640, 640, Interpolation::Area).unwrap();
    let mut frame = || assert!(!detector.detect(&photo).unwrap().is_empty());
    // Every fourth looks again at what may be a face.
    (0..8).for_each(|_| frame());
    let (_, largest) = asked(|| (0..3).for_each(|_| frame()));
    assert!(largest <= 16_384, "{largest}");
}
