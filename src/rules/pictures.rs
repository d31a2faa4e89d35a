//! Which visits are worth another picture, so that the guards of their actuators can be sure.
//!
//! In: each answer, and what the rules made of it. Out: the pictures to ask the tracker for, as a [`Confirm`], or none.
//! WantedPictures go on until an actuator moves, until as many answers are in as the guard looks at, or until an answer
//! shows that pictures cannot help. It does not know whether the visitor is still there: the tracker forgets what was
//! asked of a visit that is over.
//!
//! ```text
//!          a guard lacks pictures, or nobody
//!          was recognised and somebody might be           the actuator moves, or `of` answers are in
//!  nothing -------------------------------------▶ wanted ---------------------------------------------▶ nothing
//!     │                                              │
//!     └-- somebody was recognised for whom           └-- the same person cannot get in by pictures alone
//!         no actuator waits: settled                     (banned, out of hours, no tag): settled
//! ```

use super::newest::Newest;
use super::stay::Guest;
use super::visitor_event::VisitorEvent;
use crate::recognition::Answer;
use crate::track::{Confirm, VisitId};

/// Visits remembered.
const VISITS: usize = 256;

/// The pictures that are wanted of each visit.
#[derive(Default)]
pub struct WantedPictures {
    visits: Newest<VisitId, Visit, VISITS>,
}

/// What is wanted of one visit.
#[derive(Default)]
struct Visit {
    /// What was asked for, and because of whom; an answer that recognised nobody asks because of nobody.
    wanted: Option<(Confirm, Option<Guest>)>,
    /// Somebody was recognised, and pictures change nothing any more.
    settled: bool,
}

/// What the rules made of an answer, as far as pictures are concerned.
pub struct PictureNeed<'a> {
    /// The sightings of the visit that were answered in time, each counted once.
    pub answered: usize,
    /// Whether an actuator moves.
    pub moves: bool,
    /// The pictures that actuators held back by their guards wait for.
    pub lacking: Option<Confirm>,
    /// The pictures after which an actuator might move, if they show somebody else than this one did.
    pub hoped_for: &'a dyn Fn() -> Option<Confirm>,
}

impl WantedPictures {
    /// What to ask for after this answer; `None` takes back what was asked for before.
    pub fn after(&mut self, happened: &VisitorEvent, need: &PictureNeed) -> Option<Confirm> {
        let visit = self.visits.get_or_add(happened.recognition.visit);
        if let Some(lacking) = need.lacking {
            visit.wanted = Some((lacking, Guest::of(&happened.recognition)));
            return Some(lacking);
        }
        visit.look(happened, need);
        let (wanted, _) = visit.wanted.as_ref()?;
        // One at a time: this answer gave no reason to believe that several in a row would be better.
        (need.answered < usize::from(wanted.most)).then_some(Confirm { more: 1, ..*wanted })
    }
}

impl Visit {
    /// Takes in an answer after which no guard lacks only pictures.
    fn look(&mut self, happened: &VisitorEvent, need: &PictureNeed) {
        let guest = Guest::of(&happened.recognition);
        if need.moves {
            (self.wanted, self.settled) = (None, true);
        } else if happened.late {
            // It says nothing about whether the next one comes in time.
        } else if let Answer::Known(_) = happened.recognition.answer {
            if self.wanted.as_ref().is_none_or(|(_, whom)| *whom == guest) {
                (self.wanted, self.settled) = (None, true);
            }
        } else if !matches!(happened.recognition.answer, Answer::Accepted) && self.wanted.is_none() && !self.settled {
            self.wanted = (need.hoped_for)().map(|confirm| (confirm, None));
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::cases::Case;
    use super::*;
    use crate::track::VisitId;

    #[test]
    fn memory_is_bounded() {
        let mut pictures = WantedPictures::default();
        let wanted = Confirm { more: 1, most: 10, min_quality: 0.4 };
        for n in 0..2 * VISITS as u128 {
            for answered in 1..=16 {
                let mut case = Case::parse("unknown");
                case.recognition.visit = VisitId(Uuid::from_u128(n));
                let happened = VisitorEvent::answer(&case.recognition, 0.5, case.clock());
                let need = PictureNeed { answered, moves: false, lacking: None, hoped_for: &|| Some(wanted) };
                let asked = pictures.after(&happened, &need);
                assert_eq!(asked.is_some(), answered < 10, "visit {n}, answer {answered}");
            }
        }
        let visits = (0..2 * VISITS as u128).map(|n| VisitId(Uuid::from_u128(n)));
        assert_eq!(visits.filter(|visit| pictures.visits.get(visit).is_some()).count(), VISITS);
    }
}
