//! How much an engine may keep, and when its disk is too full to take in more.
//!
//! In: the bounds an operator sets, and the folder. Out: whether there is room for more, or what to do where there is
//! none. What was seen is never refused for its size: the oldest goes
//! ([`housekeeping`](crate::housekeeping)).

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;
use parking_lot::Mutex;
use rusqlite::Connection;

use crate::error::{EngineError, Refusal};
use crate::store::Stop;
use crate::store::usage::{self, Kind};

/// How much is kept, in bytes. One account holds half of each at most: what a stolen password fills is not all there
/// is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepLimits {
    /// Photos of the history; the oldest go.
    pub seen: u64,
    /// Documents; more are refused.
    pub documents: u64,
    /// What stays free of the disk: with less, nothing more is taken in.
    pub free: u64,
}

impl Default for KeepLimits {
    fn default() -> Self {
        Self { seen: 10_000_000_000, documents: 2_000_000_000, free: 500_000_000 }
    }
}

/// The free space of the disk that holds a folder, looked at once a second.
#[derive(Default)]
pub struct Disk {
    /// Nothing waits under this lock, and no other is held with it.
    looked: Mutex<Option<(Instant, u64)>>,
}

/// How long a look is good for: in that time a few pictures are taken in.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl KeepLimits {
    /// Refuses a document of this size where there is no room for it.
    pub fn check_document(&self, connection: &Connection, account: &str, size: u64) -> Result<(), Stop> {
        let (own, all) =
            (usage::of(connection, Kind::Documents, account)?, usage::of_all(connection, Kind::Documents)?);
        let megabytes = |bytes: u64| bytes / 1_000_000;
        if own + size > self.documents / 2 {
            let (own, most) = (megabytes(own), megabytes(self.documents / 2));
            let full = format!(
                "{account} has uploaded documents of {own} MB, and may of {most} MB; delete some, or give the engine \
                 more with --keep-documents-mb"
            );
            return Err(Refusal::NoRoom(full).into());
        }
        if all + size > self.documents {
            let (all, most) = (megabytes(all), megabytes(self.documents));
            let full = format!(
                "the engine holds documents of {all} MB, and may of {most} MB; delete some, or give it more with \
                 --keep-documents-mb"
            );
            return Err(Refusal::NoRoom(full).into());
        }
        Ok(())
    }
}

impl Disk {
    /// Refuses to take in more while there is less than `keep` free where `folder` is.
    pub fn check(&self, folder: &Path, keep: u64) -> Result<(), Refusal> {
        let free = self.free(folder)?;
        if free >= keep {
            return Ok(());
        }
        metrics::counter!("doorward_engine_refused_for_room_total").increment(1);
        let [free, keep] = [free, keep].map(|bytes| bytes / 1_000_000);
        Err(Refusal::NoRoom(format!(
            "the engine's disk has {free} MB left, of which {keep} MB stay free; make room on it, or let the engine \
             fill it further with --keep-free-mb"
        )))
    }

    fn free(&self, folder: &Path) -> Result<u64, Refusal> {
        let mut looked = self.looked.lock();
        if let Some((at, free)) = *looked
            && at.elapsed() < LOOK_AGAIN
        {
            return Ok(free);
        }
        let found =
            statvfs(folder).map_err(|errno| EngineError::file("look at the free space of", folder)(errno.into()))?;
        // The types differ between systems.
        #[allow(clippy::unnecessary_cast)]
        let free = found.blocks_available() as u64 * found.fragment_size() as u64;
        *looked = Some((Instant::now(), free));
        Ok(free)
    }
}
