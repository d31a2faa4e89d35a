//! The built-in face: what a detector must find, whatever the camera shows.
//!
//! A model that is fed red for blue, or a file that was swapped for another, finds nothing and says nothing, which
//! looks exactly like an empty doorstep. So every detector is shown this drawing at the start and can be shown it again
//! at any time. It is drawn, not photographed: nobody's face is in the program, and its colours were chosen so that
//! it is a face in the right order of channels and none in the wrong one, for every model.

use std::sync::LazyLock;

use super::{Face, Point, Rect};
use crate::picture::Picture;

/// Width and height of the drawing.
const SIDE: u32 = 160;
/// Every model gives the face 0.91 in the right order of channels and no more than 0.15 in the wrong one.
const LEAST_SCORE: f32 = 0.5;
/// Where the face is, about: the models' boxes differ by some pixels.
const PLACE: Rect = Rect { x: 43.0, y: 38.0, width: 73.0, height: 95.0 };
const EYES: [Point; 2] = [Point { x: 64.0, y: 78.0 }, Point { x: 96.0, y: 78.0 }];
const BACKGROUND: [f32; 3] = [146.0, 112.0, 95.0];

/// An ellipse with a soft edge.
struct Spot {
    centre: [f32; 2],
    radius: [f32; 2],
    /// The part of the radius over which it fades out.
    soft: f32,
    bgr: [u8; 3],
    /// 1 covers what lies below.
    opacity: f32,
}

/// From the hair down to the chin, each painted over those before it. Drawn by hand, then moved and recoloured in small
/// random steps, keeping those that all of YuNet-n, YuNet-s and CenterFace liked better as it is, or less with red and
/// blue swapped.
#[rustfmt::skip]
const SPOTS: [Spot; 24] = [
    spot([79.7, 73.6], [40.7, 56.5], 0.21, [32, 29, 16], 0.64),
    spot([76.5, 88.5], [36.6, 43.2], 0.05, [140, 169, 238], 0.66),
    spot([79.3, 130.6], [13.7, 14.6], 0.27, [123, 103, 190], 0.65),
    spot([46.3, 84.5], [5.1, 13.8], 0.68, [100, 154, 176], 0.17),
    spot([111.4, 84.9], [4.1, 7.6], 0.30, [111, 118, 171], 0.86),
    spot([79.7, 83.3], [35.9, 48.1], 0.17, [130, 160, 215], 0.98),
    spot([61.9, 108.9], [11.8, 12.6], 0.37, [144, 183, 187], 0.43),
    spot([93.9, 111.6], [36.2, 10.9], 0.44, [198, 255, 114], 0.59),
    spot([78.9, 43.7], [29.0, 13.0], 0.63, [14, 51, 0], 1.00),
    spot([61.8, 78.4], [12.0, 8.6], 0.75, [0, 97, 138], 1.00),
    spot([96.7, 77.0], [16.2, 13.2], 0.49, [95, 119, 157], 0.70),
    spot([63.9, 67.1], [11.1, 2.9], 0.28, [124, 186, 66], 0.90),
    spot([95.7, 66.9], [6.7, 4.3], 0.70, [0, 225, 148], 0.23),
    spot([64.4, 78.1], [6.7, 4.0], 0.73, [194, 239, 227], 0.78),
    spot([95.4, 77.6], [7.6, 4.6], 0.40, [248, 114, 112], 0.97),
    spot([62.9, 77.8], [4.1, 4.7], 0.32, [96, 22, 103], 1.00),
    spot([96.0, 78.0], [3.6, 4.1], 0.18, [117, 133, 49], 0.76),
    spot([77.4, 89.3], [7.0, 14.7], 1.00, [163, 139, 233], 1.00),
    spot([81.8, 99.0], [16.9, 4.6], 0.65, [88, 72, 176], 0.52),
    spot([74.2, 104.9], [3.3, 1.2], 0.26, [59, 89, 186], 0.91),
    spot([81.7, 104.2], [2.8, 1.8], 0.08, [14, 188, 255], 0.88),
    spot([77.4, 117.7], [20.6, 6.7], 0.73, [93, 103, 189], 1.00),
    spot([87.5, 120.8], [12.8, 1.5], 0.29, [0, 19, 97], 0.82),
    spot([76.7, 130.3], [10.1, 4.2], 0.83, [62, 141, 251], 0.59),
];

const fn spot(centre: [f32; 2], radius: [f32; 2], soft: f32, bgr: [u8; 3], opacity: f32) -> Spot {
    Spot { centre, radius, soft, bgr, opacity }
}

