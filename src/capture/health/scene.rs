//! What a camera shows when all is well, learned from its stills: where its edges always are, and how sharp.
//!
//! In: stills to learn from, and stills to compare. Out: a [`Likeness`]. It forgets slowly, so that it follows the
//! seasons, new furniture and the sun, and keeps nothing of people who pass. It knows no faults.

use super::glance::{CELLS, POINTS, cell_of};
use super::still::{Slope, Still, middle, quantile};
use super::view::{Fate, Match, View};

/// Stills after which a scene may be compared with: 20 s.
const ENOUGH: u32 = 10;
/// And after which it is more than whoever stood in front when the camera was turned on: a minute.
const MATURE: u32 = 30;
/// A scene is the mean of so many stills, five minutes: somebody who stands still for a minute is a faint part of it.
const MEMORY: u32 = 150;
/// What differs from the scene is learned more slowly, over 20 minutes: a door that stood open for a while is not
/// missed when it is closed again.
const SLOWLY: f32 = 1.0 / 600.0;
/// An edge belongs to the scene where it is there most of the time, and not where people move.
const STEADY: f32 = 0.7;
/// Changes of brightness are the same within this (a logarithm: 8 %).
const SHARED: f32 = 0.08;
/// Sharpness is that of so many cells at least, which are as bright as they were against the rest (a logarithm).
const FINEST: usize = 4;
const AS_LIT: f32 = 0.2;
/// A cell whose structure is kept counts as so many plain ones.
const KEPT_COUNTS: u32 = 6;

/// A learned scene.
#[derive(Debug, Clone)]
pub struct Scene {
    stills: u32,
    slopes: Vec<Slope>,
    /// Mean of the slopes' size: larger than that of their mean where they come and go.
    size: Vec<f32>,
    log: Vec<f32>,
    strong: [f32; CELLS],
    fine: [f32; CELLS],
    logs: [f32; CELLS],
    view: View,
}

/// How a still compares with a scene.
#[derive(Debug)]
pub struct Likeness {
    pub matched: Match,
    /// The brightness of each cell against that of the scene, as a logarithm, without what is brighter over all.
    pub lit: [f32; CELLS],
    /// What is brighter over all.
    pub brighter: f32,
    /// The cells' contrast over all against the scene's, and how well their brightness goes together (1 is the same).
    pub contrast: f32,
    pub pattern: f32,
    /// How fine its edges are where the scene's are finest; 1 as fine.
    pub sharpness: f32,
    /// How strong the edges of its cells are against the scene's; 1 as strong.
    pub strength: f32,
    /// Whether the scene was learned for long enough for its edges not to be those of somebody who stood there.
    pub mature: bool,
}

impl Scene {
    pub fn new(still: &Still) -> Self {
        let edges = &still.edges;
        let mut scene = Self {
            stills: 0,
            slopes: vec![(0.0, 0.0); POINTS],
            size: vec![0.0; POINTS],
            log: vec![0.0; POINTS],
            strong: [0.0; CELLS],
            fine: [0.0; CELLS],
            logs: [0.0; CELLS],
            view: View::new(&edges.slopes, |_, _| true),
        };
        scene.learn(still);
        scene
    }

    /// Takes a still into the mean.
    pub fn learn(&mut self, still: &Still) {
        let same: [bool; CELLS] = if self.ready() {
            self.view.matched(&still.edges).fates.map(|fate| matches!(fate, Fate::Kept | Fate::Plain))
        } else {
            [true; CELLS]
        };
        self.stills = (self.stills + 1).min(MEMORY);
        let share = 1.0 / self.stills as f32;
        let shares = same.map(|same| if same { share } else { share.min(SLOWLY) });
        let edges = &still.edges;
        for point in 0..POINTS {
            let share = shares[cell_of(point)];
            let (x, y) = edges.slopes[point];
            let mean = &mut self.slopes[point];
            *mean = (mean.0 + (x - mean.0) * share, mean.1 + (y - mean.1) * share);
            self.size[point] += (x.hypot(y) - self.size[point]) * share;
            self.log[point] += (edges.log[point] - self.log[point]) * share;
        }
        for (cell, share) in shares.into_iter().enumerate() {
            self.strong[cell] += (still.moment.strong[cell] - self.strong[cell]) * share;
            self.fine[cell] += (still.moment.fine[cell] - self.fine[cell]) * share;
            self.logs[cell] += (still.logs[cell] - self.logs[cell]) * share;
        }
        let size = &self.size;
        self.view = View::new(&self.slopes, |point, steady| steady > STEADY * size[point]);
    }

