//! Where a key belongs that nobody knows where it stands: another spelling, another section, another file.
//!
//! In: the stray keys of a branch. Out: [`Mistake`](super::Mistake)s among the branch's notes. It knows the keys of
//! every section.

use wording::{listed, nearest};

use super::Settings;
use super::actions::{ActionConfig, GuardConfig};
use super::branch::{Branch, StrayKey};
use super::camera::CameraConfig;
use super::detector::{
    CropConfig, DetectConfig, DetectorConfig, EmbedConfig, IdentifyConfig, PresenceConfig, QualityConfig, TrackConfig,
};
use super::layers::as_text;
use super::liveness::LivenessConfig;
use super::mqtt::MqttConfig;
use super::reading::At;
use super::rules::{RuleConfig, WhenConfig};
use super::settings::{IdentitiesConfig, LogConfig, ModelsConfig, OutboxConfig, StatusConfig};
use super::view::ViewConfig;

/// A section as advice points at it.
pub(super) struct Known {
    /// Its name in a detector's file, or in the main file for what stands only there.
    pub name: &'static str,
    /// The `type` that makes it this section.
    pub tag: Option<&'static str>,
    pub keys: &'static [&'static str],
    pub per_detector: bool,
}

/// Tells of every stray key of the branch.
pub(super) fn tell_strays(at: &At<'_>) {
    let strays = std::mem::take(&mut at.notes.borrow_mut().strays);
    for StrayKey { path, known } in strays {
        let Some((key, section)) = path.split_last() else { continue };
        let advice = advice(section, key, known, at.branch);
        let steps: Vec<&str> = path.iter().map(String::as_str).collect();
        at.wrong(&steps, format!("there is no such key here; {advice}"));
    }
}

/// Where the key may belong.
fn advice(path: &[String], key: &str, known: &[&'static str], branch: &Branch) -> String {
    let per_detector = branch.detector_file.is_some();
    if path.is_empty() && per_detector && Settings::KEYS.contains(&key) {
        return "it belongs in `doorward.toml`, not in a detector's file".into();
    }
    if path.is_empty() && !per_detector && DetectorConfig::KEYS.contains(&key) {
        return format!(
            "it belongs to a detector: write it in a file under `detectors/`, or as `detector.{key}` for all detectors"
        );
    }
    if let Some(near) = nearest(key, known.iter().copied(), 0.8) {
        return format!("did you mean `{near}`?");
    }
    let all = sections();
    let here = path.iter().filter(|step| step.parse::<usize>().is_err()).map(String::as_str).collect::<Vec<_>>();
    let type_path: Vec<&str> = path.iter().map(String::as_str).chain(["type"]).collect();
    let tag = branch.get(&type_path).and_then(as_text).unwrap_or_default();
    let elsewhere = |wanted: &str| {
        let mut found: Vec<&Known> = all.iter().filter(|section| section.keys.contains(&wanted)).collect();
        // What belongs within this section belongs nowhere else.
        let within =
            |section: &&Known| here.first().is_some_and(|first| section.name.starts_with(&format!("{first}.")));
        if found.iter().any(within) {
            found.retain(within);
        }
        // The same section with another type first, then the sections of the same file.
        found.sort_by_key(|section| (!section.is_at(&here), section.per_detector != per_detector));
        found.iter().take(3).map(|section| section.pointer(&here, tag)).collect::<Vec<_>>().join(" or ")
    };
    let exact = elsewhere(key);
    if !exact.is_empty() {
        return format!("it belongs in {exact}");
    }
    if let Some(near) = nearest(key, known.iter().copied(), 0.5) {
        return format!("did you mean `{near}`?");
    }
    let every = all.iter().flat_map(|section| section.keys.iter().copied());
    match nearest(key, every, 0.85) {
        Some(near) => format!("did you mean `{near}` in {}?", elsewhere(near)),
        None => format!("the keys here are {}", listed(known)),
    }
}

impl Known {
    /// Whether a path leads to this section, in whichever file.
    fn is_at(&self, here: &[&str]) -> bool {
        let here = here.strip_prefix(&["detector"]).unwrap_or(here);
        match (self.name, here) {
            ("action", ["action", _]) => true,
            ("action.guard", ["action", _, "guard"]) => true,
            ("rule.when", ["rule", "when"]) => true,
            (name, [one]) => name == *one,
            _ => false,
        }
    }

    /// How a sentence names this section to somebody who is in the section `here`, of this type.
    fn pointer(&self, here: &[&str], tag: &str) -> String {
        match (self.name, self.tag) {
            ("", _) => "the top of the file, above the first section".into(),
            ("action.guard", _) => "`[action.NAME.guard]`".into(),
            ("rule.when", _) => "the rule's `when`".into(),
            ("rule", _) => "`[[rule]]`".into(),
            (_, Some(own)) if self.is_at(here) && own != tag => format!("`type = \"{own}\"`"),
            ("action", Some(own)) => format!("`[action.NAME]` with `type = \"{own}\"`"),
            (name, Some(own)) => format!("`[{name}]` with `type = \"{own}\"`"),
            (name, None) => format!("`[{name}]`"),
        }
    }
}

/// Every section there is.
pub(super) fn sections() -> Vec<Known> {
    let of_box = |name, keys| Known { name, tag: None, keys, per_detector: false };
    let of_detector = |name, keys| Known { name, tag: None, keys, per_detector: true };
    let mut sections = vec![
        of_box("", &["state_dir", "dry_run"]),
        of_box("log", LogConfig::KEYS),
        of_box("models", ModelsConfig::KEYS),
        of_box("identities", IdentitiesConfig::KEYS),
        of_box("outbox", OutboxConfig::KEYS),
        of_box("status", StatusConfig::KEYS),
        of_box("mqtt", MqttConfig::KEYS),
        of_box("action.guard", GuardConfig::KEYS),
        of_box("rule", RuleConfig::KEYS),
        of_box("rule.when", WhenConfig::KEYS),
        of_detector("", &["name", "time_zone", "holidays"]),
        of_detector("view", ViewConfig::KEYS),
        of_detector("detect", DetectConfig::KEYS),
        of_detector("track", TrackConfig::KEYS),
        of_detector("quality", QualityConfig::KEYS),
        of_detector("crop", CropConfig::KEYS),
        of_detector("embed", EmbedConfig::KEYS),
        of_detector("liveness", LivenessConfig::KEYS),
        of_detector("identify", IdentifyConfig::KEYS),
        of_detector("presence", PresenceConfig::KEYS),
    ];
    for (name, kinds, per_detector) in [("camera", CameraConfig::KINDS, true), ("action", ActionConfig::KINDS, false)] {
        sections.extend(kinds.iter().map(|(tag, keys)| Known { name, tag: Some(*tag), keys, per_detector }));
    }
    sections
}
