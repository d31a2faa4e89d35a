//! `doorward detect`: the faces in pictures, and how long finding them takes.
//!
//! In: image files. Out: one line per image, JSON if wanted; a picture that cannot be searched gives a line that says
//! why, and the next one is searched all the same.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use faces::detect::SearchOptions;
use faces::detect::{self, DetectError, Face, FaceDetector};
use faces::models::ModelStore;
use faces::picture::{Interpolation, Picture};
use serde::Serialize;

use super::CommandResult;
use super::lines::{bbox, print_each, read, rounded};
use crate::cli::DetectArgs;

/// Searches every image with one detector.
pub fn run(args: DetectArgs) -> CommandResult {
    let mut config = SearchOptions::still(&args.model);
    config.min_score = args.min_score.unwrap_or(config.min_score);
    let mut detector = detect::load(&ModelStore::locate(None), &config, args.threads)?;
    print_each(&args.images, args.json, |image| look(detector.as_mut(), image, &args))
}

#[derive(Serialize)]
struct Line<'a> {
    file: String,
    width: u32,
    height: u32,
    model: &'a str,
    faces: Vec<Found>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bench: Option<Bench>,
}

#[derive(Serialize)]
struct Found {
    #[serde(rename = "box")]
    bbox: [f64; 4],
    landmarks: [[f64; 2]; 5],
    score: f64,
}

#[derive(Serialize)]
struct Bench {
    median_ms: f64,
    p95_ms: f64,
    inference_ms: f64,
}

/// The line of one image: for people, and as JSON.
fn look(detector: &mut dyn FaceDetector, image: &Path, args: &DetectArgs) -> anyhow::Result<(String, String)> {
    let mut picture = read(image)?;
    if let Some((width, height)) = args.size {
        picture = picture.resized(width, height, Interpolation::Linear).context("cannot resize it")?;
    }
    let faces = detector.detect(&picture)?;
    let bench = args.bench.map(|repeats| time(detector, &picture, repeats)).transpose()?;
    let line = Line {
        file: image.display().to_string(),
        width: picture.width(),
        height: picture.height(),
        model: detector.name(),
        faces: faces.iter().map(Found::new).collect(),
        bench,
    };
    Ok((line.text(), serde_json::to_string(&line)?))
}

/// The whole stage `repeats` times, at least once. The search whose faces are printed has warmed it up.
fn time(detector: &mut dyn FaceDetector, picture: &Picture, repeats: u32) -> Result<Bench, DetectError> {
    let (mut whole, mut network) = (Vec::new(), Vec::new());
    for _ in 0..repeats {
        let started = Instant::now();
        detector.detect(picture)?;
        whole.push(started.elapsed().as_secs_f64() * 1e3);
        network.push(detector.network_time().as_secs_f64() * 1e3);
    }
    Ok(Bench {
        median_ms: rounded(at(&mut whole, 0.5)),
        p95_ms: rounded(at(&mut whole, 0.95)),
        inference_ms: rounded(at(&mut network, 0.5)),
    })
}

impl Line<'_> {
    fn text(&self) -> String {
        let counted = match self.faces.len() {
            0 => "no face".into(),
            1 => "1 face".into(),
            more => format!("{more} faces"),
        };
        let mut text = format!("{}x{}, {}: {counted}", self.width, self.height, self.model);
        for Found { bbox: [x, y, width, height], score, .. } in &self.faces {
            let _ = write!(text, "\n  {width:.0}x{height:.0} at {x:.0},{y:.0}, score {score:.3}");
        }
        if let Some(Bench { median_ms, p95_ms, inference_ms }) = &self.bench {
            let _ = write!(
                text,
                "\n  median {median_ms} ms ({inference_ms} ms of it the network), 95 % within {p95_ms} ms"
            );
        }
        text
    }
}

impl Found {
    fn new(face: &Face) -> Self {
        Self {
            bbox: bbox(&face.bbox),
            landmarks: face.landmarks.map(|point| [rounded(point.x.into()), rounded(point.y.into())]),
            score: rounded(face.score.into()),
        }
    }
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
