//! From the outbox to the engine, and from its answer to the actions.
//!
//! In: sightings as they become due. Out: every one of them settled: answered, its actions performed once, its visit's
//! book kept. Who goes next is for [`pace`] to say, whether the engine may be asked for [`breaker`], what a failure
//! means for the client, and what follows from an answer for the rules.
//!
//! ```text
//! outbox -▶ take: breaker and pace admit? -▶ engine -answer--▶ settle: rules, ledger -▶ act: once -▶ actions
//!   ▲                                           └-failure-▶ postpone -┐
//!   └-----------------------------------------------------------------┘
//! ```

mod breaker;
mod cameras;
mod pace;
mod settle;
mod steps;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use chrono::Utc;
use identities::Client;
use parking_lot::Mutex;
use telemetry::Repeated;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::events::{Event, Events};
use super::presence::Presences;
use super::supervisor::Beat;
use crate::actions::Actions;
use crate::clock;
use crate::config::{DetectorConfig, DetectorName, IdentifyConfig};
use crate::crop::Sighting;
use crate::outbox::{Dropped, Outbox, Queued, Reply, Turn as Next};
use crate::recognition::{Answer, IdentifyError, Recognition, identify};
use crate::rules::Rules;
use crate::status::{Board, EngineState, OutboxLine};
use breaker::Breaker;
use cameras::Troubles;
use pace::Pace;
use steps::Steps;

/// How often the outbox and the clocks are looked at when nothing calls sooner.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often what is too old is ended, and the history is cut to its length.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// How often the engine is asked something, whether somebody comes or not.
const ASK_EVERY: Duration = Duration::from_secs(30);
/// How long a mistake of the outbox is shown.
const MISTAKE_SHOWN: Duration = Duration::from_secs(60);
/// A sighting that failed lets the others ask first: one the engine stumbles over must not be the only one ever tried.
const BEHIND: Duration = Duration::from_millis(100);

/// The delivery of all detectors; shared by its tasks.
pub struct Delivery {
    rooms: Parts,
    options: DeliveryOptions,
    /// It guards a handful of numbers. Nothing waits under it, and no other lock is taken with it.
    flow: Mutex<Flow>,
    /// Actions of the backlog under way.
    backlog_actions: Arc<AtomicUsize>,
    /// Actions and requests under way.
    tasks: TaskTracker,
    unreachable: Repeated,
    /// The outbox did not answer as it should, by a mistake in the program; what was said last, and when. Nothing waits
    /// under it, and no other lock is taken with it.
    outbox_mistake: Mutex<Option<(Instant, String)>>,
    outbox_mistakes: Repeated,
}

/// What delivery needs of one detector.
pub struct Detector {
    pub config: Arc<DetectorConfig>,
    /// It guards the rules and what they remember; nothing waits under it, and no other lock is taken with it.
    pub rules: Mutex<Rules>,
}

/// The rooms that delivery connects.
pub struct Parts {
    pub outbox: Outbox,
    pub client: Client,
    pub actions: Actions,
    pub detectors: HashMap<DetectorName, Detector>,
    pub presences: Presences,
    pub events: Events,
    pub board: Board,
    /// To be notified when a sighting came in.
    pub wake: Arc<Notify>,
}

/// How delivery may go about it.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryOptions {
    /// From here on an answer is late: it opens nothing.
    pub late_after: Duration,
    /// Requests under way at once.
    pub concurrency: u16,
    /// Sightings of the backlog sent in a second; 0 is without limit.
    pub drain_per_sec: u32,
}

/// Whose sighting may be sent. In the order of how many that are, so that the smaller of two is what both admit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Admits {
    Nobody,
    /// A visitor's who may still stand there.
    Live,
    All,
}

/// What decides who is next.
struct Flow {
    breaker: Breaker,
    pace: Pace,
    steps: Steps,
}

