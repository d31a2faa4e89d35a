//! The tables of one open database: every promise of the outbox is one transaction here.
//!
//! In: what happened, and when. Out: that it is on the disk. It knows nothing of the order of sending, nor of what to do
//! when the disk fails.

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction};
use uuid::Uuid;

use super::error::{OutboxError, storage};
use super::history;
use super::ledger;
use super::pictures::{self, Keep};
use super::queue::{Entry, Queue};
use super::record::{self, Sealed, Stored};
use super::seal::{KeyId, Sealer};
use super::terms::{Answered, DropReason, Dropped, Presence, Settled};
use super::{schema, stays};
use crate::crop::Sighting;
use crate::rules::ActionRequest;
use crate::track::VisitId;
use crate::visits::{ActionResult, Visit};

/// An open database.
pub struct Store {
    pub db: Connection,
    pub sealer: Arc<Sealer>,
    pub keep: Keep,
}

/// What is to become of a sighting that comes in.
pub enum Place<'a> {
    /// It is stored.
    Stored(&'a Sealed),
    /// It ends at once.
    Ended(DropReason),
    /// It has ended already: only its history is missing.
    Past,
}

/// A sighting was accepted.
pub struct Taken {
    /// Its place in the order and its size; `None` when it was dropped at once.
    pub place: Option<(i64, u64)>,
    pub dropped: Vec<Dropped>,
}

impl Store {
    /// Stores a sighting and ends those that must go for it; `None` when it had been stored before, which changes nothing.
    pub fn accept(
        &mut self,
        sighting: &Sighting,
        place: &Place<'_>,
        ended: &[(Uuid, u32, DropReason)],
        now: DateTime<Utc>,
    ) -> Result<Option<Taken>, OutboxError> {
        let failed = storage("store a sighting");
        let tx = self.db.transaction().map_err(failed)?;
        if !history::shot_taken(&tx, sighting, now).map_err(failed)? {
            return Ok(None);
        }
        let mut dropped = Vec::new();
        for (id, tries, reason) in ended {
            dropped.extend(drop_sighting(&tx, *id, *reason, *tries, now).map_err(failed)?);
        }
        let place = match place {
            Place::Stored(sealed) => {
                let seq = record::insert(&tx, sighting, sealed, &self.sealer, now).map_err(failed)?;
                Some((seq, sealed.size()))
            }
            Place::Ended(reason) => {
                dropped.extend(drop_sighting(&tx, sighting.id, *reason, 0, now).map_err(failed)?);
                None
            }
            Place::Past => None,
        };
        tx.commit().map_err(failed)?;
        Ok(Some(Taken { place, dropped }))
    }

    /// Whether a sighting has come in before.
    pub fn knows(&self, id: Uuid) -> Result<bool, OutboxError> {
        let found = self.db.query_row("SELECT 1 FROM shot WHERE sighting = ?", [id.to_string()], |_| Ok(()));
        found.optional().map(|found| found.is_some()).map_err(storage("look for a sighting"))
    }

