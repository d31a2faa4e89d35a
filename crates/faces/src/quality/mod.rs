//! How much a face in a frame is worth sending: one number and the reasons for it.
//!
//! Pure: in goes a picture, a face and the limits, out comes [`Quality`]. It knows what recognition needs of a face
//! (size, focus, a look at the camera, light, all of it in the picture); it does not know who the face belongs to
//! or what was seen before. [`geometry`] holds the parts that need no pixels, [`pixels`] the three that do.

pub mod geometry;
pub mod pixels;

use crate::face::Face;
use crate::picture::Picture;

/// Every part from 0 (useless) to 1 (as good as it gets), with the measured value behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Quality {
    /// The parts taken together, 0 to 1; see [`Quality::of`].
    pub total: f32,
    /// Value: height of the face's box, pixels of the frame.
    pub size: Part,
    /// Value: one minus the blur of Crete et al. 2007, about 0.1 (smeared) to 0.55 (crisp).
    pub sharpness: Part,
    /// Value: degrees away from looking straight into the camera.
    pub pose: Part,
    /// Value: mean brightness of the face, 0 (black) to 255 (white).
    pub exposure: Part,
    /// Value: standard deviation of the face's brightness, of 255.
    pub contrast: Part,
    /// Value: share of the face outside the frame, 0 to 1.
    pub truncation: Part,
}

/// What a face must reach to be worth sending.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QualityOptions {
    /// Smallest height of the face's box.
    pub min_face_px: u32,
    /// Smallest total quality, 0 to 1.
    pub min_total: f32,
}

/// One reason: a score and the measurement it stands for (its unit is said where it is computed).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// 0 to 1.
    pub score: f32,
    pub value: f32,
}

/// The exponents of the parts in [`Quality::of`], in the order of [`Quality::parts`].
///
/// `make quality` (`tests/quality`) fits them and the ramps of the parts: none of its changes orders the pictures of
/// a person better by whether MobileFaceNet and face-api's ResNet recognise them (13 people, 2,025 pictures). Two
/// faces of one person of which one is recognised stand in the right order in 81.7 % of all pairs, with numbers
/// chosen by hand 79.6 %. Numbers fitted to half of the people gain 2.0 % over those by hand on the other half (0.8
/// to 2.9 in 95 of 100 draws of the photographs).
pub const WEIGHTS: [f32; 6] = [0.6, 0.6, 0.6, 0.2, 0.4, 1.6];

/// Measures a face. Never fails: what cannot be measured (a box outside the frame, a coordinate that is not a
/// number) scores 0. The size counts relative to `limits.min_face_px`, the rest does not depend on the limits.
pub fn measure(picture: &Picture, face: &Face, limits: &QualityOptions) -> Quality {
    let [sharpness, exposure, contrast] = pixels::measure(picture, &face.bbox);
    let size = geometry::size(face, limits.min_face_px);
    let truncation = geometry::truncation(face, picture.width(), picture.height());
    Quality::of([size, sharpness, geometry::pose(face), exposure, contrast, truncation])
}

impl Quality {
    /// Takes the parts together, in the order of [`parts`](Self::parts): the product of their scores, each to the
    /// power of its [weight](WEIGHTS). One useless part makes the whole useless, and no part makes up for another,
    /// which an average would allow.
    ///
    /// What the number means, by `make quality`: of photographs and recordings of 13 people in all sizes, blurred,
    /// shaken, dimmed, back-lit, overexposed, fogged, grainy, cut off and coarsely compressed (2,025 faces found),
    /// each against one or two enrolled photographs, so many are missed in per cent:
    ///
    /// | total from | 0.0 | 0.1 | 0.2 | 0.3 | 0.4 | 0.5 | 0.6 | 0.7 | 0.8 | 0.9 |
    /// |---|---|---|---|---|---|---|---|---|---|---|
    /// | MobileFaceNet | 98 | 96 | 92 | 80 | 65 | 49 | 32 | 32 | 15 | 5 |
    /// | face-api's ResNet | 100 | 99 | 94 | 88 | 78 | 66 | 49 | 49 | 39 | 19 |
    ///
    /// People are enrolled from poor photographs, too, and noise passes for sharpness: whom a camera sees well is
    /// missed less often.
    pub fn of([size, sharpness, pose, exposure, contrast, truncation]: [Part; 6]) -> Self {
        let mut quality = Self { total: 0.0, size, sharpness, pose, exposure, contrast, truncation };
        let total: f32 =
            quality.parts().iter().zip(WEIGHTS).map(|((_, part), weight)| part.score.powf(weight)).product();
        quality.total = unit(total);
        quality
    }

    /// The same with another pose: that of a second look.
    pub fn with_pose(self, pose: Part) -> Self {
        Self::of([self.size, self.sharpness, pose, self.exposure, self.contrast, self.truncation])
    }

    /// Whether the face may be sent: tall enough and good enough in all.
    pub fn good_enough(&self, limits: &QualityOptions) -> bool {
        self.tall_enough(limits) && self.total >= limits.min_total
    }

