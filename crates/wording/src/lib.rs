//! What messages have in common: an error with its causes, the name that was meant by a mistyped one, a list of names;
//! and [the languages](languages) of a page.
//!
//! In: errors; a name as it was typed, and the known ones. Out: parts of a sentence. It does not know what they are
//! about.

pub mod languages;

use std::error::Error;
use std::iter::successors;

/// An error and its causes in a line, each after a colon.
pub fn with_causes(error: &dyn Error) -> String {
    let causes = successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The known name most like the typed one, when they are at least this alike (0: nothing in common, 1: the same). Case,
/// dashes, spaces and underscores make no difference. Of several that are equally alike it is the first.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>, least: f64) -> Option<&'a str> {
    let fold = |text: &str| text.to_lowercase().replace(['-', ' '], "_");
    let typed = fold(typed);
    let mut best: Option<(f64, &str)> = None;
    for name in known {
        let likeness = strsim::normalized_damerau_levenshtein(&typed, &fold(name));
        if likeness >= least && best.is_none_or(|(so_far, _)| likeness > so_far) {
            best = Some((likeness, name));
        }
    }
    best.map(|(_, name)| name)
}

/// The names as a sentence lists them: "`a`, `b` and `c`".
pub fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
        None => "none".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_nearest_names_is_meant_unless_none_is_near() {
        let known = ["yunet_n", "yunet_s", "centerface"];
        for (typed, meant) in [
            ("yunet_m", Some("yunet_n")),
            ("Yunet-S", Some("yunet_s")),
            ("CenterFace", Some("centerface")),
            ("xyz", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, known, 0.5), meant, "{typed}");
        }
    }

    #[test]
    fn names_are_listed_as_a_sentence_does() {
        for (names, text) in [(&[][..], "none"), (&["a"], "`a`"), (&["a", "b", "c"], "`a`, `b` and `c`")] {
            assert_eq!(listed(names), text);
        }
    }
}
