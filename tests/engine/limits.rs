//! How much an engine keeps: what was seen, documents, and what stays free of the disk.

use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::json;

use crate::server::{Api, Reply, Server, portrait, sighting};

const LISTEN: [&str; 2] = ["--listen", "127.0.0.1:0"];

fn start(more: &[&str]) -> Server {
    Server::start_with(tempfile::tempdir().unwrap(), &[&LISTEN, more].concat())
}

async fn upload(api: &Api, person: &str, name: &str, bytes: usize) -> Reply {
    let part = Part::bytes(vec![7; bytes]).file_name("paper.pdf");
    let form = Form::new().part("file", part).text("personId", person.to_owned()).text("name", name.to_owned());
    api.form("/api/v1/people/fileDocuments/upload", form.text("publicId", name.to_owned())).await
}

#[tokio::test]
async fn documents_have_a_bound_for_each_account_and_in_all() {
    let Some(photo) = portrait() else { return };
    let server = start(&["--keep-documents-mb", "10"]);
    let admin = server.administrator().await;
    let person = admin.enroll(&photo).await;
    for name in ["one", "two", "three"] {
        assert!(server.add_user(name, "Enroller", "password").success());
    }
    let [one, two, three] = [
        server.log_in("one", "password").await,
        server.log_in("two", "password").await,
        server.log_in("three", "password").await,
    ];
    for (api, name) in [(&one, "a"), (&two, "b")] {
        assert_eq!(upload(api, &person, name, 4_000_000).await.status, 200);
        let refused = upload(api, &person, "more", 2_000_000).await;
        assert_eq!(refused.status, 507);
        let told = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(told.contains("may of 5 MB") && told.contains("--keep-documents-mb"), "{told}");
    }
    // Two accounts leave 2 MB for the third.
    assert_eq!(upload(&three, &person, "c", 3_000_000).await.status, 507);
    assert_eq!(upload(&three, &person, "c", 1_000_000).await.status, 200);
    // One in the place of another takes no more room than itself.
    assert_eq!(upload(&one, &person, "a", 1_000_000).await.status, 200);
    assert_eq!(upload(&one, &person, "d", 3_000_000).await.status, 200);
    // Whoever is erased gives back what was theirs.
    assert_eq!(admin.delete(&format!("/page/people/{person}")).await.status, 200);
    let person = admin.enroll(&photo).await;
    assert_eq!(upload(&one, &person, "e", 4_900_000).await.status, 200);
}

#[tokio::test]
async fn of_what_was_seen_the_oldest_of_the_fullest_account_goes() {
    let Some(photo) = portrait() else { return };
    let server = start(&["--keep-detections-mb", "2"]);
    let admin = server.administrator().await;
    for name in ["quiet", "flood"] {
        assert!(server.add_user(name, "Edge Publisher", "password").success());
    }
    let (quiet, flood) = (server.log_in("quiet", "password").await, server.log_in("flood", "password").await);
    let kept = |face: &serde_json::Value| {
        let id = |name: &str| face[name].as_str().unwrap().to_owned();
        format!("/api/v1/people/detectionPhoto/{}/{}", id("faceId"), id("detectId"))
    };
    let of_quiet = kept(&quiet.publish(&photo, json!({"detectTimeUtc": "2026-01-01T00:00:00Z"})).await[0]);
    let size = admin.get(&of_quiet).await.body.len();
    // Three times what one account may keep.
    let mut of_flood = Vec::new();
    for minute in 0..(3_000_000 / size + 1) {
        let time = format!("2026-02-01T{:02}:{:02}:00Z", minute / 60, minute % 60);
        let seen = json!({"detectorName": "flood", "detectTimeUtc": time});
        of_flood.push(kept(&flood.publish(&photo, seen).await[0]));
    }
    let gone_by = Instant::now() + Duration::from_secs(30);
    while admin.get(&of_flood[0]).await.status == 200 {
        assert!(Instant::now() < gone_by, "the oldest stays");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(admin.get(of_flood.last().unwrap()).await.status, 200);
    assert_eq!(admin.get(&of_quiet).await.status, 200, "what others saw stays, however old");
}

#[tokio::test]
async fn a_full_disk_is_told_and_takes_nothing_but_deletions() {
    let Some(photo) = portrait() else { return };
    let server = Server::start();
    let admin = server.administrator().await;
    let person = admin.enroll(&photo).await;
    let note = json!({"summary": "a note", "body": "of somebody"});
    admin.put(&format!("/api/v1/people/{person}/notes"), &note).await.ok();
    let password = server.password.clone().unwrap();
    let folder = server.kill();
    let server = Server::start_with(folder, &[&LISTEN[..], &["--keep-free-mb", "1000000000"]].concat());
    let admin = server.log_in("admin", &password).await;
    for (method, path, body) in [
        (Method::POST, "/api/v1/faceEdge/publishWithResponse".to_owned(), sighting(&photo, json!({}))),
        (Method::POST, "/api/v1/faceEdge/publish".to_owned(), sighting(&photo, json!({}))),
        (Method::POST, "/api/v1/faces/faceEnroll".to_owned(), json!({"faceImage": ""})),
        (Method::PUT, format!("/api/v1/people/{person}/notes"), note),
    ] {
        let refused = admin.send(method, &path, Some(&body)).await;
        assert_eq!(refused.status, 507, "{path}");
        let told = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(told.contains("MB left") && told.contains("--keep-free-mb"), "{told}");
    }
    assert_eq!(upload(&admin, &person, "a", 1000).await.status, 507);
    // Who is it, and away with it.
    let crop = json!({"image": crate::server::base64(&photo)});
    assert_eq!(admin.post("/api/v1/faces/faceDetect", &crop).await.ok()["detections"][0]["personId"], json!(person));
    assert_eq!(admin.delete(&format!("/page/people/{person}")).await.status, 200);
}
