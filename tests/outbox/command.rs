//! `doorward purge` and `doorward pictures` as they are typed, on a state directory and a journal made here.

use std::process::{Command, Output};

use serde_json::Value;

use super::*;

const ANN: &str = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";

struct Site {
    dir: tempfile::TempDir,
}

impl Site {
    /// Two visits of Ann, one of Bob, pictures kept and events in a journal, one of them rotated away.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let text = format!(
            "state_dir = {state:?}\n[outbox]\nkeep_known_hours = 1\n[identities]\nurl = \"https://engine.example\"\n\
             username = \"u\"\npassword = \"p\"\n\
             [action.log]\ntype = \"journal\"\npath = \"{0}/journal\"\n[action.tell]\ntype = \"exec\"\nprogram = \"/bin/true\"\n\
             [[rule]]\nname = \"all\"\nactions = [\"log\", \"tell\"]\n",
            dir.path().display()
        );
        std::fs::write(dir.path().join("doorward.toml"), text).unwrap();
        let config = OutboxConfig { keep_known_hours: 1, ..OutboxConfig::default() };
        let outbox = Outbox::open(&state, &config).unwrap();
        for (n, person) in [(1, ANN), (2, "bob"), (3, ANN)] {
            let sent = sighting(n, 9000);
            outbox.accept(&sent).wait().unwrap();
            outbox.answered(Answered { person: Some(person.into()), ..known(sent.id) }).wait().unwrap();
        }
        let event = |n: u64, person: &str| {
            let visit = sighting(n, 1).visit;
            format!(
                "{{\"event\":\"recognition\",\"person\":{{\"id\":\"{person}\",\"name\":\"Name of {person}\"}},\
                 \"seen_at\":\"{}\",\"visit\":\"{visit}\"}}\n",
                seen_at(n).to_rfc3339()
            )
        };
        // Ann was here before the history began, too.
        std::fs::write(dir.path().join("journal.1"), event(90, ANN) + &event(91, "bob")).unwrap();
        std::fs::write(dir.path().join("journal"), event(1, ANN) + &event(2, "bob") + &event(3, ANN)).unwrap();
        Self { dir }
    }

    fn doorward(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command.args(args).arg("--config").arg(self.dir.path().join("doorward.toml"));
        command.env_remove("CREDENTIALS_DIRECTORY").output().unwrap()
    }

    fn lines(&self, args: &[&str]) -> Vec<Value> {
        let output = self.doorward(args);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn journals(&self) -> String {
        ["journal", "journal.1"]
            .map(|name| std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default())
            .concat()
    }
}

#[test]
fn a_person_is_purged_by_command() {
    let site = Site::new();
    let answer = site.lines(&["purge", "--person", ANN, "--json"]).remove(0);
    assert_eq!((&answer["erased"]["visits"], &answer["erased"]["pictures"]), (&2.into(), &2.into()), "{answer:#}");
    let events: Vec<_> = answer["erased"]["journals"].as_array().unwrap().iter().map(|j| &j["events"]).collect();
    assert_eq!(events, [&Value::from(2), &Value::from(1)]);
    assert_eq!((answer["still_in"].clone(), answer["not_read"].clone()), (Value::Array(vec![]), Value::Array(vec![])));
    let beyond = answer["not_erased"].to_string();
    assert!(beyond.contains("engine.example") && beyond.contains("tell") && !beyond.contains("log"), "{beyond}");
    let left = site.journals();
    assert_eq!((left.matches(ANN).count(), left.matches("Name of bob").count()), (0, 2), "{left}");
    assert_eq!(site.lines(&["pictures", "list", "--json"]).len(), 1);

    // A second time there is nothing, which is no failure.
    let text = site.doorward(&["purge", "--person", ANN]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.starts_with("erased     0 visits") && text.contains("none is left"), "{text}");
}

#[test]
fn a_time_and_everything_are_purged_by_command() {
    let site = Site::new();
    let answer = site.lines(&["purge", "--before", "2026-03-04T05:06:10Z", "--json"]).remove(0);
    assert_eq!(answer["erased"]["visits"], 2);
    assert_eq!((site.journals().matches("Name of").count(), site.lines(&["pictures", "list", "--json"]).len()), (3, 1));

    let answer = site.lines(&["purge", "--all", "--json"]).remove(0);
    let files = answer["erased"]["files"].to_string();
    assert!(files.contains("outbox.key") && files.contains("outbox.sqlite"), "{answer:#}");
    assert_eq!(site.journals(), "");
    let gone = site.doorward(&["explain", ""]);
    assert!(!gone.status.success());
}

#[test]
fn purge_wants_to_know_what() {
    let site = Site::new();
    for args in [&["purge"][..], &["purge", "--all", "--person", ANN], &["purge", "--before", "yesterday"]] {
        let output = site.doorward(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
    }
    assert_eq!(site.lines(&["pictures", "list", "--json"]).len(), 3, "nothing has gone");
}

#[test]
fn kept_pictures_are_listed_and_exported() {
    let site = Site::new();
    let listed = site.lines(&["pictures", "list", "--json"]);
    assert_eq!((listed[0]["person"].as_str(), listed[1]["person"].as_str()), (Some(ANN), Some("bob")));
    assert_eq!(listed[0]["detector"], "Front door");
    let to = site.dir.path().join("out");
    let exported = site.lines(&["pictures", "export", "--person", ANN, "--json", "--to", to.to_str().unwrap()]);
    assert_eq!(exported.len(), 2);
    for (line, n) in exported.iter().zip([1, 3]) {
        let file = to.join(line["file"].as_str().unwrap());
        assert_eq!(std::fs::read(&file).unwrap(), picture(n, 9000));
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
    std::fs::remove_file(site.dir.path().join("state/outbox.key")).unwrap();
    let output = site.doorward(&["pictures", "export", "--to", to.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("stored with another key"), "{output:?}");
}

/// The first eight letters of an id are a time to the minute.
#[test]
fn visits_whose_ids_begin_alike_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    std::fs::write(dir.path().join("doorward.toml"), format!("state_dir = {state:?}\n")).unwrap();
    let outbox = Outbox::open(&state, &OutboxConfig::default()).unwrap();
    let visits: Vec<String> = (0..9)
        .map(|n| {
            let id = format!("0192f3c4-000{n}-7000-8000-00000000000{n}");
            let mut sent = sighting(n, 1000);
            sent.visit = doorward::track::VisitId(id.parse().unwrap());
            outbox.accept(&sent).wait().unwrap();
            outbox.answered(Answered { person: Some(ANN.into()), ..known(sent.id) }).wait().unwrap();
            id
        })
        .collect();
    drop(outbox);
    let site = Site { dir };
    let explain = |id: &str| {
        let output = site.doorward(&["explain", id]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let list = explain("0192f3c4");
    assert!(list.starts_with("9 visits have an id that starts with `0192f3c4`"), "{list}");
    assert_eq!(list.lines().count(), 11, "a line each: {list}");
    assert!(visits.iter().all(|visit| list.contains(visit)) && list.contains(ANN), "{list}");
    assert!(explain(&visits[3]).contains("shot 1"), "one is told whole");
}
