//! A message for the broker, and what becomes of one that is sent once. Pure.
//!
//! In: topics and payloads. Out: what a message takes on its way, which text a message that has waited goes out with,
//! and for whoever waits how it went.

use std::time::Instant;

use bytes::Bytes;
use derive_more::Display;
use tokio::sync::oneshot;

/// Around topic and payload: the fixed header, the topic's length, the packet id.
const HEADER_BYTES: usize = 9;

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub topic: String,
    pub payload: Bytes,
    pub retain: bool,
    /// The broker confirms the message (QoS 1); else it is sent once and nobody knows whether it arrived.
    pub confirmed: bool,
}

/// A message that is sent once, unlike what the broker keeps for a topic.
#[derive(Debug)]
pub struct Single {
    pub message: Message,
    /// From this moment on another message goes out in its place: what has waited must not look new.
    pub stale: Option<(Instant, Message)>,
    /// The message must not arrive twice: it is not sent again when the connection breaks before it is confirmed.
    pub once: bool,
    /// Told how it went. When nobody listens any more, the message is not sent any more.
    pub done: Option<oneshot::Sender<Result<(), Undelivered>>>,
    /// How often the broker has hung up on the message.
    pub hung_up: u32,
}

/// Why a message did not go out, or may not have.
#[derive(Debug, Display, Clone, Copy, PartialEq, Eq)]
pub enum Undelivered {
    #[display("too many messages wait for the broker")]
    Full,
    #[display("the connection broke before the broker confirmed it; it may have arrived, and is not repeated")]
    MaybeSent,
    /// The broker hung up on the message again and again, or it is as large as one of those.
    #[display("the message has {bytes} bytes, more than the broker takes, or than `mqtt.max_packet_bytes` allows")]
    Refused { bytes: usize },
}

/// What a message takes on its way.
pub fn size(topic: &str, payload: &[u8]) -> usize {
    HEADER_BYTES + topic.len() + payload.len()
}

impl Single {
    /// The message as it goes out now.
    pub fn due(&self, now: Instant) -> Message {
        match &self.stale {
            Some((from, instead)) if now >= *from => instead.clone(),
            _ => self.message.clone(),
        }
    }

    /// What the message takes on its way.
    pub fn size(&self) -> usize {
        size(&self.message.topic, &self.message.payload)
    }

    /// Whether whoever waited for the message has given up.
    pub fn is_given_up(&self) -> bool {
        self.done.as_ref().is_some_and(oneshot::Sender::is_closed)
    }

    /// Tells whoever sent the message how it went.
    pub fn tell(self, result: Result<(), Undelivered>) {
        if let Some(done) = self.done {
            // Who no longer listens has given up by themselves.
            let _ = done.send(result);
        }
    }
}
