//! One picture in memory and the few image operations the rooms need: decode, resize, warp, encode.
//!
//! In: encoded bytes, or rows of pixels from a camera. Out: [`Picture`], always blue-green-red, 8 bits, rows
//! packed. It knows OpenCV, so that (apart from `capture`, which opens streams with it) no other room has to;
//! it knows nothing of faces.

use std::path::Path;

use opencv::core::{self, Mat, Scalar, Size, Vector};
use opencv::prelude::*;
use opencv::{imgcodecs, imgproc};

/// A decoded picture: `height` rows of `width` pixels of three bytes, blue, green, red, without padding.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    bgr: Vec<u8>,
}

/// What can be wrong with a picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    #[error("cannot read {file}")]
    Read {
        file: String,
        #[source]
        source: std::io::Error,
    },
    #[error("not a picture this build can read (JPEG, PNG, WebP and BMP are)")]
    Undecodable,
    #[error("the picture says it is {width}x{height} pixels; at most {limit} pixels are accepted")]
    TooLarge { width: u64, height: u64, limit: u64 },
    #[error("{got} bytes of pixels do not make a {width}x{height} picture")]
    WrongSize { width: u32, height: u32, got: usize },
    #[error("the picture has no pixels")]
    Empty,
    #[error("cannot {operation} the picture")]
    Operation {
        operation: &'static str,
        #[source]
        source: opencv::Error,
    },
}

/// How new pixels are made from old ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// Bilinear: for enlarging, and for warps.
    Linear,
    /// Area averaging: for shrinking without aliasing.
    Area,
}

/// What lies beyond a picture's edge when a warp or a crop reaches there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Border {
    Black,
    /// The edge pixel goes on.
    Replicate,
}

/// The largest picture [`Picture::decode`] accepts unless told otherwise, in pixels (100 megapixels).
pub const MAX_PIXELS: u64 = 100_000_000;

impl Picture {
    /// Takes packed blue-green-red rows: `bgr.len()` must be `width * height * 3`, and not zero.
    pub fn new(width: u32, height: u32, bgr: Vec<u8>) -> Result<Self, PictureError> {
        if width == 0 || height == 0 {
            return Err(PictureError::Empty);
        }
        if bgr.len() as u64 != u64::from(width) * u64::from(height) * 3 {
            return Err(PictureError::WrongSize { width, height, got: bgr.len() });
        }
        Ok(Self { width, height, bgr })
    }

