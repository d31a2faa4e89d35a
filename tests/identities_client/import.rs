//! `doorward identities import`: many people into the real engine, whatever happens meanwhile.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use identities::Client;
use identities::ClientOptions;
use serde_json::{Value, json};

use super::commands::{command, complaint, json_of, text};
use super::support::{Engine, Running, USER, doorward, recording, run, shared, wait_for};

/// A folder with the people of the test data, each with a tag, and how many photos they have.
fn johns(tag: &str) -> Option<(tempfile::TempDir, usize)> {
    let source = shared("photos/johns")?;
    let dir = tempfile::tempdir().unwrap();
    let mut photos = 0;
    for person in sorted(&source) {
        let folder = dir.path().join(person.file_name().unwrap());
        std::fs::create_dir(&folder).unwrap();
        for photo in sorted(&person) {
            std::fs::copy(&photo, folder.join(photo.file_name().unwrap())).unwrap();
            photos += 1;
        }
        std::fs::write(folder.join("person.json"), json!({ "tags": [{ "name": tag }] }).to_string()).unwrap();
    }
    Some((dir, photos))
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path().canonicalize().unwrap()).collect();
    paths.sort();
    paths
}

fn import(engine: &Engine, source: &Path, more: &[&str]) -> Command {
    let mut words = vec!["import", source.to_str().unwrap()];
    words.extend(more);
    command(engine, &words)
}

/// The summary of an import, and its exit code.
fn imported(engine: &Engine, source: &Path, more: &[&str]) -> (Value, i32) {
    let output = import(engine, source, &[more, &["--json"]].concat()).output().unwrap();
    let summary = serde_json::from_slice(&output.stdout);
    (summary.unwrap_or_else(|_| panic!("{}", text(&output.stderr))), output.status.code().unwrap())
}

fn count(summary: &Value, what: &str) -> usize {
    summary[what].as_u64().unwrap_or_else(|| panic!("no {what} in {summary}")) as usize
}

/// Everybody has one name and one tag: nothing was put twice.
fn everybody_once(engine: &Engine, tag: &str, people: usize) {
    let found = json_of(engine, &["search", "--tag", tag]);
    let found = found.as_array().unwrap();
    assert_eq!(found.len(), people, "{found:?}");
    let mut names = Vec::new();
    for person in found {
        for part in ["aliases", "tags"] {
            assert_eq!(person[part].as_array().unwrap().len(), 1, "{person}");
        }
        names.push(person["aliases"][0]["lastName"].to_string());
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), people, "{names:?}");
}

#[test]
fn a_folder_of_people_goes_in_and_a_second_time_changes_nothing() {
    let Some((dir, photos)) = johns("John") else { return };
    let engine = Engine::start();
    let (summary, code) = imported(&engine, dir.path(), &[]);
    let enrolled = count(&summary, "photos_enrolled");
    let rejected = count(&summary, "photos_rejected");
    let all = enrolled + rejected + count(&summary, "photos_repeated");
    assert_eq!((count(&summary, "people_new"), all, count(&summary, "photos")), (5, photos, photos), "{summary}");
    assert!(enrolled >= photos * 9 / 10, "{summary}");
    assert_eq!(code, i32::from(rejected > 0));
    everybody_once(&engine, "John", 5);

    let (again, _) = imported(&engine, dir.path(), &["--jobs", "1"]);
    assert_eq!((count(&again, "people_new"), count(&again, "people_known")), (0, 5), "{again}");
    assert_eq!((count(&again, "photos_enrolled"), count(&again, "photos_present")), (0, enrolled), "{again}");
    everybody_once(&engine, "John", 5);

    // A photo of a person who is there joins them, whatever the folder was copied to.
    let copy = tempfile::tempdir().unwrap();
    let folder = copy.path().join("John Simm");
    std::fs::create_dir(&folder).unwrap();
    for (n, photo) in sorted(&dir.path().join("John_Simm"))
        .iter()
        .filter(|photo| photo.extension().unwrap() == "jpg")
        .take(3)
        .enumerate()
    {
        std::fs::copy(photo, folder.join(format!("{n}.jpg"))).unwrap();
    }
    std::fs::copy(recording::known_person(), folder.join("z.png")).unwrap();
    let (added, _) = imported(&engine, copy.path(), &[]);
    assert_eq!((count(&added, "people_new"), count(&added, "photos_enrolled")), (0, 1), "{added}");
    everybody_once(&engine, "John", 5);
}

