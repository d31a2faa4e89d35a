//! From an answer to its actions, once.
//!
//! In: a recognition, or what a former life of the process left undone. Out: actions performed, each key at most once,
//! none of an actuator's late. What follows from an answer is stored with it in one step before any of it is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use chrono::{TimeDelta, Utc};

use tokio::sync::Notify;

use super::Delivery;
use crate::actions::ActionResult;
use crate::agent::events::{Answered as AnsweredEvent, Event};
use crate::agent::presence::{Departures, PresenceChange, PresenceNews};
use crate::clock;
use crate::config::EventKind;
use crate::crop::Sighting;
use crate::outbox::{Answered, Judged, Presence};
use crate::recognition::Recognition;
use crate::rules::{ActionRequest, CameraNews, RuleClock};

/// An action of the backlog under way; counted until this is dropped.
struct BacklogAction {
    count: Arc<AtomicUsize>,
    wake: Arc<Notify>,
}

impl Delivery {
    /// What a former life of the process left: actions that were asked for and never started are performed now, if they
    /// may be late; those that had been started may have happened, and are not repeated.
    pub(super) async fn resume(self: &Arc<Self>) {
        let Some(unfinished) = self.answer_of(self.rooms.outbox.unfinished()).await else { return };
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

    /// An answer: what follows from it is stored with it in one step, and then done.
    pub(super) async fn settle(self: &Arc<Self>, recognition: Recognition, sighting: &Sighting) {
        let clock = self.rule_clock(&recognition);
        // First who is there: a guard asks for it.
        if let Some(news) = self.rooms.presences.recognised(&recognition, sighting.quality, clock) {
            self.rooms.events.tell(Event::Presence(Box::new(news)));
        }
        let judged = self.rooms.detectors.get(&recognition.detector).map(|detector| {
            let present = self.rooms.presences.present(&recognition.detector);
            let mut rules = detector.rules.lock();
            rules.judge(&recognition, sighting.quality, clock, &present)
        });
        let mut judged = judged.unwrap_or_default();
        for request in &mut judged.requests {
            request.picture = Some(sighting.expanded.clone());
        }
        let settled = self.answer_of(self.rooms.outbox.answered(Answered::of(&recognition, clock.late, &judged))).await;
        if let Some(settled) = &settled {
            judged.requests.retain(|request| settled.planned.contains(&request.key));
            if settled.first {
                tracing::debug!(sighting = %recognition.sighting, late = clock.late, "a sighting is settled");
            }
        }
        self.rooms.events.tell(Event::Answered(Box::new(AnsweredEvent {
            recognition,
            quality: sighting.quality,
            live: judged.live,
            late: clock.late,
            requests: judged.requests.clone(),
            refused: judged.refused,
            confirm: judged.confirm,
        })));
        // Without the outbox, what was asked for is done all the same: the rules' memory still knows what has been.
        for request in judged.requests {
            self.act(request, settled.is_some());
        }
    }

    /// Somebody has left: what the rules make of it is stored, with who is still there, in one step, and then done.
    pub(super) async fn departed(self: &Arc<Self>, departures: Departures) {
        let Departures { detector, left, records, present, clock } = departures;
        let (mut requests, mut judged) = (Vec::new(), Vec::new());
        if let Some(of_detector) = self.rooms.detectors.get(&detector) {
            let mut rules = of_detector.rules.lock();
            for stay in &left {
                let (it, judgement) = (&stay.recognition, rules.left(stay, clock));
                judged.extend(Judged::of(it.visit, it.sighting, EventKind::Left, &judgement.verdicts));
                requests.extend(judgement.requests);
            }
        }
        let to_store = requests.iter().map(ActionRequest::without_picture).collect();
        let presence = Presence { detector: detector.clone(), stays: records, requests: to_store, judged };
        let stored = self.answer_of(self.rooms.outbox.presence(presence)).await;
        if let Some(planned) = &stored {
            requests.retain(|request| planned.contains(&request.key));
        }
        for stay in left {
            let change = PresenceChange::Left(stay);
            let news = PresenceNews { detector: detector.clone(), change, present: present.clone() };
            self.rooms.events.tell(Event::Presence(Box::new(news)));
        }
        for request in requests {
            self.act(request, stored.is_some());
        }
    }

    /// A camera is in trouble, or well again: what the rules make of it is done, and not stored.
    pub(super) fn camera(self: &Arc<Self>, news: &CameraNews) {
        let Some(of_detector) = self.rooms.detectors.get(&news.detector) else { return };
        let requests = of_detector.rules.lock().camera(news).requests;
        for request in requests {
            self.act(request, false);
        }
    }

    /// Now, on the clock the recognition is dated with (for a recording replayed faster than life, the recording's),
    /// and whether it is late: by the clock that neither steps nor sleeps while the process lived, else always. A date
    /// that was changed meanwhile was wrong when the face was seen, and so may be what rules make of it: that is late,
    /// too.
    fn rule_clock(&self, recognition: &Recognition) -> RuleClock {
        self.look_at_clocks();
        match recognition.arrived {
            Some(arrived) => {
                let age = clock::now().saturating_duration_since(arrived);
                RuleClock {
                    utc: recognition.seen_at + TimeDelta::from_std(age).unwrap_or(TimeDelta::zero()),
                    late: age > self.options.late_after || self.flow.lock().steps.since(arrived),
                }
            }
            None => RuleClock { utc: Utc::now(), late: true },
        }
    }

    /// Performs an action, once: the outbox gives every key it has on record away once only.
    fn act(self: &Arc<Self>, request: ActionRequest, recorded: bool) {
        let delivery = Arc::clone(self);
        let backlog = request.late.then(|| BacklogAction::begun(&self.backlog_actions, &self.rooms.wake));
        self.tasks.spawn(async move {
            let _backlog = backlog;
            if recorded && delivery.answer_of(delivery.rooms.outbox.claim(&request.key)).await == Some(false) {
                return;
            }
            let outcome = delivery.rooms.actions.perform(request.clone()).await;
            if let ActionResult::Failed { reason } = &outcome.result {
                tracing::warn!(action = outcome.action, key = outcome.key, reason, "an action failed");
            }
            if recorded {
                let finished = delivery.rooms.outbox.finish(&outcome.key, &outcome.result);
                delivery.answer_of(finished).await;
            }
            let (request, outcome) = (Box::new(request), Box::new(outcome));
            delivery.rooms.events.tell(Event::Acted { request, outcome, at: Instant::now() });
        });
    }
}

impl BacklogAction {
    fn begun(count: &Arc<AtomicUsize>, wake: &Arc<Notify>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self { count: Arc::clone(count), wake: Arc::clone(wake) }
    }
}

impl Drop for BacklogAction {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.wake.notify_one();
    }
}
