//! The part of a picture that is searched when not all of it is.
//!
//! In: a picture's size, the part somebody wants, and how large the whole picture would be searched. Out: a part of few
//! possible sizes that holds it, at the same scale, and which of the network's cells its own begin with: a face in it
//! looks to the network as in the whole picture.

use crate::face::Rect;
use crate::picture::{Interpolation, Picture, PictureError};

use super::shrink::{Area, Shrinker};

/// Where it lies in the picture, and how large it is searched; in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub left: u32,
    pub top: u32,
    pub width: u32,
    pub height: u32,
    /// Its width and height in the search.
    pub searched: (u32, u32),
}

/// Begins at a multiple of this many pixels of the search: the deepest cells of both networks.
const BEGINS: u32 = 32;
/// Is longer than the shortest by a multiple of this many. Each size costs the network's runtime some memory.
const STEP: u32 = 128;
/// The shortest side: there is room in it for a coarse look, as in the whole picture.
const SHORTEST: u32 = 256;
/// A part of this much of the whole is not worth cutting out.
const MOST: f32 = 0.8;

impl Cut {
    /// `None` where the whole picture may as well be searched, whose longest side is then `longest` pixels.
    pub fn new((width, height): (u32, u32), part: &Rect, longest: u32) -> Option<Self> {
        let side = width.max(height);
        // In pixels of the search.
        let scale = longest as f32 / side as f32;
        let whole = [width, height].map(|length| (length as f32 * scale).floor() as u32);
        let across = stretch(part.x * scale, part.width * scale, whole[0]);
        let down = stretch(part.y * scale, part.height * scale, whole[1]);
        let share = across.1 as f32 * down.1 as f32 / (whole[0] as f32 * whole[1] as f32);
        if whole.contains(&0) || share >= MOST {
            return None;
        }
        let back = |px: u32, most: u32| ((px as f32 / scale).round() as u32).min(most);
        let (left, top) = (back(across.0, width - 1), back(down.0, height - 1));
        let end = |(from, length): (u32, u32), all: u32, most: u32| match from + length >= all {
            true => most,
            false => back(from + length, most),
        };
        Some(Self {
            left,
            top,
            width: end(across, whole[0], width) - left,
            height: end(down, whole[1], height) - top,
            searched: (across.1, down.1),
        })
    }

    /// What is searched.
    pub fn of(&self, picture: &Picture, shrinker: &mut Shrinker) -> Result<Picture, PictureError> {
        let Self { left, top, width, height, searched } = *self;
        let factor = width / searched.0;
        if (searched.0 * factor, searched.1 * factor) == (width, height) {
            return shrinker.shrunk(picture, Area { left, top, width, height }, factor);
        }
        let cut = picture.cropped(left.into(), top.into(), width, height)?;
        cut.resized(searched.0, searched.1, Interpolation::Area)
    }
}

/// Of a side of so many pixels the stretch that is searched for a part of it: where it begins, and how long it is.
fn stretch(from: f32, length: f32, side: u32) -> (u32, u32) {
    let begin = (from.max(0.0) as u32).min(side);
    let end = ((from + length).max(0.0).ceil() as u32).min(side);
    let begin = begin / BEGINS * BEGINS;
    let wanted = end.saturating_sub(begin).max(SHORTEST);
    let long = SHORTEST + (wanted - SHORTEST).next_multiple_of(STEP);
    if begin + long <= side {
        return (begin, long);
    }
    // To the end of the side; a cell may be left over.
    let begin = side.saturating_sub(long).next_multiple_of(BEGINS).min(begin);
    (begin, side - begin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(size: (u32, u32), part: [f32; 4], longest: u32) -> Option<([u32; 4], (u32, u32))> {
        let [x, y, width, height] = part;
        let cut = Cut::new(size, &Rect { x, y, width, height }, longest)?;
        Some(([cut.left, cut.top, cut.width, cut.height], cut.searched))
    }

    #[test]
    fn a_part_is_held_by_one_of_few_sizes_on_the_networks_cells() {
        for (size, part, longest, want) in [
            ((640, 480), [100.0, 100.0, 50.0, 50.0], 640, Some(([96, 96, 256, 256], (256, 256)))),
            ((640, 480), [100.0, 100.0, 300.0, 50.0], 640, Some(([96, 96, 384, 256], (384, 256)))),
            // At the far end.
            ((640, 480), [600.0, 440.0, 40.0, 40.0], 640, Some(([384, 224, 256, 256], (256, 256)))),
            ((640, 480), [-20.0, -20.0, 40.0, 40.0], 640, Some(([0, 0, 256, 256], (256, 256)))),
            // Most of it.
            ((640, 480), [10.0, 10.0, 600.0, 400.0], 640, None),
            // Of a larger picture, three times as fine.
            ((1920, 1080), [300.0, 300.0, 150.0, 150.0], 640, Some(([288, 288, 768, 768], (256, 256)))),
            // Too small to be parted.
            ((320, 240), [100.0, 100.0, 50.0, 50.0], 320, None),
            ((400, 240), [100.0, 100.0, 50.0, 50.0], 400, Some(([96, 0, 256, 240], (256, 240)))),
            ((200, 150), [100.0, 100.0, 50.0, 50.0], 200, None),
            ((1, 1), [0.0, 0.0, 1.0, 1.0], 1, None),
        ] {
            assert_eq!(cut(size, part, longest), want, "{size:?} {part:?}");
        }
    }

    #[test]
    fn every_part_of_every_size_is_held() {
        for (width, height) in [(640, 480), (1280, 720), (1920, 1080), (800, 600), (333, 777), (2592, 1944)] {
            for n in 0..400 {
                let share = |k: u32| (n * k % 97) as f32 / 97.0;
                let (x, y) = (share(31) * width as f32, share(57) * height as f32);
                let part = Rect { x, y, width: share(13) * width as f32, height: share(71) * height as f32 };
                let Some(it) = Cut::new((width, height), &part, 640.min(width.max(height))) else { continue };
                let (right, bottom) = (it.left + it.width, it.top + it.height);
                assert!(right <= width && bottom <= height, "{it:?}");
                // To a pixel of the search.
                let pixel = width.max(height) as f32 / 640.0 + 1.0;
                assert!(it.left as f32 <= part.x + pixel && it.top as f32 <= part.y + pixel, "{part:?} {it:?}");
                assert!(right as f32 + pixel >= (part.x + part.width).min(width as f32), "{part:?} {it:?}");
                assert!(bottom as f32 + pixel >= (part.y + part.height).min(height as f32), "{part:?} {it:?}");
                if n % 40 == 0 {
                    let picture = it.of(&Picture::filled(width, height, [9, 9, 9]), &mut Shrinker::default()).unwrap();
                    assert_eq!((picture.width(), picture.height()), it.searched);
                }
            }
        }
    }
}
