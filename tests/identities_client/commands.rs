//! `doorward identities …` as people and programs use it: the real program and the real engine.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use super::support::{Engine, USER, doorward, recording, run};

/// `doorward identities` with these words, as the engine's administrator.
pub fn command(engine: &Engine, words: &[&str]) -> Command {
    let mut command = doorward();
    command.arg("identities").args(words).args(["--username", USER, "--url", &engine.url]);
    command.arg("--password-file").arg(&engine.password_file);
    command
}

/// What a command that succeeds prints.
pub fn said(engine: &Engine, words: &[&str]) -> String {
    text(&run(&mut command(engine, words)).stdout)
}

pub fn json_of(engine: &Engine, words: &[&str]) -> Value {
    let said = said(engine, &[words, &["--json"]].concat());
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error} in {said}"))
}

/// What a command that fails says on standard error.
pub fn complaint(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    text(&output.stderr)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_record_is_read_and_changed_part_by_part() {
    let engine = Engine::start();
    let photo = recording::known_person();
    let person = engine.enroll(&photo, "Mara", &["Staff"]);

    said(&engine, &["person", "tag", &person, "Guest", "--expires", "30d"]);
    said(&engine, &["person", "tag", &person, "Guest"]);
    said(&engine, &["person", "name", &person, "--last-name", "Lindqvist", "--title", "Ms."]);
    said(&engine, &["person", "field", &person, "Badge", "C-1187"]);
    said(&engine, &["person", "field", &person, "Badge", "C-1188"]);
    said(&engine, &["person", "note", &person, "Day shift \u{1b}[31monly", "--summary", "Access"]);

    let shown = said(&engine, &["person", "show", &person]);
    for line in ["name        Mara", "name        Ms. Lindqvist", "tag         Staff\n", "field       Badge = C-1188"] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    assert!(
        shown.contains("tag         Guest, until 20") && shown.contains("Access: Day shift \\u001b[31monly"),
        "{shown}"
    );
    let record = json_of(&engine, &["person", "show", &person]);
    assert_eq!(record["tags"].as_array().unwrap().len(), 2, "{record}");
    assert_eq!(record["entityFields"].as_array().unwrap().len(), 1, "{record}");

    let note = record["notes"][0]["noteId"].as_str().unwrap();
    assert_eq!(said(&engine, &["person", "remove", &person, "note", note]), "removed\n");
    assert_eq!(said(&engine, &["person", "remove", &person, "note", note]), "there was none\n");

    for search in [&["--tag", "Guest"][..], &["--field", "Badge"], &["--field", "Badge", "--value", "C-1188"]] {
        let found = json_of(&engine, &[&["search"], search].concat());
        assert_eq!(found[0]["personId"], json!(person), "{search:?}");
        let shown = said(&engine, &[&["search"], search].concat());
        assert!(shown.contains(&person) && shown.contains("Mara") && shown.contains("Badge=C-1188"), "{shown}");
    }
    assert_eq!(said(&engine, &["search", "--field", "Badge", "--value", "C-1187"]), "nobody\n");
    assert!(said(&engine, &["person", "untag", &person, "Guest"]).contains("no longer carries"));
    assert_eq!(json_of(&engine, &["search", "--tag", "Guest"]), json!([]));
    let error = complaint(&mut command(&engine, &["search", "--tag", "Gust"]));
    assert!(error.contains("no tag is called `Gust`"), "{error}");
    let error = complaint(&mut command(&engine, &["person", "show", "00000000-0000-4000-8000-000000000000"]));
    assert!(error.contains("there is no such person"), "{error}");
}

#[test]
fn definitions_of_tags_are_made_changed_and_deleted() {
    let engine = Engine::start();
    said(&engine, &["tags", "create", "Contractor", "--expires-after", "90d", "--description", "External"]);
    let known = json_of(&engine, &["tags", "show", "Contractor"]);
    assert_eq!((&known["defaultExpirePeriod"], &known["disabled"]), (&json!("90.00:00:00"), &json!(false)));
    let id = known["tagId"].as_str().unwrap();
    let changed = json_of(&engine, &["tags", "update", id, "--disabled", "true", "--name", "External staff"]);
    let expected = json!({
        "tagId": id, "tagName": "External staff", "disabled": true, "description": "External",
        "defaultExpirePeriod": "90.00:00:00",
    });
    assert_eq!(changed, expected);
    assert!(said(&engine, &["tags", "list"]).contains("90.00:00:00"));
    assert_eq!(json_of(&engine, &["tags", "list", "Contractor"]), json!([]));
    let error = complaint(&mut command(&engine, &["tags", "create", "External staff"]));
    assert!(error.contains("createTag"), "{error}");
    assert_eq!(said(&engine, &["tags", "delete", "External staff"]), "deleted\n");
    assert_eq!(json_of(&engine, &["tags", "list"]), json!([]));
}

#[test]
fn photos_documents_and_detections_come_and_go_as_files() {
    let (engine, dir) = (Engine::start(), tempfile::tempdir().unwrap());
    let photo = recording::known_person();
    let person = engine.enroll(&photo, "Mara", &[]);
    let faces = json_of(&engine, &["detect", path(&photo)]);
    assert_eq!(faces["detections"][0]["personId"], json!(person));
    assert!(said(&engine, &["detect", path(&photo)]).contains(&person));
    assert!(said(&engine, &["compare", path(&photo), path(&photo)]).starts_with("the same face"));
    assert_eq!(json_of(&engine, &["compare", path(&photo), path(&photo)])["match"], json!(true));

    let saved = dir.path().join("saved.jpg");
    let face = faces["detections"][0]["faceId"].as_str().unwrap();
    said(&engine, &["photo", "enrollment", face, "--output", path(&saved)]);
    assert!(std::fs::read(&saved).unwrap().starts_with(b"\xff\xd8\xff"));
    assert_eq!(std::fs::metadata(&saved).unwrap().permissions().mode() & 0o077, 0, "a face is nobody else's business");
    let error = complaint(&mut command(&engine, &["photo", "enrollment", face, "--output", path(&saved)]));
    assert!(error.contains("--overwrite"), "{error}");
    let error = complaint(&mut command(
        &engine,
        &["photo", "detection", face, "none", "--output", path(&dir.path().join("x"))],
    ));
    assert!(error.contains("there is no such photo"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing half is left");

    let document = dir.path().join("contract.txt");
    std::fs::write(&document, "Day shift only.").unwrap();
    let sent = json_of(&engine, &["document", "upload", &person, path(&document), "--media-type", "text/plain"]);
    let id = sent["publicId"].as_str().unwrap();
    assert_eq!(said(&engine, &["document", "download", &person, id, "--output", "-"]), "Day shift only.");

    let publish = json!({
        "expanded": base64(&std::fs::read(&photo).unwrap()), "detectorName": "gate", "ianaTimeZone": "Europe/Helsinki",
    });
    published(&engine, &publish, 45);
    let all = said(&engine, &["detections", "person", &person, "--limit", "0", "--oldest-first", "--json"]);
    let times: Vec<String> =
        all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["dateTimeUtc"].to_string()).collect();
    assert_eq!(times.len(), 45, "more than a page");
    assert!(times.is_sorted());
    let pictures = dir.path().join("pictures");
    let some =
        ["--limit", "3", "--until", "2026-03-04T01:30:00Z", "--since", "2026-03-04", "--images", path(&pictures)];
    let shown = said(&engine, &[&["detections", "person", &person], &some[..]].concat());
    assert!(shown.contains("2026-03-04T01:28:00Z") && shown.contains("gate"), "{shown}");
    assert_eq!(std::fs::read_dir(&pictures).unwrap().count(), 3);
    assert_eq!(said(&engine, &["detections", "person", &person, "--since", "1d"]), "none\n");
}

/// Puts sightings into the history, two minutes apart.
fn published(engine: &Engine, publish: &Value, count: usize) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let http = reqwest::Client::new();
        let password = std::fs::read_to_string(&engine.password_file).unwrap();
        let login = json!({ "username": USER, "password": password });
        let login = http.post(format!("{}/api/v1/authenticate", engine.url)).json(&login).send().await.unwrap();
        let token = login.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned();
        for number in 0..count {
            let mut body = publish.clone();
            body["detectTimeUtc"] = format!("2026-03-04T{:02}:{:02}:00Z", number * 2 / 60, number * 2 % 60).into();
            let sent = http.post(format!("{}/api/v1/faceEdge/publish", engine.url)).bearer_auth(&token).json(&body);
            assert_eq!(sent.send().await.unwrap().status(), 200);
        }
    });
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(bytes)
}

