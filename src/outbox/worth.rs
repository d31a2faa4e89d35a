//! What a stored sighting is worth when not all of them can stay.
//!
//! Pure: in go what is stored of each visit and what the engine has said of it, out comes a [`Worth`]. A sighting whose
//! visitor may still be standing there is never a duplicate: it may be the one that opens the door.

use std::collections::HashMap;

use crate::track::VisitId;

/// From what goes first to what goes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worth {
    /// It cannot be read with the key that is here.
    Locked,
    /// A late second shot of a visit whose first one is stored, or has been recognised.
    Duplicate,
    /// A late one of a visit the engine has already answered without knowing anybody.
    Unknown,
    /// All there is of a visit.
    Only,
}

/// What is stored of each visit, and what has been said of it; only of visits of which something is stored.
#[derive(Default)]
pub struct Visits(pub HashMap<VisitId, Stored>);

#[derive(Default)]
pub struct Stored {
    shots: u32,
    first_shots: u32,
    told: Told,
}

#[derive(Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    #[default]
    Nothing,
    Unknown,
    Known,
}

impl Visits {
    pub fn stored(&mut self, visit: VisitId, shot: u8) {
        let stored = self.0.entry(visit).or_default();
        stored.shots += 1;
        stored.first_shots += u32::from(shot <= 1);
    }

    pub fn gone(&mut self, visit: VisitId, shot: u8) {
        let Some(stored) = self.0.get_mut(&visit) else { return };
        stored.shots -= 1;
        stored.first_shots -= u32::from(shot <= 1);
        if stored.shots == 0 {
            self.0.remove(&visit);
        }
    }

    /// What the engine said of one of the visit's sightings.
    pub fn told(&mut self, visit: VisitId, outcome: &str) {
        let told = match outcome {
            "known" | "accepted" => Told::Known,
            "unknown" => Told::Unknown,
            _ => Told::Nothing,
        };
        if let Some(stored) = self.0.get_mut(&visit) {
            stored.told = stored.told.max(told);
        }
    }

    /// What a shot of this visit is worth that can be read, and whose visitor has gone.
    pub fn worth(&self, visit: VisitId, shot: u8) -> Worth {
        let nothing = Stored::default();
        let stored = self.0.get(&visit).unwrap_or(&nothing);
        match stored.told {
            Told::Known => Worth::Duplicate,
            _ if shot > 1 && stored.first_shots > 0 => Worth::Duplicate,
            Told::Unknown => Worth::Unknown,
            Told::Nothing => Worth::Only,
        }
    }
}

impl Worth {
    /// The word for it in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Locked => "full_locked",
            Self::Duplicate => "full_duplicate",
            Self::Unknown => "full_unknown",
            Self::Only => "full_oldest",
        }
    }

    /// Why this one and no other, for people.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Locked => {
                "the outbox was full (outbox.max_bytes, outbox.max_sightings), and this one was stored with another key"
            }
            Self::Duplicate => {
                "the outbox was full (outbox.max_bytes, outbox.max_sightings), and its visit had a better \
                 claim to be told"
            }
            Self::Unknown => {
                "the outbox was full (outbox.max_bytes, outbox.max_sightings), and its visit had been \
                 answered as unknown"
            }
            Self::Only => "the outbox was full (outbox.max_bytes, outbox.max_sightings), and this was the oldest",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use chrono::DateTime;
    use uuid::Uuid;

    use super::super::queue::{Bounds, Entry, Queue};
    use super::*;

    const LIVE: Duration = Duration::from_secs(5);

    /// Sightings as `VISIT.SHOT`, in the order they came in; `!` behind it is live, `?` locked. `a=known` is an answer
    /// that visit has had. One more comes in last: what goes, in which order?
    #[test]
    fn the_least_valuable_go_first() {
        for (why, stored, told, new, room_for, expected) in [
            ("the oldest, where all are alike", "a.1 b.1 c.1", "", "d.1!", 3, "a.1"),
            ("two of them", "a.1 b.1 c.1", "", "d.1!", 2, "a.1 b.1"),
            ("a second shot before older first ones", "a.1 b.1 b.2 c.1", "", "d.1!", 4, "b.2"),
            ("the older one of two", "a.1 a.2 b.1 b.2", "", "d.1!", 4, "a.2"),
            ("both, and then the oldest", "a.1 b.1 b.2 c.1 c.2", "", "d.1!", 3, "b.2 c.2 a.1"),
            ("a second shot whose first has gone is all there is", "a.1 b.2 c.1", "", "d.1!", 3, "a.1"),
            ("a second shot whose visit was recognised", "a.1 b.2 c.1", "b=known", "d.1!", 3, "b.2"),
            ("a first shot whose visit was recognised later", "a.1 b.1 c.1", "b=known", "d.1!", 3, "b.1"),
            ("or accepted", "a.1 b.2 c.1", "b=accepted", "d.1!", 3, "b.2"),
            ("of an unknown", "a.1 b.2 c.1", "b=unknown", "d.1!", 3, "b.2"),
            ("a duplicate before that", "a.1 b.2 c.1 c.2", "b=unknown", "d.1!", 4, "c.2"),
            ("the oldest unknown", "a.1 b.2 c.2", "c=unknown b=unknown", "d.1!", 3, "b.2"),
            ("known after unknown counts", "a.1 b.2 c.2", "b=unknown c=unknown c=known", "d.1!", 3, "c.2"),
            ("no face and refused say nothing of who it was", "a.1 b.2 c.2", "b=no_face c=refused", "d.1!", 3, "a.1"),
            ("somebody who may still be there stays", "a.1 b.2!", "b=unknown", "d.1!", 2, "a.1"),
            ("even if all are", "a.1! b.1! b.2!", "", "d.1!", 3, "a.1!"),
            ("what cannot be read goes before everything", "a.1 b.1 b.2 c.1?", "", "d.1!", 4, "c.1?"),
            ("the new one itself, when it is worth least", "a.1 b.1 c.1", "", "c.2", 3, "c.2"),
            ("but not while its visitor may be there", "a.1 b.1 c.1", "", "c.2!", 3, "a.1"),
            ("and an older duplicate before it", "a.1 b.1 b.2 c.1", "", "c.2", 4, "b.2"),
        ] {
            let start = Instant::now();
            let now = start + 2 * LIVE;
            let mut queue = Queue::default();
            let mut names = HashMap::new();
            let visit = |name: &str| VisitId(Uuid::from_u128(u128::from(name.as_bytes()[0])));
            let mut entry = |word: &str| {
                let id = Uuid::from_u128(1000 + names.len() as u128);
                names.insert(id, word.to_owned());
                let shot = word.as_bytes()[2] - b'0';
                let arrived = if word.ends_with('!') { now } else { start };
                let mut entry =
                    Entry::new(id, visit(word), shot, 10, DateTime::UNIX_EPOCH).seen(Some(arrived), arrived);
                entry.locked = word.ends_with('?');
                entry
            };
            for (seq, word) in stored.split_whitespace().enumerate() {
                queue.insert(seq as i64, entry(word));
            }
            for (name, outcome) in told.split_whitespace().filter_map(|told| told.split_once('=')) {
                queue.told(visit(name), outcome);
            }
            let new = entry(new);
            let bounds = Bounds { bytes: u64::MAX, sightings: room_for };
            let room = queue.make_room(&new, bounds, now, LIVE);
            let mut gone: Vec<&str> = room.victims.iter().map(|(id, ..)| names[id].as_str()).collect();
            gone.extend(room.refused.map(|_| names[&new.id].as_str()));
            assert_eq!(gone.join(" "), expected, "{why}");
        }
    }
}
