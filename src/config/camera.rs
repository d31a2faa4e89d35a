//! `[camera]`: where the frames come from. One section per kind of source, and one row in [`CameraConfig`].
//!
//! In: what a detector's file says. Out: [`CameraConfig`]. Whether there is a camera is for `doorward check` to see.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::address;
use super::reading::At;
use super::section::{Sensible, kinds, section};
use super::value::words;

kinds! {
    /// `[camera]`: the kind of source its `type` names.
    pub enum CameraConfig {
        "v4l2" => V4l2(V4l2Config),
        "stream" => Stream(StreamConfig),
        "replay" => Replay(ReplayConfig),
    }
}

section! {
    /// `type = "v4l2"`: a camera on this machine.
    pub struct V4l2Config: new(device: impl Into<String>) {
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
    }
}

/// How the camera encodes its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PixelFormat {
    /// Whatever gives the wanted size and rate: MJPEG, then YUYV, then the rest.
    Auto,
    Mjpeg,
    Yuyv,
    Nv12,
    Grey,
    Rgb,
}

section! {
    /// `type = "stream"`: RTSP, HTTP MJPEG, or any address FFmpeg reads.
    pub struct StreamConfig: new(url: impl Into<SecretString>) {
        /// It may hold a user name and password, and then never shows up in a log.
        pub url: SecretString;
        pub transport: RtspTransport = RtspTransport::Tcp;
        /// No frame for this long is a fault: the stream is reopened.
        pub stall_ms: u64 = 5_000, in 500..=600_000;
    }
}

/// How an RTSP camera sends its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RtspTransport {
    Tcp,
    Udp,
}

section! {
    /// `type = "replay"`: a video file or a folder of pictures.
    pub struct ReplayConfig: new(path: impl Into<PathBuf>) {
        pub path: PathBuf;
        pub pace: Pace = Pace::Recorded;
        /// Frames per second for `pace = "fixed"`, and the clock of a folder of pictures.
        pub fps: Option<f64> = None, in 0.1..=240.0;
        /// The recording starts again at its end.
        pub looped named "loop": bool = false;
        /// Dates the first frame; the recording's clock runs from here. Without it, the moment of opening.
        pub starts_at: Option<DateTime<Utc>> = None;
    }
}

/// How fast a recording is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// As recorded, like a live camera: frames that come too fast are dropped.
    Recorded,
    /// At `fps`, like a live camera.
    Fixed,
    /// As fast as possible: every frame is processed, on the recording's clock.
    Fast,
}

words!(PixelFormat, RtspTransport, Pace);

impl Sensible for CameraConfig {}

impl Sensible for V4l2Config {
    fn check(&self, at: &At<'_>) {
        if self.device.is_empty() {
            at.wrong(&["device"], "it is empty; write `/dev/video0` or a name under /dev/v4l/by-id");
        }
    }
}

impl Sensible for StreamConfig {
    fn check(&self, at: &At<'_>) {
        let url = self.url.expose_secret();
        match url.contains("://").then(|| address::parse(url)) {
            None if url.is_empty() => {
                at.wrong(&["url"], "it is empty; write it like `rtsp://camera.example/stream`");
            }
            // FFmpeg reads more than addresses.
            None => {}
            Some(Err(problem)) => at.wrong(&["url"], problem),
            Some(Ok(url)) => {
                if let Some(doubt) = address::doubt(&url) {
                    at.unwise(&["url"], doubt);
                }
            }
        }
    }
}

impl Sensible for ReplayConfig {
    fn check(&self, at: &At<'_>) {
        if self.path.as_os_str().is_empty() {
            at.wrong(&["path"], "it must name a video file or a folder of pictures");
        }
        if self.pace == Pace::Fixed && self.fps.is_none() {
            at.wrong(&["pace"], "`fixed` also needs `fps`, from 0.1 to 240");
        }
    }
}
