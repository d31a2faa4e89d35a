//! Names in any case, as the vendor's framework takes them: those of JSON properties, of the query, of form parts, and
//! of the fixed segments of paths: it knows `/API/v1/people` and `/api/v1/People` as one path.
//!
//! In: a deserializer, the text of a query, or the path of a request. Out: a request type, read as if every name had
//! been written as the type has it; the path as the operations spell it, whatever they are variable in left alone. Two
//! spellings of one name in one request are refused like the same name twice. It knows no operation and no methods.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use axum::middleware::Next;
use axum::response::Response;
use serde::de::value::{MapDeserializer, StrDeserializer, StringDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

/// Texts of the query that are told from absent ones when they are empty. Every other parameter that is there without a
/// value is absent: clients write `personId=` for a property that is not set.
const TEXTS: [&str; 4] = ["tagName", "fieldName", "entityFieldName", "entityFieldStringValue"];

/// The one of these names that is meant.
pub fn known(name: &str, names: &[&'static str]) -> Option<&'static str> {
    let exact = names.iter().find(|known| **known == name);
    exact.or_else(|| names.iter().find(|known| known.eq_ignore_ascii_case(name))).copied()
}

/// A deserializer whose outermost names may be in any case.
struct AnyCase<D>(D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for AnyCase<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(Spelling { fields, inner: visitor })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// A visitor, or the entries it is shown, with names put into the spelling of the fields.
struct Spelling<T> {
    fields: &'static [&'static str],
    inner: T,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Spelling<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Spelling { fields: self.fields, inner: map })
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Spelling<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(name) = self.inner.next_key::<String>()? else { return Ok(None) };
        match known(&name, self.fields) {
            Some(field) => seed.deserialize(StrDeserializer::new(field)),
            None => seed.deserialize(StringDeserializer::new(name)),
        }
        .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.inner.next_value_seed(seed)
    }
}

/// Reads the query of a URL; the error names the parameter.
pub fn query<T: DeserializeOwned>(query: &str) -> Result<T, String> {
    let given = url::form_urlencoded::parse(query.as_bytes());
    let filled = given.filter(|(name, value)| !value.trim().is_empty() || known(name, &TEXTS).is_some());
    let entries = filled.map(|(name, value)| (name, Value(value)));
    let entries: MapDeserializer<'_, _, serde::de::value::Error> = MapDeserializer::new(entries);
    read(entries)
}

/// Reads a value whose outermost names may be in any case; the error says which property is wrong.
pub fn read<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, String> {
    serde_path_to_error::deserialize(AnyCase(from)).map_err(|error| {
        let (path, cause) = (error.path().to_string(), error.inner());
        if path == "." { cause.to_string() } else { format!("{path}: {cause}") }
    })
}

/// A value of the query: text that takes the type its name wants.
struct Value<'a>(Cow<'a, str>);

impl<'de> IntoDeserializer<'de> for Value<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl Value<'_> {
    fn number<N: FromStr>(&self) -> Result<N, serde::de::value::Error> {
        self.0.trim().parse().map_err(|_| Error::custom("a whole number within bounds is expected"))
    }
}

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    /// `True` is how the vendor's framework writes it.
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0.trim().to_ascii_lowercase().as_str() {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(Error::custom("true or false is expected")),
        }
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_u32(self.number()?)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_i64(self.number()?)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

/// The prefix the vendor's cloud has before every path.
const PREFIX: &str = "identities";

