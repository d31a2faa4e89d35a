//! The durable queue: a sighting is on disk before it is sent, and leaves when its answer has been handled.
//!
//! In: sightings, answers, planned actions. Out: the next sighting to send, the leave to perform an action (given once
//! for each key, ever), and what became of a visit. It knows SQLite and files; it does not know the engine, the rules or
//! the actions, only their ids and outcomes, which it keeps in types of its own.
//!
//! ```text
//! accept ──▶ ready ──next──▶ in flight ──answered──▶ gone; recognition recorded, actions planned
//!              ▲                 │                                  claim (once) ──▶ finish
//!              └── waiting ◀─ postpone                     a claim a restart finds unfinished is never repeated
//! ```

mod error;
mod history;
mod ledger;
mod open;
mod queue;
mod record;
mod schema;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Transaction, params};
use uuid::Uuid;

use crate::config::OutboxConfig;
use crate::crop::Sighting;
use crate::track::VisitId;

pub use error::OutboxError;
pub use history::{ActionRecord, PastSight, ShotRecord, VisitClosed, VisitRecord, explain};
pub use ledger::{ActionEnd, PastFiring, Planned, Unfinished};

use error::storage;
use queue::{Entry, Queue};

/// The outbox of one state directory; cheap to clone, safe to use from many threads. Every call blocks for the disk.
#[derive(Clone)]
pub struct Outbox(Arc<Shared>);

struct Shared {
    inner: Mutex<Inner>,
    limits: Limits,
    /// Held as long as the outbox lives; the system lets go of it however the process ends.
    _lock: std::fs::File,
}

struct Inner {
    db: Connection,
    /// What is in the database, as far as the order of sending needs it; changed only after a commit.
    queue: Queue,
    /// Dropped while looking for the next one; told by the next `tidy`.
    dropped: Vec<Dropped>,
}

struct Limits {
    max_bytes: u64,
    max_age: Duration,
    /// A sighting younger than this is live.
    late_after: Duration,
    history: chrono::TimeDelta,
}

/// What accepting a sighting brought about.
#[derive(Debug, Default, PartialEq)]
pub struct Accepted {
    /// False for a sighting that had been accepted before, which changes nothing.
    pub new: bool,
    /// What had to go to make room; the sighting itself when nothing makes enough.
    pub dropped: Vec<Dropped>,
}

/// A sighting that ended without an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Dropped {
    pub sighting: Uuid,
    pub visit: VisitId,
    pub detector: String,
    pub reason: DropReason,
}

/// Why a sighting ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// `outbox.max_bytes` was reached.
    Full,
    /// It got older than `outbox.max_age_hours`.
    TooOld,
    /// What is stored of it makes no sense any more.
    Unreadable,
}

/// A sighting whose turn it is.
#[derive(Debug, Clone)]
pub struct Queued {
    pub sighting: Sighting,
    /// Tries of this life of the process that ended in `postpone`.
    pub tries: u32,
}

/// How a sighting was answered, for the record.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    pub sighting: Uuid,
    /// `known`, `unknown`, `no_face`, `accepted`, `refused`.
    pub outcome: &'static str,
    /// Why it was refused.
    pub reason: Option<String>,
    /// The recognised person's id.
    pub person: Option<String>,
    pub confidence: Option<f32>,
    /// It came too late for an actuator.
    pub late: bool,
}

/// What recording an answer brought about.
#[derive(Debug, Default, PartialEq)]
pub struct Settled {
    /// False when the sighting had been settled before: then nothing was recorded and nothing may be done.
    pub first: bool,
    /// The keys that were planned now and not at any time before; only these may be performed.
    pub planned: Vec<String>,
}

/// Which of the backlog is sent first when nobody is in front of a camera: the order in which it was seen, so that the
/// engine's history fills up in order.
const BACKLOG: queue::Backlog = queue::Backlog::OldestFirst;

impl Outbox {
    /// Opens the outbox below `state_dir`, which is made if it is missing. Only one process can; a file SQLite cannot
    /// read is put aside and a new one started.
    pub fn open(state_dir: &Path, config: &OutboxConfig) -> Result<Self, OutboxError> {
        let (lock, mut db) = open::open(state_dir)?;
        ledger::interrupt(&db)?;
        let queue = load(&mut db)?;
        let limits = Limits {
            max_bytes: config.max_bytes,
            max_age: Duration::from_secs(u64::from(config.max_age_hours) * 3600),
            late_after: Duration::from_millis(config.late_after_ms),
            history: chrono::TimeDelta::days(config.history_days.into()),
        };
        let inner = Inner { db, queue, dropped: Vec::new() };
        inner.measure();
        Ok(Self(Arc::new(Shared { inner: Mutex::new(inner), limits, _lock: lock })))
    }