#[test]
fn a_login_tells_who_we_are_and_what_we_may_do_and_leaves_nothing() {
    let engine = Engine::start();
    let home = tempfile::tempdir().unwrap();
    let shown = json_of(&engine, &["login"]);
    assert_eq!((&shown["roles"], &shown["mayNot"]), (&json!(["Administrator"]), &json!([])));
    assert!(shown["tokenSeconds"].as_u64().unwrap() > 60);
    assert_eq!(json_of(&engine, &["whoami"])["roles"], json!(["Administrator"]));

    let viewer = home.path().join("viewer");
    std::fs::write(&viewer, "a viewer's password").unwrap();
    run(doorward()
        .args(["engine", "user", "add", "--username", "viewer", "--role", "Viewer", "--data"])
        .arg(engine.data.path().join("engine"))
        .arg("--password-file")
        .arg(&viewer));
    let mut login = doorward();
    login.args(["identities", "login", "--username", "viewer", "--url", &engine.url]).env("HOME", home.path());
    login.env("IDENTITIES_PASSWORD", "a viewer's password");
    let shown = text(&run(&mut login).stdout);
    assert!(
        shown.contains("may         Read All Identity") && shown.contains("may not     Face Publishing"),
        "{shown}"
    );
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "nothing is kept");

    let mut forbidden = doorward();
    forbidden.args(["identities", "tags", "create", "VIP", "--username", "viewer", "--url", &engine.url]);
    let error = complaint(forbidden.env("IDENTITIES_PASSWORD", "a viewer's password"));
    assert!(error.contains("\"Add Tags\" (Tags)"), "{error}");
}

