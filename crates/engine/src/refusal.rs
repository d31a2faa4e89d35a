//! Why a request does not get what it asked for.
//!
//! In: what went wrong, in the engine's own terms. Out: a [`Refusal`], whose text may be shown to the caller. It does
//! not know HTTP; `http/problem.rs` turns it into a status and a body.

use identities::Permission;

use super::error::{AnalyzeError, EngineError};

/// A request answered with something else than a result.
#[derive(Debug, derive_more::From)]
pub enum Refusal {
    /// The input is malformed, incomplete or contradicts itself.
    BadInput(String),
    /// Nobody is known to be asking.
    Unauthenticated(Unauthenticated),
    /// The caller holds none of these.
    Forbidden(&'static [Permission]),
    /// There is no such thing, named here.
    NotFound(&'static str),
    /// The picture can be read but not used.
    TurnedDown(String),
    /// The engine is at fault; the caller learns nothing more than that.
    #[from(EngineError, AnalyzeError)]
    Internal(EngineError),
}

/// Why the caller is nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unauthenticated {
    NoToken,
    /// Expired, forged, or made void by a new password or the user's removal.
    BadToken,
    BadCredentials,
    /// Too many wrong passwords from this client; `retry_secs` from now it may try again.
    Throttled {
        retry_secs: u64,
    },
}

impl Refusal {
    pub fn bad_input(detail: impl Into<String>) -> Self {
        Self::BadInput(detail.into())
    }
}

impl From<Refusal> for EngineError {
    /// Work that is not done for a caller has nobody to refuse.
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Internal(error) => error,
            _ => Self::Refused,
        }
    }
}
