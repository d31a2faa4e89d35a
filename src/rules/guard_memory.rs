//! What guards have to remember: the answers of each visit, who carried which tags, and when actuators moved.
//!
//! In: answers and moves as they happen. Out: how many answers agree, whether the visit shows a
//! person, which tags are around, how often something moved.
//! What it remembers is forgotten by a restart only where that keeps an actuator still.

use std::collections::{HashMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use faces::liveness::agreement;
use uuid::Uuid;

use super::newest::Newest;
use super::stay::Guest;
use super::visitor_event::VisitorEvent;
use crate::recognition::Tag;
use crate::track::VisitId;

/// Visits whose answers are remembered.
const VISITS: usize = 256;
/// Answers remembered of a visit; the most `of` can ask for is 10.
const ANSWERS: usize = 16;
/// Carriers of tags remembered, beside those who are present.
const CARRIERS: usize = 256;
/// Whoever was recognised within this time counts as present for `banned_tags`, even by a late answer.
const AROUND: TimeDelta = TimeDelta::seconds(60);
const MINUTE: TimeDelta = TimeDelta::seconds(60);
/// Moves remembered per actuator; the most `per_minute` can allow is 600.
const MOVES: usize = 600;

/// The answers of each visit, and when each actuator moved.
#[derive(Default)]
pub struct GuardMemory {
    answers: Newest<VisitId, VecDeque<LiveAnswer>, VISITS>,
    /// When each actuator was asked to move.
    moves: HashMap<String, VecDeque<DateTime<Utc>>>,
    /// The newest people with tags, and when they were seen.
    carriers: VecDeque<(DateTime<Utc>, Vec<Tag>)>,
}

/// An answer that came in time.
pub struct LiveAnswer {
    sighting: Uuid,
    guest: Option<Guest>,
    pub quality: f32,
    pub match_confidence: Option<f32>,
    live: Option<f32>,
}

impl GuardMemory {
    /// Remembers an answer. A late one confirms nothing, but its person may be banned.
    pub fn saw(&mut self, happened: &VisitorEvent) {
        let recognition = &happened.recognition;
        if let Some(known) = recognition.answer.known().filter(|known| !known.tags.is_empty()) {
            self.carriers.push_back((recognition.seen_at, known.tags.clone()));
            if self.carriers.len() > CARRIERS {
                self.carriers.pop_front();
            }
        }
        if happened.late {
            return;
        }
        let answers = self.answers.get_or_add(recognition.visit);
        if answers.iter().any(|answer| answer.sighting == recognition.sighting) {
            return;
        }
        answers.push_back(LiveAnswer::of(happened));
        if answers.len() > ANSWERS {
            answers.pop_front();
        }
    }

    /// An actuator is asked to move; also to be told of what moved before a restart.
    pub fn moved(&mut self, action: &str, seen_at: DateTime<Utc>) {
        let moves = self.moves.entry(action.to_owned()).or_default();
        moves.push_back(seen_at);
        if moves.len() > MOVES {
            moves.pop_front();
        }
    }

    /// How many sightings of the visit were answered in time, as far as they are remembered.
    pub fn answered(&self, visit: VisitId) -> usize {
        self.answers.get(&visit).map_or(0, VecDeque::len)
    }

    /// How many of the newest `of` answers of the visit say the same as this one and are `good`, this one included; the
    /// same sighting counts once, however often it is answered.
    pub fn agreeing(&self, happened: &VisitorEvent, of: u8, good: impl Fn(&LiveAnswer) -> bool) -> usize {
        let this = LiveAnswer::of(happened);
        if this.guest.is_none() || happened.late {
            return 0;
        }
        let before = self.answers.get(&happened.recognition.visit).into_iter().flatten();
        let before: Vec<_> = before.filter(|answer| answer.sighting != this.sighting).collect();
        let newest = std::iter::once(&this).chain(before.into_iter().rev()).take(of.into());
        newest.filter(|answer| answer.guest == this.guest && good(answer)).count()
    }

    /// What the liveness models say of the visit together, for whoever this answer shows; see
    /// [`agreement::of_visit`]. `None` where no model has looked at them.
    pub fn live(&self, happened: &VisitorEvent) -> Option<f32> {
        let this = LiveAnswer::of(happened);
        let before = self.answers.get(&happened.recognition.visit).into_iter().flatten();
        let before = before.filter(|answer| answer.sighting != this.sighting);
        let lives = before.chain([&this]).filter_map(|answer| Some((answer.guest == this.guest, answer.live?)));
        let (theirs, others): (Vec<_>, Vec<_>) = lives.partition(|(theirs, _)| *theirs);
        let [theirs, others] = [theirs, others].map(|of| of.into_iter().map(|(_, live)| live).collect::<Vec<_>>());
        agreement::of_visit(&theirs, &others)
    }

    /// The tags of everybody who was recognised at about this moment, by whatever answer.
    pub fn tags_around(&self, seen_at: DateTime<Utc>) -> impl Iterator<Item = &Tag> {
        let around = self.carriers.iter().filter(move |(carried_at, _)| (seen_at - carried_at).abs() < AROUND);
        around.flat_map(|(_, tags)| tags)
    }

    /// How often an actuator was asked to move within a minute of this moment.
    pub fn moves_around(&self, action: &str, seen_at: DateTime<Utc>) -> usize {
        // In both directions: answers come out of order.
        let moves = self.moves.get(action).into_iter().flatten();
        moves.filter(|moved| (seen_at - **moved).abs() < MINUTE).count()
    }
}

impl LiveAnswer {
    fn of(happened: &VisitorEvent) -> Self {
        let recognition = &happened.recognition;
        Self {
            sighting: recognition.sighting,
            guest: Guest::of(recognition),
            quality: happened.quality,
            match_confidence: recognition.answer.match_confidence(),
            live: recognition.live,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cases::Case;
    use super::*;
    use crate::track::VisitId;

    #[test]
    fn memory_is_bounded() {
        let mut memory = GuardMemory::default();
        for n in 0..2 * CARRIERS.max(VISITS) as u128 {
            for shot in 0..2 * ANSWERS as u128 {
                let mut case = Case::parse("known tag=Staff");
                case.recognition.visit = VisitId(Uuid::from_u128(n));
                case.recognition.sighting = Uuid::from_u128(n * 1000 + shot);
                memory.saw(&VisitorEvent::answer(&case.recognition, 0.5, case.clock()));
            }
        }
        let visits = (0..2 * CARRIERS.max(VISITS) as u128).map(|n| VisitId(Uuid::from_u128(n)));
        let answers: Vec<_> = visits.filter_map(|visit| memory.answers.get(&visit)).map(VecDeque::len).collect();
        assert_eq!(answers, [ANSWERS; VISITS]);
        for _ in 0..2 * MOVES {
            memory.moved("door", DateTime::UNIX_EPOCH);
        }
        assert_eq!((memory.carriers.len(), memory.moves["door"].len()), (CARRIERS, MOVES));
    }
}
