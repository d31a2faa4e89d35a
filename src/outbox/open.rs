//! Opening the outbox's file: alone and private, or beside a running process to read it.
//!
//! In: the state directory. Out: a lock, and a database with the newest tables, looked at as closely as was asked for.
//! It does not know what is in them, nor what to do about a file that is damaged.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::{OutboxError, on_file, storage};
use super::{schema, wipe};

/// Below the state directory, for this user alone.
const DIRECTORY: &str = "outbox";
const DATABASE: &str = "outbox.sqlite";
const LOCK: &str = "lock";

/// How closely a database is looked at before it is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Not at all: it has just been made.
    Trust,
    /// Every page of it: what a start can afford.
    Pages,
    /// Indexes against tables, too: it has given wrong data.
    Everything,
}

/// Where the outbox is below a state directory.
pub fn directory(state_dir: &Path) -> PathBuf {
    state_dir.join(DIRECTORY)
}

/// Its database.
pub fn database(state_dir: &Path) -> PathBuf {
    directory(state_dir).join(DATABASE)
}

/// Makes the directory and takes the lock.
pub fn take_lock(state_dir: &Path) -> Result<File, OutboxError> {
    private_directory(&directory(state_dir))?;
    lock(&directory(state_dir).join(LOCK))
}

/// Writes the write-ahead log of a database nobody has open once more, as it is: a system that failed to write it to
/// the disk may take it for written, and would never try again.
pub fn rewrite_log(state_dir: &Path) -> Result<(), OutboxError> {
    let path = directory(state_dir).join(format!("{DATABASE}-wal"));
    let rewrite = || -> io::Result<()> {
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        let mut piece = vec![0; 256 << 10];
        let mut at = 0;
        loop {
            match file.read_at(&mut piece, at)? {
                0 => return file.sync_all(),
                read => {
                    file.write_all_at(&piece[..read], at)?;
                    at += read as u64;
                }
            }
        }
    };
    rewrite().map_err(on_file("write", &path))
}

/// Opens the database beside a running process, for reading.
pub fn open_to_read(state_dir: &Path) -> Result<Connection, OutboxError> {
    let db = open_beside(state_dir)?;
    db.pragma_update(None, "query_only", "ON").map_err(storage("open the history"))?;
    Ok(db)
}

/// Opens the database beside a running process.
pub fn open_beside(state_dir: &Path) -> Result<Connection, OutboxError> {
    let path = database(state_dir);
    if !path.exists() {
        return Err(OutboxError::Missing { path });
    }
    let failed = storage("open the history");
    // Reading beside a writer needs its shared memory file, which has to be written to.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(&path, flags).map_err(failed)?;
    schema::check_version(&db, &path)?;
    db.busy_timeout(std::time::Duration::from_secs(5)).map_err(failed)?;
    Ok(db)
}

fn private_directory(path: &Path) -> Result<(), OutboxError> {
    if fs::metadata(path).is_ok_and(|about| about.is_dir() && about.permissions().mode() & 0o777 == 0o700) {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(on_file("make", path))?;
    fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(on_file("make private", path))?;
    wipe::sync_folder_of(path).map_err(on_file("make", path))
}

fn lock(path: &Path) -> Result<File, OutboxError> {
    let mut options = OpenOptions::new();
    let opened = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let mut file = match opened {
        // A lock can be taken on a disk that has become read-only, too.
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => File::open(path).map_err(|_| error),
        opened => opened,
    }
    .map_err(on_file("open", path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let holder = file.read_to_string(&mut holder).ok().and_then(|_| holder.trim().parse().ok());
            return Err(OutboxError::InUse { path: path.into(), holder });
        }
        Err(TryLockError::Error(source)) => return Err(on_file("lock", path)(source)),
    }
    // Only for the message above: a full disk must not keep us from starting.
    let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

pub fn connect(path: &Path, look: Look) -> Result<Connection, OutboxError> {
    // SQLite gives its other files the mode of this one.
    let is_new = !path.exists();
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(on_file("open", path))?;
    if is_new {
        wipe::sync_folder_of(path).map_err(on_file("make", path))?;
    }
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(on_file("make private", path))?;

    let failed = storage("open the outbox");
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).map_err(failed)?;
    schema::check_version(&db, path)?;
    schema::configure(&db).map_err(failed)?;
    let check = match look {
        Look::Trust => None,
        Look::Pages => Some("PRAGMA quick_check(1)"),
        Look::Everything => Some("PRAGMA integrity_check(1)"),
    };
    if let Some(check) = check {
        let verdict: String = db.query_row(check, [], |row| row.get(0)).map_err(failed)?;
        if verdict != "ok" {
            let code = rusqlite::ffi::Error { code: ErrorCode::DatabaseCorrupt, extended_code: 11 };
            return Err(failed(rusqlite::Error::SqliteFailure(code, Some(verdict))));
        }
    }
    schema::migrate(&mut db).map_err(storage("prepare the tables"))?;
    Ok(db)
}
