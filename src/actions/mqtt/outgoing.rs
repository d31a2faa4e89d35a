//! What is still to be told to the broker, and what it has not confirmed yet. Pure: it knows no connection.
//!
//! In: retained topics, of which only the newest payload counts, and single messages, each of which does; packet ids and
//! confirmations from the connection. Out: the next message to send, and for whoever waits how it went. Single messages
//! are bounded in number and bytes.
//!
//! ```text
//! set ──▶ latest (one per topic) ─┐
//! push ─▶ queue (bounded) ────────┴─next─▶ handed ──numbered──▶ flying ──confirmed──▶ gone, told
//!              ▲                             └──────── lost ───────┘
//!              └── but for what must not arrive twice ◀──┘      (after a loss every retained topic is due again)
//! ```

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;

/// Messages handed to the connection and not confirmed at most. Every broker takes this many at once.
pub(super) const WINDOW: usize = 20;
/// Single messages waiting at most: a busy door's events of a day without the broker.
pub(super) const QUEUE: usize = 5_000;
/// The same in bytes: events are half a kilobyte each.
pub(super) const QUEUE_BYTES: usize = 8 << 20;

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Message {
    pub topic: String,
    pub payload: Bytes,
    pub retain: bool,
    /// The broker confirms it (QoS 1); else it is sent once and nobody knows.
    pub confirmed: bool,
}

/// A single message that is to be sent.
#[derive(Debug)]
pub(super) struct Single {
    pub message: Message,
    /// From this moment on another message goes out in its place: what has waited must not look new.
    pub stale: Option<(Instant, Message)>,
    /// It must not arrive twice: not sent again when the connection breaks before it is confirmed.
    pub once: bool,
    /// Told how it went. When nobody listens any more, it is not sent any more.
    pub done: Option<oneshot::Sender<Result<(), Undelivered>>>,
}

/// Why a message did not go out, or may not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undelivered {
    /// Too many wait.
    Full,
    /// The connection broke before the broker confirmed it.
    MaybeSent,
}

/// Everything on its way.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    latest: BTreeMap<String, Latest>,
    queue: VecDeque<Single>,
    queued_bytes: usize,
    /// Given to the connection, in order; it has not said their packet ids yet.
    handed: VecDeque<Sent>,
    flying: HashMap<u16, Sent>,
    /// Of the next message that is handed over.
    number: u64,
}

#[derive(Debug)]
struct Latest {
    payload: Bytes,
    due: bool,
}

/// A message the connection has; `single` is `None` for a retained topic.
#[derive(Debug)]
struct Sent {
    number: u64,
    single: Option<Single>,
}

impl Outgoing {
    /// A retained topic's new payload; what it was before need not be told any more.
    pub fn set(&mut self, topic: String, payload: Bytes) {
        match self.latest.get_mut(&topic) {
            Some(latest) if latest.payload == payload => {}
            Some(latest) => *latest = Latest { payload, due: true },
            None => drop(self.latest.insert(topic, Latest { payload, due: true })),
        }
    }

    /// A single message. Where there is no room the oldest that nobody waits for gives way, or else the new one is
    /// refused; gives how many were lost so.
    pub fn push(&mut self, single: Single) -> usize {
        let mut lost = 0;
        let bytes = single.message.payload.len();
        while self.queue.len() >= QUEUE || (self.queued_bytes + bytes > QUEUE_BYTES && !self.queue.is_empty()) {
            let oldest = self.queue.iter().position(|waiting| waiting.done.is_none());
            match oldest.and_then(|at| self.queue.remove(at)) {
                Some(oldest) => self.queued_bytes -= oldest.message.payload.len(),
                None => {
                    single.tell(Err(Undelivered::Full));
                    return lost + 1;
                }
            }
            lost += 1;
        }
        self.queued_bytes += bytes;
        self.queue.push_back(single);
        lost
    }

    /// The next message to hand to the connection; retained topics first, so that a state is there before the event.
    pub fn next(&mut self, now: Instant) -> Option<Message> {
        if self.handed.len() + self.flying.len() >= WINDOW {
            return None;
        }
        let (message, single) = match self.latest.iter_mut().find(|(_, latest)| latest.due) {
            Some((topic, latest)) => {
                latest.due = false;
                let (topic, payload) = (topic.clone(), latest.payload.clone());
                (Message { topic, payload, retain: true, confirmed: true }, None)
            }
            None => {
                let single = self.take_wanted()?;
                let message = match &single.stale {
                    Some((from, instead)) if now >= *from => instead.clone(),
                    _ => single.message.clone(),
                };
                (message, Some(single))
            }
        };
        self.handed.push_back(Sent { number: self.number, single });
        self.number += 1;
        Some(message)
    }

