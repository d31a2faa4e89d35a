//! `doorward liveness measure` on what is recorded of visits, and on pictures that are kept.

use std::process::{Command, Output};

use doorward::track::VisitId;
use doorward::visits::SentShot;
use faces::liveness::LivenessCheck;
use faces::models::ModelStore;
use faces::picture::Picture;
use faces::quality::{Part, Quality};

use super::*;

/// A box whose door wants a liveness of 0.55, and its history.
struct Site {
    dir: tempfile::TempDir,
    outbox: Option<Outbox>,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let main = format!(
            "state_dir = \"{}/state\"\n[outbox]\nkeep_known_hours = 1\n\
             [action.door]\ntype = \"exec\"\nprogram = \"/bin/true\"\nactuator = true\nguard = {{ min_live = 0.55 }}\n\
             [[rule]]\nname = \"open\"\nactions = [\"door\"]\n",
            dir.path().display()
        );
        std::fs::write(dir.path().join("doorward.toml"), main).unwrap();
        std::fs::create_dir(dir.path().join("detectors")).unwrap();
        let door =
            "name = \"Front door\"\ntime_zone = \"Europe/Helsinki\"\n[camera]\ntype = \"replay\"\npath = \"/\"\n";
        std::fs::write(dir.path().join("detectors/door.toml"), door).unwrap();
        let config = OutboxConfig { keep_known_hours: 1, ..OutboxConfig::default() };
        let outbox = Some(Outbox::open(&dir.path().join("state"), &config).unwrap());
        Self { dir, outbox }
    }

    /// A visit of an hour ago with shots of this liveness; of somebody known, or not.
    fn visit(&self, n: u64, lives: &[Option<f32>], known: bool, closed: bool) {
        let outbox = self.outbox.as_ref().unwrap();
        let mut shots = Vec::new();
        for (shot, live) in (1..).zip(lives) {
            let liveness = live.map(|live| Liveness { live, models: vec![ModelScore { model: "l".into(), live }] });
            let sent = Sighting {
                id: Uuid::from_u128(u128::from(n) << 8 | u128::from(shot)),
                visit: VisitId(Uuid::from_u128(u128::from(n) << 64)),
                seen_at: Utc::now() - chrono::TimeDelta::hours(1),
                shot,
                liveness,
                ..face()
            };
            outbox.accept(&sent).wait().unwrap();
            let answer = super::known(sent.id);
            let unknown = Answered { outcome: OutcomeKind::Unknown, person: None, ..answer.clone() };
            outbox.answered(if known { answer } else { unknown }).wait().unwrap();
            shots.push((sent.clone(), sent_shot(&sent)));
        }
        if closed {
            let seen = super::closed(&shots[0].0, VisitOutcome::Unknown);
            let shots = shots.into_iter().map(|(_, shot)| shot).collect();
            outbox.visit_closed(Arc::new(Visit { shots, ..(*seen).clone() })).wait().unwrap();
        }
    }

    fn explained(&self, visit: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command.args(["explain", visit]).arg("--config").arg(self.dir.path().join("doorward.toml"));
        String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned()
    }

    fn measure(&self, more: &[&str], models: Option<&Path>) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command.args(["liveness", "measure", "--detector", "Front door", "--json"]).args(more);
        command.arg("--config").arg(self.dir.path().join("doorward.toml"));
        if let Some(dir) = models {
            command.env("DOORWARD_MODELS_DIR", dir);
        }
        command.env_remove("CREDENTIALS_DIRECTORY").output().unwrap()
    }
}

/// The known person of the demo, as a camera would have cut them out.
fn face() -> Sighting {
    let picture = Picture::read(&ModelStore::locate(None).picture("astronaut").unwrap()).unwrap();
    let cut = picture.cropped(123, 10, 201, 221).unwrap();
    let face = Rect { x: 55.0, y: 55.0, width: 91.0, height: 111.0 };
    Sighting { expanded: cut.jpeg(90).unwrap().into(), face, aligned: None, embedding: None, ..sighting(1, 1) }
}

fn sent_shot(of: &Sighting) -> SentShot {
    let part = Part { score: 0.5, value: 1.0 };
    let quality = Quality { total: 0.5, ..Quality::of([part; 6]) };
    SentShot { sighting: of.id, at_ms: 0, frame: 0, bbox: of.face, quality, liveness: of.liveness.clone() }
}

