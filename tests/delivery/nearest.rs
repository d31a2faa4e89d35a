//! Somebody unknown, and how near it was: told wherever an operator looks, held for nobody's identity, and erased with
//! the person.

use std::process::Output;

use serde_json::{Value, json};

use super::fake::{Fake, Reply};
use super::*;

const ANN: &str = "6f1e2f0c-0000-4000-8000-000000000000";

/// One rule for strangers, and two that must never take the stranger for Ann.
const RULES: &str = "
[action.log]\ntype = \"journal\"\npath = \"JOURNAL\"
[action.anns]\ntype = \"journal\"\npath = \"ANNS\"
[[rule]]\nname = \"strangers\"\nactions = [\"log\"]\nwhen = { outcome = [\"unknown\"] }
[[rule]]\nname = \"by-id\"\nactions = [\"anns\"]\nwhen = { outcome = [\"known\", \"unknown\"], person_ids = [\"ID\"] }
[[rule]]\nname = \"by-name\"\nactions = [\"anns\"]\nwhen = { outcome = [\"known\", \"unknown\"], names = [\"Ann Lee\"] }
";

impl Site {
    fn doorward(&self, args: &[&str]) -> Output {
        doorward().args(args).arg("--config").arg(self.path("doorward.toml")).output().unwrap()
    }

    fn text(&self, args: &[&str]) -> String {
        let output = self.doorward(args);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_near_a_stranger_came_is_told_and_erased_with_the_person() {
    let fake = Fake::start(|request| match request.is("/publishWithResponse") {
        false => Reply::json(200, r#"{"username":"x"}"#),
        true => Reply::json(
            200,
            &json!({"detectedFaces": [{"confidence": 0.9, "nearest":
                {"personId": ANN, "name": "Ann Lee", "score": 0.41, "threshold": 0.43}}]})
            .to_string(),
        ),
    })
    .await;
    let site = Site::new("", "fps = 10.0\n");
    let (journal, anns) = (site.path("journal"), site.path("anns"));
    let rules = RULES.replace("JOURNAL", journal.to_str().unwrap()).replace("ANNS", anns.to_str().unwrap());
    let text = std::fs::read_to_string(site.path("doorward.toml")).unwrap();
    let text = format!("{text}{}{}", identities(&fake.url(), ""), rules.replace("ID", ANN));
    std::fs::write(site.path("doorward.toml"), text).unwrap();
    recording::visit(&site.path("recording"));
    let agent = site.agent();
    support::until("the stranger to be told", || journal.exists() && site.settled() > 0).await;
    assert!(agent.stop().success());

    let told = std::fs::read_to_string(&journal).unwrap();
    let event: Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    assert_eq!(event["nearest"], json!({"id": ANN, "name": "Ann Lee", "score": 0.41, "threshold": 0.43}));
    assert_eq!((&event["outcome"], &event["person"]), (&json!("unknown"), &Value::Null));
    assert!(!anns.exists(), "no rule takes a stranger for the nearest");
    let explained = site.text(&["explain", ""]);
    assert!(explained.contains("unknown, nearest Ann Lee 0.41 of 0.43"), "{explained}");
    let json: Vec<Value> = serde_json::Deserializer::from_str(&site.text(&["explain", "", "--json"]))
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(json[0]["shots"][0]["nearest"]["score"], 0.41);
    assert!(json[0]["shots"][0]["person"].is_null());

    // The name is neither in the log nor, but sealed, on the disk; a line of the journal is a test event again.
    let log = std::fs::read_to_string(site.path("log")).unwrap();
    assert!(!log.contains("Ann"), "{log}");
    let database = std::fs::read(site.path("state/outbox/outbox.sqlite")).unwrap();
    assert!(!database.windows(7).any(|bytes| bytes == b"Ann Lee"));
    let tested = site.text(&["rules", "test", journal.to_str().unwrap()]);
    assert!(tested.contains("strangers"), "{tested}");

    // Of the stranger all else stays.
    let purged: Value = serde_json::from_str(&site.text(&["purge", "--person", ANN, "--json"])).unwrap();
    assert!(purged["erased"]["nearest"].as_u64() >= Some(1) && purged["erased"]["visits"] == 0, "{purged}");
    let explained = site.text(&["explain", ""]);
    assert!(explained.contains("unknown") && !explained.contains("nearest"), "{explained}");
    let told = std::fs::read_to_string(&journal).unwrap();
    let event: Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    assert_eq!((&event["nearest"], &event["outcome"]), (&Value::Null, &json!("unknown")));
    assert!(!told.contains(ANN));
}
