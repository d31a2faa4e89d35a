//! What is still to be told to the broker, and what it has not confirmed yet. Pure: it knows no connection.
//!
//! In: retained topics, of which only the newest payload counts, and single messages, each of which does; packet ids
//! and confirmations from the connection. Out: the next message to send, and for whoever waits how it went. Single
//! messages are bounded in number and bytes. One the broker hangs up on, three times while nothing else is on its way,
//! is set aside.
//!
//! ```text
//! set ──▶ latest (one per topic) ─┐
//! push ─▶ queue (bounded) ────────┴─next─▶ handed ──numbered──▶ flying ──confirmed──▶ gone, told
//!              ▲                             └──────── lost ───────┘
//!              └── but for what must not arrive twice ◀──┘      (after a loss every retained topic is due again)
//! ```
//!
//! What was on its way when the broker hung up, and is larger than anything it took before, is suspect: it goes out
//! last, the smallest first, each alone.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::limit::{Limit, TRIES};

/// Messages handed to the connection and not confirmed at most. Every broker takes this many at once.
pub(super) const WINDOW: usize = 20;
/// Single messages waiting at most: a busy door's events of a day without the broker.
pub(super) const QUEUE: usize = 5_000;
/// The same in bytes: events are half a kilobyte each.
pub(super) const QUEUE_BYTES: usize = 8 << 20;
/// Around topic and payload: the fixed header, the topic's length, the packet id.
const HEADER_BYTES: usize = 9;
/// The smallest limit `mqtt.max_packet_bytes` can have.
const EVERY_BROKER_TAKES: usize = 1024;
/// A suspect message goes alone; the others wait for its confirmation no longer than this.
const ALONE: Duration = Duration::from_secs(10);

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
    /// How often the broker has hung up on it.
    pub hung_up: u32,
}

/// Why a message did not go out, or may not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undelivered {
    /// Too many wait.
    Full,
    /// The connection broke before the broker confirmed it.
    MaybeSent,
    /// The broker hung up on it again and again, or it is as large as one of those.
    Refused { bytes: usize },
}

/// A message that is not sent any more, because the broker hangs up on it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SetAside {
    /// Of a retained message; the topic of a single one may hold a name.
    pub topic: Option<String>,
    pub bytes: usize,
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
    pub limit: Limit,
    /// Something was confirmed on this connection: it is a good one.
    proved: bool,
    /// Until then nothing else goes out beside the suspect message under way.
    alone_until: Option<Instant>,
    /// Retained topics that are given up: each goes once the broker has cleared it.
    retiring: BTreeSet<String>,
    cleared: Vec<String>,
}

#[derive(Debug)]
struct Latest {
    payload: Bytes,
    due: bool,
    /// How often the broker has hung up on it.
    hung_up: u32,
}

/// A message the connection has.
#[derive(Debug)]
struct Sent {
    number: u64,
    bytes: usize,
    what: What,
}

#[derive(Debug)]
enum What {
    Retained(String),
    Single(Single),
}

impl Outgoing {
    /// A retained topic's new payload; what it was before need not be told any more.
    pub fn set(&mut self, topic: String, payload: Bytes) {
        let known = self.limit.has_taken(size(&topic, &payload));
        match self.latest.get_mut(&topic) {
            Some(latest) if latest.payload == payload => {}
            Some(latest) => {
                // Another picture of a size the broker may not take is as suspect as the one before.
                let hung_up = if known { 0 } else { latest.hung_up };
                *latest = Latest { payload, due: true, hung_up };
            }
            None => drop(self.latest.insert(topic, Latest { payload, due: true, hung_up: 0 })),
        }
    }

    /// Whether something is told under this retained topic.
    pub fn tells(&self, topic: &str) -> bool {
        self.latest.contains_key(topic)
    }

    /// Clears a retained topic at the broker, and forgets it then; see [`Outgoing::cleared`].
    pub fn retire(&mut self, topic: String) {
        self.retiring.insert(topic.clone());
        self.set(topic, Bytes::new());
    }

