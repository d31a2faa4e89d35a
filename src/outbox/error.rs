//! What can go wrong with the outbox, told so that an operator knows what to do next.

use std::io::ErrorKind;
use std::path::PathBuf;

use rusqlite::ErrorCode;

/// Why the outbox could not be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    #[error("cannot {operation} {}; the state directory must belong to the user doorward runs as", path.display())]
    Directory {
        operation: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "another doorward{} is using {}; stop it, or give this one a state_dir of its own", Process(holder),
        path.display()
    )]
    InUse { path: PathBuf, holder: Option<u32> },
    #[error(
        "{} was written by a newer doorward (version {found} of its tables, this one knows {known}); update doorward, \
         or move the file away and lose what is in it", path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("{} was written by an older doorward; start this one once, so that it is brought up to date", path.display())]
    Older { path: PathBuf },
    #[error("{} does not exist: doorward has not run with this state_dir yet", path.display())]
    Missing { path: PathBuf },
    #[error("cannot start the outbox's thread")]
    Thread {
        #[source]
        source: std::io::Error,
    },
    #[error("the outbox has ended by a mistake in the program; the log has the place")]
    Ended,
    #[error("`outbox.key` is no key: {problem}")]
    BadKey { problem: &'static str },
    #[error("cannot {operation}: the disk is full")]
    DiskFull {
        operation: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    #[error("cannot {operation}: the disk is read-only")]
    ReadOnly {
        operation: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    #[error("cannot {operation}: the disk fails")]
    Disk {
        operation: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    #[error("cannot {operation}: another program is using the outbox")]
    Busy {
        operation: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    #[error("cannot {operation}: the outbox is damaged; it is put aside and a new one begun")]
    Corrupt {
        operation: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    #[error("cannot {operation} in the outbox")]
    Storage {
        operation: &'static str,
        #[source]
        source: rusqlite::Error,
    },
}

impl OutboxError {
    /// Whether it is the disk's fault, and may pass: then doorward goes on in memory. Everything else is somebody's
    /// mistake.
    pub fn is_disk(&self) -> bool {
        match self {
            Self::DiskFull { .. }
            | Self::ReadOnly { .. }
            | Self::Disk { .. }
            | Self::Busy { .. }
            | Self::Corrupt { .. } => true,
            Self::Directory { source, .. } => {
                let kinds = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::ReadOnlyFilesystem];
                kinds.contains(&source.kind()) || source.raw_os_error() == Some(nix::errno::Errno::EIO as i32)
            }
            _ => false,
        }
    }
}

/// Sorts a database failure by what it means for the operator.
pub(super) fn storage(operation: &'static str) -> impl Fn(rusqlite::Error) -> OutboxError + Copy {
    move |source| match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => OutboxError::DiskFull { operation, source },
        Some(ErrorCode::ReadOnly) => OutboxError::ReadOnly { operation, source },
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => OutboxError::Disk { operation, source },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OutboxError::Busy { operation, source },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => OutboxError::Corrupt { operation, source },
        _ => OutboxError::Storage { operation, source },
    }
}

/// The process that holds the lock, where it says so.
struct Process<'a>(&'a Option<u32>);

impl std::fmt::Display for Process<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |id| write!(f, " (process {id})"))
    }
}
