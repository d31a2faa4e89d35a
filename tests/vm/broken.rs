//! Faults that vivid injects, and vivid taken out of the kernel again and again.

use std::path::Path;
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use doorward::capture::CameraState;
use doorward::config::{CameraConfig, ControlValue, PixelFormat, V4l2Config};

use crate::watched::{PATIENCE, Watched, metric};
use crate::{DEVICE, camera, control, run, watch, watch_camera};

/// How often the module is taken out and put back.
const RELOADS: usize = 20;

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Panics so far, also those that a camera's thread survives.
fn panics() -> usize {
    static COUNT: Once = Once::new();
    COUNT.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            told(panic);
        }));
    });
    PANICS.load(Ordering::SeqCst)
}

fn seen(camera: &Watched) -> usize {
    camera.frames.lock().unwrap().len()
}

/// Waits for a fault that says this, and for frames after it.
fn comes_back_from(camera: &Watched, fault: &str, inject: impl FnOnce()) {
    let before = seen(camera);
    inject();
    camera.wait_for(|state| matches!(state, CameraState::Failed { reason, .. } if reason.contains(fault)));
    camera.wait_for_frames(before.max(seen(camera)) + 2);
}

#[test]
fn a_camera_comes_back_from_every_fault_of_its_driver() {
    let before = panics();
    let camera = watch("faults", DEVICE, PixelFormat::Yuyv, 320, 180);
    camera.wait_for_frames(2);
    comes_back_from(&camera, "cannot read a frame from", || control("inject_vidioc_qbuf_error", 1));
    comes_back_from(&camera, "cannot read a frame from", || control("inject_fatal_streaming_error", 1));
    // Two that strike while the camera is opened again.
    comes_back_from(&camera, "cannot get buffers from", || {
        control("inject_vidioc_reqbufs_error", 1);
        control("inject_fatal_streaming_error", 1);
    });
    comes_back_from(&camera, "cannot read a frame from", || {
        control("inject_vidioc_streamon_error", 1);
        control("disconnect", 1);
    });
    assert_eq!(panics(), before);

    // Frames that are lost or broken are no reason to open it again.
    let reopened = || metric("doorward_capture_reconnects_total{detector=\"faults\"}");
    let (times, frames) = (reopened(), seen(&camera));
    control("percentage_of_dropped_buffers", 50);
    control("inject_v4l2_buf_flag_error", 1);
    camera.wait_for_frames(frames + 8);
    control("percentage_of_dropped_buffers", 0);
    assert_eq!(reopened(), times);
    let frames = camera.stop();
    assert!(frames.windows(2).all(|pair| pair[0].seq < pair[1].seq && pair[0].time.offset <= pair[1].time.offset));
    assert_eq!(panics(), before);
}

#[test]
fn a_driver_that_is_taken_out_and_put_back_leaves_nothing_behind() {
    let before = panics();
    let red = [("test_pattern", "100_red"), ("osd_text_mode", "none")];
    let controls = red.map(|(name, entry)| (name.to_owned(), ControlValue::Entry(entry.into()))).into();
    let config = V4l2Config { controls, ..camera(DEVICE, PixelFormat::Yuyv, 320, 180) };
    let camera = watch_camera("reloaded", CameraConfig::V4l2(config));
    camera.wait_for_frames(1);
    let held = (entries("/proc/self/task"), entries("/proc/self/fd"));
    for _ in 0..RELOADS {
        let frames = seen(&camera);
        reload();
        camera.wait_for_frames(frames + 1);
        let shown = camera.frames.lock().unwrap().last().unwrap().picture.clone();
        let [blue, green, red] = shown.row(90)[480..483] else { unreachable!() };
        assert!(red > 150 && blue < 90 && green < 90, "its controls are set anew: {blue} {green} {red}");
    }
    // What the last connection held may take a moment to be let go.
    let now = || (entries("/proc/self/task"), entries("/proc/self/fd"));
    camera.until(|| now() == held, || format!("{held:?} threads and descriptors have become {:?}", now()));
    camera.stop();
    assert_eq!(panics(), before);
    control("test_pattern", 0);
    control("osd_text_mode", 0);
}

fn entries(folder: &str) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

/// Takes the camera from whoever has it, as a pulled plug does, and its driver out of the kernel; then puts both back.
fn reload() {
    let of_init = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is set by /init"));
    std::fs::write("/sys/bus/platform/drivers/vivid/unbind", "vivid.0").unwrap();
    assert!(!Path::new(DEVICE).exists());
    let since = Instant::now();
    // Until the camera's loop has let go of it.
    while !Command::new("rmmod").arg("vivid").output().unwrap().status.success() {
        assert!(since.elapsed() < PATIENCE, "something still holds the module");
        std::thread::sleep(Duration::from_millis(50));
    }
    let (module, options) = (of_init("VIVID"), of_init("VIVID_OPTIONS"));
    let arguments: Vec<&str> = std::iter::once(module.as_str()).chain(options.split_whitespace()).collect();
    assert!(run("insmod", &arguments));
}