    /// Whether the face has the smallest height asked for.
    pub fn tall_enough(&self, limits: &QualityOptions) -> bool {
        self.size.value >= limits.min_face_px as f32
    }

    /// The parts with their names, in the order they are told.
    pub fn parts(&self) -> [(&'static str, Part); 6] {
        [
            ("size", self.size),
            ("sharpness", self.sharpness),
            ("pose", self.pose),
            ("exposure", self.exposure),
            ("contrast", self.contrast),
            ("truncation", self.truncation),
        ]
    }

    /// The name of the part that costs the total most: what to tell someone who asks why a face was too poor.
    pub fn weakest(&self) -> &'static str {
        let cost = |((_, part), weight): &((&'static str, Part), f32)| part.score.powf(*weight);
        let worst = self.parts().into_iter().zip(WEIGHTS).min_by(|a, b| cost(a).total_cmp(&cost(b)));
        worst.map_or("size", |((name, _), _)| name)
    }
}

/// The heights and totals from which on asking an engine is worth it, by `make quality`: of faces with nothing else
/// wrong MobileFaceNet misses 58 % from 32 px, 53 from 40, 46 from 48, 29 from 56, 16 from 64; of those of 48 px a
/// bound of 0.3 turns away 5 %, of which it would recognise 9 %. One of 0.2 turns away 2 %, one of 0.4 13 % of which
/// it would recognise 13 %.
impl Default for QualityOptions {
    fn default() -> Self {
        Self { min_face_px: 48, min_total: 0.3 }
    }
}

impl Part {
    /// The score is forced into 0 to 1; a value that is not a number becomes 0 and scores 0.
    pub fn new(score: f32, value: f32) -> Self {
        if value.is_finite() { Self { score: unit(score), value } } else { Self::useless(0.0) }
    }

    /// Scores 0.
    pub fn useless(value: f32) -> Self {
        Self { score: 0.0, value }
    }
}

/// 0 at `zero`, 1 at `one`, straight in between and flat beyond; `zero` may be the larger one.
fn ramp(value: f32, zero: f32, one: f32) -> f32 {
    unit((value - zero) / (one - zero))
}

/// Into 0 to 1; not a number becomes 0.
fn unit(value: f32) -> f32 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::face::{Point, Rect};

    fn parts(scores: [f32; 6]) -> Quality {
        Quality::of(scores.map(|score| Part::new(score, 50.0)))
    }

    #[test]
    fn one_useless_part_makes_the_whole_useless() {
        assert_eq!(parts([1.0; 6]).total, 1.0);
        for useless in 0..6 {
            let mut scores = [1.0; 6];
            scores[useless] = 0.0;
            let quality = parts(scores);
            assert_eq!(quality.total, 0.0);
            assert_eq!(quality.weakest(), quality.parts()[useless].0);
        }
    }

    #[test]
    fn every_part_counts_towards_the_total() {
        for part in 0..6 {
            let at = |score| {
                let mut scores = [0.8; 6];
                scores[part] = score;
                parts(scores).total
            };
            assert!(at(0.4) < at(0.6) && at(0.6) < at(1.0), "part {part}");
        }
    }

    #[test]
    fn good_enough_asks_for_height_and_total() {
        let limits = QualityOptions { min_face_px: 50, min_total: 0.3 };
        assert!(parts([0.9; 6]).good_enough(&limits));
        assert!(!parts([0.2; 6]).good_enough(&limits));
        let small = QualityOptions { min_face_px: 51, min_total: 0.3 };
        assert!(!parts([0.9; 6]).good_enough(&small));
        assert!(!parts([0.9; 6]).tall_enough(&small));
    }

    fn odd() -> impl Strategy<Value = f32> {
        prop_oneof![
            4 => -200f32..400.0,
            1 => Just(f32::NAN),
            1 => Just(f32::INFINITY),
            1 => Just(f32::NEG_INFINITY),
            1 => Just(0.0),
            1 => Just(f32::MAX),
            1 => Just(1e-30)
        ]
    }

    proptest! {
        #[test]
        fn whatever_the_face_the_scores_are_numbers_from_0_to_1(
            numbers in proptest::collection::vec(odd(), 14), width in 1u32..200, height in 1u32..200, min in 0u32..200,
        ) {
            let picture = Picture::filled(width, height, [90, 120, 140]);
            let point = |i: usize| Point { x: numbers[4 + 2 * i], y: numbers[5 + 2 * i] };
            let face = Face {
                bbox: Rect { x: numbers[0], y: numbers[1], width: numbers[2], height: numbers[3] },
                landmarks: std::array::from_fn(point),
                score: 0.9,
            };
            let quality = measure(&picture, &face, &QualityOptions { min_face_px: min, min_total: 0.3 });
            prop_assert!((0.0..=1.0).contains(&quality.total));
            for (name, part) in quality.parts() {
                prop_assert!((0.0..=1.0).contains(&part.score) && part.value.is_finite(), "{name} {part:?}");
            }
        }
    }
}
