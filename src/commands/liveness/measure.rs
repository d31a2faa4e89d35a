//! `doorward liveness measure`: how often the visitors of the last days would have been turned away at a camera.
//!
//! In: a detector and its history. Out: for several bounds, how many shots and visits fall below them, and how far so
//! few visits can be trusted. A shot counts with the liveness that was recorded when it was taken; where there is none
//! and its picture is kept, with what the models say of that picture, which shows less around the face. It names no
//! one, and takes every visitor for a person: who tried it with a photograph should say so to nobody but themselves.

use std::collections::BTreeMap;

use anyhow::Context;
use chrono::{TimeDelta, Utc};
use faces::liveness::{self, LivenessCheck};
use faces::models::ModelStore;
use faces::picture::{MAX_PIXELS, Picture};
use serde_json::json;

use super::tally::{FEW, Tally, Visit};
use crate::cli::LivenessMeasureArgs;
use crate::commands::lines::rounded;
use crate::commands::{CommandResult, complain, load_config, no_detector, print_either, print_line, table};
use crate::config::{ActionConfig, DetectorConfig, Settings};
use crate::outbox::{self, Pictures, TakenShot};
use crate::terminal::ExitCode;

/// Bounds that are tried beside those of the guards.
const BOUNDS: [f32; 6] = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8];

pub fn run(args: LivenessMeasureArgs) -> CommandResult {
    let settings = load_config(&args.config)?.settings;
    let Some(detector) = settings.detector(args.detector.as_str()) else {
        return Err(no_detector(&args.detector, &settings).into());
    };
    let days = args.days.unwrap_or(settings.outbox.history_days);
    let since = Utc::now() - TimeDelta::days(days.into());
    let taken = outbox::taken_shots(&settings.state_dir, &detector.name, since)?;
    let (visits, looked) = visits(&settings, detector, &taken)?;
    let tally = Tally::of(&visits, &bounds(&args, &settings, detector));
    let without = taken.len() - tally.shots;
    let json = json!({
        "detector": detector.name,
        "days": days,
        "shots": { "taken": taken.len(), "measured": tally.shots, "of_these_from_kept_pictures": looked },
        "visits": { "measured": tally.visits, "of_people_known": tally.known },
        "too_few": tally.known < FEW,
        "bounds": tally.rows.iter().map(|row| json!({
            "bound": rounded(row.bound.into()),
            "shots_below": row.shots.json(),
            "visits_refused": row.visits.json(),
            "visits_of_people_known_refused": row.known.json(),
        })).collect::<Vec<_>>(),
    });
    print_either(args.json, &json, || {
        let (name, Tally { shots, visits, known, .. }) = (&detector.name, &tally);
        print_line(&format!(
            "{name}, {days} days: {visits} visits with {shots} shots, {known} of them of people known"
        ));
        table::print(
            ["below", "shots", "visits", "visits of people known"],
            tally
                .rows
                .iter()
                .map(|row| [format!("{:.2}", row.bound), row.shots.text(), row.visits.text(), row.known.text()]),
            "none",
        );
        print_line("each with how many it may be in truth, of 100 such measurements in 97");
    })?;
    told(&tally, without, looked);
    Ok(if tally.visits == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// How far to trust it, and what to do; to standard error, so that it is said beside JSON as well.
fn told(tally: &Tally, without: usize, looked: usize) {
    if without > 0 {
        complain(&format!("{without} shots have neither a recorded liveness nor a kept picture and are left out"));
    }
    if looked > 0 {
        complain(&format!(
            "{looked} shots were looked at in their kept pictures, which show less around the face than the camera \
             did: their figures are rough"
        ));
    }
    if tally.known < FEW {
        complain(&format!(
            "too few visits of people known ({} of at least {FEW}) to trust it; `liveness.models = \"auto\"` records \
             the liveness of every shot and turns nobody away as long as no guard has `min_live`: come back after \
             some days",
            tally.known
        ));
    }
}

/// The bounds to try, each once, in order.
fn bounds(args: &LivenessMeasureArgs, settings: &Settings, detector: &DetectorConfig) -> Vec<f32> {
    let actions = detector.rules.iter().flat_map(|rule| &rule.actions);
    let guards = actions.filter_map(|name| settings.actions.get(name).and_then(ActionConfig::guard));
    let configured = guards.map(|guard| guard.min_live).filter(|bound| *bound > 0.0);
    let mut bounds: Vec<f32> =
        if args.bound.is_empty() { configured.chain(BOUNDS).collect() } else { args.bound.clone() };
    bounds.sort_by(f32::total_cmp);
    bounds.dedup();
    bounds
}

/// The visits that have a liveness, and how many shots were looked at for it now.
fn visits(settings: &Settings, detector: &DetectorConfig, taken: &[TakenShot]) -> anyhow::Result<(Vec<Visit>, usize)> {
    let mut kept = KeptShots { settings, detector, pictures: None, check: None, looked: 0 };
    let mut visits: BTreeMap<&str, Visit> = BTreeMap::new();
    for shot in taken {
        let live = if shot.live.is_none() && shot.kept { kept.live(shot)? } else { shot.live };
        if let Some(live) = live {
            visits.entry(&shot.visit).or_default().add(live, shot.known);
        }
    }
    Ok((visits.into_values().collect(), kept.looked))
}

/// Shots whose pictures are kept. The key and the models are asked for when the first of them needs it.
struct KeptShots<'a> {
    settings: &'a Settings,
    detector: &'a DetectorConfig,
    pictures: Option<Pictures>,
    check: Option<LivenessCheck>,
    looked: usize,
}

impl KeptShots<'_> {
    /// What was said of the shot when it was taken, or is said of its picture now; nothing of a picture that has gone
    /// meanwhile or is of another key.
    fn live(&mut self, shot: &TakenShot) -> anyhow::Result<Option<f32>> {
        let Settings { state_dir, outbox, models, .. } = self.settings;
        let pictures = match &self.pictures {
            Some(pictures) => pictures,
            None => self.pictures.insert(Pictures::open(state_dir, outbox)?),
        };
        let Some(sighting) = pictures.sighting(&shot.sighting)? else { return Ok(None) };
        if let Some(liveness) = sighting.liveness {
            return Ok(Some(liveness.live));
        }
        let check = match &mut self.check {
            Some(check) => check,
            None => {
                let store = ModelStore::locate(models.dir.as_deref());
                let wanted = self.detector.liveness.models.wanted().unwrap_or_default();
                let check = liveness::load(&store, wanted, models.threads);
                self.check.insert(check.context("a kept picture has no liveness on record, and none can be had")?)
            }
        };
        self.looked += 1;
        let picture = Picture::decode(&sighting.expanded, MAX_PIXELS)?;
        Ok(Some(check.look(&picture, &sighting.face)?.live))
    }
}
