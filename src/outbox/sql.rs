//! Asking a database: one statement, every row of a query, several statements as one.
//!
//! In: SQL and its parameters. Out: rows. Statements are prepared once for each connection. It knows no table.

use rusqlite::types::{FromSql, Type};
use rusqlite::{Connection, Error, OptionalExtension, Params, Row, Transaction};
use serde::de::DeserializeOwned;

/// Everything the work does happens, or nothing of it.
pub fn transaction<T>(
    db: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let tx = db.transaction()?;
    let done = work(&tx)?;
    tx.commit().map(|()| done)
}

/// Runs one statement; gives the number of rows it has changed.
pub fn execute(db: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
    db.prepare_cached(sql)?.execute(params)
}

/// Every row of a query.
pub fn rows<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    db.prepare_cached(sql)?.query_map(params, read)?.collect()
}

/// Every row of a query whose one column is a JSON object.
pub fn records<T: DeserializeOwned>(db: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<Vec<T>> {
    rows(db, sql, params, |row| {
        let record = serde_json::from_str(row.get_ref(0)?.as_str()?);
        record.map_err(|error| Error::FromSqlConversionFailure(0, Type::Text, error.into()))
    })
}

/// The first column of a query's first row; `None` when it finds none.
pub fn value<T: FromSql>(db: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<Option<T>> {
    db.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()
}
