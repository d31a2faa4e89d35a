//! The ledger of actions: each key is planned once, claimed once and ended once, across restarts.
//!
//! In: what the rules ask for. Out: the leave to do it. It holds the request of an action, sealed, only until the
//! action has ended.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};
use serde_json::Value;

use super::seal::{KeyId, Kind, Sealer};
use super::sql;
use crate::config::{DetectorName, EventKind};
use crate::rules::{self, ActionRequest, Firing, RefusedAction};
use crate::track::VisitId;
use crate::visits::ActionResult;

/// An action an earlier life of the process planned and did not end.
#[derive(Debug, Clone, PartialEq)]
pub struct Unfinished {
    pub key: String,
    pub rule: String,
    pub action: String,
    /// As planned; `None` when the process was killed while it was being performed: nobody knows how far it came, and
    /// it is not repeated.
    pub request: Option<Value>,
}

/// Plans an action; false when its key has been planned before.
pub(super) fn plan(
    tx: &Connection,
    action: &ActionRequest,
    sealer: &Sealer,
    now: DateTime<Utc>,
) -> rusqlite::Result<bool> {
    let rows = sql::execute(
        tx,
        "INSERT INTO action (key, visit, sighting, detector, rule, event, action, person, seen_us, state, key_id,
                             request, planned_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'planned', ?, ?, ?) ON CONFLICT (key) DO NOTHING",
        params![
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
            sealer.seal_json(Kind::Request, &action.key, &action.to_record()),
            now.timestamp_millis(),
        ],
    )?;
    // What a guard held back at first and then let through has not been refused.
    sql::execute(tx, "DELETE FROM action WHERE key = ?", [refused_key(&action.key)])?;
    Ok(rows == 1)
}

/// Records that a guard held an actuator back, with its newest reason; nothing where it has been asked for by now.
pub(super) fn refuse(
    tx: &Connection,
    RefusedAction { request, refusal }: &RefusedAction,
    now: DateTime<Utc>,
) -> rusqlite::Result<usize> {
    sql::execute(
        tx,
        "INSERT INTO action (key, visit, sighting, detector, rule, action, person, seen_us, state, reason, planned_ms,
                             ended_ms)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'refused', ?9, ?10, ?10
         WHERE NOT EXISTS (SELECT 1 FROM action WHERE key = ?11)
         ON CONFLICT (key) DO UPDATE SET sighting = excluded.sighting, reason = excluded.reason,
             ended_ms = excluded.ended_ms",
        params![
            refused_key(&request.key),
            request.visit.to_string(),
            request.sighting.to_string(),
            request.detector.as_str(),
            request.rule,
            request.action,
            request.person,
            request.seen_at.timestamp_micros(),
            refusal.reason(),
            now.timestamp_millis(),
            request.key,
        ],
    )
}

fn refused_key(key: &str) -> String {
    format!("{key}-refused")
}

/// Lets one caller have the action, ever.
pub(super) fn claim(db: &Connection, key: &str) -> rusqlite::Result<bool> {
    let rows = sql::execute(db, "UPDATE action SET state = 'claimed' WHERE key = ? AND state = 'planned'", [key])?;
    Ok(rows == 1)
}

/// What the action of this key is at; `None` for a key that was never planned.
pub(super) fn state(db: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    sql::value(db, "SELECT state FROM action WHERE key = ?", [key])
}

/// Ends a claimed action, or one that was planned and will not be performed.
pub(super) fn finish(db: &Connection, key: &str, result: &ActionResult, now: DateTime<Utc>) -> rusqlite::Result<usize> {
    let sql = "UPDATE action SET state = ?, reason = ?, ended_ms = ?, request = NULL
               WHERE key = ? AND state IN ('planned', 'claimed')";
    sql::execute(db, sql, params![result.label(), result.reason(), now.timestamp_millis(), key])
}

/// At the start: what was claimed and never ended was interrupted. Its request stays until it has been told.
pub(super) fn interrupt(db: &Connection) -> rusqlite::Result<()> {
    let sql = "UPDATE action SET state = 'interrupted', ended_ms = ?,
                   reason = 'doorward was stopped while it was being performed' WHERE state = 'claimed'";
    let rows = sql::execute(db, sql, [Utc::now().timestamp_millis()])?;
    if rows > 0 {
        metrics::counter!("doorward_outbox_actions_interrupted_total").increment(rows as u64);
    }
    Ok(())
}

/// Planned actions with their requests, and those interrupted that have not been told yet, oldest first. Those sealed
/// with another key wait for that one.
pub(super) fn unfinished(db: &Connection, sealer: &Sealer) -> rusqlite::Result<Vec<Unfinished>> {
    let sql = "SELECT key, rule, action, CASE state WHEN 'planned' THEN request END FROM action
               WHERE (state = 'planned' AND key_id = ?) OR (state = 'interrupted' AND request IS NOT NULL)
               ORDER BY planned_ms, key";
    let found = sql::rows(db, sql, [sealer.key_id()], |row| {
        let key: String = row.get(0)?;
        let sealed: Option<Vec<u8>> = row.get(3)?;
        // What does not open is told as a request without content, which whoever performs it refuses.
        let request = sealed.map(|sealed| sealer.open_json(Kind::Request, &key, sealed).unwrap_or(Value::Null));
        Ok(Unfinished { rule: row.get(1)?, action: row.get(2)?, request, key })
    })?;
    sql::execute(db, "UPDATE action SET request = NULL WHERE state = 'interrupted' AND request IS NOT NULL", [])?;
    Ok(found)
}

/// Ends planned actions whose request was sealed with a key that has not come back in time.
pub(super) fn give_up(
    db: &Connection,
    key: &KeyId,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
) -> rusqlite::Result<usize> {
    let sql = "UPDATE action SET state = 'expired', ended_ms = ?, request = NULL,
                   reason = 'it was planned with another key (outbox.key), which did not come back'
               WHERE state = 'planned' AND key_id <> ? AND planned_ms < ?";
    sql::execute(db, sql, params![now.timestamp_millis(), key, before.timestamp_millis()])
}

/// What was planned since then with its action, oldest first.
pub(super) fn recent_firings(db: &Connection, since: DateTime<Utc>) -> rusqlite::Result<Vec<(Firing, String)>> {
    let sql = "SELECT rule, detector, person, visit, seen_us, event, action, key FROM action
               WHERE planned_ms >= ? AND state != 'refused' ORDER BY planned_ms, key";
    let firings = sql::rows(db, sql, [since.timestamp_millis()], |row| {
        let (detector, visit): (String, String) = (row.get(1)?, row.get(3)?);
        let parts = (DetectorName::new(&detector), visit.parse(), DateTime::from_timestamp_micros(row.get(4)?));
        let (Ok(detector), Ok(visit), Some(seen_at)) = parts else { return Ok(None) };
        let event = match row.get::<_, String>(5)?.as_str() {
            "left" => EventKind::Left,
            _ => EventKind::Recognition,
        };
        let (rule, person, visit, key) = (row.get(0)?, row.get(2)?, VisitId(visit), row.get::<_, String>(7)?);
        let stay = rules::scope_of(&key).unwrap_or(visit);
        Ok(Some((Firing { rule, event, detector, person, visit, stay, seen_at }, row.get(6)?)))
    })?;
    Ok(firings.into_iter().flatten().collect())
}
