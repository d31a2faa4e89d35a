//! Which way up a photo is, where nothing says so: as the face in it stands.
//!
//! In: a photo that is to be enrolled, and an analyser. Out: the faces as they stand, the photo turned where they only
//! stand then, and a doubt where nobody can tell. A face enrolled as it lies would never be recognised, or as somebody
//! else: detectors find many a lying face, and YuNet puts landmarks on it as if it stood.

use faces::picture::{Picture, Turn};
use faces::quality::geometry::pose_of;

use super::{Analyzed, FaceAnalyzer, Wanted};
use crate::error::AnalyzeError;

/// The faces of a photo as they stand.
pub struct Upright {
    pub faces: Vec<Analyzed>,
    /// The photo as it was turned for that.
    pub turned: Option<Picture>,
    /// Why it may be the wrong way up all the same.
    pub doubt: Option<&'static str>,
}

/// A face must stand this much surer in another direction for a photo to be turned. Of 40 photos of faces, turned all
/// ways, with both detectors and both embedding models, none is turned wrongly; upside down, YuNet's least sure two
/// reach 1.08 and 0.99 and stay.
const CLEARLY: f32 = 1.1;
/// The face's upper edge at one of the picture's sides.
const LYING_DEG: f32 = 60.0;

/// Analyses all faces of a photo the way up in which its largest face stands.
pub fn upright(analyzer: &mut dyn FaceAnalyzer, photo: &Picture) -> Result<Upright, AnalyzeError> {
    let faces = analyzer.analyze(photo, Wanted::All)?;
    let as_it_is = match faces.first() {
        Some(largest) => {
            let stands = analyzer.stands(photo, largest)?;
            if stands.unmistakable {
                return Ok(Upright { faces, turned: None, doubt: None });
            }
            stands.sure
        }
        None => 0.0,
    };
    let mut others = Vec::new();
    for turn in [Turn::Quarter, Turn::Half, Turn::ThreeQuarters] {
        let turned = photo.turned(turn).map_err(AnalyzeError::Picture)?;
        if let Some(face) = analyzer.analyze(&turned, Wanted::Largest)?.first() {
            others.push((analyzer.stands(&turned, face)?.sure, turn));
        }
    }
    others.sort_by(|a, b| b.0.total_cmp(&a.0));
    let Some(&(best, turn)) = others.first() else { return Ok(stay(faces)) };
    if !faces.is_empty() && best < as_it_is * CLEARLY {
        return Ok(stay(faces));
    }
    let turned = photo.turned(turn).map_err(AnalyzeError::Picture)?;
    let faces = analyzer.analyze(&turned, Wanted::All)?;
    let doubtful = others.get(1).is_some_and(|(second, _)| best < second * CLEARLY);
    let doubt = doubtful.then_some("it cannot be told which way up the face is; turn the photo upright and try again");
    Ok(Upright { doubt: doubt.or_else(|| lies(&faces)), faces, turned: Some(turned) })
}

fn stay(faces: Vec<Analyzed>) -> Upright {
    Upright { doubt: lies(&faces), faces, turned: None }
}

/// Why the largest face cannot be taken as it is found, when its landmarks lie on their side or make no face.
fn lies(faces: &[Analyzed]) -> Option<&'static str> {
    let stands = |face: &Analyzed| pose_of(&face.face.landmarks).is_some_and(|pose| pose.roll.abs() < LYING_DEG);
    let lying = faces.first().is_some_and(|largest| !stands(largest));
    lying.then_some("the face lies on its side or upside down; turn the photo upright and try again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyzer::fake::standing::{Glimpse, Standing};

    /// What becomes of a photo 100 pixels wide and 60 high, by how sure the face stands as the photo is and after one,
    /// two and three quarter turns.
    fn of(sure: [Option<f32>; 4], roll: f32) -> (usize, Option<(u32, u32)>, bool) {
        let glimpses = sure.map(|sure| sure.map(|sure| Glimpse { sure, roll }));
        let upright = upright(&mut Standing::new(glimpses), &Standing::photo()).unwrap();
        let size = upright.turned.map(|picture| (picture.width(), picture.height()));
        (upright.faces.len(), size, upright.doubt.is_some())
    }

    #[test]
    fn a_photo_is_turned_when_its_face_stands_clearly_surer_then() {
        let (upside, sideways) = (Some((100, 60)), Some((60, 100)));
        for (what, sure, want) in [
            ("stands", [Some(0.8), Some(0.5), Some(0.6), Some(0.5)], (1, None, false)),
            ("stands, and nothing else is found", [Some(0.4), None, None, None], (1, None, false)),
            ("hardly surer the other way", [Some(0.7), None, Some(0.75), None], (1, None, false)),
            ("lies on its right", [Some(0.5), None, Some(0.4), Some(0.8)], (1, sideways, false)),
            ("lies on its left", [Some(0.5), Some(0.8), Some(0.4), Some(0.3)], (1, sideways, false)),
            ("hangs", [Some(0.5), Some(0.3), Some(0.8), Some(0.3)], (1, upside, false)),
            ("found when turned alone", [None, Some(0.8), None, None], (1, sideways, false)),
            ("found two ways alike", [None, Some(0.6), None, Some(0.58)], (1, sideways, true)),
            ("nobody", [None; 4], (0, None, false)),
        ] {
            assert_eq!(of(sure, 0.0), want, "{what}");
        }
    }

    #[test]
    fn a_face_whose_landmarks_lie_is_doubted_however_it_is_turned() {
        assert_eq!(of([Some(0.5), None, None, None], 80.0), (1, None, true));
        assert_eq!(of([None, Some(0.5), None, None], -100.0), (1, Some((60, 100)), true));
        assert_eq!(of([Some(0.5), None, None, None], 30.0), (1, None, false));
    }
}
