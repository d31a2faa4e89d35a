//! A second look at a face: closer, and turned until the face stands.
//!
//! In: a picture, a face found in it, and a model. Out: the face as the [`SecondLook`] sees it. It knows that
//! detectors report only part of a tilt (of 35 degrees YuNet-n 29 and CenterFace 25, of 45 YuNet-n 25), so that no
//! single look settles it; it does not know whose face it is nor what is done with it.
//!
//! ```text
//! face ──▶ turned by its landmarks, looked at ──▶ still tilted: turned by the rest, LOOKS times at most
//!     └──▶ not sure to stand: the same from a quarter, a half, three quarters; one clearly surer is taken
//! ```

use super::{DetectError, Face, Model, Point, Rect};
use crate::align::{self, Affine, apply};
use crate::picture::{Picture, PictureError};
use crate::quality::{Part, geometry};

/// A face as it stands.
#[derive(Debug, Clone)]
pub struct SecondLook {
    /// In the picture that was given, with the landmarks and the score of the second look.
    pub face: Face,
    /// How far the picture is to be turned clockwise for the face to stand, -180 to 180 degrees.
    pub turn: f32,
    /// How sure it is to stand then, 0 to 1: to be held against the same face turned otherwise.
    pub sure: f32,
    /// The same face in the pixels of the look, where it stands.
    pub seen: Face,
}

/// How many looks at most from one direction: five settle 45 degrees.
const LOOKS: usize = 5;
/// A look is this wide and high, and this many times as large as the face's longer side: the face is then 80 pixels
/// high, where both models are at their best. Of looks of 128, 160, 192 and 256 pixels this one left the fewest
/// strangers alike and missed the fewest tilted faces.
const LOOK_PX: u32 = 192;
const AROUND: f32 = 2.4;
/// A tilt of less is settled: alignment and recognition lose nothing by it.
const SETTLED_DEG: f32 = 4.0;
/// The tilt is about so many times what the landmarks say.
const UNDERSTATED: f32 = 1.3;
/// What a look finds is the face that was meant when it overlaps the middle at least this much (IoU).
const MEANT: f32 = 0.3;
/// A face must be this much surer to stand when it is turned by a quarter or more.
const CLEARLY: f32 = 1.1;
/// A face tilted by less is cut out as it is.
const UPRIGHT_DEG: f32 = 10.0;

/// Looks at a face of the picture again. `None` when no look finds it: the first one took something else for a face, or
/// saw it by chance.
pub(super) fn look_again(
    model: &mut dyn Model,
    picture: &Picture,
    face: &Face,
) -> Result<Option<SecondLook>, DetectError> {
    let doubtful = model.doubtful();
    let mut best = settle(model, picture, &face.bbox, -UNDERSTATED * roll(face))?;
    if best.as_ref().is_none_or(|it| it.sure < doubtful) {
        for start in [90.0, 180.0, -90.0] {
            let needed = best.as_ref().map_or(0.0, |it| it.sure * CLEARLY).max(doubtful);
            let turned = settle(model, picture, &face.bbox, start)?;
            best = turned.filter(|it| it.sure >= needed).or(best);
        }
    }
    Ok(best)
}

/// Looks at what is in a box, turned by `turn` to begin with, until it is no longer tilted.
pub(super) fn settle(
    model: &mut dyn Model,
    picture: &Picture,
    bbox: &Rect,
    mut turn: f32,
) -> Result<Option<SecondLook>, DetectError> {
    let mut best: Option<SecondLook> = None;
    for _ in 0..LOOKS {
        let Some(look) = look(model, picture, bbox, turn)? else { break };
        let tilt = roll(&look.seen);
        if best.as_ref().is_none_or(|best| look.sure > best.sure) {
            best = Some(look);
        }
        if tilt.abs() <= SETTLED_DEG {
            break;
        }
        turn -= UNDERSTATED * tilt;
    }
    Ok(best)
}

fn look(model: &mut dyn Model, picture: &Picture, bbox: &Rect, turn: f32) -> Result<Option<SecondLook>, DetectError> {
    let side = AROUND * bbox.width.max(bbox.height);
    if !(side.is_finite() && side >= 1.0) {
        return Ok(None);
    }
    let to_look = align::square(bbox.centre(), side, turn, LOOK_PX);
    let looked = align::warp(picture, &to_look, LOOK_PX).map_err(|source| DetectError::Picture { source })?;
    let (middle, height) = (LOOK_PX as f32 / 2.0, LOOK_PX as f32 / AROUND);
    let expected = Rect::about(Point { x: middle, y: middle }, height, height);
    let overlap = |face: &Face| face.bbox.iou(&expected);
    let found = model.detect(&looked)?.into_iter().filter(|face| overlap(face) >= MEANT);
    Ok(found.max_by(|a, b| overlap(a).total_cmp(&overlap(b))).map(|seen| SecondLook::of(seen, to_look, turn)))
}

