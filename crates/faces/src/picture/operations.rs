//! The operations on pixels: resize, warp, crop, turn, grey.
//!
//! In: a [`Picture`] and what to make of it. Out: a new one. OpenCV does the work; nobody outside has to know.

use image::metadata::Orientation;
use opencv::boxed_ref::{BoxedRef, BoxedRefMut};
use opencv::core::{self, Mat, Scalar, Size};
use opencv::imgproc;
use opencv::prelude::*;

use super::{Picture, PictureError};

/// How new pixels are made from old ones, as OpenCV numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// Bilinear: for enlarging, and for warps.
    Linear = imgproc::INTER_LINEAR as isize,
    /// Area averaging: for shrinking without aliasing.
    Area = imgproc::INTER_AREA as isize,
    /// Over eight by eight pixels: for enlarging sharply.
    Lanczos = imgproc::INTER_LANCZOS4 as isize,
}

/// What lies beyond a picture's edge when a warp or a crop reaches there, as OpenCV numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Border {
    Black = core::BORDER_CONSTANT as isize,
    /// The edge pixel goes on.
    Replicate = core::BORDER_REPLICATE as isize,
    /// The picture goes on as a mirror at its edge shows it, without the edge pixel itself.
    Mirror = core::BORDER_REFLECT_101 as isize,
}

/// By how much a picture is turned, clockwise, as OpenCV numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Quarter = core::ROTATE_90_CLOCKWISE as isize,
    Half = core::ROTATE_180 as isize,
    ThreeQuarters = core::ROTATE_90_COUNTERCLOCKWISE as isize,
}

impl Picture {
    /// Copies an OpenCV matrix of one (grey), three (BGR) or four (BGRA) 8-bit channels.
    pub fn from_mat(mat: &Mat) -> Result<Self, PictureError> {
        let converted = match mat.channels() {
            3 => None,
            1 => Some(imgproc::COLOR_GRAY2BGR),
            4 => Some(imgproc::COLOR_BGRA2BGR),
            channels => return Err(PictureError::damaged(format!("{channels} colour channels"))),
        };
        let mut packed = Mat::default();
        match converted {
            Some(code) => colour(mat, &mut packed, code)?,
            None if !mat.is_continuous() => mat.copy_to(&mut packed).map_err(PictureError::at("copy"))?,
            None => {}
        }
        let source = if packed.empty() { mat } else { &packed };
        let bgr = source.data_bytes().map_err(PictureError::at("copy"))?.to_vec();
        Self::new(source.cols() as u32, source.rows() as u32, bgr)
    }

    /// A look at the pixels as an OpenCV matrix, without a copy.
    pub fn mat(&self) -> Result<BoxedRef<'_, Mat>, PictureError> {
        Mat::new_rows_cols_with_bytes::<core::Vec3b>(self.height as i32, self.width as i32, &self.bgr)
            .map_err(PictureError::at("read"))
    }

    /// The same picture at another size. Sides of zero become one.
    pub fn resized(&self, width: u32, height: u32, interpolation: Interpolation) -> Result<Self, PictureError> {
        let (width, height) = (width.max(1), height.max(1));
        if (width, height) == (self.width, self.height) {
            return Ok(self.clone());
        }
        let flag = interpolation as i32;
        let size = Size::new(width as i32, height as i32);
        self.made_into("resize", width, height, |from, to| imgproc::resize(from, to, size, 0.0, 0.0, flag))
    }

    /// The same picture with outlines drawn in, each by its corners, `[x, y]` in pixels.
    pub fn outlined(&self, outlines: &[Vec<[i32; 2]>], bgr: [u8; 3]) -> Result<Self, PictureError> {
        let thickness = (self.width.max(self.height) / 300).max(2) as i32;
        let colour = Scalar::new(bgr[0].into(), bgr[1].into(), bgr[2].into(), 0.0);
        self.made_into("draw on", self.width, self.height, |from, to| {
            from.copy_to(to)?;
            for outline in outlines {
                let corners: core::Vector<core::Point> = outline.iter().map(|&[x, y]| core::Point::new(x, y)).collect();
                imgproc::polylines(to, &corners, true, colour, thickness, imgproc::LINE_8, 0)?;
            }
            Ok(())
        })
    }

    /// Warps by the 2x3 matrix that takes a point of this picture to its place in the new one, which is
    /// `width` by `height`.
    pub fn warped(&self, to: &[[f64; 3]; 2], width: u32, height: u32, border: Border) -> Result<Self, PictureError> {
        let matrix = Mat::from_slice_2d(to).map_err(PictureError::at("warp"))?;
        let mode = border as i32;
        let (width, height) = (width.max(1), height.max(1));
        let size = Size::new(width as i32, height as i32);
        self.made_into("warp", width, height, |from, to| {
            imgproc::warp_affine(from, to, &matrix, size, imgproc::INTER_LINEAR, mode, Scalar::all(0.0))
        })
    }

    /// The rectangle at `x`, `y`, clipped to the picture; an error when nothing of it lies inside.
    pub fn cropped(&self, x: i64, y: i64, width: u32, height: u32) -> Result<Self, PictureError> {
        let left = x.clamp(0, i64::from(self.width)) as usize;
        let top = y.clamp(0, i64::from(self.height)) as usize;
        let right = (x + i64::from(width)).clamp(0, i64::from(self.width)) as usize;
        let bottom = (y + i64::from(height)).clamp(0, i64::from(self.height)) as usize;
        if right <= left || bottom <= top {
            return Err(PictureError::Empty);
        }
        let mut bgr = Vec::with_capacity((right - left) * (bottom - top) * 3);
        (top..bottom).for_each(|y| bgr.extend_from_slice(&self.row(y as u32)[left * 3..right * 3]));
        Self::new((right - left) as u32, (bottom - top) as u32, bgr)
    }

    /// The picture turned clockwise.
    pub fn turned(&self, turn: Turn) -> Result<Self, PictureError> {
        let (width, height) = match turn {
            Turn::Half => (self.width, self.height),
            Turn::Quarter | Turn::ThreeQuarters => (self.height, self.width),
        };
        self.made_into("turn", width, height, |from, to| core::rotate(from, to, turn as i32))
    }

    /// The picture as a mirror beside it shows it: left and right exchanged.
    pub fn mirrored(&self) -> Result<Self, PictureError> {
        self.made_into("mirror", self.width, self.height, |from, to| core::flip(from, to, 1))
    }

    /// The picture brought upright by what its EXIF data says of the way the camera was held.
    pub(super) fn upright(self, orientation: Orientation) -> Result<Self, PictureError> {
        match orientation {
            Orientation::NoTransforms => Ok(self),
            Orientation::Rotate90 => self.turned(Turn::Quarter),
            Orientation::Rotate180 => self.turned(Turn::Half),
            Orientation::Rotate270 => self.turned(Turn::ThreeQuarters),
            Orientation::FlipHorizontal => self.mirrored(),
            Orientation::FlipVertical => self.turned(Turn::Half)?.mirrored(),
            Orientation::Rotate90FlipH => self.turned(Turn::Quarter)?.mirrored(),
            Orientation::Rotate270FlipH => self.turned(Turn::ThreeQuarters)?.mirrored(),
        }
    }

    /// Brightness only: `width * height` bytes.
    pub fn grey(&self) -> Result<Vec<u8>, PictureError> {
        let mut out = Mat::default();
        colour(&self.mat()?, &mut out, imgproc::COLOR_BGR2GRAY)?;
        Ok(out.data_bytes().map_err(PictureError::at("copy"))?.to_vec())
    }

    /// A new picture of the given size that an OpenCV operation writes straight into.
    fn made_into(
        &self,
        operation: &'static str,
        width: u32,
        height: u32,
        work: impl FnOnce(&BoxedRef<'_, Mat>, &mut BoxedRefMut<'_, Mat>) -> opencv::Result<()>,
    ) -> Result<Self, PictureError> {
        let mut made = Self::filled(width, height, [0; 3]);
        let mut out = Mat::new_rows_cols_with_bytes_mut::<core::Vec3b>(height as i32, width as i32, &mut made.bgr)
            .map_err(PictureError::at(operation))?;
        work(&self.mat()?, &mut out).map_err(PictureError::at(operation))?;
        drop(out);
        Ok(made)
    }
}

