//! A client of the Identities REST API, and what else speaks that API stands on.
//!
//! ```text
//! operation   the one table of every operation: id, method, path, who may call it, what goes in and out
//! permission  what an administrator may let a role do
//! wire        every request and answer, as JSON
//! Client      a method per operation; tokens, retries, time limits
//! trust       whom it believes over TLS
//! text        when two names are the same
//! roster      people and their photos as files in a folder
//! ```
//!
//! It does not know what the answers are for.

mod account;
mod auth;
mod client;
mod error;
mod excerpt;
mod faces;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod operation;
mod options;
mod people;
mod permission;
mod photos;
mod retry;
pub mod roster;
pub mod text;
pub mod text_file;
mod transport;
pub mod trust;
pub mod wire;

pub use account::Right;
pub use client::Client;
pub use error::{BrokenAnswer, ClientError, Result};
pub use excerpt::LeftOut;
pub use faces::{Dated, Looked, LookupForm};
pub use operation::{ALL as OPERATIONS, Operation};
pub use options::{ClientOptions, is_loopback, stays_private};
pub use permission::Permission;
pub use photos::DocumentUpload;
pub use retry::{Backoff, Verdict, retry_after, status_is_transient};
pub use transport::Heard;

/// The example of the README is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
