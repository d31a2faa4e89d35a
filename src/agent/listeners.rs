//! Who hears what happens: metrics and log, the history, the page, the broker, the trackers, and whoever runs the
//! agent.
//!
//! In: [`Event`]s. Out: each listener's own words for them. The list itself is in the agent's `run`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;

use tokio::sync::mpsc::UnboundedSender;

use super::events::{Answered, Event, Listener};
use super::presence::PresenceChange;
use crate::actions::mqtt::Home;
use crate::capture::{CameraState, Lens};
use crate::config::DetectorName;
use crate::outbox::Outbox;
use crate::status::{ActionLine, Board};
use crate::track::{Feedback, VisitId};
use crate::visits::{ActionResult, Visit, VisitOutcome};

/// Counts, and logs the end of every visit: ids, never names.
pub struct Counts;

impl Listener for Counts {
    fn on(&mut self, event: &Event) {
        match event {
            Event::Answered(answered) => {
                for refused in &answered.refused {
                    let (action, guards) = (refused.refusal.action.clone(), refused.refusal.guards());
                    metrics::counter!("doorward_agent_refused_total", "action" => action, "guards" => guards)
                        .increment(1);
                }
            }
            Event::Presence(news) => {
                let (detector, present) = (news.detector.to_string(), news.present.len() as f64);
                metrics::gauge!("doorward_agent_present", "detector" => detector).set(present);
            }
            Event::Camera { detector, state } => picture(detector, state),
            Event::Closed(visit) => closed(visit),
            _ => {}
        }
    }
}

/// What is believed of a camera's picture is 1, everything else 0; all of it is while no frames come.
fn picture(detector: &DetectorName, state: &CameraState) {
    let believed = match state {
        CameraState::Streaming { lens, .. } => Some(lens.label()),
        CameraState::Connecting | CameraState::Failed { .. } | CameraState::Ended => None,
    };
    for label in Lens::LABELS {
        metrics::gauge!("doorward_agent_picture", "detector" => detector.to_string(), "state" => label)
            .set(f64::from(u8::from(believed == Some(label))));
    }
}

fn closed(visit: &Visit) {
    let (id, outcome, shots) = (visit.id, visit.outcome.label(), visit.shots.len());
    // Pending is no end: the answer opens the visit again, and then it is counted, once.
    if visit.outcome != VisitOutcome::Pending {
        let detector = visit.detector.to_string();
        metrics::counter!("doorward_agent_visits_total", "detector" => detector, "outcome" => outcome).increment(1);
        tracing::info!(visit = %id, detector = %visit.detector, outcome, shots, "visit ended");
    }
    // Only now: until the visit ends, more pictures may yet let the actuator through.
    for held_back in &visit.actions {
        if let Some(ActionResult::Refused { guards, .. }) = &held_back.result {
            let (action, rule) = (&held_back.action, &held_back.rule);
            tracing::info!(visit = %id, action, rule, guards, "an actuator was held back");
        }
    }
}

/// Writes closed visits into the history.
pub struct History(pub Outbox);

impl Listener for History {
    fn on(&mut self, event: &Event) {
        if let Event::Closed(visit) = event {
            self.0.visit_closed(Arc::clone(visit));
        }
    }
}

/// Shows visits, actions and cameras on the status page.
pub struct Page(pub Board);

impl Listener for Page {
    fn on(&mut self, event: &Event) {
        match event {
            Event::Answered(answered) => {
                answered.refused.iter().for_each(|refused| self.0.action(ActionLine::refused(refused)));
            }
            Event::Acted { request, outcome, .. } => self.0.action(ActionLine::ended(request, outcome)),
            Event::Visit(visit) | Event::Closed(visit) => self.0.visit(&**visit),
            Event::Camera { detector, state } => self.0.camera_state(detector, state, Instant::now()),
            _ => {}
        }
    }
}

/// Tells the MQTT broker, and so Home Assistant.
pub struct BrokerNews(pub Arc<Home>);

impl Listener for BrokerNews {
    fn on(&mut self, event: &Event) {
        match event {
            Event::Sent { sent, picture } => self.0.sighted(&sent.detector, picture.clone()),
            Event::Answered(answered) => {
                let Answered { recognition, quality, live, late, .. } = &**answered;
                self.0.recognised(recognition, *quality, *live, *late);
            }
            Event::Presence(news) => {
                self.0.present(&news.detector, &news.present);
                if let PresenceChange::Left(stay) = &news.change {
                    self.0.left(stay);
                }
            }
            Event::Camera { detector, state } => {
                self.0.camera(detector, matches!(state, CameraState::Streaming { .. }));
            }
            _ => {}
        }
    }
}

/// Passes on to the trackers what became of their shots.
pub struct Trackers(pub HashMap<DetectorName, Sender<(VisitId, Feedback)>>);

impl Listener for Trackers {
    fn on(&mut self, event: &Event) {
        if let Event::Feedback { detector, visit, feedback } = event
            && let Some(tracker) = self.0.get(detector)
        {
            // A tracker whose recording is over wants nothing any more.
            let _ = tracker.send((*visit, *feedback));
        }
    }
}

/// Passes everything on to whoever runs the agent.
pub struct Runner(pub UnboundedSender<Event>);

impl Listener for Runner {
    fn on(&mut self, event: &Event) {
        // Nobody listens any more: the command is on its way out.
        let _ = self.0.send(event.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_in_one_state_while_frames_come_and_in_none_otherwise() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let metrics = recorder.handle();
        let shown = |state: CameraState| {
            let event = Event::Camera { detector: DetectorName::new("front").unwrap(), state };
            metrics::with_local_recorder(&recorder, || Counts.on(&event));
            let text = metrics.render();
            let states =
                text.lines().filter_map(|line| line.strip_prefix("doorward_agent_picture{detector=\"front\","));
            let mut on: Vec<String> = states.filter(|line| line.ends_with(" 1")).map(str::to_owned).collect();
            on.sort_unstable();
            on
        };
        assert_eq!(shown(CameraState::showing(Lens::Clear)), ["state=\"clear\"} 1"]);
        assert_eq!(shown(CameraState::showing(Lens::Dark)), ["state=\"dark\"} 1"]);
        assert!(shown(CameraState::Ended).is_empty());
    }
}
