//! Which sighting is next: the order of the queue, without the sightings.
//!
//! Pure: in go ids, sizes and moments, out comes the one whose turn it is. The moments are of the clock that does not
//! step, so that a corrected system clock neither wakes the whole backlog nor puts it to sleep.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Which end of the backlog goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code)] // one of the two is chosen where the outbox is made
pub enum Backlog {
    OldestFirst,
    NewestFirst,
}

/// What is stored, in the order it came in.
#[derive(Default)]
pub struct Queue {
    /// By the number SQLite gave them, which only grows.
    entries: BTreeMap<i64, Entry>,
    by_id: HashMap<Uuid, i64>,
    ready: BTreeSet<i64>,
    waiting: BTreeSet<(Instant, i64)>,
    bytes: u64,
}

/// One stored sighting.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: Uuid,
    pub tries: u32,
    bytes: u64,
    stored: DateTime<Utc>,
    /// When its frame entered this process; `None` for one of an earlier life.
    arrived: Option<Instant>,
    /// When it was stored, in this life.
    accepted: Option<Instant>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    Waiting(Instant),
    InFlight,
}

impl Entry {
    /// One read back from the disk.
    pub fn new(id: Uuid, bytes: u64, stored: DateTime<Utc>) -> Self {
        Self { id, tries: 0, bytes, stored, arrived: None, accepted: None, state: State::Ready }
    }

    /// One that came in just now.
    pub fn seen(self, arrived: Option<Instant>, accepted: Instant) -> Self {
        Self { arrived, accepted: Some(accepted), ..self }
    }
}

impl Queue {
    pub fn insert(&mut self, seq: i64, entry: Entry) {
        self.bytes += entry.bytes;
        self.by_id.insert(entry.id, seq);
        self.ready.insert(seq);
        self.entries.insert(seq, entry);
    }

    /// Takes the one whose turn it is: the newest if it is live (its frame came in less than `live` ago), else one of
    /// the backlog. It is in flight then.
    pub fn take(&mut self, now: Instant, live: Duration, backlog: Backlog) -> Option<(Uuid, Option<Instant>, u32)> {
        while let Some((due, seq)) = self.waiting.first().copied().filter(|(due, _)| *due <= now) {
            self.waiting.remove(&(due, seq));
            self.ready.insert(seq);
        }
        let newest = *self.ready.last()?;
        let arrived = self.entries.get(&newest).and_then(|entry| entry.arrived);
        let is_live = arrived.is_some_and(|arrived| now.saturating_duration_since(arrived) < live);
        let seq = match backlog {
            _ if is_live => newest,
            Backlog::NewestFirst => newest,
            Backlog::OldestFirst => *self.ready.first()?,
        };
        self.ready.remove(&seq);
        let entry = self.entries.get_mut(&seq)?;
        entry.state = State::InFlight;
        Some((entry.id, entry.arrived, entry.tries))
    }

    /// One more try has failed: due again at `until`. Gives the number of tries; `None` for an unknown id.
    pub fn postpone(&mut self, id: Uuid, until: Instant) -> Option<u32> {
        let seq = *self.by_id.get(&id)?;
        self.idle(seq);
        let entry = self.entries.get_mut(&seq)?;
        entry.tries = entry.tries.saturating_add(1);
        entry.state = State::Waiting(until);
        self.waiting.insert((until, seq));
        Some(entry.tries)
    }

    /// As if it had never been taken.
    pub fn put_back(&mut self, id: Uuid, now: Instant) {
        let Some(seq) = self.by_id.get(&id).copied() else { return };
        if let Some(entry) = self.entries.get_mut(&seq).filter(|entry| entry.state == State::InFlight) {
            entry.state = State::Waiting(now);
            self.waiting.insert((now, seq));
        }
    }

    pub fn remove(&mut self, id: Uuid) {
        let Some(seq) = self.by_id.remove(&id) else { return };
        self.idle(seq);
        if let Some(entry) = self.entries.remove(&seq) {
            self.bytes -= entry.bytes;
        }
    }

    /// The oldest, none of them in flight, that must go for `wanted` more bytes to fit below `limit`; all there are if
    /// that is not enough.
    pub fn make_room(&self, wanted: u64, limit: u64) -> Vec<Entry> {
        let mut bytes = self.bytes.saturating_add(wanted);
        let mut victims = Vec::new();
        for entry in self.entries.values() {
            if bytes <= limit {
                break;
            }
            if entry.state != State::InFlight {
                bytes -= entry.bytes;
                victims.push(entry.clone());
            }
        }
        victims
    }

    pub fn bytes_without(&self, victims: &[Entry]) -> u64 {
        self.bytes - victims.iter().map(|victim| victim.bytes).sum::<u64>()
    }

    /// Ids and tries of what is older than `age` and not in flight. What this process stored ages by the clock that does
    /// not step: a box that starts in 1970 and then learns the date has stored nothing decades ago.
    pub fn older_than(&self, age: Duration, now: DateTime<Utc>, instant: Instant) -> Vec<(Uuid, u32)> {
        let stored_age = |entry: &Entry| match entry.accepted {
            Some(accepted) => instant.saturating_duration_since(accepted),
            None => (now - entry.stored).to_std().unwrap_or_default(),
        };
        let idle = self.entries.values().filter(|entry| entry.state != State::InFlight);
        idle.filter(|entry| stored_age(entry) > age).map(|entry| (entry.id, entry.tries)).collect()
    }

