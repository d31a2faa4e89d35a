//! What is to be imported: people, each with photos and a record, before any engine is asked.
//!
//! In: a folder with a folder per person, or a CSV file. Out: a [`Plan`], in which every photo can be read, is a
//! picture, and shows up once; and a flaw for each that does not. It sends nothing.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use identities::roster::PersonFile;
use identities::text;
use sha2::{Digest, Sha256};

use super::super::photo;
use super::super::tree::Tree;
use super::source::{Flaw, Photo, Plan, Planned};
use super::{folder, sheet};
use crate::commands::doors::Doors;

/// Reads a source; `photo_read` is called after every photo.
pub fn read(source: &Path, doors: &Doors, photo_read: &dyn Fn()) -> anyhow::Result<Plan> {
    let about = std::fs::metadata(source).with_context(|| format!("cannot read {}", source.display()))?;
    let mut plan = if about.is_dir() { folder::read(source)? } else { sheet::read(source, doors)? };
    for person in &mut plan.people {
        look_at_photos(person, &plan.tree, &mut plan.flaws, photo_read);
        look_at_documents(person, &plan.tree, &mut plan.flaws);
        tidy(&mut person.record);
    }
    set_aside_repeated_photos(&mut plan);
    let unable = plan.people.extract_if(.., |person| person.photos.is_empty() && person.person_id.is_none());
    for person in unable {
        if plan.flaws.iter().all(|flaw| flaw.person != person.key) {
            plan.flaws.push(Flaw { person: person.key, photo: None, reason: "there is no photo of them".into() });
        }
    }
    if plan.people.is_empty() && plan.flaws.is_empty() {
        bail!("{} holds nobody: one folder per person is needed, with photos in it", source.display());
    }
    Ok(plan)
}

/// Names, tags and fields as they are kept: a folder's name may be decomposed, a spreadsheet's cell hold other spaces.
fn tidy(record: &mut PersonFile) {
    for alias in &mut record.aliases {
        for part in [&mut alias.first_name, &mut alias.last_name, &mut alias.middle_name, &mut alias.title] {
            *part = part.as_deref().map(text::tidy);
        }
    }
    record.tags.iter_mut().for_each(|tag| tag.name = text::tidy(&tag.name));
    for field in &mut record.entity_fields {
        field.name = text::tidy(&field.name);
        field.string_value = field.string_value.as_deref().map(|value| text::composed(value).into_owned());
    }
}

/// Reads every photo of a person once: what it holds, and whether it is one. What is none goes to the flaws.
fn look_at_photos(person: &mut Planned, tree: &Tree, flaws: &mut Vec<Flaw>, photo_read: &dyn Fn()) {
    person.photos.retain_mut(|found| {
        let open = tree.file(&found.file).map_err(anyhow::Error::from);
        let read = open.and_then(|open| photo::as_it_is(open, &found.file));
        photo_read();
        match read {
            Ok(bytes) => {
                found.content = hex::encode(Sha256::digest(&bytes));
                if found.reference.is_empty() {
                    found.reference = format!("doorward-{}", &found.content[..32]);
                }
                true
            }
            Err(error) => {
                let (person, reason) = (person.key.clone(), format!("{error:#}"));
                flaws.push(Flaw { person, photo: Some(found.file.clone()), reason });
                false
            }
        }
    });
}

/// Which documents of a person can be opened. Those that cannot go to the flaws.
fn look_at_documents(person: &mut Planned, tree: &Tree, flaws: &mut Vec<Flaw>) {
    person.record.documents.retain(|document| {
        let open = tree.file(&person.folder.join(&document.file)).map_err(anyhow::Error::from);
        let flaw = open.err().map(|error| Flaw {
            person: person.key.clone(),
            photo: None,
            reason: format!("a document is left out: {error:#}"),
        });
        let is_fine = flaw.is_none();
        flaws.extend(flaw);
        is_fine
    });
}

