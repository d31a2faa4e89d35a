//! Opening the outbox's file: alone, private, and whatever state it is in.
//!
//! In: the state directory. Out: a lock and a connection with the newest tables. A damaged file is put aside under
//! another name, never deleted.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use chrono::Utc;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::{OutboxError, storage};
use super::schema;

/// Below the state directory, for this user alone.
const DIRECTORY: &str = "outbox";
const DATABASE: &str = "outbox.sqlite";
const LOCK: &str = "lock";

/// Takes the lock and opens the database.
pub(super) fn open(state_dir: &Path) -> Result<(File, Connection), OutboxError> {
    let directory = state_dir.join(DIRECTORY);
    private_directory(&directory)?;
    let lock = lock(&directory.join(LOCK))?;
    let path = directory.join(DATABASE);
    let db = match connect(&path) {
        Ok(db) => db,
        Err(OutboxError::Corrupt { source, .. }) => {
            let aside = put_aside(&path)?;
            tracing::warn!(
                error = &source as &dyn std::error::Error,
                aside = %aside.display(),
                "the outbox was damaged and has been put aside; what was stored in it is not sent"
            );
            metrics::counter!("doorward_outbox_quarantined_total").increment(1);
            connect(&path)?
        }
        Err(error) => return Err(error),
    };
    Ok((lock, db))
}

/// Opens the database beside a running process, for reading.
pub(super) fn open_to_read(state_dir: &Path) -> Result<Connection, OutboxError> {
    let path = state_dir.join(DIRECTORY).join(DATABASE);
    if !path.exists() {
        return Err(OutboxError::Missing { path });
    }
    let failed = storage("open the history");
    // Reading beside a writer needs its shared memory file, which has to be written to.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(&path, flags).map_err(failed)?;
    db.pragma_update(None, "query_only", "ON").map_err(failed)?;
    db.busy_timeout(std::time::Duration::from_secs(5)).map_err(failed)?;
    Ok(db)
}

fn private_directory(path: &Path) -> Result<(), OutboxError> {
    let wrong = |operation| move |source| OutboxError::Directory { operation, path: path.into(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(wrong("make"))?;
    fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(wrong("make private"))
}

fn lock(path: &Path) -> Result<File, OutboxError> {
    let wrong = |operation| move |source| OutboxError::Directory { operation, path: path.into(), source };
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(path).map_err(wrong("open"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let holder = file.read_to_string(&mut holder).ok().and_then(|_| holder.trim().parse().ok());
            return Err(OutboxError::InUse { path: path.into(), holder });
        }
        Err(TryLockError::Error(source)) => return Err(wrong("lock")(source)),
    }
    // Only for the message above: a full disk must not keep us from starting.
    let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

fn connect(path: &Path) -> Result<Connection, OutboxError> {
    let wrong = |operation| move |source| OutboxError::Directory { operation, path: path.into(), source };
    // SQLite gives its other files the mode of this one.
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map_err(wrong("open"))?;
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(wrong("make private"))?;

    let failed = storage("open");
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).map_err(failed)?;
    schema::check_version(&db, path)?;
    schema::configure(&db).map_err(failed)?;
    let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if verdict != "ok" {
        let code = rusqlite::ffi::Error { code: ErrorCode::DatabaseCorrupt, extended_code: 11 };
        return Err(failed(rusqlite::Error::SqliteFailure(code, Some(verdict))));
    }
    schema::migrate(&mut db)?;
    Ok(db)
}

/// Renames the database and what belongs to it; they stay beside the new one for whoever wants to look.
fn put_aside(path: &Path) -> Result<PathBuf, OutboxError> {
    let stamp = Utc::now().format("%Y%m%dT%H%M%S%3fZ");
    let renamed = |suffix: &str| path.with_file_name(format!("{DATABASE}.damaged-{stamp}{suffix}"));
    for suffix in ["", "-wal", "-shm"] {
        let from = path.with_file_name(format!("{DATABASE}{suffix}"));
        match fs::rename(&from, renamed(suffix)) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(OutboxError::Directory { operation: "put aside", path: from, source });
            }
            _ => {}
        }
    }
    Ok(renamed(""))
}
