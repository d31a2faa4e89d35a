//! The motion gate: where in a frame it is worth looking for faces.
//!
//! In: each frame's light, and where faces were found. Out: a [`Look`] at nowhere, at a part, or everywhere. A new face
//! changes the light of its place, and is looked for in the very frame in which it appears. Who stands still is known
//! from before, or is found by the look at everything that comes once a second whatever happens. It is pure, and knows
//! nothing of faces but their places.
//!
//! ```text
//! light of 160 x 90 points ─▶ apart from the ground? ─ blocks in motion ─▶ spots ─▶ the bounds of all that is left
//!                                                        a clock, a lamp apart ┘     and of the faces seen last
//! ```

use std::time::Duration;

use faces::detect::{Face, Rect};

use super::ground::{ACROSS, BLOCKS, DOWN, Ground};
use crate::capture::{Image, LightMeter, Shape, View};

/// Where to look for faces; a part is in shares of the viewed picture's width and height.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Look {
    Nowhere,
    At(Rect),
    Everywhere,
}

/// The gate of one camera.
#[derive(Debug, Default)]
pub struct Gate {
    meter: LightMeter,
    light: Vec<u16>,
    ground: Ground,
    /// Where each block is seen; `None` where it is nobody's business.
    places: Vec<Option<Rect>>,
    /// What these places are those of.
    shape: Option<Shape>,
    last: Duration,
    /// When everything was last looked at.
    everywhere: Duration,
    /// Where faces were seen, with the room to move in, and when.
    faces: Vec<(Rect, Duration)>,
    /// Of [`spots`](Self::spots), to use its memory again: the blocks still to be asked.
    asked: Vec<bool>,
    open: Vec<usize>,
}

/// Everything is looked at so often, whatever happens.
const EVERYWHERE_EVERY: Duration = Duration::from_secs(1);
/// A face's place is looked at for so long after it was last seen there.
const FACES_STAY: Duration = Duration::from_secs(1);
/// Where more than this part of all blocks moves it is the light that changed, or the scene.
const ALL_CHANGED: f32 = 0.5;
/// A spot of restless blocks alone, no more than so many across or down, is a clock written into the picture, a lamp, a
/// leaf. A face is larger, and moves others as well.
const THIN: usize = 2;
/// So many blocks around what moves are looked at as well.
const AROUND: f32 = 2.0;
/// A face may have moved by this part of its size to either side.
const FACE_MOVES: f32 = 0.5;
/// A look at more than this part of a picture is one at everything.
const MOST_OF_IT: f32 = 0.6;

impl Gate {
    /// Where to look in the next frame, which lies here on the pipeline's clock.
    pub fn look(&mut self, image: &Image, view: &View, offset: Duration) -> Look {
        image.light(&mut self.meter, &mut self.light);
        let shape = image.shape();
        if self.shape != Some(shape) || offset < self.last {
            self.begin(shape, view);
            return self.everywhere(offset);
        }
        let step = offset - std::mem::replace(&mut self.last, offset);
        if self.ground.compare(&self.light, step) > ALL_CHANGED {
            self.ground.set(&self.light);
            return self.everywhere(offset);
        }
        if offset - self.everywhere >= EVERYWHERE_EVERY {
            return self.everywhere(offset);
        }
        self.faces.retain(|(_, seen)| offset.saturating_sub(*seen) <= FACES_STAY);
        let faces = self.faces.iter().map(|(place, _)| *place).reduce(union);
        let part = self.spots().into_iter().chain(faces).reduce(union).map(inside);
        match part {
            None => Look::Nowhere,
            Some(part) if part.area() > MOST_OF_IT => self.everywhere(offset),
            Some(part) => Look::At(part),
        }
    }

    /// Hears what was found in the frame looked at last, whose picture has this width and height in pixels.
    pub fn found(&mut self, faces: &[Face], (width, height): (u32, u32)) {
        for Face { bbox, .. } in faces {
            let (x, y) = (1.0 / width as f32, 1.0 / height as f32);
            let face = Rect { x: bbox.x * x, y: bbox.y * y, width: bbox.width * x, height: bbox.height * y };
            for (block, place) in self.places.iter().enumerate() {
                if place.is_some_and(|place| place.overlap(&face) > 0.0) {
                    self.ground.calm(block);
                }
            }
            self.faces.push((grown(face, FACE_MOVES * face.width, FACE_MOVES * face.height), self.last));
        }
    }

