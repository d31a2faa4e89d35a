//! The life of a token: one login for everybody, renewed in time, replaced once when it is refused.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::Utc;

use super::*;

const EMPTY: &str = r#"{"detectedFaces":[]}"#;

/// A token that lives so long, told apart by `n`.
fn jwt(n: usize, seconds: usize) -> String {
    let claims = format!(r#"{{"iat":1000,"exp":{},"n":{n}}}"#, 1000 + seconds);
    format!("e30.{}.sig", BASE64_URL_SAFE_NO_PAD.encode(claims))
}

#[tokio::test]
async fn a_refused_token_costs_one_login_and_one_repetition() {
    let fake = Fake::start(|request| match request.header("authorization") {
        Some("Bearer token-1") => Reply::with(401, "", ""),
        _ => Reply::json(200, EMPTY),
    })
    .await;
    let client = client(&fake);
    identify(&client, &IdentifyConfig::default()).await.unwrap();
    let lines: Vec<_> =
        fake.seen().iter().map(|request| request.line().rsplit('/').next().unwrap().to_owned()).collect();
    assert_eq!(lines, ["authenticate", "publishWithResponse", "authenticate", "publishWithResponse"]);
    identify(&client, &IdentifyConfig::default()).await.unwrap();
    assert_eq!(fake.count("authenticate"), 2, "the new token is kept");
}

#[tokio::test]
async fn a_second_refusal_is_nothing_the_sighting_can_help() {
    let fake = Fake::start(|_| Reply::with(401, "", "")).await;
    for kind in [Call::PublishWithResponse, Call::Lookup] {
        let (again, _, reason) = failed(identify(&client(&fake), &call(kind)).await);
        assert!(again && reason.contains("even after a new login"), "{reason}");
    }
    assert_eq!((fake.count("authenticate"), fake.count("publishWithResponse"), fake.count("lookup")), (4, 2, 2));
}

#[tokio::test]
async fn many_at_once_share_one_login() {
    let refused = AtomicUsize::new(0);
    let fake = Fake::start(move |request| match request.header("authorization") {
        Some("Bearer token-1") => {
            refused.fetch_add(1, SeqCst);
            Reply::with(401, "", "")
        }
        _ => Reply::json(200, EMPTY),
    })
    .await;
    let client = client(&fake);
    let everybody = (0..16).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { identify(&client, &IdentifyConfig::default()).await.unwrap() })
    });
    for one in everybody.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    assert_eq!(fake.count("authenticate"), 2, "one at first, one for all whose token was refused");
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_without_the_password() {
    let (renewed, logins) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let fake = Fake::start_raw(move |request| {
        if request.is("/authenticate") {
            assert_eq!(logins.fetch_add(1, SeqCst), 0, "the password is sent once");
            return Reply::token(&jwt(0, 4));
        }
        if request.is("/renewToken") {
            let n = renewed.fetch_add(1, SeqCst) + 1;
            assert_eq!(request.header("authorization").unwrap(), format!("Bearer {}", jwt(n - 1, 4)));
            return Reply::token(&jwt(n, 4));
        }
        Reply::json(200, EMPTY)
    })
    .await;
    let client = client(&fake);
    let config = IdentifyConfig::default();
    while fake.count("/renewToken") < 2 {
        let (one, two) = tokio::join!(identify(&client, &config), identify(&client, &config));
        one.and(two).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    identify(&client, &IdentifyConfig::default()).await.unwrap();
    let last = fake.seen().pop().unwrap();
    assert_eq!(last.header("authorization").unwrap(), format!("Bearer {}", jwt(2, 4)), "the renewed token is used");
}

#[tokio::test]
async fn a_renewal_that_fails_does_not_stop_anybody() {
    let fake = Fake::start_raw(|request| {
        if request.is("/authenticate") {
            return Reply::token(&jwt(0, 4));
        }
        if request.is("/renewToken") {
            return Reply::with(503, "", "");
        }
        Reply::json(200, EMPTY)
    })
    .await;
    let client = client(&fake);
    while fake.count("/authenticate") < 2 {
        identify(&client, &IdentifyConfig::default()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let renewals = fake.count("/renewToken");
    assert!((1..=10).contains(&renewals), "{renewals} attempts within the last quarter of a token's life");
}

#[tokio::test]
async fn a_refused_renewal_leads_to_a_login() {
    let fake = Fake::start_raw(|request| {
        if request.is("/authenticate") {
            return Reply::token(&jwt(0, 2));
        }
        if request.is("/renewToken") { Reply::with(401, "", "") } else { Reply::json(200, EMPTY) }
    })
    .await;
    let client = client(&fake);
    while fake.count("/authenticate") < 2 {
        identify(&client, &IdentifyConfig::default()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(fake.count("/renewToken"), 1);
}

#[tokio::test]
async fn a_refused_login_uses_up_no_sighting_and_is_no_storm() {
    let open = std::sync::Arc::new(AtomicBool::new(false));
    let opened = open.clone();
    let fake = Fake::start_raw(move |request| {
        if !request.is("/authenticate") {
            return Reply::json(200, EMPTY);
        }
        if opened.load(SeqCst) { Reply::token("token-1") } else { Reply::with(401, "", "no such user") }
    })
    .await;
    let client = client(&fake);
    let (again, _, reason) = failed(identify(&client, &IdentifyConfig::default()).await);
    assert!(again && reason.contains("identities.username"), "{reason}");
    for _ in 0..20 {
        let (again, after, _) = failed(identify(&client, &IdentifyConfig::default()).await);
        assert!(again && after.is_some(), "meanwhile what is stored waits");
    }
    assert_eq!(fake.seen().len(), 1, "an account must not get locked");
    open.store(true, SeqCst);
    while let Err(error) = identify(&client, &IdentifyConfig::default()).await {
        assert!(error.again, "{error:?}");
        tokio::time::sleep(error.after.unwrap()).await;
    }
    assert_eq!(fake.count("/authenticate"), 2);
}

#[tokio::test]
async fn a_login_that_cannot_be_answered_now_is_tried_again() {
    for (status, asked) in [(408, None), (429, Some(3)), (500, None), (503, Some(3))] {
        let headers = if asked.is_some() { "Retry-After: 3\r\n" } else { "" };
        let fake = Fake::start_raw(move |_| Reply::with(status, headers, "")).await;
        let (again, after, _) = failed(identify(&client(&fake), &IdentifyConfig::default()).await);
        assert!(again, "{status}");
        assert_eq!(after.map(|after| after.as_secs()), asked, "{status}");
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_sent_is_a_broken_answer() {
    let long = "x".repeat(20_000);
    for token in ["", r"line\nbreak", long.as_str()] {
        let token = token.to_owned();
        let fake = Fake::start_raw(move |_| Reply::token(&token)).await;
        let (again, _, reason) = failed(identify(&client(&fake), &IdentifyConfig::default()).await);
        assert!(again && reason.contains("authenticate: the answer is not what"), "{reason}");
    }
}

#[tokio::test]
async fn hours_between_the_clocks_cost_no_login() {
    // The engine's clock is so many hours ahead of ours; whether its answers carry its date.
    for (hours, dated) in [(-5, true), (5, true), (-5, false), (5, false), (24 * 365, true), (-24 * 365, false)] {
        let engine_now = move || Utc::now() + chrono::TimeDelta::hours(hours);
        let issued = engine_now().timestamp();
        let token = format!(
            "e30.{}.sig",
            BASE64_URL_SAFE_NO_PAD.encode(format!(r#"{{"iat":{issued},"exp":{}}}"#, issued + 3600))
        );
        let fake = Fake::start_raw(move |request| {
            let date = engine_now().format("Date: %a, %d %b %Y %H:%M:%S GMT\r\n").to_string();
            let headers = format!("Content-Type: application/json\r\n{}", if dated { date.as_str() } else { "" });
            let login = format!(r#"{{"username":"gate","token":"{token}"}}"#);
            Reply::with(200, &headers, if request.is("/authenticate") { &login } else { EMPTY })
        })
        .await;
        let client = client(&fake);
        for _ in 0..20 {
            identify(&client, &IdentifyConfig::default()).await.unwrap();
        }
        assert_eq!((fake.count("/authenticate"), fake.count("/renewToken")), (1, 0), "{hours} h, dated: {dated}");
    }
}

#[tokio::test]
async fn many_whose_login_gets_no_answer_try_once_a_step() {
    let fake = Fake::start_raw(|_| Reply::with(503, "", "")).await;
    let client = client(&fake);
    let everybody = (0..32).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { failed(identify(&client, &IdentifyConfig::default()).await).0 })
    });
    for one in everybody.collect::<Vec<_>>() {
        assert!(one.await.unwrap());
    }
    assert_eq!(fake.seen().len(), 1, "one login for all who wait for it");
}
