//! A recording as a camera: a video file, a folder of pictures, or one picture.
//!
//! In: the path, the pace, once or looped. Out: shots with their position on the recording's clock, when they are
//! due. It does not know who waits for them; what cannot be decoded is passed over, counted, and told once.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tracing::warn;

use super::ffmpeg::{Decoded, Options, Read, Video, is_rate};
use super::folder::{Folder, is_picture};
use super::pace::Pace as Due;
use super::{About, CameraSource, CaptureError, Image, Losses, Next, Shot, ShotTime, SkipReason, Skipped};
use crate::config::{Pace, ReplayConfig};

/// A recording being replayed.
pub(super) struct Replay {
    config: ReplayConfig,
    recording: Recording,
    /// Frames per second of the recording's clock.
    fps: f64,
    /// What the recording's clock showed at its first frame.
    starts_at: DateTime<Utc>,
    clock: Clock,
    due: Due,
    /// When the first frame was due, for a replay that is paced.
    began: Option<Instant>,
    /// Shots of this round of a loop.
    shots_in_round: u64,
    /// The same for what a video lost.
    losses: Losses,
    /// A loop does not tell of its losses in every round.
    told: bool,
}

enum Recording {
    Video(Box<Video>),
    Folder(Folder),
}

/// A folder of pictures has no clock of its own.
const FOLDER_FPS: f64 = 10.0;
/// For a container that gives no rate.
const VIDEO_FPS: f64 = 25.0;
/// A longer pause between two frames of a recording is taken for a broken time stamp.
const LONGEST_PAUSE_MS: f64 = 3_600_000.0;

impl Replay {
    /// Opens the recording; its first frame is due when it is first asked for.
    pub fn open(config: &ReplayConfig, max_fps: f32) -> Result<Self, CaptureError> {
        if config.fps.is_some_and(|fps| !is_rate(fps)) {
            return Err(CaptureError::ImpossiblePace { fps: config.fps.unwrap_or_default() });
        }
        let recording = Recording::open(&config.path)?;
        let fps = match &recording {
            Recording::Folder(_) => config.fps.unwrap_or(FOLDER_FPS),
            Recording::Video(video) => match config.pace {
                Pace::Fixed => config.fps.or(video.fps()).unwrap_or(VIDEO_FPS),
                Pace::Recorded | Pace::Fast => video.fps().unwrap_or(VIDEO_FPS),
            },
        };
        Ok(Self {
            starts_at: config.starts_at.unwrap_or_else(Utc::now),
            config: config.clone(),
            recording,
            clock: Clock::new(1000.0 / fps),
            due: Due::new(max_fps),
            fps,
            began: None,
            shots_in_round: 0,
            losses: Losses::default(),
            told: false,
        })
    }

    /// A shot, at its moment. `stamp_ms` is where it lies on the recording's clock, as far as that is known.
    fn shot(&mut self, image: Image, stamp_ms: Option<f64>, damaged: bool) -> Next {
        // A given pace leaves no room for the recorded one.
        let position = self.clock.next(stamp_ms.filter(|_| self.config.pace != Pace::Fixed));
        self.shots_in_round += 1;
        if !self.due.due_after(position) {
            return Next::NotDue;
        }
        let paced = self.config.pace != Pace::Fast;
        if paced {
            let began = *self.began.get_or_insert_with(Instant::now);
            std::thread::sleep((began + position).saturating_duration_since(Instant::now()));
        }
        let dated = !paced || self.config.starts_at.is_some();
        let since_start = TimeDelta::from_std(position).unwrap_or(TimeDelta::MAX);
        let utc = dated.then(|| self.starts_at.checked_add_signed(since_start)).flatten();
        Next::Shot(Shot { image, time: ShotTime::Recording { position, utc }, damaged })
    }

