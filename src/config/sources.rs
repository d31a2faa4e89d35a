//! Where the configuration is written: the main file, `detectors/*.toml` beside it, variables of the environment.
//!
//! In: the main file's path and the environment. Out: [`Sources`], a layer each, not merged yet, and the mistakes of
//! what cannot be read at all.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use trusted::TrustError;
use wording::{listed, nearest};

use super::layers::{Layer, Variable, same_name, variable_name};
use super::name::DetectorName;
use super::place::{Mistake, Place};

const PREFIX: &str = "DOORWARD__";
const DETECTORS_PREFIX: &str = "DOORWARD__DETECTORS__";

/// The layers before they are merged.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// `None` where not every file could be read: what is missing cannot be told from what could not be read then.
    pub main: Option<Layer>,
    /// The variables that are not a detector's.
    pub variables: Vec<Variable>,
    /// In the order of their files.
    pub detectors: Vec<DetectorSource>,
    /// Every file that was read, the main one first.
    pub files: Vec<PathBuf>,
    pub mistakes: Vec<Mistake>,
}

/// What is written for one detector alone.
#[derive(Debug)]
pub(super) struct DetectorSource {
    pub file: PathBuf,
    pub name: DetectorName,
    pub layer: Layer,
    pub variables: Vec<Variable>,
}

impl Sources {
    /// Reads the files, and sorts the variables.
    pub fn read(main_file: &Path, variables: &BTreeMap<String, String>) -> Self {
        let mut sources = Self::default();
        sources.main = sources.file(main_file);
        sources.detector_files(&main_file.parent().unwrap_or(Path::new("")).join("detectors"));
        if sources.mistakes.is_empty() {
            sources.sort_variables(variables);
        } else {
            sources.main = None;
        }
        sources
    }

    fn wrong(&mut self, place: Place, key: &str, problem: impl Into<String>) {
        self.mistakes.push(Mistake::new(Some(place), key, problem));
    }

    fn file(&mut self, file: &Path) -> Option<Layer> {
        let text = match text(file) {
            Ok(text) => text,
            Err(problem) => {
                self.wrong(Place::file(file), "", problem);
                return None;
            }
        };
        self.files.push(file.to_owned());
        let layer = Layer::toml(file, &text);
        layer.map_err(|mistake| self.mistakes.push(mistake)).ok()
    }

    /// The files of the folder, by name; two of one name are a mistake.
    fn detector_files(&mut self, folder: &Path) {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => return self.wrong(Place::file(folder), "", format!("cannot read this folder: {error}")),
        };
        let is_toml = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".toml") && !name.starts_with('.')
        };
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_toml).collect();
        files.sort();
        for file in files {
            let Some(mut layer) = self.file(&file) else { continue };
            let place = layer.place_of("name").unwrap_or_else(|| Place::file(&file));
            // Of a name that is no text its reading will tell.
            let name = layer.values.get("name").and_then(|name| name.clone().into_string().ok());
            let name = name.unwrap_or_else(|| file.file_stem().unwrap_or_default().to_string_lossy().into_owned());
            match DetectorName::new(&name) {
                Ok(name) => match self.detectors.iter().find(|other| other.name == name) {
                    Some(other) => {
                        let other = other.file.display();
                        let problem = format!("{other} is also called `{name}`; give one of them another name");
                        self.wrong(place, "name", problem);
                    }
                    None => {
                        layer.say("name", name.as_str(), place);
                        self.detectors.push(DetectorSource { file, name, layer, variables: Vec::new() });
                    }
                },
                Err(problem) => self.wrong(place, "name", problem),
            }
        }
    }

    /// Sorts the variables into the box's and each detector's.
    fn sort_variables(&mut self, variables: &BTreeMap<String, String>) {
        let variable = |keys: &str, name: &str, value: &str| Variable {
            keys: keys.split("__").map(str::to_owned).collect(),
            name: name.to_owned(),
            value: value.to_owned(),
        };
        for (name, value) in variables {
            let upper = name.to_uppercase();
            if let Some(rest) = upper.strip_prefix(DETECTORS_PREFIX) {
                // The longest name that fits, so that `front` does not take what is meant for `front__door`.
                let prefix = |source: &DetectorSource| format!("{}__", variable_name(source.name.as_str()));
                let fitting = self.detectors.iter_mut().filter(|source| rest.starts_with(&prefix(source)));
                match fitting.max_by_key(|source| prefix(source).len()) {
                    Some(source) => {
                        let keys = &rest[prefix(source).len()..];
                        source.variables.push(variable(keys, name, value));
                    }
                    None => self.unknown_detector(name, rest),
                }
            } else if let Some(rest) = upper.strip_prefix(PREFIX) {
                self.variables.push(variable(rest, name, value));
            }
        }
    }

    fn unknown_detector(&mut self, variable: &str, rest: &str) {
        let meant = rest.split("__").next().unwrap_or_default();
        let known: Vec<String> = self.detectors.iter().map(|source| variable_name(source.name.as_str())).collect();
        let help = match nearest(meant, known.iter().map(String::as_str), 0.5) {
            Some(near) if !same_name(near, meant) => format!("did you mean `{near}`?"),
            Some(_) => "a section and a key must follow, as in `__CAMERA__URL`".into(),
            None if known.is_empty() => "there is no file under detectors/".into(),
            None => format!("there are {}", listed(&known)),
        };
        self.wrong(Place::Variable(variable.to_owned()), "", format!("no detector is called `{meant}`; {help}"));
    }
}

/// What a configuration file says. One that others can write to is not read: it may name programs to run.
fn text(file: &Path) -> Result<String, String> {
    let unread = |error: io::Error| format!("cannot read this file: {error}");
    trusted::find(file).map_err(|error| match error {
        TrustError::File { source, .. } => unread(source),
        others => others.to_string(),
    })?;
    identities::text_file::read(file).map_err(unread)
}
