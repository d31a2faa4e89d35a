//! `type = "v4l2"`: a camera on this machine.

use crate::config::reading::At;
use crate::config::section::section;
use crate::config::value::words;

section! {
    /// `type = "v4l2"`: a camera on this machine.
    pub struct V4l2Config: new(device: impl Into<String>), checked by check_camera {
        /// `/dev/video0`, an index (`"0"`), or a name under `/dev/v4l/by-id`.
        pub device: String;
        /// The nearest mode the camera has is taken, and logged.
        pub width_px: u32 = 1_280, in 16..=16_384;
        pub height_px: u32 = 720, in 16..=16_384;
        /// Frames per second.
        pub fps: u32 = 15, in 1..=240;
        pub format: PixelFormat = PixelFormat::Auto;
        /// No frame for this long is a fault: the camera is reopened.
        pub stall_ms: u64 = 5_000, in 500..=600_000;
        /// So many degrees clockwise each frame is turned, for a camera that hangs on its side or upside down.
        pub rotate: u32 = 0, in 0..=270;
    }
}

words! {
    /// How the camera encodes its frames.
    pub enum PixelFormat {
        /// Whatever gives the wanted size and rate: MJPEG, then YUYV, then the rest.
        Auto,
        Mjpeg,
        Yuyv,
        Nv12,
        Yuv420,
        Grey,
        Rgb,
    }
}

fn check_camera(camera: &V4l2Config, at: &At<'_>) {
    let help = "it is empty; write `/dev/video0` or a name under /dev/v4l/by-id";
    at.wrong_if(camera.device.is_empty(), &["device"], help);
}
