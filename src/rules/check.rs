//! One thing a rule or a guard asks of what happened: what was wanted, what was found, and whether it held.
//!
//! In: a matcher's or a guard's name and values. Out: a [`Check`], which `doorward rules explain` shows. What was found
//! may be a tag or a field of a person: it is for the operator's eyes, never for a log.

/// What is found where the engine did not say how sure it is of the person.
pub const NO_MATCH_SCORE: &str = "no match score";

/// What one matcher or guard wanted and found.
#[derive(Clone, PartialEq, Eq)]
pub struct Check {
    /// The key in `when`, `unless` or `guard`.
    pub matcher: &'static str,
    pub wanted: String,
    pub found: String,
    pub held: bool,
}

impl Check {
    pub fn of(matcher: &'static str, wanted: impl ToString, found: impl ToString, held: bool) -> Self {
        Self { matcher, wanted: wanted.to_string(), found: found.to_string(), held }
    }

    /// The checks of an `unless` as one: it holds when one of them does not.
    pub fn unless(checks: &[Self]) -> Self {
        let all = |text: fn(&Self) -> String| checks.iter().map(text).collect::<Vec<_>>().join("; ");
        Self {
            matcher: "unless",
            wanted: all(|check| format!("{}: {}", check.matcher, check.wanted)),
            found: all(|check| format!("{}: {}", check.matcher, check.found)),
            held: checks.iter().any(|check| !check.held),
        }
    }
}

impl std::fmt::Debug for Check {
    /// Without what was found: it may be a tag or a field of a person.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.matcher, if self.held { "holds" } else { "does not hold" })
    }
}

/// `a, b, c`, or `none`.
pub fn list<T, S: Into<String>>(items: &[T], text: impl Fn(&T) -> S) -> String {
    if items.is_empty() {
        return "none".into();
    }
    items.iter().map(|item| text(item).into()).collect::<Vec<_>>().join(", ")
}
