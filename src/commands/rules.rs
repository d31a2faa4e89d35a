//! `doorward rules test`: made-up answers through the configured rules, and why each rule fires or does not.
//!
//! In: events as the journal writes them, as short as one likes, one by one in the order they happened; `expect` says which
//! rules must fire. Out: a verdict per rule, and exit code 1 when an expectation was not met. Nothing is performed.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{CommandResult, print_line};
use crate::cli::{RulesCommand, RulesTestArgs};
use crate::config::{ActionConfig, DetectorName, OutcomeKind, Settings};
use crate::identities::{Answer, Field, FieldValue, Known, Person, Recognition, Tag};
use crate::rules::{Decision, RuleClock, Rules, Verdict};
use crate::track::VisitId;

/// An event as it may be written: a line of the journal, or the few keys that matter.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TestEvent {
    /// The only detector when there is but one.
    detector: Option<String>,
    /// `known` with a person, else `unknown`.
    outcome: Option<OutcomeKind>,
    /// Now.
    seen_at: Option<DateTime<Utc>>,
    /// Any text; events of the same text are of one visit. Another visit for every event.
    visit: Option<String>,
    shot: Option<u8>,
    /// 1.
    quality: Option<f32>,
    confidence: Option<f32>,
    late: bool,
    reason: Option<String>,
    person: Option<TestPerson>,
    /// Names of the rules that must fire, in their order, and no others.
    expect: Option<Vec<String>>,
    // What a line of the journal holds besides.
    #[serde(rename = "event")]
    _event: IgnoredAny,
    #[serde(rename = "id")]
    _id: IgnoredAny,
    #[serde(rename = "rule")]
    _rule: IgnoredAny,
    #[serde(rename = "action")]
    _action: IgnoredAny,
    #[serde(rename = "time_zone")]
    _time_zone: IgnoredAny,
    #[serde(rename = "local_time")]
    _local_time: IgnoredAny,
    #[serde(rename = "sighting")]
    _sighting: IgnoredAny,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TestPerson {
    id: Option<String>,
    name: Option<String>,
    tags: Vec<TestTag>,
    fields: BTreeMap<String, Value>,
}

/// `"Staff"`, or `{ "name": "Staff", "expires": "2026-12-31T00:00:00Z" }`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum TestTag {
    Name(String),
    Whole { name: String, expires: Option<DateTime<Utc>> },
}

/// The rules of every detector, with what they remember.
struct House {
    rules: BTreeMap<DetectorName, Rules>,
}

pub fn run(command: RulesCommand) -> CommandResult {
    match command {
        RulesCommand::Test(args) => test(args),
    }
}

fn test(args: RulesTestArgs) -> CommandResult {
    let settings = super::load_config(args.config.config.as_deref())?.settings;
    let mut house = House::new(&settings)?;
    let mut unmet = 0;
    for (n, event) in read(&args.file)?.into_iter().enumerate() {
        let event = TestEvent::deserialize(&event).with_context(|| format!("cannot read event {}", n + 1))?;
        let expect = event.expect.clone();
        let (recognition, verdicts) = house.judge(n, event)?;
        let fired = |verdict: &&Verdict| matches!(&verdict.decision, Decision::Fire { actions, withheld } if !(actions.is_empty() && withheld.is_empty()));
        let fired: Vec<_> = verdicts.iter().filter(fired).map(|verdict| verdict.rule.clone()).collect();
        let met = expect.as_ref().map(|expect| *expect == fired);
        unmet += u32::from(met == Some(false));
        if args.json {
            let rules: Vec<_> = verdicts.iter().map(verdict_json).collect();
            print_line(
                &json!({
                    "event": n + 1,
                    "detector": recognition.detector,
                    "seen_at": recognition.seen_at,
                    "rules": rules,
                    "fired": fired,
                    "expected": expect,
                    "met": met,
                })
                .to_string(),
            );
        } else {
            print_line(&format!("event {} at {}, seen {}", n + 1, recognition.detector, recognition.seen_at));
            verdicts.iter().for_each(|verdict| print_line(&format!("  {}", verdict_text(verdict))));
            if let (Some(expect), Some(met)) = (expect, met) {
                let list = |names: &[String]| if names.is_empty() { "nothing".into() } else { names.join(", ") };
                print_line(&match met {
                    true => format!("  as expected: {}", list(&expect)),
                    false => format!("  NOT as expected: {} should fire, {} does", list(&expect), list(&fired)),
                });
            }
        }
    }
    if unmet > 0 {
        return Err(anyhow!("{unmet} of the events did not go as expected").into());
    }
    Ok(ExitCode::SUCCESS)
}

/// One event, a list of them, or one per line; `-` is standard input.
fn read(file: &Path) -> anyhow::Result<Vec<Value>> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
    } else {
        text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    }
    let mut events = Vec::new();
    for value in serde_json::Deserializer::from_str(&text).into_iter() {
        match value.with_context(|| format!("{} is not JSON", file.display()))? {
            Value::Array(list) => events.extend(list),
            value => events.push(value),
        }
    }
    if events.is_empty() {
        bail!("{} holds no event; the least is {{}}, an unknown person now", file.display());
    }
    Ok(events)
}

impl House {
    fn new(settings: &Settings) -> anyhow::Result<Self> {
        let late_after = Duration::from_millis(settings.outbox.late_after_ms);
        let is_actuator = |name: &str| settings.actions.get(name).is_some_and(ActionConfig::is_actuator);
        let mut rules = BTreeMap::new();
        for detector in &settings.detectors {
            let made = Rules::new(detector.rules.clone(), detector.time_zone, late_after, is_actuator)
                .with_context(|| format!("cannot use the rules of detector `{}`", detector.name))?;
            rules.insert(detector.name.clone(), made.with_holidays(detector.holidays.clone()));
        }
        Ok(Self { rules })
    }

