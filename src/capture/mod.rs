//! Cameras: from a device, a stream or a recording to [`Frame`]s.
//!
//! In: a detector's camera settings. Out: the newest [`Frame`], again and again, whatever the camera does; the
//! reconnect loop lives here, once, for every source. It knows nothing of faces.
//!
//! ```text
//! CameraSource --Shot--▶ run (reconnects, dates, counts, watches the lens) --RawFrame--▶ channel --▶ detect, by a view
//!  own thread             the agent's thread         └-- CameraState --▶ status
//! ```

mod ask;
mod connection;
mod error;
mod ffmpeg;
mod folder;
mod health;
mod jpeg;
mod light;
mod look;
mod news;
mod pace;
mod patience;
mod pieces;
mod pixels;
mod program;
mod raw;
mod reach;
mod reconnect;
mod redact;
mod replay;
mod slot;
mod snapshot;
mod stream;
mod tally;
mod turn;
mod v4l2;
mod view;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use faces::picture::Picture;

use crate::clock;
use crate::config::{CameraConfig, DetectorName};

pub use ask::SnapshotError;
pub use error::CaptureError;
pub use ffmpeg::VideoError;
pub use health::{BELIEVED_WITHIN, FROZEN_AFTER, Lens, LensWatch};
pub(crate) use light::{COLUMNS, LEVEL, LightMeter, POINTS, ROWS};
pub use look::{Delivered, Look, deliver, look};
use patience::Patience;
pub use raw::{Image, Shape};
pub use reach::Unreached;
pub use reconnect::run;
pub use redact::redacted;
pub use slot::{FrameReceiver, FrameSender, Sent, channel};
pub use v4l2::{CameraControl, CameraDevice, CameraMode, ControlKind, device_file, devices};
pub use view::View;

/// One decoded picture from a camera.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The camera position it comes from.
    pub detector: DetectorName,
    /// Counts up by one per frame delivered by the source, across reconnects.
    pub seq: u64,
    pub time: CaptureTime,
    pub picture: Arc<Picture>,
    /// Parts of the picture, or of one it is built on, did not arrive, and the decoder made them up: good enough to
    /// follow somebody by, but what looks like a face in it may be nobody's.
    pub damaged: bool,
}

/// A frame of which no picture may have been made yet.
#[derive(Debug)]
pub struct RawFrame {
    pub detector: DetectorName,
    pub seq: u64,
    pub time: CaptureTime,
    /// As the camera gave it: nothing of it is turned, mirrored, cut or blacked out.
    pub image: Image,
    pub damaged: bool,
}

impl RawFrame {
    /// The frame as every other room sees it.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn developed(self, view: &mut View) -> Result<Frame, CaptureError> {
        let Self { detector, seq, time, image, damaged } = self;
        let picture = image.into_picture().ok_or(CaptureError::NotDeveloped)?;
        let picture = Arc::new(view.of(picture)?);
        Ok(Frame { detector, seq, time, picture, damaged })
    }
}

/// How many of a camera's frames were not what they should have been.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// Frames that could not be decoded, and were not delivered.
    pub lost: u64,
    /// Frames delivered although [`damaged`](Frame::damaged).
    pub damaged: u64,
}

/// When a frame was taken, on the three clocks that matter.
#[derive(Debug, Clone, Copy)]
pub struct CaptureTime {
    /// What the visit is dated with: the wall clock for a camera, the recording's clock for a replay that is
    /// not live.
    pub utc: DateTime<Utc>,
    /// The pipeline's clock: time since this source's first frame; never goes back, also across reconnects.
    /// Tracking and best-shot decisions use this one alone.
    pub offset: Duration,
    /// The moment the frame entered this process, on [`clock`](crate::clock): for ages and latencies.
    pub arrived: Instant,
}

impl CaptureTime {
    /// Time since the frame entered this process, sleep included.
    pub fn age(&self) -> Duration {
        clock::now().saturating_duration_since(self.arrived)
    }
}

/// Something that delivers pictures, opened by [`open`]. It never retries: a fault is an error, and the caller
/// drops it and opens a new one.
pub trait CameraSource: Send {
    /// What was opened, for the log and the status page.
    fn about(&self) -> About;

    /// Whether [`about`](Self::about) says something else than before: asked with every shot.
    fn has_news(&mut self) -> bool {
        false
    }

    /// Waits for the next picture, in a recording's case until it is due.
    fn next_shot(&mut self) -> Result<Next, CaptureError>;
}

/// What a source is, as far as it can be known before its first picture.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// For people, without secrets: `/dev/video0 (HD Webcam) MJPEG 1280x720 at 30`, `rtsp://10.0.0.5:554/…`.
    pub name: String,
    /// Frames per second by the source's own account; 0 when it gives none.
    pub fps: f32,
    /// What of its configuration it could not be brought to do. It delivers all the same.
    pub unmet: Vec<Unmet>,
}

