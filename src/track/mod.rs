//! Faces across frames: one visit each, and its best shot.
//!
//! Pure: in go [`Detections`](faces::detect::Detections) with the pipeline's clock in them, out come
//! [`TrackEvent`]s. No I/O, no clock of its own, no chance: the same detections give the same visits with the same
//! ids. [`Tracker`] decides who is who (`associate`, by movement and `look`) and whose turn it is; `shot` decides
//! which of a visit's pictures is sent and when, `confirm` which are sent because somebody asked.

mod associate;
mod confirm;
mod look;
#[cfg(test)]
mod scenarios;
mod shot;
#[cfg(test)]
#[path = "../../tests/track/stage.rs"]
mod stage;
mod tracker;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use self::confirm::Confirm;
pub use self::tracker::Tracker;
use crate::capture::{CaptureTime, Frame};
use crate::config::DetectorName;
use faces::detect::{Face, Rect};
use faces::quality::Quality;

/// One person's stay in front of one detector: a UUID v7, made of the visit's first frame (its time, detector and
/// sequence number) and the face in it, so that the same recording gives the same ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Deserialize, serde::Serialize)]
pub struct VisitId(pub Uuid);

/// What the tracker decided at a frame.
#[derive(Debug, Clone)]
pub enum TrackEvent {
    /// Worth sending now.
    Shot(BestShot),
    /// The person has left (or the recording ended).
    Ended(VisitEnd),
}

/// The frame of a visit whose face is most worth sending so far.
#[derive(Debug, Clone)]
pub struct BestShot {
    pub visit: VisitId,
    pub frame: Arc<Frame>,
    pub face: Face,
    /// The other faces in the frame, which must not be taken for this one.
    pub others: Vec<Rect>,
    pub quality: Quality,
    /// The first frame of the visit with a face in it, and the newest.
    pub first_seen: CaptureTime,
    pub last_seen: CaptureTime,
    pub reason: ShotReason,
    /// 1 for the first shot of the visit, then 2, 3, …
    pub number: u8,
}

/// Why a shot is sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShotReason {
    /// The first good-enough shot of the visit.
    First,
    /// Clearly better than the one sent before, which has no answer yet.
    Better,
    /// Nobody was surely known in those before, and this one is as different from them as can be.
    Again,
    /// Asked for, to be sure of the person.
    Confirming,
}

/// What the engine made of a shot, as far as the next one depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShotAnswer {
    Known,
    /// Somebody, and not surely so: the match is weak and the only one, or an actuator waits for more pictures.
    Doubted,
    /// Or refused: another picture may fare better.
    Unknown,
    NoFace,
    /// There will be none: it was only taken in, or never got there.
    None,
}

/// What the tracker is told of a shot that was sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Feedback {
    /// 1 for the first shot of the visit, then 2, 3, …; 0 where nobody knows any more.
    pub shot: u8,
    pub answer: ShotAnswer,
    /// Further pictures an actuator waits for from now on; `None` changes nothing.
    pub confirm: Option<Confirm>,
}

/// The end of a visit: what `doorward explain` tells of one that sent nothing.
#[derive(Debug, Clone)]
pub struct VisitEnd {
    pub visit: VisitId,
    pub detector: DetectorName,
    pub first_seen: CaptureTime,
    pub last_seen: CaptureTime,
    /// Frames with this visitor's face in them.
    pub frames: u32,
    /// The tallest face seen, pixels.
    pub largest_px: f32,
    /// Shots sent: `track.most_shots` at most, and those that were asked for.
    pub shots: u8,
    /// The best quality seen, sent or not.
    pub best: Option<Quality>,
    /// Why nothing was sent; `None` when something was.
    pub unsent: Option<Unsent>,
}

/// Why a visit ended without a shot. (A face seen in too few frames to be believed makes no visit at all, see
/// [`Tracker::glimpses`].)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unsent {
    /// No face of it reached the smallest size.
    TooSmall,
    /// It was never good enough (sharpness, pose, exposure, contrast, truncation).
    TooPoor,
    /// It was good enough only in frames that are [damaged](Frame::damaged).
    Damaged,
}

impl Unsent {
    /// For metrics and JSON; stable.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooSmall => "too_small",
            Self::TooPoor => "too_poor",
            Self::Damaged => "damaged",
        }
    }
}

impl ShotReason {
    /// For logs and JSON; stable.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Better => "better",
            Self::Again => "again",
            Self::Confirming => "confirming",
        }
    }
}

impl std::fmt::Display for VisitId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A UUID v7 of a time (before 1970 it is 1970) and, in place of its random bits, the SHA-256 of what it names: the
/// same thing has the same id on every run, other things have others.
pub(crate) fn id_of(at: DateTime<Utc>, named: &[&[u8]]) -> Uuid {
    let mut hash = Sha256::new();
    for part in named {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut random = [0; 10];
    random.copy_from_slice(&hash.finalize()[..10]);
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_its_time_and_its_name() {
        let at = DateTime::<Utc>::from_timestamp_millis(1_700_000_000_123).unwrap();
        let id = id_of(at, &[b"door", b"1"]);
        assert_eq!(id, id_of(at, &[b"door", b"1"]));
        assert_ne!(id, id_of(at, &[b"doo", b"r1"]));
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.get_timestamp().unwrap().to_unix(), (1_700_000_000, 123_000_000));
        let early = DateTime::<Utc>::from_timestamp_millis(-5).unwrap();
        assert_eq!(id_of(early, &[]).get_timestamp().unwrap().to_unix(), (0, 0));
    }
}
