//! The durable queue: a sighting is on disk before it is sent, and leaves when its answer has been handled.
//!
//! In: sightings, answers, planned actions. Out: the next sighting to send, the leave to perform an action (given once
//! for each key, ever), and what became of a visit. It knows SQLite and files; it does not know the engine, the rules or
//! the actions, only their ids and outcomes, which it keeps in types of its own. A disk that fails stops nothing: memory
//! takes over, within bounds, until the disk is back.
//!
//! ```text
//! accept ──▶ ready ──next──▶ in flight ──answered──▶ gone; recognition recorded, actions planned
//!              ▲                 │                                  claim (once) ──▶ finish
//!              └── waiting ◀─ postpone                     a claim a restart finds unfinished is never repeated
//! ```

mod broker_topics;
mod disk;
mod error;
mod history;
mod inner;
mod key;
mod ledger;
mod memory;
mod open;
mod pictures;
mod purge;
mod quarantine;
mod queue;
mod record;
mod schema;
mod seal;
mod stays;
mod store;
mod terms;
#[cfg(test)]
mod tests;
mod unsealed;
mod wipe;
mod worth;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::config::{DetectorName, OutboxConfig};
use crate::crop::Sighting;

pub use broker_topics::BrokerTopic;
pub use error::OutboxError;
pub use history::{
    ActionRecord, Judged, JudgedRecord, MOST_VISITS, PastSight, ShotRecord, VisitClosed, VisitRecord, explain,
};
pub use key::path as key_file;
pub use ledger::{ActionEnd, PastFiring, Planned, Refused, Unfinished};
pub use pictures::{KeptPicture, Pictures};
pub use purge::{Erased, Purge, Selection};
pub use queue::Turn;
pub use record::decode as decode_record;
pub use terms::{Accepted, Answered, DropReason, Dropped, Figures, Queued, Settled};
pub use wipe::{Searched, blank};
pub use worth::Worth;

use inner::Inner;
use store::{Presence, Store};

/// The outbox of one state directory; cheap to clone, safe to use from many threads. Every call that changes something
/// blocks for the disk. A failing disk is told by [`Outbox::figures`]; the errors of the calls are mistakes of the program
/// or of somebody else who writes to the file.
#[derive(Clone)]
pub struct Outbox(Arc<Shared>);

struct Shared {
    inner: Mutex<Inner>,
    /// Beside the rest, so that whoever only looks does not wait for the disk.
    figures: Mutex<Figures>,
}

impl Outbox {
    /// Opens the outbox below `state_dir`, which is made if it is missing. Only one process can; a file SQLite cannot
    /// read is put aside and a new one started, and a disk that takes nothing makes this one start in memory.
    pub fn open(state_dir: &Path, config: &OutboxConfig) -> Result<Self, OutboxError> {
        let inner = Mutex::new(Inner::open(state_dir, config)?);
        let outbox = Self(Arc::new(Shared { inner, figures: Mutex::default() }));
        drop(outbox.inner());
        Ok(outbox)
    }

    /// Stores a sighting: it is on disk when this returns, or in memory while the disk takes nothing. Storing it again
    /// changes nothing.
    pub fn accept(&self, sighting: &Sighting) -> Result<Accepted, OutboxError> {
        let mut inner = self.inner();
        inner.recover();
        inner.accept(sighting, Utc::now())
    }

    /// The sighting to send now, which is then in flight until it is answered or postponed: the newest live one, else of
    /// the backlog.
    pub fn next(&self, now: Instant) -> Result<Option<Queued>, OutboxError> {
        self.next_of(now, Turn::Any)
    }

    /// The same, for those whose turn it may be.
    pub fn next_of(&self, now: Instant, turn: Turn) -> Result<Option<Queued>, OutboxError> {
        let mut inner = self.inner();
        inner.recover();
        inner.next(now, turn)
    }

    /// When the next postponed sighting is due; `None` when none waits.
    pub fn next_due(&self) -> Option<Instant> {
        self.inner().queue.next_due()
    }

    /// Puts a sighting in flight back until `until`. `reason` is what `explain` tells meanwhile.
    pub fn postpone(&self, sighting: Uuid, until: Instant, reason: &str) -> Result<(), OutboxError> {
        let mut inner = self.inner();
        let Some(tries) = inner.queue.postpone(sighting, until) else { return Ok(()) };
        // Every try would cost a write; the first and then ever fewer tell enough.
        if !tries.is_power_of_two() {
            return Ok(());
        }
        let write = |store: &mut Store| {
            let noted = history::shot_waits(&store.db, sighting, tries, reason);
            noted.map_err(error::storage("note why a sighting waits"))
        };
        inner.on_disk(write).map(drop)
    }

    /// Puts a sighting in flight back as if it had never been taken: the process is about to end.
    pub fn release(&self, sighting: Uuid, now: Instant) {
        self.inner().queue.put_back(sighting, now);
    }

    /// The answer is in: in one transaction the sighting and its pictures go, the answer is recorded, and the actions are
    /// planned whose keys are new. A sighting answered before changes nothing.
    pub fn answered(&self, answered: &Answered, actions: &[Planned]) -> Result<Settled, OutboxError> {
        let mut inner = self.inner();
        inner.recover();
        inner.answered(answered, actions, Utc::now())
    }

    /// Who is present at a detector now, as `stays` gives them back after a restart, and the actions for those who have
    /// just left, with what the rules made of that: all of it or nothing. Gives the keys that were planned now and not at
    /// any time before.
    pub fn presence(
        &self,
        detector: &DetectorName,
        stays: &[serde_json::Value],
        actions: &[Planned],
        judged: &[Judged],
    ) -> Result<Vec<String>, OutboxError> {
        let mut inner = self.inner();
        inner.recover();
        inner.presence(detector, &Presence { stays, actions, judged }, Utc::now())
    }

