//! `doorward identities detect` and `compare`: photos shown to the engine, which keeps nothing of them.

use std::path::Path;

use identities::wire::FaceDetectItem;

use super::{access, photo};
use crate::cli::Asking;
use crate::commands::{CommandResult, print_either, print_line, table};

pub async fn detect(file: &Path, asking: Asking) -> CommandResult {
    let photo = photo::read(file)?;
    let faces = access::connect(&asking.access)?.face_detect(photo.into()).await?;
    let row = |face: &FaceDetectItem| {
        let b = face.bounding_box;
        [
            face.face_id.clone(),
            face.person_id.as_deref().unwrap_or("nobody known").to_owned(),
            score(face.match_confidence),
            score(face.confidence),
            score(face.quality),
            format!("{:.0}, {:.0}, {:.0}, {:.0}", b.x, b.y, b.width, b.height),
        ]
    };
    print_either(asking.json, &faces, || {
        let columns = ["face", "person", "match score", "face confidence", "quality", "box (x, y, width, height)"];
        table::print(columns, faces.detections.iter().map(row), "no face");
    })
}

pub async fn compare(first: &Path, second: &Path, asking: Asking) -> CommandResult {
    let (first, second) = (photo::read(first)?, photo::read(second)?);
    let answer = access::connect(&asking.access)?.face_compare(first.into(), second.into()).await?;
    let verdict = if answer.matched { "the same face" } else { "different faces" };
    print_either(asking.json, &answer, || print_line(&format!("{verdict}, confidence {}", score(answer.confidence))))
}

pub fn score(score: Option<f32>) -> String {
    score.map_or_else(|| "-".into(), |score| format!("{score:.3}"))
}
