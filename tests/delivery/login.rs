//! The account's troubles: a changed password, an outage of the login, a token the engine forgets. Never a storm of
//! logins, never a sighting used up.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::fake::{Fake, Reply, Request};
use super::*;

const EMPTY: &str = r#"{"detectedFaces":[]}"#;
const MANY_AT_ONCE: &str = "concurrency = 32\nretry_max_ms = 100\n[outbox]\ndrain_per_sec = 0";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_password_is_tried_once_a_step_and_uses_up_no_sighting() {
    let (answered, changed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(true)));
    let logins = Arc::new(Mutex::new(Vec::new()));
    let (count, change, times) = (Arc::clone(&answered), Arc::clone(&changed), Arc::clone(&logins));
    let fake = Fake::start_raw(move |request| {
        // After five answers the password is another one, and every token is void, until it is changed back.
        let refused = change.load(SeqCst) && count.load(SeqCst) >= 5;
        match request.is("/authenticate") {
            true if refused => {
                times.lock().unwrap().push(Instant::now());
                Reply::with(401, "", "no such user or password")
            }
            true => Reply::token("token"),
            false if refused => Reply::with(401, "", ""),
            false => {
                count.fetch_add(1, SeqCst);
                Reply::json(200, EMPTY)
            }
        }
    })
    .await;
    let site = Site::empty(&identities(&fake.url(), MANY_AT_ONCE));
    site.store(60).await;
    let agent = site.agent();
    support::until("the third refused login", || logins.lock().unwrap().len() >= 3).await;
    let settled = site.settled();
    assert!(settled < 60 && site.shots().iter().all(|shot| shot.outcome.as_deref() != Some("refused")));
    changed.store(false, SeqCst);
    support::until("every sighting to be answered", || site.settled() == 60).await;
    assert!(agent.stop().success());

    let outcomes = site.shots();
    assert!(outcomes.iter().all(|shot| shot.outcome.as_deref() == Some("no_face")), "{outcomes:#?}");
    let times = logins.lock().unwrap().clone();
    let apart: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    println!("refused logins were {apart:?} apart");
    for (n, apart) in apart.iter().enumerate() {
        assert!(*apart >= Duration::from_millis(1900 << n), "step {n} came after {apart:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_revoked_with_everything_under_way_costs_one_login() {
    let published = AtomicUsize::new(0);
    let fake = Fake::start(move |request| {
        if !request.is("/publishWithResponse") {
            return Reply::json(200, r#"{"username":"x"}"#);
        }
        let first = request.header("authorization") == Some("Bearer token-1");
        if first && published.fetch_add(1, SeqCst) >= 20 {
            return Reply::with(401, "", "");
        }
        Reply::json(200, EMPTY)
    })
    .await;
    let site = Site::empty(&identities(&fake.url(), MANY_AT_ONCE));
    site.store(80).await;
    let agent = site.agent();
    support::until("every sighting to be answered", || site.settled() == 80).await;
    assert!(agent.stop().success());
    assert_eq!(fake.count("/authenticate"), 2);
    assert!(site.shots().iter().all(|shot| shot.tries == 0), "a new token is no reason to wait");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_comes_back_is_asked_by_one_first() {
    let (down, under_way, most) = (Arc::new(AtomicBool::new(true)), Arc::default(), Arc::new(AtomicUsize::new(0)));
    // Which sighting each request was about.
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let under_way: Arc<AtomicUsize> = under_way;
    let (is_down, seen, most_seen, now_asked) =
        (Arc::clone(&down), Arc::clone(&asked), Arc::clone(&most), Arc::clone(&under_way));
    let fake = Fake::start(move |request: &Request| {
        if !request.is("/publishWithResponse") {
            return Reply::json(200, r#"{"username":"x"}"#);
        }
        let failing = is_down.load(SeqCst);
        // The opening ones come together; those that follow must not.
        if failing && seen.lock().unwrap().len() > 32 {
            most_seen.fetch_max(now_asked.fetch_add(1, SeqCst) + 1, SeqCst);
            std::thread::sleep(Duration::from_millis(50));
            now_asked.fetch_sub(1, SeqCst);
        }
        let sent: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        seen.lock().unwrap().push(sent["detectTimeUtc"].as_str().unwrap().to_owned());
        if failing { Reply::with(503, "", "") } else { Reply::json(200, EMPTY) }
    })
    .await;
    let site =
        Site::empty(&identities(&fake.url(), "concurrency = 32\nretry_max_ms = 300\n[outbox]\ndrain_per_sec = 0"));
    site.store(100).await;
    let agent = site.agent();
    support::until("a dozen probes", || asked.lock().unwrap().len() > 32 + 12).await;
    assert_eq!(most.load(SeqCst), 1, "one at a time while the engine fails");
    let probed: std::collections::BTreeSet<_> = asked.lock().unwrap()[32..].iter().cloned().collect();
    assert!(probed.len() >= 6, "one the engine stumbles over must not be the only one ever tried: {probed:?}");
    down.store(false, SeqCst);
    support::until("every sighting to be answered", || site.settled() == 100).await;
    assert!(agent.stop().success());
}
