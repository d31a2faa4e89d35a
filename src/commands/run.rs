//! `doorward run`: the service.

use std::sync::Arc;

use faces::models::ModelStore;

use super::{CommandResult, Failure};
use crate::agent;
use crate::cli::RunArgs;
use crate::terminal::ExitCode;
use telemetry;

pub async fn run(args: RunArgs) -> CommandResult {
    let loaded = super::load_config(&args.config)?;
    let mut settings = loaded.settings;
    let bad = |message: String| Failure::BadConfiguration(anyhow::anyhow!(message));
    for name in &args.detector {
        if !settings.detectors.iter().any(|detector| detector.name == *name) {
            let there: Vec<_> = settings.detectors.iter().map(|detector| format!("`{}`", detector.name)).collect();
            return Err(bad(format!("no detector is named `{name}`; there are {}", there.join(", "))));
        }
    }
    if !args.detector.is_empty() {
        settings.detectors.retain(|detector| args.detector.contains(&detector.name));
    }
    if settings.detectors.is_empty() {
        return Err(bad("no detector is configured: add one file per detector to the `detectors` folder".into()));
    }
    if settings.identities.is_none() {
        return Err(bad("no engine is configured: add [identities] with url, username and password".into()));
    }
    let metrics = telemetry::start(&settings.log.options())?;
    let models = ModelStore::locate(settings.models.dir.as_deref());
    // The first line: what a program does depends on where it looked.
    let configuration = loaded.files.first().map(|file| file.display().to_string()).unwrap_or_default();
    tracing::info!(configuration, models = models.place(), "doorward {} starts", env!("CARGO_PKG_VERSION"));
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let stop = agent::stop_on_signal()?;
    agent::run(Arc::new(settings), agent::Options { metrics: Some(metrics), ..agent::Options::default() }, stop)
        .await?;
    Ok(ExitCode::SUCCESS)
}
