//! Another embedding model: what answers at a start, and how the wanted model takes over.
//!
//! In: the data folder and the wanted model. Out: the models that answer, the vectors of every enrolled photo by the
//! wanted one, one transaction each, so that a kill costs one photo; its progress for whoever asks; and the moment it
//! answers. Until then the model before answers.
//!
//! ```text
//! start ──▶ nothing to prepare ───────────────────────────────────────────▶ wanted model answers
//!    │                                                                          ▲
//!    ├──▶ model before answers ──▶ photo by photo ──▶ requests under way done ──┘
//!    └──▶ model before is gone: wanted model answers by what there is, growing photo by photo
//! ```

use std::time::{Duration, Instant};

use ::faces::picture::{MAX_PIXELS, Picture};
use parking_lot::Mutex;
use rusqlite::Connection;
use serde::Serialize;
use telemetry::Repeated;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;

use super::analyzer::{FaceAnalyzer, Loader, Wanted};
use super::engine::{Engine, Inner};
use super::error::{EngineError, with_causes};
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
fn progress(store: &Store, model: &str) -> Result<Progress, EngineError> {
    Ok(store.read("count the enrolled photos", |connection| {
        let photos = faces::count_enrolled(connection)?;
        let left = faces::without_embedding(connection, model)?.len();
        let faceless = faces::count_faceless(connection, model)?;
        Ok(Progress { model: model.to_owned(), photos, done: photos - left.min(photos), faceless })
    })?)
}

/// How many enrolled photos the model finds no face in.
fn count_faceless(store: &Store, model: &str) -> Result<usize, EngineError> {
    Ok(store.read("count the enrolled photos", |connection| faces::count_faceless(connection, model))?)
}

/// How long is waited after a failure (a full disk, say) before the preparation goes on.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// How often progress is logged.
const TELL: Duration = Duration::from_secs(60);

/// Photos named in the log when the new model finds no face in them; all of them are counted.
const NAMED: usize = 20;

/// Prepares what there is to prepare, however often it fails, until it is done or told to stop.
pub async fn run(engine: Engine, stopping: CancellationToken) {
    let Some(mut pending) = engine.inner.preparation.take() else { return };
    let failures = Repeated::new(Duration::from_secs(3600));
    loop {
        let (inner, told) = (engine.inner.clone(), stopping.clone());
        let worked = tokio::task::spawn_blocking(move || {
            let result = run_once(&inner, &mut pending, &told);
            (pending, result)
        });
        match worked.await {
            Ok((_, Ok(()))) => return,
            Ok((back, Err(error))) => {
                pending = back;
                if let Some(line) = failures.note(Instant::now(), with_causes(&error)) {
                    error!("cannot prepare the embedding model, trying again: {line}");
                }
            }
            // The panic hook has told; the next start goes on where this one ended.
            Err(_) => return,
        }
        if stopping.run_until_cancelled(tokio::time::sleep(AFTER_FAILURE)).await.is_none() {
            return;
        }
    }
}

/// Analyses every photo that is left, then lets the model take over; returns early when told to stop. Blocks.
fn run_once(inner: &Inner, pending: &mut Pending, stopping: &CancellationToken) -> Result<(), EngineError> {
    let mut told = Instant::now();
    let mut named = Vec::new();
    let mut each = |inner: &Inner, pending: &mut Pending, face: Uuid| -> Result<(), EngineError> {
        let found = prepare(inner, pending, face)?;
        if !found && named.len() < NAMED {
            named.push(face.to_string());
        }
        let Some(progress) = inner.preparation.state().preparing else { return Ok(()) };
        let progress = Progress {
            done: (progress.done + 1).min(progress.photos),
            faceless: progress.faceless + usize::from(!found),
            ..progress
        };
        if told.elapsed() >= TELL {
            told = Instant::now();
            info!("analysed {} of {} enrolled photos by {}", progress.done, progress.photos, progress.model);
        }
        inner.preparation.note(progress);
        Ok(())
    };
    let model = pending.analyzer.model().name.clone();
    // Photos enrolled meanwhile come last, so this ends.
    loop {
        let left = left(&inner.store, &model)?;
        if left.is_empty() {
            break;
        }
        for face in left {
            if stopping.is_cancelled() {
                return Ok(());
            }
            each(inner, pending, face)?;
        }
        inner.preparation.note(progress(&inner.store, &model)?);
    }
    if pending.takes_over {
        let analyzers = (pending.load)(&model, inner.analyzer_count)?;
        // Requests under way are answered by the model before; those that come now wait for this one.
        let mut serving = inner.serving.blocking_write();
        for face in left(&inner.store, &model)? {
            each(inner, pending, face)?;
        }
        let next = Serving::load(&inner.store, analyzers)?;
        inner.store.write("note the model that answers", |transaction| {
            meta::write(transaction, meta::MODEL, model.as_bytes())
        })?;
        *serving = next;
    }
    let faceless = count_faceless(&inner.store, &model)?;
    let done = progress(&inner.store, &model)?;
    inner.preparation.finish(model.clone(), faceless);
    info!(
        photos = done.photos,
        faceless, "all enrolled photos have been analysed by {model}, which answers from now on"
    );
    if faceless > 0 {
        warn!(
            faceless,
            "in some enrolled photos {model} finds no face; nobody is recognised by them, enrol better ones \
             (faces: {})",
            named.join(", ")
        );
    }
    Ok(())
}

/// Analyses one photo; whether there is a face in it for this model.
fn prepare(inner: &Inner, pending: &mut Pending, face: Uuid) -> Result<bool, EngineError> {
    let id = face.to_string();
    let photo = inner.store.read("read an enrolled photo", |connection| faces::photo(connection, &id))?;
    let picture = photo.and_then(|jpeg| Picture::decode(&jpeg, MAX_PIXELS).ok());
    let found = picture.map(|picture| pending.analyzer.analyze(&picture, Wanted::Largest)).transpose();
    let found = found.map_err(EngineError::Analyze)?.and_then(|faces| faces.into_iter().next());
    let model = &pending.analyzer.model().name;
    inner.store.write_then(
        "store the vector of an enrolled photo",
        |transaction| {
            // Somebody may have removed it while it was being analysed.
            let Some(person) = faces::person_of(transaction, face)? else {
                return Ok(None);
            };
            match &found {
                Some(found) => faces::insert_embedding(transaction, face, model, &found.embedding.values)?,
                None => faces::insert_faceless(transaction, face, model)?,
            }
            Ok(Some(person))
        },
        |person| match (person, &found) {
            // The model answers already: it knows the person from now on.
            (Some(person), Some(found)) if !pending.takes_over => {
                let serving = inner.serving.blocking_read();
                serving.gallery.write().insert(face, Some(person), &found.embedding.values)
            }
            _ => Ok(()),
        },
    )??;
    Ok(found.is_some())
}

/// The enrolled photos that the model has not seen.
fn left(store: &Store, model: &str) -> Result<Vec<Uuid>, EngineError> {
    let read = |connection: &Connection| faces::without_embedding(connection, model);
    Ok(store.read("look for enrolled photos without a vector", read)?)
}
