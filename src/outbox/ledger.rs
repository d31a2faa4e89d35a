//! The ledger of actions: each key is planned once, claimed once and ended once, across restarts.
//!
//! In: what the rules ask for. Out: the leave to do it. It holds the request of an action, sealed, only until the action
//! has ended.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde_json::Value;

use super::error::{OutboxError, storage};
use super::seal::{KeyId, Kind, Sealer};
use crate::config::{DetectorName, EventKind};
use crate::rules::{ActionRequest, Firing, RefusedAction};
use crate::track::VisitId;
use crate::visits::ActionResult;

/// An action an earlier life of the process planned and did not end.
#[derive(Debug, Clone, PartialEq)]
pub struct Unfinished {
    pub key: String,
    pub rule: String,
    pub action: String,
    /// As planned; `None` when the process was killed while it was being performed: nobody knows how far it came, and it
    /// is not repeated.
    pub request: Option<Value>,
}

/// Plans an action; false when its key has been planned before.
pub(super) fn plan(
    tx: &Transaction<'_>,
    action: &ActionRequest,
    sealer: &Sealer,
    now: DateTime<Utc>,
) -> rusqlite::Result<bool> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO action (key, visit, sighting, detector, rule, event, action, person, seen_us, state, key_id,
                             request, planned_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'planned', ?, ?, ?) ON CONFLICT (key) DO NOTHING",
    )?;
    let request = action.to_record().to_string();
    let rows = statement.execute(params![
        action.key,
        action.visit.to_string(),
        action.sighting.to_string(),
        action.detector.as_str(),
        action.rule,
        action.event.as_str(),
        action.action,
        action.person,
        action.seen_at.timestamp_micros(),
        sealer.key_id(),
        sealer.seal(Kind::Request, &action.key, &[request.as_bytes()]),
        now.timestamp_millis(),
    ])?;
    // What a guard held back at first and then let through has not been refused.
    tx.prepare_cached("DELETE FROM action WHERE key = ?")?.execute([refused_key(&action.key)])?;
    Ok(rows == 1)
}

/// Records that a guard held an actuator back, with its newest reason; nothing where it has been asked for by now.
pub(super) fn refuse(tx: &Transaction<'_>, refused: &RefusedAction, now: DateTime<Utc>) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO action (key, visit, sighting, detector, rule, action, person, seen_us, state, reason, planned_ms,
                             ended_ms)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'refused', ?9, ?10, ?10
         WHERE NOT EXISTS (SELECT 1 FROM action WHERE key = ?11)
         ON CONFLICT (key) DO UPDATE SET sighting = excluded.sighting, reason = excluded.reason,
             ended_ms = excluded.ended_ms",
    )?
    .execute(params![
        refused_key(&refused.key),
        refused.visit.to_string(),
        refused.sighting.to_string(),
        refused.detector.as_str(),
        refused.rule,
        refused.refusal.action,
        refused.person,
        refused.seen_at.timestamp_micros(),
        refused.refusal.reason(),
        now.timestamp_millis(),
        refused.key,
    ])
    .map(drop)
}

fn refused_key(key: &str) -> String {
    format!("{key}-refused")
}

/// Lets one caller have the action, ever.
pub(super) fn claim(db: &Connection, key: &str) -> Result<bool, OutboxError> {
    let claimed =
        || db.prepare_cached("UPDATE action SET state = 'claimed' WHERE key = ? AND state = 'planned'")?.execute([key]);
    claimed().map(|rows| rows == 1).map_err(storage("claim an action"))
}

/// What the action of this key is at; `None` for a key that was never planned.
pub(super) fn state(db: &Connection, key: &str) -> Result<Option<String>, OutboxError> {
    let read =
        || db.prepare_cached("SELECT state FROM action WHERE key = ?")?.query_row([key], |row| row.get(0)).optional();
    read().map_err(storage("look up an action"))
}

/// Ends a claimed action, or one that was planned and will not be performed.
pub(super) fn finish(db: &Connection, key: &str, result: &ActionResult, now: DateTime<Utc>) -> Result<(), OutboxError> {
    let finished = || {
        db.prepare_cached(
            "UPDATE action SET state = ?, reason = ?, ended_ms = ?, request = NULL
             WHERE key = ? AND state IN ('planned', 'claimed')",
        )?
        .execute(params![result.label(), result.reason(), now.timestamp_millis(), key])
    };
    finished().map(drop).map_err(storage("record the end of an action"))
}

