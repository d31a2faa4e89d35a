//! What the agent tells whoever runs it: the demo and `replay` print it.

use std::time::Instant;

use super::presence::PresenceNews;
use super::visits::VisitSummary;
use crate::actions::{ActionResult, Outcome};
use crate::recognition::Recognition;
use crate::rules::ActionRequest;
use crate::track::VisitId;

/// Something happened. Sent in order for one visit.
#[derive(Debug, Clone)]
pub enum AgentEvent {
    /// A visitor's shot is on its way. `first_face` is when the visit's first frame entered the process.
    Sent { visit: VisitId, detector: String, shot: u8, first_face: Instant, quality: f32 },
    /// The engine answered.
    Recognised(Box<Recognition>),
    /// An action ended; `at` is when.
    Acted { visit: VisitId, rule: String, action: String, done: bool, at: Instant },
    /// Somebody came or left, or the agent has started.
    Presence(Box<PresenceNews>),
    /// The visit is closed: the visitor left, all answers are in, all actions have ended.
    Closed(Box<VisitSummary>),
}

impl AgentEvent {
    /// An action that ended just now.
    pub fn acted(request: &ActionRequest, outcome: &Outcome) -> Self {
        Self::Acted {
            visit: request.visit,
            rule: request.rule.clone(),
            action: outcome.action.clone(),
            done: outcome.result == ActionResult::Done,
            at: Instant::now(),
        }
    }
}