fn colour(from: &impl core::ToInputArray, to: &mut Mat, code: i32) -> Result<(), PictureError> {
    imgproc::cvt_color(from, to, code, 0).map_err(PictureError::at("convert"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_is_clipped_to_the_picture() {
        let picture = Picture::filled(10, 8, [1, 2, 3]);
        let corner = picture.cropped(-5, -5, 8, 8).unwrap();
        assert_eq!((corner.width(), corner.height()), (3, 3));
        assert!(matches!(picture.cropped(10, 0, 5, 5), Err(PictureError::Empty)));
    }

    /// Three by two pixels that are all different, as their brightness shows: 0 1 2 / 3 4 5.
    fn six() -> Picture {
        Picture::new(3, 2, (0..6).flat_map(|n| [n; 3]).collect()).unwrap()
    }

    fn shown(picture: &Picture) -> Vec<Vec<u8>> {
        (0..picture.height()).map(|y| picture.row(y).chunks(3).map(|pixel| pixel[0]).collect()).collect()
    }

    #[test]
    fn a_picture_is_turned_clockwise() {
        let turned = |turn| shown(&six().turned(turn).unwrap());
        assert_eq!(turned(Turn::Quarter), [[3, 0], [4, 1], [5, 2]]);
        assert_eq!(turned(Turn::Half), [[5, 4, 3], [2, 1, 0]]);
        assert_eq!(turned(Turn::ThreeQuarters), [[2, 5], [1, 4], [0, 3]]);
        assert_eq!(shown(&six().mirrored().unwrap()), [[2, 1, 0], [5, 4, 3]]);
    }

    #[test]
    fn every_exif_orientation_is_undone() {
        // What the upright picture 0 1 2 / 3 4 5 is stored as under each of EXIF's values (TIFF 6.0, tag 274).
        let stored: [(u8, Vec<Vec<u8>>); 8] = [
            (1, vec![vec![0, 1, 2], vec![3, 4, 5]]),
            (2, vec![vec![2, 1, 0], vec![5, 4, 3]]),
            (3, vec![vec![5, 4, 3], vec![2, 1, 0]]),
            (4, vec![vec![3, 4, 5], vec![0, 1, 2]]),
            (5, vec![vec![0, 3], vec![1, 4], vec![2, 5]]),
            (6, vec![vec![2, 5], vec![1, 4], vec![0, 3]]),
            (7, vec![vec![5, 2], vec![4, 1], vec![3, 0]]),
            (8, vec![vec![3, 0], vec![4, 1], vec![5, 2]]),
        ];
        for (value, rows) in stored {
            let (width, height) = (rows[0].len() as u32, rows.len() as u32);
            let pixels = rows.into_iter().flatten().flat_map(|n| [n; 3]).collect();
            let picture = Picture::new(width, height, pixels).unwrap();
            let upright = picture.upright(Orientation::from_exif(value).unwrap()).unwrap();
            assert_eq!(shown(&upright), shown(&six()), "orientation {value}");
        }
    }
}
