//! CenterFace: the thorough detector, some four times slower than YuNet.
//!
//! In: a picture. Out: the faces one pass of the network finds in it at the picture's own size. Layout and decoding
//! are those of Xu, Yan, Sun, Yang, Cheng, Luo: "CenterFace: Joint Face Detection and Alignment Using Face as Point"
//! (2019): every face is a peak of a heat map, with its size, its offset and its landmarks at the same place.

use std::time::{Duration, Instant};

use ort::session::Session;
use ort::value::TensorRef;

use super::input::{Channels, Input};
use super::{DetectError, Face, FaceDetector, Limits, Point, Rect, boxes, discarded, output};
use crate::picture::Picture;

/// Pixels of the input per cell of the outputs.
const STRIDE: usize = 4;
/// Heat map, logarithm of height and width, offset of the centre (y, x), landmarks (y, x, five times): the planes of
/// each output, which come in this order and have no telling names.
const PLANES: [usize; 4] = [1, 2, 2, 10];

/// A CenterFace with its session and its memory.
pub(super) struct CenterFace {
    name: String,
    session: Session,
    input: Input,
    limits: Limits,
    network: Duration,
}

/// The four outputs, `PLANES` planes of `cells` values each.
struct Maps<'a> {
    columns: usize,
    heat: &'a [f32],
    scale: &'a [f32],
    offset: &'a [f32],
    points: &'a [f32],
}

impl CenterFace {
    pub fn new(name: &str, session: Session, limits: Limits) -> Result<Self, DetectError> {
        if session.outputs().len() != PLANES.len() {
            return Err(DetectError::Layout { model: name.into(), missing: "exactly four outputs".into() });
        }
        let input = Input::new(Channels::Rgb);
        Ok(Self { name: name.into(), session, input, limits, network: Duration::ZERO })
    }
}

impl FaceDetector for CenterFace {
    fn name(&self) -> &str {
        &self.name
    }

    fn detect(&mut self, picture: &Picture) -> Result<Vec<Face>, DetectError> {
        self.input.fill(picture);
        let (width, height) = (self.input.width() as usize, self.input.height() as usize);
        let run = |source| DetectError::Run { model: self.name.clone(), source };
        let started = Instant::now();
        let tensor = TensorRef::from_array_view((self.input.shape(), self.input.values())).map_err(run)?;
        let outputs = self.session.run(ort::inputs![tensor]).map_err(run)?;
        self.network = started.elapsed();

        let (columns, rows) = (width / STRIDE, height / STRIDE);
        let map = |n: usize| output(&self.name, &outputs, n, columns * rows * PLANES[n]);
        let maps = Maps { columns, heat: map(0)?, scale: map(1)?, offset: map(2)?, points: map(3)? };
        let mut faces = Vec::new();
        let bad = maps.decode(self.limits.min_score, width.max(height) as f32, &mut faces);
        discarded(&self.name, bad);
        let mut faces = boxes::suppress(faces, self.limits.nms_iou);
        boxes::largest_first(&mut faces);
        Ok(faces)
    }

    fn network_time(&self) -> Duration {
        self.network
    }
}

impl Maps<'_> {
    /// Adds the faces whose heat is at least `min_score`, and gives back how many cells held what is no number or no
    /// box.
    fn decode(&self, min_score: f32, side: f32, faces: &mut Vec<Face>) -> u64 {
        let cells = self.heat.len();
        let stride = STRIDE as f32;
        let mut bad = 0;
        for (cell, &heat) in self.heat.iter().enumerate() {
            if heat < min_score {
                continue;
            }
            let (column, row) = ((cell % self.columns) as f32, (cell / self.columns) as f32);
            let (height, width) = (self.scale[cell].exp() * stride, self.scale[cells + cell].exp() * stride);
            let x = (column + self.offset[cells + cell] + 0.5) * stride - width / 2.0;
            let y = (row + self.offset[cell] + 0.5) * stride - height / 2.0;
            let face = Face {
                bbox: Rect { x, y, width, height },
                landmarks: std::array::from_fn(|n| Point {
                    x: x + self.points[(2 * n + 1) * cells + cell] * width,
                    y: y + self.points[2 * n * cells + cell] * height,
                }),
                score: heat.min(1.0),
            };
            if heat.is_finite() && boxes::plausible(&face, side) {
                faces.push(face);
            } else {
                bad += 1;
            }
        }
        bad
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four by three cells in which one is hot.
    fn decode(heat: f32, scale: [f32; 2], offset: [f32; 2], points: [f32; 10]) -> (Vec<Face>, u64) {
        let (cells, hot) = (12, 6);
        let plane = |values: &[f32]| -> Vec<f32> {
            values.iter().flat_map(|v| (0..cells).map(move |n| if n == hot { *v } else { 0.0 })).collect()
        };
        let (heat, scale, offset, points) = (plane(&[heat]), plane(&scale), plane(&offset), plane(&points));
        let maps = Maps { columns: 4, heat: &heat, scale: &scale, offset: &offset, points: &points };
        let mut faces = Vec::new();
        let bad = maps.decode(0.5, 16.0, &mut faces);
        (faces, bad)
    }

    #[test]
    fn a_peak_becomes_a_face_in_pixels() {
        let mut points = [0.5; 10];
        (points[0], points[1]) = (0.25, 0.75);
        // Column 2, row 1; 8 high and 4 wide; the centre a quarter cell down and half a cell to the right.
        let (faces, bad) = decode(0.9, [2f32.ln(), 0.0], [0.25, 0.5], points);
        assert_eq!((faces.len(), bad), (1, 0));
        assert_eq!(faces[0].bbox, Rect { x: 10.0, y: 3.0, width: 4.0, height: 8.0 });
        assert_eq!(faces[0].landmarks[0], Point { x: 13.0, y: 5.0 });
        assert_eq!(faces[0].landmarks[2], Point { x: 12.0, y: 7.0 });
    }

    #[test]
    fn what_is_no_number_is_discarded_and_counted() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        let mut point = [0.0; 10];
        point[3] = inf;
        for (heat, scale, offset, points) in [
            (nan, [0.0; 2], [0.0; 2], [0.0; 10]),
            (inf, [0.0; 2], [0.0; 2], [0.0; 10]),
            (0.9, [nan, 0.0], [0.0; 2], [0.0; 10]),
            (0.9, [0.0, 90.0], [0.0; 2], [0.0; 10]),
            (0.9, [0.0; 2], [0.0, nan], [0.0; 10]),
            (0.9, [0.0; 2], [0.0; 2], point),
        ] {
            let (faces, bad) = decode(heat, scale, offset, points);
            assert_eq!((faces.len(), bad), (0, 1), "{heat} {scale:?} {offset:?} {points:?}");
        }
        assert_eq!(decode(0.4, [nan; 2], [nan; 2], [nan; 10]), (vec![], 0));
    }
}