    /// Where a sighting is in the order, and its size; `None` when it is not stored.
    pub fn place(&self, id: Uuid) -> Result<Option<(i64, u64)>, OutboxError> {
        let sql = "SELECT seq, bytes FROM sighting WHERE id = ?";
        let place =
            self.db.query_row(sql, [id.to_string()], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())));
        place.optional().map_err(storage("look for a sighting"))
    }

    pub fn read(&self, id: Uuid, arrived: Option<Instant>) -> Result<Stored, OutboxError> {
        record::read(&self.db, &self.sealer, id, arrived).map_err(storage("read a sighting"))
    }

    /// Records an answer, takes the sighting off the disk (or keeps its picture for a while), plans what follows.
    pub fn answered(&mut self, answered: &Answered, tries: u32, now: DateTime<Utc>) -> Result<Settled, OutboxError> {
        let failed = storage("record an answer");
        let tx = self.db.transaction().map_err(failed)?;
        if !history::shot_answered(&tx, answered, tries, now).map_err(failed)? {
            return Ok(Settled::default());
        }
        if let Some(until) = self.keep.until(answered.outcome.as_str(), now) {
            pictures::keep(&tx, &self.sealer, answered.sighting, until).map_err(failed)?;
        }
        record::delete(&tx, answered.sighting).map_err(failed)?;
        let planned = plan(&tx, &answered.requests, &self.sealer, now).map_err(failed)?;
        for refused in &answered.refused {
            ledger::refuse(&tx, refused, now).map_err(failed)?;
        }
        if let Some(judged) = &answered.judged {
            history::judged(&tx, judged, &self.sealer, now).map_err(failed)?;
        }
        tx.commit().map_err(failed)?;
        Ok(Settled { first: true, planned })
    }

    /// Records who is present, and plans what follows from who has left.
    pub fn presence(&mut self, presence: &Presence, now: DateTime<Utc>) -> Result<Vec<String>, OutboxError> {
        let failed = storage("record who is present");
        let tx = self.db.transaction().map_err(failed)?;
        stays::replace(&tx, &self.sealer, &presence.detector, &presence.stays).map_err(failed)?;
        let planned = plan(&tx, &presence.requests, &self.sealer, now).map_err(failed)?;
        for judged in &presence.judged {
            history::judged(&tx, judged, &self.sealer, now).map_err(failed)?;
        }
        tx.commit().map_err(failed)?;
        Ok(planned)
    }

    /// Ends sightings without an answer.
    pub fn discard(
        &mut self,
        sightings: &[(Uuid, u32)],
        reason: DropReason,
        now: DateTime<Utc>,
    ) -> Result<Vec<Dropped>, OutboxError> {
        let failed = storage("drop a sighting");
        let tx = self.db.transaction().map_err(failed)?;
        let mut dropped = Vec::new();
        for (id, tries) in sightings {
            dropped.extend(drop_sighting(&tx, *id, reason, *tries, now).map_err(failed)?);
        }
        tx.commit().map_err(failed)?;
        Ok(dropped)
    }

    pub fn claim(&self, key: &str) -> Result<bool, OutboxError> {
        ledger::claim(&self.db, key)
    }

    pub fn finish(&self, key: &str, result: &ActionResult, now: DateTime<Utc>) -> Result<(), OutboxError> {
        ledger::finish(&self.db, key, result, now)
    }

    pub fn visit_closed(&mut self, visit: &Visit, now: DateTime<Utc>) -> Result<(), OutboxError> {
        history::visit_closed(&mut self.db, visit, now)
    }

    /// Forgets what is beyond its time.
    pub fn forget(&mut self, now: DateTime<Utc>, history: TimeDelta, age: TimeDelta) -> Result<(), OutboxError> {
        pictures::expire(&mut self.db, now, self.keep.max_bytes)?;
        history::forget(&mut self.db, now - history)?;
        ledger::give_up(&self.db, &self.sealer.key_id(), now - age, now).map(drop)
    }

    /// Adds what an earlier life left to the queue; rows whose ids cannot be read are no sightings and go.
    pub fn load(&mut self, queue: &mut Queue) -> Result<(), OutboxError> {
        let failed = storage("read the queue");
        let mut strange = Vec::new();
        let mut locked = 0;
        let mut statement = self
            .db
            .prepare(
                "SELECT seq, id, visit, shot, bytes, stored_ms, key_id,
                        (SELECT group_concat(outcome) FROM shot WHERE shot.visit = sighting.visit)
                 FROM sighting ORDER BY seq",
            )
            .map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let read = || -> rusqlite::Result<Option<Entry>> {
                let id = |column| Ok::<_, rusqlite::Error>(row.get::<_, String>(column)?.parse::<Uuid>().ok());
                let stored = DateTime::from_timestamp_millis(row.get(5)?);
                let (Some(id), Some(visit), Some(stored)) = (id(1)?, id(2)?, stored) else { return Ok(None) };
                let bytes = row.get::<_, i64>(4)?.unsigned_abs();
                let mut entry = Entry::new(id, VisitId(visit), row.get(3)?, bytes, stored);
                entry.locked = row.get::<_, KeyId>(6)? != self.sealer.key_id();
                Ok(Some(entry))
            };
            let seq: i64 = row.get(0).map_err(failed)?;
            let Ok(Some(entry)) = read() else {
                strange.push(seq);
                continue;
            };
            locked += usize::from(entry.locked);
            let visit = entry.visit;
            queue.insert(seq, entry);
            let outcomes: Option<String> = row.get(7).map_err(failed)?;
            outcomes.iter().flat_map(|all| all.split(',')).for_each(|outcome| queue.told(visit, outcome));
        }
        drop(rows);
        drop(statement);
        for seq in strange {
            self.db.execute("DELETE FROM sighting WHERE seq = ?", [seq]).map_err(failed)?;
            metrics::counter!("doorward_outbox_dropped_total", "reason" => DropReason::Unreadable.label()).increment(1);
        }
        self.tell_locked(locked)
    }

    fn tell_locked(&self, locked: usize) -> Result<(), OutboxError> {
        metrics::gauge!("doorward_outbox_locked_sightings").set(locked as f64);
        if locked == 0 {
            return Ok(());
        }
        tracing::warn!(
            sightings = locked,
            "sightings were stored with another key: give `outbox.key` its former value and they are sent; otherwise they \
             go after outbox.max_age_hours, or when room is needed"
        );
        let sql = "UPDATE shot SET reason = 'it was stored with another key (outbox.key) and waits for that' WHERE outcome IS NULL
                   AND sighting IN (SELECT id FROM sighting WHERE key_id <> ?)";
        self.db.execute(sql, [self.sealer.key_id()]).map(drop).map_err(storage("note why sightings wait"))
    }

    /// Writes something, so that a disk that takes nothing is found out. The log is emptied first: it may be what fills it.
    pub fn probe(&mut self) -> Result<(), OutboxError> {
        let failed = storage("write to the outbox");
        if !self.db.is_autocommit() {
            // What failed could not even be undone.
            self.db.execute_batch("ROLLBACK").map_err(failed)?;
        }
        self.empty_log()?;
        schema::touch(&self.db)
    }

    /// From here on a commit does not wait for the disk; [`end_group`](Self::end_group) does, for all of them.
    pub fn begin_group(&self) -> Result<(), OutboxError> {
        schema::sync_at_commit(&self.db, false)
    }

    /// Everything committed since the group began is on the disk when this returns.
    pub fn end_group(&self) -> Result<(), OutboxError> {
        schema::sync_at_commit(&self.db, true)?;
        // A commit that waits for the disk makes the whole log durable, and with it those before.
        schema::touch(&self.db)
    }

    /// Gives some disk space back where nothing waits; true while there is more.
    pub fn give_back(&self) -> Result<bool, OutboxError> {
        schema::give_back(&self.db)
    }

    pub fn empty_log(&self) -> Result<(), OutboxError> {
        schema::empty_log(&self.db).map(drop)
    }
}

/// Plans actions; gives the keys that are new.
fn plan(
    tx: &Transaction<'_>,
    actions: &[ActionRequest],
    sealer: &Sealer,
    now: DateTime<Utc>,
) -> rusqlite::Result<Vec<String>> {
    let mut planned = Vec::new();
    for action in actions {
        if ledger::plan(tx, action, sealer, now)? {
            planned.push(action.key.clone());
        }
    }
    Ok(planned)
}

/// Takes a sighting out, with its outcome on record.
pub fn drop_sighting(
    tx: &Transaction<'_>,
    id: Uuid,
    reason: DropReason,
    tries: u32,
    now: DateTime<Utc>,
) -> rusqlite::Result<Option<Dropped>> {
    record::delete(tx, id)?;
    history::shot_dropped(tx, id, reason, tries, now)
}

/// Counts what ended without an answer; to be called once it is on record.
pub fn count(dropped: &[Dropped]) {
    for dropped in dropped {
        metrics::counter!("doorward_outbox_dropped_total", "reason" => dropped.reason.label()).increment(1);
    }
}
