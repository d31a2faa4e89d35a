//! Who comes nearest to a face that matches nobody: to whom it is told, and of whom.

use identities::wire::{NearestPerson, PersonAlias};

use super::*;
use crate::store::{erase, people};

/// A user whose role may do these.
fn caller_who_may(engine: &Engine, permissions: &[&str]) -> auth::Caller {
    let (accounts, inner) = (engine.accounts(), &engine.inner);
    let permissions: Vec<_> = permissions.iter().map(|permission| permission.to_string()).collect();
    accounts.put_role("some", &permissions).unwrap();
    accounts.put("somebody", "some", &"password".into()).unwrap();
    let (_, token) = inner.auth.log_in(&inner.store, [127, 0, 0, 1].into(), "somebody", &"password".into()).unwrap();
    inner.auth.caller(&inner.store, &token).unwrap()
}

fn asked(include_person: bool, include_names: bool) -> FaceEdgeRecognizeWithOptions {
    FaceEdgeRecognizeWithOptions { include_person, include_names, ..published(picture(80, &[GREEN])) }
}

/// An engine that knows the red one, whose name is Ann Lee.
async fn engine_of_ann(folder: &Path, model: &str) -> (Engine, auth::Caller, Uuid) {
    let engine = engine(folder, model);
    let root = caller(&engine).await;
    let ann = engine.enroll(&root, enrolment(RED)).await.unwrap();
    let (first_name, last_name) = (Some("Ann".into()), Some("Lee".into()));
    let alias = PersonAlias { first_name, last_name, ..PersonAlias::default() };
    engine.inner.store.write("name", |tx| people::put_alias(tx, ann, alias).map(drop)).unwrap();
    (engine, root, ann)
}

#[tokio::test]
async fn it_is_told_to_who_may_read_of_people_and_the_name_to_who_may_read_names() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, _, ann) = engine_of_ann(folder.path(), "one").await;
    for (held, told, named) in [
        ("Face Enrollment", false, false),
        ("Face Detection", false, false),
        ("Read Detections", false, false),
        ("Read Notes", false, false),
        ("Tags/Read Tags", false, false),
        ("Identities/Read Tags", true, false),
        ("Mutate Entity Fields", true, false),
        ("Read Addresses", true, false),
        ("Read Aliases", true, true),
        ("Read All Identity", true, true),
        ("Mutate All Identity", true, true),
    ] {
        let caller = caller_who_may(&engine, &[held, "Face Publishing", "Face Recognize"]);
        let name = named.then(|| "Ann Lee".to_owned());
        let expected = told.then_some((ann.to_string(), name));
        let seen = |nearest: Option<NearestPerson>| nearest.map(|nearest| (nearest.person_id, nearest.name));

        let face = engine.publish(&caller, asked(true, true)).await.unwrap().remove(0);
        assert!(face.person.is_none() && face.match_confidence.is_none());
        assert_eq!(seen(face.nearest), expected, "{held:?}: publish");
        let listed = engine.list_faces(&caller, picture(80, &[GREEN])).await.unwrap().remove(0);
        assert_eq!(seen(listed.nearest), expected, "{held:?}: list");
        let Err(Refusal::NobodyMatches(nearest)) = engine.look_up(&caller, picture(80, &[GREEN]), None).await else {
            panic!("{held:?}: nobody matches")
        };
        assert_eq!(seen(nearest.map(|nearest| *nearest)), expected, "{held:?}: look up");
    }
}

#[tokio::test]
async fn it_is_told_where_it_is_asked_for_and_of_strangers_only() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, root, ann) = engine_of_ann(folder.path(), "one").await;
    for (person, names) in [(false, false), (false, true), (true, false), (true, true)] {
        let nearest = engine.publish(&root, asked(person, names)).await.unwrap().remove(0).nearest;
        assert_eq!(nearest.as_ref().map(|nearest| nearest.name.is_some()), person.then_some(names));
    }
    let both = engine.publish(&root, published(picture(80, &[RED, BLUE]))).await.unwrap();
    let told: Vec<_> = both.iter().map(|face| (face.person.is_some(), face.nearest.is_some())).collect();
    assert_eq!(told, [(true, false), (false, true)]);
    assert!(engine.list_faces(&root, picture(80, &[RED])).await.unwrap()[0].nearest.is_none());

    // Of whom nothing is left nothing is told, by a gallery that still has her either.
    let plan = |tx: &_| erase::plan(tx, &Whom::Person(ann), &|_, _, _| false);
    engine.inner.store.write("erase", |tx| erase::carry_out(tx, &plan(tx)?)).unwrap();
    assert!(engine.publish(&root, asked(true, true)).await.unwrap()[0].nearest.is_none());
    assert!(engine.publish(&root, published(picture(80, &[RED]))).await.unwrap()[0].nearest.is_none());
}

#[tokio::test]
async fn the_score_is_in_the_models_own_numbers() {
    for (model, is_distance) in [("one", false), ("distance", true)] {
        let folder = tempfile::tempdir().unwrap();
        let (engine, root, ann) = engine_of_ann(folder.path(), model).await;
        // Redder than green is.
        let nobody = engine.enroll(&root, enrolment(GREEN)).await.unwrap();
        let violet = picture(80, &[[200, 60, 230]]);
        let face = engine.publish(&root, published(violet)).await.unwrap().remove(0);
        let nearest = face.nearest.unwrap();
        assert!(nearest.person_id == ann.to_string() && ann != nobody, "{nearest:?}");
        assert_eq!(nearest.score > nearest.threshold, is_distance, "{nearest:?}");
    }
}
