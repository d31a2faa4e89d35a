//! What somebody says of who was seen: strangers who are a person, matches that are wrong, what is erased and undone.

use identities::wire::PersonAlias;
use rusqlite::{Connection, Transaction};

use super::*;
use crate::recognition::assign::Assignment;
use crate::store::assign::Which;
use crate::store::erase::Whom;
use crate::store::erasures::What;
use crate::store::{browse, denials, faces, groups, people};

/// As like red as the model asks for, and nobody's own colour; and one that is nearer red than that.
const REDDISH: [u8; 3] = [60, 100, 250];
const NEARLY_RED: [u8; 3] = [60, 66, 250];
/// Somewhat less like blue than the model asks for.
const BLUISH: [u8; 3] = [230, 60, 120];

fn new(which: Which, name: &str) -> Assignment {
    Assignment { which, person: None, first_name: Some(name.into()), last_name: None, force: false }
}

async fn listed(engine: &Engine) -> Vec<groups::Group> {
    engine.read("list", |connection| groups::list(connection, 0, 50)).await.unwrap().groups
}

async fn seen(engine: &Engine, caller: &auth::Caller, colour: [u8; 3]) -> Uuid {
    let mut faces = engine.publish(caller, published(picture(80, &[colour]))).await.unwrap();
    Uuid::parse_str(&faces.remove(0).detect_id).unwrap()
}

async fn sighting(engine: &Engine, detection: Uuid) -> browse::ListedSighting {
    engine.read("read", move |connection| browse::sighting(connection, detection)).await.unwrap()
}

#[tokio::test]
async fn strangers_who_are_perhaps_one_are_one_group_and_become_one_person() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path(), "one");
    let caller = caller(&engine).await;
    for colour in [BLUE, BLUE, GREEN, BLUISH] {
        seen(&engine, &caller, colour).await;
    }
    let groups = listed(&engine).await;
    assert_eq!(groups.iter().map(|group| (group.faces, group.sightings)).collect::<Vec<_>>(), [(2, 3), (1, 1)]);

    let which = Which::Group(Uuid::parse_str(&groups[0].group_id).unwrap());
    let would = engine.would_assign(&caller, which, None).await.unwrap();
    assert_eq!((would.sightings, would.photos, would.poor, would.confused.len()), (3, 2, 0, 0));
    let nobody = Assignment { first_name: None, ..new(which, "") };
    assert!(matches!(engine.assign(caller.clone(), nobody).await, Err(Refusal::BadInput(_))));
    let done = engine.assign(caller.clone(), new(which, "Bea")).await.unwrap();
    let bea = done.person_id.clone();
    assert_eq!((done.sightings, done.photos), (3, 2));
    assert_eq!(who(&engine, &caller, &[BLUE]).await, std::slice::from_ref(&bea));
    assert_eq!(who(&engine, &caller, &[BLUISH]).await, std::slice::from_ref(&bea));
    assert_eq!(listed(&engine).await.len(), 1, "green is left");
    let person = Uuid::parse_str(bea.as_deref().unwrap()).unwrap();
    let query = serde_json::from_value(serde_json::json!({ "personId": person })).unwrap();
    let history = engine.read("read", move |connection| browse::sightings(connection, &query, 50)).await.unwrap();
    assert_eq!(history.len(), 5, "what was seen before is hers, too");
    assert!(history.iter().all(|one| one.name == "Bea"));
}