/// A picture that is there twice for one person counts once. One that several people have is nobody's: who is on it
/// would otherwise be a matter of chance, and open doors.
fn set_aside_repeated_photos(plan: &mut Plan) {
    // Two photos with one reference would be one to the engine, as two with one content are.
    let keys = |photo: &Photo| [photo.content.clone(), format!("reference {}", photo.reference)];
    let mut holders: BTreeMap<String, Vec<(usize, Photo)>> = BTreeMap::new();
    for (index, person) in plan.people.iter().enumerate() {
        for photo in &person.photos {
            for key in keys(photo) {
                holders.entry(key).or_default().push((index, photo.clone()));
            }
        }
    }
    for (index, person) in plan.people.iter_mut().enumerate() {
        let key = person.key.clone();
        let flaw = |photo: &Photo, reason| Flaw { person: key.clone(), photo: Some(photo.file.clone()), reason };
        let mut kept: Vec<String> = Vec::new();
        person.photos.retain(|photo| {
            let keys = keys(photo);
            let mut like_it = keys.iter().flat_map(|key| &holders[key]);
            if let Some((_, other)) = like_it.clone().find(|(other, _)| *other != index) {
                let other = other.file.display();
                let reason =
                    format!("the same photo is there for somebody else, as {other}; delete it where it is wrong");
                plan.flaws.push(flaw(photo, reason));
                return false;
            }
            let again = keys.iter().any(|key| kept.contains(key));
            if again && let Some((_, first)) = like_it.find(|(_, other)| other.file != photo.file) {
                plan.repeated.push(flaw(photo, format!("it is the same photo as {}", first.file.display())));
            }
            kept.extend(keys);
            !again
        });
    }
}

#[cfg(test)]
mod tests {
    use identities::roster::PERSON_FILE;

    use super::super::source::{alias, name_of};
    use super::*;

    /// A small JPEG, with something to tell it by.
    fn jpeg(mark: u8) -> Vec<u8> {
        faces::picture::Picture::filled(8, 8, [mark * 20; 3]).jpeg(90).unwrap()
    }

