//! An engine that says itself how sure it is of a person, and who is believed at once.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use serde_json::json;

use super::fake::{Fake, Reply};
use super::*;

const ANN: &str = "6f1e2f0c-0000-4000-8000-000000000000";
const BOB: &str = "8a3b5d1e-0000-4000-8000-000000000000";

fn answer(person: &str, sure: f32) -> String {
    json!({"detectedFaces": [{"faceId": "f", "detectId": "d", "confidence": 0.99, "matchConfidence": sure,
        "person": {"personId": person, "personTags": []}}]})
    .to_string()
}

/// A weak match is no reason to stop asking: a second picture says the same, or something else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_weak_match_is_believed_when_another_picture_says_the_same() {
    // (what, the answers one after the other, which are all that are asked for)
    let cases: [(&str, &[(&str, f32)]); 4] = [
        ("sure at once", &[(ANN, 0.8)]),
        ("twice the same", &[(ANN, 0.6), (ANN, 0.55)]),
        ("somebody else, surely", &[(ANN, 0.6), (BOB, 0.95)]),
        ("weakly somebody else, and then the first again", &[(ANN, 0.6), (BOB, 0.55), (ANN, 0.58)]),
    ];
    for (what, answers) in cases {
        let asked = AtomicUsize::new(0);
        let replies: Vec<String> = answers.iter().map(|(person, sure)| answer(person, *sure)).collect();
        let fake = Fake::start(move |request| match request.is("/publishWithResponse") {
            false => Reply::json(200, r#"{"username":"x"}"#),
            true => Reply::json(200, replies.get(asked.fetch_add(1, SeqCst)).or(replies.last()).unwrap()),
        })
        .await;
        let site = Site::new("", "fps = 10.0\n[track]\nbetter_by = 1.0\n");
        let text = std::fs::read_to_string(site.path("doorward.toml")).unwrap();
        std::fs::write(site.path("doorward.toml"), format!("{text}{}", identities(&fake.url(), ""))).unwrap();
        recording::slow_visit(&site.path("recording"));
        let agent = site.agent();
        let over = "SELECT count(*) FROM visit WHERE outcome = 'known'";
        let closed = || site.ledger().and_then(|db| db.query_row(over, [], |row| row.get::<_, u32>(0)).ok());
        support::until("the visit to be over", || closed().is_some_and(|visits| visits > 0)).await;
        assert!(agent.stop().success());
        assert_eq!(site.shots().len(), answers.len(), "{what}");
    }
}
