//! The configuration: what the files may say, its defaults, and the checked value every room works from.
//!
//! In: `doorward.toml`, one file per detector, the environment, credentials. Out: [`Settings`], or a list of
//! mistakes that name file, line and key. Rooms see their own section and nothing else.

mod actions;
mod address;
mod detector;
mod diagnose;
mod layers;
mod load;
mod mqtt;
mod place;
mod rules;
mod secrets;
mod settings;
mod show;
#[cfg(test)]
mod tests;
mod time_zone;
mod tree;
mod validate;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use identities::text;
use serde::{Deserialize, Serialize};

pub use actions::{
    ActionConfig, Bias, BodyFormat, Drive, EmailConfig, ExecConfig, Facility, GuardConfig, JournalConfig, LineName,
    LogTarget, MqttActionConfig, NtfyPreset, Overlap, PictureIn, Preset, PushoverPreset, RelayConfig, Security,
    Severity, SwitchPreset, SyslogConfig, WebhookConfig, WriteBackConfig,
};
pub use detector::{
    Call, CameraConfig, CropConfig, DetectConfig, DetectorConfig, EmbedConfig, IdentifyConfig, Pace, PixelFormat,
    PresenceConfig, QualityConfig, ReplayConfig, RtspTransport, StreamConfig, Subject, TrackConfig, V4l2Config,
};
pub use load::{Loaded, MAIN_FILE, from_toml, load, load_in, look};
pub use mqtt::MqttConfig;
pub use place::{ConfigErrors, Mistake, Place};
pub use rules::{
    Bound, Days, EventKind, FieldCompare, FieldEquals, FieldTest, OutcomeKind, RuleConfig, TimeWindow, VisitCount,
    Weekday, WhenConfig,
};
pub use secrets::Surroundings;
pub use settings::{Drain, DryRun, IdentitiesConfig, LogConfig, LogFormat, ModelsConfig, OutboxConfig, StatusConfig};
pub use time_zone::parse as parse_time_zone;

/// A camera position's name; the API's `detectorName`. 1 to 64 letters, digits, spaces, dots, dashes and
/// underscores, the first one a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct DetectorName(Arc<str>);

/// The whole checked configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    pub state_dir: PathBuf,
    pub log: LogConfig,
    pub models: ModelsConfig,
    /// `None` when no engine is configured: only commands that need none will run.
    pub identities: Option<IdentitiesConfig>,
    pub outbox: OutboxConfig,
    pub status: StatusConfig,
    /// `None` when no broker is configured.
    pub mqtt: Option<MqttConfig>,
    /// What is decided and recorded, and not done.
    pub dry_run: DryRun,
    /// At least one for `run`; in the order of their names.
    pub detectors: Vec<DetectorConfig>,
    /// By name.
    pub actions: BTreeMap<String, ActionConfig>,
}

impl Settings {
    /// The detector of this name.
    pub fn detector(&self, name: &str) -> Option<&DetectorConfig> {
        self.detectors.iter().find(|detector| detector.name.as_str() == name)
    }
}

impl Default for Settings {
    /// What an empty `doorward.toml` says: no detector, no engine, no action.
    fn default() -> Self {
        Self {
            state_dir: "/var/lib/doorward".into(),
            log: LogConfig::default(),
            models: ModelsConfig::default(),
            identities: None,
            outbox: OutboxConfig::default(),
            status: StatusConfig::default(),
            mqtt: None,
            dry_run: DryRun::default(),
            detectors: Vec::new(),
            actions: BTreeMap::new(),
        }
    }
}

impl DetectorName {
    /// Checks the name; the error says what is allowed. However it is typed, or its file is named, it is the same name:
    /// it is kept composed.
    pub fn new(name: &str) -> Result<Self, String> {
        let name = &*text::composed(name);
        let allowed = |c: char| text::is_of_a_word(c) || " ._-".contains(c);
        let first = name.chars().next().is_some_and(char::is_alphanumeric);
        if first && name.chars().count() <= 64 && name.chars().all(allowed) && !name.ends_with(' ') {
            Ok(Self(name.into()))
        } else {
            Err(format!(
                "`{name}` is not a detector name: 1 to 64 letters, digits, spaces, dots, dashes or underscores, \
                 starting with a letter or digit"
            ))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for DetectorName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DetectorName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
