//! The engine as a whole over a real data folder, with an analyser that tells faces by their colour.

mod corrections;
mod nearest;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use faces::picture::Picture;
use identities::wire::FaceEdgeRecognizeWithOptions;
use rusqlite::Connection;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::analyzer::Loader;
use super::analyzer::fake::FakeAnalyzer;
use super::error::Refusal;
use super::recognition::Enrolment;
use super::store::{Store, guid};
use super::*;

const RED: [u8; 3] = [60, 60, 250];
const GREEN: [u8; 3] = [60, 240, 60];
const BLUE: [u8; 3] = [230, 60, 60];
const DARK: [u8; 3] = [0, 0, 0];

fn engine(folder: &Path, model: &str) -> Engine {
    let (store, lock) = (Store::open(folder).unwrap(), Store::lock(folder).unwrap());
    let load: Loader = Arc::new(|model, count| match model {
        "gone" => Err(EngineError::NoAnalyzer),
        _ => Ok((0..count).map(|_| FakeAnalyzer::boxed(model)).collect()),
    });
    Engine::assemble(store, lock, load, model, 2).unwrap()
}

/// A picture the fake analyser sees one face per colour in.
fn picture(height: u32, colours: &[[u8; 3]]) -> Bytes {
    let row: Vec<u8> = colours.iter().flat_map(|colour| colour.repeat(40)).collect();
    let picture = Picture::new(colours.len() as u32 * 40, height, row.repeat(height as usize)).unwrap();
    picture.jpeg(95).unwrap().into()
}

async fn caller(engine: &Engine) -> auth::Caller {
    engine.accounts().put("root", "Administrator", &"password".into()).unwrap();
    let inner = engine.inner.clone();
    let (_, token) = inner.auth.log_in(&inner.store, [127, 0, 0, 1].into(), "root", &"password".into()).unwrap();
    inner.auth.caller(&inner.store, &token).unwrap()
}

fn enrolment(colour: [u8; 3]) -> Enrolment {
    Enrolment { picture: picture(80, &[colour]), person: None, photo_reference: None, force: false }
}

fn published(picture: Bytes) -> FaceEdgeRecognizeWithOptions {
    FaceEdgeRecognizeWithOptions {
        expanded: picture.into(),
        detector_name: "gate".into(),
        iana_time_zone: "UTC".into(),
        detect_time_utc: Utc::now(),
        allow_double_detection: true,
        include_person: true,
        ..FaceEdgeRecognizeWithOptions::default()
    }
}

async fn who(engine: &Engine, caller: &auth::Caller, colours: &[[u8; 3]]) -> Vec<Option<String>> {
    let faces = engine.publish(caller, published(picture(80, colours))).await.unwrap();
    faces.into_iter().map(|face| face.person.map(|person| person.person_id)).collect()
}

#[tokio::test]
async fn everybody_in_a_picture_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path(), "one");
    let caller = caller(&engine).await;
    let red = engine.enroll(&caller, enrolment(RED)).await.unwrap().to_string();
    let green = engine.enroll(&caller, enrolment(GREEN)).await.unwrap().to_string();
    assert_eq!(who(&engine, &caller, &[BLUE, DARK, GREEN, RED]).await, [Some(red), Some(green), None]);
    assert_eq!(engine.faces().await, (2, 1));
    assert_eq!(who(&engine, &caller, &[DARK]).await, []);
}

#[tokio::test]
async fn a_restart_forgets_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let first = engine(folder.path(), "one");
    let asking = caller(&first).await;
    let red = first.enroll(&asking, enrolment(RED)).await.unwrap().to_string();
    let stranger = first.publish(&asking, published(picture(80, &[BLUE]))).await.unwrap().remove(0).face_id;
    assert!(matches!(Store::lock(folder.path()), Err(EngineError::InUse { .. })));
    drop(first);
    let second = engine(folder.path(), "one");
    let asking = caller(&second).await;
    assert_eq!(who(&second, &asking, &[RED]).await, [Some(red)]);
    assert_eq!(second.publish(&asking, published(picture(80, &[BLUE]))).await.unwrap()[0].face_id, stranger);
}