/// At the start: what was claimed and never ended was interrupted. Its request stays until it has been told.
pub(super) fn interrupt(db: &Connection) -> Result<(), OutboxError> {
    let sql = "UPDATE action SET state = 'interrupted', ended_ms = ?,
                   reason = 'doorward was stopped while it was being performed' WHERE state = 'claimed'";
    let rows = db.execute(sql, [Utc::now().timestamp_millis()]).map_err(storage("look for interrupted actions"))?;
    if rows > 0 {
        metrics::counter!("doorward_outbox_actions_interrupted_total").increment(rows as u64);
    }
    Ok(())
}

/// Planned actions with their requests, and those interrupted that have not been told yet, oldest first. Those sealed with
/// another key wait for that one.
pub(super) fn unfinished(db: &Connection, sealer: &Sealer) -> Result<Vec<Unfinished>, OutboxError> {
    let failed = storage("read unfinished actions");
    let sql = "SELECT key, rule, action, state, request FROM action
               WHERE (state = 'planned' AND key_id = ?) OR (state = 'interrupted' AND request IS NOT NULL)
               ORDER BY planned_ms, key";
    let mut statement = db.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query([sealer.key_id()]).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let read = || -> rusqlite::Result<_> {
            let (key, state): (String, String) = (row.get(0)?, row.get(3)?);
            let sealed: Option<Vec<u8>> = row.get(4)?;
            // What does not open is told as a request without content, which whoever performs it refuses.
            let open = |sealed| sealer.open(Kind::Request, &key, sealed);
            let request = sealed
                .filter(|_| state == "planned")
                .map(|sealed| open(sealed).and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or(Value::Null));
            Ok(Unfinished { rule: row.get(1)?, action: row.get(2)?, request, key })
        };
        found.push(read().map_err(failed)?);
    }
    drop(rows);
    db.execute("UPDATE action SET request = NULL WHERE state = 'interrupted' AND request IS NOT NULL", [])
        .map_err(failed)?;
    Ok(found)
}

/// Ends planned actions whose request was sealed with a key that has not come back in time.
pub(super) fn give_up(
    db: &Connection,
    key: &KeyId,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<usize, OutboxError> {
    let sql = "UPDATE action SET state = 'expired', ended_ms = ?, request = NULL,
                   reason = 'it was planned with another key (outbox.key), which did not come back'
               WHERE state = 'planned' AND key_id <> ? AND planned_ms < ?";
    db.execute(sql, params![now.timestamp_millis(), key, before.timestamp_millis()])
        .map_err(storage("end actions that cannot be read"))
}

/// What was planned since then with its action, oldest first.
pub(super) fn recent_firings(db: &Connection, since: DateTime<Utc>) -> Result<Vec<(Firing, String)>, OutboxError> {
    let failed = storage("read past firings");
    let sql = "SELECT rule, detector, person, visit, seen_us, event, action FROM action
               WHERE planned_ms >= ? AND state != 'refused' ORDER BY planned_ms, key";
    let mut statement = db.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query([since.timestamp_millis()]).map_err(failed)?;
    let mut firings = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let read = || -> rusqlite::Result<_> {
            let (detector, visit): (String, String) = (row.get(1)?, row.get(3)?);
            let seen_at = DateTime::from_timestamp_micros(row.get(4)?);
            let parts = (DetectorName::new(&detector).ok(), visit.parse().ok(), seen_at);
            let (Some(detector), Some(visit), Some(seen_at)) = parts else { return Ok(None) };
            let visit = VisitId(visit);
            let event = match row.get::<_, String>(5)?.as_str() {
                "left" => EventKind::Left,
                _ => EventKind::Recognition,
            };
            let (rule, person) = (row.get(0)?, row.get(2)?);
            Ok(Some((Firing { rule, event, detector, person, visit, seen_at }, row.get(6)?)))
        };
        firings.extend(read().map_err(failed)?);
    }
    Ok(firings)
}
