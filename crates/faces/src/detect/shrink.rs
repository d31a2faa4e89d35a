//! Shrinking by a whole factor: every pixel is the mean of a square of pixels.
//!
//! In: a picture and the factor. Out: the smaller picture; up to `factor - 1` pixels at the right and bottom edges do
//! not fill a square and are left out. OpenCV's area averaging gives the same, takes five times as long for it, and
//! starts threads.

use crate::picture::{Interpolation, Picture, PictureError};

/// An error only when the picture is smaller than one square.
pub(super) fn shrunk(picture: &Picture, factor: u32) -> Result<Picture, PictureError> {
    match factor {
        // What cameras' sizes take to become 640 pixels wide, and the coarse look.
        2 => by::<2>(picture),
        3 => by::<3>(picture),
        4 => by::<4>(picture),
        6 => by::<6>(picture),
        _ => {
            let (width, height) = (picture.width() / factor * factor, picture.height() / factor * factor);
            let whole = picture.cropped(0, 0, width, height)?;
            whole.resized(width / factor, height / factor, Interpolation::Area)
        }
    }
}

/// With the factor known, the compiler makes wide sums of the loops and a multiplication of the division.
fn by<const FACTOR: usize>(picture: &Picture) -> Result<Picture, PictureError> {
    let (columns, rows) = (picture.width() as usize / FACTOR, picture.height() as usize / FACTOR);
    let stride = picture.width() as usize * 3;
    let area = (FACTOR * FACTOR) as u32;
    let mut small = vec![0; columns * rows * 3];
    // One row of squares, summed up from top to bottom; a square of 16 by 16 still fits.
    let mut sums = vec![0u16; columns * FACTOR * 3];
    let bands = picture.bgr().chunks_exact(stride * FACTOR);
    for (band, out) in bands.zip(small.chunks_exact_mut((columns * 3).max(1))) {
        sums.fill(0);
        for row in band.chunks_exact(stride) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += u16::from(*value);
            }
        }
        for (out, square) in out.as_chunks_mut::<3>().0.iter_mut().zip(sums.chunks_exact(FACTOR * 3)) {
            for (channel, out) in out.iter_mut().enumerate() {
                let total: u32 = (0..FACTOR).map(|n| u32::from(square[n * 3 + channel])).sum();
                *out = ((total + area / 2) / area) as u8;
            }
        }
    }
    Picture::new(columns as u32, rows as u32, small)
}

#[cfg(test)]
mod tests {
    use super::*;

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
