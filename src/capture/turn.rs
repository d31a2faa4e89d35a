//! Which way up a video's pictures are: its display matrix, and the pixels turned by it.
//!
//! In: the nine numbers a container or a frame gives, and rows of pixels. Out: the rows as they are to be seen. Only
//! quarter turns and mirrors exist here; whatever else a matrix says (a scale, a shift, a few degrees) is left out.

/// One of the eight ways a picture can lie: first, where `transposed`, rows become columns; then the result is
/// mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Turn {
    transposed: bool,
    /// Left becomes right.
    mirrored: bool,
    /// Top becomes bottom.
    flipped: bool,
}

/// Bytes of one pixel: blue, green, red.
const PIXEL: usize = 3;

impl Turn {
    /// The turn of a display matrix (ISO/IEC 14496-12, `tkhd`; FFmpeg's `libavutil/display.h`): nine integers of four
    /// bytes in the machine's order, of which `a b / c d` take a point `(x, y)` to `(a x + c y, b x + d y)`. `None`
    /// when it is no such matrix or takes the picture to a line.
    pub fn of_matrix(bytes: &[u8]) -> Option<Self> {
        let number = |index: usize| {
            let four = bytes.get(4 * index..4 * index + 4)?;
            Some(i64::from(i32::from_ne_bytes([four[0], four[1], four[2], four[3]])))
        };
        let (a, b, c, d) = (number(0)?, number(1)?, number(3)?, number(4)?);
        number(8)?;
        if a * d == b * c {
            return None;
        }
        Some(if a.abs() + d.abs() >= b.abs() + c.abs() {
            Self { transposed: false, mirrored: a < 0, flipped: d < 0 }
        } else {
            Self { transposed: true, mirrored: c < 0, flipped: b < 0 }
        })
    }

    /// Width and height of a picture of this size once it is turned.
    pub fn size(self, width: u32, height: u32) -> (u32, u32) {
        if self.transposed { (height, width) } else { (width, height) }
    }

    /// Where a place of the picture is once it is turned; both in shares of the width and the height.
    pub fn place(self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [x, y] = if self.transposed { [y, x] } else { [x, y] };
        [if self.mirrored { 1.0 - x } else { x }, if self.flipped { 1.0 - y } else { y }]
    }

    /// The turned pixels, rows packed, of a picture of `width` by `height` whose rows are `stride` bytes apart. `rows`
    /// must reach to the last pixel.
    pub fn apply(self, rows: &[u8], stride: usize, width: u32, height: u32) -> Vec<u8> {
        let (width, height) = (width as usize, height as usize);
        let mut turned = Vec::with_capacity(width * height * PIXEL);
        let row = |y: usize| &rows[y * stride..][..width * PIXEL];
        if !self.transposed {
            for y in 0..height {
                let from = row(if self.flipped { height - 1 - y } else { y });
                if self.mirrored {
                    from.rchunks_exact(PIXEL).for_each(|pixel| turned.extend_from_slice(pixel));
                } else {
                    turned.extend_from_slice(from);
                }
            }
            return turned;
        }
        // A row of the turned picture is a column of the given one.
        for x in 0..width {
            let x = if self.flipped { width - 1 - x } else { x };
            for y in 0..height {
                let y = if self.mirrored { height - 1 - y } else { y };
                turned.extend_from_slice(&rows[y * stride + x * PIXEL..][..PIXEL]);
            }
        }
        turned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The matrix as FFmpeg hands it out.
    fn bytes(a: i32, b: i32, c: i32, d: i32) -> Vec<u8> {
        let one = 1 << 16;
        [a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30].iter().flat_map(|n: &i32| n.to_ne_bytes()).collect()
    }

    /// Letters for pixels, rows parted by a space.
    fn turned(turn: Turn, rows: &str) -> String {
        let (width, height) = (rows.split(' ').next().unwrap().len(), rows.split(' ').count());
        // Rows lie further apart than they are long, as a decoder's do.
        let padded: Vec<u8> = rows
            .split(' ')
            .flat_map(|row| row.bytes().flat_map(|letter| [letter; PIXEL]).chain([b'!'; 5]).collect::<Vec<_>>())
            .collect();
        let pixels = turn.apply(&padded, width * PIXEL + 5, width as u32, height as u32);
        let (width, height) = turn.size(width as u32, height as u32);
        assert_eq!(pixels.len(), width as usize * height as usize * PIXEL);
        let letters: Vec<u8> = pixels.chunks(PIXEL).map(|pixel| pixel[0]).collect();
        letters.chunks(width as usize).map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_way_a_picture_can_lie_is_set_upright() {
        // What the matrices do to a point is the sum above; a picture of three by two shows it.
        for (what, matrix, upright) in [
            ("as it is", (1, 0, 0, 1), "abc def"),
            ("a quarter to the right", (0, 1, -1, 0), "da eb fc"),
            ("a half", (-1, 0, 0, -1), "fed cba"),
            ("a quarter to the left", (0, -1, 1, 0), "cf be ad"),
            ("mirrored", (-1, 0, 0, 1), "cba fed"),
            ("flipped", (1, 0, 0, -1), "def abc"),
            ("transposed", (0, 1, 1, 0), "ad be cf"),
            ("transposed the other way", (0, -1, -1, 0), "fc eb da"),
        ] {
            let (a, b, c, d) = matrix;
            let turn = Turn::of_matrix(&bytes(a, b, c, d)).unwrap();
            assert_eq!(turned(turn, "abc def"), upright, "{what}");
            // The upper left pixel's middle.
            let rows: Vec<&str> = upright.split(' ').collect();
            let (width, height) = (rows[0].len() as f32, rows.len() as f32);
            let [x, y] = turn.place([0.5 / 3.0, 0.5 / 2.0]);
            assert_eq!(rows[(y * height) as usize].as_bytes()[(x * width) as usize], b'a', "{what}");
        }
    }

    #[test]
    fn what_is_no_quarter_turn_becomes_the_nearest_or_none() {
        let nearly = |a, b, c, d| Turn::of_matrix(&bytes(a, b, c, d));
        assert_eq!(nearly(10, 1, -1, 10), Some(Turn::default()), "a few degrees");
        assert_eq!(nearly(0, -300, 300, 0), nearly(0, -1, 1, 0), "a scale");
        assert_eq!(nearly(0, 0, 0, 0), None);
        assert_eq!(nearly(1, 0, 1, 0), None, "a line");
        assert_eq!(Turn::of_matrix(&bytes(1, 0, 0, 1)[..35]), None, "cut short");
        assert_eq!(Turn::of_matrix(&[]), None);
    }
}