    fn begin(&mut self, shape: Shape, view: &View) {
        self.shape = Some(shape);
        self.faces.clear();
        self.places.clear();
        self.places.extend((0..BLOCKS).map(|block| place(block, |at| view.place(shape.upright(at)))));
        self.ground.begin(&self.light, self.places.iter().map(Option::is_some));
    }

    fn everywhere(&mut self, offset: Duration) -> Look {
        (self.last, self.everywhere) = (offset, offset);
        Look::Everywhere
    }

    /// The bounds of all spots of blocks in motion that may be somebody, with some room around.
    fn spots(&mut self) -> Option<Rect> {
        self.asked.clear();
        self.asked.extend((0..BLOCKS).map(|block| self.ground.moved(block)));
        let mut bounds: Option<Rect> = None;
        for first in 0..BLOCKS {
            if let Some(spot) = self.spot(first) {
                bounds = bounds.into_iter().chain([spot]).reduce(union);
            }
        }
        bounds
    }

    /// The spot of blocks in motion, side by side, of which this is the first; each is asked for once.
    fn spot(&mut self, first: usize) -> Option<Rect> {
        if !std::mem::take(&mut self.asked[first]) {
            return None;
        }
        self.open.push(first);
        let (mut across, mut down) = (first % ACROSS..first % ACROSS + 1, first / ACROSS..first / ACROSS + 1);
        let mut restless = true;
        let mut bounds: Option<Rect> = None;
        while let Some(block) = self.open.pop() {
            let (x, y) = (block % ACROSS, block / ACROSS);
            across = across.start.min(x)..across.end.max(x + 1);
            down = down.start.min(y)..down.end.max(y + 1);
            restless &= self.ground.is_restless(block);
            let room = self.places[block].map(|it| grown(it, AROUND * it.width, AROUND * it.height));
            bounds = bounds.into_iter().chain(room).reduce(union);
            let beside = (y.saturating_sub(1)..=(y + 1).min(DOWN - 1))
                .flat_map(|y| (x.saturating_sub(1)..=(x + 1).min(ACROSS - 1)).map(move |x| y * ACROSS + x));
            for other in beside {
                if std::mem::take(&mut self.asked[other]) {
                    self.open.push(other);
                }
            }
        }
        bounds.filter(|_| !restless || across.len().min(down.len()) > THIN)
    }
}

/// Where a block is seen, if any of it is.
fn place(block: usize, seen_at: impl Fn([f32; 2]) -> Option<[f32; 2]>) -> Option<Rect> {
    let at = |n: usize, of: usize, part: f32| (n as f32 + part) / of as f32;
    // Not at its edges, which are its neighbours' as well.
    let parts = [0.1, 0.5, 0.9];
    let points = parts.into_iter().flat_map(|y| parts.map(|x| [x, y]));
    let seen = points.filter_map(|[x, y]| seen_at([at(block % ACROSS, ACROSS, x), at(block / ACROSS, DOWN, y)]));
    seen.map(|[x, y]| Rect { x, y, width: 0.0, height: 0.0 }).reduce(union)
}

/// The smallest rectangle that holds both.
fn union(a: Rect, b: Rect) -> Rect {
    let (x, y) = (a.x.min(b.x), a.y.min(b.y));
    let (right, bottom) = ((a.x + a.width).max(b.x + b.width), (a.y + a.height).max(b.y + b.height));
    Rect { x, y, width: right - x, height: bottom - y }
}

/// It with this much room on either side.
fn grown(rect: Rect, across: f32, down: f32) -> Rect {
    let (width, height) = (rect.width + 2.0 * across, rect.height + 2.0 * down);
    Rect { x: rect.x - across, y: rect.y - down, width, height }
}

/// What of it lies in the picture.
fn inside(rect: Rect) -> Rect {
    let (x, y) = (rect.x.clamp(0.0, 1.0), rect.y.clamp(0.0, 1.0));
    let (right, bottom) = ((rect.x + rect.width).clamp(x, 1.0), (rect.y + rect.height).clamp(y, 1.0));
    Rect { x, y, width: right - x, height: bottom - y }
}

