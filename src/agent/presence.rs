//! Who is present at each detector, from the threads that see visits to the task that notices somebody has left.
//!
//! In: visits in view, answers, time. Out: [`PresenceNews`] for whoever listens, and [`Departures`] for the delivery,
//! which asks the rules and writes down who is still there. What presence means is the rules' to say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;

use crate::capture::CaptureTime;
use crate::clock;
use crate::config::{DetectorConfig, DetectorName, Settings};
use crate::outbox::Outbox;
use crate::recognition::Recognition;
use crate::rules::{Presence, RuleClock, Stay};
use crate::track::VisitId;

/// How old what is on disk of the moment somebody was last seen may be.
const WRITE_EVERY: Duration = Duration::from_secs(10);

/// What changed at a detector, and who is there now.
#[derive(Debug, Clone)]
pub struct PresenceNews {
    pub detector: DetectorName,
    pub change: PresenceChange,
    /// Who came first stands first; nobody when it is empty.
    pub present: Vec<Stay>,
}

/// Why there are news.
#[derive(Debug, Clone)]
pub enum PresenceChange {
    /// The agent starts, with whoever was there before the restart.
    Started,
    /// Somebody came, or an unknown visitor turned out to be this person.
    Arrived(Stay),
    /// Told once for every stay. One that began before a restart has a recognition without `arrived`.
    Left(Stay),
}

/// Who is present at every detector; cheap to clone.
#[derive(Clone, Default)]
pub struct Presences(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Each lock guards one detector's presence; no other is taken with it, and nothing waits under it.
    detectors: BTreeMap<DetectorName, Mutex<AtDetector>>,
    changed: Notify,
}

/// Who is at one detector.
struct AtDetector {
    presence: Presence,
    /// The newest frame with somebody in it, or the start: the pipeline's clock runs on from here.
    newest: CaptureTime,
    /// Somebody came or went since the last time it was written.
    changed: bool,
    /// Somebody who is present was seen since then.
    seen: bool,
    written: Instant,
}

/// Who has left a detector, and who is still there: for the rules, and for the disk.
pub struct Departures {
    pub detector: DetectorName,
    pub left: Vec<Stay>,
    /// Who is still there, for the disk.
    pub records: Vec<Value>,
    pub present: Vec<Stay>,
    /// Now, on the clock the stays are dated with.
    pub clock: RuleClock,
}

impl Presences {
    /// With whoever was present before a restart. A record that cannot be read is forgotten.
    pub fn open(settings: &Settings, outbox: &Outbox) -> Result<Self> {
        let mut detectors = BTreeMap::new();
        for config in &settings.detectors {
            let mut presence = Presence::new(absent(config));
            let stays = outbox.stays(&config.name).wait()?;
            let stays = stays.iter().filter_map(|record| match Stay::from_record(record) {
                Ok(stay) => Some(stay),
                Err(error) => {
                    tracing::warn!(detector = %config.name, %error, "somebody who was present is forgotten");
                    None
                }
            });
            presence.restore(stays.collect::<Vec<_>>(), Utc::now());
            detectors.insert(config.name.clone(), Mutex::new(AtDetector::new(presence)));
        }
        Ok(Self(Arc::new(Shared { detectors, changed: Notify::new() })))
    }

    /// What is there at the start, for whoever shows it.
    pub fn started(&self) -> Vec<PresenceNews> {
        let news = |(detector, at): (&DetectorName, &Mutex<AtDetector>)| PresenceNews {
            detector: detector.clone(),
            change: PresenceChange::Started,
            present: at.lock().presence.present(),
        };
        self.0.detectors.iter().map(news).collect()
    }

    /// These visits are in the newest frame.
    pub fn in_view(&self, detector: &DetectorName, time: CaptureTime, visits: impl Iterator<Item = VisitId>) {
        let Some(at) = self.0.detectors.get(detector) else { return };
        let mut at = at.lock();
        for visit in visits {
            at.newest = time;
            at.seen |= at.presence.in_view(visit, time.utc, time.offset);
        }
    }

    /// The engine answered.
    pub fn recognised(&self, recognition: &Recognition, quality: f32, clock: RuleClock) -> Option<PresenceNews> {
        let mut at = self.0.detectors.get(&recognition.detector)?.lock();
        let now = at.now();
        let stay = at.presence.recognised(recognition, quality, clock, now)?;
        at.changed = true;
        let present = at.presence.present();
        drop(at);
        self.0.changed.notify_one();
        let detector = recognition.detector.clone();
        Some(PresenceNews { detector, change: PresenceChange::Arrived(stay), present })
    }

    /// Who is at a detector.
    pub fn present(&self, detector: &DetectorName) -> Vec<Stay> {
        self.0.detectors.get(detector).map_or_else(Vec::new, |at| at.lock().presence.present())
    }

