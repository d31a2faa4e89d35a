//! What the disk did not take: sightings that wait, and what has happened since, to be written when it does again.
//!
//! In: what the outbox would have written. Out: the same, once, in the order it happened. All of it together is bounded
//! in bytes, however long the disk stays away; what no longer fits is forgotten, oldest first, counted. Within this
//! life of the process a key is claimed once here, too; whoever pulls the plug before the disk is back may see a
//! telling action again after the restart, never an actuator.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::error::{OutboxError, storage};
use super::ledger;
use super::queue::{Bounds, Queue};
use super::record;
use super::seal::Kind;
use super::store::{Place, Store};
use super::terms::DropReason;
use crate::crop::Sighting;
use crate::rules::Newest;

/// Pictures memory may hold: some hundred visitors. With [`STEP_BYTES`], [`REMEMBERED`] and what an allocator
/// adds, the process grows by less than 16 MiB.
pub const WAITING: Bounds = Bounds { bytes: 10 << 20, sightings: 1000 };
/// Where the order of what memory holds begins: behind everything on the disk.
pub const FIRST_SEQ: i64 = 1 << 62;
/// What may have happened until it is written, in bytes: some thousand visits.
const STEP_BYTES: usize = 2 << 20;
/// Sightings, and keys of actions, that are known to have come before: those of the visits of the last hours.
const REMEMBERED: usize = 4000;
/// Steps written at once, between which a visitor can come in.
const AT_ONCE: usize = 50;
/// What cannot be done when it fails.
const WRITE_MISSED: &str = "write what the disk had missed";
/// What a step takes in memory beside its texts, about.
pub const STEP_OWN_BYTES: usize = 400;

#[derive(Default)]
pub struct Memory {
    waiting: HashMap<Uuid, Sighting>,
    steps: VecDeque<Step>,
    step_bytes: usize,
    /// Actions that were planned or claimed here, and whether they have been claimed.
    keys: Newest<String, bool, REMEMBERED>,
    /// Sightings that came in here, waiting or not.
    seen: Newest<Uuid, (), REMEMBERED>,
}

/// Something that happened while the disk took nothing.
struct Step {
    /// What it takes in memory, about.
    bytes: usize,
    write: WriteStep,
}

/// Writes what happened, as it would have been written then.
type WriteStep = Box<dyn Fn(&mut Store) -> rusqlite::Result<()> + Send>;

impl Memory {
    pub fn keep(&mut self, sighting: &Sighting) {
        self.seen.get_or_add(sighting.id);
        self.waiting.insert(sighting.id, sighting.clone());
    }

    /// Whether it came in here before.
    pub fn has_seen(&self, sighting: Uuid) -> bool {
        self.seen.get(&sighting).is_some()
    }

    pub fn get(&self, sighting: Uuid) -> Option<&Sighting> {
        self.waiting.get(&sighting)
    }

    /// A sighting that waited here has ended. Gives what gives it its place in the history, where the disk has never
    /// seen it.
    pub fn take(&mut self, sighting: Uuid, at: DateTime<Utc>) -> impl Fn(&mut Store) -> rusqlite::Result<()> + use<> {
        let unseen = self.waiting.remove(&sighting);
        let unseen = unseen.map(|it| Sighting { expanded: Bytes::new(), aligned: None, embedding: None, ..it });
        move |store| match &unseen {
            Some(sighting) => store.accept(sighting, &Place::Past, &[], at).map(drop),
            None => Ok(()),
        }
    }

    /// A sighting ended without an answer, which has been counted.
    pub fn dropped(&mut self, sighting: Uuid, tries: u32, reason: DropReason, at: DateTime<Utc>) {
        let see = self.take(sighting, at);
        self.note(STEP_OWN_BYTES, move |store| {
            see(store)?;
            store.discard(&[(sighting, tries)], reason, at).map(drop)
        });
    }

    /// Whether the key was planned or claimed here, and if so whether it may be claimed now.
    pub fn may_claim(&self, key: &str) -> Option<bool> {
        self.keys.get(key).map(|claimed| !claimed)
    }

    pub fn planned(&mut self, key: &str) {
        *self.keys.get_or_add(key.into()) = false;
    }

    pub fn claimed(&mut self, key: String) {
        *self.keys.get_or_add(key.clone()) = true;
        self.note(key.len(), move |store| ledger::claim(&store.db, &key).map(drop));
    }

    /// Remembers what has to be written once the disk takes it, and about how many bytes it takes until then.
    pub fn note(&mut self, bytes: usize, write: impl Fn(&mut Store) -> rusqlite::Result<()> + Send + 'static) {
        let step = Step { bytes: STEP_OWN_BYTES + bytes, write: Box::new(write) };
        self.step_bytes += step.bytes;
        self.steps.push_back(step);
        while self.step_bytes > STEP_BYTES {
            metrics::counter!("doorward_outbox_steps_lost_total").increment(1);
            self.forget_oldest_step();
        }
    }

    /// Sightings that wait here.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Writes some of what has happened; true when nothing of it is left. What the disk refuses for a reason of its own
    /// is forgotten: it would be refused for ever.
    pub fn write_steps(&mut self, store: &mut Store) -> Result<bool, OutboxError> {
        for _ in 0..AT_ONCE {
            let Some(step) = self.steps.front() else { return Ok(true) };
            forgive((step.write)(store))?;
            self.forget_oldest_step();
        }
        Ok(self.steps.is_empty())
    }

    /// Writes some of what waits, once every step is written; true when nothing is left.
    pub fn write_waiting(&mut self, store: &mut Store, queue: &mut Queue) -> Result<bool, OutboxError> {
        let some: Vec<Uuid> = self.waiting.keys().copied().take(AT_ONCE).collect();
        for id in some {
            let sighting = &self.waiting[&id];
            let sealed = record::seal(sighting, &store.sealer, Kind::Sighting);
            let taken = forgive(store.accept(sighting, &Place::Stored(&sealed), &[], Utc::now()))?.flatten();
            // What failed then may have reached the disk all the same.
            let place = match taken {
                Some(taken) => taken.place,
                None => store.place(id).map_err(storage(WRITE_MISSED))?,
            };
            match place {
                Some((seq, bytes)) => queue.moved(id, seq, bytes),
                None => drop(queue.remove(id)),
            }
            self.waiting.remove(&id);
        }
        if self.waiting.is_empty() {
            *self = Self::default();
        }
        Ok(self.waiting.is_empty())
    }

    fn forget_oldest_step(&mut self) {
        if let Some(step) = self.steps.pop_front() {
            self.step_bytes -= step.bytes;
        }
    }
}

/// What JSON values take in memory, about: each a few times its text.
pub fn bytes_of<'a>(values: impl Iterator<Item = &'a Value>) -> usize {
    const PER_TEXT: usize = 4;
    values.map(|value| STEP_OWN_BYTES + PER_TEXT * value.to_string().len()).sum()
}

/// `None` for what is refused although the disk works.
fn forgive<T>(written: rusqlite::Result<T>) -> Result<Option<T>, OutboxError> {
    match written.map_err(storage(WRITE_MISSED)) {
        Err(error) if !error.is_disk() => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "something the disk had missed cannot be written"
            );
            metrics::counter!("doorward_outbox_steps_lost_total").increment(1);
            Ok(None)
        }
        written => written.map(Some),
    }
}
