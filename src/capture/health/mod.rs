//! Whether the picture shows what it should: a dark, covered, blurred or frozen one looks exactly like "nobody there".
//!
//! In: each picture and its time on the pipeline's clock. Out: [`Lens`], which changes only after a look has lasted. It
//! is pure, knows nothing of cameras, and reads a few frames a second at 172,800 pixels each.
//!
//! ```text
//! picture ─Glance▶ 2 s of them ─Still▶ sight ─Sight▶ belief ─▶ Lens
//!            └──▶ frozen ────────────────▶┘   ▲
//!                                 scene ──────┘ learned while all is well; by day and by infra-red light
//! ```

mod belief;
mod cover;
mod frozen;
mod glance;
mod scene;
mod shifted;
mod sight;
mod still;
mod turned;
mod view;

use std::cell::Cell;
use std::time::Duration;

use faces::picture::{Picture, Turn};

use belief::Belief;
pub use frozen::FROZEN_AFTER;
use frozen::Stillness;
use glance::Glancer;
use scene::Scene;
use sight::Look;
use still::{Exposure, Still};

/// What is wrong with a camera's picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lens {
    #[default]
    Clear,
    /// So little light that no face is found: night without infra-red, a cap, a dead sensor.
    Dark,
    /// Nearly all of it is white: the sun, an exposure that hangs.
    Overexposed,
    /// Light but no shapes, in a part of it or everywhere: tape, a bag, fog, a hand.
    Covered,
    /// The same picture again and again: the camera or its encoder hangs.
    Frozen,
    /// It shows another place than it used to.
    Moved,
    /// Out of focus, or a dirty lens.
    Blurred,
    /// Upside down or on its side: it shows what it used to, turned clockwise by this much.
    Turned(Turn),
}

/// Watches one camera's pictures.
#[derive(Debug, Clone)]
pub struct LensWatch {
    glancer: Glancer,
    exposure: Exposure,
    /// When the exposure began, and the last glance.
    begun: Option<Duration>,
    last: Duration,
    size: (u32, u32),
    stillness: Stillness,
    /// In colours, and in grey.
    scenes: [Option<Scene>; 2],
    /// What the camera shows since it was moved, and since when.
    next: Option<(Scene, Duration)>,
    /// For how many stills the scene is not searched for.
    rests: u32,
    belief: Belief,
}

/// What is wrong with a picture is believed within this time, if each of its stills shows it: the slowest are those
/// that need a scene, and they begin in the middle of a still.
pub const BELIEVED_WITHIN: Duration = sight::SCENE_AFTER.saturating_add(STILL.saturating_mul(2 + RESTS));

/// How often a frame is looked at: noise and flicker have their mean after a few, and more would only cost.
const GLANCE_EVERY: Duration = Duration::from_millis(180);
/// How long a still is exposed.
const STILL: Duration = Duration::from_secs(2);
/// A search for the scene, turned or shifted, takes as long as a hundred frames. After one in vain, because people hide
/// the scene say, so many stills are not searched.
const RESTS: u32 = 3;
/// Pictures that are further apart follow nothing.
const GAP: Duration = Duration::from_secs(60);
/// So much of a scene must be where it was for it to be the same by other light.
const SAME_SCENE: f32 = 0.5;
/// And so much of its structure must be somewhere in a grey picture for it to be that of another light.
const NIGHT_SHOWS: f32 = 0.5;
/// A camera that was moved and stays so was meant to be: after this long its new view is the scene.
const SETTLED: Duration = Duration::from_secs(3600);

impl LensWatch {
    pub fn new() -> Self {
        Self {
            glancer: Glancer::default(),
            exposure: Exposure::default(),
            begun: None,
            last: Duration::ZERO,
            size: (0, 0),
            stillness: Stillness::new(),
            scenes: [None, None],
            next: None,
            rests: 0,
            belief: Belief::default(),
        }
    }

    /// Whether a frame of this size, in pixels, at its offset on the pipeline's clock is one to be looked at.
    pub fn is_due(&self, size: (u32, u32), offset: Duration) -> bool {
        let follows = self.begun.is_some() && offset >= self.last;
        !follows || offset - self.last >= GLANCE_EVERY || size != self.size
    }

    /// What is believed of the frames that were looked at.
    pub fn believed(&self) -> Lens {
        self.belief.now()
    }

