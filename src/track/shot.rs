//! When a visit's picture is worth sending, and which.
//!
//! In: the faces of one visit that are good enough, each with its quality and time, and what the engine made of those
//! that were sent. Out: the first early; a clearly better one while there is no answer; after an answer that knew
//! nobody, or somebody whom an actuator does not believe it of, others, each as unlike those before as can be; and
//! those that are asked for between. It does not know who else is there: whether the visit may send at all is said to
//! it.
//!
//! ```text
//!         a face good enough          excellent, no better, or time is up
//! Waiting ------------------▶ Choosing -----------------------▶ Sent
//!                          keeps the best           first shot   │ ▲ a better one, or another
//!                                                                ├-┘ after an answer that knew nobody
//!                                                                ▼
//!                             Done: known, or track.most_shots are sent
//! ```

use std::sync::Arc;
use std::time::Duration;

use faces::detect::{Face, Rect};
use faces::quality::Quality;
use faces::quality::geometry::{Pose, pose_of};

use super::confirm::{Confirm, Confirming};
use super::{ShotAnswer, ShotReason};
use crate::capture::Frame;
use crate::config::TrackConfig;

/// A face that could be sent.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub frame: Arc<Frame>,
    pub face: Face,
    /// The other faces in the frame.
    pub others: Vec<Rect>,
    pub quality: Quality,
}

/// What else a decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The pipeline's clock.
    pub now: Duration,
    /// When the next frame is expected after this one; zero when unknown.
    pub interval: Duration,
    /// Since when the visitor has not been seen.
    pub unseen: Duration,
    /// The visit is believed to be a person, and its turn: it may send.
    pub may_send: bool,
}

/// The shots of one visit: its place in the drawing above.
#[derive(Debug)]
pub struct Shots {
    state: State,
    /// Those sent for whatever reason, in order.
    sent: Vec<Shown>,
    /// Those of them that count for `track.most_shots`.
    chosen: u32,
    /// A better one was sent while there was no answer.
    bettered: bool,
    /// Answers that are not in.
    unanswered: usize,
    /// The newest answer that left open who it is; how long it took.
    open: Option<Duration>,
    confirming: Confirming,
}

#[derive(Debug)]
enum State {
    Waiting,
    Choosing { since: Duration, best: Best },
    Sent { next: Option<Best> },
    Done,
}

/// A shot that was sent, as far as the next one should differ from it.
#[derive(Debug)]
struct Shown {
    total: f32,
    pose: Option<Pose>,
    at: Duration,
    /// The engine found no face in it.
    no_face: bool,
}

/// The best candidate so far, and whether it still gets better.
#[derive(Debug)]
struct Best {
    candidate: Candidate,
    /// When the quality last rose by [`PROGRESS`], and what it was then.
    risen_at: Duration,
    risen_to: f32,
}

/// From here a shot goes out at once: 84 % (MobileFaceNet) and 65 % (face-api's ResNet) of such faces are recognised
/// (`make quality`), and another one can follow. A sharp face from the front in good light has it from 49 px where the
/// smallest is 48.
const EXCELLENT: f32 = 0.75;
/// Below this, recognition may well miss the face (49 and 66 % of those from 0.5, see [`Quality::of`]): a first shot
/// uses all the time it has to be better, and after one sent all the same, a better one is urgent.
const DOUBTFUL: f32 = 0.6;
/// A rise in quality smaller than this is the measurement's own noise: between frames of a recording a quarter of a
/// second apart the total changes by 0.025 (the median, by `make quality`).
const PROGRESS: f32 = 0.02;
/// A better shot goes out when it has not risen for this long: the person has come close and stopped, or turned away.
const SETTLED: Duration = Duration::from_millis(600);
/// The same when the first one was doubtful.
const SETTLED_URGENT: Duration = Duration::from_millis(200);
/// From a shot that was not recognised to the next one, and how much longer each time: people turn their heads and
/// come nearer within a second, and whoever stays without being known is a stranger more and more surely.
const AGAIN_AFTER: Duration = Duration::from_millis(1000);
const AGAIN_SLOWER: f32 = 1.6;
/// The same when the next one is clearly better, or the visitor has not been seen for [`GONE`].
const AGAIN_URGENT: Duration = Duration::from_millis(300);
const GONE: Duration = Duration::from_millis(300);
/// A face to be sent next is no older than this while newer ones are seen: an actuator does not move for an old one.
const KEPT: Duration = Duration::from_millis(1500);
/// An engine that takes long is asked less: no sooner than so many times as long as its last answer took.
const TIMES_SLOWER: u32 = 2;
/// Heads turned this far from each other (degrees), qualities this far apart, and moments this far apart are as good
/// as altogether different. (Of two faces of a person whose totals lie 0.2 to 0.3 apart, the better one alone is
/// recognised three to four times as often as the worse one alone, by `make quality`.)
const OTHER_POSE_DEG: f32 = 25.0;
const OTHER_TOTAL: f32 = 0.25;
const OTHER_TIME: Duration = Duration::from_secs(4);
/// What being altogether different is worth, in quality.
const DIFFERENCE: f32 = 0.2;
/// A face no more different than this (in pose or quality) from one the engine found no face in is not sent either.
const ALIKE: f32 = 0.25;

