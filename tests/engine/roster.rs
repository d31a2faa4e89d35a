//! Everybody from one engine to another as files: the same people, known by the same faces.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::server::{Api, Server, base64, doorward, johns};

/// `doorward …`, and what it said.
fn run(words: &[&str], paths: &[&Path]) -> Output {
    doorward().args(words).args(paths).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
}

fn succeeds(words: &[&str], paths: &[&Path]) -> String {
    let output = run(words, paths);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Somebody with everything there is: names, tags with and without an expiry, a note, an address, fields of each kind,
/// a document, and two photos, one of them with a reference.
async fn describe(api: &Api, photos: &[Vec<u8>], n: usize) {
    let first = json!({"faceImage": base64(&photos[0]), "photoReferenceId": format!("hr/{n}")});
    let enrolled = api.post("/api/v1/faces/faceEnroll", &first).await.ok();
    let person = enrolled["personId"].as_str().unwrap();
    let again = json!({"faceImage": base64(&photos[1])});
    api.post(&format!("/api/v1/faces/faceEnroll?personId={person}&forceEnrollment=true"), &again).await.ok();
    let path = format!("/api/v1/people/{person}");
    let names =
        [json!({"firstName": "John", "lastName": format!("Nº {n}"), "title": "Mr."}), json!({"firstName": "Jack"})];
    for name in &names {
        api.put(&format!("{path}/aliases"), name).await.ok();
    }
    for (tag, expires) in
        [("Staff", json!(null)), ("Guest", json!("2999-01-01T12:00:00.250Z")), ("Past", json!("2020-01-01T00:00:00Z"))]
    {
        let listed = api.get(&format!("/api/v1/Tags?tagName={tag}")).await.ok();
        let id = match listed[0]["tagId"].as_str() {
            Some(id) => id.to_owned(),
            None => {
                let tag = json!({"tagName": tag, "description": "of the site", "defaultExpirePeriod": "1.02:03:04"});
                api.post("/api/v1/Tags", &tag).await.ok()["tagId"].as_str().unwrap().to_owned()
            }
        };
        let expires = if expires.is_null() { json!("9999-12-31T23:59:59Z") } else { expires };
        api.put(&format!("{path}/tags"), &json!({"tagId": id, "expires": expires})).await.ok();
    }
    api.put(&format!("{path}/notes"), &json!({"summary": "Access", "body": "by day", "author": "desk"})).await.ok();
    api.put(&format!("{path}/addresses"), &json!({"city": "Turku", "country": "Finland"})).await.ok();
    for field in [
        json!({"name": "Badge", "stringValue": format!("C-{n}")}),
        json!({"name": "Since", "dateValue": "2026-05-01T09:30:00.500Z"}),
        json!({"name": "Floor", "numberValue": 2.5}),
        json!({"name": "Parking", "boolValue": false}),
    ] {
        api.put(&format!("{path}/entityFields"), &field).await.ok();
    }
    let file = Part::bytes(b"signed".to_vec()).file_name("vertrag.pdf").mime_str("application/pdf").unwrap();
    let form = Form::new().text("personId", person.to_owned()).text("name", "Contract").part("file", file);
    let form = form.text("publicId", format!("contract/{n}")).text("description", "2026");
    assert_eq!(api.form("/api/v1/people/fileDocuments/upload", form).await.status, 200);
}

/// The person of that badge, without the ids an engine gives.
async fn record(api: &Api, n: usize) -> (String, Value) {
    let found = api.get(&format!("/api/v1/people/entityField/Badge/entityValue/C-{n}")).await.ok();
    assert_eq!(found.as_array().unwrap().len(), 1, "person {n} is there once");
    let mut person = found[0].clone();
    let id = person["personId"].take().as_str().unwrap().to_owned();
    for part in ["aliases", "addresses", "entityFields", "tags", "notes"] {
        for item in person[part].as_array_mut().unwrap() {
            let item = item.as_object_mut().unwrap();
            item.retain(|key, _| !key.ends_with("Id") && key != "created");
        }
    }
    // In which order a person got their tags is no part of the record.
    person["tags"].as_array_mut().unwrap().sort_by_key(|tag| tag["tag"]["name"].to_string());
    (id, person)
}

/// Holds the engine against the one the people come from.
async fn is_the_same(copy: &Api, original: &Api, people: &[Vec<Vec<u8>>]) {
    for (n, photos) in people.iter().enumerate() {
        let ((id, found), (_, expected)) = (record(copy, n).await, record(original, n).await);
        assert_eq!(found, expected);
        assert_eq!(found["tags"].as_array().unwrap().len(), 2, "a lapsed tag stays behind");
        let check = copy.get(&format!("/api/v1/faces/checkImageReference/hr%2F{n}")).await.ok();
        let face = check["faceId"].as_str().unwrap();
        assert_eq!(copy.get(&format!("/api/v1/people/enrollmentPhoto/{face}")).await.body, photos[0]);
        let document = copy.get(&format!("/api/v1/people/{id}/fileDocuments/contract%2F{n}/data")).await;
        assert_eq!(
            (document.body.as_slice(), &document.headers["content-type"]),
            (&b"signed"[..], &"application/pdf".parse().unwrap())
        );
        let faces = copy.publish(&photos[2], json!({"largestFaceOnly": true, "includePerson": true})).await;
        assert_eq!(faces[0]["person"]["personId"], json!(id), "person {n} is recognised");
    }
    let tags = |tags: Value| {
        let without_id = |mut tag: Value| {
            tag["tagId"].take();
            tag.to_string()
        };
        let mut tags: Vec<_> = tags.as_array().unwrap().iter().cloned().map(without_id).collect();
        tags.sort();
        tags
    };
    assert_eq!(tags(copy.get("/api/v1/Tags").await.ok()), tags(original.get("/api/v1/Tags").await.ok()));
}

#[tokio::test]
async fn an_export_goes_into_another_engine() {
    let Some(people) = johns() else { return };
    let original = Server::start();
    let api = original.administrator().await;
    for (n, photos) in people.iter().enumerate() {
        describe(&api, photos, n).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let roster = folder.path().join("roster");
    // Beside the engine that serves the folder.
    let said = succeeds(&["engine", "export", "--data"], &[&original.data(), &roster]);
    assert!(said.contains("5 people, 10 photos and 5 documents"), "{said}");
    assert_eq!(std::fs::metadata(&roster).unwrap().permissions().mode() & 0o777, 0o700);
    let again = run(&["engine", "export", "--data"], &[&original.data(), &roster]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("not empty"));

    // Into a data folder, twice: the second time changes nothing.
    let copy = folder.path().join("engine");
    for _ in 0..2 {
        succeeds(&["engine", "import", "--data"], &[&copy, &roster]);
    }
    let counts = || {
        let database = rusqlite::Connection::open(copy.join("engine.db")).unwrap();
        ["people", "faces", "photos", "aliases", "notes", "documents", "users"].map(|table| {
            database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap()
        })
    };
    assert_eq!(counts(), [5, 10, 10, 10, 5, 5, 0], "and the guest has gone");
    let served = Server::start_in(folder);
    is_the_same(&served.administrator().await, &api, &people).await;
    let refused = run(&["engine", "import", "--data"], &[&served.data(), &served.folder.path().join("roster")]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && said.contains("identities import --url"), "{said}");

    // Into an engine over the network.
    let other = Server::start();
    let password = other.folder.path().join("password");
    std::fs::write(&password, other.password.as_ref().unwrap()).unwrap();
    let words = ["identities", "import", "--url", &other.base, "--username", "admin", "--password-file"];
    succeeds(&words, &[&password, &served.folder.path().join("roster")]);
    is_the_same(&other.administrator().await, &api, &people).await;
}
