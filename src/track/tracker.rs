//! The tracker: keeps the visits of one detector, frame by frame.
//!
//! In: [`Detections`]. Out: [`TrackEvent`]s, a shot always before the end of its visit. It knows who is who, who is
//! believed and whose turn it is.
//!
//! ```text
//!           a face nobody else's        min_frames frames with it           not seen for lost_after_ms
//! (nobody) ----------------------▶ new -----------------------▶ believed -----------------------------▶ ended
//!                                   │ not seen again at once
//!                                   ▼
//!                                glimpse (counted, no visit)
//! ```

use std::time::Duration;

use faces::detect::{Face, Rect};
use faces::quality::QualityOptions;
use faces::quality::{self, Quality};

use super::associate::{Found, Known, Motion, associate, side};
use super::look::Look;
use super::shot::{Candidate, Moment, Shots};
use super::{BestShot, Feedback, ShotReason, TrackEvent, Unsent, VisitEnd, VisitId, id_of};
use crate::capture::{CaptureTime, Frame};
use crate::config::{DetectorName, Subject, TrackConfig};
use crate::detect::Detections;

/// Turns the faces of one detector's frames into visits and their shots.
#[derive(Debug)]
pub struct Tracker {
    detector: DetectorName,
    config: TrackConfig,
    limits: QualityOptions,
    clock: Clock,
    /// In the order they began.
    visits: Vec<Visit>,
    /// With `subject = "largest"`: whose turn it is to send a first shot.
    subject: Option<VisitId>,
    glimpses: u64,
}

/// Somebody in front of the detector.
struct Visit {
    id: VisitId,
    first_seen: CaptureTime,
    last_seen: CaptureTime,
    /// On the tracker's clock, when last seen.
    seen_at: Duration,
    motion: Motion,
    look: Look,
    /// Goes up by one per frame with the face, down by half per frame without.
    belief: f32,
    believed: bool,
    /// Frames without the face since the last one with it.
    missed: u32,
    frames: u32,
    largest_px: f32,
    tall_enough: bool,
    /// A face of it would have been good enough, if its frame had not been damaged.
    spoilt: bool,
    best: Option<Quality>,
    shots: Shots,
}

/// Who may send a first shot now.
#[derive(Clone, Copy)]
enum Turn {
    Everybodys,
    Of(Option<VisitId>),
}

/// A face of the newest frame, looked at.
struct Sight<'a> {
    face: &'a Face,
    quality: Quality,
    /// It may be sent. A face in a damaged frame never may, however good: the decoder made it up, in part or whole.
    good: bool,
    look: Look,
    /// Another face is so close that the colours around this one may be the other's.
    crowded: bool,
}

/// The pipeline's clock as the tracker sees it: never back, and how far apart frames are.
#[derive(Debug, Default)]
struct Clock {
    now: Duration,
    /// When the newest frame was taken.
    frame: Duration,
    /// The last steps, the newest first.
    steps: [Option<Duration>; 3],
}

/// People followed at once; more faces than this are ignored, smallest first. A door is not a stadium, and every
/// visit may hold on to a frame in memory until its shot is sent.
const MOST_VISITS: usize = 32;
/// Two boxes of which one lies this far inside the other are one face found twice.
const SAME_FACE: f32 = 0.8;
/// Frames without the face after which somebody counts as lost, to be found by place and look.
const LOST_AFTER_FRAMES: u32 = 2;
/// The subject changes when somebody is larger by this factor (in the side of the box): two people side by side
/// must not take turns by the jitter of their boxes.
const CLEARLY_LARGER: f32 = 1.2;
/// Whose turn it is keeps it this long without being seen, and the next one waits this long for the answer about the
/// one before: a detector misses, heads turn, an engine is slow.
const TURN_STAYS: Duration = Duration::from_millis(1000);
/// A frame that has been taken is searched within this time; only then can its absence tell that somebody has left.
const SEARCHED_WITHIN: Duration = Duration::from_millis(500);
/// A face the detector is this sure of is believed before `min_frames` when the shot could not wait for them.
const SURE: f32 = 0.8;

