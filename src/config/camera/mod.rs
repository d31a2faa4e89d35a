//! `[camera]`: where the frames come from. One file per kind of source, and one row in [`CameraConfig`].
//!
//! In: what a detector's file says. Out: [`CameraConfig`]. Whether there is a camera is for `doorward check` to see.

mod replay;
mod stream;
mod v4l2;

pub use replay::{Pace, ReplayConfig};
pub use stream::{RtspTransport, StreamConfig};
pub use v4l2::{PixelFormat, V4l2Config};

use super::section::{Sensible, kinds};

kinds! {
    /// `[camera]`: the kind of source its `type` names.
    pub enum CameraConfig as dyn CommonOfCameras {
        "v4l2" => V4l2(V4l2Config),
        "stream" => Stream(StreamConfig),
        "replay" => Replay(ReplayConfig),
    }
}

/// What every kind of source says of itself.
trait CommonOfCameras {
    /// No frame for this long is a fault; `None` for what may pause as it likes.
    fn stall_ms(&self) -> Option<u64> {
        None
    }
}

impl CameraConfig {
    /// No frame for this long is a fault; `None` for what may pause as it likes.
    pub fn stall_ms(&self) -> Option<u64> {
        self.common().stall_ms()
    }
}

impl Sensible for CameraConfig {}
