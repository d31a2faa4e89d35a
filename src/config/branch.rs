//! One branch of the configuration: the main file's, or a detector's, merged and filled in.
//!
//! In: a merged layer. Out: the section it is read as, with every mistake at its place; and afterwards the places
//! alone, for mistakes that are found later. It does not know which sections there are.

use std::cell::RefCell;

use super::advice::tell_strays;
use super::layers::{Layer, Places};
use super::name::DetectorName;
use super::reading::{At, Notes, Scope};
use super::secrets::{Surroundings, is_secret, readable_by_everyone};
use super::tree::{Body, Node};
use super::value::Value;

/// A branch, and whose it is.
#[derive(Debug)]
pub(super) struct Branch {
    /// `None` for the box itself.
    pub detector: Option<DetectorName>,
    pub scope: Scope,
    pub root: Node,
}

impl Branch {
    /// The tree of a merged layer, with credentials and variables filled in; what came from those is added to
    /// `secrets`.
    pub fn fill(
        scope: Scope,
        layer: &Layer,
        places: &Places,
        surroundings: &Surroundings,
        secrets: &mut Vec<String>,
        notes: &RefCell<Notes>,
    ) -> Self {
        let mut branch = Self { detector: None, scope, root: Node::from_layer(layer, places) };
        let (mut wrong, mut unwise) = (Vec::new(), Vec::new());
        branch.root.texts(&mut Vec::new(), &mut |path, node| {
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
        let mistake = |(path, problem): (Vec<String>, String)| branch.scope.mistake(&branch.root, &path, problem);
        let mut found = notes.borrow_mut();
        found.mistakes.extend(wrong.into_iter().map(mistake));
        found.warnings.extend(unwise.into_iter().map(mistake));
        drop(found);
        branch
    }

    /// The point everything in the branch is read from.
    pub fn at<'a>(&'a self, notes: &'a RefCell<Notes>) -> At<'a> {
        At::new(&self.scope, &self.root, notes)
    }

    /// Reads the whole branch. `None` when it is unusable as a whole.
    pub fn read<T: Value>(&self, notes: &RefCell<Notes>) -> Option<T> {
        let at = self.at(notes);
        let value = T::read(&at);
        tell_strays(&at);
        value
    }

    /// Takes the texts out, which may be secret; the places stay.
    pub fn forget(&mut self) {
        self.root.texts(&mut Vec::new(), &mut |_, node| node.body = Body::Removed);
    }
}