/// A face is not sent again while another one's box covers this share of its own.
const COVERED: f32 = 0.1;

impl Shots {
    pub fn new() -> Self {
        Self {
            state: State::Waiting,
            sent: Vec::new(),
            chosen: 0,
            bettered: false,
            unanswered: 0,
            open: None,
            confirming: Confirming::default(),
        }
    }

    /// Asks for further pictures; those before the first shot need no asking.
    pub fn ask(&mut self, confirm: Confirm) {
        self.confirming.ask(confirm);
    }

    /// What the engine made of a shot, by its number (1 is the first).
    pub fn answered(&mut self, number: u8, answer: ShotAnswer, now: Duration) {
        self.unanswered = self.unanswered.saturating_sub(1);
        let shown = self.sent.get_mut(usize::from(number).wrapping_sub(1));
        let took = shown.as_ref().map_or(Duration::ZERO, |it| now.saturating_sub(it.at));
        match answer {
            ShotAnswer::Known => self.state = State::Done,
            ShotAnswer::Doubted | ShotAnswer::Unknown | ShotAnswer::NoFace => {
                self.open = Some(took);
                if let Some(shown) = shown {
                    shown.no_face = answer == ShotAnswer::NoFace;
                }
                let kept = |it: &Best| self.worth(&it.candidate).is_some();
                if matches!(&self.state, State::Sent { next: Some(next) } if !kept(next)) {
                    self.state = State::Sent { next: None };
                }
            }
            ShotAnswer::None => {}
        }
    }

    /// How many were sent.
    pub fn sent(&self) -> u8 {
        u8::try_from(self.sent.len()).unwrap_or(u8::MAX)
    }

    /// Whether a shot was sent within this time whose answer is not in.
    pub fn awaits_answer(&self, now: Duration, within: Duration) -> bool {
        self.unanswered > 0 && self.sent.last().is_some_and(|it| now.saturating_sub(it.at) < within)
    }

    /// Since when a face good enough waits to be sent as the first; `None` when there is none, or it is sent.
    pub fn good_since(&self) -> Option<Duration> {
        match &self.state {
            State::Choosing { since, .. } => Some(*since),
            _ => None,
        }
    }

    /// Takes in this frame's face, if it has one that is good enough, and says what to send now.
    pub fn observe(
        &mut self,
        seen: Option<Candidate>,
        moment: Moment,
        config: &TrackConfig,
    ) -> Option<(ShotReason, Candidate)> {
        let now_seen = seen.clone();
        if let Some(seen) = seen {
            self.keep(seen, moment, config);
        }
        if !moment.may_send {
            return None;
        }
        match self.due(moment, config) {
            Some(reason) => self.send(reason, moment.now, config),
            None => self.confirm(now_seen?, moment.now),
        }
    }

    /// The visit is over: what was kept goes out now or never.
    pub fn end(&mut self, moment: Moment, config: &TrackConfig) -> Option<(ShotReason, Candidate)> {
        if !moment.may_send {
            return None;
        }
        let reason = match &self.state {
            State::Choosing { .. } => ShotReason::First,
            State::Sent { next: Some(_) } if self.may_ask_again(config) => ShotReason::Again,
            State::Sent { next: Some(next) } if self.may_better(next, moment.now, config) => ShotReason::Better,
            _ => return None,
        };
        self.send(reason, moment.now, config)
    }

