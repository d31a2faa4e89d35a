//! `doorward camera` and `doorward check` where there is a camera.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use faces::picture::Picture;
use serde_json::Value;

use crate::support::{Running, doorward, json_lines, run};
use crate::{DEVICE, assert_bars, control};

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// A configuration whose one detector has the test camera, with this in its `[camera]`.
fn configured(camera: &str) -> tempfile::TempDir {
    configured_as(&format!("type = \"v4l2\"\ndevice = \"{DEVICE}\"\n{camera}"))
}

/// A configuration whose one detector has this `[camera]`.
pub fn configured_as(camera: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("detectors")).unwrap();
    let main = format!("state_dir = \"{}/state\"\n", folder.path().display());
    std::fs::write(folder.path().join("doorward.toml"), main).unwrap();
    let detector = format!("time_zone = \"UTC\"\n[camera]\n{camera}");
    std::fs::write(folder.path().join("detectors/door.toml"), detector).unwrap();
    folder
}

fn with_config(arguments: &[&str], folder: &Path) -> Command {
    let mut command = doorward();
    command.args(arguments).arg("--config").arg(folder.join("doorward.toml"));
    command
}

#[test]
fn cameras_are_listed_with_their_pictures_and_controls() {
    control("gain_automatic", 1);
    control("brightness", 100);
    let shown = text(&run(doorward().args(["camera", "list"])));
    for part in [
        DEVICE,
        "vivid-000-vid-cap",
        "yuyv 320x180 at ",
        "usb-Vivid_Test_Camera_0001",
        "/dev/video0 (vivid-000-vid-cap) can be set with `controls` in `[camera]`:",
        "brightness",
        "from 0 to 255",
        "true or false",
        "100_red",
        "inactive",
        "can only be read",
    ] {
        assert!(shown.contains(part), "no {part} in\n{shown}");
    }

    let cameras = json_lines(&run(doorward().args(["camera", "list", "--json"])));
    let vivid = cameras.iter().find(|camera| camera["path"] == DEVICE).unwrap();
    assert_eq!((&vivid["driver"], &vivid["card"]), (&Value::from("vivid"), &Value::from("vivid-000-vid-cap")));
    let has = |format: &str| {
        let mut modes = vivid["modes"].as_array().unwrap().iter();
        modes.any(|mode| mode["format"] == format && mode["width"] == 640 && mode["height"] == 360)
    };
    for format in ["yuyv", "nv12", "yuv420", "grey", "rgb"] {
        assert!(has(format), "{format}");
    }
    let control = |name: &str| {
        let mut controls = vivid["controls"].as_array().unwrap().iter();
        controls.find(|control| control["name"] == name).unwrap_or_else(|| panic!("no {name} in {vivid}"))
    };
    let brightness = control("brightness");
    assert_eq!((&brightness["min"], &brightness["max"], &brightness["value"]), (&0.into(), &255.into(), &100.into()));
    assert_eq!((&brightness["kind"], &brightness["inactive"]), (&"integer".into(), &false.into()));
    assert_eq!((&control("gain_automatic")["value"], &control("gain")["inactive"]), (&true.into(), &true.into()));
    let pattern = control("test_pattern");
    assert_eq!((&pattern["value"], &pattern["kind"]), (&"75_colorbar".into(), &"menu".into()));
    assert_eq!(pattern["entries"][7], serde_json::json!({ "number": 7, "name": "100_red" }));
    assert_eq!(control("read_only_integer_32_bits")["read_only"], true);
    crate::control("brightness", 128);
}

#[test]
fn a_snapshot_shows_what_the_camera_shows_and_what_it_cannot_be_set_to() {
    let folder =
        configured("format = \"nv12\"\nwidth_px = 640\nheight_px = 360\ncontrols = { osd_text_mode = 2, gian = 3 }");
    let jpeg = folder.path().join("snapshot.jpg");
    let told = text(&run(with_config(&["camera", "snapshot"], folder.path()).arg("--out").arg(&jpeg)));
    assert!(told.contains("/dev/video0 (vivid-000-vid-cap) NV12 640x360"), "{told}");
    let mistake = "/dev/video0 (vivid-000-vid-cap) has no control `gian`; did you mean `gain`?";
    assert!(told.contains(mistake), "{told}");
    let picture = Picture::read(&jpeg).unwrap();
    assert_eq!((picture.width(), picture.height()), (640, 360));
    assert_bars(&picture, false, "the snapshot");
    control("osd_text_mode", 0);

    let checked = text(&with_config(&["check", "--online"], folder.path()).output().unwrap());
    assert!(checked.contains("detector door: camera: /dev/video0 (vivid-000-vid-cap) NV12 640x360"), "{checked}");
    assert!(checked.contains(&format!("detectors/door.toml:8: `camera.controls.gian`: {mistake}")), "{checked}");
}

#[test]
fn a_probe_tells_what_each_mode_delivers() {
    let mut probe = doorward();
    probe.args(["camera", "probe", DEVICE, "--seconds", "1", "--json"]).stdout(Stdio::piped());
    let mut probe = Running(probe.spawn().unwrap());
    // vivid has too many modes to wait for all of them.
    let lines = BufReader::new(probe.0.stdout.take().unwrap()).lines().take(2);
    for line in lines {
        let mode: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let delivered = &mode["delivered"];
        assert_eq!((&delivered["width"], &delivered["height"]), (&mode["width"], &mode["height"]), "{mode}");
        assert!(delivered["frames"].as_u64() > Some(1) && delivered["fps"].as_f64() > Some(0.5), "{mode}");
        assert_eq!(delivered["skipped"], 0, "{mode}");
    }
    let unknown = text(&doorward().args(["camera", "probe", "/dev/video7"]).output().unwrap());
    assert!(unknown.contains("there is no camera /dev/video7; there are /dev/video0 (vivid"), "{unknown}");
}