    /// A picture of one colour (blue, green, red). Sides of zero become one.
    pub fn filled(width: u32, height: u32, bgr: [u8; 3]) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        Self { width, height, bgr: bgr.repeat(width as usize * height as usize) }
    }

    /// Decodes JPEG, PNG, WebP or BMP, turned upright by its EXIF orientation. The dimensions in the header are
    /// held against `max_pixels` before any memory is set aside for pixels. Other formats OpenCV would read are refused:
    /// their decoders are nobody's to reach.
    pub fn decode(encoded: &[u8], max_pixels: u64) -> Result<Self, PictureError> {
        use imagesize::ImageType::{Bmp, Jpeg, Png, Webp};
        if !matches!(imagesize::image_type(encoded), Ok(Jpeg | Png | Webp | Bmp)) {
            return Err(PictureError::Undecodable);
        }
        let size = imagesize::blob_size(encoded).map_err(|_| PictureError::Undecodable)?;
        let (width, height) = (size.width as u64, size.height as u64);
        if width.saturating_mul(height) > max_pixels {
            return Err(PictureError::TooLarge { width, height, limit: max_pixels });
        }
        let decoded =
            imgcodecs::imdecode(&Mat::from_slice(encoded).map_err(operation("read"))?, imgcodecs::IMREAD_COLOR);
        match decoded {
            Ok(mat) if !mat.empty() => Self::from_mat(&mat),
            _ => Err(PictureError::Undecodable),
        }
    }

    /// Reads and decodes a file.
    pub fn read(file: &Path) -> Result<Self, PictureError> {
        let encoded =
            std::fs::read(file).map_err(|source| PictureError::Read { file: file.display().to_string(), source })?;
        Self::decode(&encoded, MAX_PIXELS)
    }

    /// Copies an OpenCV matrix of one (grey), three (BGR) or four (BGRA) 8-bit channels.
    pub fn from_mat(mat: &Mat) -> Result<Self, PictureError> {
        let converted = match mat.channels() {
            3 => None,
            1 => Some(imgproc::COLOR_GRAY2BGR),
            4 => Some(imgproc::COLOR_BGRA2BGR),
            _ => return Err(PictureError::Undecodable),
        };
        let mut packed = Mat::default();
        match converted {
            Some(code) => colour(mat, &mut packed, code)?,
            None if !mat.is_continuous() => mat.copy_to(&mut packed).map_err(operation("copy"))?,
            None => {}
        }
        let source = if packed.empty() { mat } else { &packed };
        let bgr = source.data_bytes().map_err(operation("copy"))?.to_vec();
        Self::new(source.cols() as u32, source.rows() as u32, bgr)
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// All pixels, row by row, three bytes each: blue, green, red.
    pub fn bgr(&self) -> &[u8] {
        &self.bgr
    }

    /// One row of pixels; `y` must be below [`height`](Self::height).
    pub fn row(&self, y: u32) -> &[u8] {
        let stride = self.width as usize * 3;
        &self.bgr[y as usize * stride..][..stride]
    }

    /// The same picture at another size. Sides of zero become one.
    pub fn resized(&self, width: u32, height: u32, interpolation: Interpolation) -> Result<Self, PictureError> {
        let (width, height) = (width.max(1), height.max(1));
        if (width, height) == (self.width, self.height) {
            return Ok(self.clone());
        }
        let flag = match interpolation {
            Interpolation::Linear => imgproc::INTER_LINEAR,
            Interpolation::Area => imgproc::INTER_AREA,
        };
        let mut resized = Self::filled(width, height, [0; 3]);
        let mut out = Mat::new_rows_cols_with_bytes_mut::<core::Vec3b>(height as i32, width as i32, &mut resized.bgr)
            .map_err(operation("resize"))?;
        imgproc::resize(&self.mat()?, &mut out, Size::new(width as i32, height as i32), 0.0, 0.0, flag)
            .map_err(operation("resize"))?;
        drop(out);
        Ok(resized)
    }

    /// Warps by the 2x3 matrix that takes a point of this picture to its place in the new one, which is
    /// `width` by `height`.
    pub fn warped(&self, to: &[[f64; 3]; 2], width: u32, height: u32, border: Border) -> Result<Self, PictureError> {
        let matrix = Mat::from_slice_2d(to).map_err(operation("warp"))?;
        let mode = match border {
            Border::Black => core::BORDER_CONSTANT,
            Border::Replicate => core::BORDER_REPLICATE,
        };
        let mut out = Mat::default();
        imgproc::warp_affine(
            &self.mat()?,
            &mut out,
            &matrix,
            Size::new(width.max(1) as i32, height.max(1) as i32),
            imgproc::INTER_LINEAR,
            mode,
            Scalar::all(0.0),
        )
        .map_err(operation("warp"))?;
        Self::from_mat(&out)
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
        let rows = (top..bottom).flat_map(|y| &self.row(y as u32)[left * 3..right * 3]).copied().collect();
        Self::new((right - left) as u32, (bottom - top) as u32, rows)
    }

    /// The picture as JPEG, `quality` from 1 to 100.
    pub fn jpeg(&self, quality: u8) -> Result<Vec<u8>, PictureError> {
        let options = Vector::from_slice(&[imgcodecs::IMWRITE_JPEG_QUALITY, i32::from(quality.clamp(1, 100))]);
        let mut encoded = Vector::<u8>::new();
        imgcodecs::imencode(".jpg", &self.mat()?, &mut encoded, &options).map_err(operation("encode"))?;
        Ok(encoded.to_vec())
    }

    /// Brightness only: `width * height` bytes.
    pub fn grey(&self) -> Result<Vec<u8>, PictureError> {
        let mut out = Mat::default();
        colour(&self.mat()?, &mut out, imgproc::COLOR_BGR2GRAY)?;
        Ok(out.data_bytes().map_err(operation("copy"))?.to_vec())
    }

    /// A look at the pixels as an OpenCV matrix, without a copy.
    pub fn mat(&self) -> Result<opencv::boxed_ref::BoxedRef<'_, Mat>, PictureError> {
        Mat::new_rows_cols_with_bytes::<core::Vec3b>(self.height as i32, self.width as i32, &self.bgr)
            .map_err(operation("read"))
    }
}

