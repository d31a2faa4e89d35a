//! JPEG, baseline and progressive, through libjpeg-turbo: read as cameras and phones write it, and written.
//!
//! In: the bytes of a file or of a camera's frame; pixels. Out: the header, the pixels or the bytes. What follows the
//! end of the picture is not looked at. A picture that lacks its end would be grey below, so it is none.

mod markers;
mod turbo;

use image::metadata::Orientation;
use turbojpeg::{Image, PixelFormat, Subsamp};

use self::markers::Markers;
use self::turbo::{Colours, Decompressor, Failure};
use super::{Header, Stored};
use crate::picture::{Picture, PictureError};

/// How many passes over how many pixels a progressive picture may take: 20 over 50 megapixels, where cameras and
/// programs write 10. Without a limit, a small file keeps a processor busy for minutes.
const MOST_WORK: u64 = 1_000_000_000;
/// However small the picture.
const MOST_PASSES: u64 = 500;

pub(super) fn header(encoded: &[u8], max_pixels: u64) -> Result<Header, PictureError> {
    let mut decompressor = decompressor(max_pixels)?;
    read_header(&mut decompressor, encoded).map(|(header, _)| header)
}

pub(super) fn decode(encoded: &[u8], max_pixels: u64) -> Result<Stored, PictureError> {
    let mut decompressor = decompressor(max_pixels)?;
    let (header, colours) = read_header(&mut decompressor, encoded)?;
    header.within(max_pixels)?;
    let (width, height) = (header.width as usize, header.height as usize);
    let passes = (MOST_WORK / (width * height) as u64).clamp(1, MOST_PASSES);
    decompressor.limit_passes(passes as i32).map_err(damaged)?;
    let mut pixels = vec![0; width * height * colours.bytes()];
    decompressor.decode(encoded, &mut pixels).map_err(damaged)?;
    let bgr = if colours == Colours::Ink { from_ink(pixels) } else { pixels };
    let orientation = Markers::of(encoded).exif.and_then(Orientation::from_exif_chunk);
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    Ok(Stored { picture: Picture::new(header.width, header.height, bgr)?, orientation })
}

/// Packed blue-green-red rows as JPEG, `quality` from 1 to 100, with a quarter of the colour samples.
pub(in crate::picture) fn encode(width: u32, height: u32, bgr: &[u8], quality: u8) -> Result<Vec<u8>, PictureError> {
    let (width, height) = (width as usize, height as usize);
    let image = Image { pixels: bgr, width, pitch: width * 3, height, format: PixelFormat::BGR };
    let encoded = turbojpeg::compress(image, i32::from(quality.clamp(1, 100)), Subsamp::Sub2x2);
    encoded.map(|bytes| bytes.to_vec()).map_err(PictureError::at("encode"))
}

fn decompressor(max_pixels: u64) -> Result<Decompressor, PictureError> {
    Decompressor::new(max_pixels).map_err(damaged)
}

/// The header, as long as the picture is within the limit or has an end.
fn read_header(decompressor: &mut Decompressor, encoded: &[u8]) -> Result<(Header, Colours), PictureError> {
    let read = decompressor.header(encoded);
    if let Ok((width, height, _)) = read {
        // Too large is told first: no copy of such a file will be smaller.
        Header { width, height }.within(decompressor.max_pixels())?;
    }
    if let Err(Failure::TooLong) = read {
        return Err(PictureError::TooLong);
    }
    if !Markers::of(encoded).whole {
        return Err(PictureError::CutShort);
    }
    read.map(|(width, height, colours)| (Header { width, height }, colours)).map_err(damaged)
}

fn damaged(failure: Failure) -> PictureError {
    match failure {
        Failure::EndsEarly => PictureError::CutShort,
        Failure::TooLong => PictureError::TooLong,
        Failure::Other(what) => PictureError::damaged(what),
    }
}

/// Cyan, magenta, yellow and black as Adobe stores them, 255 for no ink, to blue, green, red.
fn from_ink(mut pixels: Vec<u8>) -> Vec<u8> {
    let count = pixels.len() / 4;
    for n in 0..count {
        let [cyan, magenta, yellow, black] = [0, 1, 2, 3].map(|ink| u16::from(pixels[n * 4 + ink]));
        let bgr = [yellow, magenta, cyan].map(|ink| (ink * black / 255) as u8);
        pixels[n * 3..][..3].copy_from_slice(&bgr);
    }
    pixels.truncate(count * 3);
    pixels.shrink_to_fit();
    pixels
}