#[cfg(test)]
mod tests {
    use faces::picture::Picture;

    use super::*;
    use crate::config::{CameraConfig, Polygon, ReplayConfig, ViewConfig};

    const SIZE: (u32, u32) = (640, 480);
    /// Of a camera that sends 15 frames a second.
    const STEP_MS: u64 = 66;

    /// A scene with shapes, seen at an exposure, with noise of so many levels; and painted on.
    struct Scene {
        gate: Gate,
        view: View,
        n: u64,
        shapes: Vec<f32>,
        exposure: f32,
        noise: f32,
        /// From -1.7 to 1.7, with a mean square of 1.
        noises: Vec<f32>,
    }

    impl Scene {
        fn new(view: &ViewConfig) -> Self {
            let camera = CameraConfig::Replay(ReplayConfig::new("clip.mp4".to_owned()));
            let (gate, view) = (Gate::default(), View::new(&camera, view));
            let (width, height) = SIZE;
            let shapes =
                (0..height).flat_map(|y| (0..width).map(move |x| 60.0 + 40.0 * ((x / 40 + y / 60) % 3) as f32));
            let mut random = 7u64;
            let noises = (0..1 << 20).map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                ((random >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * 1.73
            });
            let (shapes, noises) = (shapes.collect(), noises.collect());
            Self { gate, view, n: 0, shapes, exposure: 1.0, noise: 4.0, noises }
        }

        /// Where to look in the next frame, on which these rectangles of these brightnesses are painted.
        fn look(&mut self, painted: &[(Rect, f32)]) -> Look {
            let (width, height) = SIZE;
            let mut shown = self.shapes.clone();
            for (rect, light) in painted {
                let across = |x: f32| x.clamp(0.0, width as f32) as usize;
                for y in rect.y.max(0.0) as usize..((rect.y + rect.height) as usize).min(height as usize) {
                    shown[y * width as usize..][across(rect.x)..across(rect.x + rect.width)].fill(*light);
                }
            }
            self.n += 1;
            let from = self.n as usize * 7_919_113;
            let noises = (0..).map(|n| self.noises[(from + n) % self.noises.len()]);
            let levels = shown.iter().zip(noises).map(|(light, noise)| light * self.exposure + noise * self.noise);
            let bgr = levels.flat_map(|level| [level.clamp(0.0, 255.0) as u8; 3]).collect();
            let image = Image::from(Picture::new(width, height, bgr).unwrap());
            self.gate.look(&image, &self.view, Duration::from_millis(self.n * STEP_MS))
        }

        /// The looks of so many frames, but for those at everything that come whatever happens.
        fn looks(&mut self, frames: usize, painted: impl Fn(usize) -> Vec<(Rect, f32)>) -> Vec<Look> {
            let mut looks = Vec::new();
            for n in 0..frames {
                let before = self.gate.everywhere;
                let look = self.look(&painted(n));
                let due = self.gate.last - before >= EVERYWHERE_EVERY;
                looks.extend(Some(look).filter(|_| !due));
            }
            looks
        }
    }

    fn pixels(x: f32, y: f32, width: f32, height: f32) -> Rect {
        Rect { x, y, width, height }
    }

    /// Whether a look takes all of this rectangle in.
    fn takes_in(look: Look, rect: &Rect) -> bool {
        let (width, height) = (SIZE.0 as f32, SIZE.1 as f32);
        match look {
            Look::Nowhere => false,
            Look::Everywhere => true,
            Look::At(part) => {
                let part = pixels(part.x * width, part.y * height, part.width * width, part.height * height);
                part.overlap(rect) >= 0.999 * rect.area()
            }
        }
    }

