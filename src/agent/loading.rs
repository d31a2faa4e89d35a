//! Loading the models: each detector's own, and those that all detectors that want them share.
//!
//! In: the settings and the models folder. Out: [`Models`] for each detector. All are loaded side by side; each face
//! detector proves itself before it is trusted with a door.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use faces::detect;
use faces::embed::{self, EmbedError, FaceEmbedder};
use faces::liveness::{self, LivenessCheck};
use faces::models::ModelStore;
use parking_lot::Mutex;

use super::pipeline::Models;
use crate::config::{DetectorConfig, Settings};
use crate::recognition;

/// Models of one kind, by what the configuration calls them. One network serves all detectors: it is asked a few times
/// a visit, and is not small.
type Shared<K, T> = BTreeMap<K, Option<Arc<Mutex<T>>>>;

/// Loads what the detectors need, in their order. Blocks.
///
/// # Errors
/// When a model that is needed is not there, is damaged, or does not find what it must.
pub fn load(settings: &Settings, store: &ModelStore) -> Result<Vec<Models>> {
    let (detectors, threads) = (&settings.detectors, settings.models.threads);
    // It is the same for all, and takes longer than any model.
    faces::onnx::init(&store.runtime()?)?;
    thread::scope(|scope| {
        let embedders = scope.spawn(|| embedders(detectors, store, threads));
        let checks = scope.spawn(|| liveness_checks(detectors, store, threads));
        let own = |config: &DetectorConfig| detect::load(store, &config.detect.search(), threads);
        let own: Vec<_> = detectors.iter().map(|config| scope.spawn(move || own(config))).collect();
        let (embedders, checks) = (joined(embedders)??, joined(checks)??);
        let models = detectors.iter().zip(own).map(|(config, own)| {
            let detector = joined(own)??;
            let embedder = embedders.get(&config.embed.model).cloned().flatten().filter(|_| wants_embedder(config));
            let embedding = embedder.as_ref().map(|embedder| embedder.lock().model.name.clone());
            tracing::info!(detector = %config.name, model = detector.name(), embedding, "the face detector is ready");
            let liveness = config.liveness.models.wanted().and_then(|names| checks.get(names).cloned().flatten());
            Ok(Models { detector, embedder, liveness })
        });
        models.collect()
    })
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> Result<T> {
    // The panic hook has told of it.
    thread.join().ok().context("loading the models ended badly")
}

/// Where sightings carry embeddings it must be there; where it only tells faces apart, it may be missing.
fn embedders(detectors: &[DetectorConfig], store: &ModelStore, threads: u16) -> Result<Shared<String, FaceEmbedder>> {
    let mut needed: BTreeMap<&str, bool> = BTreeMap::new();
    for config in detectors.iter().filter(|config| wants_embedder(config)) {
        *needed.entry(&config.embed.model).or_default() |= recognition::wants_embedding(&config.identify);
    }
    let load = |(model, needed): (&str, bool)| match embed::load(store, model, threads) {
        Err(EmbedError::Choose { source }) if !needed => {
            tracing::info!("no model tells visits of one face from others: {source}");
            Ok((model.to_owned(), None))
        }
        loaded => Ok((model.to_owned(), Some(Arc::new(Mutex::new(loaded?))))),
    };
    needed.into_iter().map(load).collect()
}

fn wants_embedder(config: &DetectorConfig) -> bool {
    recognition::wants_embedding(&config.identify) || config.presence.same_face
}

fn liveness_checks(
    detectors: &[DetectorConfig],
    store: &ModelStore,
    threads: u16,
) -> Result<Shared<Vec<String>, LivenessCheck>> {
    let mut checks = Shared::new();
    for names in detectors.iter().filter_map(|config| config.liveness.models.wanted()) {
        if !checks.contains_key(names) {
            let check = liveness::load(store, names, threads)?;
            checks.insert(names.to_vec(), Some(Arc::new(Mutex::new(check))));
        }
    }
    Ok(checks)
}
