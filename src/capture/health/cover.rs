//! Whether a part of the lens is covered: a plain part where there was more.
//!
//! In: a still, alone or with its likeness to the scene. Out: whether something flat covers a part of it, and the rest
//! is what it was. Somebody who stands in front is not flat all over, and brings shapes of their own beside what is
//! hidden.

use super::glance::{CELLS, CELLS_X};
use super::scene::Likeness;
use super::still::{Still, neighbours};
use super::view::Fate;

/// A cover hides at least a fifth of the picture: less looks like a dark coat.
const COVERS: f32 = CELLS as f32 / 5.0;
/// Brightness has changed where it differs by this logarithm (a fifth) from what changed everywhere.
const OTHERWISE_LIT: f32 = 0.2;
/// What hides shapes hides at least this share of all, and so many.
const HIDES: f32 = 0.1;
const HIDES_CELLS: f32 = 4.0;
/// It has a border of its own: along so much of that there are shapes, or a step in brightness (as a logarithm: a
/// tenth). Somebody who was part of the scene and walks away leaves a plain wall as well, but it goes on beside them.
const ENDS: f32 = 0.6;
const STEP: f32 = 0.1;
/// Its border is out of focus where it is close to the lens: such fine edges at most belong to it; see `fineness` of
/// its edges.
const SOFT_BORDER: f32 = 0.8;
/// Of what it does not hide so much is in its place.
const REST_IN_PLACE: f32 = 0.6;
/// What is new beside it is at most this share of it: a head and hands are more.
const NEW_BESIDE: f32 = 0.25;
/// What is as dark or bright as this is hidden by the night or the sun as well as by a cover, unless the rest is as
/// bright as ever (as a logarithm: within a third).
const BLACK_LEVEL: f32 = 20.0;
const WHITE_LEVEL: f32 = 245.0;
const AS_BRIGHT: f32 = 0.4;

/// A cover over nearly everything: what is lost at least, what is kept and what is new and sharp at most, of the
/// scene's structure.
const LOST: f32 = 0.6;
const LEFT: f32 = 0.25;
const SHARP_NEW: f32 = 0.25;

/// All of these may be missed by this much where it was covered already.
const ALREADY: f32 = 1.35;

/// Without a scene, a cover is told by being flatter than any wall: its cells alike within a level and this share of
/// their brightness, over so many cells, along a whole side.
const FLAT_LEVELS: f32 = 0.6;
const FLAT_SHARE: f32 = 0.006;
const FLAT_CELLS: usize = CELLS * 2 / 5;
/// Brighter is the sky, and darker the night, unless the rest of the picture is as bright as day.
const NIGHT: f32 = 8.0;
const DAY: f32 = 70.0;

/// Whether something covers a part of what the scene shows, or all of it.
/// `already` says that it was so.
pub fn hides(still: &Still, likeness: &Likeness, already: bool) -> bool {
    let tolerance = if already { ALREADY } else { 1.0 };
    let matched = &likeness.matched;
    let as_bright = likeness.brighter.abs() < AS_BRIGHT;
    let covered = |cell: usize| {
        let plain = match matched.fates[cell] {
            Fate::Kept => false,
            Fate::Lost => true,
            Fate::Plain => otherwise_lit(likeness, cell),
            Fate::Replaced | Fate::Added => otherwise_lit(likeness, cell) && soft(still, cell),
        };
        plain && still.levels[cell] < WHITE_LEVEL && (as_bright || still.levels[cell] > BLACK_LEVEL)
    };
    let hides = (matched.structured() as f32 * HIDES).max(HIDES_CELLS);
    let hidden = |part: &[usize]| part.iter().filter(|&&cell| matched.fates[cell] == Fate::Lost).count() as f32;
    let is_cover = |part: &Vec<usize>| {
        part.len() as f32 * tolerance >= COVERS
            && hidden(part) * tolerance >= hides
            && ends(still, part, tolerance)
            && rest_is_there(likeness, part, tolerance)
    };
    parts(covered).iter().any(is_cover) || hides_all(still, likeness, tolerance)
}

/// Whether a part has a border, instead of going on beside itself.
fn ends(still: &Still, part: &[usize], tolerance: f32) -> bool {
    let beside = around(part);
    let ends = beside.iter().filter(|&&cell| {
        let step = |it: &usize| (still.logs[*it] - still.logs[cell]).abs() > STEP;
        still.edges.shape(cell) || neighbours(cell).filter(|it| part.contains(it)).any(|it| step(&it))
    });
    ends.count() as f32 * tolerance >= ENDS * beside.len() as f32
}

