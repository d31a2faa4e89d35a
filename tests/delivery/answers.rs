//! Bad answers cost bounded memory and time, and every one ends in a counted outcome.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use super::fake::{Fake, Reply};
use super::*;

/// Each bad answer, whether the sighting is tried again, and how often it was given.
const KINDS: usize = 16;
/// Of the agent, while it takes hundreds of megabytes of bad answers, four at once.
const MOST_MEMORY: u64 = 48 << 20;

fn bad(kind: usize) -> Reply {
    const HUGE: usize = 64 << 20;
    let faces = |n: usize, face: &str| format!(r#"{{"detectedFaces":[{}]}}"#, vec![face; n].join(","));
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    match kind {
        // Final: asking again would bring the same.
        0 => Reply::flood(format!("{head}Content-Length: {HUGE}\r\n\r\n"), HUGE),
        1 => Reply::flood(format!("{head}Transfer-Encoding: chunked\r\n\r\n4000000\r\n"), HUGE),
        2 => Reply::flood(format!("{head}\r\n"), HUGE),
        3 => Reply::json(200, r#"{"detectedFaces":"many"}"#),
        4 => Reply::json(200, &"[".repeat(500_000)),
        6 => Reply::json(200, &faces(1, &format!(r#"{{"person":{{"personId":"{}"}}}}"#, "x".repeat(3 << 20)))),
        // An answer all the same: the beginning of a crowd, and of what is known of somebody.
        5 => Reply::json(200, &faces(5_000, "{}")),
        14 => {
            let start = r#"{"detectedFaces":[{"person":{"personId":"p","entityFields":["#;
            let field = r#"{"name":"Remark","stringValue":"She was here."},"#;
            Reply::Long(format!("{head}\r\n{start}"), field.into(), 2 * HUGE / field.len(), String::new())
        }
        7 => Reply::flood(format!("HTTP/1.1 400 No\r\nContent-Length: {HUGE}\r\n\r\n"), HUGE),
        // Again: the next answer may be whole.
        8 => Reply::Drip(format!("{head}Content-Length: 1000000\r\n\r\n{{").into_bytes()),
        9 => Reply::Drip(b"HTTP/1.1 200 OK\r\nX-Slow:".to_vec()),
        10 => Reply::Raw(format!("{head}Content-Length: 100\r\n\r\n{{\"detectedFaces\":[]}}").into_bytes()),
        11 => Reply::flood("HTTP/1.1 200 OK\r\nX-Endless: ".into(), HUGE),
        12 => Reply::flood(format!("HTTP/1.1 503 Busy\r\nContent-Length: {HUGE}\r\n\r\n"), HUGE),
        13 => Reply::json(200, "\u{0}\u{1}<html>"),
        _ => Reply::Silence,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_answers_cost_bounded_memory_and_end_in_an_outcome() {
    let (turn, bad_until, kinds) =
        (AtomicUsize::new(0), Arc::new(AtomicUsize::new(8)), Arc::new(Mutex::new([0; KINDS])));
    let (end, given) = (Arc::clone(&bad_until), Arc::clone(&kinds));
    let fake = Fake::start(move |request| {
        if !request.is("/publishWithResponse") {
            return Reply::json(200, r#"{"username":"x"}"#);
        }
        let turn = turn.fetch_add(1, SeqCst);
        // Eight good ones first, for what a working agent takes.
        if turn < 8 || turn >= end.load(SeqCst) {
            return Reply::json(200, r#"{"detectedFaces":[]}"#);
        }
        given.lock().unwrap()[turn % KINDS] += 1;
        bad(turn % KINDS)
    })
    .await;
    let more = "timeout_ms = 1500\nretry_max_ms = 100\nconcurrency = 4\n[outbox]\ndrain_per_sec = 0";
    let site = Site::empty(&identities(&fake.url(), more));
    site.store(8).await;
    let agent = site.agent();
    support::until("the good answers", || site.settled() == 8).await;
    // A model takes its memory when it first runs, tens of megabytes of it: that is not what answers cost.
    support::until("the recording to be searched", || site.has_searched(&agent, 1)).await;
    let before = memory_of(agent.0.id(), "VmHWM");
    assert!(agent.stop().success());

    // Three rounds of every kind, then good ones again.
    bad_until.store(8 + 3 * KINDS, SeqCst);
    site.store(60).await;
    let agent = site.agent();
    support::until("every sighting to be settled", || site.settled() == 60).await;
    support::until("the recording to be searched", || site.has_searched(&agent, 2)).await;
    let grown = memory_of(agent.0.id(), "VmHWM").saturating_sub(before);
    assert!(agent.stop().success());

    let shots = site.shots();
    let count = |outcome: &str| shots.iter().filter(|shot| shot.outcome.as_deref() == Some(outcome)).count();
    let reasons: Vec<_> = shots.iter().filter_map(|shot| shot.reason.clone()).collect();
    println!("memory grew by {} KiB; {} flooded; {reasons:#?}", grown >> 10, fake.flooded());
    assert_eq!(*kinds.lock().unwrap(), [3; KINDS]);
    let counts = ["refused", "unknown", "known", "no_face"].map(count);
    assert_eq!(counts, [3 * 7, 3, 3, 60 - 3 * 9], "{shots:#?}");
    let cut = shots.iter().filter(|shot| shot.reason.as_ref().is_some_and(|reason| reason.contains("is too large")));
    assert_eq!(cut.map(|shot| shot.outcome.as_deref()).collect::<Vec<_>>(), [Some("known"); 3]);
    assert!(shots.iter().filter(|shot| shot.outcome.as_deref() == Some("refused")).all(|shot| shot.reason.is_some()));
    assert!(shots.iter().map(|shot| shot.tries).sum::<u32>() >= 3 * 7, "what broke off is tried again: {shots:#?}");
    assert!(grown < MOST_MEMORY, "memory grew by {grown} bytes");
}
