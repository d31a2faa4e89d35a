//! What became of every visit: its shots, their answers, its actions.
//!
//! In: what happened, as it happens. Out: a [`VisitRecord`] for `doorward explain`, also while the process that writes
//! it is running. It holds ids, times and outcomes, and, sealed, what the rules looked at and who was nearest to
//! somebody unknown; no picture.

use std::path::Path;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::error::{OutboxError, storage};
use super::seal::{Kind, Sealer};
use super::{Answered, DropReason, Dropped, Judged, key, open, sql};
use crate::config::{DetectorName, OutboxConfig};
use crate::crop::Sighting;
use crate::rules::Seen;
use crate::track::VisitId;
use crate::visits::{SentShot, Visit, liveness_json, quality_json, rank};

/// A visit as `explain` tells it.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct VisitRecord {
    pub visit: String,
    pub detector: String,
    pub first_seen: String,
    pub last_seen: String,
    /// `pending` while a sighting of it waits, `open` while the visitor may still be there.
    pub outcome: String,
    pub reason: Option<String>,
    pub shots: Vec<ShotRecord>,
    pub actions: Vec<ActionRecord>,
    /// What the rules made of it, oldest first.
    #[serde(skip_deserializing)]
    pub judged: Vec<JudgedRecord>,
    pub detail: Value,
}

/// A shot of a visit that became a sighting.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct ShotRecord {
    pub sighting: String,
    pub shot: u8,
    pub seen_at: String,
    pub quality: f32,
    pub stored_at: String,
    /// `pending`, what the engine answered, or `dropped`.
    pub outcome: String,
    /// Why it was refused or dropped, or why it waits.
    pub reason: Option<String>,
    /// Failed tries.
    pub tries: u32,
    pub person: Option<String>,
    /// How sure the engine is of the face (in what an older build has recorded, it may be of the person).
    pub confidence: Option<f32>,
    /// How sure the engine is of the person, where it said so.
    pub match_confidence: Option<f32>,
    /// Of somebody unknown who came nearest: [`Nearest::to_json`], or `Null`, also where the key that is here does not
    /// open it.
    #[serde(skip_deserializing)]
    pub nearest: Value,
    pub late: bool,
    /// From being stored to being settled.
    pub settled_after_ms: Option<i64>,
}

/// An action of a visit.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct ActionRecord {
    pub key: String,
    pub rule: String,
    /// `recognition`, or `left`.
    pub event: String,
    pub action: String,
    pub person: Option<String>,
    /// `planned`, `claimed` (under way), `done`, `expired`, `failed`, `interrupted`, `refused` by a guard, `dry_run`.
    pub state: String,
    pub reason: Option<String>,
    /// From being planned to its end.
    pub ended_after_ms: Option<i64>,
}

/// What the rules made of one answer, or of somebody having left.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JudgedRecord {
    pub sighting: String,
    /// `recognition`, or `left`.
    pub event: String,
    pub judged_at: String,
    /// As the agent wrote it; `Null` where the key that is here does not open it.
    pub rules: Value,
}

/// Visits as [`VisitRecord`]s; what was judged and who was nearest is sealed, and added afterwards.
const VISITS: &str = "
    SELECT json_object(
        'visit', id, 'detector', detector, 'outcome', COALESCE(outcome, ''), 'reason', reason,
        'detail', json(iif(json_valid(detail), detail, 'null')),
        'first_seen', strftime('%Y-%m-%dT%H:%M:%fZ', first_ms / 1000.0, 'unixepoch'),
        'last_seen', strftime('%Y-%m-%dT%H:%M:%fZ', last_ms / 1000.0, 'unixepoch'),
        'shots', json((SELECT json_group_array(json_object(
            'sighting', sighting, 'shot', shot, 'quality', quality, 'tries', tries, 'person', person,
            'seen_at', strftime('%Y-%m-%dT%H:%M:%fZ', seen_ms / 1000.0, 'unixepoch'),
            'stored_at', strftime('%Y-%m-%dT%H:%M:%fZ', stored_ms / 1000.0, 'unixepoch'),
            'outcome', COALESCE(outcome, 'pending'), 'reason', reason, 'confidence', confidence,
            'match_confidence', match_confidence, 'late', json(iif(late, 'true', 'false')),
            'settled_after_ms', settled_ms - stored_ms) ORDER BY shot, seen_ms, sighting)
            FROM shot WHERE shot.visit = visit.id)),
        'actions', json((SELECT json_group_array(json_object(
            'key', key, 'rule', rule, 'event', event, 'action', action, 'person', person, 'state', state,
            'reason', reason, 'ended_after_ms', ended_ms - planned_ms) ORDER BY planned_ms, key)
            FROM action WHERE action.visit = visit.id)))
    FROM visit WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT ?";
