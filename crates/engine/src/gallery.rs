//! What answers about faces: the analysers of one model, and the vectors of all faces in memory: people enrolled, and
//! unknown faces seen lately.
//!
//! In: what the data folder holds at start, then every new face after it has been committed. Out: who a face is, and
//! [`Current`], which a request holds while it uses both: a vector of one model means nothing among those of another.
//! The database is the truth; the gallery follows it and can be rebuilt from it at any time.

use std::sync::Arc;

use ::faces::embed::FaceModel;
use parking_lot::RwLock;
use tokio::sync::OwnedRwLockReadGuard;
use tracing::warn;
use uuid::Uuid;

use super::analyzer::{Analyzers, FaceAnalyzer};
use super::error::EngineError;
use super::index::{Entry, Index, Nearest};
use super::store::{Store, faces};

pub struct Serving {
    pub analyzers: Arc<Analyzers>,
    /// Follows the database: it is changed after a commit and before the next writer, so within the store's writer.
    pub gallery: RwLock<Gallery>,
}

/// The models and the gallery a request works with; nothing takes their place while it is held.
pub type Current = OwnedRwLockReadGuard<Serving>;

impl Serving {
    /// Reads every vector of the analysers' model from the data folder.
    pub fn load(store: &Store, analyzers: Vec<Box<dyn FaceAnalyzer>>) -> Result<Self, EngineError> {
        let analyzers = Analyzers::new(analyzers)?;
        let gallery = Gallery::load(store, analyzers.model.clone())?;
        Ok(Self { analyzers: Arc::new(analyzers), gallery: RwLock::new(gallery) })
    }
}

/// A face as like somebody else as to be less than so many times likelier the nearest person's is nobody's. Measured on
/// the pictures of `make quality` with a quality of 0.5 and more, thirteen people enrolled: none of MobileFaceNet's 862
/// matches is lost, nor of face-api's ResNet's 653; of those it would have at a distance of 0.54, 4 of 902, and the
/// wrong one.
const CLEARLY: f32 = 5.0;

/// Everybody there is to compare with.
pub struct Gallery {
    model: FaceModel,
    known: Index,
    unknown: Index,
}

/// A match with somebody enrolled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KnownMatch {
    pub face: Uuid,
    pub person: Uuid,
    pub confidence: f32,
}

/// The person enrolled who is nearest to a face that matches nobody.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near {
    pub person: Uuid,
    /// What comparing the two gave, and what a match would have taken, in the model's own numbers: the model's
    /// threshold, or more where somebody else is nearly as alike.
    pub score: f32,
    pub threshold: f32,
}

/// Whose a face is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Whose {
    Known(KnownMatch),
    /// Nobody's; `None` where nobody is enrolled.
    Nobody(Option<Near>),
}

impl Gallery {
    /// Reads every vector of the model from the data folder.
    pub fn load(store: &Store, model: FaceModel) -> Result<Self, EngineError> {
        let known = read(store, &model, true)?;
        let unknown = read(store, &model, false)?;
        Ok(Self { model, known, unknown })
    }

    /// Photos enrolled, and unknown faces.
    pub fn sizes(&self) -> (usize, usize) {
        (self.known.len(), self.unknown.len())
    }

    /// Who of the enrolled people this is, or else who of them is nearest.
    pub fn whose(&self, vector: &[f32]) -> Result<Whose, EngineError> {
        let nearest = self.known.nearest_two(vector).map_err(EngineError::Vector)?;
        let Some((found, other, person)) = nearest.and_then(|(found, other)| Some((found, other, found.entry.person?)))
        else {
            return Ok(Whose::Nobody(None));
        };
        let score = found.value;
        let threshold = other.map_or(self.model.threshold, |other| self.wanted(&found, &other));
        Ok(match self.model.metric.accepts(score, threshold) {
            true => {
                let confidence = self.model.confidence(score);
                Whose::Known(KnownMatch { face: found.entry.face, person, confidence })
            }
            false => Whose::Nobody(Some(Near { person, score, threshold }).filter(|near| near.score.is_finite())),
        })
    }

    /// What a match with the first of two people takes: as alike as the model asks for, and clearly more alike than the
    /// second is. Of two people whose photos match one another, twins or one person enrolled twice, no face will ever
    /// be clearly one's: there the nearer one it is.
    fn wanted(&self, found: &Nearest, other: &Nearest) -> f32 {
        let FaceModel { metric, threshold, .. } = self.model;
        let clearly = metric.likelier(other.value, CLEARLY);
        match metric.accepts(clearly, threshold) && !metric.accepts(self.known.compared(found, other), threshold) {
            true => clearly,
            false => threshold,
        }
    }

    /// Which unknown face seen before this is.
    pub fn unknown(&self, vector: &[f32]) -> Result<Option<Uuid>, EngineError> {
        let nearest = self.unknown.nearest(vector).map_err(EngineError::Vector)?;
        let accepted = nearest.filter(|nearest| self.model.metric.accepts(nearest.value, self.model.threshold));
        Ok(accepted.map(|nearest| nearest.entry.face))
    }

