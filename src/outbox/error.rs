//! What can go wrong with the outbox, told so that an operator knows what to do next.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use derive_more::Display;
use rusqlite::ErrorCode;

/// Why the outbox could not be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    #[error("cannot {operation} {}; the state directory must belong to the user doorward runs as", path.display())]
    Directory { operation: &'static str, path: PathBuf, source: std::io::Error },
    #[error(
        "another doorward{} is using {}; stop it, or give this one a state_dir of its own",
        holder.map(|id| format!(" (process {id})")).unwrap_or_default(), path.display()
    )]
    InUse { path: PathBuf, holder: Option<u32> },
    #[error(
        "{} was written by a newer doorward (version {found} of its tables, this one knows {known}); update doorward, \
         or move the file away and lose what is in it", path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error(
        "{} was written by an older doorward; start this one once, so that it is brought up to date", path.display()
    )]
    Older { path: PathBuf },
    #[error("{} does not exist: doorward has not run with this state_dir yet", path.display())]
    Missing { path: PathBuf },
    #[error("cannot start the outbox's thread")]
    Thread { source: std::io::Error },
    #[error("the outbox has ended by a mistake in the program; the log has the place")]
    Ended,
    #[error("`outbox.key` is no key: {problem}")]
    BadKey { problem: &'static str },
    #[error("cannot {operation}{fault}")]
    Database { operation: &'static str, fault: Fault, source: rusqlite::Error },
}

/// What a failure of the database means for the operator.
#[derive(Debug, Display, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    #[display(": the disk is full")]
    Full,
    #[display(": the disk is read-only")]
    ReadOnly,
    #[display(": the disk fails")]
    Failing,
    #[display(": another program is using the outbox")]
    Busy,
    #[display(": the outbox is damaged; it is put aside and a new one begun")]
    Corrupt,
    /// A mistake of ours, or of somebody else who writes to the file.
    #[display(" in the outbox")]
    Mistake,
}

impl OutboxError {
    /// Whether it is the disk's fault, and may pass: then doorward goes on in memory. Everything else is somebody's
    /// mistake.
    pub fn is_disk(&self) -> bool {
        match self {
            Self::Database { fault, .. } => *fault != Fault::Mistake,
            Self::Directory { source, .. } => {
                let kinds = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::ReadOnlyFilesystem];
                kinds.contains(&source.kind()) || source.raw_os_error() == Some(nix::errno::Errno::EIO as i32)
            }
            _ => false,
        }
    }

    /// Whether what is read from the database may be wrong, too.
    pub fn spoils_reading(&self) -> bool {
        matches!(self, Self::Database { fault: Fault::Failing | Fault::Corrupt, .. })
    }
}

/// Sorts a database failure by what it means for the operator.
pub(super) fn storage(operation: &'static str) -> impl Fn(rusqlite::Error) -> OutboxError + Copy {
    move |source| {
        let fault = match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Fault::Full,
            Some(ErrorCode::ReadOnly) => Fault::ReadOnly,
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => Fault::Failing,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Fault::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Fault::Corrupt,
            _ => Fault::Mistake,
        };
        OutboxError::Database { operation, fault, source }
    }
}

/// What could not be done with a file or folder of the outbox.
pub(super) fn on_file(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> OutboxError {
    move |source| OutboxError::Directory { operation, path: path.into(), source }
}
