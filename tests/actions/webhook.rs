//! The `webhook` action against an HTTP receiver with faults.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

#[tokio::test]
async fn a_webhook_without_a_body_sends_the_event() {
    let (receiver, address) = Receiver::start(vec![]).await;
    let actions = actions(&format!("[action.a]\ntype = 'webhook'\nurl = 'http://{address}/hook'")).unwrap();
    let outcome = actions.perform(request("Ann")).await;
    assert_eq!(outcome.result, ActionResult::Done);
    assert_eq!((outcome.action.as_str(), outcome.key.as_str(), outcome.said.as_deref()), ("a", "KEY", Some("fine")));
    let got = receiver.got().remove(0);
    assert_eq!((got.method, got.uri.path()), (Method::POST, "/hook"));
    assert_eq!(got.headers["content-type"], "application/json");
    assert_eq!(got.headers["idempotency-key"], "KEY");
    assert_eq!(serde_json::from_slice::<Value>(&got.body).unwrap(), request("Ann").inputs);
}

#[tokio::test]
async fn a_webhook_is_made_from_templates() {
    let (receiver, address) = Receiver::start(vec![]).await;
    let toml = format!(
        r#"[action.a]
        type = "webhook"
        method = "put"
        url = "http://{address}/people/{{{{ person.name }}}}?door={{{{ detector }}}}"
        headers = {{ Authorization = "Bearer s3cret", X-Rule = "{{{{ rule }}}} {{{{ person.name }}}}", Content-Type = "application/vnd.x+json" }}
        body = '{{"text": "Hello {{{{ person.name }}}}", "sure": {{{{ confidence }}}}}}'
        "#
    );
    let name = "Zoë / \"Z\" &?#%";
    assert_eq!(actions(&toml).unwrap().perform(request(name)).await.result, ActionResult::Done);
    let got = receiver.got().remove(0);
    assert_eq!(got.method, Method::PUT);
    assert_eq!(got.uri.to_string(), "/people/Zo%C3%AB%20%2F%20%22Z%22%20%26%3F%23%25?door=Front%20door");
    assert_eq!(got.headers["authorization"], "Bearer s3cret");
    assert_eq!(got.headers["x-rule"].as_bytes(), format!("greet {name}").as_bytes());
    assert_eq!(got.headers["content-type"], "application/vnd.x+json");
    assert_eq!(
        serde_json::from_slice::<Value>(&got.body).unwrap(),
        json!({"text": format!("Hello {name}"), "sure": 0.9})
    );
}

#[tokio::test]
async fn a_signed_webhook_is_signed_as_it_is_sent() {
    for (more, method) in [("", "POST"), ("picture = true", "POST"), ("", "GET")] {
        let (receiver, address) = Receiver::start(vec![status(503)]).await;
        let toml = format!(
            "[action.a]\ntype = 'webhook'\nmethod = '{method}'\nurl = 'http://{address}/'\n\
             signing_key = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'\n{more}"
        );
        let request = ActionRequest { picture: Some(Bytes::from_static(b"\xff\xd8JPEG\xff\xd9")), ..request("Zoë") };
        assert_eq!(actions(&toml).unwrap().perform(request).await.result, ActionResult::Done);
        let got = receiver.got();
        assert_eq!(got.len(), 2);
        for got in got {
            assert_eq!((&got.headers["webhook-id"], got.body.is_empty()), (&"KEY".parse().unwrap(), method == "GET"));
            let time = got.headers["webhook-timestamp"].to_str().unwrap();
            let age = chrono::Utc::now().timestamp() - time.parse::<i64>().unwrap();
            assert!((0..300).contains(&age), "a receiver would turn it down");
            let signature = got.headers["webhook-signature"].to_str().unwrap();
            assert_eq!(verified_by_python(time, signature, &got.body), Ok(()), "{method} {more}");
            assert!(verified_by_python(time, signature, b"another body").is_err());
        }
    }
    let error =
        actions("[action.a]\ntype = 'webhook'\nurl = 'http://h/'\nsigning_key = 'whsec_s3cret!'").err().unwrap();
    assert_eq!(error, "action `a`: `signing_key` is wrong: what follows `whsec_` is not Base64");
}

/// With the specification's own Python library, which also minds the time.
fn verified_by_python(time: &str, signature: &str, body: &[u8]) -> Result<(), String> {
    let mut python = std::process::Command::new(python())
        .args(["tests/actions/verify.py", time, signature])
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut python.stdin.take().unwrap(), body).unwrap();
    let output = python.wait_with_output().unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[tokio::test]