    /// The next of a video's frames.
    fn next_of_video(&mut self, read: Read) -> Result<Next, CaptureError> {
        match read {
            Read::Picture(Decoded { image, position_ms, damaged }) => {
                self.losses.damaged += u64::from(damaged);
                Ok(self.shot(image, position_ms, damaged))
            }
            Read::NotDue => Ok(Next::NotDue),
            Read::Lost(frames) => {
                self.losses.lost += frames;
                // They would have been shown: those after them keep their places in time. Where the recording has time
                // stamps, these see to it.
                self.clock.pass(frames);
                Ok(Next::Lost(frames))
            }
            Read::TooLarge => {
                self.clock.pass(1);
                let what = format!("a frame of {}", self.config.path.display());
                Ok(Next::Skipped(Skipped { reason: SkipReason::TooLarge, what }))
            }
            // A file is read without a time limit, and leads nowhere.
            Read::End | Read::TimedOut | Read::Refused(_) => self.finish_round(),
        }
    }

    /// At the end of a round: the next round, or the end.
    fn finish_round(&mut self) -> Result<Next, CaptureError> {
        if self.shots_in_round == 0 {
            let path = self.config.path.clone();
            return Err(match &self.recording {
                Recording::Folder(folder) => CaptureError::OnlyBadPictures { path, count: folder.len() },
                Recording::Video(_) => CaptureError::NothingDecoded { path, lost: self.losses.lost },
            });
        }
        let Losses { lost, damaged } = std::mem::take(&mut self.losses);
        if (lost > 0 || damaged > 0) && !std::mem::replace(&mut self.told, true) {
            let (path, shown) = (self.config.path.display(), self.shots_in_round);
            warn!(
                lost,
                damaged,
                "the recording {path} is damaged: {lost} of its frames are lost, {shown} could be decoded, {damaged} \
                 of them only in part"
            );
        }
        if !self.config.looped {
            return Ok(Next::End);
        }
        self.shots_in_round = 0;
        self.clock.start_round();
        self.recording = Recording::open(&self.config.path)?;
        self.next_shot()
    }
}

impl CameraSource for Replay {
    fn about(&self) -> About {
        About { name: format!("replay of {}", self.config.path.display()), fps: self.fps as f32, unmet: Vec::new() }
    }

    fn next_shot(&mut self) -> Result<Next, CaptureError> {
        let folder = match &mut self.recording {
            Recording::Video(video) => {
                let read = video.read();
                return self.next_of_video(read);
            }
            Recording::Folder(folder) => folder,
        };
        match folder.read() {
            Some(Ok(picture)) => Ok(self.shot(picture.into(), None, false)),
            Some(Err(skipped)) => {
                self.clock.pass(1);
                Ok(Next::Skipped(skipped))
            }
            None => self.finish_round(),
        }
    }
}

impl Recording {
    fn open(path: &Path) -> Result<Self, CaptureError> {
        let unreadable = |source| CaptureError::Unreadable { path: path.into(), source };
        if std::fs::metadata(path).map_err(unreadable)?.is_dir() {
            return Ok(Self::Folder(Folder::open(path)?));
        }
        if is_picture(path) {
            return Ok(Self::Folder(Folder::of_one(path)));
        }
        // FFmpeg takes `name:` at the beginning for a protocol, and has no words for a missing permission.
        std::fs::File::open(path).map_err(unreadable)?;
        let whole: PathBuf = std::path::absolute(path).map_err(unreadable)?;
        let name = whole.to_str().ok_or_else(|| CaptureError::NotUtf8 { path: path.into() })?;
        let video = Video::open(&format!("file:{name}"), &Options::RECORDING);
        video
            .map(|video| Self::Video(Box::new(video)))
            .map_err(|source| CaptureError::NotAVideo { path: path.into(), source })
    }
}

/// The recording's clock: positions that always grow, from stamps that may be missing, jump or start again.
struct Clock {
    step_ms: f64,
    /// The stamp of the frame before.
    stamp: Option<f64>,
    /// The position of the frame before.
    position_ms: Option<f64>,
}

impl Clock {
    fn new(step_ms: f64) -> Self {
        Self { step_ms, stamp: None, position_ms: None }
    }

    /// The position of the next frame. Without a believable stamp it lies one step after the frame before.
    fn next(&mut self, stamp: Option<f64>) -> Duration {
        let position = self.position_ms.map_or(0.0, |before| {
            let passed = stamp.zip(self.stamp).map(|(now, before)| now - before);
            before + passed.filter(|&passed| passed > 0.0 && passed <= LONGEST_PAUSE_MS).unwrap_or(self.step_ms)
        });
        self.stamp = stamp;
        self.position_ms = Some(position);
        Duration::from_micros((position * 1000.0).round() as u64)
    }

