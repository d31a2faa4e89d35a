//! A picture's light at 160 x 90 points: enough to tell what moves and whether anything can be seen, for a hundredth of
//! what a look at all its pixels costs.
//!
//! In: the rows of a picture of any size, of three bytes a pixel or of one. Out: a sum of brightness for each point, in
//! whole numbers, so that two of them can be compared exactly. It judges nothing.

use faces::picture::Picture;

/// A picture is read at so many points; each is the sum of 12 pixels, which smooths noise, and for less than a
/// hundredth of a 640 x 480 picture's width it does not matter where in its point something lies.
pub const COLUMNS: usize = 160;
pub const ROWS: usize = 90;
pub const POINTS: usize = COLUMNS * ROWS;

/// Pixels that are read for a point.
const ACROSS: usize = 4;
const DOWN: usize = 3;
/// What one level of brightness (0 to 255) of a picture adds to a point's sum: green counts twice.
pub const LEVEL: f32 = (4 * ACROSS * DOWN) as f32;

/// Reads pictures; remembers which pixels to read of the last size.
#[derive(Debug, Clone, Default)]
pub struct LightMeter {
    size: (u32, u32),
    /// The pixels of each point in a row.
    across: Vec<usize>,
    down: Vec<u32>,
    /// The sums of a point's rows, byte by byte.
    sums: Vec<u16>,
}

impl LightMeter {
    /// The brightness of a picture, row by row of points; see [`LEVEL`].
    pub fn read(&mut self, picture: &Picture, light: &mut Vec<u16>) {
        self.fit((picture.width(), picture.height()));
        self.each_row(
            |y| picture.row(y),
            light,
            |sums, x| {
                let pixel = &sums[x * 3..][..3];
                pixel[0] + 2 * pixel[1] + pixel[2]
            },
        );
    }

    /// The same of the rows of a picture that are brightness and nothing else.
    pub fn read_grey<'a>(&mut self, size: (u32, u32), row: impl Fn(u32) -> &'a [u8], light: &mut Vec<u16>) {
        self.fit(size);
        self.each_row(row, light, |sums, x| 4 * sums[x]);
    }

    /// The pixel in the middle of each point of the picture that was read last: its point and its place, row by row.
    pub fn middles(&self) -> impl Iterator<Item = (usize, (u32, usize))> {
        (0..POINTS).map(|point| {
            let (x, y) = (point % COLUMNS, point / COLUMNS);
            (point, (self.down[y * DOWN + DOWN / 2], self.across[x * ACROSS + ACROSS / 2]))
        })
    }

    fn fit(&mut self, size: (u32, u32)) {
        if self.size != size {
            self.size = size;
            self.across = middles(COLUMNS * ACROSS, size.0).map(|x| x as usize).collect();
            self.down = middles(ROWS * DOWN, size.1).collect();
        }
    }

    fn each_row<'a>(
        &mut self,
        row: impl Fn(u32) -> &'a [u8],
        light: &mut Vec<u16>,
        brightness: impl Fn(&[u16], usize) -> u16,
    ) {
        light.clear();
        for rows in self.down.chunks_exact(DOWN) {
            let [above, middle, below] = [0, 1, 2].map(|n| row(rows[n]));
            self.sums.clear();
            let triples = above.iter().zip(middle).zip(below);
            self.sums.extend(triples.map(|((a, b), c)| u16::from(*a) + u16::from(*b) + u16::from(*c)));
            let point = |across: &[usize]| across.iter().map(|&x| brightness(&self.sums, x)).sum::<u16>();
            light.extend(self.across.chunks_exact(ACROSS).map(point));
        }
    }
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
        let (mut meter, mut light) = (LightMeter::default(), Vec::new());
        for (width, height) in [(1, 1), (1, 500), (500, 1), (7, 3), (640, 480), (4000, 3000)] {
            meter.read(&Picture::filled(width, height, [10, 20, 30]), &mut light);
            let all_are = |light: &[u16], level: f32| {
                light.len() == POINTS && light.iter().all(|&sum| f32::from(sum) == level * LEVEL)
            };
            assert!(all_are(&light, 20.0), "{width}x{height}");
            // Rows may be longer than they are wide.
            let rows = vec![77; width as usize + 13];
            meter.read_grey((width, height), |_| &rows, &mut light);
            assert!(all_are(&light, 77.0), "{width}x{height}");
        }
    }

    #[test]
    fn a_point_is_where_its_pixels_are() {
        // The lower right corner.
        let lit = |x: usize, y: usize| x >= 632 && y >= 352;
        let grey: Vec<u8> = (0..640 * 360).map(|n| if lit(n % 640, n / 640) { 255 } else { 0 }).collect();
        let bgr = grey.iter().flat_map(|&value| [value; 3]).collect();
        let (mut meter, mut light) = (LightMeter::default(), Vec::new());
        let places = |light: &[u16]| (0..POINTS).filter(|&point| light[point] > 0).collect::<Vec<_>>();
        let corner = [POINTS - COLUMNS - 2, POINTS - COLUMNS - 1, POINTS - 2, POINTS - 1];
        meter.read(&Picture::new(640, 360, bgr).unwrap(), &mut light);
        assert_eq!(places(&light), corner);
        meter.read_grey((640, 360), |y| &grey[y as usize * 640..][..640], &mut light);
        assert_eq!(places(&light), corner);
        let middles: Vec<_> = meter.middles().map(|(_, at)| at).collect();
        assert_eq!((middles[0], middles[POINTS - 1]), ((2, 2), (358, 638)));
    }
}
