//! The name of a detector, as everybody types it.

use std::sync::Arc;

use identities::text;
use serde::{Deserialize, Serialize};

/// A camera position's name; the API's `detectorName`. 1 to 64 letters, digits, spaces, dots, dashes and
/// underscores, the first one a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, derive_more::Display, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub struct DetectorName(Arc<str>);

impl TryFrom<String> for DetectorName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::new(&name)
    }
}

impl DetectorName {
    /// Checks the name; the error says what is allowed. However it is typed, or its file is named, it is the same name:
    /// it is kept composed.
    pub fn new(name: &str) -> Result<Self, String> {
        let name = &*text::composed(name);
        let allowed = |c: char| text::is_of_a_word(c) || " ._-".contains(c);
        let first = name.chars().next().is_some_and(char::is_alphanumeric);
        if first && name.chars().count() <= 64 && name.chars().all(allowed) && !name.ends_with(' ') {
            Ok(Self(name.into()))
        } else {
            Err(format!(
                "`{name}` is not a detector name: 1 to 64 letters, digits, spaces, dots, dashes or underscores, \
                 starting with a letter or digit"
            ))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}
