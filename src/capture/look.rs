//! One look through a camera: for who sets it up.
//!
//! In: a camera's configuration. Out: its first picture, or what a few seconds of it come to. It tries once: whoever
//! asks is there to try again.

use std::time::{Duration, Instant};

use faces::picture::Picture;

use super::{About, CaptureError, Next, View, open};
use crate::config::CameraConfig;

/// Frames that are no pictures, after which there is nothing more to expect.
const MOST_SKIPPED: u64 = 100;

/// What a camera shows.
#[derive(Debug)]
pub struct Look {
    pub about: About,
    /// What every other room sees of it.
    pub picture: Picture,
    /// Until it was open, and until the first picture was there.
    pub opened: Duration,
    pub shown: Duration,
}

/// What came of a camera within a time.
#[derive(Debug)]
pub struct Delivered {
    pub about: About,
    /// Width and height of the last picture, in pixels.
    pub size: (u32, u32),
    pub frames: u64,
    /// Frames that were no pictures.
    pub skipped: u64,
    /// From the first picture to the last.
    pub within: Duration,
}

impl Delivered {
    /// Pictures per second.
    pub fn fps(&self) -> f64 {
        if self.within.is_zero() { 0.0 } else { (self.frames.saturating_sub(1)) as f64 / self.within.as_secs_f64() }
    }
}

/// The first picture. Blocks as long as opening and a silence may last.
///
/// # Errors
/// As for the agent, which would try again.
pub fn look(config: &CameraConfig, mut view: View) -> Result<Look, CaptureError> {
    let began = Instant::now();
    let mut source = open(config)?;
    let opened = began.elapsed();
    let mut skipped = 0;
    loop {
        let (more, why) = match source.next_shot()? {
            Next::Shot(shot) => {
                let picture = view.of(shot.image.into_picture().ok_or(CaptureError::NotDeveloped)?)?;
                return Ok(Look { about: source.about(), picture, opened, shown: began.elapsed() });
            }
            Next::NotDue => continue,
            Next::Skipped(passed) => (1, passed.reason.why()),
            Next::Lost(frames) => (frames, "it cannot be decoded"),
            Next::End => return Err(CaptureError::NothingDecodable { count: skipped, why: "it is over" }),
        };
        skipped += more;
        if skipped >= MOST_SKIPPED {
            return Err(CaptureError::NothingDecodable { count: skipped, why });
        }
    }
}

/// What comes within a time from the first picture on.
///
/// # Errors
/// As [`look`].
pub fn deliver(config: &CameraConfig, within: Duration) -> Result<Delivered, CaptureError> {
    let mut source = open(config)?;
    let (mut first, mut last) = (None, Instant::now());
    let (mut size, mut frames, mut skipped) = ((0, 0), 0, 0);
    while first.is_none_or(|first: Instant| first.elapsed() < within) {
        match source.next_shot()? {
            Next::Shot(shot) => {
                last = Instant::now();
                first.get_or_insert(last);
                frames += 1;
                // Whoever measures what a camera costs wants its pictures.
                let picture = shot.image.into_picture().ok_or(CaptureError::NotDeveloped)?;
                size = (picture.width(), picture.height());
            }
            Next::NotDue => {}
            Next::Skipped(_) => skipped += 1,
            Next::Lost(lost) => skipped += lost,
            Next::End => break,
        }
        if first.is_none() && skipped >= MOST_SKIPPED {
            return Err(CaptureError::NothingDecodable { count: skipped, why: "it is no picture that can be read" });
        }
    }
    let within = first.map_or(Duration::ZERO, |first| last - first);
    Ok(Delivered { about: source.about(), size, frames, skipped, within })
}
