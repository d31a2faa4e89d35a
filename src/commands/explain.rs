//! `doorward explain`: what became of a visit, and why.
//!
//! In: the beginning of a visit's id. Out: where several visits fit, a line for each; of a single one its shots with
//! their quality, what the engine said, which actions followed and how each ended, from the history of the state
//! directory, whether the service is running or not.

use anyhow::bail;
use faces::liveness::agreement;
use serde_json::Value;

use super::{CommandResult, print_json, print_line};
use crate::cli::ExplainArgs;
use crate::outbox::{self, ActionRecord, ShotRecord, VisitRecord};
use crate::recognition::Nearest;
use crate::terminal::ExitCode;

pub fn run(args: ExplainArgs) -> CommandResult {
    let visits = visits(&args)?;
    match (args.json, &visits[..]) {
        (true, visits) => visits.iter().try_for_each(|visit| print_json(visit).map(drop))?,
        (false, [visit]) => tell(visit),
        // The first eight letters are a time to the minute: at a busy door many visits share them.
        (false, visits) => list(visits, &args.visit),
    }
    Ok(ExitCode::SUCCESS)
}

/// The visits on record whose id starts as asked for; there is one at least.
pub(super) fn visits(args: &ExplainArgs) -> anyhow::Result<Vec<VisitRecord>> {
    let settings = super::load_config(&args.config)?.settings;
    let visits = outbox::explain(&settings.state_dir, &settings.outbox, &args.visit)?;
    if visits.is_empty() {
        let days = settings.outbox.history_days;
        bail!("no visit of the last {days} days has an id that starts with `{}`", args.visit);
    }
    Ok(visits)
}

/// A line for each of several visits, so that one can be picked.
fn list(visits: &[VisitRecord], asked: &str) {
    let more = if visits.len() == outbox::MOST_VISITS as usize { "at least " } else { "" };
    print_line(&format!("{more}{} visits have an id that starts with `{asked}`; newest first:", visits.len()));
    for visit in visits {
        let person = visit.shots.iter().rev().find_map(|shot| shot.person.as_deref());
        let person = person.map(|person| format!(" {person}")).unwrap_or_default();
        let outcome = outcome(visit);
        print_line(&format!("  {}  {}  {}: {outcome}{person}", visit.visit, visit.first_seen, visit.detector));
    }
    print_line("`doorward explain` with the whole id of one of them tells all of it");
}

fn tell(visit: &VisitRecord) {
    print_line(&format!("visit {} at {}: {}", visit.visit, visit.detector, outcome(visit)));
    print_line(&format!("  seen      {} to {}", visit.first_seen, visit.last_seen));
    if let Some(stay) = visit.detail["stay"].as_str().filter(|stay| *stay != visit.visit) {
        print_line(&format!("  stay      the face of visit {stay}, which was there before and not away for long"));
    }
    if let Some(px) = visit.detail["largest_px"].as_f64() {
        print_line(&format!("  face      {px:.0} px at its largest"));
    }
    if visit.shots.is_empty() && visit.detail["best"].is_object() {
        print_line(&format!("  best      {}", parts(&visit.detail["best"])));
    }
    if let Some(live) = live(visit) {
        print_line(&format!("  live      {live:.3} over its shots (0 a picture of somebody, 1 a person)"));
    }
    visit.shots.iter().for_each(|shot| tell_shot(shot, &visit.detail));
    visit.actions.iter().for_each(tell_action);
}

/// What the liveness models say of the visit, as a guard sees it once everything is answered.
fn live(visit: &VisitRecord) -> Option<f32> {
    let lives = |known: bool| {
        let shots = visit.shots.iter().filter(|shot| shot.person.is_some() == known);
        shots.filter_map(|shot| Some(sent(shot, &visit.detail)?["liveness"]["live"].as_f64()? as f32)).collect()
    };
    let [theirs, others]: [Vec<f32>; 2] = [true, false].map(lives);
    agreement::of_visit(&theirs, &others).or_else(|| agreement::of_shots(&others))
}

