//! Erasing files, and looking whether anything of what was erased is still there.
//!
//! In: a file, or a list of marks of what was erased and the folders to search. Out: the file is gone, overwritten
//! first; the files in which a mark is still found. It cannot reach what the file system or the disk keep of their own
//! accord: copies made by a copying file system, blocks an SSD has put out of service.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Overwrites a file with zeros, forces that to the disk, and removes it. A file that is not there is erased.
pub fn file(path: &Path) -> io::Result<()> {
    if zero(path)?.is_some() {
        fs::remove_file(path)?;
        sync_folder_of(path)?;
    }
    Ok(())
}

/// Overwrites a file that somebody appends to, and leaves it empty.
pub fn blank(path: &Path) -> io::Result<()> {
    match zero(path)? {
        Some(file) => file.set_len(0).and_then(|()| file.sync_all()),
        None => Ok(()),
    }
}

/// The folder a file or folder stands in is on the disk: otherwise power lost now brings a removed one back, or takes
/// the name of a new one along.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// Overwrites a file with zeros, on the disk when this returns; `None` for one that is not there.
fn zero(path: &Path) -> io::Result<Option<File>> {
    let mut file = match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    io::copy(&mut io::repeat(0).take(file.metadata()?.len()), &mut file)?;
    file.sync_all().map(|()| Some(file))
}

/// Looks for marks: what was erased, or its end where that is long.
pub struct Search {
    /// By their last sixteen bytes. Ids of different things may end alike, so the whole of a mark must be there.
    marks: HashMap<u128, BTreeSet<Vec<u8>>>,
    /// By the lowest bits of a mark, so that nearly every place in a file costs one look into a small table.
    likely: Vec<u64>,
}

/// What a search went through, and what it found.
#[derive(Debug, Default)]
pub struct Searched {
    pub files: usize,
    pub bytes: u64,
    /// Files with a mark in them.
    pub found: Vec<PathBuf>,
    /// Files that could not be read, and why.
    pub unread: Vec<(PathBuf, io::Error)>,
}

/// No mark is shorter.
const MARK: usize = 16;
/// An id written in letters has 36.
const LONGEST: usize = 48;
const LIKELY_BITS: u32 = 22;

impl Default for Search {
    fn default() -> Self {
        Self { marks: HashMap::new(), likely: vec![0; (1 << LIKELY_BITS) / 64] }
    }
}

impl Search {
    /// Takes this as a mark, or its end. Fewer than sixteen bytes are none.
    pub fn add(&mut self, erased: &[u8]) {
        if let Some(end) = erased.last_chunk::<MARK>() {
            let end = u128::from_be_bytes(*end);
            // Blank bytes are everywhere.
            if end != 0 {
                let (at, bit) = place(end);
                self.likely[at] |= bit;
                let whole = &erased[erased.len().saturating_sub(LONGEST)..];
                self.marks.entry(end).or_default().insert(whole.to_vec());
            }
        }
    }

    pub fn len(&self) -> usize {
        self.marks.values().map(BTreeSet::len).sum()
    }

    /// Searches every file below `path`, which may be one itself.
    pub fn below(&self, path: &Path, searched: &mut Searched) {
        let Ok(about) = path.symlink_metadata() else { return };
        if about.is_dir() {
            let mut entries: Vec<_> = match fs::read_dir(path) {
                Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
                Err(error) => return searched.unread.push((path.into(), error)),
            };
            entries.sort();
            entries.iter().for_each(|entry| self.below(entry, searched));
        } else if about.is_file() {
            match File::open(path).and_then(|file| self.finds(file, &mut searched.bytes)) {
                Ok(true) => searched.found.push(path.into()),
                Ok(false) => {}
                Err(error) => searched.unread.push((path.into(), error)),
            }
            searched.files += 1;
        }
    }

    fn finds(&self, mut file: impl Read, bytes: &mut u64) -> io::Result<bool> {
        let mut window = 0;
        // The end of the piece before stands in front of each piece, for a mark that lies across.
        let mut buffer = vec![0; LONGEST + (256 << 10)];
        let (mut before, mut found) = (0, false);
        loop {
            let read = file.read(&mut buffer[before..])?;
            if read == 0 {
                return Ok(found);
            }
            *bytes += read as u64;
            let end = before + read;
            for last in before..end {
                window = window << 8 | u128::from(buffer[last]);
                let (at, bit) = place(window);
                if self.likely[at] & bit != 0
                    && let Some(wholes) = self.marks.get(&window)
                {
                    found |= wholes.iter().any(|whole| buffer[..=last].ends_with(whole));
                }
            }
            before = end.min(LONGEST);
            buffer.copy_within(end - before..end, 0);
        }
    }
}

fn place(mark: u128) -> (usize, u64) {
    let low = (mark as usize) & ((1 << LIKELY_BITS) - 1);
    (low / 64, 1 << (low % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_wherever_it_stands() {
        let dir = tempfile::tempdir().unwrap();
        let mark = b"0123456789abcdef";
        let mut search = Search::default();
        search.add(b"too short");
        search.add(&[0; 40]);
        search.add(b"0123456789abcdef");
        assert_eq!(search.len(), 1);
        for (n, (before, text, found)) in [
            (0, &mark[..], true),
            (1, mark, true),
            ((256 << 10) - 7, mark, true),
            (3, &mark[..15], false),
            (3, b"", false),
        ]
        .into_iter()
        .enumerate()
        {
            let path = dir.path().join(format!("deep{n}/er"));
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("file"), [&vec![b'x'; before], text, b"yyy"].concat()).unwrap();
            let mut searched = Searched::default();
            search.below(&path, &mut searched);
            assert_eq!((searched.files, searched.found.len()), (1, usize::from(found)), "{before}");
            assert_eq!(searched.bytes, (before + text.len() + 3) as u64);
        }
        let mut searched = Searched::default();
        search.below(dir.path(), &mut searched);
        assert_eq!((searched.files, searched.found.len()), (5, 3));
    }

    /// Ids of one maker may differ in their beginnings alone.
    #[test]
    fn another_id_that_ends_alike_is_not_what_was_erased() {
        let dir = tempfile::tempdir().unwrap();
        let (erased, kept) = ("01990000-aaaa-7000-8000-000000000001", "01990000-bbbb-7000-8000-000000000001");
        let mut search = Search::default();
        search.add(erased.as_bytes());
        for (text, found) in [(kept, 0), (erased, 1)] {
            // Across the end of the piece that is read at once, too.
            for before in [0, 5, (256 << 10) - 20] {
                fs::write(dir.path().join("file"), [&vec![b'x'; before], text.as_bytes(), b"y"].concat()).unwrap();
                let mut searched = Searched::default();
                search.below(dir.path(), &mut searched);
                assert_eq!(searched.found.len(), found, "{text} after {before}");
            }
        }
    }

    #[test]
    fn a_wiped_file_is_gone_and_was_blank() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&path, vec![7; 200_000]).unwrap();
        fs::hard_link(&path, &link).unwrap();
        file(&path).unwrap();
        assert!(!path.exists() && fs::read(&link).unwrap() == vec![0; 200_000]);
        file(&path).unwrap();
    }
}
