//! Faces in a frame.
//!
//! In: a picture. Out: every [`Face`] in it, largest first, in the picture's own pixels. It knows the models and
//! ONNX Runtime; it does not know where the picture comes from or what becomes of the faces.

mod boxes;
mod canary;
mod centerface;
mod cut;
mod pass;
mod search;
mod second_look;
mod shrink;
mod yunet;

use std::time::Duration;

pub use crate::face::{Face, Point, Rect};
use crate::models::{ModelError, ModelStore, Role};
use crate::onnx::{self, OnnxError};
use crate::picture::{Picture, PictureError};
use centerface::CenterFace;
use pass::Pass;
pub use search::FaceDetector;
pub use second_look::SecondLook;
use yunet::Yunet;

/// Which model searches, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchOptions {
    /// A model of the manifest, or `auto`: the first of its preference order whose file is present.
    pub model: String,
    /// A picture is shrunk until its longest side is no more than this before it is searched.
    pub longest_side_px: u32,
    /// Faces below this score are not reported, 0 to 1.
    pub min_score: f32,
    /// Two boxes that overlap more than this (IoU) are one face.
    pub nms_iou: f32,
    /// There is no next picture to find a face in: every faint one is looked at again, and where there is none, the
    /// picture is searched leaning to either side.
    pub thorough: bool,
}

/// A network that looks at a picture once, at the picture's own size.
trait Model: Send {
    /// The model's name in the manifest.
    fn name(&self) -> &str;

    /// How sure it is of the least sure face that stands, by
    /// [`geometry::standing`](crate::quality::geometry::standing).
    fn doubtful(&self) -> f32;

    /// Every face in the picture, largest first, in the picture's pixels. Any size of picture will do.
    fn detect(&mut self, picture: &Picture) -> Result<Vec<Face>, DetectError>;

    /// See [`FaceDetector::prove`].
    fn prove(&mut self) -> Result<(), DetectError> {
        let faces = self.detect(&canary::PICTURE)?;
        if canary::found(&faces) { Ok(()) } else { Err(DetectError::Blind { model: self.name().into() }) }
    }

    /// How long it has been inside the network since it was loaded.
    fn network_time(&self) -> Duration {
        Duration::ZERO
    }
}

/// Why faces cannot be looked for.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    #[error("cannot choose a detector model")]
    Choose { source: ModelError },
    #[error("cannot load ONNX Runtime for the detector")]
    Runtime { source: OnnxError },
    #[error("cannot load the detector model {model}")]
    Load { model: String, source: OnnxError },
    #[error("{model} is not a detector model this build knows")]
    Unknown { model: String },
    #[error("the detector model {model} lacks {missing}; check it with `doorward models verify`")]
    Layout { model: String, missing: String },
    #[error("the detector model {model} failed on a picture")]
    Run { model: String, source: ort::Error },
    #[error(
        "the detector model {model} does not find the built-in face: it would report nobody at the door; \
         check it with `doorward models verify`"
    )]
    Blind { model: String },
    #[error("cannot make the picture ready for the detector")]
    Picture { source: PictureError },
}

/// The detector the options ask for, proven on the built-in face. `threads` is how many one inference may use.
pub fn load(store: &ModelStore, config: &SearchOptions, threads: u16) -> Result<FaceDetector, DetectError> {
    let choose = |source| DetectError::Choose { source };
    let model = store.choose(Role::Detector, &config.model).map_err(choose)?;
    onnx::init(&store.runtime().map_err(choose)?).map_err(|source| DetectError::Runtime { source })?;
    let mut detector = open(&model.name, &store.read(&model).map_err(choose)?, config, threads)?;
    detector.prove()?;
    let name = detector.name();
    tracing::info!(model = name, wanted = config.model, threads, "the detector model is {name}");
    Ok(detector)
}

/// Opens the manifest's detector `name`, whose file has these bytes. ONNX Runtime must have been loaded.
pub fn open(name: &str, bytes: &[u8], config: &SearchOptions, threads: u16) -> Result<FaceDetector, DetectError> {
    let looks = SearchOptions { min_score: config.min_score * search::CONFIRMING, ..config.clone() };
    Ok(FaceDetector::new(model(name, bytes, looks, threads)?, config))
}

fn model(name: &str, bytes: &[u8], options: SearchOptions, threads: u16) -> Result<Box<dyn Model>, DetectError> {
    let session = onnx::session(name, bytes, threads);
    let session = session.map_err(|source| DetectError::Load { model: name.into(), source })?;
    Ok(match name {
        "yunet_n" | "yunet_s" => Box::new(Pass::new(name, Yunet::new(name, &session)?, session, options)),
        "centerface" => Box::new(Pass::new(name, CenterFace::new(name, &session)?, session, options)),
        _ => return Err(DetectError::Unknown { model: name.into() }),
    })
}

impl Default for SearchOptions {
    /// How a camera's frame is searched.
    fn default() -> Self {
        Self { model: "auto".into(), longest_side_px: 640, min_score: 0.6, nms_iou: 0.3, thorough: false }
    }
}

impl SearchOptions {
    /// How a single photo is searched: more finely than a camera's frame, as there is no next one to find the face in.
    pub fn still(model: &str) -> Self {
        Self { model: model.into(), longest_side_px: 1280, thorough: true, ..Self::default() }
    }
}
