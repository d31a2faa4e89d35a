//! `doorward liveness look`: what the liveness models say of the largest face of each picture.
//!
//! In: image files, and folders whose pictures are the shots of one visit. Out: one line per image or folder, JSON if
//! wanted; a picture without a face gives a line that says so, and the next one is looked at all the same.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use faces::detect::{self, FaceDetector, Rect, SearchOptions};
use faces::liveness::{self, Liveness, LivenessCheck, agreement};
use faces::models::ModelStore;
use serde_json::{Value, json};

use crate::cli::LivenessLookArgs;
use crate::commands::CommandResult;
use crate::commands::lines::{bbox, print_each, read, rounded};
use crate::visits::liveness_json;

/// What finds the face, and what looks at it.
struct Eye {
    detector: FaceDetector,
    check: LivenessCheck,
}

pub fn run(args: LivenessLookArgs) -> CommandResult {
    let store = ModelStore::locate(None);
    let check = liveness::load(&store, &args.model, 1)?;
    let mut eye = Eye { detector: detect::load(&store, &SearchOptions::still("auto"), 1)?, check };
    print_each(&args.images, args.json, |image| if image.is_dir() { eye.visit(image) } else { eye.picture(image) })
}

impl Eye {
    /// The line of one image: for people, and as JSON.
    fn picture(&mut self, image: &Path) -> anyhow::Result<(String, String)> {
        let (face, liveness) = self.look(image)?;
        let each = liveness.models.iter().map(|score| format!("{} {:.3}", score.model, score.live));
        let text = format!("live {:.3}: {}", liveness.live, each.collect::<Vec<_>>().join(", "));
        Ok((text, shot_json(image, &face, &liveness).to_string()))
    }

    /// The line of a folder. Pictures without a face count for nothing, as they are no shots.
    fn visit(&mut self, folder: &Path) -> anyhow::Result<(String, String)> {
        let images = pictures(folder)?;
        ensure!(!images.is_empty(), "there is no picture in it");
        let looked: Vec<_> = images.iter().map(|image| (image, self.look(image))).collect();
        let lives: Vec<f32> = looked.iter().filter_map(|(_, look)| Some(look.as_ref().ok()?.1.live)).collect();
        let Some(live) = agreement::of_shots(&lives) else { bail!("there is no face in any of its pictures") };
        let shot = |(image, look): &(&PathBuf, anyhow::Result<(Rect, Liveness)>)| match look {
            Ok((face, liveness)) => shot_json(image, face, liveness),
            Err(error) => json!({ "file": image.display().to_string(), "error": format!("{error:#}") }),
        };
        let shots: Vec<_> = looked.iter().map(shot).collect();
        let line = json!({ "file": folder.display().to_string(), "live": rounded(live.into()), "shots": shots });
        Ok((format!("live {live:.3} over {} shots", lives.len()), line.to_string()))
    }

    fn look(&mut self, image: &Path) -> anyhow::Result<(Rect, Liveness)> {
        let picture = read(image)?;
        let faces = self.detector.detect(&picture)?;
        let Some(face) = faces.first() else { bail!("{} finds no face in it", self.detector.name()) };
        Ok((face.bbox, self.check.look(&picture, &face.bbox)?))
    }
}

fn shot_json(image: &Path, face: &Rect, liveness: &Liveness) -> Value {
    let mut line = liveness_json(liveness);
    line["file"] = json!(image.display().to_string());
    line["box"] = json!(bbox(face));
    line
}

/// The files directly inside a folder whose content is that of a picture, by name.
fn pictures(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).context("cannot read it")?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    files.retain(|file| file.is_file() && file.extension().is_some());
    alphanumeric_sort::sort_path_slice(&mut files);
    Ok(files)
}
