//! The fault-injecting run: the real agent, killed -9 at random instants, asks the real engine through a proxy that
//! drops, delays, resets, truncates and lies.
//!
//! Afterwards the books must agree: every accepted sighting is answered once, no action was performed twice for one
//! key, and nothing moved in the world on a late answer. `DOORWARD_TEST_KILLS` and `DOORWARD_TEST_SEED` set its size
//! and its course; the kills and faults are the seed's, the instants they hit the machine's.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use serde_json::Value;

use super::fake::{Fake, Reply, Request};
use super::proxy::{Fault, Passed, Proxy};
use super::*;
use support::Engine;

const KILLS: usize = 200;
/// Boxes that run side by side, each with a state of its own.
const BOXES: usize = 3;
const LATE_AFTER_MS: i64 = 2_000;
/// A fault that makes an answer late makes it this late, so that what a busy machine adds is no excuse.
const LATE_BY_MS: std::ops::Range<u64> = 4_500..5_500;
const EXCUSED_MS: i64 = 2_000;

/// What an actuator's own log holds of one movement.
struct Movement {
    key: String,
    seen_ms: i64,
    /// From the moment the face was seen to the movement.
    age_ms: i64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_or_done_twice_whatever_fails() {
    let variable = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let kills = variable("DOORWARD_TEST_KILLS").map_or(KILLS, |kills| kills as usize);
    let seed = variable("DOORWARD_TEST_SEED").unwrap_or_else(|| rand::rng().random());
    println!("DOORWARD_TEST_SEED={seed} DOORWARD_TEST_KILLS={kills}");

    let engine = Engine::start();
    engine.enroll(&recording::known_person(), "Eileen", &["VIP"]);
    let (calm, rng) = (Arc::new(AtomicBool::new(false)), Mutex::new(StdRng::seed_from_u64(seed)));
    let calmed = Arc::clone(&calm);
    let faults: Arc<Mutex<BTreeMap<&'static str, usize>>> = Arc::default();
    let counts = Arc::clone(&faults);
    let proxy = Proxy::before(&engine.url, move |request| {
        let (name, fault) = match calmed.load(SeqCst) {
            true => ("none", Fault::Delay(Duration::ZERO)),
            false => fault(request, &mut *rng.lock().unwrap()),
        };
        *counts.lock().unwrap().entry(name).or_default() += 1;
        fault
    })
    .await;
    let receiver = Fake::start_raw(|_| Reply::with(200, "", "")).await;

    let started = Instant::now();
    let boxes: Vec<_> = (0..BOXES)
        .map(|n| {
            let (site, mut rng) = (visited(&proxy.url, &receiver.url()), StdRng::seed_from_u64(seed ^ (n as u64 + 1)));
            let kills = kills / BOXES + usize::from(n < kills % BOXES);
            tokio::task::spawn_blocking(move || {
                for _ in 0..kills {
                    let agent = site.agent();
                    std::thread::sleep(life(&mut rng));
                    agent.kill();
                }
                site
            })
        })
        .collect();
    let mut sites = Vec::new();
    for one in boxes {
        sites.push(one.await.unwrap());
    }
    let killed_in = started.elapsed();

    // Peace, and nobody comes any more: what was accepted is now answered.
    calm.store(true, SeqCst);
    for site in &sites {
        std::fs::remove_dir_all(site.path("recording")).unwrap();
        recording::nobody(&site.path("recording"));
        let lives = site.lives();
        let agent = site.agent();
        support::until("the agent to watch", || site.lives() > lives).await;
        support::until("everything that was accepted to be settled and done", || site.is_at_rest()).await;
        assert!(agent.stop().success());
    }
    println!("{kills} kills in {killed_in:.1?}; answers: {:?}", faults.lock().unwrap());
    let received: Vec<String> =
        receiver.seen().iter().map(|request| request.header("idempotency-key").unwrap().to_owned()).collect();
    let mut sums = BTreeMap::new();
    for site in &sites {
        for (what, count) in check(site, &received, &proxy.passed()) {
            *sums.entry(what).or_insert(0) += count;
        }
    }
    println!("{sums:?}");
    // The run is worth something only if all of it happened.
    for what in ["known", "tried again", "told late", "told in time", "moved", "actions done"] {
        assert!(sums.get(what).is_some_and(|count| *count > 0), "nothing was {what}: {sums:?}");
    }
}

/// How long this life lasts: mostly a moment in the middle of things, now and then during the start, seldom long enough
/// for a late answer to arrive in it.
fn life(rng: &mut impl Rng) -> Duration {
    Duration::from_millis(match rng.random_range(0..100) {
        0..6 => rng.random_range(0..150),
        6..96 => rng.random_range(150..1_100),
        _ => rng.random_range(5_500..7_000),
    })
}

/// What is done to one request, and its name.
fn fault(request: &Request, rng: &mut impl Rng) -> (&'static str, Fault) {
    let chance = rng.random_range(0..100);
    if request.is("/authenticate") {
        return match chance {
            0..4 => ("reset", Fault::Reset { asked: false }),
            4..8 => ("500", Fault::Answer(500, "")),
            8..10 => ("garbage", Fault::Answer(200, "[1, 2")),
            10..12 => ("429", Fault::Answer(429, "")),
            12..14 => ("truncated", Fault::Truncate(60)),
            14 => ("401", Fault::Answer(401, "")),
            _ => ("none", Fault::Delay(Duration::ZERO)),
        };
    }
    match chance {
        0..6 => ("reset", Fault::Reset { asked: false }),
        6..14 => ("reset after it was asked", Fault::Reset { asked: true }),
        14..20 => ("truncated", Fault::Truncate(rng.random_range(0..99))),
        20..23 => ("401", Fault::Answer(401, "")),
        23..25 => ("403", Fault::Answer(403, "")),
        25..29 => ("429", Fault::Answer(429, "slow down")),
        29..34 => ("500", Fault::Answer(500, "<html>oops</html>")),
        34..37 => ("garbage", Fault::Answer(200, "<html>log in to the guest network</html>")),
        37 => ("wrong shape", Fault::Answer(200, r#"{"detectedFaces": 7}"#)),
        38 => ("silence", Fault::Silence(Duration::from_secs(6))),
        39..46 => ("late", Fault::Delay(Duration::from_millis(rng.random_range(LATE_BY_MS)))),
        46..60 => ("slow", Fault::Delay(Duration::from_millis(rng.random_range(20..400)))),
        _ => ("none", Fault::Delay(Duration::ZERO)),
    }
}

/// A box where the known person comes twice a second; it tells a journal and a webhook, and opens a door that keeps its
/// own log.
fn visited(engine: &str, receiver: &str) -> Site {
    let site = Site::new("", "fps = 15.0\nloop = true\n");
    let folder = site.path("").display().to_string();
    let door = site.path("door");
    std::fs::write(&door, "#!/bin/sh\nread -r event\nprintf '%s %s\\n' \"$(date +%s%3N)\" \"$event\" >> \"$1\"\n")
        .unwrap();
    std::fs::set_permissions(&door, PermissionsExt::from_mode(0o755)).unwrap();
    let more = format!(
        "{}[outbox]\nlate_after_ms = {LATE_AFTER_MS}\ndrain_per_sec = 0\n\
         [detector.track]\nlost_after_ms = 120\nfirst_shot_ms = 100\nbetter_by = 1.0\n\
         [detector.identify]\nallow_double_detection = true\n\
         [action.journal]\ntype = \"journal\"\npath = \"{folder}/journal.jsonl\"\nmax_bytes = 1000000000\n\
         [action.tell]\ntype = \"webhook\"\nurl = \"{receiver}/\"\ntimeout_ms = 30000\n\
         [action.door]\ntype = \"exec\"\nprogram = \"{}\"\nargs = [\"{folder}/moved\"]\nactuator = true\n\
         guard = {{ sightings = 1, of = 1 }}\n\
         [[rule]]\nname = \"everybody\"\nwhen = {{ outcome = [\"known\", \"unknown\"] }}\ncooldown_secs = 0\n\
         actions = [\"journal\", \"tell\"]\n\
         [[rule]]\nname = \"vip\"\nwhen = {{ tags_any = [\"VIP\"] }}\ncooldown_secs = 0\nactions = [\"door\"]\n",
        identities(engine, "timeout_ms = 6000\nretry_max_ms = 100\nconcurrency = 6"),
        door.display()
    );
    let main = std::fs::read_to_string(site.path("doorward.toml")).unwrap();
    std::fs::write(site.path("doorward.toml"), main + &more).unwrap();
    recording::brief_visit(&site.path("recording"));
    site
}

impl Site {
    /// Whether nothing waits for an answer and no action for its end.
    fn is_at_rest(&self) -> bool {
        let open = "SELECT (SELECT COUNT(*) FROM shot WHERE outcome IS NULL) + (SELECT COUNT(*) FROM sighting)
                    + (SELECT COUNT(*) FROM action WHERE state IN ('planned', 'claimed'))";
        self.ledger().and_then(|db| db.query_row(open, [], |row| row.get::<_, i64>(0)).ok()) == Some(0)
    }

    /// How often the agent has come as far as to watch; from then on it heeds a stop.
    fn lives(&self) -> usize {
        let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
        log.matches("\"message\":\"watching\"").count()
    }

    /// The agent's log lines with this message, by the sighting they name. A kill may have cut a line short.
    fn logged(&self, message: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.path("log")).unwrap();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let told = lines.filter(|line| line["message"] == message);
        told.filter_map(|line| Some(line["sighting"].as_str()?.to_owned())).collect()
    }

    fn journal(&self) -> Vec<Value> {
        let journal = std::fs::read_to_string(self.path("journal.jsonl")).unwrap_or_default();
        journal.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn movements(&self) -> Vec<Movement> {
        let log = std::fs::read_to_string(self.path("moved")).unwrap_or_default();
        let movement = |line: &str| {
            let (at, event) = line.split_once(' ').unwrap();
            let event: Value = serde_json::from_str(event).unwrap();
            assert_eq!(event["late"], false, "{line}");
            let seen: chrono::DateTime<Utc> = event["seen_at"].as_str().unwrap().parse().unwrap();
            let seen_ms = seen.timestamp_millis();
            Movement {
                key: event["id"].as_str().unwrap().into(),
                seen_ms,
                age_ms: at.parse::<i64>().unwrap() - seen_ms,
            }
        };
        log.lines().map(movement).collect()
    }

    /// Every action ever planned: its key, name and state.
    fn actions(&self) -> Vec<(String, String, String)> {
        let db = self.ledger().unwrap();
        let mut statement = db.prepare("SELECT key, action, state FROM action").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }
}

/// Holds the books of one box against each other, and gives what they sum up to.
fn check(site: &Site, received: &[String], passed: &[Passed]) -> Vec<(String, usize)> {
    let mut sums = Vec::new();
    let mut sum = |what: &str, count: usize| sums.push((what.to_owned(), count));

    // The ledger: all that was stored is there, and is settled once.
    let shots = site.shots();
    let on_record: HashSet<&str> = shots.iter().map(|shot| shot.sighting.as_str()).collect();
    for stored in site.logged("a sighting is stored") {
        assert!(on_record.contains(stored.as_str()), "{stored} was accepted and is gone");
    }
    let settled = site.logged("a sighting is settled");
    let once: HashSet<&str> = settled.iter().map(String::as_str).collect();
    assert_eq!(settled.len(), once.len(), "a sighting was settled twice");
    let mut answers: HashMap<i64, Vec<i64>> = HashMap::new();
    for passed in passed {
        answers.entry(passed.seen_ms).or_default().extend(passed.answered.map(|at| at.timestamp_millis()));
    }
    for shot in &shots {
        let outcome = shot.outcome.as_deref().unwrap_or_else(|| panic!("{shot:?} was never answered"));
        assert_ne!(outcome, "dropped", "{shot:?}");
        assert!(
            outcome == "refused" || answers.get(&shot.seen_ms).is_some_and(|all| !all.is_empty()),
            "{shot:?} has no answer"
        );
        assert!(outcome != "refused" || shot.reason.is_some(), "{shot:?}");
        sum(outcome, 1);
        sum("tried again", usize::from(shot.tries > 0));
        sum("late", usize::from(shot.late));
    }

    // The actions: each key once in the log of whoever performed it, and there if the ledger says so.
    let actions = site.actions();
    let ours: BTreeSet<&str> = actions.iter().map(|(key, ..)| key.as_str()).collect();
    let journal = site.journal();
    let movements = site.movements();
    let logs: [(&str, Vec<&str>); 3] = [
        ("journal", journal.iter().map(|line| line["id"].as_str().unwrap()).collect()),
        ("tell", received.iter().map(String::as_str).filter(|key| ours.contains(key)).collect()),
        ("door", movements.iter().map(|movement| movement.key.as_str()).collect()),
    ];
    for (name, keys) in &logs {
        let once: HashSet<&str> = keys.iter().copied().collect();
        assert_eq!(keys.len(), once.len(), "{name} was performed twice for one key");
        for (key, action, state) in actions.iter().filter(|(_, action, _)| action == name) {
            match state.as_str() {
                "done" => assert!(once.contains(key.as_str()), "{action} is said to be done: {key}"),
                "expired" | "refused" => {
                    assert!(!once.contains(key.as_str()), "{action} is said to have {state}: {key}")
                }
                // The process was killed in the middle of it: nobody knows, and nobody repeats it.
                "interrupted" => {}
                other => panic!("{action} {key} ended as {other}"),
            }
            sum(&format!("actions {state}"), 1);
        }
        assert!(keys.iter().all(|key| ours.contains(key)), "{name} did what nobody planned");
    }
    sum("told late", journal.iter().filter(|line| line["late"] == true).count());
    sum("told in time", journal.iter().filter(|line| line["late"] == false).count());

    // What moved: in time, and upon an answer that was given in time.
    for Movement { key, seen_ms, age_ms } in &movements {
        assert!(*age_ms <= LATE_AFTER_MS + EXCUSED_MS, "{key} moved {age_ms} ms after the face was seen");
        let answered = answers.get(seen_ms).and_then(|all| all.iter().min()).unwrap();
        let after = answered - seen_ms;
        assert!(after <= LATE_AFTER_MS + EXCUSED_MS / 2, "{key} moved upon an answer given after {after} ms");
        sum("moved", 1);
    }
    sums
}