async fn a_picture_goes_along() {
    use axum::extract::{FromRequest, Multipart, Request};
    let picture = Bytes::from_static(b"\xff\xd8\r\n--JPEG\r\n\xff\xd9");
    let (receiver, address) = Receiver::start(vec![]).await;
    let actions = actions(&format!(
        "[action.a]\ntype = 'webhook'\nurl = 'http://{address}/'\npicture = true\nbody = '{{\"who\": {{{{ person.name }}}}}}'"
    ))
    .unwrap();
    for picture in [Some(picture), None] {
        let request = ActionRequest { picture: picture.clone(), ..request("Zoë") };
        assert_eq!(actions.perform(request).await.result, ActionResult::Done);
        let got = receiver.got().pop().unwrap();
        let request = Request::builder().header("content-type", &got.headers["content-type"]);
        let mut parts = Multipart::from_request(request.body(Body::from(got.body)).unwrap(), &()).await.unwrap();
        let event = parts.next_field().await.unwrap().unwrap();
        assert_eq!((event.name(), event.content_type()), (Some("event"), Some("application/json")));
        assert_eq!(event.text().await.unwrap(), "{\"who\": \"Zoë\"}");
        let sent = parts.next_field().await.unwrap();
        assert_eq!(sent.as_ref().and_then(|part| part.name()), picture.as_ref().map(|_| "picture"));
        if let Some(part) = sent {
            assert_eq!((part.content_type(), part.file_name()), (Some("image/jpeg"), Some("picture.jpg")));
            assert_eq!(Some(part.bytes().await.unwrap()), picture);
        }
        assert!(parts.next_field().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn query_form_and_the_picture_itself() {
    use axum::extract::{FromRequest, Multipart, Request};
    let (receiver, address) = Receiver::start(vec![]).await;
    let picture = Bytes::from_static(b"\xff\xd8JPEG\xff\xd9");
    let with_picture = || ActionRequest { picture: Some(picture.clone()), ..request("Zoë & Ann") };

    let toml = format!(
        "[action.a]\ntype = 'webhook'\nurl = 'http://{address}/x?a=1'\nquery = {{ who = '{{{{ person.name }}}}', b = '2' }}"
    );
    assert_eq!(actions(&toml).unwrap().perform(with_picture()).await.result, ActionResult::Done);
    let got = receiver.got().pop().unwrap();
    assert_eq!(got.uri.to_string(), "/x?a=1&b=2&who=Zo%C3%AB+%26+Ann");

    let toml =
        format!("[action.a]\ntype = 'webhook'\nurl = 'http://{address}/'\nbody_format = 'picture'\nmethod = 'PUT'");
    for (request, kind, body) in [(with_picture(), Some("image/jpeg"), &picture[..]), (request("Ann"), None, b"")] {
        assert_eq!(actions(&toml).unwrap().perform(request).await.result, ActionResult::Done);
        let got = receiver.got().pop().unwrap();
        assert_eq!(got.headers.get("content-type").map(|kind| kind.to_str().unwrap()), kind);
        assert_eq!((got.method, &got.body[..]), (Method::PUT, body));
    }

    let toml = format!(
        "[action.a]\ntype = 'webhook'\nurl = 'http://{address}/'\nform = {{ chat_id = '7', caption = '{{{{ person.name }}}}' }}\n\
         picture = true\npicture_name = 'photo'"
    );
    assert_eq!(actions(&toml).unwrap().perform(with_picture()).await.result, ActionResult::Done);
    let got = receiver.got().pop().unwrap();
    let request = Request::builder().header("content-type", &got.headers["content-type"]);
    let mut parts = Multipart::from_request(request.body(Body::from(got.body)).unwrap(), &()).await.unwrap();
    let mut seen = Vec::new();
    while let Some(part) = parts.next_field().await.unwrap() {
        seen.push((part.name().unwrap().to_owned(), part.bytes().await.unwrap()));
    }
    let wanted: [(&str, &[u8]); 3] = [("caption", "Zoë & Ann".as_bytes()), ("chat_id", b"7"), ("photo", &picture)];
    assert_eq!(seen.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect::<Vec<_>>(), wanted);
}

#[tokio::test]
async fn the_shape_of_events_bridge() {
    let (receiver, address) = Receiver::start(vec![]).await;
    let toml = format!("[action.a]\ntype = 'webhook'\nurl = 'http://{address}/'\nbody_format = 'events_bridge'");
    let actions = actions(&toml).unwrap();
    assert_eq!(actions.perform(request("John Michael Doe")).await.result, ActionResult::Done);
    let got = receiver.got().remove(0);
    assert_eq!(got.headers["content-type"], "application/json");
    let body: Value = serde_json::from_slice(&got.body).unwrap();
    let person = &body["payload"]["personInfo"];
    assert_eq!((&body["publishType"], &body["sourceName"]), (&json!("WebHookFaceRecPayload"), &json!("Front door")));
    assert_eq!(
        (&person["firstName"], &person["middleName"], &person["lastName"]),
        (&json!("John"), &json!("Michael"), &json!("Doe"))
    );
    assert_eq!(person["tags"], json!([{ "tagName": "Staff", "expires": null }]));
    assert_eq!(person["fields"], json!([{ "fieldName": "Badge", "fieldValue": "C-1187" }]));
    let mut unknown = request("");
    unknown.inputs["person"] = Value::Null;
    assert!(reason(&actions.perform(unknown).await).contains("is for known people"));
    assert_eq!(receiver.got().len(), 1);
}

/// Never more under way than was said, and the others get their turn.
#[tokio::test]
async fn as_many_at_once_as_was_said() {
    for concurrency in [1, 3] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let at_once = Arc::new(Mutex::new((0, 0)));
        let counted = at_once.clone();
        let app = Router::new().fallback(move || {
            let counted = counted.clone();
            async move {
                {
                    let mut counted = counted.lock().unwrap();
                    counted.0 += 1;
                    counted.1 = counted.0.max(counted.1);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                counted.lock().unwrap().0 -= 1;
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let toml = format!("[action.a]\ntype = 'webhook'\nurl = 'http://{address}/'\nconcurrency = {concurrency}");
        let actions = Arc::new(actions(&toml).unwrap());
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..12 {
            let actions = actions.clone();
            all.spawn(async move { actions.perform(request("Ann")).await.result });
        }
        assert!(all.join_all().await.iter().all(|result| *result == ActionResult::Done));
        assert_eq!(at_once.lock().unwrap().1, concurrency);
    }
}

#[tokio::test]
async fn what_cannot_be_filled_in_is_not_sent() {
    let (receiver, address) = Receiver::start(vec![]).await;
    for (key, name, wanted) in [
        ("url = 'http://A/{{ person.name }}/x'", "..", "would make `.` or `..` of a part of its path"),
        (
            "url = 'http://A/'\nheaders = { X-Name = '{{ person.name }}' }",
            "Eve\r\nX-Admin: 1",
            "a header holds no line breaks",
        ),
        ("url = 'http://A/'\nbody = '{{ person.fields.Nothing }}'", "Ann", "undefined value"),
        ("url = 'http://A/'\nbody = '{\"a\": x{{ rule }}}'", "Ann", "does not render to JSON"),
    ] {
        let toml = format!("[action.a]\ntype = 'webhook'\n{}", key.replace("//A/", &format!("//{address}/")));
        let outcome = actions(&toml).unwrap().perform(request(name)).await;
        assert!(reason(&outcome).contains(wanted), "{key}: {outcome:?}");
        assert!(!reason(&outcome).contains("Eve"), "{outcome:?}");
    }
    assert_eq!(receiver.got().len(), 0);
}

#[tokio::test]
async fn a_webhook_is_tried_again_where_that_helps() {
    for (answers, tries, wanted) in [
        (vec![status(503), status(500)], 3, Ok(())),
        (vec![status(408)], 2, Ok(())),
        (vec![status_with(429, "retry-after", "0"), status_with(429, "retry-after", "1")], 3, Ok(())),
        (vec![status_with(503, "retry-after", "1")], 2, Ok(())),
        ((0..9).map(|_| status(502)).collect(), 4, Err("it answered 502 (after 4 tries)")),
        (vec![status_with(429, "retry-after", "3600")], 1, Err("it answered 429 (after 1 try)")),
        (vec![status(400)], 1, Err("it answered 400")),
        (vec![status(401)], 1, Err("it answered 401")),
        (vec![status_with(302, "location", "/elsewhere")], 1, Err("it answered 302; redirects are not followed")),
    ] {
        let (receiver, address) = Receiver::start(answers).await;
        let toml = format!("[action.a]\ntype = 'webhook'\nurl = 'http://{address}/'");
        let outcome = actions(&toml).unwrap().perform(request("Ann")).await;
        match wanted {
            Ok(()) => assert_eq!(outcome.result, ActionResult::Done),
            Err(wanted) => assert_eq!(reason(&outcome), wanted),
        }
        let got = receiver.got();
        assert_eq!(got.len(), tries, "{outcome:?}");
        assert!(got.iter().all(|each| each.headers["idempotency-key"] == "KEY" && each.body == got[0].body));
    }
}

#[tokio::test]
async fn an_actuator_is_never_sent_twice() {
    for code in [408, 429, 500, 503] {
        let (receiver, address) = Receiver::start(vec![status_with(code, "retry-after", "0")]).await;
        let toml = format!("[action.a]\ntype = 'webhook'\nactuator = true\nurl = 'http://{address}/'");
        let actions = actions(&toml).unwrap();
        assert!(actions.is_actuator("a") && !actions.is_actuator("b"));
        assert_eq!(reason(&actions.perform(request("Ann")).await), format!("it answered {code}"));
        assert_eq!(receiver.got().len(), 1);
    }
}

/// A raw listener that counts requests and hangs up, or keeps silent, after reading each.
async fn rude(silent: bool) -> (Arc<Mutex<usize>>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let count = Arc::new(Mutex::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4096];
            if connection.read(&mut buffer).await.unwrap_or(0) > 0 {
                *counted.lock().unwrap() += 1;
            }
            if silent {
                tokio::spawn(async move {
                    let _connection = connection;
                    std::future::pending::<()>().await;
                });
            }
        }
    });
    (count, address)
}

#[tokio::test]
async fn a_broken_or_silent_connection_is_tried_again_but_not_for_an_actuator() {
    for (silent, wanted) in
        [(false, "the connection broke before it answered"), (true, "it did not answer within 200 ms")]
    {
        for (actuator, tries) in [(false, 2), (true, 1)] {
            let (count, address) = rude(silent).await;
            let toml = format!(
                "[action.a]\ntype = 'webhook'\nurl = 'http://{address}/'\ntimeout_ms = 200\ntries = 2\nactuator = {actuator}"
            );
            let outcome = actions(&toml).unwrap().perform(request("Ann")).await;
            assert!(reason(&outcome).starts_with(wanted), "{outcome:?}");
            assert_eq!(*count.lock().unwrap(), tries, "actuator = {actuator}");
        }
    }
}

#[tokio::test]
async fn even_an_actuator_tries_again_to_connect() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let toml = format!("[action.a]\ntype = 'webhook'\nurl = 'http://{free}/'\nactuator = true\ntries = 50");
    let actions = actions(&toml).unwrap();
    let later = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let listener = TcpListener::bind(free).await.unwrap();
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 4096];
        let length = connection.read(&mut buffer).await.unwrap();
        connection.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        length
    };
    let (outcome, length) = tokio::join!(actions.perform(request("Ann")), later);
    assert_eq!(outcome.result, ActionResult::Done);
    assert!(length > 0);
}