/// A place held by one request, given back when this is dropped, however the request ended.
struct Turn {
    delivery: Arc<Delivery>,
    live: bool,
    /// It decides whether the breaker closes, and has not yet.
    probe: bool,
}

impl Delivery {
    pub fn new(rooms: Parts, options: DeliveryOptions) -> Arc<Self> {
        let flow = Flow {
            breaker: Breaker::new(),
            pace: Pace::new(options.concurrency, options.drain_per_sec),
            steps: Steps::new(clock::now(), Utc::now()),
        };
        Arc::new(Self {
            rooms,
            options,
            flow: Mutex::new(flow),
            backlog_actions: Arc::default(),
            tasks: TaskTracker::new(),
            unreachable: Repeated::default(),
            outbox_mistake: Mutex::default(),
            outbox_mistakes: Repeated::default(),
        })
    }

    /// Sends what is due, and notices who has left, until `stop`; then until nothing is under way. What is not sent by
    /// then stays in the outbox. The beat shows when it hangs because the outbox does.
    pub async fn run(self: Arc<Self>, stop: CancellationToken, beat: Beat) {
        self.resume().await;
        self.show_breaker();
        let (mut tidied, mut troubles) = (Instant::now(), Troubles::default());
        while !stop.is_cancelled() {
            self.look_at_clocks();
            beat.busy("waiting for the outbox");
            let next = self.send_due().await;
            beat.idle();
            let pause = next.map_or(LOOK_EVERY, |next| next.saturating_duration_since(clock::now()).min(LOOK_EVERY));
            tokio::select! {
                () = self.rooms.wake.notified() => {}
                () = self.rooms.presences.changed() => {}
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => break,
            }
            beat.busy("waiting for the outbox");
            self.departures(false).await;
            self.show_outbox();
            self.tell_of_cameras(&mut troubles);
            self.ask_if_idle();
            if tidied.elapsed() >= TIDY_EVERY {
                tidied = Instant::now();
                self.tidy().await;
            }
        }
        beat.idle();
        // Whoever has left by now is told of, and the actions for that are waited for like the others.
        self.departures(true).await;
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn departures(self: &Arc<Self>, all: bool) {
        for departures in self.rooms.presences.departures(all) {
            self.departed(departures).await;
        }
    }

    fn tell_of_cameras(self: &Arc<Self>, troubles: &mut Troubles) {
        let health = self.rooms.board.health(Instant::now());
        for news in troubles.look(self.rooms.detectors.keys(), &health, Utc::now()) {
            self.camera(&news);
        }
    }

    /// Whether nothing is under way and nothing waits.
    pub fn is_idle(&self) -> bool {
        self.tasks.is_empty() && self.rooms.outbox.figures().sightings == 0
    }

    /// Sends everything that is due and admitted. Gives the moment to look again, where one is known.
    async fn send_due(self: &Arc<Self>) -> Option<Instant> {
        loop {
            let now = clock::now();
            let admits = self.admits(now);
            if admits == Admits::Nobody {
                return self.next_change(now);
            }
            let due = match self.take(admits, now).await {
                Ok(due) => due,
                Err(next_due) => return [self.next_change(now), next_due].into_iter().flatten().min(),
            };
            let live = self.is_live(&due.sighting);
            let mut turn = self.turn(live);
            self.tasks.spawn(async move {
                let delivery = Arc::clone(&turn.delivery);
                delivery.send(&due, &mut turn).await;
            });
        }
    }

    fn admits(&self, now: Instant) -> Admits {
        let flow = self.flow.lock();
        let acting = self.backlog_actions.load(std::sync::atomic::Ordering::Relaxed);
        flow.breaker.admits(now).min(flow.pace.admits(now, acting))
    }

    /// When more may be admitted than now, by the clock alone.
    fn next_change(&self, now: Instant) -> Option<Instant> {
        let flow = self.flow.lock();
        [flow.breaker.until(), flow.pace.due(now)].into_iter().flatten().filter(|moment| *moment > now).min()
    }

    /// The next sighting to send, or when the next that waits is due.
    async fn take(&self, admits: Admits, now: Instant) -> Result<Queued, Option<Instant>> {
        let which = match admits {
            Admits::All if self.flow.lock().breaker.is_closed() => Next::Any,
            Admits::All => Next::LeastTried,
            Admits::Live | Admits::Nobody => Next::Live,
        };
        let next = self.answer_of(self.rooms.outbox.next_of(now, which)).await.flatten();
        next.ok_or_else(|| self.rooms.outbox.figures().next_due)
    }

    /// Whether the answer can still open something.
    fn is_live(&self, sighting: &Sighting) -> bool {
        sighting
            .arrived
            .is_some_and(|arrived| clock::now().saturating_duration_since(arrived) < self.options.late_after)
    }

    fn turn(self: &Arc<Self>, live: bool) -> Turn {
        let now = clock::now();
        let mut flow = self.flow.lock();
        flow.pace.started(live, now);
        let probe = flow.breaker.asked(now);
        drop(flow);
        if probe {
            self.show_breaker();
        }
        Turn { delivery: Arc::clone(self), live, probe }
    }

    async fn send(self: &Arc<Self>, due: &Queued, turn: &mut Turn) {
        let detector = self.rooms.detectors.get(&due.sighting.detector);
        let defaults = IdentifyConfig::default();
        let how = detector.map_or(&defaults, |detector| &detector.config.identify);
        let asked = Instant::now();
        match identify(&self.rooms.client, &due.sighting, how).await {
            Ok(recognition) => {
                metrics::histogram!("doorward_agent_identify_seconds").record(asked.elapsed());
                self.engine_answered(turn, "");
                self.settle(recognition, &due.sighting).await;
            }
            Err(error) if !error.again => {
                let reason = error.reason();
                metrics::counter!("doorward_identities_failures_total", "kind" => error.source.kind()).increment(1);
                tracing::warn!(sighting = %due.sighting.id, reason, "the engine refused a sighting for good");
                self.engine_answered(turn, &reason);
                let recognition = Recognition::of(&due.sighting, Answer::Refused { reason });
                self.settle(recognition, &due.sighting).await;
            }
            Err(error) => {
                let open_until = self.engine_failed(turn, &error);
                self.postpone(due, &error, open_until).await;
            }
        }
    }

    /// Asks the engine something small when it has not been asked for a while, so that its silence is noticed before a
    /// visitor comes.
    fn ask_if_idle(self: &Arc<Self>) {
        let now = clock::now();
        let idle = {
            let flow = self.flow.lock();
            flow.breaker.idle_for(now, ASK_EVERY) && flow.pace.is_idle() && flow.breaker.admits(now) == Admits::All
        };
        if !idle {
            return;
        }
        let mut turn = self.turn(true);
        self.tasks.spawn(async move {
            let delivery = Arc::clone(&turn.delivery);
            match delivery.rooms.client.user_profile().await.map_err(IdentifyError::from) {
                Ok(_) => delivery.engine_answered(&mut turn, ""),
                // An account need not be allowed to read its own profile, nor an engine to have one.
                Err(error) if error.is_answer() => delivery.engine_answered(&mut turn, ""),
                Err(error) => drop(delivery.engine_failed(&mut turn, &error)),
            }
        });
    }

    fn engine_answered(&self, turn: &mut Turn, reason: &str) {
        turn.probe = false;
        let failures = self.flow.lock().breaker.answered();
        if failures > 0 {
            tracing::info!(failures, "the engine answers again");
            self.show_breaker();
        }
        self.engine_state(EngineState::Answering, reason);
    }

    /// The engine could not be asked, or not by us. Gives the moment until which nobody but a visitor asks.
    fn engine_failed(&self, turn: &mut Turn, error: &IdentifyError) -> Option<Instant> {
        metrics::counter!("doorward_identities_failures_total", "kind" => error.source.kind()).increment(1);
        let (now, reason) = (clock::now(), error.reason());
        let (opened, failures, until) = {
            let mut flow = self.flow.lock();
            let pause = self.rooms.client.backoff().pause(flow.breaker.failures() + 1, error.after, rand::random());
            let probe = std::mem::take(&mut turn.probe);
            let opened = flow.breaker.failed(now, probe, pause, error.after.is_some());
            (opened, flow.breaker.failures(), flow.breaker.until())
        };
        if let Some(line) = self.unreachable.note(Instant::now(), &reason) {
            tracing::warn!(failures, "the engine cannot be asked, sightings wait in the outbox: {line}");
        }
        if opened {
            metrics::counter!("doorward_agent_breaker_opened_total").increment(1);
            self.show_breaker();
        }
        self.engine_state(EngineState::Silent, &reason);
        until
    }

    /// The sighting waits, longer from try to try, and while the others are held back, too.
    async fn postpone(&self, due: &Queued, error: &IdentifyError, open_until: Option<Instant>) {
        let own =
            clock::now() + self.rooms.client.backoff().pause(due.tries.saturating_add(1), error.after, rand::random());
        let until = open_until.map_or(own, |until| own.max(until + BEHIND));
        self.answer_of(self.rooms.outbox.postpone(due.sighting.id, until, &error.reason())).await;
    }

    /// Ends what is too old, and closes the visits of what had to go.
    async fn tidy(&self) {
        let dropped: Vec<Dropped> = self.answer_of(self.rooms.outbox.tidy(Utc::now())).await.unwrap_or_default();
        dropped.into_iter().for_each(|dropped| self.rooms.events.tell(Event::Dropped(dropped)));
    }

    fn look_at_clocks(&self) {
        if self.flow.lock().steps.look(clock::now(), Utc::now()) {
            tracing::warn!("the date of this machine was changed; answers for whoever was seen before open nothing");
            metrics::counter!("doorward_agent_clock_steps_total").increment(1);
        }
    }

    fn show_outbox(&self) {
        let figures = self.rooms.outbox.figures();
        let (pending, bytes, oldest) = (figures.sightings as u64, figures.bytes, figures.oldest);
        self.rooms.board.outbox(OutboxLine { pending, bytes, oldest });
        let now = Instant::now();
        let mistake = self.outbox_mistake.lock().clone();
        let mistake = mistake.filter(|(at, _)| now.saturating_duration_since(*at) < MISTAKE_SHOWN);
        self.rooms.board.outbox_problem(figures.problem.or(mistake.map(|(_, problem)| problem)), now);
    }

    fn show_breaker(&self) {
        let (state, until) = {
            let flow = self.flow.lock();
            (flow.breaker.state(), flow.breaker.until())
        };
        metrics::gauge!("doorward_agent_breaker_state").set(f64::from(state as u8));
        self.rooms.board.breaker(state, until);
    }

    fn engine_state(&self, state: EngineState, reason: &str) {
        self.rooms.board.engine(state, reason, Instant::now());
    }

    /// What the outbox says. A failing disk it deals with by itself; an error is a mistake in the program, which is
    /// shown for a while, and gives `None`.
    async fn answer_of<T: Send + 'static>(&self, reply: Reply<T>) -> Option<T> {
        let error = match reply.await {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let now = Instant::now();
        *self.outbox_mistake.lock() = Some((now, error.to_string()));
        if let Some(line) = self.outbox_mistakes.note(now, &error) {
            tracing::error!("the outbox does not work, going on without it: {line}");
        }
        None
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut flow = self.delivery.flow.lock();
        flow.pace.ended(self.live);
        if self.probe {
            flow.breaker.abandoned(clock::now());
        }
        drop(flow);
        self.delivery.rooms.wake.notify_one();
    }
}
