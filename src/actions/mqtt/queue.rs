//! Messages that are sent once and wait for their turn, bounded in number and bytes. Pure.
//!
//! In: messages, newest last, and those a lost connection gives back. Out: the oldest that is still wanted. Where there
//! is no room, the oldest message that nobody waits for gives way.

use std::collections::VecDeque;

use super::message::{Single, Undelivered};

/// Messages waiting at most: a busy door's events of a day without the broker.
pub const MOST_WAITING: usize = 5_000;
/// The same in bytes: events are half a kilobyte each.
pub const MOST_BYTES: usize = 8 << 20;

/// The messages that wait, oldest first.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<Single>,
    /// The payloads of all that wait.
    bytes: usize,
}

impl Queue {
    /// Appends a message. Where there is no room the oldest that nobody waits for gives way, or else the new one is
    /// refused; gives how many were lost so.
    pub fn push(&mut self, single: Single) -> usize {
        let mut lost = 0;
        let bytes = single.message.payload.len();
        while self.waiting.len() >= MOST_WAITING || (self.bytes + bytes > MOST_BYTES && !self.waiting.is_empty()) {
            let oldest = self.waiting.iter().position(|waiting| waiting.done.is_none());
            lost += 1;
            if oldest.and_then(|at| self.remove(at)).is_none() {
                single.tell(Err(Undelivered::Full));
                return lost;
            }
        }
        self.bytes += bytes;
        self.waiting.push_back(single);
        lost
    }

    /// Gives a message its place at the front back, although there may be no room.
    pub fn put_back(&mut self, single: Single) {
        self.bytes += single.message.payload.len();
        self.waiting.push_front(single);
    }

    /// The oldest message of a kind that is still wanted; those that nobody wants any more go.
    pub fn take(&mut self, kind: impl Fn(&Single) -> bool) -> Option<Single> {
        loop {
            let at = self.waiting.iter().position(|single| single.is_given_up() || kind(single))?;
            let single = self.remove(at)?;
            if !single.is_given_up() {
                return Some(single);
            }
        }
    }

    /// Takes out every message of a size that is refused.
    pub fn take_refused(&mut self, refused: impl Fn(usize) -> bool) -> Vec<Single> {
        let (out, stay): (Vec<Single>, Vec<Single>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|single| refused(single.size()));
        self.waiting = stay.into();
        self.bytes -= out.iter().map(|single| single.message.payload.len()).sum::<usize>();
        out
    }

    /// What the smallest message takes on its way.
    pub fn smallest(&self) -> Option<usize> {
        self.waiting.iter().map(Single::size).min()
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    fn remove(&mut self, at: usize) -> Option<Single> {
        let single = self.waiting.remove(at)?;
        self.bytes -= single.message.payload.len();
        Some(single)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::super::message::Message;
    use super::*;

    fn event(name: &str, bytes: usize) -> Single {
        let payload = vec![b'x'; bytes].into();
        let message = Message { topic: name.into(), payload, retain: false, confirmed: true };
        Single { message, stale: None, once: false, done: None, hung_up: 0 }
    }

    fn asked(name: &str) -> (Single, oneshot::Receiver<Result<(), Undelivered>>) {
        let (done, told) = oneshot::channel();
        (Single { done: Some(done), ..event(name, 1) }, told)
    }

    #[test]
    fn it_is_bounded_and_what_is_lost_is_counted() {
        let mut queue = Queue::default();
        let (first, mut told) = asked("asked");
        queue.push(first);
        let lost: usize = (0..MOST_WAITING + 9).map(|n| queue.push(event(&n.to_string(), 1))).sum();
        assert_eq!((lost, queue.len()), (10, MOST_WAITING), "the oldest events went, not what somebody waits for");
        assert!(told.try_recv().is_err());

        let mut queue = Queue::default();
        let waiting: Vec<_> = (0..MOST_WAITING)
            .map(|_| {
                let (single, told) = asked("asked");
                queue.push(single);
                told
            })
            .collect();
        let (refused, mut answer) = asked("one more");
        assert_eq!((queue.push(refused), waiting.len()), (1, MOST_WAITING));
        assert_eq!(answer.try_recv(), Ok(Err(Undelivered::Full)));

        let mut queue = Queue::default();
        assert_eq!(["a", "b", "c"].map(|name| queue.push(event(name, MOST_BYTES / 2))), [0, 0, 1]);
        let left: Vec<_> = std::iter::from_fn(|| queue.take(|_| true)).map(|single| single.message.topic).collect();
        assert_eq!((left, queue.bytes), (vec!["b".to_owned(), "c".to_owned()], 0));
    }
}
