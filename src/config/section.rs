//! Sections of the configuration, written down once: every key with its type, its default and its range.
//!
//! [`section!`] makes of one list the struct, its default values, how it is read and which numbers are allowed;
//! [`kinds!`] makes of a list of sections the enum whose variant a table's `type` names. What a single key cannot tell,
//! such as two keys that exclude each other, is for the function that the section is `checked by`.
//!
//! ```text
//! section! {
//!     /// `[crop]`
//!     pub struct CropConfig: Default {
//!         /// Added on each side, as a share of the face's box.
//!         pub margin: f32 = 0.5, in 0.0..=3.0;
//!         ...
//! ```
//!
//! A key without a default must be written. After the name of the struct stands `Default` when every key has one, or a
//! constructor that takes those that have none; then the function it is `checked by`, which notes values that make no
//! sense together. A key may also be `read by` a function of its own, `named` otherwise than its field, and `shown as`
//! something else where the struct is printed, because it is secret or personal.

use super::reading::At;

/// What stands in print instead of a value that is secret or somebody's.
pub(super) fn hidden<T>(_: &T) -> &'static str {
    "…"
}

/// The value of a key of the table here, or its default. Without a default it is noted that the key is missing, unless
/// its mistake has been noted already.
pub(super) fn field<T>(
    at: &At<'_>,
    key: &str,
    default: Option<fn() -> T>,
    read: impl Fn(&At<'_>) -> Option<T>,
) -> Option<T> {
    let below = at.below(key);
    let value = match below.value() {
        Some(::config::ValueKind::Nil) => None,
        Some(_) => read(&below),
        None => {
            if default.is_none() {
                at.missing(key, &[]);
            }
            None
        }
    };
    value.or_else(|| default.map(|default| default()))
}

macro_rules! section {
    ($(#[$about:meta])* pub struct $name:ident : Default $(, checked by $check:ident)? { $($body:tt)* }) => {
        section! { @section [$(#[$about])*] [$($check)?] $name { $($body)* } }
        section! { @default $name { $($body)* } }
    };
    (
        $(#[$about:meta])*
        pub struct $name:ident : $new:ident ( $($given:ident : $type:ty),* )
            $(, checked by $check:ident)? { $($body:tt)* }
    ) => {
        section! { @section [$(#[$about])*] [$($check)?] $name { $($body)* } }
        section! { @new $name $new [$($given: $type),*] { $($body)* } }
    };
    ($(#[$about:meta])* pub struct $name:ident $(, checked by $check:ident)? { $($body:tt)* }) => {
        section! { @section [$(#[$about])*] [$($check)?] $name { $($body)* } }
    };
    (@section [$(#[$about:meta])*] [$($check:ident)?] $name:ident {$(
        $(#[$doc:meta])*
        pub $field:ident $(named $key:literal)? : $type:ty $(= $default:expr)?
            $(, in $range:expr)? $(, read by $read:path)? $(, shown as $shown:path)?;
    )*}) => {
        $(#[$about])*
        #[derive(Clone)]
        pub struct $name {$(
            $(#[$doc])*
            pub $field: $type,
        )*}

        impl $name {
            pub(in crate::config) const KEYS: &'static [&'static str] = &[$(section!(@key $field $($key)?)),*];
        }

        impl $crate::config::value::Value for $name {
            fn read(at: &$crate::config::reading::At<'_>) -> Option<Self> {
                use $crate::config::section::field;
                at.table(Self::KEYS)?;
                // Every key is read before the first missing one ends it: all mistakes are told at once.
                $(let $field: Option<$type> = field(
                    at,
                    section!(@key $field $($key)?),
                    section!(@or_else $($default)?),
                    section!(@reader $type $(, $read)?),
                );)*
                let section = Self { $($field: $field?),* };
                if at.is_judged() {
                    $(section! { @range at, section!(@key $field $($key)?), section.$field $(, $range)? })*
                    $($check(&section, at);)?
                }
                Some(section)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name))
                    $(.field(section!(@key $field $($key)?), &section!(@shown self.$field $(, $shown)?)))*
                    .finish()
            }
        }
    };
    (@default $name:ident {$(
        $(#[$doc:meta])*
        pub $field:ident $(named $key:literal)? : $type:ty = $default:expr
            $(, in $range:expr)? $(, read by $read:path)? $(, shown as $shown:path)?;
    )*}) => {
        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default),* }
            }
        }
    };
    (@new $name:ident $new:ident [$($given:ident : $type_given:ty),*] {$(
        $(#[$doc:meta])*
        pub $field:ident $(named $key:literal)? : $type:ty $(= $default:expr)?
            $(, in $range:expr)? $(, read by $read:path)? $(, shown as $shown:path)?;
    )*}) => {
        impl $name {
            /// Everything else at its default.
            pub fn $new($($given: $type_given),*) -> Self {
                Self { $($field: section!(@given $field $(, $default)?)),* }
            }
        }
    };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
    (@or_else) => { None };
    (@or_else $default:expr) => { Some(|| $default) };
    (@reader $type:ty) => { <$type as $crate::config::value::Value>::read };
    (@reader $type:ty, $read:path) => { $read };
    (@range $at:ident, $key:expr, $value:expr) => {};
    (@range $at:ident, $key:expr, $value:expr, $range:expr) => {
        if let Some(number) = $crate::config::value::Figure::figure(&$value) {
            $at.range($key, number, &$range);
        }
    };
    (@shown $value:expr) => { $value };
    (@shown $value:expr, $shown:path) => { $shown(&$value) };
    (@given $field:ident) => { $field.into() };
    (@given $field:ident, $default:expr) => { $default };
}
pub(super) use section;

macro_rules! kinds {
    ($(#[$about:meta])* pub enum $name:ident as dyn $common:ident $(, checked by $check:ident)? {
        $($(#[$doc:meta])* $tag:literal => $kind:ident($section:ty),)*
    }) => {
        kinds! { $(#[$about])* pub enum $name $(, checked by $check)? { $($(#[$doc])* $tag => $kind($section),)* } }

        impl $name {
            /// What every kind can be asked.
            fn common(&self) -> &dyn $common {
                match self { $(Self::$kind(section) => section,)* }
            }
        }
    };
    ($(#[$about:meta])* pub enum $name:ident $(, checked by $check:ident)? {
        $($(#[$doc:meta])* $tag:literal => $kind:ident($section:ty),)*
    }) => {
        $(#[$about])*
        #[derive(Debug, Clone)]
        #[allow(clippy::large_enum_variant)] // a handful of them, read once
        pub enum $name {
            $($(#[$doc])* $kind($section),)*
        }

        impl $name {
            /// Every `type`, and the keys that go with it.
            pub(in crate::config) const KINDS: &'static [(&'static str, &'static [&'static str])] =
                &[$(($tag, <$section>::KEYS)),*];
        }

        impl $crate::config::value::Value for $name {
            fn read(at: &$crate::config::reading::At<'_>) -> Option<Self> {
                let kind = match $crate::config::section::tag(at, Self::KINDS)? {
                    $($tag => Self::$kind(<$section as $crate::config::value::Value>::read(&at.typed())?),)*
                    _ => return None,
                };
                $(if at.is_judged() {
                    $check(&kind, at);
                })?
                Some(kind)
            }
        }
    };
}
pub(super) use kinds;

/// The `type` of the table here, when it is one of these.
pub(super) fn tag<'a>(at: &At<'a>, kinds: &[(&str, &[&str])]) -> Option<&'a str> {
    at.keys()?;
    let tags: Vec<&str> = kinds.iter().map(|(tag, _)| *tag).collect();
    let below = at.below("type");
    if below.value().is_none() {
        at.missing("type", &tags);
        return None;
    }
    let text = below.text()?;
    if tags.contains(&text) { Some(text) } else { below.no_such_word(text, &tags) }
}
