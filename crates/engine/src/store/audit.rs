//! Who changed what, and when: one row per change of a record, in the transaction of the change itself. What a detector
//! publishes is a history of its own.
//!
//! In: user name, operation and the id of what was changed. Out: the last entries. The log holds ids only, never a
//! name, value or picture of the people concerned.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Transaction};

use super::statement::{from_row, rows, run};
use super::{Stop, millis, moment};

/// A change somebody made.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditLine {
    pub time: DateTime<Utc>,
    pub username: String,
    pub operation: String,
    /// The id of what was changed.
    pub subject: Option<String>,
}

/// Records a change. `operation` is the contract's operation id, `subject` the id of the record changed.
pub fn record(transaction: &Transaction, username: &str, operation: &str, subject: Option<&str>) -> Result<(), Stop> {
    let statement = "INSERT INTO audit (time, username, operation, subject) VALUES (?, ?, ?, ?)";
    run(transaction, statement, (millis(Utc::now()), username, operation, subject)).map(drop)
}

/// The last entries, newest first.
pub fn last(connection: &Connection, count: u32) -> Result<Vec<AuditLine>, Stop> {
    let query = "SELECT time, username, operation, subject FROM audit ORDER BY audit_id DESC LIMIT ?";
    rows(connection, query, [count], from_row!(AuditLine { username, operation, subject; time: moment }))
}
