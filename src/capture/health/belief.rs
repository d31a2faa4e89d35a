//! What is believed of a picture: what its stills show, once that has lasted.
//!
//! In: what each still shows, and its times. Out: what is believed. A still now and then that shows something else
//! delays neither a fault nor its end much, and nothing flips back and forth.
//!
//! ```text
//!          a fault, for as long as it needs; a fifth of the stills may be clear
//!        ┌──────────────────────────────────────────────────────────────────▶┐
//!      Clear                                                            a fault ──another, for SWITCH──▶ that one
//!        └◀──────────────────────────────────────────────────────────────────┘
//!          clear for CLEAR_AFTER without a break
//! ```

use std::time::Duration;

use super::Lens;

/// A passing truck, an opened door, somebody who adjusts a lamp: all are gone again.
const CLEAR_AFTER: Duration = Duration::from_secs(6);
/// One fault becomes another when only that one was seen for so long.
const SWITCH: Duration = Duration::from_secs(30);
/// Among the stills of a fault some may be clear: a quarter as many, and one or two besides.
const CLEAR_IN: u32 = 4;
const CLEAR_BESIDE: Duration = Duration::from_secs(3);

/// What one still shows, and for how long that must be seen to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    pub lens: Lens,
    pub after: Duration,
}

/// What is believed.
#[derive(Debug, Clone, Default)]
pub struct Belief {
    believed: Lens,
    doubt: Option<Doubt>,
}

/// Stills that do not show what is believed.
#[derive(Debug, Clone)]
struct Doubt {
    since: Duration,
    /// What they show, and for how long they showed it.
    seen: Vec<(Lens, Duration)>,
    /// Among faults: how long stills were clear.
    clear: Duration,
}

impl Belief {
    pub fn now(&self) -> Lens {
        self.believed
    }

    /// Takes what a still shows that was taken between these times.
    pub fn see(&mut self, sight: Sight, from: Duration, to: Duration) {
        let Sight { lens, after } = sight;
        let lasted = to.saturating_sub(from);
        if lens == self.believed {
            let endured = lens == Lens::Clear && self.doubt.as_mut().is_some_and(|doubt| doubt.endures_clear(lasted));
            if !endured {
                self.doubt = None;
            }
            return;
        }
        // A fault is doubted by one other look alone; that all is well by any fault.
        let other = |doubt: &Doubt| self.believed != Lens::Clear && doubt.seen.iter().any(|(it, _)| *it != lens);
        if self.doubt.as_ref().is_some_and(other) {
            self.doubt = None;
        }
        let doubt = self.doubt.get_or_insert_with(|| Doubt { since: from, seen: Vec::new(), clear: Duration::ZERO });
        match doubt.seen.iter_mut().find(|(it, _)| *it == lens) {
            Some((_, seen)) => *seen += lasted,
            None => doubt.seen.push((lens, lasted)),
        }
        let needed = match (self.believed, lens) {
            (_, Lens::Clear) => CLEAR_AFTER,
            (Lens::Clear, _) => after,
            _ => SWITCH,
        };
        if to.saturating_sub(doubt.since) >= needed && doubt.seen() * 4 >= needed * 3 {
            // Of several faults the one that was seen longest.
            let most = doubt.seen.iter().max_by_key(|(_, seen)| *seen);
            self.believed = most.map_or(lens, |(lens, _)| *lens);
            self.doubt = None;
        }
    }
}

impl Doubt {
    fn seen(&self) -> Duration {
        self.seen.iter().map(|(_, seen)| *seen).sum()
    }

    /// Whether the faults go on after another still that was clear.
    fn endures_clear(&mut self, lasted: Duration) -> bool {
        self.clear += lasted;
        self.clear <= CLEAR_BESIDE + self.seen() / CLEAR_IN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stills of two seconds each: `.` clear, `d` dark, `c` covered, `m` moved, `f` frozen.
    fn believed(stills: &str) -> Vec<(usize, Lens)> {
        let mut belief = Belief::default();
        let mut changes = Vec::new();
        for (n, still) in stills.chars().enumerate() {
            let (lens, after) = match still {
                'd' => (Lens::Dark, 12),
                'c' => (Lens::Covered, 24),
                'm' => (Lens::Moved, 24),
                'f' => (Lens::Frozen, 0),
                _ => (Lens::Clear, 0),
            };
            let (from, before) = (Duration::from_secs(2 * n as u64), belief.now());
            belief.see(Sight { lens, after: Duration::from_secs(after) }, from, from + Duration::from_secs(2));
            if belief.now() != before {
                changes.push((n + 1, belief.now()));
            }
        }
        changes
    }

    #[test]
    fn what_lasts_is_believed_and_nothing_flaps() {
        use Lens::{Clear, Covered, Dark, Frozen, Moved};
        let cases: [(&str, &[(usize, Lens)]); 12] = [
            ("....................", &[]),
            ("ddddd.....", &[]),
            ("dddddd...", &[(6, Dark), (9, Clear)]),
            ("f...", &[(1, Frozen), (4, Clear)]),
            ("cccccccccccc...", &[(12, Covered), (15, Clear)]),
            // Somebody crosses the cover's edge now and then.
            ("cccc.cccc.ccc", &[(12, Covered)]),
            ("cccccccccccc.c.cc..cc...", &[(12, Covered), (24, Clear)]),
            // As often clear as not.
            ("c.c.c.c.c.c.c.c.c.c.c.c.c.c.c.c.", &[]),
            ("cc..cc..cc..cc..cc..cc..cc..cc..", &[]),
            // Of several faults the one that was seen longest, at once.
            ("cccccmccccmc", &[(12, Covered)]),
            // One fault is told for another only after half a minute of nothing else.
            ("ccccccccccccmmmmmcmmmmmmc...", &[(12, Covered), (28, Clear)]),
            ("ccccccccccccmmmmmmmmmmmmmmm", &[(12, Covered), (27, Moved)]),
        ];
        for (stills, expected) in cases {
            assert_eq!(believed(stills), expected, "{stills}");
        }
    }
}
