//! One branch of the configuration: the main file's, or a detector's, merged and filled in.
//!
//! In: a tree, credentials and variables. Out: the same tree with those filled in, and the mistakes of that; and
//! afterwards the places alone, for mistakes that are found later. It does not know which sections there are.

use std::collections::BTreeSet;
use std::path::PathBuf;

use ::config::{Value, ValueKind};
use identities::text;

use super::layers::{Layer, Places, as_text};
use super::name::DetectorName;
use super::place::{Mistake, Place};
use super::secrets::{Surroundings, is_secret, readable_by_everyone};

/// A branch, whose it is, and the files it comes from. Its values may be secret, and are never printed.
#[derive(derive_more::Debug)]
pub(super) struct Branch {
    /// `None` for the box itself.
    pub detector: Option<DetectorName>,
    pub main_file: PathBuf,
    /// `None` for the box itself.
    pub detector_file: Option<PathBuf>,
    /// The whole table. A value is nil where it was taken out, because its mistake has been told or because it may be
    /// secret.
    #[debug(skip)]
    pub root: Value,
    pub places: Places,
    /// The paths of texts that were filled in from a credential or a variable: such a text takes the type its key
    /// wants, and is never shown.
    pub filled: BTreeSet<Vec<String>>,
    /// The branch as TOML, without secrets; empty until it is known what is secret.
    pub shown: String,
}

/// What was found in a branch.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub mistakes: Vec<Mistake>,
    /// What is allowed, and worth telling.
    pub warnings: Vec<Mistake>,
    pub strays: Vec<StrayKey>,
    /// Values are only read; whether they are within their ranges and make sense together is not asked.
    pub unjudged: bool,
    /// More is written elsewhere: no key is missing.
    pub partial: bool,
}

/// A key that nobody knows where it stands. What it may have meant is told by who knows every section.
#[derive(Debug)]
pub(super) struct StrayKey {
    /// The way to it, with the key itself.
    pub path: Vec<String>,
    /// The keys that are known there.
    pub known: &'static [&'static str],
}

impl Branch {
    /// The merged layer of the box, or of a detector.
    pub fn new(
        detector: Option<DetectorName>,
        main_file: PathBuf,
        detector_file: Option<PathBuf>,
        layer: Layer,
    ) -> Self {
        let (filled, shown) = (BTreeSet::new(), String::new());
        Self { detector, main_file, detector_file, root: layer.values.into(), places: layer.places, filled, shown }
    }

    /// The value at the end of the path, if it is there.
    pub fn get<S: AsRef<str>>(&self, path: &[S]) -> Option<&ValueKind> {
        path.iter().try_fold(&self.root.kind, |value, step| match value {
            ValueKind::Table(map) => Some(&map.get(step.as_ref())?.kind),
            ValueKind::Array(list) => Some(&list.get(step.as_ref().parse::<usize>().ok()?)?.kind),
            _ => None,
        })
    }

    /// The place of the value at the end of the path, or of the nearest one above it that has one.
    pub fn place_of<S: AsRef<str>>(&self, path: &[S]) -> Option<&Place> {
        let path: Vec<String> = path.iter().map(|step| step.as_ref().to_owned()).collect();
        let mut above = (0..=path.len()).rev().map(|length| &path[..length]).filter(|path| self.get(path).is_some());
        above.find_map(|path| self.places.get(path))
    }

    /// Fills in credentials and variables; what came from those is added to `secrets`.
    pub fn fill(&mut self, surroundings: &Surroundings, secrets: &mut Vec<String>, notes: &mut Notes) {
        let (mut wrong, mut unwise) = (Vec::new(), Vec::new());
        texts(&mut self.root, &mut Vec::new(), &mut |path, value| {
            let Some(text) = as_text(&value.kind) else { return };
            let place = self.places.get(path);
            if let Some(Place::Variable(_)) = place {
                // A variable of the environment is taken as it is.
                self.filled.insert(path.to_vec());
                secrets.push(text.to_owned());
                return;
            }
            match surroundings.fill(text) {
                Ok(filled) => {
                    unwise.extend(filled.warnings.into_iter().map(|warning| (path.to_vec(), warning)));
                    if !filled.changed && is_secret(path, text) && place.is_some_and(readable_by_everyone) {
                        let warning = "a secret stands in a file everyone on this machine can read; use `${NAME}` and \
                                       a credential, or let only doorward's user read the file";
                        unwise.push((path.to_vec(), warning.into()));
                    }
                    if filled.changed {
                        self.filled.insert(path.to_vec());
                    }
                    value.kind = ValueKind::String(filled.text);
                    secrets.extend(filled.secrets);
                }
                Err(problem) => {
                    wrong.push((path.to_vec(), problem));
                    value.kind = ValueKind::Nil;
                }
            }
        });
        let mistake = |(path, problem): (Vec<String>, String)| self.mistake(&path, problem);
        notes.mistakes.extend(wrong.into_iter().map(mistake));
        notes.warnings.extend(unwise.into_iter().map(mistake));
    }

    /// A mistake at a path of the branch.
    pub fn mistake<S: AsRef<str>>(&self, path: &[S], problem: impl Into<String>) -> Mistake {
        let whole_file = || Place::file(self.detector_file.as_ref().unwrap_or(&self.main_file));
        let place = self.place_of(path).cloned().unwrap_or_else(whole_file);
        Mistake::new(Some(place.clone()), self.key(path, &place), problem)
    }

    /// The key as the file writes it, without the numbers of list items, which the line tells better.
    fn key<S: AsRef<str>>(&self, path: &[S], place: &Place) -> String {
        let default_of_all =
            self.detector_file.is_some() && matches!(place, Place::File { file, .. } if **file == *self.main_file);
        let steps = path.iter().map(AsRef::as_ref).filter(|step| step.parse::<usize>().is_err());
        default_of_all.then_some("detector").into_iter().chain(steps).collect::<Vec<_>>().join(".")
    }

    /// The number of the rule of this name in the list of rules.
    pub fn rule_number(&self, name: &str) -> Option<String> {
        let ValueKind::Array(rules) = self.get(&["rule"])? else { return None };
        let name_of = |number: &str| self.get(&["rule", number, "name"]).and_then(as_text);
        let mut numbers = (0..rules.len()).map(|number| number.to_string());
        numbers.find(|number| name_of(number).is_some_and(|known| text::composed(known) == name))
    }

    /// Takes the texts out, which may be secret; the places stay, and the names of rules, by which their places are
    /// found.
    pub fn forget(&mut self) {
        texts(&mut self.root, &mut Vec::new(), &mut |path, value| {
            let names_a_rule = matches!(path, [list, _, key] if list == "rule" && key == "name");
            if !names_a_rule {
                value.kind = ValueKind::Nil;
            }
        });
    }
}

/// Calls `visit` on every text of a value, with its path.
fn texts(value: &mut Value, path: &mut Vec<String>, visit: &mut impl FnMut(&[String], &mut Value)) {
    let below: Vec<(String, &mut Value)> = match &mut value.kind {
        ValueKind::Table(map) => map.iter_mut().map(|(key, value)| (key.clone(), value)).collect(),
        ValueKind::Array(list) => list.iter_mut().enumerate().map(|(n, value)| (n.to_string(), value)).collect(),
        ValueKind::String(_) => return visit(path, value),
        _ => return,
    };
    for (step, value) in below {
        path.push(step);
        texts(value, path, visit);
        path.pop();
    }
}
