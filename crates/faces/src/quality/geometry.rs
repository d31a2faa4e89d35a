//! The parts of quality that need no pixels: size, pose and truncation.
//!
//! In: a face's box and landmarks, and the frame's size. Out: one [`Part`] each, and the [`Pose`] behind the pose
//! part. It knows the proportions of a human face and nothing of the picture.

use super::{Part, ramp, unit};
use crate::align::ARCFACE;
use crate::face::{Face, Point};

/// Which way a face looks, in degrees, as far as five landmarks tell (within about 10 degrees).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pose {
    /// Turned about the vertical axis; positive when the nose points to the picture's right.
    pub yaw: f32,
    /// Nodding; positive when the nose points down.
    pub pitch: f32,
    /// Tilted in the picture plane; positive clockwise as the picture shows it.
    pub roll: f32,
}

/// Within this many degrees of straight on, recognition loses nothing, and five landmarks cannot tell anyway. By
/// `make quality` no other beginning or end of this ramp orders faces better, nor of those of size and truncation.
const STRAIGHT_DEG: f32 = 15.0;
/// From here one eye is hidden: no embedding model matches it with a photo from the front.
const PROFILE_DEG: f32 = 85.0;

/// A standing face's box is at least this much higher than wide; the detectors give 1.13 to 1.34, and 0.6 to 1.1 for
/// most faces that lie or hang.
const STANDING_SHAPE: f32 = 1.15;

/// Size. Value: the height of the box in pixels. Score: by the logarithm, because that is how recognition depends on
/// size, from 0 at a third of `min_face_px` over 0.61 at it to 1 from twice of it (96 px where the smallest is 48).
pub fn size(face: &Face, min_face_px: u32) -> Part {
    let height = face.bbox.height;
    if !(height > 0.0 && height < 1e6 && face.bbox.width > 0.0) {
        return Part::useless(0.0);
    }
    Part::new((3.0 * height / min_face_px.max(1) as f32).log2() / 6f32.log2(), height)
}

/// Pose. Value: `sqrt(yaw² + (0.75 pitch)² + (0.3 roll)²)` in degrees, at most 90, and 90 when the landmarks make no
/// face. Score: a smooth step from 1 at 15 degrees to 0 at 85. Nodding counts less than turning, as it hides less of
/// the face (and a camera above the door sees everybody nod). Tilting counts little, as a second look undoes it before
/// the face is used; but of two pictures the upright one is the better.
pub fn pose(face: &Face) -> Part {
    away(face, 0.3)
}

/// How surely a face stands, 0 to 1: the detector's score, as far as the landmarks and the box have the shape of a
/// standing face. Of the landmarks the square root of the pose's score, with 1.5 times the roll, so that nothing is
/// left of a face that lies; to be held against the same face turned otherwise.
pub fn standing(face: &Face) -> f32 {
    let shape = unit(face.bbox.height / face.bbox.width / STANDING_SHAPE);
    face.score * away(face, 1.5).score.sqrt() * shape
}

/// From straight on, where a degree of roll counts so many.
fn away(face: &Face, roll: f32) -> Part {
    let away = pose_of(&face.landmarks).map_or(90.0, |p| p.yaw.hypot(0.75 * p.pitch).hypot(roll * p.roll)).min(90.0);
    let t = ramp(away, PROFILE_DEG, STRAIGHT_DEG);
    Part::new(t * t * (3.0 - 2.0 * t), away)
}

/// Truncation. Value: the larger of the share of the box's area and the share of the five landmarks that lie outside
/// the frame, 0 to 1; at least 0.05 when the box only touches an edge, as a detector may have cut it there. Score:
/// 1 at none, 0 from one half.
pub fn truncation(face: &Face, width: u32, height: u32) -> Part {
    let (width, height) = (width as f32, height as f32);
    let b = &face.bbox;
    let seen = |from: f32, length: f32, limit: f32| {
        let inside = (from + length).min(limit) - from.max(0.0);
        unit(inside / length)
    };
    if !(b.width > 0.0 && b.height > 0.0 && b.x.is_finite() && b.y.is_finite()) {
        return Part::useless(1.0);
    }
    let box_outside = 1.0 - seen(b.x, b.width, width) * seen(b.y, b.height, height);
    let inside = |p: &&Point| (0.0..=width).contains(&p.x) && (0.0..=height).contains(&p.y);
    let points_outside = 1.0 - face.landmarks.iter().filter(inside).count() as f32 / 5.0;
    let touches = b.x < 1.0 || b.y < 1.0 || b.x + b.width > width - 1.0 || b.y + b.height > height - 1.0;
    let value = box_outside.max(points_outside).max(if touches { 0.05 } else { 0.0 });
    Part::new(1.0 - value / 0.5, value)
}

