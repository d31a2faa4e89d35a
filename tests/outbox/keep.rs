//! Pictures leave with their answers, unless they are to be kept for a while.

use doorward::outbox::Pictures;

use super::*;

fn answered(n: u64, outcome: OutcomeKind) -> Answered {
    let person = (outcome == OutcomeKind::Known).then(|| format!("person-{n}"));
    Answered { outcome, person, ..known(Uuid::from_u128(n.into())) }
}

fn kept(dir: &Path, config: &OutboxConfig) -> Vec<String> {
    let pictures = Pictures::open(dir, config).unwrap().list(None, None).unwrap();
    pictures
        .iter()
        .map(|picture| format!("{} {}", picture.outcome, picture.sighting.trim_start_matches(['0', '-'])))
        .collect()
}

#[test]
fn by_default_nothing_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    for (n, outcome) in [(1, OutcomeKind::Known), (2, OutcomeKind::Unknown), (3, OutcomeKind::Accepted)] {
        outbox.accept(&sighting(n, 1000)).wait().unwrap();
        outbox.answered(answered(n, outcome)).wait().unwrap();
    }
    assert_eq!(kept(dir.path(), &OutboxConfig::default()), [""; 0]);
}

#[test]
fn a_picture_is_kept_for_its_hours_and_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let config = OutboxConfig { keep_known_hours: 1, keep_unknown_hours: 200, ..OutboxConfig::default() };
    let outbox = Outbox::open(dir.path(), &config).unwrap();
    for (n, outcome) in [
        (1, OutcomeKind::Known),
        (2, OutcomeKind::Unknown),
        (3, OutcomeKind::Accepted),
        (4, OutcomeKind::NoFace),
        (5, OutcomeKind::Known),
    ] {
        outbox.accept(&sighting(n, 30_000)).wait().unwrap();
        outbox.answered(answered(n, outcome)).wait().unwrap();
    }
    assert!(outbox.figures().sightings == 0);
    assert_eq!(kept(dir.path(), &config), ["known 1", "unknown 2", "known 5"]);

    let pictures = Pictures::open(dir.path(), &config).unwrap();
    let ann = pictures.list(None, Some("PERSON-5")).unwrap();
    assert_eq!((ann.len(), ann[0].detector.as_str(), ann[0].shot), (1, "Front door", 1));
    assert_eq!(pictures.read(&ann[0]).unwrap().unwrap(), picture(5, 30_000));
    let visit = sighting(2, 1).visit.to_string();
    assert_eq!(pictures.list(Some(&visit), None).unwrap().len(), 1);
    let wrong = OutboxConfig { key: Some("c".repeat(64).into()), ..config.clone() };
    assert_eq!(Pictures::open(dir.path(), &wrong).unwrap().read(&ann[0]).unwrap(), None);

    outbox.tidy(Utc::now() + chrono::TimeDelta::hours(2)).wait().unwrap();
    assert_eq!(kept(dir.path(), &config), ["unknown 2"]);
    assert_eq!(pictures.read(&ann[0]).unwrap(), None);
    // The history of what is kept stays beyond its days.
    outbox.tidy(Utc::now() + chrono::TimeDelta::days(8)).wait().unwrap();
    let told: Vec<_> = outbox.explain("").wait().unwrap().into_iter().map(|record| record.visit).collect();
    assert_eq!(told, [visit]);
    outbox.tidy(Utc::now() + chrono::TimeDelta::days(9)).wait().unwrap();
    assert_eq!((kept(dir.path(), &config).len(), outbox.explain("").wait().unwrap().len()), (0, 0));
}

#[test]
fn what_is_kept_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let config = OutboxConfig { keep_other_hours: 1, keep_max_bytes: 25_000, ..OutboxConfig::default() };
    let outbox = Outbox::open(dir.path(), &config).unwrap();
    for n in 1..=5 {
        outbox.accept(&sighting(n, 10_000)).wait().unwrap();
        outbox.answered(answered(n, OutcomeKind::Accepted)).wait().unwrap();
    }
    outbox.tidy(Utc::now()).wait().unwrap();
    assert_eq!(kept(dir.path(), &config), ["accepted 4", "accepted 5"]);
}
