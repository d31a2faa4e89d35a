//! The test data beside the checkout, which not everybody has.
//!
//! In: a path below it. Out: the file, or nothing and a word about it. `DOORWARD_TEST_SHARED` names another folder, or
//! none when it is empty: every test has to pass without.

use std::path::{Path, PathBuf};

/// A file or folder of the shared test data; says so when it is missing.
pub fn shared(path: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").into_os_string();
    let folder = std::env::var_os("DOORWARD_TEST_SHARED").unwrap_or_else(beside);
    let found = (!folder.is_empty()).then(|| Path::new(&folder).join(path)).filter(|path| path.exists());
    if found.is_none() {
        eprintln!("shared test data is missing: {path}; what it shows was not checked");
    }
    found
}
