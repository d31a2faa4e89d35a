//! What one still shows: the first fault that fits, the surest first.
//!
//! In: a still, the fault that is believed, and its likeness to the scene where one was learned. Out: a [`Sight`]. Each
//! fault begins at one threshold and ends at another, so that a picture at a threshold is not now this, now that.

use std::time::Duration;

use faces::picture::Turn;

use super::Lens;
use super::belief::Sight;
use super::cover;
use super::glance::{CELLS, CELLS_X, CELLS_Y, POINTS};
use super::scene::Likeness;
use super::still::{SOFT, Still, quantile};
use super::view::Fate;

/// A number that makes a fault when it is small: below `begins`, and until it is above `ends`.
struct Low {
    begins: f32,
    ends: f32,
}

impl Low {
    fn is(&self, value: f32, already: bool) -> bool {
        value < if already { self.ends } else { self.begins }
    }
}

/// The brightness of the brightest tenth of the picture. In the test clips made a quarter as bright (40 to 54) YuNet-n
/// still finds some of the faces, at an eighth (19 to 26) none that can be recognised. A street at night with a lit
/// doorway in view is above.
const LIT: Low = Low { begins: 30.0, ends: 36.0 };
/// The share of the picture that is not white. Twice as bright as they were (0.18 to 0.69), the test clips' faces are
/// still recognised.
const NOT_WHITE: Low = Low { begins: 0.15, ends: 0.25 };
/// The same where little of the scene's contrast is left, or of its structure: there the rest is nearly white.
const WHITE_KEEPS: f32 = 0.6;
const NOT_WHITE_OF_FAINT: Low = Low { begins: 0.5, ends: 0.6 };
/// Contrast against the scene's. Through fog that leaves 30 % (0.20 to 0.28 of the logarithms' contrast) one of seven
/// faces was found. At an eighth of its brightness a clip still has 0.48.
const CONTRAST: Low = Low { begins: 0.3, ends: 0.38 };
/// Strength of the edges against the scene's: through such fog it is 0.35 at most.
const VEILED: f32 = 0.45;
/// Brightness that shows nothing any more.
const WHITE: f32 = 250.0;
/// Cells with shapes. The plainest clip has 39; burnt-in text on a covered lens makes some.
const SHAPES: Low = Low { begins: 4.0, ends: 8.0 };
/// How well brightness goes together with the scene's where it is the same scene.
const SAME: f32 = 0.85;
/// And where it is not: a hand, a ramp of light through a bag.
const OTHER: f32 = 0.6;
/// The contrast that a blurred scene keeps; blurred by 8 % of its width a clip keeps 0.68 to 0.89.
const BLUR_KEEPS: f32 = 0.55;
/// How fine the edges are of the cells with the finest quarter; see there.
const FINE: Low = Low { begins: SOFT, ends: 0.65 };
const FINE_OF: f32 = 0.75;
/// With fewer cells that can be told from noise nothing is said.
const DISTINCT: usize = 4;
/// The same against the scene's edges: by 0.3 % 0.48 to 0.82, by 0.8 % 0.07 to 0.26, by 1.2 % 0 to 0.14. It is not
/// misled by burnt-in text, which is sharp whatever the lens does.
const SHARPNESS: Low = Low { begins: 0.18, ends: 0.3 };
/// The share of the scene's structure that is where it was. It was 0.56 at least in the test clips, with people and
/// hands in view; moved by 15 % of the width it was 0.4 at most, and by chance a tenth.
const KEPT: Low = Low { begins: 0.45, ends: 0.55 };
/// Where it is not to be found shifted or turned either: what is kept at most, over a large part of the picture, and of
/// twelve parts of the picture how many may be intact. People hide the middle, and leave the rest; and where all there
/// is to see was one person, it may be another now.
const GONE: f32 = 0.35;
const MUCH_STRUCTURE: usize = CELLS * 2 / 5;
const INTACT: f32 = 0.12;
const PART_INTACT: f32 = 0.7;
const PART_STRUCTURE: usize = 3;
const PARTS_X: usize = 4;
const PARTS_Y: usize = 3;
/// What is new in a moved picture, against the scene's structure: less is a scene that something hides.
const NEW: f32 = 0.4;
/// A scene with less structure says nothing of what moved or is hidden.
const STRUCTURE: usize = 12;
/// Another lamp shows other edges: a picture that much brighter or darker (as a logarithm: 1.8 times) has not moved.
const OTHER_LIGHT: f32 = 0.6;

/// Somebody who tries the light switch, headlights, a hand before the lens.
const LIGHT_AFTER: Duration = Duration::from_secs(12);
/// A truck that stops in front, a door that is held open.
pub const SCENE_AFTER: Duration = Duration::from_secs(24);

/// A still, and what is known beside it.
pub struct Look<'a> {
    pub still: &'a Still,
    pub believed: Lens,
    pub frozen: bool,
    pub scene: Option<&'a Likeness>,
    /// The scene was learned by light of another kind, and looks like another place by this.
    pub other_light: bool,
}

