//! The tables of one open database: every promise of the outbox is one transaction here.
//!
//! In: what happened, and when. Out: that it is on the disk. It knows nothing of the order of sending, nor of what to
//! do when the disk fails.

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, Transaction};
use uuid::Uuid;

use super::queue::{Entry, Queue};
use super::record::{self, Stored};
use super::seal::{KeyId, Sealer};
use super::terms::{Answered, DropReason, Dropped, Presence, Settled};
use super::{history, ledger, pictures, schema, sql, stays};
use crate::config::OutboxConfig;
use crate::crop::Sighting;
use crate::rules::ActionRequest;
use crate::track::VisitId;
use crate::visits::Visit;

/// An open database.
pub struct Store {
    pub db: Connection,
    pub sealer: Arc<Sealer>,
    pub config: OutboxConfig,
}

/// What is to become of a sighting that comes in.
pub enum Place<'a> {
    /// It is stored, sealed like this.
    Stored(&'a [u8]),
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
    /// Stores a sighting and ends those that must go for it; `None` when it had been stored before, which changes
    /// nothing.
    pub fn accept(
        &mut self,
        sighting: &Sighting,
        place: &Place<'_>,
        ended: &[(Uuid, u32, DropReason)],
        now: DateTime<Utc>,
    ) -> rusqlite::Result<Option<Taken>> {
        let key = self.sealer.key_id();
        sql::transaction(&mut self.db, |tx| {
            if !history::shot_taken(tx, sighting, now)? {
                return Ok(None);
            }
            let mut dropped = Vec::new();
            for (id, tries, reason) in ended {
                dropped.extend(drop_sighting(tx, *id, *reason, *tries, now)?);
            }
            let place = match place {
                Place::Stored(sealed) => Some((record::insert(tx, sighting, sealed, key, now)?, record::size(sealed))),
                Place::Ended(reason) => {
                    dropped.extend(drop_sighting(tx, sighting.id, *reason, 0, now)?);
                    None
                }
                Place::Past => None,
            };
            Ok(Some(Taken { place, dropped }))
        })
    }

    /// Whether a sighting has come in before.
    pub fn knows(&self, id: Uuid) -> rusqlite::Result<bool> {
        let found: Option<i64> = sql::value(&self.db, "SELECT 1 FROM shot WHERE sighting = ?", [id.to_string()])?;
        Ok(found.is_some())
    }

    /// Where a sighting is in the order, and its size; `None` when it is not stored.
    pub fn place(&self, id: Uuid) -> rusqlite::Result<Option<(i64, u64)>> {
        let sql = "SELECT seq, bytes FROM sighting WHERE id = ?";
        let size = |bytes: i64| bytes.unsigned_abs();
        let places = sql::rows(&self.db, sql, [id.to_string()], |row| Ok((row.get(0)?, size(row.get(1)?))));
        places.map(|places| places.first().copied())
    }

    pub fn read(&self, id: Uuid, arrived: Option<Instant>) -> rusqlite::Result<Stored> {
        record::read(&self.db, &self.sealer, id, arrived)
    }

    /// Records an answer, takes the sighting off the disk (or keeps its picture for a while), plans what follows.
    pub fn answered(&mut self, answered: &Answered, tries: u32, now: DateTime<Utc>) -> rusqlite::Result<Settled> {
        let sealer = &self.sealer;
        sql::transaction(&mut self.db, |tx| {
            if !history::shot_answered(tx, answered, tries, sealer, now)? {
                return Ok(Settled::default());
            }
            if let Some(until) = pictures::kept_until(&self.config, answered.outcome, now) {
                pictures::keep(tx, sealer, answered.sighting, until)?;
            }
            record::delete(tx, answered.sighting)?;
            let planned = plan(tx, &answered.requests, sealer, now)?;
            for refused in &answered.refused {
                ledger::refuse(tx, refused, now)?;
            }
            if let Some(judged) = &answered.judged {
                history::judged(tx, judged, sealer, now)?;
            }
            Ok(Settled { first: true, planned })
        })
    }

    /// Records who is present, and plans what follows from who has left.
    pub fn presence(&mut self, presence: &Presence, now: DateTime<Utc>) -> rusqlite::Result<Vec<String>> {
        let sealer = &self.sealer;
        sql::transaction(&mut self.db, |tx| {
            stays::replace(tx, sealer, &presence.detector, &presence.stays)?;
            for judged in &presence.judged {
                history::judged(tx, judged, sealer, now)?;
            }
            plan(tx, &presence.requests, sealer, now)
        })
    }

    /// Ends sightings without an answer.
    pub fn discard(
        &mut self,
        sightings: &[(Uuid, u32)],
        reason: DropReason,
        now: DateTime<Utc>,
    ) -> rusqlite::Result<Vec<Dropped>> {
        sql::transaction(&mut self.db, |tx| {
            let each = sightings.iter().map(|(id, tries)| drop_sighting(tx, *id, reason, *tries, now));
            each.filter_map(Result::transpose).collect()
        })
    }

    pub fn visit_closed(&mut self, visit: &Visit, now: DateTime<Utc>) -> rusqlite::Result<()> {
        sql::transaction(&mut self.db, |tx| history::visit_closed(tx, visit, now))
    }

    /// Forgets what is beyond its time.
    pub fn forget(&mut self, now: DateTime<Utc>, history: TimeDelta) -> rusqlite::Result<()> {
        let (db, age) = (&mut self.db, TimeDelta::hours(self.config.max_age_hours.into()));
        pictures::expire(db, now, self.config.keep_max_bytes)?;
        while sql::transaction(db, |tx| history::forget_some(tx, now - history))? {}
        ledger::give_up(db, &self.sealer.key_id(), now - age, now).map(drop)
    }

    /// Adds what an earlier life left to the queue; rows whose ids cannot be read are no sightings and go.
    pub fn load(&mut self, queue: &mut Queue) -> rusqlite::Result<()> {
        let (key, mut locked) = (self.sealer.key_id(), 0);
        let sql = "SELECT seq, id, visit, shot, bytes, stored_ms, key_id,
                          (SELECT group_concat(outcome) FROM shot WHERE shot.visit = sighting.visit)
                   FROM sighting ORDER BY seq";
        let strange = sql::rows(&self.db, sql, [], |row| {
            let seq: i64 = row.get(0)?;
            let read = || -> rusqlite::Result<Option<Entry>> {
                let id = |column| Ok::<_, rusqlite::Error>(row.get::<_, String>(column)?.parse::<Uuid>().ok());
                let stored = DateTime::from_timestamp_millis(row.get(5)?);
                let (Some(id), Some(visit), Some(stored)) = (id(1)?, id(2)?, stored) else { return Ok(None) };
                let bytes = row.get::<_, i64>(4)?.unsigned_abs();
                let mut entry = Entry::new(id, VisitId(visit), row.get(3)?, bytes, stored);
                entry.locked = row.get::<_, KeyId>(6)? != key;
                Ok(Some(entry))
            };
            let Ok(Some(entry)) = read() else { return Ok(Some(seq)) };
            locked += usize::from(entry.locked);
            let visit = entry.visit;
            queue.insert(seq, entry);
            let outcomes: Option<String> = row.get(7)?;
            outcomes.iter().flat_map(|all| all.split(',')).for_each(|outcome| queue.told(visit, outcome));
            Ok(None)
        })?;
        for seq in strange.into_iter().flatten() {
            sql::execute(&self.db, "DELETE FROM sighting WHERE seq = ?", [seq])?;
            let reason = DropReason::Unreadable.label();
            metrics::counter!("doorward_outbox_dropped_total", "reason" => reason).increment(1);
        }
        self.tell_locked(locked)
    }

    fn tell_locked(&self, locked: usize) -> rusqlite::Result<()> {
        metrics::gauge!("doorward_outbox_locked_sightings").set(locked as f64);
        if locked == 0 {
            return Ok(());
        }
        tracing::warn!(
            sightings = locked,
            "sightings were stored with another key: give `outbox.key` its former value and they are sent; otherwise \
             they go after outbox.max_age_hours, or when room is needed"
        );
        let sql = "UPDATE shot SET reason = 'it was stored with another key (outbox.key) and waits for that'
                   WHERE outcome IS NULL AND sighting IN (SELECT id FROM sighting WHERE key_id <> ?)";
        sql::execute(&self.db, sql, [self.sealer.key_id()]).map(drop)
    }

    /// Writes something, so that a disk that takes nothing is found out. The log is emptied first: it may be what fills
    /// it.
    pub fn probe(&mut self) -> rusqlite::Result<()> {
        if !self.db.is_autocommit() {
            // What failed could not even be undone.
            self.db.execute_batch("ROLLBACK")?;
        }
        schema::empty_log(&self.db)?;
        schema::touch(&self.db)
    }

    /// Everything committed since a commit no longer waited for the disk is on it when this returns.
    pub fn sync(&self) -> rusqlite::Result<()> {
        schema::sync_at_commit(&self.db, true)?;
        // A commit that waits for the disk makes the whole log durable, and with it those before.
        schema::touch(&self.db)
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