    #[test]
    fn nobody_is_looked_for_where_nothing_moves_but_once_a_second() {
        for noise in [0.0, 4.0, 12.0] {
            let mut scene = Scene::new(&ViewConfig::default());
            scene.noise = noise;
            // What noise is usual is not known in the second frame.
            let before = [(); 2].map(|()| scene.look(&[]));
            assert_eq!(before[0], Look::Everywhere);
            let looks: Vec<Look> = (0..76).map(|_| scene.look(&[])).collect();
            let everywhere: Vec<usize> = (0..76).filter(|&n| looks[n] == Look::Everywhere).collect();
            assert!(everywhere.len() == 4 || everywhere.len() == 5, "noise of {noise}: {everywhere:?}");
            assert!(everywhere.windows(2).all(|pair| pair[1] - pair[0] == 16), "noise of {noise}: {everywhere:?}");
            assert!(looks.iter().all(|look| !matches!(look, Look::At(_))), "noise of {noise}: {looks:?}");
        }
    }

    #[test]
    fn a_face_is_looked_for_in_the_frame_in_which_it_appears() {
        // As dark as what is behind it, or nearly; at the middle and at an edge; as small as faces of interest are.
        for (light, noise) in [(200.0, 4.0), (75.0, 2.0), (30.0, 12.0)] {
            for face in
                [pixels(300.0, 200.0, 48.0, 56.0), pixels(0.0, 0.0, 40.0, 48.0), pixels(600.0, 300.0, 40.0, 48.0)]
            {
                let mut scene = Scene::new(&ViewConfig::default());
                scene.noise = noise;
                scene.looks(40, |_| vec![]);
                let look = scene.look(&[(face, light)]);
                assert!(takes_in(look, &face), "{face:?} of {light}: {look:?}");
                assert_ne!(look, Look::Everywhere, "{face:?} of {light}");
            }
        }
    }

    #[test]
    fn who_comes_slowly_is_followed_and_who_stays_is_looked_at_as_long_as_he_is_known() {
        let mut scene = Scene::new(&ViewConfig::default());
        scene.looks(40, |_| vec![]);
        let at = |n: usize| pixels(n as f32 * 0.7, 150.0, 60.0, 80.0);
        for n in 0..60 {
            let look = scene.look(&[(at(n), 210.0)]);
            assert!(takes_in(look, &at(n)), "{n}: {look:?}");
        }
        // Stands still until the ground has taken him in; all the time his face is found.
        let face = Face { bbox: at(60), landmarks: [at(60).centre(); 5], score: 0.9 };
        for n in 0..300 {
            let look = scene.look(&[(at(60), 210.0)]);
            scene.gate.found(std::slice::from_ref(&face), SIZE);
            assert!(takes_in(look, &at(60)), "{n}: {look:?}");
        }
        let looks = scene.looks(20, |_| vec![(at(60), 210.0)]);
        assert_eq!(looks.last(), Some(&Look::Nowhere), "nobody has been found there for a second");
    }

    #[test]
    fn exposure_is_no_motion_and_a_light_that_is_switched_on_is_looked_at_once() {
        let mut scene = Scene::new(&ViewConfig::default());
        scene.looks(40, |_| vec![]);
        for exposure in [1.05, 1.12, 1.2, 1.1, 0.95, 0.8, 0.6] {
            scene.exposure = exposure;
            let looks = scene.looks(5, |_| vec![]);
            assert!(looks.iter().all(|look| *look == Look::Nowhere), "{exposure}: {looks:?}");
        }
        // Another light: what was dark is bright.
        let lamp = |_: usize| vec![(pixels(0.0, 0.0, 640.0, 300.0), 230.0), (pixels(0.0, 300.0, 640.0, 180.0), 20.0)];
        let looks = scene.looks(20, lamp);
        assert_eq!(looks[0], Look::Everywhere);
        assert!(looks[1..].iter().all(|look| *look == Look::Nowhere), "{looks:?}");
    }

    #[test]
    fn a_clock_in_the_picture_is_passed_over_once_it_is_known_and_a_face_beside_it_not() {
        let mut scene = Scene::new(&ViewConfig::default());
        // Two digits that change with every frame.
        let digit =
            |n: usize, k: usize| (pixels(500.0 + 14.0 * k as f32, 12.0, 10.0, 16.0), [250.0, 20.0][(n + k) % 2]);
        let clock = |n: usize| vec![digit(n, 0), digit(n, 1)];
        scene.looks(40, |_| clock(0));
        let looks = scene.looks(300, |n| clock(n + 1));
        assert!(matches!(looks[0], Look::At(_)), "it is not yet known");
        let late = &looks[200..];
        assert!(late.iter().all(|look| *look == Look::Nowhere), "{late:?}");
        // Over it, and beside it.
        for face in [pixels(480.0, 0.0, 60.0, 75.0), pixels(420.0, 10.0, 60.0, 75.0)] {
            let mut painted = clock(0);
            painted.push((face, 150.0));
            let look = scene.look(&painted);
            assert!(takes_in(look, &face), "{look:?}");
            scene.looks(120, clock);
        }
    }

