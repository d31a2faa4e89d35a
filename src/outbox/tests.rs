//! What the outbox does from within: disks that fail in ways only SQLite can arrange, rows that make no sense, old tables.

use std::time::Instant;

use chrono::{DateTime, Utc};
use faces::detect::Rect;
use rusqlite::params;
use uuid::Uuid;

use super::*;
use crate::track::VisitId;

fn sighting(n: u128) -> Sighting {
    Sighting {
        id: Uuid::from_u128(n),
        visit: VisitId(Uuid::from_u128(1)),
        detector: DetectorName::new("door").unwrap(),
        time_zone: chrono_tz::UTC,
        seen_at: DateTime::UNIX_EPOCH,
        arrived: Some(Instant::now()),
        shot: 1,
        quality: 0.5,
        expanded: vec![7; if n == 4 { 90_000 } else { 40_000 }].into(),
        face: Rect { x: 0.0, y: 0.0, width: 1.0, height: 1.0 },
        aligned: None,
        embedding: None,
    }
}

fn known(n: u128) -> Answered {
    Answered {
        sighting: Uuid::from_u128(n),
        outcome: "known",
        reason: None,
        person: Some("person".into()),
        confidence: None,
        match_confidence: None,
        late: false,
        judged: None,
        refused: Vec::new(),
    }
}

fn planned(key: &str, n: u128) -> Planned {
    let of = sighting(n);
    Planned {
        key: key.into(),
        visit: of.visit,
        sighting: of.id,
        detector: of.detector,
        rule: "rule".into(),
        event: crate::config::EventKind::Recognition,
        action: "action".into(),
        person: None,
        seen_at: of.seen_at,
        request: serde_json::json!({ "name": "Ann Example" }),
    }
}

/// Lets the disk be tried again at once.
fn wait_until_it_is_tried_again(outbox: &Outbox) {
    let started = Instant::now();
    while outbox.figures().problem.is_some() {
        assert!(started.elapsed().as_secs() < 30, "{:?}", outbox.figures());
        std::thread::sleep(std::time::Duration::from_millis(20));
        outbox.next(Instant::now()).unwrap().inspect(|queued| outbox.release(queued.sighting.id, Instant::now()));
    }
}

#[test]
fn a_disk_that_takes_nothing_is_not_the_end() {
    for failure in ["full", "read-only"] {
        let dir = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(dir.path(), &OutboxConfig::default()).unwrap();
        for n in 1..=3 {
            outbox.accept(&sighting(n)).unwrap();
        }
        outbox.answered(&known(3), &[planned("before", 3)]).unwrap();
        let break_it = |broken: bool| {
            let mut inner = outbox.inner();
            let db = &inner.disk.on_trial().unwrap().db;
            if failure == "full" {
                let pages: i64 = if broken { 1 } else { u32::MAX.into() };
                db.pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, i64>(0)).unwrap();
            } else {
                db.pragma_update(None, "query_only", broken).unwrap();
            }
        };
        break_it(true);
        assert!(outbox.accept(&sighting(4)).unwrap().new);
        assert!(!outbox.accept(&sighting(4)).unwrap().new, "once");
        let figures = outbox.figures();
        assert_eq!((figures.sightings, figures.in_memory), (3, 1), "{failure}");
        let problem = figures.problem.unwrap();
        assert!(problem.contains(failure) && problem.starts_with("cannot store a sighting"), "{problem}");

        // What is on the disk can still be read; what follows from it happens once, and is written later.
        let next: Vec<_> = std::iter::from_fn(|| outbox.next(Instant::now()).unwrap()).collect();
        assert_eq!(next.iter().map(|queued| queued.sighting.id.as_u128()).collect::<Vec<_>>(), [4, 2, 1]);
        assert_eq!(next[0].sighting.expanded, sighting(4).expanded);
        let actions = [planned("a", 1), planned("a", 1), planned("before", 1), planned("b", 1)];
        let settled = outbox.answered(&known(1), &actions).unwrap();
        assert_eq!((settled.first, settled.planned), (true, vec!["a".into(), "b".into()]));
        assert_eq!(outbox.answered(&known(1), &actions).unwrap(), Settled::default());
        assert!(outbox.claim("a").unwrap() && !outbox.claim("a").unwrap());
        assert!(outbox.claim("before").unwrap() && !outbox.claim("before").unwrap());
        outbox.finish("a", &ActionEnd::Done).unwrap();
        assert!(outbox.answered(&known(4), &[]).unwrap().first);
        assert_eq!(outbox.len(), 1);

        break_it(false);
        wait_until_it_is_tried_again(&outbox);
        assert_eq!((outbox.figures().in_memory, outbox.len()), (0, 1));
        assert!(!outbox.claim("a").unwrap() && !outbox.claim("before").unwrap() && outbox.claim("b").unwrap());
        let told = outbox.explain("").unwrap().remove(0);
        let shots: Vec<_> = told.shots.iter().map(|shot| shot.outcome.as_str()).collect();
        assert_eq!(shots, ["known", "pending", "known", "known"], "{failure}");
        let actions: Vec<_> = told.actions.iter().map(|a| (a.key.as_str(), a.state.as_str())).collect();
        assert_eq!(actions, [("before", "claimed"), ("a", "done"), ("b", "claimed")]);
        drop(outbox);
        let outbox = Outbox::open(dir.path(), &OutboxConfig::default()).unwrap();
        let next = outbox.next(Instant::now()).unwrap().unwrap();
        assert_eq!((next.sighting.id, outbox.len()), (Uuid::from_u128(2), 1));
        assert_eq!(outbox.unfinished().unwrap().len(), 2, "those under way are not repeated");
    }
}

