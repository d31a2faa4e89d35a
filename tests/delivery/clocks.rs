//! Clocks that are set while a visitor waits for an answer, and a machine that sleeps: none of it opens a door late.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::Value;

use super::proxy::{Fault, Proxy};
use super::*;
use support::Engine;

/// What happens between a visitor's sighting and its answer, and whether the door opens.
struct Case {
    what: &'static str,
    /// Seconds the wall clock, and the clock since the machine's start, are moved on.
    moved: (i64, i64),
    late_after_ms: u64,
    answer_after: Duration,
    opens: bool,
}

/// The clocks of a process started with these variables.
struct Clocks(PathBuf);

impl Clocks {
    fn new(file: PathBuf) -> Self {
        let clocks = Self(file);
        clocks.set((0, 0));
        clocks
    }

    fn set(&self, (wall, boot): (i64, i64)) {
        // In place: the process has it mapped.
        let mut file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&self.0).unwrap();
        std::io::Write::write_all(&mut file, &[wall.to_ne_bytes(), boot.to_ne_bytes()].concat()).unwrap();
    }

    fn variables(&self) -> [(&'static str, PathBuf); 2] {
        [("LD_PRELOAD", library().clone()), ("DOORWARD_TEST_CLOCKS", self.0.clone())]
    }
}

/// `clocks.c`, compiled once.
fn library() -> &'static PathBuf {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let library = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("clocks.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/delivery/clocks.c");
        support::run(Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source));
        library
    })
}

/// The known person comes once; a door for VIPs, a journal for everybody.
fn visitor(url: &str, late_after_ms: u64) -> Site {
    let site = Site::new("", "fps = 10.0\n");
    recording::visit(&site.path("recording"));
    let folder = site.path("").display().to_string();
    let main = std::fs::read_to_string(site.path("doorward.toml")).unwrap();
    let more = format!(
        "{}[outbox]\nlate_after_ms = {late_after_ms}\n\
         [detector.track]\nbetter_by = 1.0\n\
         [action.journal]\ntype = \"journal\"\npath = \"{folder}/journal.jsonl\"\n\
         [action.door]\ntype = \"exec\"\nprogram = \"/usr/bin/touch\"\nargs = [\"{folder}/opened-{{{{ visit }}}}\"]\nactuator = true\n\
         guard = {{ sightings = 1, of = 1, max_age_ms = 30000 }}\n\
         [[rule]]\nname = \"everybody\"\nwhen = {{ outcome = [\"known\", \"unknown\"] }}\nactions = [\"journal\"]\n\
         [[rule]]\nname = \"vip\"\nwhen = {{ tags_any = [\"VIP\"] }}\nactions = [\"door\"]\n",
        identities(url, "")
    );
    std::fs::write(site.path("doorward.toml"), main + &more).unwrap();
    site
}

/// The first line of the journal, once every action has ended.
async fn told(site: &Site) -> Value {
    let journal = site.path("journal.jsonl");
    let ended = || {
        let open = "SELECT COUNT(*), COALESCE(SUM(ended_ms IS NULL), 0) FROM action";
        let count = site.ledger().and_then(|db| db.query_row(open, [], |row| Ok((row.get(0)?, row.get(1)?))).ok());
        count.is_some_and(|(all, open): (i64, i64)| all >= 2 && open == 0)
    };
    support::until("the journal and the door to be done", || journal.exists() && ended()).await;
    serde_json::from_str(std::fs::read_to_string(journal).unwrap().lines().next().unwrap()).unwrap()
}

/// Whether the door opened for the visit of this line. After a sleep whoever still stands there is a new visit, for
/// which it may.
fn opened_for(site: &Site, line: &Value) -> bool {
    site.path(&format!("opened-{}", line["visit"].as_str().unwrap())).exists()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_clock_opens_a_door_late() {
    let engine = Engine::start();
    engine.enroll(&recording::known_person(), "Eileen", &["VIP"]);
    const HOUR: i64 = 3600;
    let patient = 30_000;
    let (soon, later) = (Duration::from_millis(1500), Duration::from_secs(5));
    let case =
        |what, moved, late_after_ms, answer_after, opens| Case { what, moved, late_after_ms, answer_after, opens };
    let cases = [
        case("nothing", (0, 0), patient, soon, true),
        case("the answer takes long", (0, 0), 2000, later, false),
        case("the wall clock is set forward", (HOUR, 0), patient, soon, false),
        case("the wall clock is set back", (-HOUR, 0), patient, soon, false),
        case("it is set back, and the answer takes long", (-HOUR, 0), 2000, later, false),
        case("the machine sleeps", (HOUR, HOUR), patient, soon, false),
        case("the machine sleeps, and its wall clock does not know", (0, HOUR), patient, soon, false),
    ];
    let watched = cases.map(|case| {
        let engine = engine.url.clone();
        tokio::spawn(async move {
            let folder = tempfile::tempdir().unwrap();
            let clocks = Clocks::new(folder.path().join("clocks"));
            let variables = clocks.variables();
            let proxy = Proxy::before(&engine, move |request| match request.is("/publishWithResponse") {
                true => {
                    // Once the visitor is asked about, and before the answer.
                    clocks.set(case.moved);
                    Fault::Delay(case.answer_after)
                }
                false => Fault::Delay(Duration::ZERO),
            })
            .await;
            let site = visitor(&proxy.url, case.late_after_ms);
            let agent = Running(site.command().envs(variables).spawn().unwrap());
            let line = told(&site).await;
            assert!(agent.stop().success(), "{}", case.what);
            assert_eq!(line["late"], !case.opens, "{}: {line}", case.what);
            assert_eq!(line["outcome"], "known", "{}: {line}", case.what);
            assert_eq!(opened_for(&site, &line), case.opens, "{}: {line}", case.what);
            let journal = std::fs::read_to_string(site.path("journal.jsonl")).unwrap();
            let lines: Vec<Value> = journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let in_time = lines.iter().filter(|line| line["late"] == false && opened_for(&site, line)).count();
            let folder = std::fs::read_dir(site.path("")).unwrap().flatten();
            let opened = folder.filter(|file| file.file_name().to_string_lossy().starts_with("opened")).count();
            assert_eq!(opened, in_time, "{}: it opened for an answer in time alone: {journal}", case.what);
            if case.moved.1 == 0 {
                assert_eq!(opened > 0, case.opens, "{}: without a sleep nobody comes a second time", case.what);
            }
        })
    });
    for one in watched {
        one.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_hours_away_recognises_as_ever() {
    for hours in [-5, 5] {
        let folder = tempfile::tempdir().unwrap();
        let clocks = Clocks::new(folder.path().join("clocks"));
        clocks.set((hours * 3600, 0));
        let engine = Engine::start_with(&clocks.variables());
        engine.enroll(&recording::known_person(), "Eileen", &["VIP"]);
        let logins = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&logins);
        let proxy = Proxy::before(&engine.url, move |request| {
            count.fetch_add(usize::from(request.is("/authenticate") || request.is("/renewToken")), SeqCst);
            Fault::Delay(Duration::ZERO)
        })
        .await;
        let site = visitor(&proxy.url, 30_000);
        let agent = site.agent();
        let line = told(&site).await;
        assert!(agent.stop().success());
        assert_eq!((&line["outcome"], &line["late"]), (&"known".into(), &false.into()), "{hours} h: {line}");
        assert!(opened_for(&site, &line), "{hours} h: {line}");
        assert_eq!(logins.load(SeqCst), 1, "{hours} h");
    }
}
