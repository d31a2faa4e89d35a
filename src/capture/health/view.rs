//! Where a view has its edges, and whether a still has them there as well.
//!
//! In: slopes of a reference, and a still. Out: a [`Match`], cell by cell. A few hundredths of the picture's width to
//! either side do not matter: wind and passing trucks shake a camera.

use super::glance::{CELLS, COLUMNS, POINTS, ROWS, cell_of};
use super::still::{Edges, Slope};

/// A point is on an edge where brightness changes by this share a point.
const EDGE: f32 = 0.04;
/// Points on an edge that make a cell's structure.
const STRUCTURE: u16 = 6;
/// A cell is as it was where its slopes and those of the reference go together at least so well (1 is the same, 0 by
/// chance), and are not much weaker: whatever still shines through a cover is below a quarter.
const ALIKE: f32 = 0.5;
const FAINT: f32 = 0.25;
/// How far a picture may be shaken, in points: 2.5 % of its width, 3.3 % of its height.
const SHAKEN_X: i32 = 4;
const SHAKEN_Y: i32 = 3;
/// One point of so many tells how it is shaken.
const ONE_OF: usize = 4;
/// Pictures that go together so well are not looked at for a shake.
const UNSHAKEN: f32 = 0.8;
/// What a shake must explain better, so that no picture of stripes seems to be shaken.
const BETTER: f32 = 0.02;

/// The edges of a reference.
#[derive(Debug, Clone)]
pub struct View {
    /// To the right and down, where there are edges.
    slopes: Vec<Slope>,
    /// The points on its edges, and how many of them are in each cell.
    points: Vec<u32>,
    in_cell: [u16; CELLS],
}

/// What became of one cell's structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// There was none, and is none.
    Plain,
    /// It is there.
    Kept,
    /// Nothing is there any more.
    Lost,
    /// Something else is there.
    Replaced,
    /// There was none.
    Added,
}

/// How a still compares with a view.
#[derive(Debug)]
pub struct Match {
    pub fates: [Fate; CELLS],
}

impl View {
    /// The view with these slopes; `steady` says of a point and its slope's size whether it is
    /// always there.
    pub fn new(slopes: &[Slope], steady: impl Fn(usize, f32) -> bool) -> Self {
        let mut on_edges = vec![(0.0, 0.0); POINTS];
        let mut points = Vec::new();
        let mut in_cell = [0; CELLS];
        for point in 0..POINTS {
            let size = slopes[point].0.hypot(slopes[point].1);
            if size > EDGE && steady(point, size) {
                on_edges[point] = slopes[point];
                points.push(point as u32);
                in_cell[cell_of(point)] += 1;
            }
        }
        Self { slopes: on_edges, points, in_cell }
    }

    pub fn structure(&self, cell: usize) -> bool {
        self.in_cell[cell] >= STRUCTURE
    }

    /// How many cells have structure.
    pub fn structured(&self) -> usize {
        (0..CELLS).filter(|&cell| self.structure(cell)).count()
    }

    /// The slope of each point on its edges, nothing elsewhere.
    pub fn slopes(&self) -> &[Slope] {
        &self.slopes
    }

    /// Compares a still, where it lies best.
    pub fn matched(&self, edges: &Edges) -> Match {
        let mut best = (self.alike(edges, (0, 0), ONE_OF), (0, 0));
        if best.0 < UNSHAKEN {
            for down in -SHAKEN_Y..=SHAKEN_Y {
                for across in -SHAKEN_X..=SHAKEN_X {
                    let alike = self.alike(edges, (across, down), ONE_OF);
                    if alike > best.0 + BETTER {
                        best = (alike, (across, down));
                    }
                }
            }
        }
        let cells = self.laid(edges, best.1);
        let fates = std::array::from_fn(|cell| match (self.structure(cell), edges.shape(cell)) {
            (true, _) if cells[cell].kept() => Fate::Kept,
            (true, true) => Fate::Replaced,
            (true, false) => Fate::Lost,
            (false, true) => Fate::Added,
            (false, false) => Fate::Plain,
        });
        Match { fates }
    }

    /// Of the cells that are in view when a still is laid over the view so many points to the left and up, or one more
    /// or less: how many are kept, and how many there are.
    pub fn kept_at(&self, edges: &Edges, (across, down): (i32, i32)) -> (usize, usize) {
        let around = (-1..=1).flat_map(|y| (-1..=1).map(move |x| (across + x, down + y)));
        let alike = |to: &(i32, i32)| self.alike(edges, *to, 1);
        let best = around.max_by(|a, b| alike(a).total_cmp(&alike(b))).unwrap_or((across, down));
        let cells = self.laid(edges, best);
        let in_view = || (0..CELLS).filter(|&cell| self.structure(cell) && cells[cell].view > 0.0);
        (in_view().filter(|&cell| cells[cell].kept()).count(), in_view().count())
    }

    /// How well one slope of so many goes together when a still is laid over the view: 1 is the same, 0 by chance.
    fn alike(&self, edges: &Edges, to: (i32, i32), one_of: usize) -> f32 {
        let mut sums = Sums::default();
        self.lay(edges, to, one_of, |_, both| sums.add(both));
        sums.both / (sums.still * sums.view).sqrt().max(f32::EPSILON)
    }

    /// The same, cell by cell.
    fn laid(&self, edges: &Edges, to: (i32, i32)) -> [Sums; CELLS] {
        let mut cells = [Sums::default(); CELLS];
        self.lay(edges, to, 1, |point, both| cells[cell_of(point)].add(both));
        cells
    }

    /// Lays a still over the view, so many points to the left and up: each point of the view, with the slopes of the
    /// still and of the view there.
    fn lay(&self, edges: &Edges, (across, down): (i32, i32), one_of: usize, mut each: impl FnMut(usize, [Slope; 2])) {
        for &point in self.points.iter().step_by(one_of) {
            let point = point as usize;
            let (x, y) = ((point % COLUMNS) as i32 + across, (point / COLUMNS) as i32 + down);
            if (0..COLUMNS as i32).contains(&x) && (0..ROWS as i32).contains(&y) {
                each(point, [edges.slopes[y as usize * COLUMNS + x as usize], self.slopes[point]]);
            }
        }
    }
}

/// Sums of products of slopes, of a still and of a view.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    both: f32,
    still: f32,
    view: f32,
}

impl Sums {
    fn add(&mut self, [still, view]: [Slope; 2]) {
        self.both += still.0 * view.0 + still.1 * view.1;
        self.still += still.0 * still.0 + still.1 * still.1;
        self.view += view.0 * view.0 + view.1 * view.1;
    }

    /// Whether what is there is what was there.
    fn kept(&self) -> bool {
        self.both > ALIKE * (self.still * self.view).sqrt() && self.still > FAINT * FAINT * self.view
    }
}

impl Match {
    /// How many cells had such a fate.
    pub fn count(&self, fate: Fate) -> usize {
        self.fates.iter().filter(|&&it| it == fate).count()
    }

    /// How many cells have structure in the view.
    pub fn structured(&self) -> usize {
        self.count(Fate::Kept) + self.count(Fate::Lost) + self.count(Fate::Replaced)
    }

    /// How many have a shape where the view had none, or another one.
    pub fn fresh(&self) -> usize {
        self.count(Fate::Replaced) + self.count(Fate::Added)
    }

    /// The share of the view's structure that is where it was.
    pub fn kept(&self) -> f32 {
        self.count(Fate::Kept) as f32 / self.structured().max(1) as f32
    }
}
