//! The data folder: one SQLite database that holds everything, and the rules of using it.
//!
//! In: closures over a connection. Out: what they return, read from one consistent snapshot or written in one
//! transaction that is on disk (WAL, synchronous=FULL) before the caller goes on. Every call blocks; the files beside
//! this one hold the statements, one file per kind of record.

pub mod assign;
pub mod browse;
pub mod denials;
pub mod erase;
pub mod erasures;
pub mod faces;
pub mod groups;
pub mod meta;
pub mod people;
mod schema;
mod scrub;
mod statement;
mod stays;
pub mod tags;
pub mod usage;
pub mod users;

pub use statement::{Part, delete_part, guid};

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use identities::text;
use nix::fcntl::{Flock, FlockArg};
use parking_lot::Mutex;
use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use scrub::Remains;

use super::error::{EngineError, Refusal};

const DATABASE: &str = "engine.db";
const LOCK: &str = "engine.lock";

/// How long a statement waits for another process (`engine user add`) to finish its transaction.
const BUSY_WAIT: Duration = Duration::from_secs(10);

/// Statements that a connection keeps prepared: more than there are in these files.
const STATEMENTS: usize = 128;

/// An open data folder.
pub struct Store {
    database: PathBuf,
    /// The one connection that writes: SQLite has one writer at a time, and requests wait for this lock rather than in
    /// its busy handler. Within it the gallery may be locked, and `readers`.
    writer: Mutex<Writer>,
    /// Idle connections for reading; as many are opened as read at once, which the caller bounds. No other lock is
    /// taken while this one is held.
    readers: Mutex<Vec<Connection>>,
}

/// The connection that writes, and whether it has taken out something that the files still hold.
struct Writer {
    connection: Connection,
    remains: Remains,
}

/// The lock of a data folder, held by the one process that serves it.
pub struct FolderLock {
    _file: Flock<File>,
}

/// Why a closure over the database ended early: the request is refused, or a statement failed.
#[derive(derive_more::From)]
pub enum Stop {
    #[from(EngineError, Refusal)]
    Refused(Refusal),
    #[from]
    Sql(rusqlite::Error),
}

impl Store {
    /// Opens the folder, making it (for its owner alone) and its database where they are missing, and brings the
    /// database up to date. A folder of a newer version, or one with other things in it, is left as it is.
    pub fn open(folder: &Path) -> Result<Self, EngineError> {
        prepare_folder(folder)?;
        let database = folder.join(DATABASE);
        close_to_others(&database)?;
        let mut connection = connect(&database)?;
        schema::migrate(&mut connection, &database)?;
        let failed = |source| EngineError::Database { operation: "take what was erased out of the files", source };
        scrub::shrinkable(&connection).map_err(failed)?;
        let remains = Remains::watch(&mut connection).map_err(failed)?;
        let store = Self { database, writer: Mutex::new(Writer { connection, remains }), readers: Mutex::default() };
        store.writer.lock().scrub();
        Ok(store)
    }

