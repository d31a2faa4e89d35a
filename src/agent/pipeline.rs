//! One detector's threads, from the camera to the outbox: capture, detect, track.
//!
//! In: a detector's settings and its models. Out: sightings, accepted by the outbox, and events. Each thread stops when
//! the one before it does, so that a recording that ends, or a camera told to stop, empties the line in order. Each
//! shows the [`Supervisor`] what it is at.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use faces::detect::FaceDetector;
use faces::embed::FaceEmbedder;
use faces::liveness::LivenessCheck;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::events::{Event, Events};
use super::presence::Presences;
use super::search::Search;
use super::shots::Shots;
use super::supervisor::{Beat, Ending, Supervisor, Thread};
use crate::capture::{self, CameraState, CaptureTime, Losses};
use crate::config::{CameraConfig, DetectorConfig, Pace};
use crate::crop::Sighting;
use crate::detect::Seen;
use crate::outbox::Outbox;
use crate::status::Board;
use crate::track::{BestShot, Feedback, TrackEvent, Tracker, VisitId};
use crate::visits::Sent;

/// Detections waiting for the tracker: one, so that a slow tracker slows the detector and the newest frame wins in
/// front of it.
const DETECTIONS_WAITING: usize = 1;

/// A detector that searches one frame for this long hangs, and so does a tracker that waits this long for the outbox.
pub const HANGS_AFTER: Duration = Duration::from_secs(25);
/// How long the tracker waits for a frame before it looks at the clock: a shot that is due must not wait for a camera
/// that is gone.
const TICK: Duration = Duration::from_millis(100);

/// Where a detector's threads hand over what they decide; cheap to clone.
#[derive(Clone)]
pub struct Handover {
    /// `None` in a dry run.
    pub outbox: Option<Outbox>,
    pub events: Events,
    pub presences: Presences,
    pub board: Board,
    /// Notified when a sighting is in the outbox.
    pub wake: Arc<Notify>,
}

impl Handover {
    /// A shot became a sighting: it is stored before anything else happens. Blocks for the disk.
    pub fn accept(&self, shot: &BestShot, sighting: Sighting) {
        let Self { outbox, events, wake, .. } = self;
        let sent = Box::new(Sent::new(shot, &sighting, outbox.is_some()));
        // Told first, so that its answer comes after it.
        events.tell(Event::Sent { sent, picture: sighting.expanded.clone() });
        let Some(outbox) = outbox else { return };
        let id = sighting.id;
        match outbox.accept(&sighting).wait() {
            Ok(accepted) => {
                tracing::debug!(sighting = %id, "a sighting is stored");
                accepted.dropped.into_iter().for_each(|dropped| events.tell(Event::Dropped(dropped)));
            }
            // The outbox's thread is gone, by a mistake in the program; the agent ends for it.
            Err(error) => tracing::error!(sighting = %id, %error, "a sighting is lost"),
        }
        wake.notify_one();
    }
}

/// What one detector needs to run; what it asks only for shots it shares with the others.
pub struct Models {
    pub detector: FaceDetector,
    /// Where the configuration asks for embeddings, or for the visits of one face to be one stay.
    pub embedder: Option<Arc<Mutex<FaceEmbedder>>>,
    /// Where the configuration asks whether shots show people.
    pub liveness: Option<Arc<Mutex<LivenessCheck>>>,
}

/// A detector's running threads.
pub struct Pipeline {
    capture: Thread<Losses>,
    detect: Thread<u64>,
    track: Thread<()>,
    camera: watch::Receiver<CameraState>,
}

/// How a detector's threads ended.
pub struct End {
    /// Frames that were searched, or passed over because nothing moved in them.
    pub frames: u64,
    /// What the camera's frames lost on their way here.
    pub losses: Losses,
    /// Why a recording could not be played to its end.
    pub fault: Option<String>,
    /// A thread panicked, which only a mistake in the program makes it do.
    pub broken: bool,
    /// Threads that hang, and were left behind.
    pub hanging: Vec<String>,
}

