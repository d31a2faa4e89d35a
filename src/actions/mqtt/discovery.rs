//! What Home Assistant is told of: one device per detector, one for the box. Pure.
//!
//! In: the topics. Out: the payloads of Home Assistant's MQTT device discovery
//! (<https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload>), which it keeps and every restart of
//! it reads again. What the topics hold is for `state`; `tests/mqtt/` checks these payloads against its schema.

use serde_json::{Value, json};

use super::state::EVENT_TYPES;
use super::topics::Topics;
use crate::config::DetectorName;

/// A camera's phases, as the status page names them.
const CAMERA_PHASES: [&str; 4] = ["starting", "live", "lost", "ended"];

/// One detector: who is there, who was, the picture, what happens, how its camera does.
pub fn detector(topics: &Topics, name: &DetectorName, pictures: bool) -> Value {
    let topic = |leaf: &str| topics.detector(name, leaf);
    let id = topics.detector_id(name);
    let (state, last, diagnostics) = (topic("state"), topic("last"), topic("diagnostics"));
    // These say what is wrong while the camera is away, so they do not go away with it.
    let always = json!([{ "topic": topics.box_availability() }]);
    let mut components = json!({
        "person": {
            "platform": "sensor", "name": "Person", "icon": "mdi:account",
            "state_topic": state, "value_template": "{{ value_json.person }}", "json_attributes_topic": state,
        },
        "present": {
            "platform": "binary_sensor", "name": "Present", "device_class": "occupancy",
            "state_topic": state, "value_template": "{{ 'ON' if value_json.present else 'OFF' }}",
        },
        "last_person": {
            "platform": "sensor", "name": "Last person", "icon": "mdi:account-clock",
            "state_topic": last, "value_template": "{{ value_json.person }}", "json_attributes_topic": last,
        },
        "last_seen": {
            "platform": "sensor", "name": "Last seen", "device_class": "timestamp",
            "state_topic": last, "value_template": "{{ value_json.seen_at }}",
        },
        "visit": {
            "platform": "event", "name": "Visit", "icon": "mdi:doorbell-video",
            "state_topic": topic("event"), "event_types": EVENT_TYPES,
        },
        "camera": {
            "platform": "sensor", "name": "Camera", "icon": "mdi:cctv",
            "device_class": "enum", "options": CAMERA_PHASES, "entity_category": "diagnostic", "availability": always,
            "state_topic": diagnostics, "value_template": "{{ value_json.camera }}",
            "json_attributes_topic": diagnostics,
        },
        "fps": {
            "platform": "sensor", "name": "Frames searched", "icon": "mdi:speedometer", "unit_of_measurement": "fps",
            "state_class": "measurement", "entity_category": "diagnostic", "availability": always,
            "state_topic": diagnostics, "value_template": "{{ value_json.searched_fps }}",
        },
        "problem": {
            "platform": "binary_sensor", "name": "Problem", "device_class": "problem",
            "entity_category": "diagnostic", "availability": always,
            "state_topic": diagnostics, "value_template": "{{ 'ON' if value_json.problem else 'OFF' }}",
        },
    });
    if pictures {
        components["picture"] = json!({
            "platform": "image", "name": "Last picture",
            "image_topic": topic("picture"), "content_type": "image/jpeg",
        });
    }
    json!({
        "device": {
            "identifiers": [id], "name": name.as_str(), "manufacturer": "doorward", "model": "Face detector",
            "sw_version": env!("CARGO_PKG_VERSION"), "via_device": topics.box_id(),
        },
        "origin": origin(),
        "availability": [{ "topic": topics.box_availability() }, { "topic": topic("availability") }],
        "availability_mode": "all",
        "qos": 1,
        "components": identified(&id, components),
    })
}

/// The box: whether the engine answers, what waits, whether anything is wrong.
pub fn of_box(topics: &Topics) -> Value {
    let (id, diagnostics) = (topics.box_id(), topics.of_box("diagnostics"));
    let components = json!({
        "engine": {
            "platform": "binary_sensor", "name": "Engine", "device_class": "connectivity",
            "entity_category": "diagnostic", "state_topic": diagnostics,
            "value_template": "{{ 'ON' if value_json.engine == 'answering' else 'OFF' }}",
        },
        "waiting": {
            "platform": "sensor", "name": "Waiting faces", "icon": "mdi:tray-full", "unit_of_measurement": "faces",
            "state_class": "measurement", "entity_category": "diagnostic", "state_topic": diagnostics,
            "value_template": "{{ value_json.waiting }}",
        },
        "problem": {
            "platform": "binary_sensor", "name": "Problem", "device_class": "problem",
            "entity_category": "diagnostic", "state_topic": diagnostics,
            "value_template": "{{ 'ON' if value_json.problem else 'OFF' }}",
            "json_attributes_topic": diagnostics,
        },
    });
    json!({
        "device": {
            "identifiers": [id], "name": topics.client_id, "manufacturer": "doorward", "model": "Box",
            "sw_version": env!("CARGO_PKG_VERSION"),
        },
        "origin": origin(),
        "availability": [{ "topic": topics.box_availability() }],
        "qos": 1,
        "components": identified(&id, components),
    })
}

/// The entities of one device; each is known by the device's id and its own name.
fn identified(device: &str, mut components: Value) -> Value {
    for (name, component) in components.as_object_mut().into_iter().flatten() {
        component["unique_id"] = format!("{device}_{name}").into();
    }
    components
}

fn origin() -> Value {
    json!({ "name": "doorward", "sw_version": env!("CARGO_PKG_VERSION") })
}
