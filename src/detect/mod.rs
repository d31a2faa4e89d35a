//! The faces of a camera's frame, as they travel from the detector to the tracker.
//!
//! In: a [`Frame`]. Out: [`Detections`], and which of its faces count. The [`Gate`] says where to look for them; what
//! finds them is [`faces::detect`].

mod gate;
mod ground;

use std::sync::Arc;

use faces::detect::{Face, Point};

use faces::picture::Picture;

use crate::capture::{CaptureTime, Frame};
use crate::config::ViewConfig;

pub use gate::{Gate, Look};

/// All faces of one frame, largest first.
#[derive(Debug, Clone)]
pub struct Detections {
    pub frame: Arc<Frame>,
    pub faces: Vec<Face>,
}

/// What there is to say of a frame.
#[derive(Debug, Clone)]
pub enum Seen {
    /// It was searched, all of it or where somebody may be.
    Faces(Detections),
    /// It was not: nothing moved in it, and nobody was there.
    Nothing(CaptureTime),
}

impl Seen {
    /// When the frame was taken.
    pub fn time(&self) -> CaptureTime {
        match self {
            Self::Faces(detections) => detections.frame.time,
            Self::Nothing(time) => *time,
        }
    }
}

/// Whether a face of this picture is where the camera is to look.
pub fn is_watched(face: &Face, picture: &Picture, view: &ViewConfig) -> bool {
    let Point { x, y } = face.bbox.centre();
    view.watches([x / picture.width() as f32, y / picture.height() as f32])
}