/// The paths of all operations, their segments apart.
#[derive(Clone)]
pub struct Paths(Arc<[Vec<&'static str>]>);

impl Paths {
    pub fn new(paths: impl Iterator<Item = &'static str>) -> Self {
        Self(paths.map(|path| path.split('/').skip(1).collect()).collect())
    }

    /// The path as the operations spell it, when one of them is meant.
    fn spelt(&self, path: &str) -> Option<String> {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let (prefix, rest) = match segments.split_first() {
            Some((first, rest)) if first.eq_ignore_ascii_case(PREFIX) => (Some(PREFIX), rest),
            _ => (None, &segments[..]),
        };
        let is_variable = |segment: &&str| segment.starts_with('{');
        let fits = |path: &&Vec<&'static str>| {
            let same =
                |(own, sent): (&&str, &&str)| is_variable(own) && !sent.is_empty() || own.eq_ignore_ascii_case(sent);
            path.len() == rest.len() && path.iter().zip(rest).all(same)
        };
        // Of two that fit, the one that is fixed where the other is variable is meant.
        let fixed = |path: &&Vec<&'static str>| path.iter().map(|own| !is_variable(own)).collect::<Vec<_>>();
        let meant = self.0.iter().filter(fits).max_by_key(fixed)?;
        let spelt = meant.iter().zip(rest).map(|(own, sent)| if is_variable(own) { *sent } else { *own });
        Some(prefix.into_iter().chain(spelt).fold(String::new(), |path, segment| path + "/" + segment))
    }
}

/// The middleware: before the path of a request is looked up, it is spelt as the operations have it.
pub async fn spell(State(paths): State<Paths>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if let Some(spelt) = paths.spelt(path).filter(|spelt| spelt != path)
        && let Some(uri) = with_path(request.uri(), spelt)
    {
        *request.uri_mut() = uri;
    }
    next.run(request).await
}

fn with_path(uri: &Uri, path: String) -> Option<Uri> {
    let text = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(text).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use identities::wire::{DetectionsQuery, FaceEnrollQuery, PeopleQuery, TagWrite};
    use serde::Deserialize;

    use super::*;

    #[test]
    fn a_query_is_read_as_the_framework_writes_it() {
        let page: DetectionsQuery = query("Skip=3&TAKE= 7 &dateascending=False&epochStartMs=&other=x").unwrap();
        assert_eq!((page.skip, page.take, page.date_ascending, page.epoch_start_ms), (3, 7, false, None));
        let enrol: FaceEnrollQuery = query("PersonId=&forceEnrollment=True").unwrap();
        assert_eq!((enrol.person_id, enrol.force_enrollment), (None, true));
        let people: PeopleQuery = query("EntityFieldName=&tagid=").unwrap();
        assert_eq!((people.entity_field_name.as_deref(), people.tag_id), (Some(""), None));
        for (wrong, said) in [
            ("take=-1", "take: a whole number"),
            ("dateAscending=maybe", "dateAscending: true or false"),
            ("take=1&Take=2", "duplicate field `take`"),
        ] {
            let error = query::<DetectionsQuery>(wrong).unwrap_err();
            assert!(error.contains(said), "{wrong}: {error}");
        }
    }

    #[test]
    fn properties_are_known_in_any_case_and_once() {
        let read = |text: &str| TagWrite::deserialize(AnyCase(&mut serde_json::Deserializer::from_str(text)));
        let tag =
            read(r#"{"TagName":"VIP","DISABLED":null,"DefaultExpirePeriod":null,"Extra":{"tagname":1}}"#).unwrap();
        assert_eq!(tag, TagWrite { tag_name: "VIP".into(), ..TagWrite::default() });
        assert!(read(r#"{"tagName":"VIP","TagName":"Guest"}"#).unwrap_err().to_string().contains("duplicate field"));
        assert!(read(r#"{"tag_name":"VIP"}"#).is_err());
    }

    #[test]
    fn fixed_segments_are_spelt_and_variable_ones_left_alone() {
        let paths = Paths::new(
            [
                "/api/v1/Tags",
                "/api/v1/people/{personId}",
                "/api/v1/people/{personId}/aliases",
                "/api/v1/people/enrollmentPhoto/{faceId}",
                "/api/v1/people/{personId}/{other}",
            ]
            .into_iter(),
        );
        for (sent, spelt) in [
            ("/API/V1/tags", Some("/api/v1/Tags")),
            ("/Identities/Api/v1/People/ABC/Aliases", Some("/identities/api/v1/people/ABC/aliases")),
            ("/api/v1/people/EnrollmentPhoto/Aliases", Some("/api/v1/people/enrollmentPhoto/Aliases")),
            ("/api/v1/people/A%2fB", Some("/api/v1/people/A%2fB")),
            ("/api/v1/people/", None),
            ("/api/v1/nothing", None),
            ("/", None),
        ] {
            assert_eq!(paths.spelt(sent).as_deref(), spelt, "{sent}");
        }
        let uri = with_path(&"http://host/API/v1/tags?a=B".parse().unwrap(), "/api/v1/Tags".into()).unwrap();
        assert_eq!(uri.to_string(), "http://host/api/v1/Tags?a=B");
    }
}
