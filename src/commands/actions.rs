//! `doorward actions test`: performs one configured action for a made-up visitor, so that a relay, a mail or a webhook
//! can be tried without anybody at the door.
//!
//! In: an action's name, and as much of an event as matters. Out: what became of it, and exit code 1 when it was not
//! done. It is really performed; no rule is asked and nothing is recorded.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use identities::Client;
use identities::text;
use serde_json::json;
use strum::IntoEnumIterator;
use uuid::Uuid;

use super::test_event::{TestEvent, read};
use super::{CommandResult, print_either, print_line};
use crate::actions::{ActionResult, Actions, Outcome};
use crate::cli::{ActionsCommand, ActionsTestArgs};
use crate::config::{ActionConfig, DetectorName, EventKind, OutcomeKind, RuleConfig, Settings};
use crate::rules::{ActionRequest, RuleClock, Rules};
use crate::terminal::ExitCode;
use crate::track::VisitId;

/// Of what a receiver or a program said, this much is shown.
const SHOWN: usize = 2_000;
/// A detector's name where none is configured yet.
const NO_DETECTOR: &str = "test door";

pub async fn run(command: ActionsCommand) -> CommandResult {
    let ActionsCommand::Test(args) = command;
    let settings = super::load_config(&args.config)?.settings;
    let config = settings.actions.get(&*text::composed(&args.name)).ok_or_else(|| {
        let names: Vec<_> = settings.actions.keys().map(String::as_str).collect();
        match names.is_empty() {
            true => anyhow!("there is no action; the configuration needs a section `[action.{}]`", args.name),
            false => anyhow!("there is no action `{}`; there are {}", args.name, names.join(", ")),
        }
    })?;
    if matches!(config, ActionConfig::Mqtt(_)) {
        // A second connection under the box's name would end the running service's, and its last will would go out.
        return Err(anyhow!(
            "`{}` publishes through the running service's connection, which this command has not; `doorward check \
             --online` asks the broker",
            args.name
        ));
    }
    let client = settings.identities.as_ref().map(|identities| Client::new(&identities.client())).transpose()?;
    let actions = Actions::new(&BTreeMap::from([(args.name.clone(), config.clone())]), client.as_ref(), None)?;
    let mut request = request(&settings, &args)?;
    if actions.is_actuator(&args.name) && !request.late {
        request.expires_at = Some(Instant::now() + Duration::from_millis(settings.outbox.late_after_ms));
    }
    if let Some(file) = &args.picture {
        let picture = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        request.picture = Some(picture.into());
    }
    let stop = crate::agent::stop_on_signal()?;
    // Dropped when told to stop: a relay is switched off, a program killed.
    let outcome = tokio::select! {
        outcome = actions.perform(request) => outcome,
        () = stop.cancelled() => bail!("stopped before `{}` was done", args.name),
    };
    tell(&outcome, args.json)?;
    Ok(if outcome.result == ActionResult::Done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a rule would ask for, had one fired.
fn request(settings: &Settings, args: &ActionsTestArgs) -> anyhow::Result<ActionRequest> {
    let event = match &args.event {
        Some(file) => read(file)?.into_iter().next().context("the file holds no event")?,
        None => json!({
            "confidence": 0.99,
            "match_confidence": 0.95,
            "person": { "id": Uuid::nil(), "name": "Test Visitor", "tags": ["test"] },
        }),
    };
    let event = TestEvent::parse(event).context("cannot read the event")?;
    let only = "only a recognition can be made up; leave `event` out";
    ensure!(event.event.unwrap_or_default() == EventKind::Recognition, only);
    let first = settings.detectors.first();
    let name = event.detector.as_deref().or(first.map(|detector| detector.name.as_str())).unwrap_or(NO_DETECTOR);
    let detector = DetectorName::new(name).map_err(anyhow::Error::msg)?;
    let zone = settings.detector(detector.as_str()).or(first).map_or(chrono_tz::UTC, |detector| detector.time_zone);
    let quality = event.quality.unwrap_or(1.0);
    let mut recognition = event.recognition(0, detector)?;
    // A visit of its own: receivers that know an event by its id take every test for a new one.
    recognition.visit = VisitId(Uuid::now_v7());
    let mut rule = RuleConfig::new("test", vec![args.name.clone()]);
    rule.when.outcome = OutcomeKind::iter().collect();
    let clock = RuleClock { utc: recognition.seen_at, late: recognition.arrived.is_none() };
    let mut rules = Rules::new(vec![rule], zone, Duration::ZERO, |_| None)?;
    let asked = rules.judge(&recognition, quality, clock, &[]).requests;
    asked.into_iter().next().context("the event asks for nothing")
}

fn tell(outcome: &Outcome, json: bool) -> CommandResult {
    let result = outcome.result.label().replace('_', " ");
    let reason = match &outcome.result {
        ActionResult::Expired => Some("a late event never moves anything"),
        ActionResult::DryRun => Some("`dry_run` is on: nothing was done"),
        other => other.reason(),
    };
    let Outcome { action, key, said, .. } = outcome;
    let took_ms = outcome.took.as_millis() as u64;
    let line =
        json!({ "action": action, "result": result, "reason": reason, "took_ms": took_ms, "id": key, "said": said });
    print_either(json, &line, || {
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        print_line(&format!("{action}: {result} after {took_ms} ms{reason}"));
        if let Some(said) = said {
            let shown = &said[..said.floor_char_boundary(SHOWN)];
            let more = if shown.len() < said.len() { " …" } else { "" };
            print_line(&format!("  it said: {}{more}", shown.trim_end()));
        }
    })
}
