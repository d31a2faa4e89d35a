//! Health, metrics and a live page.
//!
//! In: the [`Board`] the agent keeps up to date, and the metrics. Out: `/health`, `/metrics`, `/status.json` and a page
//! that shows them, read-only, without names or pictures. It does not know the parts it shows.

mod board;
mod health;
mod lines;
mod rate;
mod server;

pub use board::{
    Board, BreakerState, BrokerState, BrokerView, CameraPhase, DetectorView, EngineState, EngineView, Hanging,
    OutboxLine, Snapshot, Warning,
};
pub use health::{BAD_PICTURE, Fault, Health};
pub use lines::{ActionLine, VisitLine};
pub use server::{StatusView, serve};
