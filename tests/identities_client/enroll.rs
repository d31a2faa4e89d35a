//! `doorward identities enroll`, the real program.

use std::path::Path;
use std::process::{Output, Stdio};

use base64::Engine as _;

use super::*;

/// A photo, as far as anybody but an engine looks.
fn jpeg() -> Vec<u8> {
    faces::picture::Picture::filled(8, 8, [90, 120, 140]).jpeg(90).unwrap()
}

const PERSON: &str = "2c9f9a4e-6d0c-4b57-b3f8-0b9a7f7f2e10";

/// An engine that knows the tag `Staff` and one person, who carries it.
fn engine(request: &Request) -> Reply {
    let line = request.line();
    if line.starts_with("POST /api/v1/faces/faceEnroll") {
        return Reply::json(200, &format!(r#"{{"personId":"{PERSON}"}}"#));
    }
    if line.starts_with("GET /api/v1/Tags") {
        let known = line.ends_with("tagName=Staff");
        return Reply::json(200, if known { r#"[{"tagId":"t-staff","tagName":"Staff"}]"# } else { "[]" });
    }
    if line.starts_with("POST /api/v1/Tags") {
        return Reply::json(200, r#"{"tagId":"t-new","tagName":"Night shift"}"#);
    }
    if line.ends_with("/tags?tagName=Staff") {
        return Reply::json(200, r#"[{"tagId":"t-staff","tag":{"name":"Staff"},"expires":null}]"#);
    }
    if line.starts_with("GET /api/v1/people/") {
        return Reply::json(200, &format!(r#"{{"personId":"{PERSON}","aliases":[{{"firstName":"Mara"}}]}}"#));
    }
    Reply::with(200, "", "")
}

async fn enroll(fake: &Fake, dir: &Path, more: &[&str]) -> Output {
    if !dir.join("photo.jpg").exists() {
        std::fs::write(dir.join("photo.jpg"), jpeg()).unwrap();
    }
    std::fs::write(dir.join("password"), format!("{PASSWORD}\nsecond line")).unwrap();
    let child = tokio::process::Command::new(env!("CARGO_BIN_EXE_doorward"))
        .args(["identities", "enroll", "--photo", "photo.jpg", "--url", &fake.url()])
        .args(["--username", "gate", "--password-file", "password"])
        .args(more)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output();
    let output = tokio::time::timeout(Duration::from_secs(60), child).await.unwrap().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains(PASSWORD));
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Every call after the login: its line, its body as JSON.
fn calls(fake: &Fake) -> Vec<(String, serde_json::Value)> {
    let seen = fake.seen();
    assert!(seen[0].is("/authenticate"));
    let body = |request: &Request| serde_json::from_slice(&request.body).unwrap_or_default();
    seen[1..].iter().map(|request| (request.line().to_owned(), body(request))).collect()
}

#[tokio::test]
async fn a_new_person_gets_a_name_and_tags_that_are_defined_if_need_be() {
    let (fake, dir) = (Fake::start(engine).await, tempfile::tempdir().unwrap());
    let more = ["--first-name", "Mara", "--tag", "Staff", "--tag", "Night shift", "--json"];
    let output = enroll(&fake, dir.path(), &more).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        printed,
        serde_json::json!({
            "person_id": PERSON, "new": true, "first_name": "Mara", "last_name": null, "tags": ["Staff", "Night shift"]
        })
    );
    let calls = calls(&fake);
    let lines: Vec<_> = calls.iter().map(|(line, _)| line.as_str()).collect();
    let people = format!("/api/v1/people/{PERSON}");
    assert_eq!(
        lines,
        [
            "POST /api/v1/faces/faceEnroll",
            &format!("PUT {people}/aliases"),
            "GET /api/v1/Tags?tagName=Staff",
            &format!("PUT {people}/tags"),
            "GET /api/v1/Tags?tagName=Night+shift",
            "POST /api/v1/Tags",
            &format!("PUT {people}/tags"),
        ]
    );
    assert_eq!(
        calls[0].1,
        serde_json::json!({ "faceImage": base64::engine::general_purpose::STANDARD.encode(jpeg()) })
    );
    assert_eq!((&calls[1].1["firstName"], &calls[1].1["lastName"]), (&"Mara".into(), &serde_json::Value::Null));
    assert_eq!((&calls[3].1["tagId"], &calls[6].1["tagId"]), (&"t-staff".into(), &"t-new".into()));
    assert_eq!(calls[5].1["tagName"], "Night shift");
    for (call, id) in [(1, "personAliasId"), (3, "personTagId"), (6, "personTagId")] {
        let id = calls[call].1[id].as_str().unwrap_or_else(|| panic!("{id} makes a repetition safe"));
        assert!(id.parse::<Uuid>().is_ok(), "{id}");
    }
}

#[tokio::test]
async fn a_known_person_is_not_given_twice_what_they_have() {
    let (fake, dir) = (Fake::start(engine).await, tempfile::tempdir().unwrap());
    let more = ["--person-id", PERSON, "--force", "--first-name", "Mara", "--tag", "Staff"];
    let output = enroll(&fake, dir.path(), &more).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(
        text(&output.stdout),
        format!("person      {PERSON} (one more photo)\nname        Mara\ntags        Staff\n")
    );
    let calls = calls(&fake);
    assert_eq!(calls[0].0, format!("POST /api/v1/faces/faceEnroll?personId={PERSON}&forceEnrollment=true"));
    assert!(calls.iter().all(|(line, _)| !line.starts_with("PUT")), "{calls:?}");
}

#[tokio::test]
async fn a_refused_photo_comes_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::start(|_| Reply::json(500, r#"{"title":"No usable face"}"#)).await;
    let output = enroll(&fake, dir.path(), &[]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("photo.jpg") && said.contains("--force") && said.contains("No usable face"), "{said}");
    assert_eq!(fake.count("faceEnroll"), 1, "the same picture is never sent twice");
}

#[tokio::test]
async fn the_advice_is_about_what_the_engine_refuses() {
    for (status, forced, advised, not) in [
        (500, false, "sharp", "smaller"),
        (500, true, "upright", "--force"),
        (400, false, "save it anew as JPEG", "sharp"),
        (413, false, "save it smaller", "sharp"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let fake = Fake::start(move |_| Reply::json(status, r#"{"title":"No"}"#)).await;
        let output = enroll(&fake, dir.path(), if forced { &["--force"] } else { &[] }).await;
        let said = text(&output.stderr);
        assert!(said.contains(advised) && !said.contains(not), "{status}: {said}");
    }
}

#[tokio::test]
async fn what_no_engine_should_get_is_not_sent_and_the_reason_is_told() {
    let (fake, dir) = (Fake::start(engine).await, tempfile::tempdir().unwrap());
    let photo = dir.path().join("photo.jpg");
    let whole = faces::picture::Picture::filled(300, 200, [90, 120, 140]).jpeg(90).unwrap();
    let large = [&whole[..], &vec![0; faces::picture::MAX_PHOTO_BYTES]].concat();
    for (bytes, says) in [
        (&whole[..whole.len() / 2], "its end is missing"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC picture is not taken"),
        (&large, "at most 33.6 MB is taken"),
    ] {
        std::fs::write(&photo, bytes).unwrap();
        let output = enroll(&fake, dir.path(), &[]).await;
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output.stderr);
        assert!(said.contains("photo.jpg") && said.contains(says), "{said}");
    }
    assert_eq!(fake.seen().len(), 0);
}

#[tokio::test]
async fn a_person_who_was_enrolled_is_named_when_the_rest_fails() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::start(|request| match request.is("/faceEnroll") {
        true => engine(request),
        false => Reply::with(403, "", ""),
    })
    .await;
    let output = enroll(&fake, dir.path(), &["--tag", "Staff"]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains(PERSON) && said.contains("`Staff`") && said.contains("\"Read Tags\""), "{said}");
}

#[tokio::test]
async fn what_is_no_picture_is_not_sent() {
    let (fake, dir) = (Fake::start(engine).await, tempfile::tempdir().unwrap());
    std::fs::write(dir.path().join("photo.jpg"), "no picture").unwrap();
    let output = enroll(&fake, dir.path(), &[]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("photo.jpg is not a picture"), "{}", text(&output.stderr));
    assert_eq!(fake.seen().len(), 0);
}