impl Tracker {
    pub fn new(detector: DetectorName, config: &TrackConfig, limits: &QualityOptions) -> Self {
        Self {
            detector,
            config: config.clone(),
            limits: *limits,
            clock: Clock::default(),
            visits: Vec::new(),
            subject: None,
            glimpses: 0,
        }
    }

    /// Takes in the next frame's faces (none is as telling as some: it is how a visit ends) and says what follows.
    pub fn observe(&mut self, detections: &Detections) -> Vec<TrackEvent> {
        let frame = &detections.frame;
        let now = self.clock.tick(frame.time.offset);
        let mut events = self.end_lost(now);

        let sights = look_at(frame, &detections.faces, &self.limits);
        let mut seen: Vec<Option<&Sight>> = self.follow(&sights, frame, now);
        self.begin(&sights, &mut seen, frame, now);
        self.believe(&mut seen, now);
        self.choose_subject(now);

        let (interval, turn) = (self.clock.interval(), self.turn());
        for (visit, sight) in self.visits.iter_mut().zip(&seen) {
            let candidate = sight.filter(|sight| sight.good).map(|sight| Candidate {
                frame: frame.clone(),
                face: sight.face.clone(),
                others: sights.iter().filter(|it| !std::ptr::eq(*it, sight)).map(|it| it.face.bbox).collect(),
                quality: sight.quality.clone(),
            });
            let moment = Moment { interval, ..visit.moment(now, turn) };
            let shot = visit.shots.observe(candidate, moment, &self.config);
            events.extend(shot.map(|shot| visit.best_shot(shot)));
        }
        events
    }

    /// The same of a frame at which nobody looked, because nothing moved in it.
    pub fn observe_nobody(&mut self, time: CaptureTime) -> Vec<TrackEvent> {
        let now = self.clock.tick(time.offset);
        let mut events = self.end_lost(now);
        self.visits.iter_mut().for_each(Visit::not_seen);
        self.believe(&mut vec![None; self.visits.len()], now);
        self.choose_subject(now);
        events.extend(self.overdue(now, self.clock.interval()));
        events
    }

    /// Time has passed without a frame, up to `offset` on the pipeline's clock: the camera is gone, or slow. What was
    /// to be sent by now goes out, and who has not been seen for too long has left. A frame that is still being
    /// searched is waited for.
    pub fn tick(&mut self, offset: Duration) -> Vec<TrackEvent> {
        let now = self.clock.pass(offset);
        let mut events = self.end_lost(now.saturating_sub(2 * self.clock.interval() + SEARCHED_WITHIN));
        self.choose_subject(now);
        events.extend(self.overdue(now, Duration::ZERO));
        events
    }

    /// Hears what the engine made of a shot, and which further pictures are asked for; nothing where the visit is over.
    pub fn hear(&mut self, visit: VisitId, feedback: Feedback) {
        if let Some(visit) = self.visits.iter_mut().find(|it| it.id == visit) {
            visit.shots.answered(feedback.shot, feedback.answer, self.clock.now);
            if let Some(confirm) = feedback.confirm {
                visit.shots.ask(confirm);
            }
        }
    }

    /// Ends every visit: the recording is over, or the camera will be another one.
    pub fn finish(&mut self) -> Vec<TrackEvent> {
        let visits = std::mem::take(&mut self.visits);
        self.subject = None;
        visits.into_iter().flat_map(|visit| self.end(visit)).collect()
    }

    /// How many faces were seen in too few frames to be believed since the start: flickers of the detector, and
    /// people who hurried by. They make no visit and no event.
    pub fn glimpses(&self) -> u64 {
        self.glimpses
    }

    /// Who is in the newest frame, and where: the believed visits, in the order they began.
    pub fn present(&self) -> impl Iterator<Item = (VisitId, Rect)> {
        self.visits.iter().filter(|visit| visit.believed && visit.missed == 0).map(|it| (it.id, it.motion.bbox))
    }

