//! Tells the broker, and so Home Assistant, what happens at the doors; no rule is needed for it.
//!
//! In: pictures, answers, who is present, who left, how cameras and the box do. Out: messages for the [`Broker`]:
//! retained topics always as things are now, events once each and only while they are news. Nothing here waits.
//!
//! ```text
//! live answer ─▶ event    an event that could not be sent within `outbox.late_after_ms`,
//! late answer ─▶ late     or was late to begin with, goes to `late`: it never looks new
//! ```

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::connection::Broker;
use super::discovery;
use super::message::Message;
use super::state::{self, BoxDiagnostics, DetectorDiagnostics};
use crate::config::{DetectorName, MqttConfig};
use crate::outbox::BrokerTopic;
use crate::recognition::{Answer, Recognition};
use crate::rules::{Newest, Stay};
use crate::track::VisitId;
use crate::visits::rank;

/// Visits per detector whose telling is remembered; an answer for an older one is told again.
const REMEMBERED: usize = 256;

/// The doors, as the broker is told of them.
pub struct Home {
    broker: Broker,
    names: bool,
    pictures: bool,
    late_after: Duration,
    /// Guards what was told of each detector's newest visits. No other lock is taken while it is held.
    told: Mutex<HashMap<DetectorName, Newest<VisitId, Option<Told>, REMEMBERED>>>,
}

/// What has been told of a visit.
#[derive(PartialEq)]
struct Told {
    rank: u8,
    person: Option<String>,
}

impl Home {
    /// Every retained topic of these detectors and of the box.
    pub fn topics(config: &MqttConfig, broker: &Broker, detectors: &[DetectorName]) -> Vec<BrokerTopic> {
        let (topics, address) = (broker.topics(), broker.address());
        let mut all = Vec::new();
        let mut add = |topic: String, witness: &str| {
            let (broker, witness, owner) = (address.clone(), witness.to_owned(), topics.client_id.clone());
            all.push(BrokerTopic { broker, topic, witness, owner });
        };
        let of_box = topics.box_availability();
        for leaf in ["availability", "diagnostics"] {
            add(topics.of_box(leaf), &of_box);
        }
        if config.home_assistant {
            add(topics.announcement(&topics.box_id()), &of_box);
        }
        for name in detectors {
            let state = topics.detector(name, "state");
            for leaf in ["availability", "state", "last", "picture", "diagnostics"] {
                add(topics.detector(name, leaf), &state);
            }
            if config.home_assistant {
                add(topics.announcement(&topics.detector_id(name)), &state);
            }
        }
        all
    }

    /// Announces the detectors where that is wanted. Until more is known every camera is away and nobody is there; who
    /// was seen last, and the picture, stay as the broker has them; but what is not wanted there (any more) goes.
    pub fn new(config: &MqttConfig, broker: Broker, detectors: &[DetectorName], late_after: Duration) -> Self {
        let home = Self { broker, names: config.names, pictures: config.pictures, late_after, told: Mutex::default() };
        let topics = home.broker.topics();
        if config.home_assistant {
            home.set(topics.announcement(&topics.box_id()), &discovery::of_box(topics));
        }
        for name in detectors {
            if config.home_assistant {
                let payload = discovery::detector(topics, name, config.pictures);
                home.set(topics.announcement(&topics.detector_id(name)), &payload);
            }
            home.camera(name, false);
            home.present(name, &[]);
            if !config.pictures {
                home.broker.set(topics.detector(name, "picture"), Bytes::new());
            }
            if !config.names {
                home.set(topics.detector(name, "last"), &state::nobody_last());
            }
        }
        home
    }

    /// Whether the camera gives pictures.
    pub fn camera(&self, detector: &DetectorName, live: bool) {
        let word: &[u8] = if live { b"online" } else { b"offline" };
        self.broker.set(self.broker.topics().detector(detector, "availability"), Bytes::from_static(word));
    }

    /// A shot of a visitor was taken, JPEG.
    pub fn sighted(&self, detector: &DetectorName, picture: Bytes) {
        if self.pictures {
            self.broker.set(self.broker.topics().detector(detector, "picture"), picture);
        }
    }

    /// The engine answered. What tells nothing new of the visit is left out; what is late is told as such, and changes
    /// no state.
    pub fn recognised(&self, recognition: &Recognition, quality: f32, live: Option<f32>, late: bool) {
        if !self.is_news(recognition) {
            return;
        }
        let fresh_until = recognition.arrived.filter(|_| !late).and_then(|at| at.checked_add(self.late_after));
        let event = |late| state::recognised(recognition, quality, live, late, self.names);
        self.event(&recognition.detector, event, fresh_until);
        if fresh_until.is_some() && matches!(recognition.answer, Answer::Known(_) | Answer::Unknown { .. }) {
            let topic = self.broker.topics().detector(&recognition.detector, "last");
            self.set(topic, &state::last(recognition, self.names));
        }
    }

    /// Who is there now.
    pub fn present(&self, detector: &DetectorName, stays: &[Stay]) {
        let topics = self.broker.topics();
        self.set(topics.detector(detector, "state"), &state::present(stays, self.names, &topics.client_id));
    }

    /// Somebody has just left; of a stay from before a restart nobody knows when.
    pub fn left(&self, stay: &Stay) {
        let event = |late| state::left(stay, late, self.names);
        let live = stay.recognition.arrived.is_some();
        let fresh_until = Instant::now().checked_add(self.late_after).filter(|_| live);
        self.event(&stay.recognition.detector, event, fresh_until);
    }

    /// How a detector does.
    pub fn detector(&self, detector: &DetectorName, diagnostics: &DetectorDiagnostics) {
        self.set(self.broker.topics().detector(detector, "diagnostics"), diagnostics);
    }

    /// How the box does.
    pub fn of_box(&self, diagnostics: &BoxDiagnostics) {
        self.set(self.broker.topics().of_box("diagnostics"), diagnostics);
    }

    /// An event for who watches, or, when that moment has passed, for who keeps a record.
    fn event(&self, detector: &DetectorName, event: impl Fn(bool) -> Value, fresh_until: Option<Instant>) {
        let message = |late: bool| Message {
            topic: self.broker.topics().detector(detector, if late { "late" } else { "event" }),
            payload: event(late).to_string().into(),
            retain: false,
            confirmed: true,
        };
        match fresh_until {
            Some(moment) => self.broker.send(message(false), Some((moment, message(true)))),
            None => self.broker.send(message(true), None),
        }
    }

    fn set(&self, topic: String, value: &impl Serialize) {
        // Maps with text keys and finite numbers: there is nothing in them that JSON cannot hold.
        let payload = serde_json::to_vec(value).unwrap_or_default();
        self.broker.set(topic, payload.into());
    }

    /// The first answer of a visit, and a better one: somebody unknown who is known, or somebody else.
    fn is_news(&self, recognition: &Recognition) -> bool {
        let person = recognition.answer.person_id().map(str::to_owned);
        let new = Told { rank: rank(recognition.answer.kind().as_str()), person };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let told = told.entry(recognition.detector.clone()).or_default().get_or_add(recognition.visit);
        let is_news = told.as_ref().is_none_or(|before| new.rank >= before.rank && new != *before);
        if is_news {
            *told = Some(new);
        }
        is_news
    }
}