/// Visits told at once.
pub const MOST_VISITS: u32 = 20;
/// Visits forgotten in one transaction.
const FORGET_AT_ONCE: u32 = 200;

/// The visits whose id starts so, newest first, at most twenty; of the outbox below `state_dir`, whether a doorward is
/// running on it or not.
pub fn explain(state_dir: &Path, config: &OutboxConfig, prefix: &str) -> Result<Vec<VisitRecord>, OutboxError> {
    let sealer = key::existing(state_dir, config)?.map(|key| Sealer::new(&key));
    visits(&open::open_to_read(state_dir)?, sealer.as_ref(), prefix).map_err(storage("read the history"))
}

/// A sighting was stored; false when it had been before.
pub(super) fn shot_taken(tx: &Connection, s: &Sighting, now: DateTime<Utc>) -> rusqlite::Result<bool> {
    let visit = s.visit.to_string();
    let rows = sql::execute(
        tx,
        "INSERT INTO shot (sighting, visit, shot, seen_ms, quality, stored_ms) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (sighting) DO NOTHING",
        params![
            s.id.to_string(),
            visit,
            s.shot,
            s.seen_at.timestamp_millis(),
            if s.quality.is_nan() { 0.0 } else { s.quality },
            now.timestamp_millis(),
        ],
    )?;
    if rows == 1 {
        touch(tx, &visit, s.detector.as_str(), s.seen_at, s.seen_at, now)?;
    }
    Ok(rows == 1)
}

/// Who was seen since then, known or not: one per visit and person, oldest first.
pub(super) fn recently_seen(db: &Connection, since: DateTime<Utc>) -> rusqlite::Result<Vec<Seen>> {
    let sql = "SELECT visit.detector, shot.person, shot.visit, MAX(shot.seen_ms) AS last FROM shot
               JOIN visit ON visit.id = shot.visit
               WHERE shot.outcome IN ('known', 'unknown') AND shot.stored_ms >= ?
               GROUP BY visit.detector, shot.person, shot.visit ORDER BY last";
    let found = sql::rows(db, sql, [since.timestamp_millis()], |row| {
        let (detector, visit): (String, String) = (row.get(0)?, row.get(2)?);
        let parts = (DetectorName::new(&detector), visit.parse(), DateTime::from_timestamp_millis(row.get(3)?));
        let (Ok(detector), Ok(visit), Some(seen_at)) = parts else { return Ok(None) };
        Ok(Some(Seen { detector, person: row.get(1)?, visit: VisitId(visit), seen_at }))
    })?;
    Ok(found.into_iter().flatten().collect())
}

/// A try failed.
pub(super) fn shot_waits(db: &Connection, sighting: Uuid, tries: u32, reason: &str) -> rusqlite::Result<usize> {
    let sql = "UPDATE shot SET tries = ?, reason = ? WHERE sighting = ? AND outcome IS NULL";
    sql::execute(db, sql, params![tries, reason, sighting.to_string()])
}

/// A sighting was answered; false when it had been settled before, or never stored.
pub(super) fn shot_answered(
    tx: &Connection,
    answered: &Answered,
    tries: u32,
    sealer: &Sealer,
    now: DateTime<Utc>,
) -> rusqlite::Result<bool> {
    let (sighting, nearest) = (answered.sighting.to_string(), answered.nearest.as_ref());
    let rows = sql::execute(
        tx,
        "UPDATE shot SET outcome = ?, reason = ?, person = ?, confidence = ?, match_confidence = ?, nearest_person = ?,
             nearest = ?, late = ?, tries = ?, settled_ms = ?
         WHERE sighting = ? AND outcome IS NULL",
        params![
            answered.outcome.as_str(),
            answered.reason,
            answered.person,
            answered.confidence.filter(|confidence| !confidence.is_nan()),
            answered.match_confidence.filter(|confidence| !confidence.is_nan()),
            nearest.map(|nearest| nearest.person.id.as_str()),
            nearest.map(|nearest| sealer.seal_json(Kind::Nearest, &sighting, &nearest.to_json(true))),
            answered.late,
            tries,
            now.timestamp_millis(),
            sighting,
        ],
    )?;
    Ok(rows == 1)
}