fn said(output: &Output) -> (Value, String) {
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    (serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {told}")), told)
}

#[test]
fn what_was_recorded_tells_how_many_a_bound_would_have_turned_away() {
    let site = Site::new();
    for n in 1..=31 {
        site.visit(n, &[Some(0.75), Some(1.0)], true, true);
    }
    site.visit(40, &[Some(0.25), Some(0.75)], true, true);
    site.visit(41, &[Some(0.125)], false, true);
    // Before it was switched on, without a picture.
    site.visit(42, &[None], false, true);
    let output = site.measure(&["--days", "1"], None);
    let (json, told) = said(&output);
    assert!(output.status.success(), "{told}");
    assert_eq!((&json["shots"]["measured"], &json["shots"]["taken"]), (&65.into(), &66.into()));
    assert_eq!((&json["visits"]["measured"], &json["visits"]["of_people_known"]), (&33.into(), &32.into()));
    assert_eq!((&json["shots"]["of_these_from_kept_pictures"], &json["too_few"]), (&0.into(), &false.into()));
    let bounds = json["bounds"].as_array().unwrap();
    let row = |bound: f64| bounds.iter().find(|row| row["bound"] == bound).unwrap();
    // The guard's own bound is among them, and it turns away whoever is at 0.5.
    for (bound, counts) in [(0.5, [2, 1, 0]), (0.55, [2, 2, 1]), (0.8, [34, 2, 1])] {
        let of = ["shots_below", "visits_refused", "visits_of_people_known_refused"];
        assert_eq!(of.map(|of| row(bound)[of]["count"].as_i64().unwrap()), counts, "{bound}");
    }
    assert!(told.contains("1 shots have neither"), "{told}");
    let everything = String::from_utf8_lossy(&output.stdout).into_owned() + &told;
    assert!(!everything.contains("person-1"), "{everything}");
}

#[test]
fn explain_tells_what_the_models_said_of_the_visit_and_of_each_shot() {
    let site = Site::new();
    site.visit(7, &[Some(0.25), Some(0.75)], true, true);
    let told = site.explained("00000000-0000-0007");
    for line in ["  live      0.500 over its shots", "    live    0.250: l 0.250", "    live    0.750: l 0.750"] {
        assert!(told.contains(line), "{line}: {told}");
    }
    site.visit(8, &[None], true, true);
    assert!(!site.explained("00000000-0000-0008").contains("live"));
}

#[test]
fn too_few_visits_say_so_and_what_to_do() {
    let site = Site::new();
    let output = site.measure(&["--bound", "0.5"], None);
    let (json, told) = said(&output);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!((&json["visits"]["measured"], &json["bounds"][0]["shots_below"]["share"]), (&0.into(), &Value::Null));
    assert!(told.contains("too few visits") && told.contains("`liveness.models = \"auto\"`"), "{told}");
    // Of a visit that is not over the liveness is with its picture.
    site.visit(1, &[Some(0.5)], true, false);
    let (json, told) = said(&site.measure(&["--bound", "0.625"], None));
    assert_eq!(json["bounds"][0]["visits_of_people_known_refused"]["count"], 1, "{told}");
    assert!(json["too_few"] == true && told.contains("1 of at least 30"), "{told}");
}

#[test]
fn a_kept_picture_is_looked_at_where_nothing_was_recorded() {
    let site = Site::new();
    site.visit(1, &[None], true, true);
    let nothing = tempfile::tempdir().unwrap();
    let output = site.measure(&[], Some(nothing.path()));
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(told.contains("no liveness model is in") && told.contains("doorward models pull"), "{told}");
    let models: Result<LivenessCheck, _> = faces::liveness::load(&ModelStore::locate(None), &[], 1);
    if let Err(error) = models {
        return eprintln!("what liveness models say of a kept picture was not checked: {error}");
    }
    let (json, told) = said(&site.measure(&["--bound", "0.1", "--bound", "1"], None));
    assert_eq!(json["shots"]["of_these_from_kept_pictures"], 1, "{told}");
    let counts = [0, 1].map(|row: usize| json["bounds"][row]["shots_below"]["count"].as_i64().unwrap());
    assert!(counts == [0, 1] && told.contains("their figures are rough"), "{json} {told}");
}
