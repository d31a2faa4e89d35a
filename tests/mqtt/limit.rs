//! A broker that hangs up on what is too large for it: that is set aside and told, and all else arrives.

use bytes::Bytes;
use doorward::actions::mqtt::Link;
use doorward::recognition::Answer;

use crate::broker::{Mosquitto, Watcher};
use crate::support::wait_for;
use crate::{Ours, ada, name, recognition, settings};

/// As small as a broker on a microcontroller may set it.
const SMALL: &str = "allow_anonymous true\nmax_packet_size 4000\nmessage_size_limit 4000";

#[test]
fn a_picture_the_broker_hangs_up_on_is_set_aside_and_blocks_nothing() {
    let broker = Mosquitto::with(SMALL);
    let watcher = Watcher::start(broker.port, "watcher");
    // From when its limit was another: of somebody who is not there any more.
    watcher.keep("doorward/detector/front-door/picture", "of yesterday");
    let ours = Ours::start(&settings(&format!("url = '{}'\nhome_assistant = true", broker.url())), &["front-door"]);
    let door = name("front-door");
    watcher.wait("front-door/state", |_| true);
    ours.home.sighted(&door, Bytes::from(vec![7; 60_000]));
    ours.home.recognised(&recognition(1, ada()), 0.8, None, false);
    ours.home.camera(&door, true);

    wait_for("the picture to be set aside", || ours.broker.trouble().contains("front-door/picture").then_some(()));
    let told = |event_type: &str| {
        wait_for(&format!("the visit, {event_type}"), || {
            let told = watcher.on("/event").into_iter().chain(watcher.on("/late"));
            told.into_iter().find(|got| got.json()["event_type"] == event_type)
        })
    };
    told("recognised");
    watcher.wait_json("front-door/last", "person", "Ada Lovelace");
    watcher.wait("front-door/availability", |got| got.text() == "online");
    watcher.wait("front-door/picture", |got| got.payload.is_empty());
    wait_for("the connection", || (*ours.broker.link().borrow() == Link::Up).then_some(()));

    // The next one costs no connection any more, and the visits go on.
    ours.home.sighted(&door, Bytes::from(vec![8; 70_000]));
    ours.home.recognised(&recognition(2, Answer::Unknown { confidence: None, nearest: None }), 0.8, None, false);
    told("unknown");
    assert!(ours.broker.trouble().starts_with("2 messages were set aside"), "{}", ours.broker.trouble());
    assert_eq!(*ours.broker.link().borrow(), Link::Up);
    ours.stop();
}

#[test]
fn what_the_configuration_limits_is_not_even_tried() {
    let broker = Mosquitto::with(SMALL);
    let watcher = Watcher::start(broker.port, "watcher");
    let toml = format!("url = '{}'\nstates = true\nmax_packet_bytes = 3000", broker.url());
    let ours = Ours::start(&settings(&toml), &["front-door"]);
    watcher.wait("front-door/state", |_| true);
    ours.home.sighted(&name("front-door"), Bytes::from(vec![7; 3_000]));
    let trouble = ours.broker.trouble();
    assert!(trouble.contains("`mqtt.max_packet_bytes` is 3000") && trouble.contains("picture"), "{trouble}");
    ours.home.sighted(&name("front-door"), Bytes::from(vec![7; 2_900]));
    watcher.wait("front-door/picture", |got| got.payload.len() == 2_900);
    assert_eq!(*ours.broker.link().borrow(), Link::Up);
    ours.stop();
}
