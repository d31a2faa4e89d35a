//! What the decoder has been given and has not yet given out.
//!
//! In: a note of each packet, by its time stamp. Out: the note again when its frame comes out, in whatever order that
//! is. It never looks into a packet.

use std::collections::VecDeque;

/// A packet in the decoder.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sent {
    pub stamp: Option<i64>,
    /// It was not whole.
    pub torn: bool,
    /// Its picture is asked for.
    pub due: bool,
}

#[derive(Debug, Default)]
pub struct Packets(VecDeque<Sent>);

/// More than any decoder holds back: older ones come out no more.
const MOST_HELD: usize = 64;

impl Packets {
    pub fn note(&mut self, sent: Sent) {
        if self.0.len() == MOST_HELD {
            self.0.pop_front();
        }
        self.0.push_back(sent);
    }

    /// The newest was refused.
    pub fn take_back(&mut self) {
        self.0.pop_back();
    }

    /// Of the frame with this time stamp; where nobody knows it, it was whole and is due.
    pub fn of(&mut self, stamp: Option<i64>) -> Sent {
        let at = self.0.iter().position(|sent| sent.stamp == stamp);
        at.and_then(|at| self.0.remove(at)).unwrap_or(Sent { stamp, torn: false, due: true })
    }
}
