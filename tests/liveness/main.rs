//! Whether a picture held to the camera is told from a person: the real models and the real binary on real pictures.
//!
//! The models and the pictures of attacks are test data that not everybody has; what needs them says so where they are
//! missing. `measure.py` beside this file has the error rates.

#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use faces::liveness;
use faces::models::ModelStore;
use serde_json::Value;
use support::{doorward, json_lines, recording, run, shared};

const MODELS: [&str; 3] = ["antispoof_minifas_128", "minifasnet_v2_2_7", "minifasnet_v1se_4_0"];

/// Whether every liveness model is here; says so when not.
fn models_are_here() -> bool {
    let wanted = MODELS.map(str::to_owned);
    let here = liveness::choose(&ModelStore::locate(None), &wanted);
    here.inspect_err(|error| eprintln!("the liveness models were not checked: {error}")).is_ok()
}

fn look(files: &[PathBuf]) -> Vec<Value> {
    json_lines(&run(doorward().args(["liveness", "look", "--json"]).args(files)))
}

#[test]
fn a_screen_and_a_print_are_told_from_a_person() {
    let Some(folder) = shared("liveness") else { return };
    if !models_are_here() {
        return;
    }
    let [screen, print, person] = ["image_F1.jpg", "image_F2.jpg", "image_T1.jpg"].map(|name| folder.join(name));
    let [screen, print, person]: [Value; 3] = look(&[screen, print, person]).try_into().unwrap();
    let live = |line: &Value| line["live"].as_f64().unwrap();
    // Measured: 0.025, 0.003 and 0.999.
    assert!(live(&screen) < 0.1 && live(&print) < 0.1 && live(&person) > 0.95, "{screen} {print} {person}");
    for model in MODELS {
        let of = |line: &Value| line["models"][model].as_f64().unwrap();
        // One of them takes the screen for a person: that is why there are three.
        assert!(of(&print) < 0.05 && of(&person) > 0.95 && of(&screen) < of(&person) - 0.2, "{model} {screen} {print}");
    }
}