    /// When the first of those waiting is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.waiting.first().map(|(due, _)| *due)
    }

    pub fn tries(&self, id: Uuid) -> u32 {
        self.by_id.get(&id).and_then(|seq| self.entries.get(seq)).map_or(0, |entry| entry.tries)
    }

    pub fn oldest(&self) -> Option<DateTime<Utc>> {
        self.entries.first_key_value().map(|(_, entry)| entry.stored)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn idle(&mut self, seq: i64) {
        self.ready.remove(&seq);
        if let Some(Entry { state: State::Waiting(due), .. }) = self.entries.get(&seq) {
            self.waiting.remove(&(*due, seq));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: Duration = Duration::from_secs(5);

    fn id(n: i64) -> Uuid {
        Uuid::from_u128(n as u128)
    }

    /// Entries 1 to `stored` of an earlier life, then one for each of `arrived`, seconds after `start`.
    fn queue(stored: i64, start: Instant, arrived: &[u64]) -> Queue {
        let mut queue = Queue::default();
        for seq in 1..=stored {
            queue.insert(seq, Entry::new(id(seq), 100, DateTime::UNIX_EPOCH));
        }
        for (n, seconds) in arrived.iter().enumerate() {
            let at = start + Duration::from_secs(*seconds);
            let seq = stored + 1 + n as i64;
            queue.insert(seq, Entry::new(id(seq), 100, DateTime::UNIX_EPOCH).seen(Some(at), at));
        }
        queue
    }

    fn order(queue: &mut Queue, now: Instant, backlog: Backlog) -> Vec<u128> {
        std::iter::from_fn(|| queue.take(now, LIVE, backlog)).map(|(id, ..)| id.as_u128()).collect()
    }

    #[test]
    fn live_sightings_go_before_the_backlog_newest_first() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for (stored, arrived, now, backlog, expected) in [
            (0, &[][..], 0, Backlog::OldestFirst, &[][..]),
            (3, &[], 0, Backlog::OldestFirst, &[1, 2, 3]),
            (3, &[], 0, Backlog::NewestFirst, &[3, 2, 1]),
            (2, &[0, 8, 9], 10, Backlog::OldestFirst, &[5, 4, 1, 2, 3]),
            (2, &[0, 8, 9], 60, Backlog::OldestFirst, &[1, 2, 3, 4, 5]),
            (2, &[0, 8, 9], 60, Backlog::NewestFirst, &[5, 4, 3, 2, 1]),
        ] {
            let mut queue = queue(stored, start, arrived);
            assert_eq!(order(&mut queue, at(now), backlog), expected, "{stored} {arrived:?} at {now}");
            assert_eq!(order(&mut queue, at(now), backlog), [], "all are in flight");
        }
    }

    #[test]
    fn what_is_postponed_waits_for_its_moment() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut queue = queue(2, start, &[]);
        assert_eq!(order(&mut queue, start, BACKLOG), [1, 2]);
        assert_eq!((queue.postpone(id(1), at(10)), queue.postpone(id(2), at(5))), (Some(1), Some(1)));
        assert_eq!(queue.postpone(id(9), at(5)), None);
        assert_eq!(queue.next_due(), Some(at(5)));
        assert_eq!(order(&mut queue, at(4), BACKLOG), []);
        assert_eq!(order(&mut queue, at(5), BACKLOG), [2]);
        assert_eq!(queue.postpone(id(2), at(6)), Some(2));
        assert_eq!(order(&mut queue, at(60), BACKLOG), [1, 2]);
        assert_eq!(queue.next_due(), None);
        queue.put_back(id(1), at(60));
        assert_eq!(queue.tries(id(1)), 1);
        assert_eq!(order(&mut queue, at(60), BACKLOG), [1]);
    }

    #[test]
    fn the_oldest_make_room_but_never_one_in_flight() {
        let start = Instant::now();
        let mut queue = queue(4, start, &[]);
        queue.take(start, LIVE, BACKLOG);
        let room = |wanted, limit| queue.make_room(wanted, limit).iter().map(|e| e.id.as_u128()).collect::<Vec<_>>();
        assert_eq!(room(100, 500), []);
        assert_eq!(room(101, 500), [2]);
        assert_eq!(room(100, 300), [2, 3]);
        assert_eq!(room(9999, 300), [2, 3, 4]);
        assert_eq!(queue.bytes_without(&queue.make_room(9999, 300)), 100);
    }

    #[test]
    fn age_is_measured_on_the_clock_that_does_not_step() {
        let start = Instant::now();
        let (hour, now) = (Duration::from_secs(3600), "2026-03-04T05:06:07Z".parse().unwrap());
        // Both carry the date 1970; one was stored by this process.
        let queue = queue(1, start, &[0]);
        assert_eq!(queue.older_than(hour, now, start), [(id(1), 0)]);
        assert_eq!(queue.older_than(hour, now, start + 2 * hour), [(id(1), 0), (id(2), 0)]);
        assert_eq!(queue.older_than(hour, DateTime::UNIX_EPOCH - hour, start), []);
    }

    #[test]
    fn what_is_removed_leaves_nothing_behind() {
        let start = Instant::now();
        let mut queue = queue(3, start, &[]);
        order(&mut queue, start, BACKLOG);
        queue.postpone(id(1), start);
        for n in [1, 2, 3, 3] {
            queue.remove(id(n));
        }
        assert_eq!((queue.len(), queue.bytes(), queue.next_due()), (0, 0, None));
        assert_eq!(order(&mut queue, start, BACKLOG), []);
    }

    const BACKLOG: Backlog = Backlog::OldestFirst;
}
