//! `doorward engine export` and `import`: people and their photos to and from files.
//!
//! An import is that of `doorward identities import`, into an engine that serves the data folder on loopback for as
//! long as it takes: what is there already, what is turned down and why, are the same for every engine.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use chrono::Utc;
use engine::{self, Engine};
use faces::models::ModelStore;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::cli::{ConfigArgs, EngineAccess, EngineImportArgs, ImportArgs};
use crate::commands::{CommandResult, identities, print_line, progress};
use crate::terminal::ExitCode;

pub fn export(data: &Path, target: &Path) -> CommandResult {
    let bar = progress::bar("{bar:30} {pos}/{len} people, {eta} left");
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
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on this machine")?;
    let url = format!("http://{}", listener.local_addr().context("cannot tell the port")?);
    let guest = engine.accounts().guest()?;
    let mut password = tempfile::NamedTempFile::new().context("cannot write a temporary file")?;
    writeln!(password, "{}", guest.password.expose_secret()).context("cannot write a temporary file")?;

    let stop = CancellationToken::new();
    let serving = tokio::spawn(engine::serve(listener, engine.clone(), None, None, stop.clone().cancelled_owned()));
    let imported = identities::import(ImportArgs {
        access: access(&url, guest.username, password.path())?,
        dry_run: false,
        what: args.what,
    })
    .await;
    stop.cancel();
    serving.await??;
    imported
}

fn access(url: &str, username: &str, password_file: &Path) -> anyhow::Result<EngineAccess> {
    Ok(EngineAccess {
        config: ConfigArgs { config: None },
        url: Some(url.parse().context("the address of this machine makes no URL")?),
        username: Some(username.to_owned()),
        password_file: Some(PathBuf::from(password_file)),
        ca_file: None,
        pin: Vec::new(),
        allow_plain_http: false,
    })
}
