//! The disk while it works, while it does not, and on its way back.
//!
//! In: failures, and the passing of time. Out: the store, when there is one that can be written to. It decides when the
//! disk is tried again and whether its file must be opened anew; what happens meanwhile is memory's.
//!
//! ```text
//! working --failure--▶ failing --pause over--▶ opened anew, what was missed is written --▶ working
//!                         ▲                                   │
//!                         └---------- failure, a longer pause ┘
//! ```

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;

use super::error::{Fault, OutboxError, storage};
use super::open::Look;
use super::seal::Sealer;
use super::store::Store;
use super::{key, ledger, open, quarantine};
use crate::config::OutboxConfig;
use crate::terminal::with_causes;

/// Between two tries to write to a failing disk, at first and at most.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

pub struct Disk {
    pub state_dir: PathBuf,
    pub config: OutboxConfig,
    /// Held as long as the outbox lives; the system lets go of it however the process ends.
    lock: Option<File>,
    /// See [`working`](Self::working) and [`readable`](Self::readable); whoever takes this writes to find out.
    pub store: Option<Store>,
    failing: Option<Failing>,
    /// Whether this life of the process has seen the file: what was claimed in it before was in an earlier one.
    seen: bool,
}

struct Failing {
    problem: String,
    again: Instant,
    pause: Duration,
    /// What is read may be wrong, too.
    unreadable: bool,
}

impl Disk {
    pub fn new(state_dir: PathBuf, config: OutboxConfig) -> Self {
        Self { state_dir, config, lock: None, store: None, failing: None, seen: false }
    }

    /// Opens the file; gives true for one this process has not read: the first, or one that was begun for a damaged
    /// one.
    pub fn open(&mut self, look: Look) -> Result<bool, OutboxError> {
        if self.lock.is_none() {
            self.lock = Some(open::take_lock(&self.state_dir)?);
        }
        let before = self.store.as_ref().map(file_of);
        if self.is_unreadable() {
            open::rewrite_log(&self.state_dir)?;
        }
        let store = open_store(&self.state_dir, &self.config, look)?;
        if !self.seen {
            ledger::interrupt(&store.db).map_err(storage("look for interrupted actions"))?;
        }
        let new = !self.seen || before != Some(file_of(&store));
        self.store = Some(store);
        self.seen = true;
        if let Some(failing) = &mut self.failing {
            failing.unreadable = false;
        }
        Ok(new)
    }

    /// The store, while it takes what it is given.
    pub fn working(&mut self) -> Option<&mut Store> {
        if self.failing.is_some() { None } else { self.store.as_mut() }
    }

    /// The store as long as what is read from it can be believed, whether it can be written to or not.
    pub fn readable(&self) -> Option<&Store> {
        if self.is_unreadable() { None } else { self.store.as_ref() }
    }

    /// It failed; gives true the first time.
    pub fn failed(&mut self, error: &OutboxError, now: Instant) -> bool {
        let before = self.failing.take();
        let pause = before.as_ref().map_or(PAUSE, |failing| (failing.pause * 2).min(LONGEST_PAUSE));
        let unreadable = error.spoils_reading() || before.as_ref().is_some_and(|failing| failing.unreadable);
        self.failing = Some(Failing { problem: with_causes(error), again: now + pause, pause, unreadable });
        before.is_none()
    }

    /// Whether it is time to try again.
    pub fn is_due(&self, now: Instant) -> bool {
        self.failing.as_ref().is_some_and(|failing| now >= failing.again)
    }

    /// Whether the file must be opened anew before it is written to, and if so how closely it is looked at.
    pub fn needs_opening(&self) -> Option<Look> {
        match (self.is_unreadable(), self.store.is_none()) {
            (true, _) if self.seen => Some(Look::Everything),
            (true, _) | (_, true) => Some(Look::Pages),
            (false, false) => None,
        }
    }

    /// Lets go of a connection that gives wrong data.
    pub fn close(&mut self) {
        if let Some(store) = self.store.take() {
            // It must not be copied from on the way out.
            let _ = store.db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
    }

    /// It works again.
    pub fn recovered(&mut self) {
        self.failing = None;
    }

    pub fn problem(&self) -> Option<&str> {
        self.failing.as_ref().map(|failing| failing.problem.as_str())
    }

    fn is_unreadable(&self) -> bool {
        self.failing.as_ref().is_some_and(|failing| failing.unreadable)
    }
}

/// Opens the database, which the lock must be held for. A damaged file is put aside under another name, and what can
/// still be read of it is taken over.
fn open_store(state_dir: &Path, config: &OutboxConfig, look: Look) -> Result<Store, OutboxError> {
    let path = open::database(state_dir);
    let key = key::existing_or_new(state_dir, config)?;
    let sealer = Arc::new(Sealer::new(&key));
    let db = match open::connect(&path, look) {
        Ok(db) => db,
        Err(OutboxError::Database { fault: Fault::Corrupt, source, .. }) => {
            let aside = quarantine::put_aside(&path)?;
            let mut db = open::connect(&path, Look::Trust)?;
            let saved = quarantine::salvage(&aside, &mut db, &sealer)?;
            tracing::warn!(
                error = &source as &dyn std::error::Error,
                aside = %aside.display(),
                saved,
                "the outbox was damaged and has been put aside; sightings that could still be read have been taken over"
            );
            db
        }
        Err(error) => return Err(error),
    };
    Ok(Store { db, sealer, config: config.clone() })
}

/// Which file a connection has open, as the file system counts: a file put aside keeps its number, the new one has
/// another.
fn file_of(store: &Store) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let about = std::fs::metadata(store.db.path()?).ok()?;
    Some((about.dev(), about.ino()))
}
