//! Answers of the engine that are larger than anybody needs: whoever they are about is known all the same, with her
//! tags, in little memory and in time, and what was not read of them is said.

#[path = "identities_client/fake.rs"]
#[allow(dead_code)]
mod fake;

use std::time::{Duration, Instant};

use doorward::config::{Call, DetectorName, IdentifyConfig};
use doorward::crop::Sighting;
use doorward::recognition::{Answer, IdentifyError, Known, Recognition, identify};
use doorward::track::VisitId;
use faces::detect::Rect;
use fake::{Fake, Reply};
use identities::{Client, ClientError, ClientOptions};
use uuid::Uuid;

const MIB: usize = 1 << 20;
/// The answer has no length: it ends with its connection.
const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";

fn client(fake: &Fake, timeout: Duration) -> Client {
    let options = ClientOptions { timeout, ..ClientOptions::new(fake.url().parse().unwrap(), "gate", "secret") };
    Client::new(&options).unwrap()
}

async fn ask(reply: impl Fn() -> Reply + Send + Sync + 'static, call: Call) -> Result<Recognition, IdentifyError> {
    let fake = Fake::start(move |_| reply()).await;
    let sighting = Sighting {
        id: Uuid::from_u128(1),
        visit: VisitId(Uuid::from_u128(2)),
        stay: None,
        detector: DetectorName::new("gate").unwrap(),
        time_zone: chrono_tz::Europe::Helsinki,
        seen_at: "2026-03-04T05:06:07Z".parse().unwrap(),
        arrived: Some(Instant::now()),
        shot: 1,
        quality: 0.75,
        expanded: b"expanded".to_vec().into(),
        face: Rect { x: 10.0, y: 20.0, width: 30.0, height: 40.0 },
        aligned: Some(b"aligned".to_vec().into()),
        embedding: None,
        liveness: None,
    };
    let config = IdentifyConfig { call, ..IdentifyConfig::default() };
    let client = client(&fake, Duration::from_secs(20));
    tokio::time::timeout(Duration::from_secs(60), identify(&client, &sighting, &config))
        .await
        .expect("it ends by itself")
}

