//! What the data folder as a whole remembers, each thing under a name of its own.

use rusqlite::{Connection, Transaction};

use super::Stop;
use super::statement::{first, run};

const MODEL: &str = "model";
const TOKEN_SECRET: &str = "token_secret";

/// The embedding model that answered last.
pub fn model(connection: &Connection) -> Result<Option<String>, Stop> {
    // It was written from a name, so it can be read as one; anything else is no model there is.
    Ok(read(connection, MODEL)?.and_then(|name| String::from_utf8(name).ok()))
}

pub fn set_model(transaction: &Transaction, model: &str) -> Result<(), Stop> {
    write(transaction, MODEL, model.as_bytes())
}

/// The secret that tokens are signed with.
pub fn token_secret(connection: &Connection) -> Result<Option<Vec<u8>>, Stop> {
    read(connection, TOKEN_SECRET)
}

pub fn set_token_secret(transaction: &Transaction, secret: &[u8]) -> Result<(), Stop> {
    write(transaction, TOKEN_SECRET, secret)
}

fn read(connection: &Connection, key: &str) -> Result<Option<Vec<u8>>, Stop> {
    first(connection, "SELECT value FROM meta WHERE key = ?", [key], |row| row.get(0))
}

fn write(transaction: &Transaction, key: &str, value: &[u8]) -> Result<(), Stop> {
    run(transaction, "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value)).map(drop)
}
