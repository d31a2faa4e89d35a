//! `doorward identities detect` and `compare`: photos shown to the engine, which keeps nothing of them.

use std::path::Path;

use super::{access, photo};
use crate::cli::Asking;
use crate::commands::{CommandResult, print_json, print_line, table};
use crate::terminal::ExitCode;

pub async fn detect(file: &Path, args: Asking) -> CommandResult {
    let photo = photo::read(file)?;
    let client = access::connect(&args.access)?;
    let faces = client.face_detect(photo.into()).await?;
    if args.json {
        return print_json(&faces);
    }
    if faces.detections.is_empty() {
        print_line("no face");
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows =
        table::table(&["face", "person", "match score", "face confidence", "quality", "box (x, y, width, height)"]);
    for face in &faces.detections {
        let b = face.bounding_box;
        rows.add_row([
            table::plain(&face.face_id),
            table::plain(face.person_id.as_deref().unwrap_or("nobody known")),
            score(face.match_confidence),
            score(face.confidence),
            score(face.quality),
            format!("{:.0}, {:.0}, {:.0}, {:.0}", b.x, b.y, b.width, b.height),
        ]);
    }
    table::print(&rows);
    Ok(ExitCode::SUCCESS)
}

pub async fn compare(first: &Path, second: &Path, args: Asking) -> CommandResult {
    let photos = (photo::read(first)?, photo::read(second)?);
    let client = access::connect(&args.access)?;
    let answer = client.face_compare(photos.0.into(), photos.1.into()).await?;
    if args.json {
        return print_json(&answer);
    }
    let verdict = if answer.matched { "the same face" } else { "different faces" };
    print_line(&format!("{verdict}, confidence {}", score(answer.confidence)));
    Ok(ExitCode::SUCCESS)
}

pub fn score(score: Option<f32>) -> String {
    score.map_or_else(|| "-".into(), |score| format!("{score:.3}"))
}
