//! The one connection to the broker, kept up as long as the agent runs.
//!
//! In: messages, at any time and never waiting. Out: each of them at the broker, in order, once it is there; how the
//! connection does, for whoever watches; and a word when Home Assistant has come up. It does not know what the messages
//! mean.
//!
//! ```text
//! run: dial ─▶ talk (send what is due, take confirmations) ─broke─▶ pause (jittered, capped) ─▶ dial …
//! stop: "offline" retained, wait for its confirmation, disconnect in order; else the last will says it
//! ```

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rumqttc::{AsyncClient, Event, EventLoop, Incoming, MqttOptions, NetworkOptions, Outgoing as Told, QoS};
use telemetry::Repeated;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::dial;
use super::message::{Message, Single, Undelivered, size};
use super::outgoing::{Outgoing, SetAside, WINDOW};
use super::retiring::{Retiring, WITNESSES};
use super::topics::Topics;
use crate::actions::{ActionError, retry};
use crate::config::MqttConfig;
use crate::outbox::BrokerTopic;

/// The pauses between two tries grow from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A connection that stood this long was a good one: the next pause is short again.
const GOOD: Duration = Duration::from_secs(10);
/// How long the broker may take for its word, from the first byte sent.
const CONNECT_SECS: u64 = 10;
/// How long what is under way when the agent stops may take: states, and the goodbye.
const FAREWELL: Duration = Duration::from_secs(3);

/// The broker, for everybody who tells it something; cheap to clone.
#[derive(Clone, derive_more::Debug)]
#[debug("Broker({}, {:?})", self.address(), *self.link().borrow())]
pub struct Broker(Arc<Shared>);

struct Shared {
    options: MqttOptions,
    topics: Topics,
    /// Where Home Assistant says that it has come up.
    births: Vec<String>,
    /// Guards what is to be told and the connection it goes over. No other lock is taken while it is held.
    inner: Mutex<Inner>,
    link: watch::Sender<Link>,
    unreachable: Repeated,
    overflowing: Repeated,
    too_large: Repeated,
}

#[derive(Default)]
struct Inner {
    outgoing: Outgoing,
    /// What is to be cleared once the broker has shown that it is still ours.
    retiring: Retiring,
    /// Messages that were set aside because the broker does not take them, and the newest of them.
    aside: (u64, String),
    /// The way to the broker, while connected.
    client: Option<AsyncClient>,
    /// The agent stops: once all is told, the connection ends in order.
    closing: bool,
}

/// The state of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// The connection has not been tried yet.
    New,
    Up,
    /// The connection cannot be had, and why.
    Down {
        reason: String,
    },
}

impl Broker {
    /// Reads the certificates and prepares the connection; nothing is sent before [`Broker::run`].
    pub fn new(config: &MqttConfig) -> Result<Self, ActionError> {
        let client_id = dial::client_id(config);
        let topics = Topics::new(config, &client_id);
        let options = dial::options(config, &client_id, Some(&topics.box_availability()))?;
        let births = if config.home_assistant { topics.births() } else { Vec::new() };
        let shared = Shared {
            options,
            topics,
            births,
            inner: Mutex::default(),
            link: watch::Sender::new(Link::New),
            unreachable: Repeated::default(),
            overflowing: Repeated::default(),
            too_large: Repeated::default(),
        };
        shared.inner().outgoing.limit.configured = Some(config.max_packet_bytes as usize);
        shared.inner().outgoing.set(shared.topics.box_availability(), Bytes::from_static(b"online"));
        Ok(Self(Arc::new(shared)))
    }

    /// Whether the broker lets us in, asked once under a name of its own; an error says what to do.
    pub async fn probe(&self) -> Result<(), String> {
        let mut options = self.0.options.clone();
        options.set_client_id(format!("{}-check", options.client_id()));
        let (_client, mut connection) = open(options);
        match connection.poll().await {
            Ok(_) => Ok(()),
            Err(error) => Err(dial::why(&error, false, None)),
        }
    }

    /// Host and port, for people.
    pub fn address(&self) -> String {
        let (host, port) = self.0.options.broker_address();
        format!("{host}:{port}")
    }

    pub fn topics(&self) -> &Topics {
        &self.0.topics
    }

    /// How the connection does, now and from now on.
    pub fn link(&self) -> watch::Receiver<Link> {
        self.0.link.subscribe()
    }

    /// What is wrong with messages although there is a connection; empty when nothing is.
    pub fn trouble(&self) -> String {
        let inner = self.0.inner();
        match &inner.aside {
            (0, _) => String::new(),
            (count, last) => format!("{count} messages were set aside, the last of them: {last}"),
        }
    }

