//! What the broker is to keep for each topic: the newest payload, and whether it still has to be told. Pure.
//!
//! In: payloads, and what the broker confirmed. Out: the next topic that is due. A topic that is given up is cleared
//! with an empty payload, and forgotten once the broker has confirmed that.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::message::{Message, size};

/// The newest payload of every retained topic.
#[derive(Debug, Default)]
pub struct Retained {
    topics: BTreeMap<String, Latest>,
    /// Topics that are given up: each goes once the broker has cleared it.
    given_up: BTreeSet<String>,
    cleared: Vec<String>,
}

/// The newest payload of a topic.
#[derive(Debug)]
struct Latest {
    payload: Bytes,
    /// The broker has not been told, or may have forgotten it.
    due: bool,
    /// How often the broker has hung up on it.
    hung_up: u32,
}

impl Retained {
    /// A topic's new payload; what it was before need not be told any more. A payload of a size the broker is known to
    /// take is beyond suspicion; another one is as suspect as the one before.
    pub fn set(&mut self, topic: String, payload: Bytes, known_size: bool) {
        let before = self.topics.get(&topic);
        if before.is_some_and(|latest| latest.payload == payload) {
            return;
        }
        let hung_up = before.filter(|_| !known_size).map_or(0, |latest| latest.hung_up);
        self.topics.insert(topic, Latest { payload, due: true, hung_up });
    }

    /// Whether something is told under this topic.
    pub fn contains(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// Clears a topic at the broker, and forgets it then; see [`take_cleared`](Self::take_cleared).
    pub fn give_up(&mut self, topic: String) {
        self.given_up.insert(topic.clone());
        self.set(topic, Bytes::new(), true);
    }

    /// The topics given up that the broker has cleared since the last call.
    pub fn take_cleared(&mut self) -> Vec<String> {
        std::mem::take(&mut self.cleared)
    }

    /// The first topic that is due and that the broker has not hung up on.
    pub fn next_unsuspected(&self) -> Option<String> {
        let next = self.topics.iter().find(|(_, latest)| latest.due && latest.hung_up == 0);
        next.map(|(topic, _)| topic.clone())
    }

    /// The smallest message that is due, and its topic.
    pub fn smallest_due(&self) -> Option<(usize, String)> {
        let due = self.topics.iter().filter(|(_, latest)| latest.due);
        due.map(|(topic, latest)| (size(topic, &latest.payload), topic.clone())).min()
    }

    /// The message of a topic, which is not due any more.
    pub fn take(&mut self, topic: &str) -> Option<Message> {
        let latest = self.topics.get_mut(topic)?;
        latest.due = false;
        Some(Message { topic: topic.to_owned(), payload: latest.payload.clone(), retain: true, confirmed: true })
    }

    /// The broker has what was last taken of this topic.
    pub fn confirmed(&mut self, topic: &str) {
        if let Some(latest) = self.topics.get_mut(topic) {
            latest.hung_up = 0;
        }
        if self.given_up.remove(topic) {
            self.topics.remove(topic);
            self.cleared.push(topic.to_owned());
        }
    }

    /// How often the broker has hung up on a topic's payload.
    pub fn hung_up(&mut self, topic: &str) -> Option<&mut u32> {
        self.topics.get_mut(topic).map(|latest| &mut latest.hung_up)
    }

    pub fn remove(&mut self, topic: &str) {
        self.topics.remove(topic);
    }

    /// Takes out every topic whose message has a size that is refused; gives the sizes.
    pub fn take_refused(&mut self, refused: impl Fn(usize) -> bool) -> Vec<(String, usize)> {
        let refused = self.topics.extract_if(.., |topic, latest| refused(size(topic, &latest.payload)));
        let sized = |(topic, latest): (String, Latest)| {
            let bytes = size(&topic, &latest.payload);
            (topic, bytes)
        };
        refused.map(sized).collect()
    }

    /// Every topic is to be told again.
    pub fn all_due(&mut self) {
        self.topics.values_mut().for_each(|latest| latest.due = true);
    }

    /// Whether nothing is due.
    pub fn is_told(&self) -> bool {
        !self.topics.values().any(|latest| latest.due)
    }
}
