//! From a picture to its faces, each with its vector and quality, a few pictures at a time.
//!
//! In: pictures. Out: [`Analyzed`] faces. The trait hides the models, so that the rest of the engine can be tested
//! without them; [`Analyzers`] shares a few analysers (an ONNX session serves one caller at a time) among all requests.

#[cfg(test)]
pub mod fake;
mod models;
mod upright;

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use models::loader;
pub use upright::{Upright, upright};

use super::error::{AnalyzeError, EngineError};
use faces::detect::Face;
use faces::embed::{Embedding, Metric};
use faces::picture::Picture;
use faces::quality::Quality;

/// The embedding model everything is compared by.
#[derive(Debug, Clone, PartialEq)]
pub struct FaceModel {
    /// Its name in the manifest.
    pub name: String,
    pub dimensions: usize,
    pub metric: Metric,
    /// The score from which on two vectors are one person, in the metric's own terms.
    pub threshold: f32,
}

/// A face, its vector and how good a picture of it this is.
#[derive(Debug, Clone)]
pub struct Analyzed {
    pub face: Face,
    pub embedding: Embedding,
    pub quality: Quality,
}

/// Which faces of a picture are wanted: a vector costs as much as the search for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Largest,
    All,
}

/// How surely a face stands upright.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stands {
    /// 0 to 1; to be held against the same face turned, and against nothing else.
    pub sure: f32,
    /// No lying face is as sure as this: there is no need to turn the picture and look again.
    pub unmistakable: bool,
}

/// Finds faces and turns them into vectors.
pub trait FaceAnalyzer: Send {
    fn model(&self) -> &FaceModel;

    /// The faces of a picture, largest first; empty when there is none.
    fn analyze(&mut self, picture: &Picture, wanted: Wanted) -> Result<Vec<Analyzed>, AnalyzeError>;

    /// How surely a face of the picture stands upright, as far as the models can tell.
    fn stands(&mut self, picture: &Picture, face: &Analyzed) -> Result<Stands, AnalyzeError>;

    /// The vector of a picture that a face fills, aligned or nearly so; `None` when there is no face.
    fn embed_crop(&mut self, crop: &Picture) -> Result<Option<Embedding>, AnalyzeError>;
}

/// Loads so many analysers of the model with this name; they all have a name of the manifest, also for `auto`.
pub type Loader = Arc<dyn Fn(&str, usize) -> Result<Vec<Box<dyn FaceAnalyzer>>, EngineError> + Send + Sync>;

/// A few analysers, lent to one request at a time each.
pub struct Analyzers {
    model: FaceModel,
    /// The analysers that are not lent. Nothing waits under this lock, and no other is held with it.
    idle: Mutex<Vec<Box<dyn FaceAnalyzer>>>,
    /// As many permits as there are analysers; requests wait in the order they came.
    free: Arc<Semaphore>,
}

/// An analyser on loan from the pool; it goes back when this is dropped, even by a panic.
struct Lent {
    analyzer: Option<Box<dyn FaceAnalyzer>>,
    pool: Arc<Analyzers>,
    /// Given back after the analyser: fields are dropped after [`Drop::drop`].
    _permit: OwnedSemaphorePermit,
}

impl Analyzers {
    /// A pool of at least one, all of the same model.
    pub fn new(first: Box<dyn FaceAnalyzer>, others: Vec<Box<dyn FaceAnalyzer>>) -> Self {
        let model = first.model().clone();
        let idle: Vec<_> = others.into_iter().chain([first]).collect();
        Self { model, free: Arc::new(Semaphore::new(idle.len())), idle: Mutex::new(idle) }
    }

    pub fn model(&self) -> &FaceModel {
        &self.model
    }

    /// Waits for an analyser to be free and does the work with it on a thread that may block. Work once begun is
    /// finished even if nobody waits for it any more.
    pub async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut dyn FaceAnalyzer) -> T + Send + 'static,
    ) -> Result<T, EngineError> {
        let permit = self.free.clone().acquire_owned().await.map_err(|_| EngineError::Interrupted)?;
        let analyzer = self.idle.lock().pop();
        let mut lent = Lent { analyzer, pool: self.clone(), _permit: permit };
        let worked = tokio::task::spawn_blocking(move || {
            let analyzer = lent.analyzer.as_deref_mut()?;
            Some(work(analyzer))
        });
        worked.await.ok().flatten().ok_or(EngineError::Interrupted)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(analyzer) = self.analyzer.take() {
            self.pool.idle.lock().push(analyzer);
        }
    }
}
