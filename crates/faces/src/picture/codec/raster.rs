//! What PNG, WebP and BMP have in common: a decoder of the `image` crate, and its pixels as blue, green, red.
//!
//! In: a decoder that has read its header. Out: the picture as it is stored, and its orientation. What is transparent
//! shows the colour that lies below. It does not know which format it is.

use std::error::Error;
use std::io::{self, ErrorKind};

use image::{ColorType, ImageDecoder, ImageError};

use super::{Header, Stored};
use crate::picture::{Picture, PictureError};

/// What a decoder may use beside the pixels: for rows, tables, and the profiles and texts it unpacks.
pub(super) const BESIDE_BYTES: u64 = 64 << 20;

/// Decodes what `decoder` holds, when its header is within the limit.
pub(super) fn decode(mut decoder: impl ImageDecoder, max_pixels: u64) -> Result<Stored, PictureError> {
    header(&decoder).within(max_pixels)?;
    let (width, height) = decoder.dimensions();
    // An orientation that cannot be read is none: the pixels are there all the same.
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let colours = decoder.color_type();
    // The limit on pixels makes it fit.
    let mut pixels = vec![0; decoder.total_bytes() as usize];
    decoder.read_image(&mut pixels).map_err(failure)?;
    let bgr = blue_green_red(pixels, colours).ok_or_else(|| PictureError::damaged("colours of an unknown kind"))?;
    Ok(Stored { picture: Picture::new(width, height, bgr)?, orientation })
}

pub(super) fn header(decoder: &impl ImageDecoder) -> Header {
    Header::of(decoder.dimensions())
}

/// Why the `image` crate could not: the end is missing, or something is wrong inside.
pub(super) fn failure(error: ImageError) -> PictureError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::UnexpectedEof) {
            return PictureError::CutShort;
        }
        // The crate shows an I/O error as itself, without naming it as its source.
        cause = match error.downcast_ref::<ImageError>() {
            Some(ImageError::IoError(error)) => Some(error),
            _ => error.source(),
        };
    }
    PictureError::damaged(match error {
        ImageError::Limits(_) => "it needs more memory than such a picture should".into(),
        other => other.to_string(),
    })
}

/// Pixels as three bytes each: where there are at least as many already in the memory they are in.
fn blue_green_red(mut pixels: Vec<u8>, colours: ColorType) -> Option<Vec<u8>> {
    // Where in a pixel red, green and blue are, and how long it is; of two bytes the more significant one.
    let high = usize::from(cfg!(target_endian = "little"));
    let (length, red, green, blue) = match colours {
        ColorType::L8 => (1, 0, 0, 0),
        ColorType::La8 => (2, 0, 0, 0),
        ColorType::L16 => (2, high, high, high),
        ColorType::La16 => (4, high, high, high),
        ColorType::Rgb8 => (3, 0, 1, 2),
        ColorType::Rgba8 => (4, 0, 1, 2),
        ColorType::Rgb16 => (6, high, 2 + high, 4 + high),
        ColorType::Rgba16 => (8, high, 2 + high, 4 + high),
        _ => return None,
    };
    if length < 3 {
        return Some(pixels.chunks_exact(length).flat_map(|pixel| [pixel[blue], pixel[green], pixel[red]]).collect());
    }
    repack(&mut pixels, length, |pixel| [pixel[blue], pixel[green], pixel[red]]);
    Some(pixels)
}

/// Turns pixels of `length` bytes, at least three, into such of three, in the memory they are in.
pub(super) fn repack(pixels: &mut Vec<u8>, length: usize, bgr: impl Fn(&[u8]) -> [u8; 3]) {
    let count = pixels.len() / length;
    for n in 0..count {
        let packed = bgr(&pixels[n * length..][..length]);
        pixels[n * 3..][..3].copy_from_slice(&packed);
    }
    pixels.truncate(count * 3);
    pixels.shrink_to_fit();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_colour_becomes_blue_green_red() {
        let wide = |values: &[u16]| values.iter().flat_map(|value| (value << 8).to_ne_bytes()).collect::<Vec<u8>>();
        for (colours, pixels, bgr) in [
            (ColorType::L8, vec![7, 9], vec![7, 7, 7, 9, 9, 9]),
            (ColorType::La8, vec![7, 255, 9, 0], vec![7, 7, 7, 9, 9, 9]),
            (ColorType::L16, wide(&[7, 9]), vec![7, 7, 7, 9, 9, 9]),
            (ColorType::La16, wide(&[7, 255, 9, 0]), vec![7, 7, 7, 9, 9, 9]),
            (ColorType::Rgb8, vec![1, 2, 3, 4, 5, 6], vec![3, 2, 1, 6, 5, 4]),
            (ColorType::Rgba8, vec![1, 2, 3, 0, 4, 5, 6, 9], vec![3, 2, 1, 6, 5, 4]),
            (ColorType::Rgb16, wide(&[1, 2, 3, 4, 5, 6]), vec![3, 2, 1, 6, 5, 4]),
            (ColorType::Rgba16, wide(&[1, 2, 3, 0, 4, 5, 6, 9]), vec![3, 2, 1, 6, 5, 4]),
        ] {
            assert_eq!(blue_green_red(pixels, colours), Some(bgr), "{colours:?}");
        }
    }
}