    /// Stores a sighting: it is on disk when this returns. Storing it again changes nothing.
    pub fn accept(&self, sighting: &Sighting) -> Result<Accepted, OutboxError> {
        let now = Utc::now();
        let mut inner = self.inner();
        let Inner { db, queue, .. } = &mut *inner;
        let bytes = record::size(sighting);
        let victims = queue.make_room(bytes, self.0.limits.max_bytes);
        let fits = queue.bytes_without(&victims) + bytes <= self.0.limits.max_bytes;

        let failed = storage("store a sighting");
        let tx = db.transaction().map_err(failed)?;
        if !history::shot_taken(&tx, sighting, now).map_err(failed)? {
            return Ok(Accepted::default());
        }
        let mut dropped = Vec::new();
        for victim in &victims {
            dropped.extend(drop_sighting(&tx, victim.id, DropReason::Full, victim.tries, now).map_err(failed)?);
        }
        let seq = if fits {
            Some(record::insert(&tx, sighting, bytes, now).map_err(failed)?)
        } else {
            dropped.extend(drop_sighting(&tx, sighting.id, DropReason::Full, 0, now).map_err(failed)?);
            None
        };
        tx.commit().map_err(failed)?;

        victims.iter().for_each(|victim| queue.remove(victim.id));
        if let Some(seq) = seq {
            queue.insert(seq, Entry::new(sighting.id, bytes, now).seen(sighting.arrived, Instant::now()));
        }
        inner.measure();
        Ok(Accepted { new: true, dropped })
    }

    /// The sighting to send now, which is then in flight until it is answered or postponed: the newest live one, else of
    /// the backlog.
    pub fn next(&self, now: Instant) -> Result<Option<Queued>, OutboxError> {
        let mut inner = self.inner();
        while let Some((id, arrived, tries)) = inner.queue.take(now, self.0.limits.late_after, BACKLOG) {
            let failed = storage("read a sighting");
            let read = match record::read(&inner.db, id, arrived) {
                Ok(read) => read,
                Err(error) => {
                    // Not its fault: it stays where it was.
                    inner.queue.put_back(id, now);
                    return Err(failed(error));
                }
            };
            if let Some(sighting) = read {
                return Ok(Some(Queued { sighting, tries }));
            }
            inner.discard(&[(id, tries)], DropReason::Unreadable)?;
        }
        Ok(None)
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
        history::shot_waits(&inner.db, sighting, tries, reason).map_err(storage("note why a sighting waits"))
    }

    /// Puts a sighting in flight back as if it had never been taken: the process is about to end.
    pub fn release(&self, sighting: Uuid, now: Instant) {
        self.inner().queue.put_back(sighting, now);
    }

    /// The answer is in: in one transaction the sighting and its pictures go, the answer is recorded, and the actions are
    /// planned whose keys are new. A sighting answered before changes nothing.
    pub fn answered(&self, answered: &Answered, actions: &[Planned]) -> Result<Settled, OutboxError> {
        let now = Utc::now();
        let mut inner = self.inner();
        let Inner { db, queue, .. } = &mut *inner;
        let tries = queue.tries(answered.sighting);
        let failed = storage("record an answer");
        let tx = db.transaction().map_err(failed)?;
        if !history::shot_answered(&tx, answered, tries, now).map_err(failed)? {
            return Ok(Settled::default());
        }
        record::delete(&tx, answered.sighting).map_err(failed)?;
        let mut planned = Vec::new();
        for action in actions {
            if ledger::plan(&tx, action, now).map_err(failed)? {
                planned.push(action.key.clone());
            }
        }
        tx.commit().map_err(failed)?;
        queue.remove(answered.sighting);
        inner.measure();
        metrics::counter!("doorward_outbox_answered_total", "outcome" => answered.outcome).increment(1);
        Ok(Settled { first: true, planned })
    }

    /// Whether the action of this key may be performed now: true once, ever.
    pub fn claim(&self, key: &str) -> Result<bool, OutboxError> {
        ledger::claim(&self.inner().db, key)
    }

