//! `doorward check`: everything that can be known before running.
//!
//! In: the configuration and this machine. Out: one line per check with ok, warning or error, or one JSON document.
//! Nothing is written, no camera is opened, and only `--online` leaves the machine.

mod acceptance;
mod doors;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use faces::models::{ModelError, ModelStore, Role};
use faces::{detect, embed, onnx};
use identities::{Client, ClientError, Heard};
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};
use serde_json::json;

use super::CommandResult;
use crate::actions::mqtt::Broker;
use crate::actions::{ActionError, Actions, WrongKey, look_at_line};
use crate::cli::CheckArgs;
use crate::config::{self, ActionConfig, CameraConfig, DetectorConfig, Loaded, OutboxConfig, Settings};
use crate::rules::{RuleError, Rules};
use crate::{outbox, terminal};

/// Less free space than this and the outbox cannot be trusted to take the next sighting.
const LEAST_FREE_BYTES: u64 = 64 << 20;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Ok,
    Warning,
    /// This machine is not ready.
    Error,
    /// The configuration is wrong.
    BadConfiguration,
}

/// One check and what it found.
#[derive(Debug)]
struct Check {
    name: String,
    verdict: Verdict,
    detail: String,
}

/// The checks so far, in the order they were made.
#[derive(Debug, Default)]
struct Report {
    checks: Vec<Check>,
    /// Where mistakes of the configuration have been told of: what two checks find wrong with one key is told once.
    told: BTreeSet<(Option<config::Place>, String)>,
}