    /// Frames that would have come next and do not. With time stamps the next frame's says how much time has passed;
    /// without them each takes a step.
    fn pass(&mut self, frames: u64) {
        if self.stamp.is_none() {
            self.position_ms = Some(self.position_ms.unwrap_or(-self.step_ms) + frames as f64 * self.step_ms);
        }
    }

    /// The recording starts again: its next stamp says nothing of the time since the last one.
    fn start_round(&mut self) {
        self.stamp = None;
    }
}

#[cfg(test)]
mod tests {
    use ffmpeg_next::codec::Id;
    use tempfile::TempDir;

    use faces::picture::Picture;

    use super::*;
    use crate::capture::ffmpeg::clip::{self, Clip};

    /// A clip of `frames` grey pictures, each `10 * index` bright, at `fps`.
    fn clip(dir: &TempDir, frames: u8, fps: f64) -> PathBuf {
        let path = dir.path().join("clip.mp4");
        let clip = Clip::steady(Id::MJPEG, (64, 48), frames.into(), (1000.0 / fps).round() as i64);
        clip.write(&path, |index| vec![10 * index as u8; 64 * 48 * 3]);
        path
    }

    fn config(path: impl Into<PathBuf>, pace: Pace) -> ReplayConfig {
        ReplayConfig { path: path.into(), pace, fps: None, looped: false, starts_at: None, rotate: 0 }
    }

    /// Positions (ms) and brightness of up to `limit` shots, and how it ended.
    fn watch(replay: &mut Replay, limit: usize) -> (Vec<(u128, u8)>, usize, bool) {
        let (mut shots, mut skipped) = (Vec::new(), 0);
        while shots.len() < limit {
            match replay.next_shot().unwrap() {
                Next::Shot(Shot { mut image, time: ShotTime::Recording { position, .. }, .. }) => {
                    shots.push((position.as_millis(), image.picture().unwrap().bgr()[0]));
                }
                Next::Shot(shot) => panic!("a recording has its own clock: {:?}", shot.time),
                Next::NotDue => {}
                Next::Skipped(_) => skipped += 1,
                Next::Lost(frames) => skipped += frames as usize,
                Next::End => return (shots, skipped, true),
            }
        }
        (shots, skipped, false)
    }

    fn near(shots: &[(u128, u8)], expected: &[(u128, u8)]) -> bool {
        let close = |a: &(u128, u8), b: &(u128, u8)| a.0.abs_diff(b.0) <= 1 && a.1.abs_diff(b.1) <= 3;
        shots.len() == expected.len() && shots.iter().zip(expected).all(|(a, b)| close(a, b))
    }

    #[test]
    fn a_video_gives_every_frame_on_the_recordings_clock_and_ends() {
        let dir = TempDir::new().unwrap();
        let start = "2024-03-01T12:00:00Z".parse().unwrap();
        let config = ReplayConfig { starts_at: Some(start), ..config(clip(&dir, 5, 12.5), Pace::Fast) };
        let mut replay = Replay::open(&config, 0.0).unwrap();
        assert_eq!(replay.about().fps, 12.5);
        let (shots, _, ended) = watch(&mut replay, 99);
        assert!(near(&shots, &[(0, 0), (80, 10), (160, 20), (240, 30), (320, 40)]) && ended, "{shots:?}");

        let mut replay = Replay::open(&config, 0.0).unwrap();
        let dates: Vec<DateTime<Utc>> = std::iter::from_fn(|| match replay.next_shot().unwrap() {
            Next::Shot(Shot { time: ShotTime::Recording { utc, .. }, .. }) => utc,
            _ => None,
        })
        .collect();
        let expected: Vec<_> = (0..5).map(|index| start + TimeDelta::milliseconds(80 * index)).collect();
        assert_eq!(dates, expected);
    }

    #[test]
    fn a_loop_goes_on_in_time() {
        let dir = TempDir::new().unwrap();
        let config = ReplayConfig { looped: true, ..config(clip(&dir, 3, 10.0), Pace::Fast) };
        let (shots, _, ended) = watch(&mut Replay::open(&config, 0.0).unwrap(), 7);
        let expected = [(0, 0), (100, 10), (200, 20), (300, 0), (400, 10), (500, 20), (600, 0)];
        assert!(near(&shots, &expected) && !ended, "{shots:?}");
    }

