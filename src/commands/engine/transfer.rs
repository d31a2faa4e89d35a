//! `doorward engine export` and `import`: people and their photos to and from files.
//!
//! An import is that of `doorward identities import`, into an engine that serves the data folder on loopback for as
//! long as it takes: what is there already, what is turned down and why, are the same for every engine.

use std::path::Path;

use anyhow::Context;
use chrono::Utc;
use engine::{self, Engine, ServeOptions};
use faces::models::ModelStore;
use identities::Client;
use tokio_util::sync::CancellationToken;

use crate::cli::EngineImportArgs;
use crate::commands::identities::import_people;
use crate::commands::{CommandResult, print_line, table};
use crate::config::IdentitiesConfig;
use crate::terminal::ExitCode;

pub fn export(data: &Path, target: &Path) -> CommandResult {
    let bar = table::bar("{bar:30} {pos}/{len} people, {eta} left");
    let exported = engine::export(data, target, Utc::now(), &|people| {
        bar.set_length(people as u64);
        bar.inc(1);
    })?;
    bar.finish_and_clear();
    let engine::Exported { people, photos, documents } = exported;
    print_line(&format!("{people} people, {photos} photos and {documents} documents are in {}", target.display()));
    Ok(ExitCode::SUCCESS)
}

pub async fn import(args: EngineImportArgs) -> CommandResult {
    let (data, model) = (args.folder.data.clone(), args.model.clone());
    let opened = tokio::task::spawn_blocking(move || Engine::open(&data, &ModelStore::locate(None), &model)).await?;
    let engine = opened.map_err(|error| match error {
        engine::EngineError::InUse { .. } => anyhow::Error::from(error)
            .context("a folder that is being served is imported into with `doorward identities import --url …`"),
        other => other.into(),
    })?;
    let (listener, url) = super::loopback().await?;
    let guest = engine.accounts().guest()?;
    let url = url.parse().context("the address of this machine makes no URL")?;
    let client = Client::new(&IdentitiesConfig::new(url, guest.username, guest.password.clone()).client())?;
    let stop = CancellationToken::new();
    let options = ServeOptions::default();
    let serving = tokio::spawn(engine::serve(listener, engine.clone(), options, stop.clone().cancelled_owned()));
    let imported = import_people(args.what, None, || Ok(Some(client))).await;
    stop.cancel();
    serving.await?;
    imported
}
