//! Opening the rooms after the trackers: outbox, engine, rules, actions, broker, with what the disk remembers.
//!
//! In: checked settings. Out: [`Rooms`], of which the delivery is made. Nothing is sent or done here, but that a relay
//! that a crash left on is switched off.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{TimeDelta, Utc};
use identities::Client;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::delivery::{Delivery, DeliveryOptions, Detector, Parts};
use super::events::Events;
use super::mqtt;
use super::presence::Presences;
use crate::actions::Actions;
use crate::actions::mqtt::{Broker, Home};
use crate::config::{ActionConfig, DetectorConfig, DetectorName, Settings};
use crate::outbox::Outbox;
use crate::rules::Rules;
use crate::status::Board;

/// How far back the rules' memory is filled after a restart, at least and at most. In between, as far as a rule rests.
const REMEMBERED: (TimeDelta, TimeDelta) = (TimeDelta::days(1), TimeDelta::days(366));

/// How far back a rule can ask who was seen (`absent_secs`), as far as the history goes.
const SEEN: TimeDelta = TimeDelta::days(30);

/// The rooms after the trackers.
pub struct Rooms {
    pub outbox: Outbox,
    pub client: Client,
    actions: Actions,
    pub broker: Option<Broker>,
    /// What the broker is told of the doors; `None` where that is not wanted.
    pub home: Option<Arc<Home>>,
    pub presences: Presences,
    detectors: HashMap<DetectorName, Detector>,
}

impl Rooms {
    /// Opens them, with what the disk remembers from before a restart.
    pub async fn open(settings: Arc<Settings>) -> Result<Self> {
        let opened = tokio::task::spawn_blocking(move || Self::open_blocking(&settings)).await;
        opened.context("opening the outbox ended badly")?
    }

    fn open_blocking(settings: &Settings) -> Result<Self> {
        let identities = settings.identities.as_ref().context("no engine is configured: add [identities]")?;
        let client = Client::new(&identities.client())?;
        let broker = settings.mqtt.as_ref().map(Broker::new).transpose()?;
        let actions = Actions::new(&settings.actions, Some(&client), broker.as_ref())?;
        let actions = actions.with_dry_run(settings.dry_run.clone());
        for (action, problem) in actions.hold_lines() {
            tracing::warn!(action, problem, "a relay's line cannot be had; it is tried again when the relay is needed");
        }
        let outbox = Outbox::open(&settings.state_dir, &settings.outbox)?;
        let presences = Presences::open(settings, &outbox)?;
        let home = broker.as_ref().map(|broker| mqtt::home(settings, broker, &outbox)).transpose()?.flatten();
        let detectors = settings.detectors.iter().map(|config| {
            let rules = Mutex::new(rules(settings, config, &outbox)?);
            Ok((config.name.clone(), Detector { config: Arc::new(config.clone()), rules }))
        });
        let detectors = detectors.collect::<Result<_>>()?;
        Ok(Self { outbox, client, actions, broker, home, presences, detectors })
    }

    pub fn into_delivery(
        self,
        settings: &Settings,
        events: &Events,
        board: &Board,
        wake: &Arc<Notify>,
    ) -> Arc<Delivery> {
        let options = DeliveryOptions {
            late_after: Duration::from_millis(settings.outbox.late_after_ms),
            concurrency: settings.identities.as_ref().map_or(1, |identities| identities.concurrency),
            drain_per_sec: settings.outbox.drain_per_sec,
        };
        let Self { outbox, client, actions, presences, detectors, .. } = self;
        let (events, board, wake) = (events.clone(), board.clone(), Arc::clone(wake));
        Delivery::new(Parts { outbox, client, actions, detectors, presences, events, board, wake }, options)
    }
}

/// A detector's rules, with what they fired and whom they saw before a restart.
fn rules(settings: &Settings, config: &DetectorConfig, outbox: &Outbox) -> Result<Rules> {
    let late_after = Duration::from_millis(settings.outbox.late_after_ms);
    let guard = |name: &str| settings.actions.get(name).and_then(ActionConfig::guard).cloned();
    let mut rules = Rules::new(config.rules.clone(), config.time_zone, late_after, guard)?;
    rules = rules.with_holidays(config.holidays.clone());
    let longest = config.rules.iter().filter_map(|rule| rule.cooldown_secs).max().unwrap_or_default();
    let rests = i64::try_from(longest).ok().and_then(TimeDelta::try_seconds).unwrap_or(TimeDelta::MAX);
    let mut fired = outbox.recent_firings(Utc::now() - rests.clamp(REMEMBERED.0, REMEMBERED.1)).wait()?;
    fired.retain(|(firing, _)| firing.detector == config.name);
    rules.restore(fired);
    let mut seen = outbox.recently_seen(Utc::now() - SEEN).wait()?;
    seen.retain(|seen| seen.detector == config.name);
    rules.restore_seen(seen);
    Ok(rules)
}