    /// A claimed action ended. Its inputs leave the disk.
    pub fn finish(&self, key: &str, end: &ActionEnd) -> Result<(), OutboxError> {
        ledger::finish(&self.inner().db, key, end, Utc::now())
    }

    /// What the last life of the process left undone: actions planned but not claimed, which may be performed if they
    /// may be late, and those it was killed in, which may not. To be asked once, before anything else is planned.
    pub fn unfinished(&self) -> Result<Vec<Unfinished>, OutboxError> {
        ledger::unfinished(&self.inner().db)
    }

    /// The firings since a moment, oldest first, for the rules' memory.
    pub fn recent_firings(&self, since: DateTime<Utc>) -> Result<Vec<PastFiring>, OutboxError> {
        ledger::recent_firings(&self.inner().db, since)
    }

    /// Who was seen since a moment, as far as the history goes back, for the rules' memory.
    pub fn recent_sights(&self, since: DateTime<Utc>) -> Result<Vec<PastSight>, OutboxError> {
        history::recent_sights(&self.inner().db, since)
    }

    /// A visit is closed: its one outcome, for `explain`.
    pub fn visit_closed(&self, visit: &VisitClosed) -> Result<(), OutboxError> {
        history::visit_closed(&mut self.inner().db, visit, Utc::now())
    }

    /// The visits whose id starts so, newest first, at most twenty, and everything known of them.
    pub fn explain(&self, prefix: &str) -> Result<Vec<VisitRecord>, OutboxError> {
        history::visits(&self.inner().db, prefix)
    }

    /// To be called about once a minute: ends sightings that have become too old, forgets history beyond its days, gives
    /// disk space back. Tells what was dropped since the last time.
    pub fn tidy(&self, now: DateTime<Utc>) -> Result<Vec<Dropped>, OutboxError> {
        let mut inner = self.inner();
        let old = inner.queue.older_than(self.0.limits.max_age, now, Instant::now());
        // Many small transactions: an outage that ends must not hold up a visitor.
        for batch in old.chunks(32) {
            inner.discard(batch, DropReason::TooOld)?;
        }
        history::forget(&mut inner.db, now - self.0.limits.history)?;
        if inner.queue.len() == 0 {
            schema::give_back(&inner.db)?;
        }
        Ok(std::mem::take(&mut inner.dropped))
    }

    /// Sightings stored, in flight included.
    pub fn len(&self) -> usize {
        self.inner().queue.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the oldest stored sighting was stored, by this machine's clock then.
    pub fn oldest(&self) -> Option<DateTime<Utc>> {
        self.inner().queue.oldest()
    }

    /// What the stored sightings take.
    pub fn bytes(&self) -> u64 {
        self.inner().queue.bytes()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A transaction a panic interrupted was rolled back, and the queue only changes after a commit.
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Ends sightings without an answer, in one transaction.
    fn discard(&mut self, sightings: &[(Uuid, u32)], reason: DropReason) -> Result<(), OutboxError> {
        let failed = storage("drop a sighting");
        let now = Utc::now();
        let tx = self.db.transaction().map_err(failed)?;
        let mut dropped = Vec::new();
        for (id, tries) in sightings {
            dropped.extend(drop_sighting(&tx, *id, reason, *tries, now).map_err(failed)?);
        }
        tx.commit().map_err(failed)?;
        sightings.iter().for_each(|(id, _)| self.queue.remove(*id));
        self.dropped.append(&mut dropped);
        self.measure();
        Ok(())
    }

    fn measure(&self) {
        metrics::gauge!("doorward_outbox_sightings").set(self.queue.len() as f64);
        metrics::gauge!("doorward_outbox_bytes").set(self.queue.bytes() as f64);
    }
}

impl DropReason {
    /// The word for it in metrics and JSON.
    pub fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::TooOld => "too_old",
            Self::Unreadable => "unreadable",
        }
    }

    /// For people.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Full => "the outbox was full (outbox.max_bytes)",
            Self::TooOld => "it could not be sent within outbox.max_age_hours",
            Self::Unreadable => "what was stored of it could not be read",
        }
    }
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outbox")
    }
}