/// An answer about somebody of whom one property has so many bytes, before her tags or after them.
fn bloated(call: Call, before: bool, property: &str, entry: &str, bytes: usize) -> Reply {
    let (open, tags, close) = match call {
        Call::PublishWithResponse => (r#"{"detectedFaces":[{"confidence":0.9,"person":{"#, "personTags", "}}]}"),
        _ => ("{", "tags", "}"),
    };
    let tags = format!(r#""{tags}":[{{"name":"banned"}}]"#);
    let id = r#""personId":"p","#;
    let (start, end) = match before {
        true => (format!(r#"{open}{id}"{property}":["#), format!("{entry}],{tags}{close}")),
        false => (format!(r#"{open}{id}{tags},"{property}":["#), format!("{entry}]{close}")),
    };
    Reply::Long(HEAD.to_owned() + &start, format!("{entry},"), bytes / (entry.len() + 1), end)
}

fn known(recognition: Recognition) -> Known {
    match recognition.answer {
        Answer::Known(known) => known,
        other => panic!("{other:?}"),
    }
}

fn tags(known: &Known) -> Vec<&str> {
    known.tags.iter().map(|tag| tag.name.as_str()).collect()
}

/// The most memory this process has ever used, in bytes.
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[tokio::test]
async fn whoever_has_five_megabytes_of_fields_is_known_with_her_tags() {
    let field =
        r#"{"entityFieldId":"6f5e4d3c","name":"Remark","stringValue":"She was \"here\" again, on \u00fc {}[]"}"#;
    for (call, property, entry) in [
        (Call::PublishWithResponse, "entityFields", field),
        (Call::PublishWithResponse, "aliases", r#"{"firstName":"Ann","lastName":"Lee"}"#),
        (Call::PublishWithResponse, "notes", r#"{"summary":"Again","body":"She was here."}"#),
        (Call::Lookup, "notes", r#"{"summary":"Again","body":"She was here."}"#),
        (Call::Recognize, "entityFields", field),
    ] {
        for before in [true, false] {
            let known = known(ask(move || bloated(call, before, property, entry, 5 * MIB), call).await.unwrap());
            assert_eq!((known.person.id.as_str(), tags(&known)), ("p", vec!["banned"]), "{call:?} {property}");
            let left_out = known.left_out.as_ref().unwrap_or_else(|| panic!("{call:?} {property}: it is said"));
            assert!(!left_out.tags && left_out.told.contains("too large"), "{left_out:?}");
            if (call, property) == (Call::PublishWithResponse, "entityFields") {
                assert!(left_out.told.ends_with(" fields"), "{left_out:?}");
                assert!((100..=1024).contains(&known.fields.len()), "{}", known.fields.len());
                assert!(known.fields.iter().all(|field| field.name == "Remark"));
            }
            if property == "aliases" {
                assert_eq!(known.person.name.as_deref(), Some("Ann Lee"));
            }
        }
    }
    let crowd = vec!["{}"; 2000].join(",");
    let crowd = move || Reply::json(200, &format!(r#"{{"detectedFaces":[{crowd}]}}"#));
    let answer = ask(crowd, Call::PublishWithResponse).await.unwrap().answer;
    assert!(matches!(answer, Answer::Unknown { .. }), "{answer:?}");
}

#[tokio::test]
async fn a_hundred_megabytes_are_cut_and_told_and_take_little_memory() {
    let field = r#"{"name":"Remark","stringValue":"She was here."}"#;
    let before = peak_memory();
    for call in [Call::PublishWithResponse, Call::Lookup] {
        let recognition = ask(move || bloated(call, true, "entityFields", field, 100 * MIB), call).await.unwrap();
        let reason = recognition.answer.reason().unwrap().to_owned();
        assert!(reason.contains("everything after the first 67"), "{reason}");
        assert!(recognition.answer.lacks_tags(), "nobody knows what she carries");
        let known = known(recognition);
        assert_eq!((known.person.id.as_str(), tags(&known).len()), ("p", 0));
    }
    let grown = peak_memory().saturating_sub(before);
    // The other tests of this file hold a few answers of megabytes meanwhile.
    assert!(grown < 64 * MIB, "{grown} bytes more memory");
}

/// Nobody is taken for a stranger because her id was not reached.
#[tokio::test]
async fn what_does_not_even_say_whom_it_is_about_is_turned_down() {
    for (start, piece) in [
        (r#"{"detectedFaces":[{"person":{"entityFields":["#, r#"{"name":"Remark"},"#),
        (r#"{"detectedFaces":[{"person":{"personId":"p"}},{"confidence":0.5,"notes":["#, r#""Again","#),
        (r#"{"notes":[""#, "again "),
        (r#"{"detectedFaces":[{"person":{"personId":""#, "p"),
        ("", " "),
    ] {
        let reply = move || Reply::Long(HEAD.to_owned() + start, piece.into(), 100 * MIB / piece.len(), String::new());
        let error = ask(reply, Call::PublishWithResponse).await.unwrap_err();
        assert!(!error.again && matches!(error.source, ClientError::TooLarge { .. }), "{start}: {error:?}");
    }
}

#[tokio::test]
async fn an_endless_answer_ends_in_time_and_one_that_breaks_off_is_asked_for_again() {
    // So large that asking again would bring no more, and then so slow that its end never comes.
    let start = r#"{"detectedFaces":[{"person":{"personId":"p","personTags":[{"name":"VIP"}],"entityFields":["#;
    let field = r#"{"name":"Remark","stringValue":"She was here."},"#;
    for (bytes, is_answer) in [(3 * MIB, true), (MIB, false)] {
        let body = format!("{HEAD}{start}{}", field.repeat(bytes / field.len()));
        let fake = Fake::start(move |_| Reply::Drip(body.clone().into_bytes())).await;
        let client = client(&fake, Duration::from_millis(1500));
        let started = Instant::now();
        let request = identities::wire::FaceEdgeRecognizeWithOptions::default();
        let result = client.publish_with_response(&request).await;
        assert!(started.elapsed() < Duration::from_secs(10));
        match result {
            Ok(answer) => {
                let left_out = answer.left_out.unwrap();
                assert!(is_answer && left_out.tags && left_out.told.contains("when the time was over"), "{left_out:?}");
                let person = answer.answer.detected_faces[0].person.as_ref().unwrap();
                assert_eq!(person.person_tags.as_ref().unwrap()[0].name(), Some("VIP"));
            }
            Err(error) => assert!(!is_answer && matches!(error, ClientError::TimedOut { .. }), "{error}"),
        }
    }
    // However much came before.
    for bytes in [MIB, 5 * MIB] {
        let body = format!("{start}{}", field.repeat(bytes / field.len()));
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len() + 100);
        let cut = move || Reply::Raw(format!("{head}{body}").into_bytes());
        let error = ask(cut, Call::PublishWithResponse).await.unwrap_err();
        assert!(error.again && matches!(error.source, ClientError::Cut { .. }), "{error:?}");
        let body = format!("{HEAD}{start}{}", field.repeat(bytes / field.len()));
        let error = ask(move || Reply::Raw(body.clone().into_bytes()), Call::PublishWithResponse).await.unwrap_err();
        assert!(error.again && matches!(error.source, ClientError::Broken { .. }), "{error:?}");
    }
}