    /// Takes one frame's picture, at its offset on the pipeline's clock; answers what is believed now.
    pub fn observe(&mut self, picture: &Picture, offset: Duration) -> Lens {
        let size = (picture.width(), picture.height());
        if !self.is_due(size, offset) {
            return self.believed();
        }
        if offset < self.last || offset - self.last > GAP {
            self.begun = None;
        }
        if size != self.size {
            self.resized(size);
        }
        self.last = offset;
        let begun = match self.begun {
            Some(begun) => begun,
            None => {
                self.exposure = Exposure::default();
                *self.begun.insert(offset)
            }
        };
        if offset - begun >= STILL
            && let Some(last) = self.stillness.before()
        {
            let still = std::mem::take(&mut self.exposure).develop(last);
            self.judge(&still, begun, offset);
            self.begun = Some(offset);
        }
        let glance = self.glancer.glance(picture);
        self.exposure.add(&glance, self.stillness.before());
        self.stillness.glance(glance, size, offset);
        self.belief.now()
    }

    /// The camera was reopened: the next picture follows nothing. What it shows when all is well stays known.
    pub fn restart(&mut self) {
        self.begun = None;
        self.stillness.restart(self.belief.now() == Lens::Frozen);
    }

    /// A picture of other sides, unless they changed places, shows another part of the scene.
    fn resized(&mut self, size: (u32, u32)) {
        let aspect = |(width, height): (u32, u32)| f64::from(width) / f64::from(height.max(1));
        let alike = |other: f64| (aspect(size) / other - 1.0).abs() < 0.02;
        if self.size != (0, 0) && !alike(aspect(self.size)) && !alike(1.0 / aspect(self.size)) {
            self.scenes = [None, None];
            self.next = None;
        }
        self.size = size;
        self.begun = None;
    }

    fn judge(&mut self, still: &Still, from: Duration, to: Duration) {
        self.stillness.still(still);
        let believed = self.belief.now();
        let own = usize::from(still.grey);
        let ready = self.scenes.iter().flatten().filter(|scene| scene.ready());
        let compared = ready.map(|scene| (scene, scene.compare(still)));
        let best = compared.max_by(|(_, a), (_, b)| a.matched.kept().total_cmp(&b.matched.kept()));
        let kept = best.as_ref().map_or(1.0, |(_, likeness)| likeness.matched.kept());
        let known = self.scenes[own].as_ref().is_some_and(Scene::ready);
        // By other light for the first time, a scene may look like another place. (What takes its colours away and is
        // not the night takes its shapes away as well.)
        let shapes = still.edges.shapes() as f32;
        let shows = |scene: &Scene| shapes >= NIGHT_SHOWS * scene.view().structured() as f32;
        let other_light = !known && kept < SAME_SCENE && best.as_ref().is_some_and(|(scene, _)| shows(scene));
        let look = Look {
            still,
            believed,
            frozen: self.stillness.frozen(),
            scene: best.as_ref().map(|(_, likeness)| likeness),
            other_light,
        };
        let searches = self.rests == 0;
        self.rests = self.rests.saturating_sub(1);
        let searched = Cell::new(false);
        let sought = || best.as_ref().filter(|_| searches).map(|(scene, _)| *scene);
        let turned = || {
            searched.set(searches);
            sought().and_then(|scene| turned::turned(still, self.size, scene, kept))
        };
        let shifted = || sought().is_some_and(|scene| shifted::shifted(&still.edges, scene.view()));
        let Some(sight) = look.sight(turned, shifted) else { return };
        if searched.get() && !matches!(sight.lens, Lens::Moved | Lens::Turned(_)) {
            self.rests = RESTS;
        }
        match (believed, sight.lens) {
            (Lens::Clear, Lens::Clear) if kept >= SAME_SCENE || other_light => learn(&mut self.scenes[own], still),
            (Lens::Moved, Lens::Moved) => self.settle(still, own, to),
            _ => {}
        }
        self.belief.see(sight, from, to);
        if self.belief.now() != Lens::Moved {
            self.next = None;
        }
    }

    /// Learns the new view of a camera that was moved, and takes it for the scene after a while.
    fn settle(&mut self, still: &Still, own: usize, now: Duration) {
        let (next, since) = self.next.get_or_insert_with(|| (Scene::new(still), now));
        next.learn(still);
        if now.saturating_sub(*since) >= SETTLED {
            self.scenes = [None, None];
            self.scenes[own] = self.next.take().map(|(scene, _)| scene);
        }
    }
}