/// Yaw, pitch and roll from the five landmarks; `None` when they make no face (two in one place, mirrored, not
/// numbers).
///
/// The eyes and mouth corners of the ArcFace template are taken as a plane and the nose tip as a point before it; the
/// picture as a scaled orthographic view of that. The two axes of the plane are then least-squares differences of
/// landmarks, and the nose's distance from its place on the plane is the third.
pub fn pose_of(landmarks: &[Point; 5]) -> Option<Pose> {
    /// Between the eyes, between the mouth corners, from eyes to mouth, from the plane's centre down to the nose.
    const EYES: f32 = ARCFACE[1].x - ARCFACE[0].x;
    const MOUTH: f32 = ARCFACE[4].x - ARCFACE[3].x;
    const DOWN: f32 = (ARCFACE[3].y + ARCFACE[4].y - ARCFACE[0].y - ARCFACE[1].y) / 2.0;
    const NOSE_DOWN: f32 = ARCFACE[2].y - (ARCFACE[0].y + ARCFACE[1].y + ARCFACE[3].y + ARCFACE[4].y) / 4.0;
    /// The nose tip stands about 25 mm before the pupils, which are 63 mm apart (35.24 units).
    const NOSE_OUT: f32 = 14.0;

    let [eye_l, eye_r, nose, mouth_l, mouth_r] = landmarks.map(|p| [p.x, p.y]);
    let each = |f: &dyn Fn(usize) -> f32| [f(0), f(1)];
    let right =
        each(&|i| ((eye_r[i] - eye_l[i]) * EYES + (mouth_r[i] - mouth_l[i]) * MOUTH) / (EYES * EYES + MOUTH * MOUTH));
    let down = each(&|i| (mouth_l[i] + mouth_r[i] - eye_l[i] - eye_r[i]) / (2.0 * DOWN));
    let centre = each(&|i| (eye_l[i] + eye_r[i] + mouth_l[i] + mouth_r[i]) / 4.0);
    let out = each(&|i| (nose[i] - centre[i] - down[i] * NOSE_DOWN) / NOSE_OUT);

    // A mirrored or collapsed plane has no area to speak of; 1e-4 is a face of one pixel.
    let area = right[0] * down[1] - right[1] * down[0];
    if !(area.is_finite() && area > 1e-4 && out[0].is_finite() && out[1].is_finite()) {
        return None;
    }
    let roll = right[1].atan2(right[0]);
    let (sin, cos) = roll.sin_cos();
    let upright = |v: [f32; 2]| [v[0] * cos + v[1] * sin, v[1] * cos - v[0] * sin];
    let (right, down, out) = (upright(right), upright(down), upright(out));
    Some(Pose {
        yaw: out[0].atan2(right[0]).to_degrees(),
        pitch: out[1].atan2(down[1]).to_degrees(),
        roll: roll.to_degrees(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::Rect;

    /// The model of [`pose_of`], turned by yaw, then pitch, then roll (degrees), 100 px from eye to eye.
    fn turned(yaw: f32, pitch: f32, roll: f32) -> [Point; 5] {
        let (yaw, pitch, roll) = (yaw.to_radians(), pitch.to_radians(), roll.to_radians());
        let model = [
            [-17.62, -20.345, 0.0],
            [17.62, -20.345, 0.0],
            [0.0, -0.2, 14.0],
            [-14.59, 20.345, 0.0],
            [14.59, 20.345, 0.0],
        ];
        model.map(|[x, y, z]| {
            let (x, z) = (x * yaw.cos() + z * yaw.sin(), z * yaw.cos() - x * yaw.sin());
            let y = y * pitch.cos() + z * pitch.sin();
            let (x, y) = (x * roll.cos() - y * roll.sin(), x * roll.sin() + y * roll.cos());
            Point { x: 300.0 + x * 2.84, y: 200.0 + y * 2.84 }
        })
    }

    fn face(landmarks: [Point; 5]) -> Face {
        Face { bbox: Rect { x: 220.0, y: 100.0, width: 160.0, height: 200.0 }, landmarks, score: 0.9 }
    }

    #[test]
    fn pose_is_read_back_from_turned_landmarks() {
        for (yaw, pitch, roll) in [
            (0.0, 0.0, 0.0),
            (30.0, 0.0, 0.0),
            (-30.0, 0.0, 0.0),
            (60.0, 0.0, 0.0),
            (0.0, 25.0, 0.0),
            (0.0, -25.0, 0.0),
            (0.0, 0.0, 40.0),
            (0.0, 0.0, -40.0),
            (25.0, 0.0, 30.0),
            (20.0, 15.0, 0.0),
        ] {
            let pose = pose_of(&turned(yaw, pitch, roll)).unwrap();
            for (name, got, want) in [("yaw", pose.yaw, yaw), ("pitch", pose.pitch, pitch), ("roll", pose.roll, roll)] {
                assert!((got - want).abs() < 6.0, "{name} of {yaw}/{pitch}/{roll}: {got}");
            }
        }
    }

    #[test]
    fn the_further_a_face_turns_away_the_less_it_scores() {
        let score = |yaw, pitch, roll| pose(&face(turned(yaw, pitch, roll))).score;
        assert_eq!(score(10.0, 0.0, 0.0), 1.0);
        let steps = [10.0, 25.0, 35.0, 45.0, 55.0, 65.0].map(|yaw| score(yaw, 0.0, 0.0));
        assert!(steps.is_sorted_by(|a, b| a > b), "{steps:?}");
        assert!(score(88.0, 0.0, 0.0) == 0.0);
        assert!(score(40.0, 0.0, 0.0) < score(0.0, 40.0, 0.0));
    }

    #[test]
    fn a_tilt_costs_little_and_nobody_who_lies_stands() {
        let tilted = |roll| face(turned(0.0, 0.0, roll));
        assert!(pose(&tilted(45.0)).score > 0.98 && pose(&tilted(-90.0)).score > 0.8);
        assert!(pose(&tilted(170.0)).score < pose(&tilted(90.0)).score);
        let stands = [0.0, 20.0, 30.0, 45.0, 60.0, 90.0, 180.0].map(|roll| standing(&tilted(roll)));
        let upright = tilted(0.0);
        assert!(stands.is_sorted_by(|a, b| a >= b) && stands[3] < 0.75 * stands[0], "{stands:?}");
        assert_eq!(stands[0], upright.score, "as sure as the detector is");
        assert_eq!(stands[4..], [0.0; 3]);
        let wide = Rect { width: upright.bbox.height, ..upright.bbox };
        assert!(
            standing(&Face { bbox: wide, ..upright.clone() }) < 0.9 * stands[0],
            "a box like that of a face that lies"
        );
    }

    #[test]
    fn landmarks_that_make_no_face_score_nothing() {
        let good = turned(0.0, 0.0, 0.0);
        let mut mirrored = good;
        mirrored.swap(0, 1);
        mirrored.swap(3, 4);
        let mut missing = good;
        missing[2].x = f32::NAN;
        for landmarks in [[Point { x: 5.0, y: 5.0 }; 5], mirrored, missing] {
            assert_eq!(pose(&face(landmarks)), Part { score: 0.0, value: 90.0 });
        }
    }

    #[test]
    fn size_follows_what_recognition_makes_of_it() {
        let at = |height| {
            let mut face = face(turned(0.0, 0.0, 0.0));
            face.bbox.height = height;
            size(&face, 48)
        };
        for (height, score) in [(10.0, 0.0), (16.0, 0.0), (48.0, 0.613), (64.0, 0.774), (96.0, 1.0), (900.0, 1.0)] {
            assert!((at(height).score - score).abs() < 0.01, "{height}: {:?}", at(height));
            assert_eq!(at(height).value, height);
        }
        assert_eq!(at(f32::NAN).score, 0.0);
        assert_eq!(at(-5.0).score, 0.0);
    }

    #[test]
    fn what_hangs_out_of_the_frame_costs() {
        // The frame ends ever further to the left: first beside the box, then at it, then through it.
        let face = face(turned(0.0, 0.0, 0.0));
        let at = |width| truncation(&face, width, 400);
        assert_eq!(at(640), Part { score: 1.0, value: 0.0 });
        assert_eq!(at(380).value, 0.05);
        assert!((at(348).value - 0.2).abs() < 1e-5, "an eye, and a fifth of the box: {:?}", at(348));
        assert!((at(340).value - 0.4).abs() < 1e-5, "and a mouth corner: {:?}", at(340));
        assert_eq!(at(300).score, 0.0);
        assert_eq!(at(100), Part { score: 0.0, value: 1.0 });
    }
}
