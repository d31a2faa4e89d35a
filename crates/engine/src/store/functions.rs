//! What SQL does not know of text: when two spellings are one word.
//!
//! In: a connection. Out: the same connection, with [`folded(text)`](text::folded) and [`tidy(text)`](text::tidy) in its
//! statements; of NULL they are NULL. No index and no table definition may use them, so that the database can be read
//! without them.

use identities::text;
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

pub fn add(connection: &Connection) -> Result<(), rusqlite::Error> {
    let add = |name: &str, function: fn(&str) -> String| {
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
        connection.create_scalar_function(name, 1, flags, move |context| {
            let text: Option<String> = context.get(0)?;
            Ok(text.as_deref().map(function))
        })
    };
    add("folded", text::folded)?;
    add("tidy", text::tidy)
}