#[tokio::test]
async fn another_model_takes_over_once_it_has_seen_every_photo() {
    let folder = tempfile::tempdir().unwrap();
    let first = engine(folder.path(), "one");
    let asking = caller(&first).await;
    let red = first.enroll(&asking, enrolment(RED)).await.unwrap().to_string();
    let green = first.enroll(&asking, enrolment(GREEN)).await.unwrap().to_string();
    first.publish(&asking, published(picture(80, &[BLUE]))).await.unwrap();
    assert_eq!(first.model_state(), ModelState { answering: "one".into(), ..ModelState::default() });
    drop(first);

    // Until it has, the model before answers, for the enrolment that comes meanwhile too.
    let second = engine(folder.path(), "two, blind to green");
    let asking = caller(&second).await;
    let progress =
        |done, photos, faceless| Some(Progress { model: "two, blind to green".into(), photos, done, faceless });
    assert_eq!(second.model_state().answering, "one");
    assert_eq!(second.model_state().preparing, progress(0, 2, 0));
    assert_eq!(who(&second, &asking, &[RED, GREEN]).await, [Some(red.clone()), Some(green.clone())]);
    let blue = second.enroll(&asking, enrolment(BLUE)).await.unwrap().to_string();
    assert_eq!(who(&second, &asking, &[BLUE]).await, [Some(blue.clone())]);
    takeover::run(second.clone(), CancellationToken::new()).await;
    let after = ModelState { answering: "two, blind to green".into(), preparing: None, faceless: 1 };
    assert_eq!(second.model_state(), after);
    assert_eq!(second.faces().await, (2, 0));
    assert_eq!(who(&second, &asking, &[RED, BLUE, GREEN]).await, [Some(red.clone()), Some(blue.clone())]);
    drop(second);

    // Once is enough, for photos without a face too; and it remembers.
    let third = engine(folder.path(), "two, blind to green");
    assert_eq!(third.model_state(), after);
    drop(third);

    // The first model's vectors are there to go back to, but for what was enrolled since.
    let fourth = engine(folder.path(), "one");
    let asking = caller(&fourth).await;
    assert_eq!(fourth.model_state().answering, "one");
    assert_eq!(fourth.faces().await, (3, 1));
    assert_eq!(who(&fourth, &asking, &[GREEN]).await, [Some(green)]);
}

#[tokio::test]
async fn a_preparation_cut_short_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let first = engine(folder.path(), "one");
    let asking = caller(&first).await;
    for _ in 0..5 {
        first.enroll(&asking, Enrolment { force: true, ..enrolment(RED) }).await.unwrap();
    }
    drop(first);
    // Told to stop before it began, it leaves everything as it was.
    let second = engine(folder.path(), "two");
    let stopped = CancellationToken::new();
    stopped.cancel();
    takeover::run(second.clone(), stopped).await;
    assert_eq!(second.model_state().answering, "one");
    drop(second);
    // As a kill after two of five photos would leave it.
    let database = Connection::open(folder.path().join("engine.db")).unwrap();
    database.execute("INSERT INTO embeddings SELECT face_id, 'two', vector FROM embeddings LIMIT 2", []).unwrap();
    let third = engine(folder.path(), "two");
    assert_eq!(third.model_state().preparing.unwrap().done, 2);
    takeover::run(third.clone(), CancellationToken::new()).await;
    assert_eq!(third.model_state(), ModelState { answering: "two".into(), ..ModelState::default() });
    assert_eq!(third.faces().await, (5, 0));
}

#[tokio::test]
async fn without_the_model_before_people_are_known_photo_by_photo() {
    let folder = tempfile::tempdir().unwrap();
    let first = engine(folder.path(), "one");
    let asking = caller(&first).await;
    let red = first.enroll(&asking, enrolment(RED)).await.unwrap().to_string();
    drop(first);
    let database = Connection::open(folder.path().join("engine.db")).unwrap();
    database.execute("UPDATE meta SET value = x'676f6e65' WHERE key = 'model'", []).unwrap();
    let second = engine(folder.path(), "two");
    let asking = caller(&second).await;
    assert_eq!((second.model_state().answering.as_str(), second.faces().await), ("two", (0, 0)));
    takeover::run(second.clone(), CancellationToken::new()).await;
    assert_eq!(who(&second, &asking, &[RED]).await, [Some(red)]);
    assert_eq!(second.model_state().preparing, None);
}

