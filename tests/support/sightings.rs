//! Sightings without a camera, for tests of what comes after it.

use chrono::{DateTime, Utc};
use doorward::config::DetectorName;
use doorward::crop::Sighting;
use doorward::track::VisitId;
use faces::detect::Rect;
use uuid::Uuid;

/// The detector all of them are of.
pub fn door() -> DetectorName {
    DetectorName::new("door").unwrap()
}

/// The only sighting of the `n`th visit, with a picture of so many bytes, as it is read back after a restart.
pub fn sighting(n: u64, seen_at: DateTime<Utc>, bytes: usize) -> Sighting {
    Sighting {
        id: Uuid::from_u128(u128::from(n) + 1),
        visit: VisitId(Uuid::from_u128((u128::from(n) + 1) << 64)),
        stay: None,
        detector: door(),
        time_zone: chrono_tz::Europe::Helsinki,
        seen_at,
        arrived: None,
        shot: 1,
        quality: 0.75,
        expanded: format!("picture {n:016} ").into_bytes().into_iter().cycle().take(bytes).collect::<Vec<_>>().into(),
        face: Rect { x: 1.0, y: 2.0, width: 30.0, height: 40.0 },
        aligned: None,
        embedding: None,
        liveness: None,
    }
}
