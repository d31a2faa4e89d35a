//! Reads the configuration: files, variables and credentials become one [`Settings`](super::Settings).
//!
//! In: the main file, `detectors/*.toml` beside it, the environment. Out: [`Loaded`], or every mistake found. Later
//! layers win:
//!
//! ```text
//! main file ◀ DOORWARD__SECTION__KEY
//!      └─ [detector] ◀ detectors/NAME.toml ◀ DOORWARD__DETECTORS__NAME__SECTION__KEY
//! ```

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chrono_tz::Tz;

use super::branch::Branch;
use super::files::{DetectorFile, MainFile};
use super::layers::{Layer, Places};
use super::loaded::{Loaded, LoadedBranch};
use super::place::{ConfigErrors, Mistake, Place};
use super::reading::{At, Notes, Scope};
use super::rules::NumberedRule;
use super::secrets::Surroundings;
use super::sources::Sources;
use super::time_zone;
use super::tree::Node;
use super::value::Value;
use super::{ActionConfig, DetectorConfig, DetectorName, RuleConfig};

/// The main file when none is named. The working folder is never searched: a program started as root in somebody else's
/// folder must not take that person's word for what to run.
pub const MAIN_FILE: &str = "/etc/doorward/doorward.toml";

/// What is shorter than this may stand in any sentence.
const SHORTEST_SECRET: usize = 4;

/// Reads the named file, else [`MAIN_FILE`].
pub fn load(file: Option<&Path>) -> Result<Loaded, ConfigErrors> {
    load_in(file, &Surroundings::of_process())
}

/// [`load`] with the given variables and credentials instead of the process's.
pub fn load_in(file: Option<&Path>, surroundings: &Surroundings) -> Result<Loaded, ConfigErrors> {
    match look_in(file, surroundings) {
        (Some(loaded), mistakes) if mistakes.is_empty() => Ok(loaded),
        (_, mistakes) => Err(ConfigErrors { mistakes }),
    }
}

/// Every mistake of the configuration, and what is left of it without them: not to be run, but what it holds can be
/// looked at for mistakes of other kinds. There is nothing left where a file cannot be read as a whole.
pub fn look(file: Option<&Path>) -> (Option<Loaded>, Vec<Mistake>) {
    look_in(file, &Surroundings::of_process())
}

fn look_in(file: Option<&Path>, surroundings: &Surroundings) -> (Option<Loaded>, Vec<Mistake>) {
    let found = match file {
        Some(file) => Some(file.to_owned()),
        None => Some(PathBuf::from(MAIN_FILE)).filter(|path| path.exists()),
    };
    let Some(main_file) = found else { return (None, vec![nowhere()]) };
    let mut sources = Sources::read(&main_file, &surroundings.variables);
    let notes = Notes { mistakes: std::mem::take(&mut sources.mistakes), ..Notes::default() };
    let mut loader = Loader { surroundings, main_file, notes: notes.into(), secrets: Vec::new() };
    let loaded = sources.main.take().and_then(|main| loader.load(main, sources));
    let mut mistakes = loader.notes.into_inner().mistakes;
    tidy(&mut mistakes, &loader.secrets);
    (loaded, mistakes)
}

/// Reads one section from TOML text, as it stands in a file; for tests and for settings built in code, whose values may
/// be out of the range that a file has.
pub fn from_toml<T: Value>(text: &str) -> Result<T, ConfigErrors> {
    let mut places = Places::default();
    let main_file = PathBuf::from("text");
    let layer =
        Layer::toml(&main_file, text, &mut places).map_err(|mistake| ConfigErrors { mistakes: vec![mistake] })?;
    let scope = Scope { main_file, detector_file: None };
    let notes = RefCell::new(Notes { unjudged: true, ..Notes::default() });
    let branch = Branch { detector: None, root: Node::from_layer(&layer, &places), scope };
    let value = branch.read(&notes);
    match (value, notes.into_inner().mistakes) {
        (Some(value), mistakes) if mistakes.is_empty() => Ok(value),
        (_, mistakes) => Err(ConfigErrors { mistakes }),
    }
}

