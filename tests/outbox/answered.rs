//! Once and only once: answers, plans, claims, ends.

use std::sync::Barrier;

use doorward::outbox::{DropReason, Worth, explain};
use doorward::visits::ActionResult;
use faces::quality::{Part, Quality};
use serde_json::json;

use super::*;

#[test]
fn a_sighting_is_accepted_once() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let sent = sighting(1, 10);
    assert!(outbox.accept(&sent).wait().unwrap().new);
    assert!(!outbox.accept(&sent).wait().unwrap().new);
    assert_eq!(outbox.figures().sightings, 1);
    outbox.answered(known(sent.id)).wait().unwrap();
    assert!(!outbox.accept(&sent).wait().unwrap().new, "not even after its answer");
    assert!(outbox.figures().sightings == 0);
}

#[test]
fn an_answer_counts_once_and_takes_the_picture_off_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let sent = sighting(1, 60_000);
    outbox.accept(&sent).wait().unwrap();
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

    let first =
        outbox.answered(following(known(sent.id), &[planned("k1", &sent), planned("k2", &sent)])).wait().unwrap();
    assert!(first.first);
    assert_eq!(first.planned, ["k1", "k2"]);
    let again = outbox.answered(following(known(sent.id), &[planned("k3", &sent)])).wait().unwrap();
    assert!(!again.first && again.planned.is_empty());
    assert!(!outbox.claim("k3").wait().unwrap(), "what came with the second answer was not planned");
    assert_eq!((outbox.figures().sightings, outbox.figures().bytes), (0, 0));

    outbox.tidy(Utc::now()).wait().unwrap();
    wait_for("the picture to leave the disk", || (pictures(dir.path()) == 0).then_some(()));
}

#[test]
fn an_answer_to_what_was_never_stored_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let never = sighting(9, 10);
    let settled = outbox.answered(following(known(never.id), &[planned("k", &never)])).wait().unwrap();
    assert!(!settled.first && settled.planned.is_empty());
    assert!(!outbox.claim("k").wait().unwrap());
}

#[test]
fn a_key_is_planned_once_whichever_sighting_asks_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let (one, two) = (sighting(1, 10), sighting(2, 10));
    outbox.accept(&one).wait().unwrap();
    outbox.accept(&two).wait().unwrap();
    assert_eq!(
        outbox.answered(following(known(one.id), &[planned("k", &one), planned("k", &one)])).wait().unwrap().planned,
        ["k"]
    );
    assert!(outbox.claim("k").wait().unwrap());
    outbox.finish("k", &ActionResult::Done).wait().unwrap();
    let second = outbox.answered(following(known(two.id), &[planned("k", &two), planned("l", &two)])).wait().unwrap();
    assert!(second.first);
    assert_eq!(second.planned, ["l"]);
    assert!(!outbox.claim("k").wait().unwrap());
}

