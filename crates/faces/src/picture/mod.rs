//! One picture in memory, and its way in and out: decoding, encoding, and the few operations the rooms need.
//!
//! In: encoded bytes, or rows of pixels from a camera. Out: [`Picture`], always blue-green-red, 8 bits, rows
//! packed. It knows the formats ([`codec`]) and OpenCV (`operations`), so that (apart from `capture`, which opens
//! streams with it) no other room has to; it knows nothing of faces.

mod codec;
mod operations;

use std::ops::Range;
use std::path::Path;

pub use codec::jpeg::{FirstJpeg, first as first_jpeg};
pub use codec::{Looks, looks_like};
pub use operations::{Border, Interpolation, Turn};

/// A decoded picture: `height` rows of `width` pixels of three bytes, blue, green, red, without padding.
/// Its `Debug` never shows the pixels: a face must not reach a log.
#[derive(Clone, PartialEq, Eq, derive_more::Debug)]
#[debug("Picture({width}x{height})")]
pub struct Picture {
    width: u32,
    height: u32,
    bgr: Vec<u8>,
}

/// The brightness of a picture at a part of its size: for what moves in it, and for far less than its pixels cost.
#[derive(Clone, PartialEq, Eq, derive_more::Debug)]
#[debug("Sketch({width}x{height})")]
pub struct Sketch {
    width: u32,
    height: u32,
    columns: u32,
    rows: u32,
    grey: Vec<u8>,
}

/// The most pixels a picture may have: 50 megapixels are 150 MB, and up to 600 MB while it is being decoded.
pub const MAX_PIXELS: u64 = 50_000_000;

/// The longest side a picture may have, in pixels: libjpeg reads none longer.
pub const MAX_SIDE: u32 = 65_500;

/// The largest photo, as a file, that is sent to an engine or taken by ours. A photo of 50 megapixels from a phone has
/// 10 to 25 MB.
pub const MAX_PHOTO_BYTES: usize = 32 << 20;

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

    /// Decodes JPEG, PNG, WebP or BMP, turned upright by its EXIF orientation; of an animation the first picture. The
    /// decoder itself says the dimensions, which are held against `max_pixels` before memory is set aside for pixels.
    pub fn decode(encoded: &[u8], max_pixels: u64) -> Result<Self, PictureError> {
        codec::decode(encoded, max_pixels)
    }

    /// How many bytes of memory [`decode`](Self::decode) may take, if it would take the picture, as far as its format,
    /// its dimensions and its end tell: cheap, because no pixel is decoded.
    pub fn check(encoded: &[u8], max_pixels: u64) -> Result<u64, PictureError> {
        codec::check(encoded, max_pixels)
    }

    /// Reads and decodes a file.
    pub fn read(file: &Path) -> Result<Self, PictureError> {
        let encoded =
            std::fs::read(file).map_err(|source| PictureError::Read { file: file.display().to_string(), source })?;
        Self::decode(&encoded, MAX_PIXELS)
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

    /// Gives it another size, of at least a pixel, in the memory it has; what it shows is left to whoever paints it.
    pub(crate) fn reshape(&mut self, width: u32, height: u32) {
        (self.width, self.height) = (width, height);
        self.bgr.resize(width as usize * height as usize * 3, 0);
    }

    pub(crate) fn bgr_mut(&mut self) -> &mut [u8] {
        &mut self.bgr
    }

    /// One row of pixels; `y` must be below [`height`](Self::height).
    pub fn row(&self, y: u32) -> &[u8] {
        let stride = self.width as usize * 3;
        &self.bgr[y as usize * stride..][..stride]
    }

    /// Makes some pixels of a row black; `y` must be below [`height`](Self::height), `x` not end beyond
    /// [`width`](Self::width).
    pub fn blacken(&mut self, y: u32, x: Range<u32>) {
        let row = y as usize * self.width as usize;
        self.bgr[(row + x.start as usize) * 3..(row + x.end as usize) * 3].fill(0);
    }

    /// The picture as JPEG, `quality` from 1 to 100.
    pub fn jpeg(&self, quality: u8) -> Result<Vec<u8>, PictureError> {
        codec::jpeg::encode(self.width, self.height, &self.bgr, quality)
    }
}

