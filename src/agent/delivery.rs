//! From the outbox to the engine, and from its answer to the actions.
//!
//! In: sightings as they become due. Out: every one of them settled: answered, its actions performed once, its visit's book kept.
//! It owns the pause after a failing engine; what a failure means is the client's to say, what follows from an answer the rules'.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::intake::Intake;
use super::record;
use crate::actions::Actions;
use crate::config::{DetectorConfig, DetectorName, IdentifyConfig};
use crate::crop::Sighting;
use crate::identities::{Answer, Client, IdentifyError, Recognition, Verdict};
use crate::outbox::{Outbox, OutboxError};
use crate::rules::{ActionRequest, RuleClock, Rules};
use crate::status::{EngineState, OutboxLine};
use crate::telemetry::Repeated;

/// How often the outbox is looked into when nobody called: for what was postponed.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often what is too old is ended, and the history is cut to its length.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// How often the engine is asked something, whether somebody comes or not.
const ASK_EVERY: Duration = Duration::from_secs(30);
/// A new sighting asks an engine that failed again, but not more often than this.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// The delivery of all detectors; shared by its tasks.
pub struct Delivery {
    intake: Intake,
    outbox: Outbox,
    client: Client,
    actions: Arc<Actions>,
    doors: HashMap<DetectorName, Door>,
    late_after: Duration,
    /// Requests under way at once.
    places: Arc<Semaphore>,
    /// Actions and requests under way.
    tasks: TaskTracker,
    engine: Mutex<EngineHealth>,
    unreachable: Repeated,
    disk: Repeated,
}

/// What delivery needs of one detector.
pub struct Door {
    pub config: Arc<DetectorConfig>,
    pub rules: Mutex<Rules>,
}

/// Where a sighting under way is kept meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    OnDisk,
    /// The disk takes nothing.
    InMemory,
}

/// How the engine has been answering.
struct EngineHealth {
    /// Failures since the last answer.
    failures: u32,
    /// Nothing is sent before this moment, but for a probe.
    rest_until: Instant,
    last_try: Option<Instant>,
}

