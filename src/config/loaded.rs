//! A configuration that was read: its settings, and where each of its keys stands.

use std::path::PathBuf;

use super::Settings;
use super::branch::Branch;
use super::name::DetectorName;
use super::place::Mistake;

/// A configuration that can be run.
#[derive(Debug)]
pub struct Loaded {
    pub settings: Settings,
    /// What is allowed, but worth telling.
    pub warnings: Vec<Mistake>,
    /// Every file that was read, the main one first.
    pub files: Vec<PathBuf>,
    /// The main file's branch and each detector's; the texts are gone.
    pub(super) branches: Vec<Branch>,
}

impl Loaded {
    /// What the files and the environment come to, without secrets: the box's part, then each detector's.
    pub fn to_text(&self) -> String {
        let part = |Branch { detector, main_file, shown, .. }: &Branch| match detector {
            None => {
                format!("# The box, from {}; keys that are not here have their defaults.\n{shown}", main_file.display())
            }
            Some(name) => format!("\n# The detector {name}, with the defaults of all detectors.\n{shown}"),
        };
        self.branches.iter().map(part).collect()
    }

    /// A mistake found later, at the place of this key: `detect.model` of a detector, `state_dir` or
    /// `action.open.args[1]` of the box.
    pub fn mistake(&self, detector: Option<&DetectorName>, key: &str, problem: impl Into<String>) -> Mistake {
        let path: Vec<&str> = key.split(['.', '[', ']']).filter(|step| !step.is_empty()).collect();
        match self.branches.iter().find(|branch| branch.detector.as_ref() == detector) {
            Some(branch) => branch.mistake(&path, problem),
            None => Mistake::new(None, key, problem),
        }
    }

    /// A mistake in a rule of a detector, found later: where the rule of this name stands, in the detector's file or in
    /// the main one.
    pub fn rule_mistake(&self, detector: &DetectorName, rule: &str, key: &str, problem: impl Into<String>) -> Mistake {
        let mut mine = self.branches.iter().filter(|kept| kept.detector.as_ref().is_none_or(|name| name == detector));
        match mine.find_map(|branch| Some((branch, branch.rule_number(rule)?))) {
            Some((branch, number)) => branch.mistake(&["rule", number.as_str(), key], problem),
            None => Mistake::new(None, format!("rule.{key}"), problem),
        }
    }
}
