//! What answers about faces: the analysers of one model, and the gallery of its vectors.
//!
//! In: both, at a start or when another model takes over. Out: [`Current`], which a request holds while it uses them.
//! They belong together: a vector of one model means nothing in the gallery of another.

use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::OwnedRwLockReadGuard;

use super::analyzer::{Analyzers, FaceAnalyzer};
use super::error::EngineError;
use super::gallery::Gallery;
use super::store::Store;

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
        let mut analyzers = analyzers.into_iter();
        let first = analyzers.next().ok_or(EngineError::NoAnalyzer)?;
        let gallery = Gallery::load(store, first.model().clone())?;
        Ok(Self { analyzers: Arc::new(Analyzers::new(first, analyzers.collect())), gallery: RwLock::new(gallery) })
    }
}
