//! Whatever is written as an address: it is taken or refused in words, and the password in it is shown by neither.
//!
//! The input is what stands before the user, and after a line what stands behind the password.

#![no_main]

use std::cell::OnceCell;

use doorward::config::{Surroundings, load_in};
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "q7ZsecretXw91";

thread_local! {
    static FILE: OnceCell<(tempfile::TempDir, std::path::PathBuf)> = const { OnceCell::new() };
}

fuzz_target!(|text: &str| {
    if text.contains(SECRET) {
        return;
    }
    let (before, behind) = text.split_once('\n').unwrap_or(("rtsp://", text));
    let address = format!("{before}door:{SECRET}@{behind}");
    FILE.with(|file| {
        let (_, file) = file.get_or_init(|| {
            let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
            let file = folder.path().join("doorward.toml");
            (folder, file)
        });
        let quoted: String = address.chars().map(|char| format!("\\U{:08x}", char as u32)).collect();
        let text = format!(
            "[identities]\nurl = \"{quoted}\"\nusername = \"u\"\npassword = \"p\"\n\
             [detectors.front]\ntime_zone = \"UTC\"\ncamera = {{ type = \"stream\", url = \"{quoted}\" }}\n\
             [mqtt]\nurl = \"{quoted}\"\n"
        );
        std::fs::write(file, text).unwrap();
        let told = match load_in(Some(file), &Surroundings { variables: [].into(), credentials: None }) {
            Ok(loaded) => format!("{:?} {}", loaded.warnings, loaded.to_text()),
            Err(errors) => format!("{errors} {errors:?}"),
        };
        assert!(!told.contains(SECRET), "a password is told: {told}");
    });
});
