//! What the outbox does from within: disks that fail in ways only SQLite can arrange, rows that make no sense.

use std::time::Instant;

use chrono::{DateTime, Utc};
use faces::detect::Rect;
use uuid::Uuid;

use super::*;
use crate::config::{EventKind, OutcomeKind};
use crate::rules::ActionRequest;
use crate::track::VisitId;

fn sighting(n: u128) -> Sighting {
    Sighting {
        id: Uuid::from_u128(n),
        visit: VisitId(Uuid::from_u128(1)),
        stay: None,
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
        liveness: None,
    }
}

fn known(n: u128) -> Answered {
    Answered {
        sighting: Uuid::from_u128(n),
        outcome: OutcomeKind::Known,
        reason: None,
        person: Some("person".into()),
        confidence: None,
        match_confidence: None,
        nearest: None,
        late: false,
        judged: None,
        refused: Vec::new(),
        requests: Vec::new(),
    }
}

fn planned(key: &str, n: u128) -> ActionRequest {
    let of = sighting(n);
    ActionRequest {
        key: key.into(),
        visit: of.visit,
        sighting: of.id,
        detector: of.detector,
        rule: "rule".into(),
        event: EventKind::Recognition,
        action: "action".into(),
        person: None,
        seen_at: of.seen_at,
        inputs: serde_json::json!({ "name": "Ann Example" }),
        picture: None,
        late: false,
        expires_at: None,
    }
}

/// The answer with the actions that follow from it.
fn following(answered: Answered, requests: &[ActionRequest]) -> Answered {
    Answered { requests: requests.to_vec(), ..answered }
}

/// Does something inside the outbox's thread.
fn within<T: Send + 'static>(outbox: &Outbox, work: impl FnOnce(&mut Inner) -> T + Send + 'static) -> T {
    outbox.ask(move |inner| Ok(work(inner))).wait().unwrap()
}

/// Lets the disk be tried again at once.
fn wait_until_it_is_tried_again(outbox: &Outbox) {
    let started = Instant::now();
    while outbox.figures().problem.is_some() {
        assert!(started.elapsed().as_secs() < 30, "{:?}", outbox.figures());
        std::thread::sleep(std::time::Duration::from_millis(20));
        within(outbox, |inner| {
            let now = Instant::now();
            inner.recover();
            if let Some(queued) = inner.next(now, Turn::Any).unwrap() {
                inner.queue.put_back(queued.sighting.id, now);
            }
        });
    }
}

#[test]
fn a_disk_that_takes_nothing_is_not_the_end() {
    for failure in ["full", "read-only"] {
        let dir = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(dir.path(), &OutboxConfig::default()).unwrap();
        for n in 1..=3 {
            outbox.accept(&sighting(n)).wait().unwrap();
        }
        outbox.answered(following(known(3), &[planned("before", 3)])).wait().unwrap();
        let break_it = |broken: bool| {
            within(&outbox, move |inner| {
                let db = &inner.disk.store.as_mut().unwrap().db;
                if failure == "full" {
                    let pages: i64 = if broken { 1 } else { u32::MAX.into() };
                    db.pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, i64>(0)).unwrap();
                } else {
                    db.pragma_update(None, "query_only", broken).unwrap();
                }
            });
        };
        break_it(true);
        assert!(outbox.accept(&sighting(4)).wait().unwrap().new);
        assert!(!outbox.accept(&sighting(4)).wait().unwrap().new, "once");
        let figures = outbox.figures();
        assert_eq!((figures.sightings, figures.in_memory), (3, 1), "{failure}");
        let problem = figures.problem.unwrap();
        assert!(problem.contains(failure) && problem.starts_with("cannot store a sighting"), "{problem}");

        // What is on the disk can still be read; what follows from it happens once, and is written later.
        let next: Vec<_> = std::iter::from_fn(|| outbox.next(Instant::now()).wait().unwrap()).collect();
        assert_eq!(next.iter().map(|queued| queued.sighting.id.as_u128()).collect::<Vec<_>>(), [4, 2, 1]);
        assert_eq!(next[0].sighting.expanded, sighting(4).expanded);
        let actions = [planned("a", 1), planned("a", 1), planned("before", 1), planned("b", 1)];
        let settled = outbox.answered(following(known(1), &actions)).wait().unwrap();
        assert_eq!((settled.first, settled.planned), (true, vec!["a".into(), "b".into()]));
        assert_eq!(outbox.answered(following(known(1), &actions)).wait().unwrap(), Settled::default());
        assert!(outbox.claim("a").wait().unwrap() && !outbox.claim("a").wait().unwrap());
        assert!(outbox.claim("before").wait().unwrap() && !outbox.claim("before").wait().unwrap());
        outbox.finish("a", &ActionResult::Done).wait().unwrap();
        assert!(outbox.answered(known(4)).wait().unwrap().first);
        assert_eq!(outbox.figures().sightings, 1);

        break_it(false);
        wait_until_it_is_tried_again(&outbox);
        assert_eq!((outbox.figures().in_memory, outbox.figures().sightings), (0, 1));
        assert!(
            !outbox.claim("a").wait().unwrap()
                && !outbox.claim("before").wait().unwrap()
                && outbox.claim("b").wait().unwrap()
        );
        let told = outbox.explain("").wait().unwrap().remove(0);
        let shots: Vec<_> = told.shots.iter().map(|shot| shot.outcome.as_str()).collect();
        assert_eq!(shots, ["known", "pending", "known", "known"], "{failure}");
        let mut actions: Vec<_> = told.actions.iter().map(|a| (a.key.as_str(), a.state.as_str())).collect();
        // Those planned within a millisecond are told in the order of their keys.
        actions.sort_unstable();
        assert_eq!(actions, [("a", "done"), ("b", "claimed"), ("before", "claimed")]);
        drop(outbox);
        let outbox = Outbox::open(dir.path(), &OutboxConfig::default()).unwrap();
        let next = outbox.next(Instant::now()).wait().unwrap().unwrap();
        assert_eq!((next.sighting.id, outbox.figures().sightings), (Uuid::from_u128(2), 1));
        assert_eq!(outbox.unfinished().wait().unwrap().len(), 2, "those under way are not repeated");
    }
}