    fn keep(&mut self, seen: Candidate, moment: Moment, config: &TrackConfig) {
        let now = moment.now;
        let worth = |it: &Candidate| self.worth(it);
        let (better, sendable) = match &self.state {
            State::Sent { next: Some(next) } => {
                let old = now.saturating_sub(next.candidate.frame.time.offset) > KEPT;
                let worth_now = worth(&seen);
                (worth_now.is_some() && (old || worth_now > worth(&next.candidate)), true)
            }
            State::Sent { next: None } => (true, worth(&seen).is_some()),
            _ => (false, true),
        };
        match &mut self.state {
            State::Waiting => self.state = State::Choosing { since: now, best: Best::new(seen, now) },
            // Whoever may not send yet keeps nothing older than a first shot may be.
            State::Choosing { since, best } => {
                if !moment.may_send && now > *since + Duration::from_millis(config.first_shot_ms) {
                    (*since, *best) = (now, Best::new(seen, now));
                } else {
                    let total = seen.quality.total;
                    best.improve(seen, total > best.candidate.quality.total, now);
                }
            }
            State::Sent { next: Some(next) } => next.improve(seen, better, now),
            State::Sent { next } if sendable => *next = Some(Best::new(seen, now)),
            State::Sent { .. } | State::Done => {}
        }
    }

    /// How much a face is worth after those that were sent; `None` when another face lies over it, or the engine would
    /// find no face in it either.
    fn worth(&self, seen: &Candidate) -> Option<f32> {
        let (total, taken) = (seen.quality.total, seen.frame.time.offset);
        if self.open.is_none() {
            return Some(total);
        }
        let pose = pose_of(&seen.face.landmarks);
        let unlike = |shown: &Shown| shown.differs(total, pose);
        // Two faces in one box are like many people: the first shot has to be sent, this one has not.
        let covered = |other: &Rect| seen.face.bbox.overlap(other) > COVERED * seen.face.bbox.area();
        if seen.others.iter().any(covered) {
            return None;
        }
        if self.sent.iter().any(|shown| shown.no_face && unlike(shown) < ALIKE) {
            return None;
        }
        let aged = |shown: &Shown| taken.saturating_sub(shown.at).div_duration_f32(OTHER_TIME);
        let difference = self.sent.iter().map(|shown| unlike(shown).max(aged(shown)).min(1.0)).reduce(f32::min);
        Some(total + DIFFERENCE * difference.unwrap_or(1.0))
    }

    /// Why something is to be sent now.
    fn due(&self, moment: Moment, config: &TrackConfig) -> Option<ShotReason> {
        let now = moment.now;
        match &self.state {
            State::Choosing { since, best } => best.ready_as_first(*since, moment, config).then_some(ShotReason::First),
            State::Sent { next: Some(next) } if self.may_ask_again(config) => {
                let since = now.saturating_sub(self.sent.last()?.at);
                let urgent = self.clearly_better(next, config) || moment.unseen >= GONE;
                let pause = if urgent { AGAIN_URGENT } else { self.pause() };
                let pause = pause.max(self.open.unwrap_or_default() * TIMES_SLOWER);
                (since >= pause).then_some(ShotReason::Again)
            }
            State::Sent { next: Some(next) } if self.may_better(next, now, config) => {
                let until = self.sent.first()?.at + Duration::from_millis(config.better_within_ms);
                let ready = next.ready_as_better(self.best_sent(), now) || now + moment.interval > until;
                ready.then_some(ShotReason::Better)
            }
            _ => None,
        }
    }

    /// Nobody was known so far, and nothing is under way that might change that.
    fn may_ask_again(&self, config: &TrackConfig) -> bool {
        self.open.is_some() && self.unanswered == 0 && self.chosen < config.most_shots
    }

    /// No answer yet: one clearly better shot may go out without waiting for it.
    fn may_better(&self, next: &Best, now: Duration, config: &TrackConfig) -> bool {
        let within = Duration::from_millis(config.better_within_ms);
        let in_time = self.sent.first().is_some_and(|first| now.saturating_sub(first.at) <= within);
        self.open.is_none()
            && !self.bettered
            && in_time
            && self.chosen < config.most_shots
            && self.clearly_better(next, config)
    }

