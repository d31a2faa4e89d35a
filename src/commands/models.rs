//! `doorward models pull|list|verify`: the files doorward needs, fetched and checked.
//!
//! In: the subcommand. Out: one line per file, or JSON. Without `--json`, what went wrong and the progress go to
//! standard error.

use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::bail;
use faces::models::{Entry, ModelError, ModelStore, Presence, Role};
use indicatif::ProgressBar;
use serde_json::json;

use super::{CommandResult, complain, print_either, print_json, print_line, table};
use crate::cli::ModelsCommand;
use crate::models::{FetchError, Outcome, Patience, Pulled, Step, pull};
use crate::terminal::{ExitCode, with_causes};

/// Works in the folder that [`ModelStore::locate`] finds.
pub async fn run(command: ModelsCommand) -> CommandResult {
    let store = ModelStore::locate(None);
    match command {
        ModelsCommand::Pull { names, from } => pull_files(&store, &names, &from).await,
        ModelsCommand::List { json } => list(&store, json),
        ModelsCommand::Verify { json } => verify(&store, json),
    }
}

/// Without names it is enough that every role has a file, but for those that are optional; with names each of them must
/// be there.
async fn pull_files(store: &ModelStore, names: &[String], from: &[PathBuf]) -> CommandResult {
    let mut bar = ProgressBar::hidden();
    let pulled = pull(store, names, from, Patience::default(), &mut |step| show(&mut bar, step)).await;
    bar.finish_and_clear();
    let pulled = pulled.map_err(|error| {
        let denied = |source: &std::io::Error| source.kind() == ErrorKind::PermissionDenied;
        let denied = matches!(&error, FetchError::Model(ModelError::File { source, .. }) if denied(source));
        let error = anyhow::Error::from(error);
        if denied { error.context("run it as root, or name another folder in DOORWARD_MODELS_DIR") } else { error }
    })?;

    let missed: Vec<&str> = pulled.iter().filter(|one| !one.outcome.is_here()).map(|one| one.name.as_str()).collect();
    if !names.is_empty() && !missed.is_empty() {
        bail!("not every file named could be had; missing in {}: {}", store.dir().display(), missed.join(", "));
    }
    if !names.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let served = |role: Role| {
        // ORT_DYLIB_PATH may name a library of this machine's own.
        let elsewhere = role == Role::Runtime && store.runtime().is_ok();
        elsewhere || pulled.iter().any(|one| one.role == role && one.outcome.is_here())
    };
    let needed = Role::ALL.into_iter().filter(|role| !role.is_optional());
    let unserved: Vec<&str> = needed.filter(|role| !served(*role)).map(|role| role.into_str()).collect();
    if !unserved.is_empty() {
        let roles = unserved.join(", ");
        bail!("no usable file for: {roles}; give a folder that has the files with `--from DIR`, or try again later");
    }
    if !missed.is_empty() {
        complain(&format!("what is here does the work; missing: {}", missed.join(", ")));
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
    let auto = |entry: &Entry| match entry.role {
        Role::Picture => false,
        // They are asked together.
        Role::Liveness => store.presence(entry) == Presence::Present,
        role => store.auto(role).is_some_and(|auto| auto.name == entry.name),
    };
    let entries = store.manifest().entries();
    if json {
        let entry = |entry: &Entry| {
            json!({
                "name": entry.name,
                "role": entry.role.into_str(),
                "licence": entry.licence,
                "about": entry.about,
                "usable": entry.runs_here(),
                "present": store.presence(entry) == Presence::Present,
                "auto": auto(entry),
                "path": store.path(entry),
                "bytes": entry.bytes,
                "sha256": entry.sha256,
            })
        };
        return print_json(&entries.iter().map(entry).collect::<Vec<_>>());
    }
    print_line(&format!("in {}", store.place()));
    print_line("");
    let row = |entry: &Entry| {
        let state = match store.presence(entry) {
            Presence::Present if auto(entry) => "in use",
            Presence::Present => "here",
            Presence::WrongSize(_) => "damaged",
            Presence::Missing if !entry.runs_here() => "foreign",
            Presence::Missing => "missing",
        };
        let megabytes = format!("{:.1}", entry.bytes as f64 / 1e6);
        [&entry.name, entry.role.into_str(), state, &megabytes, &entry.licence].map(str::to_owned)
    };
    table::print(["name", "role", "state", "MB", "licence"], entries.iter().map(row), "none");
    print_line("");
    print_line("`in use` is what `model = \"auto\"` takes");
    Ok(ExitCode::SUCCESS)
}

/// Hashes what is there. What is missing is no fault, unless everything is.
fn verify(store: &ModelStore, json: bool) -> CommandResult {
    let results: Vec<_> = store.manifest().entries().iter().map(|entry| (entry, store.verify(entry).err())).collect();
    let state = |problem: &Option<ModelError>| match problem {
        None => "ok",
        Some(ModelError::NotPresent { .. }) => "missing",
        Some(_) => "damaged",
    };
    let line = |(entry, problem): &(&Entry, Option<ModelError>)| {
        json!({
            "name": entry.name,
            "role": entry.role.into_str(),
            "state": state(problem),
            "path": store.path(entry),
            "problem": problem.as_ref().map(ToString::to_string),
        })
    };
    print_either(json, &results.iter().map(line).collect::<Vec<_>>(), || {
        results.iter().for_each(|(entry, problem)| print_line(&format!("{:<19} {}", entry.name, state(problem))));
    })?;
    let problems = || results.iter().filter_map(|(_, problem)| problem.as_ref());
    let damaged = problems().filter(|problem| !matches!(problem, ModelError::NotPresent { .. }));
    let damaged: Vec<_> = damaged.map(|problem| with_causes(problem)).collect();
    if !damaged.is_empty() {
        bail!(damaged.join("\n"));
    }
    if problems().count() == results.len() {
        let dir = store.dir().display();
        bail!("no file of the manifest is in {dir}: run `doorward models pull`");
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows a step of a pull: a bar while a file comes, and a line when it is through. Without a terminal only the lines.
fn show(bar: &mut ProgressBar, step: Step<'_>) {
    match step {
        Step::Waiting => complain("another pull is writing to the folder; waiting for it to end"),
        Step::Trying { name, origin, bytes } => {
            bar.finish_and_clear();
            *bar = table::bar("{prefix:<19} {spinner} {bytes:>10} of {total_bytes:<10} {bar:24} from {msg}")
                .with_prefix(name.to_owned())
                .with_message(origin.to_owned());
            bar.set_length(bytes);
            bar.enable_steady_tick(std::time::Duration::from_millis(120));
        }
        Step::Received(bytes) => bar.set_position(bytes),
        Step::Ended(pulled) => {
            bar.finish_and_clear();
            told(pulled);
        }
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
                complain(&format!("{:<19}   {}", "", with_causes(error)));
            }
        }
    }
}
