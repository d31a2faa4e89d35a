//! Whether the lens shows anything: a dark, covered or frozen picture looks exactly like "nobody there".
//!
//! In: each picture and its time on the pipeline's clock. Out: [`Lens`], which changes only after a look has lasted.
//! It is pure and cheap (it reads 2304 pixels of a frame), and knows nothing of cameras.
//!
//! ```text
//! look of one frame   frozen: not one cell differs from the frame before
//!                     dark: mean below 10      covered: cells alike within 4      clear: the rest (of 0 to 255)
//! believed after      a fault: 10 s dark or covered, 20 s frozen      clear again: 1 s
//! ```

use std::time::Duration;

use faces::picture::Picture;

/// What the camera's lens seems to see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lens {
    #[default]
    Clear,
    /// Hardly any light: night without infra-red, a cap, a dead sensor.
    Dark,
    /// Light but no shapes: tape, a bag, fog, a hand.
    Covered,
    /// The same picture again and again: the camera or its encoder hangs.
    Frozen,
}

/// Watches one camera's pictures.
#[derive(Debug)]
pub struct LensWatch {
    believed: Lens,
    /// What the frames have looked like without a break, and since when.
    look: Option<(Lens, Duration)>,
    cells: Vec<u32>,
    size: (u32, u32),
    /// When the picture last differed from the one before.
    moved: Duration,
}

/// The picture is looked at as this many cells, each the sum of `PER_CELL` x `PER_CELL` pixels: enough to smooth
/// the noise that a sensor behind a cap still has, small enough to cost nothing.
const CELLS_X: u32 = 16;
const CELLS_Y: u32 = 9;
const PER_CELL: u32 = 4;
/// Mean brightness below which it is dark. Limited-range black decodes to 0 to 5; a street at night with a lamp
/// in view is above 15.
const DARK_BELOW: f64 = 10.0;
/// Standard deviation of the cells' brightness below which they are all alike. A white wall in even light has more.
const COVERED_BELOW: f64 = 4.0;
/// A fault must be seen this long to be believed; well under the minute within which it has to be reported.
const FAULT_AFTER: Duration = Duration::from_secs(10);
/// Longer than the distance between two key frames: an encoder may repeat a still scene exactly until the next one.
/// What the status page adds until it calls a picture a fault must still end within a minute.
pub const FROZEN_AFTER: Duration = Duration::from_secs(20);
const CLEAR_AFTER: Duration = Duration::from_secs(1);

impl LensWatch {
    pub fn new() -> Self {
        Self { believed: Lens::Clear, look: None, cells: Vec::new(), size: (0, 0), moved: Duration::ZERO }
    }

    /// Takes one frame's picture, at its offset on the pipeline's clock; answers what is believed now.
    pub fn observe(&mut self, picture: &Picture, offset: Duration) -> Lens {
        let cells = cells(picture);
        let size = (picture.width(), picture.height());
        if cells != self.cells || size != self.size || offset < self.moved {
            self.moved = offset;
        }
        (self.cells, self.size) = (cells, size);

        let look = match brightness(&self.cells) {
            (mean, _) if mean < DARK_BELOW => Lens::Dark,
            (_, deviation) if deviation < COVERED_BELOW => Lens::Covered,
            _ if offset - self.moved >= FROZEN_AFTER => Lens::Frozen,
            _ => Lens::Clear,
        };
        let since = match self.look {
            Some((before, since)) if before == look && since <= offset => since,
            _ => offset,
        };
        self.look = Some((look, since));
        let needed = match look {
            Lens::Clear => CLEAR_AFTER,
            Lens::Dark | Lens::Covered => FAULT_AFTER,
            Lens::Frozen => Duration::ZERO,
        };
        if offset - since >= needed {
            self.believed = look;
        }
        self.believed
    }

    /// The camera was reopened: the next picture follows nothing. Only a frozen one stays so until another picture
    /// comes: a camera that sends the same after reopening has been frozen all the time.
    pub fn restart(&mut self) {
        if self.believed != Lens::Frozen {
            self.cells.clear();
        }
    }
}

impl Default for LensWatch {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Display for Lens {
    /// What is wrong, as the end of "the picture is …".
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Clear => "clear",
            Self::Dark => "dark",
            Self::Covered => "without shapes, as if the lens were covered",
            Self::Frozen => "frozen",
        })
    }
}

/// Sums of brightness (green counts twice, each pixel 0 to 1020) per cell, row by row.
fn cells(picture: &Picture) -> Vec<u32> {
    let (columns, rows) = (CELLS_X * PER_CELL, CELLS_Y * PER_CELL);
    let mut cells = vec![0; (CELLS_X * CELLS_Y) as usize];
    for y in 0..rows {
        let row = picture.row(middle(y, rows, picture.height()));
        for x in 0..columns {
            let at = middle(x, columns, picture.width()) as usize * 3;
            let [blue, green, red] = [row[at], row[at + 1], row[at + 2]].map(u32::from);
            cells[(y / PER_CELL * CELLS_X + x / PER_CELL) as usize] += blue + 2 * green + red;
        }
    }
    cells
}