/// Checks, prints, and tells by the exit code: 0, 1 when this machine is not ready, 78 when the configuration is wrong.
pub fn run(args: CheckArgs) -> CommandResult {
    if args.print {
        super::print_lines(super::load_config(args.config.config.as_deref())?.to_text().trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let mut report = Report::default();
    match config::look(args.config.config.as_deref()) {
        (Some(loaded), mistakes) if mistakes.is_empty() => everything(&loaded, args.online, &mut report),
        (rest, mistakes) => {
            for mistake in mistakes {
                report.told.insert((mistake.place.clone(), mistake.key.clone()));
                report.add("configuration", Verdict::BadConfiguration, mistake);
            }
            rest.iter().for_each(|rest| other_mistakes(rest, &mut report));
        }
    }
    let text = if args.json { report.json() } else { report.lines() };
    let code = report.exit();
    // A reader who has gone away has read enough; how it went is in the exit code all the same.
    if !text.lines().all(terminal::tell) {
        terminal::leave(code);
    }
    Ok(code)
}

fn everything(loaded: &Loaded, online: bool, report: &mut Report) {
    let Settings { detectors, actions, .. } = &loaded.settings;
    configuration(loaded, report);
    let runtime = models(loaded, report);
    for detector in detectors {
        detector_models(loaded, detector, runtime, report);
        camera(loaded, detector, report);
        rules(loaded, detector, report);
    }
    state_dir(&loaded.settings.state_dir, &loaded.settings.outbox, report);
    outbox_key(&loaded.settings, report);
    for name in actions.keys() {
        action(loaded, name, report);
    }
    broker(loaded, online, report);
    let heard = engine(loaded, online, report);
    for detector in detectors {
        doors::look(loaded, detector, heard.as_ref(), report);
    }
}

/// The engine's address and certificates; with `online` the acceptance test, and what the engine has told of itself.
fn engine(loaded: &Loaded, online: bool, report: &mut Report) -> Option<Heard> {
    match loaded.settings.identities.as_ref().map(|identities| Client::new(&identities.client())) {
        None => None,
        Some(Err(error)) => {
            let key = match error {
                ClientError::Trust(_) => "identities.ca_file",
                ClientError::BadUrl { .. } | ClientError::PlainHttp { .. } => "identities.url",
                _ => {
                    report.error("engine", chain(error));
                    return None;
                }
            };
            report.mistake("engine", loaded.mistake(None, key, chain(error)));
            None
        }
        Some(Ok(client)) if online => match runtime() {
            Ok(runtime) => runtime.block_on(acceptance::run(&loaded.settings, &client, report)),
            Err(error) => {
                report.error("engine", format!("{error:#}"));
                None
            }
        },
        Some(Ok(client)) => {
            report.ok("engine", format!("{}, which is not asked without --online", client.host()));
            None
        }
    }
}

/// What else is wrong in a configuration that has mistakes: templates and expressions. Whether this machine is ready
/// for it does not matter yet.
fn other_mistakes(rest: &Loaded, report: &mut Report) {
    let mut found = Report { told: report.told.clone(), ..Report::default() };
    rest.settings.detectors.iter().for_each(|detector| rules(rest, detector, &mut found));
    rest.settings.actions.keys().for_each(|name| action(rest, name, &mut found));
    report.checks.extend(found.checks.into_iter().filter(|check| check.verdict == Verdict::BadConfiguration));
}

fn configuration(loaded: &Loaded, report: &mut Report) {
    let files: Vec<String> = loaded.files.iter().map(|file| file.display().to_string()).collect();
    report.ok("configuration", format!("read from {}", files.join(", ")));
    for warning in &loaded.warnings {
        report.add("configuration", Verdict::Warning, warning.to_string());
    }
    let missing = |key, problem| loaded.mistake(None, key, problem);
    if loaded.settings.detectors.is_empty() {
        let problem = "there is none; write one as `detectors/NAME.toml` beside the main file";
        report.mistake("configuration", missing("detectors", problem));
    }
    if loaded.settings.identities.is_none() {
        let problem = "there is no such section; write the engine's `url`, `username` and `password` there";
        report.mistake("configuration", missing("identities", problem));
    }
}

/// Whether ONNX Runtime can be used.
fn models(loaded: &Loaded, report: &mut Report) -> bool {
    let store = store(loaded);
    report.ok("models folder", store.place());
    let found = store.runtime().map_err(anyhow::Error::from);
    match found.and_then(|file| onnx::init(&file).map(|()| file).map_err(anyhow::Error::from)) {
        Ok(file) => report.ok("ONNX Runtime", format!("loaded from {}", file.display())),
        Err(error) => {
            report.error("ONNX Runtime", format!("{error:#}"));
            return false;
        }
    }
    true
}

fn detector_models(loaded: &Loaded, detector: &DetectorConfig, runtime: bool, report: &mut Report) {
    let (store, threads) = (store(loaded), loaded.settings.models.threads);
    let check = format!("detector {}: model", detector.name);
    // `auto` leaves the choice to what is there: then nothing being there is the machine's lack.
    let lacking = |report: &mut Report, check: &str, key: &str, wanted: &str, error: ModelError| match wanted {
        "auto" => report.error(check, error),
        _ => report.mistake(check, loaded.mistake(Some(&detector.name), key, error.to_string())),
    };
    match store.choose(Role::Detector, &detector.detect.model) {
        Err(error) => lacking(report, &check, "detect.model", &detector.detect.model, error),
        Ok(model) if !runtime => report.ok(&check, format!("{} is there, but was not tried", model.name)),
        Ok(model) => match detect::load(&store, &detector.detect.search(), threads) {
            Ok(_) => report.ok(&check, format!("{} finds the built-in face", model.name)),
            Err(error) => report.error(&check, chain(error)),
        },
    }
    if detector.identify.send_embedding {
        let check = format!("detector {}: embedding model", detector.name);
        match store.choose(Role::Embedder, &detector.embed.model) {
            Err(error) => lacking(report, &check, "embed.model", &detector.embed.model, error),
            Ok(model) if !runtime => report.ok(check, format!("{} is there, but was not tried", model.name)),
            Ok(model) => match embed::load(&store, &detector.embed.model, threads) {
                Ok(_) => report.ok(check, format!("{} can be used", model.name)),
                Err(error) => report.error(check, chain(error)),
            },
        }
    }
}

fn camera(loaded: &Loaded, detector: &DetectorConfig, report: &mut Report) {
    let check = format!("detector {}: camera", detector.name);
    match &detector.camera {
        CameraConfig::V4l2(camera) => {
            let device = device_file(&camera.device);
            match device_problem(&device) {
                None => report.ok(check, format!("{} is there", device.display())),
                Some(problem) => report.error(
                    check,
                    loaded.mistake(Some(&detector.name), "camera.device", format!("{}: {problem}", device.display())),
                ),
            }
        }
        CameraConfig::Stream(_) => report.ok(check, "a stream; it is not asked before running"),
        CameraConfig::Replay(replay) => match fs::metadata(&replay.path) {
            Ok(about) if about.is_file() || about.is_dir() => {
                report.ok(check, format!("{} is there", replay.path.display()));
            }
            Ok(_) => {
                let problem = format!("{} is neither a file nor a folder", replay.path.display());
                report.mistake(check, loaded.mistake(Some(&detector.name), "camera.path", problem));
            }
            Err(error) => {
                let problem = format!("cannot find {}: {error}", replay.path.display());
                report.mistake(check, loaded.mistake(Some(&detector.name), "camera.path", problem));
            }
        },
    }
}

fn state_dir(folder: &Path, outbox: &OutboxConfig, report: &mut Report) {
    let existing = match nearest_existing(folder) {
        Some(existing) if !existing.is_dir() => {
            return report.error("state folder", format!("{} is not a folder", existing.display()));
        }
        Some(existing) => existing,
        None => return report.error("state folder", format!("{} cannot be made", folder.display())),
    };
    if access(&existing, AccessFlags::W_OK | AccessFlags::X_OK).is_err() {
        let problem = format!(
            "{} cannot be written by this user; change its owner, or set `state_dir` to another folder",
            existing.display()
        );
        return report.error("state folder", problem);
    }
    let made = if existing == folder { "can be written" } else { "will be made" };
    report.ok("state folder", format!("{} {made}", folder.display()));
    let Ok(about) = statvfs(&existing) else {
        return report.add("disk space", Verdict::Warning, format!("{} does not tell", existing.display()));
    };
    let free = about.blocks_available() * about.fragment_size();
    let detail = format!("{} MiB free at {}", free >> 20, existing.display());
    if free < LEAST_FREE_BYTES {
        report.error("disk space", format!("{detail}, at least {} are needed", LEAST_FREE_BYTES >> 20));
    } else if free < outbox.max_bytes {
        let detail = format!("{detail}, less than `outbox.max_bytes` ({} MiB)", outbox.max_bytes >> 20);
        report.add("disk space", Verdict::Warning, detail);
    } else {
        report.ok("disk space", detail);
    }
}

/// Where the key is that what the outbox stores is encrypted with.
fn outbox_key(settings: &Settings, report: &mut Report) {
    let file = outbox::key_file(&settings.state_dir);
    let detail = match (&settings.outbox.key, file.exists()) {
        (Some(_), _) => "given by the configuration".into(),
        (None, true) => format!("in {}; `outbox.key` takes a credential instead", file.display()),
        (None, false) => format!("will be made in {}; `outbox.key` takes a credential instead", file.display()),
    };
    report.ok("outbox key", detail);
}

/// What `if` says; everything else of a rule has been checked with the configuration.
fn rules(loaded: &Loaded, detector: &DetectorConfig, report: &mut Report) {
    match Rules::new(detector.rules.clone(), detector.time_zone, Duration::ZERO, |_| None) {
        Ok(_) => {}
        Err(RuleError::BadCondition { rule, problem }) => {
            let problem = format!("this is not an expression over the event: {problem}");
            let mistake = loaded.rule_mistake(&detector.name, &rule, "if", problem);
            report.mistake(format!("rule {rule}"), mistake);
        }
        Err(error) => report.error(format!("rules of {}", detector.name), chain(error)),
    }
}

/// Templates, programs and files of one action.
fn action(loaded: &Loaded, name: &str, report: &mut Report) {
    let (check, config) = (format!("action {name}"), &loaded.settings.actions[name]);
    match Actions::new(&BTreeMap::from([(name.to_owned(), config.clone())]), None) {
        Ok(_) => {}
        Err(ActionError::Wrong { keys, .. }) => {
            let key_of = |key: &str| format!("action.{name}.{key}");
            let wrong = keys.into_iter().map(|WrongKey { key, problem }| loaded.mistake(None, &key_of(&key), problem));
            return report.mistakes(&check, wrong.collect());
        }
        Err(error) => return report.error(check, chain(error)),
    }
    match config {
        ActionConfig::Mqtt(mqtt) => report.ok(check, format!("publishes to {}", mqtt.topic)),
        ActionConfig::Exec(exec) => report.ok(check, format!("{} can be run", exec.program.display())),
        ActionConfig::Webhook(webhook) if webhook.preset.is_some() => report.ok(check, "a preset's request"),
        ActionConfig::Webhook(webhook) => report.ok(check, format!("a {} request", webhook.method)),
        ActionConfig::Relay(relay) => match look_at_line(relay) {
            Ok(line) => report.ok(check, line),
            Err(problem) => report.error(check, problem),
        },
        ActionConfig::Email(email) => {
            report.ok(check, format!("a mail to {} through {}:{}", email.to.len(), email.host, email.port()));
        }
        ActionConfig::Syslog(syslog) => report.ok(check, format!("a line to {}", syslog.to)),
        ActionConfig::Identities(_) => report.ok(check, "something written back to the engine"),
        ActionConfig::Journal(journal) => match can_be_written(&journal.path) {
            Ok(()) => report.ok(check, format!("{} can be written", journal.path.display())),
            Err(problem) => report.error(check, problem),
        },
    }
}

/// The broker's address and certificates; with `online` whether it lets us in.
fn broker(loaded: &Loaded, online: bool, report: &mut Report) {
    let check = "MQTT broker";
    match loaded.settings.mqtt.as_ref().map(Broker::new) {
        None => {}
        Some(Err(ActionError::Broker { key, problem })) => {
            report.mistake(check, loaded.mistake(None, &format!("mqtt.{key}"), problem));
        }
        Some(Err(error)) => report.error(check, chain(error)),
        Some(Ok(broker)) if online => match runtime().map(|runtime| runtime.block_on(broker.probe())) {
            Ok(Ok(())) => report.ok(check, format!("{} lets us in", broker.address())),
            Ok(Err(problem)) => report.error(check, format!("{}: {problem}", broker.address())),
            Err(error) => report.error(check, format!("{error:#}")),
        },
        Some(Ok(broker)) => report.ok(check, format!("{}, which is not asked without --online", broker.address())),
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start tokio")
}

fn can_be_written(file: &Path) -> Result<(), String> {
    let (place, flags) = if file.exists() {
        (file.to_owned(), AccessFlags::W_OK)
    } else {
        let folder = file.parent().and_then(nearest_existing).unwrap_or_else(|| "/".into());
        (folder, AccessFlags::W_OK | AccessFlags::X_OK)
    };
    access(&place, flags).map_err(|error| format!("{} cannot be written: {error}", place.display()))
}

/// The folder itself, or the nearest one above it that is there.
fn nearest_existing(folder: &Path) -> Option<PathBuf> {
    let start = if folder.is_absolute() { folder.to_owned() } else { std::env::current_dir().ok()?.join(folder) };
    start.ancestors().find(|path| path.symlink_metadata().is_ok()).map(Path::to_owned)
}

/// `/dev/video2` for `2`, a link under /dev/v4l/by-id for a name.
fn device_file(device: &str) -> PathBuf {
    if device.contains('/') {
        device.into()
    } else if let Ok(index) = device.parse::<u32>() {
        format!("/dev/video{index}").into()
    } else {
        Path::new("/dev/v4l/by-id").join(device)
    }
}

fn device_problem(device: &Path) -> Option<String> {
    match fs::metadata(device) {
        Err(error) => Some(format!("{error}; is the camera plugged in? `ls /dev/v4l/by-id` shows those that are")),
        Ok(about) if !about.file_type().is_char_device() => Some("this is not a camera device".into()),
        Ok(_) => access(device, AccessFlags::R_OK | AccessFlags::W_OK)
            .err()
            .map(|error| format!("{error}; add the user doorward runs as to the group `video`")),
    }
}

/// An error with its causes, in a line.
fn chain(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

fn store(loaded: &Loaded) -> ModelStore {
    ModelStore::locate(loaded.settings.models.dir.as_deref())
}

impl Report {
    fn add(&mut self, name: impl Into<String>, verdict: Verdict, detail: impl ToString) {
        self.checks.push(Check { name: name.into(), verdict, detail: detail.to_string() });
    }

    fn ok(&mut self, name: impl Into<String>, detail: impl ToString) {
        self.add(name, Verdict::Ok, detail);
    }

    fn error(&mut self, name: impl Into<String>, detail: impl ToString) {
        self.add(name, Verdict::Error, detail);
    }

    fn mistake(&mut self, name: impl Into<String>, mistake: config::Mistake) {
        self.mistakes(&name.into(), vec![mistake]);
    }

    /// Tells what one check finds wrong, but for keys that another check has told of.
    fn mistakes(&mut self, name: &str, mut mistakes: Vec<config::Mistake>) {
        let of = |mistake: &config::Mistake| (mistake.place.clone(), mistake.key.clone());
        mistakes.retain(|mistake| !self.told.contains(&of(mistake)));
        self.told.extend(mistakes.iter().map(of));
        mistakes.into_iter().for_each(|mistake| self.add(name, Verdict::BadConfiguration, mistake));
    }

    fn worst(&self) -> Verdict {
        self.checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Ok)
    }

    fn exit(&self) -> ExitCode {
        match self.worst() {
            Verdict::Ok | Verdict::Warning => ExitCode::SUCCESS,
            Verdict::Error => ExitCode::FAILURE,
            Verdict::BadConfiguration => ExitCode::from(78),
        }
    }

    fn lines(&self) -> String {
        let line = |Check { name, verdict, detail }: &Check| format!("{:<8} {name}: {detail}\n", verdict.word());
        let count = |word| self.checks.iter().filter(|check| check.verdict.word() == word).count();
        let last = format!("{} ok, {} warnings, {} errors\n", count("ok"), count("warning"), count("error"));
        self.checks.iter().map(line).chain([last]).collect()
    }

    fn json(&self) -> String {
        let check =
            |check: &Check| json!({ "name": check.name, "result": check.verdict.word(), "detail": check.detail });
        let checks: Vec<_> = self.checks.iter().map(check).collect();
        format!("{}\n", json!({ "ok": self.worst() <= Verdict::Warning, "checks": checks }))
    }
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error | Self::BadConfiguration => "error",
        }
    }
}
