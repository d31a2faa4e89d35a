//! `doorward purge`: erases what is stored of a person, of the past, or everything, and looks whether it is gone.
//!
//! In: a selection. Out: what was erased, where it was looked for afterwards, and what this machine cannot erase. Exit
//! code 1 when anything is still found, or may be still at the MQTT broker.

mod broker;

use std::path::PathBuf;

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use self::broker::AtBroker;
use super::{CommandResult, print_either, print_line};
use crate::actions::erase::{self, Fate};
use crate::cli::PurgeArgs;
use crate::config::{ActionConfig, Settings};
use crate::outbox::{self, Erased, Purge, Searched, Selection};
use crate::terminal::ExitCode;

/// An event file and how many of its lines were erased.
type Journal = (PathBuf, usize);

/// How a purge went.
struct Purged {
    purge: Purge,
    erased: Erased,
    journals: Vec<Journal>,
    searched: Searched,
    at_broker: AtBroker,
    /// What this command cannot erase.
    beyond: Vec<String>,
}

pub async fn run(args: PurgeArgs) -> CommandResult {
    let settings = super::load_config(&args.config)?.settings;
    let selection = match (args.person, args.before) {
        (Some(person), _) => Selection::Person(person),
        (None, Some(time)) => Selection::Before(time),
        (None, None) => Selection::All,
    };
    let mut purge = Purge::start(&settings.state_dir)?;
    let erased = purge.erase(&selection)?.clone();
    let journals = erase_events(&settings, &selection, &mut purge)?;
    let paths: Vec<PathBuf> = journals.iter().map(|(path, _)| path.clone()).collect();
    let searched = purge.prove(&paths)?;
    let at_broker = broker::clear(&settings, &selection, &purge).await?;
    let beyond = beyond_reach(&settings, &selection, &purge, &erased)?;
    let purged = Purged { purge, erased, journals, searched, at_broker, beyond };
    print_either(args.json, &purged.to_json(), || purged.tell())?;
    Ok(if purged.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Erases the events of every journal, wherever it is.
fn erase_events(settings: &Settings, selection: &Selection, purge: &mut Purge) -> anyhow::Result<Vec<Journal>> {
    let mut journals: Vec<Journal> = Vec::new();
    for action in settings.actions.values() {
        let ActionConfig::Journal(config) = action else { continue };
        for path in erase::files(config) {
            if journals.iter().any(|(other, _)| *other == path) {
                continue;
            }
            let mut visits = Vec::new();
            let erased = erase::erase(&path, |event| {
                if is_wanted(event, selection, purge) {
                    visits.extend(event["visit"].as_str().map(str::to_owned));
                    return Fate::Goes;
                }
                // Of a stranger's event only whom they came near to goes.
                if selects(selection, &event["nearest"]["id"], &Value::Null) {
                    event["nearest"] = Value::Null;
                    return Fate::Changed;
                }
                Fate::Stays
            })
            .with_context(|| format!("cannot erase events of {}", path.display()))?;
            if *selection == Selection::All {
                outbox::blank(&path).with_context(|| format!("cannot empty {}", path.display()))?;
            }
            visits.iter().for_each(|visit| purge.mark(visit));
            journals.push((path, erased));
        }
    }
    Ok(journals)
}

fn is_wanted(event: &Value, selection: &Selection, purge: &Purge) -> bool {
    if event["visit"].as_str().is_some_and(|visit| purge.has_erased(visit)) {
        return true;
    }
    selects(selection, &event["person"]["id"], &event["seen_at"])
}

/// Whether a selection is about what is told of a person, at a time.
fn selects(selection: &Selection, person_id: &Value, seen_at: &Value) -> bool {
    match selection {
        Selection::Person(id) => person_id.as_str().is_some_and(|person| person.eq_ignore_ascii_case(id)),
        Selection::Before(time) => {
            let seen_at = seen_at.as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok());
            seen_at.is_some_and(|seen_at| seen_at < *time)
        }
        Selection::All => true,
    }
}

/// What this command cannot erase.
fn beyond_reach(
    settings: &Settings,
    selection: &Selection,
    purge: &Purge,
    erased: &Erased,
) -> anyhow::Result<Vec<String>> {
    let mut beyond = Vec::new();
    if purge.beside_a_running_one() {
        let memory = "what the running doorward holds in memory, and shows on its status page or tells the MQTT \
                      broker when that is back: until it is restarted";
        beyond.push(memory.into());
        if *selection == Selection::All {
            beyond.push("the key, while doorward is running: stop it and purge again, and the key goes, too".into());
        }
    }
    let unanswered = purge.unanswered()?;
    if matches!(selection, Selection::Person(_)) && unanswered > 0 {
        beyond.push(format!("{unanswered} sightings that wait to be sent: nobody knows yet whose they are"));
    }
    if let Some(host) = settings.identities.as_ref().and_then(|identities| identities.url.host_str()) {
        beyond.push(format!("what the engine at {host} has stored: erase it there"));
    }
    let receivers = settings.actions.iter().filter(|(_, action)| !matches!(action, ActionConfig::Journal(_)));
    let told: Vec<&str> = receivers.map(|(name, _)| name.as_str()).collect();
    if !told.is_empty() {
        beyond.push(format!("what the receivers of these actions were told: {}", told.join(", ")));
    }
    let without_key = erased.files.iter().any(|file| file.ends_with("outbox.key"));
    let copies = match without_key {
        true => "encrypted copies that the disk keeps of its own accord: their key was erased as far as a file can be",
        false => {
            "copies that the disk keeps of its own accord (SSD, SD card, copying file systems): of the outbox they \
             are encrypted"
        }
    };
    beyond.push(copies.into());
    Ok(beyond)
}

impl Purged {
    /// Whether nothing is left of it, as far as anybody can tell.
    fn is_clean(&self) -> bool {
        self.searched.found.is_empty() && self.searched.unread.is_empty() && self.at_broker.left.is_empty()
    }

    fn tell(&self) {
        let Self { purge, erased, journals, searched, at_broker, beyond } = self;
        let Erased { visits, sightings, pictures, actions, nearest, files } = erased;
        print_line(&format!(
            "erased     {visits} visits, {sightings} sightings that waited, {pictures} kept pictures, {actions} actions"
        ));
        if *nearest > 0 {
            print_line(&format!("erased     that {nearest} pictures of somebody unknown came nearest to the person"));
        }
        for (path, events) in journals.iter().filter(|(_, events)| *events > 0) {
            print_line(&format!("erased     {events} events of {}", path.display()));
        }
        files.iter().for_each(|file| print_line(&format!("erased     {}", file.display())));
        at_broker.cleared.iter().for_each(|topic| print_line(&format!("erased     {topic} at the MQTT broker")));
        let (marks, count, bytes) = (purge.marks(), searched.files, searched.bytes);
        let left = match searched.found.len() {
            0 => "none is left".into(),
            left => format!("they are still in {left}"),
        };
        print_line(&format!("searched   {count} files, {bytes} bytes, for {marks} marks of it: {left}"));
        searched.found.iter().for_each(|file| print_line(&format!("STILL IN   {}", file.display())));
        for (file, error) in &searched.unread {
            print_line(&format!("NOT READ   {}: {error}", file.display()));
        }
        for left in &at_broker.left {
            print_line(&format!("STILL AT   the MQTT broker {} may be {}: {}", left.broker, left.topic, left.why));
        }
        beyond.iter().for_each(|what| print_line(&format!("not erased {what}")));
    }

    fn to_json(&self) -> Value {
        let Self { purge, erased, journals, searched, at_broker, beyond } = self;
        let journals: Vec<_> =
            journals.iter().map(|(file, events)| json!({ "file": file, "events": events })).collect();
        let unread: Vec<_> =
            searched.unread.iter().map(|(file, why)| json!({ "file": file, "why": why.to_string() })).collect();
        json!({
            "erased": {
                "visits": erased.visits,
                "sightings": erased.sightings,
                "pictures": erased.pictures,
                "actions": erased.actions,
                "nearest": erased.nearest,
                "files": erased.files,
                "journals": journals,
                "broker_topics": at_broker.cleared,
            },
            "searched": { "files": searched.files, "bytes": searched.bytes, "marks": purge.marks() },
            "still_in": searched.found,
            "not_read": unread,
            "still_at_broker": at_broker.left,
            "not_erased": beyond,
            "running": purge.beside_a_running_one(),
        })
    }
}
