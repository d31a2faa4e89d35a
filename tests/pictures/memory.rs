//! What a picture costs: the most memory the real program has held, by its own operating system's account.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use faces::picture::Picture;

use crate::formats::too_large;
use crate::made::*;
use crate::support::doorward;

/// What a refused picture may cost beside what the program needs anyway.
const REFUSED_BYTES: u64 = 64 << 20;
/// What a picture that is taken may cost for each of its pixels: three bytes as it is used, up to eight as it is
/// stored, and the smaller copies that are searched.
const BYTES_PER_PIXEL: u64 = 12;

/// Runs a command to its end and gives the most memory it held at once, in bytes. The system's own account of an ended
/// child begins with what its parent held, so the figure of the living one is read again and again; it never falls.
fn peak(command: &mut Command) -> u64 {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().expect("the child can be waited for").is_none() {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(peak);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(peak > 0, "nothing was seen of the program");
    peak * 1024
}

fn detect(file: &Path) -> u64 {
    peak(doorward().args(["detect", "--json"]).arg(file))
}

#[test]
fn no_small_file_makes_the_program_large() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let file = dir.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        file
    };
    let usual = detect(&write("usual.jpg", &gradient(64, 48).jpeg(90).unwrap()));
    for (what, bytes, ..) in too_large() {
        let held = detect(&write("file", &bytes));
        assert!(held < usual + REFUSED_BYTES, "{what}: {} MB more than usual", held.saturating_sub(usual) / 1_000_000);
    }
    // A container that says less than the picture inside it, which is what gets decoded.
    let small = gradient(16, 16);
    let mut inside = ORANGE_WEBP.to_vec();
    inside[26..30].copy_from_slice(&[0xff, 0x3f, 0xff, 0x3f]);
    for (what, bytes) in
        [("WebP", webp_saying(&inside, (16, 16), None)), ("lossless WebP", webp_saying(&webp(&small), (8, 8), None))]
    {
        let held = detect(&write("file", &bytes));
        assert!(held < usual + REFUSED_BYTES, "{what}: {} MB more than usual", held.saturating_sub(usual) / 1_000_000);
    }
    // As the pictures of a replay.
    let folder = dir.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("1.jpg"), gradient(64, 48).jpeg(90).unwrap()).unwrap();
    let replay = || peak(doorward().args(["replay", "--dry-run", "--input"]).arg(&folder));
    let usual = replay();
    std::fs::write(folder.join("2.jpg"), disguised_jpeg()).unwrap();
    let held = replay();
    assert!(held < usual + REFUSED_BYTES, "replay: {} MB more than usual", held.saturating_sub(usual) / 1_000_000);
}

#[test]
fn a_large_picture_costs_by_its_pixels_whatever_its_format() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, gradient(64, 48).jpeg(90).unwrap()).unwrap();
    let usual = detect(&file);
    let (width, height) = (6000, 4000);
    let plain = Picture::filled(width, height, [90, 120, 140]);
    for (what, bytes) in [
        ("JPEG", jpeg(&plain, false)),
        ("progressive JPEG", jpeg(&plain, true)),
        ("JPEG in ink", ink_jpeg(&plain)),
        ("lying JPEG", jpeg_lying(&jpeg(&plain, false), 6)),
        ("PNG", plain_png(width, height, 8, 2, false, &[90, 120, 140])),
        ("interlaced PNG of 16 bits with alpha", plain_png(width, height, 16, 6, true, &[90; 8])),
        ("lossless WebP", webp(&plain)),
        ("animated WebP", large_animation(width as u16, height as u16)),
        ("BMP", bmp(&plain, Bitmap::Windows, (width, height))),
        ("OS/2 2 BMP", bmp(&plain, Bitmap::Os2Long, (width, height))),
    ] {
        std::fs::write(&file, &bytes).unwrap();
        let more = detect(&file).saturating_sub(usual);
        let most = u64::from(width) * u64::from(height) * BYTES_PER_PIXEL + REFUSED_BYTES + bytes.len() as u64;
        println!("{what}: {:.1} bytes a pixel", more as f64 / f64::from(width * height));
        assert!(more < most, "{what}: {} MB", more / 1_000_000);
    }
}
