//! The wiring: every room, in the order of the flow, and the order in which they stop.
//!
//! In: checked settings. Out: the running agent, until it is told to stop or its recordings are over. It is the only place that
//! knows every room, starts threads and tasks, and talks to the service manager; it decides nothing about faces or people.
//!
//! ```text
//! per detector, threads:  capture ─▶ detect ─▶ track ─▶ intake ─▶ outbox (disk)
//! once, tasks:            outbox ─▶ delivery ─▶ engine ─▶ rules ─▶ actions;  presence;  status page;  MQTT;  heartbeat
//! stopping:               cameras ─▶ threads run empty ─▶ delivery, within a grace period ─▶ book closed ─▶ status page, MQTT
//! ```

mod confirm;
mod delivery;
mod events;
mod heartbeat;
mod intake;
mod mqtt;
mod pipeline;
mod presence;
mod record;
mod visits;
mod warnings;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use delivery::{Delivery, Door, Limits};
pub use events::AgentEvent;
pub use intake::Intake;
pub use presence::{Lobby, PresenceChange, PresenceNews};
pub use record::quality as quality_json;
pub use visits::{ActionLine, SentShot, VisitOutcome, VisitSummary};

use crate::actions::Actions;
use crate::actions::mqtt::{Broker, Home};
use crate::capture::{CameraState, Losses};
use crate::config::{ActionConfig, DetectorConfig, DetectorName, DryRun, Settings};
use crate::outbox::Outbox;
use crate::rules::Rules;
use crate::status::{self, Board, CameraPhase, EngineState, StatusView};
use crate::{recognition, terminal};
use faces::models::ModelStore;
use faces::{detect, embed};
use identities::Client;
use pipeline::{End, Models, Pipeline};
use telemetry::Metrics;

/// How long sightings and actions under way may take after the cameras have stopped. What is not sent by then is in the outbox.
const GRACE: Duration = Duration::from_secs(10);
/// How long the sightings of a recording may take after its end.
const RECORDING_GRACE: Duration = Duration::from_secs(60);

/// How the agent is run, beside its settings.
#[derive(Default)]
pub struct Options {
    /// Told what happens, as it happens.
    pub events: Option<UnboundedSender<AgentEvent>>,
    /// No engine is asked and nothing is done: only what would be sent.
    pub dry_run: bool,
    /// The agent stops when every camera is a recording that is over.
    pub ends_with_recording: bool,
    /// What the status page serves; without it there is none.
    pub metrics: Option<Metrics>,
}

/// How it went.
#[derive(Debug, Default)]
pub struct Report {
    /// Frames that were searched.
    pub frames: u64,
    /// What the recordings lost: frames that could not be decoded, or only with damage.
    pub losses: Losses,
    /// Why a recording could not be played to its end.
    pub camera_fault: Option<String>,
}

