//! The formats a picture may come in, a file each, but for PNG: what its header says, and its pixels.
//!
//! In: encoded bytes, from anybody. Out: a [`Picture`], or why there is none. The dimensions are read
//! with the decoder that then decodes, and held against the limit before memory is set aside; every codec tells a
//! picture whose end is missing from one that is damaged.
//!
//! ```text
//! bytes -- format: which kind --> jpeg | png | webp | bmp --> Header -- within the limit? --> pixels --> upright
//! ```

mod bmp;
mod format;
pub(super) mod jpeg;
mod raster;
mod webp;

use std::io::Cursor;

use format::Kind;
use image::Limits;
use image::codecs::png::PngDecoder;
use image::metadata::Orientation;

use super::{MAX_SIDE, Picture, PictureError};

pub use format::{Looks, looks_like};

/// What a picture says of itself before its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    width: u32,
    height: u32,
    /// What its decoder may need for tables, in bytes, where that grows with the file.
    tables: u64,
}

/// The most that any of the decoders needs for a pixel, in bytes: of a progressive JPEG for print, two for the
/// coefficient of each of its four colours, and the pixel itself.
const BYTES_PER_PIXEL: u64 = 12;

/// A decoded picture as it is stored, and how it has to be turned.
struct Stored {
    picture: Picture,
    orientation: Orientation,
}

/// Decodes a picture of any kind and turns it upright.
pub(super) fn decode(encoded: &[u8], max_pixels: u64) -> Result<Picture, PictureError> {
    check(encoded, max_pixels)?;
    let Stored { picture, orientation } = match kind(encoded)? {
        Kind::Jpeg => jpeg::decode(encoded, max_pixels),
        Kind::Png => raster::decode(open_png(encoded)?, max_pixels),
        Kind::WebP => raster::decode(webp::open(encoded)?, max_pixels),
        Kind::Bmp => raster::decode(bmp::open(&bmp::as_windows(encoded))?, max_pixels),
    }?;
    picture.upright(orientation)
}

/// How much memory decoding may take, or what can be said against a picture without decoding it.
pub(super) fn check(encoded: &[u8], max_pixels: u64) -> Result<u64, PictureError> {
    let header = match kind(encoded)? {
        Kind::Jpeg => jpeg::header(encoded, max_pixels),
        Kind::Png => open_png(encoded).map(|decoder| raster::header(&decoder)),
        Kind::WebP => webp::header(encoded),
        Kind::Bmp => bmp::header(encoded),
    }?;
    header.within(max_pixels)?;
    Ok(u64::from(header.width) * u64::from(header.height) * BYTES_PER_PIXEL + header.tables)
}

fn kind(encoded: &[u8]) -> Result<Kind, PictureError> {
    match looks_like(encoded) {
        Looks::Taken(kind) => Ok(kind),
        Looks::Other(format) => Err(PictureError::NotTaken { format: Some(format) }),
        Looks::NoPicture => Err(PictureError::NotTaken { format: None }),
    }
}

impl Header {
    fn of((width, height): (u32, u32)) -> Self {
        Self { width, height, tables: 0 }
    }

    fn within(self, max_pixels: u64) -> Result<(), PictureError> {
        let (width, height) = (u64::from(self.width), u64::from(self.height));
        if width == 0 || height == 0 {
            return Err(PictureError::Empty);
        }
        if width * height > max_pixels || width.max(height) > u64::from(MAX_SIDE) {
            return Err(PictureError::TooLarge { width, height, limit: max_pixels });
        }
        Ok(())
    }
}

/// PNG, interlaced or not, of any depth; of an animation the still picture every viewer can show. This is the last
/// chunk of every one: no bytes, the name, and their checksum.
const PNG_END: &[u8] = b"IEND\xae\x42\x60\x82";

fn open_png(encoded: &[u8]) -> Result<PngDecoder<Cursor<&[u8]>>, PictureError> {
    if memchr::memmem::rfind(encoded, PNG_END).is_none() {
        return Err(PictureError::CutShort);
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(raster::BESIDE_BYTES);
    PngDecoder::with_limits(Cursor::new(encoded), limits).map_err(raster::failure)
}
