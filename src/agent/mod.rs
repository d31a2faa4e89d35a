//! The wiring: every room, in the order of the flow, and the order in which they stop.
//!
//! In: checked settings. Out: the running agent, until it is told to stop or its recordings are over. It is the only
//! place that knows every room, starts threads and tasks, and talks to the service manager; it decides nothing about
//! faces or people.
//!
//! ```text
//! per detector, threads:  capture -▶ detect -▶ track -▶ outbox (disk)
//! once, tasks:            outbox -▶ delivery -▶ engine -▶ rules -▶ actions;  status page;  MQTT;  heartbeat
//! once, a thread:         events: what all of them report -▶ book of visits -▶ listeners
//! stopping:               cameras -▶ threads run empty -▶ delivery -▶ events -▶ outbox -▶ status page, MQTT
//! ```
//!
//! Each step of stopping has a deadline, 14 s in all: whatever hangs is named and left behind.

mod cameras;
mod delivery;
mod events;
mod heartbeat;
mod listeners;
mod loading;
mod mounting;
mod mqtt;
mod pipeline;
mod presence;
mod rooms;
mod search;
mod shots;
mod stays;
mod supervisor;
mod warnings;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use faces::models::ModelStore;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use telemetry::Metrics;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::capture::Losses;
use crate::config::{DryRun, Settings};
use crate::status::{self, Board, EngineState, StatusView};
use crate::terminal;
pub use delivery::{Delivery, DeliveryOptions, Detector, Parts};
pub use events::{Answered, Event, Events, Listener, Stream};
pub use listeners::History;
pub use pipeline::Handover;
pub use presence::{PresenceChange, PresenceNews, Presences};
pub use supervisor::Beat;

use listeners::{BrokerNews, Counts, Page, Runner, Trackers};
use pipeline::{End, HANGS_AFTER, Models, Pipeline};
use rooms::Rooms;
use supervisor::Supervisor;

/// Once the detectors' threads have ended: how long sightings and actions under way may take (what is not sent by then
/// is in the outbox),
const DELIVERY_ENDS_WITHIN: Duration = Duration::from_secs(5);
/// then the events that are not handed on yet, and last the status page and the goodbye to the broker. The outbox takes
/// two seconds more at most.
const EVENTS_END_WITHIN: Duration = Duration::from_secs(1);
const PAGE_ENDS_WITHIN: Duration = Duration::from_secs(1);
/// How long the sightings of a recording may take after its end.
const RECORDING_GRACE: Duration = Duration::from_secs(60);

