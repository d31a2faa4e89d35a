//! How a picture of any size is searched: a fine look, and where faces may be larger than the model knows, coarser
//! ones.
//!
//! Both detectors were trained on faces of some 10 to 300 pixels. Beyond that they miss faces, take noses for faces
//! and dogs for people, and the noise of a dark picture blinds them to large faces long before. On a picture shrunk to
//! a quarter all this goes away, for a sixteenth of the cost. So:
//!
//! ```text
//! picture - shrunk to the limit --> fine look -----> small faces: as the fine look found them
//!        +- a quarter of that ----> coarse look --+> larger ones: the coarse look must see them, too
//!        +- a quarter, while there > ... ---------+> very large, or seen by it alone: as the coarse look found them
//!           is room for large faces
//! ```
//!
//! A face that tilts is faint, or missed altogether: a [second look](super::second_look) at what is faint tells, and a
//! photo in which nothing is found is searched leaning to either side.
//!
//! It wraps a model's single pass and knows sizes, not models.

use std::time::Duration;

use super::cut::Cut;
use super::second_look::{self, SecondLook};
use super::shrink::{Area, Shrinker};
use super::{DetectError, Face, Model, Point, Rect, SearchOptions, boxes};
use crate::align::{self, apply};
use crate::picture::{Interpolation, Picture};

/// However large the configuration's limit, no more than this is searched: it bounds the memory of a look.
const MOST_PX: u32 = 4096;
/// Each look is this many times coarser than the one before.
const COARSER: u32 = 4;
/// A picture whose shorter side is less than this in a look has no room for faces that need a coarser one.
const ROOM_PX: u32 = 200;
/// From this size on, in pixels of a look, a face must be seen by the coarser look, too, where it then has 40 pixels:
/// both models find every face of that size in a clear picture, and most in a very noisy or dark one.
const SURE_PX: f32 = 160.0;
/// From this size on, in pixels of the finer look, a coarser one may find faces on its own.
const ALONE_PX: f32 = 100.0;
/// From this size on, in pixels of a look, a face is beyond the model's range: its box is taken from the coarser look
/// unless the two agree at least [`AGREED`] (IoU).
const BEYOND_PX: f32 = 300.0;
const AGREED: f32 = 0.7;
/// A coarse look confirms a face at this part of the least score: it need not find it all by itself. Down to there the
/// model must report faces.
pub(super) const CONFIRMING: f32 = 0.5;
/// Two looks at one face overlap at least this much (IoU).
const SAME_FACE: f32 = 0.3;
/// A picture smaller than this in which nothing was found is enlarged up to it, but no more than [`MOST_ENLARGED`],
/// and searched again: a face of 15 pixels is found when it is 45.
const SMALL_PX: u32 = 256;
const MOST_ENLARGED: u32 = 4;

/// Both models find every face that tilts less than this from the way it is looked at; 40 of the 55 test photos of
/// faces are found by YuNet-n at 45 degrees, and all of them when the photo leans by this much.
const LEAN_DEG: f32 = 40.0;
/// A leaning photo lies in a square as wide as its diagonal, which has up to twice its pixels or more: it is shrunk to
/// this, so that it costs no more than the fine look of a photo of the usual limit.
const MOST_LEANT_PX: f32 = 1024.0;
/// Of a camera's frames, one in so many has its surest faint face looked at again, at once when there was none for a
/// while: three looks of a tenth of a frame each. A photo has as many as this looked at.
const FAINT_EVERY: u32 = 4;
const MOST_FAINT: usize = 8;
/// Smaller faces are not worth it, they cannot be recognised; larger ones are seen by the coarser look.
const FAINT_PX: std::ops::Range<f32> = 24.0..BEYOND_PX;
/// A face found so must be about as sure to stand as the least sure face that does: less is a shield, a wheel, a sign.
const NEARLY: f32 = 0.08;

/// Finds faces: a model, and how pictures of any size are searched with it.
pub struct FaceDetector {
    model: Box<dyn Model>,
    options: SearchOptions,
    /// Pictures searched since a faint face was last looked at again.
    rested: u32,
    shrinker: Shrinker,
    network: Duration,
}

/// What a search found: faces, and what may be one.
struct Found {
    faces: Vec<Face>,
    /// The surest first.
    faint: Vec<Face>,
}