    /// Clears topics of ours that nothing is told under any more, as soon as what the broker keeps there shows that no
    /// other box has taken them over.
    pub fn retire(&self, topics: Vec<BrokerTopic>) {
        let mut inner = self.0.inner();
        // What is told under the witness still is ours beyond doubt.
        let (sure, asked): (Vec<BrokerTopic>, _) =
            topics.into_iter().partition(|one| inner.outgoing.retained.contains(&one.witness));
        sure.into_iter().for_each(|one| inner.outgoing.retained.give_up(one.topic));
        inner.retiring.add(asked);
        inner.pump();
    }

    /// The retired topics the broker has cleared, or that have turned out to be another box's, since the last call.
    pub fn retired(&self) -> Vec<String> {
        let mut inner = self.0.inner();
        inner.pump();
        inner.retiring.gone()
    }

    /// Single messages that wait.
    pub fn waiting(&self) -> usize {
        self.0.inner().outgoing.waiting()
    }

    /// Keeps the connection up until `stop`, and then says goodbye.
    pub async fn run(self, stop: CancellationToken) {
        let mut pauses = retry::pauses(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            // Every connection starts from nothing but what this side remembers: packet ids of another one mean
            // nothing.
            let (client, mut connection) = open(self.0.options.clone());
            let mut up = None;
            let ended = {
                let mut talk = pin!(self.0.talk(&mut connection, &client, &mut up));
                tokio::select! {
                    ended = &mut talk => Some(ended),
                    () = stop.cancelled() => {
                        // The conversation goes on until all is told; a broker that was away is not waited for.
                        if self.0.say_goodbye() {
                            let _ = timeout(FAREWELL, talk).await;
                        }
                        None
                    }
                }
            };
            self.0.inner().client = None;
            let Some((reason, hung_up)) = ended.filter(|_| !stop.is_cancelled()) else { return };
            let aside = self.0.hung_up(hung_up);
            // A connection that a single message ended is good for all the others.
            if aside || up.is_some_and(|up| up.elapsed() >= GOOD) {
                pauses = retry::pauses(FIRST_PAUSE, LONGEST_PAUSE);
            }
            if let Some(line) = self.0.unreachable.note(Instant::now(), &reason) {
                tracing::warn!("there is no connection to the MQTT broker, messages wait: {line}");
            }
            metrics::counter!("doorward_actions_mqtt_failures_total").increment(1);
            self.0.link.send_replace(Link::Down { reason });
            tokio::select! {
                () = tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Sets what the broker keeps for a topic. What it was before is not sent any more.
    pub(super) fn set(&self, topic: String, payload: Bytes) {
        let bytes = size(&topic, &payload);
        let mut inner = self.0.inner();
        if inner.outgoing.limit.refuses(bytes, Instant::now()) {
            drop(inner);
            return self.0.too_large(&SetAside { topic: Some(topic), bytes });
        }
        inner.outgoing.set(topic, payload);
        inner.pump();
    }

    /// Sends a single message as soon as may be; after `stale.0` the other one in its place.
    pub(super) fn send(&self, message: Message, stale: Option<(Instant, Message)>) {
        self.0.push(Single { message, stale, once: false, done: None, hung_up: 0 });
    }

    /// The same, told when the broker has it; dropping the receiver takes back what has not been handed over.
    pub(super) fn ask(&self, message: Message, once: bool) -> oneshot::Receiver<Result<(), Undelivered>> {
        let (done, told) = oneshot::channel();
        self.0.push(Single { message, stale: None, once, done: Some(done), hung_up: 0 });
        told
    }
}

impl Shared {
    /// Keeps the conversation going until the connection ends; tells why it did, and whether the broker hung up.
    async fn talk(&self, connection: &mut EventLoop, client: &AsyncClient, up: &mut Option<Instant>) -> (String, bool) {
        loop {
            match connection.poll().await {
                Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                    *up = Some(Instant::now());
                    self.connected(client);
                }
                Ok(Event::Incoming(Incoming::Publish(birth))) if self.births.contains(&birth.topic) => {
                    // Home Assistant has come up: it may know nothing of us.
                    if birth.payload.as_ref() == b"online" {
                        let mut inner = self.inner();
                        inner.outgoing.retained.all_due();
                        inner.pump();
                    }
                }
                Ok(Event::Incoming(Incoming::Publish(kept))) => {
                    let mut inner = self.inner();
                    inner.retiring.shown(&kept.topic, &kept.payload);
                    inner.pump();
                }
                Ok(Event::Incoming(Incoming::PubAck(ack))) => {
                    let mut inner = self.inner();
                    inner.outgoing.confirmed(ack.pkid);
                    inner.pump();
                }
                Ok(Event::Outgoing(Told::Publish(packet))) => self.inner().outgoing.numbered(packet),
                Ok(Event::Outgoing(Told::Disconnect)) => return ("we said goodbye".into(), false),
                Ok(_) => {}
                Err(error) => {
                    let inner = self.inner();
                    let under_way = inner.outgoing.under_way().filter(|_| up.is_some());
                    return (dial::why(&error, up.is_some(), under_way), dial::has_hung_up(&error));
                }
            }
        }
    }

    fn connected(&self, client: &AsyncClient) {
        // Nothing waits: the channel has room for more than what is ever handed over at once.
        for birth in &self.births {
            let _ = client.try_subscribe(birth.as_str(), QoS::AtLeastOnce);
        }
        let mut inner = self.inner();
        for witness in inner.retiring.witnesses() {
            let _ = client.try_subscribe(witness, QoS::AtLeastOnce);
        }
        inner.client = Some(client.clone());
        inner.pump();
        drop(inner);
        tracing::info!("the MQTT broker is connected");
        self.link.send_replace(Link::Up);
    }

    /// Whether it may yet be heard.
    fn say_goodbye(&self) -> bool {
        let mut inner = self.inner();
        inner.closing = true;
        inner.outgoing.set(self.topics.box_availability(), Bytes::from_static(b"offline"));
        inner.pump();
        inner.client.is_some() || *self.link.borrow() == Link::New
    }

    /// A connection ended; true when that was the fault of a message, which is set aside.
    fn hung_up(&self, hung_up: bool) -> bool {
        let aside = self.inner().outgoing.lost(hung_up, Instant::now());
        aside.iter().for_each(|aside| self.too_large(aside));
        !aside.is_empty()
    }

    /// Says that a message is not sent.
    fn too_large(&self, SetAside { topic, bytes }: &SetAside) {
        metrics::counter!("doorward_actions_mqtt_dropped_total", "reason" => "too_large").increment(1);
        // The topic of a single message may hold a name.
        let what = topic.as_ref().map_or("a message".into(), |topic| format!("the message for `{topic}`"));
        let mut inner = self.inner();
        let why = match inner.outgoing.limit.configured {
            Some(most) if *bytes > most => format!("`mqtt.max_packet_bytes` is {most}"),
            _ => "the broker hung up on it, or on one no larger, three times; its limit may be lower (mosquitto calls \
                  it `max_packet_size` and `message_size_limit`)"
                .into(),
        };
        let line = format!("{what} has {bytes} bytes and is set aside: {why}");
        inner.aside = (inner.aside.0 + 1, line.clone());
        // What the broker keeps there is older than what it did not take: a picture would be of somebody else.
        if let Some(picture) = topic.as_deref().filter(|topic| topic.ends_with("/picture")) {
            inner.outgoing.set(picture.to_owned(), Bytes::new());
            inner.pump();
        }
        drop(inner);
        if let Some(line) = self.too_large.note(Instant::now(), line) {
            tracing::warn!("the MQTT broker does not get everything: {line}");
        }
    }

    fn push(&self, single: Single) {
        let bytes = size(&single.message.topic, &single.message.payload);
        let mut inner = self.inner();
        if inner.outgoing.limit.refuses(bytes, Instant::now()) {
            drop(inner);
            single.tell(Err(Undelivered::Refused { bytes }));
            return self.too_large(&SetAside { topic: None, bytes });
        }
        let lost = inner.outgoing.push(single);
        inner.pump();
        drop(inner);
        if lost > 0 {
            metrics::counter!("doorward_actions_mqtt_dropped_total", "reason" => "queue_full").increment(lost as u64);
            if let Some(line) = self.overflowing.note(Instant::now(), "queue_full") {
                tracing::warn!("messages for the MQTT broker were dropped: {line}");
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Every change of what it guards is whole before anything can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Hands the connection what is due, as far as it takes more: what is told, what has turned out to be ours to
    /// clear, and once all is told, where the agent stops, the goodbye.
    fn pump(&mut self) {
        let (now, cleared) = (Instant::now(), self.outgoing.retained.take_cleared());
        for topic in self.retiring.due(cleared) {
            self.outgoing.retained.give_up(topic);
        }
        while let Some(client) = &self.client
            && let Some(Message { topic, payload, retain, confirmed }) = self.outgoing.next(now)
        {
            let qos = if confirmed { QoS::AtLeastOnce } else { QoS::AtMostOnce };
            if client.try_publish(topic, qos, retain, payload).is_err() {
                // Topics are checked before and the channel holds a whole window, so the connection is going down:
                // its end will put everything back.
                self.client = None;
            }
        }
        if self.closing
            && self.outgoing.is_settled()
            && let Some(client) = &self.client
        {
            let _ = client.try_disconnect();
        }
        metrics::gauge!("doorward_actions_mqtt_waiting").set(self.outgoing.waiting() as f64);
    }
}

fn open(options: MqttOptions) -> (AsyncClient, EventLoop) {
    // A window of messages, subscriptions, a goodbye.
    let (client, mut connection) = AsyncClient::new(options, WINDOW + 8 + WITNESSES);
    let mut network = NetworkOptions::new();
    network.set_connection_timeout(CONNECT_SECS);
    network.set_tcp_nodelay(true);
    connection.set_network_options(network);
    (client, connection)
}
