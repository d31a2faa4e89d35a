//! `doorward engine serve`: an engine on a port until told to stop.
//!
//! Standard output tells where it listens, the pin of its certificate, and once in a folder's life the first
//! administrator's password.

use anyhow::Context;
use engine::{self, Engine, EngineError, KeepLimits, Proxies, Retention, ServeOptions, Tls, TlsFiles};
use faces::models::ModelStore;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::agent;
use crate::cli::EngineServeArgs;
use crate::commands::CommandResult;
use crate::terminal::{self, ExitCode};

pub async fn run(args: EngineServeArgs) -> CommandResult {
    telemetry::logs(&telemetry::LogOptions::default())?;
    let metrics = telemetry::metrics()?;
    // Before the rest, so that a stop during the start is heeded too; a second signal ends the process at once.
    let stop = agent::stop_on_signal()?;
    // The port before the models: a port in use is known at once, not after seconds.
    let listener = TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr().context("cannot tell the port")?;
    let loopback = address.ip().to_canonical().is_loopback();
    if args.http && !loopback {
        warn!("HTTP on {address}: passwords and faces cross the network in the clear");
    }

    let retention =
        Retention { detections_days: args.keep_detections_days.days(), unknown_days: args.keep_unknown_days.days() };
    info!("what is seen is kept for {}, strangers for {}", args.keep_detections_days, args.keep_unknown_days);
    let bytes = |megabytes: u64| megabytes.saturating_mul(1_000_000);
    let keep = KeepLimits {
        seen: bytes(args.keep_detections_mb),
        documents: bytes(args.keep_documents_mb),
        free: bytes(args.keep_free_mb),
    };
    let proxies = Proxies(args.trusted_proxy.clone());
    let data = args.data.clone();
    let secure = args.https || args.certificate.is_some() || !(loopback || args.http);
    let opened = tokio::task::spawn_blocking(move || {
        // A certificate that cannot be used is known at once too.
        let given = args.certificate.zip(args.key).map(|(certificate, key)| TlsFiles { certificate, key });
        let given = given.map(Tls::new).transpose()?;
        let models = ModelStore::locate(None);
        info!(data = %args.data.display(), models = models.place(), "the engine starts");
        let engine = Engine::open(&args.data, &models, &args.model)?;
        let tls = match given {
            None if secure => Some(Tls::new(TlsFiles::self_made(&args.data, address.ip(), &args.name)?)?),
            given => given,
        };
        let administrator = engine.accounts().first_administrator()?;
        Ok::<_, EngineError>((engine, tls, administrator))
    });
    let (engine, tls, administrator) = opened.await??;
    let (photos, unknown) = engine.faces().await;
    info!(data = %data.display(), photos, unknown, "the data folder is open");
    if let Some((username, password)) = administrator {
        let password = password.expose_secret();
        print_line(&format!("first administrator: {username}, password: {password} (it is not shown again)"));
    }
    if let Some(tls) = &tls {
        print_line(&format!("certificate pin, for a client's pin_sha256: {}", tls.pin()?));
    }
    print_line(&format!("listening on {}://{address}", if tls.is_some() { "https" } else { "http" }));

    let stop = async move {
        stop.cancelled().await;
        info!("told to stop: answering what is under way, then stopping");
    };
    let options = ServeOptions { tls, metrics: Some(metrics), retention, keep, proxies };
    engine::serve(listener, engine, options, stop).await;
    info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Prints a line that somebody may be waiting for. An engine whose output nobody reads any more goes on serving.
fn print_line(line: &str) {
    let _ = terminal::tell(line);
}
