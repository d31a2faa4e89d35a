//! One frame, read as far as its health needs: 160 x 90 points of light, and the colours of 16 x 9 cells.
//!
//! In: a picture of any size. Out: a [`Glance`], whose numbers are whole, so that two of them can be compared exactly.
//! It judges nothing.

use faces::picture::Picture;

/// A picture is read at so many points; each is the sum of 12 pixels, which smooths noise, and for less than a
/// hundredth of a 640 x 480 picture's width it does not matter where in its point something lies.
pub const COLUMNS: usize = 160;
pub const ROWS: usize = 90;
pub const POINTS: usize = COLUMNS * ROWS;
/// What is said of places is said of cells of `CELL` x `CELL` points.
pub const CELL: usize = 10;
pub const CELLS_X: usize = COLUMNS / CELL;
pub const CELLS_Y: usize = ROWS / CELL;
pub const CELLS: usize = CELLS_X * CELLS_Y;
/// Points in a cell.
pub const PER_CELL: f32 = (CELL * CELL) as f32;

/// Pixels that are read for a point.
const ACROSS: usize = 4;
const DOWN: usize = 3;
/// What one level of brightness (0 to 255) of a picture adds to a point's sum: green counts twice.
pub const LEVEL: f32 = (4 * ACROSS * DOWN) as f32;

/// What was read of one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// Sums of brightness, row by row; see [`LEVEL`].
    pub light: Vec<u16>,
    /// Sums of blue, green and red over one pixel of each point.
    pub colours: [[u32; 3]; CELLS],
}

/// Reads frames; remembers which pixels to read of the last size.
#[derive(Debug, Clone, Default)]
pub struct Glancer {
    size: (u32, u32),
    /// Where the pixels of each point begin in a row of bytes.
    across: Vec<usize>,
    down: Vec<u32>,
    /// The sums of a point's rows, byte by byte.
    sums: Vec<u16>,
}

impl Glancer {
    pub fn glance(&mut self, picture: &Picture) -> Glance {
        let size = (picture.width(), picture.height());
        if self.size != size {
            self.size = size;
            self.across = middles(COLUMNS * ACROSS, size.0).map(|x| x as usize * 3).collect();
            self.down = middles(ROWS * DOWN, size.1).collect();
            self.sums = vec![0; size.0 as usize * 3];
        }
        let mut light = vec![0; POINTS];
        let mut colours = [[0; 3]; CELLS];
        for (y, points) in light.chunks_exact_mut(COLUMNS).enumerate() {
            let rows = &self.down[y * DOWN..][..DOWN];
            let [above, middle, below] = [0, 1, 2].map(|n| picture.row(rows[n]));
            for (sum, ((above, middle), below)) in self.sums.iter_mut().zip(above.iter().zip(middle).zip(below)) {
                *sum = u16::from(*above) + u16::from(*middle) + u16::from(*below);
            }
            self.add_light(points);
            self.add_colours(&mut colours[y / CELL * CELLS_X..][..CELLS_X], picture.row(rows[DOWN / 2]));
        }
        Glance { light, colours }
    }

    fn add_light(&self, points: &mut [u16]) {
        for (point, across) in points.iter_mut().zip(self.across.chunks_exact(ACROSS)) {
            for &at in across {
                let pixel = &self.sums[at..at + 3];
                *point += pixel[0] + 2 * pixel[1] + pixel[2];
            }
        }
    }

    fn add_colours(&self, cells: &mut [[u32; 3]], row: &[u8]) {
        for (x, across) in self.across.chunks_exact(ACROSS).enumerate() {
            let pixel = &row[across[ACROSS / 2]..][..3];
            for (sum, value) in cells[x / CELL].iter_mut().zip(pixel) {
                *sum += u32::from(*value);
            }
        }
    }
}

/// The cell a point lies in.
pub fn cell_of(point: usize) -> usize {
    point / COLUMNS / CELL * CELLS_X + point % COLUMNS / CELL
}

/// The middles of so many equal parts of a side.
fn middles(parts: usize, length: u32) -> impl Iterator<Item = u32> {
    let parts = parts as u64;
    (0..parts).map(move |part| ((part * 2 + 1) * u64::from(length) / (parts * 2)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_of_any_size_are_read() {
        let mut glancer = Glancer::default();
        for (width, height) in [(1, 1), (1, 500), (500, 1), (7, 3), (640, 480), (4000, 3000)] {
            let glance = glancer.glance(&Picture::filled(width, height, [10, 20, 30]));
            assert!(glance.light.iter().all(|&sum| f32::from(sum) == 20.0 * LEVEL), "{width}x{height}");
            assert!(glance.colours.iter().all(|sums| sums.map(|sum| sum as f32 / PER_CELL) == [10.0, 20.0, 30.0]));
        }
    }

    #[test]
    fn a_point_is_where_its_pixels_are() {
        let mut bgr = vec![0; 640 * 360 * 3];
        // The lower right corner.
        for y in 352..360 {
            bgr[(y * 640 + 632) * 3..][..8 * 3].fill(255);
        }
        let glance = Glancer::default().glance(&Picture::new(640, 360, bgr).unwrap());
        let lit: Vec<usize> = (0..POINTS).filter(|&point| glance.light[point] > 0).collect();
        assert_eq!(lit, [POINTS - COLUMNS - 2, POINTS - COLUMNS - 1, POINTS - 2, POINTS - 1]);
        assert!(lit.iter().all(|&point| cell_of(point) == CELLS - 1));
    }
}