impl Look<'_> {
    /// What the still shows; `None` where that cannot be known. `turned` and `shifted` find out whether and how the
    /// scene is somewhere else in the picture.
    pub fn sight(&self, turned: impl FnOnce() -> Option<Turn>, shifted: impl FnOnce() -> bool) -> Option<Sight> {
        let fault = |lens, after| Some(Sight { lens, after });
        if let Some(lens) = self.light() {
            return fault(lens, LIGHT_AFTER);
        }
        if let Some(lens) = self.shapeless() {
            return fault(lens, SCENE_AFTER);
        }
        if self.veiled() {
            return fault(Lens::Covered, SCENE_AFTER);
        }
        if let Some(lens) = self.soft() {
            return fault(lens, SCENE_AFTER);
        }
        let clear = fault(if self.frozen { Lens::Frozen } else { Lens::Clear }, Duration::ZERO);
        let Some(scene) = self.scene else {
            return if cover::flat(self.still) { fault(Lens::Covered, SCENE_AFTER) } else { clear };
        };
        if self.other_light {
            // Neither is known then: whether a fault is there, and whether it is over.
            return clear.filter(|_| !matches!(self.believed, Lens::Covered | Lens::Moved | Lens::Turned(_)));
        }
        if scene.matched.structured() < STRUCTURE {
            return clear;
        }
        if cover::hides(self.still, scene, self.believed == Lens::Covered) {
            return fault(Lens::Covered, SCENE_AFTER);
        }
        if !self.displaced(scene) {
            return clear;
        }
        if self.is_elsewhere() {
            // Until the scene is back, nothing else is asked.
            return fault(self.believed, SCENE_AFTER);
        }
        match turned() {
            Some(turn) => fault(Lens::Turned(turn), SCENE_AFTER),
            None if elsewhere(scene) || shifted() => fault(Lens::Moved, SCENE_AFTER),
            None => clear,
        }
    }

    /// Too little or too much light.
    fn light(&self) -> Option<Lens> {
        if LIT.is(self.still.level(0.9), self.believed == Lens::Dark) {
            return Some(Lens::Dark);
        }
        let white = self.still.light.iter().filter(|&&light| light > WHITE).count() as f32 / POINTS as f32;
        let already = self.believed == Lens::Overexposed;
        let faint = self.scene.is_some_and(|scene| CONTRAST.is(scene.contrast, already));
        let gone = self.scene.is_some_and(|scene| scene.matched.kept() < WHITE_KEEPS);
        let not_white = if faint || gone { NOT_WHITE_OF_FAINT } else { NOT_WHITE };
        not_white.is(1.0 - white, already).then_some(Lens::Overexposed)
    }

    /// Nothing has a shape, and the scene has.
    fn shapeless(&self) -> Option<Lens> {
        let shapes = self.still.edges.shapes() as f32;
        let already = matches!(self.believed, Lens::Covered | Lens::Blurred);
        if !SHAPES.is(shapes, already) || self.scene.is_some_and(|scene| scene.matched.structured() < STRUCTURE) {
            return None;
        }
        let blurred = self.believed == Lens::Blurred || self.scene.is_some_and(same_light_and_shade);
        Some(if blurred { Lens::Blurred } else { Lens::Covered })
    }

    /// The scene shines through something.
    fn veiled(&self) -> bool {
        let faint = |it: &Likeness| CONTRAST.is(it.contrast, self.believed == Lens::Covered);
        self.scene.is_some_and(|scene| faint(scene) && scene.pattern > SAME && scene.strength < VEILED)
    }

    /// Nothing is sharp: a lens out of focus, or something soft before it.
    fn soft(&self) -> Option<Lens> {
        let already = self.believed == Lens::Blurred;
        let moment = &self.still.moment;
        let of_scene = |it: &Likeness| {
            it.matched.structured() >= STRUCTURE && SHARPNESS.is(it.sharpness, already) && same_light_and_shade(it)
        };
        if self.scene.is_some_and(of_scene) {
            return Some(Lens::Blurred);
        }
        let distinct = (0..CELLS).filter(|&cell| moment.distinct(cell, moment.strong[cell]));
        let mut fine: Vec<f32> = distinct.map(|cell| moment.fineness(cell)).collect();
        if fine.len() < DISTINCT || !FINE.is(quantile(&mut fine, FINE_OF), already) {
            return None;
        }
        let other = self.scene.is_some_and(|scene| scene.pattern < OTHER);
        Some(if other { Lens::Covered } else { Lens::Blurred })
    }

    /// Hardly anything is where it was, and something else is there.
    fn displaced(&self, scene: &Likeness) -> bool {
        let matched = &scene.matched;
        KEPT.is(matched.kept(), self.is_elsewhere()) && matched.fresh() as f32 >= NEW * matched.structured() as f32
    }

    /// Whether it is believed that the picture shows another place.
    fn is_elsewhere(&self) -> bool {
        matches!(self.believed, Lens::Moved | Lens::Turned(_))
    }
}

/// Whether a picture shows another place where nothing of the scene can be found in it.
fn elsewhere(scene: &Likeness) -> bool {
    scene.mature
        && scene.matched.structured() >= MUCH_STRUCTURE
        && scene.matched.kept() <= GONE
        && intact(scene) <= INTACT
        && scene.brighter.abs() < OTHER_LIGHT
}

/// Whether brightness is spread as it was, over all.
fn same_light_and_shade(scene: &Likeness) -> bool {
    scene.pattern > SAME && scene.contrast > BLUR_KEEPS
}

/// The share of the picture's parts that are as they were, of those with structure.
fn intact(scene: &Likeness) -> f32 {
    let mut parts = [(0, 0); PARTS_X * PARTS_Y];
    for (cell, fate) in scene.matched.fates.iter().enumerate() {
        let (x, y) = (cell % CELLS_X * PARTS_X / CELLS_X, cell / CELLS_X * PARTS_Y / CELLS_Y);
        let (had, kept) = &mut parts[y * PARTS_X + x];
        *had += usize::from(matches!(fate, Fate::Kept | Fate::Lost | Fate::Replaced));
        *kept += usize::from(*fate == Fate::Kept);
    }
    let structured = parts.iter().filter(|(had, _)| *had >= PART_STRUCTURE);
    let intact = structured.clone().filter(|(had, kept)| *kept as f32 >= PART_INTACT * *had as f32);
    intact.count() as f32 / structured.count().max(1) as f32
}