    fn clearly_better(&self, next: &Best, config: &TrackConfig) -> bool {
        next.candidate.quality.total >= self.best_sent() + config.better_by.max(f32::EPSILON)
    }

    fn best_sent(&self) -> f32 {
        self.sent.iter().map(|shown| shown.total).fold(0.0, f32::max)
    }

    fn pause(&self) -> Duration {
        AGAIN_AFTER.mul_f32(AGAIN_SLOWER.powi(self.chosen.min(16) as i32 - 1))
    }

    /// This frame's face, where it was asked for.
    fn confirm(&mut self, seen: Candidate, now: Duration) -> Option<(ShotReason, Candidate)> {
        let last = self.sent.last()?;
        if !self.confirming.takes(seen.quality.total, now.saturating_sub(last.at)) {
            return None;
        }
        self.confirming.taken();
        self.shown(&seen, now);
        Some((ShotReason::Confirming, seen))
    }

    fn send(&mut self, reason: ShotReason, now: Duration, config: &TrackConfig) -> Option<(ShotReason, Candidate)> {
        let (State::Choosing { best, .. } | State::Sent { next: Some(best) }) =
            std::mem::replace(&mut self.state, State::Sent { next: None })
        else {
            return None;
        };
        self.chosen += 1;
        self.bettered |= reason == ShotReason::Better;
        if self.chosen >= config.most_shots {
            self.state = State::Done;
        }
        self.shown(&best.candidate, now);
        self.confirming.served();
        Some((reason, best.candidate))
    }

    fn shown(&mut self, shot: &Candidate, now: Duration) {
        let pose = pose_of(&shot.face.landmarks);
        self.sent.push(Shown { total: shot.quality.total, pose, at: now, no_face: false });
        self.unanswered += 1;
    }
}

impl Shown {
    /// How different a face is from it, in pose or quality: 0 is the same, 1 altogether different.
    fn differs(&self, total: f32, pose: Option<Pose>) -> f32 {
        let quality = (total - self.total).abs() / OTHER_TOTAL;
        let turned = match (self.pose, pose) {
            (Some(a), Some(b)) => (a.yaw - b.yaw).hypot(a.pitch - b.pitch) / OTHER_POSE_DEG,
            _ => 0.0,
        };
        quality.max(turned).min(1.0)
    }
}

impl Best {
    fn new(candidate: Candidate, now: Duration) -> Self {
        let risen_to = candidate.quality.total;
        Self { candidate, risen_at: now, risen_to }
    }

    fn improve(&mut self, seen: Candidate, better: bool, now: Duration) {
        let total = seen.quality.total;
        if total >= self.risen_to + PROGRESS {
            (self.risen_at, self.risen_to) = (now, total);
        }
        if better {
            self.candidate = seen;
        }
    }

    fn settled(&self, now: Duration, after: Duration) -> bool {
        now.saturating_sub(self.risen_at) >= after
    }

    /// It has stopped rising, or the one before was doubtful and this one leaves nothing to wish for.
    fn ready_as_better(&self, before: f32, now: Duration) -> bool {
        if before < DOUBTFUL {
            self.candidate.quality.total >= EXCELLENT || self.settled(now, SETTLED_URGENT)
        } else {
            self.settled(now, SETTLED)
        }
    }

