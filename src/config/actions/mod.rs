//! Actions: what to do. One file per kind, each with its keys, their defaults and ranges, and what makes no sense; and
//! one row in [`ActionConfig`].
//!
//! In: `[action.NAME]`. Out: [`ActionConfig`]. Templates stand here as they were written; the actions room reads them.

mod door;
mod email;
mod exec;
mod guard;
mod identities;
mod journal;
mod mqtt;
mod preset;
mod relay;
mod syslog;
mod webhook;

pub use email::{EmailConfig, PictureIn, Security};
pub use exec::ExecConfig;
pub use guard::GuardConfig;
pub use identities::WriteBackConfig;
pub use journal::JournalConfig;
pub use mqtt::MqttActionConfig;
pub use preset::{NtfyPreset, Preset, PushoverPreset, SwitchPreset};
pub use relay::{Bias, Drive, LineName, Overlap, RelayConfig};
pub use syslog::{Facility, LogTarget, Severity, SyslogConfig};
pub use webhook::{BodyFormat, WebhookConfig};

use super::reading::At;
use super::section::kinds;

kinds! {
    /// `[action.NAME]`: the kind of action its `type` names.
    pub enum ActionConfig as dyn CommonOfActions, checked by check_action {
        "journal" => Journal(JournalConfig),
        "webhook" => Webhook(WebhookConfig),
        "exec" => Exec(ExecConfig),
        "relay" => Relay(RelayConfig),
        "email" => Email(EmailConfig),
        "syslog" => Syslog(SyslogConfig),
        "identities" => Identities(WriteBackConfig),
        "mqtt" => Mqtt(MqttActionConfig),
    }
}

/// What an action is like, whatever its kind.
#[derive(Default)]
struct Nature<'a> {
    /// How many are performed at once; what more comes waits its turn.
    concurrency: u16,
    /// It moves something in the world.
    is_actuator: bool,
    /// It keeps a record and disturbs nobody.
    only_records: bool,
    /// The guard of what is, or could be, an actuator.
    guard: Option<&'a GuardConfig>,
    /// A section of the main file that it cannot do without.
    needs: Option<Needed>,
}

/// A section that an action needs.
struct Needed {
    section: &'static str,
    /// What is wrong where it is missing.
    problem: &'static str,
}

/// What every kind of action says of itself.
trait CommonOfActions {
    fn nature(&self) -> Nature<'_>;

    /// The word, of its name or of what it does, that looks as if this opened a door.
    fn looks_like_a_door(&self, _name: &str) -> Option<String> {
        None
    }
}

impl ActionConfig {
    /// It moves something in the world.
    pub fn is_actuator(&self) -> bool {
        self.common().nature().is_actuator
    }

    /// It keeps a record and disturbs nobody.
    pub fn only_records(&self) -> bool {
        self.common().nature().only_records
    }

    /// How many are performed at once; what more comes waits its turn.
    pub fn concurrency(&self) -> u16 {
        self.common().nature().concurrency
    }

    /// What must hold before it moves; `None` for what is no actuator.
    pub fn guard(&self) -> Option<&GuardConfig> {
        let nature = self.common().nature();
        nature.guard.filter(|_| nature.is_actuator)
    }

    /// The word that looks as if this opened a door; `None` for an actuator, which is guarded.
    fn looks_like_a_door(&self, name: &str) -> Option<String> {
        self.common().looks_like_a_door(name).filter(|_| !self.is_actuator())
    }

    /// Notes a section that this needs and that is not written. `at` is the root of the main file.
    pub(super) fn check_needs(&self, name: &str, at: &At<'_>) {
        if let Some(Needed { section, problem }) = self.common().nature().needs
            && !at.is_written(section)
        {
            at.wrong(&["action", name], problem);
        }
    }
}

fn check_action(action: &ActionConfig, at: &At<'_>) {
    let nature = action.common().nature();
    if !nature.is_actuator && nature.guard.is_some_and(|guard| *guard != GuardConfig::default()) {
        at.unwise(&["guard"], "it has no effect: only an actuator is guarded; write `actuator = true`");
    }
    let name = at.path.last().map(String::as_str).unwrap_or_default();
    // Who writes `actuator = false` has thought of it.
    if let Some(word) = action.looks_like_a_door(name).filter(|_| !at.is_written("actuator")) {
        at.unwise(
            &["actuator"],
            format!(
                "`{word}` looks as if this opened something, and nothing guards it: it is performed for one \
                 picture, without a tag, and also when the answer comes an hour late; write `actuator = true`, or \
                 `actuator = false` if nothing moves"
            ),
        );
    }
}
