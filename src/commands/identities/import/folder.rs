//! People in a folder with a folder for each, as operators lay them out and `doorward engine export` writes them.
//!
//! In: the folder. Out: a [`Plan`] of photos not read yet; a person whose `person.json` cannot be used is a flaw, and
//! the others go on.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use identities::roster::{PERSON_FILE, PersonFile, PhotoFile, TAGS_FILE};
use serde::de::DeserializeOwned;

use super::source::{Flaw, Photo, Plan, Planned, alias, entries, is_picture, name_of};

/// A `person.json` or `tags.json` larger than this is none.
const MAX_JSON: u64 = 16 << 20;

/// Everybody in a folder with a folder for each.
pub fn read(folder: &Path) -> anyhow::Result<Plan> {
    let mut source = Plan::default();
    let tags = folder.join(TAGS_FILE);
    if tags.is_file() {
        source.tags = json(&tags)?;
    }
    if folder.join(PERSON_FILE).is_file() {
        bail!("{} is the folder of one person; name the folder around it", folder.display());
    }
    for path in entries(folder)? {
        let key = name_of(&path);
        if path.is_dir() {
            match person(&path, &key) {
                Ok(person) => source.people.push(person),
                Err(error) => {
                    source.flaws.push(Flaw { person: key, photo: None, reason: format!("{error:#}") });
                }
            }
        } else if is_picture(&path) {
            let reason = "it is in nobody's folder; put it into one that is named after the person".to_owned();
            source.flaws.push(Flaw { person: String::new(), photo: Some(path), reason });
        }
    }
    Ok(source)
}

fn person(folder: &Path, key: &str) -> anyhow::Result<Planned> {
    let file = folder.join(PERSON_FILE);
    let mut record: PersonFile = if file.is_file() { json(&file)? } else { PersonFile::default() };
    if let Some(flaw) = record.flaw() {
        bail!("{} cannot be used: {flaw}", file.display());
    }
    if record.aliases.is_empty() && key.parse::<uuid::Uuid>().is_err() {
        record.aliases.extend(alias(key));
    }
    let mut photos = Vec::new();
    for PhotoFile { file, reference } in &record.photos {
        let reference = reference.clone().unwrap_or_default();
        photos.push(Photo { file: folder.join(file), reference, ..Photo::default() });
    }
    let is_document = |path: &Path| record.documents.iter().any(|document| folder.join(&document.file) == path);
    for path in entries(folder)? {
        let known = photos.iter().any(|photo| photo.file == path) || is_document(&path);
        if !known && path.is_file() && is_picture(&path) {
            photos.push(Photo { file: path, ..Photo::default() });
        }
    }
    Ok(Planned { key: key.into(), person_id: None, record, photos, folder: folder.into() })
}

fn json<T: DeserializeOwned>(file: &Path) -> anyhow::Result<T> {
    let size = std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.len();
    ensure!(size <= MAX_JSON, "{} is too large to be what it is called", file.display());
    let text = identities::text_file::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut json = serde_json::Deserializer::from_str(&text);
    serde_path_to_error::deserialize(&mut json).with_context(|| format!("{} cannot be read", file.display()))
}
