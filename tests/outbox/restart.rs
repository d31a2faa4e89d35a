//! Killed at any instant, nothing is lost and nothing is done twice.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use doorward::visits::ActionResult;

use super::*;

/// Where the child works, and the number its sightings start at.
const CHILD: &str = "DOORWARD_TEST_OUTBOX_CHILD";
const KILLS: u64 = 15;

/// What a doorward does with its outbox, telling each step once the call has returned. On its own, a short run that
/// ends in order; as the child of the test below, until it is killed.
#[test]
fn work() {
    let own = tempfile::tempdir().unwrap();
    let child = std::env::var(CHILD).ok();
    let (dir, start, rounds) = match child.as_deref().and_then(|child| child.split_once('=')) {
        Some((start, dir)) => (Path::new(dir), start.parse().unwrap(), 1_000_000),
        None => (own.path(), 1, 5),
    };
    let outbox = open(dir);
    let say = |word: &str, n: u64| writeln!(std::io::stdout().lock(), "@{word} {n}").unwrap();
    for n in start..start + rounds {
        let sent = sighting(n, 20_000);
        outbox.accept(&sent).wait().unwrap();
        say("accepted", n);
        if n % 3 == 0 {
            continue;
        }
        let key = format!("key-{n}");
        outbox.answered(following(known(sent.id), &[planned(&key, &sent)])).wait().unwrap();
        say("answered", n);
        if n % 5 == 0 {
            continue;
        }
        assert!(outbox.claim(&key).wait().unwrap());
        say("claimed", n);
        outbox.finish(&key, &ActionResult::Done).wait().unwrap();
        say("finished", n);
    }
    assert_eq!((outbox.figures().sightings, outbox.unfinished().wait().unwrap().len()), (1, 1));
}

#[test]
fn killed_at_any_instant_nothing_is_lost_or_done_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (mut accepted, mut answered, mut claimed, mut finished) =
        (HashSet::new(), HashSet::new(), HashSet::new(), HashSet::new());
    for kill in 0..KILLS {
        let start = 1 + kill * 10_000;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "restart::work", "--nocapture", "--test-threads=1"])
            .env(CHILD, format!("{start}={}", dir.path().display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // A different instant each time, somewhere in the middle of the next step.
        let wait = 5 + kill * 7;
        let mut steps = 0;
        while steps < wait {
            let line = lines.next().expect("the child works until it is killed").unwrap();
            steps += note(&line, &mut accepted, &mut answered, &mut claimed, &mut finished);
        }
        std::thread::sleep(Duration::from_micros(kill * 211));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            note(&line, &mut accepted, &mut answered, &mut claimed, &mut finished);
        }

        let outbox = open(dir.path());
        let stored: HashSet<u64> = drain(&outbox).into_iter().collect();
        for n in &accepted {
            // A step may have happened without being told, so that an untold answer is as good as none.
            assert!(stored.contains(n) || told(&outbox, *n) == "known", "sighting {n} is lost");
        }
        for n in &answered {
            assert!(!stored.contains(n), "sighting {n} would be sent again after its answer");
            assert!(!outbox.answered(known(Uuid::from_u128(u128::from(*n)))).wait().unwrap().first);
        }
        for unfinished in outbox.unfinished().wait().unwrap() {
            let n: u64 = unfinished.key["key-".len()..].parse().unwrap();
            assert!(!finished.contains(&n), "action {n} had ended");
            if claimed.contains(&n) {
                assert_eq!(unfinished.request, None, "action {n} may have been performed");
            }
            if unfinished.request.is_some() {
                assert!(outbox.claim(&unfinished.key).wait().unwrap());
                outbox.finish(&unfinished.key, &ActionResult::Expired).wait().unwrap();
                claimed.insert(n);
            }
        }
        for n in &claimed {
            assert!(!outbox.claim(&format!("key-{n}")).wait().unwrap(), "action {n} would be performed twice");
        }
        assert_eq!(outbox.unfinished().wait().unwrap(), []);
    }
    assert!(accepted.len() > KILLS as usize && finished.len() > KILLS as usize);
}

fn told(outbox: &Outbox, n: u64) -> String {
    outbox.explain(&visit(n).to_string()).wait().unwrap()[0].outcome.clone()
}

fn note(
    line: &str,
    accepted: &mut HashSet<u64>,
    answered: &mut HashSet<u64>,
    claimed: &mut HashSet<u64>,
    finished: &mut HashSet<u64>,
) -> u64 {
    // The test harness writes to the same place, and may have left its line unfinished.
    let Some((_, step)) = line.split_once('@') else { return 0 };
    let (word, n) = step.split_once(' ').unwrap();
    let set = match word {
        "accepted" => accepted,
        "answered" => answered,
        "claimed" => claimed,
        _ => finished,
    };
    set.insert(n.parse().unwrap());
    1
}