struct Loader<'a> {
    surroundings: &'a Surroundings,
    main_file: PathBuf,
    notes: RefCell<Notes>,
    /// What came from credentials, variables and files.
    secrets: Vec<String>,
}

impl Loader<'_> {
    fn load(&mut self, main: Layer, mut sources: Sources) -> Option<Loaded> {
        let places = &mut sources.places;
        let mut main = main.clone().under(Layer::variables(&sources.variables, &main, places));
        let defaults = self.detector_defaults(&mut main, places);
        let branch = self.branch(None, &main, places);
        let main: MainFile = branch.read(&self.notes)?;
        let detector_names: Vec<DetectorName> = sources.detectors.iter().map(|source| source.name.clone()).collect();
        check_rules(&main.rule, &branch.at(&self.notes), &main.action, Some(&detector_names));
        check_rule_names(&main.rule, &branch.at(&self.notes), &mut BTreeMap::new());
        if sources.detectors.is_empty() {
            self.check_defaults(defaults.clone(), places);
        }
        let mut branches = vec![LoadedBranch::new(branch, &main.rule)];

        let mut detectors = Vec::new();
        for source in sources.detectors {
            let below = defaults.clone().under(source.layer);
            let whole = below.clone().under(Layer::variables(&source.variables, &below, places));
            let mut branch = self.branch(Some(source.file), &whole, places);
            branch.detector = Some(source.name.clone());
            let read: Option<DetectorFile> = branch.read(&self.notes);
            let rules = read.as_ref().map(|detector| detector.rule.clone()).unwrap_or_default();
            if let Some(detector) = read {
                check_rules(&rules, &branch.at(&self.notes), &main.action, None);
                let mut seen = BTreeMap::new();
                let unheard = RefCell::default();
                check_rule_names(&main.rule, &branches[0].branch.at(&unheard), &mut seen);
                check_rule_names(&rules, &branch.at(&self.notes), &mut seen);
                detectors.extend(self.detector(source.name, detector, &main, &branch));
            }
            branches.push(LoadedBranch::new(branch, &rules));
        }
        detectors.sort_by(|a, b| a.name.cmp(&b.name));
        if self.notes.borrow().mistakes.is_empty() {
            // A rule that was left out may perform any of them.
            check_unused_actions(&main, &detectors, &branches[0].branch.at(&self.notes));
        }
        let mut warnings = std::mem::take(&mut self.notes.borrow_mut().warnings);
        tidy(&mut warnings, &self.secrets);
        // Another detector's branch may have brought the secret that stands in this one.
        for LoadedBranch { branch, shown, .. } in &mut branches {
            *shown = super::show::shown(&branch.root, &self.secrets);
            branch.forget();
        }
        let settings = main.into_settings(detectors);
        Some(Loaded { settings, warnings, files: sources.files, branches })
    }

    fn branch(&mut self, detector_file: Option<PathBuf>, layer: &Layer, places: &Places) -> Branch {
        let scope = Scope { main_file: self.main_file.clone(), detector_file };
        Branch::fill(scope, layer, places, self.surroundings, &mut self.secrets, &self.notes)
    }

    /// Takes `[detector]` out of the main layer. A name or rules there would be everyone's.
    fn detector_defaults(&mut self, main: &mut Layer, places: &Places) -> Layer {
        let mut defaults = main.take("detector");
        for (key, problem) in [
            ("name", "every detector has a name of its own; write it in its file under `detectors/`"),
            ("rule", "rules for all detectors stand at the top level: write `[[rule]]`"),
        ] {
            if let Some(value) = defaults.values.remove(key) {
                let mistake = Mistake::new(places.of(&value), format!("detector.{key}"), problem);
                self.notes.get_mut().mistakes.push(mistake);
            }
        }
        defaults
    }

    /// Reads `[detector]` while there is no detector to read it with; a camera there may be half of one.
    fn check_defaults(&mut self, mut defaults: Layer, places: &Places) {
        defaults.take("camera");
        let branch = self.branch(Some(self.main_file.clone()), &defaults, places);
        let detector: Option<DetectorFile> = branch.read(&self.notes);
        if let Some(zone) = detector.and_then(|detector| detector.time_zone) {
            read_time_zone(&zone, &branch.at(&self.notes));
        }
    }

    /// The detector that its file describes, with the rules of the main file that apply to it.
    fn detector(
        &self,
        name: DetectorName,
        file: DetectorFile,
        main: &MainFile,
        branch: &Branch,
    ) -> Option<DetectorConfig> {
        let at = branch.at(&self.notes);
        for (key, is_there) in [("camera", file.camera.is_some()), ("time_zone", file.time_zone.is_some())] {
            // What was taken out has been told of.
            if !is_there && !at.is_written(key) {
                at.missing_in_file(key);
            }
        }
        let time_zone = read_time_zone(&file.time_zone?, &at)?;
        let applies = |rule: &&RuleConfig| rule.when.detectors.is_empty() || rule.when.detectors.contains(&name);
        let global = main.rule.iter().map(|numbered| &numbered.rule).filter(applies);
        let mut rules: Vec<RuleConfig> =
            global.chain(file.rule.iter().map(|numbered| &numbered.rule)).cloned().collect();
        for rule in &mut rules {
            rule.fill_cooldown(&main.action);
        }
        Some(DetectorConfig {
            time_zone,
            holidays: file.holidays,
            camera: file.camera?,
            detect: file.detect,
            track: file.track,
            quality: file.quality,
            crop: file.crop,
            embed: file.embed,
            identify: file.identify,
            presence: file.presence,
            rules,
            name,
        })
    }
}

