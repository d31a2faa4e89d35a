//! `type = "snapshot"`: an address that gives one picture at a time.

use std::path::PathBuf;

use identities::trust::KeyPin;
use secrecy::{ExposeSecret, SecretString};

use crate::config::address;
use crate::config::reading::At;
use crate::config::section::section;

section! {
    /// `type = "snapshot"`: a camera of the network that gives one JPEG when it is asked.
    pub struct SnapshotConfig: new(url: impl Into<SecretString>), checked by check_snapshot {
        /// It may hold a user name and password, and then never shows up in a log.
        pub url: SecretString;
        /// Pictures asked for per second; fewer come where the camera takes longer for one.
        pub fps: f64 = 2.0, in 0.1..=30.0;
        /// PEM certificates of the authorities to trust instead of the system's.
        pub ca_file: Option<PathBuf> = None;
        /// The camera's public keys to trust; with pins alone a certificate of its own is fine.
        pub pin_sha256: Vec<KeyPin> = Vec::new();
        /// No picture for this long is a fault.
        pub stall_ms: u64 = 5_000, in 500..=600_000;
        /// So many degrees clockwise each frame is turned, for a camera that hangs on its side or upside down.
        pub rotate: u32 = 0, in 0..=270;
    }
}

fn check_snapshot(snapshot: &SnapshotConfig, at: &At<'_>) {
    match address::parse(snapshot.url.expose_secret()) {
        Err(problem) => at.wrong(&["url"], problem),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            at.wrong(&["url"], "it must begin with `http://` or `https://`");
        }
        Ok(url) => {
            if let Some(doubt) = address::doubt(&url) {
                at.unwise(&["url"], doubt);
            }
            let trusted = snapshot.ca_file.is_some() || !snapshot.pin_sha256.is_empty();
            at.wrong_if(
                trusted && url.scheme() == "http",
                &["url"],
                "certificates are checked where it begins with `https://` alone; leave out `ca_file` and `pin_sha256`",
            );
        }
    }
    let gap_ms = 1000.0 / snapshot.fps;
    let help = "it is not longer than the time from one picture to the next at `fps`";
    at.wrong_if(snapshot.stall_ms as f64 <= gap_ms, &["stall_ms"], help);
}
