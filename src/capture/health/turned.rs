//! Whether a picture is the scene, turned: upside down or on its side.
//!
//! In: a still, its picture's size, the scene. Out: by how much it is turned. On its side it may fill a picture whose
//! sides changed places, be cut off at the old ones (a camera that was turned itself), be squeezed into them, or have
//! black bars.

use faces::picture::Turn;

use super::glance::{COLUMNS, POINTS, ROWS};
use super::scene::Scene;
use super::still::{Edges, Still};
use super::view::View;

/// A turned scene has at least so many cells with structure; with fewer nothing is said.
const ENOUGH: usize = 12;
/// So much of its structure must be where the turn puts it, and so much more of it than without the turn.
const IN_PLACE: f32 = 0.5;
const BETTER: f32 = 0.25;

/// By how much a still is turned, clockwise; `kept` is the share of the scene that is in its place as it is.
pub fn turned(still: &Still, (width, height): (u32, u32), scene: &Scene, kept: f32) -> Option<Turn> {
    let aspect = width as f32 / height.max(1) as f32;
    let half = (Turn::Half, [1.0, 1.0]);
    let quarters = [[1.0, 1.0], [1.0 / aspect, aspect], [1.0, aspect * aspect]]
        .into_iter()
        .flat_map(|scale| [(Turn::Quarter, scale), (Turn::ThreeQuarters, scale)]);
    std::iter::once(half).chain(quarters).find_map(|(turn, scale)| {
        let view = view(scene, turn, scale);
        let matched = view.matched(&still.edges);
        (view.structured() >= ENOUGH && matched.kept() >= IN_PLACE.max(kept + BETTER)).then_some(turn)
    })
}

/// The scene's edges, turned about its middle. A quarter turn puts what is `y` of the way down at `scale[0] * y` across
/// (from the middle, in shares of the sides), and what is `x` across at `scale[1] * x` down.
fn view(scene: &Scene, turn: Turn, scale: [f32; 2]) -> View {
    let mut outside = vec![false; POINTS];
    let mut log = vec![0.0; POINTS];
    for (point, value) in log.iter_mut().enumerate() {
        let x = ((point % COLUMNS) as f32 + 0.5) / COLUMNS as f32 - 0.5;
        let y = ((point / COLUMNS) as f32 + 0.5) / ROWS as f32 - 0.5;
        let (from_x, from_y) = match turn {
            Turn::Half => (-x, -y),
            Turn::Quarter => (scale[0] * y, -scale[1] * x),
            Turn::ThreeQuarters => (-scale[0] * y, scale[1] * x),
        };
        outside[point] = from_x.abs() > 0.5 || from_y.abs() > 0.5;
        *value = between(scene.log(), (from_x + 0.5) * COLUMNS as f32 - 0.5, (from_y + 0.5) * ROWS as f32 - 0.5);
    }
    let edges = Edges::of_logs(log, |_| 0.0);
    // The slope at the picture's end is that to what is beside it.
    let beside =
        |point: usize| outside[point - 1] || outside[point + 1] || outside[point - COLUMNS] || outside[point + COLUMNS];
    View::new(&edges.slopes, |point, _| !outside[point] && !beside(point))
}

/// The value between four points.
fn between(values: &[f32], x: f32, y: f32) -> f32 {
    let (x, y) = (x.clamp(0.0, (COLUMNS - 1) as f32), y.clamp(0.0, (ROWS - 1) as f32));
    let (left, top) = ((x as usize).min(COLUMNS - 2), (y as usize).min(ROWS - 2));
    let (right, down) = (x - left as f32, y - top as f32);
    let at = |column: usize, row: usize| values[(top + row) * COLUMNS + left + column];
    let row = |row: usize| at(0, row) * (1.0 - right) + at(1, row) * right;
    row(0) * (1.0 - down) + row(1) * down
}
