//! An Identities engine of our own: the REST API of the contract over one data folder.
//!
//! In: HTTP requests with pictures and records. Out: who is in the pictures, and the records. It stands on the table of
//! operations and the wire types of the API's client and on the faces crate; nothing in the agent's flow knows it
//! exists.
//!
//! ```text
//! http ──▶ auth (who asks) ──▶ faces / people ──▶ store (SQLite, on disk before the answer)
//!  │ guard, limits, JSON          │   ▲
//!  ▼                              ▼   │ nearest
//! problem+json              analyzer  gallery (vectors in memory)
//! ```

mod admission;
mod analyzer;
mod auth;
mod blank;
mod decoding;
mod engine;
mod erasing;
mod error;
mod export;
mod gallery;
mod housekeeping;
mod http;
pub mod index;
mod limits;
mod preparation;
mod quality;
mod recognition;
mod serve;
mod store;
mod takeover;

pub use auth::{Accounts, Guest};
pub use engine::Engine;
pub use erasing::erase;
pub use error::EngineError;
pub use export::{Exported, export};
pub use housekeeping::Retention;
pub use http::fuzzing;
pub use limits::KeepLimits;
pub use preparation::ModelState;
pub use quality::{Finding, Quality, quality};
pub use serve::{ServeOptions, Tls, TlsFiles, serve};
pub use serving::{IpNet, Proxies};
pub use store::erase::{Erased, Whom};
pub use store::faces::Progress;
pub use store::users::{AuditLine, RoleLine, UserLine};

#[cfg(test)]
mod tests;
