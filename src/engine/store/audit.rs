//! Who changed what, and when: one row per writing request, in the transaction of the change itself.
//!
//! In: user name, operation and the id of what was changed. It holds ids only, never a name, value or picture of the
//! people concerned.

use rusqlite::Transaction;

use super::millis;

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
