//! The one loop that keeps a camera going, whatever it does: open, read, and on a fault wait and open again.
//!
//! In: a camera's configuration. Out: dated [`Frame`]s into the channel, and a [`CameraState`]. Each connection
//! lives on a thread of its own, because drivers and decoders can block for ever: then it is left behind. It does
//! not know what kind of camera it is.
//!
//! ```text
//! Connecting --frame--▶ Streaming --fault, or silent for stall_ms--▶ Failed --pause--▶ (open again)
//!                           ▲   └--end of a finite recording--▶ Ended      │
//!                           └------------------frame-----------------------┘
//! ```

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use chrono::Utc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info_span, warn};

use super::connection::{CANCEL_POLL, Connection, Event, Opener, Waited};
use super::ffmpeg::FIRST_FRAME;
use super::health::{FROZEN_AFTER, LensWatch};
use super::news::News;
use super::patience::Patience;
use super::tally::{Clock, Counters, Meter};
use super::{
    CameraState, CaptureError, CaptureTime, FrameSender, Lens, Losses, RawFrame, Sent, Shot, ShotTime, SkipReason, View,
};
use crate::config::{CameraConfig, DetectorConfig, DetectorName, Pace};

/// Keeps the frames of a camera coming until `cancel`, until nobody receives them, or until a finite recording is
/// over. Blocks: the agent gives it a thread. Nothing a camera does ends it, with one exception: a recording that
/// is replayed as fast as possible fails for good, because a second try would tell its story twice. The last
/// state is then [`CameraState::Failed`], and otherwise [`CameraState::Ended`]. Gives back what was lost of its frames.
pub fn run(
    config: &DetectorConfig,
    frames: FrameSender,
    cancel: CancellationToken,
    state: watch::Sender<CameraState>,
) -> Losses {
    let DetectorConfig { name, camera, view, detect, .. } = config;
    let (limits, view) = (Limits::of(camera, detect.max_fps), View::new(camera, view));
    let (camera, max_fps) = (camera.clone(), detect.max_fps);
    let open = Arc::new(move |limit| super::open_within(&camera, max_fps, limit));
    Reconnect::new(name.clone(), open, view, limits, frames, cancel, state).run()
}

/// How patient the loop is.
#[derive(Debug, Clone)]
struct Limits {
    /// How long opening may take.
    open: Patience,
    /// No frame for this long is a fault; a recording may pause as it likes, also before its first frame.
    stall: Option<Duration>,
    /// Fewer frames a second than this are too few; 0 where any number will do.
    least_fps: f32,
    /// From one frame that is asked for to the next; zero where all are.
    step: Duration,
    /// Whether a fault is followed by another try.
    again: bool,
    pauses: ExponentialBuilder,
}

/// The shortest and the longest pause between two tries, before jitter, which at most doubles them: a door is to be
/// watched again within three seconds of its camera being well, however long it was away.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(800);
/// A connection that delivered frames for this long was a good one: after it, the pauses start small again.
const GOOD_CONNECTION: Duration = Duration::from_secs(3);
/// Refused log-ins one after the other until the next try waits for [`REFUSED_PAUSE`]: many cameras lock an account
/// after five to ten of them, for half an hour.
const MOST_REFUSED: u32 = 3;
const REFUSED_PAUSE: Duration = Duration::from_secs(60);
/// Connections left behind because they hang. Each may hold a device, a socket and a decoder's memory.
const MOST_ABANDONED: usize = 4;

impl Limits {
    fn of(config: &CameraConfig, max_fps: f32) -> Self {
        let stall = config.stall_ms().map(super::stall_limit).map(|stall| stall + AFTER_THE_SOURCE);
        Self {
            open: super::patience(config),
            stall,
            least_fps: least_fps(stall, max_fps),
            step: if max_fps > 0.0 { Duration::from_secs_f32(1.0 / max_fps) } else { Duration::ZERO },
            again: !matches!(config, CameraConfig::Replay(replay) if replay.pace == Pace::Fast),
            pauses: ExponentialBuilder::new()
                .with_min_delay(FIRST_PAUSE)
                .with_max_delay(LONGEST_PAUSE)
                .without_max_times()
                .with_jitter(),
        }
    }
}

