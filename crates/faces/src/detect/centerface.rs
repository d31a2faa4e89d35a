//! CenterFace: the thorough detector, some four times slower than YuNet.
//!
//! In: a picture. Out: the faces one pass of the network finds in it at the picture's own size. Layout and decoding
//! are those of Xu, Yan, Sun, Yang, Cheng, Luo: "CenterFace: Joint Face Detection and Alignment Using Face as Point"
//! (2019): every face is a peak of a heat map, with its size, its offset and its landmarks at the same place.

use ort::session::Session;

use super::pass::{Channels, Layout, Outputs};
use super::{DetectError, Face, Point, Rect};

/// Pixels of the input per cell of the outputs.
const STRIDE: usize = 4;
/// Heat map, logarithm of height and width, offset of the centre (y, x), landmarks (y, x, five times): the planes of
/// each output, which come in this order and have no telling names.
const PLANES: [usize; 4] = [1, 2, 2, 10];

/// The layout of CenterFace's four outputs.
pub(super) struct CenterFace;

/// The four outputs, `PLANES` planes of `cells` values each.
struct Maps<'a> {
    columns: usize,
    heat: &'a [f32],
    scale: &'a [f32],
    offset: &'a [f32],
    points: &'a [f32],
}

impl CenterFace {
    /// Holds the outputs of a session of the model `name` against the layout.
    pub fn new(name: &str, session: &Session) -> Result<Self, DetectError> {
        match session.outputs().len() == PLANES.len() {
            true => Ok(Self),
            false => Err(DetectError::Layout { model: name.into(), missing: "exactly four outputs".into() }),
        }
    }
}

impl Layout for CenterFace {
    const CHANNELS: Channels = Channels::Rgb;
    /// Of the 55 test photos, settled, nine of ten give 0.71 and more.
    const DOUBTFUL: f32 = 0.7;

    fn decode(&self, outputs: &Outputs, size: (usize, usize), min_score: f32) -> Result<Vec<Face>, DetectError> {
        let (width, height) = size;
        let (columns, rows) = (width / STRIDE, height / STRIDE);
        let map = |n: usize| outputs.get(n, columns * rows * PLANES[n]);
        let maps = Maps { columns, heat: map(0)?, scale: map(1)?, offset: map(2)?, points: map(3)? };
        Ok(maps.decode(min_score))
    }
}

impl Maps<'_> {
    /// The faces whose heat is at least `min_score`, or no number.
    fn decode(&self, min_score: f32) -> Vec<Face> {
        let cells = self.heat.len();
        let stride = STRIDE as f32;
        let mut faces = Vec::new();
        for (cell, &heat) in self.heat.iter().enumerate() {
            if heat < min_score {
                continue;
            }
            let (column, row) = ((cell % self.columns) as f32, (cell / self.columns) as f32);
            let (height, width) = (self.scale[cell].exp() * stride, self.scale[cells + cell].exp() * stride);
            let x = (column + self.offset[cells + cell] + 0.5) * stride - width / 2.0;
            let y = (row + self.offset[cell] + 0.5) * stride - height / 2.0;
            faces.push(Face {
                bbox: Rect { x, y, width, height },
                landmarks: std::array::from_fn(|n| Point {
                    x: x + self.points[(2 * n + 1) * cells + cell] * width,
                    y: y + self.points[2 * n * cells + cell] * height,
                }),
                score: if heat.is_finite() { heat.min(1.0) } else { f32::NAN },
            });
        }
        faces
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::boxes;

    /// Four by three cells in which one is hot.
    fn decode(heat: f32, scale: [f32; 2], offset: [f32; 2], points: [f32; 10]) -> (Vec<Face>, usize) {
        let (cells, hot) = (12, 6);
        let plane = |values: &[f32]| -> Vec<f32> {
            values.iter().flat_map(|v| (0..cells).map(move |n| if n == hot { *v } else { 0.0 })).collect()
        };
        let (heat, scale, offset, points) = (plane(&[heat]), plane(&scale), plane(&offset), plane(&points));
        let maps = Maps { columns: 4, heat: &heat, scale: &scale, offset: &offset, points: &points };
        let (faces, bad): (Vec<_>, Vec<_>) =
            maps.decode(0.5).into_iter().partition(|face| boxes::plausible(face, 16.0));
        (faces, bad.len())
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
