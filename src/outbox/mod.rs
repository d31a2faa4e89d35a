//! The durable queue: a sighting is on disk before it is sent, and leaves when its answer has been handled.
//!
//! In: sightings, answers, planned actions. Out: the next sighting to send, the leave to perform an action (given once
//! for each key, ever), and what became of a visit. It knows SQLite and files; it does not know the engine, the rules
//! or the actions, only their ids and outcomes, which it keeps in types of its own. A disk that fails stops nothing:
//! memory takes over, within bounds, until the disk is back.
//!
//! ```text
//! accept --▶ ready --next--▶ in flight --answered--▶ gone; recognition recorded, actions planned
//!              ▲                 │                                  claim (once) --▶ finish
//!              └-- waiting ◀- postpone                     a claim a restart finds unfinished is never repeated
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
mod sql;
mod stays;
mod store;
mod taken;
mod terms;
#[cfg(test)]
mod tests;
mod thread;
mod wipe;
mod worth;

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use derive_more::Debug;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::config::{DetectorName, OutboxConfig};
use crate::crop::Sighting;
use crate::rules::{Firing, Seen};
use crate::visits::{ActionResult, Visit};
pub use broker_topics::BrokerTopic;
pub use error::OutboxError;
pub use history::{ActionRecord, JudgedRecord, MOST_VISITS, ShotRecord, VisitRecord, explain};
pub use key::path as key_file;
pub use ledger::Unfinished;
pub use pictures::{KeptPicture, Pictures};
pub use purge::{Erased, Purge, Selection};
pub use queue::Turn;
pub use record::decode as decode_record;
pub use taken::{TakenShot, taken_shots};
pub use terms::{Accepted, Answered, DropReason, Dropped, Figures, Judged, Presence, Queued, Settled};
pub use wipe::{Searched, blank};
pub use worth::Worth;

use inner::Inner;
use store::Store;
use thread::Thread;

/// The outbox of one state directory; clones are the same one. All of it happens on a thread of its own, which alone
/// writes to the file: every call that changes something is asked of it and answered once it is on disk, whoever waits
/// for that with [`Reply::wait`] or, in async code, with `.await`. A failing disk is told by [`Outbox::figures`]; the
/// errors of the calls are mistakes of the program or of somebody else who writes to the file.
#[derive(Clone, Debug)]
#[debug("Outbox")]
pub struct Outbox(Arc<Thread>);

/// What was asked of the outbox's thread: the answer, once it is on disk.
pub struct Reply<T>(oneshot::Receiver<Result<T, OutboxError>>);

impl<T> Reply<T> {
    /// Waits for the answer; not for async code.
    pub fn wait(self) -> Result<T, OutboxError> {
        self.0.blocking_recv().unwrap_or(Err(OutboxError::Ended))
    }
}

impl<T: Send + 'static> IntoFuture for Reply<T> {
    type Output = Result<T, OutboxError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { self.0.await.unwrap_or(Err(OutboxError::Ended)) })
    }
}

impl Outbox {
    /// Opens the outbox below `state_dir`, which is made if it is missing. Only one process can; a file SQLite cannot
    /// read is put aside and a new one started, and a disk that takes nothing makes this one start in memory.
    pub fn open(state_dir: &Path, config: &OutboxConfig) -> Result<Self, OutboxError> {
        Ok(Self(Arc::new(Thread::start(Inner::open(state_dir, config)?)?)))
    }

    /// Stores a sighting: on disk, or in memory while the disk takes nothing. Storing it again changes nothing.
    pub fn accept(&self, sighting: &Sighting) -> Reply<Accepted> {
        let sighting = sighting.clone();
        self.ask(move |inner| Ok(inner.accept(&sighting, Utc::now())))
    }

    /// The sighting to send now, which is then in flight until it is answered or postponed: the newest live one, else
    /// of the backlog.
    pub fn next(&self, now: Instant) -> Reply<Option<Queued>> {
        self.next_of(now, Turn::Any)
    }

    /// The same, for those whose turn it may be.
    pub fn next_of(&self, now: Instant, turn: Turn) -> Reply<Option<Queued>> {
        self.ask(move |inner| inner.next(now, turn))
    }

    /// Puts a sighting in flight back until `until`. `reason` is what `explain` tells meanwhile.
    pub fn postpone(&self, sighting: Uuid, until: Instant, reason: &str) -> Reply<()> {
        let reason = reason.to_owned();
        self.ask(move |inner| inner.postpone(sighting, until, &reason))
    }

    /// The answer is in: in one transaction the sighting and its pictures go, the answer is recorded, and the actions
    /// are planned whose keys are new. A sighting answered before changes nothing.
    pub fn answered(&self, answered: Answered) -> Reply<Settled> {
        self.ask(move |inner| inner.answered(answered, Utc::now()))
    }