impl FaceDetector {
    /// `model` reports faces down to [`CONFIRMING`] of the least score of `options`.
    pub(super) fn new(model: Box<dyn Model>, options: &SearchOptions) -> Self {
        Self {
            model,
            options: options.clone(),
            rested: FAINT_EVERY,
            shrinker: Shrinker::default(),
            network: Duration::ZERO,
        }
    }

    /// The model's name in the manifest.
    pub fn name(&self) -> &str {
        self.model.name()
    }

    /// Every face in the picture, largest first, in the picture's pixels. Any size of picture will do.
    pub fn detect(&mut self, picture: &Picture) -> Result<Vec<Face>, DetectError> {
        self.timed(|it| it.detect_all(picture))
    }

    /// Every face in this part of the picture, in pixels of the picture, at the scale of [`detect`](Self::detect). What
    /// is searched may be a little more than the part, so that the network sees few sizes; of a face that is cut in two
    /// there nothing is promised.
    pub fn detect_part(&mut self, picture: &Picture, part: &Rect) -> Result<Vec<Face>, DetectError> {
        match Cut::new((picture.width(), picture.height()), part, self.fine_px(picture)) {
            Some(cut) => self.timed(|it| it.detect_cut(picture, &cut)),
            None => self.detect(picture),
        }
    }

    fn timed(
        &mut self,
        detect: impl FnOnce(&mut Self) -> Result<Vec<Face>, DetectError>,
    ) -> Result<Vec<Face>, DetectError> {
        let before = self.model.network_time();
        let faces = detect(self);
        self.network = self.model.network_time() - before;
        faces
    }

    fn detect_cut(&mut self, picture: &Picture, cut: &Cut) -> Result<Vec<Face>, DetectError> {
        let Cut { left, top, width, height, .. } = *cut;
        let fine = cut.of(picture, &mut self.shrinker).map_err(|source| DetectError::Picture { source })?;
        let mut faces = self.faces_of(&fine)?;
        let (x, y) = (width as f32 / fine.width() as f32, height as f32 / fine.height() as f32);
        self.shrinker.done_with(fine);
        faces.iter_mut().for_each(|face| *face = face.scaled(x, y).moved(left as f32, top as f32));
        boxes::largest_first(&mut faces);
        Ok(faces)
    }

    /// The faces in a picture as it is searched, those that were faint among them.
    fn faces_of(&mut self, searched: &Picture) -> Result<Vec<Face>, DetectError> {
        let Found { mut faces, faint } = self.search(searched)?;
        self.add_faint(searched, faint, &mut faces)?;
        Ok(faces)
    }

    /// The longest side of the picture in the fine look.
    fn fine_px(&self, picture: &Picture) -> u32 {
        picture.width().max(picture.height()).min(self.options.longest_side_px.clamp(32, MOST_PX))
    }

    fn detect_all(&mut self, picture: &Picture) -> Result<Vec<Face>, DetectError> {
        let longest = picture.width().max(picture.height());
        let fine = self.sized(picture, self.fine_px(picture))?;
        let mut searched = fine.as_ref().unwrap_or(picture);
        let mut faces = self.faces_of(searched)?;
        if faces.is_empty() && self.options.thorough {
            faces = self.leaning(searched)?;
        }
        let enlarged;
        if faces.is_empty() && longest < SMALL_PX {
            enlarged = self.sized(picture, (longest * MOST_ENLARGED).min(SMALL_PX))?;
            searched = enlarged.as_ref().unwrap_or(picture);
            faces = self.look(searched)?.faces;
        }
        let x = picture.width() as f32 / searched.width() as f32;
        let y = picture.height() as f32 / searched.height() as f32;
        if (x, y) != (1.0, 1.0) {
            faces.iter_mut().for_each(|face| *face = face.scaled(x, y));
        }
        if let Some(fine) = fine {
            self.shrinker.done_with(fine);
        }
        boxes::largest_first(&mut faces);
        Ok(faces)
    }

    /// Looks at a face of the picture again, closer and turned until it stands; `None` when it is not seen again.
    pub fn look_again(&mut self, picture: &Picture, face: &Face) -> Result<Option<SecondLook>, DetectError> {
        second_look::look_again(&mut *self.model, picture, face)
    }

    /// Shows the detector the built-in face. One that does not find it is [`DetectError::Blind`]: it must not go on as
    /// if nobody were there. Takes less than a frame does.
    pub fn prove(&mut self) -> Result<(), DetectError> {
        // The model alone, which reports more than the options let through.
        self.model.prove()
    }

