//! Cameras of the kernel's own, Linux's vivid test camera and v4l2loopback, and devices that decode.
//! `tests/vm/test-vm.sh` runs it in a virtual machine.
//!
//! In: `capture::run` with a camera's configuration, as the agent calls it; the program's commands. Out: what its frames
//! and its state say while the camera streams in each format, hangs, sends broken buffers, and is pulled out and put
//! back; and who is recognised at a door.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use doorward::capture::{CameraState, Lens};
use doorward::config::{CameraConfig, DetectorConfig, DetectorName, PixelFormat, V4l2Config};
use faces::picture::Picture;

mod broken;
#[allow(dead_code)] // what is damaged and turned is for other tests
#[path = "../support/clip.rs"]
mod clip;
mod commands;
mod controls;
mod door;
mod hardware;
mod loopback;
#[path = "../support/mod.rs"]
mod support;
#[path = "../capture/watched.rs"]
mod watched;
use loopback::Loopback;
use watched::{Watched, metric};

const DEVICE: &str = "/dev/video0";

#[test]
fn frames_come_in_every_format_in_the_wanted_size() {
    use PixelFormat::{Auto, Grey, Nv12, Rgb, Yuv420, Yuyv};
    // vivid's text would cover the small pictures.
    control("osd_text_mode", 2);
    for (format, width, height, mode, size) in [
        (Yuyv, 640, 480, "YUYV 640x480", (640, 480)),
        (Nv12, 640, 360, "NV12 640x360", (640, 360)),
        (Yuv420, 640, 360, "YUV420 640x360", (640, 360)),
        (Rgb, 320, 180, "RGB 320x180", (320, 180)),
        (Grey, 640, 360, "grey 640x360", (640, 360)),
        // vivid has no MJPEG; 300x200 is nearest to 320x180.
        (Auto, 300, 200, "YUYV 320x180", (320, 180)),
    ] {
        let camera = watch("formats", DEVICE, format, width, height);
        camera.wait_for_frames(5);
        let CameraState::Streaming { size: streamed, source, fps, .. } = camera.state() else { panic!() };
        assert_eq!(streamed, size);
        assert!(source.starts_with("/dev/video0 (vivid") && source.contains(mode), "{source}");
        assert!(fps > 0.0, "{source}");
        for frame in camera.stop() {
            assert_eq!((frame.picture.width(), frame.picture.height()), size);
            assert_bars(&frame.picture, format == Grey, &source);
        }
        println!("{source}: colour bars as they should be");
    }
    control("osd_text_mode", 0);
}

/// vivid has neither, and of webcams that is what most have.
#[test]
fn frames_come_in_the_formats_vivid_does_not_have() {
    let shown = bars(320, 180);
    let pixels: Vec<u8> = (0..180).flat_map(|y| shown.row(y).to_vec()).collect();
    for (fourcc, format, mode, frame) in [
        (b"MJPG", PixelFormat::Mjpeg, "MJPEG 320x180", shown.jpeg(95).unwrap()),
        (b"BGR3", PixelFormat::Rgb, "BGR 320x180", pixels),
    ] {
        let _feeds = Loopback::showing(fourcc, (320, 180), vec![frame], 10);
        let camera = watch(mode, loopback::DEVICE, format, 320, 180);
        camera.wait_for_frames(5);
        let CameraState::Streaming { source, .. } = camera.state() else { panic!() };
        assert!(source.contains(mode), "{source}");
        for frame in camera.stop() {
            assert_bars(&frame.picture, false, &source);
        }
        println!("{source}: colour bars as they should be");
    }
}

#[test]
fn the_camera_is_found_by_path_index_and_name() {
    for device in [DEVICE, "0", "usb-Vivid_Test_Camera_0001", "/dev/v4l/by-id/usb-Vivid_Test_Camera_0001-video-index0"]
    {
        let camera = watch("names", device, PixelFormat::Yuyv, 320, 180);
        camera.wait_for_frames(1);
        camera.stop();
    }
    let missing = watch("missing", "usb-Another", PixelFormat::Auto, 320, 180);
    let state = missing.wait_for(|state| matches!(state, CameraState::Failed { .. }));
    let text = format!("{state:?}");
    assert!(text.contains("no camera usb-Another; there are /dev/video0 (vivid"), "{text}");
    missing.stop();
}

