//! The faces of a camera's frame, as they travel from the detector to the tracker.
//!
//! In: a [`Frame`]. Out: [`Detections`], and which of its faces count. What finds the faces is [`faces::detect`].

use std::sync::Arc;

use faces::detect::{Face, Point};

use faces::picture::Picture;

use crate::capture::Frame;
use crate::config::ViewConfig;

/// All faces of one frame, largest first.
#[derive(Debug, Clone)]
pub struct Detections {
    pub frame: Arc<Frame>,
    pub faces: Vec<Face>,
}

/// Whether a face of this picture is where the camera is to look.
pub fn is_watched(face: &Face, picture: &Picture, view: &ViewConfig) -> bool {
    let Point { x, y } = face.bbox.centre();
    view.watches([x / picture.width() as f32, y / picture.height() as f32])
}
