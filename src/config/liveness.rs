//! `[liveness]`: by which models a shot is looked at, whether it shows a person or a picture of one.
//!
//! In: a word or a list of names. Out: [`LivenessConfig`]. Which models there are is for whoever loads them.

use ::config::ValueKind;

use super::reading::At;
use super::section::section;
use super::value::{Value, names};

section! {
    /// `[liveness]`
    pub struct LivenessConfig: Default, checked by check_liveness {
        pub models: LivenessModels = LivenessModels::Off;
    }
}

/// Which liveness models look at each shot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LivenessModels {
    /// None; no shot has a liveness value.
    Off,
    /// Every one whose file is there.
    Auto,
    /// Those of these names.
    Named(Vec<String>),
}

impl LivenessModels {
    /// The names that were given, none of them for all that are there; `None` where no model is asked.
    pub fn wanted(&self) -> Option<&[String]> {
        match self {
            Self::Off => None,
            Self::Auto => Some(&[]),
            Self::Named(names) => Some(names),
        }
    }
}

impl Value for LivenessModels {
    fn read(at: &At<'_>) -> Option<Self> {
        match at.value()? {
            ValueKind::Array(_) => names(at).map(Self::Named),
            _ => at.parsed(|text| match text {
                "off" => Ok(Self::Off),
                "auto" => Ok(Self::Auto),
                text => Err(format!("`{text}` is neither \"off\" nor \"auto\"; names of models stand in a list")),
            }),
        }
    }
}

fn check_liveness(liveness: &LivenessConfig, at: &At<'_>) {
    let nothing = liveness.models == LivenessModels::Named(Vec::new());
    at.wrong_if(nothing, &["models"], "it is empty; write \"off\", \"auto\", or the names of liveness models");
}
