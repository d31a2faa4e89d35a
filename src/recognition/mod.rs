//! What the engine says of a sighting, in the house's own words.
//!
//! In: a [`Sighting`](crate::crop::Sighting). Out: a [`Recognition`]. It knows which of the API's calls is asked and
//! how their answers are read; tokens, time limits and TLS are the client's, the retry is the caller's.

#[cfg(fuzzing)]
pub mod fuzzing;
mod identify;
mod nearest;

use std::time::Instant;

use chrono::{DateTime, Utc};
use identities::LeftOut;
use uuid::Uuid;

use crate::config::{DetectorName, OutcomeKind};
use crate::track::VisitId;

pub use identify::{IdentifyError, identify, wants_aligned, wants_embedding};
pub use nearest::Nearest;

/// What the engine said of a sighting.
#[derive(Debug, Clone, PartialEq)]
pub struct Recognition {
    pub sighting: Uuid,
    pub visit: VisitId,
    /// See [`Sighting::stay`](crate::crop::Sighting::stay).
    pub stay: Option<VisitId>,
    pub detector: DetectorName,
    /// The sighting's own time, on the pipeline's clock.
    pub seen_at: DateTime<Utc>,
    /// When its frame entered this process, on [`clock`](crate::clock); `None` after a restart.
    pub arrived: Option<Instant>,
    /// 1 for the first shot of the visit, then 2, 3, …
    pub shot: u8,
    /// What the liveness models said of this shot together, 0 to 1; `None` where none was asked.
    pub live: Option<f32>,
    pub answer: Answer,
}

/// The answer, whatever endpoint it came from.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Known(Known),
    /// A face that matches nobody.
    Unknown {
        /// How sure the engine is that it is a face, 0 to 1, where it says so.
        confidence: Option<f32>,
        /// Who of the people enrolled comes nearest, where it says so.
        nearest: Option<Nearest>,
    },
    /// The engine found no face in the picture.
    NoFace,
    /// Taken in without an answer (`publish`).
    Accepted,
    /// The engine turned the sighting down for good.
    Refused {
        reason: String,
    },
}

impl Recognition {
    /// The visit that the stay began with: this one, unless the face was there in another before.
    pub fn stay(&self) -> VisitId {
        self.stay.unwrap_or(self.visit)
    }
}

impl Answer {
    /// The answer's kind, as rules, metrics and the history name it.
    pub fn kind(&self) -> OutcomeKind {
        match self {
            Self::Known(_) => OutcomeKind::Known,
            Self::Unknown { .. } => OutcomeKind::Unknown,
            Self::NoFace => OutcomeKind::NoFace,
            Self::Refused { .. } => OutcomeKind::Refused,
            Self::Accepted => OutcomeKind::Accepted,
        }
    }

    /// The recognised person.
    pub fn known(&self) -> Option<&Known> {
        match self {
            Self::Known(known) => Some(known),
            _ => None,
        }
    }

    /// The recognised person's id.
    pub fn person_id(&self) -> Option<&str> {
        self.known().map(|known| known.person.id.as_str())
    }

    /// How sure the engine is that it is a face, 0 to 1, where it says so.
    pub fn confidence(&self) -> Option<f32> {
        match self {
            Self::Known(known) => known.confidence,
            Self::Unknown { confidence, .. } => *confidence,
            Self::NoFace | Self::Accepted | Self::Refused { .. } => None,
        }
    }

    /// Who comes nearest to somebody unknown, which is nobody's identity.
    pub fn nearest(&self) -> Option<&Nearest> {
        match self {
            Self::Unknown { nearest, .. } => nearest.as_ref(),
            _ => None,
        }
    }

    /// Why the engine turned the sighting down, or what was left out of an answer that was too large.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Refused { reason } => Some(reason),
            Self::Known(known) => known.left_out.as_ref().map(|left_out| left_out.told.as_str()),
            _ => None,
        }
    }

    /// Whether the person may carry tags that nobody has read.
    pub fn lacks_tags(&self) -> bool {
        self.known().and_then(|known| known.left_out.as_ref()).is_some_and(|left_out| left_out.tags)
    }

    /// Whether it is somebody, and by so weak a match that another picture should say so, too.
    pub fn weak(&self) -> bool {
        self.match_confidence().is_some_and(|sure| sure < SURE)
    }

    /// How sure the engine is that the face is the person's, 0 to 1, where it says so; what guards and `min_confidence`
    /// go by.
    pub fn match_confidence(&self) -> Option<f32> {
        self.known()?.match_confidence
    }
}

/// From here on a match stands by itself: between the half at which our engine takes two faces for one and this,
/// somebody else is likelier than one in five.
const SURE: f32 = 0.8;

/// What some servers write where there is no id.
const NO_ID: &str = "00000000-0000-0000-0000-000000000000";

fn is_id(id: &str) -> bool {
    !id.is_empty() && id != NO_ID
}

/// A recognised person, with what the engine told of them. Logs show the id only: names do not belong there.
#[derive(Clone, Default, PartialEq, derive_more::Debug)]
#[debug("Known({}, {} tags, {} fields)", person.id, tags.len(), fields.len())]
pub struct Known {
    pub person: Person,
    /// Tags that had not expired when the answer was read.
    pub tags: Vec<Tag>,
    pub fields: Vec<Field>,
    /// How sure the engine is that it is a face, 0 to 1, where it says so. It says nothing about whose.
    pub confidence: Option<f32>,
    /// How sure the engine is that the face is this person's, 0 to 1. The vendor's documents know no such figure; our
    /// engine gives it with publishWithResponse. Only this one may open a door.
    pub match_confidence: Option<f32>,
    /// The engine's ids of the face and of this detection, opaque.
    pub face_id: Option<String>,
    pub detect_id: Option<String>,
    /// What was left out of the answer because it was too large.
    pub left_out: Option<LeftOut>,
}

impl Known {
    /// Whether the engine says of this match that it is a better one.
    pub fn surer_than(&self, other: &Self) -> bool {
        self.match_confidence.zip(other.match_confidence).is_some_and(|(this, other)| this > other)
    }
}

/// Who.
#[derive(Clone, Default, PartialEq)]
pub struct Person {
    /// A GUID by contract, read as text.
    pub id: String,
    /// What to call them: the friendly name, else first and last name of the first alias.
    pub name: Option<String>,
}

/// A tag on a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Tag {
    pub name: String,
    pub expires: Option<DateTime<Utc>>,
}

/// A custom field of a person.
#[derive(Clone, PartialEq)]
pub struct Field {
    pub name: String,
    pub value: FieldValue,
}

/// The value of a custom field: as it is displayed `explain` shows it, as it is serialised events hold it.
#[derive(Clone, PartialEq, derive_more::Display, serde::Serialize)]
#[serde(untagged)]
pub enum FieldValue {
    Text(String),
    #[display("{}", _0.to_rfc3339())]
    Date(DateTime<Utc>),
    Number(f64),
    Bool(bool),
    #[display("empty")]
    Empty,
}
