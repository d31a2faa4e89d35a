//! The ResNet-34 of face-api, which is dlib's: the fallback that every package registry has.
//!
//! In: a face's five landmarks on its picture; they place a square that stands as the face does. Out: 128 values
//! compared by distance (King: "High Quality Face Recognition with Deep Metric Learning", 2017; the weights are those
//! of `@vladmandic/face-api`).

use super::{FaceModel, Metric, Preparation};
use crate::align::{self, ARCFACE, Affine};
use crate::face::Point;
use crate::picture::{Picture, PictureError};

/// Width and height of the network's input in pixels.
const INPUT_PX: u32 = 150;
/// The square's side, in pixels of a face scaled to the ArcFace template, and how far its middle lies below the
/// middle of the landmarks. Of sides from 70 to 118 and shifts from -16 to 8, this kept the 55 test photos' nearest
/// strangers (0.64) furthest from their least alike true pairs (0.56), with the landmarks of all three detectors.
const SIDE: f64 = 96.0;
const BELOW: f64 = 2.5;

/// The first node of the model subtracts the mean.
pub(super) const PREPARATION: Preparation = Preparation { chip, mean: [0.0; 3], factor: [1.0; 3] };

/// The model under the name the manifest has for it.
pub(super) fn model(name: &str) -> FaceModel {
    // Of 22,272 pairs of a camera's picture and another person's photograph (`make quality`, those with a quality of
    // 0.5 and more) none is as near, and 51 % of 2,108 pairs of one person. At 0.6, which is recommended for this
    // network, it is one in 227 and 87 %: among ten people enrolled too many strangers are alike to one. At 0.50 none
    // is either, but a stranger of the packages' recall set comes as near as 0.487, picture after picture.
    FaceModel { name: name.into(), dimensions: 128, metric: Metric::L2, threshold: 0.48 }
}

fn chip(picture: &Picture, landmarks: &[Point; 5]) -> Result<Picture, PictureError> {
    align::warp(picture, &square(landmarks), INPUT_PX)
}

/// The transform that takes the square around the landmarks to the network's input, the face upright in it.
fn square(landmarks: &[Point; 5]) -> Affine {
    let [[cosine, ..], [sine, ..]] = align::similarity(landmarks, &ARCFACE);
    // Landmarks all in one place, or in a row across the template's, have no size; the picture's own is as good.
    let scale = cosine.hypot(sine);
    let (cosine, sine) = if scale.is_normal() { (cosine, sine) } else { (1.0, 0.0) };
    let middle = |of: fn(&Point) -> f32| landmarks.iter().map(|point| f64::from(of(point))).sum::<f64>() / 5.0;
    let (x, y) = (middle(|point| point.x), middle(|point| point.y));
    let (x, y) = if x.is_finite() && y.is_finite() { (x, y) } else { (0.0, 0.0) };
    let factor = f64::from(INPUT_PX) / SIDE;
    let (a, b) = (factor * cosine, factor * sine);
    let half = f64::from(INPUT_PX) / 2.0;
    [[a, -b, half - a * x + b * y], [b, a, half - factor * BELOW - b * x - a * y]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_square_turns_with_the_face() {
        let (sine, cosine) = 0.5f32.sin_cos();
        let landmarks = ARCFACE.map(|Point { x, y }| Point {
            x: 2.0 * (cosine * (x - 56.0) - sine * (y - 72.0)) + 300.0,
            y: 2.0 * (sine * (x - 56.0) + cosine * (y - 72.0)) + 200.0,
        });
        let to_input = square(&landmarks);
        // Twice the template's size: a square of 192 pixels becomes 150.
        let [[a, _, _], [c, ..]] = to_input;
        assert!((a.hypot(c) - 150.0 / 192.0).abs() < 1e-4, "{to_input:?}");
        let [left, right, ..] = landmarks.map(|point| align::apply(&to_input, point));
        assert!((left.y - right.y).abs() < 1.0 && left.x < right.x, "{left:?} {right:?}");
    }

    #[test]
    fn degenerate_landmarks_give_a_finite_square() {
        let at = |x, y| Point { x, y };
        for landmarks in [[at(5.0, 5.0); 5], [at(f32::NAN, 0.0); 5], [at(f32::MAX, f32::MIN); 5], [at(0.0, 0.0); 5]] {
            let square = square(&landmarks);
            assert!(square.iter().flatten().all(|value| value.is_finite()), "{landmarks:?} gives {square:?}");
        }
    }
}
