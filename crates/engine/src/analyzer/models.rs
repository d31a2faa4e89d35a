//! The real analyser: a detector and an embedding model of the manifest; and which way up a photo is, where nothing
//! says so: as the face in it stands.
//!
//! In: model files; a photo that is to be enrolled, and an analyser. Out: [`FaceAnalyzer`]s; the faces as they stand,
//! the photo turned where they only stand then, and a doubt where nobody can tell. The analyser knows how to get a
//! vector from a picture that is hardly more than the face, in which a detector may find nothing. A face enrolled as it
//! lies would never be recognised, or as somebody else: detectors find many a lying face, and YuNet puts landmarks on
//! it as if it stood.

use std::sync::Arc;

use faces::align;
use faces::detect::{self, Face, FaceDetector, Point, Rect, SearchOptions};
use faces::embed::{self, Embedding, FaceEmbedder, FaceModel, Metric};
use faces::models::ModelStore;
use faces::picture::{Border, Picture, Turn};
use faces::quality::geometry::{self, pose_of};
use faces::quality::{self, QualityOptions};

use super::{Analyzed, FaceAnalyzer, Loader, Stands, Wanted};
use crate::error::EngineError;

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

/// From here on no lying or hanging face of 40 photos is as sure to stand, by the embedding model's metric: they reach
/// 0.79 with cosine and 0.53 with distances, where those that stand have 0.87 and 0.66.
const UNMISTAKABLE_COSINE: f32 = 0.82;
const UNMISTAKABLE_L2: f32 = 0.58;

/// A detector and an embedder.
pub struct ModelAnalyzer {
    detector: FaceDetector,
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
        let detector = detect::load(models, &SearchOptions::still("auto"), THREADS).map_err(EngineError::Detect)?;
        let embedder = embed::load(models, model, THREADS).map_err(EngineError::Embed)?;
        Ok(Self { detector, embedder })
    }

    /// The face of a crop, found in a margin put around it.
    fn find_in(&mut self, crop: &Picture) -> Result<Option<Face>, EngineError> {
        let (left, top) =
            ((f64::from(crop.width()) * CROP_MARGIN).round(), (f64::from(crop.height()) * CROP_MARGIN).round());
        let (width, height) = (crop.width() + 2 * left as u32, crop.height() + 2 * top as u32);
        let to_the_middle = [[1.0, 0.0, left], [0.0, 1.0, top]];
        let framed = crop.warped(&to_the_middle, width, height, Border::Replicate).map_err(EngineError::Picture)?;
        let found = self.detector.detect(&framed).map_err(EngineError::Detect)?.into_iter().next();
        let Some(found) = found else { return Ok(None) };
        let look = self.detector.look_again(&framed, &found).map_err(EngineError::Detect)?;
        Ok(Some(moved(look.map_or(found, |look| look.face), -left as f32, -top as f32)))
    }
}

impl FaceAnalyzer for ModelAnalyzer {
    fn model(&self) -> &FaceModel {
        &self.embedder.model
    }

    fn analyze(&mut self, picture: &Picture, wanted: Wanted) -> Result<Vec<Analyzed>, EngineError> {
        let mut faces = self.detector.detect(picture).map_err(EngineError::Detect)?;
        if wanted == Wanted::Largest {
            faces.truncate(1);
        }
        faces
            .into_iter()
            .map(|face| {
                let look = self.detector.look_again(picture, &face).map_err(EngineError::Detect)?;
                let quality = quality::measure(picture, &face, &QualityOptions::default());
                let (face, quality) = match look {
                    Some(look) => (Face { bbox: face.bbox, ..look.face.clone() }, quality.with_pose(look.pose())),
                    None => (face, quality),
                };
                let embedding = self.embedder.embed(picture, &face).map_err(EngineError::Embed)?;
                Ok(Analyzed { face, embedding, quality })
            })
            .collect()
    }

    /// By the detector's and by the embedding model's account: a face it can read is much like its own mirror image,
    /// one that lies is not.
    fn stands(&mut self, picture: &Picture, found: &Analyzed) -> Result<Stands, EngineError> {
        let mirror = picture.mirrored().map_err(EngineError::Picture)?;
        let mirrored = mirrored(&found.face, picture.width());
        let mirrored = self.embedder.embed(&mirror, &mirrored).map_err(EngineError::Embed)?;
        let score = self.embedder.model.metric.score(&found.embedding.values, &mirrored.values);
        let (alike, unmistakable) = match self.embedder.model.metric {
            Metric::Cosine => (score, UNMISTAKABLE_COSINE),
            Metric::L2 => (1.0 - score, UNMISTAKABLE_L2),
        };
        let sure = geometry::standing(&found.face) * alike.clamp(0.0, 1.0).powi(2);
        Ok(Stands { sure, unmistakable: sure >= unmistakable })
    }

