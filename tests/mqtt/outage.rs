//! The broker goes away and comes back: nothing is lost, nothing old looks new.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::Utc;
use doorward::actions::mqtt::Link;
use doorward::recognition::Answer;

use crate::broker::{Got, Mosquitto, Watcher};
use crate::support::wait_for;
use crate::{LATE_AFTER, Ours, ada, name, recognition, settings, stay};

fn wait_until_away(ours: &Ours) {
    wait_for("the outage to be noticed", || matches!(*ours.broker.link().borrow(), Link::Down { .. }).then_some(()));
}

/// What was told of each visit, live or late.
fn visits(watcher: &Watcher) -> BTreeSet<String> {
    let told: Vec<Got> = watcher.on("/event").into_iter().chain(watcher.on("/late")).collect();
    told.iter().map(|got| got.json()["visit"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_happened_meanwhile_is_told_as_late_and_states_as_they_are_now() {
    let mut broker = Mosquitto::start();
    let watcher = Watcher::start(broker.port, "watcher");
    let ours = Ours::start(&settings(&format!("url = '{}'\nhome_assistant = true", broker.url())), &["front-door"]);
    let door = name("front-door");
    watcher.wait("/state", |_| true);

    broker.kill();
    wait_until_away(&ours);
    // Somebody came and left, and somebody else is there now.
    let gone = recognition(1, ada());
    ours.home.present(&door, &[stay(&gone, Utc::now())]);
    ours.home.recognised(&gone, 0.8, None, false);
    ours.home.present(&door, &[]);
    ours.home.left(&stay(&gone, Utc::now()));
    std::thread::sleep(LATE_AFTER + Duration::from_millis(200));
    let there = recognition(2, Answer::Unknown { confidence: None, nearest: None });
    ours.home.present(&door, &[stay(&there, Utc::now())]);
    assert_eq!(ours.broker.waiting(), 2);
    broker.restart();

    let late = watcher.wait_json("/late", "event_type", "left");
    assert_eq!((&late["late"], &late["person"]), (&true.into(), &"Ada Lovelace".into()));
    let late = watcher.wait_json("/late", "event_type", "recognised");
    assert_eq!(late["late"], true);
    let seen_at = late["seen_at"].as_str().unwrap().parse::<chrono::DateTime<Utc>>().unwrap();
    assert_eq!(seen_at.timestamp_millis(), gone.seen_at.timestamp_millis(), "with its own time");
    // The next live event comes the usual way, and is the first there.
    ours.home.recognised(&recognition(2, Answer::Unknown { confidence: None, nearest: None }), 0.8, None, false);
    watcher.wait_json("/event", "event_type", "unknown");
    assert_eq!(watcher.on("/event").len(), 1);
    watcher.wait_json("/state", "person", "unknown person");
    let states: Vec<_> = watcher.on("/state").iter().map(|got| got.json()["person"].clone()).collect();
    assert!(!states.contains(&"Ada Lovelace".into()), "what was never told need not be told: {states:?}");
    ours.stop();
}

#[test]
fn a_late_answer_changes_no_state() {
    let broker = Mosquitto::start();
    let watcher = Watcher::start(broker.port, "watcher");
    let ours = Ours::start(&settings(&format!("url = '{}'\nstates = true", broker.url())), &["front-door"]);
    let mut restarted = recognition(3, ada());
    restarted.arrived = None;
    ours.home.recognised(&recognition(1, ada()), 0.8, None, true);
    ours.home.recognised(&restarted, 0.8, None, false);
    let mut earlier = stay(&restarted, Utc::now());
    earlier.last_seen -= chrono::TimeDelta::hours(1);
    ours.home.left(&earlier);
    wait_for("the late events", || (watcher.on("/late").len() == 3).then_some(()));
    ours.stop();
    assert!(watcher.on("/late").iter().all(|got| got.json()["late"] == true));
    assert!(watcher.on("/event").is_empty() && watcher.on("/last").is_empty());
    assert!(watcher.on("/state").iter().all(|got| got.json()["present"] == false));
}

#[test]
fn a_thousand_visits_arrive_although_the_broker_restarts_in_their_middle() {
    let mut broker = Mosquitto::with("allow_anonymous true\npersistence true");
    let watcher = Watcher::start(broker.port, "watcher");
    let ours = Ours::start(&settings(&format!("url = '{}'\nhome_assistant = true", broker.url())), &["front-door"]);
    for n in 1..=1000 {
        ours.home.recognised(&recognition(n, ada()), 0.8, None, false);
        match n {
            // With messages on their way.
            400 => broker.stop(),
            700 => broker.restart(),
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    wait_for("every visit", || (visits(&watcher).len() == 1000).then_some(()));
    let told = watcher.on("/event").len() + watcher.on("/late").len();
    // At least once: what was on its way when the broker went may come twice, and has the same id then.
    assert!((1000..1100).contains(&told), "{told}");
    ours.stop();
}

/// A broker that dies takes with it what it has confirmed and not passed on; what it has not confirmed comes again.
#[test]
fn a_broker_killed_in_the_middle_is_found_again() {
    let mut broker = Mosquitto::start();
    let ours = Ours::start(&settings(&format!("url = '{}'\nhome_assistant = true", broker.url())), &["front-door"]);
    for round in 0..3_u128 {
        let watcher = Watcher::start(broker.port, &format!("watcher-{round}"));
        wait_for("the connection", || (*ours.broker.link().borrow() == Link::Up).then_some(()));
        (0..50).for_each(|n| ours.home.recognised(&recognition(1 + round * 100 + n, ada()), 0.8, None, false));
        wait_for("the visits", || (visits(&watcher).len() == 50).then_some(()));
        drop(watcher);
        broker.kill();
        wait_until_away(&ours);
        ours.home.recognised(&recognition(99 + round * 100, ada()), 0.8, None, false);
        broker.restart();
        let watcher = Watcher::start(broker.port, &format!("second-{round}"));
        wait_for("the visit during the outage", || {
            // It may have been passed on before anybody listened: then nobody waits for it here any more.
            (ours.broker.waiting() == 0 && *ours.broker.link().borrow() == Link::Up).then_some(())
        });
        watcher.wait("/state", |_| true);
    }
    ours.stop();
}