/// Takes a sighting out, with its outcome on record.
fn drop_sighting(
    tx: &Transaction<'_>,
    id: Uuid,
    reason: DropReason,
    tries: u32,
    now: DateTime<Utc>,
) -> rusqlite::Result<Option<Dropped>> {
    record::delete(tx, id)?;
    let ended = history::shot_dropped(tx, id, reason, tries, now)?;
    if ended.is_some() {
        metrics::counter!("doorward_outbox_dropped_total", "reason" => reason.label()).increment(1);
    }
    Ok(ended)
}

/// The order of what an earlier life left. Rows whose id cannot be read are no sightings and go.
fn load(db: &mut Connection) -> Result<Queue, OutboxError> {
    let failed = storage("read the queue");
    let mut queue = Queue::default();
    let mut strange = Vec::new();
    let mut statement = db.prepare("SELECT seq, id, bytes, stored_ms FROM sighting ORDER BY seq").map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let seq: i64 = row.get(0).map_err(failed)?;
        let id = row.get::<_, String>(1).ok().and_then(|id| id.parse::<Uuid>().ok());
        match (id, row.get::<_, i64>(2), row.get(3).ok().and_then(DateTime::from_timestamp_millis)) {
            (Some(id), Ok(bytes), Some(stored)) => queue.insert(seq, Entry::new(id, bytes.unsigned_abs(), stored)),
            _ => strange.push(seq),
        }
    }
    drop(rows);
    drop(statement);
    for seq in strange {
        db.execute("DELETE FROM sighting WHERE seq = ?", params![seq]).map_err(failed)?;
        metrics::counter!("doorward_outbox_dropped_total", "reason" => DropReason::Unreadable.label()).increment(1);
    }
    Ok(queue)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DetectorName;
    use crate::detect::Rect;

    fn sighting(n: u128) -> Sighting {
        Sighting {
            id: Uuid::from_u128(n),
            visit: VisitId(Uuid::from_u128(1)),
            detector: DetectorName::new("door").unwrap(),
            time_zone: chrono_tz::UTC,
            seen_at: DateTime::UNIX_EPOCH,
            arrived: Some(Instant::now()),
            shot: 1,
            quality: 0.5,
            expanded: vec![7; 40_000].into(),
            face: Rect { x: 0.0, y: 0.0, width: 1.0, height: 1.0 },
            aligned: None,
            embedding: None,
        }
    }

    #[test]
    fn a_disk_that_fails_is_an_error_and_not_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(dir.path(), &OutboxConfig::default()).unwrap();
        outbox.accept(&sighting(1)).unwrap();

        let limit = |pages: i64| {
            let inner = outbox.inner();
            inner.db.pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, i64>(0)).unwrap()
        };
        limit(1);
        let error = outbox.accept(&sighting(2)).unwrap_err();
        assert!(matches!(error, OutboxError::DiskFull { .. }), "{error:?}");
        assert_eq!((outbox.len(), error.to_string().as_str()), (1, "cannot store a sighting: the disk is full"));

        limit(i64::from(u32::MAX - 1));
        outbox.inner().db.pragma_update(None, "query_only", "ON").unwrap();
        let error = outbox.accept(&sighting(2)).unwrap_err();
        assert!(matches!(error, OutboxError::ReadOnly { .. }), "{error:?}");

        outbox.inner().db.pragma_update(None, "query_only", "OFF").unwrap();
        assert!(outbox.accept(&sighting(2)).unwrap().new, "it goes on when the disk does");
        assert_eq!(outbox.len(), 2);
    }

    #[test]
    fn a_row_that_makes_no_sense_is_dropped_and_told() {
        let dir = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(dir.path(), &OutboxConfig::default()).unwrap();
        for n in 1..=3 {
            outbox.accept(&sighting(n)).unwrap();
        }
        outbox.inner().db.execute("UPDATE sighting SET time_zone = 'Nowhere/Else' WHERE seq = 3", []).unwrap();
        outbox.inner().db.execute("DELETE FROM sighting WHERE seq = 2", []).unwrap();
        let next = outbox.next(Instant::now()).unwrap().unwrap();
        assert_eq!(next.sighting.id, Uuid::from_u128(1));
        let dropped = outbox.tidy(Utc::now()).unwrap();
        let reasons: Vec<_> = dropped.iter().map(|d| (d.sighting.as_u128(), d.reason)).collect();
        assert_eq!(reasons, [(3, DropReason::Unreadable), (2, DropReason::Unreadable)]);
        assert_eq!((outbox.len(), outbox.tidy(Utc::now()).unwrap()), (1, vec![]));
    }
}
