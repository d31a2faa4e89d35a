//! doorward: the map of the crate.
//!
//! Rooms in the order of the flow; each imports only from rooms above it (`tests/repository.rs` checks):
//!
//! ```text
//! capture ─Frame▶ detect ─Detections▶ track ─BestShot▶ crop ─Sighting▶ outbox ─Sighting▶ identities
//!                                                                                  Recognition▼
//!                                         status ◀─Outcome─ actions ◀─ActionRequest─ rules
//! ```

// What every room stands on.
pub mod clock;
pub mod config;
pub mod models;
pub mod onnx;
pub mod picture;
pub mod telemetry;
pub mod terminal;
pub mod text;
pub mod text_file;
pub mod trust;

// The flow.
pub mod actions;
pub mod align;
pub mod capture;
pub mod crop;
pub mod detect;
pub mod embed;
pub mod identities;
pub mod outbox;
pub mod quality;
pub mod rules;
pub mod status;
pub mod track;

// The wiring, the embedded engine and the command line, which know every room they need.
pub mod agent;
pub mod cli;
pub mod commands;
pub mod dumps;
pub mod engine;
pub mod roster;