fn learn(scene: &mut Option<Scene>, still: &Still) {
    match scene {
        Some(scene) => scene.learn(still),
        None => *scene = Some(Scene::new(still)),
    }
}

impl Default for LensWatch {
    fn default() -> Self {
        Self::new()
    }
}

impl Lens {
    /// One of each, whatever way it is turned: the words of a metric.
    pub const LABELS: [&str; 8] = ["clear", "dark", "overexposed", "covered", "frozen", "moved", "blurred", "turned"];

    /// One word for it, of [`Self::LABELS`].
    pub fn label(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Dark => "dark",
            Self::Overexposed => "overexposed",
            Self::Covered => "covered",
            Self::Frozen => "frozen",
            Self::Moved => "moved",
            Self::Blurred => "blurred",
            Self::Turned(_) => "turned",
        }
    }
}

impl std::fmt::Display for Lens {
    /// What is wrong, as the end of "the picture is …".
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Clear => "clear",
            Self::Dark => "dark",
            Self::Overexposed => "nearly white",
            Self::Covered => "without shapes, at least in a part of it, as if the lens were covered",
            Self::Frozen => "frozen",
            Self::Moved => "of another place, as if the camera had been moved",
            Self::Blurred => "blurred, as if the lens were dirty or out of focus",
            Self::Turned(Turn::Half) => "upside down",
            Self::Turned(Turn::Quarter | Turn::ThreeQuarters) => "on its side",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wall of blocks, under noise that depends on `seed`.
    fn wall(seed: u32) -> Picture {
        let mut state = seed.wrapping_mul(2_654_435_761).max(1);
        let mut value = |at: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (x, y) = (at / 3 % 160 / 9, at / 3 / 160 / 7);
            let block = (x * 31 + y * 17).wrapping_mul(2_654_435_761) >> 24;
            40 + block as u8 / 2 + ((state >> 16) % 6) as u8
        };
        Picture::new(160, 90, (0..160 * 90 * 3).map(&mut value).collect()).unwrap()
    }

    /// Shows pictures at 5 frames a second, and answers when (in s) the belief first was `lens`.
    fn first(watch: &mut LensWatch, from: u64, secs: u64, lens: Lens, show: impl Fn(u32) -> Picture) -> Option<u64> {
        let mut times = (from * 1000..(from + secs) * 1000).step_by(200);
        times.find(|&ms| watch.observe(&show(ms as u32), Duration::from_millis(ms)) == lens).map(|ms| ms / 1000)
    }

    #[test]
    fn any_size_of_picture_can_be_watched() {
        for (width, height) in [(1, 1), (1, 500), (500, 1), (7, 3), (4000, 3000)] {
            let at = first(&mut LensWatch::new(), 0, 40, Lens::Covered, |_| Picture::filled(width, height, [200; 3]));
            assert!(at.is_some_and(|at| at <= BELIEVED_WITHIN.as_secs()), "{width}x{height}: {at:?}");
        }
    }

    #[test]
    fn a_reopened_camera_starts_its_picture_anew() {
        let mut watch = LensWatch::new();
        assert_eq!(first(&mut watch, 0, 18, Lens::Frozen, |_| wall(1)), None);
        watch.restart();
        let at = first(&mut watch, 18, 40, Lens::Frozen, |_| wall(1));
        assert!(at.is_some_and(|at| (38..42).contains(&at)), "{at:?}");
    }

    #[test]
    fn a_frozen_camera_that_was_reopened_and_shows_the_same_is_still_frozen() {
        let mut watch = LensWatch::new();
        assert!(first(&mut watch, 0, 30, Lens::Frozen, |_| wall(1)).is_some());
        watch.restart();
        assert_eq!(first(&mut watch, 32, 10, Lens::Clear, |_| wall(1)), None);
        watch.restart();
        let at = first(&mut watch, 44, 20, Lens::Clear, wall);
        assert!(at.is_some_and(|at| at <= 54), "it was cured: {at:?}");
    }

    #[test]
    fn pictures_that_are_far_apart_or_whose_clock_went_back_follow_nothing() {
        let mut watch = LensWatch::new();
        assert_eq!(first(&mut watch, 100, 18, Lens::Frozen, |_| wall(1)), None);
        assert_eq!(first(&mut watch, 10, 18, Lens::Frozen, |_| wall(1)), None);
        for minutes in 5..30 {
            let lens = watch.observe(&wall(minutes as u32), Duration::from_secs(60 * minutes + 1));
            assert_eq!(lens, Lens::Clear, "a picture a minute");
        }
    }
}
