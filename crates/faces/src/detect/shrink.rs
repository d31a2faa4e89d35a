//! Shrinking by a whole factor: every pixel is the mean of a square of pixels.
//!
//! In: a picture, a part of it, and the factor. Out: the smaller picture, in memory that is used again; up to
//! `factor - 1` pixels at the right and bottom edges do not fill a square and are left out. OpenCV's area averaging
//! gives the same, takes five times as long for it, and starts threads.

use crate::picture::{Interpolation, Picture, PictureError};

/// A part of a picture, in pixels; it lies inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub left: u32,
    pub top: u32,
    pub width: u32,
    pub height: u32,
}

/// Pictures that are not needed for the moment, and whose memory is.
#[derive(Debug, Default)]
pub(super) struct Shrinker {
    spare: Vec<Picture>,
    /// One row of squares, summed up from top to bottom.
    sums: Vec<u16>,
}

impl Area {
    pub fn whole(picture: &Picture) -> Self {
        Self { left: 0, top: 0, width: picture.width(), height: picture.height() }
    }
}

impl Shrinker {
    /// An error only when the area is smaller than one square.
    pub fn shrunk(&mut self, picture: &Picture, area: Area, factor: u32) -> Result<Picture, PictureError> {
        let Area { left, top, width, height } = area;
        let (columns, rows) = (width / factor, height / factor);
        if columns == 0 || rows == 0 {
            return Err(PictureError::Empty);
        }
        let mut small = self.spare.pop().unwrap_or_else(|| Picture::filled(columns, rows, [0; 3]));
        small.reshape(columns, rows);
        match factor {
            1 => copy(picture, area, &mut small),
            // What cameras' sizes take to become 640 pixels wide, and the coarse look.
            2 => self.by::<2>(picture, area, &mut small),
            3 => self.by::<3>(picture, area, &mut small),
            4 => self.by::<4>(picture, area, &mut small),
            6 => self.by::<6>(picture, area, &mut small),
            _ => {
                let whole = picture.cropped(left.into(), top.into(), columns * factor, rows * factor)?;
                small = whole.resized(columns, rows, Interpolation::Area)?;
            }
        }
        Ok(small)
    }

    /// Takes a picture back that is no longer needed.
    pub fn done_with(&mut self, picture: Picture) {
        self.spare.push(picture);
    }

    /// With the factor known, the compiler makes wide sums of the loops and a multiplication of the division.
    fn by<const FACTOR: usize>(&mut self, picture: &Picture, area: Area, small: &mut Picture) {
        let Area { left, top, .. } = area;
        let columns = small.width() as usize;
        let bytes = left as usize * 3..(left as usize + columns * FACTOR) * 3;
        let square = (FACTOR * FACTOR) as u32;
        // A square of 16 by 16 still fits.
        self.sums.resize(columns * FACTOR * 3, 0);
        for (y, out) in (0..).zip(small.bgr_mut().chunks_exact_mut(columns * 3)) {
            self.sums.fill(0);
            for row in (0..FACTOR as u32).map(|n| picture.row(top + y * FACTOR as u32 + n)) {
                for (sum, value) in self.sums.iter_mut().zip(&row[bytes.clone()]) {
                    *sum += u16::from(*value);
                }
            }
            for (out, sums) in out.as_chunks_mut::<3>().0.iter_mut().zip(self.sums.chunks_exact(FACTOR * 3)) {
                for (channel, out) in out.iter_mut().enumerate() {
                    let total: u32 = (0..FACTOR).map(|n| u32::from(sums[n * 3 + channel])).sum();
                    *out = ((total + square / 2) / square) as u8;
                }
            }
        }
    }
}

fn copy(picture: &Picture, area: Area, small: &mut Picture) {
    let bytes = area.left as usize * 3..(area.left + area.width) as usize * 3;
    for (y, out) in (area.top..).zip(small.bgr_mut().chunks_exact_mut(area.width as usize * 3)) {
        out.copy_from_slice(&picture.row(y)[bytes.clone()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shrunk(picture: &Picture, factor: u32) -> Result<Picture, PictureError> {
        Shrinker::default().shrunk(picture, Area::whole(picture), factor)
    }

    #[test]
    fn a_part_is_as_in_the_whole_and_its_memory_is_used_again() {
        let pixels = (0..90 * 70 * 3).map(|n| (n % 251) as u8).collect();
        let picture = Picture::new(90, 70, pixels).unwrap();
        let mut shrinker = Shrinker::default();
        for factor in [1, 2, 3, 4, 5, 6] {
            let area = Area { left: factor * 3, top: factor * 2, width: factor * 7, height: factor * 5 };
            let part = shrinker.shrunk(&picture, area, factor).unwrap();
            let whole = shrunk(&picture, factor).unwrap();
            assert_eq!(part, whole.cropped(3, 2, 7, 5).unwrap(), "by {factor}");
            let at = part.bgr().as_ptr();
            shrinker.done_with(part);
            if factor != 5 {
                let again = shrinker.shrunk(&picture, Area { height: factor * 2, ..area }, factor).unwrap();
                assert_eq!((again.height(), again.bgr().as_ptr()), (2, at));
                shrinker.done_with(again);
            }
        }
    }

    #[test]
    fn it_is_the_mean_as_opencv_computes_it() {
        let (width, height) = (240, 120);
        let pixels = (0..width * height * 3).map(|n| (n % 253 * (n % 253) % 253) as u8).collect();
        let picture = Picture::new(width, height, pixels).unwrap();
        for factor in [1, 2, 3, 4, 5, 6, 8] {
            let ours = shrunk(&picture, factor).unwrap();
            let theirs = picture.resized(width / factor, height / factor, Interpolation::Area).unwrap();
            assert_eq!((ours.width(), ours.height()), (theirs.width(), theirs.height()));
            let off = ours.bgr().iter().zip(theirs.bgr()).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(off <= Some(1), "by {factor}: off by {off:?}");
        }
    }

    #[test]
    fn what_does_not_fill_a_square_is_left_out() {
        let picture = Picture::filled(11, 7, [10, 20, 30]);
        for factor in [2, 3, 4, 5, 6] {
            let small = shrunk(&picture, factor).unwrap();
            assert_eq!(small, Picture::filled(11 / factor, 7 / factor, [10, 20, 30]), "by {factor}");
        }
        assert!(shrunk(&picture, 8).is_err() && shrunk(&Picture::filled(3, 9, [0; 3]), 4).is_err());
    }
}
