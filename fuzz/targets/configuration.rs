//! Whatever stands in the configuration's files: it is read, or every mistake is told, and no secret with it.
//!
//! The input is `doorward.toml`; after a line `---` follows a detector's file.

#![no_main]

use std::cell::OnceCell;

use doorward::config::{Surroundings, load_in};
use libfuzzer_sys::fuzz_target;

/// What `${SECRET}` stands for. An input that spells it out, as the fuzzer learns from what is compared, shows nothing.
const SECRET: &str = "q7ZsecretXw91";

thread_local! {
    static FOLDER: OnceCell<tempfile::TempDir> = const { OnceCell::new() };
}

fuzz_target!(|text: &str| {
    if text.contains(SECRET) {
        return;
    }
    let (main, detector) = text.split_once("\n---\n").unwrap_or((text, ""));
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| {
            let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
            std::fs::create_dir(folder.path().join("detectors")).unwrap();
            folder
        });
        let file = folder.path().join("doorward.toml");
        let detector_file = folder.path().join("detectors/front.toml");
        std::fs::write(&file, main).unwrap();
        if detector.is_empty() {
            let _ = std::fs::remove_file(&detector_file);
        } else {
            std::fs::write(&detector_file, detector).unwrap();
        }
        let variables = [("SECRET".to_owned(), SECRET.to_owned())].into();
        let told = match load_in(Some(&file), &Surroundings { variables, credentials: None }) {
            Ok(loaded) => {
                let password = loaded.settings.identities.as_ref().map(|identities| &identities.password);
                format!("{:?} {} {password:?}", loaded.warnings, loaded.to_text())
            }
            Err(errors) => {
                assert!(!errors.mistakes.is_empty());
                format!("{errors} {errors:?}")
            }
        };
        assert!(!told.contains(SECRET), "a secret is told: {told}");
    });
});
