//! The configuration: what the files may say, its defaults, and the checked value every room works from.
//!
//! In: `doorward.toml`, one file per detector, the environment, credentials. Out: [`Settings`], or a list of
//! mistakes that name file, line and key. Rooms see their own section and nothing else.
//!
//! ```text
//! files, variables ─ sources ─ layers ─▶ tree ─ branch ─▶ sections of files ─ load ─▶ Settings
//!                                merged    credentials       value, section
//!                                          filled in         check, advice
//! ```

mod actions;
mod address;
mod advice;
mod branch;
mod camera;
mod detector;
mod examples;
mod fields;
mod files;
mod layers;
mod load;
mod loaded;
mod mqtt;
mod name;
mod place;
mod reading;
mod rules;
mod secrets;
mod section;
mod settings;
mod show;
mod sources;
#[cfg(test)]
mod tests;
mod time;
mod time_zone;
mod tree;
mod value;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use actions::*;
pub use camera::*;
pub use detector::{
    Call, CropConfig, DetectConfig, DetectorConfig, EmbedConfig, IdentifyConfig, PresenceConfig, QualityConfig,
    Subject, TrackConfig,
};
pub use fields::{Bound, FieldCompare, FieldEquals, FieldTest};
pub use load::{MAIN_FILE, from_toml, load, load_in, look};
pub use loaded::Loaded;
pub use mqtt::MqttConfig;
pub use name::DetectorName;
pub use place::{ConfigErrors, Mistake, Place};
pub use reading::At;
pub use rules::{EventKind, OutcomeKind, RuleConfig, VisitCount, WhenConfig};
pub use secrets::Surroundings;
pub use settings::{Drain, DryRun, IdentitiesConfig, LogConfig, LogFormat, ModelsConfig, OutboxConfig, StatusConfig};
pub use time::{Days, TimeWindow, Weekday};
pub use time_zone::parse as parse_time_zone;
pub use value::Value;

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
        files::MainFile::default().into_settings(Vec::new())
    }
}
