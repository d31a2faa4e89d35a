//! Once and only once: answers, plans, claims, ends.

use std::sync::Barrier;

use doorward::outbox::{ActionEnd, DropReason, VisitClosed, Worth, explain};
use serde_json::{Value, json};

use super::*;

#[test]
fn a_sighting_is_accepted_once() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let sent = sighting(1, 10);
    assert!(outbox.accept(&sent).unwrap().new);
    assert!(!outbox.accept(&sent).unwrap().new);
    assert_eq!(outbox.len(), 1);
    outbox.answered(&known(sent.id), &[]).unwrap();
    assert!(!outbox.accept(&sent).unwrap().new, "not even after its answer");
    assert!(outbox.is_empty());
}

#[test]
fn an_answer_counts_once_and_takes_the_picture_off_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let sent = sighting(1, 60_000);
    outbox.accept(&sent).unwrap();
    // What the picture is on the disk: some of the sealed bytes, from the middle of the row.
    let sealed: Vec<u8> = rusqlite::Connection::open(dir.path().join("outbox/outbox.sqlite"))
        .unwrap()
        .query_row("SELECT substr(sealed, 30000, 64) FROM sighting", [], |row| row.get(0))
        .unwrap();
    let pictures = |dir: &Path| {
        let files = std::fs::read_dir(dir.join("outbox")).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|file| holds(&std::fs::read(file).unwrap(), &sealed)).count()
    };
    assert!(pictures(dir.path()) > 0, "the test looks for the right bytes");

    let first = outbox.answered(&known(sent.id), &[planned("k1", &sent), planned("k2", &sent)]).unwrap();
    assert!(first.first);
    assert_eq!(first.planned, ["k1", "k2"]);
    let again = outbox.answered(&known(sent.id), &[planned("k3", &sent)]).unwrap();
    assert!(!again.first && again.planned.is_empty());
    assert!(!outbox.claim("k3").unwrap(), "what came with the second answer was not planned");
    assert_eq!((outbox.len(), outbox.bytes()), (0, 0));

    outbox.tidy(Utc::now()).unwrap();
    assert_eq!(pictures(dir.path()), 0);
}

#[test]
fn an_answer_to_what_was_never_stored_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let never = sighting(9, 10);
    let settled = outbox.answered(&known(never.id), &[planned("k", &never)]).unwrap();
    assert!(!settled.first && settled.planned.is_empty());
    assert!(!outbox.claim("k").unwrap());
}

#[test]
fn a_key_is_planned_once_whichever_sighting_asks_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let (one, two) = (sighting(1, 10), sighting(2, 10));
    outbox.accept(&one).unwrap();
    outbox.accept(&two).unwrap();
    assert_eq!(outbox.answered(&known(one.id), &[planned("k", &one), planned("k", &one)]).unwrap().planned, ["k"]);
    assert!(outbox.claim("k").unwrap());
    outbox.finish("k", &ActionEnd::Done).unwrap();
    let second = outbox.answered(&known(two.id), &[planned("k", &two), planned("l", &two)]).unwrap();
    assert!(second.first);
    assert_eq!(second.planned, ["l"]);
    assert!(!outbox.claim("k").unwrap());
}