    /// What the rules of the event's detector make of it; they remember it.
    fn judge(&mut self, n: usize, event: TestEvent) -> anyhow::Result<(Recognition, Vec<Verdict>)> {
        let names = || self.rules.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let detector = match (&event.detector, self.rules.keys().next()) {
            (Some(name), _) => DetectorName::new(name).map_err(anyhow::Error::msg)?,
            (None, Some(only)) if self.rules.len() == 1 => only.clone(),
            (None, Some(_)) => bail!("event {} names no detector; there are {}", n + 1, names()),
            (None, None) => bail!("no detector is configured, so there are no rules"),
        };
        let (quality, recognition) = (event.quality.unwrap_or(1.0), event.recognition(n, detector)?);
        let clock = RuleClock { utc: recognition.seen_at, late: recognition.arrived.is_none() };
        let there = names();
        let Some(rules) = self.rules.get_mut(&recognition.detector) else {
            bail!("event {}: there is no detector `{}`; there are {there}", n + 1, recognition.detector);
        };
        let (_, verdicts) = rules.judge(&recognition, quality, clock);
        Ok((recognition, verdicts))
    }
}

impl TestEvent {
    fn recognition(self, n: usize, detector: DetectorName) -> anyhow::Result<Recognition> {
        let visit = match self.visit.as_deref() {
            Some(text) => text.parse().unwrap_or_else(|_| named(text)),
            None => named(&format!("event {n}")),
        };
        let outcome = self.outcome.unwrap_or(match self.person {
            Some(_) => OutcomeKind::Known,
            None => OutcomeKind::Unknown,
        });
        let answer = match (outcome, self.person) {
            (OutcomeKind::Known, person) => Answer::Known(person.unwrap_or_default().known(self.confidence)?),
            (_, Some(_)) => bail!("event {}: only `known` has a person", n + 1),
            (OutcomeKind::Unknown, _) => Answer::Unknown { confidence: self.confidence },
            (OutcomeKind::NoFace, _) => Answer::NoFace,
            (OutcomeKind::Accepted, _) => Answer::Accepted,
            (OutcomeKind::Refused, _) => Answer::Refused { reason: self.reason.unwrap_or_default() },
        };
        Ok(Recognition {
            sighting: named(&format!("sighting {n}")),
            visit: VisitId(visit),
            detector,
            seen_at: self.seen_at.unwrap_or_else(Utc::now),
            arrived: (!self.late).then(Instant::now),
            shot: self.shot.unwrap_or(1),
            answer,
        })
    }
}

impl TestPerson {
    fn known(self, confidence: Option<f32>) -> anyhow::Result<Known> {
        let tag = |tag| match tag {
            TestTag::Name(name) => Tag { name, expires: None },
            TestTag::Whole { name, expires } => Tag { name, expires },
        };
        let field = |(name, value): (String, Value)| {
            let value = match value {
                Value::Null => FieldValue::Empty,
                Value::Bool(value) => FieldValue::Bool(value),
                Value::Number(value) => FieldValue::Number(value.as_f64().context("a field's number is too large")?),
                // The event writes dates so.
                Value::String(text) => text.parse().map_or(FieldValue::Text(text), FieldValue::Date),
                _ => bail!("field `{name}` must be text, a number, true, false or null"),
            };
            Ok(Field { name, value })
        };
        Ok(Known {
            person: Person { id: self.id.or(self.name.clone()).unwrap_or_else(|| "somebody".into()), name: self.name },
            tags: self.tags.into_iter().map(tag).collect(),
            fields: self.fields.into_iter().map(field).collect::<anyhow::Result<_>>()?,
            confidence,
            face_id: None,
            detect_id: None,
        })
    }
}

/// The same id for the same text.
fn named(text: &str) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Sha256::digest(text)[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

fn verdict_text(verdict: &Verdict) -> String {
    let rule = &verdict.rule;
    match &verdict.decision {
        Decision::Fire { actions, withheld } => {
            let withheld = match withheld.is_empty() {
                true => String::new(),
                false => format!(" (withheld, being late: {})", withheld.join(", ")),
            };
            let actions = if actions.is_empty() { "nothing".into() } else { actions.join(", ") };
            format!("{rule}: fires {actions}{withheld}")
        }
        Decision::Repeated => format!("{rule}: matches, but has fired for this visit and person before"),
        Decision::Resting { since } => format!("{rule}: matches, but rests since {since}"),
        Decision::VisitKnown => format!("{rule}: matches, but the visit's person is known from another shot"),
        Decision::NoMatch => {
            let failed = verdict.checks.iter().filter(|check| !check.held);
            let failed: Vec<_> = failed
                .map(|check| format!("{} wants {}, found {}", check.matcher, check.wanted, check.found))
                .collect();
            format!("{rule}: no, {}", failed.join("; "))
        }
    }
}

fn verdict_json(verdict: &Verdict) -> Value {
    let (decision, actions, withheld) = match &verdict.decision {
        Decision::Fire { actions, withheld } => ("fires", actions.as_slice(), withheld.as_slice()),
        Decision::NoMatch => ("no_match", &[][..], &[][..]),
        Decision::Repeated => ("repeated", &[][..], &[][..]),
        Decision::Resting { .. } => ("resting", &[][..], &[][..]),
        Decision::VisitKnown => ("visit_known", &[][..], &[][..]),
    };
    let checks: Vec<_> = verdict
        .checks
        .iter()
        .map(
            |check| json!({"matcher": check.matcher, "wanted": check.wanted, "found": check.found, "held": check.held}),
        )
        .collect();
    json!({"rule": verdict.rule, "decision": decision, "actions": actions, "withheld": withheld, "checks": checks})
}
