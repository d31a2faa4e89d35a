//! Actions: what to do. One file per kind, each with its keys, their defaults and what makes no sense.
//!
//! In: `[action.NAME]`. Out: [`ActionConfig`]. Templates stand here as they were written; the actions room reads them.

mod door;
mod email;
mod exec;
mod guard;
mod identities;
mod journal;
mod mqtt;
mod relay;
mod syslog;
mod webhook;

use serde::Deserialize;

pub use email::{EmailConfig, PictureIn, Security};
pub use exec::ExecConfig;
pub use guard::GuardConfig;
pub use identities::WriteBackConfig;
pub use journal::JournalConfig;
pub use mqtt::MqttActionConfig;
pub use relay::{Bias, Drive, LineName, Overlap, RelayConfig};
pub use syslog::{Facility, LogTarget, Severity, SyslogConfig};
pub use webhook::{BodyFormat, NtfyPreset, Preset, PushoverPreset, SwitchPreset, WebhookConfig};

use super::diagnose::keys_of;
use super::validate::ActionChecker;

/// `[action.NAME]`: the kind its `type` names; read like [`CameraConfig`](super::CameraConfig).
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant)] // a handful of them, read once
pub enum ActionConfig {
    Journal(JournalConfig),
    Webhook(WebhookConfig),
    Exec(ExecConfig),
    Relay(RelayConfig),
    Email(EmailConfig),
    Syslog(SyslogConfig),
    Identities(WriteBackConfig),
    Mqtt(MqttActionConfig),
}

impl ActionConfig {
    /// It moves something in the world.
    pub fn is_actuator(&self) -> bool {
        match self {
            Self::Relay(_) => true,
            Self::Webhook(webhook) => webhook.is_actuator(),
            Self::Exec(exec) => exec.actuator,
            Self::Mqtt(mqtt) => mqtt.actuator,
            Self::Journal(_) | Self::Email(_) | Self::Syslog(_) | Self::Identities(_) => false,
        }
    }

    /// It keeps a record and disturbs nobody.
    pub fn only_records(&self) -> bool {
        matches!(self, Self::Journal(_) | Self::Syslog(_))
    }

    /// Performed at once; what more comes waits its turn.
    pub fn concurrency(&self) -> u16 {
        match self {
            Self::Webhook(webhook) => webhook.concurrency,
            Self::Exec(exec) => exec.concurrency,
            Self::Email(email) => email.concurrency,
            Self::Syslog(syslog) => syslog.concurrency,
            Self::Identities(write_back) => write_back.concurrency,
            Self::Mqtt(mqtt) => mqtt.concurrency,
            // A file and its rotation are one writer's.
            Self::Journal(_) => 1,
            // Requests meet at the line, which says what becomes of those that overlap.
            Self::Relay(_) => u16::MAX,
        }
    }

    /// What must hold before it moves; `None` for what is no actuator.
    pub fn guard(&self) -> Option<&GuardConfig> {
        self.written_guard().filter(|_| self.is_actuator())
    }

    /// Also of what could be an actuator and is none.
    fn written_guard(&self) -> Option<&GuardConfig> {
        match self {
            Self::Relay(relay) => Some(&relay.guard),
            Self::Webhook(webhook) => Some(&webhook.guard),
            Self::Exec(exec) => Some(&exec.guard),
            Self::Mqtt(mqtt) => Some(&mqtt.guard),
            Self::Journal(_) | Self::Email(_) | Self::Syslog(_) | Self::Identities(_) => None,
        }
    }

    /// Notes values that make no sense.
    pub(super) fn check(&self, checker: &mut ActionChecker<'_, '_>) {
        if let Some(guard) = self.written_guard() {
            guard.check(self.is_actuator(), checker);
        }
        // Who writes `actuator = false` has thought of it.
        if let Some(word) = door::looks_like_a_door(checker.name(), self).filter(|_| !checker.is_written("actuator")) {
            checker.unwise(
                &["actuator"],
                format!(
                    "`{word}` looks as if this opened something, and nothing guards it: it is performed for one picture, \
                     without a tag, and also when the answer comes an hour late; write `actuator = true`, or \
                     `actuator = false` if nothing moves"
                ),
            );
        }
        match self {
            Self::Journal(journal) => journal.check(checker),
            Self::Webhook(webhook) => webhook.check(checker),
            Self::Exec(exec) => exec.check(checker),
            Self::Relay(relay) => relay.check(checker),
            Self::Email(email) => email.check(checker),
            Self::Syslog(syslog) => syslog.check(checker),
            Self::Identities(write_back) => write_back.check(checker),
            Self::Mqtt(mqtt) => mqtt.check(checker),
        }
    }
}

/// Every `type` and its keys.
pub(super) fn kinds() -> Vec<(&'static str, &'static [&'static str])> {
    vec![
        ("journal", keys_of::<JournalConfig>()),
        ("webhook", keys_of::<WebhookConfig>()),
        ("exec", keys_of::<ExecConfig>()),
        ("relay", keys_of::<RelayConfig>()),
        ("email", keys_of::<EmailConfig>()),
        ("syslog", keys_of::<SyslogConfig>()),
        ("identities", keys_of::<WriteBackConfig>()),
        ("mqtt", keys_of::<MqttActionConfig>()),
    ]
}

/// What the kinds that talk to somebody have in common.
mod default {
    pub fn timeout_ms() -> u64 {
        5_000
    }
    pub fn tries() -> u32 {
        4
    }
    pub fn within_ms() -> u64 {
        60_000
    }
    pub fn concurrency() -> u16 {
        4
    }
}

/// The ranges of the keys that [`default`] is for.
fn check_tries(checker: &mut ActionChecker<'_, '_>, timeout_ms: u64, tries: u32, within_ms: u64, concurrency: u16) {
    checker.range("timeout_ms", timeout_ms, 100..=60_000);
    checker.range("tries", tries, 1..=20);
    checker.range("within_ms", within_ms, 100..=3_600_000);
    checker.range("concurrency", concurrency, 1..=64);
}