#[tokio::test]
async fn requests_go_on_while_another_model_takes_over() {
    let folder = tempfile::tempdir().unwrap();
    let first = engine(folder.path(), "one");
    let asking = caller(&first).await;
    let red = first.enroll(&asking, enrolment(RED)).await.unwrap().to_string();
    for _ in 0..20 {
        first.enroll(&asking, Enrolment { force: true, ..enrolment(GREEN) }).await.unwrap();
    }
    drop(first);
    let second = engine(folder.path(), "two");
    let asking = caller(&second).await;
    let preparing = tokio::spawn(takeover::run(second.clone(), CancellationToken::new()));
    let clients: Vec<_> = (0..4)
        .map(|n| {
            let (second, asking, red) = (second.clone(), asking.clone(), red.clone());
            tokio::spawn(async move {
                for _ in 0..20 {
                    assert_eq!(who(&second, &asking, &[RED]).await, [Some(red.clone())]);
                    if n == 0 {
                        let again = Enrolment { force: true, ..enrolment(BLUE) };
                        second.enroll(&asking, again).await.unwrap();
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    preparing.await.unwrap();
    assert_eq!(second.model_state(), ModelState { answering: "two".into(), ..ModelState::default() });
    assert_eq!(second.faces().await, (41, 0));
}

#[tokio::test]
async fn strangers_are_forgotten_in_time_and_all_that_was_seen_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path(), "one");
    let caller = caller(&engine).await;
    engine.publish(&caller, published(picture(80, &[BLUE]))).await.unwrap();
    let database = Connection::open(folder.path().join("engine.db")).unwrap();
    let long_ago = store::millis(Utc::now() - TimeDelta::days(31));
    database.execute("UPDATE faces SET last_seen = ?", [long_ago]).unwrap();
    engine.publish(&caller, published(picture(80, &[GREEN]))).await.unwrap();
    assert_eq!(engine.faces().await, (0, 2));
    let stop = CancellationToken::new();
    let retention = Retention { unknown_days: Some(30), detections_days: None };
    let keeping = tokio::spawn(housekeeping::run(engine.clone(), retention, stop.clone()));
    let count = |table: &str| {
        database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap()
    };
    for _ in 0..500 {
        if count("faces") == 1 && engine.faces().await == (0, 1) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(engine.faces().await, (0, 1));
    assert_eq!((count("faces"), count("embeddings"), count("detections"), count("photos")), (1, 1, 1, 1));
    let told = engine.accounts().audit(9).unwrap().into_iter().find(|line| line.operation == "eraseOutdated").unwrap();
    assert_eq!(told.subject.as_deref(), Some("1 sightings, 1 strangers"));

    // Another process erases; the gallery follows.
    let (from, to) = (Utc::now() - TimeDelta::days(1), Utc::now() + TimeDelta::days(1));
    let erased = erase(folder.path(), &Whom::Seen { from, to, detector: None }, false).unwrap();
    assert_eq!((erased.strangers, erased.sightings), (1, 1));
    for _ in 0..500 {
        if engine.faces().await == (0, 0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(engine.faces().await, (0, 0));
    stop.cancel();
    keeping.await.unwrap();
}

#[tokio::test]
async fn poor_and_doubtful_photos_are_turned_down_unless_forced() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path(), "one");
    let caller = caller(&engine).await;
    for (photo, forced) in
        [(picture(30, &[RED]), true), (picture(80, &[RED, GREEN]), true), (picture(80, &[DARK]), false)]
    {
        for force in [false, true] {
            let enrolment = Enrolment { picture: photo.clone(), force, ..enrolment(RED) };
            let enrolled = engine.enroll(&caller, enrolment).await;
            assert_eq!(enrolled.is_ok(), force && forced);
            assert!(matches!(enrolled, Ok(_) | Err(Refusal::TurnedDown(_))));
        }
    }
    assert_eq!(engine.faces().await, (2, 0));
}

#[tokio::test]
async fn a_photo_makes_a_second_person_only_when_forced() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path(), "one");
    let caller = caller(&engine).await;
    let red = engine.enroll(&caller, enrolment(RED)).await.unwrap();
    let green = engine.enroll(&caller, enrolment(GREEN)).await.unwrap();
    let of = |person| Enrolment { person, ..enrolment(RED) };
    for somebody_else in [None, Some(green)] {
        let refused = engine.enroll(&caller, of(somebody_else)).await;
        let Err(Refusal::TurnedDown(why)) = refused else { panic!("{refused:?}") };
        assert!(why.contains(&red.to_string()) && why.contains("forceEnrollment"), "{why}");
    }
    assert_eq!(engine.enroll(&caller, of(Some(red))).await.unwrap(), red);
    let second = engine.enroll(&caller, Enrolment { force: true, ..enrolment(RED) }).await.unwrap();
    assert!(second != red && second != green);
    assert_eq!(engine.faces().await, (4, 0));
}

#[tokio::test]
async fn a_reference_stands_for_one_photo() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path(), "one");
    let caller = caller(&engine).await;
    let under = |colour| Enrolment { photo_reference: Some("hr-42".into()), ..enrolment(colour) };
    let red = engine.enroll(&caller, under(RED)).await.unwrap();
    assert_eq!(engine.enroll(&caller, under(RED)).await.unwrap(), red);
    for another in [under(GREEN), Enrolment { person: Some(red), force: true, ..under(GREEN) }] {
        let refused = engine.enroll(&caller, another).await;
        let Err(Refusal::BadInput(why)) = refused else { panic!("{refused:?}") };
        assert!(why.starts_with("photoReferenceId: another photo"), "{why}");
    }
    assert_eq!(engine.faces().await, (1, 0));
}

#[tokio::test]
async fn a_clock_that_is_ahead_does_not_head_the_history() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path(), "one");
    let caller = caller(&engine).await;
    let seen =
        |ahead| FaceEdgeRecognizeWithOptions { detect_time_utc: Utc::now() + ahead, ..published(picture(80, &[BLUE])) };
    let before = store::millis(Utc::now());
    for ahead in [TimeDelta::days(400), TimeDelta::minutes(5), TimeDelta::seconds(20), TimeDelta::days(-400)] {
        engine.publish(&caller, seen(ahead)).await.unwrap();
    }
    let after = store::millis(Utc::now());
    let database = Connection::open(folder.path().join("engine.db")).unwrap();
    let mut times = database.prepare("SELECT time FROM detections ORDER BY rowid").unwrap();
    let times: Vec<i64> = times.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    assert!(times[..2].iter().all(|time| (before..=after).contains(time)), "{times:?} of {before}..={after}");
    assert!((before + 20_000..=after + 20_000).contains(&times[2]), "twenty seconds are believed");
    assert!(times[3] < before - 399 * 86_400_000, "so is what was seen long ago");
}

