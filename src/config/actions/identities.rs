//! `type = "identities"`: something written back about the recognised person.

use std::collections::BTreeMap;

use super::{CommonOfActions, Nature, Needed};
use crate::config::reading::At;
use crate::config::section::{hidden, section};

section! {
    /// `type = "identities"`: the engine is told something about the recognised person.
    pub struct WriteBackConfig: Default, checked by check_write_back {
        /// A template: the name of a tag to give, which is defined if it is not yet.
        pub add_tag: Option<String> = None, shown as Option::is_some;
        /// The tag lapses this long after; without it the tag's own default period applies.
        pub tag_for_secs: Option<u64> = None, in 1..=10 * 366 * 86_400;
        /// A template: the name of a tag to take away.
        pub remove_tag: Option<String> = None, shown as Option::is_some;
        /// A template: a note to add.
        pub note: Option<String> = None, shown as Option::is_some;
        /// Custom fields to set: their names, and templates for their values.
        pub set_fields: BTreeMap<String, String> = BTreeMap::new(), shown as hidden;
        /// All of it, once; it takes several calls.
        pub timeout_ms: u64 = 10_000, in 100..=60_000;
        /// Tries in all, of what may be repeated.
        pub tries: u32 = 4, in 1..=20;
        /// All tries and the pauses between them; no try starts after it.
        pub within_ms: u64 = 60_000, in 100..=3_600_000;
        /// People written to at once.
        pub concurrency: u16 = 4, in 1..=64;
    }
}

impl CommonOfActions for WriteBackConfig {
    fn nature(&self) -> Nature<'_> {
        let problem = "it writes to the engine, and none is configured: add `[identities]`";
        let needs = Some(Needed { section: "identities", problem });
        Nature { concurrency: self.concurrency, needs, ..Nature::default() }
    }
}

fn check_write_back(write_back: &WriteBackConfig, at: &At<'_>) {
    let asked = [&write_back.add_tag, &write_back.remove_tag, &write_back.note];
    if asked.iter().all(|key| key.is_none()) && write_back.set_fields.is_empty() {
        at.wrong(&[], "it does nothing; write `add_tag`, `remove_tag`, `note` or `set_fields`");
    }
    for (key, template) in
        [("add_tag", &write_back.add_tag), ("remove_tag", &write_back.remove_tag), ("note", &write_back.note)]
    {
        if template.as_ref().is_some_and(|template| template.trim().is_empty()) {
            at.wrong(&[key], "it is empty; leave it out");
        }
    }
    for name in write_back.set_fields.keys().filter(|name| name.trim().is_empty()) {
        at.wrong(&["set_fields", name], "a field has a name");
    }
    let no_tag = write_back.tag_for_secs.is_some() && write_back.add_tag.is_none();
    at.wrong_if(no_tag, &["tag_for_secs"], "there is no `add_tag` with it");
}
