//! Another embedding model takes over: enrolled photos are analysed by it in the background, then it answers.
//!
//! In: a [`Preparation`](crate::preparation::Preparation). Out: the vectors of every enrolled photo, one transaction
//! each, so that a kill costs one photo; and the moment the wanted model answers. Until then the model before answers.

use std::time::{Duration, Instant};

use ::faces::picture::{MAX_PIXELS, Picture};
use rusqlite::Connection;
use telemetry::Repeated;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;
use wording::with_causes;

use super::analyzer::Wanted;
use super::engine::{Engine, Inner};
use super::error::EngineError;
use super::gallery::Serving;
use super::preparation::{Pending, progress};
use super::store::faces::{self, Progress};
use super::store::{Store, meta};

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
    let Progress { photos, faceless, .. } = progress(&inner.store, &model)?;
    inner.preparation.finish(model.clone(), faceless);
    info!(photos, faceless, "all enrolled photos have been analysed by {model}, which answers from now on");
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
    let found = found?.and_then(|faces| faces.into_iter().next());
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
