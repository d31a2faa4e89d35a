//! What can go wrong with a camera, said so that the operator knows what to do next.
//!
//! In: the operation, the thing, the cause. Out: [`CaptureError`], whose text never holds a password. It does not
//! decide whether to try again: `reconnect` always does.

use std::path::PathBuf;

use faces::picture::PictureError;

use super::{SnapshotError, Unreached, VideoError};
use crate::config::SCHEMES;

/// A camera or recording that cannot be opened, or that stopped delivering.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    #[error("cannot read the recording {}: check that it is there and that this user may read it", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("a frame cannot be turned or cut as `[view]` says")]
    View(#[from] PictureError),
    #[error("the folder {} holds no picture (JPEG, PNG, WebP or BMP)", path.display())]
    NoPictures { path: PathBuf },
    #[error("none of the {count} pictures in {} can be decoded", path.display())]
    OnlyBadPictures { path: PathBuf, count: usize },
    #[error("{} is not a video that FFmpeg can decode", path.display())]
    NotAVideo { path: PathBuf, source: VideoError },
    #[error("no frame of {} can be decoded ({lost} are lost): the file is damaged or empty", path.display())]
    NothingDecoded { path: PathBuf, lost: u64 },
    #[error("the name of the recording {} is not UTF-8: rename it", path.display())]
    NotUtf8 { path: PathBuf },
    #[error("a replay at a fixed pace needs a number of frames per second above 0 and up to 1000, not {fps}")]
    ImpossiblePace { fps: f64 },
    #[error("the stream {address} does not open; {hint}")]
    NotOpened {
        /// Redacted, as everywhere.
        address: String,
        /// What to do next.
        hint: &'static str,
        source: VideoError,
    },
    #[error("the camera at {address} does not answer; {}", source.hint())]
    NotReached { address: String, source: Unreached },
    #[error("the camera at {address} refuses the log-in; check the user name and the password")]
    LogInRefused { address: String },
    #[error("the camera at {address} gives no picture; {hint}")]
    NoSnapshot {
        address: String,
        /// What to do next.
        hint: &'static str,
        source: SnapshotError,
    },
    #[error("the camera at {address} cannot be asked: {problem}")]
    Unusable { address: String, problem: String },
    #[error("the program {program} does not start: {problem}")]
    NotStarted { program: String, problem: String },
    #[error("the program {program} is over: {how}; {said}")]
    ProgramEnded { program: String, how: String, said: String },
    #[error("the program {program} has written nothing in the {waited_ms} ms since its start and was ended; {said}")]
    ProgramSlow { program: String, waited_ms: u128, said: String },
    #[error("the program {program} has written no picture for {waited_ms} ms and was ended; {said}")]
    ProgramSilent { program: String, waited_ms: u128, said: String },
    #[error("the stream {address} cannot be fetched: its address must begin with {SCHEMES}")]
    NoSuchScheme { address: String },
    #[error(
        "the stream {address} leads to another host, {host}, port {port}, which was not called; if the camera's stream \
         comes from there, write `allow_hosts = [\"{host}\"]` in its `[camera]`"
    )]
    Elsewhere { address: String, host: String, port: u16 },
    #[error(
        "the stream {address} is not asked for: `ca_file` and `pin_sha256` do not accept the certificate that {host}, \
         port {port}, shows: {why}; `doorward identities trust https://{host}:{port}` shows it as well, and what to \
         write if it is the right one"
    )]
    NotBelieved { address: String, host: String, port: u16, why: String },
    #[error(
        "the stream {address} is not encrypted: what answers at port {port} speaks no TLS; check the port, or write \
         the address without TLS (`rtsp://`, `http://`)"
    )]
    NoTls { address: String, port: u16 },
    #[error("the stream {address} broke off")]
    BrokeOff { address: String },
    #[error("there is no camera {device}; {cameras}")]
    NoSuchCamera {
        device: String,
        /// Those that are there, for people.
        cameras: String,
    },
    #[error("{device} gives no pictures that doorward can read: is it a camera's metadata device; {cameras}")]
    NoMode { device: String, cameras: String },
    #[error(
        "cannot {operation} the camera {device}: check that it is plugged in, that no other program uses it, \
         and that this user is in the group `video`"
    )]
    Device { operation: &'static str, device: String, source: std::io::Error },
    #[error("there is no memory for a frame's picture")]
    NotDeveloped,
    #[error("no frame for {waited_ms} ms")]
    Stalled { waited_ms: u128 },
    #[error(
        "frames arrive, but none can be decoded ({count} since the last picture; of the last one, {why}): set the \
         camera to H.264 or to baseline JPEG, and look at the cable and the network"
    )]
    NothingDecodable { count: u64, why: &'static str },
    #[error("the picture has not changed for {secs} s")]
    Frozen { secs: u64 },
    #[error("opening the camera took more than {waited_ms} ms")]
    OpenTooSlow { waited_ms: u128 },
    #[error(
        "{count} earlier connections to the camera hang in its driver or decoder: unplug the camera or restart doorward"
    )]
    Stuck { count: usize },
    #[error("the camera's driver or decoder failed inside: {what}")]
    Panicked { what: String },
    #[error("cannot start a thread for the camera")]
    Thread(#[source] std::io::Error),
}

impl CaptureError {
    /// Whether a camera was given up while it was being opened, because nothing came of it for too long.
    pub fn is_too_slow(&self) -> bool {
        match self {
            Self::OpenTooSlow { .. } | Self::ProgramSlow { .. } => true,
            Self::NotOpened { source, .. } => matches!(source, VideoError::TooSlow { .. }),
            _ => false,
        }
    }
}
