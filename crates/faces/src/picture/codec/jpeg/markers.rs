//! What a JPEG says between its pixels: where it ends, and its EXIF data.
//!
//! In: the bytes of a file. Out: [`Markers`]. The dimensions are not read here: what decodes says them, or the two
//! could disagree.

/// What the segments of a JPEG tell (ITU-T T.81, annex B).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Markers<'a> {
    /// The end of the picture is there.
    pub whole: bool,
    /// The TIFF structure of the first EXIF segment.
    pub exif: Option<&'a [u8]>,
}

/// Marker codes (T.81, table B.1): end of image, application segment 1.
const END: u8 = 0xd9;
const APP1: u8 = 0xe1;
const EXIF: &[u8] = b"Exif\0\0";

impl<'a> Markers<'a> {
    /// Goes from marker to marker until the end of the picture or of the bytes.
    pub fn of(jpeg: &'a [u8]) -> Self {
        let mut found = Self::default();
        // After the start of the image.
        let mut rest = jpeg.get(2..).unwrap_or_default();
        while let Some((marker, after)) = next_marker(rest) {
            rest = match marker {
                END => {
                    found.whole = true;
                    break;
                }
                // Stuffed bytes and restarts inside a scan, and a marker that stands alone.
                0x00 | 0x01 | 0xd0..=0xd8 => after,
                _ => {
                    let Some((content, after)) = segment(after) else { break };
                    if marker == APP1 && found.exif.is_none() {
                        found.exif = content.strip_prefix(EXIF);
                    }
                    after
                }
            };
        }
        found
    }
}

/// The next marker's code and what follows it. Any number of fill bytes, `ff`, may stand before the code.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let begin = memchr::memchr(0xff, bytes)?;
    let code = begin + bytes[begin..].iter().position(|byte| *byte != 0xff)?;
    Some((bytes[code], &bytes[code + 1..]))
}

/// A segment's content by its length, which counts itself, and what follows it.
fn segment(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::from(u16::from_be_bytes(bytes.get(..2)?.try_into().ok()?));
    bytes.get(2..)?.split_at_checked(length.checked_sub(2)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_and_the_exif_data_are_found_behind_whatever_stands_before() {
        let exif = b"\xff\xe1\x00\x0cExif\0\0II\xff\xd9".as_slice();
        let scan = b"\xff\xda\x00\x04ab\x11\xff\x00\x22\xff\xd0\x33".as_slice();
        let (begin, end) = (b"\xff\xd8".as_slice(), b"\xff\xd9".as_slice());
        let data = Some(b"II\xff\xd9".as_slice());
        for (what, jpeg, whole, exif) in [
            ("whole", [begin, exif, scan, end].concat(), true, data),
            ("with fill bytes", [begin, b"\xff\xff", exif, b"\xff\xff\xff", scan, b"\xff", end].concat(), true, data),
            ("with something behind it", [begin, scan, end, exif, b"motion"].concat(), true, None),
            ("with an end inside a segment alone", [begin, exif, scan].concat(), false, data),
            ("with a segment that is cut short", [begin, &exif[..9]].concat(), false, None),
            ("with a length that cannot be", [begin, b"\xff\xe1\x00\x01", end].concat(), false, None),
            ("a beginning", begin.to_vec(), false, None),
            ("nothing", Vec::new(), false, None),
            ("fill bytes for ever", vec![0xff; 1000], false, None),
        ] {
            assert_eq!(Markers::of(&jpeg), Markers { whole, exif }, "{what}");
        }
    }
}
