//! The merged configuration as TOML again, for an operator to look at, without its secrets.
//!
//! In: a branch, before its values are gone. Out: text. What came from a credential, a file or the environment is
//! hidden whatever key it stands under, and so is every text that could be a secret by its place. Keys that nobody
//! wrote are not there; they have their defaults.

use super::secrets::is_secret;
use super::tree::{Body, Node};

/// What stands where a secret was.
const HIDDEN: &str = "(hidden)";

/// Texts of an action that are never secret; all others of it may be.
const OPEN_IN_ACTIONS: &[&str] =
    &["type", "method", "path", "program", "body_format", "host", "security", "ca_file", "pin_sha256"];

/// The branch as TOML; `secrets` is what came from outside.
pub(super) fn shown(branch: &Node, secrets: &[String]) -> String {
    let mut path = Vec::new();
    let table = match value(branch, &mut path, secrets) {
        Some(toml::Value::Table(table)) => table,
        _ => toml::Table::new(),
    };
    // Tables of texts and numbers always make TOML.
    toml::to_string_pretty(&table).unwrap_or_default()
}

fn value(node: &Node, path: &mut Vec<String>, secrets: &[String]) -> Option<toml::Value> {
    let mut below = |key: String, node: &Node| {
        path.push(key);
        let value = value(node, path, secrets);
        path.pop();
        value
    };
    Some(match &node.body {
        Body::Table(map) => {
            let entries = map.iter().filter_map(|(key, node)| Some((key.clone(), below(key.clone(), node)?)));
            toml::Value::Table(entries.collect())
        }
        Body::List(list) => {
            let items = list.iter().enumerate().filter_map(|(index, node)| below(index.to_string(), node));
            toml::Value::Array(items.collect())
        }
        Body::Text(text) => {
            let from_outside = node.filled && secrets.iter().any(|secret| text.contains(secret.as_str()));
            let hidden = from_outside || is_secret(path, text) || may_be_secret(path);
            toml::Value::String(if hidden { HIDDEN.into() } else { text.clone() })
        }
        Body::Bool(flag) => toml::Value::Boolean(*flag),
        Body::Integer(number) => toml::Value::Integer(*number),
        Body::Float(number) => toml::Value::Float(*number),
        Body::Removed => return None,
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
