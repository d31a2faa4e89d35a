//! Two seconds of glances, as one picture without noise: its light, its colours, its edges.
//!
//! In: glances. Out: a [`Still`]. Edges are those of the logarithm of light, so that a brighter lamp or a longer
//! exposure changes none of them. It judges nothing.

use super::glance::{CELL, CELLS, CELLS_X, COLUMNS, Glance, LEVEL, PER_CELL, POINTS, ROWS, cell_of};

/// Added to brightness before its logarithm is taken: below, it is noise and the camera's black that differ.
pub const BLACK: f32 = 16.0;
/// A cell shows a shape from this much: six points on an edge of 5 % of brightness a point. A plain wall has none,
/// however light falls on it, because an even slope is taken off first.
const SHAPE: f32 = 6.0 * 0.05 * 0.05;
/// How fine the edges of what is out of focus are at most. Of the clips' cells a quarter have 2.4 to 6 or more; blurred
/// by 0.3 % of the picture's width (where faces are still recognised) 1.2 to 2.9, by 0.8 % (where most are not) 0.2 to
/// 0.6, by 1.2 % 0 to 0.4.
pub const SOFT: f32 = 0.45;
/// Fine edges can be told from noise where all edges are so many times what noise makes of them. (Of fine ones it makes
/// 20 times as much, and sharp pictures have 2.4 to 6 times as much fine as strong ones.)
const DISTINCT: f32 = 10.0;
/// A cell is coloured where blue or red differs from green by more than this share of its brightness. Infra-red
/// pictures are grey but for what their compression adds.
const COLOURED: f32 = 0.05;
/// As many coloured cells may be in a grey picture: burnt-in text.
const COLOURED_TEXT: usize = 2;

/// What makes a variance, in levels squared, of a cell's squared differences from one glance to the next.
const PER_PAIR: f32 = 2.0 * PER_CELL * LEVEL * LEVEL;

/// Adds glances up.
#[derive(Debug, Clone)]
pub struct Exposure {
    light: Vec<u32>,
    colours: [[u32; 3]; CELLS],
    glances: u32,
    /// Squared differences from one glance to the next, and of how many.
    differences: [u64; CELLS],
    pairs: u32,
    /// Of the pair that differs least: what differs at a point in the middle one of the cells.
    noise: f32,
}

/// What a camera showed for about two seconds.
#[derive(Debug, Clone)]
pub struct Still {
    /// Brightness of each point, 0 to 255.
    pub light: Vec<f32>,
    /// Mean brightness of each cell, 0 to 255, and the same as a logarithm.
    pub levels: [f32; CELLS],
    pub logs: [f32; CELLS],
    /// Whether it is a grey picture, as by infra-red light.
    pub grey: bool,
    /// What differs between two glances at a point, as a variance, and the glances the still was made of.
    pub flicker: [f32; CELLS],
    pub glances: u32,
    pub edges: Edges,
    /// The edges of its last glance alone: a camera that shakes is no less sharp.
    pub moment: Edges,
}

/// By how much a logarithm of brightness grows from a point to the next, to the right and down.
pub type Slope = (f32, f32);

/// Edges of a picture.
#[derive(Debug, Clone)]
pub struct Edges {
    /// Logarithm of each point's brightness.
    pub log: Vec<f32>,
    pub slopes: Vec<Slope>,
    /// Each cell's sum of squared slopes, without an even slope and without what noise alone would make.
    pub strong: [f32; CELLS],
    /// Each cell's sum of squared bends: of an edge twice as wide an eighth.
    pub fine: [f32; CELLS],
    /// What noise or snow leaves of the first in each cell.
    noise: [f32; CELLS],
}

impl Default for Exposure {
    fn default() -> Self {
        Self {
            light: vec![0; POINTS],
            colours: [[0; 3]; CELLS],
            glances: 0,
            differences: [0; CELLS],
            pairs: 0,
            noise: f32::MAX,
        }
    }
}

impl Exposure {
    /// Adds a glance, and what differs from the one before it.
    pub fn add(&mut self, glance: &Glance, before: Option<&Glance>) {
        self.glances += 1;
        for (sum, light) in self.light.iter_mut().zip(&glance.light) {
            *sum += u32::from(*light);
        }
        for (sum, value) in self.colours.iter_mut().flatten().zip(glance.colours.iter().flatten()) {
            *sum += value;
        }
        let Some(before) = before else { return };
        self.pairs += 1;
        let mut sums = [0; CELLS];
        let pairs = glance.light.chunks_exact(CELL).zip(before.light.chunks_exact(CELL));
        for (n, (now, before)) in pairs.enumerate() {
            let squared = |(now, before): (&u16, &u16)| u64::from(now.abs_diff(*before)).pow(2);
            sums[cell_of(n * CELL)] += now.iter().zip(before).map(squared).sum::<u64>();
        }
        for (differences, sum) in self.differences.iter_mut().zip(&sums) {
            *differences += sum;
        }
        let middle = *sums.select_nth_unstable(CELLS / 2).1;
        self.noise = self.noise.min(middle as f32 / PER_PAIR);
    }

