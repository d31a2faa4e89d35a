//! What the data folder as a whole remembers, each thing under a name of its own.

use rusqlite::{Connection, Transaction};

use super::Stop;
use super::statement::{first, run};

/// The embedding model that answered last, by name.
pub const MODEL: &str = "model";
/// The secret that tokens are signed with.
pub const TOKEN_SECRET: &str = "token_secret";

/// The embedding model that answered last.
pub fn model(connection: &Connection) -> Result<Option<String>, Stop> {
    // It was written from a name, so it can be read as one; anything else is no model there is.
    Ok(read(connection, MODEL)?.and_then(|name| String::from_utf8(name).ok()))
}

pub fn read(connection: &Connection, key: &str) -> Result<Option<Vec<u8>>, Stop> {
    first(connection, "SELECT value FROM meta WHERE key = ?", [key], |row| row.get(0))
}

pub fn write(transaction: &Transaction, key: &str, value: &[u8]) -> Result<(), Stop> {
    run(transaction, "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value)).map(drop)
}
