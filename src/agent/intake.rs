//! Where the detectors' threads hand over what they decided: sightings go to the outbox, the book of visits is kept, and what
//! happened is told to the status board and to whoever listens.
//!
//! In: shots, ends of visits, answers, outcomes. Out: durable sightings, closed visits. It decides nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use telemetry::Repeated;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use super::confirm::Wishes;
use super::events::AgentEvent;
use super::presence::{Lobby, PresenceChange, PresenceNews};
use super::record;
use super::visits::{VisitBook, VisitOutcome, VisitSummary};
use crate::actions::mqtt::Home;
use crate::actions::{ActionResult, Outcome};
use crate::capture::CaptureTime;
use crate::config::DetectorName;
use crate::crop::Sighting;
use crate::outbox::{Dropped, Outbox, OutboxError};
use crate::recognition::Recognition;
use crate::rules::{ActionRequest, RefusedAction, RuleClock, Stay};
use crate::status::Board;
use crate::track::{BestShot, Confirm, VisitEnd, VisitId};

/// Sightings kept in memory while the disk takes none: a few minutes of visitors at a busy door, about 10 MB. When it is full the
/// oldest goes, counted.
const UNSAVED: usize = 100;

/// Shared by every thread and task of the agent; cheap to clone.
#[derive(Clone)]
pub struct Intake(Arc<Shared>);

struct Shared {
    /// `None` in a dry run.
    outbox: Option<Outbox>,
    book: Mutex<VisitBook>,
    /// What the disk would not take, newest last.
    unsaved: Mutex<VecDeque<Sighting>>,
    disk: Repeated,
    events: Option<UnboundedSender<AgentEvent>>,
    board: Board,
    lobby: Lobby,
    /// Where what happens at the doors is published.
    home: Option<Arc<Home>>,
    wishes: Wishes,
    /// Wakes the delivery: there is something to send.
    wake: Notify,
}

impl Intake {
    /// `lobby` is empty in a dry run, where nobody is recognised.
    pub fn new(
        outbox: Option<Outbox>,
        board: Board,
        lobby: Lobby,
        home: Option<Arc<Home>>,
        events: Option<UnboundedSender<AgentEvent>>,
    ) -> Self {
        Self(Arc::new(Shared {
            outbox,
            book: Mutex::default(),
            unsaved: Mutex::default(),
            disk: Repeated::default(),
            events,
            board,
            lobby,
            home,
            wishes: Wishes::default(),
            wake: Notify::new(),
        }))
    }

    /// A shot became a sighting: on disk before anything else happens. Blocks for the disk.
    pub fn accept(&self, shot: &BestShot, sighting: Sighting) {
        let shared = &self.0;
        lock(&shared.book).sent(shot, sighting.id, shared.outbox.is_some());
        self.tell(AgentEvent::Sent {
            visit: shot.visit,
            detector: sighting.detector.to_string(),
            shot: sighting.shot,
            first_face: shot.first_seen.arrived,
            quality: shot.quality.total,
        });
        if let Some(home) = &shared.home {
            home.sighted(&sighting.detector, sighting.expanded.clone());
        }
        let Some(outbox) = &shared.outbox else { return };
        match outbox.accept(&sighting) {
            Ok(accepted) => {
                tracing::debug!(sighting = %sighting.id, "a sighting is stored");
                accepted.dropped.iter().for_each(|dropped| self.dropped(dropped));
            }
            Err(error) => self.keep(sighting, &error),
        }
        shared.wake.notify_one();
    }

    /// The disk takes nothing: memory does, for a while.
    fn keep(&self, sighting: Sighting, error: &OutboxError) {
        let shared = &self.0;
        if let Some(line) = shared.disk.note(Instant::now(), error) {
            tracing::error!("the outbox takes no sightings, they are kept in memory: {line}");
        }
        let mut unsaved = lock(&shared.unsaved);
        let lost = if unsaved.len() == UNSAVED { unsaved.pop_front() } else { None };
        unsaved.push_back(sighting);
        drop(unsaved);
        if let Some(lost) = lost {
            metrics::counter!("doorward_agent_sightings_lost_total", "reason" => "disk").increment(1);
            let reason = "the disk took nothing, and neither could memory any more";
            let closed = lock(&shared.book).dropped(lost.visit, lost.id, reason);
            self.close(closed);
        }
    }

    /// The outbox ended a sighting without an answer.
    pub fn dropped(&self, dropped: &Dropped) {
        let closed = lock(&self.0.book).dropped(dropped.visit, dropped.sighting, dropped.reason.reason());
        self.close(closed);
    }

    /// A guard held an actuator back. More pictures may yet let it through: the log has it when the visit is over.
    fn refused(&self, refused: &RefusedAction) {
        let (action, guards) = (&refused.refusal.action, refused.refusal.guards());
        metrics::counter!("doorward_agent_refused_total", "action" => action.clone(), "guards" => guards).increment(1);
        self.0.board.action(record::refused_line(refused));
    }

    /// Asks the tracker for the pictures an actuator waits for, beside those whose answers are not in (this one's is); no
    /// longer, when it waits for none.
    pub fn confirm(&self, recognition: &Recognition, confirm: Option<Confirm>) {
        let waits = lock(&self.0.book).unanswered(recognition.visit).saturating_sub(1);
        let none = Confirm { more: 0, most: 0, min_quality: 0.0 };
        let mut confirm = confirm.unwrap_or(none);
        confirm.more = confirm.more.saturating_sub(u8::try_from(waits).unwrap_or(u8::MAX));
        self.0.wishes.ask(&recognition.detector, recognition.visit, confirm);
    }

