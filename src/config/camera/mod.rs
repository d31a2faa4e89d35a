//! `[camera]`: where the frames come from. One file per kind of source, and one row in [`CameraConfig`].
//!
//! In: what a detector's file says. Out: [`CameraConfig`]. Whether there is a camera is for `doorward check` to see.

mod replay;
mod stream;
mod v4l2;

pub use replay::{Pace, ReplayConfig};
pub use stream::{RtspTransport, StreamConfig};
pub use v4l2::{PixelFormat, V4l2Config};

use super::section::kinds;

kinds! {
    /// `[camera]`: the kind of source its `type` names.
    pub enum CameraConfig {
        "v4l2" => V4l2(V4l2Config),
        "stream" => Stream(StreamConfig),
        "replay" => Replay(ReplayConfig),
    }
}

impl CameraConfig {
    /// No frame for this long is a fault; `None` for what may pause as it likes.
    pub fn stall_ms(&self) -> Option<u64> {
        match self {
            Self::V4l2(camera) => Some(camera.stall_ms),
            Self::Stream(stream) => Some(stream.stall_ms),
            Self::Replay(_) => None,
        }
    }
}
