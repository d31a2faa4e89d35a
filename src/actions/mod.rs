//! What is done: one file per action.
//!
//! In: an [`ActionRequest`]. Out: an [`Outcome`], always: done, expired, or failed with a reason. It knows receivers,
//! programs and files; it does not know why something is to be done, only until when.
//!
//! ```text
//! perform: known action? -> room in its queue? -> its turn -> still in time? -> journal | webhook | … -> Outcome
//! ```

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ::identities::Client;
use tokio::sync::Semaphore;

use crate::clock;
use crate::config::{ActionConfig, DryRun};
use crate::rules::ActionRequest;
pub use crate::visits::ActionResult;

mod email;
pub mod erase;
mod exec;
mod identities;
mod journal;
pub mod mqtt;
mod relay;
mod retry;
mod setup;
mod syslog;
mod template;
mod webhook;

pub use relay::look as look_at_line;
pub use setup::{ActionError, WrongKey};

/// Requests that wait or are being performed, per action. A receiver that is down for a minute at a busy door collects
/// dozens; beyond this the newest fails at once, with that reason.
const MOST_ACCEPTED: usize = 256;

/// How an action ended. Logs show it without what was said.
#[derive(Clone, derive_more::Debug)]
#[debug("Outcome({action}: {result:?} after {took:?}, key {key})")]
pub struct Outcome {
    pub action: String,
    pub key: String,
    pub result: ActionResult,
    /// How long it took, from the request to its end.
    pub took: Duration,
    /// What the receiver answered or the program printed, up to 128 KiB; for `explain`, never for a log.
    pub said: Option<String>,
}

/// Every configured action, ready to be performed.
pub struct Actions {
    by_name: BTreeMap<String, Action>,
    dry_run: DryRun,
}

struct Action {
    kind: Kind,
    actuator: bool,
    /// A permit for each request that may be performed at the same time.
    at_once: Semaphore,
    /// A permit for each request that may wait or be performed.
    accepted: Semaphore,
}

enum Kind {
    Journal(journal::Journal),
    Webhook(Box<webhook::Webhook>),
    Exec(exec::Exec),
    Relay(relay::Relay),
    Email(Box<email::Email>),
    Syslog(Box<syslog::Syslog>),
    Identities(Box<identities::WriteBack>),
    Mqtt(Box<mqtt::Publish>),
}

/// What came back from a receiver or a program, as text.
type Said = Option<String>;
/// How performing an action went.
type Performed = Result<Said, Undone>;

/// Why an action was not done, and what the receiver or the program said all the same.
struct Undone {
    reason: String,
    said: Said,
}

impl Actions {
    /// Compiles every template and looks for every program; nothing is written, sent or taken. The client is for what
    /// is written back to the engine, the broker for what is published.
    pub fn new(
        configs: &BTreeMap<String, ActionConfig>,
        client: Option<&Client>,
        broker: Option<&mqtt::Broker>,
    ) -> Result<Self, ActionError> {
        let mut writers = journal::Writers::default();
        let mut by_name = BTreeMap::new();
        for (name, config) in configs {
            let kind = match config {
                ActionConfig::Journal(config) => Kind::Journal(journal::Journal::new(config, &mut writers)),
                ActionConfig::Webhook(config) => Kind::Webhook(Box::new(webhook::Webhook::new(name, config)?)),
                ActionConfig::Exec(config) => Kind::Exec(exec::Exec::new(name, config)?),
                ActionConfig::Relay(config) => Kind::Relay(relay::Relay::new(name, config)),
                ActionConfig::Email(config) => Kind::Email(Box::new(email::Email::new(name, config)?)),
                ActionConfig::Syslog(config) => Kind::Syslog(Box::new(syslog::Syslog::new(name, config)?)),
                ActionConfig::Identities(config) => {
                    Kind::Identities(Box::new(identities::WriteBack::new(name, config, client)?))
                }
                ActionConfig::Mqtt(config) => Kind::Mqtt(Box::new(mqtt::Publish::new(name, config, broker)?)),
            };
            let actuator = config.is_actuator();
            let (at_once, accepted) = (Semaphore::new(config.concurrency().into()), Semaphore::new(MOST_ACCEPTED));
            by_name.insert(name.clone(), Action { kind, actuator, at_once, accepted });
        }
        Ok(Self { by_name, dry_run: DryRun::All(false) })
    }

