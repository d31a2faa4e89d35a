//! Where a branch of the configuration is being read, and what is found wrong with it.
//!
//! In: a [`Branch`]. Out: [`At`], which every section and value is read from, and [`Notes`]: all mistakes
//! of the branch, not only the first. It does not know which keys exist.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;

use ::config::ValueKind;
use wording::{listed, nearest};

use super::address::NO_ADDRESS;
use super::branch::{Branch, Notes, StrayKey};
use super::layers::as_text;
use super::place::Mistake;

/// What is wanted where a text is.
pub(super) const TEXT: &str = "text in quotes";

/// The name that a mistyped one was meant to be, as a question; else what `otherwise` says.
pub(super) fn did_you_mean<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    otherwise: impl FnOnce() -> String,
) -> String {
    nearest(name, known, 0.5).map_or_else(otherwise, |near| format!("did you mean `{near}`?"))
}

/// A point of the tree while it is read. Whatever is wrong there is noted through it.
pub struct At<'a> {
    pub(super) branch: &'a Branch,
    pub(super) notes: &'a RefCell<Notes>,
    /// Keys, and the numbers of list items, from the root to here.
    pub(super) path: Vec<String>,
    /// The `type` of the table here has been read, and said which section the rest is.
    typed: bool,
}

impl<'a> At<'a> {
    /// The point everything in a branch is read from.
    pub(super) fn new(branch: &'a Branch, notes: &'a RefCell<Notes>) -> Self {
        Self { branch, notes, path: Vec::new(), typed: false }
    }

    /// The point below this one.
    pub(super) fn below(&self, key: &str) -> At<'a> {
        let path = self.path.iter().cloned().chain([key.to_owned()]).collect();
        At { path, typed: false, ..*self }
    }

    /// The same point, once its `type` has been read.
    pub(super) fn typed(&self) -> At<'a> {
        At { path: self.path.clone(), typed: true, ..*self }
    }

    /// Whether what was read is held against its ranges, and checked for sense.
    pub(super) fn is_judged(&self) -> bool {
        !self.notes.borrow().unjudged
    }

    /// What stands here, or stood here until its mistake was told.
    pub(super) fn value(&self) -> Option<&'a ValueKind> {
        self.branch.get(&self.path)
    }

    /// Whether the text here was filled in from a credential or a variable.
    pub(super) fn is_filled(&self) -> bool {
        self.branch.filled.contains(&self.path)
    }

    /// Whether a key of this table is written, whatever its value.
    pub(super) fn is_written(&self, key: &str) -> bool {
        self.below(key).value().is_some()
    }

    /// Notes a mistake at a path below this point.
    pub(super) fn wrong(&self, path: &[&str], problem: impl Into<String>) {
        let mistake = self.mistake(path, problem);
        self.notes.borrow_mut().mistakes.push(mistake);
    }

    /// Notes a mistake at a path below this point, where there is one.
    pub(super) fn wrong_if(&self, is_wrong: bool, path: &[&str], problem: impl Into<String>) {
        if is_wrong {
            self.wrong(path, problem);
        }
    }

    /// Notes a warning at a path below this point.
    pub(super) fn unwise(&self, path: &[&str], problem: impl Into<String>) {
        let warning = self.mistake(path, problem);
        self.notes.borrow_mut().warnings.push(warning);
    }

    fn mistake(&self, path: &[&str], problem: impl Into<String>) -> Mistake {
        let whole: Vec<&str> = self.path.iter().map(String::as_str).chain(path.iter().copied()).collect();
        self.branch.mistake(&whole, problem)
    }

    /// Notes that a key is missing, where the table that should have it stands.
    pub(super) fn missing(&self, key: &str, choices: &[&str]) {
        if self.notes.borrow().partial {
            return;
        }
        let mut mistake = self.mistake(&[], "");
        let path: Vec<&str> = self.path.iter().map(String::as_str).chain([key]).collect();
        mistake.problem = format!("this is missing; {}", example(&path, choices));
        mistake.key = if mistake.key.is_empty() { key.to_owned() } else { format!("{}.{key}", mistake.key) };
        self.notes.borrow_mut().mistakes.push(mistake);
    }

    /// Notes that a value of another kind is wanted here.
    pub(super) fn refuse<T>(&self, wanted: &str) -> Option<T> {
        let value = self.value()?;
        // Where a text is wanted it may be a password, also when its quotes were forgotten; then it is not shown.
        let found = match value {
            ValueKind::Nil => return None,
            ValueKind::Table(_) => "a table",
            ValueKind::Array(_) => "a list",
            ValueKind::String(_) if self.is_filled() => "another text",
            ValueKind::String(_) => "text",
            _ if wanted != TEXT => &value.to_string(),
            ValueKind::Boolean(_) => "true or false",
            _ => "a number",
        };
        self.wrong(&[], format!("it is {found}; it must be {wanted}"));
        None
    }

    /// Notes what is wrong with the text that stands here. Of one that was filled in nothing is shown.
    pub(super) fn refuse_text<T>(&self, problem: String) -> Option<T> {
        let problem = match problem {
            // What is said of an address shows nothing of it.
            problem if !self.is_filled() || problem.starts_with(NO_ADDRESS) => problem,
            _ => "the text filled in does not have the form wanted here".into(),
        };
        self.wrong(&[], problem);
        None
    }

    /// Notes that the text here is none of the words that are known.
    pub(super) fn no_such_word<T>(&self, text: &str, known: &[&str]) -> Option<T> {
        let all = listed(known);
        let problem = match nearest(text, known.iter().copied(), 0.5) {
            _ if self.is_filled() => format!("it must be one of {all}"),
            Some(near) => format!("`{text}` is not one of {all}; did you mean `{near}`?"),
            None => format!("`{text}` is not one of {all}"),
        };
        self.wrong(&[], problem);
        None
    }

    /// The text that stands here.
    pub(super) fn text(&self) -> Option<&'a str> {
        as_text(self.value()?).or_else(|| self.refuse(TEXT))
    }

    /// What the text here means.
    pub(super) fn parsed<T>(&self, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        parse(self.text()?).map_or_else(|problem| self.refuse_text(problem), Some)
    }

    /// The points of the items of the list here, without those whose mistakes have been told.
    pub(super) fn items(&self) -> Option<Vec<At<'a>>> {
        let ValueKind::Array(list) = self.value()? else { return self.refuse("a list in square brackets") };
        let present = list.iter().enumerate().filter(|(_, value)| value.kind != ValueKind::Nil);
        Some(present.map(|(index, _)| self.below(&index.to_string())).collect())
    }

    /// The keys of the table here, without those whose mistakes have been told.
    pub(super) fn keys(&self) -> Option<BTreeSet<&'a str>> {
        let ValueKind::Table(map) = self.value()? else { return self.refuse("a table") };
        Some(map.iter().filter(|(_, value)| value.kind != ValueKind::Nil).map(|(key, _)| key.as_str()).collect())
    }

    /// Sees that a table stands here, and notes the keys it should not have.
    pub(super) fn table(&self, known: &'static [&'static str]) -> Option<()> {
        for key in self.keys()? {
            let belongs_here = known.contains(&key) || (self.typed && key == "type");
            if !belongs_here {
                self.notes.borrow_mut().strays.push(StrayKey { path: self.below(key).path, known });
            }
        }
        Some(())
    }

    /// Notes a number below this point that is out of its range.
    pub(super) fn range<T: PartialOrd + Display>(&self, key: &str, value: T, allowed: &RangeInclusive<T>) {
        if !allowed.contains(&value) {
            let (low, high) = (allowed.start(), allowed.end());
            self.wrong(&[key], format!("{value} is out of range; it must be from {low} to {high}"));
        }
    }
}

