//! `doorward identities import`: many people into an engine, several at a time.
//!
//! In: a folder or a CSV file. Out: people, their photos and records in the engine, and a report of every photo that is
//! not. It keeps nothing of its own: each photo goes in under a reference made from its content, the engine is asked
//! which it has, and parts of records have ids made from what they say. So it may be stopped, killed and run again.
//!
//! ```text
//! source ─plan▶ people to be ─person▶ engine
//!                    └──────── outcomes ──▶ report
//! ```

mod cut;
mod folder;
#[cfg(fuzzing)]
pub mod fuzzing;
mod person;
mod plan;
mod record;
mod report;
mod sheet;
mod source;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use anyhow::anyhow;
use futures_util::{StreamExt, stream};
use identities::text;
use identities::wire::TagWrite;
use identities::{Client, ClientError};

use super::access;
use crate::agent;
use crate::cli::{ImportArgs, ImportedPeople};
use crate::commands::CommandResult;
use crate::commands::doors::Doors;
use crate::commands::table::bar;
use crate::terminal::ExitCode;
use cut::Cut;
use person::Importer;
use report::Report;
use source::Plan;

pub async fn run(args: ImportArgs) -> CommandResult {
    let connect = || if args.dry_run { Ok(None) } else { access::connect(&args.access).map(Some) };
    people(args.what, args.access.config.config.as_deref(), connect).await
}

/// Imports people into the engine that `connect` gives; where it gives none, everything is read and nothing sent. The
/// configuration says where the doors are.
pub async fn people(
    what: ImportedPeople,
    config: Option<&Path>,
    connect: impl FnOnce() -> anyhow::Result<Option<Client>>,
) -> CommandResult {
    let source = what.source.clone();
    let bar = bar("reading photos {pos}");
    let reading = bar.clone();
    let doors = Doors::new(what.time_zone, config);
    let plan = tokio::task::spawn_blocking(move || plan::read(&source, &doors, &|| reading.inc(1))).await??;
    bar.finish_and_clear();
    for note in &plan.notes {
        eprintln!("doorward: {note}");
    }
    let mut report = Report::new(&plan);
    match connect()? {
        None => report.dry_run = true,
        Some(client) => {
            // Wrong addresses and passwords are known before anything begins.
            client.authenticate().await?;
            import(client, &plan, &what, &mut report).await?;
        }
    }
    report.finish();
    if let Some(file) = &what.report {
        report.write(file)?;
    }
    report.print(what.json)?;
    if let Some(error) = report.stop {
        return Err(error.context("the import stopped before its end; run it again, and it goes on from there"));
    }
    Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn import(client: Client, plan: &Plan, what: &ImportedPeople, report: &mut Report) -> anyhow::Result<()> {
    let cut = Cut::new(client.backoff());
    let (stop, stopped) = (agent::stop_on_signal()?, cut.clone());
    tokio::spawn(async move {
        stop.cancelled().await;
        stopped.stop(anyhow!("it was told to stop"));
    });
    let tags = match define_tags(&client, plan, &cut).await {
        Ok(tags) => tags,
        Err(error) => {
            report.stop = Some(anyhow!(error).context("the tags could not be defined"));
            return Ok(());
        }
    };
    let importer = Importer { client, tree: plan.tree.clone(), cut: cut.clone(), force: what.force, tags };
    let photos = plan.people.iter().map(|person| person.photos.len() as u64).sum();
    let bar = bar("{bar:30} {pos}/{len} photos, {per_sec}, {eta} left");
    bar.set_length(photos);
    let mut outcomes = stream::iter(&plan.people)
        .map(|person| {
            let (importer, bar) = (&importer, &bar);
            async move { (person, importer.import(person, &|| bar.inc(1)).await) }
        })
        .buffer_unordered(usize::from(what.jobs));
    while let Some((person, outcome)) = outcomes.next().await {
        report.add(person, outcome);
    }
    bar.finish_and_clear();
    drop(outcomes);
    report.stop = cut.reason();
    Ok(())
}

/// The id of every tag that is given to anybody, defined if need be, by its folded name.
async fn define_tags(client: &Client, plan: &Plan, cut: &Cut) -> Result<BTreeMap<String, String>, ClientError> {
    let carried = plan.people.iter().flat_map(|person| &person.record.tags).map(|tag| TagWrite::named(&tag.name));
    let mut ids = BTreeMap::new();
    // A definition before a carrier's spelling: the first of a word counts.
    for wanted in plan.tags.iter().cloned().chain(carried) {
        if let Entry::Vacant(entry) = ids.entry(text::folded(&wanted.tag_name)) {
            entry.insert(cut.patiently(async || client.ensure_tag(&wanted).await).await?);
        }
    }
    Ok(ids)
}
