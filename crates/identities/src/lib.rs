//! A client of the Identities REST API, and what else speaks that API stands on.
//!
//! ```text
//! operation   every operation: its id, method, path, permissions
//! wire        every request and answer, as JSON
//! Client      a method per operation; tokens, retries, time limits
//! trust       whom it believes over TLS
//! text        when two names are the same
//! roster      people and their photos as files in a folder
//! ```
//!
//! It does not know what the answers are for.

mod address;
mod auth;
mod client;
mod detections;
mod error;
mod face_edge;
mod faces;
#[cfg(fuzzing)]
pub mod fuzzing;
mod operation;
mod people;
mod photos;
mod retry;
mod rights;
pub mod roster;
mod settings;
mod stream;
mod tags;
pub mod text;
pub mod text_file;
mod transport;
pub mod trust;
pub mod wire;

pub use address::{is_loopback, stays_private};
pub use client::{Client, ClientOptions};
pub use error::{BrokenAnswer, ClientError};
pub use face_edge::{Dated, LookupForm};
pub use operation::{ALL as OPERATIONS, Operation, Permission, Verb};
pub use photos::DocumentUpload;
pub use retry::{Backoff, Verdict};
pub use rights::Right;
pub use transport::Heard;

/// The example of the README is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