    /// Whether enough was learned to compare with.
    pub fn ready(&self) -> bool {
        self.stills >= ENOUGH
    }

    pub fn view(&self) -> &View {
        &self.view
    }

    /// Logarithm of the brightness of each point.
    pub fn log(&self) -> &[f32] {
        &self.log
    }

    pub fn compare(&self, still: &Still) -> Likeness {
        let matched = self.view.matched(&still.edges);
        let change: [f32; CELLS] = std::array::from_fn(|cell| still.logs[cell] - self.logs[cell]);
        let brighter = most_common(&change, &matched);
        let lit = change.map(|change| change - brighter);
        let (contrast, pattern) = compared(&still.logs, &self.logs);
        Likeness {
            matched,
            brighter,
            contrast,
            pattern,
            sharpness: self.sharpness(still, &lit),
            strength: self.strength(still),
            mature: self.stills >= MATURE,
            lit,
        }
    }

    /// Of the cells with structure the finer half: how fine they are now, where nothing seems to be in front of them.
    fn sharpness(&self, still: &Still, lit: &[f32; CELLS]) -> f32 {
        let structured = || (0..CELLS).filter(|&cell| self.view.structure(cell));
        let fineness = |cell: usize| self.fine[cell] / self.strong[cell].max(f32::EPSILON);
        let enough = quantile(&mut structured().map(fineness).collect::<Vec<_>>(), 0.5);
        let told = |cell: usize| lit[cell].abs() < AS_LIT && still.moment.distinct(cell, self.strong[cell]);
        let finest = structured().filter(|&cell| fineness(cell) >= enough && told(cell));
        let ratio = |cell: usize| (still.moment.fine[cell] / self.fine[cell].max(f32::EPSILON)).sqrt();
        let mut ratios: Vec<f32> = finest.map(ratio).collect();
        if ratios.len() < FINEST { 1.0 } else { middle(&mut ratios) }
    }

    fn strength(&self, still: &Still) -> f32 {
        let structured = (0..CELLS).filter(|&cell| self.view.structure(cell));
        let ratio = |cell: usize| (still.moment.strong[cell] / self.strong[cell].max(f32::EPSILON)).sqrt();
        middle(&mut structured.map(ratio).collect::<Vec<_>>())
    }
}

/// The change of brightness that most cells share, those with structure that is kept before all: a part that is covered
/// changes in many ways.
fn most_common(change: &[f32; CELLS], matched: &Match) -> f32 {
    let weight = |cell: usize| match matched.fates[cell] {
        Fate::Kept => KEPT_COUNTS,
        Fate::Plain => 1,
        _ => 0,
    };
    let sharing = |with: usize| -> u32 {
        (0..CELLS).filter(|&cell| (change[cell] - change[with]).abs() < SHARED).map(weight).sum()
    };
    (0..CELLS).max_by_key(|&cell| sharing(cell)).map_or(0.0, |cell| change[cell])
}

/// The deviation of the first from its mean against that of the second, and their correlation.
fn compared(now: &[f32; CELLS], then: &[f32; CELLS]) -> (f32, f32) {
    let mean = |values: &[f32; CELLS]| values.iter().sum::<f32>() / CELLS as f32;
    let (mean_now, mean_then) = (mean(now), mean(then));
    let mut sums = [f32::EPSILON; 3];
    for (now, then) in now.iter().zip(then) {
        let (now, then) = (now - mean_now, then - mean_then);
        sums[0] += now * now;
        sums[1] += then * then;
        sums[2] += now * then;
    }
    ((sums[0] / sums[1]).sqrt(), sums[2] / (sums[0] * sums[1]).sqrt())
}
