//! The parts of quality that need pixels: sharpness, exposure and contrast.
//!
//! In: a picture and a face's box. Out: three [`Part`]s, all measured on the inner four fifths of the box (the skin,
//! not what is behind it), in grey, at the size where the whole box would be 64 px tall. That size makes faces near
//! and far comparable, bounds the cost, and keeps what recognition needs: it hardly gains above 60 px.

use super::{Part, ramp};
use crate::face::Rect;
use crate::picture::{Interpolation, Picture, PictureError};

/// The height the box is brought to.
const BOX_PX: f32 = 64.0;
/// The share of the box that is looked at, in each direction.
const INNER: f32 = 0.8;
/// The patch is never larger than this on a side, however odd the box.
const PATCH_MAX_PX: f32 = 128.0;
/// A larger region is thinned out to about this before it is averaged down, so that a face filling a 4K frame costs
/// no more than one of 200 px.
const REGION_PX: u32 = 128;

/// Sharpness, exposure and contrast of the face in the box; all useless when no pixel of it is in the picture.
pub fn measure(picture: &Picture, bbox: &Rect) -> [Part; 3] {
    match Patch::cut(picture, bbox) {
        Some(patch) => {
            let mean = patch.mean();
            [patch.sharpness(), patch.exposure(mean), patch.contrast(mean)]
        }
        None => [Part::useless(0.0); 3],
    }
}

/// The inner face, grey, rows packed.
struct Patch {
    width: usize,
    grey: Vec<u8>,
}

impl Patch {
    fn cut(picture: &Picture, bbox: &Rect) -> Option<Self> {
        let finite = [bbox.x, bbox.y, bbox.width, bbox.height].iter().all(|n| n.is_finite() && n.abs() < 1e6);
        if !finite || bbox.width < 1.0 || bbox.height < 1.0 {
            return None;
        }
        let centre = bbox.centre();
        let span = |middle: f32, length: f32, limit: u32| {
            let from = (middle - length * INNER / 2.0).round().clamp(0.0, limit as f32) as u32;
            let to = (middle + length * INNER / 2.0).round().clamp(0.0, limit as f32) as u32;
            (from, to)
        };
        let (left, right) = span(centre.x, bbox.width, picture.width());
        let (top, bottom) = span(centre.y, bbox.height, picture.height());
        if right <= left || bottom <= top {
            return None;
        }
        let scale = BOX_PX / bbox.height;
        let side = |length: u32| (length as f32 * scale).round().clamp(8.0, PATCH_MAX_PX) as u32;
        let (width, height) = (side(right - left), side(bottom - top));
        let how = if scale < 1.0 { Interpolation::Area } else { Interpolation::Linear };
        let patch = region(picture, (left, right), (top, bottom)).and_then(|it| it.resized(width, height, how));
        Some(Self { width: width as usize, grey: patch.and_then(|it| it.grey()).ok()? })
    }

    /// Value: one minus the "blur effect" of Crete, Dolmiere, Ladret and Nicolas, SPIE 6492 (2007), box of five: how
    /// much of the difference between neighbours a blur takes away, in the direction in which it takes least (so that
    /// motion is noticed). A ratio, so light and contrast cancel out; noise does not, and passes for detail. Score: 0
    /// at 0.18, 1 from 0.42, as `make quality` found best. Faces of the johns photos (which are sharp) have 0.46 to
    /// 0.56; blurred by a Gaussian of 1, 2, 3 and 5 % of their height 0.41, 0.29, 0.22 and 0.18 (medians).
    fn sharpness(&self) -> Part {
        let height = self.grey.len() / self.width;
        let kept = |lines: usize, length: usize, at: &dyn Fn(usize, usize) -> i32| {
            let (mut all, mut lost) = (0i64, 0i64);
            for line in 0..lines {
                for i in 1..length {
                    let step = (at(line, i) - at(line, i - 1)).abs();
                    // Two neighbouring means of five share four pixels: their difference is that of the outer two.
                    let blurred = at(line, (i + 2).min(length - 1)) - at(line, i.saturating_sub(3));
                    all += i64::from(5 * step);
                    lost += i64::from((5 * step - blurred.abs()).max(0));
                }
            }
            // Less than half a grey level from pixel to pixel is a wall or the night, not a face.
            if all * 2 < 5 * (lines * length) as i64 { 0.0 } else { lost as f32 / all as f32 }
        };
        let across = kept(height, self.width, &|y, x| i32::from(self.grey[y * self.width + x]));
        let down = kept(self.width, height, &|x, y| i32::from(self.grey[y * self.width + x]));
        let value = across.min(down);
        Part::new(ramp(value, 0.18, 0.42), value)
    }

    /// Value: the mean brightness, 0 to 255. Score: 1 between 40 and 200 (dark skin in plain light is well inside), 0
    /// below 8 and above 250, straight in between; times 1 down to 0.2 as the share of pixels without detail (below
    /// 5 or above 250) goes from 10 % to 60 %.
    fn exposure(&self, mean: f32) -> Part {
        let clipped = self.grey.iter().filter(|&&v| !(5..=250).contains(&v)).count() as f32 / self.grey.len() as f32;
        let light = ramp(mean, 8.0, 40.0).min(ramp(mean, 250.0, 200.0));
        let detail = 0.2 + 0.8 * ramp(clipped, 0.6, 0.1);
        Part::new(light * detail, mean)
    }

