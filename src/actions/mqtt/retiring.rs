//! Whose a retained topic is, and clearing those nothing is told under any more. Pure.
//!
//! In: topics this box has told things under, from the record of an earlier start, and what the broker keeps. Out:
//! which of them to clear now, and which are gone or another box's. Several boxes share a broker and its topics, so
//! none is cleared for its name alone: a detector's `state` names the box that wrote it, and a box that is not
//! `offline` is somebody else's by now.
//!
//! ```text
//! retire -▶ asked (subscribed to the witness) -ours-▶ clearing (all but the witness) -▶ the witness -▶ gone
//!                                             └-another box's-▶ gone, untouched
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::outbox::BrokerTopic;

/// Subscriptions to topics that show whose a retired topic is, at most; what is beyond waits for the next start.
pub(super) const WITNESSES: usize = 256;

/// Whether what the broker keeps under the witness of a topic shows that the topic is (still) this box's.
pub fn is_ours(topic: &BrokerTopic, kept: &[u8]) -> bool {
    if topic.witness.ends_with("/availability") {
        return kept == b"offline";
    }
    // One from before boxes put their names there is ours: it is on our record.
    let written_by = serde_json::from_slice::<Value>(kept).ok();
    written_by.and_then(|state| Some(state.get("box")?.as_str()? == topic.owner)).unwrap_or(true)
}

/// The topics that are being cleared, from the question whose they are to their end.
#[derive(Debug, Default)]
pub(super) struct Retiring {
    /// Topics of which nobody knows yet whose they are, by their witness.
    asked: BTreeMap<String, Vec<BrokerTopic>>,
    /// Topics that must go before their witness, by that witness.
    clearing: BTreeMap<String, BTreeSet<String>>,
    /// Topics that are to be cleared now.
    due: Vec<String>,
    /// Topics that are cleared, or turned out to be another box's.
    gone: Vec<String>,
}

impl Retiring {
    pub fn add(&mut self, topics: Vec<BrokerTopic>) {
        for one in topics {
            self.asked.entry(one.witness.clone()).or_default().push(one);
        }
    }

    /// The topics to subscribe to.
    pub fn witnesses(&self) -> Vec<String> {
        self.asked.keys().take(WITNESSES).cloned().collect()
    }

    /// Takes in what the broker keeps under a topic.
    pub fn shown(&mut self, topic: &str, kept: &[u8]) {
        // Nothing is kept there; somebody has just cleared it.
        if kept.is_empty() {
            return;
        }
        let Some(topics) = self.asked.remove(topic) else { return };
        let (ours, others): (Vec<BrokerTopic>, Vec<BrokerTopic>) =
            topics.into_iter().partition(|one| is_ours(one, kept));
        self.gone.extend(others.into_iter().map(|one| one.topic));
        let (witness, rest): (Vec<String>, Vec<String>) =
            ours.into_iter().map(|one| one.topic).partition(|one| one == topic);
        if rest.is_empty() {
            self.due.extend(witness);
        } else {
            self.due.extend(rest.iter().cloned());
            // A witness that is told under still, as that of a detector whose announcement alone goes, stays.
            if !witness.is_empty() {
                self.clearing.insert(topic.to_owned(), rest.into_iter().collect());
            }
        }
    }

    /// Takes in what the broker has cleared; gives what to clear now.
    pub fn due(&mut self, cleared: Vec<String>) -> Vec<String> {
        for topic in cleared {
            self.clearing.retain(|witness, rest| {
                let last = rest.remove(&topic) && rest.is_empty();
                if last {
                    self.due.push(witness.clone());
                }
                !last
            });
            self.gone.push(topic);
        }
        std::mem::take(&mut self.due)
    }

    /// The topics that are cleared, or another box's, since the last call.
    pub fn gone(&mut self) -> Vec<String> {
        std::mem::take(&mut self.gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(topic: &str, witness: &str) -> BrokerTopic {
        let (broker, owner) = ("broker:1883".into(), "me".into());
        BrokerTopic { broker, topic: topic.into(), witness: witness.into(), owner }
    }

    #[test]
    fn what_is_ours_goes_and_its_witness_last() {
        let mut retiring = Retiring::default();
        let topics = ["d/old/picture", "d/old/state", "ha/old"];
        retiring.add(topics.map(|topic| owned(topic, "d/old/state")).into());
        assert_eq!(retiring.witnesses(), ["d/old/state"]);
        retiring.shown("d/other/state", b"{}");
        retiring.shown("d/old/state", b"");
        assert_eq!(retiring.due(Vec::new()), [""; 0], "nothing is known yet");
        retiring.shown("d/old/state", br#"{"box": "me"}"#);
        assert_eq!(retiring.due(Vec::new()), ["d/old/picture", "ha/old"]);
        assert_eq!(retiring.due(vec!["ha/old".into()]), [""; 0]);
        assert_eq!(retiring.due(vec!["d/old/picture".into()]), ["d/old/state"]);
        assert_eq!(retiring.due(vec!["d/old/state".into()]), [""; 0]);
        assert_eq!(retiring.gone(), ["ha/old", "d/old/picture", "d/old/state"]);
    }

    #[test]
    fn what_another_box_has_taken_over_stays() {
        for (witness, kept, ours) in [
            ("d/old/state", &br#"{"box": "me", "present": true}"#[..], true),
            ("d/old/state", br#"{"present": true}"#, true),
            ("d/old/state", br#"{"box": "you"}"#, false),
            ("box/old/availability", b"offline", true),
            ("box/old/availability", b"online", false),
        ] {
            let mut retiring = Retiring::default();
            retiring.add(vec![owned(witness, witness)]);
            retiring.shown(witness, kept);
            let due = retiring.due(Vec::new());
            assert_eq!((due.len(), retiring.gone().len()), (usize::from(ours), usize::from(!ours)), "{witness}");
        }
    }
}
