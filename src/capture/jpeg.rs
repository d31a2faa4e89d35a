//! One JPEG from a camera, which may be cut short or padded.
//!
//! In: the bytes a camera sent for one picture. Out: the picture, or why it is passed over. A cut-short JPEG would
//! decode to a picture that is grey below, so it is not decoded at all. It does not know where the bytes came from.

use super::SkipReason;
use crate::picture::{MAX_PIXELS, Picture, PictureError};

/// JPEG's marker of the beginning of a picture, and of its end (ITU-T T.81, table B.1).
const BEGIN: [u8; 2] = [0xff, 0xd8];
const END: [u8; 2] = [0xff, 0xd9];

/// Decodes one whole JPEG. What follows its end, as the unused rest of a buffer, is left out.
pub(super) fn jpeg(bytes: &[u8]) -> Result<Picture, SkipReason> {
    if !bytes.starts_with(&BEGIN) {
        return Err(SkipReason::Undecodable);
    }
    let end = bytes.windows(2).rposition(|pair| pair == END).ok_or(SkipReason::Undecodable)?;
    Picture::decode(&bytes[..end + 2], MAX_PIXELS).map_err(|error| match error {
        PictureError::TooLarge { .. } => SkipReason::TooLarge,
        _ => SkipReason::Undecodable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_jpegs_are_pictures() {
        let whole = Picture::filled(32, 24, [10, 200, 90]).jpeg(90).unwrap();
        let padded = [&whole[..], &[0; 500]].concat();
        let with_junk_before = [&[1, 2, 3], &whole[..]].concat();
        for (name, bytes, decodes) in [
            ("whole", &whole[..], true),
            ("in a larger buffer", &padded, true),
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
    fn a_header_that_promises_too_much_is_not_believed() {
        let mut bytes = Picture::filled(32, 24, [0; 3]).jpeg(90).unwrap();
        // Frame header SOF0: marker, length (2), precision (1), height (2), width (2).
        let header = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        bytes[header + 5..header + 9].fill(0xff);
        assert_eq!(jpeg(&bytes).err(), Some(SkipReason::TooLarge));
    }
}
