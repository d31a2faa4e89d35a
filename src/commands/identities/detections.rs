//! `doorward identities detections`: who was seen where and when, fetched page by page and printed as it comes.

use std::path::Path;
use std::pin::pin;

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt};
use identities::wire::{DetectionItem, DetectionsQuery};
use serde_json::json;

use super::access;
use super::faces::score;
use crate::cli::{DetectionsArgs, Sighted};
use crate::commands::{CommandResult, print_line, table};
use crate::terminal::ExitCode;

/// Records fetched at once, each with its picture.
const PAGE: u32 = 20;

pub async fn run(args: DetectionsArgs) -> CommandResult {
    let client = access::connect(&args.asking.access)?;
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    let query = DetectionsQuery {
        skip: 0,
        take: u32::try_from(limit).map_or(PAGE, |limit| limit.min(PAGE)),
        epoch_start_ms: args.since.map(|time| time.timestamp_millis()),
        epoch_end_ms: args.until.map(|time| time.timestamp_millis()),
        date_ascending: args.oldest_first,
    };
    let detections = match args.of {
        Sighted::Person => client.person_detections(&args.id, query).left_stream(),
        Sighted::Face => client.face_detections(&args.id, query).right_stream(),
    };
    if let Some(folder) = &args.images {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let mut detections = pin!(detections.take(limit));
    let mut rows = Vec::new();
    let mut numbers = 1..;
    while let Some((detection, number)) = detections.try_next().await?.zip(numbers.next()) {
        let picture = match (&args.images, &detection.image) {
            (Some(folder), Some(image)) => Some(save(folder, number, &detection, &image.0)?),
            _ => None,
        };
        if args.asking.json {
            let line = json!({
                "dateTimeUtc": table::time(detection.date_time_utc), "detector": detection.detector,
                "confidence": detection.confidence, "timeZone": detection.time_zone,
                "image": picture,
            });
            print_line(&line.to_string());
            continue;
        }
        rows.push([
            table::time(detection.date_time_utc),
            detection.detector,
            score(detection.confidence),
            detection.time_zone,
            picture.unwrap_or_else(|| if detection.image.is_some() { "yes" } else { "none" }.into()),
        ]);
    }
    if !args.asking.json {
        table::print(["time (UTC)", "detector", "face confidence", "time zone", "picture"], rows, "none");
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a picture under a name that sorts by time; gives the name.
fn save(folder: &Path, number: usize, detection: &DetectionItem, jpeg: &[u8]) -> anyhow::Result<String> {
    let time = detection.date_time_utc.format("%Y%m%dT%H%M%S%3fZ");
    let name = format!("{time}-{number:06}.jpg");
    let file = folder.join(&name);
    std::fs::write(&file, jpeg).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(name)
}
