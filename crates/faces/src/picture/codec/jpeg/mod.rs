//! JPEG, baseline and progressive, through libjpeg-turbo: read as cameras and phones write it, and written.
//!
//! In: the bytes of a file or of a camera's frame; pixels. Out: the header, the pixels or the bytes. What follows the
//! end of the picture is not looked at. A picture that lacks its end would be grey below, so it is none.

mod markers;
mod turbo;

use image::metadata::Orientation;
use turbojpeg::{Image, PixelFormat, Subsamp};

use self::markers::Markers;
pub use self::markers::{FirstJpeg, first};
use self::turbo::{Colours, Decompressor};
use super::format::{Kind, Looks};
use super::{Header, Stored, raster};
use crate::picture::{Picture, PictureError, Sketch};

/// How many passes over how many pixels a progressive picture may take: 20 over 50 megapixels, where cameras and
/// programs write 10. Without a limit, a small file keeps a processor busy for minutes.
const MOST_WORK: u64 = 1_000_000_000;
/// However small the picture.
const MOST_PASSES: u64 = 500;

pub(super) fn header(encoded: &[u8], max_pixels: u64) -> Result<Header, PictureError> {
    let read = Decompressor::new(max_pixels)?.header(encoded);
    // Too large is told first: no copy of such a file will be smaller.
    match &read {
        Ok((header, _)) => header.within(max_pixels)?,
        Err(PictureError::TooLong) => return Err(PictureError::TooLong),
        Err(_) => {}
    }
    if !Markers::of(encoded).whole {
        return Err(PictureError::CutShort);
    }
    read.map(|(header, _)| header)
}

/// Decodes a picture whose [`header`] has been held against the limit.
pub(super) fn decode(encoded: &[u8], max_pixels: u64) -> Result<Stored, PictureError> {
    let mut decompressor = Decompressor::new(max_pixels)?;
    let markers = Markers::of(encoded);
    // The library keeps its first warning alone: what stands astray would hide that pixels are missing.
    let tidied = markers.astray.then(|| markers::bare(encoded)).flatten();
    let encoded = tidied.as_deref().unwrap_or(encoded);
    let (header, colours) = decompressor.header(encoded)?;
    header.within(max_pixels)?;
    let Header { width, height, .. } = header;
    let count = width as usize * height as usize;
    let passes = (MOST_WORK / count as u64).clamp(1, MOST_PASSES);
    decompressor.limit_passes(passes as i32)?;
    let mut pixels = vec![0; count * colours as usize];
    decompressor.decode(encoded, &mut pixels)?;
    if colours == Colours::Ink {
        raster::repack(&mut pixels, 4, from_ink);
    }
    let orientation = markers.exif.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms);
    Ok(Stored { picture: Picture::new(width, height, pixels)?, orientation })
}

/// The brightness of a picture at a half, a quarter or an eighth of its size, in no fewer columns and rows than these
/// where it has as many. `None` for one whose pixels have to be turned, or are of inks. It is as whole as [`decode`]
/// wants it.
pub(in crate::picture) fn sketch(
    encoded: &[u8],
    max_pixels: u64,
    least: (u32, u32),
) -> Result<Option<Sketch>, PictureError> {
    let markers = Markers::of(encoded);
    let Header { width, height, .. } = header(encoded, max_pixels)?;
    let mut decompressor = Decompressor::new(max_pixels)?;
    let turned = markers.exif.and_then(Orientation::from_exif_chunk);
    let stands = turned.is_none_or(|orientation| orientation == Orientation::NoTransforms);
    let (header, colours) = decompressor.header(encoded)?;
    header.within(max_pixels)?;
    if !stands || markers.astray || colours == Colours::Ink {
        return Ok(None);
    }
    let count = u64::from(width) * u64::from(height);
    decompressor.limit_passes((MOST_WORK / count).clamp(1, MOST_PASSES) as i32)?;
    let enough = |part: &u32| width / part >= least.0 && height / part >= least.1;
    let part = [8, 4, 2].into_iter().find(enough).unwrap_or(1);
    let (columns, rows, grey) = decompressor.decode_grey(encoded, part)?;
    Ok(Some(Sketch { width, height, columns, rows, grey }))
}

/// The same pixels in a JPEG that says nothing beside them; `None` where that takes more than leaving things out: it is
/// no whole JPEG, or one that has to be turned.
pub(in crate::picture) fn bare(encoded: &[u8]) -> Option<Vec<u8>> {
    let turned = Markers::of(encoded).exif.and_then(Orientation::from_exif_chunk);
    let stands = turned.is_none_or(|orientation| orientation == Orientation::NoTransforms);
    markers::bare(encoded).filter(|_| stands && matches!(super::looks_like(encoded), Looks::Taken(Kind::Jpeg)))
}

/// Packed blue-green-red rows as JPEG, `quality` from 1 to 100, with a quarter of the colour samples.
pub(in crate::picture) fn encode(width: u32, height: u32, bgr: &[u8], quality: u8) -> Result<Vec<u8>, PictureError> {
    let (width, height) = (width as usize, height as usize);
    let image = Image { pixels: bgr, width, pitch: width * 3, height, format: PixelFormat::BGR };
    let encoded = turbojpeg::compress(image, i32::from(quality.clamp(1, 100)), Subsamp::Sub2x2);
    encoded.map(|bytes| bytes.to_vec()).map_err(PictureError::at("encode"))
}

/// Cyan, magenta, yellow and black as Adobe stores them, 255 for no ink, to blue, green, red.
fn from_ink(pixel: &[u8]) -> [u8; 3] {
    let [cyan, magenta, yellow, black] = [0, 1, 2, 3].map(|ink| u16::from(pixel[ink]));
    [yellow, magenta, cyan].map(|ink| (ink * black / 255) as u8)
}
