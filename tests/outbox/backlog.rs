//! Memory does not grow with what waits on the disk.

use std::process::{Command, Stdio};

use super::*;

const CHILD: &str = "DOORWARD_TEST_BACKLOG";
const SIGHTINGS: u64 = 30_000;
const GROWTH_KB: u64 = 20 << 10;

/// Opens an outbox and tells how much memory that took: on its own an empty one, as the child of the test below a full
/// one.
#[test]
fn open_and_tell() {
    let small = tempfile::tempdir().unwrap();
    // What opening any outbox takes, once.
    drop(open(small.path()));
    let dir = std::env::var(CHILD).map_or(small.path().to_owned(), Into::into);
    let before = resident_kb("VmRSS:");
    let outbox = open(&dir);
    let next = outbox.next(Instant::now()).wait().unwrap();
    assert_eq!(next.is_some(), outbox.figures().sightings > 0);
    println!("@{} {} {} {}", outbox.figures().sightings, next.is_some(), before, resident_kb("VmHWM:"));
}

fn resident_kb(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn thirty_thousand_waiting_sightings_take_little_memory() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    outbox.accept(&sighting(1, 2000)).wait().unwrap();
    drop(outbox);
    let db = rusqlite::Connection::open(dir.path().join("outbox/outbox.sqlite")).unwrap();
    // Copies under other ids, none of which is opened but the first.
    let id = "printf('%08x-0000-7000-8000-000000000000', n)";
    db.execute_batch(&format!(
        "WITH RECURSIVE number(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM number WHERE n < {SIGHTINGS})
         INSERT INTO sighting (id, visit, shot, bytes, stored_ms, key_id, sealed)
         SELECT {id}, {id}, 1, bytes, stored_ms, key_id, sealed FROM number, (SELECT * FROM sighting);
         INSERT INTO shot (sighting, visit, shot, seen_ms, quality, stored_ms)
         SELECT id, visit, 1, 0, 0.5, stored_ms FROM sighting WHERE seq > 1;"
    ))
    .unwrap();
    drop(db);

    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "backlog::open_and_tell", "--nocapture", "--test-threads=1"])
        .env(CHILD, dir.path())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout).into_owned();
    let told = text.split('@').nth(1).unwrap_or_else(|| panic!("{text}")).lines().next().unwrap();
    println!("sightings, first read, kB before, kB at most: {told}");
    let told: Vec<&str> = told.split(' ').collect();
    assert_eq!(told[..2], ["30000", "true"]);
    let (before, most): (u64, u64) = (told[2].parse().unwrap(), told[3].parse().unwrap());
    assert!(most - before < GROWTH_KB, "{} kB more", most - before);
}
