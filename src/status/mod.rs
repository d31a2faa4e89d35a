//! Health, metrics and a live page.
//!
//! In: the [`Board`] the agent keeps up to date, and the metrics. Out: `/health`, `/metrics`, `/status.json` and a page
//! that shows them, read-only, without names or pictures. It does not know the parts it shows.

mod board;
mod health;
mod lines;
mod rate;
mod server;
mod state;
mod view;

pub use board::Board;
pub use health::{BAD_PICTURE, CAMERA_PARTS, Fault, Health};
pub use lines::{ActionLine, VisitLine};
pub use server::{StatusView, serve};
pub use state::{BreakerState, BrokerState, CameraPhase, EngineState, Hanging, OutboxLine, Warning};