/// What was told of a shot when the visit was closed.
fn sent<'a>(shot: &ShotRecord, detail: &'a Value) -> Option<&'a Value> {
    detail["sent"].as_array()?.iter().find(|sent| sent["sighting"] == *shot.sighting)
}

fn tell_shot(shot: &ShotRecord, detail: &Value) {
    let nearest = Nearest::from_json(&shot.nearest);
    let outcome = with_nearest(with_reason(&shot.outcome, shot.reason.as_deref()), nearest.as_ref());
    print_line(&format!("  shot {}    {outcome} at {}", shot.shot, shot.seen_at));
    if let Some(sent) = sent(shot, detail) {
        print_line(&format!("    quality {}", parts(&sent["quality"])));
        if let Some(live) = sent["liveness"]["live"].as_f64() {
            print_line(&format!("    live    {live:.3}: {}", models(&sent["liveness"]["models"])));
        }
    }
    if let Some(person) = &shot.person {
        let matched = match shot.match_confidence {
            Some(score) => format!(", match score {score:.3}"),
            None => ", the engine gave no match score".into(),
        };
        let face = shot.confidence.map(|sure| format!(", face detected with {sure:.3}")).unwrap_or_default();
        print_line(&format!("    person  {person}{matched}{face}"));
    }
    if let Some(ms) = shot.settled_after_ms {
        let late = if shot.late { ", too late for an actuator" } else { "" };
        print_line(&format!("    answer  after {ms} ms, {} failed tries{late}", shot.tries));
    }
}

fn tell_action(action: &ActionRecord) {
    let after = action.ended_after_ms.map(|ms| format!(" after {ms} ms")).unwrap_or_default();
    let end = with_reason(&action.state, action.reason.as_deref());
    let on = if action.event == "left" { ", having left" } else { "" };
    print_line(&format!("  action    {} (rule {}{on}): {end}{after}", action.action, action.rule));
}

/// `unknown, nearest Ann Lee 0.41 of 0.43`, by the picture that came nearest to anybody.
fn outcome(visit: &VisitRecord) -> String {
    let outcome = with_reason(&visit.outcome, visit.reason.as_deref());
    let nearest = visit.shots.iter().filter_map(|shot| Nearest::from_json(&shot.nearest));
    let nearest = nearest.min_by(|a, b| a.missed_by().total_cmp(&b.missed_by()));
    with_nearest(outcome, nearest.as_ref().filter(|_| visit.outcome == "unknown"))
}

fn with_nearest(outcome: String, nearest: Option<&Nearest>) -> String {
    nearest.map_or_else(|| outcome.clone(), |nearest| format!("{outcome}, nearest {}", nearest.told()))
}

fn with_reason(word: &str, reason: Option<&str>) -> String {
    reason.map_or_else(|| word.to_string(), |reason| format!("{word}, {reason}"))
}

/// `MODEL 0.912, MODEL 0.873`.
fn models(scores: &Value) -> String {
    let score = |(model, live): (&String, &Value)| Some(format!("{model} {:.3}", live.as_f64()?));
    scores.as_object().into_iter().flatten().filter_map(score).collect::<Vec<_>>().join(", ")
}

/// `0.71 (size 0.80 at 64, …)`.
fn parts(quality: &Value) -> String {
    let part = |name: &str| {
        let (score, value) = (&quality[name]["score"], &quality[name]["value"]);
        Some(format!("{name} {:.2} ({:.4})", score.as_f64()?, value.as_f64()?))
    };
    let names = ["size", "sharpness", "pose", "exposure", "contrast", "truncation"];
    let parts: Vec<_> = names.into_iter().filter_map(part).collect();
    format!("{:.2}: {}", quality["total"].as_f64().unwrap_or_default(), parts.join(", "))
}
