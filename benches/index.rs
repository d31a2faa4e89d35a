//! One exact top-1 match on one core, against numpy's `matrix @ vector` in single precision, in the same run.
//!
//! Prints a table over 1,000 to 1,000,000 vectors of 128 values. Ends with an error when numpy is there and the match
//! among 100,000 is not at least twice as fast, or its index takes 80 MB or more.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use engine::index::{Entry, Index};
use faces::embed::Metric;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

const DIMENSIONS: usize = 128;
const PROBES: usize = 31;
/// The size the limits are for.
const MEASURED: usize = 100_000;
const MEMORY_LIMIT_MB: f64 = 80.0;

fn main() -> ExitCode {
    // `cargo test --benches` only wants to see it build and start.
    let sizes: &[usize] = match std::env::args().any(|argument| argument == "--bench") {
        true => &[1_000, 10_000, MEASURED, 1_000_000],
        false => &[1_000],
    };
    println!("{:>9} {:>10} {:>10} {:>10} {:>8}", "vectors", "median ms", "numpy ms", "times", "MB");
    let mut good = true;
    for &size in sizes {
        let (median, megabytes) = measure(size);
        let numpy = numpy(size);
        let times = numpy.map(|numpy| numpy / median);
        let cell = |value: Option<f64>, digits: usize| value.map_or("-".into(), |value| format!("{value:.digits$}"));
        println!("{size:>9} {median:>10.3} {:>10} {:>10} {megabytes:>8.1}", cell(numpy, 3), cell(times, 1));
        if size == MEASURED {
            good = times.is_none_or(|times| times >= 2.0) && megabytes < MEMORY_LIMIT_MB;
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The median time of a match in milliseconds, and what the index added to the process in megabytes.
fn measure(size: usize) -> (f64, f64) {
    let mut rng = StdRng::seed_from_u64(1);
    let mut vector = move || (0..DIMENSIONS).map(|_| rng.random_range(-1.0f32..1.0)).collect::<Vec<_>>();
    let before = resident_mb();
    let mut index = Index::new(Metric::Cosine, DIMENSIONS);
    for n in 0..size as u128 {
        let entry = Entry { face: Uuid::from_u128(n), person: Some(Uuid::from_u128(n)) };
        index.insert(entry, &vector()).expect("a random vector is comparable");
    }
    let megabytes = resident_mb() - before;
    let mut times: Vec<_> = (0..PROBES)
        .map(|_| {
            let probe = vector();
            let started = Instant::now();
            std::hint::black_box(index.nearest(&probe).expect("a random vector is comparable"));
            started.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[PROBES / 2], megabytes)
}

/// The same in numpy, on one thread; `None` without it.
fn numpy(size: usize) -> Option<f64> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/venv/bin/python");
    let output = Command::new(python).arg(root.join("benches/index_numpy.py")).arg(size.to_string()).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

fn resident_mb() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let resident = pages.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok());
    resident.unwrap_or(0.0) * 4096.0 / 1e6
}
