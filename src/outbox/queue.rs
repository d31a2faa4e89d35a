//! Which sighting is next: the order of the queue, without the sightings.
//!
//! Pure: in go ids, sizes and moments, out comes the one whose turn it is. The moments are of the clock that does not
//! step, so that a corrected system clock neither wakes the whole backlog nor puts it to sleep.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::worth::{Visits, Worth};
use crate::config::Drain;
use crate::track::VisitId;

/// Whose turn it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// A live one's, else the backlog's.
    Any,
    /// A live one's.
    Live,
    /// A live one's, else of the backlog one that was tried least: an engine that stumbles over some must get to see
    /// others.
    LeastTried,
}

/// What is stored, in the order it came in.
#[derive(Default)]
pub struct Queue {
    /// By a number that only grows: the one SQLite gave them, or one beyond all of those while the disk takes nothing.
    entries: BTreeMap<i64, Entry>,
    by_id: HashMap<Uuid, i64>,
    ready: BTreeSet<i64>,
    waiting: BTreeSet<(Instant, i64)>,
    visits: Visits,
    bytes: u64,
}

/// One stored sighting.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: Uuid,
    pub visit: VisitId,
    pub shot: u8,
    pub tries: u32,
    pub bytes: u64,
    /// Only memory holds it.
    pub in_memory: bool,
    /// It was sealed with a key that is not here; it waits for that, and is not sent.
    pub locked: bool,
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

/// How much may be stored.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub bytes: u64,
    pub sightings: usize,
}

/// What has to go so that one more fits.
#[derive(Debug, Default)]
pub struct Room {
    /// Ids, tries and why each goes; empty where that would not make enough room.
    pub victims: Vec<(Uuid, u32, Worth)>,
    /// Why the new one does not fit; `None` when it does.
    pub refused: Option<Worth>,
}

impl Entry {
    /// One read back from the disk.
    pub fn new(id: Uuid, visit: VisitId, shot: u8, bytes: u64, stored: DateTime<Utc>) -> Self {
        Self {
            id,
            visit,
            shot,
            tries: 0,
            bytes,
            in_memory: false,
            locked: false,
            stored,
            arrived: None,
            accepted: None,
            state: State::Ready,
        }
    }

    /// One that came in just now.
    pub fn seen(self, arrived: Option<Instant>, accepted: Instant) -> Self {
        Self { arrived, accepted: Some(accepted), ..self }
    }

    /// Whether its visitor may still be standing there.
    pub fn is_live(&self, now: Instant, live: Duration) -> bool {
        self.arrived.is_some_and(|arrived| now.saturating_duration_since(arrived) < live)
    }
}

impl Queue {
    pub fn insert(&mut self, seq: i64, entry: Entry) {
        self.visits.stored(entry.visit, entry.shot);
        self.put_in(seq, entry);
    }

    fn put_in(&mut self, seq: i64, entry: Entry) {
        self.bytes += entry.bytes;
        self.by_id.insert(entry.id, seq);
        match entry.state {
            State::Ready if !entry.locked => drop(self.ready.insert(seq)),
            State::Waiting(due) => drop(self.waiting.insert((due, seq))),
            _ => {}
        }
        self.entries.insert(seq, entry);
    }

    fn take_out(&mut self, id: Uuid) -> Option<Entry> {
        let seq = self.by_id.remove(&id)?;
        self.idle(seq);
        let entry = self.entries.remove(&seq)?;
        self.bytes -= entry.bytes;
        Some(entry)
    }