    /// The retired topics that the broker has cleared since the last call.
    pub fn cleared(&mut self) -> Vec<String> {
        std::mem::take(&mut self.cleared)
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
        let under_way = self.handed.len() + self.flying.len();
        if under_way >= WINDOW || (under_way > 0 && self.alone_until.is_some_and(|until| now < until)) {
            return None;
        }
        self.alone_until = None;
        let unsuspected = self.latest.iter().find(|(_, latest)| latest.due && latest.hung_up == 0);
        let (message, what) = match unsuspected.map(|(topic, _)| topic.clone()) {
            Some(topic) => self.retained(topic)?,
            None => match self.take_wanted(|single| single.hung_up == 0) {
                Some(single) => single.into_message(now),
                // All that is left is suspect.
                None if under_way > 0 => return None,
                None => {
                    let next = self.suspect(now)?;
                    self.alone_until = Some(now + ALONE);
                    next
                }
            },
        };
        self.handed.push_back(Sent { number: self.number, bytes: size(&message.topic, &message.payload), what });
        self.number += 1;
        Some(message)
    }

    fn retained(&mut self, topic: String) -> Option<(Message, What)> {
        let latest = self.latest.get_mut(&topic)?;
        latest.due = false;
        let message = Message { topic: topic.clone(), payload: latest.payload.clone(), retain: true, confirmed: true };
        Some((message, What::Retained(topic)))
    }

    /// The smallest suspect message.
    fn suspect(&mut self, now: Instant) -> Option<(Message, What)> {
        let due = self.latest.iter().filter(|(_, latest)| latest.due);
        let retained = due.map(|(topic, latest)| (size(topic, &latest.payload), topic.clone())).min();
        let single = self.queue.iter().map(|single| size(&single.message.topic, &single.message.payload)).min();
        match (retained, single) {
            (Some((bytes, topic)), single) if single.is_none_or(|single| bytes <= single) => self.retained(topic),
            (_, Some(bytes)) => {
                let smallest = |single: &Single| size(&single.message.topic, &single.message.payload) == bytes;
                self.take_wanted(smallest).map(|single| single.into_message(now))
            }
            _ => None,
        }
    }

    /// The largest message the connection has, its topic where it is a retained one.
    pub fn under_way(&self) -> Option<(usize, Option<&str>)> {
        let sent = self.flying.values().chain(&self.handed).max_by_key(|sent| sent.bytes)?;
        Some((sent.bytes, sent.topic()))
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
        let Some(sent) = self.flying.remove(&packet) else { return };
        self.proved = true;
        self.alone_until = None;
        self.limit.taken(sent.bytes);
        if let What::Retained(topic) = &sent.what {
            if let Some(latest) = self.latest.get_mut(topic) {
                latest.hung_up = 0;
            }
            if self.retiring.remove(topic) {
                self.latest.remove(topic);
                self.cleared.push(topic.clone());
            }
        }
        sent.tell(Ok(()));
    }

    /// The connection broke, or the broker `hung_up`: what is not confirmed is sent again, in its order, but for what
    /// must not arrive twice, and for what the broker has hung up on too often. The broker may have forgotten what it
    /// had retained.
    pub fn lost(&mut self, hung_up: bool, now: Instant) -> Vec<SetAside> {
        let mut sent: Vec<Sent> = self.flying.drain().map(|(_, sent)| sent).chain(self.handed.drain(..)).collect();
        sent.sort_by_key(|sent| std::cmp::Reverse(sent.number));
        // Only a good connection that ends with one message on its way says something of that one.
        let its_fault = hung_up && self.proved && sent.len() == 1;
        let mut aside = Vec::new();
        for mut sent in sent {
            // A connection that confirmed nothing says little: of what every broker takes nothing at all.
            let suspect =
                hung_up && !self.limit.has_taken(sent.bytes) && (self.proved || sent.bytes > EVERY_BROKER_TAKES);
            if let Some(tries) = self.tries(&mut sent.what).filter(|_| suspect) {
                *tries = if its_fault { *tries + 1 } else { (*tries).max(1) };
                if *tries >= TRIES {
                    aside.push(SetAside { topic: sent.topic().map(str::to_owned), bytes: sent.bytes });
                    self.set_aside(sent, now);
                    continue;
                }
            }
            match sent.what {
                What::Retained(_) => {}
                What::Single(single) if single.once => single.tell(Err(Undelivered::MaybeSent)),
                What::Single(single) => {
                    self.queued_bytes += single.message.payload.len();
                    self.queue.push_front(single);
                }
            }
        }
        (self.proved, self.alone_until) = (false, None);
        self.all_due();
        aside.extend(self.as_large(now));
        aside
    }