    /// Performs none of those that `dry_run` covers, and says so.
    pub fn with_dry_run(self, dry_run: DryRun) -> Self {
        Self { dry_run, ..self }
    }

    /// Takes what must be held from the start: the lines of relays, so that their levels are defined. Gives the names
    /// of those that cannot be had, and why; they are tried again when they are needed.
    pub fn hold_lines(&self) -> Vec<(&str, String)> {
        let relays = self.by_name.iter().filter_map(|(name, action)| match &action.kind {
            Kind::Relay(relay) => Some((name.as_str(), relay)),
            _ => None,
        });
        relays.filter_map(|(name, relay)| Some((name, relay.hold_line().err()?))).collect()
    }

    /// Whether the action moves something in the world; `false` for a name nobody configured.
    pub fn is_actuator(&self, name: &str) -> bool {
        self.by_name.get(name).is_some_and(|action| action.actuator)
    }

    /// Performs a request, when its turn comes and if it is still in time. An actuator is only in time with a moment to
    /// expire at, so never when the request is late or from before a restart. Dropping the future gives up: a program
    /// is killed, a try of a webhook broken off.
    pub async fn perform(&self, request: ActionRequest) -> Outcome {
        let started = Instant::now();
        let (result, said) = match self.by_name.get(&request.action) {
            Some(action) => action.perform(&request, self.dry_run.covers(&request.action)).await,
            None => (failed("no action of this name is configured (any more)"), None),
        };
        let (took, label) = (started.elapsed(), result.label());
        let ActionRequest { action, key, .. } = request;
        metrics::counter!("doorward_actions_performed_total", "action" => action.clone(), "result" => label)
            .increment(1);
        metrics::histogram!("doorward_actions_duration_seconds", "action" => action.clone()).record(took.as_secs_f64());
        Outcome { action, key, result, took, said }
    }
}

impl Action {
    async fn perform(&self, request: &ActionRequest, dry_run: bool) -> (ActionResult, Said) {
        let Ok(_place) = self.accepted.try_acquire() else {
            return (failed(&format!("{MOST_ACCEPTED} requests are already waiting for this action")), None);
        };
        if self.expired(request) {
            return (ActionResult::Expired, None);
        }
        if dry_run {
            return (ActionResult::DryRun, None);
        }
        // The semaphores are never closed; an error would mean the turn is ours.
        let _turn = self.at_once.acquire().await;
        if self.expired(request) {
            return (ActionResult::Expired, None);
        }
        let performed = match &self.kind {
            Kind::Journal(journal) => journal.perform(request).await,
            Kind::Webhook(webhook) => webhook.perform(request).await,
            Kind::Exec(exec) => exec.perform(request).await,
            Kind::Relay(relay) => relay.perform(request).await,
            Kind::Email(email) => email.perform(request).await,
            Kind::Syslog(syslog) => syslog.perform(request).await,
            Kind::Identities(write_back) => write_back.perform(request).await,
            Kind::Mqtt(publish) => publish.perform(request).await,
        };
        match performed {
            Ok(said) => (ActionResult::Done, said),
            Err(Undone { reason, said }) => (ActionResult::Failed { reason }, said),
        }
    }

    fn expired(&self, request: &ActionRequest) -> bool {
        match request.expires_at {
            Some(moment) => clock::now() >= moment || (self.actuator && request.late),
            None => self.actuator,
        }
    }
}

impl<T: Into<String>> From<T> for Undone {
    fn from(reason: T) -> Self {
        Self { reason: reason.into(), said: None }
    }
}

fn failed(reason: &str) -> ActionResult {
    ActionResult::Failed { reason: reason.into() }
}
