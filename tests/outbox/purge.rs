//! Erased is erased: from every file, beside a running doorward or alone.

use doorward::outbox::{Purge, Selection};
use doorward::recognition::{Nearest, Person};
use doorward::visits::ActionResult;

use super::*;

/// Ten visits: 1 to 4 answered as person 1, 5 to 8 as person 2 (its picture kept), 9 and 10 wait.
fn filled(dir: &Path) -> Outbox {
    let config = OutboxConfig { keep_known_hours: 1, ..OutboxConfig::default() };
    let outbox = Outbox::open(dir, &config).unwrap();
    for n in 1..=10_u64 {
        let sent = sighting(n, 20_000);
        outbox.accept(&sent).wait().unwrap();
        if n <= 8 {
            let person = format!("0000000{}-aaaa-4bbb-8ccc-dddddddddddd", if n <= 4 { 1 } else { 2 });
            let answered = Answered { person: Some(person.clone()), ..known(sent.id) };
            let plan =
                ActionRequest { person: Some(person), ..planned(&format!("{}-0123456789abcdef", sent.visit), &sent) };
            outbox.answered(following(answered, &[plan])).wait().unwrap();
        }
        outbox.visit_closed(closed(&sent, VisitOutcome::Known)).wait().unwrap();
    }
    outbox
}

fn visits(outbox: &Outbox) -> Vec<u64> {
    let mut told: Vec<u64> = outbox
        .explain("")
        .wait()
        .unwrap()
        .iter()
        .map(|r| (r.visit.parse::<Uuid>().unwrap().as_u128() >> 64) as u64)
        .collect();
    told.sort_unstable();
    told
}

/// What is erased must be found before, and by nobody afterwards: ids in letters, and the sealed pictures.
fn pieces(dir: &Path, visits: impl Iterator<Item = u64>) -> Vec<Vec<u8>> {
    let db = rusqlite::Connection::open(dir.join("outbox/outbox.sqlite")).unwrap();
    let mut pieces = Vec::new();
    for n in visits {
        let visit = sighting(n, 1).visit.to_string();
        for table in ["sighting", "picture"] {
            let sql = format!("SELECT substr(sealed, 5000, 40) FROM {table} WHERE visit = ?");
            let mut statement = db.prepare(&sql).unwrap();
            let found = statement.query_map([&visit], |row| row.get::<_, Vec<u8>>(0)).unwrap();
            pieces.extend(found.map(Result::unwrap));
        }
        pieces.push(visit.into_bytes());
        pieces.push(Uuid::from_u128(n.into()).to_string().into_bytes());
    }
    pieces
}

fn found(dir: &Path, pieces: &[Vec<u8>]) -> usize {
    let files = files(dir);
    pieces.iter().filter(|piece| files.iter().any(|(_, bytes)| holds(bytes, piece))).count()
}

#[test]
fn a_person_is_erased_from_every_file_and_nobody_else() {
    for running in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut outbox = Some(filled(dir.path()));
        let pieces_of_ann = pieces(dir.path(), 1..=4);
        assert_eq!(found(dir.path(), &pieces_of_ann), 12, "the test looks for what is there");
        if !running {
            outbox = None;
        }
        let mut purge = Purge::start(dir.path()).unwrap();
        let ann = Selection::Person("00000001-AAAA-4BBB-8CCC-DDDDDDDDDDDD".into());
        let erased = purge.erase(&ann).unwrap().clone();
        assert_eq!((erased.visits, erased.sightings, erased.pictures, erased.actions), (4, 0, 4, 4));
        assert_eq!((purge.unanswered().unwrap(), purge.beside_a_running_one()), (2, running));
        let searched = purge.prove(&[]).unwrap();
        assert!(searched.found.is_empty() && searched.unread.is_empty(), "{searched:?}");
        assert!(purge.marks() > 20 && searched.bytes > 50_000);
        assert_eq!(found(dir.path(), &pieces_of_ann), 0, "running: {running}");
        drop(purge);

        let outbox = outbox.unwrap_or_else(|| open(dir.path()));
        assert_eq!(visits(&outbox), [5, 6, 7, 8, 9, 10]);
        let mut waiting = drain(&outbox);
        waiting.sort_unstable();
        assert_eq!(waiting, [9, 10]);
        assert!(outbox.accept(&sighting(11, 10)).wait().unwrap().new);
    }
}