/// What to write for the key at the end of this path; `choices` are the words it may be, where it is one of some.
fn example(path: &[&str], choices: &[&str]) -> String {
    match path {
        ["camera"] => {
            "add a `[camera]` section, for example with `type = \"v4l2\"` and `device = \"/dev/video0\"`".into()
        }
        [.., "time_zone"] => "write where the door is, for example `time_zone = \"Europe/Stockholm\"`, here or as \
             `detector.time_zone` in the main file"
            .into(),
        [.., "type"] => format!("write `type = \"KIND\"`, where KIND is one of {}", listed(choices)),
        [.., "device"] => "write `device = \"/dev/video0\"`, or a name under /dev/v4l/by-id".into(),
        ["camera", "url"] => "write `url = \"rtsp://camera.example/stream\"`".into(),
        ["camera", "path"] => "write `path = \"/path/to/recording.mp4\"`, or a folder of pictures".into(),
        ["identities", "url"] => "write `url = \"https://customer.econnectcloud.com/identities\"`".into(),
        ["identities", "username"] => "write the name of the account doorward logs in with".into(),
        ["identities", "password"] => {
            "write `password = \"${IDENTITIES_PASSWORD}\"` and provide it as a credential or variable".into()
        }
        ["mqtt", "url"] => "write `url = \"mqtt://broker.example:1883\"`".into(),
        ["action", _, "topic"] => "write `topic = \"house/door/{{ detector }}\"`".into(),
        [.., "url"] => "write `url = \"https://host.example/path\"`".into(),
        [.., "path"] => "write `path = \"/var/log/doorward/events.jsonl\"`".into(),
        [.., "program"] => "write `program = \"/path/to/program\"`".into(),
        [.., "name"] => "give it a name of its own".into(),
        [.., "actions"] => "write `actions = [\"NAME\"]` with the names of `[action.NAME]` sections".into(),
        [.., key] => format!("write `{key} = …`"),
        [] => "write it".into(),
    }
}
