//! Disks that fill up, break, lie and become read-only while visitors come: nothing stops, and what memory held reaches
//! the disk when that is back.

use std::fs;
use std::process::Command;

use doorward::outbox::DropReason;
use doorward::visits::ActionResult;

use super::vfs::{self, Fault};
use super::*;

/// Calls that change nothing, until the outbox has found out that its disk is back.
fn wait_for_the_disk(outbox: &Outbox) {
    let started = Instant::now();
    while let Some(problem) = outbox.figures().problem {
        assert!(started.elapsed() < Duration::from_secs(60), "{problem}");
        std::thread::sleep(Duration::from_millis(20));
        outbox.finish("nobody planned this", &ActionResult::Done).wait().unwrap();
    }
}

#[test]
fn a_disk_that_breaks_and_comes_back_costs_nothing() {
    for fault in [Fault::Full, Fault::Broken, Fault::Unsynced] {
        let dir = tempfile::tempdir().unwrap();
        let disk = vfs::watch(dir.path());
        let outbox = open(dir.path());
        for n in 1..=4 {
            outbox.accept(&sighting(n, 3000)).wait().unwrap();
        }
        let flying = outbox.next(Instant::now()).wait().unwrap().unwrap().sighting;
        assert_eq!(flying.id.as_u128(), 4);

        disk.fail(fault);
        outbox.accept(&sighting(5, 3000)).wait().unwrap();
        let problem = outbox.figures().problem.unwrap();
        assert!(problem.contains("the disk"), "{problem}");
        // What memory holds goes its whole way; so does the answer to what was under way.
        assert_eq!(outbox.next(Instant::now()).wait().unwrap().unwrap().sighting.expanded, sighting(5, 3000).expanded);
        let settled =
            outbox.answered(following(known(Uuid::from_u128(5)), &[planned("five", &sighting(5, 1))])).wait().unwrap();
        assert_eq!(settled.planned, ["five"], "{fault:?}");
        assert!(outbox.claim("five").wait().unwrap() && !outbox.claim("five").wait().unwrap());
        outbox.finish("five", &ActionResult::Done).wait().unwrap();
        assert!(outbox.answered(following(known(flying.id), &[planned("four", &flying)])).wait().unwrap().first);
        // Somebody left meanwhile: what follows happens once, and who is present is known again later.
        let left = [planned("left", &sighting(1, 1)), planned("four", &sighting(1, 1))];
        assert_eq!(outbox.presence(present(&["somebody".into()], &left, &[])).wait().unwrap(), ["left"]);
        assert!(outbox.presence(present(&["somebody".into()], &left, &[])).wait().unwrap().is_empty());
        outbox.accept(&sighting(6, 3000)).wait().unwrap();
        assert_eq!((outbox.figures().sightings, outbox.figures().in_memory), (4, 1));

        disk.fail(Fault::None);
        wait_for_the_disk(&outbox);
        assert_eq!((outbox.figures().sightings, outbox.figures().in_memory), (4, 0));
        assert!(!outbox.answered(known(flying.id)).wait().unwrap().first, "{fault:?}: once");
        assert!(outbox.claim("four").wait().unwrap() && !outbox.claim("five").wait().unwrap());
        drop(outbox);

        let outbox = open(dir.path());
        assert_eq!(drain(&outbox), [1, 2, 3, 6], "{fault:?}");
        let told = |n: u64| outbox.explain(&sighting(n, 1).visit.to_string()).wait().unwrap().remove(0);
        assert_eq!((told(5).outcome.as_str(), told(5).actions[0].state.as_str()), ("known", "done"));
        assert_eq!(told(4).actions[0].state, "interrupted");
        assert_eq!(outbox.stays(&name()).wait().unwrap(), ["somebody"]);
        assert!(outbox.claim("left").wait().unwrap());
    }
}

