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
    /// Something stands between two segments, outside of any scan.
    pub astray: bool,
}

/// Marker codes (T.81, table B.1): start and end of image, start of scan, application segments, comment.
const START: u8 = 0xd8;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;
const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP14: u8 = 0xee;
const APP15: u8 = 0xef;
const COMMENT: u8 = 0xfe;
/// Says that the colours are luma and chroma.
const JFIF: &[u8] = b"JFIF\0";
/// Says which colours there are.
const ADOBE: &[u8] = b"Adobe";
const EXIF: &[u8] = b"Exif\0\0";

impl<'a> Markers<'a> {
    /// Goes from marker to marker until the end of the picture or of the bytes.
    pub fn of(jpeg: &'a [u8]) -> Self {
        let mut found = Self::default();
        // After the start of the image.
        let mut rest = jpeg.get(2..).unwrap_or_default();
        let mut in_scan = false;
        while let Some((marker, after)) = next_marker(rest) {
            found.astray |= !in_scan && rest.first() != Some(&0xff);
            rest = match marker {
                END => {
                    found.whole = true;
                    break;
                }
                // Stuffed bytes and restarts inside a scan, and a marker that stands alone.
                0x00 | 0x01 | 0xd0..=0xd8 => {
                    found.astray |= !in_scan;
                    after
                }
                _ => {
                    let Some((content, after)) = segment(after) else { break };
                    in_scan = marker == SCAN;
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

/// What the beginning of a stream of JPEGs holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstJpeg {
    /// The first picture in full, so many bytes.
    Whole(usize),
    /// The first picture breaks off after so many bytes, where another one begins.
    CutShort(usize),
    /// More of it has to come.
    Unfinished,
}

/// Where the first of several JPEGs ends that follow each other; `jpegs` starts with its beginning.
pub fn first(jpegs: &[u8]) -> FirstJpeg {
    let mut rest = jpegs.get(2..).unwrap_or_default();
    while let Some((marker, after)) = next_marker(rest) {
        let until_here = jpegs.len() - after.len();
        rest = match marker {
            END => return FirstJpeg::Whole(until_here),
            START => return FirstJpeg::CutShort(until_here - 2),
            0x00 | 0x01 | 0xd0..=0xd7 => after,
            _ => match segment(after) {
                Some((_, after)) => after,
                None => break,
            },
        };
    }
    FirstJpeg::Unfinished
}

/// The JPEG without anything that is not needed to show it: no EXIF data, no profile, no comment, no second picture,
/// nothing between its segments or behind its end. `None` where its end is missing.
pub fn bare(jpeg: &[u8]) -> Option<Vec<u8>> {
    let mut bare = jpeg.get(..2)?.to_vec();
    let mut rest = &jpeg[2..];
    let mut in_scan = false;
    loop {
        let (marker, after) = next_marker(rest)?;
        if in_scan {
            // What it holds up to the marker; fill bytes before the code say nothing.
            let before = &rest[..rest.len() - after.len() - 1];
            let scanned = before.iter().rposition(|byte| *byte != 0xff).map_or(0, |last| last + 1);
            bare.extend_from_slice(&before[..scanned]);
        }
        let alone = matches!(marker, 0x00 | 0x01 | 0xd0..=0xd8);
        if in_scan || !alone {
            bare.extend_from_slice(&[0xff, marker]);
        }
        rest = match marker {
            END => return Some(bare),
            _ if alone => after,
            _ => {
                in_scan = marker == SCAN;
                let (content, behind) = segment(after)?;
                match marker {
                    // Its first 14 bytes; a small picture may follow.
                    APP0 if content.starts_with(JFIF) && content.len() >= 14 => {
                        bare.extend_from_slice(&16u16.to_be_bytes());
                        bare.extend_from_slice(&content[..12]);
                        bare.extend_from_slice(&[0, 0]);
                    }
                    APP0..=APP15 | COMMENT if !(marker == APP14 && content.starts_with(ADOBE)) => {
                        bare.truncate(bare.len() - 2);
                    }
                    _ => bare.extend_from_slice(&after[..after.len() - behind.len()]),
                }
                behind
            }
        };
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
    fn what_is_not_needed_to_show_it_is_left_out() {
        let segment = |marker: u8, content: &[u8]| {
            let length = (content.len() as u16 + 2).to_be_bytes();
            [&[0xff, marker], &length[..], content].concat()
        };
        let jfif = segment(APP0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
        let thumbnail = segment(APP0, b"JFIF\0\x01\x01\0\0\x01\0\x01\x01\x01a face");
        let (adobe, table) = (segment(APP14, b"Adobe\0\x64\0\0\0\0\x02"), segment(0xdb, b"\xffa table\xd9"));
        let scan = b"\xff\xda\x00\x04ab\x11\xff\x00\x22\xff\xd0\x33".to_vec();
        let (begin, end) = (b"\xff\xd8".to_vec(), b"\xff\xd9".to_vec());
        let told = [
            segment(APP1, b"Exif\0\0GPS \xff\xd9"),
            segment(0xe2, b"ICC"),
            segment(0xed, b"a name"),
            segment(APP0, b"JFXX\0another face"),
            segment(COMMENT, b"a comment"),
            segment(APP14, b"else"),
        ]
        .concat();
        let (fill, astray) = (b"\xff\xff", b"a note\xff\x00\xff\xd1");
        let all = [
            &begin[..],
            astray,
            &thumbnail,
            &told,
            astray,
            &adobe,
            fill,
            &table,
            &told,
            &scan,
            fill,
            &scan,
            &end,
            b"more",
        ]
        .concat();
        let shown = [begin, jfif, adobe, table, scan.clone(), scan, end].concat();
        assert_eq!(bare(&all).unwrap(), shown);
        assert_eq!(bare(&shown).unwrap(), shown);
        for short in [&shown[..shown.len() - 1], &shown[..20], b"\xff\xd8", b""] {
            assert_eq!(bare(short), None);
        }
    }

    #[test]
    fn the_first_of_several_ends_where_it_does_whatever_it_holds() {
        let thumbnail = b"\xff\xe1\x00\x0aEx\xff\xd8\xff\xd9if".as_slice();
        let scan = b"\xff\xda\x00\x04ab\x11\xff\x00\x22\xff\xd0\x33".as_slice();
        let whole = [b"\xff\xd8", thumbnail, scan, b"\xff\xff\xd9"].concat();
        assert_eq!(first(&[&whole[..], &whole[..5]].concat()), FirstJpeg::Whole(whole.len()));
        for cut in 0..whole.len() {
            assert_eq!(first(&whole[..cut]), FirstJpeg::Unfinished, "{cut}");
        }
        let cut = whole.len() - 4;
        assert_eq!(first(&[&whole[..cut], &whole[..]].concat()), FirstJpeg::CutShort(cut));
    }

    #[test]
    fn the_end_and_the_exif_data_are_found_behind_whatever_stands_before() {
        let exif = b"\xff\xe1\x00\x0cExif\0\0II\xff\xd9".as_slice();
        let scan = b"\xff\xda\x00\x04ab\x11\xff\x00\x22\xff\xd0\x33".as_slice();
        let (begin, end) = (b"\xff\xd8".as_slice(), b"\xff\xd9".as_slice());
        let data = Some(b"II\xff\xd9".as_slice());
        for note in [b"a note".as_slice(), b"\xff\x00"] {
            let astray = [begin, note, exif, scan, end].concat();
            assert_eq!(Markers::of(&astray), Markers { whole: true, exif: data, astray: true });
        }
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
            assert_eq!(Markers::of(&jpeg), Markers { whole, exif, astray: false }, "{what}");
        }
    }
}