/// Of strangers' visits only whom they came near to goes, and what an action that has not ended was to tell of it.
#[test]
fn who_was_nearest_to_strangers_is_erased_from_their_visits() {
    const ANN: &str = "0000000a-aaaa-4bbb-8ccc-dddddddddddd";
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    for n in 1..=3_u64 {
        let sent = sighting(n, 1000);
        outbox.accept(&sent).wait().unwrap();
        let id = if n < 3 { ANN } else { "bob" };
        let person = Person { id: id.into(), name: Some(format!("Name of {id}")) };
        let nearest = Some(Nearest { person, score: 0.41, threshold: 0.43 });
        let unknown = Answered { outcome: OutcomeKind::Unknown, person: None, nearest, ..known(sent.id) };
        outbox.answered(following(unknown, &[planned(&format!("key-{n}"), &sent)])).wait().unwrap();
        outbox.visit_closed(closed(&sent, VisitOutcome::Unknown)).wait().unwrap();
    }
    assert!(outbox.claim("key-1").wait().unwrap());
    outbox.finish("key-1", &ActionResult::Done).wait().unwrap();
    drop(outbox);
    let ids = [ANN.as_bytes().to_vec()];
    assert_eq!(found(dir.path(), &ids), 1, "the test looks for what is there");
    assert_eq!(found(dir.path(), &[b"Name of".to_vec()]), 0, "names are sealed");

    let mut purge = Purge::start(dir.path()).unwrap();
    let erased = purge.erase(&Selection::Person(ANN.to_uppercase())).unwrap().clone();
    assert_eq!((erased.visits, erased.nearest), (0, 2));
    purge.mark(ANN);
    let searched = purge.prove(&[]).unwrap();
    assert!(searched.found.is_empty() && searched.unread.is_empty(), "{searched:?}");
    assert_eq!(found(dir.path(), &ids), 0);
    drop(purge);

    let outbox = open(dir.path());
    let told = outbox.explain("").wait().unwrap();
    let nearest: Vec<_> = told.iter().rev().map(|visit| visit.shots[0].nearest["id"].as_str()).collect();
    assert_eq!(nearest, [None, None, Some("bob")]);
    assert!(told.iter().all(|visit| visit.outcome == "unknown" && visit.shots.len() == 1));
    let states: Vec<_> = told.iter().rev().map(|visit| visit.actions[0].state.as_str()).collect();
    assert_eq!(states, ["done", "failed", "planned"]);
    let unfinished = outbox.unfinished().wait().unwrap();
    assert_eq!(unfinished.iter().map(|it| it.key.as_str()).collect::<Vec<_>>(), ["key-3"]);
}

#[test]
fn what_is_before_a_moment_is_erased_waiting_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = filled(dir.path());
    let pieces_before = pieces(dir.path(), (1..=3).chain(9..=9));
    let mut purge = Purge::start(dir.path()).unwrap();
    let erased = purge.erase(&Selection::Before(seen_at(4))).unwrap().clone();
    assert_eq!((erased.visits, erased.pictures, purge.has_erased(&sighting(3, 1).visit.to_string())), (3, 3, true));
    assert!(!purge.has_erased(&sighting(4, 1).visit.to_string()));
    assert!(purge.prove(&[]).unwrap().found.is_empty());
    drop(purge);
    let erased = Purge::start(dir.path()).unwrap().erase(&Selection::Before(seen_at(10))).unwrap().clone();
    assert_eq!((erased.visits, erased.sightings, visits(&outbox)), (6, 1, vec![10]));
    assert_eq!(found(dir.path(), &pieces_before), 0);
    // The one that was erased while it waited ends without a word to anybody.
    assert_eq!(drain(&outbox), [10]);
    assert_eq!(outbox.figures().sightings, 1);
}

#[test]
fn everything_is_erased_with_its_key_and_what_was_put_aside() {
    for running in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        drop(filled(dir.path()));
        std::fs::write(dir.path().join("outbox/outbox.sqlite"), b"no database".repeat(500)).unwrap();
        let mut outbox = Some(filled(dir.path()));
        let all = pieces(dir.path(), 1..=10);
        if !running {
            outbox = None;
        }
        let mut purge = Purge::start(dir.path()).unwrap();
        let erased = purge.erase(&Selection::All).unwrap().clone();
        assert_eq!((erased.visits, erased.sightings, erased.pictures, erased.actions), (10, 2, 8, 8));
        let named = |part: &str| erased.files.iter().filter(|file| file.to_string_lossy().contains(part)).count();
        assert_eq!((named("damaged"), named("outbox.key")), (1, usize::from(!running)));
        let searched = purge.prove(&[]).unwrap();
        assert!(searched.found.is_empty(), "{searched:?}");
        assert_eq!(found(dir.path(), &all), 0);
        drop(purge);

        let outbox = outbox.unwrap_or_else(|| open(dir.path()));
        assert_eq!((visits(&outbox), drain(&outbox)), (vec![], vec![]));
        assert!(outbox.accept(&sighting(1, 10)).wait().unwrap().new);
    }
}

#[test]
fn what_is_still_there_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = filled(dir.path());
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = dir.path().join("a copy somebody made");
    let visit = sighting(2, 1).visit.to_string();
    std::fs::write(&copy, format!("... {visit} ...")).unwrap();
    std::fs::write(elsewhere.path().join("too"), visit).unwrap();
    let mut purge = Purge::start(dir.path()).unwrap();
    purge.erase(&Selection::All).unwrap();
    let searched = purge.prove(&[elsewhere.path().to_owned()]).unwrap();
    assert_eq!(searched.found, [copy, elsewhere.path().join("too")]);
    assert!(visits(&outbox).is_empty());
}
