//! The configuration: what the files may say, its defaults, and the checked value every room works from.
//!
//! In: `doorward.toml`, one file per detector, the environment, credentials. Out: [`Settings`], or a list of
//! mistakes that name file, line and key. Rooms see their own section and nothing else.
//!
//! ```text
//! files, variables ─ sources ─ layers ─▶ branch ─▶ sections ─ load ─▶ Settings
//!                                merged    credentials  value, section
//!                                          filled in    check, advice
//! ```

mod actions;
mod address;
mod advice;
mod branch;
mod camera;
mod detector;
mod fields;
mod layers;
mod liveness;
mod load;
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
mod value;
mod view;

use std::collections::BTreeMap;
use std::path::PathBuf;

use reading::did_you_mean;
use section::section;

pub use actions::*;
pub use camera::*;
pub use detector::{
    Call, CropConfig, DetectConfig, DetectorConfig, EmbedConfig, IdentifyConfig, PresenceConfig, QualityConfig,
    Subject, TrackConfig,
};
pub use fields::{Bound, FieldCompare, FieldEquals, FieldTest};
pub use liveness::{LivenessConfig, LivenessModels};
pub use load::{Loaded, MAIN_FILE, from_toml, load, load_in, look};
pub use mqtt::MqttConfig;
pub use name::DetectorName;
pub use place::{ConfigErrors, Mistake, Place};
pub use reading::At;
pub use rules::{EventKind, LiveRange, OutcomeKind, RuleConfig, VisitCount, WhenConfig};
pub use secrets::Surroundings;
pub use settings::{Drain, DryRun, IdentitiesConfig, LogConfig, LogFormat, ModelsConfig, OutboxConfig, StatusConfig};
pub use time::{Days, TimeWindow, Weekday};
pub use time_zone::parse as parse_time_zone;
pub use value::Value;
pub use view::{Part, Point, Polygon, ViewConfig};

section! {
    /// The whole checked configuration: `doorward.toml` with the detectors beside it. The default is what an empty file
    /// says: no detector, no engine, no action.
    pub struct Settings: Default, checked by check_settings {
        pub state_dir: PathBuf = "/var/lib/doorward".into();
        pub log: LogConfig = LogConfig::default();
        pub models: ModelsConfig = ModelsConfig::default();
        /// `None` when no engine is configured: only commands that need none will run.
        pub identities: Option<IdentitiesConfig> = None;
        pub outbox: OutboxConfig = OutboxConfig::default();
        pub status: StatusConfig = StatusConfig::default();
        /// `None` when no broker is configured.
        pub mqtt: Option<MqttConfig> = None;
        /// What is decided and recorded, and not done.
        pub dry_run: DryRun = DryRun::All(false);
        /// At least one for `run`; in the order of their names. What `[detector]` says for all of them is read together
        /// with the file of each.
        pub detectors named "detector": Vec<DetectorConfig> = Vec::new(), read by elsewhere;
        /// By name.
        pub actions named "action": BTreeMap<String, ActionConfig> = BTreeMap::new();
        /// The rules of `doorward.toml`; each detector has those of them that apply to it.
        pub rules named "rule": Vec<RuleConfig> = Vec::new();
    }
}

impl Settings {
    /// The detector of this name.
    pub fn detector(&self, name: &str) -> Option<&DetectorConfig> {
        self.detectors.iter().find(|detector| detector.name.as_str() == name)
    }
}

fn elsewhere(_: &At<'_>) -> Option<Vec<DetectorConfig>> {
    Some(Vec::new())
}

fn check_settings(settings: &Settings, at: &At<'_>) {
    at.wrong_if(settings.state_dir.as_os_str().is_empty(), &["state_dir"], "it must name a folder");
    if let DryRun::Actions(names) = &settings.dry_run {
        for name in names.iter().filter(|name| !settings.actions.contains_key(*name)) {
            let known = settings.actions.keys().map(String::as_str);
            let help = did_you_mean(name, known, || "for every action write `dry_run = true`".into());
            at.wrong(&["dry_run"], format!("there is no action `{name}`; {help}"));
        }
    }
    for (name, action) in &settings.actions {
        action.check_needs(name, at);
    }
}
