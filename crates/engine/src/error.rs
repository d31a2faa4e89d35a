//! What can go wrong: with the engine itself, as its operator should read it, and with a request.
//!
//! In: what went wrong, in the engine's own terms. Out: an [`EngineError`], or a [`Refusal`], whose text may be shown
//! to the caller. It does not know HTTP; `http` turns a refusal into a status and a body.

use std::path::{Path, PathBuf};

use faces::detect::DetectError;
use faces::embed::EmbedError;
use faces::picture::PictureError;
use identities::Permission;
use identities::wire::NearestPerson;

use super::index::Incomparable;

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("cannot {operation} {}", .path.display())]
    File { operation: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{} is not empty and holds no engine's data; give a new or empty folder", .path.display())]
    NotAFolderOfOurs { path: PathBuf },
    #[error("another engine is serving {}; stop it first, or give another folder", .path.display())]
    InUse { path: PathBuf },
    #[error("cannot open the database {}", .path.display())]
    OpenDatabase { path: PathBuf, source: rusqlite::Error },
    #[error("{} is not an engine's database; give another folder", .path.display())]
    NotOurDatabase { path: PathBuf },
    #[error(
        "{} was written by a newer doorward (its schema is version {found}, this one knows up to {known}); use that \
         doorward, or a copy of the folder made before", .path.display()
    )]
    NewerDatabase { path: PathBuf, found: i32, known: i32 },
    #[error("cannot {operation}")]
    Database { operation: &'static str, source: rusqlite::Error },
    #[error("there is no role {role}; the roles are {known}")]
    UnknownRole { role: String, known: String },
    #[error("the password must have 1 to {limit} bytes")]
    UnusablePassword { limit: usize },
    #[error("the name of the {of} must have 1 to 256 characters, no space at its ends and no control characters")]
    UnusableName { of: &'static str },
    #[error("there is no user {username}; `doorward engine user list` shows those there are")]
    UnknownUser { username: String },
    #[error("that would leave no administrator; make another one first")]
    LastAdministrator,
    #[error("the role {role} is built in and stays as it is; give another name")]
    BuiltInRole { role: String },
    #[error("the role {role} is still held by {users}; give them another one first")]
    RoleInUse { role: String, users: String },
    #[error("there is no permission {permission}; the permissions are {known}")]
    UnknownPermission { permission: String, known: String },
    #[error("cannot hash the password")]
    HashPassword(#[source] argon2::password_hash::Error),
    #[error("cannot sign a token")]
    SignToken(#[source] jsonwebtoken::errors::Error),
    #[error("the people in this folder were last compared by the model {model}, which this doorward does not know")]
    UnknownModel { model: String },
    #[error("the engine was given nothing to analyse faces with")]
    NoAnalyzer,
    #[error("cannot find faces")]
    Detect(#[source] DetectError),
    #[error("cannot turn a face into a vector")]
    Embed(#[source] EmbedError),
    #[error("cannot prepare the picture")]
    Picture(#[source] PictureError),
    #[error("the vector of a face cannot be compared with others")]
    Vector(#[source] Incomparable),
    #[error("work was cut short; the log above says why")]
    Interrupted,
    #[error(
        "{} holds no certificate that can be used; it must be PEM, the engine's own certificate first",
        .path.display()
    )]
    UnusableCertificate { path: PathBuf },
    #[error("{} holds no private key that can be used; it must be PEM and not encrypted", .path.display())]
    UnusableKey { path: PathBuf },
    #[error("the key {} does not belong to the certificate {}", .key.display(), .certificate.display())]
    KeyOfAnother { certificate: PathBuf, key: PathBuf },
    #[error(
        "{} is damaged; restore it from a copy, or delete it to get a new one, which every client that pins the old \
         one must then be told", .path.display()
    )]
    SelfMadeKey { path: PathBuf, source: rcgen::Error },
    #[error("cannot make a certificate; a --name must be a host name or an address")]
    MakeCertificate(#[source] rcgen::Error),
    #[error("{} is not empty; give a folder that is new or empty", .path.display())]
    ExportTarget { path: PathBuf },
    #[error("cannot prepare TLS")]
    Tls(#[source] rustls::Error),
    #[error("the data folder refuses its own engine")]
    Refused,
}

impl EngineError {
    /// For `map_err` on what touches a file or a folder; `operation` completes "cannot …", before its path.
    pub fn file(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { operation, path, source }
    }
}

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
    /// The face is nobody's; who is nearest, as far as the caller may know.
    NobodyMatches(Option<Box<NearestPerson>>),
    /// The picture can be read but not used.
    TurnedDown(String),
    /// There is no room to keep more, and what to do about it.
    NoRoom(String),
    /// The engine is at fault; the caller learns nothing more than that.
    #[from]
    Internal(EngineError),
}

/// Why the caller is nobody, as the caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, derive_more::Display)]
pub enum Unauthenticated {
    #[display("a bearer token is needed; authenticate gives one")]
    NoToken,
    /// Expired, forged, or made void by a new password or the user's removal.
    #[display("the token has expired or is not valid; authenticate gives a new one")]
    BadToken,
    #[display("user name or password are wrong")]
    BadCredentials,
    /// Too many wrong passwords from this client; `retry_secs` from now it may try again.
    #[display("too many wrong passwords; try again in {retry_secs} seconds")]
    Throttled { retry_secs: u64 },
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
