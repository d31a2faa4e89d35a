//! What becomes of every answer, however odd.

use chrono::Utc;
use doorward::recognition::Answer;

use super::*;

#[tokio::test]
async fn a_recognition_carries_the_sightings_own_data() {
    let fake = Fake::start(|_| {
        Reply::json(200, r#"{"detectedFaces":[{"confidence":0.9,"person":{"personId":"p","friendlyName":"M"}}]}"#)
    })
    .await;
    let recognition = identify(&client(&fake), &IdentifyConfig::default()).await.unwrap();
    let asked = sighting();
    assert_eq!((recognition.sighting, recognition.visit, recognition.shot), (asked.id, asked.visit, asked.shot));
    assert_eq!((recognition.seen_at, &recognition.detector), (asked.seen_at, &asked.detector));
    assert!(recognition.arrived.is_some());
    assert!(matches!(recognition.answer, Answer::Known(known) if known.person.id == "p"));
}

#[tokio::test]
async fn nobody_is_an_answer_of_lookup_and_recognize_only() {
    for (kind, unknown) in
        [(Call::Lookup, true), (Call::Recognize, true), (Call::Publish, false), (Call::PublishWithResponse, false)]
    {
        let fake = Fake::start(|_| Reply::with(404, "", "")).await;
        let result = identify(&client(&fake), &call(kind)).await;
        if unknown {
            assert_eq!(result.unwrap().answer, Answer::Unknown { confidence: None, nearest: None });
        } else {
            assert!(!failed(result).0, "{kind:?}");
        }
    }
}

/// What is told of who came nearest is read where it makes sense, and never spoils the answer.
#[tokio::test]
async fn who_came_nearest_is_read_tolerantly_and_bounded() {
    let near = |name: &str, score: &str| {
        format!(r#""nearest":{{"personId":"p","name":"{name}","score":{score},"threshold":0.43}}"#)
    };
    let deep = format!(r#""nearest":{}{}"#, "[".repeat(100_000), "]".repeat(100_000));
    let sensible = Some("Ann Lee 0.41 of 0.43".to_owned());
    for (extension, told) in [
        (near("Ann Lee", "0.41"), sensible.clone()),
        (near(&"Ä".repeat(1 << 19), "0.41"), Some(format!("{} 0.41 of 0.43", "Ä".repeat(200)))),
        (near("Ann Lee", "\"NaN\""), None),
        (near("Ann Lee", "null"), None),
        (near("Ann Lee", "1e99"), None),
        (r#""nearest":"Ann Lee""#.to_owned(), None),
        (deep, None),
    ] {
        let body = format!(r#"{{"detectedFaces":[{{"confidence":0.5,{extension}}}]}}"#);
        let start: String = body.chars().take(120).collect();
        let fake = Fake::start(move |_| Reply::json(200, &body)).await;
        let answer = identify(&client(&fake), &IdentifyConfig::default()).await.unwrap().answer;
        assert_eq!(answer.nearest().map(|nearest| nearest.told()), told, "{start}");
        assert_eq!((answer.confidence(), answer.person_id()), (Some(0.5), None), "{start}");
    }

    // The body of a 404 of lookup and recognize has it too; elsewhere that is no answer at all.
    for (kind, extension, told) in [
        (Call::Lookup, near("Ann Lee", "0.41"), sensible.clone()),
        (Call::Recognize, near("Ann Lee", "0.41"), sensible),
        (Call::Lookup, near(&"x".repeat(1 << 20), "0.41"), None),
        (Call::Lookup, near("Ann Lee", "[]"), None),
    ] {
        let body = format!(r#"{{"title":"Not found",{extension}}}"#);
        let fake = Fake::start(move |_| Reply::json(404, &body)).await;
        let answer = identify(&client(&fake), &call(kind)).await.unwrap().answer;
        assert!(matches!(answer, Answer::Unknown { .. }), "{answer:?}");
        assert_eq!(answer.nearest().map(|nearest| nearest.told()), told, "{kind:?}");
    }

    // With somebody known it is not believed.
    let body = format!(r#"{{"detectedFaces":[{{"person":{{"personId":"q"}},{}}}]}}"#, near("Ann Lee", "0.41"));
    let fake = Fake::start(move |_| Reply::json(200, &body)).await;
    let answer = identify(&client(&fake), &IdentifyConfig::default()).await.unwrap().answer;
    assert_eq!((answer.person_id(), answer.nearest()), (Some("q"), None));
}

#[tokio::test]
async fn under_a_wrong_address_nobody_is_no_answer() {
    let fake = Fake::start_raw(|_| Reply::with(404, "", "")).await;
    let (again, _, reason) = failed(identify(&client(&fake), &call(Call::Lookup)).await);
    assert!(again && reason.contains("/identities"), "{reason}");
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn every_status_has_its_meaning() {
    let date = (Utc::now() + chrono::TimeDelta::seconds(100)).format("Retry-After: %a, %d %b %Y %H:%M:%S GMT\r\n");
    let dated: &'static str = date.to_string().leak();
    for (status, headers, body, again, asked, says) in [
        (200, "", "", true, None, "not what the Identities API promises"),
        (400, "", "Face bytes are empty", false, None, "Face bytes are empty"),
        (403, "", "", true, None, "\"Face Publishing\""),
        (405, "", "", false, None, "status 405"),
        (408, "", "", true, None, "status 408"),
        (409, "", "", false, None, "status 409"),
        (413, "", "", false, None, "status 413"),
        (429, "Retry-After: 7\r\n", "slow down", true, Some(7..=7), "slow down"),
        (429, dated, "", true, Some(90..=100), "status 429"),
        (429, "Retry-After: soon\r\n", "", true, None, "status 429"),
        (500, "", "<html>oops</html>", true, None, "status 500)"),
        (503, "Retry-After: 99999999\r\n", "", true, Some(900..=900), "status 503"),
        (599, "", "", true, None, "status 599"),
    ] {
        let fake = Fake::start(move |_| Reply::with(status, headers, body)).await;
        let (retry, after, reason) = failed(identify(&client(&fake), &IdentifyConfig::default()).await);
        assert_eq!(retry, again, "{status}: {reason}");
        assert!(reason.contains(says), "{status}: {reason}");
        match asked {
            Some(seconds) => assert!(seconds.contains(&after.unwrap().as_secs()), "{status}: {after:?}"),
            None => assert_eq!(after, None, "{status}"),
        }
        assert_eq!(fake.seen().len(), 2, "{status}: one try");
    }
}

#[tokio::test]
async fn a_broken_answer_ends_in_an_error_that_says_so() {
    let page = "<html>log in to the guest network</html>";
    let deep = "[".repeat(100_000);
    for (body, again, says) in [
        (page, true, "not what"),
        ("{\"detectedFaces\":[{\"faceId\":", true, "not what"),
        ("\u{0}\u{1}\u{2}", true, "not what"),
        (r#"{"detectedFaces":"many"}"#, false, "not what"),
        (r#"{"detectedFaces":[{"confidence":"high"}]}"#, false, "not what"),
        (r#"[1,2,3]"#, false, "not what"),
        (deep.as_str(), false, "not what"),
    ] {
        let body = body.to_owned();
        let start = body.chars().take(30).collect::<String>();
        let fake = Fake::start(move |_| Reply::json(200, &body)).await;
        let (retry, _, reason) = failed(identify(&client(&fake), &IdentifyConfig::default()).await);
        assert_eq!(retry, again, "{start}: {reason}");
        assert!(reason.contains(says), "{start}: {reason}");
    }
}

#[tokio::test]
async fn depth_and_crowds_where_nobody_looks_do_no_harm() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let crowd = vec![r#"{"confidence":0.5,"boundingBox":{"x":1}}"#; 1000].join(",");
    for body in [format!(r#"{{"extra":{deep},"detectedFaces":[]}}"#), format!(r#"{{"detectedFaces":[{crowd}]}}"#)] {
        let fake = Fake::start(move |_| Reply::json(200, &body)).await;
        identify(&client(&fake), &IdentifyConfig::default()).await.unwrap();
    }
}

#[tokio::test]
async fn a_huge_answer_is_not_read_to_its_end() {
    const HUGE: usize = 200 << 20;
    let chunked = || {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nC800000\r\n";
        Reply::flood(head.into(), HUGE)
    };
    let announced = || Reply::flood(format!("HTTP/1.1 200 OK\r\nContent-Length: {HUGE}\r\n\r\n"), HUGE);
    let endless = || Reply::flood("HTTP/1.1 200 OK\r\n\r\n".into(), HUGE);
    let as_error = || Reply::flood(format!("HTTP/1.1 400 No\r\nContent-Length: {HUGE}\r\n\r\n"), HUGE);
    for (reply, says) in [
        (Box::new(chunked) as Box<dyn Fn() -> Reply + Send + Sync>, "larger than"),
        (Box::new(announced), "larger than"),
        (Box::new(endless), "larger than"),
        (Box::new(as_error), "status 400"),
    ] {
        let fake = Fake::start(move |_| reply()).await;
        let (again, _, reason) = failed(identify(&client(&fake), &IdentifyConfig::default()).await);
        assert!(!again && reason.contains(says), "{reason}");
        // What the sockets buffer comes on top of what was read.
        assert!(fake.flooded() < HUGE / 2, "{} bytes were taken", fake.flooded());
    }
}

#[tokio::test]
async fn what_comes_too_slowly_or_not_at_all_is_tried_again() {
    let head = || b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{\"detectedFaces\":".to_vec();
    for reply in [
        Box::new(|| Reply::Silence) as Box<dyn Fn() -> Reply + Send + Sync>,
        Box::new(move || Reply::Drip(head())),
        Box::new(|| Reply::Drip(b"HTTP/1.1 200 OK\r\nX-Slow:".to_vec())),
    ] {
        let fake = Fake::start(move |_| reply()).await;
        let config = ClientOptions { timeout: Duration::from_millis(300), ..config(&fake.url()) };
        let (again, _, reason) = failed(identify(&Client::new(&config).unwrap(), &IdentifyConfig::default()).await);
        assert!(again && reason.contains("identities.timeout_ms"), "{reason}");
    }
}

#[tokio::test]
async fn what_breaks_off_is_tried_again() {
    for bytes in [
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"detectedFaces\":[]}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n{\"detectedFaces\":[]}\r\n",
        "this is not HTTP\r\n\r\n",
    ] {
        let fake = Fake::start(move |_| Reply::Raw(bytes.into())).await;
        let (again, _, reason) = failed(identify(&client(&fake), &IdentifyConfig::default()).await);
        assert!(again && reason.contains("broke off"), "{bytes:?}: {reason}");
    }
}

#[tokio::test]
async fn nobody_there_is_tried_again() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = Client::new(&config(&format!("http://{gone}"))).unwrap();
    let (again, _, reason) = failed(identify(&client, &IdentifyConfig::default()).await);
    assert!(again && reason.contains(&gone.to_string()) && reason.contains("identities.url"), "{reason}");
}

#[tokio::test]
async fn a_redirect_takes_neither_token_nor_picture_anywhere() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Fake::start_raw(|_| Reply::json(200, r#"{"detectedFaces":[]}"#)).await;
        let location: &'static str = format!("Location: {}/elsewhere\r\n", elsewhere.url()).leak();
        let fake = Fake::start(move |_| Reply::with(status, location, "")).await;
        let (again, _, reason) = failed(identify(&client(&fake), &IdentifyConfig::default()).await);
        assert!(again && reason.contains("redirects to 127.0.0.1"), "{reason}");
        assert_eq!((fake.seen().len(), elsewhere.seen().len()), (2, 0), "{status}");
        // Nor does the login take the password.
        let fake = Fake::start_raw(move |_| Reply::with(status, location, "")).await;
        let (again, _, reason) = failed(identify(&client(&fake), &IdentifyConfig::default()).await);
        assert!(again && reason.contains("redirects to 127.0.0.1"), "{reason}");
        assert_eq!((fake.seen().len(), elsewhere.seen().len()), (1, 0), "{status}");
    }
}