    /// The connection has sent the oldest of what it was handed, under this packet id; 0 where nothing is confirmed.
    pub fn numbered(&mut self, packet: u16) {
        let Some(sent) = self.handed.pop_front() else { return };
        match packet {
            0 => sent.tell(Ok(())),
            packet => drop(self.flying.insert(packet, sent)),
        }
    }

    /// The broker has it.
    pub fn confirmed(&mut self, packet: u16) {
        if let Some(sent) = self.flying.remove(&packet) {
            sent.tell(Ok(()));
        }
    }

    /// The connection broke: what is not confirmed is sent again, in its order, but for what must not arrive twice. The
    /// broker may have forgotten what it had retained.
    pub fn lost(&mut self) {
        let mut sent: Vec<Sent> = self.flying.drain().map(|(_, sent)| sent).chain(self.handed.drain(..)).collect();
        sent.sort_by_key(|sent| std::cmp::Reverse(sent.number));
        for single in sent.into_iter().filter_map(|sent| sent.single) {
            if single.once {
                single.tell(Err(Undelivered::MaybeSent));
            } else {
                self.queued_bytes += single.message.payload.len();
                self.queue.push_front(single);
            }
        }
        self.all_due();
    }

    /// Every retained topic is to be told again.
    pub fn all_due(&mut self) {
        self.latest.values_mut().for_each(|latest| latest.due = true);
    }

    /// Single messages that have not been handed over.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Whether all has been told and confirmed.
    pub fn is_settled(&self) -> bool {
        self.queue.is_empty()
            && self.handed.is_empty()
            && self.flying.is_empty()
            && !self.latest.values().any(|latest| latest.due)
    }

    /// The oldest single message that is still wanted.
    fn take_wanted(&mut self) -> Option<Single> {
        loop {
            let single = self.queue.pop_front()?;
            self.queued_bytes -= single.message.payload.len();
            if !single.done.as_ref().is_some_and(oneshot::Sender::is_closed) {
                return Some(single);
            }
        }
    }
}

impl Single {
    /// For whoever sent it.
    fn tell(self, result: Result<(), Undelivered>) {
        if let Some(done) = self.done {
            // Who no longer listens has given up by itself.
            let _ = done.send(result);
        }
    }
}

