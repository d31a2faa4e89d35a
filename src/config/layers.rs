//! The layers of the configuration, merged by the `config` crate with the place of every value kept.
//!
//! In: TOML texts and environment variables. Out: one merged table whose values know where they were written. It does
//! not know which keys exist.
//!
//! The `config` crate carries one text per value, its origin; ours is a number in [`Places`]. It drops the origin of a
//! table when it merges two, so those of tables stand beside the values.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ::config::{Config, ConfigError, Map, Source, Value, ValueKind};
use identities::text;
use toml_edit::{Document, Item, TableLike};

use super::place::{Mistake, Place};

/// Every place a value was read from, in the order of reading.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<Place>);

/// One layer, ready to be merged.
#[derive(Debug, Clone, Default)]
pub(super) struct Layer {
    pub values: Map<String, Value>,
    /// Where each table stands, by its path: its header, or else the first key below it, or else the variable that
    /// holds it.
    pub tables: BTreeMap<Vec<String>, Place>,
}

/// A variable of the environment that sets a key.
#[derive(Debug)]
pub(super) struct Variable {
    /// The way to the key, in capitals.
    pub keys: Vec<String>,
    pub name: String,
    pub value: String,
}

impl Places {
    fn add(&mut self, place: Place) -> String {
        self.0.push(place);
        (self.0.len() - 1).to_string()
    }

    /// The place a value of a layer was read from.
    pub fn of(&self, value: &Value) -> Option<Place> {
        self.0.get(value.origin()?.parse::<usize>().ok()?).cloned()
    }
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
    pub fn toml(file: &Path, text: &str, places: &mut Places) -> Result<Self, Mistake> {
        let file: Arc<Path> = file.into();
        let document = Document::parse(text).map_err(|error| {
            let line = error.span().map(|span| line_of(text, span.start));
            let problem = format!("this is not TOML: {}", error.message().replace('\n', "; "));
            Mistake::new(Some(Place::File { file: file.clone(), line }), "", problem)
        })?;
        let whole = Place::File { file: file.clone(), line: None };
        let mut reader = Reader { file, text, places, path: Vec::new(), tables: BTreeMap::new() };
        let values = reader.table(document.as_table(), whole);
        Ok(Self { values, tables: reader.tables })
    }

    /// This layer under variables. Keys are found whatever their case and punctuation among those that it has, so that
    /// `FRONT_DOOR` is `front-door`; new ones are taken in lower case.
    pub fn under_variables(self, variables: &[Variable], places: &mut Places) -> Self {
        let layers: Vec<Self> = variables.iter().map(|variable| Self::of_variable(variable, &self, places)).collect();
        layers.into_iter().fold(self, Self::under)
    }

    /// A variable as a layer over the one `below`.
    fn of_variable(variable: &Variable, below: &Layer, places: &mut Places) -> Self {
        let (mut path, mut known) = (Vec::new(), Some(&below.values));
        for part in &variable.keys {
            let found = known.and_then(|known| known.keys().find(|key| same_name(key, part)).cloned());
            let key = found.unwrap_or_else(|| part.to_lowercase());
            known = known.and_then(|known| as_table(known.get(&key)?));
            path.push(key);
        }
        let place = Place::Variable(variable.name.clone());
        let value = typed(&variable.value, &place, places);
        let whole = path.iter().rev().fold(value, |value, key| {
            let table = Map::from_iter([(key.clone(), value)]);
            Value::new(None, ValueKind::Table(table))
        });
        Self { values: as_table(&whole).cloned().unwrap_or_default(), tables: BTreeMap::from([(path, place)]) }
    }

    /// Has a key say this unless it says something itself.
    pub fn say(&mut self, key: &str, text: &str, place: Place, places: &mut Places) {
        let origin = places.add(place);
        self.values.entry(key.to_owned()).or_insert_with(|| Value::new(Some(&origin), text));
    }

    /// Takes the named table out, as a layer of its own; an empty one when there is none.
    pub fn take(&mut self, key: &str) -> Self {
        let values = self.values.remove(key).as_ref().and_then(as_table).cloned().unwrap_or_default();
        let below = self.tables.iter().filter(|(path, _)| path.first().is_some_and(|first| first == key));
        let tables = below.filter(|(path, _)| path.len() > 1).map(|(path, place)| (path[1..].to_vec(), place.clone()));
        Self { values, tables: tables.collect() }
    }