/// Where the middle of part `index` of `parts` lies on a side of `length` pixels.
fn middle(index: u32, parts: u32, length: u32) -> u32 {
    ((u64::from(index) * 2 + 1) * u64::from(length) / (u64::from(parts) * 2)) as u32
}

/// Mean and standard deviation of the cells' brightness, 0 to 255.
fn brightness(cells: &[u32]) -> (f64, f64) {
    let scale = f64::from(4 * PER_CELL * PER_CELL);
    let count = cells.len() as f64;
    let mean = cells.iter().map(|&sum| f64::from(sum) / scale).sum::<f64>() / count;
    let variance = cells.iter().map(|&sum| (f64::from(sum) / scale - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A gradient with noise that depends on `seed`, `low` to `high`.
    fn scene(low: f64, high: f64, noise: u32, seed: u32) -> Picture {
        let (width, height) = (160, 90);
        let mut state = seed.wrapping_mul(2_654_435_761).max(1);
        let mut bgr = Vec::new();
        for _y in 0..height {
            for x in 0..width {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let value = low + (high - low) * f64::from(x) / f64::from(width);
                let value = value + if noise == 0 { 0.0 } else { f64::from((state >> 16) % noise) };
                bgr.extend([value as u8; 3]);
            }
        }
        Picture::new(width, height, bgr).unwrap()
    }

    /// Shows one kind of picture at 10 frames a second and answers when (in ms) the belief first was `lens`.
    fn first(
        watch: &mut LensWatch,
        from_ms: u64,
        for_ms: u64,
        lens: Lens,
        show: impl Fn(u32) -> Picture,
    ) -> Option<u64> {
        (from_ms..from_ms + for_ms)
            .step_by(100)
            .find(|&ms| watch.observe(&show(ms as u32), Duration::from_millis(ms)) == lens)
    }

    #[test]
    fn looks_are_told_apart_after_they_have_lasted() {
        type Show = fn(u32) -> Picture;
        let table: [(&str, Show, Lens, u64); 6] = [
            ("a lit room", |seed| scene(40.0, 180.0, 6, seed), Lens::Clear, 0),
            ("a dim room", |seed| scene(5.0, 40.0, 6, seed), Lens::Clear, 0),
            ("night, with a sensor's noise", |seed| scene(0.0, 2.0, 5, seed), Lens::Dark, 10_000),
            ("tape, with a sensor's noise", |seed| scene(90.0, 92.0, 8, seed), Lens::Covered, 10_000),
            ("a white sheet", |seed| scene(240.0, 243.0, 8, seed), Lens::Covered, 10_000),
            ("a hanging encoder", |_| scene(40.0, 180.0, 6, 1), Lens::Frozen, 20_000),
        ];
        for (name, show, lens, after_ms) in table {
            let at = first(&mut LensWatch::new(), 0, 40_000, lens, show);
            assert_eq!(at, Some(after_ms), "{name}");
        }
    }

    #[test]
    fn a_short_look_is_not_believed_and_a_clear_view_ends_the_fault() {
        let mut watch = LensWatch::new();
        let clear = |seed| scene(40.0, 180.0, 6, seed);
        let dark = |_| Picture::filled(64, 64, [0, 0, 0]);
        assert_eq!(first(&mut watch, 0, 9_000, Lens::Dark, dark), None, "someone walked past the lens");
        assert_eq!(first(&mut watch, 9_000, 500, Lens::Dark, clear), None);
        assert_eq!(first(&mut watch, 9_500, 9_000, Lens::Dark, dark), None, "it has to last again");
        assert_eq!(first(&mut watch, 18_500, 9_000, Lens::Dark, dark), Some(19_500));
        assert_eq!(first(&mut watch, 30_000, 5_000, Lens::Clear, clear), Some(31_000));
    }

    #[test]
    fn any_size_of_picture_can_be_watched() {
        for (width, height) in [(1, 1), (1, 500), (500, 1), (7, 3), (4000, 3000)] {
            let mut watch = LensWatch::new();
            let bright = |_| Picture::filled(width, height, [200, 200, 200]);
            assert_eq!(first(&mut watch, 0, 11_000, Lens::Covered, bright), Some(10_000), "{width}x{height}");
        }
    }

    #[test]
    fn a_reopened_camera_starts_its_picture_anew() {
        let mut watch = LensWatch::new();
        let still = |_| scene(40.0, 180.0, 6, 1);
        assert_eq!(first(&mut watch, 0, 20_000, Lens::Frozen, still), None);
        watch.restart();
        assert_eq!(first(&mut watch, 20_000, 40_000, Lens::Frozen, still), Some(40_000));
    }

    #[test]
    fn a_frozen_camera_that_was_reopened_and_shows_the_same_is_still_frozen() {
        let mut watch = LensWatch::new();
        let still = |_| scene(40.0, 180.0, 6, 1);
        assert_eq!(first(&mut watch, 0, 30_000, Lens::Frozen, still), Some(20_000));
        watch.restart();
        assert_eq!(first(&mut watch, 22_000, 1_000, Lens::Frozen, still), Some(22_000));
        watch.restart();
        let alive = |seed| scene(40.0, 180.0, 6, seed);
        assert_eq!(first(&mut watch, 24_000, 5_000, Lens::Clear, alive), Some(25_000), "it was cured");
    }
}