#[tokio::test]
async fn boxes_stay_within_the_picture() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path(), "wide");
    let caller = caller(&engine).await;
    let both = picture(80, &[BLUE, RED]);
    let published = engine.publish(&caller, published(both.clone())).await.unwrap();
    let listed = engine.list_faces(&caller, both).await.unwrap();
    let boxes = published.iter().map(|face| face.bounding_box).chain(listed.iter().map(|face| face.bounding_box));
    for found in boxes {
        assert!(found.x >= 0.0 && found.y >= 0.0 && found.width > 0.0 && found.height > 0.0, "{found:?}");
        assert!(found.x + found.width <= 80.0 && found.y + found.height <= 80.0, "{found:?}");
    }
}

#[tokio::test]
async fn the_first_administrator_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path(), "one");
    engine.accounts().put("admin", "Viewer", &"taken".into()).unwrap();
    let (name, _) = engine.accounts().first_administrator().unwrap().unwrap();
    assert_eq!(name, "admin-2");
    assert!(engine.accounts().first_administrator().unwrap().is_none());
    for (username, role, password) in
        [("x", "nothing", "p"), ("x", "Viewer", ""), ("", "Viewer", "p"), (" x", "Viewer", "p")]
    {
        assert!(engine.accounts().put(username, role, &password.into()).is_err());
    }
}

#[test]
fn a_database_of_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("engine.db");
    Connection::open(&file).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert!(matches!(Store::open(folder.path()), Err(EngineError::NotOurDatabase { .. })));
    std::fs::write(&file, "not a database at all, but long enough to look at").unwrap();
    assert!(matches!(Store::open(folder.path()), Err(EngineError::OpenDatabase { .. })));
}

#[test]
fn only_guids_in_their_usual_form_are_ids() {
    assert!(guid("2C9F9A4E-6d0c-4b57-b3f8-0b9a7f7f2e10").is_ok());
    for wrong in ["", "x", "2c9f9a4e6d0c4b57b3f80b9a7f7f2e10", "{2c9f9a4e-6d0c-4b57-b3f8-0b9a7f7f2e1}"] {
        assert!(matches!(guid(wrong), Err(Refusal::BadInput(_))), "{wrong}");
    }
}
