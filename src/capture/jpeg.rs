//! One JPEG from a camera, which may be cut short or padded, or stand in the middle of what it sends.
//!
//! In: the bytes a camera sent for one picture, or one after the other. Out: the picture, or why it is passed over; the
//! first of several, still to be decoded. A cut-short JPEG would decode to a picture that is grey below, so it is not
//! decoded at all. It does not know where the bytes came from.

use faces::picture::{FirstJpeg, MAX_PIXELS, Picture, PictureError, Sketch, first_jpeg};
use memchr::memmem;

use super::SkipReason;
use super::light::{COLUMNS, LightMeter, ROWS};
use super::raw::{Image, Raw, Shape};
use super::turn::Turn;

/// JPEG's marker of the beginning of a picture (ITU-T T.81, table B.1), and the first byte of the next marker.
pub(super) const BEGIN: &[u8] = &[0xff, 0xd8, 0xff];
/// A sketch has a pixel for each point that its light is read at.
const LEAST: (u32, u32) = (COLUMNS as u32, ROWS as u32);
/// A JPEG of 50 megapixels takes less.
pub(super) const MOST_BYTES: usize = 64 << 20;

/// What the beginning of the bytes was.
pub(super) enum First {
    /// So many bytes, in which no picture begins.
    Nothing(usize),
    /// A picture of which more is to come; it stays.
    Unfinished,
    Whole(Vec<u8>),
    CutShort(Vec<u8>),
    /// More than [`MOST_BYTES`] without an end.
    TooLong(Vec<u8>),
}

/// A JPEG that stands, and its light.
#[derive(derive_more::Debug)]
struct Sketched {
    #[debug("{} bytes", bytes.len())]
    bytes: Vec<u8>,
    sketch: Sketch,
}

/// Takes the first picture out of what a camera has sent so far, with whatever stands before it.
pub(super) fn cut_first(bytes: &mut Vec<u8>) -> First {
    let begins = memmem::find(bytes, BEGIN);
    let before = begins.unwrap_or_else(|| bytes.len().saturating_sub(BEGIN.len() - 1));
    bytes.drain(..before);
    if begins.is_none() {
        return First::Nothing(before);
    }
    let take = |bytes: &mut Vec<u8>, length| {
        let rest = bytes.split_off(length);
        std::mem::replace(bytes, rest)
    };
    match first_jpeg(bytes) {
        FirstJpeg::Whole(length) => First::Whole(take(bytes, length)),
        FirstJpeg::CutShort(length) => First::CutShort(take(bytes, length)),
        FirstJpeg::Unfinished if bytes.len() > MOST_BYTES => First::TooLong(std::mem::take(bytes)),
        FirstJpeg::Unfinished => First::Unfinished,
    }
}

/// One whole JPEG as an image: it is decoded when its pixels are wanted, until then in its light alone.
pub(super) fn image(bytes: &[u8]) -> Result<Image, SkipReason> {
    let sketch = match bytes.starts_with(BEGIN) {
        true => Sketch::of_jpeg(bytes, MAX_PIXELS, LEAST).map_err(|error| SkipReason::of(&error))?,
        false => None,
    };
    match sketch {
        Some(sketch) => Ok(Image::of(Sketched { bytes: bytes.to_vec(), sketch })),
        None => jpeg(bytes).map(Image::from),
    }
}

/// Decodes one whole JPEG. What follows its end, as the unused rest of a buffer, is left out; any other format is none
/// a camera sends.
pub(super) fn jpeg(bytes: &[u8]) -> Result<Picture, SkipReason> {
    if !bytes.starts_with(BEGIN) {
        return Err(SkipReason::Undecodable);
    }
    Picture::decode(bytes, MAX_PIXELS).map_err(|error| SkipReason::of(&error))
}

impl Raw for Sketched {
    fn shape(&self) -> Shape {
        let (width, height) = self.sketch.of();
        Shape { width, height, turn: Turn::default() }
    }

    fn light(&self, meter: &mut LightMeter, light: &mut Vec<u16>) {
        meter.read_grey(self.sketch.size(), |y| self.sketch.row(y), light);
    }

    fn picture(&self) -> Option<Picture> {
        Picture::decode(&self.bytes, MAX_PIXELS).ok()
    }
}

impl SkipReason {
    /// Why a picture is passed over that cannot be decoded.
    pub(super) fn of(error: &PictureError) -> Self {
        match error {
            PictureError::TooLarge { .. } | PictureError::TooLong => Self::TooLarge,
            PictureError::CutShort => Self::CutShort,
            PictureError::Damaged { .. } => Self::Damaged,
            _ => Self::Undecodable,
        }
    }

    /// As in "it was passed over: …".
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Undecodable => "it is no picture that can be read",
            Self::CutShort => "its end is missing",
            Self::Damaged => "it is damaged",
            Self::TooLarge => "it has too many pixels",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_jpegs_are_pictures() {
        let whole = Picture::filled(32, 24, [10, 200, 90]).jpeg(90).unwrap();
        let padded = [&whole[..], &[0; 500]].concat();
        // Any number of `ff` may stand before a marker (T.81, B.1.1.2).
        let filled = [&whole[..2], &[0xff; 3], &whole[2..whole.len() - 2], &[0xff], &whole[whole.len() - 2..]].concat();
        let with_junk_before = [&[1, 2, 3], &whole[..]].concat();
        for (name, bytes, decodes) in [
            ("whole", &whole[..], true),
            ("in a larger buffer", &padded, true),
            ("with fill bytes before its markers", &filled, true),
            ("cut short", &whole[..whole.len() - 10], false),
            ("half", &whole[..whole.len() / 2], false),
            ("its end only", &whole[whole.len() / 2..], false),
            ("shifted", &with_junk_before, false),
            ("begin and end only", &[0xff, 0xd8, 0xff, 0xd9], false),
            ("nothing", &[], false),
            ("a PNG's beginning", b"\x89PNG\r\n\x1a\n", false),
        ] {
            assert_eq!(jpeg(bytes).is_ok(), decodes, "{name}");
        }
    }

    #[test]
    fn why_a_picture_is_passed_over_is_told() {
        let whole = Picture::filled(320, 240, [10, 200, 90]).jpeg(90).unwrap();
        assert_eq!(jpeg(&whole[..whole.len() / 2]).err(), Some(SkipReason::CutShort));
        assert_eq!(jpeg(b"GIF89a").err(), Some(SkipReason::Undecodable));
        // Half of what was taken is missing, and the end is there.
        let middle = [&whole[..whole.len() * 3 / 4], &[0xff, 0xd9]].concat();
        assert_eq!(jpeg(&middle).err(), Some(SkipReason::Damaged));
    }

    #[test]
    fn a_header_that_promises_too_much_is_not_believed() {
        let mut bytes = Picture::filled(32, 24, [0; 3]).jpeg(90).unwrap();
        // Frame header SOF0: marker, length (2), precision (1), height (2), width (2).
        let header = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        bytes[header + 5..header + 9].fill(0xff);
        assert_eq!(jpeg(&bytes).err(), Some(SkipReason::TooLarge));
    }
}
