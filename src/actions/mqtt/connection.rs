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

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use rumqttc::{AsyncClient, Event, EventLoop, Incoming, MqttOptions, NetworkOptions, Outgoing as Told, QoS};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::dial;
use super::outgoing::{Message, Outgoing, Single, Undelivered, WINDOW};
use super::topics::Topics;
use crate::actions::ActionError;
use crate::config::MqttConfig;
use crate::telemetry::Repeated;

/// The pauses between two tries grow from here to there.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A connection that stood this long was a good one: the next pause is short again.
const GOOD: Duration = Duration::from_secs(10);
/// From the first byte sent to the broker's word.
const CONNECT_SECS: u64 = 10;
/// What may be under way when the agent stops: states, and the goodbye.
const FAREWELL: Duration = Duration::from_secs(3);

/// The broker, for everybody who tells it something; cheap to clone.
#[derive(Clone)]
pub struct Broker(Arc<Shared>);

struct Shared {
    options: MqttOptions,
    topics: Topics,
    /// Where Home Assistant says that it has come up.
    births: Vec<String>,
    inner: Mutex<Inner>,
    link: watch::Sender<Link>,
    unreachable: Repeated,
    overflowing: Repeated,
}

#[derive(Default)]
struct Inner {
    outgoing: Outgoing,
    /// While connected.
    client: Option<AsyncClient>,
    /// The agent stops: once all is told, the connection ends in order.
    closing: bool,
}

/// How the connection does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// Not tried yet.
    New,
    Up,
    /// It cannot be had, and why.
    Down {
        reason: String,
    },
}

