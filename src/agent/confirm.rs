//! Pictures the delivery asks the trackers for, so that an actuator can be sure of a person.
//!
//! In: what the rules want of a visit. Out: the same, to the thread that follows the visit. A newer wish replaces an older
//! one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::config::DetectorName;
use crate::track::{Confirm, VisitId};

/// The wishes not yet handed over.
#[derive(Default)]
pub struct Wishes(Mutex<HashMap<DetectorName, HashMap<VisitId, Confirm>>>);

impl Wishes {
    pub fn ask(&self, detector: &DetectorName, visit: VisitId, confirm: Confirm) {
        let mut wishes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wishes.entry(detector.clone()).or_default().insert(visit, confirm);
    }

    /// Hands over what is wanted of a detector's visits.
    pub fn take(&self, detector: &DetectorName) -> HashMap<VisitId, Confirm> {
        let mut wishes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wishes.get_mut(detector).map(std::mem::take).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_wish_is_handed_over_once() {
        let (wishes, door) = (Wishes::default(), DetectorName::new("door").unwrap());
        let visit = VisitId(uuid::Uuid::nil());
        for more in [2, 1] {
            wishes.ask(&door, visit, Confirm { more, most: 3, min_quality: 0.4 });
        }
        assert!(wishes.take(&DetectorName::new("gate").unwrap()).is_empty());
        assert_eq!(wishes.take(&door).values().map(|confirm| confirm.more).collect::<Vec<_>>(), [1]);
        assert!(wishes.take(&door).is_empty());
    }
}