    /// The shots that have to be sent now, whether or not anybody is seen; the next frame is so far away.
    fn overdue(&mut self, now: Duration, interval: Duration) -> Vec<TrackEvent> {
        let turn = self.turn();
        let shot = |visit: &mut Visit| {
            let moment = Moment { interval, ..visit.moment(now, turn) };
            visit.shots.observe(None, moment, &self.config).map(|shot| visit.best_shot(shot))
        };
        self.visits.iter_mut().filter_map(shot).collect()
    }

    fn end_lost(&mut self, now: Duration) -> Vec<TrackEvent> {
        let lost_after = Duration::from_millis(self.config.lost_after_ms);
        let lost: Vec<Visit> =
            self.visits.extract_if(.., |visit| now.saturating_sub(visit.seen_at) > lost_after).collect();
        lost.into_iter().flat_map(|visit| self.end(visit)).collect()
    }

    fn end(&mut self, mut visit: Visit) -> Vec<TrackEvent> {
        if self.subject == Some(visit.id) {
            self.subject = None;
        }
        if !visit.believed {
            self.glimpses += 1;
            return Vec::new();
        }
        let moment = visit.moment(self.clock.now, Turn::Everybodys);
        let shot = visit.shots.end(moment, &self.config).map(|shot| visit.best_shot(shot));
        shot.into_iter().chain([TrackEvent::Ended(visit.ended(&self.detector))]).collect()
    }

    /// Gives every visit its face in this frame, in the order of the visits.
    fn follow<'a, 'b>(&mut self, sights: &'a [Sight<'b>], frame: &Frame, now: Duration) -> Vec<Option<&'a Sight<'b>>> {
        let known: Vec<Known> = self
            .visits
            .iter()
            .map(|visit| Known { motion: &visit.motion, look: &visit.look, lost: visit.missed > LOST_AFTER_FRAMES })
            .collect();
        let found: Vec<Found> =
            sights.iter().map(|it| Found { bbox: &it.face.bbox, look: &it.look, crowded: it.crowded }).collect();
        let pairs = associate(&known, &found, now);
        let seen: Vec<Option<&Sight>> = pairs.into_iter().map(|index| index.map(|index| &sights[index])).collect();
        for (visit, sight) in self.visits.iter_mut().zip(&seen) {
            match sight {
                Some(sight) => visit.seen(sight, frame.time, now, &self.limits),
                None => visit.not_seen(),
            }
        }
        seen
    }

    /// A new visit for every face that is nobody's.
    fn begin<'a, 'b>(
        &mut self,
        sights: &'a [Sight<'b>],
        seen: &mut Vec<Option<&'a Sight<'b>>>,
        frame: &Frame,
        now: Duration,
    ) {
        for sight in sights {
            let taken = seen.iter().flatten().any(|other| std::ptr::eq(*other, sight));
            if taken || self.visits.len() >= MOST_VISITS {
                continue;
            }
            let place = [sight.face.bbox.x, sight.face.bbox.y].map(f32::to_le_bytes).concat();
            let id = id_of(frame.time.utc, &[self.detector.as_str().as_bytes(), &frame.seq.to_le_bytes(), &place]);
            let mut visit = Visit::new(VisitId(id), sight, frame.time, now);
            visit.seen(sight, frame.time, now, &self.limits);
            self.visits.push(visit);
            seen.push(Some(sight));
        }
    }

    /// Decides who is a person; forgets what was a flicker.
    fn believe(&mut self, seen: &mut Vec<Option<&Sight>>, now: Duration) {
        let next = now + self.clock.interval();
        for (visit, sight) in self.visits.iter_mut().zip(seen.iter()) {
            let enough = visit.belief >= self.config.min_frames.max(1) as f32;
            // Between frames this far apart, waiting for more of them would break the promise of an early shot. The
            // face itself must then make up for them, and its shot has not begun to be timed before this frame.
            let first_good = sight.filter(|sight| sight.good).map(|_| now);
            let good_since = visit.shots.good_since().or(first_good);
            let due = good_since.map(|since| since + Duration::from_millis(self.config.first_shot_ms));
            let cannot_wait = due.is_some_and(|due| next > due) && sight.is_some_and(|it| it.face.score >= SURE);
            visit.believed |= enough || cannot_wait;
        }
        let kept: Vec<bool> = self.visits.iter().map(|visit| visit.believed || visit.belief > 0.0).collect();
        let before = self.visits.len();
        let mut keep = kept.iter();
        self.visits.retain(|_| keep.next().is_none_or(|keep| *keep));
        let mut keep = kept.iter();
        seen.retain(|_| keep.next().is_none_or(|keep| *keep));
        self.glimpses += (before - self.visits.len()) as u64;
    }

    /// With `subject = "largest"`: the largest believed visit whose first shot waits to be sent, once the answer about
    /// the one before is in; not taken from the one who has it unless clearly larger, or gone.
    fn choose_subject(&mut self, now: Duration) {
        let waiting = || self.visits.iter().filter(|visit| visit.believed && visit.waits(now));
        let held = waiting().find(|visit| Some(visit.id) == self.subject);
        let needed = held.map_or(0.0, |it| side(&it.motion.bbox) * CLEARLY_LARGER);
        let larger = waiting().filter(|visit| side(&visit.motion.bbox) > needed);
        let largest = larger.max_by(|a, b| side(&a.motion.bbox).total_cmp(&side(&b.motion.bbox)));
        let asked = self.visits.iter().any(|visit| visit.shots.awaits_answer(now, TURN_STAYS));
        self.subject = largest.or(held).map(|visit| visit.id).filter(|_| !asked);
    }

    fn turn(&self) -> Turn {
        match self.config.subject {
            Subject::Each => Turn::Everybodys,
            Subject::Largest => Turn::Of(self.subject),
        }
    }
}

