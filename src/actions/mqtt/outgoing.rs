//! What is still to be told to the broker, and what it has not confirmed yet. Pure: it knows no connection.
//!
//! In: retained topics, of which only the newest payload counts, and single messages, each of which does; packet ids
//! and confirmations from the connection. Out: the next message to send, and for whoever waits how it went. A message
//! the broker hangs up on, three times while nothing else is on its way, is set aside.
//!
//! ```text
//! set --> retained (one per topic) -+
//! push -> queue (bounded) ----------+-next-> sent --numbered: has a packet id--> sent --confirmed--> gone, told
//!              ^                               +---------------- lost -------------+
//!              +-- but for what must not arrive twice <--+      (after a loss every retained topic is due again)
//! ```
//!
//! What was on its way when the broker hung up, and is larger than anything it took before, is suspect: it goes out
//! last, the smallest first, each alone.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::limit::{Limit, TRIES};
use super::message::{Message, Single, Undelivered, size};
use super::queue::Queue;
use super::retained::Retained;

/// Messages handed to the connection and not confirmed at most. Every broker takes this many at once.
pub const WINDOW: usize = 20;
/// The smallest limit `mqtt.max_packet_bytes` can have.
const EVERY_BROKER_TAKES: usize = 1024;
/// A suspect message goes alone; the others wait for its confirmation no longer than this.
const ALONE: Duration = Duration::from_secs(10);

/// A message that is not sent any more, because the broker hangs up on it.
#[derive(Debug, PartialEq, Eq)]
pub struct SetAside {
    /// The topic of a retained message; that of a single one may hold a name.
    pub topic: Option<String>,
    pub bytes: usize,
}

/// Everything on its way.
#[derive(Debug, Default)]
pub struct Outgoing {
    pub retained: Retained,
    queue: Queue,
    /// What was given to the connection and is not confirmed, in order; no more than [`WINDOW`].
    sent: VecDeque<Sent>,
    pub limit: Limit,
    /// Something was confirmed on this connection: it is a good one.
    proved: bool,
    /// Until then nothing else goes out beside the suspect message under way.
    alone_until: Option<Instant>,
}

/// A message the connection has.
#[derive(Debug)]
struct Sent {
    /// The packet id the message went out under; `None` until the connection has said it.
    packet: Option<u16>,
    bytes: usize,
    what: What,
}

#[derive(Debug)]
enum What {
    /// What the broker is to keep for this topic.
    Retained(String),
    Single(Single),
}

impl Outgoing {
    /// A retained topic's new payload; what it was before need not be told any more.
    pub fn set(&mut self, topic: String, payload: Bytes) {
        let known_size = self.limit.has_taken(size(&topic, &payload));
        self.retained.set(topic, payload, known_size);
    }

    /// A single message, for which older ones may have to give way; gives how many were lost so.
    pub fn push(&mut self, single: Single) -> usize {
        self.queue.push(single)
    }

    /// The next message to hand to the connection; retained topics first, so that a state is there before the event.
    pub fn next(&mut self, now: Instant) -> Option<Message> {
        let under_way = self.sent.len();
        if under_way >= WINDOW || (under_way > 0 && self.alone_until.is_some_and(|until| now < until)) {
            return None;
        }
        self.alone_until = None;
        let what = match self.retained.next_unsuspected() {
            Some(topic) => What::Retained(topic),
            None => match self.queue.take(|single| single.hung_up == 0) {
                Some(single) => What::Single(single),
                // All that is left is suspect.
                None if under_way > 0 => return None,
                None => {
                    let suspect = self.suspect()?;
                    self.alone_until = Some(now + ALONE);
                    suspect
                }
            },
        };
        let message = match &what {
            What::Retained(topic) => self.retained.take(topic)?,
            What::Single(single) => single.due(now),
        };
        self.sent.push_back(Sent { packet: None, bytes: size(&message.topic, &message.payload), what });
        Some(message)
    }

    /// The smallest suspect message.
    fn suspect(&mut self) -> Option<What> {
        match (self.retained.smallest_due(), self.queue.smallest()) {
            (Some((bytes, topic)), single) if single.is_none_or(|single| bytes <= single) => {
                Some(What::Retained(topic))
            }
            (_, Some(bytes)) => self.queue.take(|single| single.size() == bytes).map(What::Single),
            _ => None,
        }
    }