    #[test]
    fn what_always_sways_must_move_more_than_usual() {
        let mut scene = Scene::new(&ViewConfig::default());
        // Leaves all over the upper right, a little lighter and darker.
        let leaves = |n: usize| -> Vec<(Rect, f32)> {
            (0..60)
                .map(|k| {
                    let (x, y) = (400.0 + 24.0 * (k % 10) as f32, 40.0 * (k / 10) as f32);
                    (pixels(x, y, 20.0, 30.0), 100.0 + 8.0 * ((n * 7 + k * 5) % 3) as f32)
                })
                .collect()
        };
        scene.looks(40, |_| leaves(0));
        let looks = scene.looks(600, leaves);
        let moved = |looks: &[Look]| looks.iter().filter(|look| **look != Look::Nowhere).count();
        assert!(moved(&looks[..60]) > 15, "not yet known: {}", moved(&looks[..60]));
        assert!(moved(&looks[500..]) < 10, "{:?}", &looks[500..]);
        let face = pixels(480.0, 60.0, 60.0, 75.0);
        let mut painted = leaves(600);
        painted.push((face, 190.0));
        let look = scene.look(&painted);
        assert!(takes_in(look, &face), "{look:?}");
    }

    #[test]
    fn what_moves_where_nobody_is_to_look_is_nothing() {
        let street = Polygon(vec![[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]);
        let mut scene = Scene::new(&ViewConfig { ignore: vec![street], ..ViewConfig::default() });
        scene.looks(40, |_| vec![]);
        let looks = scene.looks(15, |n| vec![(pixels(20.0 * n as f32, 100.0, 40.0, 100.0), 220.0)]);
        assert!(looks.iter().all(|look| *look == Look::Nowhere), "{looks:?}");
        let face = pixels(500.0, 100.0, 40.0, 100.0);
        assert!(takes_in(scene.look(&[(face, 220.0)]), &face));
    }

    #[test]
    fn a_part_lies_where_the_view_shows_it() {
        let place = |view: &ViewConfig| {
            let mut scene = Scene::new(view);
            scene.looks(40, |_| vec![]);
            let Look::At(part) = scene.look(&[(pixels(40.0, 60.0, 40.0, 60.0), 240.0)]) else { panic!("no part") };
            [part.centre().x, part.centre().y]
        };
        let near = |[x, y]: [f32; 2], want: [f32; 2]| (x - want[0]).abs() < 0.07 && (y - want[1]).abs() < 0.07;
        let as_it_is = place(&ViewConfig::default());
        assert!(near(as_it_is, [0.09, 0.19]), "{as_it_is:?}");
        let mirrored = place(&ViewConfig { mirror: true, ..ViewConfig::default() });
        assert!(near(mirrored, [0.91, 0.19]), "{mirrored:?}");
        let part = crate::config::Part { left: 0.0, top: 0.0, width: 0.5, height: 0.5 };
        let cut = place(&ViewConfig { crop: Some(part), ..ViewConfig::default() });
        assert!(near(cut, [0.19, 0.38]), "{cut:?}");
    }

    #[test]
    fn another_picture_or_an_earlier_time_is_begun_with() {
        let mut scene = Scene::new(&ViewConfig::default());
        scene.looks(5, |_| vec![]);
        let small = Image::from(Picture::filled(64, 48, [90; 3]));
        let mut look = |image: &Image, ms| scene.gate.look(image, &scene.view, Duration::from_millis(ms));
        assert_eq!(look(&small, 400), Look::Everywhere);
        assert_eq!(look(&small, 466), Look::Nowhere);
        assert_eq!(look(&small, 100), Look::Everywhere);
        assert_eq!(look(&small, 100), Look::Nowhere, "the same time");
    }
}
