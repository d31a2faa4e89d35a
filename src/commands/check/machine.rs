//! This machine: its camera devices and recordings, its folders, and the space on its disk.
//!
//! In: what the configuration names. Out: whether each is there and can be used, and else what to do. Nothing is
//! written, and no camera is opened unless it is asked for.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};

use super::report::Report;
use crate::capture::{self, Look, Unmet, View, device_file};
use crate::config::{CameraConfig, DetectorConfig, Loaded, OutboxConfig};
use crate::terminal::with_causes;

/// Less free space than this and the outbox cannot be trusted to take the next sighting.
const LEAST_FREE_BYTES: u64 = 64 << 20;

/// Whether the camera is there, and with `online` whether it shows anything.
pub async fn camera(loaded: &Loaded, detector: &DetectorConfig, online: bool, report: &mut Report) {
    let check = format!("detector {}: camera", detector.name);
    let is_recording = matches!(detector.camera, CameraConfig::Replay(_));
    if online && !is_recording {
        let (config, view) = (detector.camera.clone(), View::new(&detector.camera, &detector.view));
        return match tokio::task::spawn_blocking(move || capture::look(&config, view)).await {
            Ok(Ok(Look { about, picture, shown, .. })) => {
                let (width, height, ms) = (picture.width(), picture.height(), shown.as_millis());
                report.ok(&check, format!("{} shows {width}x{height} pixels after {ms} ms", about.name));
                for Unmet { key, problem } in about.unmet {
                    report.mistake(&check, loaded.mistake(Some(&detector.name), &format!("camera.{key}"), problem));
                }
            }
            Ok(Err(error)) => report.error(check, with_causes(&error)),
            Err(error) => report.error(check, format!("looking through it failed inside: {error}")),
        };
    }
    match &detector.camera {
        CameraConfig::V4l2(camera) => match usable_device(&camera.device) {
            Ok(device) => report.ok(check, format!("{} is there", device.display())),
            Err(problem) => report.error(check, loaded.mistake(Some(&detector.name), "camera.device", problem)),
        },
        CameraConfig::Stream(_) => report.ok(check, "a stream, which is not asked without --online"),
        CameraConfig::Snapshot(_) => {
            report.ok(check, "pictures of the network, which are not asked for without --online")
        }
        CameraConfig::Program(camera) => match trusted::program(&camera.program) {
            Ok(program) => report.ok(check, format!("{} is there", program.display())),
            Err(problem) => report.error(check, loaded.mistake(Some(&detector.name), "camera.program", problem)),
        },
        CameraConfig::Replay(replay) => {
            let path = replay.path.display();
            let problem = match fs::metadata(&replay.path) {
                Ok(about) if about.is_file() || about.is_dir() => return report.ok(check, format!("{path} is there")),
                Ok(_) => format!("{path} is neither a file nor a folder"),
                Err(error) => format!("cannot find {path}: {error}"),
            };
            report.mistake(check, loaded.mistake(Some(&detector.name), "camera.path", problem));
        }
    }
}

pub fn state_dir(folder: &Path, outbox: &OutboxConfig, report: &mut Report) {
    let existing = match nearest_existing(folder) {
        Some(existing) if !existing.is_dir() => {
            return report.error("state folder", format!("{} is not a folder", existing.display()));
        }
        Some(existing) => existing,
        None => return report.error("state folder", format!("{} cannot be made", folder.display())),
    };
    if access(&existing, AccessFlags::W_OK | AccessFlags::X_OK).is_err() {
        let problem = format!(
            "{} cannot be written by this user; change its owner, or set `state_dir` to another folder",
            existing.display()
        );
        return report.error("state folder", problem);
    }
    let made = if existing == folder { "can be written" } else { "will be made" };
    report.ok("state folder", format!("{} {made}", folder.display()));
    let Ok(about) = statvfs(&existing) else {
        return report.warning("disk space", format!("{} does not tell", existing.display()));
    };
    let free = about.blocks_available() * about.fragment_size();
    let detail = format!("{} MiB free at {}", free >> 20, existing.display());
    if free < LEAST_FREE_BYTES {
        report.error("disk space", format!("{detail}, at least {} are needed", LEAST_FREE_BYTES >> 20));
    } else if free < outbox.max_bytes {
        let detail = format!("{detail}, less than `outbox.max_bytes` ({} MiB)", outbox.max_bytes >> 20);
        report.warning("disk space", detail);
    } else {
        report.ok("disk space", detail);
    }
}

/// Whether a file can be written, or made.
pub fn can_be_written(file: &Path) -> Result<(), String> {
    let (place, flags) = if file.exists() {
        (file.to_owned(), AccessFlags::W_OK)
    } else {
        let folder = file.parent().and_then(nearest_existing).unwrap_or_else(|| "/".into());
        (folder, AccessFlags::W_OK | AccessFlags::X_OK)
    };
    access(&place, flags).map_err(|error| format!("{} cannot be written: {error}", place.display()))
}

/// The folder itself, or the nearest one above it that is there.
fn nearest_existing(folder: &Path) -> Option<PathBuf> {
    let start = if folder.is_absolute() { folder.to_owned() } else { std::env::current_dir().ok()?.join(folder) };
    start.ancestors().find(|path| path.symlink_metadata().is_ok()).map(Path::to_owned)
}

/// The device file of a camera, if it is one and this user may open it.
fn usable_device(name: &str) -> Result<PathBuf, String> {
    let device = device_file(name).map_err(|error| error.to_string())?;
    let shown = device.display();
    if !fs::metadata(&device).is_ok_and(|about| about.file_type().is_char_device()) {
        return Err(format!("{shown}: this is not a camera device"));
    }
    let allowed = access(&device, AccessFlags::R_OK | AccessFlags::W_OK);
    allowed.map_err(|error| format!("{shown}: {error}; add the user doorward runs as to the group `video`"))?;
    Ok(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_device_that_is_there_is_taken_for_a_camera() {
        // No camera, and yet a device that everybody may open.
        assert_eq!(usable_device("/dev/null").unwrap(), Path::new("/dev/null"));
        for (wrong, problem) in [("/proc/version", "not a camera device"), ("/dev/nothing", "there is no camera")] {
            let found = usable_device(wrong).unwrap_err();
            assert!(found.contains(problem), "{wrong}: {found}");
        }
    }
}
