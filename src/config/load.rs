//! Reads the configuration: files, variables and credentials become one [`Settings`].
//!
//! In: the main file, `detectors/*.toml` beside it, the environment. Out: [`Loaded`], or every mistake found. Later
//! layers win:
//!
//! ```text
//! main file ◀ DOORWARD__SECTION__KEY
//!      └─ [detector] ◀ detectors/NAME.toml ◀ DOORWARD__DETECTORS__NAME__SECTION__KEY
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::diagnose::{Scope, nearest, read};
use super::layers::{HERE, Layer, Places, same_name, variable_name};
use super::place::{ConfigErrors, Mistake, Place};
use super::secrets::{Surroundings, is_secret, readable_by_everyone};
use super::time_zone;
use super::tree::{Body, Node};
use super::validate::Checker;
use super::*;

/// The main file when none is named. The working folder is never searched: a program started as root in somebody else's
/// folder must not take that person's word for what to run.
pub const MAIN_FILE: &str = "/etc/doorward/doorward.toml";

/// What is shorter than this may stand in any sentence.
const SHORTEST_SECRET: usize = 4;

const PREFIX: &str = "DOORWARD__";
const DETECTORS_PREFIX: &str = "DOORWARD__DETECTORS__";

/// A configuration that can be run.
#[derive(Debug)]
pub struct Loaded {
    pub settings: Settings,
    /// Allowed, but worth telling.
    pub warnings: Vec<Mistake>,
    /// Every file that was read, the main one first.
    pub files: Vec<PathBuf>,
    /// The main file's branch and each detector's, for their places; the values are gone.
    branches: Vec<(Option<DetectorName>, Scope, Node)>,
    /// The names of the rules of each branch, in the order they stand there.
    rules: Vec<Vec<String>>,
    /// Each branch as TOML, without secrets.
    shown: Vec<String>,
}

/// The main file, as it may be written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MainFile {
    #[serde(default = "default_state_dir")]
    pub state_dir: PathBuf,
    #[serde(default)]
    pub log: LogConfig,
    #[serde(default)]
    pub models: ModelsConfig,
    pub identities: Option<IdentitiesConfig>,
    #[serde(default)]
    pub outbox: OutboxConfig,
    #[serde(default)]
    pub status: StatusConfig,
    pub mqtt: Option<MqttConfig>,
    #[serde(default)]
    pub dry_run: DryRun,
    /// The defaults of every detector; read together with each detector's own file.
    #[serde(rename = "detector")]
    pub _detector: Option<IgnoredAny>,
    #[serde(default)]
    pub action: BTreeMap<String, ActionConfig>,
    #[serde(default)]
    pub rule: Vec<RuleConfig>,
}

/// A detector's file, as it may be written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DetectorFile {
    #[serde(rename = "name")]
    pub _name: Option<DetectorName>,
    pub time_zone: Option<String>,
    #[serde(default)]
    pub holidays: Vec<Days>,
    pub camera: Option<CameraConfig>,
    #[serde(default)]
    pub detect: DetectConfig,
    #[serde(default)]
    pub track: TrackConfig,
    #[serde(default)]
    pub quality: QualityConfig,
    #[serde(default)]
    pub crop: CropConfig,
    #[serde(default)]
    pub embed: EmbedConfig,
    #[serde(default)]
    pub identify: IdentifyConfig,
    #[serde(default)]
    pub presence: PresenceConfig,
    #[serde(default)]
    pub rule: Vec<RuleConfig>,
}

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
    let Some(main_file) = found else { return (None, nowhere().mistakes) };
    let loader = Loader {
        surroundings,
        main_file,
        places: Places::default(),
        files: Vec::new(),
        mistakes: Vec::new(),
        warnings: Vec::new(),
        secrets: Vec::new(),
    };
    loader.look()
}

/// Reads one section from TOML text, as it stands in a file; for tests and for settings built in code.
pub fn from_toml<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, ConfigErrors> {
    let (mut places, mut mistakes) = (Places::default(), Vec::new());
    let file = PathBuf::from("text");
    let layer = Layer::toml(&file, text, &mut places).map_err(|mistake| ConfigErrors { mistakes: vec![mistake] })?;
    let mut node = Node::from_layer(layer, &places);
    let scope = Scope { main_file: file, detector_file: None };
    match read(&mut node, &scope, &mut mistakes) {
        Some(value) if mistakes.is_empty() => Ok(value),
        _ => Err(ConfigErrors { mistakes }),
    }
}

