//! `doorward models pull|list|verify`: the files doorward needs, fetched and checked.
//!
//! In: the subcommand. Out: one line per file, or JSON. Without `--json`, what went wrong and the progress go to
//! standard error.

use std::io::{ErrorKind, IsTerminal};
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use faces::models::{Entry, ModelError, ModelStore, Presence, Role};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{CommandResult, complain, print_line};
use crate::cli::ModelsCommand;
use crate::models::{FetchError, Outcome, Patience, Pulled, Step, pull};
use crate::terminal::ExitCode;

/// Works in the folder [`ModelStore::locate`] finds.
pub fn run(command: ModelsCommand) -> CommandResult {
    run_in(&ModelStore::locate(None), command)
}

/// Works in the folder given.
pub fn run_in(store: &ModelStore, command: ModelsCommand) -> CommandResult {
    match command {
        ModelsCommand::Pull { names, from } => pull_files(store, &names, &from),
        ModelsCommand::List { json } => list(store, json),
        ModelsCommand::Verify { json } => verify(store, json),
    }
}

/// Without names it is enough that every role has a file; with names each of them must be there.
fn pull_files(store: &ModelStore, names: &[String], from: &[PathBuf]) -> CommandResult {
    // One download after the other: one thread is enough.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let mut display = Display::new();
    let pulled = runtime.block_on(pull(store, names, from, Patience::default(), &mut |step| display.show(step)));
    // A name that is still being looked up must not hold us up.
    runtime.shutdown_background();
    display.clear();
    let pulled = pulled.map_err(|error| {
        let denied = matches!(&error, FetchError::Model(ModelError::File { source, .. }) if source.kind() == ErrorKind::PermissionDenied);
        let error = anyhow::Error::from(error);
        if denied { error.context("run it as root, or name another folder in DOORWARD_MODELS_DIR") } else { error }
    })?;

    let missed: Vec<&str> = pulled.iter().filter(|one| !one.outcome.is_here()).map(|one| one.name.as_str()).collect();
    if !names.is_empty() {
        return if missed.is_empty() {
            Ok(ExitCode::SUCCESS)
        } else {
            Err(anyhow!("not every file named could be had: {} missing in {}", are(&missed), store.dir().display())
                .into())
        };
    }
    let served = |role: Role| {
        // ORT_DYLIB_PATH may name a library of this machine's own.
        let elsewhere = role == Role::Runtime && store.runtime().is_ok();
        elsewhere || pulled.iter().any(|one| one.role == role && one.outcome.is_here())
    };
    let unserved: Vec<&str> = Role::ALL.into_iter().filter(|role| !served(*role)).map(Role::name).collect();
    if !unserved.is_empty() {
        let hint = "give a folder that has the files with `--from DIR`";
        return Err(anyhow!("no usable file for: {}; {hint}, or try again later", unserved.join(", ")).into());
    }
    if !missed.is_empty() {
        complain(&format!("{} missing; what is here does the work", are(&missed)));
    }
    for role in [Role::Detector, Role::Embedder] {
        if let Some(entry) = store.auto(role) {
            complain(&format!("the {role} is `{}`", entry.name));
        }
    }
    complain(&format!("the files are in {}", store.dir().display()));
    Ok(ExitCode::SUCCESS)
}

fn list(store: &ModelStore, json: bool) -> CommandResult {
    let auto =
        |entry: &Entry| entry.role != Role::Picture && store.auto(entry.role).is_some_and(|a| a.name == entry.name);
    if json {
        let entries: Vec<_> = store
            .manifest()
            .entries()
            .iter()
            .map(|entry| {
                json!({
                    "name": entry.name,
                    "role": entry.role.name(),
                    "licence": entry.licence,
                    "about": entry.about,
                    "usable": entry.runs_here(),
                    "present": store.presence(entry) == Presence::Present,
                    "auto": auto(entry),
                    "path": store.path(entry),
                    "bytes": entry.bytes,
                    "sha256": entry.sha256,
                })
            })
            .collect();
        print_line(&format!("{}", json!(entries)));
        return Ok(ExitCode::SUCCESS);
    }
    print_line(&format!("in {}", store.place()));
    print_line("");
    print_line(&format!("{:<19} {:<9} {:<8} {:>8}  licence", "name", "role", "state", "MB"));
    for entry in store.manifest().entries() {
        let state = match store.presence(entry) {
            Presence::Present if auto(entry) => "in use",
            Presence::Present => "here",
            Presence::WrongSize(_) => "damaged",
            Presence::Missing if !entry.runs_here() => "foreign",
            Presence::Missing => "missing",
        };
        let megabytes = entry.bytes as f64 / 1e6;
        print_line(&format!("{:<19} {:<9} {state:<8} {megabytes:>8.1}  {}", entry.name, entry.role, entry.licence));
    }
    print_line("");
    print_line("`in use` is what `model = \"auto\"` takes");
    Ok(ExitCode::SUCCESS)
}

