//! One branch of the configuration: the main file's, or a detector's, merged and filled in.
//!
//! In: a tree, credentials and variables. Out: the same tree with those filled in, and the mistakes of that; and
//! afterwards the places alone, for mistakes that are found later. It does not know which sections there are.

use std::path::PathBuf;

use identities::text;

use super::name::DetectorName;
use super::place::{Mistake, Place};
use super::secrets::{Surroundings, is_secret, readable_by_everyone};
use super::tree::{Body, Node};

/// A branch, whose it is, and the files it comes from.
#[derive(Debug)]
pub(super) struct Branch {
    /// `None` for the box itself.
    pub detector: Option<DetectorName>,
    pub main_file: PathBuf,
    /// `None` for the box itself.
    pub detector_file: Option<PathBuf>,
    pub root: Node,
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
    /// Fills in credentials and variables; what came from those is added to `secrets`.
    pub fn fill(&mut self, surroundings: &Surroundings, secrets: &mut Vec<String>, notes: &mut Notes) {
        let (mut wrong, mut unwise) = (Vec::new(), Vec::new());
        self.root.texts(&mut Vec::new(), &mut |path, node| {
            let Body::Text(text) = &node.body else { return };
            if node.filled {
                // A variable of the environment is taken as it is.
                secrets.push(text.clone());
                return;
            }
            match surroundings.fill(text) {
                Ok(filled) => {
                    unwise.extend(filled.warnings.into_iter().map(|warning| (path.to_vec(), warning)));
                    if !filled.changed && is_secret(path, text) && readable_by_everyone(&node.place) {
                        let warning = "a secret stands in a file everyone on this machine can read; use `${NAME}` and \
                                       a credential, or let only doorward's user read the file";
                        unwise.push((path.to_vec(), warning.into()));
                    }
                    node.filled = filled.changed;
                    node.body = Body::Text(filled.text);
                    secrets.extend(filled.secrets);
                }
                Err(problem) => {
                    wrong.push((path.to_vec(), problem));
                    node.body = Body::Removed;
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
        let place = self.root.place_of(path).unwrap_or_else(whole_file);
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
        let Body::List(rules) = &self.root.get(&["rule"])?.body else { return None };
        let name_of = |rule: &Node| rule.get(&["name"])?.text().map(|name| text::composed(name).into_owned());
        rules.iter().position(|rule| name_of(rule).is_some_and(|known| known == name)).map(|number| number.to_string())
    }

    /// Takes the texts out, which may be secret; the places stay, and the names of rules, by which their places are
    /// found.
    pub fn forget(&mut self) {
        self.root.texts(&mut Vec::new(), &mut |path, node| {
            let names_a_rule = matches!(path, [list, _, key] if list == "rule" && key == "name");
            if !names_a_rule {
                node.body = Body::Removed;
            }
        });
    }
}