/// A source has the same limits, and should strike first: it can put its camera away in order.
const AFTER_THE_SOURCE: Duration = Duration::from_millis(250);
const OPEN_AFTER_THE_SOURCE: Duration = Duration::from_secs(2);

/// A camera whose silence of this length is no fault sends what it likes, when it likes.
const MAY_BE_SILENT: Duration = Duration::from_secs(12);

/// Frames one after the other that are no pictures, of a camera that is asked for few.
const MOST_UNREADABLE: u32 = 3;

/// Why the loop ends.
enum End {
    Recording,
    Cancelled,
    NobodyReceives,
}

struct Reconnect {
    detector: DetectorName,
    open: Arc<Opener>,
    limits: Limits,
    view: View,
    frames: FrameSender,
    cancel: CancellationToken,
    news: News,
    counters: Counters,
    clock: Clock,
    seq: u64,
    losses: Losses,
    lens: LensWatch,
    /// When the picture was last seen frozen, on the pipeline's clock, until it has moved for a while.
    frozen: Option<Duration>,
    pauses: ExponentialBackoff,
    /// Log-ins refused one after the other.
    refused: u32,
    abandoned: Vec<JoinHandle<()>>,
}

impl Reconnect {
    fn new(
        detector: DetectorName,
        open: Arc<Opener>,
        view: View,
        limits: Limits,
        frames: FrameSender,
        cancel: CancellationToken,
        state: watch::Sender<CameraState>,
    ) -> Self {
        Self {
            counters: Counters::new(&detector),
            pauses: limits.pauses.build(),
            detector,
            open,
            view,
            limits,
            frames,
            cancel,
            news: News::new(state),
            clock: Clock::default(),
            seq: 0,
            losses: Losses::default(),
            lens: LensWatch::new(),
            frozen: None,
            refused: 0,
            abandoned: Vec::new(),
        }
    }

    fn run(mut self) -> Losses {
        let span = info_span!("camera", detector = %self.detector);
        let _entered = span.enter();
        loop {
            match self.run_once() {
                Ok(end) => {
                    debug!(reason = end.why(), "the camera's loop has ended");
                    self.news.ended();
                    return self.losses;
                }
                Err(fault) => {
                    self.news.failed(&fault);
                    if fault.is_too_slow() {
                        self.limits.open.gave_up();
                    }
                    let refused = matches!(fault, CaptureError::LogInRefused { .. });
                    self.refused = if refused { self.refused + 1 } else { 0 };
                }
            }
            if !self.limits.again {
                return self.losses;
            }
            // The pauses never run out.
            let pause = self.pauses.next().unwrap_or(LONGEST_PAUSE);
            if !self.pause(if self.refused >= MOST_REFUSED { REFUSED_PAUSE } else { pause }) {
                self.news.ended();
                return self.losses;
            }
            self.counters.reconnects.increment(1);
        }
    }

    /// One connection, from opening to its end or fault.
    fn run_once(&mut self) -> Result<End, CaptureError> {
        self.abandoned.retain(|thread| !thread.is_finished());
        if self.abandoned.len() >= MOST_ABANDONED {
            return Err(CaptureError::Stuck { count: self.abandoned.len() });
        }
        let limit = self.limits.open.limit();
        let connection = Connection::start(&self.detector, self.open.clone(), limit)?;
        let over = self.follow(&connection, limit + OPEN_AFTER_THE_SOURCE);
        self.abandoned.extend(connection.close());
        over
    }