#[test]
fn stopped_or_killed_in_the_middle_it_goes_on_from_there() {
    let Some((dir, photos)) = johns("John") else { return };
    let engine = Engine::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let password = std::fs::read_to_string(&engine.password_file).unwrap();
    let client = Client::new(&ClientOptions::new(engine.url.parse().unwrap(), USER, password)).unwrap();
    // Told to stop, then killed a little later; the last run is left alone.
    for wanted in [1, 3] {
        let mut child = import(&engine, dir.path(), &["--jobs", "1"]);
        let running = Running(child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        wait_for("some people to be in", || {
            runtime.block_on(async {
                let tag = client.tags(Some("John")).await.unwrap().pop()?;
                (client.people_with_tag(&tag.tag_id).await.unwrap().len() >= wanted).then_some(())
            })
        });
        match wanted {
            1 => assert_eq!(running.stop().code(), Some(1), "not everything is in"),
            _ => running.kill(),
        }
    }
    let (summary, _) = imported(&engine, dir.path(), &[]);
    let enrolled_before = count(&summary, "photos_present");
    assert!(enrolled_before > 0 && count(&summary, "photos_enrolled") > 0, "{summary}");
    let in_the_end = enrolled_before + count(&summary, "photos_enrolled") + count(&summary, "photos_rejected");
    let in_the_end = in_the_end + count(&summary, "photos_repeated");
    assert_eq!(in_the_end, photos, "{summary}");
    everybody_once(&engine, "John", 5);
}

#[test]
fn an_engine_that_restarts_meanwhile_is_waited_for() {
    let Some((dir, photos)) = johns("John") else { return };
    let mut engine = Engine::start();
    let mut child = import(&engine, dir.path(), &["--jobs", "2", "--json"]);
    let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the tag to be defined", || {
        let tags = json_of(&engine, &["tags", "list", "John"]);
        (!tags.as_array().unwrap().is_empty()).then_some(())
    });
    // SIGKILL, in the middle of whatever it is doing.
    engine.restart();
    let output = child.wait_with_output().unwrap();
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    let all = ["photos_enrolled", "photos_present", "photos_rejected", "photos_repeated"]
        .map(|what| count(&summary, what))
        .iter()
        .sum::<usize>();
    assert_eq!((all, count(&summary, "people_failed")), (photos, 0), "{summary}");
    everybody_once(&engine, "John", 5);
}