    /// How much of the last [`detect`](Self::detect) was spent inside the network, for benchmarks.
    pub fn network_time(&self) -> Duration {
        self.network
    }

    /// The picture with its longest side brought to `longest` pixels; `None` where that is the picture itself.
    fn sized(&mut self, picture: &Picture, longest: u32) -> Result<Option<Picture>, DetectError> {
        let (width, height) = (picture.width(), picture.height());
        let side = width.max(height);
        if side == longest {
            return Ok(None);
        }
        let factor = side / longest;
        let sized = if factor > 1 && side % longest == 0 && width.min(height) >= factor {
            self.shrinker.shrunk(picture, Area::whole(picture), factor)
        } else {
            let sized = |length: u32| (u64::from(length) * u64::from(longest)).div_ceil(u64::from(side)) as u32;
            let method = if longest < side { Interpolation::Area } else { Interpolation::Linear };
            picture.resized(sized(width), sized(height), method)
        };
        sized.map(Some).map_err(|source| DetectError::Picture { source })
    }

    /// Looks at the picture as it is, and more coarsely as long as there is room for faces that need it.
    fn search(&mut self, picture: &Picture) -> Result<Found, DetectError> {
        let mut fine = self.look(picture)?;
        if picture.width().min(picture.height()) < ROOM_PX {
            return Ok(fine);
        }
        let shrunk = self.shrinker.shrunk(picture, Area::whole(picture), COARSER);
        let shrunk = shrunk.map_err(|source| DetectError::Picture { source })?;
        let coarse = self.search(&shrunk)?;
        self.shrinker.done_with(shrunk);
        let factor = COARSER as f32;
        let coarse = coarse.faces.iter().chain(&coarse.faint).map(|face| face.scaled(factor, factor)).collect();
        fine.faces = merge(fine.faces, coarse, self.options.min_score);
        Ok(fine)
    }

    /// One pass of the model, the surest face first.
    fn look(&mut self, picture: &Picture) -> Result<Found, DetectError> {
        let mut faces = self.model.detect(picture)?;
        faces.sort_by(|a, b| b.score.total_cmp(&a.score));
        let (faces, faint) = faces.into_iter().partition(|face| face.score >= self.options.min_score);
        Ok(Found { faces, faint })
    }

    /// Looks again at what may be faces, and adds those that are.
    fn add_faint(&mut self, picture: &Picture, faint: Vec<Face>, faces: &mut Vec<Face>) -> Result<(), DetectError> {
        self.rested = self.rested.saturating_add(1);
        let most = match self.options.thorough {
            true => MOST_FAINT,
            false => usize::from(self.rested >= FAINT_EVERY),
        };
        let sized = |face: &&Face| FAINT_PX.contains(&face.bbox.width.max(face.bbox.height));
        for face in faint.iter().filter(sized).take(most) {
            if is_part_of(faces, face) {
                continue;
            }
            self.rested = 0;
            if let Some(look) = self.surest(picture, face)?
                && !is_part_of(faces, &look.face)
            {
                faces.push(look.face);
            }
        }
        Ok(())
    }

    /// A faint face as it is surest to stand, when that makes it a face.
    fn surest(&mut self, picture: &Picture, face: &Face) -> Result<Option<SecondLook>, DetectError> {
        let mut best: Option<SecondLook> = None;
        for start in [0.0, LEAN_DEG, -LEAN_DEG] {
            let look = second_look::settle(&mut *self.model, picture, &face.bbox, start)?;
            let look = look.filter(|it| self.stands(it));
            best = best.into_iter().chain(look).max_by(|a, b| a.sure.total_cmp(&b.sure));
        }
        Ok(best)
    }

    fn stands(&self, look: &SecondLook) -> bool {
        look.face.score >= self.options.min_score && look.sure >= self.model.doubtful() - NEARLY
    }

    /// Searches the picture leaning to either side; a face is where it is when looked at again.
    fn leaning(&mut self, picture: &Picture) -> Result<Vec<Face>, DetectError> {
        let (width, height) = (picture.width() as f32, picture.height() as f32);
        let side = width.hypot(height).ceil();
        let px = side.min(MOST_LEANT_PX);
        let scale = side / px;
        let mut faces: Vec<Face> = Vec::new();
        for turn in [LEAN_DEG, -LEAN_DEG] {
            let there = align::square(Point { x: width / 2.0, y: height / 2.0 }, side, turn, px as u32);
            let leant = align::warp(picture, &there, px as u32).map_err(|source| DetectError::Picture { source })?;
            let back = align::undone(&there);
            for found in self.search(&leant)?.faces {
                let Rect { width, height, .. } = found.bbox;
                let bbox = Rect::about(apply(&back, found.bbox.centre()), width * scale, height * scale);
                let look = second_look::settle(&mut *self.model, picture, &bbox, turn)?;
                faces.extend(look.filter(|it| self.stands(it)).map(|look| look.face));
            }
        }
        Ok(boxes::suppress(faces, self.options.nms_iou))
    }
}