    fn write(root: &Path, files: &[(&str, Vec<u8>)]) {
        for (name, bytes) in files {
            let file = root.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, bytes).unwrap();
        }
    }

    fn flaws(plan: &Plan) -> Vec<(String, String, String)> {
        let photo = |flaw: &Flaw| flaw.photo.as_deref().map(name_of).unwrap_or_default();
        plan.flaws.iter().map(|flaw| (flaw.person.clone(), photo(flaw), flaw.reason.clone())).collect()
    }

    #[test]
    fn names_are_read_as_people_write_them() {
        for (text, first, last) in [
            ("Ada Lovelace", Some("Ada"), Some("Lovelace")),
            ("John_Salley", Some("John"), Some("Salley")),
            ("Lovelace, Ada  King", Some("Ada King"), Some("Lovelace")),
            ("Juan Carlos de Borbón", Some("Juan Carlos de"), Some("Borbón")),
            ("Ada", Some("Ada"), None),
            ("Lovelace,", None, Some("Lovelace")),
        ] {
            let alias = alias(text).unwrap();
            assert_eq!((alias.first_name.as_deref(), alias.last_name.as_deref()), (first, last), "{text}");
        }
        for nothing in ["", " ", "_", ","] {
            assert_eq!(alias(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn a_folder_per_person_with_photos_in_the_order_of_their_names() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &[
                ("Ada_Lovelace/2.JPG", jpeg(2)),
                ("Ada_Lovelace/1.jpeg", jpeg(1)),
                ("Ada_Lovelace/notes.txt", b"x".to_vec()),
                ("Ada_Lovelace/.hidden.jpg", jpeg(9)),
                ("Bob/a.jpg", jpeg(3)),
                (".git/x.jpg", jpeg(4)),
                ("README.md", b"x".to_vec()),
            ],
        );
        let plan = read(dir.path(), &Doors::default(), &|| {}).unwrap();
        assert_eq!(flaws(&plan), []);
        let people: Vec<_> = plan.people.iter().map(|person| (person.key.as_str(), person.photos.len())).collect();
        assert_eq!(people, [("Ada_Lovelace", 2), ("Bob", 1)]);
        let ada = &plan.people[0];
        assert_eq!(name_of(&ada.photos[0].file), "1.jpeg");
        assert!(ada.photos[0].reference.starts_with("doorward-") && ada.photos[0].reference.len() == 41);
        assert_eq!(ada.record.aliases[0].last_name.as_deref(), Some("Lovelace"));
    }

    #[test]
    fn what_cannot_be_imported_is_told() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &[
                ("Ada/broken.jpg", b"no picture".to_vec()),
                ("Ada/fine.jpg", jpeg(1)),
                ("Bob/also of Cid.jpg", jpeg(2)),
                ("Bob/own.jpg", jpeg(3)),
                ("Cid/also of Bob.jpg", jpeg(2)),
                ("Dan/notes.txt", b"x".to_vec()),
                ("Eve/person.json", b"{\"version\":7}".to_vec()),
                ("Fay/person.json", b"{\"tags\":[{\"nam\":1}]}".to_vec()),
                ("flat.jpg", jpeg(8)),
                ("Gil/same.jpg", jpeg(9)),
                ("Gil/same again.jpg", jpeg(9)),
            ],
        );
        let plan = read(dir.path(), &Doors::default(), &|| {}).unwrap();
        let people: Vec<_> = plan.people.iter().map(|person| (person.key.as_str(), person.photos.len())).collect();
        assert_eq!(people, [("Ada", 1), ("Bob", 1), ("Gil", 1)]);
        let flaws = flaws(&plan);
        for (person, photo, reason) in [
            ("Ada", "broken.jpg", "not a picture"),
            ("Bob", "also of Cid.jpg", "also of Bob.jpg"),
            ("Cid", "also of Bob.jpg", "also of Cid.jpg"),
            ("Dan", "", "no photo"),
            ("Eve", "", "version 7"),
            ("Fay", "", "person.json cannot be read"),
            ("", "flat.jpg", "nobody's folder"),
        ] {
            let told =
                |flaw: &&(String, String, String)| flaw.0 == person && flaw.1 == photo && flaw.2.contains(reason);
            assert_eq!(flaws.iter().filter(told).count(), 1, "{person} {photo} in {flaws:?}");
        }
        assert_eq!(flaws.len(), 7, "{flaws:?}");
        let [repeated] = &plan.repeated[..] else { panic!("Gil has one photo twice") };
        assert!(repeated.person == "Gil" && repeated.reason.ends_with("Gil/same again.jpg"), "{}", repeated.reason);
    }

    #[test]
    fn the_content_says_what_a_picture_is_and_the_others_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec();
        write(
            dir.path(),
            &[
                ("Ada/1.jfif", jpeg(1)),
                ("Ada/2.JPE", jpeg(2)),
                ("Ada/3", jpeg(3)),
                ("Ada/4.txt", jpeg(4)),
                ("Ada/cut.jpg", jpeg(5)[..200].to_vec()),
                ("Ada/notes", b"BMW, silver".to_vec()),
                ("Ada/phone.heic", heic.clone()),
                ("Ada/phone.jpg", heic),
                ("Ada/scan.tif", b"II*\0\x08\0\0\0".to_vec()),
                ("Ada/web.avif", b"\0\0\0\x1cftypavif\0\0\0\0".to_vec()),
            ],
        );
        let plan = read(dir.path(), &Doors::default(), &|| {}).unwrap();
        let photos: Vec<_> = plan.people[0].photos.iter().map(|photo| name_of(&photo.file)).collect();
        assert_eq!(photos, ["1.jfif", "2.JPE", "3", "4.txt"]);
        let flaws = flaws(&plan);
        for (photo, reason) in [
            ("cut.jpg", "its end is missing"),
            ("phone.heic", "a HEIC picture is not taken"),
            ("phone.jpg", "a HEIC picture is not taken"),
            ("scan.tif", "a TIFF or raw camera picture is not taken"),
            ("web.avif", "an AVIF picture is not taken"),
        ] {
            let told = |flaw: &&(String, String, String)| flaw.0 == "Ada" && flaw.1 == photo && flaw.2.contains(reason);
            assert_eq!(flaws.iter().filter(told).count(), 1, "{photo} in {flaws:?}");
        }
        assert_eq!(flaws.len(), 5, "{flaws:?}");
    }

    #[test]
    fn what_an_export_says_of_a_photo_counts() {
        let dir = tempfile::tempdir().unwrap();
        let person = r#"{"version":1,"photos":[{"file":"b.jpg","reference":"hr-42"},{"file":"a.jpg"}],
            "aliases":[{"firstName":"Ada"}],"documents":[{"file":"scan.png","publicId":"d","name":"Scan"}]}"#;
        write(
            dir.path(),
            &[
                ("2c9f9a4e-6d0c-4b57-b3f8-0b9a7f7f2e10/person.json", person.into()),
                ("2c9f9a4e-6d0c-4b57-b3f8-0b9a7f7f2e10/a.jpg", jpeg(1)),
                ("2c9f9a4e-6d0c-4b57-b3f8-0b9a7f7f2e10/b.jpg", jpeg(2)),
                ("2c9f9a4e-6d0c-4b57-b3f8-0b9a7f7f2e10/scan.png", jpeg(3)),
                ("tags.json", br#"[{"tagName":"VIP","defaultExpirePeriod":"1.00:00:00"}]"#.to_vec()),
            ],
        );
        let plan = read(dir.path(), &Doors::default(), &|| {}).unwrap();
        let photos: Vec<_> = plan.people[0].photos.iter().map(|photo| name_of(&photo.file)).collect();
        assert_eq!(photos, ["b.jpg", "a.jpg"]);
        assert_eq!(plan.people[0].photos[0].reference, "hr-42");
        assert_eq!((plan.people[0].record.aliases.len(), plan.tags.len()), (1, 1));
        let inside = dir.path().join("2c9f9a4e-6d0c-4b57-b3f8-0b9a7f7f2e10");
        assert!(read(&inside, &Doors::default(), &|| {}).err().unwrap().to_string().contains("the folder around it"));
    }

    #[test]
    fn nothing_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path(), &Doors::default(), &|| {}).err().unwrap().to_string().contains("holds nobody"));
        assert!(read(&dir.path().join("missing"), &Doors::default(), &|| {}).is_err());
    }

    #[test]
    fn what_is_imported_is_tidy_however_its_files_are_named() {
        let root = tempfile::tempdir().unwrap();
        let record = r#"{"version":1,"tags":[{"name":"Ga\u0308ste\u00a0 A"}],
            "entityFields":[{"name":"Bu\u0308ro","stringValue":"Ku\u0308che"}]}"#;
        let folder = "Jose\u{301}_Garci\u{301}a";
        write(
            root.path(),
            &[(&format!("{folder}/a.jpg"), jpeg(1)), (&format!("{folder}/{PERSON_FILE}"), record.into())],
        );
        let plan = read(root.path(), &Doors::default(), &|| {}).unwrap();
        let record = &plan.people[0].record;
        let alias = &record.aliases[0];
        assert_eq!((alias.first_name.as_deref(), alias.last_name.as_deref()), (Some("José"), Some("García")));
        assert_eq!(record.tags[0].name, "Gäste A");
        let field = &record.entity_fields[0];
        assert_eq!((field.name.as_str(), field.string_value.as_deref()), ("Büro", Some("Küche")));
    }
}
