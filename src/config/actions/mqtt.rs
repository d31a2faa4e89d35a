//! `type = "mqtt"`: a message to the broker of `[mqtt]`.

use serde::Deserialize;

use super::GuardConfig;
use crate::config::validate::ActionChecker;

/// `type = "mqtt"`: a message to the broker of `[mqtt]`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttActionConfig {
    /// A template; in values `/`, `+` and `#` become `_`.
    pub topic: String,
    /// A template, of JSON when it starts with `{` or `[`, else of text; without it the whole event as JSON.
    #[serde(default)]
    pub payload: Option<String>,
    /// 1: the broker confirms it. 0: sent once, and nobody knows.
    #[serde(default = "default_qos")]
    pub qos: u8,
    /// The broker keeps it for whoever subscribes later.
    #[serde(default)]
    pub retain: bool,
    /// Until the broker has confirmed it; what could not be handed over by then is not sent any more.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
    /// Messages waiting for their confirmation at once.
    #[serde(default = "super::default::concurrency")]
    pub concurrency: u16,
    /// It moves something in the world (opens a door): never performed late, never repeated.
    #[serde(default)]
    pub actuator: bool,
    /// What must hold before it does.
    #[serde(default)]
    pub guard: GuardConfig,
}

impl MqttActionConfig {
    /// Publishes the event as JSON, confirmed by the broker.
    pub fn new(topic: impl Into<String>) -> Self {
        Self {
            topic: topic.into(),
            payload: None,
            qos: default_qos(),
            retain: false,
            timeout_ms: default_timeout_ms(),
            concurrency: super::default::concurrency(),
            actuator: false,
            guard: GuardConfig::default(),
        }
    }

    pub(super) fn check(&self, checker: &mut ActionChecker<'_, '_>) {
        if self.topic.trim().is_empty() {
            checker.wrong(&["topic"], "it is empty; write it like `house/door/{{ detector }}`");
        }
        checker.range("qos", self.qos, 0..=1);
        if self.actuator && self.retain {
            let problem = "the broker would repeat the command to whoever connects later; an actuator must not";
            checker.wrong(&["retain"], problem);
        }
        checker.range("timeout_ms", self.timeout_ms, 100..=600_000);
        checker.range("concurrency", self.concurrency, 1..=64);
    }
}

impl std::fmt::Debug for MqttActionConfig {
    /// The payload may hold a secret: its size only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MqttActionConfig")
            .field("topic", &self.topic)
            .field("payload_bytes", &self.payload.as_ref().map(String::len))
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .field("timeout_ms", &self.timeout_ms)
            .field("actuator", &self.actuator)
            .finish()
    }
}

fn default_qos() -> u8 {
    1
}

fn default_timeout_ms() -> u64 {
    10_000
}
