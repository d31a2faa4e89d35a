//! What is personal is not on the disk in the clear; without its key it waits, and stops nothing.

use doorward::outbox::{DropReason, explain};
use doorward::visits::ActionResult;

use super::*;

fn with_key(key: &str) -> OutboxConfig {
    OutboxConfig { key: Some(key.repeat(64).into()), ..OutboxConfig::default() }
}

#[test]
fn nothing_personal_is_on_the_disk_in_the_clear() {
    let dir = tempfile::tempdir().unwrap();
    let config = OutboxConfig { keep_known_hours: 1, ..with_key("7") };
    let outbox = Outbox::open(dir.path(), &config).unwrap();
    let vector: Vec<f32> = (0..128).map(|n| n as f32 / 3.0).collect();
    let embedding = Embedding { model: "m".into(), values: vector.clone() };
    for n in 1..=30 {
        let sent = Sighting { embedding: Some(embedding.clone()), ..sighting(n, 20_000) };
        outbox.accept(&sent).wait().unwrap();
        if n % 2 == 0 {
            let inputs = serde_json::json!({ "name": "Ann Example" });
            let plan = ActionRequest { inputs, ..planned(&format!("key-{n}"), &sent) };
            outbox.answered(following(known(sent.id), &[plan])).wait().unwrap();
        }
    }
    let stays = [serde_json::json!({ "name": "Ann Example" }), serde_json::json!({ "name": "Bob" })];
    let rules = serde_json::json!([{ "found": "Ann Example" }]);
    let (visit, event) = (sighting(2, 1).visit, doorward::config::EventKind::Left);
    let judged = Judged { visit, sighting: Uuid::from_u128(2), event, rules: rules.clone() };
    assert!(outbox.presence(present(&stays, &[], &[judged])).wait().unwrap().is_empty());
    assert_eq!(outbox.stays(&name()).wait().unwrap(), stays);
    let told =
        |config: &OutboxConfig| explain(dir.path(), config, &visit.to_string()).unwrap().remove(0).judged.remove(0);
    assert_eq!((told(&config).rules, told(&with_key("8")).rules), (rules, serde_json::Value::Null));
    let vector: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    let look = || {
        let files = files(dir.path());
        assert!(files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > 400_000);
        for (path, bytes) in files {
            for (what, text) in [
                ("picture", &b"picture 00000000000000"[..]),
                ("embedding", &vector[64..128]),
                ("name", b"Ann Example"),
                ("time zone", b"Europe/Helsinki"),
                ("key", &[0x77; 16]),
                ("key", &b"7777777777777777"[..]),
            ] {
                assert!(!holds(&bytes, text), "the {what} is in {}", path.display());
            }
        }
    };
    look();
    outbox.tidy(Utc::now()).wait().unwrap();
    drop(outbox);
    look();
    assert!(Outbox::open(dir.path(), &with_key("8")).unwrap().stays(&name()).wait().unwrap().is_empty());
    assert!(!dir.path().join("outbox.key").exists(), "a configured key is not written down");
}

#[test]
fn without_its_key_it_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), &with_key("a")).unwrap();
    let sent: Vec<_> = (1..=3).map(|n| sighting(n, 1000)).collect();
    sent.iter().for_each(|sent| assert!(outbox.accept(sent).wait().unwrap().new));
    outbox.answered(following(known(sent[2].id), &[planned("early", &sent[2])])).wait().unwrap();
    drop(outbox);

    let outbox = Outbox::open(dir.path(), &with_key("b")).unwrap();
    assert_eq!((outbox.figures().sightings, drain(&outbox)), (2, vec![]), "they are kept, and not sent");
    assert_eq!(outbox.unfinished().wait().unwrap(), []);
    let told = &outbox.explain(&sent[0].visit.to_string()).wait().unwrap()[0];
    assert_eq!(told.outcome, "pending");
    assert!(told.reason.as_ref().unwrap().contains("outbox.key"), "{told:?}");
    assert!(outbox.accept(&sighting(4, 1000)).wait().unwrap().new);
    assert_eq!(drain(&outbox), [4], "what comes now goes its way");
    assert!(outbox.answered(known(Uuid::from_u128(4))).wait().unwrap().first);
    drop(outbox);

    let outbox = Outbox::open(dir.path(), &with_key("a")).unwrap();
    assert_eq!(drain(&outbox), [1, 2], "the key is back");
    let unfinished = outbox.unfinished().wait().unwrap();
    assert_eq!(unfinished[0].request.as_ref().unwrap()["inputs"], serde_json::json!({ "key": "early" }));
    assert!(outbox.claim("early").wait().unwrap());
    outbox.finish("early", &ActionResult::Done).wait().unwrap();
}

#[test]
fn a_key_that_does_not_come_back_fills_no_disk() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), &with_key("a")).unwrap();
    let sent: Vec<_> = (1..=5).map(|n| sighting(n, 1000)).collect();
    sent.iter().for_each(|sent| assert!(outbox.accept(sent).wait().unwrap().new));
    outbox.answered(following(known(sent[4].id), &[planned("key", &sent[4])])).wait().unwrap();
    drop(outbox);

    let outbox = Outbox::open(dir.path(), &OutboxConfig { max_sightings: 4, ..with_key("b") }).unwrap();
    let dropped = outbox.accept(&sighting(6, 1000)).wait().unwrap().dropped;
    assert_eq!((dropped.len(), dropped[0].reason.label()), (1, "full_locked"));
    let dropped = outbox.tidy(Utc::now() + chrono::TimeDelta::hours(73)).wait().unwrap();
    assert_eq!(dropped.iter().filter(|dropped| dropped.reason == DropReason::TooOld).count(), 3);
    let told = &outbox.explain(&sent[4].visit.to_string()).wait().unwrap()[0];
    assert_eq!((told.actions[0].state.as_str(), outbox.figures().sightings), ("expired", 1));
}

#[test]
fn a_lost_key_file_is_made_anew_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    outbox.accept(&sighting(1, 1000)).wait().unwrap();
    drop(outbox);
    let key = std::fs::read(dir.path().join("outbox.key")).unwrap();
    std::fs::remove_file(dir.path().join("outbox.key")).unwrap();
    let outbox = open(dir.path());
    outbox.accept(&sighting(2, 1000)).wait().unwrap();
    assert_eq!((drain(&outbox), outbox.figures().sightings), (vec![2], 2));
    drop(outbox);

    std::fs::write(dir.path().join("outbox.key"), key).unwrap();
    assert_eq!(drain(&open(dir.path())), [1]);
}
