//! Everybody a data folder knows, as files in a folder: a [roster](identities::roster).
//!
//! In: a data folder, which an engine may be serving. Out: a new folder, there whole or not at all, readable by its
//! owner alone. Detections, users and settings stay behind: they belong to the site, not to the people.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use chrono::{DateTime, Utc};
use identities::roster::{self, CarriedTag, DocumentFile, PERSON_FILE, PersonFile, PhotoFile, TAGS_FILE};
use rusqlite::Connection;
use serde::Serialize;
use uuid::Uuid;

use super::error::EngineError;
use super::store::{Stop, Store, faces, people, tags};

/// How much was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    pub people: usize,
    pub photos: usize,
    pub documents: usize,
}

/// Writes the roster of a data folder into `target`, which must not exist yet or be empty. `each` is told how many
/// people there are, after every one of them. A tag whose time has come by `now` is not written.
pub fn export(data: &Path, target: &Path, now: DateTime<Utc>, each: &dyn Fn(usize)) -> Result<Exported, EngineError> {
    if !data.is_dir() {
        return Err(EngineError::NotAFolderOfOurs { path: data.to_owned() });
    }
    let store = Store::open(data)?;
    if fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(EngineError::ExportTarget { path: target.to_owned() });
    }
    // Beside the target, so that it can be put there in one step.
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let making = tempfile::Builder::new()
        .prefix(".roster-")
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(parent)
        .map_err(EngineError::file("write a folder in", parent))?;
    let exported = write_all(&store, making.path(), now, each)?;
    // An empty folder gives way.
    fs::rename(making.path(), target).map_err(EngineError::file("put the export at", target))?;
    // There is nothing left of it to remove.
    let _ = making.keep();
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(EngineError::file("put the export at", target))?;
    Ok(exported)
}

fn write_all(store: &Store, folder: &Path, now: DateTime<Utc>, each: &dyn Fn(usize)) -> Result<Exported, EngineError> {
    write_json(&folder.join(TAGS_FILE), &store.read("list tags", tags::definitions)?)?;
    let ids = store.read("list people", people::all)?;
    let mut exported = Exported::default();
    for id in &ids {
        let write = |connection: &Connection| write_person(connection, *id, folder, now, &mut exported);
        if store.read("read a person for the export", write)? {
            each(ids.len());
        }
    }
    Ok(exported)
}

/// Writes everything about a person, from one snapshot; false for one who was removed since they were listed.
fn write_person(
    connection: &Connection,
    id: Uuid,
    folder: &Path,
    now: DateTime<Utc>,
    exported: &mut Exported,
) -> Result<bool, Stop> {
    if !people::exists(connection, id)? {
        return Ok(false);
    }
    let folder = folder.join(id.to_string());
    DirBuilder::new().mode(0o700).create(&folder).map_err(EngineError::file("make", &folder))?;
    let known = people::read(connection, id, now)?;
    let mut record = PersonFile {
        version: roster::VERSION,
        person_id: Some(known.person_id),
        aliases: known.aliases,
        notes: known.notes,
        addresses: known.addresses,
        entity_fields: known.entity_fields,
        ..PersonFile::default()
    };
    for tag in known.tags {
        let name = tag.name().unwrap_or_default().to_owned();
        record.tags.push(CarriedTag { name, expires: tag.expires });
    }
    for photo in faces::photos_of(connection, id)? {
        let file = format!("{}.jpg", photo.face);
        write(&folder.join(&file), &faces::photo(connection, &photo.face)?.unwrap_or_default())?;
        record.photos.push(PhotoFile { file, reference: photo.reference });
    }
    for (n, document) in people::documents(connection, id)?.into_iter().enumerate() {
        let ending = document.file_name.as_deref().map(ending).unwrap_or_default();
        let file = format!("document-{}{ending}", n + 1);
        let content = people::document(connection, id, &document.public_id)?.map(|found| found.bytes);
        write(&folder.join(&file), &content.unwrap_or_default())?;
        record.documents.push(DocumentFile {
            file,
            public_id: document.public_id,
            name: document.name,
            description: document.description,
            media_type: document.media_type,
        });
    }
    write_json(&folder.join(PERSON_FILE), &record)?;
    exported.people += 1;
    exported.photos += record.photos.len();
    exported.documents += record.documents.len();
    Ok(true)
}

/// `.pdf` of a name somebody else has chosen; nothing where that is not plainly an ending.
fn ending(file_name: &str) -> String {
    let ending = file_name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    let plain = (1..=8).contains(&ending.len()) && ending.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if plain { format!(".{ending}") } else { String::new() }
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), EngineError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| EngineError::file("write", path)(error.into()))?;
    write(path, format!("{text}\n").as_bytes())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    let write = || {
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(EngineError::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        Store::open(&folder.path().join("engine")).unwrap();
        folder
    }

    #[test]
    fn an_export_is_whole_new_and_closed_to_others() {
        let folder = empty();
        let (data, target) = (folder.path().join("engine"), folder.path().join("out"));
        assert_eq!(export(&data, &target, Utc::now(), &|_| {}).unwrap(), Exported::default());
        assert_eq!(fs::read_to_string(target.join(TAGS_FILE)).unwrap(), "[]\n");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o700);
        // What is there is never mixed with what was there.
        assert!(matches!(export(&data, &target, Utc::now(), &|_| {}), Err(EngineError::ExportTarget { .. })));
        fs::remove_file(target.join(TAGS_FILE)).unwrap();
        export(&data, &target, Utc::now(), &|_| {}).unwrap();
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "nothing half done is left: {names:?}");
        let nothing = folder.path().join("nothing");
        assert!(export(&nothing, &target, Utc::now(), &|_| {}).is_err() && !nothing.exists());
    }

    #[test]
    fn endings_are_taken_only_where_they_are_plain() {
        for (name, expected) in
            [("a.PDF", ".pdf"), ("a.tar.gz", ".gz"), ("a", ""), ("a.", ""), ("a./../b", ""), ("a.b c", ""), ("", "")]
        {
            assert_eq!(ending(name), expected, "{name}");
        }
    }
}
