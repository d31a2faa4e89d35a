//! `[camera]`: where the frames come from. One file per kind of source, and one row in [`CameraConfig`].
//!
//! In: what a detector's file says. Out: [`CameraConfig`]. Whether there is a camera is for `doorward check` to see.

mod hosts;
mod program;
mod replay;
mod snapshot;
mod stream;
mod v4l2;

pub use hosts::AllowedHost;
pub use program::{ProgramConfig, WrittenFormat};
pub use replay::{Pace, ReplayConfig};
pub use snapshot::SnapshotConfig;
pub use stream::{Decode, RtspTransport, SCHEMES, Scheme, StreamConfig};
pub use v4l2::{ControlValue, PixelFormat, V4l2Config, control_word};

use faces::picture::Turn;

use super::reading::At;
use super::section::kinds;

kinds! {
    /// `[camera]`: the kind of source its `type` names.
    pub enum CameraConfig, checked by check_rotate {
        "v4l2" => V4l2(V4l2Config),
        "stream" => Stream(StreamConfig),
        "snapshot" => Snapshot(SnapshotConfig),
        "program" => Program(ProgramConfig),
        "replay" => Replay(ReplayConfig),
    }
}

impl CameraConfig {
    /// How many degrees clockwise its frames are turned: 0, 90, 180 or 270.
    pub fn rotate(&self) -> u32 {
        match self {
            Self::V4l2(camera) => camera.rotate,
            Self::Stream(stream) => stream.rotate,
            Self::Snapshot(snapshot) => snapshot.rotate,
            Self::Program(program) => program.rotate,
            Self::Replay(replay) => replay.rotate,
        }
    }

    /// The same as a turn; `None` for frames that stay as they are.
    pub fn turn(&self) -> Option<Turn> {
        match self.rotate() {
            90 => Some(Turn::Quarter),
            180 => Some(Turn::Half),
            270 => Some(Turn::ThreeQuarters),
            _ => None,
        }
    }

    /// No frame for this long is a fault; `None` for what may pause as it likes.
    pub fn stall_ms(&self) -> Option<u64> {
        match self {
            Self::V4l2(camera) => Some(camera.stall_ms),
            Self::Stream(stream) => Some(stream.stall_ms),
            Self::Snapshot(snapshot) => Some(snapshot.stall_ms),
            Self::Program(program) => Some(program.stall_ms),
            Self::Replay(_) => None,
        }
    }
}

fn check_rotate(camera: &CameraConfig, at: &At<'_>) {
    at.wrong_if(!camera.rotate().is_multiple_of(90), &["rotate"], "it must be 0, 90, 180 or 270");
}