/// Runs the agent until `stop`, or until its recordings are over where the options say so. An error is one of starting up: once
/// it runs, nothing ends it but `stop`.
pub async fn run(settings: Arc<Settings>, options: Options, stop: CancellationToken) -> Result<Report> {
    // Before anything slow: a relay that a crash left on is switched off here.
    let rooms = if options.dry_run { None } else { Some(open_rooms(&settings)?) };
    let store = ModelStore::locate(settings.models.dir.as_deref());
    let models = load_models(&settings, &store).await?;
    let board = Board::new(Instant::now(), settings.detectors.iter().map(|detector| detector.name.clone()));
    let outbox = rooms.as_ref().map(|rooms| rooms.outbox.clone());
    if rooms.is_some() {
        board.engine(EngineState::Unknown, "", Instant::now());
    }
    let lobby = outbox.as_ref().map(|outbox| Lobby::open(&settings, outbox)).transpose()?.unwrap_or_default();
    let broker = rooms.as_ref().and_then(|rooms| rooms.broker.clone());
    let kept = broker.zip(outbox.clone());
    let home = kept.as_ref().map(|(broker, outbox)| mqtt::home(&settings, broker, outbox)).transpose()?.flatten();
    let intake = Intake::new(outbox, board.clone(), lobby.clone(), home.clone(), options.events);
    lobby.started().into_iter().for_each(|news| intake.presence(news));

    let ending = CancellationToken::new();
    let page = match (settings.status.listen, options.metrics.clone()) {
        (Some(address), Some(metrics)) => Some(open_page(address, &board, metrics, ending.clone()).await?),
        _ => None,
    };
    let told = kept
        .map(|(broker, outbox)| tokio::spawn(mqtt::run(broker, home.clone(), outbox, board.clone(), ending.clone())));
    if let Some(rooms) = &rooms {
        tokio::spawn(warnings::watch(settings.clone(), rooms.client.clone(), board.clone(), ending.clone()));
    }
    let delivered = CancellationToken::new();
    let delivery = match rooms {
        Some(rooms) => Some(rooms.into_delivery(&settings, &intake)?),
        None => None,
    };
    let delivering = delivery.clone().map(|delivery| {
        let (stop, settled) = (delivered.clone(), CancellationToken::new());
        let leaving = presence::watch(Arc::clone(&delivery), lobby, settled.clone());
        let delivering = async move {
            delivery.run(stop).await;
            settled.cancel();
        };
        tokio::spawn(async { tokio::join!(delivering, leaving) })
    });

    let cameras = stop.child_token();
    let (mut pipelines, mut pulses) = (Vec::new(), Vec::new());
    for (config, models) in settings.detectors.iter().zip(models) {
        let config = Arc::new(config.clone());
        let name = config.name.clone();
        let pipeline = Pipeline::start(config, models, intake.clone(), board.clone(), cameras.clone())
            .context("cannot start a detector's threads")?;
        tokio::spawn(watch_camera(name, pipeline.camera(), board.clone(), home.clone()));
        pulses.push(pipeline.pulse());
        pipelines.push(pipeline);
    }
    if settings.dry_run != DryRun::All(false) {
        tracing::warn!("`dry_run` is on: what it covers is decided and recorded, and not done");
    }
    tracing::info!(detectors = pipelines.len(), "watching");
    let heartbeat = tokio::spawn(heartbeat::beat(pulses, board.clone(), options.metrics, ending.clone()));

    let ends = watch_over(pipelines, options.ends_with_recording, &stop, &cameras).await;
    heartbeat::stopping();

    if let Some(delivery) = &delivery {
        let grace = if stop.is_cancelled() { GRACE } else { RECORDING_GRACE };
        if !finishes(delivery, grace, options.ends_with_recording, &stop).await {
            tracing::info!("stopping; what was not answered is in the outbox");
        }
    }
    delivered.cancel();
    if let Some(delivering) = delivering
        && tokio::time::timeout(GRACE, delivering).await.is_err()
    {
        tracing::warn!("stopping with requests or actions still under way");
    }
    intake.close_all();
    ending.cancel();
    let _ = heartbeat.await;
    if let Some(told) = told {
        let _ = told.await;
    }
    if let Some(page) = page {
        let _ = page.await;
    }
    tracing::info!("stopped");
    if ends.iter().any(|end| end.broken) {
        bail!("a detector's thread ended by a mistake in the program; the log has the place");
    }
    let camera_fault = ends.iter().find_map(|end| end.fault.clone());
    let sum = |count: fn(&End) -> u64| ends.iter().map(count).sum();
    let losses = Losses { lost: sum(|end| end.losses.lost), damaged: sum(|end| end.losses.damaged) };
    Ok(Report { frames: sum(|end| end.frames), losses, camera_fault })
}

/// Waits for the detectors' threads. They end when the cameras are told to stop, or with their recordings; a service whose
/// recordings are over stays. A thread that broke stops everything, so that the service manager starts anew: a door nobody
/// watches must not look like one where nobody comes.
async fn watch_over(
    pipelines: Vec<Pipeline>,
    ends_with_recording: bool,
    stop: &CancellationToken,
    cameras: &CancellationToken,
) -> Vec<End> {
    let mut running = JoinSet::new();
    for pipeline in pipelines {
        running.spawn_blocking(move || pipeline.join());
    }
    let mut ends = Vec::new();
    while let Some(end) = running.join_next().await {
        // Joining threads does not panic; a broken thread is told in its end.
        let end = end.unwrap_or(End { frames: 0, losses: Losses::default(), fault: None, broken: true });
        if end.broken {
            cameras.cancel();
        }
        ends.push(end);
    }
    if !ends_with_recording && !ends.iter().any(|end| end.broken) {
        stop.cancelled().await;
    }
    ends
}

/// Tells the status board, and who watches from outside, what the camera is doing.
async fn watch_camera(
    name: DetectorName,
    mut camera: watch::Receiver<CameraState>,
    board: Board,
    home: Option<Arc<Home>>,
) {
    loop {
        let (phase, reason, lens) = record::camera(&camera.borrow_and_update());
        if let Some(home) = &home {
            home.camera(&name, phase == CameraPhase::Live);
        }
        let now = Instant::now();
        board.camera(&name, phase, reason, now);
        board.lens(&name, lens, now);
        if camera.changed().await.is_err() {
            return;
        }
    }
}

