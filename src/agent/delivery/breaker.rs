//! Whether the engine may be asked: a circuit breaker, one per engine.
//!
//! Pure: in go moments, requests and how they ended, out comes whose sighting may be sent. It does not know what a
//! failure is, nor how long to pause after one.
//!
//! ```text
//!         three failures in a row, or a wait the engine asked for
//!  closed ------------------------▶ open ◀--------- it fails ---------┐
//!    ▲                               └- the pause is over, or --▶ half-open: one request,
//!    │                                  a visitor stands there        nobody else
//!    └------------------------------ it is answered ------------------┘
//! ```

use std::time::{Duration, Instant};

use super::Admits;
use crate::status::BreakerState;

/// Failures in a row that open it: one broken connection is no outage, and a visitor's second try must not wait for it.
const OPENS_AT: u32 = 3;
/// A visitor's sighting asks an engine that fails before the pause is over, but not more often than this.
const VISITOR_ASKS_EVERY: Duration = Duration::from_secs(1);

/// How one engine has been answering.
pub struct Breaker {
    state: State,
    /// Failures since the last answer.
    failures: u32,
    last_asked: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed,
    Open {
        until: Instant,
        /// The engine named the pause, or the account would get locked without it: not even a visitor asks sooner.
        ordered: bool,
    },
    HalfOpen,
}

impl Breaker {
    pub fn new() -> Self {
        Self { state: State::Closed, failures: 0, last_asked: None }
    }

    /// Whose sighting may be sent now.
    pub fn admits(&self, now: Instant) -> Admits {
        let asked_lately = || self.last_asked.is_some_and(|last| now < last + VISITOR_ASKS_EVERY);
        match self.state {
            State::Closed => Admits::All,
            State::Open { until, .. } if now >= until => Admits::All,
            State::Open { ordered: false, .. } if !asked_lately() => Admits::Live,
            State::Open { .. } | State::HalfOpen => Admits::Nobody,
        }
    }

    /// A request is sent, which [`admits`](Self::admits) allowed. True for the one that decides how it goes on.
    pub fn asked(&mut self, now: Instant) -> bool {
        self.last_asked = Some(now);
        let probes = matches!(self.state, State::Open { .. });
        if probes {
            self.state = State::HalfOpen;
        }
        probes
    }

    /// The engine answered; gives the failures before.
    pub fn answered(&mut self) -> u32 {
        self.state = State::Closed;
        std::mem::take(&mut self.failures)
    }

    /// A request failed, the one that decides (`probe`) or one sent before. True when nobody else is admitted for
    /// `pause`.
    pub fn failed(&mut self, now: Instant, probe: bool, pause: Duration, ordered: bool) -> bool {
        // Of many under way when it opened, each says the same.
        let counts = probe || matches!(self.state, State::Closed);
        self.failures = self.failures.saturating_add(u32::from(counts));
        let opens = match self.state {
            State::Closed => ordered || self.failures >= OPENS_AT,
            State::HalfOpen => probe,
            State::Open { .. } => ordered,
        };
        if opens {
            self.state = State::Open { until: now + pause, ordered };
        }
        opens
    }

    /// The one that decides ended without either.
    pub fn abandoned(&mut self, now: Instant) {
        if matches!(self.state, State::HalfOpen) {
            self.state = State::Open { until: now, ordered: false };
        }
    }

    /// Failures since the last answer.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When everybody is admitted again, while it is open.
    pub fn until(&self) -> Option<Instant> {
        match self.state {
            State::Open { until, .. } => Some(until),
            State::Closed | State::HalfOpen => None,
        }
    }

    /// Whether nothing was asked for so long.
    pub fn idle_for(&self, now: Instant, time: Duration) -> bool {
        self.last_asked.is_none_or(|last| now.saturating_duration_since(last) >= time)
    }

    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// In the status page's word.
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen => BreakerState::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);

    #[test]
    fn it_opens_asks_with_one_and_closes() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut breaker = Breaker::new();
        for failure in 1..=3 {
            assert_eq!(breaker.admits(at(0)), Admits::All);
            assert!(!breaker.asked(at(0)));
            assert_eq!(breaker.failed(at(100), false, PAUSE, false), failure == 3, "failure {failure}");
        }
        for (ms, admits) in [
            (100, Admits::Nobody),
            (999, Admits::Nobody),
            (1000, Admits::Live),
            (10_099, Admits::Live),
            (10_100, Admits::All),
        ] {
            assert_eq!(breaker.admits(at(ms)), admits, "at {ms}");
        }
        assert_eq!((breaker.until(), breaker.state()), (Some(at(10_100)), BreakerState::Open));

        assert!(breaker.asked(at(2000)), "a visitor's sighting asks before the pause is over");
        assert_eq!(
            (breaker.admits(at(99_999)), breaker.state()),
            (Admits::Nobody, BreakerState::HalfOpen),
            "and nobody else"
        );
        assert!(!breaker.failed(at(2100), false, PAUSE, false), "one sent before it decides nothing");
        assert_eq!(breaker.admits(at(99_999)), Admits::Nobody);
        assert!(breaker.failed(at(2200), true, PAUSE, false));
        assert_eq!(breaker.admits(at(2999)), Admits::Nobody);
        assert_eq!(breaker.admits(at(3000)), Admits::Live);

        breaker.asked(at(12_200));
        assert_eq!(breaker.answered(), 4);
        assert_eq!((breaker.admits(at(12_200)), breaker.failures()), (Admits::All, 0));
    }

    #[test]
    fn a_wait_that_was_asked_for_is_kept_by_everybody() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut breaker = Breaker::new();
        breaker.asked(at(0));
        assert!(breaker.failed(at(0), false, PAUSE, true), "at the first failure");
        assert_eq!((breaker.admits(at(9_999)), breaker.admits(at(10_000))), (Admits::Nobody, Admits::All));
        // Of two that were under way together the later word counts.
        assert!(breaker.failed(at(5_000), false, PAUSE, true));
        assert!(!breaker.failed(at(5_000), false, PAUSE, false));
        assert_eq!(breaker.admits(at(14_999)), Admits::Nobody);
    }

    #[test]
    fn a_probe_that_vanishes_blocks_nobody() {
        let start = Instant::now();
        let mut breaker = Breaker::new();
        breaker.abandoned(start);
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.failed(start, false, PAUSE, true);
        assert!(breaker.asked(start + PAUSE));
        breaker.abandoned(start + PAUSE);
        assert_eq!(breaker.admits(start + PAUSE), Admits::All);
        assert!(breaker.asked(start + PAUSE));
    }

    #[test]
    fn an_answer_to_one_that_was_under_way_closes_it() {
        let start = Instant::now();
        let mut breaker = Breaker::new();
        breaker.failed(start, false, PAUSE, true);
        assert_eq!((breaker.answered(), breaker.admits(start)), (1, Admits::All));
    }
}
