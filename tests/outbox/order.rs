//! Which sighting comes next, and that it comes back as it went in.

use std::time::{Duration, Instant};

use super::*;

#[test]
fn a_sighting_comes_back_as_it_went_in() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let sent = sighting(7, 60_000);
    assert!(outbox.accept(&sent).wait().unwrap().new);
    let back = outbox.next(Instant::now()).wait().unwrap().unwrap();
    assert_eq!(back.tries, 0);
    same(&back.sighting, &sent);
    assert_eq!(back.sighting.arrived, sent.arrived);

    drop(outbox);
    let back = open(dir.path()).next(Instant::now()).wait().unwrap().unwrap().sighting;
    same(&back, &sent);
    assert_eq!(back.arrived, None, "an instant means nothing to another process");
}

fn same(back: &Sighting, sent: &Sighting) {
    assert_eq!((back.id, back.visit, back.shot, back.quality), (sent.id, sent.visit, sent.shot, sent.quality));
    assert_eq!((&back.detector, back.time_zone, back.seen_at), (&sent.detector, sent.time_zone, sent.seen_at));
    assert_eq!((&back.expanded, &back.aligned, back.face), (&sent.expanded, &sent.aligned, sent.face));
    assert!(back.embedding == sent.embedding && back.liveness == sent.liveness);
    assert_eq!(back.stay, sent.stay);
}

#[test]
fn a_sighting_without_extras_comes_back_without_them() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let bare = Sighting { aligned: None, embedding: None, liveness: None, quality: f32::NAN, ..sighting(1, 10) };
    outbox.accept(&bare).wait().unwrap();
    let back = outbox.next(Instant::now()).wait().unwrap().unwrap().sighting;
    assert!(back.aligned.is_none() && back.embedding.is_none() && back.liveness.is_none() && back.quality == 0.0);
}

#[test]
fn live_sightings_overtake_the_backlog() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    for n in 1..=4 {
        outbox.accept(&sighting(n, 10)).wait().unwrap();
    }
    drop(outbox);
    let outbox = open(dir.path());
    for n in 5..=6 {
        outbox.accept(&sighting(n, 10)).wait().unwrap();
    }
    assert_eq!(drain(&outbox), [6, 5, 1, 2, 3, 4]);
    assert!(drain(&outbox).is_empty(), "what is in flight is not given out again");
}

#[test]
fn a_postponed_sighting_comes_back_when_it_is_due() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let sent = sighting(1, 10);
    outbox.accept(&sent).wait().unwrap();
    let now = Instant::now();
    let due = now + Duration::from_secs(3600);
    for tries in 1..=3 {
        assert_eq!(outbox.next(due).wait().unwrap().unwrap().tries, tries - 1);
        outbox.postpone(sent.id, due, "cannot reach the engine").wait().unwrap();
        assert!(outbox.next(now).wait().unwrap().is_none());
        assert_eq!(outbox.figures().next_due, Some(due));
    }
    let record = &outbox.explain(&sent.visit.to_string()).wait().unwrap()[0];
    assert_eq!((record.outcome.as_str(), record.reason.as_deref()), ("pending", Some("cannot reach the engine")));
}
