//! `doorward rules test` through the real binary.

mod support;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const MAIN: &str = "
[detector]
time_zone = \"Europe/Berlin\"
holidays = [\"12-25\"]
[action.log]
type = \"journal\"
path = \"/nonexistent/journal\"
[action.open]
type = \"exec\"
program = \"/nonexistent/open\"
actuator = true
[[rule]]
name = \"staff\"
actions = [\"log\", \"open\"]
when = { tags_any = [\"Staff\"], between = [\"08:00-18:00\"] }
unless = { holiday = true }
[[rule]]
name = \"stranger\"
actions = [\"log\"]
when = { outcome = [\"unknown\"] }
[[rule]]
name = \"sure\"
actions = [\"log\"]
if = \"confidence >= 0.9\"
[[rule]]
name = \"bye\"
actions = [\"log\"]
when = { event = [\"left\"] }
";

fn test(events: &str, more: &[&str]) -> Output {
    test_of(MAIN, events, more)
}

fn test_of(text: &str, events: &str, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("detectors")).unwrap();
    let main = folder.path().join("doorward.toml");
    std::fs::write(&main, text).unwrap();
    std::fs::write(folder.path().join("detectors/door.toml"), "[camera]\ntype = \"replay\"\npath = \"/\"\n").unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_doorward"))
        .args(["rules", "test", "-", "--config"])
        .arg(&main)
        .args(more)
        .env_remove("CREDENTIALS_DIRECTORY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(events.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// The rules that fire at each event.
fn fired(events: &Value) -> Vec<Vec<String>> {
    let output = test(&events.to_string(), &["--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()["fired"].clone();
    String::from_utf8(output.stdout).unwrap().lines().map(|text| serde_json::from_value(line(text)).unwrap()).collect()
}

#[test]
fn events_go_through_the_rules_in_their_order() {
    let noon = "2026-06-10T10:00:00Z";
    let staff = json!({"id": "p1", "tags": ["Staff"]});
    assert_eq!(
        fired(&json!([
            {"seen_at": noon, "visit": "a", "person": staff},
            {"seen_at": noon, "visit": "a", "shot": 2, "person": staff, "confidence": 0.95},
            {"seen_at": noon, "person": {"id": "p2", "tags": [{"name": "staff", "expires": "2026-06-10T09:00:00Z"}]}},
            {"seen_at": "2026-12-25T10:00:00Z", "person": staff},
            {"seen_at": "2026-06-10T20:00:00Z", "person": staff},
            {"outcome": "unknown"},
            {},
            {"outcome": "no_face"},
        ])),
        [vec!["staff"], vec!["sure"], vec![], vec![], vec![], vec!["stranger"], vec!["stranger"], vec![]]
    );
}

#[test]
fn it_tells_why() {
    let event = json!({"seen_at": "2026-06-10T20:00:00Z", "person": {"id": "p1"}, "confidence": 0.5});
    let output = test(&event.to_string(), &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "staff: no, tags_any wants staff, found none; between wants 08:00-18:00, found wed 22:00:00 +02:00",
        "stranger: no, outcome wants unknown, found known",
        "sure: no, if wants confidence >= 0.9, found false",
    ] {
        assert!(text.lines().any(|told| told.trim() == line), "{line}\n{text}");
    }
    let late = json!({"seen_at": "2026-06-10T10:00:00Z", "person": {"tags": ["Staff"]}, "late": true});
    let text = String::from_utf8(test(&late.to_string(), &[]).stdout).unwrap();
    assert!(text.contains("staff: fires log (withheld, being late: open)"), "{text}");
}

#[test]
fn guards_and_leavings_are_tested_too() {
    let at = |second: u32| format!("2026-06-10T10:00:{second:02}Z");
    let staff = json!({"id": "p1", "tags": ["Staff"]});
    let events = json!([
        {"seen_at": at(0), "visit": "a", "match_confidence": 0.8, "person": staff},
        {"seen_at": at(1), "visit": "a", "match_confidence": 0.8, "shot": 2, "person": staff},
        {"event": "left", "since": at(0), "seen_at": at(9), "visit": "a", "person": staff},
    ]);
    let text = String::from_utf8(test(&events.to_string(), &[]).stdout).unwrap();
    let told: Vec<_> = text.lines().map(str::trim).filter(|line| line.starts_with("staff:")).collect();
    let wanted = [
        "staff: fires log (held back: open, sightings wants 2 of 3, found 1)",
        "staff: fires open",
        "staff: no, event wants recognition, found left",
    ];
    assert_eq!(told, wanted, "{text}");
    assert!(text.contains("bye: fires log"), "{text}");
}

/// How sure an engine is that there is a face says nothing about whose it is: it opens no door.
#[test]
fn a_guard_goes_by_the_match_score_alone() {
    let staff = json!({"id": "p1", "tags": ["Staff"]});
    let event = |shot: u8| json!({"seen_at": "2026-06-10T10:00:00Z", "visit": "a", "shot": shot, "confidence": 0.99, "person": staff});
    let text = String::from_utf8(test(&json!([event(1), event(2)]).to_string(), &[]).stdout).unwrap();
    assert!(text.contains("min_confidence wants 0.6, found no match score"), "{text}");
    assert!(!text.contains("fires open") && !text.contains("fires log, open"), "{text}");
}

/// A picture that is held to the camera: an alarm by a rule, and a door that stays shut by its guard.
#[test]
fn a_picture_held_to_the_camera_is_told_and_opens_nothing() {
    let alarm = "[[rule]]\nname = \"picture\"\nactions = [\"log\"]\nwhen = { live = { at_most = 0.3 } }\n";
    let main = MAIN.replace("actuator = true", "actuator = true\nguard = { min_live = 0.5 }") + alarm;
    let event = |shot: u8, live: Option<f32>| {
        json!({"seen_at": "2026-06-10T10:00:00Z", "visit": format!("{}", shot / 10), "match_confidence": 0.9,
            "shot": shot, "live": live, "person": {"id": format!("p{}", shot / 10), "tags": ["Staff"]}})
    };
    let events = [(10, Some(0.1)), (11, Some(0.2)), (20, Some(0.9)), (21, Some(0.8)), (30, None), (31, None)];
    let events: Vec<_> = events.into_iter().map(|(shot, live)| event(shot, live)).collect();
    let text = String::from_utf8(test_of(&main, &json!(events).to_string(), &[]).stdout).unwrap();
    let of = |n: usize| text[text.find(&format!("event {n} at")).unwrap()..].split("\nevent ").next().unwrap();
    assert!(of(2).contains("min_live wants 0.5, found 0.150") && of(1).contains("picture: fires log"), "{text}");
    assert!(of(4).contains("staff: fires open") && of(4).contains("live wants 0 to 0.3, found 0.850"), "{text}");
    assert!(of(6).contains("min_live wants 0.5, found no liveness value") && !of(6).contains("fires open"), "{text}");
}

/// A tag, a name or a field is the same word however it is typed: with accents composed or not, in any case, with the
/// spaces of a spreadsheet. A ban above all must not be got round so.
#[test]
fn text_is_compared_in_any_spelling() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("detectors")).unwrap();
    let main = "state_dir = \"STATE/state\"
[action.log]
type = \"journal\"
path = \"STATE/events.jsonl\"
[action.\"Tür\"]
type = \"exec\"
program = \"/bin/true\"
actuator = true
[action.\"Tür\".guard]
sightings = 1
of = 1
needs_tag = false
banned_tags = [\"Gesperrt für Tür\"]
[[rule]]
name = \"guests\"
actions = [\"log\"]
when = { tags_any = [\"Gäste\"], names = [\"José García\"], fields = { \"Büro\" = \"Küche\" } }
[[rule]]
name = \"open\"
actions = [\"Tu\u{308}r\"]
[[rule]]
name = \"not for them\"
actions = [\"log\"]
when = { tags_none = [\"Gesperrt für Tür\"] }
";
    let file = folder.path().join("doorward.toml");
    std::fs::write(&file, main.replace("STATE", folder.path().to_str().unwrap())).unwrap();
    let camera = "time_zone = \"UTC\"\n[camera]\ntype = \"replay\"\npath = \"/\"\n";
    std::fs::write(folder.path().join("detectors/Eingang Su\u{308}d.toml"), camera).unwrap();
    let banned =
        ["Gesperrt fu\u{308}r Tu\u{308}r", "GESPERRT FÜR TÜR", "Gesperrt\u{a0}für  Tür", "Gesperrt f\u{200b}ür Tür"];
    for banned in banned {
        let person = json!({"id": "p", "name": "Jose\u{301} Garci\u{301}a", "tags": ["GA\u{308}STE", banned],
            "fields": {"Bu\u{308}ro": "Ku\u{308}che"}});
        let event = json!({"detector": "Eingang Süd", "match_confidence": 0.99, "quality": 0.9, "person": person});
        let events = folder.path().join("events.json");
        std::fs::write(&events, event.to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        let output = command.args(["rules", "test"]).arg(&events).arg("--config").arg(&file).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("guests: fires log"), "{banned}: {text}");
        assert!(text.contains("open: fires nothing (held back: Tür, banned_tags"), "{banned}: {text}");
        assert!(text.contains("not for them: no, tags_none"), "{banned}: {text}");
    }
}

/// The case that went wrong, as it was reported.
#[test]
fn a_ban_in_decomposed_unicode_holds_the_door_back() {
    let (Some(rules), Some(event)) = (support::shared("cases/nfd.toml"), support::shared("cases/nfd.json")) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("detectors")).unwrap();
    let camera = "time_zone = \"UTC\"\n[camera]\ntype = \"replay\"\npath = \"/\"\n";
    std::fs::write(folder.path().join("detectors/front.toml"), camera).unwrap();
    let config = folder.path().join("doorward.toml");
    std::fs::copy(rules, &config).unwrap();
    let mut command = support::doorward();
    let output = support::run(command.args(["rules", "test"]).arg(event).arg("--config").arg(config));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for rule in ["guests", "names", "field"] {
        assert!(text.contains(&format!("{rule}: fires log")), "{rule}: {text}");
    }
    assert!(text.contains("door: no, tags_none"), "{text}");
}

/// Rules about cameras: told once of a trouble and once of its end, not of every one that follows at once.
#[test]
fn a_camera_in_trouble_is_told_of_and_its_end_too() {
    let main = "
[detector]
time_zone = \"Europe/Berlin\"
[action.log]
type = \"journal\"
path = \"/nonexistent/journal\"
[[rule]]
name = \"camera\"
actions = [\"log\"]
cooldown_secs = 600
when = { event = [\"camera\"], detectors = [\"door\"] }
[[rule]]
name = \"by day\"
actions = [\"log\"]
when = { event = [\"camera\"], between = [\"08:00-18:00\"] }
[[rule]]
name = \"dark\"
actions = [\"log\"]
when = { event = [\"camera\"] }
if = \"camera.part == 'picture' and 'dark' in reason\"
[[rule]]
name = \"visitors\"
actions = [\"log\"]
when = { outcome = [\"known\", \"unknown\"] }
";
    let at = |minute: u32, trouble: &str, ok: bool| {
        json!({"event": "camera", "seen_at": format!("2026-06-10T10:{minute:02}:00Z"), "visit": trouble,
            "reason": "the picture is dark", "camera": {"ok": ok, "part": "picture"}})
    };
    let at_night = json!({"event": "camera", "seen_at": "2026-06-10T21:00:00Z", "reason": "no frames"});
    let events = json!([
        at(0, "a", false),
        at(1, "a", false),
        at(2, "a", true),
        at(3, "b", false),
        at(4, "b", true),
        at(30, "c", false),
        at_night,
        {}
    ]);
    let output = test_of(main, &events.to_string(), &["--json"]);
    assert!(output.status.success(), "{output:?}");
    let fired: Vec<Value> = support::json_lines(&output).iter().map(|line| line["fired"].clone()).collect();
    let all = json!(["camera", "by day", "dark"]);
    assert_eq!(
        fired,
        [
            all.clone(),
            json!([]),
            all.clone(),
            // The first rests; the others do for a minute.
            json!(["by day", "dark"]),
            json!(["by day", "dark"]),
            all,
            json!(["camera"]),
            json!(["visitors"]),
        ]
    );
}

#[test]
fn a_rule_about_cameras_asks_nothing_of_a_visitor() {
    let rule = |when: &str, actions: &str| {
        let text = format!("{MAIN}[[rule]]\nname = \"camera\"\nactions = [{actions}]\nwhen = {{ {when} }}\n");
        String::from_utf8(test_of(&text, "{}", &[]).stderr).unwrap()
    };
    for (when, actions, told) in [
        ("event = [\"camera\", \"left\"]", "\"log\"", "`rule.when.event`: a rule is about cameras or about visitors"),
        (
            "event = [\"camera\"], tags_any = [\"Staff\"]",
            "\"log\"",
            "`rule.when.tags_any`: a rule about cameras has no visitor",
        ),
        (
            "event = [\"camera\"], outcome = [\"known\"]",
            "\"log\"",
            "`rule.when.outcome`: a rule about cameras has no visitor",
        ),
        ("event = [\"camera\"]", "\"open\"", "`open` is an actuator, and nothing is opened for a camera"),
    ] {
        let said = rule(when, actions);
        assert!(said.contains(told), "{when}: {said}");
    }
}

#[test]
fn expectations_are_a_test() {
    let met = test("{\"expect\": [\"stranger\"]}\n{\"outcome\": \"no_face\", \"expect\": []}\n", &[]);
    assert!(met.status.success(), "{met:?}");
    let unmet = test("{\"expect\": [\"stranger\", \"staff\"]}", &[]);
    assert_eq!(unmet.status.code(), Some(1));
    let text = String::from_utf8(unmet.stdout).unwrap();
    assert!(text.contains("NOT as expected: stranger, staff should fire, stranger does"), "{text}");
}

/// What a journal holds can be tested again.
#[test]
fn a_line_of_the_journal_is_an_event() {
    let line = json!({
        "event": "recognition", "id": "KEY", "rule": "r", "action": "a", "detector": "door", "time_zone": "Europe/Berlin",
        "seen_at": "2026-06-10T10:00:00.000Z", "local_time": "2026-06-10T12:00:00.000+02:00", "since": null, "stayed_secs": null,
        "visit": "0190a8c0-0000-7000-8000-000000000001", "sighting": "0190a8c0-0000-7000-8000-000000000002", "shot": 1,
        "outcome": "known", "late": false, "quality": 0.8, "confidence": 0.95, "reason": null,
        "person": {"id": "p1", "name": null, "tags": [{"name": "Staff", "expires": null}], "fields": {"N": 1, "D": "2026-01-01T00:00:00Z", "E": null}},
    });
    assert_eq!(fired(&json!([line])), [["staff", "sure"]]);
}

#[test]
fn what_is_wrong_is_told() {
    for (events, wanted) in [
        ("", "holds no event"),
        ("{", "is not JSON"),
        ("{\"persn\": {}}", "unknown field `persn`"),
        ("{\"detector\": \"gate\"}", "there is no detector `gate`; there are `door`"),
        ("{\"outcome\": \"unknown\", \"person\": {}}", "only `known` has a person"),
    ] {
        let output = test(events, &[]);
        assert_eq!(output.status.code(), Some(1), "{events}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains(wanted), "{events}: {told}");
    }
}
