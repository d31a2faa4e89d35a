//! What the disk did not take: sightings that wait, and what has happened since, to be written when it does again.
//!
//! In: what the outbox would have written. Out: the same, once, in the order it happened. All of it together is bounded in
//! bytes, however long the disk stays away; what no longer fits is forgotten, oldest first, counted. Within this life of the
//! process a key is claimed once here, too; whoever pulls the plug before the disk is back may see a telling action again
//! after the restart, never an actuator.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::error::OutboxError;
use super::ledger;
use super::queue::{Bounds, Queue};
use super::record::Sealed;
use super::store::{Place, Store};
use super::terms::{Answered, DropReason, Presence};
use crate::crop::Sighting;
use crate::rules::ActionRequest;
use crate::visits::{ActionResult, Visit};

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

pub struct Memory {
    waiting: HashMap<Uuid, Sighting>,
    steps: VecDeque<Step>,
    step_bytes: usize,
    /// Actions that were planned or claimed here, and whether they have been claimed.
    keys: Recent<String, bool>,
    /// Sightings that came in here, waiting or not.
    seen: Recent<Uuid, ()>,
}

/// The newest of what came in; the oldest are forgotten.
struct Recent<K, V> {
    known: HashMap<K, V>,
    order: VecDeque<K>,
}

/// Something that happened while the disk took nothing.
struct Step {
    at: DateTime<Utc>,
    what: Happened,
}

enum Happened {
    Answered {
        /// The sighting without its pictures, when the disk has never seen it.
        unseen: Option<Box<Sighting>>,
        answered: Box<Answered>,
        tries: u32,
    },
    Dropped {
        unseen: Option<Box<Sighting>>,
        sighting: Uuid,
        tries: u32,
        reason: DropReason,
    },
    Presence(Box<Presence>),
    Claimed {
        key: String,
    },
    Finished {
        key: String,
        result: ActionResult,
    },
    Closed(Arc<Visit>),
}

impl Memory {
    pub fn new() -> Self {
        Self {
            waiting: HashMap::new(),
            steps: VecDeque::new(),
            step_bytes: 0,
            keys: Recent::new(),
            seen: Recent::new(),
        }
    }

    pub fn keep(&mut self, sighting: &Sighting) {
        self.seen.put(sighting.id, ());
        self.waiting.insert(sighting.id, sighting.clone());
    }

    /// Whether it came in here before.
    pub fn has_seen(&self, sighting: Uuid) -> bool {
        self.seen.known.contains_key(&sighting)
    }

    pub fn get(&self, sighting: Uuid) -> Option<&Sighting> {
        self.waiting.get(&sighting)
    }

    pub fn answered(&mut self, answered: Answered, tries: u32, at: DateTime<Utc>) {
        self.plan(&answered.requests);
        let unseen = self.take(answered.sighting);
        self.note(at, Happened::Answered { unseen, answered: Box::new(answered), tries });
    }

    pub fn presence(&mut self, presence: Presence, at: DateTime<Utc>) {
        self.plan(&presence.requests);
        self.note(at, Happened::Presence(Box::new(presence)));
    }

    pub fn dropped(&mut self, sighting: Uuid, tries: u32, reason: DropReason, at: DateTime<Utc>) {
        let unseen = self.take(sighting);
        self.note(at, Happened::Dropped { unseen, sighting, tries, reason });
    }

    /// Whether the key was planned or claimed here, and if so whether it may be claimed now.
    pub fn may_claim(&self, key: &str) -> Option<bool> {
        self.keys.known.get(key).map(|claimed| !claimed)
    }

    pub fn claimed(&mut self, key: &str, at: DateTime<Utc>) {
        self.keys.put(key.into(), true);
        self.note(at, Happened::Claimed { key: key.into() });
    }

    pub fn finished(&mut self, key: &str, result: &ActionResult, at: DateTime<Utc>) {
        self.note(at, Happened::Finished { key: key.into(), result: result.clone() });
    }

    pub fn closed(&mut self, visit: &Arc<Visit>, at: DateTime<Utc>) {
        self.note(at, Happened::Closed(Arc::clone(visit)));
    }

    /// Sightings that wait here.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Writes some of what has happened; true when nothing of it is left. What the disk refuses for a reason of its own is
    /// forgotten: it would be refused for ever.
    pub fn write_steps(&mut self, store: &mut Store) -> Result<bool, OutboxError> {
        for _ in 0..AT_ONCE {
            let Some(step) = self.steps.front() else { return Ok(true) };
            forgive(step.write(store))?;
            self.forget_oldest_step();
        }
        Ok(self.steps.is_empty())
    }

