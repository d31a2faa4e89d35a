//! The pictures of a folder in the order a person would look at them.
//!
//! In: a folder, or one picture. Out: its pictures, decoded one by one, by name with the numbers in the names as
//! numbers. It knows nothing of time.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use super::{CaptureError, SkipReason, Skipped};
use crate::picture::{Picture, PictureError};

/// The file names of a folder's pictures, and which one comes next.
pub(super) struct Folder {
    files: Vec<PathBuf>,
    next: usize,
}

/// Endings of the formats that [`Picture::decode`] reads, in lower case.
const ENDINGS: [&str; 5] = ["jpg", "jpeg", "png", "webp", "bmp"];

impl Folder {
    /// Lists the pictures directly inside `path`; everything else there is passed over.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let unreadable = |source| CaptureError::Unreadable { path: path.into(), source };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.path();
            if is_picture(&file) && file.is_file() {
                files.push(file);
            }
        }
        if files.is_empty() {
            return Err(CaptureError::NoPictures { path: path.into() });
        }
        files.sort_by(|a, b| natural(&name(a), &name(b)));
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
        Some(Picture::read(file).map_err(|error| Skipped {
            reason: match error {
                PictureError::TooLarge { .. } => SkipReason::TooLarge,
                _ => SkipReason::Undecodable,
            },
            what: file.display().to_string(),
        }))
    }
}

/// Whether a file's name says that it is a picture.
pub(super) fn is_picture(file: &Path) -> bool {
    let ending = file.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Compares names letter by letter, but runs of digits by their value: `shot2` comes before `shot10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let order = match (number(left), number(right)) {
            (Some((one, left_rest)), Some((other, right_rest))) => {
                (left, right) = (left_rest, right_rest);
                // Of two numbers without leading zeros the one with more digits is larger, however many there are.
                one.len().cmp(&other.len()).then_with(|| one.cmp(other))
            }
            _ => {
                let (mut one, mut other) = (left.chars(), right.chars());
                let order = one.next().cmp(&other.next());
                if left.is_empty() && right.is_empty() {
                    // Names that differ only in leading zeros need an order too.
                    return a.cmp(b);
                }
                (left, right) = (one.as_str(), other.as_str());
                order
            }
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// The digits a text begins with, without leading zeros, and what follows them.
fn number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].trim_start_matches('0'), &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            "frame010.jpg",
            "frame10.jpg",
            "frame99999999999999999999998.jpg",
            "frame99999999999999999999999.jpg",
            "größe 2.jpg",
            "größe 11.jpg",
        ];
        let mut names = sorted;
        for shift in 0..names.len() {
            names.rotate_left(shift);
            names.sort_by(|a, b| natural(a, b));
            assert_eq!(names, sorted);
        }
    }
}
