//! The layers of the configuration, merged by the `config` crate with the place of every value kept.
//!
//! In: TOML texts and environment variables. Out: one merged table whose values know where they were written. It does
//! not know which keys exist.
//!
//! The `config` crate carries one text per value, its origin; ours is an index into [`Places`]. It drops the origin of
//! a table when merging, so a table keeps its own under [`HERE`].

use std::path::Path;
use std::sync::Arc;

use ::config::{Config, ConfigError, Map, Source, Value, ValueKind};
use identities::text;
use toml_edit::{Document, Item, TableLike};

use super::place::{Mistake, Place};

/// The key a table's own place is kept under; no name in a file is empty of letters like this one.
pub(super) const HERE: &str = "\0";

/// Every place a value was read from, in the order of reading.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<Place>);

/// One layer: a table, ready to be merged.
#[derive(Debug, Clone, Default)]
pub(super) struct Layer(pub Map<String, Value>);

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
        Ok(self.0.clone())
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
        let mut reader = Reader { file, text, places };
        let whole = Place::File { file: reader.file.clone(), line: None };
        Ok(Self(reader.table(document.as_table(), whole)))
    }

    /// Variables, each with the keys it stands for. Keys are found whatever their case and punctuation among those
    /// `below` has, so that `FRONT_DOOR` is `front-door`; new ones are taken in lower case.
    pub fn variables(variables: &[(Vec<String>, String, String)], below: &Layer, places: &mut Places) -> Self {
        let mut layer = Self::default();
        for (keys, name, value) in variables {
            let place = Place::Variable(name.clone());
            let mut table = &mut layer.0;
            let mut known = Some(&below.0);
            for (depth, key) in keys.iter().enumerate() {
                let key = known
                    .and_then(|known| known.keys().find(|k| *k != HERE && same_name(k, key)).cloned())
                    .unwrap_or_else(|| key.to_lowercase());
                known = known.and_then(|known| as_table(known.get(&key)?));
                if depth + 1 == keys.len() {
                    table.insert(key, typed(value, &place, places));
                    break;
                }
                let fresh = || Value::new(None, ValueKind::Table(Map::new()));
                let entry = table.entry(key).or_insert_with(fresh);
                if as_table(entry).is_none() {
                    *entry = fresh();
                }
                let ValueKind::Table(inner) = &mut entry.kind else { unreachable!("it was made a table just above") };
                table = inner;
            }
        }
        layer
    }

    /// The named table of this layer as a layer of its own; empty when there is none.
    pub fn section(&self, key: &str) -> Self {
        Self(self.0.get(key).and_then(as_table).cloned().unwrap_or_default())
    }

    /// `upper` over `self`. A camera of another type replaces the one below as a whole.
    pub fn under(mut self, upper: Self) -> Self {
        let camera_type = |layer: &Self| Some(layer.section("camera").0.get("type")?.to_string());
        if let (Some(lower_type), Some(upper_type)) = (camera_type(&self), camera_type(&upper))
            && lower_type != upper_type
        {
            self.0.remove("camera");
        }
        let merged = Config::builder().add_source(self).add_source(upper).build();
        // Both sources are in memory and give no error, and without a fallible default nothing else can.
        let cache = merged.map(|config| config.cache).unwrap_or_default();
        Self(as_table(&cache).cloned().unwrap_or_default())
    }
}

/// Turns a parsed document into values with their places.
struct Reader<'a> {
    file: Arc<Path>,
    text: &'a str,
    places: &'a mut Places,
}

impl Reader<'_> {
    fn at(&self, span: Option<std::ops::Range<usize>>, otherwise: &Place) -> Place {
        match span {
            Some(span) => Place::File { file: self.file.clone(), line: Some(line_of(self.text, span.start)) },
            None => otherwise.clone(),
        }
    }

    fn value(&mut self, kind: ValueKind, place: Place) -> Value {
        Value::new(Some(&self.places.add(place)), kind)
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
            map.insert(text::composed(key).into_owned(), self.item(item, place));
        }
        let here = self.value(ValueKind::Nil, place);
        map.insert(HERE.into(), here);
        map
    }

    fn item(&mut self, item: &Item, place: Place) -> Value {
        match item {
            Item::Value(value) => self.scalar(value, place),
            Item::ArrayOfTables(array) => {
                let list = array.iter().map(|table| {
                    let place = self.at(table.span(), &place);
                    let map = self.table(table, place.clone());
                    self.value(ValueKind::Table(map), place)
                });
                let list = list.collect();
                self.value(ValueKind::Array(list), place)
            }
            Item::Table(table) => {
                let map = self.table(table, place.clone());
                self.value(ValueKind::Table(map), place)
            }
            Item::None => self.value(ValueKind::Nil, place),
        }
    }

    fn scalar(&mut self, value: &toml_edit::Value, place: Place) -> Value {
        use toml_edit::Value as Toml;
        let kind = match value {
            Toml::String(text) => ValueKind::String(text.value().clone()),
            Toml::Integer(number) => ValueKind::I64(*number.value()),
            Toml::Float(number) => ValueKind::Float(*number.value()),
            Toml::Boolean(flag) => ValueKind::Boolean(*flag.value()),
            Toml::Datetime(date) => ValueKind::String(date.value().to_string()),
            Toml::Array(array) => {
                let list = array.iter().map(|value| {
                    let place = self.at(value.span(), &place);
                    self.scalar(value, place)
                });
                ValueKind::Array(list.collect())
            }
            Toml::InlineTable(table) => ValueKind::Table(self.table(table, place.clone())),
        };
        self.value(kind, place)
    }
}

/// A variable's value: a list or an inline table when it is written like one, else text that takes the type its key
/// wants.
fn typed(text: &str, place: &Place, places: &mut Places) -> Value {
    let structured = text.trim_start().starts_with(['[', '{']).then(|| text.parse::<toml_edit::Value>().ok()).flatten();
    match structured {
        Some(value) => {
            let mut reader = Reader { file: Path::new("").into(), text: "", places };
            relocate(reader.scalar(&value, place.clone()), &reader.places.add(place.clone()))
        }
        None => Value::new(Some(&places.add(place.clone())), ValueKind::String(text.to_owned())),
    }
}

/// The same value with every part at one place.
fn relocate(value: Value, origin: &String) -> Value {
    let kind = match value.kind {
        ValueKind::Array(list) => ValueKind::Array(list.into_iter().map(|value| relocate(value, origin)).collect()),
        ValueKind::Table(map) => {
            ValueKind::Table(map.into_iter().map(|(key, value)| (key, relocate(value, origin))).collect())
        }
        kind => kind,
    };
    Value::new(Some(origin), kind)
}

fn as_table(value: &Value) -> Option<&Map<String, Value>> {
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
