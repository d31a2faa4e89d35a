//! `type = "replay"`: a recording.

use std::path::PathBuf;

use chrono::{DateTime, Utc};

use crate::config::reading::At;
use crate::config::section::section;
use crate::config::value::words;

section! {
    /// `type = "replay"`: a video file or a folder of pictures.
    pub struct ReplayConfig: new(path: impl Into<PathBuf>), checked by check_replay {
        pub path: PathBuf;
        pub pace: Pace = Pace::Recorded;
        /// Frames per second for `pace = "fixed"`, and the clock of a folder of pictures.
        pub fps: Option<f64> = None, in 0.1..=240.0;
        /// The recording starts again at its end.
        pub looped named "loop": bool = false;
        /// Dates the first frame; the recording's clock runs from here. Without it, the moment of opening.
        pub starts_at: Option<DateTime<Utc>> = None;
        /// So many degrees clockwise each frame is turned, for a camera that hangs on its side or upside down.
        pub rotate: u32 = 0, in 0..=270;
    }
}

words! {
    /// How fast a recording is played.
    pub enum Pace {
        /// As recorded, like a live camera: frames that come too fast are dropped.
        Recorded,
        /// At `fps`, like a live camera.
        Fixed,
        /// As fast as possible: every frame is processed, on the recording's clock.
        Fast,
    }
}

fn check_replay(replay: &ReplayConfig, at: &At<'_>) {
    at.wrong_if(replay.path.as_os_str().is_empty(), &["path"], "it must name a video file or a folder of pictures");
    let no_rate = replay.pace == Pace::Fixed && replay.fps.is_none();
    at.wrong_if(no_rate, &["pace"], "`fixed` also needs `fps`, from 0.1 to 240");
}
