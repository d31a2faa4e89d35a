//! The wire types of the Identities REST API: what goes over the network, in the API's own names.
//!
//! In and out: JSON. Both ends use them: the client writes requests and reads answers, the embedded engine the other
//! way round. Writing is strict (times end in `Z`, what the contract says to leave out is left out); reading is
//! tolerant (unknown properties are ignored, an absent list or `null` is empty, a time without an offset is UTC). They
//! hold no behaviour and no domain type; one file per group of endpoints. `Debug` never shows passwords, tokens,
//! pictures, embeddings or names.

mod auth;
mod faces;
mod nearest;
mod people;
mod scalar;

pub use auth::*;
pub use faces::*;
pub use nearest::NearestPerson;
pub use people::*;
pub(crate) use scalar::MAX_ENTRIES;
pub use scalar::{Base64, BoundingBox, TimeSpan, parse_time};
