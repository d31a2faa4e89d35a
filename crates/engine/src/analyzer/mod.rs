//! From a picture to its faces, each with its vector and quality, a few pictures at a time.
//!
//! In: pictures. Out: [`Analyzed`] faces. The trait hides the models, so that the rest of the engine can be tested
//! without them; [`Analyzers`] shares a few analysers (an ONNX session serves one caller at a time) among all requests.

#[cfg(test)]
pub mod fake;
mod models;

use std::sync::Arc;

use parking_lot::Mutex;

pub use models::{Upright, loader, upright};

use super::admission::Admission;
use super::decoding::Decoded;
use super::error::{EngineError, Refusal};
use faces::detect::Face;
use faces::embed::{Embedding, FaceModel};
use faces::picture::Picture;
use faces::quality::Quality;

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
    fn analyze(&mut self, picture: &Picture, wanted: Wanted) -> Result<Vec<Analyzed>, EngineError>;

    /// How surely a face of the picture stands upright, as far as the models can tell.
    fn stands(&mut self, picture: &Picture, face: &Analyzed) -> Result<Stands, EngineError>;

    /// The vector of a picture that a face fills, aligned or nearly so; `None` when there is no face.
    fn embed_crop(&mut self, crop: &Picture) -> Result<Option<Embedding>, EngineError>;
}

/// Loads so many analysers of the model with this name; they all have a name of the manifest, also for `auto`.
pub type Loader = Arc<dyn Fn(&str, usize) -> Result<Vec<Box<dyn FaceAnalyzer>>, EngineError> + Send + Sync>;

/// A few analysers of one model, each used by one request at a time.
pub struct Analyzers {
    pub model: FaceModel,
    /// Each is locked by the one request that works with it, which takes no other lock meanwhile.
    all: Vec<Mutex<Box<dyn FaceAnalyzer>>>,
    /// As many places as there are analysers; uploads of one account leave one to others.
    free: Admission,
}

impl Analyzers {
    /// A pool of these, all of the same model, of which there must be one.
    pub fn new(analyzers: Vec<Box<dyn FaceAnalyzer>>) -> Result<Self, EngineError> {
        let model = analyzers.first().ok_or(EngineError::NoAnalyzer)?.model().clone();
        let all: Vec<_> = analyzers.into_iter().map(Mutex::new).collect();
        let count = all.len() as u32;
        Ok(Self { model, free: Admission::new(count, count.saturating_sub(1)), all })
    }

    /// Waits for an analyser to be free and does the work on pictures with it, on a thread that may block. Work once
    /// begun is finished even if nobody waits for it any more.
    pub async fn run<const N: usize, T: Send + 'static>(
        self: &Arc<Self>,
        decoded: Decoded<N>,
        work: impl FnOnce(&mut dyn FaceAnalyzer, &[Picture; N]) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let place = self.free.enter(&decoded.asker, 1).await?;
        let pool = self.clone();
        let worked = tokio::task::spawn_blocking(move || {
            let _place = place;
            // While others come and go, the free one may be missed: then the first is waited for.
            let free = pool.all.iter().find_map(Mutex::try_lock).or_else(|| pool.all.first().map(Mutex::lock));
            free.map(|mut analyzer| work(analyzer.as_mut(), &decoded.pictures))
        });
        worked.await.ok().flatten().ok_or(EngineError::Interrupted)?
    }
}