    /// Takes what the connection delivers until it is over; it is to open within the limit.
    fn follow(&mut self, connection: &Connection, limit: Duration) -> Result<End, CaptureError> {
        let began = Instant::now();
        let mut about = match connection.wait(self.limits.stall.map(|_| began + limit), &self.cancel) {
            Waited::Event(Event::Opened(about)) => about,
            Waited::Event(Event::Over(over)) => return over.map(|()| End::Recording),
            Waited::Cancelled => return Ok(End::Cancelled),
            // A connection says nothing else before it is open.
            Waited::Event(Event::Shot(..) | Event::NotDue(_) | Event::Skipped(_) | Event::Lost(_))
            | Waited::Silence => {
                return Err(CaptureError::OpenTooSlow { waited_ms: limit.as_millis() });
            }
        };
        debug!(source = about.name, fps = about.fps, "the camera is open");
        self.news.opened(&about.unmet);
        self.limits.open.opened(began.elapsed());
        self.clock.reopened(about.fps);
        self.lens.restart();
        let mut source: Arc<str> = about.name.as_str().into();
        let mut meter = Meter::new(about.fps);
        let mut first_shot = None;
        let mut silent_since = Instant::now();
        let mut told_of_skips = false;
        let mut passed_over = PassedOver::default();
        loop {
            let until = self.patient_until(silent_since, first_shot.is_none(), &passed_over);
            let waited = connection.wait(until, &self.cancel);
            let silent = silent_since.elapsed();
            match waited {
                Waited::Cancelled => return Ok(End::Cancelled),
                Waited::Silence => return Err(passed_over.silence(silent)),
                Waited::Event(Event::Over(over)) => return over.map(|()| End::Recording),
                Waited::Event(Event::Shot(shot, arrived)) => {
                    if first_shot.is_none() {
                        self.news.shown(&about.unmet);
                    }
                    if arrived - *first_shot.get_or_insert(arrived) >= GOOD_CONNECTION {
                        self.pauses = self.limits.pauses.build();
                    }
                    let fps = meter.frame(arrived);
                    if self.deliver(shot, arrived, &source, fps)? == Sent::Closed {
                        return Ok(End::NobodyReceives);
                    }
                    // From here, and not from the shot: a lossless channel may have held us back.
                    silent_since = Instant::now();
                    passed_over = PassedOver::default();
                }
                Waited::Event(Event::NotDue(arrived)) => {
                    meter.frame(arrived);
                    self.counters.not_due.increment(1);
                    // Whether it would have been a picture is not known.
                    if passed_over.last.is_none() {
                        silent_since = Instant::now();
                    }
                }
                Waited::Event(Event::Skipped(skipped)) => {
                    self.losses.lost += 1;
                    self.counters.skipped(skipped.reason).increment(1);
                    passed_over = PassedOver { count: passed_over.count + 1, last: Some(skipped.reason) };
                    if !std::mem::replace(&mut told_of_skips, true) {
                        warn!("{} was passed over: {} (more are only counted)", skipped.what, skipped.reason.why());
                    }
                    self.endure(silent_since, first_shot.is_none(), &passed_over)?;
                }
                Waited::Event(Event::Lost(frames)) => {
                    self.losses.lost += frames;
                    self.counters.lost.increment(frames);
                    passed_over = PassedOver { count: passed_over.count + frames, last: Some(SkipReason::Undecodable) };
                    // A recording tells of all its losses when it is over.
                    if self.limits.stall.is_some() && !std::mem::replace(&mut told_of_skips, true) {
                        warn!("a frame of {} cannot be decoded (more are only counted)", about.name);
                    }
                    self.endure(silent_since, first_shot.is_none(), &passed_over)?;
                }
                Waited::Event(Event::Opened(now)) => {
                    self.news.opened(&now.unmet);
                    source = now.name.as_str().into();
                    about = now;
                }
            }
        }
    }

    /// How long nothing may come. Of the first frame the source knows better: a stream may wait for a key frame.
    fn patient_until(&self, silent_since: Instant, nothing_shown: bool, passed_over: &PassedOver) -> Option<Instant> {
        let stall = self.limits.stall?;
        let patience = if nothing_shown { (FIRST_FRAME + 1) * stall } else { stall };
        // Where one was no picture, the next that is asked for may be.
        let seldom = passed_over.last.map_or(Duration::ZERO, |_| MOST_UNREADABLE * self.limits.step);
        Some(silent_since + patience + seldom)
    }

