//! OpenCV's video reader with FFmpeg behind it, as the recording and the stream both need it.
//!
//! In: a file name or address, and time limits. Out: pictures and what the container says of its rate and clock.
//! It does not know whether anybody waits for the pictures, nor what to do when they stop.

use std::sync::Once;
use std::time::Duration;

use faces::picture::{MAX_PIXELS, Picture};
use opencv::core::{LogLevel, Mat, Vector, set_log_level};
use opencv::prelude::*;
use opencv::videoio::{self, VideoCapture};

use super::ffmpeg::is_rate;
use super::jpeg::jpeg;
use super::{CaptureError, SkipReason};

/// An open video.
pub(super) struct Video {
    reader: VideoCapture,
    frame: Mat,
    /// The reader hands out JPEGs as the camera sent them.
    jpegs: bool,
}

/// What reading one frame gave.
pub(super) enum Read {
    Picture(Picture),
    /// This frame cannot be used; the next one may be.
    Unusable(SkipReason),
    /// The end, a broken connection, or the time limit: FFmpeg does not say which.
    Nothing,
}

impl Video {
    /// Opens a file name or address with FFmpeg, within the time limits (opening, each read) when they are given.
    /// `Ok(None)` when FFmpeg cannot; it does not say why.
    pub fn open(target: &str, limits: Option<(Duration, Duration)>) -> Result<Option<Self>, CaptureError> {
        quiet_opencv();
        let mut settings = Vector::<i32>::new();
        if let Some((open, read)) = limits {
            let ms = |limit: Duration| i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
            settings.extend([videoio::CAP_PROP_OPEN_TIMEOUT_MSEC, ms(open)]);
            settings.extend([videoio::CAP_PROP_READ_TIMEOUT_MSEC, ms(read)]);
        }
        // Only FFmpeg: OpenCV's other readers take a `%` in a name for a pattern and start plug-ins of their own.
        let opened = VideoCapture::from_file_with_params(target, videoio::CAP_FFMPEG, &settings);
        let Ok(reader) = opened else { return Ok(None) };
        if !reader.is_opened().unwrap_or(false) {
            return Ok(None);
        }
        let video = Self { reader, frame: Mat::default(), jpegs: false };
        let side = |property| video.property(property).filter(|&side| side > 0.0).unwrap_or(0.0) as u32;
        let (width, height) = (side(videoio::CAP_PROP_FRAME_WIDTH), side(videoio::CAP_PROP_FRAME_HEIGHT));
        if u64::from(width) * u64::from(height) > MAX_PIXELS {
            return Err(CaptureError::TooLarge { width, height, limit: MAX_PIXELS });
        }
        Ok(Some(video))
    }

    /// Takes a motion-JPEG stream's pictures undecoded, to decode them here. OpenCV 4.6 goes on showing the last
    /// picture when the size changes or a JPEG is corrupt, and says nothing. Other formats stay as they are.
    pub fn decode_jpegs_here(&mut self) {
        // The container's code, or the beginning of FFmpeg's name for the format when there is none.
        let code = self.property(videoio::CAP_PROP_FOURCC).unwrap_or(0.0) as u32;
        if matches!(&code.to_le_bytes().map(|byte| byte.to_ascii_lowercase()), b"mjpg" | b"mjpe") {
            self.jpegs = self.reader.set(videoio::CAP_PROP_FORMAT, -1.0).unwrap_or(false);
        }
    }

    /// Waits for the next frame and decodes it.
    pub fn read(&mut self) -> Read {
        match self.reader.read(&mut self.frame) {
            Ok(true) if self.jpegs => match self.frame.data_bytes().map_err(|_| SkipReason::Undecodable).and_then(jpeg)
            {
                Ok(picture) => Read::Picture(picture),
                Err(reason) => Read::Unusable(reason),
            },
            Ok(true) if self.frame.total() as u64 > MAX_PIXELS => Read::Unusable(SkipReason::TooLarge),
            Ok(true) if !self.frame.empty() => match Picture::from_mat(&self.frame) {
                Ok(picture) => Read::Picture(picture),
                Err(_) => Read::Unusable(SkipReason::Undecodable),
            },
            Ok(_) => Read::Nothing,
            // A format that changed in a way the converter refuses.
            Err(_) => Read::Unusable(SkipReason::Undecodable),
        }
    }

    /// Frames per second by the container's account, when it is one a camera can have.
    pub fn fps(&self) -> Option<f64> {
        self.property(videoio::CAP_PROP_FPS).filter(|&fps| is_rate(fps))
    }

    fn property(&self, property: i32) -> Option<f64> {
        self.reader.get(property).ok().filter(|value| value.is_finite())
    }
}

/// Keeps OpenCV's own messages off the error stream, unless somebody asked for them.
fn quiet_opencv() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if std::env::var_os("OPENCV_LOG_LEVEL").is_none() {
            // When it fails there are more messages, nothing worse.
            let _ = set_log_level(LogLevel::LOG_LEVEL_SILENT);
        }
    });
}