impl SecondLook {
    fn of(seen: Face, to_look: Affine, turn: f32) -> Self {
        let sure = geometry::standing(&seen);
        let back = align::undone(&to_look);
        let scale = back[0][0].hypot(back[1][0]) as f32;
        let face = Face {
            bbox: Rect::about(apply(&back, seen.bbox.centre()), seen.bbox.width * scale, seen.bbox.height * scale),
            landmarks: seen.landmarks.map(|point| apply(&back, point)),
            score: seen.score,
        };
        Self { face, turn: (turn + 180.0).rem_euclid(360.0) - 180.0, sure, seen }
    }

    /// The pose of the face once it stands: what alignment does not undo.
    pub fn pose(&self) -> Part {
        geometry::pose(&self.seen)
    }

    /// Whether the face stands as it is, near enough.
    pub fn is_upright(&self) -> bool {
        self.turn.abs() < UPRIGHT_DEG
    }

    /// The square of `side` pixels around the face, turned so that the face stands, as large as it is in the picture:
    /// the square, the face in it, and the way of a point there. What lies beyond the picture is black.
    pub fn turned(&self, picture: &Picture, side: u32) -> Result<(Picture, Face, Affine), PictureError> {
        let there = align::square(self.face.bbox.centre(), side as f32, self.turn, side);
        let square = align::warp(picture, &there, side)?;
        let middle = side as f32 / 2.0;
        let face = Face {
            bbox: Rect::about(Point { x: middle, y: middle }, self.face.bbox.width, self.face.bbox.height),
            landmarks: self.face.landmarks.map(|point| apply(&there, point)),
            score: self.face.score,
        };
        Ok((square, face, there))
    }

    /// The quarter turns clockwise nearest to [`turn`](Self::turn): 0 to 3.
    pub fn quarter(&self) -> u8 {
        (self.turn / 90.0).round().rem_euclid(4.0) as u8
    }
}