    /// Resolves when somebody has come.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// The detectors where somebody has left, or where what is on disk is out of date (`all`: in the least).
    pub fn departures(&self, all: bool) -> Vec<Departures> {
        let mut found = Vec::new();
        for (detector, at) in &self.0.detectors {
            let mut at = at.lock();
            let now = at.now();
            let left = at.presence.left(now);
            let old = all || at.written.elapsed() >= WRITE_EVERY;
            if left.is_empty() && !at.changed && !(at.seen && old) {
                continue;
            }
            (at.changed, at.seen, at.written) = (false, false, Instant::now());
            let present = at.presence.present();
            let records = present.iter().map(Stay::to_record).collect();
            let clock = RuleClock { utc: at.utc(), late: false };
            found.push(Departures { detector: detector.clone(), left, records, present, clock });
        }
        found
    }
}

impl AtDetector {
    fn new(presence: Presence) -> Self {
        let newest = CaptureTime { utc: Utc::now(), offset: Duration::ZERO, arrived: clock::now() };
        Self { presence, newest, changed: false, seen: false, written: Instant::now() }
    }

    /// The pipeline's clock: a recording's runs as fast as its frames come, and goes on by itself between them.
    fn now(&self) -> Duration {
        self.newest.offset + self.newest.age()
    }

    fn utc(&self) -> DateTime<Utc> {
        self.newest.utc + TimeDelta::from_std(self.newest.age()).unwrap_or(TimeDelta::zero())
    }
}

/// A visit that waits for its face would otherwise outlive the stay it belongs to.
pub fn absent(config: &DetectorConfig) -> Duration {
    let waits = Duration::from_millis(config.track.lost_after_ms) + Duration::from_secs(1);
    Duration::from_secs(config.presence.absent_secs).max(waits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CameraConfig, OutboxConfig, ReplayConfig};
    use crate::outbox;
    use crate::recognition::{Answer, Known, Person};
    use uuid::Uuid;

    fn settings(lost_after_ms: u64) -> Settings {
        let camera = CameraConfig::Replay(ReplayConfig::new("x"));
        let mut detector = DetectorConfig::new(DetectorName::new("door").unwrap(), camera);
        detector.track.lost_after_ms = lost_after_ms;
        detector.presence.absent_secs = 1;
        Settings { detectors: vec![detector], ..Settings::default() }
    }

    fn recognition() -> Recognition {
        let person = Person { id: "p".into(), name: None };
        let (tags, fields) = (Vec::new(), Vec::new());
        Recognition {
            sighting: Uuid::from_u128(1),
            visit: VisitId(Uuid::from_u128(2)),
            stay: None,
            detector: DetectorName::new("door").unwrap(),
            seen_at: Utc::now(),
            arrived: Some(Instant::now()),
            shot: 1,
            live: None,
            answer: Answer::Known(Known {
                person,
                tags,
                fields,
                confidence: None,
                match_confidence: None,
                face_id: None,
                detect_id: None,
                left_out: None,
            }),
        }
    }

    #[test]
    fn nobody_is_gone_before_their_visit_can_be() {
        for (lost_after_ms, absent_ms) in [(100, 1_100), (2_000, 3_000)] {
            assert_eq!(absent(&settings(lost_after_ms).detectors[0]), Duration::from_millis(absent_ms));
        }
    }

    #[test]
    fn a_restart_brings_back_who_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(100);
        let outbox = Outbox::open(dir.path(), &OutboxConfig::default()).unwrap();
        let presences = Presences::open(&settings, &outbox).unwrap();
        assert!(presences.started()[0].present.is_empty());
        let (recognition, name) = (recognition(), DetectorName::new("door").unwrap());
        let clock = RuleClock { utc: recognition.seen_at, late: false };
        assert!(presences.recognised(&recognition, 0.5, clock).is_none(), "not in view");
        let time = CaptureTime { utc: recognition.seen_at, offset: Duration::ZERO, arrived: Instant::now() };
        presences.in_view(&name, time, [recognition.visit].into_iter());
        let news = presences.recognised(&recognition, 0.5, clock).unwrap();
        assert!(matches!(news.change, PresenceChange::Arrived(_)) && news.present.len() == 1);
        assert!(presences.recognised(&recognition, 0.5, clock).is_none(), "told once");

        let departures = presences.departures(false).remove(0);
        assert!(departures.left.is_empty());
        let stored = outbox::Presence {
            detector: name.clone(),
            stays: departures.records,
            requests: Vec::new(),
            judged: Vec::new(),
        };
        outbox.presence(stored).wait().unwrap();
        assert!(presences.departures(false).is_empty(), "nothing new to write");

        let presences = Presences::open(&settings, &outbox).unwrap();
        assert_eq!(presences.started()[0].present[0].person(), Some("p"));
        let gone = std::iter::repeat_with(|| presences.departures(false)).find_map(|mut found| found.pop()).unwrap();
        assert_eq!((gone.left.len(), gone.present.len(), gone.records.len()), (1, 0, 0));
    }
}
