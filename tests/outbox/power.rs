//! Power lost at every write: what was promised holds, whatever became of what was not synced.

use doorward::visits::ActionResult;

use super::vfs::{self, Fault, Image, Unsynced};
use super::*;

/// Sightings come in, are answered, acted on, dropped for age, postponed; the log is emptied in between. Each promise
/// is noted once the call has returned.
fn scenario(dir: &Path, disk: &vfs::Disk) {
    let config = OutboxConfig { max_sightings: 6, ..OutboxConfig::default() };
    let outbox = Outbox::open(dir, &config).unwrap();
    for n in 1..=14_u64 {
        let sent = sighting(n, 4000);
        let accepted = outbox.accept(&sent).wait().unwrap();
        disk.promise(format!("accepted {n}"));
        for dropped in accepted.dropped {
            disk.promise(format!("dropped {}", dropped.sighting.as_u128()));
        }
        if n % 4 == 0 {
            outbox.tidy(Utc::now()).wait().unwrap();
        }
        if n % 3 == 0 {
            continue;
        }
        let key = format!("key-{n}");
        outbox.answered(following(known(sent.id), &[planned(&key, &sent)])).wait().unwrap();
        disk.promise(format!("answered {n}"));
        if n % 5 == 0 {
            continue;
        }
        assert!(outbox.claim(&key).wait().unwrap());
        disk.promise(format!("claimed {n}"));
        outbox.finish(&key, &ActionResult::Done).wait().unwrap();
        disk.promise(format!("finished {n}"));
        if n == 8 {
            while let Some(queued) = outbox.next(Instant::now()).wait().unwrap() {
                outbox.answered(known(queued.sighting.id)).wait().unwrap();
                disk.promise(format!("answered {}", queued.sighting.id.as_u128()));
            }
            outbox.tidy(Utc::now()).wait().unwrap();
        }
    }
}

/// A sync fails, and what was written before it is lost although it can still be read: what is promised once the disk
/// is back must not stand on that.
fn failed_sync(dir: &Path, disk: &vfs::Disk) {
    let outbox = open(dir);
    for n in 1..=6_u64 {
        if n == 3 {
            disk.fail(Fault::Unsynced);
        }
        let sent = sighting(n, 4000);
        outbox.accept(&sent).wait().unwrap();
        let settled =
            outbox.answered(following(known(sent.id), &[planned(&format!("key-{n}"), &sent)])).wait().unwrap();
        assert!(settled.first && outbox.claim(&settled.planned[0]).wait().unwrap());
        if n == 4 {
            disk.fail(Fault::None);
            while outbox.figures().problem.is_some() {
                std::thread::sleep(Duration::from_millis(20));
                outbox.finish("nobody planned this", &ActionResult::Done).wait().unwrap();
            }
            // Memory's share of the promises, too.
            for n in 3..=4 {
                disk.promise(format!("accepted {n}"));
                disk.promise(format!("answered {n}"));
                disk.promise(format!("claimed {n}"));
            }
        } else if n != 3 {
            disk.promise(format!("accepted {n}"));
            disk.promise(format!("answered {n}"));
            disk.promise(format!("claimed {n}"));
        }
    }
}

#[test]
fn power_lost_at_any_write_breaks_no_promise() {
    lose_power_everywhere(scenario, 300);
}

#[test]
fn nor_after_a_sync_that_failed() {
    lose_power_everywhere(failed_sync, 100);
}

fn lose_power_everywhere(scenario: fn(&Path, &vfs::Disk), at_least: usize) {
    let memory = Path::new("/dev/shm");
    let place = || if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let dir = place();
    let disk = vfs::watch(dir.path());
    scenario(dir.path(), &disk);
    let key = std::fs::read(dir.path().join("outbox.key")).unwrap();
    let events = disk.events();
    let writes = events.iter().filter(|event| !matches!(event, vfs::Event::Promise(_))).count();
    assert!(writes > at_least, "the scenario writes: {writes}");

    let mut image = Image::default();
    let mut checked = 0;
    for (n, event) in events.iter().enumerate() {
        image.add(event);
        for unsynced in [Unsynced::Lost, Unsynced::Kept, Unsynced::Torn(n as u64)] {
            let dir = place();
            std::fs::write(dir.path().join("outbox.key"), &key).unwrap();
            std::fs::create_dir(dir.path().join("outbox")).unwrap();
            for (file, bytes) in image.after_power_loss(unsynced) {
                std::fs::write(dir.path().join("outbox").join(file), bytes).unwrap();
            }
            holds_its_promises(dir.path(), &image, &format!("after event {n}, {unsynced:?}"));
            checked += 1;
        }
    }
    println!("{checked} disks after {writes} writes and syncs");
}

fn holds_its_promises(dir: &Path, image: &Image, when: &str) {
    let outbox = Outbox::open(dir, &OutboxConfig::default()).unwrap();
    assert_eq!(outbox.figures().problem, None, "{when}");
    let stored = drain(&outbox);
    let promised = |word: &str, n: u64| image.promised.contains(&format!("{word} {n}"));
    for n in 1..=14 {
        let waits = stored.contains(&n);
        if promised("accepted", n) && !waits {
            let visit = visit(n).to_string();
            let told = outbox.explain(&visit).wait().unwrap();
            let outcome = told.first().map(|visit| visit.outcome.as_str());
            assert!(matches!(outcome, Some("known" | "dropped")), "{when}: sighting {n} is lost: {outcome:?}");
        }
        assert!(!(waits && promised("answered", n)), "{when}: sighting {n} would be sent again");
        assert!(!(waits && promised("dropped", n)), "{when}: sighting {n} was dropped");
    }
    for unfinished in outbox.unfinished().wait().unwrap() {
        let n: u64 = unfinished.key["key-".len()..].parse().unwrap();
        assert!(!promised("finished", n), "{when}: action {n} had ended");
        assert!(!promised("claimed", n) || unfinished.request.is_none(), "{when}: action {n} would be repeated");
    }
    for n in (1..=14).filter(|n| promised("claimed", *n)) {
        assert!(!outbox.claim(&format!("key-{n}")).wait().unwrap(), "{when}: action {n} would be performed twice");
    }
    let aside = files(&dir.join("outbox")).into_iter().any(|(path, _)| path.to_string_lossy().contains("damaged"));
    assert!(!aside, "{when}: it was taken for damaged");
}
