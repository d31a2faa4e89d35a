//! MiniFASNet-V2-SE, trained on CelebA-Spoof.
//!
//! In: the box of a face on its picture; a square of one and a half times its longer side, mirrored where the picture
//! ends, red, green, blue, 0 to 1. Out: how much more the network takes it for a person than for a picture of one, as
//! 0 to 1 (Zhang, Yin, Li et al.: "CelebA-Spoof", 2020; the weights and their preprocessing are those of
//! johnraivenolazo/face-antispoof-onnx).

use super::Layout;
use crate::face::Rect;
use crate::picture::{Border, Interpolation, Picture, PictureError};

/// Width and height of the network's input in pixels.
const INPUT_PX: u32 = 128;
/// The square's side, in longer sides of the box.
const SIDE: f32 = 1.5;
/// A square is no larger than so many longest sides of the picture: a box beyond that is no face in it.
const MOST: u32 = 2;

pub(super) const LAYOUT: Layout = Layout { cut, channels: [2, 1, 0], factor: 1.0 / 255.0, live };

fn cut(picture: &Picture, face: &Rect) -> Result<Picture, PictureError> {
    let most = (MOST * picture.width().max(picture.height())) as f32;
    let side = (face.width.max(face.height) * SIDE).clamp(1.0, most).trunc();
    let centre = face.centre();
    let (left, top) = ((centre.x - side / 2.0).trunc(), (centre.y - side / 2.0).trunc());
    let (left, top) = if left.is_finite() && top.is_finite() { (left, top) } else { (0.0, 0.0) };
    // Moved by whole pixels, nothing is interpolated.
    let moved = [[1.0, 0.0, f64::from(-left)], [0.0, 1.0, f64::from(-top)]];
    let square = picture.warped(&moved, side as u32, side as u32, Border::Mirror)?;
    let interpolation = if side < INPUT_PX as f32 { Interpolation::Lanczos } else { Interpolation::Area };
    square.resized(INPUT_PX, INPUT_PX, interpolation)
}

/// Two logits: a person, and a picture of one.
fn live(values: &[f32]) -> Option<f32> {
    let &[person, picture] = values else { return None };
    Some(1.0 / (1.0 + (picture - person).exp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_square_goes_on_as_a_mirror_beyond_the_picture() {
        // A slope from left to right: 0, 4, 8, ...
        let slope = |x: u32| (x * 4) as u8;
        let pixels = (0..40 * 40).flat_map(|at| [slope(at % 40); 3]).collect();
        let picture = Picture::new(40, 40, pixels).unwrap();
        let face = Rect { x: 0.0, y: 0.0, width: 20.0, height: 20.0 };
        // The square is 30 px around (10, 10): it begins 5 px outside.
        let chip = cut(&picture, &face).unwrap();
        assert_eq!((chip.width(), chip.height()), (128, 128));
        let at = |x: u32| f32::from(chip.row(64)[3 * x as usize]);
        let per_px = 128.0 / 30.0;
        let mirrored = at((1.5 * per_px) as u32) - f32::from(slope(4));
        let inside = at((20.5 * per_px) as u32) - f32::from(slope(15));
        assert!(mirrored.abs() < 3.0 && inside.abs() < 3.0, "{mirrored} {inside}");
    }

    #[test]
    fn any_box_gives_a_chip() {
        let picture = Picture::filled(50, 30, [1, 2, 3]);
        for (x, y, width, height) in [
            (0.0, 0.0, 0.0, 0.0),
            (-500.0, 900.0, 10.0, 10.0),
            (f32::NAN, 0.0, f32::NAN, 4.0),
            (0.0, 0.0, f32::INFINITY, 1.0),
            (10.0, 10.0, -5.0, -5.0),
        ] {
            let chip = cut(&picture, &Rect { x, y, width, height }).unwrap();
            assert_eq!((chip.width(), chip.height()), (128, 128));
        }
    }

    #[test]
    fn the_logits_are_weighed_against_each_other() {
        for (values, wanted) in [(&[0.0, 0.0][..], Some(0.5)), (&[3.0, -3.0], Some(0.9975)), (&[1.0], None)] {
            let found = live(values);
            assert_eq!(found.map(|live| (live * 1e4).round() / 1e4), wanted, "{values:?}");
        }
    }
}
