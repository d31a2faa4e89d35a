//! The merged configuration as TOML again, for an operator to look at, without its secrets.
//!
//! In: a branch, before its values are gone. Out: text. What came from a credential, a file or the environment is
//! hidden whatever key it stands under, and so is every text that could be a secret by its place. Keys that nobody
//! wrote are not there; they have their defaults.

use ::config::{Value, ValueKind};

use super::branch::Branch;
use super::secrets::is_secret;

/// What stands where a secret was.
const HIDDEN: &str = "(hidden)";

/// Texts of an action that are never secret; all others of it may be.
const OPEN_IN_ACTIONS: &[&str] =
    &["type", "method", "path", "program", "body_format", "host", "security", "ca_file", "pin_sha256"];

/// The branch as TOML; `secrets` is what came from outside.
pub(super) fn shown(branch: &Branch, secrets: &[String]) -> String {
    let from_outside = |path: &[String], text: &str| {
        branch.filled.contains(path) && secrets.iter().any(|secret| text.contains(secret.as_str()))
    };
    let hidden = |path: &[String], text: &str| from_outside(path, text) || is_secret(path, text) || may_be_secret(path);
    let table = match value(&branch.root, &mut Vec::new(), &hidden) {
        Some(toml::Value::Table(table)) => table,
        _ => toml::Table::new(),
    };
    // Tables of texts and numbers always make TOML.
    toml::to_string_pretty(&table).unwrap_or_default()
}

fn value(node: &Value, path: &mut Vec<String>, hidden: &impl Fn(&[String], &str) -> bool) -> Option<toml::Value> {
    let mut below = |key: String, node: &Value| {
        path.push(key);
        let value = value(node, path, hidden);
        path.pop();
        value
    };
    Some(match &node.kind {
        ValueKind::Table(map) => {
            let entries = map.iter().filter_map(|(key, node)| Some((key.clone(), below(key.clone(), node)?)));
            toml::Value::Table(entries.collect())
        }
        ValueKind::Array(list) => {
            let items = list.iter().enumerate().filter_map(|(index, node)| below(index.to_string(), node));
            toml::Value::Array(items.collect())
        }
        ValueKind::String(text) => toml::Value::String(if hidden(path, text) { HIDDEN.into() } else { text.clone() }),
        ValueKind::Boolean(flag) => toml::Value::Boolean(*flag),
        ValueKind::I64(number) => toml::Value::Integer(*number),
        ValueKind::Float(number) => toml::Value::Float(*number),
        // What was taken out; layers make none of the others.
        _ => return None,
    })
}

/// By its place: most texts of actions, and the address of a camera.
fn may_be_secret(path: &[String]) -> bool {
    match path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["action", _, key, ..] => !OPEN_IN_ACTIONS.contains(&key),
        ["camera", "url"] | ["detector", "camera", "url"] => true,
        _ => false,
    }
}
