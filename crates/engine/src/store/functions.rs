//! What SQL does not know of text: when two spellings are one word.
//!
//! In: a connection. Out: the same connection, with [`folded(text)`](text::folded) in its statements; of NULL it is
//! NULL. No index and no table definition may use it, so that the database can be read without it.

use identities::text;
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

pub fn add(connection: &Connection) -> Result<(), rusqlite::Error> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("folded", 1, flags, |context| {
        let text: Option<String> = context.get(0)?;
        Ok(text.as_deref().map(text::folded))
    })
}
