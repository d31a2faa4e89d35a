//! Whose a retained topic is, and clearing those nothing is told under any more. Pure.
//!
//! In: topics this box has told things under, from the record of an earlier start, and what the broker keeps. Out:
//! which of them to clear now, and which are gone or another box's. Several boxes share a broker and its topics, so
//! none is cleared for its name alone: a detector's `state` names the box that wrote it, and a box that is not
//! `offline` is somebody else's by now.
//!
//! ```text
//! retire ─▶ asked (subscribed to the witness) ─ours─▶ clearing (all but the witness) ─▶ the witness ─▶ gone
//!                                             └─another box's─▶ gone, untouched
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A topic this box tells things under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owned {
    pub topic: String,
    /// The topic that shows whose it is: a detector's `state`, a box's `availability`.
    pub witness: String,
    /// The box's `client_id`.
    pub owner: String,
}

impl Owned {
    /// Whether what the broker keeps under the witness shows that the topic is (still) ours.
    pub fn is_ours(&self, kept: &[u8]) -> bool {
        if self.witness.ends_with("/availability") {
            return kept == b"offline";
        }
        // One from before boxes put their names there is ours: it is on our record.
        let written_by = serde_json::from_slice::<Value>(kept).ok();
        written_by.and_then(|state| Some(state.get("box")?.as_str()? == self.owner)).unwrap_or(true)
    }
}

/// What is being cleared.
#[derive(Debug, Default)]
pub(super) struct Retiring {
    /// By their witness; nobody knows yet whose they are.
    asked: BTreeMap<String, Vec<Owned>>,
    /// By their witness: what must go before it.
    clearing: BTreeMap<String, BTreeSet<String>>,
    /// To be handed over.
    due: Vec<String>,
    gone: Vec<String>,
}

impl Retiring {
    pub fn add(&mut self, owned: Vec<Owned>) {
        for one in owned {
            self.asked.entry(one.witness.clone()).or_default().push(one);
        }
    }

    /// The topics to subscribe to.
    pub fn witnesses(&self) -> Vec<String> {
        self.asked.keys().take(super::connection::WITNESSES).cloned().collect()
    }

    /// What the broker keeps under a topic.
    pub fn shown(&mut self, topic: &str, kept: &[u8]) {
        // Nothing is kept there; somebody has just cleared it.
        if kept.is_empty() {
            return;
        }
        let Some(owned) = self.asked.remove(topic) else { return };
        let (ours, others): (Vec<Owned>, Vec<Owned>) = owned.into_iter().partition(|one| one.is_ours(kept));
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

    /// The broker has cleared these; gives what to clear now.
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

    /// What is cleared, or another box's, since the last call.
    pub fn gone(&mut self) -> Vec<String> {
        std::mem::take(&mut self.gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(topic: &str, witness: &str) -> Owned {
        Owned { topic: topic.into(), witness: witness.into(), owner: "me".into() }
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