    /// The mean of what was added, which must be something, and the sharpness of the last of it.
    pub fn develop(self, last: &Glance) -> Still {
        let glances = self.glances as f32;
        let light: Vec<f32> = self.light.iter().map(|&sum| sum as f32 / (glances * LEVEL)).collect();
        let mut levels = [0.0; CELLS];
        for (point, light) in light.iter().enumerate() {
            levels[cell_of(point)] += light / PER_CELL;
        }
        let coloured = self.colours.iter().zip(&levels).filter(|(sums, level)| {
            let [blue, green, red] = sums.map(|sum| sum as f32 / (glances * PER_CELL));
            (blue - green).abs().max((red - green).abs()) > COLOURED * (*level + BLACK)
        });
        let grey = coloured.count() <= COLOURED_TEXT;
        // Of a single glance it is not known.
        let noise = if self.pairs == 0 { 0.0 } else { self.noise };
        let edges = Edges::of(&light, &levels, noise / glances);
        let moment: Vec<f32> = last.light.iter().map(|&sum| f32::from(sum) / LEVEL).collect();
        Still {
            grey,
            logs: levels.map(|level| (level + BLACK).ln()),
            flicker: self.differences.map(|sum| sum as f32 / (self.pairs.max(1) as f32 * PER_PAIR)),
            glances: self.glances,
            edges,
            moment: Edges::of(&moment, &levels, noise),
            light,
            levels,
        }
    }
}

impl Edges {
    /// The edges of a picture whose points noise makes vary so much (in levels squared).
    fn of(light: &[f32], levels: &[f32; CELLS], noise: f32) -> Self {
        let log = light.iter().map(|light| (light + BLACK).ln()).collect();
        Self::of_logs(log, |cell| noise / (levels[cell] + BLACK).powi(2))
    }

    /// The same of logarithms.
    pub fn of_logs(log: Vec<f32>, noise: impl Fn(usize) -> f32) -> Self {
        let mut slopes = vec![(0.0, 0.0); POINTS];
        let (mut strong, mut fine) = ([0.0f32; CELLS], [0.0f32; CELLS]);
        let mut even = [(0.0f32, 0.0f32); CELLS];
        for row in 1..ROWS - 1 {
            for column in 1..COLUMNS - 1 {
                let point = row * COLUMNS + column;
                let (left, right) = (log[point - 1], log[point + 1]);
                let (above, below) = (log[point - COLUMNS], log[point + COLUMNS]);
                let (across, down) = ((right - left) / 2.0, (below - above) / 2.0);
                let cell = cell_of(point);
                strong[cell] += across * across + down * down;
                even[cell].0 += across;
                even[cell].1 += down;
                fine[cell] += (4.0 * log[point] - left - right - above - below).powi(2);
                slopes[point] = (across, down);
            }
        }
        let noise = std::array::from_fn(|cell| noise(cell) * PER_CELL);
        for cell in 0..CELLS {
            let (across, down) = even[cell];
            strong[cell] = (strong[cell] - (across * across + down * down) / PER_CELL - noise[cell]).max(0.0);
            // Its five points count 4, 1, 1, 1 and 1, and their variances by the squares of that.
            fine[cell] = (fine[cell] - 20.0 * noise[cell]).max(0.0);
        }
        Self { log, slopes, strong, fine, noise }
    }

    /// Whether a cell shows a shape.
    pub fn shape(&self, cell: usize) -> bool {
        self.strong[cell] > SHAPE
    }

    /// Whether fine edges can be told from noise in a cell with edges so strong.
    pub fn distinct(&self, cell: usize, strong: f32) -> bool {
        strong > SHAPE.max(DISTINCT * self.noise[cell])
    }

    /// How fine the edges of a shape are: squared bends against squared slopes.
    pub fn fineness(&self, cell: usize) -> f32 {
        self.fine[cell] / self.strong[cell].max(f32::EPSILON)
    }
}

impl Edges {
    /// How many cells show shapes.
    pub fn shapes(&self) -> usize {
        (0..CELLS).filter(|&cell| self.shape(cell)).count()
    }
}

impl Still {
    /// The brightness that such a share of the cells stays below.
    pub fn level(&self, share: f32) -> f32 {
        quantile(&mut self.levels.to_vec(), share)
    }
}

/// The value that such a share of the values stays below; 0 of none.
pub fn quantile(values: &mut [f32], share: f32) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let at = ((values.len() - 1) as f32 * share).round() as usize;
    *values.select_nth_unstable_by(at, f32::total_cmp).1
}

pub fn middle(values: &mut [f32]) -> f32 {
    quantile(values, 0.5)
}

/// The cells beside a cell, those at its corners included.
pub fn neighbours(cell: usize) -> impl Iterator<Item = usize> {
    let (x, y) = (cell % CELLS_X, cell / CELLS_X);
    let rows = y.saturating_sub(1)..(y + 2).min(CELLS / CELLS_X);
    let columns = x.saturating_sub(1)..(x + 2).min(CELLS_X);
    rows.flat_map(move |y| columns.clone().map(move |x| y * CELLS_X + x)).filter(move |&it| it != cell)
}
