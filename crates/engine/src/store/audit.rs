//! Who changed what, and when: one row per change of a record, in the transaction of the change itself. What a detector
//! publishes is a history of its own.
//!
//! In: user name, operation and the id of what was changed. Out: the last entries. It holds ids only, never a name,
//! value or picture of the people concerned.

use rusqlite::{Connection, Transaction};

use super::{millis, moment};
use crate::auth::AuditLine;

/// Records a change. `operation` is the contract's operation id, `subject` the id of the record changed.
pub fn record(
    transaction: &Transaction,
    username: &str,
    operation: &str,
    subject: Option<&str>,
) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached("INSERT INTO audit (time, username, operation, subject) VALUES (?, ?, ?, ?)")?
        .execute((millis(chrono::Utc::now()), username, operation, subject))
        .map(drop)
}

/// The last entries, newest first.
pub fn last(connection: &Connection, count: u32) -> Result<Vec<AuditLine>, rusqlite::Error> {
    connection
        .prepare("SELECT time, username, operation, subject FROM audit ORDER BY audit_id DESC LIMIT ?")?
        .query_map([count], |row| {
            let (time, username) = (moment(row.get(0)?), row.get(1)?);
            Ok(AuditLine { time, username, operation: row.get(2)?, subject: row.get(3)? })
        })?
        .collect()
}
