//! Fetching model files from public addresses and from folders.
//!
//! In: the entries of the manifest that are missing from a folder. Out: their files, each verified before it has its
//! name. It does not know what is inside a model, nor how to take one out of a package: `models/prepare` does, on a
//! machine that builds doorward.

mod error;
mod fetch;
mod pull;

pub use error::FetchError;
pub use fetch::Patience;
pub use pull::{Outcome, Pulled, Step, Watcher, pull};
