//! How much of the disk each account has filled with what may grow without end: what its doors saw, and documents.
//!
//! In: nothing; triggers of the schema keep the sums whoever writes. Out: sums of bytes.

use rusqlite::Connection;

use super::Stop;
use super::statement::{first, from_row, value};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Photos of the history.
    Seen,
    Documents,
}

/// The account that holds most of a kind.
pub struct Fullest {
    pub account: String,
    pub bytes: u64,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Documents => "documents",
        }
    }
}

/// What an account holds, in bytes.
pub fn of(connection: &Connection, kind: Kind, account: &str) -> Result<u64, Stop> {
    let query = "SELECT coalesce(sum(bytes), 0) FROM usage WHERE kind = ? AND account = ?";
    value(connection, query, (kind.name(), account)).map(i64::unsigned_abs)
}

/// What all accounts hold, in bytes.
pub fn of_all(connection: &Connection, kind: Kind) -> Result<u64, Stop> {
    value(connection, "SELECT coalesce(sum(bytes), 0) FROM usage WHERE kind = ?", [kind.name()]).map(i64::unsigned_abs)
}

pub fn fullest(connection: &Connection, kind: Kind) -> Result<Option<Fullest>, Stop> {
    let query = "SELECT account, bytes FROM usage WHERE kind = ? AND bytes > 0 ORDER BY bytes DESC LIMIT 1";
    first(connection, query, [kind.name()], from_row!(Fullest { account; bytes: i64::unsigned_abs }))
}