/// The rules were asked.
pub(super) fn judged(tx: &Connection, judged: &Judged, sealer: &Sealer, now: DateTime<Utc>) -> rusqlite::Result<usize> {
    let (visit, sighting) = (judged.visit.to_string(), judged.sighting.to_string());
    let record = sealer.seal_json(Kind::Judged, &visit, &judged.rules);
    let sql = "INSERT INTO judged (visit, sighting, event, judged_ms, record) VALUES (?, ?, ?, ?, ?)";
    sql::execute(tx, sql, params![visit, sighting, judged.event.as_str(), now.timestamp_millis(), record])
}

/// A sighting ended without an answer; `None` when it had been settled before.
pub(super) fn shot_dropped(
    tx: &Connection,
    sighting: Uuid,
    reason: DropReason,
    tries: u32,
    now: DateTime<Utc>,
) -> rusqlite::Result<Option<Dropped>> {
    let sql = "UPDATE shot SET outcome = 'dropped', reason = ?, tries = ?, settled_ms = ?
               WHERE sighting = ? AND outcome IS NULL
               RETURNING visit, COALESCE((SELECT detector FROM visit WHERE id = shot.visit), '')";
    let ended = params![reason.reason(), tries, now.timestamp_millis(), sighting.to_string()];
    let read = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get(1)?));
    let Some((visit, detector)) = tx.prepare_cached(sql)?.query_row(ended, read).optional()? else { return Ok(None) };
    Ok(visit.parse().ok().map(|visit| Dropped { sighting, visit: VisitId(visit), detector, reason }))
}

/// A visit was closed. One that is closed again, by an answer after a restart, keeps the better outcome.
pub(super) fn visit_closed(tx: &Connection, visit: &Visit, now: DateTime<Utc>) -> rusqlite::Result<()> {
    let id = visit.id.to_string();
    let before: Option<Option<String>> = sql::value(tx, "SELECT outcome FROM visit WHERE id = ?", [&id])?;
    touch(tx, &id, visit.detector.as_str(), visit.first_seen, visit.last_seen, now)?;
    let outcome = visit.outcome.label();
    if before.flatten().is_none_or(|before| rank(outcome) >= rank(&before)) {
        let detail = detail(visit).map(|detail| detail.to_string());
        let sql = "UPDATE visit SET outcome = ?, reason = ?, detail = COALESCE(?, detail) WHERE id = ?";
        sql::execute(tx, sql, params![outcome, visit.outcome.reason(), detail, id])?;
    }
    Ok(())
}

/// Forgets visits of which nothing has been written since, with their shots and actions; those that wait for something
/// stay. Each time a few: true while there are more.
pub(super) fn forget_some(tx: &Connection, before: DateTime<Utc>) -> rusqlite::Result<bool> {
    let sql = "SELECT id FROM visit WHERE told_ms < ?
               AND NOT EXISTS (SELECT 1 FROM shot WHERE visit = visit.id AND outcome IS NULL)
               AND NOT EXISTS (SELECT 1 FROM action WHERE visit = visit.id AND state IN ('planned', 'claimed'))
               AND NOT EXISTS (SELECT 1 FROM picture WHERE visit = visit.id)
               LIMIT ?";
    let ids: Vec<String> = sql::rows(tx, sql, params![before.timestamp_millis(), FORGET_AT_ONCE], |row| row.get(0))?;
    for id in &ids {
        for sql in [
            "DELETE FROM shot WHERE visit = ?",
            "DELETE FROM action WHERE visit = ?",
            "DELETE FROM judged WHERE visit = ?",
            "DELETE FROM visit WHERE id = ?",
        ] {
            sql::execute(tx, sql, [id])?;
        }
    }
    Ok(ids.len() == FORGET_AT_ONCE as usize)
}

/// See [`explain`].
pub(super) fn visits(db: &Connection, sealer: Option<&Sealer>, prefix: &str) -> rusqlite::Result<Vec<VisitRecord>> {
    let Some(prefix) = id_prefix(prefix) else { return Ok(Vec::new()) };
    // Ids are lower-case hexadecimal digits and dashes: all that start with the prefix sort before this.
    let end = format!("{prefix}g");
    let visits: Vec<VisitRecord> = sql::records(db, VISITS, params![prefix, end, MOST_VISITS])?;
    visits.into_iter().map(|record| complete(db, sealer, record)).collect()
}