#[tokio::test]
async fn an_actuator_gives_up_at_its_last_moment() {
    let (count, address) = rude(true).await;
    let toml = format!("[action.a]\ntype = 'webhook'\nurl = 'http://{address}/'\nactuator = true\ntimeout_ms = 600000");
    let soon = ActionRequest { expires_at: Some(Instant::now() + Duration::from_millis(300)), ..request("Ann") };
    let outcome = actions(&toml).unwrap().perform(soon).await;
    assert!(reason(&outcome).starts_with("it did not answer within"), "{outcome:?}");
    assert_eq!(*count.lock().unwrap(), 1);
}

#[tokio::test]
async fn secrets_do_not_come_out() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let toml = format!(
        "[action.a]\ntype = 'webhook'\nurl = 'http://user:hunter2@{free}/s3cret-path?key=s3cret'\ntries = 1\n\
         headers = {{ Authorization = 'Bearer s3cret' }}"
    );
    let outcome = actions(&toml).unwrap().perform(request("Ann")).await;
    assert_eq!(reason(&outcome), "cannot connect to it (after 1 try)");
    for wrong in
        ["url = 'http://h/s3cret{{ x }}'", "url = 's3cret://h/'", "url = 'http://h/'\nheaders = { A = 's3cret {{' }"]
    {
        let error = actions(&format!("[action.a]\ntype = 'webhook'\n{wrong}")).err().unwrap();
        assert!(error.starts_with("action `a`: `") && !error.contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut sent = Vec::new();
        while !sent.ends_with(b"}") {
            connection.read_buf(&mut sent).await.unwrap();
        }
        connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        while connection.write_all(&[b'x'; 4096]).await.is_ok() {}
    });
    let toml = format!("[action.a]\ntype = 'webhook'\nurl = 'http://{address}/'\ntimeout_ms = 600000");
    let outcome = actions(&toml).unwrap().perform(request("Ann")).await;
    assert_eq!((&outcome.result, outcome.said.unwrap().len()), (&ActionResult::Done, 64 << 10));
}
