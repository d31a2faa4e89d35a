//! Definitions of custom fields. The vendor's documents show no body of theirs, so it is kept as it came.

use rusqlite::Transaction;

use super::Stop;
use super::statement::run;

/// Stores a definition, in place of an earlier one of the same id; `kind` is `string` or `datetime`, `body` JSON.
pub fn put(transaction: &Transaction, entity_type: &str, field: &str, kind: &str, body: &str) -> Result<(), Stop> {
    let statement =
        "INSERT OR REPLACE INTO entity_field_settings (entity_type, field_id, kind, body) VALUES (?, ?, ?, ?)";
    run(transaction, statement, (entity_type, field, kind, body)).map(drop)
}
