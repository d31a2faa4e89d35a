//! The real analyser: a detector and an embedding model of the manifest.
//!
//! In: model files. Out: [`FaceAnalyzer`]s. It knows how to get a vector from a picture that is hardly more than the
//! face, in which a detector may find nothing.

use std::sync::Arc;

use faces::align;
use faces::detect::SearchOptions;
use faces::detect::{self, Face, FaceDetector, Point, Rect};
use faces::embed::{self, Embedding, FaceEmbedder, FaceModel, Metric};
use faces::models::ModelStore;
use faces::picture::{Border, Picture};
use faces::quality;
use faces::quality::QualityOptions;

use super::{Analyzed, FaceAnalyzer, Loader, Stands, Wanted};
use crate::error::{AnalyzeError, EngineError};

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

/// A standing face's box is at least this much higher than wide. The detectors give 1.13 to 1.34, and 0.6 to 1.1 for
/// most faces that lie or hang.
const STANDING_SHAPE: f32 = 1.15;

/// From here on no lying or hanging face of 40 photos is as sure to stand, by the embedding model's metric: they reach
/// 0.79 with cosine and 0.53 with distances, where those that stand have 0.87 and 0.66.
const UNMISTAKABLE_COSINE: f32 = 0.82;
const UNMISTAKABLE_L2: f32 = 0.58;

/// A detector and an embedder.
pub struct ModelAnalyzer {
    detector: Box<dyn FaceDetector>,
    embedder: FaceEmbedder,
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
        let detector = detect::load(models, &SearchOptions::still("auto"), THREADS).map_err(EngineError::Detector)?;
        let embedder = embed::load(models, model, THREADS).map_err(EngineError::Embedder)?;
        Ok(Self { detector, embedder })
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
        &self.embedder.model
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
                let quality = quality::measure(picture, &face, &QualityOptions::default());
                Ok(Analyzed { face, embedding, quality })
            })
            .collect()
    }

    /// The detector's score, as far as the landmarks and the box have the shape of a standing face; and the embedding
    /// model's: a face it can read is much like its own mirror image, one that lies is not.
    fn stands(&mut self, picture: &Picture, found: &Analyzed) -> Result<Stands, AnalyzeError> {
        let mirror = picture.mirrored().map_err(AnalyzeError::Picture)?;
        let mirrored = mirrored(&found.face, picture.width());
        let mirrored = self.embedder.embed(&mirror, &mirrored).map_err(AnalyzeError::Embed)?;
        let score = self.embedder.model.metric.score(&found.embedding.values, &mirrored.values);
        let (alike, unmistakable) = match self.embedder.model.metric {
            Metric::Cosine => (score, UNMISTAKABLE_COSINE),
            Metric::L2 => (1.0 - score, UNMISTAKABLE_L2),
        };
        let Rect { width, height, .. } = found.face.bbox;
        let shape = (height / width / STANDING_SHAPE).clamp(0.0, 1.0);
        let sure = found.face.score * found.quality.pose.score.sqrt() * shape * alike.clamp(0.0, 1.0).powi(2);
        Ok(Stands { sure, unmistakable: sure >= unmistakable })
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

/// The face of a crop that is aligned to the template, where the template has it: `None` unless it is square and small
/// like one.
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

/// A face where it is in the mirror image of a picture this wide: its left eye is the right one there.
fn mirrored(face: &Face, width: u32) -> Face {
    let width = width as f32;
    let [left_eye, right_eye, nose, left_mouth, right_mouth] =
        face.landmarks.map(|point| Point { x: width - point.x, y: point.y });
    Face {
        bbox: Rect { x: width - face.bbox.x - face.bbox.width, ..face.bbox },
        landmarks: [right_eye, left_eye, nose, right_mouth, left_mouth],
        score: face.score,
    }
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