impl Broker {
    /// Reads the certificates and prepares the connection; nothing is sent before [`Broker::run`].
    pub fn new(config: &MqttConfig) -> Result<Self, ActionError> {
        let client_id = dial::client_id(config);
        let topics = Topics::new(config, &client_id);
        let options = dial::options(config, &client_id, &topics.box_availability())?;
        let births = if config.home_assistant { topics.births() } else { Vec::new() };
        let shared = Shared {
            options,
            topics,
            births,
            inner: Mutex::default(),
            link: watch::Sender::new(Link::New),
            unreachable: Repeated::default(),
            overflowing: Repeated::default(),
        };
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
            Err(error) => Err(dial::why(&error, false)),
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

    /// Single messages that wait.
    pub fn waiting(&self) -> usize {
        self.0.inner().outgoing.waiting()
    }

    /// Keeps the connection up until `stop`, and then says goodbye.
    pub async fn run(self, stop: CancellationToken) {
        let mut pauses = pauses();
        loop {
            let (up, reason) = self.connect(&stop).await;
            if stop.is_cancelled() {
                return;
            }
            if up.is_some_and(|up| up.elapsed() >= GOOD) {
                pauses = self::pauses();
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

    /// One connection, from dialling to its end: since when it stood, and why it ended.
    async fn connect(&self, stop: &CancellationToken) -> (Option<Instant>, String) {
        // Every connection starts from nothing but what this side remembers: packet ids of another one mean nothing.
        let (client, mut connection) = open(self.0.options.clone());
        let mut up = None;
        let ended = {
            let mut talk = pin!(self.0.talk(&mut connection, &client, &mut up));
            tokio::select! {
                error = &mut talk => error,
                // The conversation goes on until all is told; a broker that was away is not waited for.
                () = stop.cancelled() => match self.0.say_goodbye() {
                    true => timeout(FAREWELL, talk).await.unwrap_or_else(|_| "the goodbye was not confirmed".into()),
                    false => "there was no connection".into(),
                },
            }
        };
        let mut inner = self.0.inner();
        inner.client = None;
        inner.outgoing.lost();
        (up, ended)
    }

    /// Sets what the broker keeps for a topic. What it was before is not sent any more.
    pub(super) fn set(&self, topic: String, payload: Bytes) {
        if payload.len() > dial::MAX_BYTES {
            return self.0.dropped("too_large", 1);
        }
        let mut inner = self.0.inner();
        inner.outgoing.set(topic, payload);
        inner.pump();
    }

    /// Sends a single message as soon as may be; after `stale.0` the other one in its place.
    pub(super) fn send(&self, message: Message, stale: Option<(Instant, Message)>) {
        self.0.push(Single { message, stale, once: false, done: None });
    }

    /// The same, told when the broker has it; dropping the receiver takes back what has not been handed over.
    pub(super) fn ask(&self, message: Message, once: bool) -> oneshot::Receiver<Result<(), Undelivered>> {
        let (done, told) = oneshot::channel();
        self.0.push(Single { message, stale: None, once, done: Some(done) });
        told
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Broker({}, {:?})", self.address(), *self.0.link.borrow())
    }
}

impl Shared {
    /// Keeps the conversation going until the connection ends, and tells why it did.
    async fn talk(&self, connection: &mut EventLoop, client: &AsyncClient, up: &mut Option<Instant>) -> String {
        loop {
            match connection.poll().await {
                Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                    *up = Some(Instant::now());
                    self.connected(client);
                }
                Ok(Event::Incoming(Incoming::Publish(birth))) if self.births.contains(&birth.topic) => {
                    if birth.payload.as_ref() == b"online" {
                        self.tell_all_again();
                    }
                }
                Ok(Event::Incoming(Incoming::PubAck(ack))) => self.confirmed(ack.pkid),
                Ok(Event::Outgoing(Told::Publish(packet))) => self.inner().outgoing.numbered(packet),
                Ok(Event::Outgoing(Told::Disconnect)) => return "we said goodbye".into(),
                Ok(_) => {}
                Err(error) => return dial::why(&error, up.is_some()),
            }
        }
    }

    fn connected(&self, client: &AsyncClient) {
        // Nothing waits: the channel has room for more than what is ever handed over at once.
        for birth in &self.births {
            let _ = client.try_subscribe(birth.as_str(), QoS::AtLeastOnce);
        }
        let mut inner = self.inner();
        inner.client = Some(client.clone());
        inner.pump();
        drop(inner);
        tracing::info!("the MQTT broker is connected");
        self.link.send_replace(Link::Up);
    }

    /// Home Assistant has come up: it may know nothing of us.
    fn tell_all_again(&self) {
        let mut inner = self.inner();
        inner.outgoing.all_due();
        inner.pump();
    }

    fn confirmed(&self, packet: u16) {
        let mut inner = self.inner();
        inner.outgoing.confirmed(packet);
        inner.pump();
        inner.end_if_settled();
    }

    /// Whether it may yet be heard.
    fn say_goodbye(&self) -> bool {
        let mut inner = self.inner();
        inner.closing = true;
        inner.outgoing.set(self.topics.box_availability(), Bytes::from_static(b"offline"));
        inner.pump();
        inner.end_if_settled();
        inner.client.is_some() || *self.link.borrow() == Link::New
    }

    fn push(&self, single: Single) {
        if single.message.payload.len() > dial::MAX_BYTES {
            return self.dropped("too_large", 1);
        }
        let mut inner = self.inner();
        let lost = inner.outgoing.push(single);
        inner.pump();
        drop(inner);
        if lost > 0 {
            self.dropped("queue_full", lost);
        }
    }

    fn dropped(&self, reason: &'static str, count: usize) {
        metrics::counter!("doorward_actions_mqtt_dropped_total", "reason" => reason).increment(count as u64);
        if let Some(line) = self.overflowing.note(Instant::now(), reason) {
            tracing::warn!("messages for the MQTT broker were dropped: {line}");
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Every change of what it guards is whole before anything can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Hands the connection what is due, as far as it takes more.
    fn pump(&mut self) {
        let now = Instant::now();
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
        metrics::gauge!("doorward_actions_mqtt_waiting").set(self.outgoing.waiting() as f64);
    }

    fn end_if_settled(&mut self) {
        if self.closing
            && self.outgoing.is_settled()
            && let Some(client) = &self.client
        {
            let _ = client.try_disconnect();
        }
    }
}

fn open(options: MqttOptions) -> (AsyncClient, EventLoop) {
    // A window of messages, subscriptions, a goodbye.
    let (client, mut connection) = AsyncClient::new(options, WINDOW + 8);
    let mut network = NetworkOptions::new();
    network.set_connection_timeout(CONNECT_SECS);
    network.set_tcp_nodelay(true);
    connection.set_network_options(network);
    (client, connection)
}

fn pauses() -> backon::ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times()
        .build()
}