#[test]
fn a_broken_buffer_is_passed_over_and_counted() {
    let camera = watch("broken-buffer", DEVICE, PixelFormat::Yuyv, 320, 180);
    camera.wait_for_frames(2);
    control("inject_v4l2_buf_flag_error", 1);
    let dropped = "doorward_capture_dropped_total{detector=\"broken-buffer\",reason=\"undecodable\"}";
    camera.until(|| metric(dropped) >= 1.0, || format!("{:?}", camera.state()));
    let seen = camera.frames.lock().unwrap().len();
    camera.wait_for_frames(seen + 3);
    camera.stop();
    assert_eq!(metric("doorward_capture_reconnects_total{detector=\"broken-buffer\"}"), 0.0);
}

#[test]
fn what_nobody_asked_for_is_passed_over() {
    let config = CameraConfig::V4l2(camera(DEVICE, PixelFormat::Yuyv, 320, 180));
    let mut config = DetectorConfig::new(DetectorName::new("seldom").unwrap(), config);
    // Less often than a silence may last.
    config.detect.max_fps = 0.4;
    let camera = Watched::start_detector(config, Duration::ZERO);
    camera.wait_for_frames(3);
    assert!(matches!(camera.state(), CameraState::Streaming { .. }));
    camera.stop();
    assert_eq!(metric("doorward_capture_reconnects_total{detector=\"seldom\"}"), 0.0);
    assert!(metric("doorward_capture_not_due_total{detector=\"seldom\"}") >= 10.0);
}

#[test]
fn a_camera_that_hangs_is_opened_again() {
    let camera = watch("hangs", DEVICE, PixelFormat::Yuyv, 320, 180);
    camera.wait_for_frames(2);
    control("percentage_of_dropped_buffers", 100);
    let state = camera.wait_for(|state| matches!(state, CameraState::Failed { .. }));
    assert!(format!("{state:?}").contains("no frame for"), "{state:?}");
    control("percentage_of_dropped_buffers", 0);
    camera.wait_for(|state| matches!(state, CameraState::Streaming { .. }));
    let seen = camera.frames.lock().unwrap().len();
    camera.wait_for_frames(seen + 2);

    control("inject_fatal_streaming_error", 1);
    let state = camera.wait_for(|state| matches!(state, CameraState::Failed { .. }));
    assert!(format!("{state:?}").contains("cannot read a frame from the camera /dev/video0"), "{state:?}");
    let seen = camera.frames.lock().unwrap().len();
    camera.wait_for_frames(seen + 2);
    let frames = camera.stop();
    assert!(frames.windows(2).all(|pair| pair[0].seq < pair[1].seq && pair[0].time.offset <= pair[1].time.offset));
}

#[test]
fn a_camera_in_use_is_waited_for() {
    let first = watch("first", DEVICE, PixelFormat::Yuyv, 320, 180);
    first.wait_for_frames(1);
    let second = watch("second", DEVICE, PixelFormat::Yuyv, 640, 360);
    let state = second.wait_for(|state| matches!(state, CameraState::Failed { .. }));
    assert!(format!("{state:?}").contains("that no other program uses it"), "{state:?}");
    first.stop();
    second.wait_for_frames(1);
    second.stop();
}

#[test]
fn a_black_picture_is_reported() {
    let camera = watch("dark", DEVICE, PixelFormat::Yuyv, 320, 180);
    // Without vivid's text in the picture.
    control("osd_text_mode", 2);
    control("test_pattern", 5);
    camera.wait_for(|state| matches!(state, CameraState::Streaming { lens: Lens::Dark, .. }));
    control("test_pattern", 0);
    camera.wait_for(|state| matches!(state, CameraState::Streaming { lens: Lens::Clear, .. }));
    control("osd_text_mode", 0);
    camera.stop();
}

