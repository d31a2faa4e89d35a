//! The merged configuration as a tree, and the deserializer that turns a branch of it into a section.
//!
//! In: a merged [`Layer`]. Out: any `Deserialize` type, or a [`Rejection`] with the exact path. Two things differ from
//! other deserializers: a table is the enum variant its `type` names (serde's own internal tags lose the place of a
//! mistake), and a text that comes from a variable or a credential takes the type its key wants. Values never show up
//! in a rejection unless they are numbers or names of variants that stand in a file.

use std::collections::BTreeMap;
use std::fmt;

use ::config::{Value, ValueKind};
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::address::NO_ADDRESS;
use super::layers::{HERE, Layer, Places};
use super::place::Place;

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Node {
    pub place: Option<Place>,
    pub body: Body,
    /// The text was filled in from a credential or variable: it takes the type its key wants, and is never shown.
    pub filled: bool,
}

#[derive(Clone)]
pub(super) enum Body {
    Table(BTreeMap<String, Node>),
    List(Vec<Node>),
    Text(String),
    Bool(bool),
    Integer(i64),
    Float(f64),
    /// Taken out after a mistake, so that the rest can be read.
    Removed,
}

/// Why a branch could not be read.
#[derive(Debug)]
pub(super) struct Rejection {
    /// Keys and indices from the outside in, once complete.
    pub path: Vec<String>,
    pub problem: Problem,
}

#[derive(Debug, PartialEq)]
pub(super) enum Problem {
    UnknownKey { key: String, expected: &'static [&'static str] },
    MissingKey(&'static str),
    WrongType { wanted: String, found: String },
    UnknownVariant { value: Option<String>, expected: &'static [&'static str] },
    Other(String),
}

impl Node {
    /// The merged layer as a tree.
    pub fn from_layer(layer: Layer, places: &Places) -> Self {
        Self::table(layer.0, None, places)
    }

    fn table(map: ::config::Map<String, Value>, place: Option<Place>, places: &Places) -> Self {
        let here = map.get(HERE).and_then(|value| places.of(value)).or(place);
        let entries = map.into_iter().filter(|(key, _)| key != HERE);
        let body = Body::Table(entries.map(|(key, value)| (key, Self::from_value(value, places))).collect());
        Self { place: here, body, filled: false }
    }

    fn from_value(value: Value, places: &Places) -> Self {
        let place = places.of(&value);
        let filled = matches!((&place, &value.kind), (Some(Place::Variable(_)), ValueKind::String(_)));
        let body = match value.kind {
            ValueKind::Table(map) => return Self::table(map, place, places),
            ValueKind::Array(list) => Body::List(list.into_iter().map(|v| Self::from_value(v, places)).collect()),
            ValueKind::String(text) => Body::Text(text),
            ValueKind::Boolean(flag) => Body::Bool(flag),
            ValueKind::I64(number) => Body::Integer(number),
            ValueKind::Float(number) => Body::Float(number),
            // Layers make none of the others.
            ValueKind::Nil | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_) => Body::Removed,
        };
        Self { place, body, filled }
    }

    /// The node at the end of the path, if it is there.
    pub fn get<S: AsRef<str>>(&self, path: &[S]) -> Option<&Node> {
        path.iter().try_fold(self, |node, step| match &node.body {
            Body::Table(map) => map.get(step.as_ref()),
            Body::List(list) => list.get(step.as_ref().parse::<usize>().ok()?),
            _ => None,
        })
    }

    pub fn get_mut<S: AsRef<str>>(&mut self, path: &[S]) -> Option<&mut Node> {
        path.iter().try_fold(self, |node, step| match &mut node.body {
            Body::Table(map) => map.get_mut(step.as_ref()),
            Body::List(list) => list.get_mut(step.as_ref().parse::<usize>().ok()?),
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

    /// Calls `visit` on every text below, with its path.
    pub fn texts(&mut self, path: &mut Vec<String>, visit: &mut impl FnMut(&[String], &mut Node)) {
        match &mut self.body {
            Body::Table(map) => {
                for (key, node) in map {
                    path.push(key.clone());
                    node.texts(path, visit);
                    path.pop();
                }
            }
            Body::List(list) => {
                for (index, node) in list.iter_mut().enumerate() {
                    path.push(index.to_string());
                    node.texts(path, visit);
                    path.pop();
                }
            }
            Body::Text(_) => visit(path, self),
            _ => {}
        }
    }

    /// What this is, in an operator's words.
    fn kind(&self) -> Unexpected<'_> {
        match &self.body {
            Body::Table(_) => Unexpected::Map,
            Body::List(_) => Unexpected::Seq,
            Body::Text(text) => Unexpected::Str(text),
            Body::Bool(flag) => Unexpected::Bool(*flag),
            Body::Integer(number) => Unexpected::Signed(*number),
            Body::Float(number) => Unexpected::Float(*number),
            Body::Removed => Unexpected::Unit,
        }
    }

    /// A filled-in text as the number or flag it spells.
    fn spelt<T: std::str::FromStr>(&self) -> Option<T> {
        match &self.body {
            Body::Text(text) if self.filled => text.trim().parse().ok(),
            _ => None,
        }
    }
}

impl fmt::Debug for Node {
    /// The place only: the value may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({:?})", self.place)
    }
}

