//! BMP: Windows' and OS/2's, stored from the bottom up or from the top down.
//!
//! In: the bytes of a file. Out: its header, or a decoder that has read it.

use std::borrow::Cow;
use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;

use super::{Header, raster};
use crate::picture::PictureError;

/// The file's header, and how long the second one is in OS/2 2.x and in Windows 3. The first 40 bytes mean the same in
/// both.
const FILE_HEADER: usize = 14;
const OS2_HEADER: usize = 64;
const WINDOWS_HEADER: usize = 40;

pub(super) fn header(encoded: &[u8]) -> Result<Header, PictureError> {
    let header = raster::header(&open(&as_windows(encoded))?);
    // What is not compressed must be there in full; how long the rest has to be, nothing says.
    let size = |at: usize, length: usize| {
        let bytes = encoded.get(at..at + length).unwrap_or_default();
        bytes.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte))
    };
    let (old, pixels_at) = (size(FILE_HEADER, 4) == 12, size(10, 4));
    let (bits, compression) = if old { (size(24, 2), 0) } else { (size(28, 2), size(30, 4)) };
    let row = (u64::from(header.width) * bits).div_ceil(32) * 4;
    let needed = pixels_at.saturating_add(row.saturating_mul(header.height.into()));
    if compression == 0 && needed > encoded.len() as u64 {
        // A header that promises too much is told first: no copy of such a file will be longer.
        header.within(crate::picture::MAX_PIXELS)?;
        return Err(PictureError::CutShort);
    }
    Ok(header)
}

pub(super) fn open(encoded: &[u8]) -> Result<BmpDecoder<Cursor<&[u8]>>, PictureError> {
    BmpDecoder::new(Cursor::new(encoded)).map_err(raster::failure)
}

/// A bitmap of OS/2 2.x as Windows writes it: without the end of its second header.
pub(super) fn as_windows(encoded: &[u8]) -> Cow<'_, [u8]> {
    let Some((start, rest)) = encoded.split_at_checked(FILE_HEADER + OS2_HEADER) else { return Cow::Borrowed(encoded) };
    if start[FILE_HEADER..FILE_HEADER + 4] != (OS2_HEADER as u32).to_le_bytes() {
        return Cow::Borrowed(encoded);
    }
    let mut windows = [&start[..FILE_HEADER + WINDOWS_HEADER], rest].concat();
    windows[FILE_HEADER] = WINDOWS_HEADER as u8;
    let pixels_at = u32::from_le_bytes([start[10], start[11], start[12], start[13]]);
    let moved = pixels_at.saturating_sub((OS2_HEADER - WINDOWS_HEADER) as u32);
    windows[10..14].copy_from_slice(&moved.to_le_bytes());
    Cow::Owned(windows)
}
