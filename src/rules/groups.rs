//! The groups of a rule's actions, each of which fires and is remembered on its own.
//!
//! In: whether an action moves something, and what happened. Out: its [`ActionGroup`], and what it fires once in.

use super::Firing;
use crate::config::EventKind;
use crate::track::VisitId;

/// A rule's actions are remembered in groups, so that an answer too late for the door does not use up the live one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ActionGroup {
    /// Actions that only tell somebody.
    Tell,
    /// Actuators.
    Move,
    /// Actuators an answer came too late for.
    Withheld,
    /// Actions that follow when somebody has left.
    Left,
}

impl ActionGroup {
    /// The group an action belongs to; none for an actuator when nobody stands there for whom it could open.
    pub fn of(actuator: bool, event: EventKind, late: bool) -> Option<Self> {
        match (event, actuator, late) {
            (EventKind::Left | EventKind::Camera, true, _) => None,
            (EventKind::Left, false, _) => Some(Self::Left),
            (EventKind::Camera, false, _) => Some(Self::Tell),
            (EventKind::Recognition, false, _) => Some(Self::Tell),
            (EventKind::Recognition, true, false) => Some(Self::Move),
            (EventKind::Recognition, true, true) => Some(Self::Withheld),
        }
    }

    /// What the group fires once in: the stay, or for actuators the visit.
    pub fn scope(self, firing: &Firing) -> VisitId {
        match self {
            Self::Tell | Self::Left => firing.stay,
            Self::Move | Self::Withheld => firing.visit,
        }
    }
}
