//! `doorward detect`: the faces in pictures, and how long finding them takes.
//!
//! In: image files. Out: one line per image, JSON if wanted; a picture that cannot be searched gives a line that says
//! why, and the next one is searched all the same.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use faces::detect::SearchOptions;
use faces::detect::{self, DetectError, Face, FaceDetector, Rect};
use faces::models::ModelStore;
use faces::picture::{Interpolation, Picture};
use faces::quality::{self, Quality, QualityOptions, WEIGHTS};
use serde_json::{Value, json};

use super::CommandResult;
use super::lines::{bbox, print_each, read, rounded};
use crate::cli::DetectArgs;
use crate::visits::quality_json;

/// Searches every image with one detector.
pub fn run(args: DetectArgs) -> CommandResult {
    let mut config = SearchOptions::still(&args.model);
    config.min_score = args.min_score.unwrap_or(config.min_score);
    let mut detector = detect::load(&ModelStore::locate(None), &config, args.threads)?;
    print_each(&args.images, args.json, |image| look(&mut detector, image, &args))
}

/// How long the stage takes, in milliseconds.
struct Bench {
    median: f64,
    p95: f64,
    network: f64,
}

/// The line of one image: for people, and as JSON.
fn look(detector: &mut FaceDetector, image: &Path, args: &DetectArgs) -> anyhow::Result<(String, String)> {
    let mut picture = read(image)?;
    if let Some((width, height)) = args.size {
        picture = picture.resized(width, height, Interpolation::Linear).context("cannot resize it")?;
    }
    let faces = detector.detect(&picture)?;
    let bench = args.bench.map(|repeats| time(detector, &picture, repeats)).transpose()?;
    let (width, height, model) = (picture.width(), picture.height(), detector.name());
    let mut line = json!({
        "file": image.display().to_string(),
        "width": width,
        "height": height,
        "model": model,
        "faces": faces.iter().map(|face| face_json(&picture, face)).collect::<Vec<_>>(),
    });
    let counted = match faces.len() {
        0 => "no face".into(),
        1 => "1 face".into(),
        more => format!("{more} faces"),
    };
    let mut text = format!("{width}x{height}, {model}: {counted}");
    for face in &faces {
        let Face { bbox: Rect { x, y, width, height }, score, .. } = face;
        let quality = quality_of(&picture, face);
        let total = quality.total;
        let _ = write!(text, "\n  {width:.0}x{height:.0} at {x:.0},{y:.0}, score {score:.3}, quality {total:.2}");
        if total < 0.995 {
            let _ = write!(text, " (most is lost by {})", quality.weakest());
        }
    }
    if let Some(Bench { median, p95, network }) = bench {
        line["bench"] = json!({ "median_ms": median, "p95_ms": p95, "inference_ms": network });
        let _ = write!(text, "\n  median {median} ms ({network} ms of it the network), 95 % within {p95} ms");
    }
    Ok((text, line.to_string()))
}

fn face_json(picture: &Picture, face: &Face) -> Value {
    let landmarks = face.landmarks.map(|point| [point.x, point.y].map(|value| rounded(value.into())));
    let quality = weighted(&quality_of(picture, face));
    json!({ "box": bbox(&face.bbox), "landmarks": landmarks, "score": rounded(face.score.into()), "quality": quality })
}

/// How much a face is worth sending, by the default limits.
fn quality_of(picture: &Picture, face: &Face) -> Quality {
    quality::measure(picture, face, &QualityOptions::default())
}

/// As the agent tells it, and the weight of each part: the total is the product of the scores, each to the power of its
/// weight.
fn weighted(quality: &Quality) -> Value {
    let mut json = quality_json(quality);
    for ((name, _), weight) in quality.parts().into_iter().zip(WEIGHTS) {
        json[name]["weight"] = weight.into();
    }
    json
}

/// The whole stage `repeats` times, at least once. The search whose faces are printed has warmed it up.
fn time(detector: &mut FaceDetector, picture: &Picture, repeats: u32) -> Result<Bench, DetectError> {
    let (mut whole, mut network) = (Vec::new(), Vec::new());
    for _ in 0..repeats {
        let started = Instant::now();
        detector.detect(picture)?;
        whole.push(started.elapsed().as_secs_f64() * 1e3);
        network.push(detector.network_time().as_secs_f64() * 1e3);
    }
    Ok(Bench {
        median: rounded(at(&mut whole, 0.5)),
        p95: rounded(at(&mut whole, 0.95)),
        network: rounded(at(&mut network, 0.5)),
    })
}

/// The value that `part` of all values do not exceed (nearest rank). There is at least one.
fn at(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() as f64 * part).ceil() as usize).clamp(1, values.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_of_few_and_many_values() {
        assert_eq!(at(&mut [3.0], 0.95), 3.0);
        assert_eq!(at(&mut [2.0, 1.0], 0.5), 1.0);
        let mut hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!((at(&mut hundred, 0.5), at(&mut hundred, 0.95)), (50.0, 95.0));
    }
}