    /// The largest message the connection has, its topic where it is a retained one.
    pub fn under_way(&self) -> Option<(usize, Option<&str>)> {
        let sent = self.sent.iter().max_by_key(|sent| sent.bytes)?;
        Some((sent.bytes, sent.topic()))
    }

    /// The connection has sent the oldest of what it was handed, under this packet id; 0 where nothing is confirmed.
    pub fn numbered(&mut self, packet: u16) {
        let Some(at) = self.sent.iter().position(|sent| sent.packet.is_none()) else { return };
        self.sent[at].packet = Some(packet);
        if packet == 0 {
            self.sent.remove(at).into_iter().for_each(|sent| sent.tell(Ok(())));
        }
    }

    /// The broker has it.
    pub fn confirmed(&mut self, packet: u16) {
        let at = self.sent.iter().position(|sent| sent.packet == Some(packet));
        let Some(sent) = at.and_then(|at| self.sent.remove(at)) else { return };
        self.proved = true;
        self.alone_until = None;
        self.limit.taken(sent.bytes);
        if let Some(topic) = sent.topic() {
            self.retained.confirmed(topic);
        }
        sent.tell(Ok(()));
    }

    /// The connection broke, or the broker `hung_up`: what is not confirmed is sent again, in its order, but for what
    /// must not arrive twice, and for what the broker has hung up on too often. The broker may have forgotten what it
    /// had retained.
    pub fn lost(&mut self, hung_up: bool, now: Instant) -> Vec<SetAside> {
        let sent = std::mem::take(&mut self.sent);
        // Only a good connection that ends with one message on its way says something of that one.
        let its_fault = hung_up && self.proved && sent.len() == 1;
        let mut aside = Vec::new();
        // The newest first: each takes the front of the queue.
        for mut sent in sent.into_iter().rev() {
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
                What::Single(single) => self.queue.put_back(single),
            }
        }
        (self.proved, self.alone_until) = (false, None);
        self.retained.all_due();
        aside.extend(self.as_large(now));
        aside
    }

    /// What is as large as something the broker refused shares its fate without a try of its own.
    fn as_large(&mut self, now: Instant) -> Vec<SetAside> {
        let refused = |bytes| self.limit.refuses(bytes, now);
        let retained = self.retained.take_refused(refused).into_iter();
        let mut aside: Vec<_> = retained.map(|(topic, bytes)| SetAside { topic: Some(topic), bytes }).collect();
        for single in self.queue.take_refused(refused) {
            let bytes = single.size();
            single.tell(Err(Undelivered::Refused { bytes }));
            aside.push(SetAside { topic: None, bytes });
        }
        aside
    }

    fn tries<'a>(&'a mut self, what: &'a mut What) -> Option<&'a mut u32> {
        match what {
            What::Retained(topic) => self.retained.hung_up(topic),
            What::Single(single) => Some(&mut single.hung_up),
        }
    }

    fn set_aside(&mut self, sent: Sent, now: Instant) {
        self.limit.hung_up(sent.bytes, now);
        match sent.what {
            What::Retained(topic) => self.retained.remove(&topic),
            What::Single(single) => single.tell(Err(Undelivered::Refused { bytes: sent.bytes })),
        }
    }

    /// Single messages that have not been handed over.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Whether all has been told and confirmed.
    pub fn is_settled(&self) -> bool {
        self.waiting() == 0 && self.sent.is_empty() && self.retained.is_told()
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
    use std::collections::BTreeSet;
    use std::time::Duration;

    use tokio::sync::oneshot;

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
        let refuses = |bytes| outgoing.limit.refuses(bytes, Instant::now());
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
        outgoing.retained.give_up("old/state".into());
        let message = outgoing.next(Instant::now()).unwrap();
        assert_eq!((message.topic.as_str(), message.payload.len(), message.retain), ("old/state", 0, true));
        lose(&mut outgoing);
        assert_eq!(outgoing.retained.take_cleared(), [""; 0], "nobody knows whether it arrived");
        assert_eq!(connection(&mut outgoing, 4_000).0, ["old/state"]);
        assert_eq!(
            (outgoing.retained.take_cleared(), outgoing.retained.take_cleared()),
            (vec!["old/state".to_owned()], vec![])
        );
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