#[test]
fn it_starts_on_a_disk_that_takes_nothing() {
    for fault in [Fault::Full, Fault::Broken] {
        let dir = tempfile::tempdir().unwrap();
        let disk = vfs::watch(dir.path());
        let outbox = open(dir.path());
        outbox.accept(&sighting(1, 1000)).wait().unwrap();
        outbox.accept(&sighting(2, 1000)).wait().unwrap();
        outbox.answered(following(known(Uuid::from_u128(2)), &[planned("claimed", &sighting(2, 1))])).wait().unwrap();
        assert!(outbox.claim("claimed").wait().unwrap());
        drop(outbox);

        disk.fail(fault);
        let outbox = open(dir.path());
        assert!(outbox.accept(&sighting(3, 1000)).wait().unwrap().new);
        assert!(outbox.figures().problem.is_some());
        disk.fail(Fault::None);
        wait_for_the_disk(&outbox);
        let mut found = drain(&outbox);
        found.sort_unstable();
        assert_eq!(found, [1, 3], "{fault:?}: what an earlier life left is found when the disk is back");
        assert!(!outbox.claim("claimed").wait().unwrap());
    }
}

#[test]
fn a_file_that_is_damaged_while_it_is_used_is_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    // More than SQLite keeps in memory.
    for n in 1..=60 {
        outbox.accept(&sighting(n, 100_000)).wait().unwrap();
    }
    drop(outbox);
    let outbox = open(dir.path());
    let path = dir.path().join("outbox/outbox.sqlite");
    let length = fs::metadata(&path).unwrap().len() as usize;
    // Everything but the first pages, behind the back of the program that has it open.
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &vec![0xa5; length - 3 * 4096], 3 * 4096).unwrap();

    let mut seen = Vec::new();
    let started = Instant::now();
    let mut dropped = Vec::new();
    for n in 61.. {
        outbox.accept(&sighting(n, 5000)).wait().unwrap();
        while let Some(queued) = outbox.next(Instant::now()).wait().unwrap() {
            seen.push(queued.sighting.id.as_u128() as u64);
            outbox.answered(known(queued.sighting.id)).wait().unwrap();
        }
        dropped.extend(outbox.tidy(Utc::now()).wait().unwrap());
        if !fs::read_dir(dir.path().join("outbox"))
            .unwrap()
            .all(|file| !file.unwrap().file_name().to_string_lossy().contains("damaged"))
            && outbox.figures().problem.is_none()
            && outbox.figures().sightings == 0
        {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", outbox.figures());
        std::thread::sleep(Duration::from_millis(50));
    }
    // Each ended once: answered, or told to be lost with the file.
    assert!(
        dropped
            .iter()
            .all(|dropped| matches!(dropped.reason, DropReason::Damaged | DropReason::Unreadable | DropReason::Erased)),
        "{dropped:?}"
    );
    let mut ended: Vec<u64> = seen.iter().copied().chain(dropped.iter().map(|d| d.sighting.as_u128() as u64)).collect();
    ended.sort_unstable();
    ended.dedup();
    assert_eq!(ended, (1..=*ended.last().unwrap()).collect::<Vec<_>>());
    assert!(ended.len() > 60 && seen.len() + dropped.len() == ended.len());

    let aside = || {
        fs::read_dir(dir.path().join("outbox"))
            .unwrap()
            .filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().contains("damaged"))
            .count()
    };
    assert!(aside() > 0);
    outbox.tidy(Utc::now() + chrono::TimeDelta::days(8)).wait().unwrap();
    assert_eq!(aside(), 0, "it is erased with the history of its days");
}

/// Where the child of the test below works: a file system of its own, small enough to be filled.
const CHILD: &str = "DOORWARD_TEST_SMALL_DISK";
const SIZE: usize = 3 << 20;

