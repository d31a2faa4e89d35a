//! For the fuzz target alone: what an import makes of a folder, without an engine.
//!
//! In: a folder, or a CSV file in one. Out: what it would take from where, and everything it says.

use std::path::{Path, PathBuf};

use super::plan;
use crate::commands::doors::Doors;

/// What an import would send, and what it told of it.
#[derive(Default)]
pub struct Read {
    /// Photos and documents.
    pub files: Vec<PathBuf>,
    /// The SHA-256 of each photo, in hexadecimal digits.
    pub contents: Vec<String>,
    /// Names, records, and what is wrong with them.
    pub said: String,
}

pub fn read(source: &Path) -> Read {
    let plan = match plan::read(source, &Doors::default(), &|| {}) {
        Ok(plan) => plan,
        Err(error) => return Read { said: format!("{error:#}"), ..Read::default() },
    };
    let mut read = Read { said: plan.notes.join("\n"), ..Read::default() };
    let mut say = |said: &str| {
        read.said.push('\n');
        read.said.push_str(said);
    };
    for person in &plan.people {
        say(&person.key);
        say(&serde_json::to_string(&person.record).unwrap_or_default());
        read.files.extend(person.photos.iter().map(|photo| photo.file.clone()));
        read.files.extend(person.record.documents.iter().map(|document| person.folder.join(&document.file)));
        read.contents.extend(person.photos.iter().map(|photo| photo.content.clone()));
    }
    plan.tags.iter().for_each(|tag| say(&format!("{tag:?}")));
    plan.flaws.iter().chain(&plan.repeated).for_each(|flaw| say(&flaw.reason));
    read
}