    #[test]
    fn the_pace_is_kept_and_a_given_one_replaces_the_recorded_one() {
        let dir = TempDir::new().unwrap();
        let path = clip(&dir, 4, 20.0);
        let fixed = ReplayConfig { fps: Some(40.0), ..config(&path, Pace::Fixed) };
        for (config, step_ms) in [(config(&path, Pace::Recorded), 50), (fixed, 25)] {
            let mut replay = Replay::open(&config, 0.0).unwrap();
            let began = Instant::now();
            let (shots, ..) = watch(&mut replay, 99);
            let steps: Vec<u128> = shots.iter().map(|shot| shot.0).collect();
            assert_eq!(steps, [0, step_ms, 2 * step_ms, 3 * step_ms]);
            assert!(began.elapsed().as_millis() >= 3 * step_ms, "the last frame came before it was due");
        }
    }

    #[test]
    fn a_live_replay_is_dated_by_the_wall_clock_unless_told_otherwise() {
        let dir = TempDir::new().unwrap();
        let path = clip(&dir, 1, 20.0);
        let start = "2024-03-01T12:00:00Z".parse().ok();
        for (starts_at, pace, dated) in
            [(None, Pace::Recorded, false), (start, Pace::Recorded, true), (None, Pace::Fast, true)]
        {
            let config = ReplayConfig { starts_at, ..config(&path, pace) };
            match Replay::open(&config, 0.0).unwrap().next_shot().unwrap() {
                Next::Shot(Shot { time: ShotTime::Recording { utc, .. }, .. }) => {
                    assert_eq!(utc.is_some(), dated, "{pace:?} {starts_at:?}");
                    assert!(starts_at.is_none() || utc == starts_at);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn fewer_frames_than_there_are_keep_their_places_in_time() {
        let dir = TempDir::new().unwrap();
        let path = clip(&dir, 10, 25.0);
        for pace in [Pace::Fast, Pace::Recorded] {
            let mut replay = Replay::open(&config(&path, pace), 10.0).unwrap();
            let (shots, skipped, ended) = watch(&mut replay, 99);
            assert!(near(&shots, &[(0, 0), (80, 20), (200, 50), (280, 70)]) && ended, "{pace:?}: {shots:?}");
            assert_eq!(skipped, 0);
        }
        // By the clock it is played on, and not by its own.
        let mut replay = Replay::open(&ReplayConfig { fps: Some(10.0), ..config(&path, Pace::Fixed) }, 10.0).unwrap();
        assert_eq!(watch(&mut replay, 99).0.len(), 10);
    }

    #[test]
    fn a_folder_is_shown_in_its_natural_order_and_bad_pictures_keep_their_place_in_time() {
        let dir = TempDir::new().unwrap();
        for (name, brightness) in [("shot 10.jpg", 100), ("shot 9.png.jpg", 90), ("shot 2.JPG", 20)] {
            let jpeg = Picture::filled(16, 16, [brightness; 3]).jpeg(95).unwrap();
            std::fs::write(dir.path().join(name), jpeg).unwrap();
        }
        std::fs::write(dir.path().join("shot 3.jpg"), b"not a picture").unwrap();
        std::fs::write(dir.path().join("notes.txt"), b"not looked at").unwrap();
        std::fs::create_dir(dir.path().join("folder.jpg")).unwrap();
        let mut replay = Replay::open(&config(dir.path(), Pace::Fast), 0.0).unwrap();
        let (shots, skipped, ended) = watch(&mut replay, 99);
        assert!(near(&shots, &[(0, 20), (200, 90), (300, 100)]) && ended, "{shots:?}");
        assert_eq!(skipped, 1);

        let mut one = Replay::open(&config(dir.path().join("shot 10.jpg"), Pace::Fast), 0.0).unwrap();
        assert!(near(&watch(&mut one, 99).0, &[(0, 100)]), "one picture is a recording of one frame");
    }

    /// Fills the coded pixels of these frames with rubbish.
    fn damage(path: &Path, numbers: &[usize]) {
        let frames = clip::frames(path);
        clip::edit(path, |bytes| {
            for (at, length) in numbers.iter().map(|&number| frames[number]) {
                bytes[at + length - 20..at + length - 4].fill(0x55);
            }
        });
    }

    #[test]
    fn a_damaged_recording_is_played_to_its_end_and_the_others_keep_their_places_in_time() {
        let dir = TempDir::new().unwrap();
        let path = clip(&dir, 8, 25.0);
        damage(&path, &[3, 4]);
        let expected = [(0, 0), (40, 10), (80, 20), (200, 50), (240, 60), (280, 70)];
        let fixed = ReplayConfig { fps: Some(25.0), ..config(&path, Pace::Fixed) };
        for config in [config(&path, Pace::Fast), config(&path, Pace::Recorded), fixed] {
            let (shots, lost, ended) = watch(&mut Replay::open(&config, 0.0).unwrap(), 99);
            assert!(near(&shots, &expected) && ended, "{:?}: {shots:?}", config.pace);
            assert_eq!(lost, 2);
        }

        damage(&path, &[0, 1, 2, 5, 6, 7]);
        let mut replay = Replay::open(&config(&path, Pace::Fast), 0.0).unwrap();
        let error = std::iter::repeat_with(|| replay.next_shot()).find_map(Result::err).unwrap();
        assert!(matches!(error, CaptureError::NothingDecoded { lost: 8, .. }), "{error}");
        assert!(error.to_string().contains("clip.mp4"), "{error}");
    }

    #[test]
    fn what_cannot_be_replayed_is_named() {
        let dir = TempDir::new().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir(path("empty")).unwrap();
        std::fs::write(path("text.mp4"), "this is no video").unwrap();
        std::fs::write(path("nothing.avi"), "").unwrap();
        for (name, hint) in [
            ("missing.mp4", "check that it is there"),
            ("empty", "holds no picture"),
            ("text.mp4", "not a video"),
            ("nothing.avi", "not a video"),
        ] {
            let error = Replay::open(&config(path(name), Pace::Fast), 0.0).err().unwrap().to_string();
            assert!(error.contains(hint) && error.contains(name), "{error}");
        }
        std::fs::create_dir(path("bad")).unwrap();
        std::fs::write(path("bad/1.jpg"), "no picture").unwrap();
        let config = ReplayConfig { looped: true, ..config(path("bad"), Pace::Fast) };
        let mut replay = Replay::open(&config, 0.0).unwrap();
        assert!(matches!(replay.next_shot(), Ok(Next::Skipped(_))));
        assert!(matches!(replay.next_shot(), Err(CaptureError::OnlyBadPictures { count: 1, .. })), "no endless loop");
    }

    #[test]
    fn frames_that_are_passed_over_take_their_time() {
        for (stamps, expected) in [([Some(0.0), Some(40.0), Some(200.0)], [0, 40, 200]), ([None; 3], [0, 40, 160])] {
            let mut clock = Clock::new(40.0);
            let mut next = |stamp| clock.next(stamp).as_millis();
            let before = [next(stamps[0]), next(stamps[1])];
            clock.pass(2);
            assert_eq!([before[0], before[1], clock.next(stamps[2]).as_millis()], expected);
        }
        let mut clock = Clock::new(40.0);
        clock.pass(1);
        assert_eq!(clock.next(None).as_millis(), 40, "the first one as well");
    }

    #[test]
    fn stamps_that_make_no_sense_are_replaced_by_the_recordings_rate() {
        for (name, stamps, expected) in [
            ("sound", [500.0, 540.0, 600.0, 640.0].map(Some), [0, 40, 100, 140]),
            ("missing", [None; 4], [0, 40, 80, 120]),
            ("standing still", [Some(0.0); 4], [0, 40, 80, 120]),
            ("going back", [900.0, 940.0, 0.0, 50.0].map(Some), [0, 40, 80, 130]),
            ("a jump of years", [0.0, 40.0, 9e12, 9e12 + 40.0].map(Some), [0, 40, 80, 120]),
        ] {
            let mut clock = Clock::new(40.0);
            let positions = stamps.map(|stamp| clock.next(stamp).as_micros() / 1000);
            assert_eq!(positions, expected, "{name}");
        }
    }
}
