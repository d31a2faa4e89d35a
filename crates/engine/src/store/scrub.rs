//! What was deleted leaves the files, too.
//!
//! In: the connection that writes. Out: after a transaction that deleted or overwrote something of a person's, database
//! and write-ahead log without it: SQLite overwrites with zeros in the database (`secure_delete`), but the log keeps
//! every page as it was until it is written back and cut off. It does not know what was deleted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::hooks::Action;
use tracing::warn;

use super::{BUSY_WAIT, Writer};

/// Parts of a person's record that are written over when they change; everything else only comes and goes.
const CHANGED: [&str; 6] = ["aliases", "addresses", "notes", "entity_fields", "documents", "photos"];

/// The value of `PRAGMA auto_vacuum` for a file that shrinks when it is told to.
const INCREMENTAL: i32 = 2;

/// How long a reader of what was there before is waited for; everybody who writes waits meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was taken out and is in the files still.
pub struct Remains {
    /// Something was taken out since the files were last scrubbed.
    fresh: Arc<AtomicBool>,
    /// They were, and it did not work.
    left: bool,
}

impl Remains {
    /// Notices from now on what this connection deletes and writes over. An earlier run may have been killed over it.
    pub fn watch(connection: &mut Connection) -> rusqlite::Result<Self> {
        let remains = Self { fresh: Arc::new(AtomicBool::new(true)), left: false };
        let fresh = remains.fresh.clone();
        connection.update_hook(Some(move |action: Action, _: &str, table: &str, _| {
            let changes = action == Action::SQLITE_UPDATE && CHANGED.contains(&table);
            if changes || action == Action::SQLITE_DELETE {
                fresh.store(true, Ordering::Relaxed);
            }
        }))?;
        Ok(remains)
    }
}

impl Writer {
    /// Scrubs the files after a transaction that took something out.
    pub fn scrub(&mut self) {
        if self.remains.fresh.swap(false, Ordering::Relaxed) {
            self.scrub_now();
        }
    }

    /// Scrubs them where that did not work before: somebody read for long, or the disk was full.
    pub fn scrub_again(&mut self) {
        if self.remains.left {
            self.scrub_now();
        }
    }

    fn scrub_now(&mut self) {
        let reason = match scrub(&self.connection) {
            Ok(true) => None,
            Ok(false) => Some("somebody still reads what was there before".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        let before = std::mem::replace(&mut self.remains.left, reason.is_some());
        if let Some(reason) = reason.filter(|_| !before) {
            warn!("what was erased is still in the write-ahead log, trying again: {reason}");
        }
    }
}

/// Gives free pages back to the file system, writes the log back and cuts it to nothing; whether it could be.
fn scrub(connection: &Connection) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached("PRAGMA incremental_vacuum")?;
    let mut pages = statement.query([])?;
    while pages.next()?.is_some() {}
    connection.busy_timeout(PATIENCE)?;
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i32>(0));
    connection.busy_timeout(BUSY_WAIT)?;
    Ok(busy? == 0)
}

/// Makes a database of an earlier version one that can shrink: it is written anew, once.
pub fn shrinkable(connection: &Connection) -> rusqlite::Result<()> {
    let mode: i32 = connection.query_row("PRAGMA auto_vacuum", [], |row| row.get(0))?;
    if mode == INCREMENTAL {
        return Ok(());
    }
    // Not through memory: it is as large as the database.
    connection
        .execute_batch("PRAGMA temp_store = file; PRAGMA auto_vacuum = incremental; VACUUM; PRAGMA temp_store = memory")
}