    /// `upper` over `self`. A camera of another type replaces the one below as a whole.
    pub fn under(mut self, upper: Self) -> Self {
        let camera_type = |layer: &Self| Some(as_table(layer.values.get("camera")?)?.get("type")?.to_string());
        if let (Some(lower_type), Some(upper_type)) = (camera_type(&self), camera_type(&upper))
            && lower_type != upper_type
        {
            self.values.remove("camera");
        }
        let tables = self.tables.iter().chain(&upper.tables).map(|(path, place)| (path.clone(), place.clone()));
        let tables = tables.collect();
        let merged = Config::builder().add_source(self).add_source(upper).build();
        // Both sources are in memory and give no error, and without a fallible default nothing else can.
        let cache = merged.map(|config| config.cache).unwrap_or_default();
        Self { values: as_table(&cache).cloned().unwrap_or_default(), tables }
    }
}

/// Turns a parsed document into values with their places.
struct Reader<'a> {
    file: Arc<Path>,
    text: &'a str,
    places: &'a mut Places,
    /// The way to the table that is being read.
    path: Vec<String>,
    tables: BTreeMap<Vec<String>, Place>,
}

impl Reader<'_> {
    fn at(&self, span: Option<std::ops::Range<usize>>, otherwise: &Place) -> Place {
        match span {
            Some(span) => Place::File { file: self.file.clone(), line: Some(line_of(self.text, span.start)) },
            None => otherwise.clone(),
        }
    }

    fn table(&mut self, table: &dyn TableLike, place: Place) -> Map<String, Value> {
        let mut map = Map::new();
        for (key, item) in table.iter() {
            let place = match item {
                // The header, where it has one; the first key below it otherwise.
                Item::Table(inner) if inner.span().is_some() => self.at(inner.span(), &place),
                _ => self.at(table.get_key_value(key).and_then(|(key, item)| key.span().or(item.span())), &place),
            };
            // A name in quotes may be typed in two ways, and what refers to it in the other.
            let key = text::composed(key).into_owned();
            self.path.push(key.clone());
            map.insert(key, self.value(item, place));
            self.path.pop();
        }
        self.tables.insert(self.path.clone(), place);
        map
    }

    fn value(&mut self, item: &Item, place: Place) -> Value {
        use toml_edit::Value as Toml;
        let kind = match item {
            Item::None => ValueKind::Nil,
            Item::Table(table) => ValueKind::Table(self.table(table, place.clone())),
            Item::ArrayOfTables(list) => self.list(list.iter().cloned().map(Item::Table), &place),
            Item::Value(Toml::String(text)) => ValueKind::String(text.value().clone()),
            Item::Value(Toml::Integer(number)) => ValueKind::I64(*number.value()),
            Item::Value(Toml::Float(number)) => ValueKind::Float(*number.value()),
            Item::Value(Toml::Boolean(flag)) => ValueKind::Boolean(*flag.value()),
            Item::Value(Toml::Datetime(date)) => ValueKind::String(date.value().to_string()),
            Item::Value(Toml::Array(list)) => self.list(list.iter().cloned().map(Item::Value), &place),
            Item::Value(Toml::InlineTable(table)) => ValueKind::Table(self.table(table, place.clone())),
        };
        Value::new(Some(&self.places.add(place)), kind)
    }

    fn list(&mut self, items: impl Iterator<Item = Item>, place: &Place) -> ValueKind {
        let values = items.map(|item| {
            let place = self.at(item.span(), place);
            self.value(&item, place)
        });
        ValueKind::Array(values.collect())
    }
}

/// A variable's value: a list or an inline table when it is written like one, else text that takes the type its key
/// wants.
fn typed(text: &str, place: &Place, places: &mut Places) -> Value {
    let structured = text.trim_start().starts_with(['[', '{']).then(|| text.parse::<toml_edit::Value>().ok()).flatten();
    match structured {
        Some(value) => {
            let (path, tables) = (Vec::new(), BTreeMap::new());
            let mut reader = Reader { file: Path::new("").into(), text: "", places, path, tables };
            // It has no lines of its own: every part of it stands at this place.
            reader.value(&Item::Value(value), place.clone())
        }
        None => Value::new(Some(&places.add(place.clone())), ValueKind::String(text.to_owned())),
    }
}

pub(super) fn as_table(value: &Value) -> Option<&Map<String, Value>> {
    match &value.kind {
        ValueKind::Table(map) => Some(map),
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