macro_rules! spelt_numbers {
    ($($deserialize:ident $visit:ident $type:ty),* $(,)?) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Rejection> {
            match self.spelt::<$type>() {
                Some(value) => visitor.$visit(value).map_err(|error: Rejection| error.hidden(self)),
                None => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for &'de Node {
    type Error = Rejection;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Rejection> {
        let result = match &self.body {
            Body::Table(map) => visitor.visit_map(Entries { map: map.iter(), hidden: None, value: None }),
            Body::List(list) => visitor.visit_seq(Items(list.iter().enumerate())),
            Body::Text(text) => visitor.visit_borrowed_str(text),
            Body::Bool(flag) => visitor.visit_bool(*flag),
            Body::Integer(number) => visitor.visit_i64(*number),
            Body::Float(number) => visitor.visit_f64(*number),
            Body::Removed => visitor.visit_unit(),
        };
        result.map_err(|error| error.hidden(self))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Rejection> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Rejection> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Rejection> {
        match &self.body {
            Body::Text(text) => {
                let variant: StrDeserializer<'_, Rejection> = text.as_str().into_deserializer();
                visitor.visit_enum(variant).map_err(|error| error.hidden(self))
            }
            Body::Table(map) => visitor.visit_enum(Tagged { map }),
            _ => Err(de::Error::invalid_type(self.kind(), &"one of its words, in quotes")),
        }
    }

    spelt_numbers! {
        deserialize_bool visit_bool bool,
        deserialize_i8 visit_i64 i64, deserialize_i16 visit_i64 i64, deserialize_i32 visit_i64 i64,
        deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_i64 i64, deserialize_u16 visit_i64 i64, deserialize_u32 visit_i64 i64,
        deserialize_u64 visit_i64 i64,
        deserialize_f32 visit_f64 f64, deserialize_f64 visit_f64 f64,
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The entries of a table, without the removed ones.
struct Entries<'de> {
    map: std::collections::btree_map::Iter<'de, String, Node>,
    hidden: Option<&'static str>,
    value: Option<(&'de str, &'de Node)>,
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = Rejection;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Rejection> {
        let hidden = self.hidden;
        let Some((key, node)) = self.map.find(|(key, node)| !node.is_removed() && Some(key.as_str()) != hidden) else {
            return Ok(None);
        };
        self.value = Some((key, node));
        let name: StrDeserializer<'_, Rejection> = key.as_str().into_deserializer();
        match seed.deserialize(name) {
            Ok(key) => Ok(Some(key)),
            // An unknown key is told of the table; a name of another shape (a detector's) of the key itself.
            Err(error) if matches!(error.problem, Problem::UnknownKey { .. }) => Err(error),
            Err(error) => Err(error.under(key)),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Rejection> {
        let (key, node) = self.value.take().ok_or_else(|| de::Error::custom("a value was asked for before its key"))?;
        seed.deserialize(node).map_err(|error| error.under(key))
    }
}

/// The items of a list, without the removed ones, under the numbers they have in the file.
struct Items<'de>(std::iter::Enumerate<std::slice::Iter<'de, Node>>);

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Rejection;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Rejection> {
        let Some((index, node)) = self.0.find(|(_, node)| !node.is_removed()) else { return Ok(None) };
        seed.deserialize(node).map(Some).map_err(|error| error.under(&index.to_string()))
    }
}

/// A table as the variant its `type` names.
struct Tagged<'de> {
    map: &'de BTreeMap<String, Node>,
}

impl<'de> de::EnumAccess<'de> for Tagged<'de> {
    type Error = Rejection;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Rejection> {
        let tag = self.map.get("type").ok_or_else(|| <Rejection as de::Error>::missing_field("type"))?;
        if tag.is_removed() {
            return Err(de::Error::missing_field("type"));
        }
        Ok((seed.deserialize(tag).map_err(|error| error.under("type"))?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Tagged<'de> {
    type Error = Rejection;

    fn unit_variant(self) -> Result<(), Rejection> {
        Err(de::Error::invalid_type(Unexpected::Map, &"one of its words, in quotes"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Rejection> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Rejection> {
        Err(de::Error::custom("a variant with several values has no form in a configuration file"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Rejection> {
        visitor.visit_map(Entries { map: self.map.iter(), hidden: Some("type"), value: None })
    }
}

impl<'de> de::Deserializer<'de> for Tagged<'de> {
    type Error = Rejection;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Rejection> {
        visitor.visit_map(Entries { map: self.map.iter(), hidden: Some("type"), value: None })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl Rejection {
    fn new(problem: Problem) -> Self {
        Self { path: Vec::new(), problem }
    }

    /// Paths grow from the inside out.
    fn under(mut self, key: &str) -> Self {
        self.path.insert(0, key.to_owned());
        self
    }

    /// Without the value, when the node's was filled in from a credential or variable.
    fn hidden(mut self, node: &Node) -> Self {
        if node.filled && self.path.is_empty() {
            self.problem = match self.problem {
                Problem::WrongType { wanted, .. } => Problem::WrongType { wanted, found: "another text".into() },
                Problem::UnknownVariant { expected, .. } => Problem::UnknownVariant { value: None, expected },
                // What is said of an address shows nothing of it.
                Problem::Other(message) if message.starts_with(NO_ADDRESS) => Problem::Other(message),
                Problem::Other(_) => Problem::Other("the text filled in does not have the form wanted here".into()),
                other => other,
            };
        }
        self
    }
}

impl de::Error for Rejection {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Problem::Other(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        let wanted = wanted_words(&wanted.to_string());
        // Where a text is wanted it may be a password, also when its quotes were forgotten.
        let found = if wanted == TEXT { kind_words(&found).into() } else { found_words(&found) };
        Self::new(Problem::WrongType { wanted, found })
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::invalid_type(found, wanted)
    }

    fn unknown_variant(value: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Problem::UnknownVariant { value: Some(value.to_owned()), expected })
    }

    fn unknown_field(key: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Problem::UnknownKey { key: key.to_owned(), expected })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Problem::MissingKey(field))
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.path.join("."), self.problem)
    }
}

impl std::error::Error for Rejection {}

const TEXT: &str = "text in quotes";

/// What serde expects, in an operator's words.
fn wanted_words(wanted: &str) -> String {
    let whole = |low: &str, high: &str| format!("a whole number from {low} to {high}");
    match wanted {
        "u8" => whole("0", &u8::MAX.to_string()),
        "u16" => whole("0", &u16::MAX.to_string()),
        "u32" => whole("0", &u32::MAX.to_string()),
        "u64" => "a whole number, 0 or more".into(),
        "i32" | "i64" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a string" | "a borrowed string" => TEXT.into(),
        "path string" => "a path in quotes".into(),
        "a sequence" => "a list in square brackets".into(),
        "a map" => "a table".into(),
        other if other.starts_with("struct ") => "a table".into(),
        other => other.into(),
    }
}

/// What stands there, in an operator's words, and without a text, which may be secret.
fn found_words(found: &Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(flag) => flag.to_string(),
        Unexpected::Signed(number) => number.to_string(),
        Unexpected::Unsigned(number) => number.to_string(),
        Unexpected::Float(number) => number.to_string(),
        other => kind_words(other).into(),
    }
}

fn kind_words(found: &Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Signed(_) | Unexpected::Unsigned(_) | Unexpected::Float(_) => "a number",
        Unexpected::Str(_) => "text",
        Unexpected::Seq => "a list",
        Unexpected::Map | Unexpected::StructVariant | Unexpected::NewtypeVariant => "a table",
        _ => "something else",
    }
}