    /// Only frames break the silence: a camera that sends nothing but rubbish has to be reopened.
    fn endure(&self, since: Instant, nothing_shown: bool, passed_over: &PassedOver) -> Result<(), CaptureError> {
        match self.patient_until(since, nothing_shown, passed_over) {
            Some(until) if Instant::now() >= until => Err(passed_over.silence(since.elapsed())),
            _ => Ok(()),
        }
    }

    /// Dates a shot, watches the lens, sends it on, and shows the state.
    fn deliver(&mut self, shot: Shot, arrived: Instant, source: &Arc<str>, fps: f32) -> Result<Sent, CaptureError> {
        let (utc, offset) = match shot.time {
            ShotTime::Arrival => (Utc::now(), self.clock.arrival(arrived)),
            ShotTime::Recording { position, utc } => (utc.unwrap_or_else(Utc::now), self.clock.recording(position)),
        };
        let Shot { mut image, damaged, .. } = shot;
        let shape = image.shape();
        let size = (shape.width, shape.height);
        let lens = match self.lens.is_due(size, offset) {
            // All of it: what is blacked out would look like a cover.
            true => self.lens.observe(image.picture().ok_or(CaptureError::NotDeveloped)?, offset),
            false => self.lens.believed(),
        };
        if shot.time == ShotTime::Arrival && self.reopens_frozen(lens, offset) {
            return Err(CaptureError::Frozen { secs: FROZEN_AFTER.as_secs() });
        }
        let size = self.view.size(size);
        let (least_fps, source) = (self.limits.least_fps, Arc::clone(source));
        self.news.streaming(CameraState::Streaming { size, fps, least_fps, source, lens });

        let time = CaptureTime { utc, offset, arrived };
        let frame = RawFrame { detector: self.detector.clone(), seq: self.seq, time, image, damaged };
        self.seq += 1;
        if damaged {
            self.losses.damaged += 1;
            self.counters.damaged.increment(1);
        }
        self.counters.frames.increment(1);
        let sent = self.frames.send(frame);
        if sent == Sent::Replaced {
            self.counters.busy.increment(1);
        }
        Ok(sent)
    }

    /// Whether a frozen picture is a reason to open the camera again: once, because that helps against an encoder
    /// that hangs, and not against a camera that looks at something perfectly still.
    fn reopens_frozen(&mut self, lens: Lens, offset: Duration) -> bool {
        if lens != Lens::Frozen {
            self.frozen = self.frozen.filter(|&since| offset.saturating_sub(since) < 2 * FROZEN_AFTER);
            return false;
        }
        let first = self.frozen.is_none();
        self.frozen = Some(offset);
        first
    }

    /// Waits; `false` when told to stop meanwhile.
    fn pause(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        while !self.cancel.is_cancelled() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(CANCEL_POLL));
        }
        false
    }
}

/// Fewer frames a second than this are too few, whatever the camera usually gives: hardly one in the longest silence
/// that is no fault. Who may be silent for long owes nothing, and nobody more than what is asked for.
fn least_fps(stall: Option<Duration>, max_fps: f32) -> f32 {
    let least = stall.filter(|stall| *stall <= MAY_BE_SILENT).map_or(0.0, |stall| 0.75 / stall.as_secs_f32());
    if max_fps > 0.0 { least.min(0.75 * max_fps) } else { least }
}

impl End {
    fn why(&self) -> &'static str {
        match self {
            Self::Recording => "the recording is over",
            Self::Cancelled => "told to stop",
            Self::NobodyReceives => "nobody receives its frames",
        }
    }
}

/// The frames since the last picture that were none.
#[derive(Debug, Default)]
struct PassedOver {
    count: u64,
    last: Option<SkipReason>,
}

