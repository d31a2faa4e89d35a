//! `type = "journal"`: one JSON line per event.

use std::path::PathBuf;

use super::{CommonOfActions, Nature};
use crate::config::reading::At;
use crate::config::section::section;

section! {
    /// `type = "journal"`: one JSON line per event.
    pub struct JournalConfig: new(path: impl Into<PathBuf>), checked by check_journal {
        pub path: PathBuf;
        /// The file is rotated at this size.
        pub max_bytes: u64 = 10 << 20, in 4_096..=1 << 44;
        /// Rotated files kept.
        pub keep: u32 = 5, in 0..=1_000;
    }
}

impl CommonOfActions for JournalConfig {
    fn nature(&self) -> Nature<'_> {
        // A file and its rotation are one writer's.
        Nature { concurrency: 1, only_records: true, ..Nature::default() }
    }
}

fn check_journal(journal: &JournalConfig, at: &At<'_>) {
    at.wrong_if(journal.path.as_os_str().is_empty(), &["path"], "it must name a file");
}
