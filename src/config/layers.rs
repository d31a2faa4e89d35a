//! The layers of the configuration, merged by the `config` crate with the place of every value kept.
//!
//! In: TOML texts and environment variables. Out: one merged table, and where each of its values was written. It does
//! not know which keys exist.
//!
//! The `config` crate keeps no places of its own (it drops the origin of a table when it merges two), so they stand
//! beside the values, by their paths.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ::config::{Config, ConfigError, Map, Source, Value, ValueKind};
use identities::text;
use toml_edit::{Document, Item, TableLike};

use super::place::{Mistake, Place};

/// Where each value stands, by its path of keys and numbers of list items: a table at its header, or else at the first
/// key below it, or else at the variable that holds it. A path may be of a value that another layer has replaced.
pub(super) type Places = BTreeMap<Vec<String>, Place>;

/// One layer, ready to be merged.
#[derive(Debug, Clone, Default)]
pub(super) struct Layer {
    pub values: Map<String, Value>,
    pub places: Places,
}

/// A variable of the environment that sets a key.
#[derive(Debug)]
pub(super) struct Variable {
    /// The way to the key, in capitals.
    pub keys: Vec<String>,
    pub name: String,
    pub value: String,
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.values.clone())
    }
}

impl Layer {
    /// A TOML file.
    pub fn toml(file: &Path, text: &str) -> Result<Self, Mistake> {
        let file: Arc<Path> = file.into();
        let document = Document::parse(text).map_err(|error| {
            let line = error.span().map(|span| line_of(text, span.start));
            let problem = format!("this is not TOML: {}", error.message().replace('\n', "; "));
            Mistake::new(Some(Place::File { file: file.clone(), line }), "", problem)
        })?;
        let whole = Place::File { file: file.clone(), line: None };
        let places = Places::from([(Vec::new(), whole.clone())]);
        let mut reader = Reader { file, text, path: Vec::new(), places };
        let values = reader.table(document.as_table(), &whole);
        Ok(Self { values, places: reader.places })
    }

    /// This layer under variables. Keys are found whatever their case and punctuation among those that it has, so that
    /// `FRONT_DOOR` is `front-door`; new ones are taken in lower case.
    pub fn under_variables(self, variables: &[Variable]) -> Self {
        let layers: Vec<Self> = variables.iter().map(|variable| Self::of_variable(variable, &self)).collect();
        layers.into_iter().fold(self, Self::under)
    }

    /// A variable as a layer over the one `below`: a list or an inline table when it is written like one, else text
    /// that takes the type its key wants.
    fn of_variable(variable: &Variable, below: &Layer) -> Self {
        let (mut path, mut known) = (Vec::new(), Some(&below.values));
        for part in &variable.keys {
            let found = known.and_then(|known| known.keys().find(|key| same_name(key, part)).cloned());
            let key = found.unwrap_or_else(|| part.to_lowercase());
            known = known.and_then(|known| as_table(&known.get(&key)?.kind));
            path.push(key);
        }
        let text = &variable.value;
        let structured = text.trim_start().starts_with(['[', '{']).then(|| text.parse().ok()).flatten();
        let item = Item::Value(structured.unwrap_or_else(|| text.into()));
        // It has no lines of its own: every part of it stands at the variable.
        let mut reader = Reader { file: Path::new("").into(), text: "", path: path.clone(), places: Places::new() };
        let value = reader.value(&item, Place::Variable(variable.name.clone()));
        let whole = path.into_iter().rfold(value, |value, key| Map::from_iter([(key, value)]).into());
        Self { values: as_table(&whole.kind).cloned().unwrap_or_default(), places: reader.places }
    }

    /// The place of a key of the whole layer.
    pub fn place_of(&self, key: &str) -> Option<Place> {
        self.places.get(&[key.to_owned()][..]).cloned()
    }

    /// Has a key say this unless it says something itself.
    pub fn say(&mut self, key: &str, text: &str, place: Place) {
        self.places.entry(vec![key.to_owned()]).or_insert(place);
        self.values.entry(key.to_owned()).or_insert_with(|| text.into());
    }

    /// Takes the named table out, as a layer of its own; an empty one when there is none.
    pub fn take(&mut self, key: &str) -> Self {
        let table = self.values.remove(key);
        let below = self.places.iter().filter(|(path, _)| path.len() > 1 && path[0] == key);
        Self {
            values: table.as_ref().and_then(|table| as_table(&table.kind)).cloned().unwrap_or_default(),
            places: below.map(|(path, place)| (path[1..].to_vec(), place.clone())).collect(),
        }
    }

