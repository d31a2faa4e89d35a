//! How near it was: who comes nearest to a stranger, as the answers tell it, and what `doorward engine quality` says
//! of the photos people were enrolled with.

use std::process::Output;

use faces::models::ModelStore;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::server::{Api, Server, base64, doorward, sighting};

fn picture(name: &str) -> Vec<u8> {
    std::fs::read(ModelStore::locate(None).picture(name).unwrap()).unwrap()
}

/// Enrols the astronaut as Ann Lee.
async fn enrol_ann(api: &Api) -> String {
    let ann = api.enroll(&picture("astronaut")).await;
    let name = json!({"firstName": "Ann", "lastName": "Lee"});
    api.put(&format!("/api/v1/people/{ann}/aliases"), &name).await.ok();
    ann
}

/// What each of the four calls says is nearest to the strangers of a picture.
async fn told(api: &Api) -> [Value; 4] {
    let strangers = picture("sample3");
    let options = json!({"includePerson": true, "includeNames": true, "largestFaceOnly": true});
    let published = api.publish(&strangers, options).await.remove(0);
    assert!(published.get("person").is_none() && published.get("matchConfidence").is_none(), "{published}");
    let listed = api.post("/api/v1/faces/faceDetect", &json!({"image": base64(&strangers)})).await.ok();
    let mut asked = sighting(&strangers, json!({"croppedAligned": base64(&strangers)}));
    asked.as_object_mut().unwrap().remove("expanded");
    let recognised = api.post("/api/v1/faceEdge/recognize", &asked).await;
    recognised.is_problem(404);
    let crop = Form::new().part("CroppedAligned", Part::bytes(strangers).file_name("face.jpg"));
    let looked_up = api.form("/api/v1/faceEdge/lookup", crop).await;
    looked_up.is_problem(404);
    [published, listed["detections"][0].clone(), recognised.json(), looked_up.json()].map(|it| it["nearest"].clone())
}

#[tokio::test]
async fn who_comes_nearest_to_a_stranger_is_told_to_who_may_know() {
    let server = Server::start();
    let admin = server.administrator().await;
    assert_eq!(told(&admin).await, [Value::Null, Value::Null, Value::Null, Value::Null], "nobody is enrolled");
    let ann = enrol_ann(&admin).await;
    let role = |name: &str, permissions: &[&str]| {
        let mut command = doorward();
        command.args(["engine", "role", "set", "--role", name, "--data"]).arg(server.data());
        command.args(permissions.iter().flat_map(|held| ["--permission", held]));
        assert!(command.status().unwrap().success());
        assert!(server.add_user(name, name, "password").success());
    };
    let calls = ["Face Publishing", "Face Recognize", "Face Detection"];
    role("blind", &calls);
    role("tags", &[&calls[..], &["Identities/Read Tags"]].concat());
    role("names", &[&calls[..], &["Read Aliases"]].concat());
    for (user, id, name) in [("blind", None, None), ("tags", Some(&ann), None), ("names", Some(&ann), Some("Ann Lee"))]
    {
        let api = server.log_in(user, "password").await;
        for nearest in told(&api).await {
            assert_eq!(nearest["personId"].as_str(), id.map(String::as_str), "{user}: {nearest}");
            assert_eq!(nearest["name"].as_str(), name, "{user}: {nearest}");
            let figures = (nearest["score"].as_f64(), nearest["threshold"].as_f64());
            assert_eq!(matches!(figures, (Some(score), Some(limit)) if score != limit), id.is_some(), "{nearest}");
        }
    }

    // A known face has none, nor has anything an erased person left behind.
    let options = json!({"includePerson": true, "largestFaceOnly": true});
    let known = admin.publish(&picture("astronaut"), options).await.remove(0);
    assert!(known["person"]["personId"] == json!(ann) && known.get("nearest").is_none(), "{known}");
    let erased = admin.send(Method::DELETE, &format!("/page/people/{ann}"), None).await;
    assert_eq!(erased.status, 200);
    assert_eq!(told(&admin).await, [Value::Null, Value::Null, Value::Null, Value::Null]);
}

fn quality(server: &Server, more: &[&str]) -> Output {
    doorward().args(["engine", "quality", "--data"]).arg(server.data()).args(more).output().unwrap()
}

#[tokio::test]
async fn photos_that_need_attention_are_named_with_what_to_do() {
    let server = Server::start();
    let nothing = quality(&server, &[]);
    assert!(nothing.status.success(), "{nothing:?}");
    assert!(String::from_utf8_lossy(&nothing.stdout).contains("nothing is wrong"), "{nothing:?}");

    let api = server.administrator().await;
    let ann = enrol_ann(&api).await;
    let one = quality(&server, &["--json"]);
    let line: Value = serde_json::from_slice(&one.stdout).unwrap();
    assert!(one.status.success(), "a single photo is a hint: {one:?}");
    assert_eq!((&line["problem"], &line["person"]["name"]), (&json!("too_few"), &json!("Ann Lee")));

    // The same face enrolled as somebody else, who goes by the id; an engine goes on serving meanwhile.
    let twin = api.enroll_again(&picture("astronaut")).await;
    let both = quality(&server, &["--json"]);
    assert_eq!(both.status.code(), Some(1), "{both:?}");
    let lines: Vec<Value> =
        String::from_utf8_lossy(&both.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let first = &lines[0];
    let people = [&first["person"]["person_id"], &first["other"]["person_id"]];
    assert!(people.contains(&&json!(ann)) && people.contains(&&json!(twin)), "{first}");
    assert_eq!((&first["problem"], lines.len()), (&json!("alike"), 3));
    assert!(first["score"].is_f64() && first["threshold"].is_f64() && first["advice"].is_string(), "{first}");
    let text = String::from_utf8_lossy(&quality(&server, &[]).stdout).into_owned();
    let words: Vec<&str> = text.split_whitespace().collect();
    assert!(words.join(" ").contains("looked at 2 photos of 2 people") && text.contains("Ann Lee"), "{text}");
    let missing = doorward().args(["engine", "quality", "--data", "/nowhere/at/all"]).output().unwrap();
    assert!(!missing.status.success(), "{missing:?}");
}
