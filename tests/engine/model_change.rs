//! Another embedding model: the one before answers until every enrolled photo has been analysed anew, kill or no kill.

use faces::models::{ModelStore, Role};
use serde_json::{Value, json};

use crate::server::{Api, Server, johns};

/// Both embedding models, or a word on which is missing.
fn two_models() -> Option<[&'static str; 2]> {
    let (store, names) = (ModelStore::locate(None), ["mobilefacenet", "faceapi_resnet"]);
    for name in names {
        if let Err(error) = store.choose(Role::Embedder, name) {
            println!("a change of the model was not checked: {error}");
            return None;
        }
    }
    Some(names)
}

async fn health(server: &Server) -> Value {
    server.anonymous().get("/health").await.ok()
}

/// How many of the photos are known to be whose they are.
async fn right(api: &Api, people: &[Vec<Vec<u8>>], ids: &[String]) -> usize {
    let mut right = 0;
    for (photos, id) in people.iter().zip(ids) {
        let faces = api.publish(&photos[9], json!({"largestFaceOnly": true, "includePerson": true})).await;
        right += usize::from(faces[0]["person"]["personId"] == json!(id));
    }
    right
}

#[tokio::test]
async fn the_model_before_answers_until_the_new_one_is_ready() {
    let (Some([one, other]), Some(people)) = (two_models(), johns()) else { return };
    let serve = |folder, model| Server::start_with(folder, &["--listen", "127.0.0.1:0", "--model", model]);
    let server = serve(tempfile::tempdir().unwrap(), one);
    let password = server.password.clone().unwrap();
    let api = server.administrator().await;
    let mut ids = Vec::new();
    for photos in &people {
        let id = api.enroll(&photos[0]).await;
        for photo in &photos[1..9] {
            let body = json!({"faceImage": crate::server::base64(photo)});
            api.post(&format!("/api/v1/faces/faceEnroll?personId={id}&forceEnrollment=true"), &body).await.ok();
        }
        ids.push(id);
    }
    assert_eq!(right(&api, &people, &ids).await, people.len());
    let (enrolled, folder) = (people.len() * 9, server.kill());

    let server = serve(folder, other);
    let api = server.log_in("admin", &password).await;
    let begun = health(&server).await;
    assert_eq!((&begun["ok"], &begun["model"]), (&json!(true), &json!(one)));
    assert_eq!(
        (&begun["preparing"]["model"], &begun["preparing"]["photos"]),
        (&json!(other), &json!(enrolled)),
        "{begun}"
    );
    let faces = api.publish(&people[0][9], json!({"largestFaceOnly": true, "includePerson": true})).await;
    assert_eq!(faces[0]["person"]["personId"], json!(ids[0]), "the model before answers");
    let done = loop {
        let done = health(&server).await["preparing"]["done"].as_u64().expect("a kill comes before the end");
        if done > 3 {
            break done;
        }
    };
    let folder = server.kill();

    let server = serve(folder, other);
    let api = server.log_in("admin", &password).await;
    let resumed = health(&server).await;
    if let Some(again) = resumed["preparing"]["done"].as_u64() {
        assert!(again >= done, "{resumed} after {done}");
        assert_eq!(resumed["model"], one);
    }
    let finished = loop {
        let health = health(&server).await;
        if health["preparing"].is_null() {
            break health;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(finished["model"], other);
    assert!(right(&api, &people, &ids).await >= people.len() - 1);
    let metrics = server.anonymous().get("/metrics").await;
    let metrics = String::from_utf8(metrics.body).unwrap();
    assert!(metrics.contains(&format!("doorward_engine_preparing_done_photos {enrolled}")), "{metrics}");
}
