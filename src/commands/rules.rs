//! `doorward rules`: why each rule fires or does not, for made-up answers (`test`) or a visit on record (`explain`).
//!
//! In: events as the journal writes them, as short as one likes, one by one in the order they happened; `expect` says
//! which rules must fire; or the beginning of a visit's id. Out: a verdict per rule, and exit code 1 when an
//! expectation was not met. Nothing is performed.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use chrono::{DateTime, Utc};
use identities::text;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{CommandResult, print_line};
use crate::cli::{ExplainArgs, RulesCommand, RulesTestArgs};
use crate::config::{ActionConfig, DetectorName, EventKind, OutcomeKind, Settings};
use crate::recognition::{Answer, Field, FieldValue, Known, Person, Recognition, Tag};
use crate::rules::{RuleClock, Rules, Stay, Verdict};
use crate::track::VisitId;

/// An event as it may be written: a line of the journal, or the few keys that matter.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TestEvent {
    /// `recognition`.
    pub event: Option<EventKind>,
    /// When somebody who has left had come; `seen_at` is when they were last seen.
    since: Option<DateTime<Utc>>,
    /// The only detector when there is but one.
    pub detector: Option<String>,
    /// `known` with a person, else `unknown`.
    outcome: Option<OutcomeKind>,
    /// Now.
    seen_at: Option<DateTime<Utc>>,
    /// Any text; events of the same text are of one visit. Another visit for every event.
    visit: Option<String>,
    shot: Option<u8>,
    /// 1.
    pub quality: Option<f32>,
    /// How sure the engine is of the face.
    confidence: Option<f32>,
    /// How sure it is of the person: what guards and `min_confidence` go by.
    match_confidence: Option<f32>,
    late: bool,
    reason: Option<String>,
    person: Option<TestPerson>,
    /// Names of the rules that must fire, in their order, and no others.
    expect: Option<Vec<String>>,
    // What a line of the journal holds besides.
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
    #[serde(rename = "stayed_secs")]
    _stayed_secs: IgnoredAny,
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
    // What a line of the journal holds besides.
    #[serde(rename = "face_id")]
    _face_id: IgnoredAny,
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
        RulesCommand::Explain(args) => explain(args),
    }
}

