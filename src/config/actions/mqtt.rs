//! `type = "mqtt"`: a message to the broker of `[mqtt]`.

use super::{CommonOfActions, GuardConfig, Nature, Needed, door};
use crate::config::reading::At;
use crate::config::section::{hidden, section};

section! {
    /// `type = "mqtt"`: a message to the broker of `[mqtt]`.
    pub struct MqttActionConfig: new(topic: impl Into<String>), checked by check_message {
        /// A template; in values `/`, `+` and `#` become `_`.
        pub topic: String;
        /// A template, of JSON when it starts with `{` or `[`, else of text; without it the whole event as JSON. It may
        /// hold a secret.
        pub payload: Option<String> = None, shown as hidden;
        /// 1: the broker confirms it. 0: sent once, and nobody knows.
        pub qos: u8 = 1, in 0..=1;
        /// The broker keeps it for whoever subscribes later.
        pub retain: bool = false;
        /// Until the broker has confirmed it; what could not be handed over by then is not sent any more.
        pub timeout_ms: u64 = 10_000, in 100..=600_000;
        /// Messages waiting for their confirmation at once.
        pub concurrency: u16 = 4, in 1..=64;
        /// It moves something in the world (opens a door): never performed late, never repeated.
        pub actuator: bool = false;
        /// What must hold before it does.
        pub guard: GuardConfig = GuardConfig::default();
    }
}

impl CommonOfActions for MqttActionConfig {
    fn nature(&self) -> Nature<'_> {
        let problem = "it needs a broker, and none is configured: add `[mqtt]` with its `url`";
        let needs = Some(Needed { section: "mqtt", problem });
        let Self { concurrency, actuator: is_actuator, ref guard, .. } = *self;
        Nature { concurrency, is_actuator, guard: Some(guard), needs, ..Nature::default() }
    }

    fn looks_like_a_door(&self, name: &str) -> Option<String> {
        let payload = || self.payload.as_deref().and_then(door::in_words);
        door::in_words(name).or_else(|| door::in_address(&self.topic)).or_else(payload)
    }
}

fn check_message(message: &MqttActionConfig, at: &At<'_>) {
    at.wrong_if(message.topic.trim().is_empty(), &["topic"], "it is empty; write it like `house/door/{{ detector }}`");
    if message.actuator && message.retain {
        let problem = "the broker would repeat the command to whoever connects later; an actuator must not";
        at.wrong(&["retain"], problem);
    }
}
