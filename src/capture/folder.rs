//! The pictures of a folder in the order a person would look at them.
//!
//! In: a folder, or one picture. Out: its pictures, decoded one by one, by name with the numbers in the names as
//! numbers. It knows nothing of time.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use faces::picture::{Looks, Picture, looks_like};

use super::{CaptureError, SkipReason, Skipped};

/// The file names of a folder's pictures, and which one comes next.
pub(super) struct Folder {
    files: Vec<PathBuf>,
    next: usize,
}

/// Endings of pictures, in lower case: a file called so is told of when it is none.
const ENDINGS: [&str; 7] = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp"];

impl Folder {
    /// Lists the pictures directly inside `path`; everything else there is passed over.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let unreadable = |source| CaptureError::Unreadable { path: path.into(), source };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.path();
            if file.is_file() && is_picture(&file) {
                files.push(file);
            }
        }
        if files.is_empty() {
            return Err(CaptureError::NoPictures { path: path.into() });
        }
        alphanumeric_sort::sort_path_slice(&mut files);
        Ok(Self { files, next: 0 })
    }

    /// One picture, as a folder of its own.
    pub fn of_one(file: &Path) -> Self {
        Self { files: vec![file.into()], next: 0 }
    }

    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Decodes the next picture; `None` after the last.
    pub fn read(&mut self) -> Option<Result<Picture, Skipped>> {
        let file = self.files.get(self.next)?;
        self.next += 1;
        let skipped = |error| Skipped { reason: SkipReason::of(&error), what: file.display().to_string() };
        Some(Picture::read(file).map_err(skipped))
    }
}

/// Whether a file is a picture by its content, or is called one.
pub(super) fn is_picture(file: &Path) -> bool {
    let ending = file.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    if ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) {
        return true;
    }
    let mut beginning = Vec::new();
    let read = File::open(file).and_then(|file| file.take(64).read_to_end(&mut beginning));
    read.is_ok() && matches!(looks_like(&beginning), Looks::Taken(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_known_by_their_content() {
        let dir = tempfile::tempdir().unwrap();
        let picture = Picture::filled(8, 8, [1, 2, 3]).jpeg(90).unwrap();
        for (name, bytes) in [("1.jfif", &picture[..]), ("2.txt", &picture), ("3", &picture), ("notes", b"BMW, silver")]
        {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        std::fs::write(dir.path().join("4.jpg"), &picture[..picture.len() / 2]).unwrap();
        let mut folder = Folder::open(dir.path()).unwrap();
        let read: Vec<_> =
            std::iter::from_fn(|| folder.read()).map(|read| read.map_err(|skipped| skipped.reason)).collect();
        assert_eq!(read.iter().filter(|read| read.is_ok()).count(), 3);
        assert_eq!(read[3].as_ref().err(), Some(&SkipReason::CutShort));
        assert_eq!(read.len(), 4);
    }

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let sorted = [
            "1.jpg",
            "2.jpg",
            "10.jpg",
            "a.jpg",
            "frame.jpg",
            "frame1.jpg",
            "frame2b1.jpg",
            "frame2b10.jpg",
            "frame9.jpg",
            "frame10.jpg",
            "frame010.jpg",
            "frame99999999999999999999998.jpg",
            "frame99999999999999999999999.jpg",
            "größe 2.jpg",
            "größe 11.jpg",
        ];
        let mut names = sorted;
        for shift in 0..names.len() {
            names.rotate_left(shift);
            alphanumeric_sort::sort_path_slice(&mut names);
            assert_eq!(names, sorted);
        }
    }
}
