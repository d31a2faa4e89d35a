//! MQTT: one connection to the broker, the `mqtt` action, and what Home Assistant is told.
//!
//! In: events, states, pictures. Out: messages at the broker of `[mqtt]`, each confirmed by it (QoS 1). While it is
//! away they wait, bounded, and nothing else waits for them. It speaks MQTT 3.1.1, in which a broker that forbids a
//! topic confirms the message all the same.
//!
//! ```text
//! action -> Publish -+
//!                    +-> Broker -> outgoing (retained, queue; what is not confirmed) -> connection -> the broker
//! agent --> Home ----+             dial (address, account, certificates, what a failure means)
//! purge --> sweep (a connection of its own: looks at what the broker keeps, and clears it)
//! ```

mod connection;
mod dial;
mod discovery;
mod home;
mod limit;
mod message;
mod outgoing;
mod queue;
mod retained;
mod retiring;
mod state;
mod sweep;
mod topics;

use std::time::Duration;

use tokio::time::timeout;

use super::Performed;
use super::setup::{ActionError, Setup};
use super::template::{Place, Template, context};
use crate::clock;
use crate::config::MqttActionConfig;
use crate::rules::ActionRequest;

pub use connection::{Broker, Link};
pub use dial::client_id;
pub use home::Home;
pub use state::{BoxDiagnostics, DetectorDiagnostics};
pub use sweep::{Kept, Swept, sweep};
pub use topics::Topics;

use message::{Message, Undelivered};

/// The longest topic MQTT can carry, in bytes.
const LONGEST_TOPIC: usize = 65_535;

/// The `mqtt` action: one message, made from templates.
pub struct Publish {
    topic: Template,
    /// Without one the event itself.
    payload: Option<Template>,
    config: MqttActionConfig,
    broker: Option<Broker>,
}

impl Publish {
    /// Compiles the templates.
    pub fn new(action: &str, config: &MqttActionConfig, broker: Option<&Broker>) -> Result<Self, ActionError> {
        let mut setup = Setup::new(action);
        let topic = setup.template("topic", &config.topic, Place::Topic);
        let payload = config.payload.as_deref().map(|source| {
            let start = source.trim_start();
            let json = start.starts_with(['{', '[']) && !start.starts_with("{{") && !start.starts_with("{%");
            setup.template("payload", source, if json { Place::Json } else { Place::Text })
        });
        setup.finish(Self { topic, payload, config: config.clone(), broker: broker.cloned() })
    }

    /// Publishes the request's event; done when the broker has it. What could not be handed over within the time limit
    /// is not sent any more.
    pub(super) async fn perform(&self, request: &ActionRequest) -> Performed {
        let broker = self.broker.as_ref().ok_or("there is no broker: add a section `[mqtt]`")?;
        let message = self.message(request)?;
        let (actuator, limit) = (self.config.actuator, Duration::from_millis(self.config.timeout_ms));
        let left = request.expires_at.filter(|_| actuator).map(|at| at.saturating_duration_since(clock::now()));
        let limit = left.map_or(limit, |left| left.min(limit));
        let why = match timeout(limit, broker.ask(message, actuator)).await {
            Ok(Ok(Ok(()))) => return Ok(None),
            Ok(Ok(Err(refused @ Undelivered::Refused { .. }))) => return Err(refused.to_string().into()),
            Ok(Ok(Err(undelivered))) => undelivered.to_string(),
            Ok(Err(_)) => "the process is ending".into(),
            Err(_) => format!("the broker did not confirm it within {} ms", limit.as_millis()),
        };
        match &*broker.link().borrow() {
            Link::Down { reason } => Err(format!("{why}: {reason}").into()),
            _ => Err(why.into()),
        }
    }

    fn message(&self, request: &ActionRequest) -> Result<Message, String> {
        let event = context(&request.inputs);
        let topic = self.topic.fill(&event)?;
        if topic.is_empty() || topic.len() > LONGEST_TOPIC || topic.contains(['+', '#', '\0']) {
            return Err(self.topic.cannot("it is empty, too long, or holds `+` or `#`"));
        }
        let payload = match &self.payload {
            Some(template) => template.fill(&event)?,
            None => request.inputs.to_string(),
        };
        Ok(Message { topic, payload: payload.into(), retain: self.config.retain, confirmed: self.config.qos > 0 })
    }
}
