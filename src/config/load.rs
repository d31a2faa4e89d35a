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

use super::advice::tell_strays;
use super::branch::{Branch, Notes};
use super::layers::Layer;
use super::place::{ConfigErrors, Mistake, Place};
use super::reading::At;
use super::secrets::Surroundings;
use super::sources::Sources;
use super::value::{Value, name};
use super::{ActionConfig, DetectorConfig, DetectorName, RuleConfig, Settings, WhenConfig};

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
    match look(file, surroundings) {
        (Some(loaded), mistakes) if mistakes.is_empty() => Ok(loaded),
        (_, mistakes) => Err(ConfigErrors { mistakes }),
    }
}

/// Every mistake of the configuration, and what is left of it without them: not to be run, but what it holds can be
/// looked at for mistakes of other kinds. There is nothing left where a file cannot be read as a whole.
pub fn look(file: Option<&Path>, surroundings: &Surroundings) -> (Option<Loaded>, Vec<Mistake>) {
    let main_file = file.unwrap_or(Path::new(MAIN_FILE)).to_owned();
    if file.is_none() && !main_file.exists() {
        return (None, vec![nowhere()]);
    }
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
    let main_file = PathBuf::from("text");
    let layer = Layer::toml(&main_file, text).map_err(|mistake| ConfigErrors { mistakes: vec![mistake] })?;
    let notes = RefCell::new(Notes { unjudged: true, ..Notes::default() });
    let value = read(&Branch::new(None, main_file, None, layer), &notes);
    match (value, notes.into_inner().mistakes) {
        (Some(value), mistakes) if mistakes.is_empty() => Ok(value),
        (_, mistakes) => Err(ConfigErrors { mistakes }),
    }
}

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

struct Loader<'a> {
    surroundings: &'a Surroundings,
    main_file: PathBuf,
    notes: RefCell<Notes>,
    /// What came from credentials, variables and files.
    secrets: Vec<String>,
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

impl Loader<'_> {
    fn load(&mut self, main: Layer, sources: Sources) -> Option<Loaded> {
        let mut main = main.under_variables(&sources.variables);
        let defaults = self.detector_defaults(&mut main);
        let branch = self.branch(None, None, main);
        let mut settings: Settings = read(&branch, &self.notes)?;
        let detector_names: Vec<DetectorName> = sources.detectors.iter().map(|source| source.name.clone()).collect();
        let at = At::new(&branch, &self.notes);
        check_rules(&settings.rules, &at, &settings.actions, Some(&detector_names));
        let mut names_of_all = BTreeMap::new();
        check_rule_names(&at, &mut names_of_all);
        if sources.detectors.is_empty() {
            self.check_defaults(defaults.clone());
        }
        let mut branches = vec![branch];
        for source in sources.detectors {
            let whole = defaults.clone().under(source.layer).under_variables(&source.variables);
            let branch = self.branch(Some(source.name.clone()), Some(source.file), whole);
            let detector: Option<DetectorConfig> = read(&branch, &self.notes);
            let at = At::new(&branch, &self.notes);
            if !at.is_written("time_zone") {
                at.missing("time_zone", &[]);
            }
            check_rule_names(&at, &mut names_of_all.clone());
            if let Some(mut detector) = detector {
                check_rules(&detector.rules, &at, &settings.actions, None);
                let applies = |when: &WhenConfig| when.detectors.is_empty() || when.detectors.contains(&source.name);
                let of_all = settings.rules.iter().filter(|rule| applies(&rule.when)).cloned();
                detector.rules.splice(..0, of_all);
                detector.rules.iter_mut().for_each(|rule| rule.fill_cooldown(&settings.actions));
                settings.detectors.push(DetectorConfig { name: source.name, ..detector });
            }
            branches.push(branch);
        }
        settings.detectors.sort_by(|a, b| a.name.cmp(&b.name));
        if self.notes.borrow().mistakes.is_empty() {
            // A rule that was left out may perform any of them.
            check_unused_actions(&settings, &At::new(&branches[0], &self.notes));
        }
        let mut warnings = std::mem::take(&mut self.notes.borrow_mut().warnings);
        tidy(&mut warnings, &self.secrets);
        // Another detector's branch may have brought the secret that stands in this one.
        for branch in &mut branches {
            branch.shown = super::show::shown(branch, &self.secrets);
            branch.forget();
        }
        Some(Loaded { settings, warnings, files: sources.files, branches })
    }

    fn branch(&mut self, detector: Option<DetectorName>, detector_file: Option<PathBuf>, layer: Layer) -> Branch {
        let mut branch = Branch::new(detector, self.main_file.clone(), detector_file, layer);
        branch.fill(self.surroundings, &mut self.secrets, self.notes.get_mut());
        branch
    }

    /// Takes `[detector]` out of the main layer. A name or rules there would be everyone's.
    fn detector_defaults(&mut self, main: &mut Layer) -> Layer {
        let mut defaults = main.take("detector");
        for (key, problem) in [
            ("name", "every detector has a name of its own; write it in its file under `detectors/`"),
            ("rule", "rules for all detectors stand at the top level: write `[[rule]]`"),
        ] {
            if defaults.values.remove(key).is_some() {
                let mistake = Mistake::new(defaults.place_of(key), format!("detector.{key}"), problem);
                self.notes.get_mut().mistakes.push(mistake);
            }
        }
        defaults
    }

    /// Reads `[detector]` while there is no detector to read it with; a camera there may be half of one.
    fn check_defaults(&mut self, mut defaults: Layer) {
        defaults.take("camera");
        let branch = self.branch(None, Some(self.main_file.clone()), defaults);
        self.notes.get_mut().partial = true;
        let _: Option<DetectorConfig> = read(&branch, &self.notes);
        self.notes.get_mut().partial = false;
    }
}