/// Whether what is not covered is as it was. The cover's border may lie between two rows of cells, and be in both.
fn rest_is_there(likeness: &Likeness, part: &[usize], tolerance: f32) -> bool {
    let fates = &likeness.matched.fates;
    let wide = [part, &around(part)].concat();
    let wide = [wide.as_slice(), &around(&wide)].concat();
    let rest = || (0..CELLS).filter(|cell| !wide.contains(cell));
    let new = rest().filter(|&cell| matches!(fates[cell], Fate::Replaced | Fate::Added)).count();
    let in_place = rest().filter(|&cell| match fates[cell] {
        Fate::Kept => true,
        Fate::Plain => !otherwise_lit(likeness, cell),
        Fate::Lost | Fate::Replaced | Fate::Added => false,
    });
    let enough = in_place.count() as f32 * tolerance >= REST_IN_PLACE * rest().count() as f32;
    enough && new as f32 <= NEW_BESIDE * part.len() as f32 * tolerance
}

/// Whether hardly anything of the scene is left, and nothing sharp came in its place.
fn hides_all(still: &Still, likeness: &Likeness, tolerance: f32) -> bool {
    let matched = &likeness.matched;
    let new = |cell: &usize| matches!(matched.fates[*cell], Fate::Replaced | Fate::Added);
    let sharp = (0..CELLS).filter(new).filter(|&cell| !soft(still, cell)).count() as f32;
    let structured = matched.structured() as f32;
    matched.count(Fate::Lost) as f32 * tolerance >= LOST * structured
        && matched.kept() <= LEFT * tolerance
        && sharp <= SHARP_NEW * structured * tolerance
}

fn otherwise_lit(likeness: &Likeness, cell: usize) -> bool {
    likeness.lit[cell].abs() > OTHERWISE_LIT
}

fn soft(still: &Still, cell: usize) -> bool {
    still.edges.fineness(cell) < SOFT_BORDER
}

/// Whether a part of the picture is flatter than anything but a cover.
pub fn flat(still: &Still) -> bool {
    let plain = |cell: usize| !still.edges.shape(cell);
    (0..CELLS).filter(|&cell| plain(cell) && at_edge(cell)).any(|seed| {
        let level = still.levels[seed];
        if level > WHITE_LEVEL {
            return false;
        }
        let alike = |cell: usize| (still.levels[cell] - level).abs() < FLAT_LEVELS + FLAT_SHARE * level;
        let Some(part) = parts(|cell| plain(cell) && alike(cell)).into_iter().find(|part| part.contains(&seed)) else {
            return false;
        };
        let rest = (0..CELLS).filter(|cell| !part.contains(cell)).map(|cell| still.levels[cell]);
        let rest_level = rest.sum::<f32>() / (CELLS - part.len()).max(1) as f32;
        part.len() >= FLAT_CELLS && (level > NIGHT || rest_level > DAY) && along_a_side(&part)
    })
}

/// The connected parts of the cells that are meant.
fn parts(meant: impl Fn(usize) -> bool) -> Vec<Vec<usize>> {
    let mut left: [bool; CELLS] = std::array::from_fn(meant);
    let mut parts = Vec::new();
    for seed in 0..CELLS {
        if !std::mem::take(&mut left[seed]) {
            continue;
        }
        let mut part = vec![seed];
        let mut done = 0;
        while let Some(&cell) = part.get(done) {
            done += 1;
            let beside =
                neighbours(cell).filter(|&it| it % CELLS_X == cell % CELLS_X || it / CELLS_X == cell / CELLS_X);
            part.extend(beside.filter(|&it| std::mem::take(&mut left[it])));
        }
        parts.push(part);
    }
    parts
}

/// The cells around a part.
fn around(part: &[usize]) -> Vec<usize> {
    let mut around: Vec<usize> =
        part.iter().flat_map(|&cell| neighbours(cell)).filter(|it| !part.contains(it)).collect();
    around.sort_unstable();
    around.dedup();
    around
}

fn at_edge(cell: usize) -> bool {
    let (x, y) = (cell % CELLS_X, cell / CELLS_X);
    x == 0 || y == 0 || x + 1 == CELLS_X || y + 1 == CELLS / CELLS_X
}

fn along_a_side(part: &[usize]) -> bool {
    let rows = CELLS / CELLS_X;
    let count = |on: &dyn Fn(usize) -> bool| part.iter().filter(|&&cell| on(cell)).count();
    count(&|cell| cell % CELLS_X == 0) == rows
        || count(&|cell| cell % CELLS_X + 1 == CELLS_X) == rows
        || count(&|cell| cell / CELLS_X == 0) == CELLS_X
        || count(&|cell| cell / CELLS_X + 1 == rows) == CELLS_X
}