impl PassedOver {
    /// What a silence of this length was: no frames, or none that could be used.
    fn silence(&self, silent: Duration) -> CaptureError {
        match self.last {
            Some(reason) => CaptureError::NothingDecodable { count: self.count, why: reason.why() },
            None => CaptureError::Stalled { waited_ms: silent.as_millis() },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use std::sync::mpsc;

    use faces::picture::Picture;

    use super::*;
    use crate::capture::{About, CameraSource, FrameReceiver, Next, Skipped, channel};
    use crate::config::{ReplayConfig, StreamConfig, ViewConfig};

    /// What the scripted camera does next; when a script is over, the connection breaks.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        Shot,
        /// A shot of a recording at this position, ms.
        At(u64),
        /// A shot of a recording at this position, with damage.
        DamagedAt(u64),
        /// So many frames that cannot be decoded.
        Lost(u64),
        NotDue,
        Rubbish,
        RubbishForEver,
        /// The same, among more than was asked for.
        RubbishAndNotDue,
        Fault,
        Panic,
        Hang,
        End,
    }

    /// A camera that does what a test tells it: the fake among the sources.
    struct Scripted {
        steps: VecDeque<Step>,
        /// Hangs until the other end is dropped.
        hang: Arc<Mutex<mpsc::Receiver<()>>>,
    }

    impl CameraSource for Scripted {
        fn about(&self) -> About {
            About { name: "a scripted camera".into(), fps: 10.0, unmet: Vec::new() }
        }

        fn next_shot(&mut self) -> Result<Next, CaptureError> {
            let image = || Picture::filled(8, 6, [90, 90, 90]).into();
            let shot = |time, damaged| Next::Shot(Shot { image: image(), time, damaged });
            let at = |ms| ShotTime::Recording { position: Duration::from_millis(ms), utc: None };
            let rubbish = || Next::Skipped(Skipped { reason: SkipReason::Undecodable, what: "rubbish".into() });
            match self.steps.pop_front().unwrap_or(Step::Fault) {
                Step::Shot => Ok(shot(ShotTime::Arrival, false)),
                Step::At(ms) => Ok(shot(at(ms), false)),
                Step::DamagedAt(ms) => Ok(shot(at(ms), true)),
                Step::Lost(frames) => Ok(Next::Lost(frames)),
                Step::Rubbish => Ok(rubbish()),
                Step::RubbishForEver => {
                    self.steps.push_front(Step::RubbishForEver);
                    thread::sleep(Duration::from_millis(1));
                    Ok(rubbish())
                }
                Step::RubbishAndNotDue => {
                    self.steps.extend([Step::NotDue, Step::Rubbish, Step::RubbishAndNotDue]);
                    thread::sleep(Duration::from_millis(1));
                    Ok(Next::NotDue)
                }
                Step::NotDue => Ok(Next::NotDue),
                Step::Fault => Err(CaptureError::Panicked { what: "scripted fault".into() }),
                Step::Panic => panic!("scripted panic"),
                Step::Hang => {
                    let _ = self.hang.lock().unwrap().recv();
                    Ok(Next::End)
                }
                Step::End => Ok(Next::End),
            }
        }
    }

    /// A loop around one script per connection (`None`: it cannot be opened); after the last one the camera hangs.
    struct Rig {
        frames: FrameReceiver,
        states: watch::Receiver<CameraState>,
        cancel: CancellationToken,
        thread: JoinHandle<Losses>,
        opened: Arc<Mutex<usize>>,
        release: mpsc::Sender<()>,
    }

    fn rig(fast: bool, scripts: Vec<Option<Vec<Step>>>) -> Rig {
        let pace = if fast { Pace::Fast } else { Pace::Recorded };
        let replay = ReplayConfig { pace, ..ReplayConfig::new("x") };
        let (sender, frames) = channel(&CameraConfig::Replay(replay.clone()));
        let (state, states) = watch::channel(CameraState::Connecting);
        let (release, hang) = mpsc::channel();
        let (hang, opened) = (Arc::new(Mutex::new(hang)), Arc::new(Mutex::new(0)));
        let count = opened.clone();
        let open: Arc<Opener> = Arc::new(move |_| {
            let mut count = count.lock().unwrap();
            *count += 1;
            let steps = scripts.get(*count - 1).cloned().unwrap_or(Some(vec![Step::Hang]));
            let steps = steps.ok_or(CaptureError::BrokeOff { address: "scripted".into() })?.into();
            Ok(Box::new(Scripted { steps, hang: hang.clone() }))
        });
        let limits = Limits {
            open: Patience::new(Duration::from_millis(20)),
            stall: Some(Duration::from_millis(80)),
            pauses: ExponentialBuilder::new().with_min_delay(Duration::from_millis(1)).without_max_times(),
            ..Limits::of(&CameraConfig::Replay(replay), 0.0)
        };
        let cancel = CancellationToken::new();
        let name = DetectorName::new("door").unwrap();
        let view = View::new(&CameraConfig::Replay(ReplayConfig::new("x")), &ViewConfig::default());
        let reconnect = Reconnect::new(name, open, view, limits, sender, cancel.clone(), state);
        Rig { frames, states, cancel, thread: thread::spawn(|| reconnect.run()), opened, release }
    }

    impl Rig {
        fn wait_for(&mut self, wanted: impl Fn(&CameraState) -> bool) -> CameraState {
            let until = Instant::now() + Duration::from_secs(10);
            loop {
                let state = self.states.borrow().clone();
                if wanted(&state) {
                    return state;
                }
                assert!(Instant::now() < until, "still {state:?}");
                thread::sleep(Duration::from_millis(1));
            }
        }

        fn seqs(&self) -> Vec<u64> {
            std::iter::from_fn(|| self.frames.recv()).map(|frame| frame.seq).collect()
        }
    }

    #[test]
    fn a_finite_recording_ends_the_loop_after_its_last_frame() {
        let rig = rig(true, vec![Some(vec![Step::At(0), Step::Rubbish, Step::At(100), Step::At(200), Step::End])]);
        let frames: Vec<RawFrame> = std::iter::from_fn(|| rig.frames.recv()).collect();
        let seen: Vec<_> = frames.iter().map(|frame| (frame.seq, frame.time.offset.as_millis())).collect();
        assert_eq!(seen, [(0, 0), (1, 100), (2, 200)]);
        rig.thread.join().unwrap();
        assert_eq!(*rig.states.borrow(), CameraState::Ended);
    }

    #[test]
    fn what_is_lost_of_a_recording_is_counted_and_what_is_damaged_is_marked() {
        let steps = vec![Step::At(0), Step::Lost(3), Step::DamagedAt(40), Step::Rubbish, Step::At(80), Step::Lost(2)];
        let rig = rig(true, vec![Some([steps, vec![Step::End]].concat())]);
        let marked: Vec<bool> = std::iter::from_fn(|| rig.frames.recv()).map(|frame| frame.damaged).collect();
        assert_eq!(marked, [false, true, false]);
        assert_eq!(rig.thread.join().unwrap(), Losses { lost: 6, damaged: 1 });
    }

    #[test]
    fn every_kind_of_fault_is_followed_by_another_try() {
        for fault in [Step::Fault, Step::Panic, Step::Hang, Step::RubbishForEver, Step::RubbishAndNotDue] {
            let scripts = vec![Some(vec![Step::Shot, fault]), None, None, Some(vec![Step::Shot])];
            let mut rig = rig(false, scripts);
            let failed = |state: &CameraState| match state {
                CameraState::Failed { tries, reason, .. } => Some((*tries, reason.contains("scripted fault"))),
                _ => None,
            };
            rig.wait_for(|state| failed(state).is_some_and(|(tries, _)| tries == 3));
            rig.wait_for(|state| failed(state) == Some((1, true)));
            let last = rig.frames.recv().map(|frame| frame.seq);
            assert_eq!(last, Some(1), "{fault:?}: numbers go on across connections");
            rig.cancel.cancel();
            rig.thread.join().unwrap();
            assert_eq!(*rig.states.borrow(), CameraState::Ended);
        }
    }

    #[test]
    fn connections_that_hang_are_left_behind_but_not_without_end() {
        let mut rig = rig(false, vec![]);
        let state =
            rig.wait_for(|state| matches!(state, CameraState::Failed { reason, .. } if reason.contains("hang in")));
        let CameraState::Failed { tries, reason, hanging, .. } = state else { unreachable!() };
        assert!(hanging, "the watchdog is told by this");
        assert!(tries > MOST_ABANDONED as u32 && reason.contains("restart doorward"), "{reason}");
        assert_eq!(*rig.opened.lock().unwrap(), MOST_ABANDONED);
        // When the driver lets go again, so does the limit.
        drop(rig.release);
        let until = Instant::now() + Duration::from_secs(10);
        while *rig.opened.lock().unwrap() == MOST_ABANDONED {
            assert!(Instant::now() < until);
            thread::sleep(Duration::from_millis(1));
        }
        rig.cancel.cancel();
        rig.thread.join().unwrap();
    }

    #[test]
    fn a_recording_told_as_fast_as_possible_is_not_told_twice() {
        let rig = rig(true, vec![Some(vec![Step::At(0), Step::Fault])]);
        assert_eq!(rig.seqs(), [0]);
        rig.thread.join().unwrap();
        assert!(matches!(&*rig.states.borrow(), CameraState::Failed { tries: 1, .. }));
        assert_eq!(*rig.opened.lock().unwrap(), 1);
    }

    #[test]
    fn the_loop_ends_when_nobody_receives_or_when_told() {
        let rig = rig(true, vec![Some(vec![Step::Shot; 50])]);
        drop(rig.frames);
        rig.thread.join().unwrap();
        assert_eq!(*rig.states.borrow(), CameraState::Ended);
    }

    #[test]
    fn only_a_recording_told_as_fast_as_possible_is_given_up() {
        let replay = |pace| ReplayConfig { pace, ..ReplayConfig::new("x") };
        let stream = StreamConfig::new("rtsp://127.0.0.1:9/x");
        for (config, again) in [
            (CameraConfig::Replay(replay(Pace::Fast)), false),
            (CameraConfig::Replay(replay(Pace::Recorded)), true),
            (CameraConfig::Stream(stream), true),
        ] {
            assert_eq!(Limits::of(&config, 0.0).again, again, "{config:?}");
        }
    }

    #[test]
    fn who_may_be_silent_owes_no_frame() {
        for (stall_secs, max_fps, least) in [
            (Some(3), 0.0, 0.25),
            (Some(3), 10.0, 0.25),
            (Some(3), 0.2, 0.15),
            (Some(5), 0.0, 0.15),
            (Some(60), 0.0, 0.0),
            (None, 10.0, 0.0),
        ] {
            let owed = least_fps(stall_secs.map(Duration::from_secs), max_fps);
            assert!((owed - least).abs() < 1e-4, "{stall_secs:?}, {max_fps}");
        }
    }

    #[test]
    fn a_frozen_camera_is_reopened_once_until_it_has_moved_again() {
        let camera = CameraConfig::Replay(ReplayConfig::new("x"));
        let (sender, _frames) = channel(&camera);
        let mut reconnect = Reconnect::new(
            DetectorName::new("door").unwrap(),
            Arc::new(|_| Err(CaptureError::Stuck { count: 0 })),
            View::new(&camera, &ViewConfig::default()),
            Limits { stall: None, again: true, pauses: ExponentialBuilder::new(), ..Limits::of(&camera, 0.0) },
            sender,
            CancellationToken::new(),
            watch::channel(CameraState::Connecting).0,
        );
        for (secs, lens, reopened) in [
            (10, Lens::Clear, false),
            (40, Lens::Frozen, true),
            (45, Lens::Clear, false),
            (75, Lens::Frozen, false),
            (100, Lens::Frozen, false),
            (101, Lens::Clear, false),
            (161, Lens::Clear, false),
            (200, Lens::Frozen, true),
        ] {
            assert_eq!(reconnect.reopens_frozen(lens, Duration::from_secs(secs)), reopened, "at {secs} s");
        }
    }
}
