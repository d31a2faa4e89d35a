//! doorward: the map of the agent.
//!
//! Rooms in the order of the flow; each imports only from rooms above it (`tests/repository.rs` checks):
//!
//! ```text
//! capture -Frame▶ detect -Detections▶ track -BestShot▶ crop -Sighting▶ outbox -Sighting▶ recognition
//!                                                                                  Recognition▼
//!                                         status ◀-Outcome- actions ◀-ActionRequest- rules
//! ```
//!
//! Finding faces, the Identities API, the embedded engine and telling of oneself are crates of their own, below
//! `crates`.

// What every room stands on.
pub mod clock;
pub mod config;
pub mod models;
pub mod terminal;

// The flow.
pub mod actions;
pub mod capture;
pub mod crop;
pub mod detect;
pub mod outbox;
pub mod recognition;
pub mod rules;
pub mod status;
pub mod track;
pub mod visits;

// The wiring and the command line, which know every room they need.
pub mod agent;
pub mod cli;
pub mod commands;
pub mod dumps;