#[test]
fn a_password_comes_from_a_credential_a_variable_or_standard_input_and_is_never_printed() {
    let engine = Engine::start();
    let password = std::fs::read_to_string(&engine.password_file).unwrap();
    let whoami = || {
        let mut command = doorward();
        command.args(["identities", "whoami", "--username", USER, "--url", &engine.url]);
        command
    };
    let credentials = tempfile::tempdir().unwrap();
    let file = credentials.path().join("IDENTITIES_PASSWORD");
    std::fs::write(&file, &password).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o400)).unwrap();
    let output = run(whoami().env("CREDENTIALS_DIRECTORY", credentials.path()).env("IDENTITIES_PASSWORD", "wrong"));
    assert_eq!(text(&output.stderr), "");
    run(whoami().env("IDENTITIES_PASSWORD", &password));

    let mut child = whoami()
        .args(["--password-file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
    let output: Output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = run(whoami().arg("--password-file").arg(&file));
    assert!(text(&output.stderr).contains("make its mode 0400"));

    // Nobody to ask here, and a wrong one: told without it.
    let error = complaint(&mut whoami());
    assert!(error.contains("--password-file"), "{error}");
    let error = complaint(whoami().env("IDENTITIES_PASSWORD", "hunter2"));
    assert!(error.contains("refuses the login") && !error.contains("hunter2"), "{error}");
}
