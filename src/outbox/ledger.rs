//! The ledger of actions: each key is planned once, claimed once and ended once, across restarts.
//!
//! In: what the rules ask for. Out: the leave to do it. It holds the request of an action only until the action has
//! ended.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row, Transaction, params};
use serde_json::Value;
use uuid::Uuid;

use super::error::{OutboxError, storage};
use crate::config::DetectorName;
use crate::track::VisitId;

/// An action to perform, once.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The same key is planned once, ever.
    pub key: String,
    pub visit: VisitId,
    pub sighting: Uuid,
    pub detector: DetectorName,
    pub rule: String,
    pub action: String,
    /// The recognised person's id.
    pub person: Option<String>,
    pub seen_at: DateTime<Utc>,
    /// Whatever is needed to perform it after a restart.
    pub request: Value,
}

/// How an action ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActionEnd {
    Done,
    /// Its time had passed.
    Expired,
    Failed {
        reason: String,
    },
}

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

/// A firing of a rule, as the rules' memory needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastFiring {
    pub rule: String,
    pub detector: DetectorName,
    pub person: Option<String>,
    pub visit: VisitId,
    pub seen_at: DateTime<Utc>,
}

impl ActionEnd {
    fn parts(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Done => ("done", None),
            Self::Expired => ("expired", None),
            Self::Failed { reason } => ("failed", Some(reason)),
        }
    }
}

/// Plans an action; false when its key has been planned before.
pub(super) fn plan(tx: &Transaction<'_>, action: &Planned, now: DateTime<Utc>) -> rusqlite::Result<bool> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO action (key, visit, sighting, detector, rule, action, person, seen_us, state, request, planned_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'planned', ?, ?) ON CONFLICT (key) DO NOTHING",
    )?;
    let rows = statement.execute(params![
        action.key,
        action.visit.to_string(),
        action.sighting.to_string(),
        action.detector.as_str(),
        action.rule,
        action.action,
        action.person,
        action.seen_at.timestamp_micros(),
        action.request.to_string(),
        now.timestamp_millis(),
    ])?;
    Ok(rows == 1)
}

/// Lets one caller have the action, ever.
pub(super) fn claim(db: &Connection, key: &str) -> Result<bool, OutboxError> {
    let claimed =
        || db.prepare_cached("UPDATE action SET state = 'claimed' WHERE key = ? AND state = 'planned'")?.execute([key]);
    claimed().map(|rows| rows == 1).map_err(storage("claim an action"))
}

/// Ends a claimed action, or one that was planned and will not be performed.
pub(super) fn finish(db: &Connection, key: &str, end: &ActionEnd, now: DateTime<Utc>) -> Result<(), OutboxError> {
    let (state, reason) = end.parts();
    let finished = || {
        db.prepare_cached(
            "UPDATE action SET state = ?, reason = ?, ended_ms = ?, request = NULL
             WHERE key = ? AND state IN ('planned', 'claimed')",
        )?
        .execute(params![state, reason, now.timestamp_millis(), key])
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

/// Planned actions with their requests, and those interrupted that have not been told yet, oldest first.
pub(super) fn unfinished(db: &Connection) -> Result<Vec<Unfinished>, OutboxError> {
    let failed = storage("read unfinished actions");
    let read = |row: &Row<'_>| {
        let (state, request): (String, Option<String>) = (row.get(3)?, row.get(4)?);
        let request = request.filter(|_| state == "planned");
        let request = request.map(|text| serde_json::from_str(&text).unwrap_or(Value::Null));
        Ok(Unfinished { key: row.get(0)?, rule: row.get(1)?, action: row.get(2)?, request })
    };
    let sql = "SELECT key, rule, action, state, request FROM action
               WHERE state = 'planned' OR (state = 'interrupted' AND request IS NOT NULL) ORDER BY planned_ms, key";
    let mut statement = db.prepare_cached(sql).map_err(failed)?;
    let found = statement.query_map([], read).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    db.execute("UPDATE action SET request = NULL WHERE state = 'interrupted' AND request IS NOT NULL", [])
        .map_err(failed)?;
    Ok(found)
}

/// One per rule, detector, visit and person that had anything planned since then, oldest first.
pub(super) fn recent_firings(db: &Connection, since: DateTime<Utc>) -> Result<Vec<PastFiring>, OutboxError> {
    let failed = storage("read past firings");
    let sql = "SELECT rule, detector, person, visit, MAX(seen_us) FROM action WHERE planned_ms >= ?
               GROUP BY rule, detector, person, visit ORDER BY MIN(planned_ms)";
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
            Ok(Some(PastFiring { rule: row.get(0)?, detector, person: row.get(2)?, visit, seen_at }))
        };
        firings.extend(read().map_err(failed)?);
    }
    Ok(firings)
}
