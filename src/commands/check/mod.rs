//! `doorward check`: everything that can be known before running.
//!
//! In: the configuration and this machine. Out: one line per check with ok, warning or error, or one JSON document.
//! Nothing is written; only `--online` opens cameras and leaves the machine.

mod acceptance;
mod doors;
mod machine;
mod report;

use std::collections::BTreeMap;
use std::time::Duration;

use faces::models::{ModelStore, Role};
use faces::{detect, embed, liveness, onnx};
use identities::{Client, ClientError, Heard};

use self::report::Report;
use super::CommandResult;
use crate::actions::mqtt::Broker;
use crate::actions::{ActionError, Actions, WrongKey, look_at_line};
use crate::cli::CheckArgs;
use crate::config::{self, ActionConfig, DetectorConfig, Loaded, Settings, Surroundings};
use crate::outbox;
use crate::rules::{RuleError, Rules};
use crate::terminal::{self, ExitCode, with_causes};

/// Checks, prints, and tells by the exit code: 0, 1 when this machine is not ready, 78 when the configuration is wrong.
pub async fn run(args: CheckArgs) -> CommandResult {
    if args.print {
        super::print_lines(super::load_config(&args.config)?.to_text().trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let mut report = Report::default();
    match config::look(args.config.config.as_deref(), &Surroundings::of_process()) {
        (Some(loaded), mistakes) if mistakes.is_empty() => everything(&loaded, args.online, &mut report).await,
        (rest, mistakes) => {
            report.mistakes("configuration", mistakes);
            rest.iter().for_each(|rest| report.mistakes_among(|found| other_mistakes(rest, found)));
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

async fn everything(loaded: &Loaded, online: bool, report: &mut Report) {
    let Settings { detectors, actions, .. } = &loaded.settings;
    configuration(loaded, report);
    let runtime = models(loaded, report);
    for detector in detectors {
        detector_models(loaded, detector, runtime, report);
        machine::camera(loaded, detector, online, report).await;
        rules(loaded, detector, report);
    }
    machine::state_dir(&loaded.settings.state_dir, &loaded.settings.outbox, report);
    outbox_key(&loaded.settings, report);
    for name in actions.keys() {
        action(loaded, name, report);
    }
    broker(loaded, online, report).await;
    let heard = engine(loaded, online, report).await;
    for detector in detectors {
        doors::look(loaded, detector, heard.as_ref(), report);
    }
}

/// The engine's address and certificates; with `online` the acceptance test, and what the engine has told of itself.
async fn engine(loaded: &Loaded, online: bool, report: &mut Report) -> Option<Heard> {
    match Client::new(&loaded.settings.identities.as_ref()?.client()) {
        Ok(client) if online => return acceptance::run(&loaded.settings, &client, report).await,
        Ok(client) => report.ok("engine", format!("{}, which is not asked without --online", client.host())),
        Err(error) => {
            let key = match error {
                ClientError::Trust(_) => Some("identities.ca_file"),
                ClientError::BadUrl { .. } | ClientError::PlainHttp { .. } => Some("identities.url"),
                _ => None,
            };
            match key {
                Some(key) => report.mistake("engine", loaded.mistake(None, key, with_causes(&error))),
                None => report.error("engine", with_causes(&error)),
            }
        }
    }
    None
}

/// What else is wrong in a configuration that has mistakes: templates and expressions. Whether this machine is ready
/// for it does not matter yet.
fn other_mistakes(rest: &Loaded, report: &mut Report) {
    rest.settings.detectors.iter().for_each(|detector| rules(rest, detector, report));
    rest.settings.actions.keys().for_each(|name| action(rest, name, report));
}

fn configuration(loaded: &Loaded, report: &mut Report) {
    let files: Vec<_> = loaded.files.iter().map(|file| file.to_string_lossy()).collect();
    report.ok("configuration", format!("read from {}", files.join(", ")));
    for warning in &loaded.warnings {
        report.warning("configuration", warning.to_string());
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
    let loaded = found.and_then(|library| onnx::init(&library).map(|()| library).map_err(anyhow::Error::from));
    match &loaded {
        Ok(library) => report.ok("ONNX Runtime", format!("loaded from {}", library.path().display())),
        Err(error) => report.error("ONNX Runtime", format!("{error:#}")),
    }
    loaded.is_ok()
}

/// The models of a detector: whether each is there, and does what it is for.
fn detector_models(loaded: &Loaded, detector: &DetectorConfig, runtime: bool, report: &mut Report) {
    let (store, threads) = (store(loaded), loaded.settings.models.threads);
    let mut look = |what: &str, role, key: &str, wanted: &str, proof: &str, load: &dyn Fn() -> Option<String>| {
        let check = format!("detector {}: {what}", detector.name);
        match store.choose(role, wanted) {
            // `auto` leaves the choice to what is there: then nothing being there is the machine's lack.
            Err(error) if wanted == "auto" => report.error(check, error),
            Err(error) => report.mistake(check, loaded.mistake(Some(&detector.name), key, error.to_string())),
            Ok(model) if !runtime => report.ok(check, format!("{} is there, but was not tried", model.name)),
            Ok(model) => match load() {
                None => report.ok(check, format!("{} {proof}", model.name)),
                Some(problem) => report.error(check, problem),
            },
        }
    };
    let (search, embedder) = (detector.detect.search(), &detector.embed.model);
    look("model", Role::Detector, "detect.model", &detector.detect.model, "finds the built-in face", &|| {
        detect::load(&store, &search, threads).err().map(|error| with_causes(&error))
    });
    if detector.identify.send_embedding {
        look("embedding model", Role::Embedder, "embed.model", embedder, "can be used", &|| {
            embed::load(&store, embedder, threads).err().map(|error| with_causes(&error))
        });
    }
    let Some(names) = detector.liveness.models.wanted() else { return };
    let check = format!("detector {}: liveness models", detector.name);
    match liveness::choose(&store, names) {
        Err(error) if names.is_empty() => report.error(check, error),
        Err(error) => report.mistake(check, loaded.mistake(Some(&detector.name), "liveness.models", error.to_string())),
        Ok(models) => {
            let listed = models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>().join(", ");
            let problem = runtime.then(|| liveness::load(&store, names, threads).err()).flatten();
            match problem {
                Some(error) => report.error(check, with_causes(&error)),
                None if models.len() < 2 => {
                    let alone = "alone it takes people for pictures at some cameras, and the other way round";
                    report.warning(check, format!("only {listed} is here; {alone}: see models/README.md"));
                }
                None if !runtime => report.ok(check, format!("{listed} are there, but were not tried")),
                None => report.ok(check, format!("{listed} can be used")),
            }
        }
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
        Err(error) => report.error(format!("rules of {}", detector.name), with_causes(&error)),
    }
}

/// Templates, programs and files of one action.
fn action(loaded: &Loaded, name: &str, report: &mut Report) {
    let (check, config) = (format!("action {name}"), &loaded.settings.actions[name]);
    match Actions::new(&BTreeMap::from([(name.to_owned(), config.clone())]), None, None) {
        Ok(_) => {}
        Err(ActionError::Wrong { keys, .. }) => {
            let key_of = |key: &str| format!("action.{name}.{key}");
            let wrong = keys.into_iter().map(|WrongKey { key, problem }| loaded.mistake(None, &key_of(&key), problem));
            return report.mistakes(&check, wrong.collect());
        }
        Err(error) => return report.error(check, with_causes(&error)),
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
        ActionConfig::Journal(journal) => match machine::can_be_written(&journal.path) {
            Ok(()) => report.ok(check, format!("{} can be written", journal.path.display())),
            Err(problem) => report.error(check, problem),
        },
    }
}

/// The broker's address and certificates; with `online` whether it lets us in.
async fn broker(loaded: &Loaded, online: bool, report: &mut Report) {
    let check = "MQTT broker";
    match loaded.settings.mqtt.as_ref().map(Broker::new) {
        None => {}
        Some(Err(ActionError::Broker { key, problem })) => {
            report.mistake(check, loaded.mistake(None, &format!("mqtt.{key}"), problem));
        }
        Some(Err(error)) => report.error(check, with_causes(&error)),
        Some(Ok(broker)) if online => match broker.probe().await {
            Ok(()) => report.ok(check, format!("{} lets us in", broker.address())),
            Err(problem) => report.error(check, format!("{}: {problem}", broker.address())),
        },
        Some(Ok(broker)) => report.ok(check, format!("{}, which is not asked without --online", broker.address())),
    }
}

fn store(loaded: &Loaded) -> ModelStore {
    ModelStore::locate(loaded.settings.models.dir.as_deref())
}