/// Whether it is one of these faces seen again, or a part of one.
fn is_part_of(faces: &[Face], face: &Face) -> bool {
    let same = |known: &Face| {
        known.bbox.iou(&face.bbox) >= SAME_FACE
            || known.bbox.holds(face.bbox.centre())
            || face.bbox.holds(known.bbox.centre())
    };
    faces.iter().any(same)
}

/// What two looks found, taken together, in pixels of the fine look. What the coarse look found alone must have
/// `min_score`.
fn merge(fine: Vec<Face>, coarse: Vec<Face>, min_score: f32) -> Vec<Face> {
    let size = |face: &Face| face.bbox.width.max(face.bbox.height);
    let (mut faces, mut large): (Vec<_>, Vec<_>) = fine.into_iter().partition(|face| size(face) < SURE_PX);
    for seen in coarse {
        let overlap = |face: &Face| face.bbox.iou(&seen.bbox);
        let best = |faces: &[Face]| faces.iter().map(overlap).enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
        if best(&faces).is_some_and(|(_, overlap)| overlap >= SAME_FACE) {
            continue;
        }
        let confirmed = best(&large).filter(|(_, overlap)| *overlap >= SAME_FACE).map(|(at, _)| large.swap_remove(at));
        large.retain(|face| overlap(face) < SAME_FACE);
        match confirmed {
            Some(face) if size(&face) < BEYOND_PX || overlap(&face) >= AGREED => faces.push(face),
            _ if seen.score >= min_score && size(&seen) >= ALONE_PX => {
                // The fine look did not see this face: what it saw inside is an eye or a mouth.
                faces.retain(|face| !seen.bbox.holds(face.bbox.centre()) || face.bbox.area() > seen.bbox.area());
                faces.push(seen);
            }
            Some(face) => faces.push(face),
            None => {}
        }
    }
    faces
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Finds one face of the picture it was made for, given as a part of the picture's sides, when it is between
    /// `least` and `most` pixels high as the model sees it. Remembers the sizes it was shown.
    struct Fake {
        place: [f32; 4],
        seen: std::ops::Range<f32>,
        score: f32,
        shown: Arc<Mutex<Vec<(u32, u32)>>>,
    }

    impl Model for Fake {
        fn name(&self) -> &str {
            "fake"
        }

        fn doubtful(&self) -> f32 {
            0.0
        }

        fn detect(&mut self, picture: &Picture) -> Result<Vec<Face>, DetectError> {
            let (width, height) = (picture.width() as f32, picture.height() as f32);
            self.shown.lock().unwrap().push((picture.width(), picture.height()));
            let [x, y, w, h] = self.place;
            let found = face(x * width, y * height, w * width, h * height, self.score);
            Ok(if self.seen.contains(&found.bbox.height) { vec![found] } else { vec![] })
        }
    }

    fn face(x: f32, y: f32, width: f32, height: f32, score: f32) -> Face {
        let bbox = Rect { x, y, width, height };
        Face { bbox, landmarks: [bbox.centre(); 5], score }
    }

    /// What a search of a `width` by `height` picture finds, and the sizes the model was shown.
    fn search(width: u32, height: u32, place: [f32; 4], seen: std::ops::Range<f32>) -> (Vec<Face>, Vec<(u32, u32)>) {
        let shown = Arc::new(Mutex::new(Vec::new()));
        let fake = Fake { place, seen, score: 0.9, shown: shown.clone() };
        let config = SearchOptions { longest_side_px: 640, min_score: 0.6, ..SearchOptions::default() };
        let faces = FaceDetector::new(Box::new(fake), &config).detect(&Picture::filled(width, height, [0; 3])).unwrap();
        let shown = shown.lock().unwrap().clone();
        (faces, shown)
    }

    #[test]
    fn looks_get_coarser_while_there_is_room_for_large_faces() {
        let nothing = 1e9..2e9;
        for (width, height, want) in [
            (640, 480, vec![(640, 480), (160, 120)]),
            (1920, 1080, vec![(640, 360), (160, 90)]),
            (8000, 6000, vec![(640, 480), (160, 120)]),
            (600, 150, vec![(600, 150)]),
            (3, 2000, vec![(1, 640)]),
            (320, 180, vec![(320, 180)]),
            (100, 80, vec![(100, 80), (256, 205)]),
            (10, 10, vec![(10, 10), (40, 40)]),
            (1, 1, vec![(1, 1), (4, 4)]),
        ] {
            let (faces, shown) = search(width, height, [0.2, 0.2, 0.5, 0.5], nothing.clone());
            assert_eq!((faces.len(), shown), (0, want), "{width}x{height}");
        }
    }

    #[test]
    fn faces_come_back_in_the_pictures_own_pixels() {
        for (width, height, place, seen) in [
            // Small, in a large picture: found by the fine look.
            (1920, 1080, [0.5, 0.5, 0.05, 0.1], 10.0..300.0),
            // Fills the picture: by the coarse look alone.
            (1920, 1080, [0.1, 0.0, 0.8, 1.0], 10.0..300.0),
            // Five pixels in a tiny picture: enlarged.
            (40, 40, [0.5, 0.5, 0.125, 0.125], 10.0..300.0),
            // Of medium size: both looks.
            (640, 480, [0.3, 0.3, 0.4, 0.5], 10.0..300.0),
        ] {
            let (faces, _) = search(width, height, place, seen);
            assert_eq!(faces.len(), 1, "{width}x{height} {place:?}");
            let (w, h) = (width as f32, height as f32);
            let want = Rect { x: place[0] * w, y: place[1] * h, width: place[2] * w, height: place[3] * h };
            assert!(faces[0].bbox.iou(&want) > 0.97, "{:?} is not {want:?}", faces[0].bbox);
            let Point { x, y } = faces[0].landmarks[0];
            let centre = want.centre();
            assert!((x - centre.x).abs() < 0.01 * w && (y - centre.y).abs() < 0.01 * h);
        }
    }

    #[test]
    fn a_large_face_that_only_the_fine_look_sees_is_none() {
        let (faces, _) = search(640, 480, [0.3, 0.3, 0.4, 0.5], 200.0..300.0);
        assert!(faces.is_empty(), "{faces:?}");
    }

    #[test]
    fn two_looks_become_one_list() {
        let merged = |fine: Vec<Face>, coarse: Vec<Face>| merge(fine, coarse, 0.6);
        let small = face(10.0, 10.0, 50.0, 60.0, 0.8);
        let large = face(200.0, 100.0, 180.0, 220.0, 0.9);
        let large_seen = |score| face(205.0, 95.0, 170.0, 215.0, score);
        let huge = face(0.0, 0.0, 350.0, 450.0, 0.8);
        let off = face(0.0, 150.0, 300.0, 310.0, 0.7);
        let eye = face(60.0, 150.0, 80.0, 70.0, 0.7);
        for (what, fine, coarse, want) in [
            ("a small face needs no second look", vec![small.clone()], vec![], vec![&small]),
            ("a small face is the fine look's", vec![small.clone()], vec![small.scaled(1.02, 1.0)], vec![&small]),
            ("a small face the coarse look invents is none", vec![], vec![small.clone()], vec![]),
            ("an unconfirmed large face is none", vec![large.clone()], vec![], vec![]),
            ("a weak second look confirms", vec![large.clone()], vec![large_seen(0.35)], vec![&large]),
            ("a large face may be missed by the fine look", vec![], vec![large.clone()], vec![&large]),
            ("but not found weakly", vec![], vec![large_seen(0.35)], vec![]),
            ("beyond the model's range the coarse look's box wins", vec![off.clone()], vec![huge.clone()], vec![&huge]),
            ("unless they agree", vec![huge.clone()], vec![huge.scaled(1.01, 1.0)], vec![&huge]),
            ("parts of a face are none", vec![eye.clone()], vec![huge.clone()], vec![&huge]),
            ("parts of a face are none, large ones either", vec![off.clone(), eye], vec![huge.clone()], vec![&huge]),
            ("a face beside it stays", vec![small.clone(), large.clone()], vec![large_seen(0.9)], vec![&small, &large]),
        ] {
            assert_eq!(merged(fine, coarse).iter().collect::<Vec<_>>(), want, "{what}");
        }
    }
}