    /// What is as large as something the broker refused shares its fate without a try of its own.
    fn as_large(&mut self, now: Instant) -> Vec<SetAside> {
        let refused = |limit: &Limit, bytes| limit.refuses(bytes, now).is_some();
        let limit = &self.limit;
        let retained = self.latest.extract_if(.., |topic, latest| refused(limit, size(topic, &latest.payload)));
        let mut aside: Vec<_> = retained
            .map(|(topic, latest)| SetAside { bytes: size(&topic, &latest.payload), topic: Some(topic) })
            .collect();
        for single in std::mem::take(&mut self.queue) {
            let bytes = size(&single.message.topic, &single.message.payload);
            if refused(&self.limit, bytes) {
                self.queued_bytes -= single.message.payload.len();
                single.tell(Err(Undelivered::Refused { bytes }));
                aside.push(SetAside { topic: None, bytes });
            } else {
                self.queue.push_back(single);
            }
        }
        aside
    }

    fn tries<'a>(&'a mut self, what: &'a mut What) -> Option<&'a mut u32> {
        match what {
            What::Retained(topic) => self.latest.get_mut(topic).map(|latest| &mut latest.hung_up),
            What::Single(single) => Some(&mut single.hung_up),
        }
    }

    fn set_aside(&mut self, sent: Sent, now: Instant) {
        self.limit.hung_up(sent.bytes, now);
        match sent.what {
            What::Retained(topic) => drop(self.latest.remove(&topic)),
            What::Single(single) => single.tell(Err(Undelivered::Refused { bytes: sent.bytes })),
        }
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

    /// The oldest single message of a kind that is still wanted; those that nobody wants any more go.
    fn take_wanted(&mut self, kind: impl Fn(&Single) -> bool) -> Option<Single> {
        loop {
            let gone = |single: &Single| single.done.as_ref().is_some_and(oneshot::Sender::is_closed);
            let at = self.queue.iter().position(|single| gone(single) || kind(single))?;
            let single = self.queue.remove(at)?;
            self.queued_bytes -= single.message.payload.len();
            if !gone(&single) {
                return Some(single);
            }
        }
    }
}

/// What a message takes on its way.
pub(super) fn size(topic: &str, payload: &[u8]) -> usize {
    HEADER_BYTES + topic.len() + payload.len()
}

impl Single {
    /// The message as it goes out now.
    fn into_message(self, now: Instant) -> (Message, What) {
        let message = match &self.stale {
            Some((from, instead)) if now >= *from => instead.clone(),
            _ => self.message.clone(),
        };
        (message, What::Single(self))
    }

    /// For whoever sent it.
    pub fn tell(self, result: Result<(), Undelivered>) {
        if let Some(done) = self.done {
            // Who no longer listens has given up by itself.
            let _ = done.send(result);
        }
    }
}

impl Sent {
    fn topic(&self) -> Option<&str> {
        match &self.what {
            What::Retained(topic) => Some(topic),
            What::Single(_) => None,
        }
    }