/// A key of a camera's configuration that could not be followed: a camera delivers without it, because a door that sees
/// badly is better than one that is blind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// Below `[camera]`: `controls.gain`.
    pub key: String,
    /// What is wrong, and what to write instead.
    pub problem: String,
}

/// What a source answers when it is asked for its next picture.
#[derive(Debug)]
pub enum Next {
    Shot(Shot),
    /// There was a frame, of which no picture was made: fewer are asked for than come.
    NotDue,
    /// This picture could not be used, the following ones may be.
    Skipped(Skipped),
    /// So many frames are there, or should be, and cannot be decoded.
    Lost(u64),
    /// A finite recording is over.
    End,
}

/// One picture and its place in time.
#[derive(Debug)]
pub struct Shot {
    pub image: Image,
    pub time: ShotTime,
    /// See [`Frame::damaged`].
    pub damaged: bool,
}

/// Which clock dates a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShotTime {
    /// A camera: the moment it arrives here. (A camera's own clock is not ours, and is often wrong.)
    Arrival,
    /// A recording: `position` since its first frame, growing also from round to round of a loop; `utc` is the
    /// date on the recording's clock, `None` for the wall clock.
    Recording { position: Duration, utc: Option<DateTime<Utc>> },
}

/// Why a picture was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub reason: SkipReason,
    /// What it was, for people, without secrets.
    pub what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// Not a picture, or not one that can be read.
    Undecodable,
    /// Its end is missing.
    CutShort,
    /// Parts of it are not what was taken.
    Damaged,
    /// More than [`picture::MAX_PIXELS`](faces::picture::MAX_PIXELS).
    TooLarge,
}

/// What a camera is doing, for the status page; the newest value is on the watch channel given to [`run`].
#[derive(Debug, Clone, PartialEq)]
pub enum CameraState {
    /// The first connection is being made.
    Connecting,
    Streaming {
        /// Width and height of the frames, in pixels.
        size: (u32, u32),
        /// Measured over the last seconds; the source's own figure until then, 0 when it gives none.
        fps: f32,
        /// Fewer frames a second than this are too few for any camera; 0 where any number will do.
        least_fps: f32,
        /// See [`About::name`].
        source: Arc<str>,
        /// What is wrong with the picture.
        lens: Lens,
    },
    /// No frames; reconnecting (or, a recording replayed as fast as possible, over).
    Failed {
        /// The whole chain of causes, without secrets.
        reason: String,
        /// Since when there are no frames.
        since: DateTime<Utc>,
        /// Attempts that failed since then, at least 1.
        tries: u32,
        /// No new connection is made, because too many earlier ones hang inside the camera's driver or decoder. When
        /// they do not come back by themselves, only a restart of the process frees them.
        hanging: bool,
    },
    /// A finite recording is over, or [`run`] was told to stop.
    Ended,
}

#[cfg(test)]
impl CameraState {
    /// Frames come, and this is to be said of the picture.
    pub(crate) fn showing(lens: Lens) -> Self {
        Self::Streaming { size: (64, 48), fps: 15.0, least_fps: 0.0, source: "a camera".into(), lens }
    }
}

/// Opens the configured camera, for who tries only once. Blocks until it is ready to deliver. Errors say what to do
/// next and never hold a password.
pub fn open(config: &CameraConfig) -> Result<Box<dyn CameraSource>, CaptureError> {
    open_within(config, 0.0, patience(config).longest())
}

/// The same for so many frames a second (0: all of them); a stream or a program takes no longer than the limit.
fn open_within(config: &CameraConfig, max_fps: f32, limit: Duration) -> Result<Box<dyn CameraSource>, CaptureError> {
    Ok(match config {
        CameraConfig::V4l2(config) => Box::new(v4l2::V4l2::open(config, max_fps)?),
        CameraConfig::Stream(config) => Box::new(stream::Stream::open(config, max_fps, limit)?),
        CameraConfig::Snapshot(config) => Box::new(snapshot::Snapshot::open(config, max_fps)?),
        CameraConfig::Program(config) => Box::new(program::Program::open(config, max_fps, limit)?),
        CameraConfig::Replay(config) => Box::new(replay::Replay::open(config, max_fps)?),
    })
}

/// How long opening a camera may take, from the silence that counts as a fault: as long, and two seconds at least.
fn patience(config: &CameraConfig) -> Patience {
    let stall = stall_limit(config.stall_ms().unwrap_or_default());
    Patience::new(stall.max(Duration::from_secs(2)))
}

/// The configured `stall_ms`, within what every driver and decoder takes.
fn stall_limit(stall_ms: u64) -> Duration {
    Duration::from_millis(stall_ms.clamp(100, 3_600_000))
}
