//! The real analyser: a detector and an embedding model of the manifest.
//!
//! In: model files. Out: [`FaceAnalyzer`]s. It knows how to get a vector from a picture that is hardly more than the
//! face, in which a detector may find nothing.

use std::sync::Arc;

use super::{AnalyzeError, Analyzed, FaceAnalyzer, FaceModel, Loader, Wanted};
use crate::align;
use crate::config::{DetectConfig, QualityConfig};
use crate::detect::{self, Face, FaceDetector, Point, Rect};
use crate::embed::{self, Embedding, FaceEmbedder};
use crate::engine::EngineError;
use crate::models::ModelStore;
use crate::picture::{Border, Picture};
use crate::quality;

/// Threads of one inference: requests run beside each other instead.
const THREADS: u16 = 1;

/// A crop with the face filling it is given this much margin on each side, as a share of its own size, before a face is
/// looked for: detectors have learnt faces with something around them.
const CROP_MARGIN: f64 = 0.5;

/// How far landmarks may be from where the alignment template puts them, as a share of the crop's side, for a crop to
/// count as aligned already: to be warped again would only blur it.
const ALIGNED_WITHIN: f32 = 0.06;

/// The largest side of a picture that may be an aligned chip without a detector seeing a face in it.
const CHIP_MOST_PX: u32 = 256;

/// Detector, embedder, and how their results are judged.
pub struct ModelAnalyzer {
    detector: Box<dyn FaceDetector>,
    embedder: Box<dyn FaceEmbedder>,
    quality: QualityConfig,
    model: FaceModel,
}

/// Loads models of the manifest.
pub fn loader(models: ModelStore) -> Loader {
    Arc::new(move |model, count| {
        let one = |_| Ok(Box::new(ModelAnalyzer::load(&models, model)?) as Box<dyn FaceAnalyzer>);
        (0..count).map(one).collect()
    })
}

impl ModelAnalyzer {
    pub fn load(models: &ModelStore, model: &str) -> Result<Self, EngineError> {
        let detector = detect::load(models, &DetectConfig::default(), THREADS).map_err(EngineError::Detector)?;
        let embedder = embed::load(models, model, THREADS).map_err(EngineError::Embedder)?;
        let model = FaceModel {
            name: embedder.name().to_owned(),
            dimensions: embedder.dimensions(),
            metric: embedder.metric(),
            threshold: embedder.threshold(),
        };
        Ok(Self { detector, embedder, quality: QualityConfig::default(), model })
    }

    /// The face of a crop, found in a margin put around it.
    fn find_in(&mut self, crop: &Picture) -> Result<Option<Face>, AnalyzeError> {
        let (left, top) =
            ((f64::from(crop.width()) * CROP_MARGIN).round(), (f64::from(crop.height()) * CROP_MARGIN).round());
        let framed = crop
            .warped(
                &[[1.0, 0.0, left], [0.0, 1.0, top]],
                crop.width() + 2 * left as u32,
                crop.height() + 2 * top as u32,
                Border::Replicate,
            )
            .map_err(AnalyzeError::Picture)?;
        let found = self.detector.detect(&framed).map_err(AnalyzeError::Detect)?.into_iter().next();
        Ok(found.map(|face| moved(face, -left as f32, -top as f32)))
    }
}

impl FaceAnalyzer for ModelAnalyzer {
    fn model(&self) -> &FaceModel {
        &self.model
    }

    fn analyze(&mut self, picture: &Picture, wanted: Wanted) -> Result<Vec<Analyzed>, AnalyzeError> {
        let mut faces = self.detector.detect(picture).map_err(AnalyzeError::Detect)?;
        if wanted == Wanted::Largest {
            faces.truncate(1);
        }
        faces
            .into_iter()
            .map(|face| {
                let embedding = self.embedder.embed(picture, &face).map_err(AnalyzeError::Embed)?;
                let quality = quality::measure(picture, &face, &self.quality);
                Ok(Analyzed { face, embedding, quality })
            })
            .collect()
    }

    fn embed_crop(&mut self, crop: &Picture) -> Result<Option<Embedding>, AnalyzeError> {
        let template = aligned_face(crop);
        let face = match (self.find_in(crop)?, template) {
            (Some(found), Some(template)) if near(&found, &template, crop) => template,
            (Some(found), _) => found,
            // Too small or too tight for the detector, but of the very shape aligned chips have.
            (None, Some(template)) => template,
            (None, None) => return Ok(None),
        };
        self.embedder.embed(crop, &face).map(Some).map_err(AnalyzeError::Embed)
    }
}

/// Where the face is in a crop that is aligned to the template: `None` unless it is square and small like one.
fn aligned_face(crop: &Picture) -> Option<Face> {
    if crop.width() != crop.height() || crop.width() > CHIP_MOST_PX {
        return None;
    }
    let (width, height) = (crop.width() as f32, crop.height() as f32);
    let scale = width / align::CHIP_PX as f32;
    let landmarks = align::ARCFACE.map(|point| Point { x: point.x * scale, y: point.y * scale });
    Some(Face { bbox: Rect { x: 0.0, y: 0.0, width, height }, landmarks, score: 1.0 })
}

fn near(found: &Face, template: &Face, crop: &Picture) -> bool {
    let within = ALIGNED_WITHIN * crop.width() as f32;
    let close = |(a, b): (&Point, &Point)| (a.x - b.x).hypot(a.y - b.y) <= within;
    found.landmarks.iter().zip(&template.landmarks).all(close)
}

fn moved(mut face: Face, x: f32, y: f32) -> Face {
    face.bbox.x += x;
    face.bbox.y += y;
    for point in &mut face.landmarks {
        point.x += x;
        point.y += y;
    }
    face
}