    fn tell(self, result: Result<(), Undelivered>) {
        if let What::Single(single) = self.what {
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
        Single { message: message(name, name), stale: None, once: false, done: None, hung_up: 0 }
    }

    fn asked(name: &str, once: bool) -> (Single, oneshot::Receiver<Result<(), Undelivered>>) {
        let (done, told) = oneshot::channel();
        (Single { once, done: Some(done), ..event(name) }, told)
    }

    /// What goes out next, by topic, until nothing does.
    fn drain(outgoing: &mut Outgoing) -> Vec<String> {
        std::iter::from_fn(|| outgoing.next(Instant::now()).map(|message| message.topic)).collect()
    }

    /// The network fails.
    fn lose(outgoing: &mut Outgoing) {
        assert_eq!(outgoing.lost(false, Instant::now()), []);
    }

    /// One connection to a broker that hangs up on what is larger than this: what it took, and what is set aside then.
    fn connection(outgoing: &mut Outgoing, most: usize) -> (Vec<String>, Vec<SetAside>) {
        let (mut taken, mut packet) = (Vec::new(), 0);
        loop {
            let handed: Vec<Message> = std::iter::from_fn(|| outgoing.next(Instant::now())).collect();
            if handed.is_empty() {
                return (taken, Vec::new());
            }
            let first = packet + 1;
            for _ in &handed {
                packet += 1;
                outgoing.numbered(packet);
            }
            for (number, message) in (first..).zip(handed) {
                if size(&message.topic, &message.payload) > most {
                    return (taken, outgoing.lost(true, Instant::now()));
                }
                outgoing.confirmed(number);
                taken.push(message.topic);
            }
        }
    }

    #[test]
    fn what_the_broker_hangs_up_on_is_set_aside_and_all_else_arrives() {
        let mut outgoing = Outgoing::default();
        outgoing.set("door/picture".into(), Bytes::from(vec![0; 9_000]));
        outgoing.set("box/availability".into(), Bytes::from_static(b"online"));
        outgoing.set("door/state".into(), Bytes::from_static(b"{}"));
        let (big, mut told) = asked("big", false);
        outgoing.push(Single { message: message("big", &"x".repeat(5_000)), ..big });
        outgoing.push(event("event"));
        let (mut arrived, mut aside) = (BTreeSet::new(), Vec::new());
        for connections in 1.. {
            let (taken, set_aside) = connection(&mut outgoing, 4_000);
            arrived.extend(taken);
            aside.extend(set_aside);
            if outgoing.is_settled() {
                // The first hang-up accuses both of the large ones; the smaller of the two is then tried twice more,
                // and stands for both.
                assert_eq!(connections, 4);
                break;
            }
        }
        assert_eq!(arrived.into_iter().collect::<Vec<_>>(), ["box/availability", "door/state", "event"]);
        let wanted = [(None, 5_012), (Some("door/picture".to_owned()), 9_021)];
        assert_eq!(aside, wanted.map(|(topic, bytes)| SetAside { topic, bytes }));
        assert_eq!(told.try_recv(), Ok(Err(Undelivered::Refused { bytes: 5_012 })));
        let refuses = |bytes| outgoing.limit.refuses(bytes, Instant::now()).is_some();
        assert!(refuses(5_012) && !refuses(5_011), "and is not tried again");
    }

    #[test]
    fn a_network_that_fails_accuses_nobody_nor_does_a_broker_that_takes_nothing() {
        let mut outgoing = Outgoing::default();
        outgoing.set("state".into(), Bytes::from_static(b"{}"));
        for _ in 0..10 {
            assert_eq!(drain(&mut outgoing), ["state"]);
            lose(&mut outgoing);
            assert_eq!(connection(&mut outgoing, 0), (vec![], vec![]));
        }
        assert_eq!(connection(&mut outgoing, 4_000).0, ["state"]);
    }

    #[test]
    fn a_retired_topic_is_cleared_and_forgotten() {
        let mut outgoing = Outgoing::default();
        outgoing.retire("old/state".into());
        let message = outgoing.next(Instant::now()).unwrap();
        assert_eq!((message.topic.as_str(), message.payload.len(), message.retain), ("old/state", 0, true));
        lose(&mut outgoing);
        assert_eq!(outgoing.cleared(), [""; 0], "nobody knows whether it arrived");
        assert_eq!(connection(&mut outgoing, 4_000).0, ["old/state"]);
        assert_eq!((outgoing.cleared(), outgoing.cleared()), (vec!["old/state".to_owned()], vec![]));
        lose(&mut outgoing);
        assert_eq!(drain(&mut outgoing), [""; 0]);
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
        lose(&mut outgoing);
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
        lose(&mut outgoing);
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
        lose(&mut outgoing);
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
