//! YuNet: the small, fast detector.
//!
//! In: a picture. Out: the faces one pass of the network finds in it at the picture's own size. The layout is that of
//! `yunet_n` and `yunet_s` in libfacedetection.train (Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector",
//! 2023); the decoding is that of OpenCV's `FaceDetectorYN`, so that the two agree box for box.

use ort::session::Session;

use super::pass::{Channels, Layout, Outputs};
use super::{DetectError, Face, Point, Rect};

/// One grid of cells per stride, in pixels of the input.
const STRIDES: [usize; 3] = [8, 16, 32];
/// What the network gives for every cell of a grid, and how many values each has.
const PARTS: [(&str, usize); 4] = [("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)];

/// Where each part of each stride is among the session's outputs.
pub(super) struct Yunet([[usize; 4]; 3]);

/// One stride's outputs: `cells` rows of one, one, four and ten values.
#[derive(Clone, Copy)]
struct Grid<'a> {
    stride: usize,
    columns: usize,
    class: &'a [f32],
    object: &'a [f32],
    boxes: &'a [f32],
    points: &'a [f32],
}

impl Yunet {
    /// Looks the outputs of a session of the model `name` up.
    pub fn new(name: &str, session: &Session) -> Result<Self, DetectError> {
        let mut outputs = [[0; 4]; 3];
        for (places, stride) in outputs.iter_mut().zip(STRIDES) {
            for (place, (part, _)) in places.iter_mut().zip(PARTS) {
                let wanted = format!("{part}_{stride}");
                *place = session
                    .outputs()
                    .iter()
                    .position(|output| output.name() == wanted)
                    .ok_or_else(|| DetectError::Layout { model: name.into(), missing: wanted })?;
            }
        }
        Ok(Self(outputs))
    }
}

impl Layout for Yunet {
    const CHANNELS: Channels = Channels::Bgr;
    /// Of the 55 test photos, settled, nine of ten give 0.89 and more.
    const DOUBTFUL: f32 = 0.88;

    fn decode(&self, outputs: &Outputs, size: (usize, usize), min_score: f32) -> Result<Vec<Face>, DetectError> {
        let (width, height) = size;
        let mut faces = Vec::new();
        for (places, stride) in self.0.iter().zip(STRIDES) {
            let (columns, rows) = (width / stride, height / stride);
            let part = |n: usize| outputs.get(places[n], columns * rows * PARTS[n].1);
            let grid = Grid { stride, columns, class: part(0)?, object: part(1)?, boxes: part(2)?, points: part(3)? };
            grid.decode(min_score, &mut faces);
        }
        Ok(faces)
    }
}

impl Grid<'_> {
    /// Adds the faces of the cells whose score is at least `min_score`, or no number.
    fn decode(&self, min_score: f32, faces: &mut Vec<Face>) {
        let stride = self.stride as f32;
        for (cell, (&class, &object)) in self.class.iter().zip(self.object).enumerate() {
            let product = class.clamp(0.0, 1.0) * object.clamp(0.0, 1.0);
            if product < min_score * min_score {
                continue;
            }
            // Not a number is not less than anything and comes this far, too.
            let (column, row) = ((cell % self.columns) as f32, (cell / self.columns) as f32);
            let place = &self.boxes[cell * 4..][..4];
            let points = &self.points[cell * 10..][..10];
            let (width, height) = (place[2].exp() * stride, place[3].exp() * stride);
            let (x, y) = ((column + place[0]) * stride - width / 2.0, (row + place[1]) * stride - height / 2.0);
            faces.push(Face {
                bbox: Rect { x, y, width, height },
                landmarks: std::array::from_fn(|n| Point {
                    x: (column + points[2 * n]) * stride,
                    y: (row + points[2 * n + 1]) * stride,
                }),
                score: if class.is_finite() && object.is_finite() { product.sqrt() } else { f32::NAN },
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::boxes;

    /// A 3x2 grid of stride 16 in which one cell sees something.
    fn decode(class: f32, object: f32, place: [f32; 4], points: [f32; 10]) -> (Vec<Face>, usize) {
        let (mut classes, mut objects, mut boxes, mut kps) = ([0.0; 6], [0.0; 6], [0.0; 24], [0.0; 60]);
        (classes[4], objects[4]) = (class, object);
        boxes[16..20].copy_from_slice(&place);
        kps[40..50].copy_from_slice(&points);
        let grid = Grid { stride: 16, columns: 3, class: &classes, object: &objects, boxes: &boxes, points: &kps };
        let mut faces = Vec::new();
        grid.decode(0.6, &mut faces);
        let (faces, bad): (Vec<_>, Vec<_>) = faces.into_iter().partition(|face| boxes::plausible(face, 48.0));
        (faces, bad.len())
    }

    #[test]
    fn a_cell_becomes_a_face_in_pixels() {
        let points = [-0.5, -0.5, 0.5, -0.5, 0.0, 0.0, -0.25, 0.5, 0.25, 0.5];
        let (faces, bad) = decode(0.81, 1.0, [0.5, 0.25, 2f32.ln(), 1.5f32.ln()], points);
        assert_eq!((faces.len(), bad), (1, 0));
        // Column 1, row 1: the centre is at (1.5, 1.25) cells of 16 pixels, 32 wide and 24 high.
        let near = |a: f32, b: f32| (a - b).abs() < 1e-4;
        let Rect { x, y, width, height } = faces[0].bbox;
        assert!(near(x, 8.0) && near(y, 8.0) && near(width, 32.0) && near(height, 24.0), "{:?}", faces[0]);
        assert!(near(faces[0].score, 0.9));
        assert_eq!(faces[0].landmarks[0], Point { x: 8.0, y: 8.0 });
        assert_eq!(faces[0].landmarks[4], Point { x: 20.0, y: 24.0 });
    }

    #[test]
    fn scores_are_clamped_as_opencv_clamps_them() {
        assert_eq!(decode(1.7, 1.2, [0.0; 4], [0.0; 10]).0[0].score, 1.0);
        assert!(decode(-3.0, -3.0, [0.0; 4], [0.0; 10]).0.is_empty());
        assert!(decode(0.5, 0.7, [0.0; 4], [0.0; 10]).0.is_empty());
    }

    #[test]
    fn what_is_no_number_is_discarded_and_counted() {
        let nan = f32::NAN;
        let inf = f32::INFINITY;
        let mut point = [0.0; 10];
        point[7] = nan;
        for (class, object, place, points) in [
            (nan, 1.0, [0.0; 4], [0.0; 10]),
            (1.0, nan, [0.0; 4], [0.0; 10]),
            (inf, 1.0, [0.0; 4], [0.0; 10]),
            (1.0, 1.0, [nan, 0.0, 0.0, 0.0], [0.0; 10]),
            (1.0, 1.0, [0.0, inf, 0.0, 0.0], [0.0; 10]),
            (1.0, 1.0, [0.0, 0.0, 100.0, 0.0], [0.0; 10]),
            (1.0, 1.0, [0.0, 0.0, 0.0, -inf], [0.0; 10]),
            (1.0, 1.0, [0.0; 4], point),
        ] {
            let (faces, bad) = decode(class, object, place, points);
            assert_eq!((faces.len(), bad), (0, 1), "{class} {object} {place:?} {points:?}");
        }
    }
}
