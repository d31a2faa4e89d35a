//! `doorward replay`: a recording through the whole agent, one line per visit.
//!
//! In: a video file or a folder of pictures, and the settings of a detector. Out: what was sent, what the engine said,
//! what was done, and how many frames of the recording could not be used. The recording runs as fast as it can be
//! searched, on its own clock, with a state directory of its own: a running service is not disturbed.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::CommandResult;
use super::lines::bbox;
use crate::actions::mqtt::client_id;
use crate::agent::{self, Event};
use crate::capture::Losses;
use crate::cli::ReplayArgs;
use crate::config::{self, CameraConfig, DetectorConfig, DetectorName, Pace, ReplayConfig, Settings};
use crate::recognition::Known;
use crate::terminal::{self, ExitCode};
use crate::visits::{SentShot, Visit, VisitAction, liveness_json, quality_json};

/// The detector's name when no configuration gives one.
const NAME: &str = "replay";

pub async fn run(args: ReplayArgs) -> CommandResult {
    let mut settings = settings(&args)?;
    // The lines of the visits say what there is to say, unless RUST_LOG wants more.
    settings.log.filter = "warn".into();
    telemetry::start(&settings.log.options())?;
    let state = tempfile::tempdir().context("cannot make a folder for the replay's state")?;
    settings.state_dir = state.path().to_path_buf();
    settings.status.listen = None;

    let (mut visits, mut read) = (0u32, true);
    let stop = agent::stop_on_signal()?;
    let report = play(settings, args.dry_run, stop, |event| {
        if let Event::Closed(visit) = event {
            visits += 1;
            read = read && terminal::tell(&if args.json { visit_json(&visit).to_string() } else { visit_text(&visit) });
        }
        read
    });
    let report = report.await?;
    if let Some(fault) = report.camera_fault.filter(|_| read) {
        bail!("{}: {fault}", args.input.display());
    }
    let Losses { lost, damaged } = report.losses;
    let whole = lost == 0 && damaged == 0;
    if !args.json && read {
        let losses = if whole { String::new() } else { format!("; {lost} frames lost, {damaged} damaged") };
        super::print_line(&format!("{visits} visits in {} frames{losses}", report.frames));
    } else if !whole && read {
        // Only then: every other line is a visit.
        let recording = args.input.display().to_string();
        let line = json!({ "recording": recording, "frames": report.frames, "lost": lost, "damaged": damaged });
        super::print_line(&line.to_string());
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the agent until its recordings are over, or `heard`, which is told what happens, says that nobody reads any
/// more (`| head -1`): then it ends in order, and its state leaves the disk.
pub(super) async fn play(
    settings: Settings,
    dry_run: bool,
    stop: CancellationToken,
    mut heard: impl FnMut(Event) -> bool,
) -> anyhow::Result<agent::Report> {
    let (events, mut happened) = tokio::sync::mpsc::unbounded_channel();
    let options = agent::Options { events: Some(events), dry_run, ends_with_recording: true, metrics: None };
    let agent = tokio::spawn(agent::run(Arc::new(settings), options, stop.clone()));
    while let Some(event) = happened.recv().await {
        if !heard(event) {
            stop.cancel();
        }
    }
    agent.await.context("the agent ended badly")?
}

/// The configured detector, or one of defaults in a dry run, watching the recording.
fn settings(args: &ReplayArgs) -> anyhow::Result<Settings> {
    let configured = args.config.config.is_some() || Path::new(config::MAIN_FILE).exists();
    if !configured && !args.dry_run {
        let message = "a replay sends to the configured engine and there is no configuration: name one with --config, \
                       or see what would be sent with --dry-run";
        bail!(super::Unconfigured(message.into()));
    }
    let mut settings = if configured { super::load_config(&args.config)?.settings } else { Settings::default() };
    let mut detector = pick(&settings, args)?;
    // The clock of a folder of pictures, and the date of the recording, are the detector's to say where it is a replay
    // itself.
    let (fps, starts_at) = match &detector.camera {
        CameraConfig::Replay(replay) => (replay.fps, replay.starts_at),
        _ => (None, None),
    };
    let (path, rotate) = (args.input.clone(), detector.camera.rotate());
    detector.camera =
        CameraConfig::Replay(ReplayConfig { path, pace: Pace::Fast, fps, looped: false, starts_at, rotate });
    if let Some(subject) = args.subject {
        detector.track.subject = subject;
    }
    settings.detectors = vec![detector];
    if let Some(mqtt) = &mut settings.mqtt {
        // What was recorded is no news at the door; and the agent itself may be connected under its own name.
        (mqtt.home_assistant, mqtt.states) = (false, false);
        mqtt.client_id = Some(format!("{}-replay", client_id(mqtt)));
    }
    Ok(settings)
}

/// The detector asked for; without a name the only one, or one of defaults when none is configured.
fn pick(settings: &Settings, args: &ReplayArgs) -> anyhow::Result<DetectorConfig> {
    let all = &settings.detectors;
    match (&all[..], &args.detector) {
        ([], wanted) => {
            let name = wanted.clone().map_or_else(|| DetectorName::new(NAME), Ok).map_err(anyhow::Error::msg)?;
            Ok(DetectorConfig::new(name, CameraConfig::Replay(ReplayConfig::new(&args.input))))
        }
        ([only], None) => Ok(only.clone()),
        (_, Some(name)) => match settings.detector(name.as_str()) {
            Some(detector) => Ok(detector.clone()),
            None => bail!(super::no_detector(name, settings)),
        },
        (_, None) => {
            let several = "several detectors are configured: say whose settings apply with --detector";
            bail!(super::Unconfigured(format!("{several} ({})", super::detectors(settings))))
        }
    }
}

fn visit_json(visit: &Visit) -> Value {
    let shot = |shot: &SentShot| {
        json!({
            "at_ms": shot.at_ms,
            "frame": shot.frame,
            "box": bbox(&shot.bbox),
            "quality": quality_json(&shot.quality),
            "liveness": shot.liveness.as_ref().map(liveness_json),
        })
    };
    let action = |line: &VisitAction| {
        json!({
            "rule": line.rule,
            "action": line.action,
            "result": line.result_label(),
            "reason": line.reason(),
        })
    };
    json!({
        "visit": visit.id.to_string(),
        "stay": visit.stay.map(|stay| stay.to_string()),
        "detector": visit.detector,
        "first_seen_ms": visit.first_seen_ms,
        "last_seen_ms": visit.last_seen_ms,
        "sent": visit.shots.iter().map(shot).collect::<Vec<_>>(),
        "outcome": visit.outcome.label(),
        "reason": visit.outcome.reason(),
        "person": visit.known.as_ref().map(person_json),
        "nearest": visit.nearest.as_ref().map(|nearest| nearest.to_json(true)),
        "actions": visit.actions.iter().map(action).collect::<Vec<_>>(),
    })
}

fn person_json(known: &Known) -> Value {
    let tags: Vec<_> = known.tags.iter().map(|tag| tag.name.as_str()).collect();
    json!({ "id": known.person.id, "name": known.person.name, "tags": tags,
        "confidence": known.confidence, "match_confidence": known.match_confidence })
}

fn visit_text(visit: &Visit) -> String {
    let who = match (&visit.known, &visit.nearest) {
        (Some(known), _) => format!("known as {}", known.person.name.as_deref().unwrap_or(&known.person.id)),
        (None, Some(nearest)) => format!("{}, nearest {}", visit.outcome.label(), nearest.told()),
        (None, None) => match visit.outcome.reason() {
            Some(reason) => format!("{} ({reason})", visit.outcome.label()),
            None => visit.outcome.label().to_string(),
        },
    };
    let actions: Vec<_> = visit.actions.iter().map(|line| format!("{} {}", line.action, line.result_label())).collect();
    let [first, last] = [visit.first_seen_ms, visit.last_seen_ms].map(|ms| ms as f64 / 1e3);
    let (sent, actions) = (visit.shots.len(), actions.join(", "));
    format!("{first:7.2} s to {last:7.2} s  {sent} sent  {who}  {actions}").trim_end().to_string()
}