#[tokio::test]
async fn a_wrong_match_is_refused_the_next_time_and_the_person_is_still_known() {
    let folder = tempfile::tempdir().unwrap();
    let first = engine(folder.path(), "one");
    let asking = caller(&first).await;
    let red = first.enroll(&asking, enrolment(RED)).await.unwrap().to_string();
    let wrong = seen(&first, &asking, REDDISH).await;
    let right = seen(&first, &asking, RED).await;
    assert_eq!(sighting(&first, wrong).await.person_id.as_ref(), Some(&red));

    let before = first.deny(asking.clone(), wrong).await.unwrap();
    let denied = sighting(&first, wrong).await;
    assert_eq!((denied.person_id, denied.match_confidence), (None, None));
    assert_eq!(sighting(&first, right).await.person_id.as_ref(), Some(&red), "the others stay");
    assert!(matches!(first.deny(asking.clone(), wrong).await, Err(Refusal::NotFound(_))), "it is nobody's any more");
    assert_eq!(who(&first, &asking, &[REDDISH]).await, [None]);
    assert_eq!(who(&first, &asking, &[RED]).await, [Some(red.clone())]);
    assert_eq!(who(&first, &asking, &[NEARLY_RED]).await, [Some(red.clone())]);
    assert!(first.look_up(&asking, picture(80, &[REDDISH]), None).await.is_err());

    // It is remembered over a restart, until it is taken back.
    drop(first);
    let second = engine(folder.path(), "one");
    let asking = caller(&second).await;
    assert_eq!(who(&second, &asking, &[REDDISH]).await, [None]);
    second.undo_denial(asking.clone(), wrong, before.clone()).await.unwrap();
    assert_eq!(sighting(&second, wrong).await.person_id.as_ref(), Some(&red));
    assert_eq!(who(&second, &asking, &[REDDISH]).await, [Some(red.clone())]);
    assert!(second.undo_denial(asking.clone(), wrong, before).await.is_err(), "once");
}

#[tokio::test]
async fn who_was_somebody_else_is_so_from_now_on() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path(), "one");
    let caller = caller(&engine).await;
    let red = engine.enroll(&caller, enrolment(RED)).await.unwrap().to_string();
    let wrong = seen(&engine, &caller, REDDISH).await;
    // It says itself that the sighting was not red: nothing else is in the way.
    let done = engine.assign(caller.clone(), new(Which::Sighting(wrong), "Ria")).await.unwrap();
    assert_ne!(done.person_id.as_ref(), Some(&red));
    assert_eq!(who(&engine, &caller, &[REDDISH]).await, [done.person_id]);
    assert_eq!(who(&engine, &caller, &[RED]).await, [Some(red.clone())]);
    let denied = engine.read("count", |connection| {
        let mut count = 0;
        denials::each(connection, "one", |_, _| count += 1).map(|()| count)
    });
    assert_eq!(denied.await.unwrap(), 1, "and that it is not red is remembered");
}

#[tokio::test]
async fn a_photo_like_somebody_elses_is_told_of_before_it_is_added() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path(), "one");
    let caller = caller(&engine).await;
    let stranger = seen(&engine, &caller, REDDISH).await;
    let red = engine.enroll(&caller, enrolment(RED)).await.unwrap();
    let green = engine.enroll(&caller, enrolment(GREEN)).await.unwrap();
    let which = Which::Sighting(stranger);
    assert_eq!(engine.would_assign(&caller, which, Some(red)).await.unwrap().confused, []);
    let would = engine.would_assign(&caller, which, Some(green)).await.unwrap();
    assert_eq!(would.confused.iter().map(|other| &other.person_id).collect::<Vec<_>>(), [&red.to_string()]);
    let portrait = engine.look_at_portrait(&caller, picture(80, &[REDDISH]), Some(green)).await.unwrap();
    assert_eq!((portrait.faces, &portrait.confused[0].person_id), (1, &red.to_string()));
    let as_green = Assignment { person: Some(green), ..new(which, "") };
    assert!(matches!(engine.assign(caller.clone(), as_green.clone()).await, Err(Refusal::BadInput(_))));
    let forced = engine.assign(caller.clone(), Assignment { force: true, ..as_green }).await.unwrap();
    assert_eq!(forced.person_id, Some(green.to_string()));
}

#[tokio::test]
async fn a_poor_picture_makes_nobody_known_unless_it_is_forced() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path(), "one");
    let caller = caller(&engine).await;
    let faces = engine.publish(&caller, published(picture(30, &[BLUE]))).await.unwrap();
    let which = Which::Sighting(Uuid::parse_str(&faces[0].detect_id).unwrap());
    assert_eq!(engine.would_assign(&caller, which, None).await.unwrap().photos, 0);
    assert!(matches!(engine.assign(caller.clone(), new(which, "Bea")).await, Err(Refusal::BadInput(_))));
    assert_eq!(engine.assign(caller, Assignment { force: true, ..new(which, "Bea") }).await.unwrap().photos, 1);
}

