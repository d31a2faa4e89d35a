//! `type = "identities"`: something written back about the recognised person.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{check_tries, default};
use crate::config::validate::ActionChecker;

/// `type = "identities"`: the engine is told something about the recognised person.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteBackConfig {
    /// A template: the name of a tag to give, which is defined if it is not yet.
    pub add_tag: Option<String>,
    /// The tag lapses this long after; without it the tag's own default period applies.
    pub tag_for_secs: Option<u64>,
    /// A template: the name of a tag to take away.
    pub remove_tag: Option<String>,
    /// A template: a note to add.
    pub note: Option<String>,
    /// Custom fields to set: their names, and templates for their values.
    #[serde(default)]
    pub set_fields: BTreeMap<String, String>,
    /// All of it, once.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
    /// Tries in all, of what may be repeated.
    #[serde(default = "default::tries")]
    pub tries: u32,
    /// All tries and the pauses between them; no try starts after it.
    #[serde(default = "default::within_ms")]
    pub within_ms: u64,
    /// People written to at once.
    #[serde(default = "default::concurrency")]
    pub concurrency: u16,
}

impl WriteBackConfig {
    pub(super) fn check(&self, checker: &mut ActionChecker<'_, '_>) {
        let asked = [&self.add_tag, &self.remove_tag, &self.note];
        if asked.iter().all(|key| key.is_none()) && self.set_fields.is_empty() {
            checker.wrong(&[], "it does nothing; write `add_tag`, `remove_tag`, `note` or `set_fields`");
        }
        for (key, template) in [("add_tag", &self.add_tag), ("remove_tag", &self.remove_tag), ("note", &self.note)] {
            if template.as_ref().is_some_and(|template| template.trim().is_empty()) {
                checker.wrong(&[key], "it is empty; leave it out");
            }
        }
        for name in self.set_fields.keys().filter(|name| name.trim().is_empty()) {
            checker.wrong(&["set_fields", name], "a field has a name");
        }
        match self.tag_for_secs {
            Some(_) if self.add_tag.is_none() => checker.wrong(&["tag_for_secs"], "there is no `add_tag` with it"),
            Some(secs) => checker.range("tag_for_secs", secs, 1..=10 * 366 * 86_400),
            None => {}
        }
        check_tries(checker, self.timeout_ms, self.tries, self.within_ms, self.concurrency);
    }
}

impl std::fmt::Debug for WriteBackConfig {
    /// What is written may be personal: its kinds only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteBackConfig")
            .field("add_tag", &self.add_tag.is_some())
            .field("tag_for_secs", &self.tag_for_secs)
            .field("remove_tag", &self.remove_tag.is_some())
            .field("note", &self.note.is_some())
            .field("set_fields", &self.set_fields.keys())
            .field("timeout_ms", &self.timeout_ms)
            .field("tries", &self.tries)
            .field("within_ms", &self.within_ms)
            .field("concurrency", &self.concurrency)
            .finish()
    }
}

/// Several calls.
fn default_timeout_ms() -> u64 {
    10_000
}