/// How the agent is run, beside its settings.
#[derive(Default)]
pub struct Options {
    /// Told what happens, as it happens.
    pub events: Option<UnboundedSender<Event>>,
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

/// Runs the agent until `stop`, or until its recordings are over where the options say so. An error is one of starting
/// up: once it runs, nothing ends it but `stop`.
pub async fn run(settings: Arc<Settings>, options: Options, stop: CancellationToken) -> Result<Report> {
    // Before anything slow: a relay that a crash left on is switched off here.
    let rooms = if options.dry_run { None } else { Some(Rooms::open(settings.clone()).await?) };
    let store = ModelStore::locate(settings.models.dir.as_deref());
    let models = load_models(&settings, &store).await?;
    let board = Board::new(Instant::now(), settings.detectors.iter().map(|detector| detector.name.clone()));
    if rooms.is_some() {
        board.engine(EngineState::Unknown, "", Instant::now());
    }
    let (outbox, broker) =
        (rooms.as_ref().map(|rooms| rooms.outbox.clone()), rooms.as_ref().and_then(|rooms| rooms.broker.clone()));
    let home = rooms.as_ref().and_then(|rooms| rooms.home.clone());
    let presences = rooms.as_ref().map(|rooms| rooms.presences.clone()).unwrap_or_default();
    let wake = Arc::new(Notify::new());
    let supervisor = Supervisor::default();

    let (mut to_trackers, mut feedback) = (HashMap::new(), Vec::new());
    for detector in &settings.detectors {
        let (sender, receiver) = channel();
        to_trackers.insert(detector.name.clone(), sender);
        feedback.push(receiver);
    }
    // Everybody who hears what happens.
    let mut listeners: Vec<Box<dyn Listener>> =
        vec![Box::new(Counts), Box::new(Page(board.clone())), Box::new(Trackers(to_trackers))];
    listeners.extend(outbox.clone().map(|outbox| Box::new(History(outbox)) as Box<dyn Listener>));
    listeners.extend(home.clone().map(|home| Box::new(BrokerNews(home)) as Box<dyn Listener>));
    listeners.extend(options.events.map(|events| Box::new(Runner(events)) as Box<dyn Listener>));
    let (events, stream) = Events::stream(listeners);
    let stream = supervisor.thread("events".into(), HANGS_AFTER, move |beat| stream.run(&beat));
    let stream = stream.context("cannot start the thread of the events")?;
    presences.started().into_iter().for_each(|news| events.tell(Event::Presence(Box::new(news))));

    let ending = CancellationToken::new();
    let page = match (settings.status.listen, options.metrics.clone()) {
        (Some(address), Some(metrics)) => Some(open_page(address, &board, metrics, ending.clone()).await?),
        _ => None,
    };
    let telling = broker
        .zip(outbox.clone())
        .map(|(broker, outbox)| tokio::spawn(mqtt::run(broker, home, outbox, board.clone(), ending.clone())));
    let delivered = CancellationToken::new();
    let delivery = rooms.map(|rooms| {
        tokio::spawn(warnings::watch(settings.clone(), rooms.client.clone(), board.clone(), ending.clone()));
        rooms.into_delivery(&settings, &events, &board, &wake)
    });
    let delivering = delivery.clone().map(|delivery| {
        let beat = supervisor.watch("delivery".into(), HANGS_AFTER);
        tokio::spawn(delivery.run(delivered.clone(), beat))
    });

    let cameras_end = stop.child_token();
    let handover = Handover { outbox: outbox.clone(), events: events.clone(), presences, board: board.clone(), wake };
    let mut pipelines = Vec::new();
    for ((config, models), feedback) in settings.detectors.iter().zip(models).zip(feedback) {
        let (config, name) = (Arc::new(config.clone()), config.name.clone());
        let pipeline = Pipeline::start(config, models, handover.clone(), feedback, &supervisor, cameras_end.clone())
            .context("cannot start a detector's threads")?;
        let connections = supervisor.watch(format!("camera:{name}"), HANGS_AFTER);
        tokio::spawn(cameras::watch_camera(name, pipeline.camera(), events.clone(), connections));
        pipelines.push(pipeline);
    }
    drop(handover);
    if settings.dry_run != DryRun::All(false) {
        tracing::warn!("`dry_run` is on: what it covers is decided and recorded, and not done");
    }
    tracing::info!(detectors = pipelines.len(), "watching");
    // On a thread of its own: a service manager that does not read holds up whoever tells it something.
    let heartbeat = heartbeat::beat(supervisor, board, options.metrics, ending.clone());
    let heartbeat = tokio::task::spawn_blocking(|| Handle::current().block_on(heartbeat));

    let ends = cameras::watch_over(pipelines, options.ends_with_recording, &stop, &cameras_end).await;
    tokio::task::spawn_blocking(heartbeat::stopping);
    for thread in ends.iter().flat_map(|end| &end.hanging) {
        tracing::warn!(thread, "{thread} hangs and is left behind");
    }

    if let Some(delivery) = &delivery
        && options.ends_with_recording
        && !finishes(delivery, RECORDING_GRACE, &stop).await
    {
        tracing::info!("stopping; what was not answered is in the outbox");
    }
    delivered.cancel();
    if let Some(delivering) = delivering
        && tokio::time::timeout(DELIVERY_ENDS_WITHIN, delivering).await.is_err()
    {
        tracing::warn!("stopping with requests or actions still under way; what was not answered is in the outbox");
    }
    events.end();
    let deadline = Instant::now() + EVENTS_END_WITHIN;
    let heard = tokio::task::spawn_blocking(move || stream.join_until(deadline)).await;
    if !matches!(heard, Ok(supervisor::Ending::Ended(()))) {
        tracing::warn!("stopping before everything that happened was handed on");
    }
    // The last handle closes the file, once what it was given is on disk.
    let _ = tokio::task::spawn_blocking(move || drop((delivery, outbox, events))).await;
    ending.cancel();
    let rest = async {
        let _ = heartbeat.await;
        for task in telling.into_iter().chain(page) {
            let _ = task.await;
        }
    };
    if tokio::time::timeout(PAGE_ENDS_WITHIN, rest).await.is_err() {
        tracing::warn!(
            "stopping while a request to the status page, a goodbye to the broker or a word to the service manager is \
             under way"
        );
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

/// Cancelled by the first SIGTERM or SIGINT; a second one ends the process at once, whatever hangs: nothing of the
/// program is needed for it but a thread of its own.
pub fn stop_on_signal() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let cancelled = stop.clone();
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for _ in signals.forever() {
            if cancelled.is_cancelled() {
                terminal::leave(terminal::ExitCode::FAILURE);
            }
            cancelled.cancel();
        }
    })?;
    Ok(stop)
}

/// The models of each detector.
async fn load_models(settings: &Arc<Settings>, store: &ModelStore) -> Result<Vec<Models>> {
    let (settings, store) = (Arc::clone(settings), store.clone());
    let loaded = tokio::task::spawn_blocking(move || loading::load(&settings, &store)).await;
    loaded.context("loading the models ended badly")?
}

async fn open_page(
    address: std::net::SocketAddr,
    board: &Board,
    metrics: Metrics,
    ending: CancellationToken,
) -> Result<JoinHandle<()>> {
    let listener = tokio::net::TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address} for the status page; `status.listen` names another address")
    })?;
    tracing::info!(address = %listener.local_addr()?, "the status page is served");
    let view = StatusView { board: board.clone(), metrics };
    Ok(tokio::spawn(status::serve(listener, view, async move { ending.cancelled().await })))
}

/// Waits until everything is settled, at most `grace`, less when told to stop.
async fn finishes(delivery: &Delivery, grace: Duration, stop: &CancellationToken) -> bool {
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