impl Visit {
    fn new(id: VisitId, sight: &Sight, time: CaptureTime, now: Duration) -> Self {
        Self {
            id,
            first_seen: time,
            last_seen: time,
            seen_at: now,
            motion: Motion::new(sight.face.bbox, now),
            look: sight.look.clone(),
            belief: 0.0,
            believed: false,
            missed: 0,
            frames: 0,
            largest_px: 0.0,
            tall_enough: false,
            spoilt: false,
            best: None,
            shots: Shots::new(),
        }
    }

    fn seen(&mut self, sight: &Sight, time: CaptureTime, now: Duration, limits: &QualityOptions) {
        self.last_seen = time;
        self.seen_at = now;
        self.motion.moved(sight.face.bbox, now);
        if !sight.crowded {
            self.look.learn(&sight.look);
        }
        self.belief += 1.0;
        self.missed = 0;
        self.frames = self.frames.saturating_add(1);
        self.largest_px = self.largest_px.max(sight.face.bbox.height);
        self.tall_enough |= sight.quality.tall_enough(limits);
        self.spoilt |= !sight.good && sight.quality.good_enough(limits);
        if self.best.as_ref().is_none_or(|best| sight.quality.total > best.total) {
            self.best = Some(sight.quality.clone());
        }
    }

    fn not_seen(&mut self) {
        self.belief -= 0.5;
        self.missed = self.missed.saturating_add(1);
    }

    /// Its first shot waits to be sent, and it has been seen just now.
    fn waits(&self, now: Duration) -> bool {
        self.shots.good_since().is_some() && now.saturating_sub(self.seen_at) <= TURN_STAYS
    }

    fn moment(&self, now: Duration, turn: Turn) -> Moment {
        // Only first shots wait for their turn.
        let its_turn = match turn {
            Turn::Everybodys => true,
            Turn::Of(subject) => self.shots.sent() > 0 || subject == Some(self.id),
        };
        let unseen = now.saturating_sub(self.seen_at);
        Moment { now, interval: Duration::ZERO, unseen, may_send: self.believed && its_turn }
    }

