//! What is remembered of the newest visits.
//!
//! In: visits, in the order they are first heard of. Out: a value for each. Bounded: beyond `MOST` the visit that was
//! heard of first is forgotten; a visit's answers come within seconds of each other.

use std::collections::{HashMap, VecDeque};

use crate::track::VisitId;

/// A value for each of the newest `MOST` visits.
pub struct PerVisit<T, const MOST: usize> {
    values: HashMap<VisitId, T>,
    order: VecDeque<VisitId>,
}

impl<T: Default, const MOST: usize> PerVisit<T, MOST> {
    pub fn get(&self, visit: VisitId) -> Option<&T> {
        self.values.get(&visit)
    }

    /// The visit's value, the default one for a new visit.
    pub fn get_or_add(&mut self, visit: VisitId) -> &mut T {
        if !self.values.contains_key(&visit) {
            self.order.push_back(visit);
            if self.order.len() > MOST
                && let Some(oldest) = self.order.pop_front()
            {
                self.values.remove(&oldest);
            }
        }
        self.values.entry(visit).or_default()
    }
}

impl<T, const MOST: usize> Default for PerVisit<T, MOST> {
    fn default() -> Self {
        Self { values: HashMap::new(), order: VecDeque::new() }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_visit_heard_of_first_is_forgotten_first() {
        let visit = |n: u128| VisitId(Uuid::from_u128(n));
        let mut visits = PerVisit::<u128, 3>::default();
        for n in [0, 1, 2, 0, 3] {
            *visits.get_or_add(visit(n)) += n;
        }
        let known: Vec<_> = (0..5).map(|n| visits.get(visit(n)).copied()).collect();
        assert_eq!(known, [None, Some(1), Some(2), Some(3), None]);
        assert_eq!((visits.values.len(), visits.order.len()), (3, 3));
    }
}
