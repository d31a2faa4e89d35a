//! What the rules made of something: what is to be done, what was held back, and why.
//!
//! In: decisions. Out: [`Judgement`], and the record of a [`Verdict`] that `doorward rules explain` reads. A record may
//! hold names of tags and values of fields: it is for the operator's eyes, never for a log.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::check::{Check, list};
use super::request::ActionRequest;
use crate::track::Confirm;

/// What follows from one answer, or from somebody having left.
#[derive(Debug, Default)]
pub struct Judgement {
    /// To be done, in the order of the rules and of their actions.
    pub requests: Vec<ActionRequest>,
    /// Actuators a guard held back.
    pub refused: Vec<RefusedAction>,
    /// What every rule made of it, in their order.
    pub verdicts: Vec<Verdict>,
    /// What the liveness models say of the visit together, this answer's shot included.
    pub live: Option<f32>,
    /// Further pictures of the visit that an actuator waits for; `None` where there is nothing to wait for.
    pub confirm: Option<Confirm>,
}

/// What one rule made of it: every matcher with what it wanted and found, and what follows. What the matchers found no
/// log shows.
#[derive(Clone, PartialEq, derive_more::Debug, Serialize)]
#[debug("Verdict({rule}: {decision:?})")]
pub struct Verdict {
    pub rule: String,
    /// One per matcher of the rule, in a fixed order.
    pub checks: Vec<Check>,
    #[serde(flatten)]
    pub decision: Decision,
}

/// What follows from the matchers, the memory and the guards. The variants' names are those in JSON, and stable.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// Some matcher did not hold.
    NoMatch,
    /// It matched, and these actions are asked for, in order. Those withheld are actuators the answer is too late for:
    /// asked for only to be counted as expired. Those refused are held back by their guards.
    #[serde(rename = "fires")]
    Fire { actions: Vec<String>, withheld: Vec<String>, refused: Vec<Refusal> },
    /// It matched, but has fired for this person before, in this stay, or an actuator in this visit.
    Repeated,
    /// It matched, but fired for this person at `since`, within its cooldown.
    Resting { since: DateTime<Utc> },
    /// It matched an answer without a person, but the person is known from another shot of the visit or the stay.
    VisitKnown,
}

/// An actuator that was held back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Refusal {
    pub action: String,
    /// The guards that did not hold.
    pub guards: Vec<Check>,
    /// Pictures that could make them hold.
    #[serde(skip)]
    pub confirm: Option<Confirm>,
}

/// An actuator that was held back, with the request it would have been.
#[derive(Debug, Clone, PartialEq)]
pub struct RefusedAction {
    pub request: ActionRequest,
    pub refusal: Refusal,
}

impl Verdict {
    /// Whether the rule would match another visitor at this moment: all that did not hold is about the visitor.
    pub fn fits_another_visitor(&self) -> bool {
        const OF_THE_MOMENT: [&str; 7] = ["event", "detectors", "between", "weekdays", "dates", "holiday", "late"];
        !self.checks.iter().any(|check| !check.held && OF_THE_MOMENT.contains(&check.matcher))
    }

    /// Whether any action follows from it.
    pub fn fires(&self) -> bool {
        let Decision::Fire { actions, withheld, .. } = &self.decision else { return false };
        !(actions.is_empty() && withheld.is_empty())
    }

    /// The verdict as JSON, for the record and for programs.
    pub fn to_record(&self) -> Value {
        json!(self)
    }
}

impl Refusal {
    /// The names of the guards that did not hold, for logs: `sightings, per_minute`.
    pub fn guards(&self) -> String {
        list(&self.guards, |check| check.matcher)
    }

    /// The guards with what they wanted and found, for the record.
    pub fn reason(&self) -> String {
        list(&self.guards, |check| format!("{} wants {}, found {}", check.matcher, check.wanted, check.found))
    }
}