fn read_time_zone(zone: &str, at: &At<'_>) -> Option<Tz> {
    match time_zone::parse(zone) {
        Ok(zone) => {
            if let Some(caution) = time_zone::caution(zone) {
                at.unwise(&["time_zone"], caution);
            }
            Some(zone)
        }
        Err(problem) => {
            at.wrong(&["time_zone"], problem);
            None
        }
    }
}

fn check_rules(
    rules: &[NumberedRule],
    branch: &At<'_>,
    actions: &BTreeMap<String, ActionConfig>,
    detectors: Option<&[DetectorName]>,
) {
    for NumberedRule { number, rule } in rules {
        rule.check_names(&branch.below("rule").below(number), actions, detectors);
    }
}

/// Notes rules that are called like one of those `seen` before: they could not be told apart in a record.
fn check_rule_names(rules: &[NumberedRule], branch: &At<'_>, seen: &mut BTreeMap<String, Option<Place>>) {
    for NumberedRule { number, rule } in rules {
        let path = ["rule", number.as_str(), "name"];
        if let Some(first) = seen.get(&rule.name) {
            let first = first.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
            branch.wrong(&path, format!("another rule is called `{}` too{first}; rename one", rule.name));
        } else {
            seen.insert(rule.name.clone(), branch.root.place_of(&path));
        }
    }
}

fn check_unused_actions(main: &MainFile, detectors: &[DetectorConfig], at: &At<'_>) {
    let global = main.rule.iter().map(|numbered| &numbered.rule);
    let rules = global.chain(detectors.iter().flat_map(|detector| &detector.rules));
    let used: BTreeSet<&String> = rules.flat_map(|rule| &rule.actions).collect();
    for name in main.action.keys().filter(|name| !used.contains(name)) {
        at.unwise(&["action", name], "no rule performs this action");
    }
}

/// In the order of files and lines, each once: a default of all detectors is read with every one of them. What came
/// from outside is taken out of their texts: a password may stand under the wrong key.
fn tidy(mistakes: &mut Vec<Mistake>, secrets: &[String]) {
    for mistake in mistakes.iter_mut() {
        for secret in secrets.iter().filter(|secret| secret.len() >= SHORTEST_SECRET) {
            if mistake.problem.contains(secret.as_str()) {
                mistake.problem = mistake.problem.replace(secret.as_str(), "…");
            }
        }
    }
    mistakes.sort();
    mistakes.dedup();
}

fn nowhere() -> Mistake {
    let mut problem = format!(
        "there is no configuration: {MAIN_FILE} is not there; write it, or name another file with --config or \
         DOORWARD_CONFIG"
    );
    let here = Path::new("config/doorward.toml");
    if here.exists() {
        problem += &format!(" ({} in this folder is only taken when it is named)", here.display());
    }
    Mistake::new(None, "", problem)
}
