//! What the data folder as a whole remembers.

use rusqlite::{Connection, OptionalExtension, Transaction};

const MODEL: &str = "model";

/// The embedding model that answered last.
pub fn model(connection: &Connection) -> Result<Option<String>, rusqlite::Error> {
    let stored = connection
        .query_row("SELECT value FROM meta WHERE key = ?", [MODEL], |row| row.get::<_, Vec<u8>>(0))
        .optional()?;
    // Written from a name, so it can be read as one; anything else is no model there is.
    Ok(stored.and_then(|name| String::from_utf8(name).ok()))
}

pub fn set_model(transaction: &Transaction, model: &str) -> Result<(), rusqlite::Error> {
    transaction.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (MODEL, model.as_bytes())).map(drop)
}
