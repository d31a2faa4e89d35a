//! Every operation once: what the client sends for it, and what the real engine says to that.
//!
//! The table of operations is compared with the contract and with the engine's routes where the engine is tested; here
//! each row must have a call.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::pin::Pin;

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use identities::wire::*;
use identities::{ClientError, DocumentUpload, Looked, LookupForm, OPERATIONS};

use super::support::{Engine, USER, recording};
use super::*;

/// What the calls are about.
struct World {
    client: Client,
    photo: Vec<u8>,
    /// The largest face of the photo, aligned, as a box would send it.
    chip: Vec<u8>,
    document: PathBuf,
    person: String,
    enrolled: String,
    face: String,
    detection: String,
    tag: String,
}

/// A part that the caller gives an id of its own.
const PART: &str = "00000000-0000-4000-8000-000000000001";

type Outcome<'a> = Pin<Box<dyn Future<Output = Result<bool, ClientError>> + 'a>>;
/// An operation's id, and a call of it that tells whether the answer is the right one.
type Step = (&'static str, for<'a> fn(&'a World) -> Outcome<'a>);

macro_rules! steps {
    ($($id:ident |$w:ident| $call:expr;)*) => {
        vec![$((stringify!($id), |$w| Box::pin(async move { $call }))),*]
    };
}

/// In an order in which each finds what it needs.
fn steps() -> Vec<Step> {
    steps! {
        authenticate |w| w.client.authenticate().await.map(|()| w.client.token_left().is_some());
        renewToken |w| w.client.renew_token().await.map(|()| w.client.token_left().is_some());
        getUserProfile |w| Ok(w.client.user_profile().await?.role_names() == ["Administrator"]);

        faceEdgePublishWithResponse |w| {
            let faces = w.client.publish_with_response(&shot(w, 1)).await?.answer.detected_faces;
            Ok(faces.len() == 1 && faces[0].person.as_ref().is_some_and(|person| person.person_id == w.person))
        };
        faceEdgePublish |w| w.client.publish(&FaceEdgePublishRequest {
            expanded: w.photo.clone().into(), detector_name: "gate".into(), iana_time_zone: "UTC".into(),
            detect_time_utc: seen_at(2), cropped_aligned: None, embeddings: None, recognition_model: None,
        }).await.map(|()| true);
        faceEdgeRecognize |w| {
            let found = w.client.recognize(&FaceEdgeRecognizeRequest {
                cropped_aligned: w.chip.clone().into(), detector_name: "gate".into(), iana_time_zone: "UTC".into(),
                detect_time_utc: seen_at(2), embeddings: None, recognition_model: None,
            }).await?;
            Ok(matches!(found, Looked::Somebody(found) if found.answer.person_id == w.person))
        };
        faceEdgeLookup |w| {
            let form = LookupForm { cropped_aligned: w.chip.clone().into(), embedding: None };
            let found = w.client.lookup(&form).await?;
            Ok(matches!(found, Looked::Somebody(found) if found.answer.person_id == w.person))
        };

        faceEnroll |w| {
            let query = FaceEnrollQuery { person_id: Some(w.person.clone()), force_enrollment: true };
            let request = FaceEnrollRequest { face_image: w.photo.clone().into(), photo_reference_id: None };
            Ok(w.client.face_enroll(&query, &request).await?.person_id == w.person)
        };
        faceDetect |w| {
            let faces = w.client.face_detect(w.photo.clone().into()).await?.detections;
            Ok(faces.len() == 1 && faces[0].person_id.as_ref() == Some(&w.person))
        };
        faceCompare |w| Ok(w.client.face_compare(w.photo.clone().into(), w.photo.clone().into()).await?.matched);
        checkImageReference |w| {
            let known = w.client.check_image_reference("of the/walk?").await?;
            Ok(known.exists && known.face_id.as_ref() == Some(&w.enrolled))
        };

        upsertPersonAlias |w| {
            let alias = PersonAlias {
                person_alias_id: Some(PART.into()), first_name: Some("Mara".into()), ..PersonAlias::default()
            };
            Ok(w.client.put_alias(&w.person, &alias).await? == Some(alias))
        };
        listPersonAliases |w| Ok(w.client.aliases(&w.person).await?[0].first_name.as_deref() == Some("Mara"));
        deletePersonAlias |w| w.client.delete_alias(&w.person, PART).await;
        upsertPersonTag |w| {
            let expires = Some("2099-01-01T00:00:00Z".parse().unwrap());
            let tag = PersonTagUpsert { person_tag_id: Some(PART.into()), tag_id: w.tag.clone(), expires };
            Ok(w.client.put_person_tag(&w.person, &tag).await?.is_some_and(|stored| stored.expires == expires))
        };
        listPersonTags |w| {
            let tags = w.client.person_tags(&w.person, Some("Night shift")).await?;
            Ok(tags.len() == 1 && tags[0].name() == Some("Night shift"))
        };
        searchPeople |w| {
            let found = w.client.people_with_tag(&w.tag).await?;
            Ok(found.len() == 1 && found[0].person_id == w.person)
        };
        deletePersonTag |w| w.client.delete_person_tag(&w.person, PART).await;
        upsertPersonNote |w| {
            let body = Some("Day shift".to_owned());
            let note = PersonNote { note_id: Some(PART.into()), body, ..PersonNote::default() };
            Ok(w.client.put_note(&w.person, &note).await?.is_some_and(|stored| stored.author.as_deref() == Some(USER)))
        };
        listPersonNotes |w| Ok(w.client.notes(&w.person).await?[0].body.as_deref() == Some("Day shift"));
        deletePersonNote |w| w.client.delete_note(&w.person, PART).await;
        upsertPersonAddress |w| {
            let address = PersonAddress {
                person_address_id: Some(PART.into()), city: Some("Turku".into()), ..PersonAddress::default()
            };
            Ok(w.client.put_address(&w.person, &address).await? == Some(address))
        };
        upsertPersonEntityField |w| {
            let field = EntityField {
                entity_field_id: Some(PART.into()), name: "Badge no.".into(), string_value: Some("C/11 87".into()),
                ..EntityField::default()
            };
            Ok(w.client.put_entity_field(&w.person, &field).await? == Some(field))
        };
        listPersonEntityFields |w| {
            let fields = w.client.entity_fields(&w.person, Some("Badge no.")).await?;
            Ok(fields.len() == 1 && fields[0].string_value.as_deref() == Some("C/11 87"))
        };
        findPeopleByEntityField |w| {
            let by_path = w.client.find_people_by_field("Badge no.", "C/11 87").await?;
            let by_query = w.client.people_with_field("Badge no.", Some("C/11 87")).await?;
            let with_any = w.client.people_with_field("Badge no.", None).await?;
            Ok(by_path.len() == 1 && by_path == by_query && by_query == with_any)
        };
        deletePersonEntityField |w| w.client.delete_entity_field(&w.person, PART).await;
        getPerson |w| {
            let person = w.client.person(&w.person).await?;
            Ok(person.person_id == w.person && person.addresses[0].city.as_deref() == Some("Turku"))
        };

        getEnrollmentPhoto |w| {
            let mut photo = Vec::new();
            let bytes = w.client.enrollment_photo(&w.enrolled, &mut photo).await?;
            Ok(bytes == photo.len() as u64 && photo.starts_with(b"\xff\xd8\xff"))
        };
        getDetectionPhoto |w| {
            let mut photo = Vec::new();
            w.client.detection_photo(&w.face, &w.detection, &mut photo).await?;
            Ok(photo.starts_with(b"\xff\xd8\xff"))
        };
        uploadFileDocument |w| w.client.upload_document(&DocumentUpload {
            file: std::fs::File::open(&w.document).unwrap().into(), file_name: "contract.txt".into(),
            person_id: w.person.clone(), name: "Contract".into(), description: None,
            public_id: Some("contract 2026/17".into()), media_type: Some("text/plain".into()),
        }).await.map(|()| true);
        downloadFileDocument |w| {
            let mut document = Vec::new();
            w.client.download_document(&w.person, "contract 2026/17", &mut document).await?;
            Ok(document == std::fs::read(&w.document).unwrap())
        };

        createTag |w| {
            let default_expire_period = TimeSpan::parse("90.00:00:00").unwrap();
            let tag = TagWrite { default_expire_period, ..TagWrite::named("Guest") };
            let made = w.client.create_tag(&tag).await?;
            Ok(made.is_some_and(|made| made.default_expire_period == default_expire_period))
        };
        listTags |w| Ok(w.client.tags(None).await?.len() == 2 && w.client.tags(Some("Guest")).await?.len() == 1);
        updateTag |w| {
            let tag = TagWrite { disabled: true, ..TagWrite::named("Late shift") };
            Ok(w.client.update_tag(&w.tag, &tag).await?.is_some_and(|tag| tag.disabled))
        };
        getTag |w| Ok(w.client.tag(&w.tag).await?.tag_name == "Late shift");
        deleteTag |w| Ok(w.client.delete_tag(&w.tag).await? && !w.client.delete_tag(&w.tag).await?);

        listDetectionsByFace |w| {
            let all: Vec<_> = w.client.face_detections(&w.face, DetectionsQuery::default()).try_collect().await?;
            Ok(all.iter().any(|one| one.detector == "gate" && one.image.is_some()))
        };
        listDetectionsByPerson |w| {
            let query = DetectionsQuery { take: 1, date_ascending: false, ..DetectionsQuery::default() };
            let all: Vec<_> = w.client.person_detections(&w.person, query).try_collect().await?;
            Ok(all.len() == 3 && all.is_sorted_by(|a, b| a.date_time_utc >= b.date_time_utc))
        };

        configureStringField |w| {
            let setting = FieldSetting { name: Some("Badge".into()), ..FieldSetting::default() };
            w.client.configure_string_field("Person", "badge", &setting).await.map(|()| true)
        };
        configureDatetimeField |w| {
            let setting = FieldSetting { disabled: Some(false), ..FieldSetting::default() };
            w.client.configure_datetime_field("Person", "valid until", &setting).await.map(|()| true)
        };
    }
}

fn seen_at(minutes: i64) -> DateTime<Utc> {
    "2026-03-04T05:06:07Z".parse::<DateTime<Utc>>().unwrap() + chrono::TimeDelta::minutes(minutes)
}

fn shot(w: &World, minutes: i64) -> FaceEdgeRecognizeWithOptions {
    FaceEdgeRecognizeWithOptions {
        expanded: w.photo.clone().into(),
        detector_name: "gate".into(),
        iana_time_zone: "Europe/Helsinki".into(),
        detect_time_utc: seen_at(minutes),
        largest_face_only: true,
        allow_double_detection: true,
        include_person: true,
        include_names: true,
        include_addresses: true,
        include_tags: true,
        include_fields: true,
        cropped_aligned: None,
        embeddings: None,
        recognition_model: None,
    }
}

#[test]
fn every_operation_is_called() {
    let called: Vec<_> = steps().into_iter().map(|(id, _)| id).collect();
    let each: BTreeSet<_> = called.iter().copied().collect();
    assert_eq!(each.len(), called.len(), "an operation is called twice");
    assert_eq!(each, OPERATIONS.iter().map(|operation| operation.id).collect());
}

/// Against an engine that knows nothing: only what is sent counts.
#[tokio::test]
async fn each_call_goes_to_its_own_address_with_its_own_method() {
    let dir = tempfile::tempdir().unwrap();
    for prefix in ["", "/identities"] {
        for (id, call) in steps() {
            let fake = Fake::start(|_| Reply::with(404, "", "")).await;
            let world = World {
                client: Client::new(&config(&format!("{}{prefix}/", fake.url()))).unwrap(),
                photo: b"photo".to_vec(),
                chip: b"chip".to_vec(),
                document: a_document(dir.path()),
                person: "p 1".into(),
                enrolled: "f/1".into(),
                face: "f/1".into(),
                detection: "d?1".into(),
                tag: "t#1".into(),
            };
            // Whatever it makes of the 404.
            let _ = call(&world).await;
            let operation = OPERATIONS.iter().find(|operation| operation.id == id).unwrap();
            // The login, and the call itself; some call twice.
            let sent = &fake.seen()[if id == "authenticate" { 0 } else { 1 }];
            let (method, address) = sent.line().split_once(' ').unwrap();
            assert_eq!(method, operation.method.as_str(), "{id}");
            let path = address.split('?').next().unwrap().strip_prefix(prefix).unwrap();
            assert!(fits(path, operation.path), "{id}: {path}");
            let token = sent.header("authorization");
            assert_eq!(token, if id == "authenticate" { None } else { Some("Bearer token-1") }, "{id}");
        }
    }
}

/// Whether a path is one of this template; segments of the caller's are percent-encoded.
fn fits(path: &str, template: &str) -> bool {
    let (path, template): (Vec<_>, Vec<_>) = (path.split('/').collect(), template.split('/').collect());
    let same = |(given, wanted): (&&str, &&str)| match wanted.starts_with('{') {
        true => !given.is_empty() && !given.contains([' ', '?', '#']),
        false => given == wanted,
    };
    path.len() == template.len() && path.iter().zip(&template).all(same)
}

#[tokio::test]
async fn the_real_engine_serves_every_call() {
    let (engine, dir) = (Engine::start(), tempfile::tempdir().unwrap());
    let password = std::fs::read_to_string(&engine.password_file).unwrap();
    let url = format!("{}/identities", engine.url);
    let client = Client::new(&ClientOptions::new(url.parse().unwrap(), USER, password)).unwrap();

    let photo = std::fs::read(recording::known_person()).unwrap();
    let query = FaceEnrollQuery::default();
    let request =
        FaceEnrollRequest { face_image: photo.clone().into(), photo_reference_id: Some("of the/walk?".into()) };
    let person = client.face_enroll(&query, &request).await.unwrap().person_id;
    let enrolled = client.check_image_reference("of the/walk?").await.unwrap().face_id.unwrap();
    let mut world = World {
        chip: chip(&photo),
        photo,
        document: a_document(dir.path()),
        person,
        enrolled,
        face: String::new(),
        detection: String::new(),
        tag: client.ensure_tag(&TagWrite::named("Night shift")).await.unwrap(),
        client,
    };
    let seen = world.client.publish_with_response(&shot(&world, 0)).await.unwrap().answer.detected_faces.remove(0);
    (world.face, world.detection) = (seen.face_id, seen.detect_id);

    for (id, call) in steps() {
        match call(&world).await {
            Ok(right) => assert!(right, "{id}: not the right answer"),
            Err(error) => panic!("{id}: {error}"),
        }
    }
}

/// A larger file than one piece of it.
fn a_document(dir: &std::path::Path) -> PathBuf {
    let file = dir.join("contract \"ä\".txt");
    std::fs::write(&file, "Day shift only.\n".repeat(20_000)).unwrap();
    file
}

/// The aligned face of a photo.
fn chip(photo: &[u8]) -> Vec<u8> {
    let store = faces::models::ModelStore::locate(None);
    let picture = faces::picture::Picture::decode(photo, faces::picture::MAX_PIXELS).unwrap();
    let mut detector = faces::detect::load(&store, &faces::detect::SearchOptions::default(), 2).unwrap();
    let face = detector.detect(&picture).unwrap().remove(0);
    faces::align::chip(&picture, &face.landmarks).unwrap().jpeg(95).unwrap()
}
