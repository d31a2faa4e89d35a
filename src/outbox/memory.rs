//! What the disk did not take: sightings that wait, and what has happened since, to be written when it does again.
//!
//! In: what the outbox would have written. Out: the same, once, in the order it happened. Both are bounded. Within this life
//! of the process a key is claimed once here, too; whoever pulls the plug before the disk is back may see a telling action
//! again after the restart, never an actuator.

use std::collections::{HashMap, HashSet, VecDeque};

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::error::OutboxError;
use super::history::{Judged, VisitClosed};
use super::ledger::{self, ActionEnd, Planned};
use super::queue::Queue;
use super::record::Sealed;
use super::store::{Place, Presence, Store};
use super::terms::{Answered, DropReason};
use crate::config::DetectorName;
use crate::crop::Sighting;

/// Pictures memory may hold: some hundred visitors.
pub const BYTES: u64 = 16 << 20;
/// Sightings memory may hold.
pub const SIGHTINGS: usize = 1000;
/// Where the order of what memory holds begins: behind everything on the disk.
pub const FIRST_SEQ: i64 = 1 << 62;
/// What may have happened until it is written: some thousand visits. Then the oldest is forgotten, counted.
const STEPS: usize = 20_000;
/// Steps written at once, between which a visitor can come in.
const AT_ONCE: usize = 50;

#[derive(Default)]
pub struct Memory {
    waiting: HashMap<Uuid, Sighting>,
    steps: VecDeque<Step>,
    /// Actions that were planned or claimed here, and whether they have been claimed.
    keys: HashMap<String, bool>,
    /// Sightings that came in here, waiting or not.
    seen: HashSet<Uuid>,
}

/// What happened while the disk took nothing.
enum Step {
    Answered {
        /// The sighting without its pictures, when the disk has never seen it.
        unseen: Option<Box<Sighting>>,
        answered: Answered,
        planned: Vec<Planned>,
        tries: u32,
        at: DateTime<Utc>,
    },
    Dropped {
        unseen: Option<Box<Sighting>>,
        sighting: Uuid,
        tries: u32,
        reason: DropReason,
        at: DateTime<Utc>,
    },
    Presence {
        detector: DetectorName,
        stays: Vec<Value>,
        planned: Vec<Planned>,
        judged: Vec<Judged>,
        at: DateTime<Utc>,
    },
    Claimed {
        key: String,
    },
    Finished {
        key: String,
        end: ActionEnd,
        at: DateTime<Utc>,
    },
    Closed {
        visit: Box<VisitClosed>,
        at: DateTime<Utc>,
    },
}

impl Memory {
    pub fn keep(&mut self, sighting: &Sighting) {
        self.seen.insert(sighting.id);
        self.waiting.insert(sighting.id, sighting.clone());
    }

    /// Whether it came in here before.
    pub fn has_seen(&self, sighting: Uuid) -> bool {
        self.seen.contains(&sighting)
    }

    pub fn get(&self, sighting: Uuid) -> Option<&Sighting> {
        self.waiting.get(&sighting)
    }

    pub fn answered(&mut self, answered: &Answered, planned: Vec<Planned>, tries: u32, at: DateTime<Utc>) {
        self.plan(&planned);
        let unseen = self.take(answered.sighting);
        self.note(Step::Answered { unseen, answered: answered.clone(), planned, tries, at });
    }

    pub fn presence(
        &mut self,
        detector: &DetectorName,
        presence: &Presence<'_>,
        planned: Vec<Planned>,
        at: DateTime<Utc>,
    ) {
        self.plan(&planned);
        let (stays, judged) = (presence.stays.to_vec(), presence.judged.to_vec());
        self.note(Step::Presence { detector: detector.clone(), stays, planned, judged, at });
    }

    pub fn dropped(&mut self, sighting: Uuid, tries: u32, reason: DropReason, at: DateTime<Utc>) {
        let unseen = self.take(sighting);
        self.note(Step::Dropped { unseen, sighting, tries, reason, at });
    }

    /// Whether the key was planned or claimed here, and if so whether it may be claimed now.
    pub fn may_claim(&self, key: &str) -> Option<bool> {
        self.keys.get(key).map(|claimed| !claimed)
    }

    pub fn claimed(&mut self, key: &str) {
        self.keys.insert(key.into(), true);
        self.note(Step::Claimed { key: key.into() });
    }

    pub fn finished(&mut self, key: &str, end: &ActionEnd, at: DateTime<Utc>) {
        self.note(Step::Finished { key: key.into(), end: end.clone(), at });
    }

    pub fn closed(&mut self, visit: &VisitClosed, at: DateTime<Utc>) {
        self.note(Step::Closed { visit: Box::new(visit.clone()), at });
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
            self.steps.pop_front();
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
            self.keys.clear();
            self.seen.clear();
        }
        Ok(self.waiting.is_empty())
    }

    fn plan(&mut self, planned: &[Planned]) {
        self.keys.extend(planned.iter().map(|action| (action.key.clone(), false)));
    }

    fn take(&mut self, sighting: Uuid) -> Option<Box<Sighting>> {
        let sighting = self.waiting.remove(&sighting)?;
        Some(Box::new(Sighting { expanded: bytes::Bytes::new(), aligned: None, embedding: None, ..sighting }))
    }

    fn note(&mut self, step: Step) {
        if self.steps.len() == STEPS {
            self.steps.pop_front();
            metrics::counter!("doorward_outbox_steps_lost_total").increment(1);
        }
        self.steps.push_back(step);
    }
}

impl Step {
    fn write(&self, store: &mut Store) -> Result<(), OutboxError> {
        match self {
            Self::Answered { unseen, answered, planned, tries, at } => {
                see(store, unseen.as_deref(), *at)?;
                store.answered(answered, planned, *tries, *at).map(drop)
            }
            Self::Dropped { unseen, sighting, tries, reason, at } => {
                see(store, unseen.as_deref(), *at)?;
                // Counted when it happened.
                store.discard(&[(*sighting, *tries)], *reason, *at).map(drop)
            }
            Self::Presence { detector, stays, planned, judged, at } => {
                store.presence(detector, &Presence { stays, actions: planned, judged }, *at).map(drop)
            }
            Self::Claimed { key } => store.claim(key).map(drop),
            Self::Finished { key, end, at } => store.finish(key, end, *at),
            Self::Closed { visit, at } => store.visit_closed(visit, *at),
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