impl Delivery {
    pub fn new(
        intake: Intake,
        outbox: Outbox,
        client: Client,
        actions: Actions,
        doors: HashMap<DetectorName, Door>,
        late_after: Duration,
        concurrency: u16,
    ) -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self {
            intake,
            outbox,
            client,
            actions: Arc::new(actions),
            doors,
            late_after,
            places: Arc::new(Semaphore::new(usize::from(concurrency.max(1)))),
            tasks: TaskTracker::new(),
            engine: Mutex::new(EngineHealth { failures: 0, rest_until: now, last_try: None }),
            unreachable: Repeated::default(),
            disk: Repeated::default(),
        })
    }

    /// Sends what is due until `stop`, and then until nothing is under way. What is not sent by then stays in the outbox.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        self.resume().await;
        let mut called = true;
        let mut tidied = Instant::now();
        while !stop.is_cancelled() {
            self.send_due(called).await;
            called = tokio::select! {
                () = self.intake.woken() => true,
                () = tokio::time::sleep(LOOK_EVERY) => false,
                () = stop.cancelled() => break,
            };
            self.show_outbox();
            self.probe().await;
            if tidied.elapsed() >= TIDY_EVERY {
                tidied = Instant::now();
                self.tidy().await;
            }
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Asks the engine something small when it has not been asked for a while, so that its silence is noticed before a visitor
    /// comes.
    async fn probe(&self) {
        let idle = {
            let mut engine = self.engine();
            let idle = engine.last_try.is_none_or(|last| last.elapsed() >= ASK_EVERY) && self.tasks.is_empty();
            if idle {
                engine.last_try = Some(Instant::now());
            }
            idle
        };
        if idle {
            match self.client.user_profile().await {
                Ok(_) => self.engine_answered(),
                Err(error) => {
                    let reason = error.to_string();
                    let state = match error.verdict() {
                        Verdict::Again { .. } => EngineState::Silent,
                        // It answered, if only to turn us down; the page shows why.
                        Verdict::Final => EngineState::Answering,
                    };
                    if let Some(line) = self.unreachable.note(Instant::now(), &reason) {
                        tracing::warn!("the engine does not let us in: {line}");
                    }
                    self.engine_state(state, &reason);
                }
            }
        }
    }

    /// Ends what is too old, and closes the visits of what had to go.
    async fn tidy(&self) {
        for dropped in self.store(|outbox| outbox.tidy(Utc::now())).await.unwrap_or_default() {
            self.intake.dropped(&dropped);
        }
    }

    fn engine(&self) -> MutexGuard<'_, EngineHealth> {
        // What it guards is a handful of numbers, never half-written.
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show_outbox(&self) {
        let pending = (self.outbox.len() + self.intake.unsaved()) as u64;
        self.intake.board().outbox(OutboxLine { pending, bytes: self.outbox.bytes(), oldest: self.outbox.oldest() });
    }

    fn engine_state(&self, state: EngineState, reason: &str) {
        self.intake.board().engine(state, reason, Instant::now());
    }

    /// Whether nothing is under way and nothing waits.
    pub fn is_idle(&self) -> bool {
        self.tasks.is_empty() && self.intake.unsaved() == 0 && self.outbox.is_empty()
    }

    /// What a former life of the process left: actions that were asked for and never started are performed now, if they may be
    /// late; those that had been started may have happened, and are not repeated.
    async fn resume(self: &Arc<Self>) {
        let Some(unfinished) = self.store(|outbox| outbox.unfinished()).await else { return };
        for unfinished in unfinished {
            let key = unfinished.key;
            match unfinished.request.as_ref().map(ActionRequest::from_record) {
                Some(Ok(request)) => self.act(request, true),
                Some(Err(error)) => tracing::error!(key, %error, "a stored action cannot be read and is not performed"),
                None => {
                    tracing::warn!(key, action = unfinished.action, "an action was interrupted and is not repeated");
                    metrics::counter!("doorward_agent_actions_interrupted_total").increment(1);
                }
            }
        }
    }

    /// Sends everything that is due, as far as places are free. A failing engine is left alone until its pause is over; a new
    /// sighting (`called`) may ask once in between.
    async fn send_due(self: &Arc<Self>, called: bool) {
        while let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            if !self.may_send(called) {
                return;
            }
            let Some((sighting, kept)) = self.take().await else { return };
            let delivery = Arc::clone(self);
            self.tasks.spawn(async move {
                delivery.send(sighting, kept).await;
                drop(place);
                delivery.intake.wake();
            });
        }
    }

    /// The next sighting to send. What the disk would not take is offered to it once more, and else sent from memory.
    async fn take(&self) -> Option<(Sighting, Kept)> {
        while let Some(sighting) = self.intake.take_unsaved() {
            let again = sighting.clone();
            match self.store(move |outbox| outbox.accept(&again)).await {
                Some(_) => continue,
                None => return Some((sighting, Kept::InMemory)),
            }
        }
        let queued = self.store(|outbox| outbox.next(Instant::now())).await.flatten()?;
        Some((queued.sighting, Kept::OnDisk))
    }

    fn may_send(&self, called: bool) -> bool {
        let engine = self.engine();
        let now = Instant::now();
        let probe = || engine.last_try.is_none_or(|last| now >= last + PROBE_EVERY);
        // While the engine fails, one at a time.
        let alone = engine.failures == 0 || self.tasks.is_empty();
        alone && (now >= engine.rest_until || (called && probe()))
    }

    async fn send(self: &Arc<Self>, sighting: Sighting, kept: Kept) {
        let door = self.doors.get(&sighting.detector);
        let defaults = IdentifyConfig::default();
        let how = door.map_or(&defaults, |door| &door.config.identify);
        let asked = Instant::now();
        self.engine().last_try = Some(asked);
        match self.client.identify(&sighting, how).await {
            Ok(recognition) => {
                metrics::histogram!("doorward_identities_request_seconds").record(asked.elapsed());
                self.engine_answered();
                self.settle(recognition, &sighting, kept).await;
            }
            Err(error @ IdentifyError::Final { .. }) => {
                let reason = error.reason();
                metrics::counter!("doorward_identities_failures_total", "kind" => error.kind()).increment(1);
                tracing::warn!(sighting = %sighting.id, reason, "the engine refused a sighting for good");
                self.engine_state(EngineState::Answering, &reason);
                let recognition = Recognition::of(&sighting, Answer::Refused { reason });
                self.settle(recognition, &sighting, kept).await;
            }
            Err(error @ IdentifyError::Retry { .. }) => self.postpone(&error, sighting, kept).await,
        }
    }

    fn engine_answered(&self) {
        let mut engine = self.engine();
        if engine.failures > 0 {
            tracing::info!(failures = engine.failures, "the engine answers again");
        }
        engine.failures = 0;
        engine.rest_until = Instant::now();
        drop(engine);
        self.engine_state(EngineState::Answering, "");
    }

    /// The engine could not be asked: the sighting waits, and so do the others.
    async fn postpone(&self, error: &IdentifyError, sighting: Sighting, kept: Kept) {
        metrics::counter!("doorward_identities_failures_total", "kind" => error.kind()).increment(1);
        let IdentifyError::Retry { after, .. } = error else { return };
        let (pause, reason) = {
            let mut engine = self.engine();
            engine.failures = engine.failures.saturating_add(1);
            let pause = self.client.backoff().pause(engine.failures, *after, rand::random());
            engine.rest_until = Instant::now() + pause;
            let reason = error.reason();
            if let Some(line) = self.unreachable.note(Instant::now(), &reason) {
                let failures = engine.failures;
                tracing::warn!(failures, "the engine cannot be asked, sightings wait in the outbox: {line}");
            }
            self.engine_state(EngineState::Silent, &reason);
            (pause, reason)
        };
        let (id, until) = (sighting.id, Instant::now() + pause);
        match kept {
            Kept::InMemory => self.intake.put_back(sighting),
            Kept::OnDisk => drop(self.store(move |outbox| outbox.postpone(id, until, &reason)).await),
        }
    }

    /// An answer: what follows from it is stored with it in one step, and then done.
    async fn settle(self: &Arc<Self>, recognition: Recognition, sighting: &Sighting, kept: Kept) {
        let clock = self.clock(&recognition);
        let mut requests = match self.doors.get(&recognition.detector) {
            Some(door) => {
                let mut rules = door.rules.lock().unwrap_or_else(PoisonError::into_inner);
                rules.evaluate(&recognition, sighting.quality, clock)
            }
            None => Vec::new(),
        };
        for request in &mut requests {
            request.picture = Some(sighting.expanded.clone());
        }
        // Where the disk takes nothing, what was asked for is done all the same: the rules' memory still knows what has been.
        let mut recorded = false;
        if kept == Kept::OnDisk {
            let (answered, planned) = record::settled(&recognition, clock.late, &requests);
            if let Some(settled) = self.store(move |outbox| outbox.answered(&answered, &planned)).await {
                requests.retain(|request| settled.planned.contains(&request.key));
                recorded = true;
            }
        }
        self.intake.answered(&recognition, &requests);
        for request in requests {
            self.act(request, recorded);
        }
    }

    /// Now, on the clock the recognition is dated with: for a recording replayed faster than life, the recording's.
    fn clock(&self, recognition: &Recognition) -> RuleClock {
        match recognition.arrived.map(|arrived| arrived.elapsed()) {
            Some(age) => RuleClock {
                utc: recognition.seen_at + TimeDelta::from_std(age).unwrap_or(TimeDelta::zero()),
                late: age > self.late_after,
            },
            None => RuleClock { utc: Utc::now(), late: true },
        }
    }

    /// Performs an action, once: the outbox gives every key it has on record away once only.
    fn act(self: &Arc<Self>, request: ActionRequest, recorded: bool) {
        let delivery = Arc::clone(self);
        self.tasks.spawn(async move {
            let key = request.key.clone();
            if recorded && delivery.store(move |outbox| outbox.claim(&key)).await == Some(false) {
                return;
            }
            let outcome = delivery.actions.perform(request.clone()).await;
            if let crate::actions::ActionResult::Failed { reason } = &outcome.result {
                tracing::warn!(action = outcome.action, key = outcome.key, reason, "an action failed");
            }
            let (key, end) = (outcome.key.clone(), record::end(&outcome.result));
            if recorded {
                delivery.store(move |outbox| outbox.finish(&key, &end)).await;
            }
            delivery.intake.acted(&request, &outcome);
        });
    }

    /// Runs a piece of work on the outbox, off the async threads. A failing disk is reported and gives `None`.
    async fn store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Outbox) -> Result<T, OutboxError> + Send + 'static,
    ) -> Option<T> {
        let outbox = self.outbox.clone();
        let result = tokio::task::spawn_blocking(move || work(&outbox)).await;
        let problem: Box<dyn std::error::Error> = match result {
            Ok(Ok(value)) => {
                self.intake.board().outbox_problem(None, Instant::now());
                return Some(value);
            }
            Ok(Err(error)) => Box::new(error),
            Err(panicked) => Box::new(panicked),
        };
        self.intake.board().outbox_problem(Some(problem.to_string()), Instant::now());
        if let Some(line) = self.disk.note(Instant::now(), &problem) {
            tracing::error!("the outbox does not work, going on without it: {line}");
        }
        None
    }
}
