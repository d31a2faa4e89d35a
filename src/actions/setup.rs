//! Reading an action's configuration: its templates, and everything that is wrong with it, told together.
//!
//! In: the keys of one action, one after the other. Out: templates that are ready, or one [`ActionError`] that names
//! every key that cannot be used. It does not know which keys an action has.

use std::collections::BTreeMap;

use super::template::{Place, Template};

/// Why the actions cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// Keys of an action are wrong; there is at least one.
    #[error("{}", lines(action, keys))]
    Wrong { action: String, keys: Vec<WrongKey> },
    #[error("`mqtt.{key}` is wrong: {problem}")]
    Broker { key: &'static str, problem: String },
}

/// A key of an action that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongKey {
    /// The key's path below the action: `url`, `headers.X-Door`, `args[1]`.
    pub key: String,
    pub problem: String,
}

/// The keys of one action that were wrong so far.
pub struct Setup<'a> {
    action: &'a str,
    wrong: Vec<WrongKey>,
}

impl<'a> Setup<'a> {
    pub fn new(action: &'a str) -> Self {
        Self { action, wrong: Vec::new() }
    }

    /// Compiles a template. One that is wrong is remembered, and an empty one stands in for it until
    /// [`finish`](Self::finish) turns the action down.
    pub fn template(&mut self, key: impl Into<String>, source: &str, place: Place) -> Template {
        let key = key.into();
        Template::new(&key, source, place).unwrap_or_else(|error| {
            self.note(&key, format!("this is not a template that can be filled in: {error}"));
            Template::empty(&key)
        })
    }

    /// Compiles a text's template where there is a text.
    pub fn optional(&mut self, key: &str, source: Option<&String>) -> Option<Template> {
        source.map(|source| self.template(key, source, Place::Text))
    }

    /// Compiles the texts of a table, by their names; `text` takes each out of what keeps it.
    pub fn templates<T>(
        &mut self,
        table: &str,
        sources: &BTreeMap<String, T>,
        text: impl Fn(&T) -> &str,
    ) -> Vec<(String, Template)> {
        let mut template = |name, source| self.template(format!("{table}.{name}"), text(source), Place::Text);
        sources.iter().map(|(name, source)| (name.clone(), template(name, source))).collect()
    }

    /// Remembers a key that is wrong.
    pub fn note(&mut self, key: &str, problem: impl Into<String>) {
        self.wrong.push(WrongKey { key: key.to_owned(), problem: problem.into() });
    }

    /// The error of an action that cannot even be set up for trial, with what was wrong before.
    pub fn fail(&mut self, key: &str, problem: impl Into<String>) -> ActionError {
        self.note(key, problem);
        ActionError::Wrong { action: self.action.to_owned(), keys: std::mem::take(&mut self.wrong) }
    }

    /// The action, if nothing of its configuration was wrong.
    pub fn finish<T>(self, ready: T) -> Result<T, ActionError> {
        match self.wrong.is_empty() {
            true => Ok(ready),
            false => Err(ActionError::Wrong { action: self.action.to_owned(), keys: self.wrong }),
        }
    }
}

fn lines(action: &str, keys: &[WrongKey]) -> String {
    let line = |WrongKey { key, problem }: &WrongKey| format!("action `{action}`: `{key}` is wrong: {problem}");
    keys.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_key_is_told() {
        let mut setup = Setup::new("hall");
        setup.template("subject", "{{ persn }}", Place::Text);
        setup.template("body", "{{ rule }}", Place::Text);
        setup.template("to[0]", "{{ rule", Place::Text);
        let error = setup.finish(()).unwrap_err().to_string();
        let lines: Vec<_> = error.lines().collect();
        assert_eq!(lines.len(), 2, "{error}");
        for (line, key) in lines.iter().zip(["subject", "to[0]"]) {
            let wanted = format!("action `hall`: `{key}` is wrong: this is not a template that can be filled in: ");
            assert!(line.starts_with(&wanted), "{line}");
        }
    }
}