struct Loader<'a> {
    surroundings: &'a Surroundings,
    main_file: PathBuf,
    places: Places,
    files: Vec<PathBuf>,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
    /// What came from credentials, variables and files.
    secrets: Vec<String>,
}

/// A detector's file before it is merged.
struct Source {
    file: PathBuf,
    name: DetectorName,
    layer: Layer,
}

impl Loader<'_> {
    fn look(mut self) -> (Option<Loaded>, Vec<Mistake>) {
        let main = self.file(&self.main_file.clone());
        let sources = self.detector_files();
        // Without the whole of the files, what is missing cannot be told from what could not be read.
        let Some(mut main) = main.filter(|_| self.mistakes.is_empty()) else { return (None, self.mistakes()) };
        let (box_variables, mut detector_variables) = self.variables(&sources);

        main = main.clone().under(Layer::variables(&box_variables, &main, &mut self.places));
        let defaults = self.detector_defaults(&mut main);
        let scope = Scope { main_file: self.main_file.clone(), detector_file: None };
        let mut branch = self.branch(main, &scope);
        let Some(main) = read::<MainFile>(&mut branch, &scope, &mut self.mistakes) else {
            return (None, self.mistakes());
        };
        let names: Vec<DetectorName> = sources.iter().map(|source| source.name.clone()).collect();
        let mut checker = self.checker(&scope, &branch);
        checker.main(&main);
        checker.rules(&main.rule, &main.action, Some(&names));
        self.rule_names(&[(&main.rule, &scope, &branch)]);

        let mut detectors = Vec::new();
        let mut branches = vec![(None, scope, branch)];
        let rule_names = |rules: &[RuleConfig]| rules.iter().map(|rule| rule.name.clone()).collect();
        let mut rules = vec![rule_names(&main.rule)];
        if sources.is_empty() {
            self.defaults_alone(defaults.clone());
        }
        for Source { file, name, layer } in sources {
            let below = defaults.clone().under(layer);
            let variables = detector_variables.remove(&name).unwrap_or_default();
            let whole = below.clone().under(Layer::variables(&variables, &below, &mut self.places));
            let scope = Scope { main_file: self.main_file.clone(), detector_file: Some(file) };
            let mut branch = self.branch(whole, &scope);
            if let Some(detector) = read::<DetectorFile>(&mut branch, &scope, &mut self.mistakes) {
                let mut checker = self.checker(&scope, &branch);
                checker.detector(&detector);
                checker.rules(&detector.rule, &main.action, None);
                rules.push(rule_names(&detector.rule));
                let (_, main_scope, main_branch) = &branches[0];
                self.rule_names(&[(&main.rule, main_scope, main_branch), (&detector.rule, &scope, &branch)]);
                detectors.extend(self.detector(name.clone(), detector, &main.rule, &scope, &branch));
            }
            branches.push((Some(name), scope, branch));
        }
        for rule in detectors.iter_mut().flat_map(|detector| &mut detector.rules) {
            rule.fill_cooldown(&main.action);
        }
        let mistakes = self.mistakes();
        detectors.sort_by(|a, b| a.name.cmp(&b.name));
        if mistakes.is_empty() {
            // A rule that was left out may perform any of them.
            self.unused_actions(&main.action, &main.rule, &detectors, &branches[0]);
        }
        let shown = branches.iter().map(|(_, _, branch)| super::show::shown(branch, &self.secrets)).collect();
        for (_, _, branch) in &mut branches {
            branch.texts(&mut Vec::new(), &mut |_, node| node.body = Body::Removed);
        }
        let MainFile { state_dir, log, models, identities, outbox, status, mqtt, dry_run, action: actions, .. } = main;
        let settings =
            Settings { state_dir, log, models, identities, outbox, status, mqtt, dry_run, detectors, actions };
        tidy(&mut self.warnings, &self.secrets);
        let loaded = Loaded { settings, warnings: self.warnings, files: self.files, branches, rules, shown };
        (Some(loaded), mistakes)
    }

    fn file(&mut self, file: &Path) -> Option<Layer> {
        let text = match identities::text_file::read(file) {
            Ok(text) => text,
            Err(error) => {
                let problem = format!("cannot read this file: {error}");
                self.mistakes.push(Mistake::new(Some(Place::file(file)), "", problem));
                return None;
            }
        };
        self.files.push(file.to_owned());
        let layer = Layer::toml(file, &text, &mut self.places);
        layer.map_err(|mistake| self.mistakes.push(mistake)).ok()
    }

    /// The files under `detectors/`, by name; two of one name are a mistake.
    fn detector_files(&mut self) -> Vec<Source> {
        let folder = self.main_file.parent().unwrap_or(Path::new("")).join("detectors");
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                let problem = format!("cannot read this folder: {error}");
                self.mistakes.push(Mistake::new(Some(Place::file(folder)), "", problem));
                return Vec::new();
            }
        };
        let is_toml = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".toml") && !name.starts_with('.')
        };
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_toml).collect();
        files.sort();
        let mut sources: Vec<Source> = Vec::new();
        for file in files {
            let Some(layer) = self.file(&file) else { continue };
            let written = layer.0.get("name");
            let place = written.and_then(|name| self.places.of(name)).unwrap_or_else(|| Place::file(&file));
            let name = match written.map(|name| name.clone().into_string()) {
                Some(Ok(name)) => name,
                // Another type than text: its reading will tell.
                Some(Err(_)) | None => file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            };
            match DetectorName::new(&name) {
                Ok(name) => match sources.iter().find(|other| other.name == name) {
                    Some(other) => self.mistakes.push(Mistake::new(
                        Some(place),
                        "name",
                        format!("{} is also called `{name}`; give one of them another name", other.file.display()),
                    )),
                    None => sources.push(Source { file, name, layer }),
                },
                Err(problem) => self.mistakes.push(Mistake::new(Some(place), "name", problem)),
            }
        }
        sources
    }

    /// The variables of the box, and each detector's.
    #[allow(clippy::type_complexity)] // keys, name and value of a variable, explained where they are used
    fn variables(
        &mut self,
        sources: &[Source],
    ) -> (Vec<(Vec<String>, String, String)>, BTreeMap<DetectorName, Vec<(Vec<String>, String, String)>>) {
        let (mut of_box, mut of_detectors) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
        let keys = |rest: &str| rest.split("__").map(str::to_owned).collect::<Vec<_>>();
        for (name, value) in &self.surroundings.variables {
            let upper = name.to_uppercase();
            if let Some(rest) = upper.strip_prefix(DETECTORS_PREFIX) {
                // The longest name that fits, so that `front` does not take what is meant for `front__door`.
                let prefix = |source: &Source| format!("{}__", variable_name(source.name.as_str()));
                let fitting = sources.iter().filter(|source| rest.starts_with(&prefix(source)));
                match fitting.max_by_key(|source| prefix(source).len()) {
                    Some(source) => {
                        let keys = keys(&rest[prefix(source).len()..]);
                        let variables = of_detectors.entry(source.name.clone()).or_default();
                        variables.push((keys, name.clone(), value.clone()));
                    }
                    None => self.unknown_detector(name, rest, sources),
                }
            } else if let Some(rest) = upper.strip_prefix(PREFIX) {
                of_box.push((keys(rest), name.clone(), value.clone()));
            }
        }
        (of_box, of_detectors)
    }

    fn unknown_detector(&mut self, variable: &str, rest: &str, sources: &[Source]) {
        let meant = rest.split("__").next().unwrap_or_default();
        let known: Vec<String> = sources.iter().map(|source| variable_name(source.name.as_str())).collect();
        let help = match nearest(meant, known.iter().map(String::as_str), 0.5) {
            Some(near) if !same_name(near, meant) => format!("did you mean `{near}`?"),
            Some(_) => "a section and a key must follow, as in `__CAMERA__URL`".into(),
            None if known.is_empty() => "there is no file under detectors/".into(),
            None => format!("there are {}", super::diagnose::listed(&known)),
        };
        let problem = format!("no detector is called `{meant}`; {help}");
        self.mistakes.push(Mistake::new(Some(Place::Variable(variable.to_owned())), "", problem));
    }

    /// Takes `[detector]` out of the main layer. A name or rules there would be everyone's.
    fn detector_defaults(&mut self, main: &mut Layer) -> Layer {
        let mut defaults = main.section("detector");
        main.0.remove("detector");
        for (key, problem) in [
            ("name", "every detector has a name of its own; write it in its file under `detectors/`"),
            ("rule", "rules for all detectors stand at the top level: write `[[rule]]`"),
        ] {
            if let Some(value) = defaults.0.remove(key) {
                self.mistakes.push(Mistake::new(self.places.of(&value), format!("detector.{key}"), problem));
            }
        }
        defaults.0.remove(HERE);
        defaults
    }

    /// `[detector]` while there is no detector to read it with; a camera there may be half of one.
    fn defaults_alone(&mut self, mut defaults: Layer) {
        defaults.0.remove("camera");
        let scope = Scope { main_file: self.main_file.clone(), detector_file: Some(self.main_file.clone()) };
        let mut branch = self.branch(defaults, &scope);
        if let Some(detector) = read::<DetectorFile>(&mut branch, &scope, &mut self.mistakes) {
            self.checker(&scope, &branch).detector(&detector);
            if let Some(zone) = &detector.time_zone {
                self.time_zone(zone, &scope, &branch);
            }
        }
    }

    /// The tree of a merged layer, with credentials and variables filled in.
    fn branch(&mut self, layer: Layer, scope: &Scope) -> Node {
        let mut node = Node::from_layer(layer, &self.places);
        let surroundings = self.surroundings;
        let mut found: Vec<(Vec<String>, String, bool)> = Vec::new();
        let mut secrets = Vec::new();
        node.texts(&mut Vec::new(), &mut |path, node| {
            let Body::Text(text) = &node.body else { return };
            if node.filled {
                // A variable of the environment is taken as it is.
                secrets.push(text.clone());
                return;
            }
            match surroundings.fill(text) {
                Ok(filled) => {
                    found.extend(filled.warnings.into_iter().map(|warning| (path.to_vec(), warning, false)));
                    if !filled.changed && is_secret(path, text) && readable_by_everyone(&node.place) {
                        let warning = "a secret stands in a file everyone on this machine can read; use \
                             `${NAME}` and a credential, or let only doorward's user read the file";
                        found.push((path.to_vec(), warning.into(), false));
                    }
                    node.filled = filled.changed;
                    node.body = Body::Text(filled.text);
                    secrets.extend(filled.secrets);
                }
                Err(problem) => {
                    found.push((path.to_vec(), problem, true));
                    node.body = Body::Removed;
                }
            }
        });
        self.secrets.extend(secrets);
        for (path, problem, wrong) in found {
            let mistake = scope.mistake(&node, &path, problem);
            if wrong { self.mistakes.push(mistake) } else { self.warnings.push(mistake) }
        }
        node
    }

    fn checker<'a>(&'a mut self, scope: &'a Scope, node: &'a Node) -> Checker<'a> {
        Checker { scope, node, mistakes: &mut self.mistakes, warnings: &mut self.warnings }
    }

    fn detector(
        &mut self,
        name: DetectorName,
        detector: DetectorFile,
        global: &[RuleConfig],
        scope: &Scope,
        branch: &Node,
    ) -> Option<DetectorConfig> {
        let DetectorFile {
            _name: _,
            time_zone,
            holidays,
            camera,
            detect,
            track,
            quality,
            crop,
            embed,
            identify,
            presence,
            rule,
        } = detector;
        let mut missing = |key: &str, problem: &str| {
            // What was taken out has been told of.
            if !branch.get(&[key]).is_some_and(Node::is_removed) {
                let place = scope.detector_file.as_ref().map(Place::file);
                self.mistakes.push(Mistake::new(place, key, problem));
            }
        };
        if camera.is_none() {
            missing(
                "camera",
                "this is missing; add a `[camera]` section, for example with `type = \"v4l2\"` and \
                 `device = \"/dev/video0\"`",
            );
        }
        if time_zone.is_none() {
            missing(
                "time_zone",
                "this is missing; write where the door is, for example `time_zone = \"Europe/Stockholm\"`, here or \
                 as `detector.time_zone` in the main file",
            );
        }
        let time_zone = self.time_zone(&time_zone?, scope, branch)?;
        let applies = |rule: &&RuleConfig| rule.when.detectors.is_empty() || rule.when.detectors.contains(&name);
        let rules = global.iter().filter(applies).cloned().chain(rule).collect();
        Some(DetectorConfig {
            time_zone,
            holidays,
            camera: camera?,
            detect,
            track,
            quality,
            crop,
            embed,
            identify,
            presence,
            rules,
            name,
        })
    }

    fn time_zone(&mut self, zone: &str, scope: &Scope, branch: &Node) -> Option<Tz> {
        match time_zone::parse(zone) {
            Ok(zone) => {
                if let Some(caution) = time_zone::caution(zone) {
                    self.checker(scope, branch).unwise(&["time_zone"], caution);
                }
                Some(zone)
            }
            Err(problem) => {
                self.checker(scope, branch).wrong(&["time_zone"], problem);
                None
            }
        }
    }

    /// Two rules of one name cannot be told apart in a record. Later lists are compared with all before them.
    fn rule_names(&mut self, lists: &[(&Vec<RuleConfig>, &Scope, &Node)]) {
        let mut seen: BTreeMap<&str, Option<Place>> = BTreeMap::new();
        let last = lists.len().saturating_sub(1);
        for (depth, (rules, scope, branch)) in lists.iter().enumerate() {
            let Some(Body::List(nodes)) = branch.get(&["rule"]).map(|node| &node.body) else { continue };
            let present = nodes.iter().enumerate().filter(|(_, node)| !node.is_removed());
            for ((number, _), rule) in present.zip(*rules) {
                let path = ["rule".to_owned(), number.to_string(), "name".to_owned()];
                let place = branch.place_of(&path);
                if let Some(first) = seen.get(rule.name.as_str()) {
                    if depth == last {
                        let first = first.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
                        let problem = format!("another rule is called `{}` too{first}; rename one", rule.name);
                        self.mistakes.push(scope.mistake(branch, &path, problem));
                    }
                } else {
                    seen.insert(&rule.name, place);
                }
            }
        }
    }

    fn unused_actions(
        &mut self,
        actions: &BTreeMap<String, ActionConfig>,
        global: &[RuleConfig],
        detectors: &[DetectorConfig],
        (_, scope, branch): &(Option<DetectorName>, Scope, Node),
    ) {
        let rules = global.iter().chain(detectors.iter().flat_map(|detector| &detector.rules));
        let used: std::collections::BTreeSet<&String> = rules.flat_map(|rule| &rule.actions).collect();
        for name in actions.keys().filter(|name| !used.contains(name)) {
            self.warnings.push(scope.mistake(branch, &["action", name], "no rule performs this action"));
        }
    }

    fn mistakes(&mut self) -> Vec<Mistake> {
        let mut mistakes = std::mem::take(&mut self.mistakes);
        tidy(&mut mistakes, &self.secrets);
        mistakes
    }
}