fn read_only(outbox: &Outbox, yes: bool) {
    within(outbox, move |inner| {
        inner.disk.store.as_mut().unwrap().db.pragma_update(None, "query_only", yes).unwrap();
    });
}

#[test]
fn memory_is_bounded_and_its_losses_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), &OutboxConfig::default()).unwrap();
    read_only(&outbox, true);
    let mut dropped = Vec::new();
    let picture = bytes::Bytes::from(vec![7; 1 << 20]);
    for n in 1..=40 {
        let sent = Sighting { expanded: picture.clone(), ..sighting(n) };
        dropped.extend(outbox.accept(&sent).wait().unwrap().dropped);
    }
    let ids: Vec<_> = dropped.iter().map(|dropped| dropped.sighting.as_u128()).collect();
    assert_eq!(ids, (1..=31).collect::<Vec<_>>(), "9 of a mebibyte fit");
    assert!(dropped.iter().all(|dropped| dropped.reason == DropReason::Memory));
    assert_eq!((outbox.figures().in_memory, outbox.figures().sightings), (9, 9));

    read_only(&outbox, false);
    wait_until_it_is_tried_again(&outbox);
    let told = outbox.explain("").wait().unwrap().remove(0);
    let count = |outcome: &str| told.shots.iter().filter(|shot| shot.outcome == outcome).count();
    assert_eq!((count("dropped"), count("pending")), (31, 9));
}

#[test]
fn a_row_that_makes_no_sense_is_dropped_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), &OutboxConfig::default()).unwrap();
    for n in 1..=3 {
        outbox.accept(&sighting(n)).wait().unwrap();
    }
    let run = |sql: &'static str| {
        within(&outbox, move |inner| inner.disk.store.as_mut().unwrap().db.execute(sql, []).unwrap());
    };
    run("UPDATE sighting SET sealed = (SELECT sealed FROM sighting WHERE seq = 1) WHERE seq = 3");
    run("DELETE FROM sighting WHERE seq = 2");
    let next = outbox.next(Instant::now()).wait().unwrap().unwrap();
    assert_eq!(next.sighting.id, Uuid::from_u128(1));
    let dropped = outbox.tidy(Utc::now()).wait().unwrap();
    let reasons: Vec<_> = dropped.iter().map(|d| (d.sighting.as_u128(), d.reason)).collect();
    assert_eq!(reasons, [(3, DropReason::Unreadable), (2, DropReason::Erased)]);
    assert_eq!((outbox.figures().sightings, outbox.tidy(Utc::now()).wait().unwrap()), (1, vec![]));
}