/// Cancelled by the first SIGTERM or SIGINT; a second one ends the process at once.
pub fn stop_on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        heartbeat::signalled().await;
        stopping.cancel();
        heartbeat::signalled().await;
        terminal::leave(terminal::ExitCode::FAILURE);
    });
    stop
}

/// Loads one detector, and where wanted one embedder, per camera; each proves itself before it is trusted with a door.
async fn load_models(settings: &Arc<Settings>, store: &ModelStore) -> Result<Vec<Models>> {
    let (settings, store) = (Arc::clone(settings), store.clone());
    let loaded = tokio::task::spawn_blocking(move || {
        let threads = settings.models.threads;
        let load = |config: &DetectorConfig| -> Result<Models> {
            let detector = detect::load(&store, &config.detect.search(), threads)?;
            let embedder = match recognition::wants_embedding(&config.identify) {
                true => Some(embed::load(&store, &config.embed.model, threads)?),
                false => None,
            };
            let embedding = embedder.as_ref().map(|embedder| embedder.name().to_string());
            tracing::info!(detector = %config.name, model = detector.name(), embedding, "the face detector is ready");
            Ok(Models { detector, embedder })
        };
        settings.detectors.iter().map(load).collect()
    });
    loaded.await.context("loading the models ended badly")?
}

/// The rooms after the outbox.
struct Rooms {
    outbox: Outbox,
    client: Client,
    actions: Actions,
    broker: Option<Broker>,
}

fn open_rooms(settings: &Settings) -> Result<Rooms> {
    let identities = settings.identities.as_ref().context("no engine is configured: add [identities]")?;
    let client = Client::new(&identities.client())?;
    let broker = settings.mqtt.as_ref().map(Broker::new).transpose()?;
    let actions = Actions::new(&settings.actions, Some(&client))?.with_dry_run(settings.dry_run.clone());
    let actions = broker.iter().fold(actions, |actions, broker| actions.with_broker(broker));
    for (action, problem) in actions.hold_lines() {
        tracing::warn!(action, problem, "a relay's line cannot be had; it is tried again when the relay is needed");
    }
    Ok(Rooms { outbox: Outbox::open(&settings.state_dir, &settings.outbox)?, client, actions, broker })
}

impl Rooms {
    fn into_delivery(self, settings: &Settings, intake: &Intake) -> Result<Arc<Delivery>> {
        let late_after = Duration::from_millis(settings.outbox.late_after_ms);
        let mut doors = HashMap::new();
        for config in &settings.detectors {
            let guard = |name: &str| settings.actions.get(name).and_then(ActionConfig::guard).cloned();
            let mut rules = Rules::new(config.rules.clone(), config.time_zone, late_after, guard)?;
            rules = rules.with_holidays(config.holidays.clone());
            rules.restore(record::firings(&self.outbox, config)?);
            rules.restore_seen(record::seen(&self.outbox, &config.name)?);
            doors.insert(config.name.clone(), Door { config: Arc::new(config.clone()), rules: Mutex::new(rules) });
        }
        let limits = Limits {
            late_after,
            concurrency: settings.identities.as_ref().map_or(1, |identities| identities.concurrency),
            drain_per_sec: settings.outbox.drain_per_sec,
        };
        Ok(Delivery::new(intake.clone(), self.outbox, self.client, self.actions, doors, limits))
    }
}

async fn open_page(
    address: std::net::SocketAddr,
    board: &Board,
    metrics: Metrics,
    ending: CancellationToken,
) -> Result<tokio::task::JoinHandle<()>> {
    let listener = tokio::net::TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address} for the status page; `status.listen` names another address")
    })?;
    tracing::info!(address = %listener.local_addr()?, "the status page is served");
    let view = StatusView { board: board.clone(), metrics };
    Ok(tokio::spawn(async move {
        if let Err(error) = status::serve(listener, view, async move { ending.cancelled().await }).await {
            tracing::error!(%error, "the status page ended");
        }
    }))
}

/// Waits until all that is under way is settled (for a recording also all that waits), at most `grace`, less when told to stop.
async fn finishes(delivery: &Delivery, grace: Duration, everything: bool, stop: &CancellationToken) -> bool {
    if !everything {
        return true;
    }
    let idle = async {
        while !delivery.is_idle() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = idle => true,
        () = tokio::time::sleep(grace) => false,
        () = stop.cancelled() => false,
    }
}
