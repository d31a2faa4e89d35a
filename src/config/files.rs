//! What the two kinds of file may hold: `doorward.toml`, and one file per detector.
//!
//! In: sections of their own files. Out: [`MainFile`] and [`DetectorFile`], from which the settings are put together.

use std::collections::BTreeMap;
use std::path::PathBuf;

use wording::nearest;

use super::Settings;
use super::actions::ActionConfig;
use super::camera::CameraConfig;
use super::detector::{
    CropConfig, DetectConfig, DetectorConfig, EmbedConfig, IdentifyConfig, PresenceConfig, QualityConfig, TrackConfig,
};
use super::mqtt::MqttConfig;
use super::name::DetectorName;
use super::reading::At;
use super::rules::NumberedRule;
use super::section::{Sensible, section};
use super::settings::{DryRun, IdentitiesConfig, LogConfig, ModelsConfig, OutboxConfig, StatusConfig};
use super::time::Days;
use super::value::Value;

section! {
    /// The main file, as it may be written.
    pub struct MainFile: Default {
        pub state_dir: PathBuf = "/var/lib/doorward".into();
        pub log: LogConfig = LogConfig::default();
        pub models: ModelsConfig = ModelsConfig::default();
        pub identities: Option<IdentitiesConfig> = None;
        pub outbox: OutboxConfig = OutboxConfig::default();
        pub status: StatusConfig = StatusConfig::default();
        pub mqtt: Option<MqttConfig> = None;
        pub dry_run: DryRun = DryRun::default();
        pub detector: ReadElsewhere = ReadElsewhere;
        pub action: BTreeMap<String, ActionConfig> = BTreeMap::new();
        pub rule: Vec<NumberedRule> = Vec::new();
    }
}

section! {
    /// A detector's file, as it may be written.
    pub struct DetectorFile: Default {
        pub name: Option<DetectorName> = None;
        pub time_zone: Option<String> = None;
        pub holidays: Vec<Days> = Vec::new();
        pub camera: Option<CameraConfig> = None;
        pub detect: DetectConfig = DetectConfig::default();
        pub track: TrackConfig = TrackConfig::default();
        pub quality: QualityConfig = QualityConfig::default();
        pub crop: CropConfig = CropConfig::default();
        pub embed: EmbedConfig = EmbedConfig::default();
        pub identify: IdentifyConfig = IdentifyConfig::default();
        pub presence: PresenceConfig = PresenceConfig::default();
        pub rule: Vec<NumberedRule> = Vec::new();
    }
}

impl MainFile {
    /// The settings of the box, with its detectors.
    pub(super) fn into_settings(self, detectors: Vec<DetectorConfig>) -> Settings {
        let Self { state_dir, log, models, identities, outbox, status, mqtt, dry_run, action: actions, .. } = self;
        Settings { state_dir, log, models, identities, outbox, status, mqtt, dry_run, detectors, actions }
    }
}

/// `[detector]`, the defaults of every detector, which are read together with each detector's own file.
#[derive(Debug, Clone)]
pub struct ReadElsewhere;

impl Value for ReadElsewhere {
    fn read(_: &At<'_>) -> Option<Self> {
        Some(Self)
    }
}

impl Sensible for DetectorFile {}

impl Sensible for MainFile {
    fn check(&self, at: &At<'_>) {
        if self.state_dir.as_os_str().is_empty() {
            at.wrong(&["state_dir"], "it must name a folder");
        }
        if let DryRun::Actions(names) = &self.dry_run {
            for name in names.iter().filter(|name| !self.action.contains_key(*name)) {
                let help = match nearest(name, self.action.keys().map(String::as_str), 0.5) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "for every action write `dry_run = true`".into(),
                };
                at.wrong(&["dry_run"], format!("there is no action `{name}`; {help}"));
            }
        }
        for (name, action) in &self.action {
            action.check_connections(name, at.is_written("identities"), at.is_written("mqtt"), at);
        }
    }
}
