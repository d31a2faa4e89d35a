//! Where a value of the configuration stands, and what is wrong with it.
//!
//! In: a file and line, or the name of a variable. Out: [`Mistake`]s, which name the place, the key, the problem and
//! what to do. A mistake never holds the value of a key that may be secret.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, derive_more::Display)]
pub enum Place {
    /// `line` counts from 1; `None` is the file as a whole.
    #[display("{}{}", file.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
    File { file: Arc<Path>, line: Option<usize> },
    /// A variable of the environment.
    #[display("environment variable {_0}")]
    Variable(String),
}

/// One thing wrong with the configuration, or worth a warning.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    pub place: Option<Place>,
    /// Dotted, as in the file; empty for a file as a whole.
    pub key: String,
    /// What is wrong, and then what to do.
    pub problem: String,
}

/// Why there is no configuration: every mistake found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    /// In the order of file and line; never empty.
    pub mistakes: Vec<Mistake>,
}

impl Place {
    pub(super) fn file(file: impl Into<PathBuf>) -> Self {
        Self::File { file: file.into().into(), line: None }
    }
}

impl Mistake {
    pub(super) fn new(place: Option<Place>, key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { place, key: key.into(), problem: problem.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
        let key = if self.key.is_empty() { String::new() } else { format!("`{}`: ", self.key) };
        write!(f, "{place}{key}{}", self.problem)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mistakes.len() {
            1 => write!(f, "the configuration has a mistake:")?,
            n => write!(f, "the configuration has {n} mistakes:")?,
        }
        self.mistakes.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}
