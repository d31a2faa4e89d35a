//! Text as people write it: which spellings are the same word, and which of them is kept.
//!
//! The same name reaches a box composed ("é" as one character, as most keyboards type it) and decomposed ("e" and an
//! accent, as some systems name their files), in capitals, and with the spaces of a spreadsheet. In: such a text. Out:
//! [`tidy`], the spelling that is stored, shown and sent; and [`folded`], which is equal for all of its spellings and
//! shown to nobody. It does not know what a text is about; passwords and paths, which mean their very bytes, must not
//! come here.

use std::borrow::Cow;

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};

/// The same characters, each composed as far as there is a character for it (Unicode's NFC).
pub fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { Cow::Borrowed(text) } else { ComposingNormalizerBorrowed::new_nfc().normalize(text) }
}

/// The text as it is kept: composed, with single common spaces between its words and none around them.
pub fn tidy(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    composed(&words.join(" ")).into_owned()
}

/// The text as it is compared: equal for texts that differ in composition, case, spaces or characters that take no
/// place. Unicode calls it canonical caseless matching.
pub fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.split_ascii_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase();
    }
    let visible: String = text.chars().filter(|c| !takes_no_place(*c)).collect();
    let words = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    // Some characters fold differently composed than decomposed; both decompositions are what the standard asks for.
    let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize(&words);
    composed(&CaseMapper::new().fold_string(&decomposed)).into_owned()
}

/// Whether two texts are spellings of one.
pub fn same(a: &str, b: &str) -> bool {
    a == b || folded(a) == folded(b)
}

/// Whether a character may stand in a word: a letter, a digit, or a mark that combines with one.
pub fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || GeneralCategoryGroup::Mark.contains(CodePointMapData::<GeneralCategory>::new().get(c))
}

/// Zero-width spaces and joiners, soft hyphens, marks of direction, byte order marks: nobody sees them, and a tag that
/// holds one must not pass for another.
fn takes_no_place(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_word_are_one() {
        for (a, b) in [
            ("VIP", "vip"),
            ("VIP", " VIP\u{a0}"),
            ("Ex  Staff", "ex\u{a0}staff"),
            ("Ex Staff", "Ex\u{202f}\u{2009}Staff"),
            ("Gäste", "Ga\u{308}ste"),
            ("Gesperrt für Tür", "GESPERRT FU\u{308}R TU\u{308}R"),
            ("Straße", "STRASSE"),
            ("Ὀδυσσεύς", "ὈΔΥΣΣΕΎΣ"),
            ("ﬁn", "FIN"),
            ("Việt", "Vie\u{302}\u{323}t"),
            ("Banned", "Ban\u{200b}ned"),
            ("Banned", "\u{feff}Banned"),
            ("한국", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}"),
        ] {
            assert!(same(a, b), "{a} and {b}: {:?} and {:?}", folded(a), folded(b));
            assert_eq!(folded(&folded(a)), folded(a), "{a}");
        }
        for (a, b) in [("Jose", "José"), ("Ex Staff", "ExStaff"), ("VIP", "VIP 2"), ("ı", "i"), ("", "a")] {
            assert!(!same(a, b), "{a} and {b}");
        }
    }

    #[test]
    fn what_is_kept_is_composed_and_keeps_its_case() {
        for (written, kept) in [
            ("  Jose\u{301}  Garci\u{301}a ", "José García"),
            ("Ex\u{a0}\tStaff", "Ex Staff"),
            ("Straße", "Straße"),
            ("\u{3000}", ""),
        ] {
            assert_eq!(tidy(written), kept);
            assert_eq!(tidy(kept), kept);
        }
        assert_eq!(composed("  u\u{308} "), "  ü ");
    }

    #[test]
    fn marks_belong_to_words() {
        assert!("Bu\u{308}ro3".chars().all(is_of_a_word));
        assert!("नमस्ते".chars().all(is_of_a_word), "vowel signs are marks");
        assert!(!" .-_/\u{200b}".chars().any(is_of_a_word));
    }
}
