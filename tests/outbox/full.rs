//! Bounded by bytes, by number and by age: the least valuable go first, each with its outcome.

use doorward::outbox::{DropReason, Worth};

use super::*;

#[test]
fn when_it_is_full_the_oldest_go() {
    let dir = tempfile::tempdir().unwrap();
    let config = OutboxConfig { max_bytes: 20_000, ..OutboxConfig::default() };
    let outbox = Outbox::open(dir.path(), &config).unwrap();
    let mut dropped = Vec::new();
    for n in 1..=40 {
        let accepted = outbox.accept(&sighting(n, 2000)).wait().unwrap();
        assert!(accepted.new);
        assert!(
            accepted.dropped.iter().all(|d| d.reason == DropReason::Full(Worth::Only) && d.detector == "Front door")
        );
        dropped.extend(accepted.dropped.iter().map(|d| d.sighting.as_u128() as u64));
        assert!(outbox.figures().bytes <= config.max_bytes, "{} bytes", outbox.figures().bytes);
    }
    let mut kept = drain(&outbox);
    kept.sort_unstable();
    assert_eq!(dropped.iter().chain(&kept).copied().collect::<Vec<_>>(), (1..=40).collect::<Vec<_>>());
    assert_eq!(kept.len(), 6, "3.1 kB each");
    let told = outbox.explain(&visit(1).to_string()).wait().unwrap();
    assert_eq!(told[0].shots[0].outcome, "dropped");
    assert!(told[0].shots[0].reason.as_ref().unwrap().contains("outbox.max_bytes"));
}

/// Second shots and unknown visitors before the only picture of anybody, over a restart too.
#[test]
fn the_least_valuable_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let config = OutboxConfig { max_sightings: 6, ..OutboxConfig::default() };
    let shot = |n: u64, visit: u64, shot| {
        let visit = sighting(visit, 10).visit;
        Sighting { visit, shot, arrived: None, ..sighting(n, 10) }
    };
    let outbox = Outbox::open(dir.path(), &config).unwrap();
    for sent in [shot(1, 1, 1), shot(2, 2, 1), shot(3, 3, 1), shot(4, 2, 2), shot(5, 3, 2), shot(6, 4, 1)] {
        assert_eq!(outbox.accept(&sent).wait().unwrap().dropped, []);
    }
    let unknown =
        Answered { outcome: OutcomeKind::Unknown, person: None, confidence: None, ..known(Uuid::from_u128(3)) };
    assert!(outbox.answered(unknown).wait().unwrap().first);
    drop(outbox);

    let outbox = Outbox::open(dir.path(), &config).unwrap();
    let mut gone = Vec::new();
    for n in 7..=10 {
        let dropped = outbox.accept(&shot(n, n, 1)).wait().unwrap().dropped;
        gone.extend(dropped.iter().map(|dropped| (dropped.sighting.as_u128(), dropped.reason)));
    }
    let full = DropReason::Full;
    assert_eq!(gone, [(4, full(Worth::Duplicate)), (5, full(Worth::Unknown)), (1, full(Worth::Only))]);
    let refused = outbox.accept(&shot(11, 10, 2)).wait().unwrap();
    assert_eq!(refused.dropped[0].sighting.as_u128(), 11, "a late second shot pushes nobody out");
    assert_eq!(outbox.figures().sightings, 6);
    let told = outbox.explain(&shot(11, 10, 2).visit.to_string()).wait().unwrap();
    assert_eq!((told[0].shots[1].outcome.as_str(), told[0].outcome.as_str()), ("dropped", "pending"));
    assert!(told[0].shots[1].reason.as_ref().unwrap().contains("outbox.max_sightings"));
}

#[test]
fn what_is_in_flight_is_never_dropped_for_room() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), &OutboxConfig { max_bytes: 3000, ..OutboxConfig::default() }).unwrap();
    outbox.accept(&sighting(1, 1000)).wait().unwrap();
    let flying = outbox.next(Instant::now()).wait().unwrap().unwrap().sighting;
    let accepted = outbox.accept(&sighting(2, 1000)).wait().unwrap();
    assert_eq!(accepted.dropped[0].sighting, Uuid::from_u128(2), "there is no room but that in flight");
    assert!(outbox.answered(known(flying.id)).wait().unwrap().first);
    assert!(outbox.accept(&sighting(3, 1000)).wait().unwrap().dropped.is_empty());
}

#[test]
fn one_that_fits_in_no_way_has_an_outcome_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), &OutboxConfig { max_bytes: 3000, ..OutboxConfig::default() }).unwrap();
    let accepted = outbox.accept(&sighting(1, 5000)).wait().unwrap();
    assert!(accepted.new && accepted.dropped[0].sighting == Uuid::from_u128(1));
    assert_eq!((outbox.figures().sightings, outbox.figures().bytes), (0, 0));
    assert!(!outbox.accept(&sighting(1, 5000)).wait().unwrap().new);
}

#[test]
fn what_is_too_old_ends() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    for n in 1..=40 {
        outbox.accept(&sighting(n, 10)).wait().unwrap();
    }
    let future = Utc::now() + chrono::TimeDelta::hours(73);
    assert_eq!(
        outbox.tidy(future).wait().unwrap(),
        [],
        "a clock that stepped makes nothing old that this process stored"
    );
    drop(outbox);
    let outbox = open(dir.path());
    assert_eq!(outbox.tidy(Utc::now() + chrono::TimeDelta::hours(71)).wait().unwrap(), []);
    let flying = outbox.next(Instant::now()).wait().unwrap().unwrap().sighting;
    let dropped = outbox.tidy(future).wait().unwrap();
    assert_eq!(dropped.len(), 39);
    assert!(dropped.iter().all(|dropped| dropped.reason == DropReason::TooOld && dropped.sighting != flying.id));
    assert_eq!((outbox.figures().sightings, drain(&outbox)), (1, vec![]));
}

#[test]
fn disk_space_comes_back_after_an_outage() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    for n in 1..=100 {
        outbox.accept(&sighting(n, 50_000)).wait().unwrap();
    }
    let size = || {
        let files = std::fs::read_dir(dir.path().join("outbox")).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum::<u64>()
    };
    assert!(size() > 5_000_000);
    for n in 1..=100 {
        outbox.answered(known(Uuid::from_u128(n))).wait().unwrap();
    }
    outbox.tidy(Utc::now()).wait().unwrap();
    // A little at a time, while nobody asks for anything.
    wait_for("disk space", || (size() < 500_000).then_some(()));
}
