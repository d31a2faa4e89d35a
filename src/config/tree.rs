//! The merged configuration as one tree, in which every value knows where it was written.
//!
//! In: a merged [`Layer`]. Out: [`Node`]s, which are found by their path. It does not know which keys exist, nor what
//! their values mean.

use std::collections::BTreeMap;
use std::fmt;

use ::config::{Value, ValueKind};

use super::layers::{Layer, Places};
use super::place::Place;

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Node {
    pub place: Option<Place>,
    pub body: Body,
    /// The text was filled in from a credential or a variable: it takes the type its key wants, and is never shown.
    pub filled: bool,
}

/// What stands in a node.
#[derive(Clone)]
pub(super) enum Body {
    Table(BTreeMap<String, Node>),
    List(Vec<Node>),
    Text(String),
    Bool(bool),
    Integer(i64),
    Float(f64),
    /// The value was taken out, because its mistake has been told or because it may be secret.
    Removed,
}

impl Node {
    /// The merged layer as a tree.
    pub fn from_layer(layer: &Layer, places: &Places) -> Self {
        let whole = Value::new(None, ValueKind::Table(layer.values.clone()));
        Self::from_value(whole, &mut Vec::new(), layer, places)
    }

    fn from_value(value: Value, path: &mut Vec<String>, layer: &Layer, places: &Places) -> Self {
        let mut below = |key: String, value: Value| {
            path.push(key.clone());
            let node = Self::from_value(value, path, layer, places);
            path.pop();
            (key, node)
        };
        let origin = places.of(&value);
        let filled = matches!((&origin, &value.kind), (Some(Place::Variable(_)), ValueKind::String(_)));
        let body = match value.kind {
            ValueKind::Table(map) => Body::Table(map.into_iter().map(|(key, value)| below(key, value)).collect()),
            ValueKind::Array(list) => {
                let items = list.into_iter().enumerate();
                Body::List(items.map(|(index, value)| below(index.to_string(), value).1).collect())
            }
            ValueKind::String(text) => Body::Text(text),
            ValueKind::Boolean(flag) => Body::Bool(flag),
            ValueKind::I64(number) => Body::Integer(number),
            ValueKind::Float(number) => Body::Float(number),
            // Layers make none of the others.
            ValueKind::Nil | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_) => Body::Removed,
        };
        Self { place: origin.or_else(|| layer.tables.get(path).cloned()), body, filled }
    }

    /// The node at the end of the path, if it is there.
    pub fn get<S: AsRef<str>>(&self, path: &[S]) -> Option<&Node> {
        path.iter().try_fold(self, |node, step| match &node.body {
            Body::Table(map) => map.get(step.as_ref()),
            Body::List(list) => list.get(step.as_ref().parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// The place of the node at the end of the path, or of the nearest one above it that has one.
    pub fn place_of<S: AsRef<str>>(&self, path: &[S]) -> Option<Place> {
        (0..=path.len()).rev().find_map(|length| self.get(&path[..length])?.place.clone())
    }

    pub fn is_removed(&self) -> bool {
        matches!(self.body, Body::Removed)
    }

    /// The text that stands here.
    pub fn text(&self) -> Option<&str> {
        match &self.body {
            Body::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Calls `visit` on every text below, with its path.
    pub fn texts(&mut self, path: &mut Vec<String>, visit: &mut impl FnMut(&[String], &mut Node)) {
        let below: Vec<(String, &mut Node)> = match &mut self.body {
            Body::Table(map) => map.iter_mut().map(|(key, node)| (key.clone(), node)).collect(),
            Body::List(list) => list.iter_mut().enumerate().map(|(index, node)| (index.to_string(), node)).collect(),
            Body::Text(_) => return visit(path, self),
            _ => return,
        };
        for (step, node) in below {
            path.push(step);
            node.texts(path, visit);
            path.pop();
        }
    }

    /// What kind of value stands here, in an operator's words.
    pub fn kind(&self) -> &'static str {
        match &self.body {
            Body::Table(_) => "a table",
            Body::List(_) => "a list",
            Body::Text(_) if self.filled => "another text",
            Body::Text(_) => "text",
            Body::Bool(_) => "true or false",
            Body::Integer(_) | Body::Float(_) => "a number",
            Body::Removed => "nothing",
        }
    }

    /// What stands here, in an operator's words; of a text only that it is one, because it may be secret.
    pub fn shown(&self) -> String {
        match &self.body {
            Body::Bool(flag) => flag.to_string(),
            Body::Integer(number) => number.to_string(),
            Body::Float(number) => number.to_string(),
            _ => self.kind().into(),
        }
    }
}

impl fmt::Debug for Node {
    /// Shows the place alone: the value may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({:?})", self.place)
    }
}