impl Sent {
    fn tell(self, result: Result<(), Undelivered>) {
        if let Some(single) = self.single {
            single.tell(result);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn message(topic: &str, payload: &str) -> Message {
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        Message { topic: topic.into(), payload, retain: false, confirmed: true }
    }

    fn event(name: &str) -> Single {
        Single { message: message(name, name), stale: None, once: false, done: None }
    }

    fn asked(name: &str, once: bool) -> (Single, oneshot::Receiver<Result<(), Undelivered>>) {
        let (done, told) = oneshot::channel();
        (Single { once, done: Some(done), ..event(name) }, told)
    }

    /// What goes out next, by topic, until nothing does.
    fn drain(outgoing: &mut Outgoing) -> Vec<String> {
        std::iter::from_fn(|| outgoing.next(Instant::now()).map(|message| message.topic)).collect()
    }

    #[test]
    fn of_a_retained_topic_only_the_newest_counts() {
        let mut outgoing = Outgoing::default();
        for payload in ["a", "b", "b"] {
            outgoing.set("state".into(), Bytes::from_static(payload.as_bytes()));
        }
        outgoing.push(event("event"));
        let first = outgoing.next(Instant::now()).unwrap();
        assert_eq!((first.payload.as_ref(), first.retain), (&b"b"[..], true), "and states go first");
        assert_eq!(drain(&mut outgoing), ["event"]);
        outgoing.set("state".into(), Bytes::from_static(b"b"));
        assert_eq!(drain(&mut outgoing), [""; 0], "the broker has it");
        outgoing.lost();
        assert_eq!(drain(&mut outgoing), ["state", "event"], "the broker may have forgotten it");
    }

    #[test]
    fn what_is_not_confirmed_is_sent_again_in_its_order() {
        let mut outgoing = Outgoing::default();
        assert_eq!((0..5).map(|n| outgoing.push(event(&n.to_string()))).sum::<usize>(), 0);
        assert_eq!(drain(&mut outgoing), ["0", "1", "2", "3", "4"]);
        // 0 to 2 went out, 1 was confirmed; 3 and 4 never left.
        (1..=3).for_each(|packet| outgoing.numbered(packet));
        outgoing.confirmed(2);
        outgoing.push(event("5"));
        outgoing.lost();
        assert_eq!(drain(&mut outgoing), ["0", "2", "3", "4", "5"]);
        (1..=5).for_each(|packet| outgoing.numbered(packet));
        (1..=5).for_each(|packet| outgoing.confirmed(packet));
        assert!(outgoing.is_settled());
        assert_eq!(outgoing.queued_bytes, 0);
    }

    #[test]
    fn what_has_waited_does_not_look_new() {
        let (now, mut outgoing) = (Instant::now(), Outgoing::default());
        for (name, from) in [("old", now), ("new", now + Duration::from_secs(60))] {
            outgoing.push(Single { stale: Some((from, message("late", name))), ..event(name) });
        }
        assert_eq!(outgoing.next(now), Some(message("late", "old")));
        assert_eq!(outgoing.next(now), Some(message("new", "new")));
    }

    #[test]
    fn who_waits_is_told() {
        let mut outgoing = Outgoing::default();
        let cases = [("kept", false), ("once", true), ("given up", false)];
        let mut told: Vec<_> = cases
            .iter()
            .map(|(name, once)| {
                let (single, told) = asked(name, *once);
                outgoing.push(single);
                told
            })
            .collect();
        assert_eq!(drain(&mut outgoing), ["kept", "once", "given up"]);
        told.pop();
        outgoing.lost();
        assert_eq!(told[1].try_recv(), Ok(Err(Undelivered::MaybeSent)));
        assert_eq!(drain(&mut outgoing), ["kept"], "nobody waits for the last any more");
        outgoing.numbered(7);
        assert!(told[0].try_recv().is_err(), "sent is not received");
        outgoing.confirmed(7);
        assert_eq!(told[0].try_recv(), Ok(Ok(())));

        let (single, mut told) = asked("unconfirmed", false);
        outgoing.push(Single { message: Message { confirmed: false, ..single.message.clone() }, ..single });
        drain(&mut outgoing);
        outgoing.numbered(0);
        assert_eq!(told.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn the_queue_is_bounded_and_what_is_lost_is_counted() {
        let mut outgoing = Outgoing::default();
        let (first, mut told) = asked("asked", false);
        outgoing.push(first);
        let lost: usize = (0..QUEUE + 9).map(|n| outgoing.push(event(&n.to_string()))).sum();
        assert_eq!((lost, outgoing.waiting()), (10, QUEUE), "the oldest events went, not what somebody waits for");
        assert!(told.try_recv().is_err());

        let mut outgoing = Outgoing::default();
        let mut told: Vec<_> = (0..QUEUE).map(|_| asked("asked", false)).collect();
        told.iter_mut().for_each(|(single, _)| {
            outgoing.push(std::mem::replace(single, event("placeholder")));
        });
        let (refused, mut answer) = asked("one more", false);
        assert_eq!(outgoing.push(refused), 1);
        assert_eq!(answer.try_recv(), Ok(Err(Undelivered::Full)));

        let mut outgoing = Outgoing::default();
        let big = |name| Single { message: message(name, &"x".repeat(QUEUE_BYTES / 2)), ..event(name) };
        assert_eq!([big("a"), big("b"), big("c")].map(|single| outgoing.push(single)), [0, 0, 1]);
        assert_eq!(drain(&mut outgoing), ["b", "c"]);
    }

    #[test]
    fn no_more_than_a_window_is_under_way() {
        let mut outgoing = Outgoing::default();
        assert_eq!((0..WINDOW + 5).map(|n| outgoing.push(event(&n.to_string()))).sum::<usize>(), 0);
        assert_eq!(drain(&mut outgoing).len(), WINDOW);
        (0..3).for_each(|packet| outgoing.numbered(packet + 1));
        assert_eq!(drain(&mut outgoing).len(), 0);
        (0..3).for_each(|packet| outgoing.confirmed(packet + 1));
        assert_eq!(drain(&mut outgoing).len(), 3);
    }
}
