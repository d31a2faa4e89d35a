//! The geometry every detector shares: non-maximum suppression, order, plausibility, and the way from the picture
//! that was searched back to the picture that was given.
//!
//! Pure arithmetic on [`Face`]s; it knows neither models nor pixels.

use super::{Face, Point, Rect};

/// No more candidates than this take part in the suppression, the best first; what OpenCV's `FaceDetectorYN` does.
/// It bounds the time a model gone wrong can cost.
const TOP_K: usize = 5000;

/// Keeps the best of every group of faces that overlap by more than `iou`, best score first.
pub(super) fn suppress(mut faces: Vec<Face>, iou: f32) -> Vec<Face> {
    faces.sort_by(|a, b| b.score.total_cmp(&a.score));
    faces.truncate(TOP_K);
    let mut kept: Vec<Face> = Vec::new();
    for face in faces {
        if kept.iter().all(|better| better.bbox.iou(&face.bbox) <= iou) {
            kept.push(face);
        }
    }
    kept
}

/// Largest first; of two of one size, the surer one.
pub(super) fn largest_first(faces: &mut [Face]) {
    faces.sort_by(|a, b| b.bbox.area().total_cmp(&a.bbox.area()).then(b.score.total_cmp(&a.score)));
}

/// Whether a model's numbers can be a face in a picture whose longest side is `side` pixels: finite, with an area,
/// and not many times larger than the picture.
pub(super) fn plausible(face: &Face, side: f32) -> bool {
    let Rect { x, y, width, height } = face.bbox;
    let sized = |length: f32| length > 0.0 && length <= 4.0 * side;
    let placed = |at: f32| at.abs() <= 8.0 * side;
    face.score.is_finite()
        && sized(width)
        && sized(height)
        && placed(x)
        && placed(y)
        && face.landmarks.iter().all(|point| placed(point.x) && placed(point.y))
}

impl Face {
    /// The same face in a picture `x` times as wide and `y` times as high.
    pub(super) fn scaled(&self, x: f32, y: f32) -> Face {
        let Rect { x: left, y: top, width, height } = self.bbox;
        Face {
            bbox: Rect { x: left * x, y: top * y, width: width * x, height: height * y },
            landmarks: self.landmarks.map(|point| Point { x: point.x * x, y: point.y * y }),
            score: self.score,
        }
    }

    /// The same face in a picture of which its own is a part that lies so far to the right and down.
    pub(super) fn moved(&self, right: f32, down: f32) -> Face {
        let Rect { x, y, width, height } = self.bbox;
        Face {
            bbox: Rect { x: x + right, y: y + down, width, height },
            landmarks: self.landmarks.map(|point| Point { x: point.x + right, y: point.y + down }),
            score: self.score,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(x: f32, y: f32, side: f32, score: f32) -> Face {
        Face {
            bbox: Rect { x, y, width: side, height: side },
            landmarks: [Point { x: x + side / 2.0, y: y + side / 2.0 }; 5],
            score,
        }
    }

    #[test]
    fn iou_of_known_rectangles() {
        let rect = |x, y, width, height| Rect { x, y, width, height };
        for (a, b, want) in [
            (rect(0.0, 0.0, 10.0, 10.0), rect(0.0, 0.0, 10.0, 10.0), 1.0),
            (rect(0.0, 0.0, 10.0, 10.0), rect(5.0, 0.0, 10.0, 10.0), 1.0 / 3.0),
            (rect(0.0, 0.0, 10.0, 10.0), rect(10.0, 0.0, 10.0, 10.0), 0.0),
            (rect(0.0, 0.0, 10.0, 10.0), rect(2.0, 2.0, 5.0, 5.0), 0.25),
            (rect(-5.0, -5.0, 10.0, 10.0), rect(20.0, 20.0, 3.0, 3.0), 0.0),
            (rect(0.0, 0.0, 0.0, 0.0), rect(0.0, 0.0, 0.0, 0.0), 0.0),
            (rect(0.0, 0.0, -4.0, 4.0), rect(0.0, 0.0, 4.0, 4.0), 0.0),
        ] {
            assert!((a.iou(&b) - want).abs() < 1e-6, "{a:?} {b:?}");
            assert!((b.iou(&a) - want).abs() < 1e-6, "{b:?} {a:?}");
        }
    }

    #[test]
    fn the_best_of_an_overlapping_group_stays() {
        let faces = vec![face(1.0, 0.0, 10.0, 0.7), face(0.0, 0.0, 10.0, 0.9), face(30.0, 0.0, 10.0, 0.8)];
        let kept = suppress(faces.clone(), 0.3);
        assert_eq!(kept.iter().map(|face| face.score).collect::<Vec<_>>(), [0.9, 0.8]);
        assert_eq!(suppress(faces, 0.95).len(), 3);
    }

    #[test]
    fn a_neighbour_of_a_suppressed_face_is_not_lost_with_it() {
        // A chain: b overlaps a, c overlaps b but not a.
        let kept =
            suppress(vec![face(0.0, 0.0, 10.0, 0.9), face(5.0, 0.0, 10.0, 0.8), face(10.0, 0.0, 10.0, 0.7)], 0.3);
        assert_eq!(kept.iter().map(|face| face.bbox.x).collect::<Vec<_>>(), [0.0, 10.0]);
    }

    #[test]
    fn a_flood_of_candidates_is_bounded() {
        let flood = (0..20_000).map(|n| face((n % 2000) as f32 * 20.0, (n / 2000) as f32 * 20.0, 10.0, 0.9)).collect();
        assert_eq!(suppress(flood, 0.3).len(), TOP_K);
    }

    #[test]
    fn largest_comes_first_and_the_surer_of_equals() {
        let mut faces = vec![face(0.0, 0.0, 5.0, 0.9), face(0.0, 0.0, 9.0, 0.6), face(0.0, 0.0, 9.0, 0.7)];
        largest_first(&mut faces);
        assert_eq!(faces.iter().map(|face| face.score).collect::<Vec<_>>(), [0.7, 0.6, 0.9]);
    }

    #[test]
    fn what_cannot_be_a_face_is_told() {
        assert!(plausible(&face(-5.0, 3.0, 50.0, 0.9), 640.0));
        let mut odd = face(0.0, 0.0, 10.0, 0.9);
        odd.landmarks[3].y = f32::NAN;
        for bad in [
            odd,
            face(f32::NAN, 0.0, 10.0, 0.9),
            face(0.0, f32::INFINITY, 10.0, 0.9),
            face(0.0, 0.0, f32::NAN, 0.9),
            face(0.0, 0.0, f32::INFINITY, 0.9),
            face(0.0, 0.0, 0.0, 0.9),
            face(0.0, 0.0, -1.0, 0.9),
            face(0.0, 0.0, 1e30, 0.9),
            face(0.0, 0.0, 10.0, f32::NAN),
        ] {
            assert!(!plausible(&bad, 640.0), "{bad:?}");
        }
    }

    #[test]
    fn scaling_takes_the_landmarks_along() {
        let there = face(10.0, 20.0, 30.0, 0.5).scaled(2.0, 0.5);
        assert_eq!(there.bbox, Rect { x: 20.0, y: 10.0, width: 60.0, height: 15.0 });
        assert_eq!(there.landmarks[4], Point { x: 50.0, y: 17.5 });
    }
}