impl std::fmt::Debug for Picture {
    /// Never the pixels: a face must not reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({}x{})", self.width, self.height)
    }
}

fn colour(from: &impl core::ToInputArray, to: &mut Mat, code: i32) -> Result<(), PictureError> {
    imgproc::cvt_color(from, to, code, 0).map_err(operation("convert"))
}

fn operation(operation: &'static str) -> impl FnOnce(opencv::Error) -> PictureError {
    move |source| PictureError::Operation { operation, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_survives_its_way_through_jpeg() {
        let picture = Picture::filled(40, 30, [10, 120, 230]);
        let back = Picture::decode(&picture.jpeg(95).unwrap(), MAX_PIXELS).unwrap();
        assert_eq!((back.width(), back.height()), (40, 30));
        for (a, b) in back.bgr().iter().zip(picture.bgr()) {
            assert!(a.abs_diff(*b) < 6, "{a} against {b}");
        }
    }

    #[test]
    fn a_header_that_promises_too_much_is_refused_before_decoding() {
        let jpeg = Picture::filled(100, 100, [0; 3]).jpeg(80).unwrap();
        assert!(matches!(Picture::decode(&jpeg, 9_999), Err(PictureError::TooLarge { width: 100, height: 100, .. })));
    }

    #[test]
    fn formats_nobody_asked_for_are_refused_though_they_could_be_read() {
        let picture = Picture::filled(20, 10, [1, 2, 3]);
        let picture = picture.mat().unwrap();
        for (ending, read) in [(".png", true), (".webp", true), (".bmp", true), (".tiff", false), (".ppm", false)] {
            let mut encoded = Vector::<u8>::new();
            imgcodecs::imencode(ending, &picture, &mut encoded, &Vector::new()).unwrap();
            assert_eq!(Picture::decode(encoded.as_slice(), MAX_PIXELS).is_ok(), read, "{ending}");
        }
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic() {
        for bytes in [&b""[..], b"\xff\xd8\xff", b"GIF89a", &[0; 4096]] {
            assert!(matches!(Picture::decode(bytes, MAX_PIXELS), Err(PictureError::Undecodable)));
        }
        let jpeg = Picture::filled(64, 64, [1, 2, 3]).jpeg(80).unwrap();
        let _ = Picture::decode(&jpeg[..jpeg.len() / 2], MAX_PIXELS);
    }

    #[test]
    fn a_crop_is_clipped_to_the_picture() {
        let picture = Picture::filled(10, 8, [1, 2, 3]);
        let corner = picture.cropped(-5, -5, 8, 8).unwrap();
        assert_eq!((corner.width(), corner.height()), (3, 3));
        assert!(matches!(picture.cropped(10, 0, 5, 5), Err(PictureError::Empty)));
    }

    #[test]
    fn pixels_must_fit_the_size() {
        assert!(matches!(Picture::new(2, 2, vec![0; 11]), Err(PictureError::WrongSize { .. })));
        assert!(matches!(Picture::new(0, 2, vec![]), Err(PictureError::Empty)));
    }
}