#[test]
fn a_key_is_claimed_once_however_many_try() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let sent = sighting(1, 10);
    outbox.accept(&sent).unwrap();
    let keys: Vec<String> = (0..20).map(|n| format!("key-{n}")).collect();
    let actions: Vec<_> = keys.iter().map(|key| planned(key, &sent)).collect();
    outbox.answered(&known(sent.id), &actions).unwrap();

    let barrier = Barrier::new(4);
    let claimed: usize = std::thread::scope(|scope| {
        let claimer = || {
            barrier.wait();
            keys.iter().filter(|key| outbox.claim(key).unwrap()).count()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(claimer)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(claimed, keys.len());
    assert!(!outbox.claim("never planned").unwrap());
}

#[test]
fn a_visit_is_told_from_its_first_shot_to_its_last_action() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let first = sighting(1, 10);
    let second = Sighting { id: Uuid::from_u128(2), shot: 2, seen_at: seen_at(5), ..first.clone() };
    let visit = first.visit.to_string();
    let told = || outbox.explain(&visit).unwrap().remove(0);

    outbox.accept(&first).unwrap();
    outbox.accept(&second).unwrap();
    assert_eq!(told().outcome, "pending");
    let unknown = Answered { outcome: "unknown", person: None, confidence: None, ..known(first.id) };
    outbox.answered(&unknown, &[]).unwrap();
    assert_eq!(told().outcome, "pending", "the second shot is not answered");
    outbox.answered(&known(second.id), &[planned("a", &second), planned("b", &second), planned("c", &second)]).unwrap();
    assert_eq!(told().outcome, "known");
    for key in ["a", "b"] {
        assert!(outbox.claim(key).unwrap());
    }
    outbox.finish("a", &ActionEnd::Done).unwrap();
    outbox.finish("b", &ActionEnd::Failed { reason: "no lamp".into() }).unwrap();
    outbox.finish("c", &ActionEnd::Expired).unwrap();
    outbox.finish("a", &ActionEnd::Failed { reason: "ended before".into() }).unwrap();
    let closed = |outcome, detail| VisitClosed {
        visit: first.visit,
        detector: name(),
        first_seen: seen_at(0),
        last_seen: seen_at(9),
        outcome,
        reason: None,
        detail,
    };
    outbox.visit_closed(&closed("known", json!({ "frames": 12 }))).unwrap();
    outbox.visit_closed(&closed("unknown", Value::Null)).unwrap();

    let record = told();
    assert_eq!((record.outcome.as_str(), &record.detail), ("known", &json!({ "frames": 12 })));
    assert_eq!(
        (record.first_seen.as_str(), record.last_seen.as_str()),
        ("2026-03-04T05:06:07.123Z", "2026-03-04T05:06:16.123Z")
    );
    let shots: Vec<_> = record.shots.iter().map(|shot| (shot.shot, shot.outcome.as_str())).collect();
    assert_eq!(shots, [(1, "unknown"), (2, "known")]);
    assert_eq!(record.shots[1].person.as_deref(), Some("person-1"));
    let actions: Vec<_> =
        record.actions.iter().map(|a| (a.key.as_str(), a.state.as_str(), a.reason.as_deref())).collect();
    assert_eq!(actions, [("a", "done", None), ("b", "failed", Some("no lamp")), ("c", "expired", None)]);

    assert_eq!(
        explain(dir.path(), &OutboxConfig::default(), &visit[..6]).unwrap(),
        [record],
        "also beside the process that writes it"
    );
    assert_eq!(outbox.explain("ffff").unwrap(), []);
    let firings = outbox.recent_firings(Utc::now() - Duration::from_secs(60)).unwrap();
    let fired: Vec<_> = firings.iter().map(|firing| firing.action.as_str()).collect();
    assert_eq!(fired.len(), 3, "one for each action: {fired:?}");
    assert_eq!((firings[0].rule.as_str(), firings[0].seen_at), ("greet", second.seen_at));
    assert_eq!(outbox.recent_firings(Utc::now() + Duration::from_secs(60)).unwrap(), []);
    let sights = outbox.recent_sights(Utc::now() - Duration::from_secs(60)).unwrap();
    let sights: Vec<_> = sights.iter().map(|s| (s.person.as_deref(), s.visit, s.seen_at.timestamp_millis())).collect();
    let (unknown, known) = (first.seen_at.timestamp_millis(), second.seen_at.timestamp_millis());
    assert_eq!(sights, [(None, first.visit, unknown), (Some("person-1"), first.visit, known)]);
    assert_eq!(outbox.recent_sights(Utc::now() + Duration::from_secs(60)).unwrap(), []);
}

#[test]
fn history_is_forgotten_after_its_days_but_not_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let sent: Vec<_> = (1..=4).map(|n| sighting(n, 10)).collect();
    sent.iter().for_each(|sighting| assert!(outbox.accept(sighting).unwrap().new));
    outbox.answered(&known(sent[0].id), &[]).unwrap();
    outbox.answered(&known(sent[1].id), &[planned("open", &sent[1])]).unwrap();
    outbox.answered(&known(sent[2].id), &[planned("ended", &sent[2])]).unwrap();
    outbox.finish("ended", &ActionEnd::Done).unwrap();
    let told = || outbox.explain("").unwrap().len();

    outbox.tidy(Utc::now() + chrono::TimeDelta::days(6)).unwrap();
    assert_eq!(told(), 4);
    outbox.tidy(Utc::now() + chrono::TimeDelta::days(8)).unwrap();
    let left: Vec<_> = outbox.explain("").unwrap().into_iter().map(|record| record.visit).collect();
    assert_eq!(left, [sent[3].visit.to_string(), sent[1].visit.to_string()]);
    assert!(outbox.claim("open").unwrap());
}

#[test]
fn a_dropped_sightings_late_answer_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), &OutboxConfig { max_bytes: 3000, ..OutboxConfig::default() }).unwrap();
    let (one, two) = (sighting(1, 1000), sighting(2, 1000));
    outbox.accept(&one).unwrap();
    let dropped = outbox.accept(&two).unwrap().dropped;
    assert_eq!((dropped[0].sighting, dropped[0].reason), (one.id, DropReason::Full(Worth::Only)));
    assert!(!outbox.answered(&known(one.id), &[planned("k", &one)]).unwrap().first);
    assert_eq!(outbox.explain(&one.visit.to_string()).unwrap()[0].outcome, "dropped");
}
