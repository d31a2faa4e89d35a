//! `doorward run`: the service.

use std::sync::Arc;

use anyhow::bail;
use faces::models::ModelStore;

use super::CommandResult;
use crate::agent;
use crate::cli::RunArgs;
use crate::terminal::ExitCode;

pub async fn run(args: RunArgs) -> CommandResult {
    let loaded = super::load_config(&args.config)?;
    let mut settings = loaded.settings;
    if let Some(name) = args.detector.iter().find(|name| settings.detector(name.as_str()).is_none()) {
        bail!(super::no_detector(name, &settings));
    }
    if !args.detector.is_empty() {
        settings.detectors.retain(|detector| args.detector.contains(&detector.name));
    }
    if settings.detectors.is_empty() {
        let message = "no detector is configured: add one file per detector to the `detectors` folder";
        bail!(super::Unconfigured(message.into()));
    }
    if settings.identities.is_none() {
        let message = "no engine is configured: add [identities] with url, username and password";
        bail!(super::Unconfigured(message.into()));
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
