//! Passwords as commands are given them: in a file, or at the prompt; never as an argument.
//!
//! In: a file, `-` for standard input, or what to ask. Out: the password. Nothing is kept.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, stdin};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, bail};
use secrecy::SecretString;

use crate::terminal::complain;

/// Bytes of a password file that are looked at. Nobody's password is longer, and a wrong file may be endless.
const LONGEST_PASSWORD: u64 = 64 << 10;

/// The first line of a file, or of standard input for `-`.
pub fn from_file(file: &Path) -> anyhow::Result<SecretString> {
    let failed = || format!("cannot read the password file {}", file.display());
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        BufReader::new(stdin().take(LONGEST_PASSWORD)).read_until(b'\n', &mut bytes)
    } else {
        warn_if_open(file);
        File::open(file).and_then(|file| file.take(LONGEST_PASSWORD).read_to_end(&mut bytes))
    };
    let text = read.and_then(|_| identities::text_file::from(&bytes)).with_context(failed)?;
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() {
        bail!("the first line of the password file {} is empty; it must be the password", file.display());
    }
    Ok(password.into())
}

/// What somebody types at the prompt.
pub fn ask(prompt: &str) -> anyhow::Result<SecretString> {
    let password = rpassword::prompt_password(format!("{prompt}: "));
    Ok(password.context("cannot ask for the password here; give --password-file")?.into())
}

/// A warning and no refusal: the secrets of containers are readable by everybody inside.
fn warn_if_open(file: &Path) {
    let open = std::fs::metadata(file).is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o004 != 0);
    if open {
        complain(&format!("doorward: everyone on this machine can read {}; make its mode 0400", file.display()));
    }
}
