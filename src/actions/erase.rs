//! Erasing events from the journals, for `doorward purge`.
//!
//! In: a journal's settings, and which events are to go. Out: their lines overwritten in place, in the file and those
//! rotated away from it, so that a doorward that goes on appending is not disturbed. What an event was is gone; that
//! there was one stays.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::journal::rotated;
use crate::config::JournalConfig;

/// What stands in place of an erased event, filled up with blanks.
const ERASED: &[u8] = b"{\"event\":\"erased\"}";

/// The files of a journal that are there.
pub fn files(config: &JournalConfig) -> Vec<PathBuf> {
    (0..=config.keep).map(|n| rotated(&config.path, n)).filter(|path| path.is_file()).collect()
}

/// Overwrites the lines whose events are `wanted`; gives their number. A line that is no event is wanted when `Null`
/// is.
pub fn erase(path: &Path, mut wanted: impl FnMut(&Value) -> bool) -> io::Result<usize> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut lines = BufReader::new(File::open(path)?);
    let (mut line, mut at, mut erased) = (Vec::new(), 0, 0);
    loop {
        line.clear();
        let length = lines.read_until(b'\n', &mut line)?;
        // A line without an end is being written.
        if length == 0 || line.pop() != Some(b'\n') {
            break;
        }
        let event: Value = serde_json::from_slice(&line).unwrap_or(Value::Null);
        if !line.is_empty() && event["event"] != "erased" && wanted(&event) {
            let mut blank = if line.len() < ERASED.len() { Vec::new() } else { ERASED.to_vec() };
            blank.resize(line.len(), b' ');
            file.write_all_at(&blank, at)?;
            erased += 1;
        }
        at += length as u64;
    }
    file.sync_all()?;
    Ok(erased)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_overwritten_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let keep = "{\"event\":\"recognition\",\"person\":{\"id\":\"bob\"}}\n";
        let go = "{\"event\":\"recognition\",\"person\":{\"id\":\"ann\",\"name\":\"Ann\"}}\n";
        std::fs::write(&path, [keep, go, "garbage\n", "\n", go, keep, "{\"unfinished"].concat()).unwrap();
        let length = std::fs::metadata(&path).unwrap().len();
        let is_ann = |event: &Value| event["person"]["id"] == "ann";
        assert_eq!(erase(&path, is_ann).unwrap(), 2);
        assert_eq!(erase(&path, is_ann).unwrap(), 0);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.len() as u64, length);
        assert_eq!((text.matches("bob").count(), text.to_lowercase().matches("ann").count()), (2, 0), "{text}");
        let lines: Vec<Option<Value>> = text.lines().map(|line| serde_json::from_str(line).ok()).collect();
        assert_eq!(lines.iter().flatten().filter(|event| event["event"] == "erased").count(), 2);
        assert_eq!(erase(&path, |_| true).unwrap(), 3, "garbage goes with everything");
        assert!(!std::fs::read_to_string(&path).unwrap().contains("garbage"));
    }
}