    /// Who is present at a detector now, as [`stays`](Self::stays) gives them back after a restart, and the actions for
    /// those who have just left, with what the rules made of that: all of it or nothing. Gives the keys that were
    /// planned now and not at any time before.
    pub fn presence(&self, presence: Presence) -> Reply<Vec<String>> {
        self.ask(move |inner| inner.presence(presence, Utc::now()))
    }

    /// Who was present at a detector when that was last recorded.
    pub fn stays(&self, detector: &DetectorName) -> Reply<Vec<serde_json::Value>> {
        let detector = detector.clone();
        self.read("read who was present", move |store| stays::read(&store.db, &store.sealer, &detector))
    }

    /// The topics the MQTT broker keeps something of ours under, as far as they were recorded.
    pub fn broker_topics(&self) -> Reply<Vec<BrokerTopic>> {
        self.read("read what the MQTT broker keeps", |store| broker_topics::read(&store.db))
    }

    /// Records topics, each once.
    pub fn keep_broker_topics(&self, topics: Vec<BrokerTopic>) -> Reply<()> {
        self.read("record what the MQTT broker keeps", move |store| {
            sql::transaction(&mut store.db, |tx| broker_topics::keep(tx, &topics))
        })
    }

    /// The broker keeps nothing of ours under these any more.
    pub fn forget_broker_topics(&self, broker: String, topics: Vec<String>) -> Reply<()> {
        self.read("record what the MQTT broker keeps", move |store| {
            sql::transaction(&mut store.db, |tx| broker_topics::forget(tx, &broker, &topics))
        })
    }

    /// Whether the action of this key may be performed now: true once, ever.
    pub fn claim(&self, key: &str) -> Reply<bool> {
        let key = key.to_owned();
        self.ask(move |inner| inner.claim(key))
    }

    /// A claimed action ended. Its inputs leave the disk.
    pub fn finish(&self, key: &str, result: &ActionResult) -> Reply<()> {
        let (key, result) = (key.to_owned(), result.clone());
        self.ask(move |inner| inner.finish(key, result, Utc::now()))
    }

    /// What the last life of the process left undone: actions planned but not claimed, which may be performed if they
    /// may be late, and those it was killed in, which may not. To be asked once, before anything else is planned.
    pub fn unfinished(&self) -> Reply<Vec<Unfinished>> {
        self.read("read unfinished actions", |store| ledger::unfinished(&store.db, &store.sealer))
    }

    /// The firings since a moment with their actions, oldest first, for the rules' memory.
    pub fn recent_firings(&self, since: DateTime<Utc>) -> Reply<Vec<(Firing, String)>> {
        self.read("read past firings", move |store| ledger::recent_firings(&store.db, since))
    }

    /// Who was seen since a moment, as far as the history goes back, for the rules' memory.
    pub fn recently_seen(&self, since: DateTime<Utc>) -> Reply<Vec<Seen>> {
        self.read("read past visits", move |store| history::recently_seen(&store.db, since))
    }

    /// A visit is closed: its one outcome, for `explain`. Nobody needs to wait for that; what goes wrong is logged.
    pub fn visit_closed(&self, visit: Arc<Visit>) -> Reply<()> {
        self.ask(move |inner| {
            let id = visit.id;
            inner.visit_closed(visit, Utc::now()).inspect_err(|error| {
                tracing::error!(visit = %id, error = error as &dyn std::error::Error, "a visit is not recorded");
            })
        })
    }

    /// The visits whose id starts so, newest first, at most twenty, and everything known of them on disk.
    pub fn explain(&self, prefix: &str) -> Reply<Vec<VisitRecord>> {
        let prefix = prefix.to_owned();
        self.read("read the history", move |store| history::visits(&store.db, Some(&store.sealer), &prefix))
    }

    /// To be called about once a minute: ends sightings that have become too old, forgets history, kept pictures and
    /// databases put aside beyond their time. Tells what was dropped since the last time. Disk space is given back
    /// afterwards, while nobody asks for anything.
    pub fn tidy(&self, now: DateTime<Utc>) -> Reply<Vec<Dropped>> {
        self.ask(move |inner| inner.tidy(now))
    }

    /// What waits, and how the disk does; does not wait for the disk.
    pub fn figures(&self) -> Figures {
        self.0.figures()
    }

    fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Inner) -> Result<T, OutboxError> + Send + 'static,
    ) -> Reply<T> {
        let (answer, reply) = oneshot::channel();
        self.0.send(Box::new(move |inner| {
            let result = work(inner);
            // Whoever asked may have stopped waiting.
            Box::new(move || drop(answer.send(result)))
        }));
        Reply(reply)
    }

    /// What a disk that takes nothing cannot tell is the default. `operation` is what could not be done when it fails.
    fn read<T: Default + Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Store) -> rusqlite::Result<T> + Send + 'static,
    ) -> Reply<T> {
        self.ask(move |inner| Ok(inner.on_disk(operation, work)?.unwrap_or_default()))
    }
}