/// The drawing of the face.
pub(super) static PICTURE: LazyLock<Picture> = LazyLock::new(|| {
    let pixels = (0..SIDE * SIDE).flat_map(|n| {
        let (x, y) = ((n % SIDE) as f32 + 0.5, (n / SIDE) as f32 + 0.5);
        let colour = SPOTS.iter().fold(BACKGROUND, |below, spot| {
            let from_middle = ((x - spot.centre[0]) / spot.radius[0]).hypot((y - spot.centre[1]) / spot.radius[1]);
            let inside = ((1.0 - from_middle) / spot.soft).clamp(0.0, 1.0);
            let cover = inside * inside * (3.0 - 2.0 * inside) * spot.opacity;
            std::array::from_fn(|n| below[n] + (f32::from(spot.bgr[n]) - below[n]) * cover)
        });
        colour.map(|value: f32| value as u8)
    });
    // It cannot fail: three bytes are drawn for every pixel.
    Picture::new(SIDE, SIDE, pixels.collect()).expect("as many pixels as the sides say")
});

/// Whether the faces found in the drawing are the one that is there.
pub(super) fn found(faces: &[Face]) -> bool {
    let near = |a: Point, b: Point| (a.x - b.x).hypot(a.y - b.y) < 10.0;
    faces.iter().any(|face| {
        face.score >= LEAST_SCORE
            && face.bbox.iou(&PLACE) >= 0.5
            && face.landmarks.iter().zip(EYES).all(|(found, eye)| near(*found, eye))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::SearchOptions;
    use crate::detect::{self, DetectError, Model};
    use crate::models::{ModelStore, Role};
    use crate::onnx;

    /// What `make` gives for every detector of the manifest that is here. CenterFace comes from a package registry and
    /// always is after `make models`; the others have a public address alone, which not every machine reaches.
    fn detectors<T>(make: impl Fn(&str, &[u8]) -> T) -> Vec<T> {
        let store = ModelStore::locate(None);
        onnx::init(&store.runtime().unwrap()).unwrap();
        store.choose(Role::Detector, "centerface").expect("the models are there after `make models`");
        let made = ["yunet_n", "yunet_s", "centerface"].map(|name| match store.choose(Role::Detector, name) {
            Ok(model) => Some(make(name, &store.read(&model).unwrap())),
            Err(error) => {
                eprintln!("{name} was not checked: {error}");
                None
            }
        });
        made.into_iter().flatten().collect()
    }

    fn swapped(picture: &Picture) -> Picture {
        let mut bgr = picture.bgr().to_vec();
        bgr.chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
        Picture::new(picture.width(), picture.height(), bgr).unwrap()
    }

    #[test]
    fn every_model_finds_the_face_and_none_finds_it_with_red_and_blue_swapped() {
        let picture = &PICTURE;
        let options = SearchOptions { min_score: 0.3, ..SearchOptions::default() };
        for mut detector in detectors(|name, bytes| detect::model(name, bytes, options.clone(), 1).unwrap()) {
            let faces = detector.detect(picture).unwrap();
            assert!(found(&faces), "{}: {faces:?}", detector.name());
            assert!(faces[0].score > 0.85, "{}: {}", detector.name(), faces[0].score);
            let faces = detector.detect(&swapped(picture)).unwrap();
            assert!(faces.is_empty(), "{} with swapped channels: {faces:?}", detector.name());
        }
    }

    #[test]
    fn a_detector_proves_itself_whatever_score_it_is_told_to_report() {
        for min_score in [0.05, 0.6, 1.0] {
            let config = SearchOptions { min_score, ..SearchOptions::default() };
            for mut detector in detectors(|name, bytes| detect::open(name, bytes, &config, 1).unwrap()) {
                detector.prove().unwrap();
            }
        }
    }

    #[test]
    fn a_detector_that_finds_nothing_or_something_else_is_blind() {
        /// Gives the same faces for every picture.
        struct Fixed(Vec<Face>);
        impl Model for Fixed {
            fn doubtful(&self) -> f32 {
                0.0
            }

            fn name(&self) -> &str {
                "fixed"
            }
            fn detect(&mut self, _: &Picture) -> Result<Vec<Face>, DetectError> {
                Ok(self.0.clone())
            }
        }
        let right = Face {
            bbox: PLACE,
            landmarks: [EYES[0], EYES[1], PLACE.centre(), PLACE.centre(), PLACE.centre()],
            score: 0.9,
        };
        assert!(Fixed(vec![right.clone()]).prove().is_ok());
        let elsewhere = Face { bbox: Rect { x: 120.0, ..PLACE }, ..right.clone() };
        let mut cross_eyed = right.clone();
        cross_eyed.landmarks.swap(0, 1);
        for faces in [vec![], vec![elsewhere], vec![cross_eyed], vec![Face { score: 0.2, ..right }]] {
            let error = Fixed(faces).prove().unwrap_err();
            assert!(matches!(error, DetectError::Blind { .. }));
            assert!(error.to_string().contains("doorward models verify"), "{error}");
        }
    }
}
