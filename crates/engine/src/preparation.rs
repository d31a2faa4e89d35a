//! Another embedding model: what answers at a start, and what is left to do until the wanted model does.
//!
//! In: the data folder and the wanted model. Out: the models that answer, a [`Preparation`] that
//! [`takeover`](crate::takeover) works through, and its progress for whoever asks.
//!
//! ```text
//! start ──▶ nothing to prepare ───────────────────────────────────────────▶ wanted model answers
//!    │                                                                          ▲
//!    ├──▶ model before answers ──▶ photo by photo ──▶ requests under way done ──┘
//!    └──▶ model before is gone: wanted model answers by what there is, growing photo by photo
//! ```

use parking_lot::Mutex;
use serde::Serialize;
use tracing::{info, warn};

use super::analyzer::{FaceAnalyzer, Loader};
use super::error::EngineError;
use super::gallery::Serving;
use super::store::{Store, faces, meta};

/// Which model answers, and how far the next one is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelState {
    /// The embedding model that answers.
    pub answering: String,
    pub preparing: Option<Progress>,
    /// Enrolled photos in which the model that answers finds no face: nobody is recognised by them.
    pub faceless: usize,
}

/// How far a model is prepared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    pub model: String,
    /// Enrolled photos.
    pub photos: usize,
    /// The photos the model has seen.
    pub done: usize,
    /// The photos among those in which the model found no face.
    #[serde(rename = "without_face")]
    pub faceless: usize,
}

/// What is left to do, and how far it is.
pub struct Preparation {
    /// How far it is. Nothing waits under this lock, and no other is held with it.
    state: Mutex<ModelState>,
    /// The work itself, taken by whoever does it; the same holds for this lock.
    pending: Mutex<Option<Pending>>,
}

/// A model that has to see enrolled photos.
pub struct Pending {
    /// An analyser of the wanted model; the ones that answer stay free for requests.
    pub analyzer: Box<dyn FaceAnalyzer>,
    /// Whether another model answers until this one is ready.
    pub takes_over: bool,
    pub load: Loader,
}

/// What there is to answer by at a start, and what is to be prepared.
pub fn begin(store: &Store, load: Loader, wanted: &str, count: usize) -> Result<(Serving, Preparation), EngineError> {
    let mut analyzers = load(wanted, 1)?;
    let model = analyzers.first().ok_or(EngineError::NoAnalyzer)?.model().name.clone();
    let (before, missing) = store.read("look for enrolled photos without a vector", |connection| {
        Ok((meta::model(connection)?, faces::without_embedding(connection, &model)?.len()))
    })?;
    let before = before.filter(|before| *before != model && missing > 0);
    let old = before.and_then(|before| {
        let loaded = load(&before, count);
        loaded
            .inspect_err(|error| {
                warn!(
                    before,
                    model,
                    "the model that answered before cannot be used ({error}); people are recognised \
                    again as their photos are analysed by the new one"
                );
            })
            .ok()
    });
    let takes_over = old.is_some();
    let (serving, pending) = match old {
        Some(old) => (Serving::load(store, old)?, analyzers.pop()),
        None => {
            analyzers.extend(load(&model, count.saturating_sub(1))?);
            let spare = if missing > 0 { load(&model, 1)?.pop() } else { None };
            store.write("note the model that answers", |transaction| {
                meta::write(transaction, meta::MODEL, model.as_bytes())
            })?;
            (Serving::load(store, analyzers)?, spare)
        }
    };
    let answering = serving.analyzers.model().name.clone();
    let mut state = ModelState { faceless: count_faceless(store, &answering)?, answering, preparing: None };
    if pending.is_some() {
        let progress = progress(store, &model)?;
        info!(
            photos = progress.photos,
            done = progress.done,
            model,
            answering = state.answering,
            "enrolled photos have to be analysed by this model"
        );
        state.preparing = Some(progress);
    }
    let pending = pending.map(|analyzer| Pending { analyzer, takes_over, load });
    Ok((serving, Preparation { state: Mutex::new(state), pending: Mutex::new(pending) }))
}

impl Preparation {
    pub fn state(&self) -> ModelState {
        self.state.lock().clone()
    }

    /// The work to be done, for the one who does it; `None` when there is none or somebody has it.
    pub fn take(&self) -> Option<Pending> {
        self.pending.lock().take()
    }

    /// Notes which model answers now that there is nothing left to prepare.
    pub fn finish(&self, answering: String, faceless: usize) {
        *self.state.lock() = ModelState { answering, preparing: None, faceless };
    }

    /// Notes how far it is.
    pub fn note(&self, progress: Progress) {
        metrics::gauge!("doorward_engine_preparing_photos").set(progress.photos as f64);
        metrics::gauge!("doorward_engine_preparing_done_photos").set(progress.done as f64);
        metrics::gauge!("doorward_engine_preparing_faceless_photos").set(progress.faceless as f64);
        self.state.lock().preparing = Some(progress);
    }
}

/// How far the model is, as the data folder has it.
pub fn progress(store: &Store, model: &str) -> Result<Progress, EngineError> {
    Ok(store.read("count the enrolled photos", |connection| {
        let photos = faces::count_enrolled(connection)?;
        let left = faces::without_embedding(connection, model)?.len();
        let faceless = faces::count_faceless(connection, model)?;
        Ok(Progress { model: model.to_owned(), photos, done: photos - left.min(photos), faceless })
    })?)
}

/// How many enrolled photos the model finds no face in.
pub fn count_faceless(store: &Store, model: &str) -> Result<usize, EngineError> {
    Ok(store.read("count the enrolled photos", |connection| faces::count_faceless(connection, model))?)
}
