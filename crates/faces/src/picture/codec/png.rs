//! PNG, interlaced or not, of any depth.
//!
//! In: the bytes of a file. Out: a decoder that has read its header. Of an animation it takes the still picture every viewer can
//! show.

use std::io::Cursor;

use image::Limits;
use image::codecs::png::PngDecoder;

use super::raster::{self, BESIDE_BYTES};
use crate::picture::PictureError;

/// The last chunk of every PNG: no bytes, the name, and their checksum.
const END: &[u8] = b"IEND\xae\x42\x60\x82";

pub(super) fn open(encoded: &[u8]) -> Result<PngDecoder<Cursor<&[u8]>>, PictureError> {
    if memchr::memmem::rfind(encoded, END).is_none() {
        return Err(PictureError::CutShort);
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(BESIDE_BYTES);
    PngDecoder::with_limits(Cursor::new(encoded), limits).map_err(raster::failure)
}
