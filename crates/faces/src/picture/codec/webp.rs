//! WebP, lossy or lossless; of an animation the first picture, which is what it shows before it moves.
//!
//! In: the bytes of a file. Out: its header, or a decoder that has read it. The decoder believes the size in the
//! container's header and notices only after decoding that a picture inside is larger, so all of them are looked at
//! here before. A lossless picture brings as many tables of codes as its length allows, whatever its size.

use std::io::Cursor;

use image::codecs::webp::WebPDecoder;

use super::{Header, raster};
use crate::picture::PictureError;

/// What the tables of a lossless picture, or of what is transparent in another, may take, as a multiple of its length
/// in the file: a table of 4096 bytes is said in 11.5.
const TABLES: u64 = 360;
/// The longest such part, in bytes: its tables take no more than the pixels of the largest picture.
const MOST_LOSSLESS: usize = 1 << 20;

pub(super) fn header(encoded: &[u8]) -> Result<Header, PictureError> {
    let header = raster::header(&open(encoded)?);
    let mut inside = Inside::default();
    inside.look_at(encoded.get(12..).unwrap_or_default());
    // No picture inside may be larger than the container says.
    let larger = |(width, height)| width > header.width || height > header.height;
    if inside.sizes.into_iter().any(larger) {
        return Err(PictureError::damaged("a picture inside is larger than the file says"));
    }
    if inside.lossless > MOST_LOSSLESS {
        return Err(PictureError::Lossless { bytes: inside.lossless, limit: MOST_LOSSLESS });
    }
    Ok(Header { tables: inside.lossless as u64 * TABLES, ..header })
}

/// What a file holds.
#[derive(Default)]
struct Inside {
    /// Width and height of each picture.
    sizes: Vec<(u32, u32)>,
    /// The longest part that is stored without loss, in bytes.
    lossless: usize,
}

pub(super) fn open(encoded: &[u8]) -> Result<WebPDecoder<Cursor<&[u8]>>, PictureError> {
    // The container says how long it is (RIFF: the name, the length of what follows it, little-endian).
    let promised = encoded.get(4..8).map_or(0, |length| little_endian(length) + 8);
    if promised > encoded.len() {
        return Err(PictureError::CutShort);
    }
    WebPDecoder::new(Cursor::new(encoded)).map_err(raster::failure)
}

impl Inside {
    /// Notes a row of chunks: name, length, content, padded to an even length. A frame of an animation (`ANMF`) has 16
    /// bytes of its own before the chunks inside it.
    fn look_at(&mut self, mut chunks: &[u8]) {
        while let Some((start, rest)) = chunks.split_at_checked(8) {
            let length = little_endian(&start[4..]);
            let content = &rest[..length.min(rest.len())];
            match &start[..4] {
                b"VP8 " => self.sizes.extend(lossy(content)),
                b"VP8L" => {
                    self.sizes.extend(lossless(content));
                    self.lossless = self.lossless.max(content.len());
                }
                b"ALPH" => self.lossless = self.lossless.max(content.len()),
                b"ANMF" => self.look_at(content.get(16..).unwrap_or_default()),
                _ => {}
            }
            chunks = rest.get(length.saturating_add(length % 2)..).unwrap_or_default();
        }
    }
}

/// RFC 6386, 9.1: three bytes of flags, three fixed ones, then width and height, 14 bits each.
fn lossy(content: &[u8]) -> Option<(u32, u32)> {
    let side = |at: usize| Some(little_endian(content.get(at..at + 2)?) as u32 & 0x3fff);
    Some((side(6)?, side(8)?))
}

/// RFC 9649, 3.4: a fixed byte, then width and height less one, 14 bits each.
fn lossless(content: &[u8]) -> Option<(u32, u32)> {
    let bits = little_endian(content.get(1..5)?) as u32;
    Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
}

/// Up to four bytes as a number.
fn little_endian(bytes: &[u8]) -> usize {
    bytes.iter().take(4).rev().fold(0, |value, byte| value << 8 | usize::from(*byte))
}
