//! `type = "journal"`: one JSON line per event.

use std::path::PathBuf;

use serde::Deserialize;

use crate::config::validate::ActionChecker;

/// `type = "journal"`: one JSON line per event.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalConfig {
    pub path: PathBuf,
    /// The file is rotated at this size.
    #[serde(default = "default::max_bytes")]
    pub max_bytes: u64,
    /// Rotated files kept.
    #[serde(default = "default::keep")]
    pub keep: u32,
}

impl JournalConfig {
    /// Rotated at the default size.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), max_bytes: default::max_bytes(), keep: default::keep() }
    }

    pub(super) fn check(&self, checker: &mut ActionChecker<'_, '_>) {
        if self.path.as_os_str().is_empty() {
            checker.wrong(&["path"], "it must name a file");
        }
        checker.range("max_bytes", self.max_bytes, 4096..=1 << 44);
        checker.range("keep", self.keep, 0..=1000);
    }
}

mod default {
    pub fn max_bytes() -> u64 {
        10 << 20
    }
    pub fn keep() -> u32 {
        5
    }
}