#[test]
fn a_camera_that_is_pulled_out_and_put_back_is_seen_again() {
    let camera = watch("pulled", DEVICE, PixelFormat::Yuyv, 320, 180);
    camera.wait_for_frames(2);
    // The driver lets go of its camera, as it does when the plug is pulled.
    std::fs::write("/sys/bus/platform/drivers/vivid/unbind", "vivid.0").unwrap();
    camera.wait_for(
        |state| matches!(state, CameraState::Failed { reason, .. } if reason.contains("there is no camera /dev/video0")),
    );
    assert!(!Path::new(DEVICE).exists());
    camera.wait_for(|state| matches!(state, CameraState::Failed { tries, .. } if *tries >= 3));
    let seen = camera.frames.lock().unwrap().len();
    std::fs::write("/sys/bus/platform/drivers/vivid/bind", "vivid.0").unwrap();
    camera.wait_for_frames(seen + 3);
    assert!(metric("doorward_capture_reconnects_total{detector=\"pulled\"}") >= 3.0);

    // A short loss of contact.
    control("disconnect", 1);
    camera.wait_for(|state| matches!(state, CameraState::Failed { .. }));
    let seen = camera.frames.lock().unwrap().len();
    camera.wait_for_frames(seen + 3);
    let frames = camera.stop();
    assert!(frames.windows(2).all(|pair| pair[0].seq < pair[1].seq && pair[0].time.offset <= pair[1].time.offset));
}

fn watch(name: &str, device: &str, format: PixelFormat, width_px: u32, height_px: u32) -> Watched {
    watch_camera(name, CameraConfig::V4l2(camera(device, format, width_px, height_px)))
}

fn camera(device: &str, format: PixelFormat, width_px: u32, height_px: u32) -> V4l2Config {
    V4l2Config { width_px, height_px, fps: 10, format, stall_ms: 2000, ..V4l2Config::new(device) }
}

fn watch_camera(name: &str, config: CameraConfig) -> Watched {
    Watched::start(name, config, Duration::ZERO)
}

/// Of each of vivid's bars, whether it has blue, green and red.
const BARS: [[u8; 3]; 8] = [[1, 1, 1], [0, 1, 1], [1, 1, 0], [0, 1, 0], [1, 0, 1], [0, 0, 1], [1, 0, 0], [0, 0, 0]];
/// 75 % of a colour.
const LIT: u8 = 191;

/// The same picture as vivid's default pattern.
fn bars(width: u32, height: u32) -> Picture {
    let row = (0..width).flat_map(|x| BARS[(x * 8 / width) as usize].map(|lit| lit * LIT));
    let row: Vec<u8> = row.collect();
    Picture::new(width, height, row.repeat(height as usize)).unwrap()
}

/// vivid's default pattern: eight bars of 75 % white, yellow, cyan, green, magenta, red, blue and black.
fn assert_bars(picture: &Picture, grey: bool, source: &str) {
    let row = picture.row(picture.height() * 3 / 4);
    let bar = |index: usize| &row[(2 * index + 1) * picture.width() as usize / 16 * 3..][..3];
    if grey {
        let steps: Vec<u8> = (0..8).map(|index| bar(index)[0]).collect();
        assert!(steps.windows(2).all(|pair| pair[0] > pair[1]), "{source}: {steps:?}");
        return;
    }
    for (index, expected) in BARS.iter().enumerate() {
        let near = bar(index).iter().zip(expected).all(|(shown, lit)| shown.abs_diff(lit * LIT) <= 12);
        assert!(near, "{source}, bar {index}: {:?}", bar(index));
    }
}

/// Sets one of vivid's controls.
fn control(name: &str, value: u32) {
    assert!(run("v4l2-ctl", &["-d", DEVICE, "--set-ctrl", &format!("{name}={value}")]), "no control {name}");
}

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).status().unwrap_or_else(|error| panic!("{program}: {error}")).success()
}
