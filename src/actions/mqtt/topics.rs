//! Where at the broker what is told, and the names things have there. Pure.
//!
//! ```text
//! TOPIC/box/CLIENT-ID/availability    online, offline (also the last will)
//!                    /diagnostics
//! TOPIC/detector/NAME/availability    online while its camera gives pictures
//!                    /state           who is there; retained
//!                    /last            who was seen last; retained
//!                    /picture         JPEG; retained
//!                    /diagnostics     retained
//!                    /event           what just happened; never retained
//!                    /late            what happened a while ago and is told only now; never retained
//! ```

use sha2::{Digest, Sha256};

use crate::config::{DetectorName, MqttConfig};

/// Home Assistant's own default, which does not follow its discovery prefix.
const BIRTH: &str = "homeassistant/status";

/// Every topic of one agent.
#[derive(Debug, Clone)]
pub struct Topics {
    base: String,
    pub client_id: String,
    discovery: String,
}

impl Topics {
    pub fn new(config: &MqttConfig, client_id: &str) -> Self {
        Self { base: config.topic.clone(), client_id: client_id.into(), discovery: config.discovery_topic.clone() }
    }

    pub fn detector(&self, name: &DetectorName, leaf: &str) -> String {
        format!("{}/detector/{name}/{leaf}", self.base)
    }

    pub fn of_box(&self, leaf: &str) -> String {
        format!("{}/box/{}/{leaf}", self.base, self.client_id)
    }

    pub fn box_availability(&self) -> String {
        self.of_box("availability")
    }

    /// Where a device is announced.
    pub fn announcement(&self, id: &str) -> String {
        format!("{}/device/{id}/config", self.discovery)
    }

    /// Where Home Assistant may say that it has come up.
    pub fn births(&self) -> Vec<String> {
        let mut births = vec![format!("{}/status", self.discovery), BIRTH.to_owned()];
        births.dedup();
        births
    }

    /// What Home Assistant knows a detector by, as long as neither it nor `mqtt.topic` is renamed.
    pub fn detector_id(&self, name: &DetectorName) -> String {
        id(&format!("{}_{name}", self.base))
    }

    pub fn box_id(&self) -> String {
        id(&self.client_id)
    }
}

/// A text of letters, digits, `_` and `-` alone; texts that differ stay different.
fn id(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if text.chars().all(plain) {
        return text.into();
    }
    let readable: String = text.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    format!("{readable}_{}", hex::encode(&Sha256::digest(text)[..4]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_and_tell_names_apart() {
        let topics = Topics::new(&MqttConfig::new("mqtt://broker.example".parse().unwrap()), "doorward-box");
        let id = |name| topics.detector_id(&DetectorName::new(name).unwrap());
        assert_eq!(id("front-door"), "doorward_front-door");
        let names = ["Front door", "Front.door", "Front_door", "前门", "后门"].map(id);
        assert!(names.iter().all(|id| id.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))), "{names:?}");
        let different: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len(), "{names:?}");
    }

    #[test]
    fn home_assistant_is_listened_to_where_it_speaks() {
        let mut config = MqttConfig::new("mqtt://broker.example".parse().unwrap());
        assert_eq!(Topics::new(&config, "x").births(), ["homeassistant/status"]);
        config.discovery_topic = "ha".into();
        assert_eq!(Topics::new(&config, "x").births(), ["ha/status", "homeassistant/status"]);
    }
}