#[test]
fn memory_is_bounded_and_its_losses_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), &OutboxConfig::default()).unwrap();
    outbox.inner().disk.on_trial().unwrap().db.pragma_update(None, "query_only", true).unwrap();
    let mut dropped = Vec::new();
    let picture = bytes::Bytes::from(vec![7; 1 << 20]);
    for n in 1..=40 {
        let sent = Sighting { expanded: picture.clone(), ..sighting(n) };
        dropped.extend(outbox.accept(&sent).unwrap().dropped);
    }
    let ids: Vec<_> = dropped.iter().map(|dropped| dropped.sighting.as_u128()).collect();
    assert_eq!(ids, (1..=25).collect::<Vec<_>>(), "15 of a mebibyte fit");
    assert!(dropped.iter().all(|dropped| dropped.reason == DropReason::Memory));
    assert_eq!((outbox.figures().in_memory, outbox.len()), (15, 15));

    outbox.inner().disk.on_trial().unwrap().db.pragma_update(None, "query_only", false).unwrap();
    wait_until_it_is_tried_again(&outbox);
    let told = outbox.explain("").unwrap().remove(0);
    let count = |outcome: &str| told.shots.iter().filter(|shot| shot.outcome == outcome).count();
    assert_eq!((count("dropped"), count("pending")), (25, 15));
}

#[test]
fn a_row_that_makes_no_sense_is_dropped_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), &OutboxConfig::default()).unwrap();
    for n in 1..=3 {
        outbox.accept(&sighting(n)).unwrap();
    }
    let run = |sql: &str| outbox.inner().disk.on_trial().unwrap().db.execute(sql, []).unwrap();
    run("UPDATE sighting SET sealed = (SELECT sealed FROM sighting WHERE seq = 1) WHERE seq = 3");
    run("DELETE FROM sighting WHERE seq = 2");
    let next = outbox.next(Instant::now()).unwrap().unwrap();
    assert_eq!(next.sighting.id, Uuid::from_u128(1));
    let dropped = outbox.tidy(Utc::now()).unwrap();
    let reasons: Vec<_> = dropped.iter().map(|d| (d.sighting.as_u128(), d.reason)).collect();
    assert_eq!(reasons, [(3, DropReason::Unreadable), (2, DropReason::Erased)]);
    assert_eq!((outbox.len(), outbox.tidy(Utc::now()).unwrap()), (1, vec![]));
}

/// What version 1 of the tables held in the clear is sealed when it is opened, and nothing is lost of it or left behind.
#[test]
fn what_an_older_version_stored_is_encrypted() {
    const NAME: &str = "Ann Example";
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(open::directory(dir.path())).unwrap();
    let path = open::database(dir.path());
    let db = rusqlite::Connection::open(&path).unwrap();
    schema::configure(&db).unwrap();
    db.execute_batch(schema::STEPS[0]).unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    let picture = |n: u8| [b"picture in the clear ".repeat(300), vec![n]].concat();
    for n in 1..=40_u8 {
        let (id, visit) = (Uuid::from_u128(n.into()).to_string(), Uuid::from_u128(u128::from(n) << 64).to_string());
        let zone = if n == 7 { "Nowhere/Else" } else { "Europe/Helsinki" };
        db.execute(
            "INSERT INTO sighting VALUES (?, ?, ?, 'Front door', ?, ?, 2, 0.75, -1.5, 2.5, 30.25, 40.75, 'm', ?, ?, 999, ?, ?)",
            params![n * 2, id, visit, zone, 1_700_000_000_000_000_i64, [0_u8, 0, 128, 63], picture(0), 1_700_000_000_000_i64, picture(n)],
        )
        .unwrap();
        db.execute("INSERT INTO visit VALUES (?, 'Front door', 0, 0, NULL, NULL, NULL, 0)", [&visit]).unwrap();
        db.execute("INSERT INTO shot VALUES (?, ?, 2, 0, 0.75, 0, 0, NULL, NULL, NULL, NULL, 0, NULL)", [&id, &visit])
            .unwrap();
    }
    let request = serde_json::json!({ "name": NAME }).to_string();
    db.execute(
        "INSERT INTO action VALUES ('key', 'v', 's', 'd', 'r', 'a', NULL, 0, 'planned', NULL, ?, 0, NULL)",
        [request],
    )
    .unwrap();
    drop(db);

    let outbox = Outbox::open(dir.path(), &OutboxConfig::default()).unwrap();
    assert_eq!(outbox.len(), 39, "the one that makes no sense has gone");
    assert_eq!(outbox.explain(&Uuid::from_u128(7 << 64).to_string()).unwrap()[0].outcome, "dropped");
    let unfinished = outbox.unfinished().unwrap();
    assert_eq!(unfinished[0].request, Some(serde_json::json!({ "name": NAME })));
    for file in std::fs::read_dir(open::directory(dir.path())).unwrap().map(|file| file.unwrap().path()) {
        let bytes = std::fs::read(&file).unwrap();
        for text in ["picture in the clear", NAME, "Europe/Helsinki"] {
            assert!(!bytes.windows(text.len()).any(|w| w == text.as_bytes()), "{text} is in {}", file.display());
        }
    }
    let order: Vec<_> = std::iter::from_fn(|| outbox.next(Instant::now()).unwrap()).collect();
    assert!(order.iter().map(|queued| queued.sighting.id.as_u128()).eq((1..=40).filter(|n| *n != 7)));
    let first = &order[0].sighting;
    assert_eq!((&first.expanded[..], first.aligned.as_deref()), (&picture(1)[..], Some(&picture(0)[..])));
    assert_eq!((first.shot, first.face.width, first.time_zone), (2, 30.25, chrono_tz::Europe::Helsinki));
    assert_eq!(first.embedding.as_ref().unwrap().values, [1.0]);
    assert!(outbox.accept(&sighting(99)).unwrap().new);
}
