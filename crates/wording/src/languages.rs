//! The languages of a page: one file of texts for each, and which of them somebody is shown.
//!
//! ```text
//! words/en.json ─┐                                        ┌─▶ words.js: t("people", {n: 3})
//! words/de.json ─┴▶ LANGUAGES ──chosen(…)──▶ told(…) JSON ─┘
//! ```
//!
//! In: files that are JSON objects from a key to a text; what the reader chose, and what their browser says that they
//! speak. Out: the texts of one language, and [`SCRIPT`], by which a page uses them. A text may hold `{name}`, and
//! where it depends on a number there is one for each of the language's plural forms: `people.one`, `people.other`.

use std::collections::{BTreeMap, BTreeSet};

/// What a page imports `t` from; it asks for `words` beside itself, which answers with [`told`].
pub const SCRIPT: &str = include_str!("words.js");

/// A language that a page speaks.
#[derive(Debug, Clone, Copy)]
pub struct Language {
    /// As in BCP 47: `de`.
    pub tag: &'static str,
    /// What its speakers call it.
    pub name: &'static str,
    /// A JSON object of texts.
    pub words: &'static str,
}

/// The language that is asked for by its tag; or else the one of those accepted that comes first by weight and then by
/// place; or else the first there is.
pub fn chosen<'a>(languages: &'a [Language], asked: Option<&str>, accepted: &str) -> Option<&'a Language> {
    let spoken = |tag: &str| languages.iter().find(|language| language.tag.eq_ignore_ascii_case(tag));
    let mut wanted: Vec<(f32, &str)> = accepted.split(',').filter_map(weighted).collect();
    wanted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let by_browser = || wanted.iter().find_map(|(_, tag)| spoken(tag).or_else(|| spoken(tag.split('-').next()?)));
    asked.and_then(spoken).or_else(by_browser).or(languages.first())
}

/// A part of `Accept-Language`: `de-AT;q=0.8`. What is not accepted (`q=0`) is left out.
fn weighted(part: &str) -> Option<(f32, &str)> {
    let mut parts = part.split(';').map(str::trim);
    let tag = parts.next().filter(|tag| !tag.is_empty())?;
    let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |weight| weight.parse().ok())?;
    (weight > 0.0).then_some((weight, tag))
}

/// The answer to a page that asks for its texts: the language, those there are, the zone its times are shown in where
/// they have none of their own, and the texts.
pub fn told(languages: &[Language], chosen: Option<&Language>, zone: &str) -> String {
    let names: Vec<[&str; 2]> = languages.iter().map(|language| [language.tag, language.name]).collect();
    let words: BTreeMap<String, String> =
        chosen.and_then(|language| serde_json::from_str(language.words).ok()).unwrap_or_default();
    let language = chosen.map_or("en", |language| language.tag);
    serde_json::json!({ "language": language, "languages": names, "zone": zone, "words": words }).to_string()
}

/// What a language lacks that the first one has, or has too much, each in a line: texts, and what is put into them. For
/// a test of each page.
pub fn gaps(languages: &[Language]) -> Vec<String> {
    let read = |language: &Language| -> Result<BTreeMap<String, BTreeSet<String>>, String> {
        let words: BTreeMap<String, String> =
            serde_json::from_str(language.words).map_err(|error| format!("{}: {error}", language.tag))?;
        Ok(words.into_iter().map(|(key, text)| (key, blanks(&text))).collect())
    };
    let all: Result<Vec<_>, _> = languages.iter().map(read).collect();
    let all = match all {
        Ok(all) => all,
        Err(error) => return vec![error],
    };
    let Some(first) = all.first() else { return Vec::new() };
    let mut gaps = Vec::new();
    for (language, words) in languages.iter().zip(&all) {
        let tag = language.tag;
        let keys: BTreeSet<&String> = first.keys().chain(words.keys()).collect();
        gaps.extend(keys.into_iter().filter_map(|key| match (first.get(key), words.get(key)) {
            (Some(_), None) => Some(format!("{tag} lacks {key}")),
            (None, Some(_)) => Some(format!("{tag} alone has {key}")),
            (Some(here), Some(there)) if here != there => Some(format!("{tag} puts other things into {key}")),
            _ => None,
        }));
    }
    gaps
}

/// The names in braces.
fn blanks(text: &str) -> BTreeSet<String> {
    text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANGUAGES: [Language; 2] = [
        Language { tag: "en", name: "English", words: r#"{"a": "A {n}", "b": "B"}"# },
        Language { tag: "de", name: "Deutsch", words: r#"{"a": "Ä {n}", "b": "B"}"# },
    ];

    #[test]
    fn what_is_asked_for_goes_before_what_the_browser_says_and_that_by_its_weight() {
        for (asked, accepted, language) in [
            (None, "", "en"),
            (None, "de", "de"),
            (None, "de-AT,de;q=0.9,en;q=0.8", "de"),
            (None, "en-GB,de;q=0.9", "en"),
            (None, "en;q=0.3, de;q=0.7", "de"),
            (None, "fr, de;q=0, en;q=0.1", "en"),
            (None, "fr,it", "en"),
            (None, ";;q=,,x;q=y", "en"),
            (Some("de"), "en", "de"),
            (Some("xx"), "de", "de"),
        ] {
            let chosen = chosen(&LANGUAGES, asked, accepted).map(|language| language.tag);
            assert_eq!(chosen, Some(language), "{asked:?} {accepted}");
        }
    }

    #[test]
    fn a_gap_is_found_whichever_side_it_is_on() {
        assert_eq!(gaps(&LANGUAGES), Vec::<String>::new());
        let other = |words| gaps(&[LANGUAGES[0], Language { words, ..LANGUAGES[1] }]);
        assert_eq!(other(r#"{"a": "Ä {n}"}"#), ["de lacks b"]);
        assert_eq!(other(r#"{"a": "Ä {n}", "b": "", "c": ""}"#), ["de alone has c"]);
        assert_eq!(other(r#"{"a": "Ä {m}", "b": ""}"#), ["de puts other things into a"]);
        assert_eq!(other("{").len(), 1);
    }

    #[test]
    fn a_page_is_told_its_texts_and_what_else_there_is() {
        let told: serde_json::Value =
            serde_json::from_str(&told(&LANGUAGES, Some(&LANGUAGES[1]), "Europe/Berlin")).unwrap();
        assert_eq!((&told["language"], &told["words"]["a"]), (&"de".into(), &"Ä {n}".into()));
        assert_eq!((&told["zone"], &told["languages"][0][1]), (&"Europe/Berlin".into(), &"English".into()));
    }
}
