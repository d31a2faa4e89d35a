//! People in a folder with a folder for each, as operators lay them out and `doorward engine export` writes them.
//!
//! In: the folder. Out: a [`Plan`] of photos not read yet; a person whose `person.json` cannot be used is a flaw, and
//! the others go on.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use identities::roster::{PERSON_FILE, PersonFile, PhotoFile, TAGS_FILE};
use serde::de::DeserializeOwned;

use super::super::tree::{self, Tree, TreeError};
use super::source::{Flaw, Photo, Plan, Planned, alias, is_picture, name_of};

/// A `person.json` or `tags.json` larger than this is none.
const MAX_JSON: u64 = 16 << 20;

/// Everybody in a folder with a folder for each.
pub fn read(folder: &Path) -> anyhow::Result<Plan> {
    let mut source = Plan::of(Tree::open(folder)?);
    let tree = source.tree.clone();
    source.tags = json(&tree, &folder.join(TAGS_FILE))?.unwrap_or_default();
    if tree.file(&folder.join(PERSON_FILE)).is_ok() {
        bail!("{} is the folder of one person; name the folder around it", folder.display());
    }
    for path in tree.entries(folder)? {
        let key = name_of(&path);
        if tree.is_folder(&path) {
            match person(&tree, &path, &key) {
                Ok(person) => source.people.push(person),
                Err(error) => {
                    source.flaws.push(Flaw { person: key, photo: None, reason: format!("{error:#}") });
                }
            }
        } else if let Err(error) = tree.file(&path) {
            // It may be somebody's folder.
            let reason = format!("{:#}", anyhow::Error::from(error));
            source.flaws.push(Flaw { person: key, photo: Some(path), reason });
        } else if is_picture(&tree, &path) {
            let reason = "it is in nobody's folder; put it into one that is named after the person".to_owned();
            source.flaws.push(Flaw { person: String::new(), photo: Some(path), reason });
        }
    }
    Ok(source)
}

fn person(tree: &Tree, folder: &Path, key: &str) -> anyhow::Result<Planned> {
    let file = folder.join(PERSON_FILE);
    let mut record: PersonFile = json(tree, &file)?.unwrap_or_default();
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
    for path in tree.entries(folder)? {
        let known = photos.iter().any(|photo| photo.file == path) || is_document(&path);
        if !known && !tree.is_folder(&path) && is_picture(tree, &path) {
            photos.push(Photo { file: path, ..Photo::default() });
        }
    }
    Ok(Planned { key: key.into(), person_id: None, record, photos, folder: folder.into() })
}

/// What a file says; `None` when there is none.
fn json<T: DeserializeOwned>(tree: &Tree, file: &Path) -> anyhow::Result<Option<T>> {
    let open = match tree.file(file) {
        Err(TreeError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(None),
        open => open?,
    };
    let failed = || format!("cannot read {}", file.display());
    let bytes = tree::read(open, MAX_JSON).with_context(failed)?;
    ensure!(bytes.len() as u64 <= MAX_JSON, "{} is too large to be what it is called", file.display());
    let text = identities::text_file::from(&bytes).with_context(failed)?;
    let mut json = serde_json::Deserializer::from_str(&text);
    let read = serde_path_to_error::deserialize(&mut json);
    read.map(Some).with_context(|| format!("{} cannot be read", file.display()))
}