    fn embed_crop(&mut self, crop: &Picture) -> Result<Option<Embedding>, EngineError> {
        let template = aligned_face(crop);
        let face = match (self.find_in(crop)?, template) {
            (Some(found), Some(template)) if near(&found, &template, crop) => template,
            (Some(found), _) => found,
            // Too small or too tight for the detector, but of the very shape aligned chips have.
            (None, Some(template)) => template,
            (None, None) => return Ok(None),
        };
        self.embedder.embed(crop, &face).map(Some).map_err(EngineError::Embed)
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

/// The faces of a photo as they stand.
pub struct Upright {
    pub faces: Vec<Analyzed>,
    /// The photo as it was turned for that.
    pub turned: Option<Picture>,
    /// Why it may be the wrong way up all the same.
    pub doubt: Option<&'static str>,
}

/// A face must stand this much surer in another direction for a photo to be turned. Of 40 photos of faces, turned all
/// ways, with both detectors and both embedding models, none is turned wrongly; upside down, YuNet's least sure two
/// reach 1.08 and 0.99 and stay.
const CLEARLY: f32 = 1.1;
/// The face's upper edge at one of the picture's sides.
const LYING_DEG: f32 = 60.0;

/// Analyses all faces of a photo the way up in which its largest face stands.
pub fn upright(analyzer: &mut dyn FaceAnalyzer, photo: &Picture) -> Result<Upright, EngineError> {
    let faces = analyzer.analyze(photo, Wanted::All)?;
    let as_it_is = match faces.first() {
        Some(largest) => {
            let stands = analyzer.stands(photo, largest)?;
            if stands.unmistakable {
                return Ok(Upright { faces, turned: None, doubt: None });
            }
            stands.sure
        }
        None => 0.0,
    };
    let mut others = Vec::new();
    for turn in [Turn::Quarter, Turn::Half, Turn::ThreeQuarters] {
        let turned = photo.turned(turn).map_err(EngineError::Picture)?;
        if let Some(face) = analyzer.analyze(&turned, Wanted::Largest)?.first() {
            others.push((analyzer.stands(&turned, face)?.sure, turn));
        }
    }
    others.sort_by(|a, b| b.0.total_cmp(&a.0));
    let Some(&(best, turn)) = others.first() else { return Ok(stay(faces)) };
    if !faces.is_empty() && best < as_it_is * CLEARLY {
        return Ok(stay(faces));
    }
    let turned = photo.turned(turn).map_err(EngineError::Picture)?;
    let faces = analyzer.analyze(&turned, Wanted::All)?;
    let doubtful = others.get(1).is_some_and(|(second, _)| best < second * CLEARLY);
    let doubt = doubtful.then_some("it cannot be told which way up the face is; turn the photo upright and try again");
    Ok(Upright { doubt: doubt.or_else(|| lies(&faces)), faces, turned: Some(turned) })
}

fn stay(faces: Vec<Analyzed>) -> Upright {
    Upright { doubt: lies(&faces), faces, turned: None }
}

/// Why the largest face cannot be taken as it is found, when its landmarks lie on their side or make no face.
fn lies(faces: &[Analyzed]) -> Option<&'static str> {
    let stands = |face: &Analyzed| pose_of(&face.face.landmarks).is_some_and(|pose| pose.roll.abs() < LYING_DEG);
    let lying = faces.first().is_some_and(|largest| !stands(largest));
    lying.then_some("the face lies on its side or upside down; turn the photo upright and try again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyzer::fake::standing::{Glimpse, Standing};

    /// What becomes of a photo 100 pixels wide and 60 high, by how sure the face stands as the photo is and after one,
    /// two and three quarter turns.
    fn of(sure: [Option<f32>; 4], roll: f32) -> (usize, Option<(u32, u32)>, bool) {
        let glimpses = sure.map(|sure| sure.map(|sure| Glimpse { sure, roll }));
        let upright = upright(&mut Standing::new(glimpses), &Standing::photo()).unwrap();
        let size = upright.turned.map(|picture| (picture.width(), picture.height()));
        (upright.faces.len(), size, upright.doubt.is_some())
    }

    #[test]
    fn a_photo_is_turned_when_its_face_stands_clearly_surer_then() {
        let (upside, sideways) = (Some((100, 60)), Some((60, 100)));
        for (what, sure, want) in [
            ("stands", [Some(0.8), Some(0.5), Some(0.6), Some(0.5)], (1, None, false)),
            ("stands, and nothing else is found", [Some(0.4), None, None, None], (1, None, false)),
            ("hardly surer the other way", [Some(0.7), None, Some(0.75), None], (1, None, false)),
            ("lies on its right", [Some(0.5), None, Some(0.4), Some(0.8)], (1, sideways, false)),
            ("lies on its left", [Some(0.5), Some(0.8), Some(0.4), Some(0.3)], (1, sideways, false)),
            ("hangs", [Some(0.5), Some(0.3), Some(0.8), Some(0.3)], (1, upside, false)),
            ("found when turned alone", [None, Some(0.8), None, None], (1, sideways, false)),
            ("found two ways alike", [None, Some(0.6), None, Some(0.58)], (1, sideways, true)),
            ("nobody", [None; 4], (0, None, false)),
        ] {
            assert_eq!(of(sure, 0.0), want, "{what}");
        }
    }

    #[test]
    fn a_face_whose_landmarks_lie_is_doubted_however_it_is_turned() {
        assert_eq!(of([Some(0.5), None, None, None], 80.0), (1, None, true));
        assert_eq!(of([None, Some(0.5), None, None], -100.0), (1, Some((60, 100)), true));
        assert_eq!(of([Some(0.5), None, None, None], 30.0), (1, None, false));
    }
}