/// On its own in an ordinary folder; as the child of the test below on a disk that is filled, emptied, and made
/// read-only.
#[test]
fn visitors_come_whatever_the_disk_does() {
    let own = tempfile::tempdir().unwrap();
    let small = std::env::var(CHILD).ok();
    let dir = small.as_ref().map_or(own.path(), |dir| Path::new(dir));
    let state = dir.join("state");
    fs::create_dir(&state).unwrap();
    let outbox = open(&state);
    let visit = |outbox: &Outbox, n: u64| {
        assert!(outbox.accept(&sighting(n, 20_000)).wait().unwrap().new);
        let queued = outbox.next(Instant::now()).wait().unwrap().unwrap();
        assert_eq!(queued.sighting.id.as_u128() as u64, n, "the one who is there goes first");
        // Every fourth is answered; the others wait.
        match n % 4 {
            0 => {
                let key = format!("key-{n}");
                let settled = outbox
                    .answered(following(known(queued.sighting.id), &[planned(&key, &queued.sighting)]))
                    .wait()
                    .unwrap();
                assert_eq!(settled.planned, std::slice::from_ref(&key));
                assert!(outbox.claim(&key).wait().unwrap());
                outbox.finish(&key, &ActionResult::Done).wait().unwrap();
            }
            _ => outbox
                .postpone(queued.sighting.id, Instant::now() + Duration::from_secs(3600), "a test")
                .wait()
                .unwrap(),
        }
    };
    for n in 1..=12 {
        visit(&outbox, n);
    }
    if small.is_some() {
        let filler = dir.join("filler");
        let full = fs::write(&filler, vec![1; SIZE]).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    }
    for n in 13..=40 {
        visit(&outbox, n);
    }
    if small.is_some() {
        let figures = outbox.figures();
        assert!(figures.in_memory > 10, "{figures:?}");
        assert!(figures.problem.unwrap().contains("full"));
        fs::remove_file(dir.join("filler")).unwrap();
        wait_for_the_disk(&outbox);
        println!("@full and back");
    }
    assert_eq!((outbox.figures().in_memory, outbox.figures().sightings), (0, 30));
    drop(outbox);

    let remount = |how: &str| {
        if small.is_some() {
            let done = Command::new("mount").args(["-o", how]).arg(dir).status().unwrap();
            assert!(done.success());
        }
    };
    remount("remount,ro");
    let outbox = open(&state);
    for n in 41..=48 {
        visit(&outbox, n);
    }
    if small.is_some() {
        assert_eq!(outbox.figures().in_memory, 6);
        assert!(outbox.figures().problem.is_some());
        remount("remount,rw");
        wait_for_the_disk(&outbox);
        println!("@read-only and back");
    }
    assert_eq!((outbox.figures().in_memory, outbox.figures().sightings), (0, 36));
    drop(outbox);

    let outbox = open(&state);
    let mut found = drain(&outbox);
    found.sort_unstable();
    assert_eq!(found, (1..=48).filter(|n| n % 4 != 0).collect::<Vec<_>>());
    for n in (4..=48).step_by(4) {
        let told = outbox.explain(&sighting(n, 1).visit.to_string()).wait().unwrap().remove(0);
        assert_eq!((told.outcome.as_str(), told.actions[0].state.as_str()), ("known", "done"), "{n}");
    }
}

#[test]
fn a_real_disk_fills_up_and_becomes_read_only() {
    let dir = tempfile::tempdir().unwrap();
    // In a mount namespace of its own, so that nothing of it stays whatever happens.
    let script = format!(
        "mount -t tmpfs -o size={SIZE} tmpfs \"$0\" || exit 77; exec \"$1\" --exact disk::visitors_come_whatever_the_disk_does --nocapture"
    );
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .arg(dir.path())
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, dir.path())
        .output();
    let output = match output {
        Ok(output) if output.status.code() != Some(77) && !output.stderr.starts_with(b"unshare:") => output,
        other => {
            println!(
                "this machine lets nobody mount a small disk, so a really full and a read-only one were not checked: {other:?}"
            );
            return;
        }
    };
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("@full and back") && told.contains("@read-only and back"), "{told}");
}
