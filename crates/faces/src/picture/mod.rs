//! One picture in memory, and its way in and out: decoding, encoding, and the few operations the rooms need.
//!
//! In: encoded bytes, or rows of pixels from a camera. Out: [`Picture`], always blue-green-red, 8 bits, rows
//! packed. It knows the formats ([`codec`]) and OpenCV (`operations`), so that (apart from `capture`, which opens
//! streams with it) no other room has to; it knows nothing of faces.

mod codec;
mod error;
mod operations;

use std::path::Path;

pub use codec::{Looks, looks_like};
pub use error::PictureError;
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

    /// Whether [`decode`](Self::decode) would take it, as far as its format, its dimensions and its end tell: cheap,
    /// because no pixel is decoded.
    pub fn check(encoded: &[u8], max_pixels: u64) -> Result<(), PictureError> {
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

    /// One row of pixels; `y` must be below [`height`](Self::height).
    pub fn row(&self, y: u32) -> &[u8] {
        let stride = self.width as usize * 3;
        &self.bgr[y as usize * stride..][..stride]
    }

    /// The picture as JPEG, `quality` from 1 to 100.
    pub fn jpeg(&self, quality: u8) -> Result<Vec<u8>, PictureError> {
        codec::jpeg::encode(self.width, self.height, &self.bgr, quality)
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
