//! `doorward camera`: the cameras of this machine, a picture from any camera, and what a camera really delivers.
//!
//! In: devices, or a detector's configuration. Out: tables, a JPEG. It opens cameras as the agent does, and once: while
//! the agent runs, a camera of this machine is the agent's.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use faces::detect::{self, Rect};
use faces::models::ModelStore;
use faces::picture::Picture;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::json;

use super::{CommandResult, no_detector, table};
use crate::capture::{self, CameraControl, CameraDevice, CameraMode, ControlKind, Delivered, Look, Unmet, View};
use crate::cli::{CameraCommand, ProbeArgs, SnapshotArgs};
use crate::config::{CameraConfig, DetectorConfig, DetectorName, Polygon, Settings, V4l2Config};
use crate::detect::is_watched;
use crate::terminal::{ExitCode, print_line, tell, with_causes};

/// Of the JPEG that is written.
const JPEG_QUALITY: u8 = 92;
/// What outlines a face: no colour of one.
const GREEN: [u8; 3] = [0, 255, 0];
/// What outlines the parts that are watched.
const YELLOW: [u8; 3] = [0, 220, 255];

pub fn run(command: CameraCommand) -> CommandResult {
    match command {
        CameraCommand::List { json } => list(json),
        CameraCommand::Snapshot(args) => snapshot(&args),
        CameraCommand::Probe(args) => probe(&args),
    }
}

