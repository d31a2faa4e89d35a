//! Where the key of the outbox comes from: the configuration, or a file made once.
//!
//! In: the configuration and the state directory. Out: 32 bytes. The file is on the disk before anything is sealed with
//! it; one that makes no sense is put aside and another made, so that what was sealed with the old one can be read
//! again when that comes back.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::{OutboxError, on_file};
use super::wipe;
use crate::config::OutboxConfig;

/// Beside the folder of the outbox, so that a copy of that does not take it along.
const FILE: &str = "outbox.key";

pub type Key = Zeroizing<[u8; 32]>;

/// The configured key, else the one in the state directory.
pub fn existing(state_dir: &Path, config: &OutboxConfig) -> Result<Option<Key>, OutboxError> {
    match config.key_bytes().map_err(|problem| OutboxError::BadKey { problem })? {
        Some(key) => Ok(Some(key)),
        None => read(&path(state_dir)),
    }
}

/// [`existing`], or a new one, with a word about what it is good for.
pub fn existing_or_new(state_dir: &Path, config: &OutboxConfig) -> Result<Key, OutboxError> {
    if let Some(key) = existing(state_dir, config)? {
        return Ok(key);
    }
    let path = path(state_dir);
    if path.exists() {
        let aside = path.with_file_name(format!("{FILE}.damaged-{}", chrono::Utc::now().format("%Y%m%dT%H%M%S%3fZ")));
        fs::rename(&path, &aside).map_err(on_file("put aside", &path))?;
        tracing::warn!(aside = %aside.display(), "the file with the outbox's key holds no key and was put aside");
    }
    let key = Key::new(rand::random());
    write(&path, &key).map_err(on_file("write", &path))?;
    tracing::warn!(
        file = %path.display(),
        "a key was made for what the outbox stores: it protects what leaves this machine without the file, not against \
         somebody who has the whole disk; `outbox.key` takes a credential instead"
    );
    Ok(key)
}

/// Where the key is when it was not configured.
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE)
}

/// `None` without the file, or when no key is in it.
fn read(path: &Path) -> Result<Option<Key>, OutboxError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(on_file("read", path))?,
    };
    let open_to_others = file.metadata().map_err(on_file("read", path))?.permissions().mode() & 0o077 != 0;
    if open_to_others {
        let closed = file.set_permissions(fs::Permissions::from_mode(0o600)).is_ok();
        tracing::warn!(file = %path.display(), closed, "others could read the outbox's key");
    }
    // With room for all that is read, so that no copy of it is left in memory.
    let mut text = Zeroizing::new(Vec::with_capacity(1 << 10));
    file.take(66).read_to_end(&mut text).map_err(on_file("read", path))?;
    let mut key = Key::default();
    Ok(hex::decode_to_slice(text.trim_ascii(), key.as_mut_slice()).is_ok().then_some(key))
}

/// On the disk when this returns, whole.
fn write(path: &Path, key: &Key) -> io::Result<()> {
    let unfinished = path.with_extension("key.new");
    let mut text = Zeroizing::new([0; 65]);
    hex::encode_to_slice(key.as_slice(), &mut text[..64]).map_err(io::Error::other)?;
    text[64] = b'\n';
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(text.as_slice())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    wipe::sync_folder_of(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let config = OutboxConfig::default();
        assert!(existing(dir.path(), &config).unwrap().is_none());
        let key = existing_or_new(dir.path(), &config).unwrap();
        assert_eq!(existing_or_new(dir.path(), &config).unwrap(), key);
        let mode = || fs::metadata(path(dir.path())).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        fs::set_permissions(path(dir.path()), fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!((existing_or_new(dir.path(), &config).unwrap(), mode()), (key.clone(), 0o600));

        let configured = OutboxConfig { key: Some("ab".repeat(32).into()), ..OutboxConfig::default() };
        assert_eq!(*existing_or_new(dir.path(), &configured).unwrap(), [0xab; 32]);
    }

    #[test]
    fn a_file_without_a_key_is_put_aside() {
        for text in ["", "not a key", &"0".repeat(63), &"0".repeat(65), &"0".repeat(1000)] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(path(dir.path()), text).unwrap();
            let key = existing_or_new(dir.path(), &OutboxConfig::default()).unwrap();
            assert_eq!(existing(dir.path(), &OutboxConfig::default()).unwrap(), Some(key), "{text}");
            let kept = fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path());
            assert!(kept.into_iter().any(|file| fs::read_to_string(file).unwrap() == text), "{text}");
        }
    }
}