#[test]
fn a_key_is_claimed_once_however_many_try() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let sent = sighting(1, 10);
    outbox.accept(&sent).wait().unwrap();
    let keys: Vec<String> = (0..20).map(|n| format!("key-{n}")).collect();
    let actions: Vec<_> = keys.iter().map(|key| planned(key, &sent)).collect();
    outbox.answered(following(known(sent.id), &actions)).wait().unwrap();

    let barrier = Barrier::new(4);
    let claimed: usize = std::thread::scope(|scope| {
        let claimer = || {
            barrier.wait();
            keys.iter().filter(|key| outbox.claim(key).wait().unwrap()).count()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(claimer)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(claimed, keys.len());
    assert!(!outbox.claim("never planned").wait().unwrap());
}

#[test]
fn a_visit_is_told_from_its_first_shot_to_its_last_action() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let first = sighting(1, 10);
    let second = Sighting { id: Uuid::from_u128(2), shot: 2, seen_at: seen_at(5), ..first.clone() };
    let visit = first.visit.to_string();
    let told = || outbox.explain(&visit).wait().unwrap().remove(0);

    outbox.accept(&first).wait().unwrap();
    outbox.accept(&second).wait().unwrap();
    assert_eq!(told().outcome, "pending");
    let unknown = Answered { outcome: OutcomeKind::Unknown, person: None, confidence: None, ..known(first.id) };
    outbox.answered(unknown).wait().unwrap();
    assert_eq!(told().outcome, "pending", "the second shot is not answered");
    outbox
        .answered(following(known(second.id), &[planned("a", &second), planned("b", &second), planned("c", &second)]))
        .wait()
        .unwrap();
    assert_eq!(told().outcome, "known");
    for key in ["a", "b"] {
        assert!(outbox.claim(key).wait().unwrap());
    }
    outbox.finish("a", &ActionResult::Done).wait().unwrap();
    outbox.finish("b", &ActionResult::Failed { reason: "no lamp".into() }).wait().unwrap();
    outbox.finish("c", &ActionResult::Expired).wait().unwrap();
    outbox.finish("a", &ActionResult::Failed { reason: "ended before".into() }).wait().unwrap();
    let seen =
        Visit { first_seen: seen_at(0), last_seen: seen_at(9), ..(*closed(&first, VisitOutcome::Known)).clone() };
    outbox.visit_closed(Arc::new(Visit { largest_px: 60.0, best: Some(quality()), ..seen.clone() })).wait().unwrap();
    outbox.visit_closed(Arc::new(Visit { outcome: VisitOutcome::Unknown, ..seen })).wait().unwrap();

    let record = told();
    assert_eq!((record.outcome.as_str(), &record.detail["largest_px"]), ("known", &json!(60.0)));
    assert_eq!(record.detail["stay"], json!(first.stay.unwrap().0));
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
    assert_eq!(outbox.explain("ffff").wait().unwrap(), []);
    let firings = outbox.recent_firings(Utc::now() - Duration::from_secs(60)).wait().unwrap();
    let fired: Vec<_> = firings.iter().map(|(_, action)| action.as_str()).collect();
    assert_eq!(fired.len(), 3, "one for each action: {fired:?}");
    assert_eq!((firings[0].0.rule.as_str(), firings[0].0.seen_at), ("greet", second.seen_at));
    assert_eq!(firings[0].0.stay, first.visit, "a key that is none of a stay's");
    assert_eq!(outbox.recent_firings(Utc::now() + Duration::from_secs(60)).wait().unwrap(), []);
    let sights = outbox.recently_seen(Utc::now() - Duration::from_secs(60)).wait().unwrap();
    let sights: Vec<_> = sights.iter().map(|s| (s.person.as_deref(), s.visit, s.seen_at.timestamp_millis())).collect();
    let (unknown, known) = (first.seen_at.timestamp_millis(), second.seen_at.timestamp_millis());
    assert_eq!(sights, [(None, first.visit, unknown), (Some("person-1"), first.visit, known)]);
    assert_eq!(outbox.recently_seen(Utc::now() + Duration::from_secs(60)).wait().unwrap(), []);
}

#[test]
fn history_is_forgotten_after_its_days_but_not_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let sent: Vec<_> = (1..=4).map(|n| sighting(n, 10)).collect();
    sent.iter().for_each(|sighting| assert!(outbox.accept(sighting).wait().unwrap().new));
    outbox.answered(known(sent[0].id)).wait().unwrap();
    outbox.answered(following(known(sent[1].id), &[planned("open", &sent[1])])).wait().unwrap();
    outbox.answered(following(known(sent[2].id), &[planned("ended", &sent[2])])).wait().unwrap();
    outbox.finish("ended", &ActionResult::Done).wait().unwrap();
    let told = || outbox.explain("").wait().unwrap().len();

    outbox.tidy(Utc::now() + chrono::TimeDelta::days(6)).wait().unwrap();
    assert_eq!(told(), 4);
    outbox.tidy(Utc::now() + chrono::TimeDelta::days(8)).wait().unwrap();
    let left: Vec<_> = outbox.explain("").wait().unwrap().into_iter().map(|record| record.visit).collect();
    assert_eq!(left, [sent[3].visit.to_string(), sent[1].visit.to_string()]);
    assert!(outbox.claim("open").wait().unwrap());
}

#[test]
fn a_dropped_sightings_late_answer_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), &OutboxConfig { max_bytes: 3000, ..OutboxConfig::default() }).unwrap();
    let (one, two) = (sighting(1, 1000), sighting(2, 1000));
    outbox.accept(&one).wait().unwrap();
    let dropped = outbox.accept(&two).wait().unwrap().dropped;
    assert_eq!((dropped[0].sighting, dropped[0].reason), (one.id, DropReason::Full(Worth::Only)));
    assert!(!outbox.answered(following(known(one.id), &[planned("k", &one)])).wait().unwrap().first);
    assert_eq!(outbox.explain(&one.visit.to_string()).wait().unwrap()[0].outcome, "dropped");
}

fn quality() -> Quality {
    let part = Part { score: 0.5, value: 1.0 };
    Quality { total: 0.5, ..Quality::of([part; 6]) }
}
