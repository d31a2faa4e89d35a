//! Whatever lies in a folder that somebody else has prepared: it is taken in or told, and nothing from outside of it.
//!
//! The input is entries, told apart by a line `---`. The first line of each is its path, or `path -> target` of a link;
//! what follows is what is in the file. Where there is a `people.csv`, that is read; else the folder is.

#![no_main]

use std::cell::OnceCell;
use std::path::{Component, Path};

use doorward::commands::identities::fuzzing::read;
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

/// What stands outside of the folder. An input that spells it out shows nothing.
const OUTSIDE: &str = "q7ZoutsideXw91";
/// Beside the folder: what would be taken for a record, for a photo by its content, and for a document.
const BESIDE: [&str; 3] = ["person.json", "0.jpg", "secret.txt"];
const MOST_ENTRIES: usize = 16;

thread_local! {
    static TOP: OnceCell<tempfile::TempDir> = const { OnceCell::new() };
}

fuzz_target!(|data: &[u8]| {
    if data.windows(OUTSIDE.len()).any(|piece| piece == OUTSIDE.as_bytes()) {
        return;
    }
    TOP.with(|top| {
        let top = top.get_or_init(prepared).path();
        let folder = top.join("in");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap();
        for entry in entries(data).take(MOST_ENTRIES) {
            let _ = put(&folder, entry);
        }
        let list = folder.join("people.csv");
        let read = read(if list.exists() { &list } else { &folder });
        assert!(!read.said.contains(OUTSIDE), "what is outside is told: {}", read.said);
        for file in read.files {
            let found = file.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert!(found.starts_with(folder.canonicalize().unwrap()), "{} is outside", found.display());
        }
        let outside: Vec<String> = BESIDE.iter().map(|name| hex::encode(Sha256::digest(content(name)))).collect();
        assert!(read.contents.iter().all(|photo| !outside.contains(photo)), "a photo from outside");
    });
});

fn prepared() -> tempfile::TempDir {
    let top = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    for name in BESIDE {
        std::fs::write(top.path().join(name), content(name)).unwrap();
    }
    top
}

fn content(name: &str) -> Vec<u8> {
    match name {
        "person.json" => format!(r#"{{"aliases":[{{"firstName":"{OUTSIDE}"}}]}}"#).into_bytes(),
        "0.jpg" => [b"\xff\xd8\xff\xe0".as_slice(), OUTSIDE.as_bytes(), b"\xff\xd9"].concat(),
        _ => OUTSIDE.into(),
    }
}

fn entries(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    const BETWEEN: &[u8] = b"\n---\n";
    std::iter::from_fn(move || {
        if data.is_empty() {
            return None;
        }
        let end = data.windows(BETWEEN.len()).position(|piece| piece == BETWEEN);
        let (entry, rest) = end.map_or((data, &[][..]), |at| (&data[..at], &data[at + BETWEEN.len()..]));
        data = rest;
        Some(entry)
    })
}

/// Puts an entry into the folder, and never outside of it.
fn put(folder: &Path, entry: &[u8]) -> Option<()> {
    let line = entry.iter().position(|byte| *byte == b'\n').unwrap_or(entry.len());
    let content = entry.get(line + 1..).unwrap_or_default();
    let line = str::from_utf8(&entry[..line]).ok()?;
    let (path, target) = line.split_once(" -> ").map_or((line, None), |(path, target)| (path, Some(target)));
    let path = Path::new(path);
    if path.components().any(|part| !matches!(part, Component::Normal(_))) {
        return None;
    }
    let path = folder.join(path);
    // A link of an entry before must not lead out of the folder here.
    let is_link = |place: &Path| place.symlink_metadata().is_ok_and(|about| about.is_symlink());
    if path.exists() || path.ancestors().take_while(|place| *place != folder).any(is_link) {
        return None;
    }
    std::fs::create_dir_all(path.parent()?).ok()?;
    match target {
        Some(target) => std::os::unix::fs::symlink(target, path).ok(),
        None => std::fs::write(path, content).ok(),
    }
}