fn test(args: RulesTestArgs) -> CommandResult {
    let settings = super::load_config(args.config.config.as_deref())?.settings;
    let mut house = House::new(&settings)?;
    let mut unmet = 0;
    for (n, event) in read(&args.file)?.into_iter().enumerate() {
        let event = TestEvent::deserialize(&event).with_context(|| format!("cannot read event {}", n + 1))?;
        let composed = |names: &Vec<String>| names.iter().map(|name| text::composed(name).into_owned()).collect();
        let expect: Option<Vec<String>> = event.expect.as_ref().map(composed);
        let (recognition, verdicts) = house.judge(n, event)?;
        let fired: Vec<_> = verdicts.iter().filter(|verdict| verdict.fires()).map(|it| it.rule.clone()).collect();
        let verdicts: Vec<_> = verdicts.iter().map(Verdict::to_record).collect();
        let met = expect.as_ref().map(|expect| *expect == fired);
        unmet += u32::from(met == Some(false));
        if args.json {
            print_line(
                &json!({
                    "event": n + 1,
                    "detector": recognition.detector,
                    "seen_at": recognition.seen_at,
                    "rules": verdicts,
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

/// What the rules made of every answer of a visit, as it is on record.
fn explain(args: ExplainArgs) -> CommandResult {
    for visit in super::explain::visits(&args)? {
        if args.json {
            let judged = json!({ "visit": visit.visit, "detector": visit.detector, "judged": visit.judged });
            print_line(&judged.to_string());
            continue;
        }
        print_line(&format!("visit {} at {}", visit.visit, visit.detector));
        for judged in &visit.judged {
            let shot = visit.shots.iter().find(|shot| shot.sighting == judged.sighting);
            print_line(&match (judged.event.as_str(), shot) {
                ("left", _) => format!("  left, told at {}", judged.judged_at),
                (_, Some(shot)) => format!(
                    "  shot {} at {}: {}{}{}",
                    shot.shot,
                    shot.seen_at,
                    shot.outcome,
                    shot.person.as_ref().map(|person| format!(" {person}")).unwrap_or_default(),
                    if shot.late { ", late" } else { "" },
                ),
                (_, None) => format!("  an answer at {}", judged.judged_at),
            });
            let verdicts = judged.rules.as_array().into_iter().flatten();
            verdicts.for_each(|verdict| print_line(&format!("    {}", verdict_text(verdict))));
        }
        if visit.judged.is_empty() {
            print_line("  no answer has come to any rule");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One event, a list of them, or one per line; `-` is standard input.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<Value>> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
    } else {
        text = identities::text_file::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    }
    let mut events = Vec::new();
    for value in serde_json::Deserializer::from_str(text.trim_start_matches('\u{feff}')).into_iter() {
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
        let guard = |name: &str| settings.actions.get(name).and_then(ActionConfig::guard).cloned();
        let mut rules = BTreeMap::new();
        for detector in &settings.detectors {
            let made = Rules::new(detector.rules.clone(), detector.time_zone, late_after, guard)
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
        let (kind, since) = (event.event.unwrap_or(EventKind::Recognition), event.since);
        let (quality, recognition) = (event.quality.unwrap_or(1.0), event.recognition(n, detector)?);
        let clock = RuleClock { utc: recognition.seen_at, late: recognition.arrived.is_none() };
        let there = names();
        let Some(rules) = self.rules.get_mut(&recognition.detector) else {
            bail!("event {}: there is no detector `{}`; there are {there}", n + 1, recognition.detector);
        };
        let last_seen = recognition.seen_at;
        let verdicts = match kind {
            EventKind::Recognition => rules.judge(&recognition, quality, clock, &[]).verdicts,
            EventKind::Left => {
                let since = since.unwrap_or(last_seen);
                rules.left(&Stay { recognition: recognition.clone(), quality, since, last_seen }, clock).verdicts
            }
        };
        Ok((recognition, verdicts))
    }
}

impl TestEvent {
    pub fn recognition(self, n: usize, detector: DetectorName) -> anyhow::Result<Recognition> {
        let visit = match self.visit.as_deref() {
            Some(text) => text.parse().unwrap_or_else(|_| named(text)),
            None => named(&format!("event {n}")),
        };
        let outcome = self.outcome.unwrap_or(match self.person {
            Some(_) => OutcomeKind::Known,
            None => OutcomeKind::Unknown,
        });
        let answer = match (outcome, self.person) {
            (OutcomeKind::Known, person) => {
                let known = person.unwrap_or_default().known()?;
                let (confidence, match_confidence) = (self.confidence, self.match_confidence);
                Answer::Known(Known { confidence, match_confidence, ..known })
            }
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
    fn known(self) -> anyhow::Result<Known> {
        let tag = |tag| match tag {
            TestTag::Name(name) => Tag { name: text::tidy(&name), expires: None },
            TestTag::Whole { name, expires } => Tag { name: text::tidy(&name), expires },
        };
        let field = |(name, value): (String, Value)| {
            let value = match value {
                Value::Null => FieldValue::Empty,
                Value::Bool(value) => FieldValue::Bool(value),
                Value::Number(value) => FieldValue::Number(value.as_f64().context("a field's number is too large")?),
                // The event writes dates so.
                Value::String(text) => {
                    let composed = text::composed(&text).into_owned();
                    text.parse().map_or(FieldValue::Text(composed), FieldValue::Date)
                }
                _ => bail!("field `{name}` must be text, a number, true, false or null"),
            };
            Ok(Field { name: text::tidy(&name), value })
        };
        let name = self.name.map(|name| text::tidy(&name));
        Ok(Known {
            person: Person { id: self.id.or(name.clone()).unwrap_or_else(|| "somebody".into()), name },
            tags: self.tags.into_iter().map(tag).collect(),
            fields: self.fields.into_iter().map(field).collect::<anyhow::Result<_>>()?,
            confidence: None,
            match_confidence: None,
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

/// One line per rule, of what [`Verdict::to_record`] gives.
fn verdict_text(verdict: &Value) -> String {
    let rule = verdict["rule"].as_str().unwrap_or_default();
    let texts = |list: &Value, text: &dyn Fn(&Value) -> String| {
        list.as_array().into_iter().flatten().map(text).collect::<Vec<_>>()
    };
    let name = |name: &Value| name.as_str().unwrap_or_default().to_owned();
    let check = |check: &Value| {
        format!("{} wants {}, found {}", name(&check["matcher"]), name(&check["wanted"]), name(&check["found"]))
    };
    match verdict["decision"].as_str().unwrap_or_default() {
        "fires" => {
            let actions = texts(&verdict["actions"], &name);
            let actions = if actions.is_empty() { "nothing".into() } else { actions.join(", ") };
            let withheld = match texts(&verdict["withheld"], &name) {
                withheld if withheld.is_empty() => String::new(),
                withheld => format!(" (withheld, being late: {})", withheld.join(", ")),
            };
            let refused = texts(&verdict["refused"], &|refused| {
                let guards = texts(&refused["guards"], &check).join("; ");
                format!(" (held back: {}, {guards})", name(&refused["action"]))
            });
            format!("{rule}: fires {actions}{withheld}{}", refused.concat())
        }
        "repeated" => format!("{rule}: matches, but has fired for this visit and person before"),
        "resting" => format!("{rule}: matches, but rests since {}", name(&verdict["since"])),
        "visit_known" => format!("{rule}: matches, but the visit's person is known from another shot"),
        _ => {
            let failed = verdict["checks"].as_array().into_iter().flatten().filter(|check| check["held"] == false);
            format!("{rule}: no, {}", failed.map(check).collect::<Vec<_>>().join("; "))
        }
    }
}
