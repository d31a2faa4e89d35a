//! One thing a rule or a guard asks of what happened: what was wanted, what was found, and whether it held.
//!
//! In: a matcher's or a guard's name and values. Out: a [`Check`], which `doorward rules explain` shows. What was found
//! may be a tag or a field of a person: it is for the operator's eyes, never for a log.

/// What one matcher or guard wanted and found. What was found may be a tag or a field of a person, and no log shows it.
#[derive(Clone, PartialEq, Eq, derive_more::Debug, serde::Serialize)]
#[debug("{matcher} {}", if *held { "holds" } else { "does not hold" })]
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

/// How sure the engine is of the person, as it is found.
pub fn match_score(score: Option<f32>) -> String {
    score.map_or_else(|| "no match score".into(), |score| score.to_string())
}

/// What the liveness models say of a visit, as it is found.
pub fn live_text(live: Option<f32>) -> String {
    live.map_or_else(|| "no liveness value".into(), |live| format!("{live:.3}"))
}

/// `a, b, c`, or `none`.
pub fn list<T, S: Into<String>>(items: &[T], text: impl Fn(&T) -> S) -> String {
    if items.is_empty() {
        return "none".into();
    }
    items.iter().map(|item| text(item).into()).collect::<Vec<_>>().join(", ")
}
