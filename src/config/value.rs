//! How values are read: numbers, texts, lists, words of a list.
//!
//! In: the point of the tree where a value stands. Out: the value, or nothing after noting what is wrong with it. What
//! comes from a variable or a credential is text, and is read as the number or flag it spells.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use ::config::ValueKind;
use chrono::{DateTime, Utc};
use identities::text;
use identities::trust::KeyPin;
use secrecy::SecretString;
use strum::VariantNames;
use url::Url;

use super::address;
use super::layers::as_text;
use super::name::DetectorName;
use super::reading::At;

/// What a key of the configuration can hold.
pub trait Value: Sized {
    /// Reads what stands here. `None` when it makes no sense; the reason has been noted then.
    fn read(at: &At<'_>) -> Option<Self>;
}

/// What may be a number, to be held against a range.
pub(super) trait Figure {
    type Number: PartialOrd + Display;

    fn figure(&self) -> Option<Self::Number>;
}

impl<T: Figure> Figure for Option<T> {
    type Number = T::Number;

    fn figure(&self) -> Option<T::Number> {
        self.as_ref().and_then(T::figure)
    }
}

macro_rules! numbers {
    ($($type:ty: $wanted:expr;)*) => {$(
        impl Value for $type {
            fn read(at: &At<'_>) -> Option<Self> {
                number(at, &$wanted)
            }
        }

        impl Figure for $type {
            type Number = Self;

            fn figure(&self) -> Option<Self> {
                Some(*self)
            }
        }
    )*};
}

/// The number that is written here, or that a filled-in text spells.
fn number<T: FromStr>(at: &At<'_>, wanted: &str) -> Option<T> {
    let written = match at.value()? {
        ValueKind::I64(number) => number.to_string(),
        // With its point, so that 2.0 is no whole number.
        ValueKind::Float(number) => format!("{number:?}"),
        ValueKind::String(text) if at.is_filled() => text.trim().to_owned(),
        _ => return at.refuse(wanted),
    };
    written.parse().ok().or_else(|| at.refuse(wanted))
}

fn from_to(low: impl Display, high: impl Display) -> String {
    format!("a whole number from {low} to {high}")
}

numbers! {
    i8: from_to(i8::MIN, i8::MAX);
    u8: from_to(0, u8::MAX);
    u16: from_to(0, u16::MAX);
    u32: from_to(0, u32::MAX);
    u64: "a whole number, 0 or more";
    f32: "a number";
    f64: "a number";
}

impl Value for bool {
    fn read(at: &At<'_>) -> Option<Self> {
        let flag = match at.value()? {
            ValueKind::Boolean(flag) => Some(*flag),
            ValueKind::String(text) if at.is_filled() => text.trim().parse().ok(),
            _ => None,
        };
        flag.or_else(|| at.refuse("true or false"))
    }
}

/// Makes values of types that are read from a text; the error of what reads it says what is wrong.
macro_rules! texts {
    ($($type:ty: $parse:expr;)*) => {$(
        impl $crate::config::value::Value for $type {
            fn read(at: &$crate::config::reading::At<'_>) -> Option<Self> {
                at.parsed($parse)
            }
        }
    )*};
}
pub(super) use texts;

texts! {
    String: |text| Ok(text.to_owned());
    SecretString: |text| Ok(text.into());
    Url: address::parse;
    KeyPin: str::parse;
    DetectorName: DetectorName::new;
    DateTime<Utc>: |text| {
        text.parse().map_err(|_| format!("`{text}` is not a moment like \"2026-12-31T12:00:00Z\""))
    };
}

impl Value for PathBuf {
    fn read(at: &At<'_>) -> Option<Self> {
        as_text(at.value()?).map(Self::from).or_else(|| at.refuse("a path in quotes"))
    }
}

impl<T: Value> Value for Option<T> {
    fn read(at: &At<'_>) -> Option<Self> {
        T::read(at).map(Some)
    }
}

impl<T: Value> Value for Vec<T> {
    /// Items that make no sense are left out.
    fn read(at: &At<'_>) -> Option<Self> {
        Some(at.items()?.iter().filter_map(T::read).collect())
    }
}

impl<T: Value> Value for BTreeMap<String, T> {
    /// Entries that make no sense are left out.
    fn read(at: &At<'_>) -> Option<Self> {
        let entry = |key: &str| Some((key.to_owned(), T::read(&at.below(key))?));
        Some(at.keys()?.into_iter().filter_map(entry).collect())
    }
}

/// Reads a name that others refer to: composed, as the keys of sections are.
pub(super) fn name(at: &At<'_>) -> Option<String> {
    at.text().map(|name| text::composed(name).into_owned())
}

/// Reads a list of such names.
pub(super) fn names(at: &At<'_>) -> Option<Vec<String>> {
    Some(at.items()?.iter().filter_map(name).collect())
}

/// Reads a word that is a variant of `T`.
pub(super) fn word<T: FromStr + VariantNames>(at: &At<'_>) -> Option<T> {
    let Some(text) = as_text(at.value()?) else { return at.refuse("one of its words, in quotes") };
    text.parse().ok().or_else(|| at.no_such_word(text, T::VARIANTS))
}

/// Makes enums whose variants are words: `Tls` is `"tls"` and `InOrder` is `"in_order"` where one is written.
macro_rules! words {
    ($(
        $(#[$about:meta])*
        pub enum $name:ident {
            $($(#[$doc:meta])* $variant:ident $(= $number:literal)?,)*
        }
    )*) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[derive(strum::EnumIter, strum::EnumString, strum::IntoStaticStr, strum::VariantNames)]
        #[strum(serialize_all = "snake_case")]
        pub enum $name {
            $($(#[$doc])* $variant $(= $number)?,)*
        }

        impl $name {
            /// As the configuration writes it.
            pub fn as_str(self) -> &'static str {
                self.into()
            }
        }

        impl $crate::config::value::Value for $name {
            fn read(at: &$crate::config::reading::At<'_>) -> Option<Self> {
                $crate::config::value::word(at)
            }
        }
    )*};
}
pub(super) use words;
