//! What is to be imported: people, the photos that were found of them, and what is wrong with them.
//!
//! In: files and names, as folders and sheets have them. Out: the types of a [`Plan`], and what both kinds of source
//! share: which files are pictures, and how a name is read. It reads no photo.

use std::path::{Path, PathBuf};

use faces::picture::Looks;
use identities::roster::PersonFile;
use identities::text;
use identities::wire::{PersonAlias, TagWrite};

use super::super::photo;
use super::super::tree::{Tree, TreeError};

/// Everything there is to do, and what cannot be done.
pub struct Plan {
    /// Where the files of it are: nothing else is opened.
    pub tree: Tree,
    pub people: Vec<Planned>,
    /// Definitions that came along.
    pub tags: Vec<TagWrite>,
    pub flaws: Vec<Flaw>,
    /// Photos that a person has twice: they go in once, which is no flaw.
    pub repeated: Vec<Flaw>,
    /// What whoever imports should know of the source.
    pub notes: Vec<String>,
}

/// One person.
#[derive(Default)]
pub struct Planned {
    /// What the source calls them: the folder's name, or the key or row of the CSV file.
    pub key: String,
    /// Somebody the engine knows already.
    pub person_id: Option<String>,
    pub record: PersonFile,
    pub photos: Vec<Photo>,
    /// Where the documents of the record are.
    pub folder: PathBuf,
}

/// A photo that was found; whether it is one is known once it has been read.
#[derive(Clone, Default)]
pub struct Photo {
    pub file: PathBuf,
    /// By which the engine knows it: what the source says, else made from the content once that is read.
    pub reference: String,
    /// The SHA-256 of the file; empty before it is read.
    pub content: String,
}

/// Why something of the source is not imported.
pub struct Flaw {
    pub person: String,
    pub photo: Option<PathBuf>,
    pub reason: String,
}

impl Plan {
    /// Of a folder nothing is known of yet.
    pub fn of(tree: Tree) -> Self {
        let (people, tags, flaws, repeated, notes) = Default::default();
        Self { tree, people, tags, flaws, repeated, notes }
    }
}

/// What pictures are called, taken or not: a file of such a name is told of if it is none.
const PICTURES: [&str; 12] =
    ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "heic", "heif", "avif", "tif", "tiff"];

/// The pictures in a folder, or the one that a file is.
pub fn pictures(tree: &Tree, path: &Path) -> Result<Vec<PathBuf>, TreeError> {
    if !tree.is_folder(path) {
        return Ok(vec![path.to_owned()]);
    }
    Ok(tree.entries(path)?.into_iter().filter(|path| !tree.is_folder(path) && is_picture(tree, path)).collect())
}

/// A name as people write it: `Ada Lovelace`, `Ada_Lovelace`, `Lovelace, Ada`, `Ada`.
pub fn alias(name: &str) -> Option<PersonAlias> {
    let name = name.replace('_', " ");
    let part = |part: &str| Some(text::tidy(part)).filter(|part| !part.is_empty());
    let (first, last) = match name.split_once(',') {
        Some((last, first)) => (first, last),
        None => name.trim().rsplit_once(char::is_whitespace).unwrap_or((&name, "")),
    };
    let alias = PersonAlias { first_name: part(first), last_name: part(last), ..PersonAlias::default() };
    (alias != PersonAlias::default()).then_some(alias)
}

pub fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Whether a file is a picture by its content, which counts, or is called one: then it is told what is wrong with it.
/// What cannot be opened may be one.
pub fn is_picture(tree: &Tree, path: &Path) -> bool {
    let looks = tree.file(path).ok().and_then(|file| photo::looks(file).ok());
    if !matches!(looks, Some(Looks::NoPicture)) {
        return true;
    }
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| PICTURES.contains(&ending.as_str()))
}
