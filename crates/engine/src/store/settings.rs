//! Definitions of custom fields. Their documents show no body, so it is kept as it came.

use rusqlite::Transaction;

/// Stores a definition, in place of an earlier one of the same id; `kind` is `string` or `datetime`, `body` JSON.
pub fn put(
    transaction: &Transaction,
    entity_type: &str,
    field: &str,
    kind: &str,
    body: &str,
) -> Result<(), rusqlite::Error> {
    transaction
        .execute(
            "INSERT OR REPLACE INTO entity_field_settings (entity_type, field_id, kind, body) VALUES (?, ?, ?, ?)",
            (entity_type, field, kind, body),
        )
        .map(drop)
}
