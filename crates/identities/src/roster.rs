//! A roster: people and their photos as files in a folder, to take from one engine to another.
//!
//! `engine export` writes it and `identities import` reads it; both use these types and nothing else knows them. A part
//! of a record is written as the API writes it, so that nothing of it gets lost.
//!
//! ```text
//! ROSTER/
//!   tags.json                      a list of tag definitions; may be missing
//!   2c9f9a4e-6d0c-…/               one folder per person; its name matters only where person.json has no alias
//!     person.json                  [`PersonFile`]; may be missing
//!     7a1f0c52-….jpg               photos, first the best one; those that `photos` does not list are taken as well
//!     contract-2026-017.pdf        documents, which `documents` lists
//! ```

use std::path::{Component, Path};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::wire::{EntityField, PersonAddress, PersonAlias, PersonNote};

/// What is known of a person, in the person's folder.
pub const PERSON_FILE: &str = "person.json";
/// The tag definitions, in the roster's folder: a list of [`TagWrite`](crate::wire::TagWrite).
pub const TAGS_FILE: &str = "tags.json";
/// What this program writes; a file of a later version is refused.
pub const VERSION: u32 = 1;

/// `person.json`. Everything but the version may be left out; `null` lists are not allowed. Its `Debug`
/// shows how much there is: names and notes do not belong in logs.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, derive_more::Debug)]
#[debug("PersonFile({person_id:?}, {} photos, {} tags)", photos.len(), tags.len())]
#[serde(rename_all = "camelCase", default)]
pub struct PersonFile {
    pub version: u32,
    /// On the engine it came from; another engine, which knows nobody of that id, gives another.
    pub person_id: Option<String>,
    /// The first is the primary name.
    pub aliases: Vec<PersonAlias>,
    pub tags: Vec<CarriedTag>,
    pub notes: Vec<PersonNote>,
    pub addresses: Vec<PersonAddress>,
    pub entity_fields: Vec<EntityField>,
    pub photos: Vec<PhotoFile>,
    pub documents: Vec<DocumentFile>,
}

/// A tag a person carries, by name: ids differ from engine to engine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CarriedTag {
    pub name: String,
    /// `None`: it does not lapse.
    pub expires: Option<DateTime<Utc>>,
}

/// A photo beside `person.json`.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PhotoFile {
    /// A name within the person's folder.
    pub file: String,
    /// The photo reference id it was enrolled with, if any.
    pub reference: Option<String>,
}

/// A document beside `person.json`.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentFile {
    /// A name within the person's folder.
    pub file: String,
    pub public_id: String,
    /// The name that users are shown.
    pub name: String,
    pub description: Option<String>,
    pub media_type: Option<String>,
}

impl PersonFile {
    /// Why it cannot be used, if so: a later version, or a file outside the person's folder.
    pub fn flaw(&self) -> Option<String> {
        if self.version > VERSION {
            return Some(format!("it is of version {}; this program reads up to {VERSION}", self.version));
        }
        let files =
            self.photos.iter().map(|photo| &photo.file).chain(self.documents.iter().map(|document| &document.file));
        let strange = files.into_iter().find(|file| !is_within(file))?;
        Some(format!("`{strange}` is not the name of a file beside it"))
    }
}

/// Whether a name stays within its folder.
fn is_within(file: &str) -> bool {
    let mut parts = Path::new(file).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_goes_both_ways_and_may_leave_out_nearly_everything() {
        let text = concat!(
            r#"{"version":1,"personId":"2c9f","aliases":[{"personAliasId":"93b1","firstName":"Mara","#,
            r#""lastName":null,"middleName":null,"title":null}],"tags":[{"name":"VIP","#,
            r#""expires":"2026-05-01T09:30:00Z"},{"name":"Staff","expires":null}],"notes":[],"addresses":[],"#,
            r#""entityFields":[],"photos":[{"file":"7a1f.jpg","reference":"hr-42"}],"documents":[]}"#,
        );
        let person: PersonFile = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&person).unwrap(), text);
        assert_eq!(person.flaw(), None);
        assert!(!format!("{person:?}").contains("Mara"));
        assert_eq!(serde_json::from_str::<PersonFile>(r#"{"extra":1}"#).unwrap(), PersonFile::default());
    }

    #[test]
    fn what_leads_elsewhere_or_comes_from_the_future_is_refused() {
        let photo = |file: &str| PersonFile {
            photos: vec![PhotoFile { file: file.into(), reference: None }],
            ..PersonFile::default()
        };
        assert_eq!(photo("a b.jpg").flaw(), None);
        for file in ["", ".", "..", "../a.jpg", "/etc/passwd", "a/b.jpg", "a/../../b.jpg"] {
            assert!(photo(file).flaw().unwrap().contains("beside"), "{file}");
        }
        let later = PersonFile { version: VERSION + 1, ..PersonFile::default() };
        assert!(later.flaw().unwrap().contains("version 2"));
    }
}
