//! The three ways a statement is run: for its rows, for its first row, or for what it changes.
//!
//! In: SQL, its values, and how a row becomes a value. Out: the values. Statements are prepared once per connection and
//! kept there, so that a file of records need only say what it asks for.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Params, Row, Transaction};
use uuid::Uuid;

use super::Stop;

/// Reads a row as a struct: each field from the column of its name, and those after the semicolon through a conversion.
macro_rules! from_row {
    ($type:ident { $($field:ident),* $(; $($converted:ident: $convert:expr),*)? }) => {
        |row: &rusqlite::Row| -> Result<$type, rusqlite::Error> {
            Ok($type {
                $($field: row.get(stringify!($field))?,)*
                $($($converted: ($convert)(row.get(stringify!($converted))?),)*)?
            })
        }
    };
}
pub(super) use from_row;

/// Every row of a query.
pub fn rows<T>(
    connection: &Connection,
    query: &str,
    values: impl Params,
    read: impl FnMut(&Row) -> Result<T, rusqlite::Error>,
) -> Result<Vec<T>, Stop> {
    let mut statement = connection.prepare_cached(query)?;
    Ok(statement.query_map(values, read)?.collect::<Result<_, _>>()?)
}

/// The first row of a query; `None` when it has none.
pub fn first<T>(
    connection: &Connection,
    query: &str,
    values: impl Params,
    read: impl FnOnce(&Row) -> Result<T, rusqlite::Error>,
) -> Result<Option<T>, Stop> {
    Ok(connection.prepare_cached(query)?.query_row(values, read).optional()?)
}

/// The one value of a query that always has one: a count, or whether something exists.
pub fn value<T: rusqlite::types::FromSql>(
    connection: &Connection,
    query: &str,
    values: impl Params,
) -> Result<T, Stop> {
    Ok(connection.prepare_cached(query)?.query_row(values, |row| row.get(0))?)
}

/// Changes the database; gives how many rows were touched.
pub fn run(transaction: &Transaction, statement: &str, values: impl Params) -> Result<usize, Stop> {
    Ok(transaction.prepare_cached(statement)?.execute(values)?)
}

/// A column that holds an id this engine has written.
pub fn id(row: &Row, column: usize) -> Result<Uuid, rusqlite::Error> {
    let text: String = row.get(column)?;
    let wrong = |error: uuid::Error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into());
    Uuid::parse_str(&text).map_err(wrong)
}