    /// Whether two vectors are one person, and how sure that is.
    pub fn compare(&self, a: &[f32], b: &[f32]) -> (bool, f32) {
        let value = self.model.metric.score(a, b);
        (self.model.metric.accepts(value, self.model.threshold), self.model.confidence(value))
    }

    /// Whether a vector can be compared, and so be added.
    pub fn check(&self, vector: &[f32]) -> Result<(), EngineError> {
        self.known.check(vector).map_err(EngineError::Vector)
    }

    /// Adds a face that has been committed: with a person, or unknown without.
    pub fn insert(&mut self, face: Uuid, person: Option<Uuid>, vector: &[f32]) -> Result<(), EngineError> {
        let index = if person.is_some() { &mut self.known } else { &mut self.unknown };
        index.insert(Entry { face, person }, vector).map_err(EngineError::Vector)
    }

    /// Reads all faces anew, after some have been erased.
    pub fn reload(&mut self, store: &Store) -> Result<(), EngineError> {
        (self.known, self.unknown) = (read(store, &self.model, true)?, read(store, &self.model, false)?);
        Ok(())
    }
}

impl Whose {
    /// The match, if there is one.
    pub fn known(self) -> Option<KnownMatch> {
        match self {
            Self::Known(known) => Some(known),
            Self::Nobody(_) => None,
        }
    }
}

/// An index of what the data folder holds.
fn read(store: &Store, model: &FaceModel, known: bool) -> Result<Index, EngineError> {
    let mut index = Index::new(model.metric, model.dimensions);
    let mut unusable = 0;
    store.read("read the vectors of all faces", |connection| {
        faces::each_embedding(connection, &model.name, known, |face, person, vector| {
            unusable += usize::from(index.insert(Entry { face, person }, vector).is_err());
        })
    })?;
    if unusable > 0 {
        warn!(unusable, "vectors in the data folder that do not fit their model are ignored");
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use ::faces::embed::Metric;

    use super::*;

    /// A gallery of people whose photos lie at these angles, in degrees, on the unit circle.
    fn gallery(metric: Metric, people: &[&[f32]]) -> Gallery {
        let threshold = if metric == Metric::L2 { 0.48 } else { 0.43 };
        let model = FaceModel { name: "any".into(), dimensions: 2, metric, threshold };
        let index = || Index::new(metric, 2);
        let mut gallery = Gallery { model, known: index(), unknown: index() };
        for (person, photos) in people.iter().enumerate() {
            for (photo, angle) in photos.iter().enumerate() {
                let face = Uuid::from_u128((100 * person + photo) as u128);
                gallery.insert(face, Some(Uuid::from_u128(person as u128)), &at(*angle)).unwrap();
            }
        }
        gallery
    }

    fn at(angle: f32) -> [f32; 2] {
        let (sin, cos) = angle.to_radians().sin_cos();
        [cos, sin]
    }

    fn known(whose: Whose) -> Option<u128> {
        whose.known().map(|known| known.person.as_u128())
    }

    #[test]
    fn a_face_as_like_somebody_else_is_nobodys() {
        // (metric, where two people are who do not match, as like both, clearly the first's)
        for (metric, apart, between, clear) in [(Metric::Cosine, 80.0, 38.0, 30.0), (Metric::L2, 40.0, 19.0, 16.0)] {
            let gallery = gallery(metric, &[&[0.0], &[apart], &[apart + 90.0]]);
            let Whose::Nobody(Some(near)) = gallery.whose(&at(between)).unwrap() else {
                panic!("{metric:?}: a face between two people is taken for one");
            };
            assert_eq!(near.person, Uuid::from_u128(0));
            assert!(metric.accepts(near.score, gallery.model.threshold), "it is as alike as the model asks for");
            assert!(!metric.accepts(near.score, near.threshold), "{near:?}: and yet not enough");
            assert_eq!(known(gallery.whose(&at(clear)).unwrap()), Some(0), "{metric:?}");
        }
    }

    #[test]
    fn of_two_people_whose_photos_match_the_nearer_one_it_is() {
        for (metric, twins) in [(Metric::Cosine, 40.0), (Metric::L2, 20.0)] {
            let gallery = gallery(metric, &[&[0.0], &[twins]]);
            assert_eq!(known(gallery.whose(&at(0.45 * twins)).unwrap()), Some(0), "{metric:?}");
            assert_eq!(known(gallery.whose(&at(0.55 * twins)).unwrap()), Some(1), "{metric:?}");
        }
    }

    #[test]
    fn more_photos_of_one_person_make_nobody_less_sure() {
        let gallery = gallery(Metric::Cosine, &[&[0.0, 60.0], &[180.0]]);
        assert_eq!(known(gallery.whose(&at(30.0)).unwrap()), Some(0));
    }
}
