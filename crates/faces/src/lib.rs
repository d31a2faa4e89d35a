//! Pictures in, faces and vectors out.
//!
//! ```text
//! picture ──▶ detect ──Face──▶ quality     how much the face is worth sending
//!    ▲          │                align      upright, on the template embeddings are trained on
//!  files        │                embed      a vector that is compared with others
//!               │                liveness   whether it is a person, or a picture of one
//!               └── onnx ── models          ONNX Runtime, and the files it opens
//! ```
//!
//! Everything is told in options of its own; the crate reads no configuration, knows no clock and no camera, and opens
//! no file but those of [`models`].

pub mod align;
pub mod detect;
pub mod embed;
mod face;
pub mod liveness;
pub mod models;
pub mod onnx;
pub mod picture;
pub mod quality;
