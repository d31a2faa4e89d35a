//! Another embedding model: what answers at a start, and what is left to do until the wanted model does.
//!
//! In: the data folder and the wanted model. Out: the models that answer, a [`Preparation`] that
//! [`takeover`](crate::takeover) works through, and its progress for whoever asks.
//!
//! ```text
//! start --▶ nothing to prepare -------------------------------------------▶ wanted model answers
//!    │                                                                          ▲
//!    ├--▶ model before answers --▶ photo by photo --▶ requests under way done --┘
//!    └--▶ model before is gone: wanted model answers by what there is, growing photo by photo
//! ```

use parking_lot::Mutex;
use tracing::{info, warn};

use super::analyzer::{FaceAnalyzer, Loader};
use super::error::EngineError;
use super::gallery::Serving;
use super::store::faces::{self, Progress};
use super::store::{Store, meta};

/// Which model answers, and how far the next one is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelState {
    /// The embedding model that answers.
    pub answering: String,
    pub preparing: Option<Progress>,
    /// Enrolled photos in which the model that answers finds no face: nobody is recognised by them.
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
    let before = store.read("read which model answered last", meta::model)?;
    let prepared = progress(store, &model)?;
    let missing = prepared.done < prepared.photos;
    let before = before.filter(|before| *before != model && missing);
    let old = before.and_then(|before| {
        let meanwhile = "people are recognised again as their photos are analysed by the new one";
        let told = |error: &EngineError| {
            warn!(before, model, "the model that answered before cannot be used ({error}); {meanwhile}");
        };
        load(&before, count).inspect_err(told).ok()
    });
    let takes_over = old.is_some();
    let (serving, pending) = match old {
        Some(old) => (Serving::load(store, old)?, analyzers.pop()),
        None => {
            analyzers.extend(load(&model, count.saturating_sub(1))?);
            let spare = if missing { load(&model, 1)?.pop() } else { None };
            store.write("note the model that answers", |transaction| {
                meta::write(transaction, meta::MODEL, model.as_bytes())
            })?;
            (Serving::load(store, analyzers)?, spare)
        }
    };
    let answering = serving.analyzers.model.name.clone();
    let faceless = progress(store, &answering)?.faceless;
    let preparing = pending.is_some().then_some(prepared);
    if let Some(Progress { photos, done, .. }) = preparing {
        info!(photos, done, model, answering, "enrolled photos have to be analysed by this model");
    }
    let state = ModelState { answering, preparing, faceless };
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
    Ok(store.read("count the enrolled photos", |connection| faces::progress(connection, model))?)
}
