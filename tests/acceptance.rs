//! `doorward check` about doors and the engine: what could never open, and the acceptance test of `--online`, against
//! the real engine and stand-ins.

#[allow(dead_code)] // what the client's own tests need of it
#[path = "identities_client/fake.rs"]
mod fake;
mod support;

use std::path::PathBuf;

use fake::{Fake, Reply};
use serde_json::Value;
use support::{Engine, doorward, run};

/// A box with a door that staff may open.
struct House(tempfile::TempDir);

/// A line of `check`: its name, result and detail.
type Line = (String, String, String);

impl House {
    fn new(identities: &str, detector: &str, more: &str) -> Self {
        let house = Self(tempfile::tempdir().unwrap());
        let folder = house.0.path().display();
        std::fs::create_dir(house.path("detectors")).unwrap();
        let main = format!(
            "state_dir = \"{folder}/state\"\n{identities}\n[action.door]\ntype = \"exec\"\nprogram = \"/bin/true\"\n\
             actuator = true\n[[rule]]\nname = \"staff\"\nactions = [\"door\"]\n{more}"
        );
        std::fs::write(house.path("doorward.toml"), main).unwrap();
        let detector = format!("time_zone = \"UTC\"\n[camera]\ntype = \"replay\"\npath = \"/\"\n{detector}");
        std::fs::write(house.path("detectors/hall.toml"), detector).unwrap();
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn check(&self, more: &[&str]) -> Vec<Line> {
        let mut command = doorward();
        let output = command.args(["check", "--json", "--config"]).arg(self.path("doorward.toml")).args(more).output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        let checks: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let word = |check: &Value, key: &str| check[key].as_str().unwrap().to_owned();
        let line = |check: &Value| (word(check, "name"), word(check, "result"), word(check, "detail"));
        checks["checks"].as_array().unwrap().iter().map(line).collect()
    }
}

/// The one line of this name and result that says this.
fn said(lines: &[Line], name: &str, result: &str, detail: &str) {
    let there = lines.iter().any(|line| line.0 == name && line.1 == result && line.2.contains(detail));
    assert!(there, "no {result} of `{name}` says `{detail}`: {lines:#?}");
}

const NOWHERE: &str = "[identities]\nurl = \"http://127.0.0.1:9\"\nusername = \"u\"\npassword = \"p\"\n";
const DOOR: &str = "detector hall: actuator door";

/// What no engine could cure is wrong before anybody is asked.
#[test]
fn a_door_that_can_never_open_is_a_mistake() {
    for (detector, more, result, detail) in [
        ("[identify]\ncall = \"lookup\"\n", "", "error", "answered without a match score, so that `door` never moves"),
        ("[identify]\ncall = \"recognize\"\n", "", "error", "`action.door.guard.min_confidence`"),
        ("[identify]\ncall = \"publish\"\n", "", "error", "nobody is ever recognised, so that `door` never moves"),
        ("[identify]\ninclude_person = false\n", "", "error", "answers name nobody"),
        ("[identify]\ninclude_tags = false\n", "", "error", "the guard of `door` wants a tag: it never moves"),
        (
            "[identify]\ninclude_tags = false\n",
            "[action.door.guard]\nneeds_tag = false\n",
            "error",
            "`banned_tags` of `door` keeps nobody out",
        ),
        ("", "[action.door.guard]\ntags_any = [\"Banned\"]\n", "error", "each of these is in `banned_tags`, too"),
        ("", "", "warning", "`door` only moves when the engine gives a match score"),
        ("", "", "warning", "an engine that answers the same face within moments with an empty list"),
        ("", "[action.door.guard]\nmin_confidence = 0.0\n", "warning", "nothing asks how sure the engine is"),
        (
            "[identify]\ncall = \"lookup\"\n",
            "[action.door.guard]\nmin_confidence = 0.0\n",
            "warning",
            "whoever it takes for somebody with the right tag, in 2 of 3 pictures, moves `door`",
        ),
    ] {
        said(&House::new(NOWHERE, detector, more).check(&[]), DOOR, result, detail);
    }
    // An embedding goes along with lookup: that it is asked for is no mistake.
    let lines = House::new(NOWHERE, "[identify]\ncall = \"lookup\"\nsend_embedding = true\nsend_aligned = true\n", "")
        .check(&[]);
    said(&lines, "configuration", "warning", "these calls always send the aligned face");
    assert!(!lines.iter().any(|line| line.2.contains("send_embedding")), "{lines:#?}");
    // Rules that wait for what is never answered.
    for (detector, when, detail) in [
        (
            "[identify]\ncall = \"lookup\"\n",
            "min_confidence = 0.9",
            "answered without a match score; the rule never fires",
        ),
        ("[identify]\ncall = \"lookup\"\n", "fields = { A = 1 }", "answered without fields; the rule never fires"),
        ("[identify]\ninclude_fields = false\n", "fields = { A = 1 }", "`identify.include_fields` is false"),
        ("[identify]\ninclude_names = false\n", "names = [\"Ann\"]", "`identify.include_names` is false"),
        ("[identify]\ninclude_tags = false\n", "tags_none = [\"X\"]", "it keeps nobody out"),
        ("", "outcome = [\"unknown\"], min_confidence = 0.5", "a stranger has none; the rule never fires"),
    ] {
        let more = format!("[[rule]]\nname = \"other\"\nactions = [\"door\"]\nwhen = {{ {when} }}\n");
        said(&House::new(NOWHERE, detector, &more).check(&[]), "rule other", "warning", detail);
    }
}

/// A late answer performs what is no actuator: something that looks like a door and is not marked is told of.
#[test]
fn something_that_looks_like_a_door_is_told_of() {
    let rule = "[[rule]]\nname = \"other\"\nactions = [\"hall\"]\n";
    let webhook = "[action.hall]\ntype = \"webhook\"\nurl = \"http://10.0.0.7/relay/0?turn=on\"\n";
    let warned = |more: &str| {
        let lines = House::new(NOWHERE, "", &format!("{webhook}{more}{rule}")).check(&[]);
        lines.into_iter().find(|line| line.2.contains("looks as if this opened something"))
    };
    let (_, result, detail) = warned("").unwrap();
    assert!(result == "warning" && detail.contains("`action.hall.actuator`: `/relay/`"), "{detail}");
    assert!(detail.contains("write `actuator = true`"), "{detail}");
    assert_eq!((warned("actuator = true\n"), warned("actuator = false\n")), (None, None));
}

/// At our own engine everything that is asked is answered, and nothing is left behind.
#[test]
fn an_acceptance_test_passes_and_leaves_no_trace() {
    let engine = Engine::start();
    for call in ["publish_with_response", "publish", "recognize", "lookup"] {
        let detector = format!("[identify]\ncall = \"{call}\"\n");
        let lines = House::new(&engine.section(&engine.url), &detector, "").check(&["--online"]);
        said(&lines, "engine", "ok", "lets us in");
        said(&lines, &format!("detector hall: {call}"), "ok", "takes pictures from this account");
        said(&lines, "engine's clock", "ok", "within 5 s");
        if call == "publish_with_response" {
            for part in ["names", "tags", "fields"] {
                said(&lines, &format!("detector hall: {part}"), "ok", "may read them");
            }
            said(&lines, DOOR, "ok", "its guard can be met: 2 of 3 pictures agree, a match score of 0.6, any tag");
        }
    }
    let database = rusqlite::Connection::open(engine.data.path().join("engine/engine.db")).unwrap();
    for table in ["detections", "faces", "photos", "people"] {
        let rows: i64 = database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

/// What the account may not do is said with the permission it lacks, before anybody stands before a shut door.
#[test]
fn an_account_without_the_permission_its_call_needs_does_not_pass() {
    let engine = Engine::start();
    let account = |name: &str, permissions: &[(&str, &str)]| {
        let database = rusqlite::Connection::open(engine.data.path().join("engine/engine.db")).unwrap();
        database.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        database.execute("INSERT INTO roles (name, built_in) VALUES (?, 0)", [name]).unwrap();
        for permission in permissions {
            let insert = "INSERT INTO role_permissions SELECT role_id, ?, ? FROM roles WHERE name = ?";
            database.execute(insert, (permission.0, permission.1, name)).unwrap();
        }
        let mut command = doorward();
        command.args(["engine", "user", "add", "--username", name, "--role", name, "--data"]);
        run(command.arg(engine.data.path().join("engine")).arg("--password-file").arg(&engine.password_file));
        engine.section(&engine.url).replace(support::USER, name)
    };
    let publish = ("Facial Recognition Services", "Face Publishing");
    let looker = account("looker", &[("Facial Recognition Services", "Face Recognize")]);
    let publisher = account("publisher", &[publish, ("Identities", "Read Aliases")]);
    let reader = account("reader", &[publish, ("Identities", "Read Tags"), ("Identities", "Read Entity Fields")]);

    let lines = House::new(&looker, "", "").check(&["--online"]);
    said(&lines, "engine", "ok", "lets us in");
    said(&lines, "detector hall: publish_with_response", "error", "\"Face Publishing\"");
    let lines = House::new(&publisher, "[identify]\ncall = \"lookup\"\n", "").check(&["--online"]);
    said(&lines, "detector hall: lookup", "error", "\"Face Recognize\"");
    let lines = House::new(&publisher, "", "").check(&["--online"]);
    said(&lines, "detector hall: names", "ok", "may read them");
    said(&lines, "detector hall: tags", "error", "\"Read Tags\" or \"Read All Identity\" (category Identities");
    said(&lines, "detector hall: fields", "warning", "no rule here depends on them");
    let fields = "[[rule]]\nname = \"other\"\nactions = [\"door\"]\nwhen = { fields = { A = 1 } }\n";
    said(&House::new(&publisher, "", fields).check(&["--online"]), "detector hall: fields", "error", "depend on them");
    let lines = House::new(&reader, "", "").check(&["--online"]);
    said(&lines, "detector hall: names", "warning", "`identify.include_names = false`");
    assert!(!lines.iter().any(|line| line.1 == "error" && line.0.contains("tags")), "{lines:#?}");
}

/// An engine that gives no match score, whose clock is wrong, or which sees faces where there are none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_engine_answers_is_looked_at() {
    let with_date = |ahead: i64, body: &'static str| {
        move |_: &fake::Request| {
            let date = chrono::Utc::now() + chrono::TimeDelta::seconds(ahead);
            let date = date.format("Date: %a, %d %b %Y %H:%M:%S GMT\r\nContent-Type: application/json\r\n");
            Reply::with(200, &date.to_string(), body)
        }
    };
    const NOBODY: &str = r#"{"detectedFaces":[]}"#;
    const FACE: &str = r#"{"detectedFaces":[{"faceId":"f","detectId":"d","confidence":0.5}]}"#;
    for (ahead, body, name, result, detail) in [
        (0, NOBODY, DOOR, "error", "the engine does not say that it gives match scores"),
        (0, NOBODY, DOOR, "warning", "allow_double_detection = true"),
        (0, NOBODY, "engine's clock", "ok", "within 5 s"),
        (30, NOBODY, "engine's clock", "warning", "s ahead of this box's: visits are dated wrongly"),
        (-3600, NOBODY, "engine's clock", "error", "s behind this box's: tags end and logins lapse"),
        (0, FACE, "detector hall: publish_with_response", "warning", "found a face in a plain grey picture"),
    ] {
        let fake = Fake::start(with_date(ahead, body)).await;
        let identities = NOWHERE.replace("http://127.0.0.1:9", &fake.url());
        let lines = tokio::task::spawn_blocking(move || House::new(&identities, "", "").check(&["--online"]));
        said(&lines.await.unwrap(), name, result, detail);
    }
}
