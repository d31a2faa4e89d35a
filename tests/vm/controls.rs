//! Controls from the configuration, as vivid has them.

use std::process::Command;

use doorward::capture::CameraState;
use doorward::config::{CameraConfig, PixelFormat, V4l2Config, from_toml};

use crate::{DEVICE, camera, control, watch_camera};

/// What a control is set to, as v4l2-ctl tells.
fn value(name: &str) -> i64 {
    let told = Command::new("v4l2-ctl").args(["-d", DEVICE, "--get-ctrl", name]).output().unwrap();
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    let value = text.split_once(':').and_then(|(_, value)| value.split_whitespace().next()?.parse().ok());
    value.unwrap_or_else(|| panic!("{name}: {text}{}", String::from_utf8_lossy(&told.stderr)))
}

fn with_controls(controls: &str) -> V4l2Config {
    let text = format!("type = \"v4l2\"\ndevice = \"{DEVICE}\"\ncontrols = {{ {controls} }}");
    let Ok(CameraConfig::V4l2(read)) = from_toml(&text) else { panic!("{text}") };
    V4l2Config { controls: read.controls, ..camera(DEVICE, PixelFormat::Yuyv, 320, 180) }
}

#[test]
fn controls_are_set_each_time_the_camera_is_opened() {
    for (name, other) in [("gain_automatic", 1), ("brightness", 3), ("test_pattern", 0), ("boolean", 0)] {
        control(name, other);
    }
    // The gain is in the hands of its automatic until that is set, and would come first by the alphabet.
    let controls = "gain = 77, gain_automatic = false, brightness = 127, test_pattern = \"100_red\", boolean = true, \
                    osd_text_mode = \"None\", integer_64_bits = -5_000_000_000, bitmask = 0x80000000, integer_menu = 2, \
                    Menu = \"Menu Item 4\", hue = -1";
    let expected = [
        ("gain", 77),
        ("gain_automatic", 0),
        ("brightness", 127),
        ("test_pattern", 7),
        ("boolean", 1),
        ("integer_64_bits", -5_000_000_000),
        ("integer_menu", 2),
        ("menu", 4),
        ("hue", -1),
    ];
    let camera = watch_camera("controls", CameraConfig::V4l2(with_controls(controls)));
    camera.wait_for_frames(2);
    assert_eq!(expected.map(|(name, _)| (name, value(name))), expected);

    // Somebody else sets them otherwise, and then the camera is opened again.
    for (name, other) in [("gain_automatic", 1), ("brightness", 3), ("test_pattern", 0), ("boolean", 0)] {
        control(name, other);
    }
    control("inject_fatal_streaming_error", 1);
    camera.wait_for(|state| matches!(state, CameraState::Failed { .. }));
    let seen = camera.frames.lock().unwrap().len();
    camera.wait_for_frames(seen + 2);
    assert_eq!(expected.map(|(name, _)| (name, value(name))), expected);
    let frames = camera.stop();
    for frame in [&frames[0], &frames[seen]] {
        let [blue, green, red] = frame.picture.row(90)[480..483] else { unreachable!() };
        assert!(red > 150 && blue < 90 && green < 90, "the first frame after opening is {blue} {green} {red}");
    }
    for (name, before) in
        [("test_pattern", 0), ("osd_text_mode", 0), ("gain_automatic", 1), ("brightness", 128), ("hue", 0)]
    {
        control(name, before);
    }
}

#[test]
fn a_camera_delivers_also_when_none_of_its_controls_can_be_set() {
    control("gain_automatic", 1);
    control("boolean", 0);
    let controls = "gain = 5, brightness = 1000, no_such_thing = true, read_only_integer_32_bits = 1, boolean = 2, \
                    test_pattern = \"polka_dots\"";
    let camera = watch_camera("no-controls", CameraConfig::V4l2(with_controls(controls)));
    camera.wait_for_frames(2);
    camera.stop();
    assert_eq!((value("boolean"), value("gain_automatic"), value("test_pattern")), (0, 1, 0));
}