fn touch(
    db: &Connection,
    visit: &str,
    detector: &str,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
    now: DateTime<Utc>,
) -> rusqlite::Result<usize> {
    let sql = "INSERT INTO visit (id, detector, first_ms, last_ms, told_ms) VALUES (?, ?, ?, ?, ?)
               ON CONFLICT (id) DO UPDATE SET first_ms = MIN(first_ms, excluded.first_ms),
                   last_ms = MAX(last_ms, excluded.last_ms), told_ms = excluded.told_ms";
    let [first, last, now] = [first, last, now].map(|at| at.timestamp_millis());
    sql::execute(db, sql, params![visit, detector, first, last, now])
}

/// Adds what the rules made of it, who was nearest, and the outcome of a visit that has not been closed.
fn complete(db: &Connection, sealer: Option<&Sealer>, mut record: VisitRecord) -> rusqlite::Result<VisitRecord> {
    let sql = "SELECT *, strftime('%Y-%m-%dT%H:%M:%fZ', judged_ms / 1000.0, 'unixepoch') AS judged_at
               FROM judged WHERE visit = ? ORDER BY seq";
    record.judged = sql::rows(db, sql, [&record.visit], |row| judged_record(row, sealer, &record.visit))?;
    let sql = "SELECT sighting, nearest FROM shot WHERE visit = ? AND nearest IS NOT NULL";
    for (sighting, sealed) in sql::rows(db, sql, [&record.visit], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))? {
        let nearest = sealer.and_then(|sealer| sealer.open_json(Kind::Nearest, &sighting, sealed));
        if let Some(shot) = record.shots.iter_mut().find(|shot| shot.sighting == sighting) {
            shot.nearest = nearest.unwrap_or(Value::Null);
        }
    }
    if record.outcome.is_empty() {
        // `pending` ranks below every answer, but as long as one is out nothing is settled.
        let waits = record.shots.iter().find(|shot| shot.outcome == PENDING);
        let best = waits.or_else(|| record.shots.iter().max_by_key(|shot| rank(&shot.outcome)));
        record.outcome = best.map_or_else(|| "open".into(), |shot| shot.outcome.clone());
        record.reason = best.and_then(|shot| shot.reason.clone());
    }
    Ok(record)
}

fn judged_record(row: &Row<'_>, sealer: Option<&Sealer>, visit: &str) -> rusqlite::Result<JudgedRecord> {
    let sealed: Vec<u8> = row.get("record")?;
    let rules = sealer.and_then(|sealer| sealer.open_json(Kind::Judged, visit, sealed));
    Ok(JudgedRecord {
        sighting: row.get("sighting")?,
        event: row.get("event")?,
        judged_at: row.get("judged_at")?,
        rules: rules.unwrap_or(Value::Null),
    })
}

const PENDING: &str = "pending";

/// What else is worth telling of a visit, without anybody's name; `None` for one that was opened again by its answer:
/// what was told of it before says more.
fn detail(visit: &Visit) -> Option<Value> {
    let shot = |shot: &SentShot| {
        json!({
            "sighting": shot.sighting,
            "frame": shot.frame,
            "at_ms": shot.at_ms,
            "box": [shot.bbox.x, shot.bbox.y, shot.bbox.width, shot.bbox.height],
            "quality": quality_json(&shot.quality),
            "liveness": shot.liveness.as_ref().map(liveness_json),
        })
    };
    (!visit.shots.is_empty() || visit.best.is_some()).then(|| {
        json!({
            "stay": visit.stay.map(|stay| stay.0),
            "sent": visit.shots.iter().map(shot).collect::<Vec<_>>(),
            "best": visit.best.as_ref().map(quality_json),
            "largest_px": visit.largest_px,
        })
    })
}

/// The start of an id as ids are written: lower case, dashes where they belong, also when they were left out. `None`
/// for what starts no id.
fn id_prefix(text: &str) -> Option<String> {
    let digits: String = text.trim().chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
    if digits.len() > 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut prefix = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if matches!(n, 8 | 12 | 16 | 20) {
            prefix.push('-');
        }
        prefix.push(digit);
    }
    Some(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_read_with_and_without_dashes() {
        for (text, prefix) in [
            ("", Some("")),
            ("0199", Some("0199")),
            ("0199ABCDE", Some("0199abcd-e")),
            ("0199abcd-e", Some("0199abcd-e")),
            ("0199abcdef0171238abc", Some("0199abcd-ef01-7123-8abc")),
            (" 0199abcd-ef01-7123-8abc-0123456789ab\n", Some("0199abcd-ef01-7123-8abc-0123456789ab")),
            ("0199abcd-ef01-7123-8abc-0123456789abc", None),
            ("zz", None),
            ("%", None),
        ] {
            assert_eq!(id_prefix(text).as_deref(), prefix, "{text}");
        }
    }
}