/// How many rows there are of people, faces and erasures.
async fn rows(engine: &Engine) -> [u32; 3] {
    let tables = ["people", "faces", "erasures"];
    let count = |connection: &rusqlite::Connection, table: &str| {
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    engine.read("count", move |connection| Ok(tables.map(|table| count(connection, table)))).await.unwrap()
}

#[tokio::test]
async fn what_is_being_erased_is_hidden_at_once_and_comes_back_when_it_is_undone() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path(), "one");
    let caller = caller(&engine).await;
    let red = engine.enroll(&caller, enrolment(RED)).await.unwrap();
    let detection = seen(&engine, &caller, RED).await;
    let stranger = seen(&engine, &caller, BLUE).await;
    let group = Uuid::parse_str(&listed(&engine).await[0].group_id).unwrap();
    let people = || engine.read("list", |connection| browse::people(connection, "", 0, 50, Utc::now()));

    for what in [What::Whom(Whom::Person(red)), What::Whom(Whom::Group(group))] {
        let (erasure, told) = engine.begin_erasing(caller.clone(), what.clone()).await.unwrap();
        assert_eq!(told, engine.would_begin_erasing(what.clone()).await.unwrap());
        let of_person = what == What::Whom(Whom::Person(red));
        assert_eq!(people().await.unwrap().total, if of_person { 0 } else { 1 });
        assert_eq!(listed(&engine).await.len(), if of_person { 1 } else { 0 });
        let gone = if of_person { detection } else { stranger };
        let found = engine.read("read", move |connection| browse::sighting(connection, gone)).await;
        assert!(matches!(found, Err(Refusal::NotFound(_))), "{what:?}");
        assert_eq!(engine.faces().await, if of_person { (0, 1) } else { (1, 0) }, "nor is it recognised");
        // Too early.
        engine.finish_erasing(Utc::now()).await.unwrap();
        engine.undo_erasing(erasure).await.unwrap();
        assert_eq!((engine.faces().await, people().await.unwrap().total), ((1, 1), 1));
        sighting(&engine, gone).await;
        assert!(engine.undo_erasing(erasure).await.is_err(), "once");
    }
    assert_eq!(who(&engine, &caller, &[RED]).await, [Some(red.to_string())]);
}

#[tokio::test]
async fn what_was_being_erased_is_erased_when_its_time_is_over_whatever_happens_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let first = engine(folder.path(), "one");
    let asking = caller(&first).await;
    let red = first.enroll(&asking, enrolment(RED)).await.unwrap();
    first.begin_erasing(asking.clone(), What::Whom(Whom::Person(red))).await.unwrap();
    assert_eq!(rows(&first).await, [1, 1, 1]);
    // A crash changes nothing: it is still hidden, and goes when its time is over.
    drop(first);
    let second = engine(folder.path(), "one");
    assert_eq!(second.faces().await, (0, 0));
    second.finish_erasing(Utc::now() + TimeDelta::seconds(11)).await.unwrap();
    assert_eq!(rows(&second).await, [0, 0, 0]);
    // Whoever ends the engine ends the time.
    let asking = caller(&second).await;
    let green = second.enroll(&asking, enrolment(GREEN)).await.unwrap();
    second.begin_erasing(asking, What::Whom(Whom::Person(green))).await.unwrap();
    let stopping = CancellationToken::new();
    stopping.cancel();
    housekeeping::run(second.clone(), Retention::default(), stopping).await;
    assert_eq!(rows(&second).await, [0, 0, 0]);
}

#[tokio::test]
async fn a_photo_of_somebody_else_is_taken_out_and_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path(), "one");
    let caller = caller(&engine).await;
    let red = engine.enroll(&caller, enrolment(RED)).await.unwrap();
    let more = Enrolment { person: Some(red), force: true, ..enrolment(REDDISH) };
    engine.enroll(&caller, more).await.unwrap();
    let photos = engine.read("list", move |connection| browse::photos(connection, red)).await.unwrap();
    let wrong = Uuid::parse_str(&photos[1].face_id).unwrap();
    let own = Uuid::parse_str(&photos[0].face_id).unwrap();
    engine.begin_erasing(caller.clone(), What::Denied(wrong)).await.unwrap();
    let last = engine.begin_erasing(caller.clone(), What::Photo(own)).await;
    assert!(matches!(last, Err(Refusal::BadInput(_))), "one photo stays");
    engine.finish_erasing(Utc::now() + TimeDelta::seconds(11)).await.unwrap();
    assert_eq!(engine.faces().await, (1, 1));
    assert_eq!(who(&engine, &caller, &[REDDISH]).await, [None]);
    assert_eq!(who(&engine, &caller, &[RED]).await, [Some(red.to_string())]);
    // Whoever is erased takes along what was said of them.
    engine.erase(caller.clone(), Whom::Person(red)).await.unwrap();
    let left = engine.read("count", |connection| {
        Ok(connection.query_row("SELECT count(*) FROM denials", [], |row| row.get::<_, u32>(0)).unwrap())
    });
    assert_eq!(left.await.unwrap(), 0);
}

