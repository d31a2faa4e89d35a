//! One detector's threads, from the camera to the outbox: capture, detect, track.
//!
//! In: a detector's settings and its models. Out: sightings, accepted by the [`Intake`], and the ends of visits. Each thread
//! stops when the one before it does, so that a recording that ends, or a camera told to stop, empties the line in order.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use faces::detect::FaceDetector;
use faces::embed::FaceEmbedder;
use telemetry::Repeated;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::heartbeat::Pulse;
use super::intake::Intake;
use crate::capture::{self, CameraState, Frame, FrameReceiver, Losses};
use crate::config::DetectorConfig;
use crate::crop;
use crate::detect::Detections;
use crate::recognition::wants_aligned;
use crate::status::Board;
use crate::track::{BestShot, TrackEvent, Tracker};

/// Detections waiting for the tracker: one, so that a slow tracker slows the detector and the newest frame wins in front of it.
const DETECTIONS_WAITING: usize = 1;
/// How often the detector proves that it still finds its canary face.
const CANARY_EVERY: Duration = Duration::from_secs(30);

/// What one detector needs to run.
pub struct Models {
    pub detector: Box<dyn FaceDetector>,
    /// Where the configuration asks for embeddings.
    pub embedder: Option<Box<dyn FaceEmbedder>>,
}

/// A detector's running threads.
pub struct Pipeline {
    capture: JoinHandle<Losses>,
    detect: JoinHandle<u64>,
    track: JoinHandle<()>,
    camera: watch::Receiver<CameraState>,
    pulse: Pulse,
}

/// How a detector's threads ended.
pub struct End {
    /// Frames that were searched.
    pub frames: u64,
    /// What the camera's frames lost on their way here.
    pub losses: Losses,
    /// Why a recording could not be played to its end.
    pub fault: Option<String>,
    /// A thread panicked, which only a mistake in the program makes it do.
    pub broken: bool,
}

impl Pipeline {
    /// Starts the threads. They end after `cancel`, or when the recording does.
    pub fn start(
        config: Arc<DetectorConfig>,
        models: Models,
        intake: Intake,
        board: Board,
        cancel: CancellationToken,
    ) -> std::io::Result<Self> {
        let (frames, newest) = capture::channel(&config.camera);
        let (detections, detected) = sync_channel(DETECTIONS_WAITING);
        let (state, camera_state) = watch::channel(CameraState::Connecting);
        let name = config.name.clone();

        let camera = Arc::clone(&config);
        let capture = move || capture::run(camera.name.clone(), &camera.camera, frames, cancel, state);
        let pulse = Pulse::default();
        let (detect_config, detect_pulse) = (Arc::clone(&config), pulse.clone());
        let detect = move || detect_faces(&detect_config, models.detector, &newest, &detections, &board, &detect_pulse);
        let track = move || track_visits(&config, models.embedder, &detected, &intake);
        Ok(Self {
            capture: spawn(format!("capture:{name}"), capture)?,
            detect: spawn(format!("detect:{name}"), detect)?,
            track: spawn(format!("track:{name}"), track)?,
            camera: camera_state,
            pulse,
        })
    }

    /// What the camera is doing, for the status board.
    pub fn camera(&self) -> watch::Receiver<CameraState> {
        self.camera.clone()
    }

    /// Whether its detector works.
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Waits until the last sighting of this detector is in the outbox. Blocks. A panic has been reported by the panic hook; the
    /// other threads still end in order.
    pub fn join(self) -> End {
        let captured = self.capture.join();
        let detected = self.detect.join();
        let tracked = self.track.join();
        let fault = match &*self.camera.borrow() {
            CameraState::Failed { reason, .. } => Some(reason.clone()),
            _ => None,
        };
        let broken = captured.is_err() || detected.is_err() || tracked.is_err();
        End { frames: detected.unwrap_or_default(), losses: captured.unwrap_or_default(), fault, broken }
    }
}

fn spawn<T: Send + 'static>(name: String, body: impl FnOnce() -> T + Send + 'static) -> std::io::Result<JoinHandle<T>> {
    let span = tracing::info_span!("thread", name);
    Builder::new().name(name).spawn(move || span.in_scope(body))
}