#[test]
fn the_pictures_of_a_folder_are_the_shots_of_one_visit() {
    let Some(folder) = shared("liveness") else { return };
    if !models_are_here() {
        return;
    }
    let visit = tempfile::tempdir().unwrap();
    for (from, to) in [("image_T1.jpg", "1.jpg"), ("image_F2.jpg", "2.jpg")] {
        std::fs::copy(folder.join(from), visit.path().join(to)).unwrap();
    }
    recording::nobody(&visit.path().join("nobody"));
    std::fs::copy(visit.path().join("nobody/0000.jpg"), visit.path().join("3.jpg")).unwrap();
    let line = look(&[visit.path().to_owned()]).remove(0);
    let shots = line["shots"].as_array().unwrap();
    assert!(shots.len() == 3 && shots[2]["error"].is_string(), "{line}");
    let mean = (shots[0]["live"].as_f64().unwrap() + shots[1]["live"].as_f64().unwrap()) / 2.0;
    assert!((line["live"].as_f64().unwrap() - mean).abs() < 1e-3, "{line}");
    // Alone, a picture of nobody is a failure.
    let output = doorward().args(["liveness", "look"]).arg(visit.path().join("3.jpg")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn every_shot_of_a_visit_has_its_liveness() {
    if !models_are_here() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    recording::visit(&dir.path().join("recording"));
    let visits = |models: &str| {
        let config = site(dir.path(), models, "");
        let mut command = doorward();
        command.args(["replay", "--dry-run", "--json", "--input"]).arg(dir.path().join("recording"));
        json_lines(&run(command.arg("--config").arg(config)))
    };
    let visit = visits("\"auto\"").remove(0);
    let shots = visit["sent"].as_array().unwrap();
    assert!(!shots.is_empty(), "{visit}");
    for shot in shots {
        let models = shot["liveness"]["models"].as_object().unwrap();
        assert_eq!(models.len(), MODELS.len(), "{shot}");
        let live = shot["liveness"]["live"].as_f64().unwrap();
        assert!(models.values().all(|of| (0.0..=1.0).contains(&of.as_f64().unwrap())) && live > 0.0, "{shot}");
    }
    let one = visits("[\"antispoof_minifas_128\"]").remove(0);
    assert_eq!(one["sent"][0]["liveness"]["models"].as_object().unwrap().len(), 1, "{one}");
    let off = visits("\"off\"").remove(0);
    assert_eq!(off["sent"][0]["liveness"], Value::Null, "{off}");
}

#[test]
fn without_a_model_whoever_asks_for_one_is_told_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    // All the other models are there.
    let models = dir.path().join("models");
    std::fs::create_dir(&models).unwrap();
    let store = ModelStore::locate(None);
    for entry in store.manifest().usable().filter(|entry| !entry.role.is_optional()) {
        if store.path(entry).exists() {
            std::os::unix::fs::symlink(store.path(entry).canonicalize().unwrap(), models.join(&entry.file)).unwrap();
        }
    }
    let words = |models_wanted: &str, words: &[&str]| {
        let config = site(dir.path(), models_wanted, "");
        let mut command = doorward();
        command.args(words).arg("--config").arg(config).env("DOORWARD_MODELS_DIR", &models);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
        (output.status.code(), said)
    };
    for (wanted, code, hint) in [
        ("\"auto\"", 1, "no liveness model is in"),
        ("[\"minifasnet_v2_2_7\"]", 78, "run `doorward models pull minifasnet_v2_2_7`"),
        ("[\"minifasnet_v2\"]", 78, "did you mean `minifasnet_v2_2_7`?"),
    ] {
        let (ended, said) = words(wanted, &["check"]);
        assert!(ended == Some(code) && said.contains(hint), "{wanted}: {ended:?} {said}");
        let (ended, said) = words(wanted, &["run"]);
        assert!(ended == Some(1) && said.contains(hint), "{wanted}: {ended:?} {said}");
    }
    let (_, said) = words("\"off\"", &["check"]);
    assert!(!said.contains("liveness"), "{said}");
    let look = doorward().args(["liveness", "look", "x.jpg"]).env("DOORWARD_MODELS_DIR", &models).output().unwrap();
    assert!(String::from_utf8_lossy(&look.stderr).contains("run `doorward models pull`"), "{look:?}");
}

#[test]
fn check_tells_of_a_door_that_never_opens_because_nobody_looks() {
    let dir = tempfile::tempdir().unwrap();
    let checked = |models: &str, guard: &str| {
        let door = "type = \"exec\"\nprogram = \"/bin/true\"\nactuator = true";
        let more = format!("[action.door]\n{door}\nguard = {guard}\n[[rule]]\nname = \"open\"\nactions = [\"door\"]\n");
        let output = doorward().arg("check").arg("--config").arg(site(dir.path(), models, &more)).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let never = checked("\"off\"", "{ min_live = 0.5 }");
    assert!(never.contains("`liveness.models`") && never.contains("it never moves; write \"auto\""), "{never}");
    let once = checked("\"auto\"", "{ min_live = 0.5, sightings = 1, min_confidence = 0.0 }");
    assert!(once.contains("one picture is enough for `door`"), "{once}");
    let sound = checked("\"off\"", "{}");
    assert!(!sound.contains("liveness"), "{sound}");
}

/// A configuration with one detector; gives its main file.
fn site(dir: &Path, models: &str, more: &str) -> PathBuf {
    let main = dir.join("doorward.toml");
    let state = dir.join("state");
    let text = format!(
        "state_dir = {state:?}\n[status]\nlisten = \"off\"\n[identities]\nurl = \"http://127.0.0.1:9\"\n\
         username = \"u\"\npassword = \"p\"\n{more}"
    );
    std::fs::write(&main, text).unwrap();
    std::fs::create_dir_all(dir.join("detectors")).unwrap();
    let recording = dir.join("recording");
    std::fs::create_dir_all(&recording).unwrap();
    let camera = format!("[camera]\ntype = \"replay\"\npath = {recording:?}\nfps = 10.0\n");
    let door = format!("time_zone = \"Europe/Helsinki\"\n{camera}[liveness]\nmodels = {models}\n");
    std::fs::write(dir.join("detectors/door.toml"), door).unwrap();
    main
}
