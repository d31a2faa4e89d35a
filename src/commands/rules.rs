//! `doorward rules`: why each rule fires or does not, for made-up answers (`test`) or a visit on record (`explain`).
//!
//! In: events as the journal writes them, as short as one likes, one by one in the order they happened; `expect` says
//! which rules must fire; or the beginning of a visit's id. Out: a verdict per rule, and exit code 1 when an
//! expectation was not met. Nothing is performed.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, Utc};
use identities::text;
use serde_json::{Value, json};
use wording::listed;

use super::test_event::{TestEvent, read};
use super::{CommandResult, print_json, print_line};
use crate::cli::{ExplainArgs, RulesCommand, RulesTestArgs};
use crate::config::{ActionConfig, DetectorName, EventKind, Settings};
use crate::outbox::ShotRecord;
use crate::rules::{RuleClock, Rules, Stay, Verdict};
use crate::terminal::ExitCode;

/// The rules of every detector, with what they remember.
type House = BTreeMap<DetectorName, Rules>;

pub fn run(command: RulesCommand) -> CommandResult {
    match command {
        RulesCommand::Test(args) => test(args),
        RulesCommand::Explain(args) => explain(args),
    }
}

fn test(args: RulesTestArgs) -> CommandResult {
    let settings = super::load_config(&args.config)?.settings;
    let mut house = house(&settings)?;
    let mut unmet = 0;
    for (n, event) in read(&args.file)?.into_iter().enumerate() {
        let event = TestEvent::parse(event).with_context(|| format!("cannot read event {}", n + 1))?;
        let composed = |names: &Vec<String>| names.iter().map(|name| text::composed(name).into_owned()).collect();
        let expect: Option<Vec<String>> = event.expect.as_ref().map(composed);
        let (detector, seen_at, verdicts) = judge(&mut house, n, event)?;
        let fired: Vec<_> = verdicts.iter().filter(|verdict| verdict.fires()).map(|it| it.rule.clone()).collect();
        let verdicts: Vec<_> = verdicts.iter().map(Verdict::to_record).collect();
        let met = expect.as_ref().map(|expect| *expect == fired);
        unmet += u32::from(met == Some(false));
        if args.json {
            print_json(&json!({
                "event": n + 1,
                "detector": detector,
                "seen_at": seen_at,
                "rules": verdicts,
                "fired": fired,
                "expected": expect,
                "met": met,
            }))?;
        } else {
            print_line(&format!("event {} at {detector}, seen {seen_at}", n + 1));
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
    ensure!(unmet == 0, "{unmet} of the events did not go as expected");
    Ok(ExitCode::SUCCESS)
}

/// What the rules made of every answer of a visit, as it is on record.
fn explain(args: ExplainArgs) -> CommandResult {
    for visit in super::explain::visits(&args)? {
        if args.json {
            print_json(&json!({ "visit": visit.visit, "detector": visit.detector, "judged": visit.judged }))?;
            continue;
        }
        print_line(&format!("visit {} at {}", visit.visit, visit.detector));
        for judged in &visit.judged {
            let shot = visit.shots.iter().find(|shot| shot.sighting == judged.sighting);
            print_line(&match (judged.event.as_str(), shot) {
                ("left", _) => format!("  left, told at {}", judged.judged_at),
                (_, Some(ShotRecord { shot, seen_at, outcome, person, late, .. })) => {
                    let person = person.as_ref().map(|person| format!(" {person}")).unwrap_or_default();
                    let late = if *late { ", late" } else { "" };
                    format!("  shot {shot} at {seen_at}: {outcome}{person}{late}")
                }
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

fn house(settings: &Settings) -> anyhow::Result<House> {
    let late_after = Duration::from_millis(settings.outbox.late_after_ms);
    let guard = |name: &str| settings.actions.get(name).and_then(ActionConfig::guard).cloned();
    let mut house = House::new();
    for detector in &settings.detectors {
        let made = Rules::new(detector.rules.clone(), detector.time_zone, late_after, guard)
            .with_context(|| format!("cannot use the rules of detector `{}`", detector.name))?;
        house.insert(detector.name.clone(), made.with_holidays(detector.holidays.clone()));
    }
    Ok(house)
}

/// At which detector it happened, when, and what its rules make of it; they remember it.
fn judge(house: &mut House, n: usize, event: TestEvent) -> anyhow::Result<(DetectorName, DateTime<Utc>, Vec<Verdict>)> {
    let there = listed(&house.keys().map(DetectorName::as_str).collect::<Vec<_>>());
    let detector = match (&event.detector, house.keys().next()) {
        (Some(name), _) => DetectorName::new(name).map_err(anyhow::Error::msg)?,
        (None, Some(only)) if house.len() == 1 => only.clone(),
        (None, Some(_)) => bail!("event {} names no detector; there are {there}", n + 1),
        (None, None) => bail!("no detector is configured, so there are no rules"),
    };
    let Some(rules) = house.get_mut(&detector) else {
        bail!("event {}: there is no detector `{detector}`; there are {there}", n + 1);
    };
    let (kind, since) = (event.event.unwrap_or(EventKind::Recognition), event.since);
    if kind == EventKind::Camera {
        let news = event.camera_news(n, detector);
        let verdicts = rules.camera(&news).verdicts;
        return Ok((news.detector, news.at, verdicts));
    }
    let (quality, recognition) = (event.quality.unwrap_or(1.0), event.recognition(n, detector)?);
    let clock = RuleClock { utc: recognition.seen_at, late: recognition.arrived.is_none() };
    let last_seen = recognition.seen_at;
    let verdicts = if kind == EventKind::Left {
        let since = since.unwrap_or(last_seen);
        rules.left(&Stay { recognition: recognition.clone(), quality, since, last_seen }, clock).verdicts
    } else {
        rules.judge(&recognition, quality, clock, &[]).verdicts
    };
    Ok((recognition.detector, last_seen, verdicts))
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
        "repeated" => format!("{rule}: matches, but has fired for this person in this stay before"),
        "resting" => format!("{rule}: matches, but rests since {}", name(&verdict["since"])),
        "visit_known" => format!("{rule}: matches, but the person is known from another shot"),
        _ => {
            let failed = verdict["checks"].as_array().into_iter().flatten().filter(|check| check["held"] == false);
            format!("{rule}: no, {}", failed.map(check).collect::<Vec<_>>().join("; "))
        }
    }
}
