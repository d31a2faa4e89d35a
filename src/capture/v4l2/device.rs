//! Which device file is meant by a camera's name.
//!
//! In: a path, an index, or a name under `/dev/v4l/by-id` or `by-path`. Out: `/dev/videoN`, or an error that lists the
//! cameras that are there. It does not open the camera.

use std::path::{Path, PathBuf};

use nokhwa::utils::ApiBackend;

use crate::capture::CaptureError;

/// Where udev names cameras, so that the name stays when the numbers change.
const BY_ID: &str = "/dev/v4l/by-id";
const BY_PATH: &str = "/dev/v4l/by-path";
/// udev's ending for a camera's pictures, as against its metadata.
const PICTURES: &str = "-video-index0";

/// The device file behind a configured name.
pub fn find(name: &str) -> Result<PathBuf, CaptureError> {
    find_under(name, Path::new("/"))
        .ok_or_else(|| CaptureError::NoSuchCamera { device: name.into(), cameras: cameras() })
}

/// The cameras that are there, for people: `/dev/video0 (HD Webcam), …`.
pub fn cameras() -> String {
    // nokhwa takes a number from every file name in /dev that begins with "video", and panics without one.
    let listed = std::panic::catch_unwind(|| nokhwa::query(ApiBackend::Video4Linux));
    let mut found = listed.ok().and_then(Result::ok).unwrap_or_default();
    found.sort_by_key(|camera| camera.index().as_index().unwrap_or(u32::MAX));
    let found: Vec<String> =
        found.iter().map(|camera| format!("/dev/video{} ({})", camera.index(), camera.human_name())).collect();
    match found.is_empty() {
        true => "there is no camera: is it plugged in, and its driver loaded".into(),
        false => format!("there are {}", found.join(", ")),
    }
}

/// The device files of all that gives pictures, by their numbers.
pub fn all() -> Vec<PathBuf> {
    let listed = std::fs::read_dir("/sys/class/video4linux").into_iter().flatten().flatten();
    let mut numbers: Vec<u32> =
        listed.filter_map(|entry| entry.file_name().to_str()?.strip_prefix("video")?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers.into_iter().map(|number| PathBuf::from(format!("/dev/video{number}"))).collect()
}

/// The names udev gives a device file beside its number.
pub fn names(device: &Path) -> Vec<String> {
    let links = [BY_ID, BY_PATH].into_iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let leads_there = |link: &PathBuf| link.canonicalize().is_ok_and(|target| target == device);
    let mut names: Vec<PathBuf> = links.map(|entry| entry.path()).filter(leads_there).collect();
    names.sort_unstable();
    names.into_iter().map(|name| name.display().to_string()).collect()
}

/// The name the driver gives a camera.
pub fn card(device: &Path) -> String {
    let number = device.file_name().unwrap_or_default();
    let name = std::fs::read(Path::new("/sys/class/video4linux").join(number).join("name")).unwrap_or_default();
    String::from_utf8_lossy(&name).trim().to_owned()
}

fn find_under(name: &str, root: &Path) -> Option<PathBuf> {
    let below = |path: &str| root.join(path.trim_start_matches('/'));
    let candidates = if name.starts_with('/') {
        vec![below(name)]
    } else if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
        vec![below(&format!("/dev/video{name}"))]
    } else {
        let folders = [BY_ID, BY_PATH];
        folders
            .iter()
            .flat_map(|folder| [format!("{folder}/{name}"), format!("{folder}/{name}{PICTURES}")])
            .map(|path| below(&path))
            .collect()
    };
    // A link leads to the device file; a name like `../../video0` leads there too, and is as good.
    candidates.into_iter().find_map(|path| path.canonicalize().ok()).filter(|path| !path.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_is_found_by_path_index_and_name() {
        let root = tempfile::TempDir::new().unwrap();
        let root = root.path().canonicalize().unwrap();
        let dev = root.join("dev");
        for folder in ["v4l/by-id", "v4l/by-path"] {
            std::fs::create_dir_all(dev.join(folder)).unwrap();
        }
        for device in ["video0", "video2", "video10"] {
            std::fs::write(dev.join(device), "").unwrap();
        }
        let link = |name: &str, to: &str| std::os::unix::fs::symlink(to, dev.join(name)).unwrap();
        link("v4l/by-id/usb-Acme_HD_Cam_0001-video-index0", "../../video2");
        link("v4l/by-path/pci-0000:00:14.0-usb-0:3:1.0-video-index0", "../../video10");
        link("v4l/by-id/usb-Gone-video-index0", "../../video7");
        link("door", "video0");
        for (name, expected) in [
            ("/dev/video0", Some("video0")),
            ("0", Some("video0")),
            ("10", Some("video10")),
            ("/dev/door", Some("video0")),
            ("usb-Acme_HD_Cam_0001-video-index0", Some("video2")),
            ("usb-Acme_HD_Cam_0001", Some("video2")),
            ("/dev/v4l/by-id/usb-Acme_HD_Cam_0001-video-index0", Some("video2")),
            ("pci-0000:00:14.0-usb-0:3:1.0", Some("video10")),
            ("usb-Gone", None),
            ("7", None),
            ("/dev/video9", None),
            ("/dev/v4l", None),
            ("Acme", None),
            ("", None),
        ] {
            assert_eq!(find_under(name, &root), expected.map(|name| dev.join(name)), "{name}");
        }
    }

    #[test]
    fn a_camera_that_is_missing_is_told_with_those_that_are_there() {
        let error = find("usb-Nobody_Has_This").unwrap_err().to_string();
        assert!(error.contains("usb-Nobody_Has_This") && error.contains("there "), "{error}");
    }
}
