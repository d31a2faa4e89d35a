//! From an answer to its actions, once.
//!
//! In: a recognition, or what a former life of the process left undone. Out: actions performed, each key at most once, none
//! of an actuator's late. What follows from an answer is stored with it in one step before any of it is done.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use chrono::{TimeDelta, Utc};

use super::{Delivery, Kept};
use crate::actions::ActionResult;
use crate::agent::intake::Intake;
use crate::agent::presence::{Moved, PresenceChange, PresenceNews};
use crate::agent::record;
use crate::clock;
use crate::config::EventKind;
use crate::crop::Sighting;
use crate::recognition::Recognition;
use crate::rules::{ActionRequest, RuleClock};

/// An action of the backlog under way; counted until this is dropped.
struct BacklogAction {
    count: Arc<AtomicUsize>,
    intake: Intake,
}

impl Delivery {
    /// What a former life of the process left: actions that were asked for and never started are performed now, if they may be
    /// late; those that had been started may have happened, and are not repeated.
    pub(super) async fn resume(self: &Arc<Self>) {
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

    /// An answer: what follows from it is stored with it in one step, and then done.
    pub(super) async fn settle(self: &Arc<Self>, recognition: Recognition, sighting: &Sighting, kept: Kept) {
        let clock = self.rule_clock(&recognition);
        // First who is there: a guard asks for it.
        self.intake.recognised(&recognition, sighting.quality, clock);
        let judged = self.doors.get(&recognition.detector).map(|door| {
            let present = self.intake.present(&recognition.detector);
            let mut rules = door.rules.lock().unwrap_or_else(PoisonError::into_inner);
            rules.judge(&recognition, sighting.quality, clock, &present)
        });
        let mut judged = judged.unwrap_or_default();
        self.intake.confirm(&recognition, judged.confirm);
        for request in &mut judged.requests {
            request.picture = Some(sighting.expanded.clone());
        }
        // Where the disk takes nothing, what was asked for is done all the same: the rules' memory still knows what has been.
        let mut recorded = false;
        if kept == Kept::OnDisk {
            let (answered, planned) = record::settled(&recognition, clock.late, &judged);
            if let Some(settled) = self.store(move |outbox| outbox.answered(&answered, &planned)).await {
                judged.requests.retain(|request| settled.planned.contains(&request.key));
                recorded = true;
                if settled.first {
                    tracing::debug!(sighting = %recognition.sighting, late = clock.late, "a sighting is settled");
                }
            }
        }
        self.intake.answered(&recognition, &judged.requests, &judged.refused);
        for request in judged.requests {
            self.act(request, recorded);
        }
    }

    /// Somebody has left: what the rules make of it is stored, with who is still there, in one step, and then done.
    pub async fn departed(self: &Arc<Self>, moved: Moved) {
        let Moved { detector, left, records, present, clock } = moved;
        let (mut requests, mut judged) = (Vec::new(), Vec::new());
        if let Some(door) = self.doors.get(&detector) {
            let mut rules = door.rules.lock().unwrap_or_else(PoisonError::into_inner);
            for stay in &left {
                let (it, judgement) = (&stay.recognition, rules.left(stay, clock));
                judged.extend(record::judged(it.visit, it.sighting, EventKind::Left, &judgement.verdicts));
                requests.extend(judgement.requests);
            }
        }
        let (name, planned) = (detector.clone(), record::planned(&requests));
        let stored = self.store(move |outbox| outbox.presence(&name, &records, &planned, &judged)).await;
        if let Some(planned) = &stored {
            requests.retain(|request| planned.contains(&request.key));
        }
        for stay in left {
            let change = PresenceChange::Left(stay);
            self.intake.presence(PresenceNews { detector: detector.clone(), change, present: present.clone() });
        }
        for request in requests {
            self.act(request, stored.is_some());
        }
    }

    /// Now, on the clock the recognition is dated with (for a recording replayed faster than life, the recording's), and whether
    /// it is late: by the clock that neither steps nor sleeps while the process lived, else always. A date that was changed
    /// meanwhile was wrong when the face was seen, and so may be what rules make of it: that is late, too.
    fn rule_clock(&self, recognition: &Recognition) -> RuleClock {
        self.look_at_clocks();
        match recognition.arrived {
            Some(arrived) => {
                let age = clock::now().saturating_duration_since(arrived);
                RuleClock {
                    utc: recognition.seen_at + TimeDelta::from_std(age).unwrap_or(TimeDelta::zero()),
                    late: age > self.late_after || self.flow().steps.since(arrived),
                }
            }
            None => RuleClock { utc: Utc::now(), late: true },
        }
    }

    /// Performs an action, once: the outbox gives every key it has on record away once only.
    fn act(self: &Arc<Self>, request: ActionRequest, recorded: bool) {
        let delivery = Arc::clone(self);
        let backlog = request.late.then(|| BacklogAction::begun(&self.backlog_actions, &self.intake));
        self.tasks.spawn(async move {
            let _backlog = backlog;
            let key = request.key.clone();
            if recorded && delivery.store(move |outbox| outbox.claim(&key)).await == Some(false) {
                return;
            }
            let outcome = delivery.actions.perform(request.clone()).await;
            if let ActionResult::Failed { reason } = &outcome.result {
                tracing::warn!(action = outcome.action, key = outcome.key, reason, "an action failed");
            }
            let (key, end) = (outcome.key.clone(), record::end(&outcome.result));
            if recorded {
                delivery.store(move |outbox| outbox.finish(&key, &end)).await;
            }
            delivery.intake.acted(&request, &outcome);
        });
    }
}

impl BacklogAction {
    fn begun(count: &Arc<AtomicUsize>, intake: &Intake) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self { count: Arc::clone(count), intake: intake.clone() }
    }
}

impl Drop for BacklogAction {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.intake.wake();
    }
}
