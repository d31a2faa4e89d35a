//! What the rules ask for: one action, once, with everything it needs.
//!
//! In: what fired. Out: [`ActionRequest`], which the outbox stores as a record and gives back, after a restart, as a
//! late one; and its key, by which it is performed at most once.

use std::time::Instant;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use identities::text::folded;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::groups::ActionGroup;
use super::{Firing, RuleError};
use crate::config::{DetectorName, EventKind};
use crate::track::VisitId;

/// One action to perform, once. Logs show ids only: names and pictures do not belong there. The outbox keeps everything
/// but what does not outlive the process.
#[derive(Clone, PartialEq, derive_more::Debug, Deserialize, Serialize)]
#[debug("ActionRequest({action} for rule {rule}, visit {visit}, key {key})")]
pub struct ActionRequest {
    /// The configured action's name.
    pub action: String,
    #[serde(default)]
    pub event: EventKind,
    /// The rule that asked for it.
    pub rule: String,
    pub detector: DetectorName,
    pub visit: VisitId,
    pub sighting: Uuid,
    /// The recognised person's id; `None` for everybody else.
    pub person: Option<String>,
    /// The sighting's own time, on the pipeline's clock.
    pub seen_at: DateTime<Utc>,
    /// The same for the same rule, stay, person and action (of an actuator: visit): performed at most once. The id of
    /// the visit that the stay began with, a dash and 16 hexadecimal digits of a hash of the rest, so it fits in any
    /// header.
    pub key: String,
    /// The event as the action's templates see it; `config/doorward.toml` documents the shape.
    pub inputs: Value,
    /// The expanded crop, for actions that carry a picture.
    #[serde(skip)]
    pub picture: Option<Bytes>,
    /// The answer came too late to act on, or the request comes from before a restart: no actuator performs it.
    #[serde(skip)]
    pub late: bool,
    /// The request is not performed after this moment of [`clock`](crate::clock); `None` where lateness does not
    /// matter, and for everything from before a restart (an actuator performs nothing without a moment here).
    #[serde(skip)]
    pub expires_at: Option<Instant>,
}

impl ActionRequest {
    /// The same without its picture, which is not stored.
    pub fn without_picture(&self) -> Self {
        Self { picture: None, ..self.clone() }
    }

    /// For the outbox.
    pub fn to_record(&self) -> Value {
        json!(self)
    }

    /// A request from before a restart: late, also in its event, and without a moment to expire at.
    pub fn from_record(record: &Value) -> Result<Self, RuleError> {
        let wrong = |problem| RuleError::BadRecord { what: "a stored action request", problem };
        let mut request = Self::deserialize(record).map_err(|error| wrong(error.to_string()))?;
        let event = request.inputs.as_object_mut().ok_or_else(|| wrong("its event is no object".into()))?;
        event.insert("late".into(), true.into());
        Ok(Self { late: true, ..request })
    }
}

/// `STAY-HASH`, of actuators `VISIT-HASH`: the hash is over rule, person and action, each told apart from the next by
/// its length, and a person told apart from nobody, ids folded as the memory folds them. What is withheld must not use
/// up the key of what is not.
pub fn key(firing: &Firing, group: ActionGroup, action: &str) -> String {
    let mut hash = Sha256::new();
    let person = firing.person.as_ref().map(|id| folded(id));
    for text in [Some(firing.rule.as_str()), person.as_deref(), Some(action)] {
        hash.update(text.map_or(u64::MAX, |text| text.len() as u64).to_be_bytes());
        hash.update(text.unwrap_or_default());
    }
    match group {
        ActionGroup::Tell | ActionGroup::Move => {}
        ActionGroup::Withheld => hash.update(b"withheld"),
        ActionGroup::Left => hash.update(b"left"),
    }
    format!("{}-{}", group.scope(firing), hex::encode(&hash.finalize()[..8]))
}

/// The stay that a key of [`key`] belongs to, or of an actuator the visit; `None` for what is no such key.
pub fn scope_of(key: &str) -> Option<VisitId> {
    key.get(..36)?.parse().ok().map(VisitId)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use chrono_tz::Europe::Berlin;

    use super::super::cases::{Case, rules};
    use super::super::visitor_event::VisitorEvent;
    use super::*;

    const KNOWN: &str = "[[rule]]\nname = 'known'\nactions = ['log', 'door']\n";

    #[test]
    fn requests_survive_the_outbox_as_late_ones() {
        let case = Case::parse("known tag=Staff text:Badge=C-1187");
        for request in rules(KNOWN, Berlin).evaluate(&case.recognition, case.quality, case.clock()) {
            assert_eq!(request.expires_at.is_some(), request.action == "door");
            let stored = serde_json::to_string(&request.to_record()).unwrap();
            let restored = ActionRequest::from_record(&serde_json::from_str(&stored).unwrap()).unwrap();
            let mut inputs = request.inputs.clone();
            inputs["late"] = true.into();
            assert_eq!(restored, ActionRequest { late: true, expires_at: None, inputs, ..request });
        }
        let error = ActionRequest::from_record(&json!({"action": "a", "inputs": {}})).unwrap_err().to_string();
        assert_eq!(error, "cannot read a stored action request: missing field `rule`");
    }

    #[test]
    fn keys_differ_where_anything_does() {
        let key = |rule: &str, case: &str, part, action: &str| {
            let case = Case::parse(case);
            key(&VisitorEvent::answer(&case.recognition, case.quality, case.clock()).firing(rule, true), part, action)
        };
        let usual = key("r", "known", ActionGroup::Tell, "a");
        assert_eq!(
            usual,
            key("r", "known id=ANN shot=2 at=2026-06-10T10:00:09Z", ActionGroup::Move, "a"),
            "the same visit and person"
        );
        let others = [
            key("r", "known", ActionGroup::Tell, "b"),
            key("s", "known", ActionGroup::Tell, "a"),
            key("r", "known visit=3", ActionGroup::Tell, "a"),
            key("r", "known id=bob", ActionGroup::Tell, "a"),
            key("r", "unknown", ActionGroup::Tell, "a"),
            key("r", "known id=unknown", ActionGroup::Tell, "a"),
            key("r", "known", ActionGroup::Withheld, "a"),
            key("r", "known", ActionGroup::Left, "a"),
            key("ra", "known", ActionGroup::Tell, ""),
            key("", "known", ActionGroup::Tell, "ra"),
        ];
        assert_eq!(others.iter().chain([&usual]).collect::<HashSet<_>>().len(), others.len() + 1);
        let again = key("r", "known visit=4 stay=3", ActionGroup::Tell, "a");
        assert_eq!(again, others[2], "another visit of the stay");
        assert_ne!(key("r", "known visit=4 stay=3", ActionGroup::Move, "a"), again, "moves once a visit");
        assert_eq!(scope_of(&again), Some(VisitId(Uuid::from_u128(3))));
        assert!(others.iter().all(|key| key.len() == 53 && key.chars().all(|c| c.is_ascii_hexdigit() || c == '-')));
    }
}
