//! When a visit's picture is worth sending, and which.
//!
//! In: the faces of one visit that are good enough, each with its quality and time. Out: at most two of them, the
//! first early and a clearly better one later, and those that are asked for between. It does not know who else is
//! there: whether the visit may send at all is said to it.
//!
//! ```text
//!            a face good enough            excellent, no longer improving, or the time is up
//!  Waiting ---------------------▶ Choosing -------------------------------▶ Sent ---------------------▶ Done
//!                                  keeps the best                first shot   keeps a clearly better    better shot,
//!                                                                             one till it improves no   or too late
//!                                                                             more
//! ```

use std::sync::Arc;
use std::time::Duration;

use faces::detect::{Face, Rect};
use faces::quality::Quality;

use super::ShotReason;
use super::confirm::{Confirm, Confirming};
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
    /// The visit is believed to be a person, and its turn: it may send.
    pub may_send: bool,
}

/// The shots of one visit: its place in the drawing above.
#[derive(Debug)]
pub struct Shots {
    state: State,
    sent: u8,
    sent_at: Duration,
    confirming: Confirming,
}

#[derive(Debug)]
enum State {
    Waiting,
    Choosing { since: Duration, best: Best },
    Sent { at: Duration, total: f32, better: Option<Best> },
    Done,
}

/// The best candidate so far, and whether it still gets better.
#[derive(Debug)]
struct Best {
    candidate: Candidate,
    /// When the quality last rose by [`PROGRESS`], and what it was then.
    risen_at: Duration,
    risen_to: f32,
}

/// From here waiting gains nothing: recognition misses no more above it (see [`Quality::of`]). A sharp face from the
/// front in good light has it from 52 px where the smallest is 48.
const EXCELLENT: f32 = 0.75;
/// Below this, recognition may well miss the face: a first shot uses all the time it has to be better, and after one
/// sent all the same, a better one is urgent.
const DOUBTFUL: f32 = 0.6;
/// A rise in quality smaller than this is the measurement's own noise.
const PROGRESS: f32 = 0.02;
/// A better shot goes out when it has not risen for this long: the person has come close and stopped, or turned away.
const SETTLED: Duration = Duration::from_millis(600);
/// The same when the first one was doubtful.
const SETTLED_URGENT: Duration = Duration::from_millis(200);

impl Shots {
    pub fn new() -> Self {
        Self { state: State::Waiting, sent: 0, sent_at: Duration::ZERO, confirming: Confirming::default() }
    }

    /// Asks for further pictures; those before the first shot need no asking.
    pub fn ask(&mut self, confirm: Confirm) {
        self.confirming.ask(confirm);
    }

    /// How many were sent.
    pub fn sent(&self) -> u8 {
        self.sent
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
        self.keep(seen, moment, config);
        if !moment.may_send {
            return None;
        }
        let ready = match &self.state {
            State::Choosing { since, best } => best.ready_as_first(*since, moment, config),
            State::Sent { at, total, better: Some(best) } => {
                let until = *at + Duration::from_millis(config.better_within_ms);
                best.ready_as_better(*total, moment.now) || moment.now + moment.interval > until
            }
            _ => false,
        };
        if ready { self.send(moment.now) } else { self.confirm(now_seen?, moment.now) }
    }

    /// The visit is over: what was kept goes out now or never.
    pub fn end(&mut self, moment: Moment) -> Option<(ShotReason, Candidate)> {
        if moment.may_send { self.send(moment.now) } else { None }
    }

    fn keep(&mut self, seen: Option<Candidate>, moment: Moment, config: &TrackConfig) {
        let now = moment.now;
        match (&mut self.state, seen) {
            (State::Sent { at, .. }, _) if now > *at + Duration::from_millis(config.better_within_ms) => {
                // One kept until now is sent by the caller's next look; one not found by now never will be.
                if matches!(self.state, State::Sent { better: None, .. }) {
                    self.state = State::Done;
                }
            }
            (_, None) | (State::Done, _) => {}
            (State::Waiting, Some(seen)) => {
                self.state = State::Choosing { since: now, best: Best::new(seen, now) };
            }
            (State::Choosing { since, best }, Some(seen)) => {
                // Whoever may not send yet keeps nothing older than a first shot may be.
                if !moment.may_send && now > *since + Duration::from_millis(config.first_shot_ms) {
                    self.state = State::Choosing { since: now, best: Best::new(seen, now) };
                } else {
                    best.improve(seen, now);
                }
            }
            (State::Sent { better: Some(best), .. }, Some(seen)) => best.improve(seen, now),
            (State::Sent { total, better, .. }, Some(seen)) => {
                if seen.quality.total >= *total + config.better_by.max(f32::EPSILON) {
                    *better = Some(Best::new(seen, now));
                }
            }
        }
    }