impl Sketch {
    /// Of a whole JPEG, at a half, a quarter or an eighth of its size: in no fewer columns and rows than these, where
    /// it has as many. `None` for one that is decoded whole or not at all: turned, printed, or with something astray in
    /// it.
    ///
    /// # Errors
    /// As [`Picture::decode`], as far as they can be known.
    pub fn of_jpeg(encoded: &[u8], max_pixels: u64, least: (u32, u32)) -> Result<Option<Self>, PictureError> {
        codec::jpeg::sketch(encoded, max_pixels, least)
    }

    /// Width and height of the picture, in pixels.
    pub fn of(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Width and height of the sketch, in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.columns, self.rows)
    }

    /// One row, of one byte a pixel; `y` must be below its height.
    pub fn row(&self, y: u32) -> &[u8] {
        let width = self.columns as usize;
        &self.grey[y as usize * width..][..width]
    }
}

/// The same JPEG without what it says beside its pixels (where it was taken, by what, with which comment), and without
/// what stands behind its end. `None` where leaving out is not enough: it is no whole JPEG, or one that has to be
/// turned.
pub fn bare_jpeg(encoded: &[u8]) -> Option<Vec<u8>> {
    codec::jpeg::bare(encoded)
}

/// Why a picture cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    #[error("cannot read {file}")]
    Read { file: String, source: std::io::Error },
    /// Another format, named where it is one people know, or no picture at all.
    #[error("{}", not_taken(*format))]
    NotTaken { format: Option<&'static str> },
    #[error("the picture is incomplete: its end is missing; copy or send it again")]
    CutShort,
    #[error("the picture is damaged ({what}); copy or send it again, or save it anew")]
    Damaged { what: String },
    #[error(
        "the picture is {width}x{height} pixels large; at most {} million pixels are taken, and {side} on a side; \
         save it smaller",
        limit / 1_000_000,
        side = MAX_SIDE
    )]
    TooLarge { width: u64, height: u64, limit: u64 },
    #[error(
        "the picture is a lossless WebP of {:.1} MB, which takes too much memory to be read; at most {:.1} MB are \
         taken; save it as JPEG or PNG",
        *bytes as f64 / 1e6,
        *limit as f64 / 1e6
    )]
    Lossless { bytes: usize, limit: usize },
    /// Of a picture whose decoder does not say by how much.
    #[error("a side of the picture is longer than {} pixels; save it smaller", MAX_SIDE)]
    TooLong,
    #[error("{got} bytes of pixels do not make a {width}x{height} picture")]
    WrongSize { width: u32, height: u32, got: usize },
    #[error("the picture has no pixels")]
    Empty,
    #[error("cannot {operation} the picture")]
    Operation { operation: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
}

impl PictureError {
    /// For `map_err`: the library's failure at an operation, named by its verb.
    fn at<E: std::error::Error + Send + Sync + 'static>(operation: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Operation { operation, source: Box::new(source) }
    }

    fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }
}

fn not_taken(format: Option<&str>) -> String {
    match format {
        Some(format) => {
            let article = if format.starts_with(['A', 'I']) { "an" } else { "a" };
            format!("{article} {format} picture is not taken (JPEG, PNG, WebP and BMP are); export it as JPEG")
        }
        None => "it is not a picture that is taken (JPEG, PNG, WebP and BMP are)".into(),
    }
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
    fn pixels_must_fit_the_size() {
        assert!(matches!(Picture::new(2, 2, vec![0; 11]), Err(PictureError::WrongSize { .. })));
        assert!(matches!(Picture::new(0, 2, vec![]), Err(PictureError::Empty)));
    }
}
