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
use super::store::{Store, denials, faces};

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

/// Strangers up to so many times less likely one person than the model asks for are shown together: whoever looks at
/// them sees each face and says who it is, so that one too many costs a glance, and one too few a second card. Whom the
/// engine itself takes for the same stranger it recognises by the model's threshold alone.
const PERHAPS: f32 = 3.0;

/// Everybody there is to compare with.
pub struct Gallery {
    model: FaceModel,
    known: Index,
    unknown: Index,
    denied: Vec<Denied>,
}

/// A face that somebody said is not this person's.
struct Denied {
    person: Uuid,
    vector: Vec<f32>,
}

/// Which of the strangers seen before a face is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// This one.
    Same(Uuid),
    /// Perhaps the person whose face this is: alike, but less than the model asks for.
    Perhaps(Uuid),
    New,
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
        let denied = read_denied(store, &model)?;
        Ok(Self { model, known, unknown, denied })
    }

    /// Photos enrolled, and unknown faces.
    pub fn sizes(&self) -> (usize, usize) {
        (self.known.len(), self.unknown.len())
    }

    /// Who of the enrolled people this is, or else who of them is nearest. Nobody it is who was said not to be: whose
    /// own photos are no nearer than a face that is not theirs.
    pub fn whose(&self, vector: &[f32]) -> Result<Whose, EngineError> {
        let nearest = self.nearest_two(vector)?;
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

    /// The two nearest people, but for those that a denial speaks against.
    fn nearest_two(&self, vector: &[f32]) -> Result<Option<(Nearest, Option<Nearest>)>, EngineError> {
        let mut against: Vec<Uuid> = Vec::new();
        loop {
            let counts = |entry: &Entry| !entry.person.is_some_and(|person| against.contains(&person));
            let nearest = self.known.nearest_two(vector, counts).map_err(EngineError::Vector)?;
            let found = nearest.iter().flat_map(|(found, other)| [Some(found), other.as_ref()]).flatten();
            let denied: Vec<Uuid> = found.filter_map(|found| self.denied_to(vector, found)).collect();
            if denied.is_empty() {
                return Ok(nearest);
            }
            against.extend(denied);
        }
    }

    /// The person found, if a face that was said not to be theirs is as near as the nearest of their photos.
    fn denied_to(&self, vector: &[f32], found: &Nearest) -> Option<Uuid> {
        let person = found.entry.person?;
        let metric = self.model.metric;
        let mut denied = self.denied.iter().filter(|denied| denied.person == person);
        denied.any(|denied| metric.accepts(metric.score(vector, &denied.vector), found.value)).then_some(person)
    }

    /// Who, beside this person, a photo would be taken for.
    pub fn confused_with(&self, vector: &[f32], person: Option<Uuid>) -> Result<Option<KnownMatch>, EngineError> {
        let others = |entry: &Entry| person.is_none() || entry.person != person;
        let nearest = self.known.nearest_of(vector, others).map_err(EngineError::Vector)?;
        Ok(nearest.filter(|nearest| self.model.metric.accepts(nearest.value, self.model.threshold)).and_then(
            |nearest| {
                let confidence = self.model.confidence(nearest.value);
                Some(KnownMatch { face: nearest.entry.face, person: nearest.entry.person?, confidence })
            },
        ))
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
        Ok(match self.stranger(vector)? {
            Stranger::Same(face) => Some(face),
            Stranger::Perhaps(_) | Stranger::New => None,
        })
    }

    /// Which of the strangers seen before this is, or may be.
    pub fn stranger(&self, vector: &[f32]) -> Result<Stranger, EngineError> {
        let FaceModel { metric, threshold, .. } = self.model;
        let nearest = self.unknown.nearest(vector).map_err(EngineError::Vector)?;
        Ok(match nearest {
            Some(nearest) if metric.accepts(nearest.value, threshold) => Stranger::Same(nearest.entry.face),
            Some(nearest) if metric.accepts(metric.likelier(nearest.value, PERHAPS), threshold) => {
                Stranger::Perhaps(nearest.entry.face)
            }
            _ => Stranger::New,
        })
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
        self.denied = read_denied(store, &self.model)?;
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

/// Which faces were said not to be whose.
fn read_denied(store: &Store, model: &FaceModel) -> Result<Vec<Denied>, EngineError> {
    let mut all = Vec::new();
    store.read("read which faces were said not to be whose", |connection| {
        denials::each(connection, &model.name, |person, vector| all.push(Denied { person, vector: vector.to_vec() }))
    })?;
    Ok(all)
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
        let mut gallery = Gallery { model, known: index(), unknown: index(), denied: Vec::new() };
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

    #[test]
    fn a_face_that_was_denied_is_refused_and_the_persons_own_is_not() {
        for (metric, wrong) in [(Metric::Cosine, 30.0), (Metric::L2, 15.0)] {
            let mut gallery = gallery(metric, &[&[0.0, -5.0], &[180.0]]);
            assert_eq!(known(gallery.whose(&at(wrong)).unwrap()), Some(0), "{metric:?}: a wrong match");
            gallery.denied.push(Denied { person: Uuid::from_u128(0), vector: at(wrong).to_vec() });
            for (angle, whose) in
                [(wrong, None), (0.9 * wrong, None), (0.4 * wrong, Some(0)), (0.0, Some(0)), (-8.0, Some(0))]
            {
                assert_eq!(known(gallery.whose(&at(angle)).unwrap()), whose, "{metric:?} {angle}");
            }
        }
    }

    #[test]
    fn who_was_denied_stands_in_nobodys_way() {
        // The face lies between two people: neither it is until the nearer one is ruled out.
        let mut gallery = gallery(Metric::Cosine, &[&[0.0], &[80.0]]);
        assert_eq!(known(gallery.whose(&at(39.0)).unwrap()), None);
        gallery.denied.push(Denied { person: Uuid::from_u128(0), vector: at(38.0).to_vec() });
        assert_eq!(known(gallery.whose(&at(39.0)).unwrap()), Some(1));
    }

    #[test]
    fn strangers_who_are_perhaps_one_are_told_apart_from_new_ones() {
        let mut gallery = gallery(Metric::Cosine, &[]);
        let first = Uuid::from_u128(1);
        gallery.insert(first, None, &at(0.0)).unwrap();
        for (angle, stranger) in
            [(60.0, Stranger::Same(first)), (67.0, Stranger::Perhaps(first)), (75.0, Stranger::New)]
        {
            assert_eq!(gallery.stranger(&at(angle)).unwrap(), stranger, "{angle}");
        }
    }

    #[test]
    fn a_photo_that_another_person_would_be_taken_for_is_told() {
        let gallery = gallery(Metric::Cosine, &[&[0.0], &[100.0]]);
        let confused = |angle, person: Option<u128>| {
            let other = gallery.confused_with(&at(angle), person.map(Uuid::from_u128)).unwrap();
            other.map(|other| other.person.as_u128())
        };
        assert_eq!((confused(10.0, Some(0)), confused(10.0, Some(1)), confused(10.0, None)), (None, Some(0), Some(0)));
        assert_eq!((confused(50.0, Some(0)), confused(200.0, None)), (Some(1), None));
    }
}