    /// The pictures wanted of a detector's visits, since the last time this was asked.
    pub fn wanted(&self, detector: &DetectorName) -> impl Iterator<Item = (VisitId, Confirm)> + use<> {
        self.0.wishes.take(detector).into_iter()
    }

    /// Who is at a detector, as far as is known.
    pub fn present(&self, detector: &DetectorName) -> Vec<Stay> {
        self.0.lobby.present(detector)
    }

    /// These visits are in the newest frame.
    pub fn in_view(&self, detector: &DetectorName, time: CaptureTime, visits: impl Iterator<Item = VisitId>) {
        self.0.lobby.in_view(detector, time, visits);
    }

    /// The engine said who somebody is who may still be there: first who is there now, then what happened.
    pub fn recognised(&self, recognition: &Recognition, quality: f32, clock: RuleClock) {
        if let Some(news) = self.0.lobby.recognised(recognition, quality, clock) {
            self.presence(news);
        }
        if let Some(home) = &self.0.home {
            home.recognised(recognition, quality, clock.late);
        }
    }

    /// Somebody came or left, or the agent has started.
    pub fn presence(&self, news: PresenceNews) {
        let detector = news.detector.to_string();
        metrics::gauge!("doorward_agent_present", "detector" => detector).set(news.present.len() as f64);
        if let Some(home) = &self.0.home {
            home.present(&news.detector, &news.present);
            if let PresenceChange::Left(stay) = &news.change {
                home.left(stay);
            }
        }
        self.tell(AgentEvent::Presence(Box::new(news)));
    }

    /// The visitor left.
    pub fn left(&self, end: &VisitEnd) {
        let closed = lock(&self.0.book).left(end);
        self.close(closed);
    }

    /// The engine answered, these actions follow, and those are held back by their guards.
    pub fn answered(&self, recognition: &Recognition, requests: &[ActionRequest], refused: &[RefusedAction]) {
        self.tell(AgentEvent::Recognised(Box::new(recognition.clone())));
        let mut book = lock(&self.0.book);
        let closed = book.answered(recognition, requests, refused);
        let still_open = book.open(recognition.visit).map(record::visit_line);
        drop(book);
        refused.iter().for_each(|refused| self.refused(refused));
        if let Some(line) = still_open {
            // The visitor may stand there for long; the page shows who it is meanwhile.
            self.0.board.visit(line);
        }
        self.close(closed);
    }

    /// An action ended.
    pub fn acted(&self, request: &ActionRequest, outcome: &Outcome) {
        self.tell(AgentEvent::acted(request, outcome));
        self.0.board.action(record::action_line(request, outcome));
        let closed = lock(&self.0.book).acted(request.visit, outcome);
        self.close(closed);
    }

    /// The oldest sighting that only memory holds.
    pub fn take_unsaved(&self) -> Option<Sighting> {
        lock(&self.0.unsaved).pop_front()
    }

    /// Puts one back that could not be sent either.
    pub fn put_back(&self, sighting: Sighting) {
        lock(&self.0.unsaved).push_front(sighting);
    }

    /// Sightings that only memory holds.
    pub fn unsaved(&self) -> usize {
        lock(&self.0.unsaved).len()
    }

    /// Resolves when a sighting came in.
    pub async fn woken(&self) {
        self.0.wake.notified().await;
    }

    /// Wakes the delivery.
    pub fn wake(&self) {
        self.0.wake.notify_one();
    }

    pub fn board(&self) -> &Board {
        &self.0.board
    }

    /// The end of the process: every visit that is still open is closed as it stands.
    pub fn close_all(&self) {
        let rest = lock(&self.0.book).close_all();
        for summary in rest {
            self.close(Some(summary));
        }
    }

    fn close(&self, closed: Option<VisitSummary>) {
        let overflow = lock(&self.0.book).overflow();
        for summary in closed.into_iter().chain(overflow) {
            let outcome = summary.outcome.label();
            let detector = summary.detector.to_string();
            // Pending is no end: the answer opens the visit again, and then it is counted, once.
            if summary.outcome != VisitOutcome::Pending {
                metrics::counter!("doorward_agent_visits_total", "detector" => detector, "outcome" => outcome)
                    .increment(1);
                tracing::info!(visit = %summary.visit, detector = %summary.detector, outcome, shots = summary.sent.len(), "visit ended");
            }
            if let Some(outbox) = &self.0.outbox
                && let Err(error) = outbox.visit_closed(&record::closed(&summary))
                && let Some(line) = self.0.disk.note(Instant::now(), &error)
            {
                tracing::error!("a visit could not be recorded: {line}");
            }
            for line in &summary.actions {
                if let Some(ActionResult::Refused { guards, .. }) = &line.result {
                    let (visit, action, rule) = (summary.visit, &line.action, &line.rule);
                    tracing::info!(%visit, action, rule, guards, "an actuator was held back");
                }
            }
            self.0.board.visit(record::visit_line(&summary));
            self.tell(AgentEvent::Closed(Box::new(summary)));
        }
    }

    fn tell(&self, event: AgentEvent) {
        if let Some(events) = &self.0.events {
            // Nobody listens any more: the command is on its way out.
            let _ = events.send(event);
        }
    }
}

/// A thread that panicked while it held the lock left nothing half-done that the next could not go on with.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