    /// Value: the standard deviation of the brightness. Score: 0 at 0, 1 from 24: little is left of a face in fog,
    /// behind a dirty dome, in the glare of the sun or of infra-red light, or in the dark. (By `make quality`, which
    /// found the exposure to tell little beside it.)
    fn contrast(&self, mean: f32) -> Part {
        let variance = self.grey.iter().map(|&v| (f32::from(v) - mean).powi(2)).sum::<f32>() / self.grey.len() as f32;
        Part::new(ramp(variance.sqrt(), 0.0, 24.0), variance.sqrt())
    }

    fn mean(&self) -> f32 {
        self.grey.iter().map(|&v| f32::from(v)).sum::<f32>() / self.grey.len() as f32
    }
}

/// The pixels of a region (`from` inclusive, `to` exclusive, inside the picture), thinned out when there are many.
fn region(picture: &Picture, x: (u32, u32), y: (u32, u32)) -> Result<Picture, PictureError> {
    let step = ((x.1 - x.0).min(y.1 - y.0) / REGION_PX).max(1) as usize;
    let (left, right) = (x.0 as usize * 3, x.1 as usize * 3);
    let rows = (y.0..y.1).step_by(step).map(|row| &picture.row(row)[left..right]);
    let height = rows.len() as u32;
    let mut bgr = Vec::with_capacity(height as usize * (right - left) / step + 3);
    for row in rows {
        match step {
            1 => bgr.extend_from_slice(row),
            _ => row.chunks_exact(3).step_by(step).for_each(|pixel| bgr.extend_from_slice(pixel)),
        }
    }
    Picture::new((x.1 - x.0).div_ceil(step as u32), height, bgr)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of soft random blobs, as a stand-in for skin and features: sharp edges every `cell` pixels.
    fn texture(side: u32, cell: u32) -> Picture {
        let value = |x: u32, y: u32| {
            let mut h = (x / cell).wrapping_mul(0x9e37_79b1) ^ (y / cell).wrapping_mul(0x85eb_ca6b);
            h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
            60 + (h >> 16) as u8 % 120
        };
        let bgr = (0..side).flat_map(|y| (0..side).flat_map(move |x| [value(x, y); 3])).collect();
        Picture::new(side, side, bgr).unwrap()
    }

    fn whole(picture: &Picture) -> Rect {
        Rect { x: 0.0, y: 0.0, width: picture.width() as f32, height: picture.height() as f32 }
    }

    fn changed(picture: &Picture, change: impl Fn(f32) -> f32) -> Picture {
        let bgr = picture.bgr().iter().map(|&v| change(f32::from(v)).clamp(0.0, 255.0) as u8).collect();
        Picture::new(picture.width(), picture.height(), bgr).unwrap()
    }

    #[test]
    fn blur_lowers_sharpness_and_contrast_does_not() {
        let sharp = texture(256, 16);
        // Shrunk and enlarged again: detail is gone, the blobs stay.
        let soften = |to| {
            let small = sharp.resized(to, to, Interpolation::Area).unwrap();
            small.resized(256, 256, Interpolation::Linear).unwrap()
        };
        let score = |p: &Picture| measure(p, &whole(p))[0].value;
        assert!(score(&sharp) > score(&soften(32)) + 0.05);
        assert!(score(&soften(32)) > score(&soften(16)) + 0.02);
        let flat = changed(&sharp, |v| 90.0 + v * 0.3);
        assert!((score(&sharp) - score(&flat)).abs() < 0.03, "{} {}", score(&sharp), score(&flat));
    }

    #[test]
    fn exposure_falls_towards_black_and_white_and_contrast_in_fog() {
        let good = texture(128, 8);
        let light = |p: &Picture| measure(p, &whole(p));
        assert!(light(&good)[1..].iter().all(|part| part.score == 1.0), "{:?}", light(&good));
        for (name, part, change) in [
            ("dark", 1, (|v| v * 0.2) as fn(f32) -> f32),
            ("bright", 1, |v| 180.0 + v * 0.5),
            ("clipped", 1, |v| (v - 120.0) * 20.0),
            ("fog", 2, |v| 120.0 + v * 0.05),
        ] {
            let part = light(&changed(&good, change))[part];
            assert!(part.score < 0.6, "{name}: {part:?}");
        }
        assert!(light(&Picture::filled(50, 50, [0; 3])).iter().all(|part| part.score == 0.0));
    }

    #[test]
    fn a_patch_is_small_whatever_the_box() {
        let picture = texture(1500, 9);
        for rect in [
            whole(&picture),
            Rect { x: -500.0, y: -500.0, width: 2500.0, height: 2500.0 },
            Rect { x: 3.0, y: 3.0, width: 1400.0, height: 2.0 },
            Rect { x: 3.0, y: 3.0, width: 1.0, height: 1.0 },
        ] {
            let patch = Patch::cut(&picture, &rect).unwrap();
            assert!(patch.grey.len() <= 128 * 128 && patch.grey.len() >= 64, "{rect:?}: {}", patch.grey.len());
        }
        let outside = Rect { x: 2000.0, y: 0.0, width: 50.0, height: 50.0 };
        assert!(Patch::cut(&picture, &outside).is_none());
    }
}
