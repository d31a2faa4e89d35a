//! The faces of a camera's frame, as they travel from the detector to the tracker.
//!
//! In: a [`Frame`]. Out: [`Detections`]. What finds the faces is [`faces::detect`].

use std::sync::Arc;

use faces::detect::Face;

use crate::capture::Frame;

/// All faces of one frame, largest first.
#[derive(Debug, Clone)]
pub struct Detections {
    pub frame: Arc<Frame>,
    pub faces: Vec<Face>,
}