    /// Takes the one whose turn it is: the newest if it is live (its frame came in less than `live` ago), else one of
    /// the backlog; only among those `within`. It is in flight then.
    pub fn take(
        &mut self,
        now: Instant,
        live: Duration,
        drain: Drain,
        turn: Turn,
        within: impl Fn(&Entry) -> bool,
    ) -> Option<(Uuid, Option<Instant>, u32)> {
        while let Some((due, seq)) = self.waiting.first().copied().filter(|(due, _)| *due <= now) {
            self.waiting.remove(&(due, seq));
            if let Some(entry) = self.entries.get_mut(&seq) {
                entry.state = State::Ready;
                self.ready.insert(seq);
            }
        }
        let suits = |seq: &&i64| self.entries.get(seq).is_some_and(&within);
        let newest = *self.ready.iter().rev().find(suits)?;
        let is_live = self.entries.get(&newest).is_some_and(|entry| entry.is_live(now, live));
        let tries = |seq: &&i64| self.entries.get(seq).map_or(0, |entry| entry.tries);
        let seq = match (turn, drain) {
            _ if is_live => newest,
            (Turn::Live, _) => return None,
            (Turn::Any, Drain::NewestFirst) => newest,
            (Turn::Any, Drain::InOrder) => *self.ready.iter().find(suits)?,
            (Turn::LeastTried, Drain::NewestFirst) => *self.ready.iter().rev().filter(suits).min_by_key(tries)?,
            (Turn::LeastTried, Drain::InOrder) => *self.ready.iter().filter(suits).min_by_key(tries)?,
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

    pub fn remove(&mut self, id: Uuid) -> Option<Entry> {
        let entry = self.take_out(id)?;
        self.visits.gone(entry.visit, entry.shot);
        Some(entry)
    }

    /// A sighting that only memory held has got its place on the disk, or the disk another file.
    pub fn moved(&mut self, id: Uuid, seq: i64, bytes: u64) {
        if let Some(entry) = self.take_out(id) {
            self.put_in(seq, Entry { in_memory: false, bytes, ..entry });
        }
    }

    /// It may have reached the disk, or not: memory holds it. False for one that is not stored.
    pub fn only_in_memory(&mut self, id: Uuid) -> bool {
        let entry = self.by_id.get(&id).and_then(|seq| self.entries.get_mut(seq));
        entry.map(|entry| entry.in_memory = true).is_some()
    }

    /// What the engine said of a visit makes its other sightings worth less.
    pub fn told(&mut self, visit: VisitId, outcome: &str) {
        self.visits.told(visit, outcome);
    }

    /// What must go for a new one to fit: the least valuable first and of those the oldest, none of them in flight. The
    /// new one counts as the youngest of its worth. One that only memory holds competes with its like alone.
    pub fn make_room(&self, new: &Entry, bounds: Bounds, now: Instant, live: Duration) -> Room {
        let held = match new.in_memory {
            false => (self.bytes, self.entries.len()),
            true => self.rivals(new).fold((0, 0), |(bytes, count), entry| (bytes + entry.bytes, count + 1)),
        };
        let (mut bytes, mut count) = (held.0.saturating_add(new.bytes), held.1 + 1);
        let over = |bytes: u64, count: usize| bytes > bounds.bytes || count > bounds.sightings;
        if !over(bytes, count) {
            return Room::default();
        }
        let worth = |entry: &Entry| match entry {
            Entry { locked: true, .. } => Worth::Locked,
            entry if entry.is_live(now, live) => Worth::Only,
            entry => self.visits.worth(entry.visit, entry.shot),
        };
        let own = worth(new);
        let idle = self.rivals(new).filter(|entry| entry.state != State::InFlight);
        let mut by_worth: Vec<_> = idle.map(|entry| (worth(entry), entry)).filter(|(worth, _)| *worth <= own).collect();
        by_worth.sort_by_key(|(worth, _)| *worth);
        let mut victims = Vec::new();
        for (worth, entry) in by_worth {
            bytes -= entry.bytes;
            count -= 1;
            victims.push((entry.id, entry.tries, worth));
            if !over(bytes, count) {
                return Room { victims, refused: None };
            }
        }
        Room { victims: Vec::new(), refused: Some(own) }
    }

    /// Ids and tries of what is older than `age` and not in flight. What this process stored ages by the clock that
    /// does not step: a box that starts in 1970 and then learns the date has stored nothing decades ago.
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

    pub fn get(&self, id: Uuid) -> Option<&Entry> {
        self.by_id.get(&id).and_then(|seq| self.entries.get(seq))
    }

    /// Takes over what has been found on the disk, and gives what was thought to be there and is not.
    pub fn reconcile(&mut self, found: Queue) -> Vec<Entry> {
        if self.entries.is_empty() {
            *self = found;
            return Vec::new();
        }
        let on_disk = self.entries.values().filter(|entry| !entry.in_memory).map(|entry| entry.id);
        let lost: Vec<Uuid> = on_disk.filter(|id| !found.by_id.contains_key(id)).collect();
        let lost = lost.into_iter().filter_map(|id| self.remove(id)).collect();
        for (seq, entry) in found.entries {
            // One that is known keeps its place; or its place is found out when memory is written.
            if !self.by_id.contains_key(&entry.id) {
                self.insert(seq, entry);
            }
        }
        lost
    }

    /// A number beyond all that are in use.
    pub fn beyond(&self) -> i64 {
        self.entries.last_key_value().map_or(0, |(seq, _)| *seq).saturating_add(1)
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

    /// Those that compete with a new one for room.
    fn rivals(&self, new: &Entry) -> impl Iterator<Item = &Entry> {
        let in_memory = new.in_memory;
        self.entries.values().filter(move |entry| !in_memory || entry.in_memory)
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

    fn entry(n: i64) -> Entry {
        Entry::new(id(n), VisitId(id(n)), 1, 100, DateTime::UNIX_EPOCH)
    }

    /// Entries 1 to `stored` of an earlier life, then one for each of `arrived`, seconds after `start`.
    fn queue(stored: i64, start: Instant, arrived: &[u64]) -> Queue {
        let mut queue = Queue::default();
        for seq in 1..=stored {
            queue.insert(seq, entry(seq));
        }
        for (n, seconds) in arrived.iter().enumerate() {
            let at = start + Duration::from_secs(*seconds);
            let seq = stored + 1 + n as i64;
            queue.insert(seq, entry(seq).seen(Some(at), at));
        }
        queue
    }

    fn order(queue: &mut Queue, now: Instant, drain: Drain) -> Vec<u128> {
        std::iter::from_fn(|| queue.take(now, LIVE, drain, Turn::Any, |_| true)).map(|(id, ..)| id.as_u128()).collect()
    }

    #[test]
    fn live_sightings_go_before_the_backlog_newest_first() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for (stored, arrived, now, drain, expected) in [
            (0, &[][..], 0, Drain::InOrder, &[][..]),
            (3, &[], 0, Drain::InOrder, &[1, 2, 3]),
            (3, &[], 0, Drain::NewestFirst, &[3, 2, 1]),
            (2, &[0, 8, 9], 10, Drain::InOrder, &[5, 4, 1, 2, 3]),
            (2, &[0, 8, 9], 60, Drain::InOrder, &[1, 2, 3, 4, 5]),
            (2, &[0, 8, 9], 60, Drain::NewestFirst, &[5, 4, 3, 2, 1]),
        ] {
            let mut queue = queue(stored, start, arrived);
            let live = arrived.iter().filter(|arrived| now - **arrived < LIVE.as_secs()).count();
            let mut take_live = || queue.take(at(now), LIVE, drain, Turn::Live, |_| true);
            let taken: Vec<_> = std::iter::from_fn(&mut take_live).map(|(id, ..)| id).collect();
            assert_eq!(taken.iter().map(Uuid::as_u128).collect::<Vec<_>>(), expected[..live], "alone");
            taken.into_iter().for_each(|id| queue.put_back(id, at(now)));
            assert_eq!(order(&mut queue, at(now), drain), expected, "{stored} {arrived:?} at {now}");
            assert_eq!(order(&mut queue, at(now), drain), [], "all are in flight");
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
        assert_eq!(queue.get(id(1)).unwrap().tries, 1);
        assert_eq!(order(&mut queue, at(60), BACKLOG), [1]);
    }

    #[test]
    fn the_least_tried_is_found_at_the_right_end() {
        let start = Instant::now();
        for (drain, expected) in [(Drain::InOrder, [1, 2, 3, 1, 2]), (Drain::NewestFirst, [3, 2, 1, 3, 2])] {
            let mut queue = queue(3, start, &[]);
            let take = |queue: &mut Queue| queue.take(start, LIVE, drain, Turn::LeastTried, |_| true).unwrap().0;
            for expected in expected {
                assert_eq!(take(&mut queue), id(expected), "{drain:?}");
                queue.postpone(id(expected), start);
            }
            queue.insert(9, entry(9).seen(Some(start), start));
            assert_eq!(take(&mut queue), id(9), "but a live one before all");
        }
    }

    #[test]
    fn what_is_locked_is_not_sent_and_what_is_not_asked_for_neither() {
        let start = Instant::now();
        let mut queue = Queue::default();
        queue.insert(1, Entry { locked: true, ..entry(1) });
        queue.insert(2, entry(2));
        queue.insert(3, Entry { in_memory: true, ..entry(3) });
        assert_eq!(queue.take(start, LIVE, BACKLOG, Turn::Any, |entry| entry.in_memory).unwrap().0, id(3));
        assert_eq!(queue.take(start, LIVE, BACKLOG, Turn::Any, |entry| entry.in_memory), None);
        assert_eq!((order(&mut queue, start, BACKLOG), queue.len()), (vec![2], 3));
    }

    #[test]
    fn one_that_moves_keeps_its_state() {
        let start = Instant::now();
        let mut queue = Queue::default();
        for n in 1..=3 {
            queue.insert(100 + n, Entry { in_memory: true, ..entry(n) });
        }
        queue.take(start, LIVE, BACKLOG, Turn::Any, |entry| entry.id == id(1));
        queue.take(start, LIVE, BACKLOG, Turn::Any, |entry| entry.id == id(2));
        queue.postpone(id(2), start + LIVE);
        for n in 1..=3 {
            queue.moved(id(n), n, 50);
        }
        queue.moved(id(9), 9, 50);
        assert_eq!((queue.bytes(), queue.beyond(), queue.len()), (150, 4, 3));
        assert_eq!(order(&mut queue, start, BACKLOG), [3]);
        assert_eq!(order(&mut queue, start + LIVE, BACKLOG), [2]);
        assert!(queue.entries.values().all(|entry| !entry.in_memory) && queue.get(id(9)).is_none());
    }

    #[test]
    fn what_is_found_on_the_disk_is_taken_over() {
        let start = Instant::now();
        let mut queue = Queue::default();
        for n in 1..=3 {
            queue.insert(n, entry(n));
        }
        queue.insert(100, Entry { in_memory: true, ..entry(4) });
        queue.take(start, LIVE, BACKLOG, Turn::Any, |_| true);
        let mut found = Queue::default();
        for n in [1, 3, 4, 5] {
            found.insert(n, entry(n));
        }
        let lost: Vec<_> = queue.reconcile(found).into_iter().map(|entry| entry.id).collect();
        assert_eq!((lost, queue.len()), (vec![id(2)], 4));
        assert_eq!(order(&mut queue, start, BACKLOG), [3, 5, 4], "the first is in flight, the fourth in memory");
    }

    #[test]
    fn the_oldest_make_room_but_never_one_in_flight() {
        let start = Instant::now();
        let mut queue = queue(4, start, &[]);
        queue.take(start, LIVE, BACKLOG, Turn::Any, |_| true);
        for (wanted, bytes, sightings, expected) in [
            (100, 500, 9, Some(&[][..])),
            (101, 500, 9, Some(&[2])),
            (100, 300, 9, Some(&[2, 3])),
            (100, 9999, 4, Some(&[2])),
            (100, 9999, 2, Some(&[2, 3, 4])),
            (100, 9999, 1, None),
            (9999, 300, 9, None),
        ] {
            let new = Entry { bytes: wanted, ..entry(9) };
            let room = queue.make_room(&new, Bounds { bytes, sightings }, start, LIVE);
            let victims: Vec<_> = room.victims.iter().map(|(id, ..)| id.as_u128()).collect();
            assert_eq!((victims.as_slice(), room.refused.is_none()), (expected.unwrap_or(&[]), expected.is_some()));
        }
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
        assert_eq!((queue.len(), queue.bytes(), queue.next_due(), queue.visits.0.len()), (0, 0, None, 0));
        assert_eq!(order(&mut queue, start, BACKLOG), []);
    }

    const BACKLOG: Drain = Drain::InOrder;
}