    /// Excellent; or beyond doubt and not risen for half the time there is; or the next frame would come too late.
    fn ready_as_first(&self, since: Duration, moment: Moment, config: &TrackConfig) -> bool {
        let allowed = Duration::from_millis(config.first_shot_ms);
        let total = self.candidate.quality.total;
        total >= EXCELLENT
            || (total >= DOUBTFUL && self.settled(moment.now, allowed / 2))
            || moment.now + moment.interval > since + allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::stage;
    use faces::quality::Part;

    /// Plays one visit: the quality at each time (`None`: no face good enough), and what was sent when, with which
    /// quality. Frames are 100 ms apart; the visit may send from `may_send_from` on.
    fn sent(qualities: &[Option<f32>], may_send_from: u64) -> Vec<(u64, ShotReason, f32)> {
        let config = TrackConfig::default();
        let mut shots = Shots::new();
        let mut sent = Vec::new();
        let mut take = |at: u64, shot: Option<(ShotReason, Candidate)>| {
            sent.extend(shot.map(|(reason, shot)| (at, reason, shot.quality.total)));
        };
        let moment = |at: u64| Moment { may_send: at >= may_send_from, ..moment(Duration::from_millis(at)) };
        for (number, total) in qualities.iter().enumerate() {
            let at = number as u64 * 100;
            let seen = total.map(|total| seen(total, 0.0, Duration::from_millis(at)));
            take(at, shots.observe(seen, moment(at), &config));
        }
        let end = qualities.len() as u64 * 100;
        take(end, shots.end(moment(end), &config));
        take(end, shots.end(moment(end), &config));
        assert_eq!(usize::from(shots.sent()), sent.len());
        sent
    }

    fn moment(now: Duration) -> Moment {
        Moment { now, interval: Duration::from_millis(100), unseen: Duration::ZERO, may_send: true }
    }

    /// A face of this quality, turned aside by so many degrees, at this moment.
    fn seen(total: f32, turn: f32, now: Duration) -> Candidate {
        let part = Part::new(total, 60.0);
        let quality = Quality { total, ..Quality::of([part; 6]) };
        let face = stage::Pose { x: 100.0, y: 100.0, height: 60.0, turn }.face();
        let frame = stage::frame(0, now, stage::picture(&[]));
        Candidate { frame, face, others: Vec::new(), quality }
    }

    /// What is sent to an engine that answers each shot after `took` frames of 100 ms: when, and why.
    fn asked(
        frames: usize,
        face: fn(usize) -> (f32, f32),
        took: usize,
        answer: fn(usize) -> ShotAnswer,
    ) -> Vec<(usize, ShotReason)> {
        let config = TrackConfig::default();
        let (mut shots, mut sent) = (Shots::new(), Vec::new());
        for n in 0..frames {
            let now = Duration::from_millis(n as u64 * 100);
            let answers = sent.iter().enumerate().filter(|(_, (at, _))| at + took == n);
            answers.for_each(|(number, _)| shots.answered(number as u8 + 1, answer(number), now));
            let (total, turn) = face(n);
            let shot = shots.observe(Some(seen(total, turn, now)), moment(now), &config);
            sent.extend(shot.map(|(reason, _)| (n, reason)));
        }
        sent
    }

    #[test]
    fn who_was_not_known_is_asked_for_again_and_who_was_is_not() {
        use ShotAnswer::{Doubted, Known, NoFace, None, Unknown};
        use ShotReason::{Again, First};
        let still = |_| (0.8, 0.0);
        let turns = |n: usize| (0.8, if n >= 20 { 40.0 } else { 0.0 });
        let improves = |n: usize| (if n >= 7 { 0.97 } else { 0.8 }, 0.0);
        let of_each = |sent: Vec<(usize, ShotReason)>| (sent.iter().map(|it| it.0).collect::<Vec<_>>(), sent);
        // (what, the face by frame, answers after, the answers, when something is sent)
        type Case = (&'static str, fn(usize) -> (f32, f32), usize, fn(usize) -> ShotAnswer, Vec<usize>);
        let cases: [Case; 10] = [
            ("known", still, 2, |_| Known, vec![0]),
            ("nobody answers", still, 1000, |_| Known, vec![0]),
            ("only taken in", still, 2, |_| None, vec![0]),
            ("never known: slower and slower, five at most", still, 2, |_| Unknown, vec![0, 10, 27, 53, 94]),
            ("doubted: as if unknown", still, 2, |n| if n == 2 { Unknown } else { Doubted }, vec![0, 10, 27, 53, 94]),
            ("doubted until the second says the same", still, 2, |n| [Doubted, Known][n.min(1)], vec![0, 10]),
            ("known at the second", still, 2, |number| if number == 0 { Unknown } else { Known }, vec![0, 10]),
            ("an engine that takes two seconds", still, 20, |_| Unknown, vec![0, 40, 80, 120]),
            ("no face, and nothing else to show", still, 2, |_| NoFace, vec![0]),
            ("no face, and then another side", turns, 2, |_| NoFace, vec![0, 20]),
        ];
        for (what, face, took, answer, expected) in cases {
            let (times, sent) = of_each(asked(140, face, took, answer));
            assert_eq!(times, expected, "{what}");
            let mut reasons = sent.iter().map(|it| it.1);
            assert!(reasons.next() == Some(First) && reasons.all(|it| it == Again), "{what}: {sent:?}");
        }
        let (times, _) = of_each(asked(20, improves, 2, |_| Unknown));
        assert_eq!(times[..2], [0, 7], "clearly better: at once");
    }

    #[test]
    fn a_face_with_another_over_it_is_sent_first_but_not_again() {
        let config = TrackConfig::default();
        let mut shots = Shots::new();
        let mut sent = Vec::new();
        for n in 0..40u64 {
            let now = Duration::from_millis(n * 100);
            let face = seen(0.8, 0.0, now);
            let at = |x: f32| Rect { x: face.face.bbox.x + x, ..face.face.bbox };
            // Somebody walks by before the face, and is gone after two and a half seconds.
            let others = if n < 25 { vec![at(30.0)] } else { vec![at(60.0)] };
            let shot = shots.observe(Some(Candidate { others, ..face }), moment(now), &config);
            sent.extend(shot.map(|_| n));
            if n == 1 {
                shots.answered(1, ShotAnswer::Unknown, now);
            }
        }
        assert_eq!(sent, [0, 25]);
    }

    #[test]
    fn of_faces_alike_the_one_that_differs_is_sent() {
        let config = TrackConfig::default();
        let mut shots = Shots::new();
        let mut sent = Vec::new();
        for n in 0..12u64 {
            let now = Duration::from_millis(n * 100);
            // A glance aside among looks straight at the camera.
            let turn = if n == 8 { 30.0 } else { 0.0 };
            sent.extend(shots.observe(Some(seen(0.8, turn, now)), moment(now), &config).map(|it| it.1));
            if n == 1 {
                shots.answered(1, ShotAnswer::Unknown, now);
            }
        }
        let at: Vec<u128> = sent.iter().map(|shot| shot.frame.time.offset.as_millis()).collect();
        assert_eq!(at, [0, 800]);
    }

    #[test]
    fn whoever_leaves_unknown_is_sent_once_more() {
        let config = TrackConfig::default();
        let start = |answer: Option<ShotAnswer>| {
            let mut shots = Shots::new();
            for n in 0..5u64 {
                let now = Duration::from_millis(n * 100);
                shots.observe(Some(seen(0.8, 0.0, now)), moment(now), &config);
                if let (2, Some(answer)) = (n, answer) {
                    shots.answered(1, answer, now);
                }
            }
            shots
        };
        let gone = |ms| Moment { unseen: Duration::from_millis(ms - 400), ..moment(Duration::from_millis(ms)) };
        let mut shots = start(Some(ShotAnswer::Unknown));
        assert!(shots.observe(None, gone(600), &config).is_none(), "perhaps only missed");
        let (reason, shot) = shots.observe(None, gone(700), &config).unwrap();
        assert_eq!((reason, shot.frame.time.offset.as_millis()), (ShotReason::Again, 400));
        assert!(shots.end(gone(2400), &config).is_none(), "there is nothing else");
        for (answer, sent) in [(None, false), (Some(ShotAnswer::Known), false), (Some(ShotAnswer::Unknown), true)] {
            assert_eq!(start(answer).end(gone(500), &config).is_some(), sent, "{answer:?}");
        }
    }

    #[test]
    fn what_is_asked_for_is_sent_between_the_others() {
        use ShotReason::{Better, Confirming, First};
        let config = TrackConfig::default();
        let ask = |more| Confirm { more, most: 3, min_quality: 0.5 };
        // Quality at every tenth of a second; what is asked for when.
        let qualities = [0.8, 0.8, 0.8, 0.8, 0.4, 0.6, 0.8, 0.96, 0.96, 0.96, 0.96, 0.96, 0.96, 0.96, 0.96, 0.96, 0.96];
        let asked = [(1, ask(1)), (4, ask(1)), (13, ask(9)), (14, ask(9))];
        let mut shots = Shots::new();
        shots.ask(ask(0));
        let mut sent = Vec::new();
        for (n, total) in qualities.into_iter().enumerate() {
            if let Some((_, confirm)) = asked.iter().find(|(at, _)| *at == n) {
                shots.ask(*confirm);
            }
            let now = Duration::from_millis(n as u64 * 100);
            sent.extend(
                shots.observe(Some(seen(total, 0.0, now)), moment(now), &config).map(|(reason, _)| (n, reason)),
            );
        }
        let expected = [(0, First), (2, Confirming), (5, Confirming), (13, Better), (15, Confirming)];
        assert_eq!(sent, expected, "asked for, apart, good enough, three at most, and a better one all the same");
    }

    #[test]
    fn what_is_sent_and_when() {
        use ShotReason::{Better, First};
        let rising = |from: f32, to: f32, frames: usize| {
            (0..frames).map(move |i| Some(from + (to - from) * i as f32 / (frames - 1) as f32))
        };
        let still = |total: f32, frames: usize| std::iter::repeat_n(Some(total), frames);
        let gone = |frames: usize| std::iter::repeat_n(None, frames);
        // (what, qualities 100 ms apart, may send from, what is sent)
        type Case = (&'static str, Vec<Option<f32>>, u64, Vec<(u64, ShotReason, f32)>);
        let cases: Vec<Case> = vec![
            ("nobody", gone(10).collect(), 0, vec![]),
            ("excellent at once", still(0.8, 10).collect(), 0, vec![(0, First, 0.8)]),
            ("no better soon", still(0.6, 10).collect(), 0, vec![(200, First, 0.6)]),
            (
                "still rising when the time is up",
                rising(0.3, 0.7, 9).collect(),
                0,
                vec![(400, First, 0.5), (900, Better, 0.7)],
            ),
            (
                "the best of those seen, not the last",
                vec![Some(0.5), Some(0.6), Some(0.4), Some(0.4)],
                0,
                vec![(300, First, 0.6)],
            ),
            ("gone before the time is up", vec![Some(0.5)], 0, vec![(100, First, 0.5)]),
            ("gone, and the time is up", [Some(0.5)].into_iter().chain(gone(5)).collect(), 0, vec![(400, First, 0.5)]),
            ("better, but not clearly", still(0.8, 5).chain(still(0.9, 20)).collect(), 0, vec![(0, First, 0.8)]),
            (
                "a better one when it has settled",
                still(0.76, 5).chain(rising(0.8, 0.98, 10)).chain(still(0.98, 10)).collect(),
                0,
                vec![(0, First, 0.76), (2000, Better, 0.98)],
            ),
            (
                "a better one at the end",
                still(0.76, 5).chain(still(0.95, 2)).collect(),
                0,
                vec![(0, First, 0.76), (700, Better, 0.95)],
            ),
            (
                "a doubtful one is replaced at once",
                still(0.35, 10).chain(still(0.8, 10)).collect(),
                0,
                vec![(400, First, 0.35), (1000, Better, 0.8)],
            ),
            (
                "never a third",
                still(0.35, 10).chain(still(0.8, 10)).chain(still(1.0, 20)).collect(),
                0,
                vec![(400, First, 0.35), (1000, Better, 0.8)],
            ),
            (
                "better, but too late",
                still(0.76, 1).chain(gone(101)).chain(still(1.0, 20)).collect(),
                0,
                vec![(0, First, 0.76)],
            ),
            (
                "the last chance for a better one",
                still(0.76, 1).chain(gone(98)).chain(still(1.0, 20)).collect(),
                0,
                vec![(0, First, 0.76), (10_000, Better, 1.0)],
            ),
            ("never its turn", still(0.9, 20).collect(), u64::MAX, vec![]),
            (
                "its turn after a while: nothing old is sent",
                [Some(0.7)].into_iter().chain(still(0.5, 19)).collect(),
                1500,
                vec![(1500, First, 0.5)],
            ),
        ];
        for (what, qualities, may_send_from, expected) in cases {
            let got = sent(&qualities, may_send_from);
            assert_eq!(got.len(), expected.len(), "{what}: {got:?}");
            for (got, expected) in got.iter().zip(&expected) {
                assert_eq!((got.0, got.1), (expected.0, expected.1), "{what}: {got:?}");
                assert!((got.2 - expected.2).abs() < 1e-3, "{what}: {got:?}");
            }
        }
    }
}
