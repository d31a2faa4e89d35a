//! One frame, read as far as its health needs: 160 x 90 points of light, and the colours of 16 x 9 cells.
//!
//! In: a picture of any size. Out: a [`Glance`], whose numbers are whole, so that two of them can be compared exactly.
//! It judges nothing.

use faces::picture::Picture;

use crate::capture::light::LightMeter;
pub use crate::capture::light::{COLUMNS, LEVEL, POINTS, ROWS};

/// What is said of places is said of cells of `CELL` x `CELL` points.
pub const CELL: usize = 10;
pub const CELLS_X: usize = COLUMNS / CELL;
pub const CELLS_Y: usize = ROWS / CELL;
pub const CELLS: usize = CELLS_X * CELLS_Y;
/// Points in a cell.
pub const PER_CELL: f32 = (CELL * CELL) as f32;

/// What was read of one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// Sums of brightness, row by row; see [`LEVEL`].
    pub light: Vec<u16>,
    /// Sums of blue, green and red over one pixel of each point.
    pub colours: [[u32; 3]; CELLS],
}

/// Reads frames.
#[derive(Debug, Clone, Default)]
pub struct Glancer(LightMeter);

impl Glancer {
    pub fn glance(&mut self, picture: &Picture) -> Glance {
        let mut light = Vec::with_capacity(POINTS);
        self.0.read(picture, &mut light);
        let mut colours = [[0; 3]; CELLS];
        for (point, (y, x)) in self.0.middles() {
            let pixel = &picture.row(y)[x * 3..][..3];
            for (sum, value) in colours[cell_of(point)].iter_mut().zip(pixel) {
                *sum += u32::from(*value);
            }
        }
        Glance { light, colours }
    }
}

/// The cell a point lies in.
pub fn cell_of(point: usize) -> usize {
    point / COLUMNS / CELL * CELLS_X + point % COLUMNS / CELL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_and_colours_of_any_size_of_picture_are_read() {
        let mut glancer = Glancer::default();
        for (width, height) in [(1, 1), (1, 500), (500, 1), (7, 3), (640, 480), (4000, 3000)] {
            let glance = glancer.glance(&Picture::filled(width, height, [10, 20, 30]));
            assert!(glance.light.iter().all(|&sum| f32::from(sum) == 20.0 * LEVEL), "{width}x{height}");
            assert!(glance.colours.iter().all(|sums| sums.map(|sum| sum as f32 / PER_CELL) == [10.0, 20.0, 30.0]));
        }
    }

    #[test]
    fn a_cell_has_the_colours_of_its_place() {
        let mut bgr = vec![0; 640 * 360 * 3];
        // The lower right corner, a fifth of a cell across and down.
        for y in 352..360 {
            bgr[(y * 640 + 632) * 3..][..8 * 3].fill(255);
        }
        let glance = Glancer::default().glance(&Picture::new(640, 360, bgr).unwrap());
        let lit: Vec<usize> = (0..CELLS).filter(|&cell| glance.colours[cell] != [0; 3]).collect();
        assert_eq!((lit, glance.colours[CELLS - 1]), (vec![CELLS - 1], [4 * 255; 3]));
    }
}