/// Reads a whole branch. `None` when it is unusable as a whole.
fn read<T: Value>(branch: &Branch, notes: &RefCell<Notes>) -> Option<T> {
    let at = At::new(branch, notes);
    let value = T::read(&at);
    tell_strays(&at);
    value
}

fn check_rules(
    rules: &[RuleConfig],
    at: &At<'_>,
    actions: &BTreeMap<String, ActionConfig>,
    detectors: Option<&[DetectorName]>,
) {
    for rule in rules {
        // Every rule that was read has its name in the tree.
        let number = at.branch.rule_number(&rule.name).unwrap_or_default();
        rule.check_names(&at.below("rule").below(&number), actions, detectors);
    }
}

/// Notes rules that are called like one of those `seen` before: they could not be told apart in a record.
fn check_rule_names(at: &At<'_>, seen: &mut BTreeMap<String, Option<Place>>) {
    for rule in at.below("rule").items().into_iter().flatten() {
        let at = rule.below("name");
        let Some(name) = at.value().and_then(|_| name(&at)) else { continue };
        if let Some(first) = seen.get(&name) {
            let first = first.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
            at.wrong(&[], format!("another rule is called `{name}` too{first}; rename one"));
        } else {
            seen.insert(name, at.branch.place_of(&at.path).cloned());
        }
    }
}

fn check_unused_actions(settings: &Settings, at: &At<'_>) {
    let rules = settings.rules.iter().chain(settings.detectors.iter().flat_map(|detector| &detector.rules));
    let used: BTreeSet<&String> = rules.flat_map(|rule| &rule.actions).collect();
    for name in settings.actions.keys().filter(|name| !used.contains(name)) {
        at.unwise(&["action", name], "no rule performs this action");
    }
}

/// In the order of files and lines, each once: a default of all detectors is read with every one of them. What came
/// from outside is taken out of their texts: a password may stand under the wrong key.
fn tidy(mistakes: &mut Vec<Mistake>, secrets: &[String]) {
    let mut secrets: Vec<&String> = secrets.iter().filter(|secret| secret.len() >= SHORTEST_SECRET).collect();
    // The longest first: of one that another is a part of no rest may stay.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for mistake in mistakes.iter_mut() {
        for secret in &secrets {
            mistake.problem = mistake.problem.replace(secret.as_str(), "…");
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