impl Loaded {
    /// What the files and the environment come to, without secrets: the box's part, then each detector's.
    pub fn to_text(&self) -> String {
        let part = |((name, scope, _), text): (&(Option<DetectorName>, Scope, Node), &String)| match name {
            None => format!(
                "# The box, from {}; keys that are not here have their defaults.\n{text}",
                scope.main_file.display()
            ),
            Some(name) => format!("\n# The detector {name}, with the defaults of all detectors.\n{text}"),
        };
        self.branches.iter().zip(&self.shown).map(part).collect()
    }

    /// A mistake found later, at the place of this key: `detect.model` of a detector, `state_dir` or
    /// `action.open.args[1]` of the box.
    pub fn mistake(&self, detector: Option<&DetectorName>, key: &str, problem: impl Into<String>) -> Mistake {
        let path: Vec<&str> = key.split(['.', '[', ']']).filter(|step| !step.is_empty()).collect();
        let branch = self.branches.iter().find(|(name, ..)| name.as_ref() == detector);
        match branch {
            Some((_, scope, node)) => scope.mistake(node, &path, problem),
            None => Mistake::new(None, key, problem),
        }
    }
}

impl Loaded {
    /// A mistake in a rule of a detector, found later: where the rule of this name stands, in the detector's file or in
    /// the main one.
    pub fn rule_mistake(&self, detector: &DetectorName, rule: &str, key: &str, problem: impl Into<String>) -> Mistake {
        for ((name, scope, node), rules) in self.branches.iter().zip(&self.rules) {
            let mine = name.is_none() || name.as_ref() == Some(detector);
            if let Some(number) = rules.iter().position(|name| name == rule).filter(|_| mine) {
                return scope.mistake(node, &["rule", &number.to_string(), key], problem);
            }
        }
        Mistake::new(None, format!("rule.{key}"), problem)
    }
}

impl From<Mistake> for ConfigErrors {
    fn from(mistake: Mistake) -> Self {
        Self { mistakes: vec![mistake] }
    }
}

/// In the order of files and lines, each once: a default of all detectors is read with every one of them. What came from
/// outside is taken out of their texts: a password may stand under the wrong key.
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

fn nowhere() -> ConfigErrors {
    let mut problem = format!(
        "there is no configuration: {MAIN_FILE} is not there; write it, or name another file with --config or \
         DOORWARD_CONFIG"
    );
    let here = Path::new("config/doorward.toml");
    if here.exists() {
        problem += &format!(" ({} in this folder is only taken when it is named)", here.display());
    }
    Mistake::new(None, "", problem).into()
}

fn default_state_dir() -> PathBuf {
    Settings::default().state_dir
}
