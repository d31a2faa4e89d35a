//! Clearing what the broker keeps of somebody, over a connection of its own: for `doorward purge`.
//!
//! In: our topics, and what to do with what is found under each. Out: what was cleared, what was left because another
//! box owns it, and what is still there. It does not know people; whoever calls it looks at the payloads.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rumqttc::{AsyncClient, Event, EventLoop, Incoming, QoS};
use tokio::time::timeout;

use super::retiring::is_ours;
use super::{dial, state};
use crate::config::MqttConfig;
use crate::outbox::BrokerTopic;

/// When a broker has nothing more to say of what it keeps, it is quiet for this long.
const QUIET: Duration = Duration::from_millis(700);
/// Until the whole conversation must be over.
const PATIENCE: Duration = Duration::from_secs(30);
/// The broker keeps pictures, whatever size an earlier configuration allowed.
const MAX_INCOMING_BYTES: usize = 256 << 20;

/// What the broker keeps under one of our topics.
pub struct Kept<'a> {
    /// The last level: `picture`, `last`, `state`, …
    pub leaf: &'a str,
    /// The detector, where it is a detector's.
    pub detector: Option<&'a str>,
    pub payload: &'a [u8],
}

/// How it ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub cleared: Vec<String>,
    /// Found once more after they were cleared.
    pub left: Vec<String>,
    /// Another box tells things under these by now.
    pub others: Vec<String>,
}

/// Looks at what the broker keeps under these topics and clears what `unwanted` says; an error says why that was not
/// possible. Where a box is `running`, `state` and `last` get the word that nobody is there, as it would say itself.
pub async fn sweep(
    config: &MqttConfig,
    topics: &[BrokerTopic],
    running: bool,
    unwanted: impl Fn(&Kept<'_>) -> bool,
) -> Result<Swept, String> {
    let client_id = dial::client_id(config);
    let mut options = dial::options(config, &format!("{client_id}-purge"), None).map_err(|error| error.to_string())?;
    options.set_max_packet_size(MAX_INCOMING_BYTES, MAX_INCOMING_BYTES);
    let (client, connection) = AsyncClient::new(options, 4 * topics.len() + 16);
    let mut talk = Talk { connection, unconfirmed: 0, kept: BTreeMap::new() };
    let whole = async {
        let asked = topics.iter().flat_map(|topic| [&topic.topic, &topic.witness]);
        talk.look(&client, asked.clone()).await?;
        let mut swept = Swept::default();
        let mut doomed: Vec<(&BrokerTopic, Bytes)> = Vec::new();
        for topic in topics {
            let Some(payload) = talk.kept.get(&topic.topic) else { continue };
            let kept = Kept { leaf: leaf(&topic.topic), detector: detector(topic), payload };
            if !unwanted(&kept) {
                continue;
            }
            if talk.kept.get(&topic.witness).is_some_and(|kept| !is_ours(topic, kept)) {
                swept.others.push(topic.topic.clone());
                continue;
            }
            let instead = match kept.leaf {
                "state" if running => state::present(&[], config.names, &topic.owner).to_string(),
                "last" if running => state::nobody_last().to_string(),
                _ => String::new(),
            };
            doomed.push((topic, instead.into()));
        }
        // The witness goes last: without it nobody could tell any more whose the others are.
        doomed.sort_by_key(|(topic, _)| topic.topic == topic.witness);
        for (topic, instead) in &doomed {
            let told = client.try_publish(topic.topic.as_str(), QoS::AtLeastOnce, true, instead.clone());
            told.map_err(|error| error.to_string())?;
            talk.unconfirmed += 1;
        }
        talk.until_quiet().await?;
        talk.kept.clear();
        talk.look(&client, doomed.iter().map(|(topic, _)| &topic.topic)).await?;
        for (topic, instead) in doomed {
            let gone = talk.kept.get(&topic.topic).is_none_or(|kept| *kept == instead);
            if gone { &mut swept.cleared } else { &mut swept.left }.push(topic.topic.clone());
        }
        Ok(swept)
    };
    let swept = timeout(PATIENCE, whole).await.unwrap_or_else(|_| Err("the broker does not answer in time".into()));
    let _ = client.try_disconnect();
    swept
}

struct Talk {
    connection: EventLoop,
    /// Requests the broker has not confirmed.
    unconfirmed: usize,
    /// What it keeps, by topic.
    kept: BTreeMap<String, Bytes>,
}

impl Talk {
    /// Asks for what is kept under these.
    async fn look<'a>(&mut self, client: &AsyncClient, topics: impl Iterator<Item = &'a String>) -> Result<(), String> {
        let topics: std::collections::BTreeSet<&String> = topics.collect();
        for topic in topics {
            client.try_subscribe(topic, QoS::AtLeastOnce).map_err(|error| error.to_string())?;
            self.unconfirmed += 1;
        }
        self.until_quiet().await
    }

    /// Listens until all is confirmed and nothing comes any more.
    async fn until_quiet(&mut self) -> Result<(), String> {
        let mut heard = Instant::now();
        loop {
            if self.unconfirmed == 0 && heard.elapsed() >= QUIET {
                return Ok(());
            }
            let event = match timeout(QUIET, self.connection.poll()).await {
                Ok(event) => event.map_err(|error| dial::why(&error, false, None))?,
                Err(_) => continue,
            };
            match event {
                Event::Incoming(Incoming::SubAck(_) | Incoming::PubAck(_)) => {
                    self.unconfirmed = self.unconfirmed.saturating_sub(1);
                }
                Event::Incoming(Incoming::Publish(kept)) => {
                    if kept.payload.is_empty() {
                        self.kept.remove(&kept.topic);
                    } else {
                        self.kept.insert(kept.topic, kept.payload);
                    }
                }
                _ => continue,
            }
            heard = Instant::now();
        }
    }
}

fn leaf(topic: &str) -> &str {
    topic.rsplit('/').next().unwrap_or_default()
}

/// `door` of a witness `doorward/detector/door/state`.
fn detector(topic: &BrokerTopic) -> Option<&str> {
    let (rest, "state") = topic.witness.rsplit_once('/')? else { return None };
    Some(leaf(rest))
}
