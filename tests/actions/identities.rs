//! The `identities` action against the embedded engine, over a socket, also with something before it that loses
//! answers.

use std::collections::HashSet;

use ::identities::ClientOptions;
use ::identities::wire::{EntityField, IdentityPersonItem};
use axum::extract::Request;
use axum::response::IntoResponse;

use super::support::{Engine, USER, recording};
use super::*;

/// An engine with one person, and a client of it.
struct Desk {
    engine: Engine,
    person: String,
    client: Client,
}

impl Desk {
    async fn new() -> Self {
        let engine = tokio::task::spawn_blocking(Engine::start).await.unwrap();
        let (engine, person) = tokio::task::spawn_blocking(move || {
            let person = engine.enroll(&recording::known_person(), "Eileen", &["Expected"]);
            (engine, person)
        })
        .await
        .unwrap();
        let client = client(&engine, &engine.url);
        Self { engine, person, client }
    }

    async fn write(&self, client: &Client, toml: &str, key: &str) -> Outcome {
        let actions = actions_with(&format!("[action.a]\ntype = 'identities'\n{toml}"), Some(client)).unwrap();
        let mut request = ActionRequest { key: key.into(), ..request("Eileen") };
        request.inputs["person"]["id"] = json!(self.person);
        actions.perform(request).await
    }

    async fn record(&self) -> IdentityPersonItem {
        self.client.person(&self.person).await.unwrap()
    }
}

fn client(engine: &Engine, url: &str) -> Client {
    let password = std::fs::read_to_string(&engine.password_file).unwrap();
    let mut config = ClientOptions::new(url.parse().unwrap(), USER, password);
    config.timeout = std::time::Duration::from_secs(5);
    Client::new(&config).unwrap()
}

/// Passes everything on, and says 503 to the first PUT, POST or DELETE of each address after it was done.
async fn forgetful(engine: &str) -> String {
    let (engine, lost) = (engine.to_owned(), Arc::new(Mutex::new(HashSet::new())));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let app = Router::new().fallback(move |request: Request| {
        let (engine, lost, http) = (engine.clone(), lost.clone(), http.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let mut headers = parts.headers.clone();
            headers.remove("host");
            let call = http.request(parts.method.clone(), format!("{engine}{}", parts.uri)).headers(headers).body(body);
            let answer = call.send().await.unwrap();
            let changes = parts.method != Method::GET && !parts.uri.path().ends_with("/authenticate");
            if changes && lost.lock().unwrap().insert(format!("{} {}", parts.method, parts.uri.path())) {
                return status(503).into_response();
            }
            let (code, headers) = (answer.status(), answer.headers().clone());
            (code, headers, answer.bytes().await.unwrap()).into_response()
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

#[tokio::test]
async fn tags_notes_and_fields_are_written_back() {
    let desk = Desk::new().await;
    let number = EntityField { name: "Visits".into(), number_value: Some(1.0), ..EntityField::default() };
    desk.client.put_entity_field(&desk.person, &number).await.unwrap();
    let toml = "add_tag = 'Seen at {{ detector }}'\ntag_for_secs = 3600\nremove_tag = 'Expected'\n\
                note = 'Came by rule {{ rule }}.'\n\
                set_fields = { Visits = '{{ shot + 1 }}', 'Last door' = '{{ detector }}' }";
    let outcome = desk.write(&desk.client, toml, "KEY-1").await;
    assert_eq!(outcome.result, ActionResult::Done, "{:?}", outcome.said);
    assert!(outcome.said.as_ref().unwrap().starts_with("tag taken away, tag given until 2"), "{:?}", outcome.said);

    let record = desk.record().await;
    let tags: Vec<_> = record.tags.iter().map(|tag| tag.name().unwrap().to_owned()).collect();
    assert_eq!(tags, ["Seen at Front door"]);
    let left = record.tags[0].expires.unwrap() - chrono::Utc::now();
    assert!((3000..=3600).contains(&left.num_seconds()), "{left}");
    assert_eq!(record.notes.len(), 1);
    assert_eq!(record.notes[0].body.as_deref(), Some("Came by rule greet."));
    let field = |name: &str| record.entity_fields.iter().find(|field| field.name == name).unwrap();
    assert_eq!((field("Visits").number_value, field("Visits").string_value.as_deref()), (Some(2.0), None));
    assert_eq!(field("Last door").string_value.as_deref(), Some("Front door"));

    // Another visit moves the tag's end and adds a note; what renders to nothing is not done.
    let again =
        "add_tag = 'Seen at {{ detector }}'\ntag_for_secs = 7200\nremove_tag = 'Expected'\nnote = '{{ reason }}'";
    let outcome = desk.write(&desk.client, again, "KEY-2").await;
    assert!(outcome.said.unwrap().starts_with("there was no such tag to take away, tag given until"));
    let record = desk.record().await;
    assert_eq!((record.tags.len(), record.notes.len()), (1, 1));
    assert!((record.tags[0].expires.unwrap() - chrono::Utc::now()).num_seconds() > 3600);
}

/// The engine has done it, and its answer is lost: what is tried again is the same thing.
#[tokio::test]
async fn a_lost_answer_changes_nothing() {
    let desk = Desk::new().await;
    let url = forgetful(&desk.engine.url).await;
    let client = client(&desk.engine, &url);
    let toml =
        "add_tag = 'Night shift'\nremove_tag = 'Expected'\nnote = 'Came.'\nset_fields = { Door = 'front' }\ntries = 10";
    let outcome = desk.write(&client, toml, "KEY").await;
    assert_eq!(outcome.result, ActionResult::Done, "{outcome:?}");
    let record = desk.record().await;
    assert_eq!((record.tags.len(), record.notes.len(), record.entity_fields.len()), (1, 1, 1));
    assert_eq!(record.tags[0].name(), Some("Night shift"));
}

#[tokio::test]
async fn what_cannot_be_written_is_told() {
    let mut desk = Desk::new().await;
    let number = EntityField { name: "Visits".into(), number_value: Some(1.0), ..EntityField::default() };
    desk.client.put_entity_field(&desk.person, &number).await.unwrap();
    let outcome = desk.write(&desk.client, "set_fields = { Visits = 'many' }", "KEY").await;
    assert_eq!(reason(&outcome), "the field `Visits` holds a number, and its new value is none");

    let toml = "[action.a]\ntype = 'identities'\nnote = 'x'";
    let mut unknown = request("");
    unknown.inputs["person"] = Value::Null;
    let actions = actions_with(toml, Some(&desk.client)).unwrap();
    assert!(reason(&actions.perform(unknown).await).starts_with("nobody was recognised"));
    let mut nobody = request("");
    nobody.inputs["person"]["id"] = json!(Uuid::nil());
    assert!(reason(&actions.perform(nobody).await).contains("404"), "no such person");
    let outcome = super::actions(toml).unwrap().perform(request("Ann")).await;
    assert_eq!(reason(&outcome), "no engine is configured: add `[identities]`");

    desk.engine.stop();
    let outcome = desk.write(&desk.client, "note = 'x'\ntries = 2", "KEY").await;
    assert!(reason(&outcome).ends_with("(after 2 tries)"), "{outcome:?}");
}
