//! MiniFASNet-V2 and MiniFASNet-V1-SE: one looks close around the face, the other at what surrounds it.
//!
//! In: the box of a face on its picture; the box enlarged 2.7 or 4 times about its middle and pushed into the picture,
//! smaller where the picture is, blue, green, red, 0 to 255. Out: how probable it is that it is neither printed nor
//! shown on a screen (the weights and their preprocessing are those of minivision-ai/Silent-Face-Anti-Spoofing).

use super::Layout;
use crate::face::Rect;
use crate::picture::{Interpolation, Picture, PictureError};

/// Width and height of the networks' input in pixels.
const INPUT_PX: u32 = 80;

const LAYOUT: Layout = Layout { cut: cut_2_7, channels: [0, 1, 2], factor: 1.0, live };
pub(super) const LAYOUT_2_7: Layout = LAYOUT;
pub(super) const LAYOUT_4_0: Layout = Layout { cut: cut_4_0, ..LAYOUT };

fn cut_2_7(picture: &Picture, face: &Rect) -> Result<Picture, PictureError> {
    cut(picture, face, 2.7)
}

fn cut_4_0(picture: &Picture, face: &Rect) -> Result<Picture, PictureError> {
    cut(picture, face, 4.0)
}

fn cut(picture: &Picture, face: &Rect, scale: f32) -> Result<Picture, PictureError> {
    let across = Span::around(face.x, face.width, picture.width());
    let down = Span::around(face.y, face.height, picture.height());
    let scale = scale.min(across.most()).min(down.most());
    let ((left, width), (top, height)) = (across.enlarged(scale), down.enlarged(scale));
    // The networks were trained on pictures shrunk without any averaging.
    picture.cropped(left, top, width, height)?.resized(INPUT_PX, INPUT_PX, Interpolation::Linear)
}

/// A side of the box along its side of the picture, in pixels.
struct Span {
    start: f32,
    length: f32,
    picture: f32,
}

impl Span {
    fn around(start: f32, length: f32, picture: u32) -> Self {
        let start = if start.is_finite() { start } else { 0.0 };
        let length = if length.is_finite() { length.max(1.0) } else { 1.0 };
        Self { start, length, picture: picture as f32 }
    }

    /// How many times it can be enlarged until it fills the picture.
    fn most(&self) -> f32 {
        (self.picture - 1.0) / self.length
    }

    /// Where it begins and how many pixels it has, enlarged about its middle and pushed into the picture.
    fn enlarged(&self, scale: f32) -> (i64, u32) {
        let last = self.picture - 1.0;
        let length = (self.length * scale).min(last);
        let start = (self.start + (self.length - length) / 2.0).min(last - length).max(0.0);
        let (first, end) = (start as i64, (start + length) as i64);
        (first, (end - first + 1) as u32)
    }
}

/// Three probabilities: a print, a person, a screen.
fn live(values: &[f32]) -> Option<f32> {
    let &[_, person, _] = values else { return None };
    Some(person)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_box_is_enlarged_about_its_middle_and_pushed_into_the_picture() {
        for (start, length, picture, scale, wanted) in [
            (100.0, 20.0, 400, 4.0_f32, (70, 81)),
            // At the edges it is pushed, not cut.
            (5.0, 20.0, 400, 4.0, (0, 81)),
            (390.0, 20.0, 400, 4.0, (319, 81)),
            // It fills the picture, and no more.
            (100.0, 200.0, 400, 4.0, (0, 400)),
            (-900.0, 20.0, 400, 2.0, (0, 41)),
        ] {
            let span = Span::around(start, length, picture);
            let found = span.enlarged(scale.min(span.most()));
            assert_eq!(found, wanted, "{start} {length} of {picture}");
        }
    }

    #[test]
    fn any_box_gives_a_chip() {
        for (width, height) in [(1, 1), (2, 900), (50, 30)] {
            let picture = Picture::filled(width, height, [1, 2, 3]);
            for (x, y, side) in
                [(0.0, 0.0, 0.0), (-500.0, 900.0, 10.0), (f32::NAN, 0.0, f32::NAN), (0.0, 0.0, f32::MAX)]
            {
                let chip = cut(&picture, &Rect { x, y, width: side, height: side }, 2.7).unwrap();
                assert_eq!((chip.width(), chip.height()), (80, 80), "{width}x{height} {x} {y} {side}");
            }
        }
    }

    #[test]
    fn the_person_is_in_the_middle_of_the_probabilities() {
        assert_eq!(live(&[0.2, 0.7, 0.1]), Some(0.7));
        assert_eq!(live(&[0.2, 0.8]), None);
    }
}