    /// Who was present at a detector when that was last recorded.
    pub fn stays(&self, detector: &DetectorName) -> Result<Vec<serde_json::Value>, OutboxError> {
        let stays = self.inner().on_disk(|store| stays::read(&store.db, &store.sealer, detector))?;
        Ok(stays.unwrap_or_default())
    }

    /// The topics the MQTT broker keeps something of ours under, as far as they were recorded.
    pub fn broker_topics(&self) -> Result<Vec<BrokerTopic>, OutboxError> {
        Ok(self.inner().on_disk(|store| broker_topics::read(&store.db))?.unwrap_or_default())
    }

    /// Records topics, each once.
    pub fn keep_broker_topics(&self, topics: &[BrokerTopic]) -> Result<(), OutboxError> {
        self.inner().on_disk(|store| broker_topics::keep(&mut store.db, topics)).map(drop)
    }

    /// The broker keeps nothing of ours under these any more.
    pub fn forget_broker_topics(&self, broker: &str, topics: &[String]) -> Result<(), OutboxError> {
        self.inner().on_disk(|store| broker_topics::forget(&mut store.db, broker, topics)).map(drop)
    }

    /// Whether the action of this key may be performed now: true once, ever.
    pub fn claim(&self, key: &str) -> Result<bool, OutboxError> {
        let mut inner = self.inner();
        inner.recover();
        inner.claim(key)
    }

    /// A claimed action ended. Its inputs leave the disk.
    pub fn finish(&self, key: &str, end: &ActionEnd) -> Result<(), OutboxError> {
        let mut inner = self.inner();
        inner.recover();
        let now = Utc::now();
        if inner.on_disk(|store| store.finish(key, end, now))?.is_none() {
            inner.memory.finished(key, end, now);
        }
        Ok(())
    }

    /// What the last life of the process left undone: actions planned but not claimed, which may be performed if they
    /// may be late, and those it was killed in, which may not. To be asked once, before anything else is planned.
    pub fn unfinished(&self) -> Result<Vec<Unfinished>, OutboxError> {
        let unfinished = self.inner().on_disk(|store| ledger::unfinished(&store.db, &store.sealer))?;
        Ok(unfinished.unwrap_or_default())
    }

    /// The firings since a moment, oldest first, for the rules' memory.
    pub fn recent_firings(&self, since: DateTime<Utc>) -> Result<Vec<PastFiring>, OutboxError> {
        Ok(self.inner().on_disk(|store| ledger::recent_firings(&store.db, since))?.unwrap_or_default())
    }

    /// Who was seen since a moment, as far as the history goes back, for the rules' memory.
    pub fn recent_sights(&self, since: DateTime<Utc>) -> Result<Vec<PastSight>, OutboxError> {
        Ok(self.inner().on_disk(|store| history::recent_sights(&store.db, since))?.unwrap_or_default())
    }

    /// A visit is closed: its one outcome, for `explain`.
    pub fn visit_closed(&self, visit: &VisitClosed) -> Result<(), OutboxError> {
        let mut inner = self.inner();
        inner.recover();
        let now = Utc::now();
        if inner.on_disk(|store| store.visit_closed(visit, now))?.is_none() {
            inner.memory.closed(visit, now);
        }
        Ok(())
    }

    /// The visits whose id starts so, newest first, at most twenty, and everything known of them on disk.
    pub fn explain(&self, prefix: &str) -> Result<Vec<VisitRecord>, OutboxError> {
        Ok(self.inner().on_disk(|store| history::visits(&store.db, Some(&store.sealer), prefix))?.unwrap_or_default())
    }

    /// To be called about once a minute: ends sightings that have become too old, forgets history, kept pictures and
    /// databases put aside beyond their time, gives disk space back. Tells what was dropped since the last time.
    pub fn tidy(&self, now: DateTime<Utc>) -> Result<Vec<Dropped>, OutboxError> {
        let mut inner = self.inner();
        inner.recover();
        let dropped = inner.tidy(now)?;
        let idle = inner.queue.len() == 0;
        drop(inner);
        if idle {
            // A little at a time, so that a visitor can come in between.
            while self.inner().on_disk(|store| store.give_back())? == Some(true) {}
            self.inner().on_disk(|store| store.empty_log())?;
        }
        Ok(dropped)
    }

    /// What waits, and how the disk does; does not wait for the disk.
    pub fn figures(&self) -> Figures {
        self.0.figures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sightings stored, in flight included.
    pub fn len(&self) -> usize {
        self.figures().sightings
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the oldest stored sighting was stored, by this machine's clock then.
    pub fn oldest(&self) -> Option<DateTime<Utc>> {
        self.figures().oldest
    }

    /// What the stored sightings take.
    pub fn bytes(&self) -> u64 {
        self.figures().bytes
    }

    fn inner(&self) -> Held<'_> {
        // A transaction a panic interrupted was rolled back, and the queue only changes after a commit.
        Held { inner: self.0.inner.lock().unwrap_or_else(PoisonError::into_inner), figures: &self.0.figures }
    }
}

/// The inside of the outbox, whose figures are told when it is let go.
struct Held<'a> {
    inner: MutexGuard<'a, Inner>,
    figures: &'a Mutex<Figures>,
}

impl std::ops::Deref for Held<'_> {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl std::ops::DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Inner {
        &mut self.inner
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = self.inner.figures();
    }
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outbox")
    }
}