#[test]
fn what_does_not_go_in_is_reported_with_its_reason() {
    let (engine, dir) = (Engine::start(), tempfile::tempdir().unwrap());
    let folder = |name: &str| {
        let folder = dir.path().join("people").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    };
    let wall = faces::picture::Picture::filled(320, 240, [90, 120, 140]).jpeg(90).unwrap();
    std::fs::copy(recording::known_person(), folder("Mara Lindqvist").join("good.png")).unwrap();
    std::fs::write(folder("Mara Lindqvist").join("no face.jpg"), &wall).unwrap();
    std::fs::write(folder("Mara Lindqvist").join("text.jpg"), "no picture").unwrap();
    let cut = std::fs::read(recording::known_person()).unwrap();
    std::fs::write(folder("Mara Lindqvist").join("cut.png"), &cut[..1000]).unwrap();
    std::fs::write(folder("Nobody There").join("wall.jpg"), [&wall[..], b"other"].concat()).unwrap();

    let report = dir.path().join("report.csv");
    let output = import(&engine, &dir.path().join("people"), &["--report", report.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    assert!(said.contains("1 new, 1 not complete") && said.contains("1 enrolled, 4 turned down"), "{said}");
    let mut rows = BTreeMap::new();
    for row in csv::Reader::from_path(&report).unwrap().deserialize::<BTreeMap<String, String>>() {
        let row = row.unwrap();
        let photo = Path::new(&row["photo"]).file_name().map(|name| name.to_string_lossy().into_owned());
        rows.insert((row["person"].clone(), photo.unwrap_or_default()), (row["result"].clone(), row["reason"].clone()));
    }
    for (person, photo, result, reason) in [
        ("Mara Lindqvist", "good.png", "enrolled", ""),
        ("Mara Lindqvist", "no face.jpg", "rejected", "face"),
        ("Mara Lindqvist", "text.jpg", "rejected", "not a picture"),
        ("Mara Lindqvist", "cut.png", "rejected", "its end is missing"),
        ("Nobody There", "wall.jpg", "rejected", "face"),
        ("Nobody There", "", "failed", "every photo was turned down"),
    ] {
        let row = rows.get(&(person.to_owned(), photo.to_owned())).unwrap_or_else(|| panic!("{photo} in {rows:?}"));
        assert!(row.0 == result && row.1.contains(reason), "{photo}: {row:?}");
    }
    assert_eq!(rows.len(), 6, "{rows:?}");

    // The engine's own copy of a picture differs from the file; the reference is what tells.
    let report = dir.path().join("report.json");
    imported(&engine, &dir.path().join("people"), &["--report", report.to_str().unwrap()]);
    let rows: Vec<Value> = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    assert_eq!(rows.iter().filter(|row| row["result"] == "present").count(), 1, "{rows:?}");
}

#[test]
fn a_roster_is_taken_over_with_all_that_is_said_of_people() {
    let (engine, dir) = (Engine::start(), tempfile::tempdir().unwrap());
    let folder = dir.path().join("2c9f9a4e-6d0c-4b57-b3f8-0b9a7f7f2e10");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(recording::known_person(), folder.join("7a1f.png")).unwrap();
    std::fs::write(folder.join("contract.txt"), "Day shift only.").unwrap();
    let person = json!({
        "version": 1, "personId": "2c9f9a4e-6d0c-4b57-b3f8-0b9a7f7f2e10",
        "aliases": [{"personAliasId": "93b1a0de-1c3f-4a52-8f0e-5d2c6a7b8c90",
                     "firstName": "Mara", "lastName": "Lindqvist"},
                    {"firstName": "M.", "title": "Ms."}],
        "tags": [{"name": "Contractor", "expires": "2099-05-01T09:30:00Z"}, {"name": "VIP"},
                 {"name": "Gone", "expires": "2020-01-01T00:00:00Z"}],
        "notes": [{"summary": "Access", "body": "Day shift only", "author": "desk@site.example", "sharedId": "s-1"}],
        "addresses": [{"street": "5 Harbour Row", "city": "Turku"}],
        "entityFields": [{"name": "BadgeNumber", "stringValue": "C-1187"}, {"name": "Height", "numberValue": 1.75}],
        "photos": [{"file": "7a1f.png", "reference": "hr-photo-0042"}],
        "documents": [{"file": "contract.txt", "publicId": "contract-17",
                       "name": "Contract", "mediaType": "text/plain"}],
    });
    std::fs::write(folder.join("person.json"), person.to_string()).unwrap();
    let tags = json!([{"tagName": "Contractor", "description": "External", "defaultExpirePeriod": "90.00:00:00"}]);
    std::fs::write(dir.path().join("tags.json"), tags.to_string()).unwrap();

    let mut first = None;
    for _ in 0..2 {
        let (summary, code) = imported(&engine, dir.path(), &[]);
        assert_eq!((count(&summary, "people"), code), (1, 0), "{summary}");
        let found = json_of(&engine, &["search", "--tag", "VIP"]);
        let id = found[0]["personId"].as_str().unwrap().to_owned();
        let mut record = json_of(&engine, &["person", "show", &id]);
        assert_eq!(*first.get_or_insert(record.clone()), record, "the second time changed something");
        for (part, key) in [
            ("aliases", "personAliasId"),
            ("notes", "noteId"),
            ("addresses", "personAddressId"),
            ("entityFields", "entityFieldId"),
        ] {
            for entry in record[part].as_array_mut().unwrap() {
                entry.as_object_mut().unwrap().remove(key).unwrap();
                entry.as_object_mut().unwrap().retain(|_, value| !value.is_null());
            }
        }
        let mut names = person["aliases"].clone();
        names[0].as_object_mut().unwrap().remove("personAliasId");
        assert_eq!(record["aliases"], names);
        for part in ["notes", "addresses", "entityFields"] {
            assert_eq!(record[part], person[part], "{part}");
        }
        let carried: BTreeMap<_, _> = record["tags"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tag| (tag["tag"]["name"].as_str().unwrap(), tag["expires"].clone()))
            .collect();
        let expected = [("Contractor", json!("2099-05-01T09:30:00Z")), ("VIP", Value::Null)];
        assert_eq!(carried, expected.into_iter().collect());
        assert_eq!(json_of(&engine, &["tags", "show", "Contractor"])["description"], json!("External"));
        let mut download = command(&engine, &["document", "download", &id, "contract-17", "--output", "-"]);
        assert_eq!(text(&run(&mut download).stdout), "Day shift only.");
    }
}

#[test]
fn a_sheet_of_people_goes_in_and_equal_names_stay_apart() {
    let Some(johns) = shared("photos/johns") else { return };
    let people = sorted(&johns);
    let (engine, dir) = (Engine::start(), tempfile::tempdir().unwrap());
    let photo = |person: usize, n: usize| {
        let name = format!("{person}-{n}.jpg");
        std::fs::copy(&sorted(&people[person])[n], dir.path().join(&name)).unwrap();
        name
    };
    let known = engine.enroll(&dir.path().join(photo(3, 0)), "Old", &[]);
    let rows = format!(
        "person;person_id;photo;name;tags;field:Badge;ignore:Salary\n\
         a;;{};John Smith;\"Staff; Guest until 2099-12-31\";C-1;1\n\
         b;;{};John Smith;Staff;;2\n\
         a;;{};;;;\n\
         ;{known};;;Staff;C-3;\n",
        photo(0, 0),
        photo(1, 0),
        photo(0, 1),
    );
    let sheet = dir.path().join("people.csv");
    std::fs::write(&sheet, rows).unwrap();
    let (plan, code) = imported(&engine, &sheet, &["--dry-run"]);
    assert_eq!((count(&plan, "people"), count(&plan, "photos"), code), (3, 3, 0), "{plan}");
    assert_eq!(json_of(&engine, &["tags", "list", "Staff"]), json!([]), "a dry run sends nothing");
    for new in [2, 0] {
        let (summary, code) = imported(&engine, &sheet, &[]);
        assert_eq!((count(&summary, "people_new"), code), (new, 0), "{summary}");
        let staff = json_of(&engine, &["search", "--tag", "Staff"]);
        let badges: Vec<_> = staff
            .as_array()
            .unwrap()
            .iter()
            .map(|person| {
                (person["aliases"].as_array().unwrap().len(), person["entityFields"][0]["stringValue"].clone())
            })
            .collect();
        assert_eq!(badges.len(), 3, "{staff}");
        for badge in [json!("C-1"), Value::Null, json!("C-3")] {
            assert!(badges.contains(&(1, badge.clone())), "{badge} in {badges:?}");
        }
    }
    std::fs::write(&sheet, "photo,Departmnt\n").unwrap();
    let error = complaint(&mut import(&engine, &sheet, &[]));
    assert!(error.contains("`field:Departmnt`"), "{error}");
}

#[test]
fn nobody_gets_the_face_of_somebody_else() {
    let (engine, dir) = (Engine::start(), tempfile::tempdir().unwrap());
    let folder = |import: &str, name: &str| {
        let folder = dir.path().join(import).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(recording::known_person(), folder.join("photo.png")).unwrap();
    };
    // On one day, in two folders: who of them it is nobody can know.
    folder("one", "Ann Arbor");
    folder("one", "Bob Bell");
    let (summary, code) = imported(&engine, &dir.path().join("one"), &[]);
    assert_eq!((count(&summary, "photos_enrolled"), count(&summary, "photos_rejected"), code), (0, 2, 1), "{summary}");
    // On two days: the second is refused, and whoever was first stays as they were.
    folder("two", "Ann Arbor");
    folder("three", "Bob Bell");
    assert_eq!(imported(&engine, &dir.path().join("two"), &[]).1, 0);
    let output = import(&engine, &dir.path().join("three"), &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("who has another name"), "{}", text(&output.stdout));
    let faces = json_of(&engine, &["detect", recording::known_person().to_str().unwrap()]);
    let person = faces["detections"][0]["personId"].as_str().unwrap();
    let record = json_of(&engine, &["person", "show", person]);
    assert_eq!(record["aliases"].as_array().unwrap().len(), 1, "{record}");
    assert_eq!(record["aliases"][0]["firstName"], json!("Ann"));
}

#[test]
fn a_face_the_engine_knows_joins_whoever_has_its_name_and_nobody_else() {
    let (engine, dir) = (Engine::start(), tempfile::tempdir().unwrap());
    // Enrolled without a reference, so that an import cannot ask for it.
    let ann = engine.enroll(&recording::known_person(), "Ann", &[]);
    let folder = |import: &str, name: &str| {
        let folder = dir.path().join(import).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(recording::known_person(), folder.join("photo.png")).unwrap();
        dir.path().join(import)
    };
    // Whatever is run how often: Bob is refused each time, and the engine stays as it is.
    let bob = folder("bob", "Bob");
    for _ in 0..2 {
        let output = import(&engine, &bob, &[]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stdout).contains(&ann), "{}", text(&output.stdout));
    }
    let namesake = folder("ann", "Ann");
    for enrolled in [1, 0] {
        let (summary, code) = imported(&engine, &namesake, &[]);
        let found = (count(&summary, "people_new"), count(&summary, "photos_enrolled"), code);
        assert_eq!(found, (0, enrolled, 0), "{summary}");
    }
    let record = json_of(&engine, &["person", "show", &ann]);
    assert_eq!(record["aliases"].as_array().unwrap().len(), 1, "{record}");
}

#[test]
fn a_sheet_of_excels_is_read_and_its_day_lasts_to_the_end_at_the_doors() {
    let (engine, dir) = (Engine::start(), tempfile::tempdir().unwrap());
    std::fs::copy(recording::known_person(), dir.path().join("0.png")).unwrap();
    let zone = chrono_tz::Tz::America__New_York;
    let today = chrono::Utc::now().with_timezone(&zone).date_naive();
    let sheet = dir.path().join("people.csv");
    let rows = format!(
        "sep=;\r\nphoto;name;tags;field:Abteilung;;\r\n0.png;J\u{f6}rg M\u{fc}ller;Guest until {today};K\u{fc}che;;\r\n\
         ;;;;;\r\n"
    );
    // Of the first 256 characters, the old code page of western Windows has these where Unicode has them.
    std::fs::write(&sheet, rows.chars().map(|c| c as u8).collect::<Vec<_>>()).unwrap();
    let more = ["--time-zone", "America/New_York"];
    let output = import(&engine, &sheet, &more).output().unwrap();
    assert!(output.status.success() && text(&output.stderr).contains("Windows-1252"), "{}", text(&output.stderr));
    let found = json_of(&engine, &["search", "--tag", "Guest"]);
    assert_eq!(found[0]["aliases"][0]["lastName"], json!("M\u{fc}ller"), "{found}");
    assert_eq!(found[0]["entityFields"][0]["name"], json!("Abteilung"));
    let expires: chrono::DateTime<chrono::Utc> = found[0]["tags"][0]["expires"].as_str().unwrap().parse().unwrap();
    let tomorrow = today.succ_opt().unwrap();
    assert_eq!(expires.with_timezone(&zone).naive_local(), tomorrow.and_hms_opt(0, 0, 0).unwrap());
    let (again, code) = imported(&engine, &sheet, &more);
    assert_eq!((count(&again, "people_new"), count(&again, "photos_present"), code), (0, 1, 0), "{again}");
    let refused = import(&engine, &sheet, &["--time-zone", "GMT-5"]).output().unwrap();
    assert!(text(&refused.stderr).contains("such as `America/New_York`"), "{}", text(&refused.stderr));
}

#[test]
fn what_everybody_would_fail_of_stops_the_import_and_says_so() {
    let (mut engine, dir) = (Engine::start(), tempfile::tempdir().unwrap());
    let folder = dir.path().join("people/Ann");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(recording::known_person(), folder.join("photo.png")).unwrap();
    let password = dir.path().join("password");
    std::fs::write(&password, "a viewer's password").unwrap();
    run(doorward()
        .args(["engine", "user", "add", "--username", "viewer", "--role", "Viewer", "--data"])
        .arg(engine.data.path().join("engine"))
        .arg("--password-file")
        .arg(&password));
    let as_user = |user: &str, url: &str| {
        let mut command = doorward();
        command.args(["identities", "import", "--username", user, "--url", url]).arg(dir.path().join("people"));
        command.arg("--password-file").arg(&password);
        command
    };
    let error = complaint(&mut as_user("viewer", &engine.url));
    assert!(error.contains("run it again") && error.contains("\"Face Detection\" or \"Face Enrollment\""), "{error}");
    let error = complaint(&mut as_user(USER, &engine.url));
    assert!(error.contains("refuses the login"), "{error}");
    engine.stop();
    let error = complaint(&mut as_user(USER, &engine.url));
    assert!(error.contains("cannot reach the engine"), "{error}");
}