fn list(as_json: bool) -> CommandResult {
    let devices = capture::devices();
    if as_json {
        for CameraDevice { path, names, card, driver, modes, controls } in &devices {
            let modes = modes.as_ref().map(|modes| modes.iter().map(mode_json).collect::<Vec<_>>());
            let line = match modes {
                Ok(modes) => {
                    let controls: Vec<_> = controls.iter().map(control_json).collect();
                    json!({
                        "path": path, "names": names, "card": card, "driver": driver, "modes": modes,
                        "controls": controls,
                    })
                }
                Err(error) => json!({ "path": path, "names": names, "card": card, "error": error }),
            };
            print_line(&line.to_string());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let rows = devices.iter().map(|CameraDevice { path, names, card, driver, modes, .. }| {
        let modes = match modes {
            Ok(modes) if modes.is_empty() => "no pictures that can be read".into(),
            Ok(modes) => in_short(modes),
            Err(error) => format!("cannot be asked: {error}"),
        };
        [path.display().to_string(), card.clone(), driver.clone(), modes, names.join("\n")]
    });
    let none = "this machine has no camera: is it plugged in, and its driver loaded";
    table::print(["device", "camera", "driver", "pictures", "names that stay"], rows, none);
    for CameraDevice { path, card, controls, .. } in devices.iter().filter(|device| !device.controls.is_empty()) {
        print_line(&format!("\n{} ({card}) can be set with `controls` in `[camera]`:", path.display()));
        table::print(["control", "is", "by default", "can be", ""], controls.iter().map(control_row), "");
    }
    Ok(ExitCode::SUCCESS)
}

fn control_row(control: &CameraControl) -> [String; 5] {
    let is = control.value.map_or_else(|| "unknown".into(), |value| control.shown(value));
    let note = match control {
        CameraControl { is_read_only: true, .. } => "can only be read",
        CameraControl { is_inactive: true, .. } => "inactive: another control has it in its hands",
        CameraControl { is_grabbed: true, .. } => "in use",
        _ => "",
    };
    [control.name.clone(), is, control.shown(control.default), control.choices().replace('`', ""), note.into()]
}

/// A menu's values are the names of its entries.
fn control_json(control: &CameraControl) -> serde_json::Value {
    let shown = |number: i64| match control.kind {
        ControlKind::Boolean => json!(number != 0),
        ControlKind::Menu => json!(control.shown(number)),
        ControlKind::Integer | ControlKind::Bitmask => json!(number),
    };
    let mut line = json!({
        "name": control.name, "kind": <&str>::from(control.kind), "value": control.value.map(shown),
        "default": shown(control.default), "inactive": control.is_inactive, "read_only": control.is_read_only,
    });
    match control.kind {
        ControlKind::Menu => {
            let entry = |(number, name): &(i64, String)| json!({ "number": number, "name": name });
            line["entries"] = control.menu.iter().map(entry).collect();
        }
        ControlKind::Integer | ControlKind::Bitmask => {
            line["min"] = json!(control.min);
            line["max"] = json!(control.max);
            line["step"] = json!(control.step);
        }
        ControlKind::Boolean => {}
    }
    line
}

fn mode_json(mode: &CameraMode) -> serde_json::Value {
    let CameraMode { format, width, height, fps } = mode;
    json!({ "format": format.as_str(), "width": width, "height": height, "fps": fps })
}

/// `mjpeg 1280x720 at 30, 15; 640x480 at 30`, a line for each format.
fn in_short(modes: &[CameraMode]) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut before: Option<&CameraMode> = None;
    for mode in modes {
        let rate = mode.fps.map(rate).unwrap_or_default();
        let same = |one: &CameraMode| one.format == mode.format;
        match (before, lines.last_mut()) {
            (Some(last), Some(line)) if same(last) && (last.width, last.height) == (mode.width, mode.height) => {
                line.push_str(&format!(", {rate}"));
            }
            (Some(last), Some(line)) if same(last) => {
                line.push_str(&format!("; {}x{} at {rate}", mode.width, mode.height));
            }
            _ => lines.push(format!("{} {}x{} at {rate}", mode.format.as_str(), mode.width, mode.height)),
        }
        before = Some(mode);
    }
    lines.join("\n")
}

fn rate(fps: f64) -> String {
    if fps.fract().abs() < 0.005 { format!("{fps:.0}") } else { format!("{fps:.2}") }
}

fn snapshot(args: &SnapshotArgs) -> CommandResult {
    let settings = super::load_config(&args.config)?.settings;
    let detector = pick(&settings, args.detector.as_ref())?;
    if args.out.exists() && !args.force {
        bail!("{} is there already: name another file with --out, or write over it with --force", args.out.display());
    }
    let Look { about, picture, opened, shown } =
        capture::look(&detector.camera, View::new(&detector.camera, &detector.view))?;
    let (width, height) = (picture.width(), picture.height());
    print_line(&format!(
        "{}: {width}x{height} pixels; open after {} ms, the first picture after {} ms",
        about.name,
        opened.as_millis(),
        shown.as_millis()
    ));
    for Unmet { key, problem } in &about.unmet {
        print_line(&format!("  `camera.{key}`: {problem}"));
    }
    let picture = if args.boxes { with_boxes(&picture, detector)? } else { picture };
    write(&args.out, &picture.jpeg(JPEG_QUALITY)?)?;
    print_line(&format!("written to {}", args.out.display()));
    Ok(ExitCode::SUCCESS)
}

fn with_boxes(picture: &Picture, detector: &DetectorConfig) -> anyhow::Result<Picture> {
    let mut faces = detect::load(&ModelStore::locate(None), &detector.detect.search(), 1)?;
    let found = faces.detect(picture)?;
    print_line(&match found.len() {
        0 => "no face".into(),
        1 => "1 face".into(),
        more => format!("{more} faces"),
    });
    for face in &found {
        let (Rect { x, y, width, height }, score) = (face.bbox, face.score);
        let outside = if is_watched(face, picture, &detector.view) { "" } else { ", outside of what is watched" };
        print_line(&format!("  {width:.0}x{height:.0} at {x:.0},{y:.0}, score {score:.2}{outside}"));
    }
    let boxes: Vec<_> = found.iter().map(|face| corners(&face.bbox)).collect();
    let at = |share: f32, length: u32| (share * length as f32) as i32;
    let place = |[x, y]: &[f32; 2]| [at(*x, picture.width()), at(*y, picture.height())];
    let watched: Vec<Vec<_>> = detector.view.watch.iter().map(|Polygon(it)| it.iter().map(place).collect()).collect();
    Ok(picture.outlined(&watched, YELLOW)?.outlined(&boxes, GREEN)?)
}

fn corners(Rect { x, y, width, height }: &Rect) -> Vec<[i32; 2]> {
    [(*x, *y), (x + width, *y), (x + width, y + height), (*x, y + height)].map(|(x, y)| [x as i32, y as i32]).into()
}

/// For this user alone: it may show somebody.
fn write(file: &Path, jpeg: &[u8]) -> anyhow::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let open = std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(file);
    let written = open.and_then(|mut open| open.write_all(jpeg));
    written.with_context(|| format!("cannot write {}", file.display()))
}