    fn best_shot(&self, (reason, shot): (ShotReason, Candidate)) -> TrackEvent {
        TrackEvent::Shot(BestShot {
            visit: self.id,
            frame: shot.frame,
            face: shot.face,
            others: shot.others,
            quality: shot.quality,
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            reason,
            number: self.shots.sent(),
        })
    }

    fn ended(self, detector: &DetectorName) -> VisitEnd {
        let unsent = match (self.shots.sent(), self.tall_enough) {
            (1.., _) => None,
            (0, true) if self.spoilt => Some(Unsent::Damaged),
            (0, true) => Some(Unsent::TooPoor),
            (0, false) => Some(Unsent::TooSmall),
        };
        VisitEnd {
            visit: self.id,
            detector: detector.clone(),
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            frames: self.frames,
            largest_px: self.largest_px,
            shots: self.shots.sent(),
            best: self.best,
            unsent,
        }
    }
}

impl Clock {
    /// The time of a new frame; one that claims to be older is taken to be of the same time.
    fn tick(&mut self, offset: Duration) -> Duration {
        let step = offset.saturating_sub(self.frame);
        if !step.is_zero() {
            self.steps = [Some(step), self.steps[0], self.steps[1]];
            self.frame = offset;
        }
        self.pass(offset)
    }

    /// Time that passed without a frame; it never goes back.
    fn pass(&mut self, offset: Duration) -> Duration {
        self.now = self.now.max(offset);
        self.now
    }

    /// How long until the next frame, as a rule: the median of the last three steps, so that one pause of the camera
    /// does not make it slow. Zero while unknown.
    fn interval(&self) -> Duration {
        match self.steps {
            [Some(a), Some(b), Some(c)] => a.max(b).min(a.min(b).max(c)),
            [Some(a), Some(b), None] => a.min(b),
            [Some(a), ..] => a,
            [None, ..] => Duration::ZERO,
        }
    }
}

impl std::fmt::Debug for Visit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Visit({}, {} frames, believed: {})", self.id, self.frames, self.believed)
    }
}

/// The faces worth following, largest first: boxes that are boxes, each face once, no more than can be followed.
fn look_at<'a>(frame: &Frame, faces: &'a [Face], limits: &QualityOptions) -> Vec<Sight<'a>> {
    let mut boxes: Vec<&Face> = faces.iter().filter(|face| is_box(&face.bbox)).collect();
    boxes.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut single: Vec<&Face> = Vec::new();
    for face in boxes {
        if single.iter().all(|other| inside(&face.bbox, &other.bbox) < SAME_FACE) {
            single.push(face);
        }
    }
    single.sort_by(|a, b| b.bbox.area().total_cmp(&a.bbox.area()));
    single.truncate(MOST_VISITS);
    let near = |a: &Rect, b: &Rect| {
        let (from, to) = (a.centre(), b.centre());
        (to.x - from.x).hypot(to.y - from.y) < 1.5 * side(a).max(side(b))
    };
    single
        .iter()
        .enumerate()
        .map(|(i, face)| {
            let quality = quality::measure(&frame.picture, face, limits);
            Sight {
                face,
                good: !frame.damaged && quality.good_enough(limits),
                quality,
                look: Look::of(&frame.picture, &face.bbox),
                crowded: single.iter().enumerate().any(|(j, other)| j != i && near(&face.bbox, &other.bbox)),
            }
        })
        .collect()
}

/// A detector that answers NaN, infinity or an inverted box has found nothing that can be followed.
fn is_box(bbox: &Rect) -> bool {
    let numbers = [bbox.x, bbox.y, bbox.width, bbox.height];
    numbers.iter().all(|n| n.is_finite() && n.abs() < 1e6) && bbox.width >= 1.0 && bbox.height >= 1.0
}

/// The share of the smaller box that lies in the other one.
fn inside(a: &Rect, b: &Rect) -> f32 {
    a.overlap(b) / a.area().min(b.area())
}
