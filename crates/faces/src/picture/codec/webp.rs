//! WebP, lossy or lossless; of an animation the first picture, which is what it shows before it moves.
//!
//! In: the bytes of a file. Out: its header, or a decoder that has read it. The decoder believes the size in the
//! container's header and notices only after decoding that a picture inside is larger, so all of them are looked at
//! here before.

use std::io::Cursor;

use image::codecs::webp::WebPDecoder;

use super::{Header, raster};
use crate::picture::PictureError;

pub(super) fn header(encoded: &[u8]) -> Result<Header, PictureError> {
    let header = raster::header(&open(encoded)?);
    // No picture inside may be larger than the container says.
    let larger = |inside: Header| inside.width > header.width || inside.height > header.height;
    let mut pictures = Vec::new();
    pictures_in(encoded.get(12..).unwrap_or_default(), &mut pictures);
    if pictures.into_iter().any(larger) {
        return Err(PictureError::damaged("a picture inside is larger than the file says"));
    }
    Ok(header)
}

pub(super) fn open(encoded: &[u8]) -> Result<WebPDecoder<Cursor<&[u8]>>, PictureError> {
    // The container says how long it is (RIFF: the name, the length of what follows it, little-endian).
    let promised = encoded.get(4..8).map_or(0, |length| little_endian(length) + 8);
    if promised > encoded.len() {
        return Err(PictureError::CutShort);
    }
    WebPDecoder::new(Cursor::new(encoded)).map_err(raster::failure)
}

/// The sizes of the pictures in a row of chunks: name, length, content, padded to an even length. A frame of an
/// animation (`ANMF`) has 16 bytes of its own before the chunks inside it.
fn pictures_in(mut chunks: &[u8], found: &mut Vec<Header>) {
    while let Some((start, rest)) = chunks.split_at_checked(8) {
        let length = little_endian(&start[4..]);
        let content = &rest[..length.min(rest.len())];
        match &start[..4] {
            b"VP8 " => found.extend(lossy(content)),
            b"VP8L" => found.extend(lossless(content)),
            b"ANMF" => pictures_in(content.get(16..).unwrap_or_default(), found),
            _ => {}
        }
        chunks = rest.get(length.saturating_add(length % 2)..).unwrap_or_default();
    }
}

/// RFC 6386, 9.1: three bytes of flags, three fixed ones, then width and height, 14 bits each.
fn lossy(content: &[u8]) -> Option<Header> {
    let side = |at: usize| Some(little_endian(content.get(at..at + 2)?) as u32 & 0x3fff);
    Some(Header { width: side(6)?, height: side(8)? })
}

/// RFC 9649, 3.4: a fixed byte, then width and height less one, 14 bits each.
fn lossless(content: &[u8]) -> Option<Header> {
    let bits = little_endian(content.get(1..5)?) as u32;
    Some(Header { width: (bits & 0x3fff) + 1, height: (bits >> 14 & 0x3fff) + 1 })
}

/// Up to four bytes as a number.
fn little_endian(bytes: &[u8]) -> usize {
    bytes.iter().take(4).rev().fold(0, |value, byte| value << 8 | usize::from(*byte))
}