/// The detector of this name, or the only one.
fn pick<'a>(settings: &'a Settings, wanted: Option<&DetectorName>) -> anyhow::Result<&'a DetectorConfig> {
    match (&settings.detectors[..], wanted) {
        (_, Some(name)) => settings.detector(name.as_str()).ok_or_else(|| no_detector(name, settings).into()),
        ([only], None) => Ok(only),
        ([], None) => bail!(super::Unconfigured("no detector is configured".into())),
        (_, None) => {
            let several = "several detectors are configured: say which";
            bail!(super::Unconfigured(format!("{several} ({})", super::detectors(settings))))
        }
    }
}

fn probe(args: &ProbeArgs) -> CommandResult {
    let devices = capture::devices();
    let device = match &args.device {
        Some(name) => {
            let path = capture::device_file(name)?;
            devices.iter().find(|device| device.path == path).with_context(|| format!("{name} is no camera"))?
        }
        None => match &devices[..] {
            [only] => only,
            [] => bail!("this machine has no camera: is it plugged in, and its driver loaded"),
            several => {
                let names: Vec<_> = several.iter().map(|device| device.path.display().to_string()).collect();
                bail!("there are several cameras: say which ({})", names.join(", "))
            }
        },
    };
    let modes = device.modes.as_ref().map_err(|error| anyhow::anyhow!("the camera cannot be asked: {error}"))?;
    let mut code = ExitCode::SUCCESS;
    for mode in modes {
        let tried = try_mode(device, mode, Duration::from_secs(args.seconds));
        let line = match &tried {
            Ok((delivered, cost)) if args.json => {
                let mut line = mode_json(mode);
                line["delivered"] = json!({
                    "width": delivered.size.0, "height": delivered.size.1, "fps": delivered.fps(),
                    "frames": delivered.frames, "skipped": delivered.skipped, "core_percent": cost,
                });
                line.to_string()
            }
            Err(error) if args.json => {
                let mut line = mode_json(mode);
                line["error"] = json!(error);
                line.to_string()
            }
            Ok((delivered, cost)) => told(mode, delivered, *cost),
            Err(error) => format!("{} {}x{}: {error}", mode.format.as_str(), mode.width, mode.height),
        };
        if tried.is_err() {
            code = ExitCode::FAILURE;
        }
        if !tell(&line) {
            break;
        }
    }
    Ok(code)
}

/// What a mode delivers, and how much of a core reading and decoding it takes, in percent.
fn try_mode(device: &CameraDevice, mode: &CameraMode, time: Duration) -> Result<(Delivered, f64), String> {
    let config = CameraConfig::V4l2(V4l2Config {
        width_px: mode.width,
        height_px: mode.height,
        fps: mode.fps.map_or(30, |fps| fps.ceil() as u32).clamp(1, 240),
        format: mode.format,
        ..V4l2Config::new(device.path.display().to_string())
    });
    let before = busy();
    let delivered = capture::deliver(&config, time).map_err(|error| with_causes(&error))?;
    let cost = (busy() - before).as_secs_f64() / time.as_secs_f64() * 100.0;
    Ok((delivered, cost))
}

fn told(mode: &CameraMode, delivered: &Delivered, cost: f64) -> String {
    let (width, height) = delivered.size;
    let said = mode.fps.map_or_else(|| "no rate said".into(), |fps| format!("{} said", rate(fps)));
    let other =
        if (width, height) == (mode.width, mode.height) { String::new() } else { format!(", as {width}x{height}") };
    let skipped = match delivered.skipped {
        0 => String::new(),
        some => format!(", {some} passed over"),
    };
    format!(
        "{} {}x{}{other}: {} frames a second ({said}){skipped}, {cost:.0} % of a core",
        mode.format.as_str(),
        mode.width,
        mode.height,
        rate(delivered.fps())
    )
}

/// The processor time this process has used.
fn busy() -> Duration {
    let used = getrusage(UsageWho::RUSAGE_SELF).ok();
    let spent = used.map(|used| (used.user_time() + used.system_time()).num_microseconds()).unwrap_or_default();
    Duration::from_micros(spent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PixelFormat;

    #[test]
    fn modes_are_told_in_short() {
        let mode = |format, width, height, fps| CameraMode { format, width, height, fps: Some(fps) };
        let modes = [
            mode(PixelFormat::Mjpeg, 1280, 720, 30.0),
            mode(PixelFormat::Mjpeg, 1280, 720, 29.97),
            mode(PixelFormat::Mjpeg, 640, 480, 30.0),
            mode(PixelFormat::Yuyv, 640, 480, 7.5),
        ];
        assert_eq!(in_short(&modes), "mjpeg 1280x720 at 30, 29.97; 640x480 at 30\nyuyv 640x480 at 7.50");
    }
}
