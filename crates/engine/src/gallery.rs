//! What answers about faces: the analysers of one model, and the vectors of all faces in memory: people enrolled, and
//! unknown faces seen lately.
//!
//! In: what the data folder holds at start, then every new face after it has been committed. Out: who a face is, and
//! [`Current`], which a request holds while it uses both: a vector of one model means nothing among those of another.
//! The database is the truth; the gallery follows it and can be rebuilt from it at any time.

use std::sync::Arc;

use ::faces::embed::FaceModel;
use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::RwLock;
use rusqlite::Transaction;
use tokio::sync::OwnedRwLockReadGuard;
use tracing::warn;
use uuid::Uuid;

use super::analyzer::{Analyzers, FaceAnalyzer};
use super::error::EngineError;
use super::index::{Entry, Index};
use super::store::{Stop, Store, faces};

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

/// An unknown face is recognised again until it has not been seen for this long, and as long as it is among this many
/// last seen: vectors of strangers are personal data nobody asked to keep.
const UNKNOWN_KEPT: TimeDelta = TimeDelta::days(30);
const UNKNOWN_MOST: usize = 10_000;

/// How often the unknown faces are gone through, at the most; reaching [`UNKNOWN_MOST`] makes room for a tenth.
const CLEANING_INTERVAL: TimeDelta = TimeDelta::hours(1);

/// Everybody there is to compare with.
pub struct Gallery {
    model: FaceModel,
    known: Index,
    unknown: Index,
    cleaned: DateTime<Utc>,
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
    /// What comparing the two gave, and what a match takes, in the model's own numbers.
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
        Ok(Self { model, known, unknown, cleaned: DateTime::UNIX_EPOCH })
    }

    /// Photos enrolled, and unknown faces.
    pub fn sizes(&self) -> (usize, usize) {
        (self.known.len(), self.unknown.len())
    }

    /// Who of the enrolled people this is, or else who of them is nearest.
    pub fn whose(&self, vector: &[f32]) -> Result<Whose, EngineError> {
        let nearest = self.known.nearest(vector).map_err(EngineError::Vector)?;
        let Some((found, person)) = nearest.and_then(|found| Some((found, found.entry.person?))) else {
            return Ok(Whose::Nobody(None));
        };
        let (score, threshold) = (found.value, self.model.threshold);
        Ok(match self.model.metric.accepts(score, threshold) {
            true => {
                let confidence = self.model.confidence(score);
                Whose::Known(KnownMatch { face: found.entry.face, person, confidence })
            }
            false => Whose::Nobody(Some(Near { person, score, threshold }).filter(|near| near.score.is_finite())),
        })
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

    /// Whether [`clean`] is due, of which this takes note.
    pub fn cleaning_due(&mut self, now: DateTime<Utc>) -> bool {
        let due = self.unknown.len() >= UNKNOWN_MOST || now - self.cleaned >= CLEANING_INTERVAL;
        if due {
            self.cleaned = now;
        }
        due
    }

    /// Makes the next stranger clean up, as an hour would.
    #[cfg(test)]
    pub fn clean_soon(&mut self) {
        self.cleaned = DateTime::UNIX_EPOCH;
    }

    /// Reads the enrolled faces (`known`) or the unknown ones anew, after some have been erased or forgotten.
    pub fn reload(&mut self, store: &Store, known: bool) -> Result<(), EngineError> {
        let index = if known { &mut self.known } else { &mut self.unknown };
        *index = read(store, &self.model, known)?;
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

/// Forgets unknown faces that are too old or too many; true when any were.
pub fn clean(transaction: &Transaction, now: DateTime<Utc>) -> Result<bool, Stop> {
    let keep = UNKNOWN_MOST - UNKNOWN_MOST / 10;
    Ok(faces::forget_unknown(transaction, now - UNKNOWN_KEPT, keep)? > 0)
}
