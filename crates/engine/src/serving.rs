//! What answers about faces: the analysers of one model, and the gallery of its vectors.
//!
//! In: both, at a start or when another model takes over. Out: [`Current`], which a request holds while it uses them.
//! They belong together: a vector of one model means nothing in the gallery of another.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::OwnedRwLockReadGuard;

use super::EngineError;
use super::analyzer::{Analyzers, FaceAnalyzer};
use super::gallery::Gallery;
use super::store::Store;

pub struct Serving {
    pub analyzers: Arc<Analyzers>,
    gallery: RwLock<Gallery>,
}

/// The models and the gallery a request works with; nothing takes their place while it is held.
pub type Current = OwnedRwLockReadGuard<Serving>;

impl Serving {
    /// Reads every vector of the analysers' model from the data folder.
    pub fn load(store: &Store, analyzers: Vec<Box<dyn FaceAnalyzer>>) -> Result<Self, EngineError> {
        let mut analyzers = analyzers.into_iter();
        let first = analyzers.next().ok_or(EngineError::NoAnalyzer)?;
        let gallery = Gallery::load(store, first.model().clone())?;
        Ok(Self { analyzers: Arc::new(Analyzers::new(first, analyzers.collect())), gallery: RwLock::new(gallery) })
    }

    /// A lock whose holder panicked is still good: what is kept in memory follows the database.
    pub fn gallery(&self) -> RwLockReadGuard<'_, Gallery> {
        self.gallery.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn gallery_mut(&self) -> RwLockWriteGuard<'_, Gallery> {
        self.gallery.write().unwrap_or_else(PoisonError::into_inner)
    }
}