impl Pipeline {
    /// Starts the threads. They end after `cancel`, or when the recording does. The tracker hears
    /// what became of its shots.
    pub fn start(
        config: Arc<DetectorConfig>,
        models: Models,
        handover: Handover,
        feedback: Receiver<(VisitId, Feedback)>,
        supervisor: &Supervisor,
        cancel: CancellationToken,
    ) -> std::io::Result<Self> {
        let Models { detector, embedder, liveness } = models;
        // Searches frames in one thread, and looks again at the shots in another: one model, which is not small.
        let detector = Arc::new(Mutex::new(detector));
        let (frames, newest) = capture::channel(&config.camera);
        let (detections, detected) = sync_channel(DETECTIONS_WAITING);
        let (state, camera_state) = watch::channel(CameraState::Connecting);
        let name = config.name.clone();

        let camera = Arc::clone(&config);
        let capture = move |_: Beat| capture::run(&camera, frames, cancel, state);
        let search = Search::new(&config, Arc::clone(&detector), handover.board.clone());
        let detect = move |beat: Beat| search.run(&newest, &detections, &beat);
        let track = move |beat: Beat| {
            let shots = Shots::new(Arc::clone(&config), detector, embedder, liveness, handover.board.clone());
            TrackThread { config: &config, in_view: Vec::new(), shots, handover, beat }.run(&detected, &feedback);
        };
        Ok(Self {
            capture: supervisor.thread(format!("capture:{name}"), HANGS_AFTER, capture)?,
            detect: supervisor.thread(format!("detect:{name}"), HANGS_AFTER, detect)?,
            track: supervisor.thread(format!("track:{name}"), HANGS_AFTER, track)?,
            camera: camera_state,
        })
    }

    /// What the camera is doing.
    pub fn camera(&self) -> watch::Receiver<CameraState> {
        self.camera.clone()
    }

    /// Whether the last sighting of this detector is in the outbox, and no thread runs any more.
    pub fn has_ended(&self) -> bool {
        self.capture.has_ended() && self.detect.has_ended() && self.track.has_ended()
    }

    /// Waits until the last sighting of this detector is in the outbox, no longer than until the deadline. Blocks. A
    /// panic has been reported by the panic hook; the other threads still end in order.
    pub fn join_until(self, deadline: Instant) -> End {
        let mut end = End { frames: 0, losses: Losses::default(), fault: None, broken: false, hanging: Vec::new() };
        end.losses = end.of(self.capture, deadline).unwrap_or_default();
        end.frames = end.of(self.detect, deadline).unwrap_or_default();
        end.of(self.track, deadline);
        if let CameraState::Failed { reason, .. } = &*self.camera.borrow() {
            end.fault = Some(reason.clone());
        }
        end
    }
}

impl End {
    fn of<T>(&mut self, thread: Thread<T>, deadline: Instant) -> Option<T> {
        let name = thread.name.clone();
        match thread.join_until(deadline) {
            Ending::Ended(value) => return Some(value),
            Ending::Broken => self.broken = true,
            Ending::Hangs => self.hanging.push(name),
        }
        None
    }
}

/// The track thread: detections in, sightings into the outbox.
struct TrackThread<'a> {
    config: &'a DetectorConfig,
    /// The visits in the newest frame.
    in_view: Vec<VisitId>,
    shots: Shots,
    handover: Handover,
    beat: Beat,
}

impl TrackThread<'_> {
    fn run(mut self, seen: &Receiver<Seen>, feedback: &Receiver<(VisitId, Feedback)>) {
        let mut tracker = Tracker::new(self.config.name.clone(), &self.config.track, &self.config.quality.options());
        // A recording replayed as fast as possible has no clock but its frames'.
        let has_clock = !matches!(&self.config.camera, CameraConfig::Replay(it) if it.pace == Pace::Fast);
        let mut newest: Option<CaptureTime> = None;
        loop {
            let received = seen.recv_timeout(TICK);
            feedback.try_iter().for_each(|(visit, feedback)| tracker.hear(visit, feedback));
            let events = match received {
                Ok(seen) => {
                    let time = seen.time();
                    newest = Some(time);
                    let events = match &seen {
                        Seen::Faces(detections) => tracker.observe(detections),
                        Seen::Nothing(time) => tracker.observe_nobody(*time),
                    };
                    // Before the shots: whoever is recognised must have been seen.
                    self.in_view.clear();
                    self.in_view.extend(tracker.present().map(|(visit, _)| visit));
                    self.shots.in_view(&self.in_view, time.offset);
                    self.handover.presences.in_view(&self.config.name, time, self.in_view.iter().copied());
                    events
                }
                Err(RecvTimeoutError::Timeout) => match newest.filter(|_| has_clock) {
                    Some(newest) => tracker.tick(newest.offset + newest.age()),
                    None => continue,
                },
                Err(RecvTimeoutError::Disconnected) => break,
            };
            events.into_iter().for_each(|event| self.act(event));
        }
        tracker.finish().into_iter().for_each(|event| self.act(event));
    }

    fn act(&mut self, event: TrackEvent) {
        match event {
            TrackEvent::Shot(mut shot) => {
                let beat = self.beat.clone();
                if let Some(sighting) =
                    beat.during("cutting out a shot", || self.shots.sighting(&mut shot, &self.in_view))
                {
                    beat.during("waiting for the outbox", || self.handover.accept(&shot, sighting));
                }
            }
            TrackEvent::Ended(end) => self.handover.events.tell(Event::Left(Box::new(end))),
        }
    }
}