    /// Makes sure that this process is the only one serving `folder`, until the lock is dropped.
    pub fn lock(folder: &Path) -> Result<FolderLock, EngineError> {
        let path = folder.join(LOCK);
        let failed = || EngineError::file("lock", &path);
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(failed())?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(FolderLock { _file: file }),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Err(EngineError::InUse { path: folder.to_owned() }),
            Err((_, errno)) => Err(failed()(errno.into())),
        }
    }

    /// Reads from one snapshot. `operation` completes "cannot …" should it fail.
    pub fn read<T>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&Connection) -> Result<T, Stop>,
    ) -> Result<T, Refusal> {
        let idle = self.readers.lock().pop();
        let mut connection = idle.map_or_else(|| connect(&self.database), Ok)?;
        let result = connection
            .transaction_with_behavior(TransactionBehavior::Deferred)
            .map_err(Stop::Sql)
            .and_then(|transaction| read(&transaction));
        // A connection that failed may be at fault itself: the next reader opens a new one.
        if !matches!(result, Err(Stop::Sql(_))) {
            self.readers.lock().push(connection);
        }
        result.map_err(|stop| stop.into_refusal(operation))
    }

    /// Writes in one transaction: all of it is on disk when this returns, or nothing of it ever was. `operation`
    /// completes "cannot …" should it fail.
    pub fn write<T>(
        &self,
        operation: &'static str,
        write: impl FnOnce(&Transaction) -> Result<T, Stop>,
    ) -> Result<T, Refusal> {
        self.write_then(operation, write, |result| result)
    }

    /// Like [`write`](Self::write); `then` runs after the commit and before the next writer, so that what is kept in
    /// memory follows the database in its order. What was deleted or overwritten is out of the files, too, when this
    /// returns.
    pub fn write_then<T, U>(
        &self,
        operation: &'static str,
        write: impl FnOnce(&Transaction) -> Result<T, Stop>,
        then: impl FnOnce(T) -> U,
    ) -> Result<U, Refusal> {
        let mut writer = self.writer.lock();
        let attempt = || {
            let transaction = writer.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = write(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        let done = attempt().map(then).map_err(|stop: Stop| stop.into_refusal(operation));
        writer.scrub();
        done
    }

    /// Where everything is.
    pub fn folder(&self) -> &Path {
        self.database.parent().unwrap_or(&self.database)
    }

    /// A number that is another one once another process has written; of one that reads it again and again.
    pub fn written_elsewhere(&self) -> Result<i64, Refusal> {
        let version = self.writer.lock().connection.query_row("PRAGMA data_version", [], |row| row.get(0));
        version.map_err(|source| Stop::Sql(source).into_refusal("see whether the database has changed"))
    }

    /// Takes what was deleted out of the files where an earlier attempt could not; [`write`](Self::write) does it by
    /// itself. Cheap when there is nothing to do.
    pub fn scrub_again(&self) {
        self.writer.lock().scrub_again();
    }
}

impl Stop {
    fn into_refusal(self, operation: &'static str) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Sql(source) => Refusal::Internal(EngineError::Database { operation, source }),
        }
    }
}

/// A moment as the database keeps it: milliseconds since 1970 in UTC.
pub fn millis(time: DateTime<Utc>) -> i64 {
    time.timestamp_millis()
}

/// A moment read back; what no calendar knows becomes 1970.
pub fn moment(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}

fn connect(database: &Path) -> Result<Connection, EngineError> {
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(database, flags)?;
        connection.busy_timeout(BUSY_WAIT)?;
        connection.execute_batch(
            "PRAGMA auto_vacuum = incremental; PRAGMA journal_mode = wal; PRAGMA synchronous = full; \
             PRAGMA foreign_keys = on; \
             PRAGMA secure_delete = on; PRAGMA temp_store = memory; PRAGMA trusted_schema = off;",
        )?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        add_folded(&connection)?;
        Ok(connection)
    };
    open().map_err(|source| EngineError::OpenDatabase { path: database.to_owned(), source })
}

/// Adds what SQL does not know of text, when two spellings are one word: [`folded(text)`](text::folded), which of NULL
/// is NULL. No index and no table definition may use it, so that the database can be read without it.
fn add_folded(connection: &Connection) -> Result<(), rusqlite::Error> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("folded", 1, flags, |context| {
        let text: Option<String> = context.get(0)?;
        Ok(text.as_deref().map(text::folded))
    })
}

/// Makes the database's file, if need be, and keeps everybody but its owner from it and its log, which SQLite gives the
/// same mode: a folder is opened to others sooner than one thinks.
fn close_to_others(database: &Path) -> Result<(), EngineError> {
    let failed = || EngineError::file("restrict access to", database);
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(database).map_err(failed())?;
    for ending in ["", "-wal", "-shm"] {
        let mut file = database.as_os_str().to_owned();
        file.push(ending);
        match fs::set_permissions(&file, Permissions::from_mode(0o600)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            done => done.map_err(failed())?,
        }
    }
    Ok(())
}

/// Makes the folder, or checks that it is ours, and closes it to everybody but its owner: faces are in it.
fn prepare_folder(folder: &Path) -> Result<(), EngineError> {
    let failed = |operation| EngineError::file(operation, folder);
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("make the data folder"))?;
    let entries = fs::read_dir(folder).map_err(failed("read the data folder"))?;
    let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    let ours = names.iter().any(|name| name == DATABASE || name == LOCK);
    if !names.is_empty() && !ours {
        return Err(EngineError::NotAFolderOfOurs { path: folder.to_owned() });
    }
    let mode = fs::metadata(folder).map_err(failed("read the data folder"))?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(folder, Permissions::from_mode(0o700))
            .map_err(failed("restrict access to the data folder"))?;
    }
    Ok(())
}
