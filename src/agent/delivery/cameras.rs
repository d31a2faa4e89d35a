//! Cameras in trouble, for the rules: told once when it is a fault, and once when it is over.
//!
//! In: the agent's health, again and again. Out: [`CameraNews`]. What is a fault, and after which time, is the health's
//! to say.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::config::DetectorName;
use crate::rules::CameraNews;
use crate::status::{CAMERA_PARTS, Fault, Health};
use crate::track::VisitId;

/// The troubles there are.
#[derive(Debug, Default)]
pub struct Troubles(HashMap<DetectorName, Trouble>);

#[derive(Debug)]
struct Trouble {
    told: CameraNews,
    /// Since when there is no fault any more.
    well_since: Option<DateTime<Utc>>,
}

/// A trouble is over once there has been no fault for so long: what comes back at once was not over.
const WELL_AFTER: TimeDelta = TimeDelta::seconds(10);

impl Troubles {
    /// What has changed since the last look. Of several faults of a camera the first counts; another part's is another
    /// trouble.
    pub fn look<'a>(
        &mut self,
        detectors: impl Iterator<Item = &'a DetectorName>,
        health: &Health,
        now: DateTime<Utc>,
    ) -> Vec<CameraNews> {
        let mut news = Vec::new();
        for detector in detectors {
            let fault = health.of(Some(detector.as_str())).find(|fault| CAMERA_PARTS.contains(&fault.part));
            match (fault, self.0.get_mut(detector)) {
                (Some(fault), Some(trouble)) if fault.part == trouble.told.part => trouble.well_since = None,
                (Some(fault), _) => {
                    let told = begun(detector, fault, now);
                    news.push(told.clone());
                    self.0.insert(detector.clone(), Trouble { told, well_since: None });
                }
                (None, Some(trouble)) => {
                    if now - *trouble.well_since.get_or_insert(now) >= WELL_AFTER {
                        news.push(CameraNews { at: now, over: true, ..trouble.told.clone() });
                        self.0.remove(detector);
                    }
                }
                (None, None) => {}
            }
        }
        news
    }
}

fn begun(detector: &DetectorName, fault: &Fault, now: DateTime<Utc>) -> CameraNews {
    CameraNews {
        detector: detector.clone(),
        trouble: VisitId(Uuid::now_v7()),
        part: fault.part,
        reason: fault.reason.clone(),
        since: fault.since,
        at: now,
        over: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_told_of_once_and_so_is_its_end() {
        let door = DetectorName::new("door").unwrap();
        let mut troubles = Troubles::default();
        let start = Utc::now();
        let mut look = |secs: i64, faults: &[(&'static str, &str, &str)]| -> Vec<(&'static str, bool)> {
            let fault = |(part, detector, reason): &(&'static str, &str, &str)| Fault {
                part,
                detector: Some((*detector).into()),
                reason: (*reason).into(),
                for_secs: 30,
                since: DateTime::UNIX_EPOCH,
            };
            let health = Health { ok: faults.is_empty(), faults: faults.iter().map(fault).collect() };
            let news = troubles.look([&door].into_iter(), &health, start + TimeDelta::seconds(secs));
            assert!(news.iter().all(|news| news.since == DateTime::UNIX_EPOCH));
            news.iter().map(|news| (news.part, news.over)).collect()
        };
        assert_eq!(look(0, &[]), []);
        assert_eq!(look(1, &[("program", "door", "hangs"), ("camera", "hall", "gone")]), [], "not this camera's");
        assert_eq!(look(2, &[("camera", "door", "it does not answer")]), [("camera", false)]);
        assert_eq!(look(3, &[("camera", "door", "nobody knows its name")]), [], "the same trouble in other words");
        assert_eq!(look(4, &[("picture", "door", "dark")]), [("picture", false)]);
        assert_eq!(look(5, &[]), [], "not over yet");
        assert_eq!(look(12, &[("picture", "door", "dark")]), [], "nor is it another one");
        assert_eq!(look(20, &[]), []);
        assert_eq!(look(30, &[]), [("picture", true)]);
        assert_eq!(look(50, &[]), []);
    }
}