/// The detect thread: newest frame in, all its faces out. Gives back how many frames were searched.
fn detect_faces(
    config: &DetectorConfig,
    mut detector: Box<dyn FaceDetector>,
    frames: &FrameReceiver,
    detections: &SyncSender<Detections>,
    board: &Board,
    pulse: &Pulse,
) -> u64 {
    let mut searched = 0;
    let (canary_lost, unsearched) = (Repeated::default(), Repeated::default());
    let mut pace = Pace::new(config.detect.max_fps);
    let mut proved = Instant::now();
    let label = config.name.to_string();
    let seconds = metrics::histogram!("doorward_detect_seconds", "detector" => label.clone());
    let processed = metrics::counter!("doorward_detect_frames_total", "detector" => label.clone());
    let mut dropped = 0;
    while let Some(frame) = frames.recv() {
        let now = Instant::now();
        board.received(&config.name, now);
        let newly_dropped = frames.dropped() - dropped;
        dropped += newly_dropped;
        board.dropped(&config.name, newly_dropped, now);
        if !pace.due(&frame) {
            metrics::counter!("doorward_detect_skipped_total", "detector" => label.clone()).increment(1);
            continue;
        }
        if proved.elapsed() >= CANARY_EVERY {
            proved = Instant::now();
            let found = detector.prove().map_err(|error| error.to_string());
            if let Err(error) = &found
                && let Some(line) = canary_lost.note(Instant::now(), error)
            {
                tracing::error!("the face detector no longer finds its canary face: {line}");
            }
            board.canary(&config.name, found, proved);
        }
        let started = Instant::now();
        pulse.busy();
        let found = detector.detect(&frame.picture);
        pulse.idle();
        match found {
            Ok(faces) => {
                seconds.record(started.elapsed());
                processed.increment(1);
                searched += 1;
                board.searched(&config.name, Instant::now());
                if detections.send(Detections { frame: Arc::new(frame), faces }).is_err() {
                    break;
                }
            }
            Err(error) => {
                if let Some(line) = unsearched.note(Instant::now(), &error) {
                    tracing::warn!("a frame could not be searched: {line}");
                }
            }
        }
    }
    searched
}

/// The track thread: detections in, sightings into the intake.
fn track_visits(
    config: &DetectorConfig,
    mut embedder: Option<Box<dyn FaceEmbedder>>,
    detections: &Receiver<Detections>,
    intake: &Intake,
) {
    let mut tracker = Tracker::new(config.name.clone(), &config.track, &config.quality.options());
    let mut act = |event| match event {
        TrackEvent::Shot(shot) => {
            if let Some(sighting) = make_sighting(config, embedder.as_deref_mut(), &shot) {
                intake.accept(&shot, sighting);
            }
        }
        TrackEvent::Ended(end) => intake.left(&end),
    };
    for detections in detections {
        intake.wanted(&config.name).for_each(|(visit, confirm)| tracker.confirm(visit, confirm));
        let events = tracker.observe(&detections);
        // Before the shots: whoever is recognised must have been seen.
        intake.in_view(&config.name, detections.frame.time, tracker.present().map(|(visit, _)| visit));
        events.into_iter().for_each(&mut act);
    }
    tracker.finish().into_iter().for_each(&mut act);
}

fn make_sighting(
    config: &DetectorConfig,
    embedder: Option<&mut (dyn FaceEmbedder + 'static)>,
    shot: &BestShot,
) -> Option<crop::Sighting> {
    let mut sighting = match crop::cut(shot, &config.crop, config.time_zone, wants_aligned(&config.identify)) {
        Ok(sighting) => sighting,
        Err(error) => {
            tracing::error!(visit = %shot.visit, %error, "a shot could not be cropped");
            return None;
        }
    };
    if let Some(embedder) = embedder {
        match embedder.embed(&shot.frame.picture, &shot.face) {
            Ok(embedding) => sighting.embedding = Some(embedding),
            // The engine can do without it.
            Err(error) => tracing::warn!(visit = %shot.visit, %error, "a shot is sent without its embedding"),
        }
    }
    Some(sighting)
}

/// Lets `max_fps` frames a second through, by the pipeline's clock.
struct Pace {
    every: Option<Duration>,
    next: Duration,
}

impl Pace {
    fn new(max_fps: f32) -> Self {
        let every = (max_fps > 0.0).then(|| Duration::from_secs_f32(1.0 / max_fps));
        Self { every, next: Duration::ZERO }
    }

    fn due(&mut self, frame: &Frame) -> bool {
        let Some(every) = self.every else { return true };
        let at = frame.time.offset;
        if at < self.next {
            return false;
        }
        // From the moment that was due, not from the frame, so that the mean rate is kept; but never a burst after a pause.
        self.next = if at - self.next > every { at + every } else { self.next + every };
        true
    }
}