    /// `upper` over `self`. A camera of another type replaces the one below as a whole.
    pub fn under(mut self, mut upper: Self) -> Self {
        let camera_type = |layer: &Self| Some(as_table(&layer.values.get("camera")?.kind)?.get("type")?.to_string());
        if let (Some(lower_type), Some(upper_type)) = (camera_type(&self), camera_type(&upper))
            && lower_type != upper_type
        {
            self.values.remove("camera");
        }
        let mut places = std::mem::take(&mut self.places);
        places.append(&mut upper.places);
        let merged = Config::builder().add_source(self).add_source(upper).build();
        // Both sources are in memory and give no error, and without a fallible default nothing else can.
        let cache = merged.map(|config| config.cache).unwrap_or_default();
        Self { values: as_table(&cache.kind).cloned().unwrap_or_default(), places }
    }
}

/// Turns a parsed document into values, and notes their places.
struct Reader<'a> {
    file: Arc<Path>,
    text: &'a str,
    /// The way to the value that is being read.
    path: Vec<String>,
    places: Places,
}

impl Reader<'_> {
    fn at(&self, span: Option<std::ops::Range<usize>>, otherwise: &Place) -> Place {
        match span {
            Some(span) => Place::File { file: self.file.clone(), line: Some(line_of(self.text, span.start)) },
            None => otherwise.clone(),
        }
    }

    fn table(&mut self, table: &dyn TableLike, place: &Place) -> Map<String, Value> {
        let mut map = Map::new();
        for (key, item) in table.iter() {
            let place = match item {
                // The header, where it has one; the first key below it otherwise.
                Item::Table(inner) if inner.span().is_some() => self.at(inner.span(), place),
                _ => self.at(table.get_key_value(key).and_then(|(key, item)| key.span().or(item.span())), place),
            };
            // A name in quotes may be typed in two ways, and what refers to it in the other.
            let key = text::composed(key).into_owned();
            self.path.push(key.clone());
            map.insert(key, self.value(item, place));
            self.path.pop();
        }
        map
    }

    fn value(&mut self, item: &Item, place: Place) -> Value {
        use toml_edit::Value as Toml;
        self.places.insert(self.path.clone(), place.clone());
        let kind = match item {
            Item::None => ValueKind::Nil,
            Item::Table(table) => ValueKind::Table(self.table(table, &place)),
            Item::ArrayOfTables(list) => self.list(list.iter().cloned().map(Item::Table), &place),
            Item::Value(Toml::String(text)) => ValueKind::String(text.value().clone()),
            Item::Value(Toml::Integer(number)) => ValueKind::I64(*number.value()),
            Item::Value(Toml::Float(number)) => ValueKind::Float(*number.value()),
            Item::Value(Toml::Boolean(flag)) => ValueKind::Boolean(*flag.value()),
            Item::Value(Toml::Datetime(date)) => ValueKind::String(date.value().to_string()),
            Item::Value(Toml::Array(list)) => self.list(list.iter().cloned().map(Item::Value), &place),
            Item::Value(Toml::InlineTable(table)) => ValueKind::Table(self.table(table, &place)),
        };
        Value::new(None, kind)
    }

    fn list(&mut self, items: impl Iterator<Item = Item>, place: &Place) -> ValueKind {
        let values = items.enumerate().map(|(number, item)| {
            self.path.push(number.to_string());
            let value = self.value(&item, self.at(item.span(), place));
            self.path.pop();
            value
        });
        ValueKind::Array(values.collect())
    }
}

pub(super) fn as_table(value: &ValueKind) -> Option<&Map<String, Value>> {
    match value {
        ValueKind::Table(map) => Some(map),
        _ => None,
    }
}

pub(super) fn as_text(value: &ValueKind) -> Option<&str> {
    match value {
        ValueKind::String(text) => Some(text),
        _ => None,
    }
}

/// Whether an environment variable's part names this key.
pub(super) fn same_name(key: &str, part: &str) -> bool {
    variable_name(key) == text::composed(part).to_uppercase()
}

/// A name as it is written in a variable: `front-door` is `FRONT_DOOR`.
pub(super) fn variable_name(name: &str) -> String {
    let letter = |c| if text::is_of_a_word(c) { c } else { '_' };
    text::composed(name).chars().map(letter).collect::<String>().to_uppercase()
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}
