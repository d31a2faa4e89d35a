//! Presets of the `webhook` action, as the receivers see them.

use super::*;

async fn perform(
    preset: &str,
    more: &str,
    answers: Vec<Response<Body>>,
    picture: Option<Bytes>,
) -> (Outcome, Vec<Got>) {
    let (receiver, address) = Receiver::start(answers).await;
    let toml = format!("[action.a]\ntype = 'webhook'\n{more}\npreset = {{ {} }}", preset.replace("ADDRESS", &address));
    let outcome = actions(&toml).unwrap().perform(ActionRequest { picture, ..request("Zoë\r\nX: \"&") }).await;
    (outcome, receiver.got())
}

#[tokio::test]
async fn relays_are_switched_once_and_end_their_pulse() {
    for (preset, target) in [
        ("type = 'shelly_gen1', url = 'http://ADDRESS', channel = 1, pulse_ms = 2500", "/relay/1?timer=2.5&turn=on"),
        ("type = 'shelly_gen2', url = 'http://ADDRESS/'", "/rpc/Switch.Set?id=0&on=true&toggle_after=3"),
        ("type = 'tasmota', url = 'http://ADDRESS'", "/cm?cmnd=Backlog+PulseTime1+30%3B+Power1+On"),
    ] {
        let (outcome, got) = perform(preset, "", vec![], None).await;
        assert_eq!((outcome.result, got[0].uri.to_string().as_str()), (ActionResult::Done, target));
        assert_eq!((&got[0].method, got[0].body.len()), (&Method::GET, 0));
        let (outcome, got) = perform(preset, "", vec![status(503)], None).await;
        assert_eq!((reason(&outcome), got.len()), ("it answered 503", 1), "an actuator is not repeated");
    }
    let refused = Response::new(Body::from(r#"{"WARNING":"Need user=<username>&password=<password>"}"#));
    let (outcome, _) = perform("type = 'tasmota', url = 'http://ADDRESS'", "", vec![refused], None).await;
    assert_eq!(reason(&outcome), "it answered 200 and turned the request down");
}

/// As a Shelly of a later generation asks: the first request is not performed, so even an actuator answers.
#[tokio::test]
async fn a_shelly_with_a_password_is_answered_without_it() {
    let question = "Digest qop=\"auth\", realm=\"shellyplus1-a8032abe54dc\", nonce=\"60dc2c69\", algorithm=SHA-256";
    let ask = || status_with(401, "www-authenticate", question);
    let preset = "type = 'shelly_gen2', url = 'http://ADDRESS', password = 'hunter2'";
    let (outcome, got) = perform(preset, "", vec![ask()], None).await;
    assert_eq!((&outcome.result, got.len()), (&ActionResult::Done, 2));
    assert!(!got[0].headers.contains_key("authorization"));
    let answer = got[1].headers["authorization"].to_str().unwrap();
    for part in
        ["username=\"admin\"", "uri=\"/rpc/Switch.Set?id=0&on=true&toggle_after=3\"", "nonce=\"60dc2c69\"", "qop=auth"]
    {
        assert!(answer.contains(part), "{answer}");
    }
    assert!(answer.starts_with("Digest ") && !answer.contains("hunter2"));
    let (outcome, got) = perform(preset, "", vec![ask(), ask()], None).await;
    assert_eq!((reason(&outcome), got.len()), ("it answered 401", 2), "a wrong password is tried once");
}

#[tokio::test]
async fn messages_go_out_with_their_picture() {
    let picture = Bytes::from_static(b"\xff\xd8JPEG\xff\xd9");
    let ntfy = "type = 'ntfy', url = 'http://ADDRESS/door', token = 'tk_1', title = '{{ detector }}', message = '{{ person.name }}', priority = 4";
    for (more, sent, body) in [("picture = true", Some(picture.clone()), &picture[..]), ("", None, b"")] {
        let (outcome, got) = perform(ntfy, more, vec![], sent).await;
        assert_eq!((outcome.result, &got[0].method, got[0].uri.path()), (ActionResult::Done, &Method::POST, "/door"));
        let url = url::Url::parse(&format!("http://h{}", got[0].uri)).unwrap();
        let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let wanted = [("message", "Zoë\r\nX: \"&"), ("priority", "4"), ("title", "Front door")];
        assert_eq!(query, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!((&got[0].headers["authorization"], &got[0].body[..]), (&"Bearer tk_1".parse().unwrap(), body));
    }

    let pushover =
        "type = 'pushover', url = 'http://ADDRESS/1/messages.json', token = 'app{{', user = 'usr', priority = -1";
    let (outcome, got) = perform(pushover, "picture = true", vec![], Some(picture)).await;
    assert_eq!(outcome.result, ActionResult::Done);
    let body = String::from_utf8_lossy(&got[0].body);
    for part in [
        "name=\"token\"\r\n\r\napp{{\r\n",
        "name=\"user\"\r\n\r\nusr\r\n",
        "name=\"priority\"\r\n\r\n-1\r\n",
        "name=\"title\"\r\n\r\nFront door\r\n",
        "name=\"attachment\"; filename=\"picture.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n",
    ] {
        assert!(body.contains(part), "{part} in {body}");
    }
}
