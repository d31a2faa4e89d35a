//! Who goes next: visitors before the backlog.
//!
//! Pure: in go the requests that start and end, out comes whose sighting may take a place. The rule: a sighting of the
//! backlog (whose answer can open nothing any more) is sent only while a place stays free for a visitor, not faster
//! than `outbox.drain_per_sec`, and not while the actions of others of the backlog pile up. So a visitor waits for
//! nobody; with `identities.concurrency = 1`, for one request.

use std::time::{Duration, Instant};

use super::Admits;

/// Actions of the backlog under way at once: more would queue up in front of a visitor's.
const BACKLOG_ACTIONS: usize = 16;

/// The places, and who holds them.
pub struct Pace {
    places: usize,
    live: usize,
    backlog: usize,
    /// From one of the backlog to the next; zero without a limit.
    every: Duration,
    next: Option<Instant>,
}

impl Pace {
    /// `per_sec` of the backlog are sent in a second; 0 is without limit.
    pub fn new(places: u16, per_sec: u32) -> Self {
        let every = if per_sec == 0 { Duration::ZERO } else { Duration::from_secs(1) / per_sec };
        Self { places: usize::from(places.max(1)), live: 0, backlog: 0, every, next: None }
    }

    /// Whose sighting may take a place, while so many actions of the backlog are under way.
    pub fn admits(&self, now: Instant, backlog_actions: usize) -> Admits {
        let for_backlog = (self.places - 1).max(1);
        if self.live + self.backlog >= self.places {
            Admits::Nobody
        } else if self.backlog >= for_backlog || self.due(now).is_some() || backlog_actions >= BACKLOG_ACTIONS {
            Admits::Live
        } else {
            Admits::All
        }
    }

    /// When the next of the backlog is due, where that lies ahead.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        self.next.filter(|next| *next > now)
    }

    pub fn started(&mut self, live: bool, now: Instant) {
        if live {
            self.live += 1;
        } else {
            self.backlog += 1;
            self.next = Some(now + self.every);
        }
    }

    pub fn ended(&mut self, live: bool) {
        let place = if live { &mut self.live } else { &mut self.backlog };
        *place = place.saturating_sub(1);
    }

    /// Whether every place is free.
    pub fn is_idle(&self) -> bool {
        self.live + self.backlog == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_stays_free_for_a_visitor() {
        let now = Instant::now();
        // Places, live and backlog requests under way, actions of the backlog; who may come.
        for (places, live, backlog, actions, admits) in [
            (1, 0, 0, 0, Admits::All),
            (1, 0, 1, 0, Admits::Nobody),
            (1, 1, 0, 0, Admits::Nobody),
            (2, 0, 0, 0, Admits::All),
            (2, 0, 1, 0, Admits::Live),
            (2, 1, 0, 0, Admits::All),
            (2, 1, 1, 0, Admits::Nobody),
            (2, 2, 0, 0, Admits::Nobody),
            (4, 0, 2, 0, Admits::All),
            (4, 0, 3, 0, Admits::Live),
            (4, 1, 3, 0, Admits::Nobody),
            (4, 0, 0, BACKLOG_ACTIONS - 1, Admits::All),
            (4, 0, 0, BACKLOG_ACTIONS, Admits::Live),
        ] {
            let mut pace = Pace::new(places, 0);
            (0..live).for_each(|_| pace.started(true, now));
            (0..backlog).for_each(|_| pace.started(false, now));
            assert_eq!(pace.admits(now, actions), admits, "{places} {live} {backlog} {actions}");
            assert_eq!(pace.is_idle(), live + backlog == 0);
            (0..live).for_each(|_| pace.ended(true));
            (0..backlog).for_each(|_| pace.ended(false));
            assert!(pace.is_idle());
        }
    }

    #[test]
    fn the_backlog_is_paced_and_visitors_are_not() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pace = Pace::new(4, 10);
        pace.started(false, at(0));
        assert_eq!((pace.admits(at(99), 0), pace.due(at(99))), (Admits::Live, Some(at(100))));
        assert_eq!((pace.admits(at(100), 0), pace.due(at(100))), (Admits::All, None));
        pace.started(true, at(150));
        assert_eq!(pace.admits(at(150), 0), Admits::All);
        // What was not used is not made up for.
        pace.started(false, at(1000));
        assert_eq!(pace.due(at(1000)), Some(at(1100)));
    }
}
