//! How many shots and visits fall below a bound, and how sure so few of them make it.
//!
//! In: the liveness of each visit's shots. Out: shares with their upper limits. Pure.

use faces::liveness::agreement;
use serde_json::{Value, json};

/// Fewer visits than this say too little: even if none of 30 is refused, it may be one in nine.
pub const FEW: usize = 30;
/// The quantile of the normal distribution that 97.5 % lie below.
const Z: f64 = 1.96;

/// A visit's shots.
#[derive(Debug, Default)]
pub struct Visit {
    /// The liveness of those in which somebody was recognised, and of the others.
    theirs: Vec<f32>,
    others: Vec<f32>,
}

/// Shots and visits, counted.
#[derive(Debug)]
pub struct Tally {
    pub shots: usize,
    pub visits: usize,
    /// Visits in which somebody was recognised: those a guard lets in or turns away.
    pub known: usize,
    /// One per bound.
    pub rows: Vec<Row>,
}

/// What falls below one bound.
#[derive(Debug)]
pub struct Row {
    pub bound: f32,
    pub shots: Share,
    pub visits: Share,
    pub known: Share,
}

/// So many of all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    count: usize,
    of: usize,
}

impl Visit {
    /// Takes in a shot.
    pub fn add(&mut self, live: f32, known: bool) {
        if known { self.theirs.push(live) } else { self.others.push(live) }
    }

    /// As a guard sees the visit once all its shots are answered; of a stranger there is nobody else's.
    fn live(&self) -> Option<f32> {
        let (theirs, others) = (&self.theirs, &self.others);
        agreement::of_visit(theirs, others).or_else(|| agreement::of_shots(others))
    }

    fn shots(&self) -> impl Iterator<Item = f32> {
        self.theirs.iter().chain(&self.others).copied()
    }
}

impl Tally {
    /// Counts visits against each of the bounds.
    pub fn of(visits: &[Visit], bounds: &[f32]) -> Self {
        let shots: Vec<f32> = visits.iter().flat_map(Visit::shots).collect();
        let lives = |of: fn(&&Visit) -> bool| visits.iter().filter(of).filter_map(Visit::live).collect::<Vec<f32>>();
        let (all, known) = (lives(|_| true), lives(|visit| !visit.theirs.is_empty()));
        let below =
            |of: &[f32], bound: f32| Share { count: of.iter().filter(|live| **live < bound).count(), of: of.len() };
        let row = |bound: &f32| Row {
            bound: *bound,
            shots: below(&shots, *bound),
            visits: below(&all, *bound),
            known: below(&known, *bound),
        };
        Self { shots: shots.len(), visits: all.len(), known: known.len(), rows: bounds.iter().map(row).collect() }
    }
}

impl Share {
    /// The share, 0 to 1; `None` of nothing.
    fn share(self) -> Option<f64> {
        (self.of > 0).then(|| self.count as f64 / self.of as f64)
    }

    /// What the share of all visitors there will ever be is below, 97.5 % sure (Wilson 1927: the score interval).
    fn at_most(self) -> Option<f64> {
        let (share, of) = (self.share()?, self.of as f64);
        let spread = Z * (share * (1.0 - share) / of + Z * Z / (4.0 * of * of)).sqrt();
        Some(((share + Z * Z / (2.0 * of) + spread) / (1.0 + Z * Z / of)).min(1.0))
    }

    /// `12 of 40, 30 % (at most 45 %)`.
    pub fn text(self) -> String {
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        match (self.share(), self.at_most()) {
            (Some(share), Some(most)) => {
                format!("{} of {}, {} (at most {})", self.count, self.of, percent(share), percent(most))
            }
            _ => "none".into(),
        }
    }

    pub fn json(self) -> Value {
        let rounded = |share: f64| (share * 1e4).round() / 1e4;
        json!({
            "count": self.count,
            "of": self.of,
            "share": self.share().map(rounded),
            "at_most": self.at_most().map(rounded),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(theirs: &[f32], others: &[f32]) -> Visit {
        Visit { theirs: theirs.to_vec(), others: others.to_vec() }
    }

    #[test]
    fn visits_and_shots_are_counted_by_themselves() {
        let visits = [visit(&[0.9, 0.3], &[]), visit(&[0.9], &[0.0, 0.0]), visit(&[], &[0.2]), visit(&[0.8], &[0.9])];
        let tally = Tally::of(&visits, &[0.0, 0.5]);
        assert_eq!((tally.shots, tally.visits, tally.known), (8, 4, 3));
        let counts = |row: &Row| [row.shots.count, row.visits.count, row.known.count];
        assert_eq!(counts(&tally.rows[0]), [0, 0, 0], "nothing is below nothing");
        // The second is held back by what went before, the third is a stranger.
        assert_eq!(counts(&tally.rows[1]), [4, 2, 1]);
    }

    #[test]
    fn few_visits_leave_much_open() {
        for (count, of, at_most) in [(0, 30, 0.1135), (0, 300, 0.0126), (3, 30, 0.2562), (30, 30, 1.0)] {
            let found = Share { count, of }.at_most().unwrap();
            assert!((found - at_most).abs() < 1e-3, "{count} of {of}: {found}");
        }
        assert_eq!(Share { count: 0, of: 0 }.text(), "none");
        assert_eq!(Share { count: 3, of: 30 }.text(), "3 of 30, 10.0 % (at most 25.6 %)");
    }
}
