//! What the MQTT broker keeps of what is purged.
//!
//! In: the selection, what was erased on this machine, and the topics this box has told things under. Out: those that
//! were cleared at the broker, and each that may still be there, with the reason. Pictures, states and who was seen
//! last are personal; when everything goes and no doorward is running, so do announcements and all else.

use serde::Serialize;
use serde_json::Value;

use crate::actions::mqtt::{Broker, Home, Kept, sweep};
use crate::config::{DetectorName, Settings};
use crate::outbox::{Purge, Selection};

/// How the broker was left.
#[derive(Debug, Default)]
pub struct AtBroker {
    pub cleared: Vec<String>,
    pub left: Vec<Left>,
}

/// A topic under which something may still be kept.
#[derive(Debug, Serialize)]
pub struct Left {
    pub broker: String,
    pub topic: String,
    pub why: String,
}

/// Clears what the broker keeps of it.
pub async fn clear(settings: &Settings, selection: &Selection, purge: &Purge) -> anyhow::Result<AtBroker> {
    let running = purge.beside_a_running_one();
    let mut here = Vec::new();
    let mut at_broker = AtBroker::default();
    let broker = settings.mqtt.as_ref().map(Broker::new).transpose()?;
    let address = broker.as_ref().map(Broker::address);
    for topic in purge.broker_topics() {
        if address.as_ref() == Some(&topic.broker) {
            here.push(topic.clone());
        } else if matters(&topic.topic, selection, running) {
            let why = "the configuration names no such broker any more; clear it there".to_owned();
            at_broker.left.push(Left { broker: topic.broker.clone(), topic: topic.topic.clone(), why });
        }
    }
    let (Some(config), Some(broker)) = (&settings.mqtt, broker) else { return Ok(at_broker) };
    // What an older version told is on no record.
    if config.publishes() {
        let names: Vec<DetectorName> = settings.detectors.iter().map(|detector| detector.name.clone()).collect();
        here.extend(Home::topics(config, &broker, &names));
    }
    here.retain(|topic| matters(&topic.topic, selection, running));
    here.sort();
    here.dedup_by(|one, other| one.topic == other.topic);
    if here.is_empty() {
        return Ok(at_broker);
    }
    let unwanted = |kept: &Kept<'_>| is_unwanted(kept, selection, purge, running);
    let address = broker.address();
    let left = match sweep(config, &here, running, unwanted).await {
        Ok(swept) => {
            at_broker.cleared = swept.cleared;
            swept.left.into_iter().map(|topic| (topic, "the broker did not let it be cleared".to_owned())).collect()
        }
        Err(why) => here.into_iter().map(|topic| (topic.topic, why.clone())).collect::<Vec<_>>(),
    };
    at_broker.left.extend(left.into_iter().map(|(topic, why)| Left { broker: address.clone(), topic, why }));
    Ok(at_broker)
}

/// Whether what is kept under this topic can be concerned.
fn matters(topic: &str, selection: &Selection, running: bool) -> bool {
    let personal = ["/picture", "/last", "/state"].iter().any(|leaf| topic.ends_with(leaf));
    personal || (*selection == Selection::All && !running)
}

fn is_unwanted(kept: &Kept<'_>, selection: &Selection, purge: &Purge, running: bool) -> bool {
    if *selection == Selection::All {
        return true;
    }
    match kept.leaf {
        // Nobody can tell from a picture whose it is: it is of the newest shot.
        "picture" => kept.detector.is_some_and(|detector| purge.has_erased_newest(detector)),
        "last" | "state" => {
            let told: Value = serde_json::from_slice(kept.payload).unwrap_or_default();
            // Others may be named in a state; while no doorward runs, nobody is there.
            let nobody_can_tell = !running && kept.leaf == "state" && told["present"] == true;
            told["visit"].as_str().is_some_and(|visit| purge.has_erased(visit))
                || super::selects(selection, &told["person_id"], &told["seen_at"])
                || (matches!(selection, Selection::Person(_)) && nobody_can_tell)
        }
        _ => false,
    }
}
