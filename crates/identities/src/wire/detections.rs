//! detections: the history of sightings, by face and by person.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::scalar::{self, Base64, null_is_empty};

/// The query of both detection lists; bounds are inclusive, in milliseconds since 1970 (UTC).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DetectionsQuery {
    #[serde(default)]
    pub skip: u32,
    #[serde(default = "ten")]
    pub take: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch_start_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch_end_ms: Option<i64>,
    /// Oldest first, or newest first.
    #[serde(default = "yes")]
    pub date_ascending: bool,
}

/// One sighting. It carries neither face id nor detection id.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DetectionItem {
    #[serde(default, serialize_with = "scalar::unit_score")]
    pub confidence: Option<f32>,
    #[serde(with = "scalar::time")]
    pub date_time_utc: DateTime<Utc>,
    /// The IANA name recorded with the sighting.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub time_zone: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub detector: String,
    /// JPEG; written as `null` when none is kept.
    pub image: Option<Base64>,
}

impl Default for DetectionsQuery {
    fn default() -> Self {
        Self { skip: 0, take: ten(), epoch_start_ms: None, epoch_end_ms: None, date_ascending: true }
    }
}

fn ten() -> u32 {
    10
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_of_the_contract_survives_the_round_trip() {
        let text = concat!(
            r#"{"confidence":0.948,"dateTimeUtc":"2026-03-04T05:06:07Z","timeZone":"Europe/Helsinki","#,
            r#""detector":"gate-2-edge","image":null}"#,
        );
        assert_eq!(serde_json::to_string(&serde_json::from_str::<DetectionItem>(text).unwrap()).unwrap(), text);
    }

    #[test]
    fn an_empty_query_means_the_contracts_defaults() {
        assert_eq!(serde_json::from_str::<DetectionsQuery>("{}").unwrap(), DetectionsQuery::default());
    }
}