/// Ten thousand strangers, each seen twice, in two thousand groups.
fn crowd(transaction: &Transaction) -> Result<(), store::Stop> {
    let photo = faces::insert_photo(transaction, b"a photo", Some("door"))?;
    let mut before = None;
    for n in 0..10_000_u128 {
        let face = Uuid::from_u128(n + 1);
        let perhaps = before.filter(|_| n % 5 != 0);
        faces::insert_unknown(transaction, face, perhaps, 0.5, Utc::now())?;
        faces::insert_embedding(transaction, face, "one", &[n as f32, 1.0, 0.0])?;
        for _ in 0..2 {
            let detection = browse::Detection {
                detect_id: Uuid::new_v4(),
                face,
                person: None,
                detector: "gate",
                time: Utc::now(),
                time_zone: "UTC",
                confidence: 0.9,
                match_confidence: None,
                quality: 0.5,
                bbox: [0, 0, 9, 9],
                photo,
            };
            browse::insert(transaction, &detection)?;
        }
        before = Some(face);
    }
    Ok(())
}

#[tokio::test]
async fn a_page_of_ten_thousand_strangers_reads_an_index_and_what_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.write("test", crowd).unwrap();
    let started = std::time::Instant::now();
    let list = store.read("list", |connection| groups::list(connection, 100, 18)).unwrap();
    println!("a page of 2,000 groups of 10,000 faces: {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
    assert_eq!((list.total, list.groups.len()), (2000, 18));
    assert!(list.groups.iter().all(|group| (group.faces, group.sightings) == (5, 10)));
    let statements = groups::statements();
    let explain = |connection: &Connection| {
        reads_little(connection, &statements);
        Ok(())
    };
    store.read("explain", explain).unwrap();
}

#[tokio::test]
async fn a_page_of_ten_thousand_people_reads_their_names_and_what_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let people = |transaction: &Transaction| {
        for n in 0..10_000_u128 {
            let person = Uuid::from_u128(n + 1);
            people::create(transaction, person, Utc::now())?;
            let first_name = Some(format!("Jörg {n}"));
            people::put_alias(transaction, person, PersonAlias { first_name, ..PersonAlias::default() })?;
        }
        Ok::<_, store::Stop>(())
    };
    store.write("test", people).unwrap();
    for (text, total) in [("", 10_000), ("JO\u{308}RG 99", 111)] {
        let started = std::time::Instant::now();
        let list = store.read("list", |connection| browse::people(connection, text, 0, 18, Utc::now())).unwrap();
        println!("{total} of 10,000 people: {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
        assert_eq!((list.total, list.people.len()), (total, 18));
    }
    let explain = |connection: &Connection| {
        reads_little(connection, &browse::statements());
        Ok(())
    };
    store.read("explain", explain).unwrap();
}

/// Fails where a statement goes through a table as a whole, but for the index of the groups, the list of the people,
/// and what is being erased, which is mostly nothing.
fn reads_little(connection: &Connection, statements: &[String]) {
    for query in statements {
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let values = rusqlite::params_from_iter(std::iter::repeat_n(1, plan.parameter_count()));
        let steps: Vec<String> = plan.query_map(values, |row| row.get(3)).unwrap().flatten().collect();
        for step in steps.iter().filter(|step| step.starts_with("SCAN")) {
            let small = ["INDEX faces_of_group", "SCAN erasures", "SCAN (subquery", "SCAN subject"];
            assert!(small.iter().any(|it| step.contains(it)), "{query}\n{steps:#?}");
        }
    }
}
