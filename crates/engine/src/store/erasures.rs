//! What is being erased: chosen by somebody a moment ago, hidden since, and gone for good when it cannot be undone any
//! more.
//!
//! ```text
//! begin ──▶ hidden: neither shown nor recognised ──(ten seconds, or the engine ends)──▶ erased
//!               └──(undo)──▶ as it was
//! ```
//!
//! In: what, and by whom. Out: rows that outlive a crash, and those that are due; what lists and recognises looks away
//! from them ([`stays`](super::stays)). Nothing is kept of what was erased. What goes with it is
//! [`erase`](super::erase)'s to say.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row, Transaction};
use uuid::Uuid;

use super::erase::Whom;
use super::statement::{first, id, rows, run};
use super::stays::FACE_STAYS;
use super::{Stop, millis, moment};
use crate::error::Refusal;

/// What is being erased, or taken out.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// As [`erase::plan`](super::erase::plan) has it.
    Whom(Whom),
    /// An enrolled photo.
    Photo(Uuid),
    /// An enrolled photo that is not the person's; see [`denials`](super::denials).
    Denied(Uuid),
}

/// An erasure that is under way.
pub struct Erasure {
    pub id: Uuid,
    pub what: What,
    pub username: String,
}

pub fn begin(transaction: &Transaction, id: Uuid, what: &What, username: &str, due: DateTime<Utc>) -> Result<(), Stop> {
    let mut time = (None, None, None);
    let (kind, subject) = match what {
        What::Whom(Whom::Person(person)) => ("person", Some(person)),
        What::Whom(Whom::Stranger(face)) => ("stranger", Some(face)),
        What::Whom(Whom::Group(group)) => ("group", Some(group)),
        What::Whom(Whom::Seen { from, to, detector }) => {
            time = (Some(millis(*from)), Some(millis(*to)), detector.as_deref());
            ("time", None)
        }
        What::Photo(face) => ("photo", Some(face)),
        What::Denied(face) => ("denied", Some(face)),
    };
    let statement = "INSERT INTO erasures (erasure_id, kind, subject, from_ms, to_ms, detector, username, due) \
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    let subject = subject.map(Uuid::to_string);
    run(transaction, statement, (id.to_string(), kind, subject, time.0, time.1, time.2, username, millis(due)))
        .map(drop)
}

/// Those that are due by then, the first one first.
pub fn due(connection: &Connection, by: DateTime<Utc>) -> Result<Vec<Erasure>, Stop> {
    rows(connection, "SELECT * FROM erasures WHERE due <= ? ORDER BY due", [millis(by)], erasure)
}

/// Ends an erasure, carried out or undone; refused where it has ended before.
pub fn end(transaction: &Transaction, erasure: Uuid) -> Result<(), Stop> {
    match run(transaction, "DELETE FROM erasures WHERE erasure_id = ?", [erasure.to_string()])? {
        0 => Err(Refusal::NotFound("erasure").into()),
        _ => Ok(()),
    }
}

/// How many enrolled photos of this one's person are not being erased.
pub fn photos_left(connection: &Connection, face: Uuid) -> Result<u32, Stop> {
    let query = format!(
        "SELECT count(*) FROM faces WHERE person_id = (SELECT person_id FROM faces WHERE face_id = ?) \
         AND photo_id IS NOT NULL AND {FACE_STAYS}"
    );
    Ok(first(connection, &query, [face.to_string()], |row| row.get(0))?.unwrap_or_default())
}

fn erasure(row: &Row) -> Result<Erasure, rusqlite::Error> {
    let column = |name: &str| row.as_ref().column_index(name);
    let subject = || id(row, column("subject")?);
    let time = |name: &str| row.get(name).map(moment);
    let kind: String = row.get("kind")?;
    let what = match kind.as_str() {
        "person" => What::Whom(Whom::Person(subject()?)),
        "stranger" => What::Whom(Whom::Stranger(subject()?)),
        "group" => What::Whom(Whom::Group(subject()?)),
        "photo" => What::Photo(subject()?),
        "denied" => What::Denied(subject()?),
        _ => What::Whom(Whom::Seen { from: time("from_ms")?, to: time("to_ms")?, detector: row.get("detector")? }),
    };
    Ok(Erasure { id: id(row, column("erasure_id")?)?, what, username: row.get("username")? })
}
