//! Erased is erased: a scan over every byte an engine leaves on disk, while it runs and after it was killed.

use std::collections::BTreeMap;
use std::path::Path;

use reqwest::multipart::{Form, Part};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::server::{Api, Server, base64, doorward, portrait};

/// What is said of the person: no word of it stands anywhere else.
const NAME: &str = "Marguerite-7319";
const MARRIED: &str = "Wetherby-2204";
const NOTE: &str = "owes the house a fortune, 5521";
const OTHER_NOTE: &str = "comes by the back door, 8817";
const FIELD: &str = "member-number-66410";
const STREET: &str = "Nightingale Lane 9023";
const DOCUMENT: &str = "the contract of the person, page 4471 of many";
const REFERENCE: &str = "photo-reference-31337";

/// What is looked for on the disk, by what it is.
type Needles = BTreeMap<String, Vec<u8>>;

/// Everything there is of somebody, and pieces of every picture and vector in the database.
fn needles(data: &Path) -> Needles {
    let mut needles = Needles::new();
    for text in [NAME, MARRIED, NOTE, OTHER_NOTE, FIELD, STREET, DOCUMENT, REFERENCE] {
        needles.insert(text.to_owned(), text.as_bytes().to_vec());
    }
    let database = Connection::open_with_flags(data.join("engine.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    for (what, query) in [("photo", "SELECT jpeg FROM photos"), ("vector", "SELECT vector FROM embeddings")] {
        let mut statement = database.prepare(query).unwrap();
        let blobs = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        for (n, blob) in blobs.map(Result::unwrap).enumerate() {
            // Short pieces: a page of the database ends anywhere. Not of the head, which is every JPEG's.
            let pieces = blob.chunks_exact(24).skip(blob.len() / 48).step_by(7).take(40);
            needles.extend(pieces.enumerate().map(|(at, piece)| (format!("{what} {n}, piece {at}"), piece.to_vec())));
        }
    }
    needles
}

/// The needles that stand in any file below the folder.
fn found(needles: &Needles, folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for file in walk(folder) {
        let bytes = std::fs::read(&file).unwrap();
        for (what, needle) in needles {
            if memchr::memmem::find(&bytes, needle).is_some() {
                found.push(format!("{what} in {}", file.display()));
            }
        }
    }
    found
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

fn seen_at(time: &str) -> Value {
    json!({ "detectTimeUtc": time, "includePerson": true })
}

/// A person with everything a record can hold, seen before and after; gives the id.
async fn somebody(admin: &Api, photo: &[u8]) -> String {
    for time in ["2026-03-01T08:00:00Z", "2026-03-02T08:00:00Z"] {
        let strangers = admin.publish(photo, seen_at(time)).await;
        assert!(strangers[0]["person"].is_null(), "{strangers:?}");
    }
    let enrolment = json!({ "faceImage": base64(photo), "photoReferenceId": REFERENCE });
    let enrolled = admin.post("/api/v1/faces/faceEnroll", &enrolment).await.ok();
    let person = enrolled["personId"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/people/{person}");
    admin.put(&format!("{path}/aliases"), &json!({ "firstName": "Ada", "lastName": NAME })).await.ok();
    admin.put(&format!("{path}/addresses"), &json!({ "street": STREET })).await.ok();
    admin.put(&format!("{path}/notes"), &json!({ "summary": "a", "body": NOTE })).await.ok();
    admin.put(&format!("{path}/notes"), &json!({ "summary": "b", "body": OTHER_NOTE })).await.ok();
    admin.put(&format!("{path}/entityFields"), &json!({ "name": "number", "stringValue": FIELD })).await.ok();
    let file = Part::bytes(DOCUMENT.as_bytes().to_vec()).file_name("contract.txt").mime_str("text/plain").unwrap();
    let form = Form::new()
        .text("personId", person.clone())
        .text("publicId", "contract")
        .text("name", "contract")
        .part("file", file);
    assert_eq!(admin.form("/api/v1/people/fileDocuments/upload", form).await.status, 200);
    let known = admin.publish(photo, seen_at("2026-03-05T08:00:00Z")).await;
    assert_eq!(known[0]["person"]["personId"], person.as_str());
    person
}

#[tokio::test]
async fn of_who_is_erased_no_byte_is_left_on_the_disk() {
    let Some(photo) = portrait() else { panic!("`make models` brings a portrait") };
    let server = Server::start();
    let admin = server.administrator().await;
    let person = somebody(&admin, &photo).await;
    let before = admin.publish(&photo, seen_at("2026-03-06T08:00:00Z")).await[0]["faceId"].clone();
    let needles = needles(&server.data());
    assert!(needles.len() > 100, "pictures and vectors are among them: {}", needles.len());
    let all = found(&needles, server.folder.path());
    for needle in needles.keys().filter(|needle| *needle != MARRIED) {
        assert!(all.iter().any(|found| found.starts_with(needle.as_str())), "{needle} is there before");
    }
    let size = |server: &Server| std::fs::metadata(server.data().join("engine.db")).unwrap().len();

    let erasing = format!("/page/people/{person}");
    let expected = json!({ "people": 1, "photos": 1, "notes": 2, "documents": 1, "strangers": 1, "sightings": 4 });
    assert_eq!(admin.get(&format!("{erasing}/erasing")).await.ok(), expected);
    assert_eq!(admin.delete(&erasing).await.ok(), expected);
    assert_eq!(found(&needles, server.folder.path()), Vec::<String>::new(), "while the engine runs");
    admin.get(&format!("{erasing}/erasing")).await.is_problem(404);
    let small = size(&server);
    let folder = server.kill();
    assert_eq!(found(&needles, folder.path()), Vec::<String>::new(), "after a kill");

    let again = Server::start_in(folder);
    assert!(size(&again) <= small);
    let told = doorward().args(["engine", "audit", "--json", "--data"]).arg(again.data()).output().unwrap();
    assert!(String::from_utf8_lossy(&told.stdout).contains("\"erasePerson\""), "{told:?}");
    add_administrator(&again);
    let admin = again.log_in("second", "another password").await;
    let stranger = admin.publish(&photo, seen_at("2026-03-07T08:00:00Z")).await;
    assert!(stranger[0]["person"].is_null() && stranger[0]["faceId"] != before, "nobody knows the face any more");
}

fn add_administrator(server: &Server) {
    assert!(server.add_user("second", "Administrator", "another password").success());
}

#[tokio::test]
async fn what_is_taken_out_of_a_record_is_out_of_the_files() {
    let Some(photo) = portrait() else { panic!("`make models` brings a portrait") };
    let server = Server::start();
    let admin = server.administrator().await;
    let person = somebody(&admin, &photo).await;
    let path = format!("/api/v1/people/{person}");
    let needle = |text: &str| Needles::from([(text.to_owned(), text.as_bytes().to_vec())]);
    let record = admin.get(&path).await.ok();
    let gone = |text: &str| {
        let left = found(&needle(text), server.folder.path());
        assert!(left.is_empty(), "{left:?}");
    };

    // Written over.
    let alias = &record["aliases"][0];
    let married = json!({ "personAliasId": alias["personAliasId"], "firstName": "Ada", "lastName": MARRIED });
    admin.put(&format!("{path}/aliases"), &married).await.ok();
    gone(NAME);
    assert!(!found(&needle(MARRIED), server.folder.path()).is_empty());
    // Deleted.
    for (part, id, text) in [
        ("notes", &record["notes"][0]["noteId"], NOTE),
        ("aliases", &alias["personAliasId"], MARRIED),
        ("entityFields", &record["entityFields"][0]["entityFieldId"], FIELD),
    ] {
        assert!(!found(&needle(text), server.folder.path()).is_empty(), "{text} is there before");
        let reply = admin.delete(&format!("{path}/{part}/{}", id.as_str().unwrap())).await;
        assert_eq!(reply.status, 200, "{part}: {}", String::from_utf8_lossy(&reply.body));
        gone(text);
    }
    assert!(!found(&needle(OTHER_NOTE), server.folder.path()).is_empty(), "the rest stays");
}

#[tokio::test]
async fn the_command_erases_beside_a_running_engine() {
    let Some(photo) = portrait() else { panic!("`make models` brings a portrait") };
    let server = Server::start();
    let admin = server.administrator().await;
    let stranger = admin.publish(&photo, seen_at("2026-03-01T08:00:00Z")).await;
    let face = stranger[0]["faceId"].as_str().unwrap().to_owned();
    let needles = needles(&server.data());
    let erase = |more: &[&str]| {
        let mut command = doorward();
        let output = command.args(["engine", "erase", "--json", "--data"]).arg(server.data()).args(more).output();
        let output = output.unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    };
    let one = json!({ "people": 0, "photos": 0, "notes": 0, "documents": 0, "strangers": 1, "sightings": 1 });
    assert_eq!(erase(&["--stranger", &face, "--dry-run"]), one);
    assert_eq!(erase(&["--from", "2026-03-01T08:00:00Z", "--to", "2026-03-01T08:00:01Z", "--dry-run"]), one);
    assert_eq!(erase(&["--stranger", &face]), one);
    let left: Vec<_> = found(&needles, server.folder.path()).into_iter().filter(|it| !it.contains("/log")).collect();
    assert!(left.is_empty(), "{left:?}");
    // Within a second or so the engine knows.
    for _ in 0..100 {
        let again = admin.publish(&photo, json!({ "allowDoubleDetection": true })).await;
        if again[0]["faceId"] != face.as_str() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the erased stranger is still recognised");
}

#[tokio::test]
async fn what_is_older_than_it_may_be_is_erased_by_itself() {
    let Some(photo) = portrait() else { panic!("`make models` brings a portrait") };
    let arguments = ["--listen", "127.0.0.1:0", "--keep-detections-days", "1"];
    let server = Server::start_as(tempfile::tempdir().unwrap(), &arguments);
    let admin = server.administrator().await;
    admin.publish(&photo, seen_at("2026-03-01T08:00:00Z")).await;
    let today = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    admin.publish(&photo, seen_at(&today)).await;
    assert_eq!(admin.get("/page/sights").await.ok().as_array().unwrap().len(), 2);
    let folder = server.kill();
    let server = Server::start_as(folder, &arguments);
    add_administrator(&server);
    let admin = server.log_in("second", "another password").await;
    for _ in 0..200 {
        if admin.get("/page/sights").await.ok().as_array().unwrap().len() == 1 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("what is outdated is still there");
}

#[tokio::test]
async fn what_is_erased_on_the_page_is_gone_though_nobody_comes_back() {
    let Some(photo) = portrait() else { panic!("`make models` brings a portrait") };
    let server = Server::start();
    let admin = server.administrator().await;
    let person = somebody(&admin, &photo).await;
    // A denial keeps a vector of its own, which goes with the person.
    let sights = admin.get(&format!("/page/sights?personId={person}")).await.ok();
    let denied = admin.post("/page/denials", &json!({ "detectId": sights[0]["detectId"] })).await.ok();
    assert_eq!(denied["personId"], person.as_str());
    let needles = needles(&server.data());
    let erasing = json!({ "personId": person });
    let would = admin.post("/page/erasures/look", &erasing).await.ok();
    let begun = admin.post("/page/erasures", &erasing).await.ok();
    assert_eq!((&begun["erased"], &would["people"]), (&would, &json!(1)));
    assert_eq!(admin.get("/page/people").await.ok()["total"], 0, "hidden at once");
    assert!(!found(&needles, &server.data()).is_empty(), "and not gone");
    // Undone and begun anew, and then the engine is killed: the next one goes on.
    let undo = format!("/page/erasures/{}", begun["erasureId"].as_str().unwrap());
    assert_eq!(admin.delete(&undo).await.status, 200);
    assert_eq!(admin.get("/page/people").await.ok()["total"], 1);
    admin.delete(&undo).await.is_problem(404);
    admin.post("/page/erasures", &erasing).await.ok();
    let server = Server::start_in(server.kill());
    for _ in 0..300 {
        if found(&needles, &server.data()).is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("left: {:?}", found(&needles, &server.data()));
}
