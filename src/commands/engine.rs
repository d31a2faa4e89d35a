//! `doorward engine`: serve the Identities API, and look after its users.
//!
//! Standard output holds what a person or a program must read: the address, and once in a folder's life the first
//! administrator's password. Everything else is log, on standard error.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::cli::{EngineCommand, EngineUserCommand};
use crate::commands::CommandResult;
use crate::config::LogConfig;
use crate::engine::{self, Engine};
use crate::models::ModelStore;
use crate::telemetry;

pub async fn run(command: EngineCommand) -> CommandResult {
    match command {
        EngineCommand::Serve { listen, data, model } => serve(listen, &data, &model).await,
        EngineCommand::User(EngineUserCommand::Add { data, username, role, password_file }) => {
            let password = read_password(&password_file)?;
            tokio::task::spawn_blocking(move || engine::add_user(&data, &username, &role, &password)).await??;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn serve(listen: SocketAddr, data: &Path, model: &str) -> CommandResult {
    if !listen.ip().to_canonical().is_loopback() {
        return Err(anyhow::anyhow!(
            "{listen} is not a loopback address: passwords and faces would cross the network in the clear; listen on \
             127.0.0.1 and put a proxy that speaks TLS (nginx, Caddy) in front"
        )
        .into());
    }
    // ONNX Runtime tells every allocation at INFO.
    telemetry::logs(&LogConfig { filter: "info,ort=warn".into(), ..LogConfig::default() })?;
    telemetry::panic_hook();
    // Before the rest, so that a stop during the start is heeded too.
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for SIGINT")?;
    // The port before the models: a port in use is known at once, not after seconds.
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr().context("cannot tell the port")?;

    let (folder, model) = (data.to_owned(), model.to_owned());
    let opened = tokio::task::spawn_blocking(move || {
        let engine = Engine::open(&folder, &ModelStore::locate(None), &model)?;
        let administrator = engine.first_administrator()?;
        Ok::<_, engine::EngineError>((engine, administrator))
    });
    let (engine, administrator) = opened.await??;
    let (photos, unknown) = engine.faces();
    info!(data = %data.display(), photos, unknown, "the data folder is open");
    if let Some((username, password)) = administrator {
        print_line(&format!(
            "first administrator: {username}, password: {} (it is not shown again)",
            password.expose_secret()
        ))?;
    }
    print_line(&format!("listening on http://{address}"))?;

    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM: answering what is under way, then stopping"),
            _ = interrupt.recv() => info!("SIGINT: answering what is under way, then stopping"),
        }
        // A second one ends the process at once.
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(1);
        });
    };
    engine::serve(listener, engine, stop).await?;
    info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// The first line of the file, or of standard input for `-`.
fn read_password(file: &Path) -> anyhow::Result<SecretString> {
    let reader: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(fs::File::open(file).with_context(|| format!("cannot open the password file {}", file.display()))?)
    };
    let mut line = String::new();
    // Nobody's password is longer; a wrong file may be endless.
    BufReader::new(reader.take(64 << 10))
        .read_line(&mut line)
        .with_context(|| format!("cannot read the password file {}", file.display()))?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!("the first line of {} is empty; it must be the password", file.display());
    }
    Ok(password.into())
}

/// Prints a line that somebody may be waiting for. An engine whose output nobody reads any more goes on serving.
fn print_line(line: &str) -> anyhow::Result<()> {
    use std::io::Write;
    let mut out = io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot print the address"),
        _ => Ok(()),
    }
}