/// Hashes what is there. What is missing is no fault, unless everything is.
fn verify(store: &ModelStore, json: bool) -> CommandResult {
    let results: Vec<(&Entry, Result<(), ModelError>)> =
        store.manifest().entries().iter().map(|entry| (entry, store.verify(entry))).collect();
    let state = |result: &Result<(), ModelError>| match result {
        Ok(()) => "ok",
        Err(ModelError::NotPresent { .. }) => "missing",
        Err(_) => "damaged",
    };
    if json {
        let line = |(entry, result): &(&Entry, Result<(), ModelError>)| {
            json!({
                "name": entry.name,
                "role": entry.role.name(),
                "state": state(result),
                "path": store.path(entry),
                "problem": result.as_ref().err().map(ToString::to_string),
            })
        };
        print_line(&format!("{}", json!(results.iter().map(line).collect::<Vec<_>>())));
    } else {
        for (entry, result) in &results {
            print_line(&format!("{:<19} {}", entry.name, state(result)));
        }
    }
    let damaged: Vec<&(&Entry, _)> = results.iter().filter(|(_, result)| state(result) == "damaged").collect();
    if !damaged.is_empty() {
        let told = damaged
            .iter()
            .filter_map(|(_, result)| result.as_ref().err().map(|error| reason(error)))
            .collect::<Vec<_>>();
        return Err(anyhow!(told.join("\n")).into());
    }
    if results.iter().all(|(_, result)| result.is_err()) {
        return Err(
            anyhow!("no file of the manifest is in {}: run `doorward models pull`", store.dir().display()).into()
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The bar while a file comes, and a line when it is through. Without a terminal only the lines.
struct Display {
    bar: ProgressBar,
}

impl Display {
    fn new() -> Self {
        Self { bar: ProgressBar::hidden() }
    }

    fn show(&mut self, step: Step<'_>) {
        match step {
            Step::Waiting => complain("another pull is writing to the folder; waiting for it to end"),
            Step::Trying { name, origin, bytes } => self.start(name, origin, bytes),
            Step::Received(bytes) => self.received(bytes),
            Step::Ended(pulled) => {
                self.clear();
                told(pulled);
            }
        }
    }

    /// Shows that a source is being tried; how much has come is shown once the first bytes have.
    fn start(&mut self, name: &str, origin: &str, bytes: u64) {
        self.clear();
        if !std::io::stderr().is_terminal() {
            return;
        }
        self.bar = ProgressBar::new(bytes).with_prefix(name.to_owned()).with_message(origin.to_owned());
        self.style("{prefix:<19} {spinner} from {msg}");
        self.bar.enable_steady_tick(std::time::Duration::from_millis(120));
    }

    fn received(&mut self, bytes: u64) {
        if self.bar.position() == 0 {
            self.style("{prefix:<19} {bytes:>10} of {total_bytes:<10} {bar:24} from {msg}");
        }
        self.bar.set_position(bytes);
    }

    fn style(&mut self, template: &str) {
        // A wrong template would only look plain.
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
    }

    fn clear(&mut self) {
        self.bar.finish_and_clear();
        self.bar = ProgressBar::hidden();
    }
}

fn told(pulled: &Pulled) {
    let name = &pulled.name;
    match &pulled.outcome {
        Outcome::Kept => print_line(&format!("{name:<19} is here")),
        Outcome::Fetched { origin } => print_line(&format!("{name:<19} fetched from {origin}")),
        Outcome::Missed { reasons } => {
            print_line(&format!("{name:<19} not to be had"));
            for error in reasons {
                complain(&format!("{:<19}   {}", "", reason(error)));
            }
        }
    }
}

/// The error and the innermost of its causes, which is the one that tells something.
fn reason(error: &dyn std::error::Error) -> String {
    let innermost = std::iter::successors(error.source(), |cause| (*cause).source()).last();
    match innermost {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn are(names: &[&str]) -> String {
    let list = names.join(", ");
    if names.len() == 1 { format!("{list} is") } else { format!("{list} are") }
}