    /// This frame's face, where it was asked for.
    fn confirm(&mut self, seen: Candidate, now: Duration) -> Option<(ShotReason, Candidate)> {
        let first_is_sent = matches!(self.state, State::Sent { .. } | State::Done);
        if !first_is_sent || !self.confirming.takes(seen.quality.total, now.saturating_sub(self.sent_at)) {
            return None;
        }
        self.confirming.taken();
        (self.sent, self.sent_at) = (self.sent.saturating_add(1), now);
        Some((ShotReason::Confirming, seen))
    }

    fn send(&mut self, now: Duration) -> Option<(ShotReason, Candidate)> {
        let (shot, next) = match std::mem::replace(&mut self.state, State::Done) {
            State::Choosing { best, .. } => {
                let total = best.candidate.quality.total;
                (Some((ShotReason::First, best.candidate)), State::Sent { at: now, total, better: None })
            }
            State::Sent { better: Some(best), .. } => (Some((ShotReason::Better, best.candidate)), State::Done),
            other => (None, other),
        };
        self.state = next;
        if shot.is_some() {
            (self.sent, self.sent_at) = (self.sent.saturating_add(1), now);
            self.confirming.served();
        }
        shot
    }
}

impl Best {
    fn new(candidate: Candidate, now: Duration) -> Self {
        let risen_to = candidate.quality.total;
        Self { candidate, risen_at: now, risen_to }
    }

    fn improve(&mut self, seen: Candidate, now: Duration) {
        let total = seen.quality.total;
        if total >= self.risen_to + PROGRESS {
            (self.risen_at, self.risen_to) = (now, total);
        }
        if total > self.candidate.quality.total {
            self.candidate = seen;
        }
    }

    fn settled(&self, now: Duration, after: Duration) -> bool {
        now.saturating_sub(self.risen_at) >= after
    }

    /// It has stopped rising, or the first one was doubtful and this one leaves nothing to wish for.
    fn ready_as_better(&self, first: f32, now: Duration) -> bool {
        if first < DOUBTFUL {
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
        let picture = stage::picture(&[]);
        let mut shots = Shots::new();
        let mut sent = Vec::new();
        let mut take = |at: u64, shot: Option<(ShotReason, Candidate)>| {
            sent.extend(shot.map(|(reason, shot)| (at, reason, shot.quality.total)));
        };
        let moment = |at: u64| Moment {
            now: Duration::from_millis(at),
            interval: Duration::from_millis(100),
            may_send: at >= may_send_from,
        };
        for (number, total) in qualities.iter().enumerate() {
            let at = number as u64 * 100;
            let seen = total.map(|total| {
                let part = Part::new(total, 60.0);
                let quality = Quality { total, ..Quality::of(part, part, part, part, part) };
                let face = stage::front(100.0, 100.0, 60.0).unwrap().face();
                let frame = stage::frame(number as u32, Duration::from_millis(at), picture.clone());
                Candidate { frame, face, others: Vec::new(), quality }
            });
            take(at, shots.observe(seen, moment(at), &config));
        }
        let end = qualities.len() as u64 * 100;
        take(end, shots.end(moment(end)));
        take(end, shots.end(moment(end)));
        assert_eq!(usize::from(shots.sent()), sent.len());
        sent
    }

    #[test]
    fn what_is_asked_for_is_sent_between_the_others() {
        use ShotReason::{Better, Confirming, First};
        let (config, picture) = (TrackConfig::default(), stage::picture(&[]));
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
            let part = Part::new(total, 60.0);
            let quality = Quality { total, ..Quality::of(part, part, part, part, part) };
            let now = Duration::from_millis(n as u64 * 100);
            let frame = stage::frame(n as u32, now, picture.clone());
            let face = stage::front(100.0, 100.0, 60.0).unwrap().face();
            let seen = Candidate { frame, face, others: Vec::new(), quality };
            let moment = Moment { now, interval: Duration::from_millis(100), may_send: true };
            sent.extend(shots.observe(Some(seen), moment, &config).map(|(reason, _)| (n, reason)));
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