fn roll(face: &Face) -> f32 {
    geometry::pose_of(&face.landmarks).map_or(0.0, |pose| pose.roll)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::align::ARCFACE;

    /// Finds a face by the colours of its five landmarks, and tells only part of its tilt, like a real model: nothing
    /// from 60 degrees on, and less sure the more it tilts.
    struct Dots {
        /// What is told of a tilt.
        told: f32,
        looks: usize,
    }

    const COLOURS: [[u8; 3]; 5] = [[250, 0, 0], [0, 250, 0], [0, 0, 250], [250, 250, 0], [0, 250, 250]];

    impl Model for Dots {
        fn name(&self) -> &str {
            "dots"
        }

        fn doubtful(&self) -> f32 {
            0.8
        }

        fn detect(&mut self, picture: &Picture) -> Result<Vec<Face>, DetectError> {
            self.looks += 1;
            let place = |colour: [u8; 3]| {
                let is = |(x, y): &(u32, u32)| {
                    let pixel = &picture.row(*y)[*x as usize * 3..][..3];
                    pixel.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 60)
                };
                let all = (0..picture.height()).flat_map(|y| (0..picture.width()).map(move |x| (x, y)));
                let dots: Vec<_> = all.filter(is).collect();
                let mean =
                    |of: fn(&(u32, u32)) -> u32| dots.iter().map(|dot| of(dot) as f32).sum::<f32>() / dots.len() as f32;
                (!dots.is_empty()).then(|| Point { x: mean(|dot| dot.0), y: mean(|dot| dot.1) })
            };
            let Some(points) = COLOURS.map(place).into_iter().collect::<Option<Vec<_>>>() else { return Ok(vec![]) };
            let real: [Point; 5] = points.try_into().unwrap();
            let tilt = roll(&Face { bbox: Rect::about(real[2], 1.0, 1.0), landmarks: real, score: 1.0 });
            if tilt.abs() > 60.0 {
                return Ok(vec![]);
            }
            let around = Point {
                x: real.iter().map(|p| p.x).sum::<f32>() / 5.0,
                y: real.iter().map(|p| p.y).sum::<f32>() / 5.0,
            };
            let back = align::square(around, 2.0, tilt * (self.told - 1.0), 2);
            let (dx, dy) = (around.x - 1.0, around.y - 1.0);
            let told = real.map(|p| apply(&back, p)).map(|p| Point { x: p.x + dx, y: p.y + dy });
            let height = 2.2 * (real[3].y - real[0].y).hypot(real[3].x - real[0].x);
            let bbox = Rect::about(around, height / 1.2, height);
            Ok(vec![Face { bbox, landmarks: told, score: 1.0 - tilt.abs() / 120.0 }])
        }
    }

    /// A picture of such a face, turned by so many degrees, and where its landmarks are.
    fn face(degrees: f32) -> (Picture, [Point; 5], Rect) {
        let (centre, side) = (Point { x: 56.0, y: 72.0 }, 112.0);
        let there = align::square(centre, side, degrees, 224);
        let landmarks = ARCFACE.map(|point| apply(&there, point)).map(|p| Point { x: p.x + 100.0, y: p.y + 60.0 });
        let mut pixels = [90u8; 3].repeat(480 * 360);
        for (point, colour) in landmarks.iter().zip(COLOURS) {
            for (dx, dy) in (-4..=4).flat_map(|dx| (-4..=4).map(move |dy| (dx, dy))) {
                let at = ((point.y as i32 + dy) * 480 + point.x as i32 + dx) as usize * 3;
                pixels[at..at + 3].copy_from_slice(&colour);
            }
        }
        let bbox = Rect::about(Point { x: 212.0, y: 172.0 }, 160.0, 190.0);
        (Picture::new(480, 360, pixels).unwrap(), landmarks, bbox)
    }

    fn seen_again(degrees: f32, told: f32) -> (Option<SecondLook>, [Point; 5], usize) {
        let (picture, landmarks, bbox) = face(degrees);
        let mut model = Dots { told, looks: 0 };
        let first = model.detect(&picture).unwrap().into_iter().next();
        let first = first.unwrap_or(Face { bbox, landmarks: ARCFACE, score: 0.6 });
        let look = look_again(&mut model, &picture, &Face { bbox, ..first }).unwrap();
        (look, landmarks, model.looks)
    }

    #[test]
    fn a_tilt_is_settled_however_little_of_it_is_told() {
        for told in [1.0, 0.7, 0.5] {
            for degrees in [0.0, -6.0, 25.0, -45.0, 55.0] {
                let (look, landmarks, looks) = seen_again(degrees, told);
                let look = look.unwrap();
                assert!((look.turn + degrees).abs() < 8.0, "{degrees} of which {told} is told: {}", look.turn);
                assert_eq!(look.is_upright(), degrees.abs() < 10.0, "{degrees}, {told}");
                assert!(looks <= 1 + LOOKS, "{looks}");
                let off = |(a, b): (&Point, &Point)| (a.x - b.x).hypot(a.y - b.y);
                let worst = look.face.landmarks.iter().zip(&landmarks).map(off).fold(0.0, f32::max);
                assert!(worst < 8.0, "{degrees}, {told}: {worst} pixels off");
            }
        }
    }

    #[test]
    fn a_face_that_hangs_or_lies_is_turned_by_quarters() {
        for (degrees, quarter) in [(0.0, 0), (90.0, 3), (180.0, 2), (-90.0, 1), (165.0, 2)] {
            let (look, ..) = seen_again(degrees, 0.7);
            assert_eq!(look.unwrap().quarter(), quarter, "{degrees}");
        }
    }

    #[test]
    fn what_is_not_seen_again_is_none() {
        let picture = Picture::filled(200, 200, [90; 3]);
        let mut model = Dots { told: 1.0, looks: 0 };
        for bbox in
            [Rect::about(Point { x: 90.0, y: 90.0 }, 60.0, 70.0), Rect::about(Point { x: f32::NAN, y: 0.0 }, 9.0, 9.0)]
        {
            let face = Face { bbox, landmarks: ARCFACE, score: 0.9 };
            assert!(look_again(&mut model, &picture, &face).unwrap().is_none());
        }
        assert!(model.looks <= 8);
    }

    #[test]
    fn the_turned_square_shows_the_face_upright() {
        let (look, ..) = seen_again(40.0, 0.7);
        let (picture, ..) = face(40.0);
        let (square, face, there) = look.unwrap().turned(&picture, 260).unwrap();
        assert_eq!((square.width(), square.height()), (260, 260));
        assert!(roll(&face).abs() < 8.0, "{}", roll(&face));
        assert!((face.bbox.centre().x - 130.0).abs() < 1e-3 && face.bbox.height > face.bbox.width);
        let back = align::undone(&there);
        let again = apply(&there, apply(&back, face.landmarks[1]));
        assert!((again.x - face.landmarks[1].x).abs() < 1e-2 && (again.y - face.landmarks[1].y).abs() < 1e-2);
        let Point { x, y } = face.landmarks[0];
        let pixel = &square.row(y as u32)[x as usize * 3..][..3];
        assert!(pixel[0] > 180 && pixel[1] < 90, "the left eye at the left: {pixel:?}");
    }
}
