//! One detector's detect thread: newest frame in, its faces out.
//!
//! In: raw frames. Out: what was [seen](Seen) in each, for the tracker. The [`Gate`] says where to look, and pixels are
//! made only of what is looked at. The detector proves from time to time that it still finds its canary face.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use faces::detect::{Face, FaceDetector, Rect};
use metrics::{Counter, Histogram};
use parking_lot::Mutex;
use telemetry::Repeated;

use super::supervisor::Beat;
use crate::capture::{Frame, FrameReceiver, RawFrame, View};
use crate::config::DetectorConfig;
use crate::detect::{Detections, Gate, Look, Seen, is_watched};
use crate::status::Board;

/// How often the detector proves that it still finds its canary face.
const CANARY_EVERY: Duration = Duration::from_secs(30);

/// The detect thread's own.
pub struct Search {
    config: Arc<DetectorConfig>,
    detector: Arc<Mutex<FaceDetector>>,
    board: Board,
    view: View,
    gate: Gate,
    told: Told,
    /// When the detector last proved itself.
    proved: Instant,
    canary_lost: Repeated,
    unsearched: Repeated,
}

/// What the metrics are told.
struct Told {
    seconds: Histogram,
    searched: Counter,
    nowhere: Counter,
    part: Counter,
    everywhere: Counter,
}

impl Search {
    pub fn new(config: &Arc<DetectorConfig>, detector: Arc<Mutex<FaceDetector>>, board: Board) -> Self {
        Self {
            view: View::new(&config.camera, &config.view),
            gate: Gate::default(),
            told: Told::new(&config.name.to_string()),
            config: Arc::clone(config),
            detector,
            board,
            proved: Instant::now(),
            canary_lost: Repeated::default(),
            unsearched: Repeated::default(),
        }
    }

    /// Until no more frames come, or nobody wants to know. Gives back how many were gone through.
    pub fn run(mut self, frames: &FrameReceiver, seen: &SyncSender<Seen>, beat: &Beat) -> u64 {
        let (mut gone_through, mut dropped) = (0, 0);
        while let Some(frame) = frames.recv() {
            let now = Instant::now();
            self.board.received(&self.config.name, now);
            let newly_dropped = frames.dropped() - dropped;
            dropped += newly_dropped;
            self.board.dropped(&self.config.name, newly_dropped, now);
            if self.proved.elapsed() >= CANARY_EVERY {
                self.prove(beat);
            }
            let Some(what) = beat.during("searching a frame", || self.search(frame)) else { continue };
            gone_through += 1;
            if seen.send(what).is_err() {
                break;
            }
        }
        gone_through
    }

    /// `None` for a frame that could not be searched.
    fn search(&mut self, frame: RawFrame) -> Option<Seen> {
        let look = match self.config.detect.motion_gate {
            true => self.gate.look(&frame.image, &self.view, frame.time.offset),
            false => Look::Everywhere,
        };
        self.told.look(look);
        if look == Look::Nowhere {
            return Some(Seen::Nothing(frame.time));
        }
        let started = Instant::now();
        match self.faces_of(frame, look) {
            Ok((frame, faces)) => {
                self.told.seconds.record(started.elapsed());
                self.told.searched.increment(1);
                self.board.searched(&self.config.name, Instant::now());
                Some(Seen::Faces(Detections { frame: Arc::new(frame), faces }))
            }
            Err(error) => {
                if let Some(line) = self.unsearched.note(Instant::now(), &error) {
                    tracing::warn!("a frame could not be searched: {line}");
                }
                None
            }
        }
    }

    fn faces_of(&mut self, frame: RawFrame, look: Look) -> anyhow::Result<(Frame, Vec<Face>)> {
        let frame = frame.developed(&mut self.view)?;
        let picture = &*frame.picture;
        let size = (picture.width(), picture.height());
        let mut detector = self.detector.lock();
        let mut faces = match look {
            Look::At(part) => detector.detect_part(picture, &pixels(part, size))?,
            Look::Everywhere | Look::Nowhere => detector.detect(picture)?,
        };
        drop(detector);
        faces.retain(|face| is_watched(face, picture, &self.config.view));
        self.gate.found(&faces, size);
        Ok((frame, faces))
    }

    fn prove(&mut self, beat: &Beat) {
        self.proved = Instant::now();
        let found = beat.during("looking for its canary face", || self.detector.lock().prove());
        let found = found.map_err(|error| error.to_string());
        if let Err(error) = &found
            && let Some(line) = self.canary_lost.note(Instant::now(), error)
        {
            tracing::error!("the face detector no longer finds its canary face: {line}");
        }
        self.board.canary(&self.config.name, found, self.proved);
    }
}

impl Told {
    fn new(detector: &str) -> Self {
        let name = || detector.to_owned();
        let looks =
            |at: &'static str| metrics::counter!("doorward_detect_looks_total", "detector" => name(), "at" => at);
        Self {
            seconds: metrics::histogram!("doorward_detect_seconds", "detector" => name()),
            searched: metrics::counter!("doorward_detect_frames_total", "detector" => name()),
            nowhere: looks("nowhere"),
            part: looks("part"),
            everywhere: looks("everywhere"),
        }
    }

    fn look(&self, look: Look) {
        let counter = match look {
            Look::Nowhere => &self.nowhere,
            Look::At(_) => &self.part,
            Look::Everywhere => &self.everywhere,
        };
        counter.increment(1);
    }
}

/// A part in shares of a picture of this size, in pixels.
fn pixels(part: Rect, (width, height): (u32, u32)) -> Rect {
    let (x, y) = (width as f32, height as f32);
    Rect { x: part.x * x, y: part.y * y, width: part.width * x, height: part.height * y }
}
