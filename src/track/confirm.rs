//! Further pictures of a visit, taken on request: what an actuator needs to be sure of a person.
//!
//! In: a [`Confirm`], as often as it changes. Out: whether this frame's face is one of the pictures asked for. It does
//! not know who asks, nor whether the visit may send at all.

use std::time::Duration;

/// Pictures asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Confirm {
    /// So many, from now on; zero takes back what was asked for before.
    pub more: u8,
    /// So many in the whole visit, however often they are asked for: an engine must not be flooded by a face it never
    /// agrees on.
    pub most: u8,
    /// Each at least this good, 0 to 1.
    pub min_quality: f32,
}

impl Confirm {
    /// The pictures that satisfy all of these.
    pub fn all(asked: impl Iterator<Item = Self>) -> Option<Self> {
        asked.reduce(|a, b| Self {
            more: a.more.max(b.more),
            most: a.most.max(b.most),
            min_quality: a.min_quality.max(b.min_quality),
        })
    }
}

/// What is asked for of one visit, and what it has had.
#[derive(Debug, Default)]
pub(super) struct Confirming {
    wanted: u8,
    taken: u8,
    min_quality: f32,
}

/// From one picture to the next: two frames in a row are as good as one.
const APART: Duration = Duration::from_millis(150);

impl Confirming {
    pub fn ask(&mut self, confirm: Confirm) {
        self.wanted = confirm.more.min(confirm.most.saturating_sub(self.taken));
        self.min_quality = confirm.min_quality;
    }

    /// Whether a face of this quality is to be sent now, so long after the picture before.
    pub fn takes(&self, quality: f32, after: Duration) -> bool {
        self.wanted > 0 && quality >= self.min_quality && after >= APART
    }

    /// A picture was sent because it was asked for.
    pub fn taken(&mut self) {
        self.taken = self.taken.saturating_add(1);
        self.served();
    }

    /// A picture was sent that serves as well.
    pub fn served(&mut self) {
        self.wanted = self.wanted.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_and_no_more() {
        let mut confirming = Confirming::default();
        assert!(!confirming.takes(1.0, APART), "nobody asked");
        let ask = |more, most| Confirm { more, most, min_quality: 0.4 };
        confirming.ask(ask(2, 3));
        for (quality, after, takes) in [(0.4, APART, true), (0.39, APART, false), (1.0, APART / 2, false)] {
            assert_eq!(confirming.takes(quality, after), takes, "{quality} after {after:?}");
        }
        confirming.taken();
        confirming.taken();
        assert!(!confirming.takes(1.0, APART), "both were taken");
        confirming.ask(ask(5, 3));
        confirming.taken();
        assert!(!confirming.takes(1.0, APART), "three in all");
        confirming.ask(ask(5, 3));
        assert!(!confirming.takes(1.0, APART), "three in all, however often they are asked for");
        for (why, second) in [("it was taken back", Some(ask(0, 3))), ("another picture served", None)] {
            let mut confirming = Confirming::default();
            confirming.ask(ask(1, 3));
            match second {
                Some(second) => confirming.ask(second),
                None => confirming.served(),
            }
            assert!(!confirming.takes(1.0, APART), "{why}");
        }
    }
}
