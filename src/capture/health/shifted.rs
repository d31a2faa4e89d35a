//! Whether a picture is the scene, seen from beside: where a camera was pushed aside, what is still in view lies
//! elsewhere.
//!
//! In: the scene's edges and a still's. Out: whether most of what can still be in view is there, all of it shifted
//! alike. It knows nothing of zooms and small turns, after which nothing fits anywhere.

use super::glance::{COLUMNS, ROWS};
use super::still::{Edges, Slope};
use super::view::View;

/// Shifts are searched for at half the points, over so many of them either way: 45 % of the picture's sides.
const COARSE_COLUMNS: usize = COLUMNS / 2;
const COARSE_ROWS: usize = ROWS / 2;
const FAR_X: i32 = 36;
const FAR_Y: i32 = 20;
/// So many of the scene's strongest edges tell where it lies.
const STRONGEST: usize = 500;
/// Nearer ones are a shake.
const NEAR: i32 = 3;
/// So much of the scene's edges must still be in view after a shift.
const IN_VIEW: f32 = 0.35;
/// How well they go together with the picture at least (1 is the same, 0 by chance).
const TOGETHER: f32 = 0.4;
/// Of the cells that are in view, at least so many and such a share must be as they were.
const CELLS_IN_VIEW: usize = 8;
const AS_THEY_WERE: f32 = 0.5;

/// Whether a still shows the scene, shifted.
pub fn shifted(edges: &Edges, view: &View) -> bool {
    let scene = coarse(view.slopes());
    let still = coarse(&edges.slopes);
    let mut on_edges: Vec<usize> = (0..scene.len()).filter(|&at| scene[at] != (0.0, 0.0)).collect();
    on_edges.sort_unstable_by(|&a, &b| square(scene[b]).total_cmp(&square(scene[a])));
    on_edges.truncate(STRONGEST);
    let whole: f32 = on_edges.iter().map(|&at| square(scene[at])).sum();
    let mut best = (TOGETHER, None);
    for down in -FAR_Y..=FAR_Y {
        for across in -FAR_X..=FAR_X {
            if across.abs() < NEAR && down.abs() < NEAR {
                continue;
            }
            let [mut both, mut there, mut here] = [0.0, f32::EPSILON, f32::EPSILON];
            for &at in &on_edges {
                let (x, y) = ((at % COARSE_COLUMNS) as i32 + across, (at / COARSE_COLUMNS) as i32 + down);
                if !(0..COARSE_COLUMNS as i32).contains(&x) || !(0..COARSE_ROWS as i32).contains(&y) {
                    continue;
                }
                let (a, b) = (scene[at], still[y as usize * COARSE_COLUMNS + x as usize]);
                both += a.0 * b.0 + a.1 * b.1;
                here += square(a);
                there += square(b);
            }
            let together = both / (here * there).sqrt();
            if here >= IN_VIEW * whole && together > best.0 {
                best = (together, Some((2 * across, 2 * down)));
            }
        }
    }
    let Some(shift) = best.1 else { return false };
    let (kept, in_view) = view.kept_at(edges, shift);
    in_view >= CELLS_IN_VIEW && kept as f32 >= AS_THEY_WERE * in_view as f32
}

/// Slopes at half the points.
fn coarse(slopes: &[Slope]) -> Vec<Slope> {
    let mut sums = vec![(0.0, 0.0); COARSE_COLUMNS * COARSE_ROWS];
    for (point, (x, y)) in slopes.iter().enumerate() {
        let sum = &mut sums[point / COLUMNS / 2 * COARSE_COLUMNS + point % COLUMNS / 2];
        *sum = (sum.0 + x, sum.1 + y);
    }
    sums
}

fn square((x, y): Slope) -> f32 {
    x * x + y * y
}
