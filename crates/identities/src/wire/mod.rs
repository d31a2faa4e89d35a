//! The wire types of the Identities REST API: what goes over the network, in the API's own names.
//!
//! In and out: JSON. Both ends use them: the client writes requests and reads answers, the embedded engine the other
//! way round. Writing is strict (times end in `Z`, what the contract says to leave out is left out); reading is
//! tolerant (unknown properties are ignored, an absent list or `null` is empty, a time without an offset is UTC). They
//! hold no behaviour and no domain type; one file per group of endpoints. `Debug` never shows passwords, tokens,
//! pictures, embeddings or names.

/// Implements `Debug` for types with personal or secret properties: it shows the named properties and no others.
macro_rules! debug_shows {
    ($($type:ident { $($property:ident),* })*) => {$(
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($type))
                    $(.field(stringify!($property), &self.$property))*
                    .finish_non_exhaustive()
            }
        }
    )*};
}

mod auth;
mod detections;
mod documents;
mod face_edge;
mod faces;
mod people;
mod problem;
mod scalar;
mod settings;
mod tags;

pub use auth::{AuthenticateRequest, AuthenticateResponse, UserProfile};
pub use detections::{DetectionItem, DetectionsQuery};
pub use documents::upload_part;
pub use face_edge::{
    ANSWERS_REPEATS, DetectedFace, EdgePerson, EdgeTag, FaceEdgePublishRequest, FaceEdgePublishResponse,
    FaceEdgeRecognizeRequest, FaceEdgeRecognizeWithOptions, MATCH_SCORES, MatchedPerson, PROMISES, lookup_part,
};
pub use faces::{
    CheckImageReferenceResponse, FaceCompareRequest, FaceCompareResponse, FaceDetectItem, FaceDetectRequest,
    FaceDetectResponse, FaceEnrollQuery, FaceEnrollRequest, FaceEnrollResponse,
};
pub use people::{
    EntityField, IdentityPersonItem, PeopleQuery, PersonAddress, PersonAlias, PersonNote, PersonTag, PersonTagUpsert,
    TagSummary,
};
pub use problem::ProblemDetails;
pub use scalar::{Base64, BoundingBox, TimeSpan, parse_time};
pub use settings::FieldSetting;
pub use tags::{Tag, TagWrite};
