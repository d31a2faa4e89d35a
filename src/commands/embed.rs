//! `doorward embed`: the largest face of each picture as a vector.
//!
//! In: image files. Out: one line per image, JSON if wanted; a picture without a face gives a line that says so, and
//! the next one is looked at all the same.

use std::path::Path;

use faces::detect::SearchOptions;
use faces::detect::{self, FaceDetector};
use faces::embed::{self, FaceEmbedder};
use faces::models::ModelStore;

use super::CommandResult;
use super::lines::{bbox, print_each, read};
use crate::cli::EmbedArgs;

/// Embeds the largest face of every image with one model.
pub fn run(args: EmbedArgs) -> CommandResult {
    let store = ModelStore::locate(None);
    let mut embedder = embed::load(&store, &args.model, 1)?;
    let mut detector = detect::load(&store, &SearchOptions::still("auto"), 1)?;
    print_each(&args.images, args.json, |image| look(&mut detector, &mut embedder, image))
}

#[derive(serde::Serialize)]
struct Line<'a> {
    file: String,
    model: &'a str,
    metric: &'a str,
    threshold: f32,
    #[serde(rename = "box")]
    bbox: [f64; 4],
    embedding: &'a [f32],
}

/// The line of one image: for people, and as JSON.
fn look(detector: &mut FaceDetector, embedder: &mut FaceEmbedder, image: &Path) -> anyhow::Result<(String, String)> {
    let picture = read(image)?;
    let faces = detector.detect(&picture)?;
    let Some(face) = faces.first() else {
        anyhow::bail!("{} finds no face in it", detector.name());
    };
    let look = detector.look_again(&picture, face)?;
    let embedding = embedder.embed(&picture, look.as_ref().map_or(face, |look| &look.face))?;
    let line = Line {
        file: image.display().to_string(),
        model: &embedder.model.name,
        metric: embedder.model.metric.into_str(),
        threshold: embedder.model.threshold,
        bbox: bbox(&face.bbox),
        embedding: &embedding.values,
    };
    let [x, y, width, height] = line.bbox;
    let Line { model, metric, threshold, embedding, .. } = &line;
    let vector = format!("{} values of {model}, {metric} threshold {threshold}", embedding.len());
    let text = format!("{width:.0}x{height:.0} at {x:.0},{y:.0}: {vector}");
    Ok((text, serde_json::to_string(&line)?))
}