    /// Writes some of what waits, once every step is written; true when nothing is left.
    pub fn write_waiting(&mut self, store: &mut Store, queue: &mut Queue) -> Result<bool, OutboxError> {
        let some: Vec<Uuid> = self.waiting.keys().copied().take(AT_ONCE).collect();
        for id in some {
            let sighting = &self.waiting[&id];
            let sealed = Sealed::new(sighting, &store.sealer);
            let taken = forgive(store.accept(sighting, &Place::Stored(&sealed), &[], Utc::now()))?.flatten();
            // What failed then may have reached the disk all the same.
            let place = match taken {
                Some(taken) => taken.place,
                None => store.place(id)?,
            };
            match place {
                Some((seq, bytes)) => queue.moved(id, seq, bytes),
                None => drop(queue.remove(id)),
            }
            self.waiting.remove(&id);
        }
        if self.waiting.is_empty() {
            *self = Self::new();
        }
        Ok(self.waiting.is_empty())
    }

    fn plan(&mut self, planned: &[ActionRequest]) {
        planned.iter().for_each(|action| self.keys.put(action.key.clone(), false));
    }

    fn take(&mut self, sighting: Uuid) -> Option<Box<Sighting>> {
        let sighting = self.waiting.remove(&sighting)?;
        Some(Box::new(Sighting { expanded: bytes::Bytes::new(), aligned: None, embedding: None, ..sighting }))
    }

    fn note(&mut self, at: DateTime<Utc>, what: Happened) {
        let step = Step { at, what };
        self.step_bytes += step.bytes();
        self.steps.push_back(step);
        while self.step_bytes > STEP_BYTES {
            metrics::counter!("doorward_outbox_steps_lost_total").increment(1);
            self.forget_oldest_step();
        }
    }

    fn forget_oldest_step(&mut self) {
        if let Some(step) = self.steps.pop_front() {
            self.step_bytes -= step.bytes();
        }
    }
}

impl<K: Hash + Eq + Clone, V> Recent<K, V> {
    fn new() -> Self {
        Self { known: HashMap::new(), order: VecDeque::new() }
    }

    fn put(&mut self, key: K, value: V) {
        if self.known.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

impl Step {
    /// What it takes in memory, about: a JSON value takes a few times its text.
    fn bytes(&self) -> usize {
        const OWN: usize = 400;
        const PER_TEXT: usize = 4;
        let request = |request: &ActionRequest| OWN + PER_TEXT * request.inputs.to_string().len();
        OWN + match &self.what {
            Happened::Answered { unseen, answered, .. } => {
                let judged = answered.judged.iter().map(|judged| PER_TEXT * judged.rules.to_string().len());
                let refused = answered.refused.len() * 2 * OWN;
                unseen.as_ref().map_or(0, |_| OWN)
                    + judged.sum::<usize>()
                    + refused
                    + answered.requests.iter().map(request).sum::<usize>()
            }
            Happened::Presence(presence) => {
                let texts = presence.stays.iter().chain(presence.judged.iter().map(|judged| &judged.rules));
                texts.map(|text| OWN + PER_TEXT * text.to_string().len()).sum::<usize>()
                    + presence.requests.iter().map(request).sum::<usize>()
            }
            Happened::Closed(visit) => OWN * (1 + visit.shots.len() + visit.actions.len()),
            Happened::Dropped { .. } => OWN,
            Happened::Claimed { key } | Happened::Finished { key, .. } => key.len(),
        }
    }

    fn write(&self, store: &mut Store) -> Result<(), OutboxError> {
        match &self.what {
            Happened::Answered { unseen, answered, tries } => {
                see(store, unseen.as_deref(), self.at)?;
                store.answered(answered, *tries, self.at).map(drop)
            }
            Happened::Dropped { unseen, sighting, tries, reason } => {
                see(store, unseen.as_deref(), self.at)?;
                // Counted when it happened.
                store.discard(&[(*sighting, *tries)], *reason, self.at).map(drop)
            }
            Happened::Presence(presence) => store.presence(presence, self.at).map(drop),
            Happened::Claimed { key } => store.claim(key).map(drop),
            Happened::Finished { key, result } => store.finish(key, result, self.at),
            Happened::Closed(visit) => store.visit_closed(visit, self.at),
        }
    }
}

/// A sighting that came and went while the disk took nothing gets its place in the history.
fn see(store: &mut Store, unseen: Option<&Sighting>, at: DateTime<Utc>) -> Result<(), OutboxError> {
    match unseen {
        Some(sighting) => store.accept(sighting, &Place::Past, &[], at).map(drop),
        None => Ok(()),
    }
}

/// `None` for what is refused although the disk works.
fn forgive<T>(written: Result<T, OutboxError>) -> Result<Option<T>, OutboxError> {
    match written {
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

/// Whether an action has been planned on a disk that can still be read.
pub fn planned_before(store: Option<&Store>, key: &str) -> bool {
    let state = store.and_then(|store| ledger::state(&store.db, key).ok());
    state.flatten().is_some()
}
