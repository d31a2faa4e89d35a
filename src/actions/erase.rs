//! Erasing events from the journals, for `doorward purge`.
//!
//! In: a journal's settings, and which events are to go. Out: their lines overwritten in place, in the file and those
//! rotated away from it, so that a doorward that goes on appending is not disturbed. What an event was, or a part of
//! it, is gone; that there was one stays.

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

/// What becomes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Stays,
    /// It stays as it has been changed, which made it no longer.
    Changed,
    Goes,
}

/// Overwrites lines as `judge` says of their events, which it may change; gives the number of lines overwritten. A line
/// that is no event goes when `Null` does.
pub fn erase(path: &Path, mut judge: impl FnMut(&mut Value) -> Fate) -> io::Result<usize> {
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
        let mut event: Value = serde_json::from_slice(&line).unwrap_or(Value::Null);
        let is_there = !line.is_empty() && event["event"] != "erased";
        let fate = if is_there { judge(&mut event) } else { Fate::Stays };
        if fate != Fate::Stays {
            let changed = Some(event.to_string().into_bytes()).filter(|_| fate == Fate::Changed);
            let instead = [changed, Some(ERASED.to_vec())].into_iter().flatten().find(|new| new.len() <= line.len());
            let mut blank = instead.unwrap_or_default();
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
        let is_ann = |event: &mut Value| if event["person"]["id"] == "ann" { Fate::Goes } else { Fate::Stays };
        assert_eq!(erase(&path, is_ann).unwrap(), 2);
        assert_eq!(erase(&path, is_ann).unwrap(), 0);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.len() as u64, length);
        assert_eq!((text.matches("bob").count(), text.to_lowercase().matches("ann").count()), (2, 0), "{text}");
        let lines: Vec<Option<Value>> = text.lines().map(|line| serde_json::from_str(line).ok()).collect();
        assert_eq!(lines.iter().flatten().filter(|event| event["event"] == "erased").count(), 2);
        assert_eq!(erase(&path, |_| Fate::Goes).unwrap(), 3, "garbage goes with everything");
        assert!(!std::fs::read_to_string(&path).unwrap().contains("garbage"));
    }

    #[test]
    fn a_part_of_an_event_is_erased_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let line = "{\"event\":\"recognition\",\"nearest\":{\"id\":\"ann\",\"name\":\"Ann\"},\"visit\":\"v\"}\n";
        // Written so tersely that what is left of it would take more room.
        let terse = "{\"nearest\":\"ann\",\"n\":1e5}\n";
        std::fs::write(&path, [line, terse].concat()).unwrap();
        let forget = |event: &mut Value| match event.get_mut("nearest") {
            Some(nearest) if !nearest.is_null() => {
                *nearest = Value::Null;
                Fate::Changed
            }
            _ => Fate::Stays,
        };
        assert_eq!(erase(&path, forget).unwrap(), 2);
        assert_eq!(erase(&path, forget).unwrap(), 0);
        let text = std::fs::read_to_string(&path).unwrap();
        let left: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(left[0], serde_json::json!({"event": "recognition", "nearest": null, "visit": "v"}));
        assert!(text.len() == line.len() + terse.len() && !text.to_lowercase().contains("ann"), "{text}");
    }
}
