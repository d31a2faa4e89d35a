//! Which format a file is in, by its first bytes: names lie, and some files have no ending.
//!
//! In: the beginning of a file. Out: the kind that is taken, the name of a picture format that is not, or neither. It
//! reads no further than the first 64 bytes.

/// A format that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Jpeg,
    Png,
    WebP,
    Bmp,
}

/// What a file looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looks {
    Taken(Kind),
    /// A picture in a format that is not taken, by the name people know it under.
    Other(&'static str),
    NoPicture,
}

/// What the first bytes of a file (64 are enough) look like.
pub fn looks_like(bytes: &[u8]) -> Looks {
    let at = |from: usize, wanted: &[u8]| bytes.get(from..).is_some_and(|rest| rest.starts_with(wanted));
    let taken = [
        (Kind::Jpeg, at(0, b"\xff\xd8\xff")),
        (Kind::Png, at(0, b"\x89PNG\r\n\x1a\n")),
        (Kind::WebP, at(0, b"RIFF") && at(8, b"WEBP")),
        (Kind::Bmp, at(0, b"BM") && bitmap_header(bytes)),
    ];
    if let Some((kind, _)) = taken.into_iter().find(|(_, is)| *is) {
        return Looks::Taken(kind);
    }
    if at(4, b"ftyp") {
        return iso_media(bytes).map_or(Looks::NoPicture, Looks::Other);
    }
    let others: [(&[u8], &'static str); 10] = [
        (b"II*\0", "TIFF or raw camera"),
        (b"MM\0*", "TIFF or raw camera"),
        (b"IIU\0", "raw camera"),
        (b"GIF8", "GIF"),
        (b"\0\0\0\x0cJXL ", "JPEG XL"),
        (b"\xff\x0a", "JPEG XL"),
        (b"\0\0\0\x0cjP  ", "JPEG 2000"),
        (b"\xff\x4f\xff\x51", "JPEG 2000"),
        (b"8BPS", "Photoshop"),
        (b"\0\0\x01\0", "ICO"),
    ];
    others.iter().find(|(magic, _)| at(0, magic)).map_or(Looks::NoPicture, |(_, name)| Looks::Other(name))
}

/// `BM` begins many a text; a bitmap then says the length of its second header, of which there are few.
fn bitmap_header(bytes: &[u8]) -> bool {
    let length = bytes.get(14..18).and_then(|length| length.try_into().ok()).map(u32::from_le_bytes);
    matches!(length, Some(12 | 16 | 40 | 52 | 56 | 64 | 108 | 124))
}

/// The pictures among the files in ISO's media container, by their brands (ISO/IEC 23008-12, AVIF 1.1, Canon's CR3):
/// the major one, which may be a general one, and then the compatible ones.
fn iso_media(bytes: &[u8]) -> Option<&'static str> {
    let brands = bytes.get(8..64.min(bytes.len()))?.chunks_exact(4);
    brands.into_iter().find_map(|brand| match brand {
        b"avif" | b"avis" => Some("AVIF"),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" => Some("HEIC"),
        b"crx " => Some("raw camera"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_says_what_a_file_is() {
        let bitmap = |header: u8| [b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0".as_slice(), &[header, 0, 0, 0]].concat();
        for (bytes, looks) in [
            (&b"\xff\xd8\xff\xe0\0\x10JFIF"[..], Looks::Taken(Kind::Jpeg)),
            (b"\xff\xd8\xff\xff\xff\xe1", Looks::Taken(Kind::Jpeg)),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", Looks::Taken(Kind::Png)),
            (b"RIFF\x10\0\0\0WEBPVP8 ", Looks::Taken(Kind::WebP)),
            (&bitmap(40), Looks::Taken(Kind::Bmp)),
            (&bitmap(12), Looks::Taken(Kind::Bmp)),
            (b"BMW is a maker of motor vehicles", Looks::NoPicture),
            (b"RIFF\x10\0\0\0AVI LIST", Looks::NoPicture),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Looks::Other("HEIC")),
            (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", Looks::Other("AVIF")),
            (b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41", Looks::NoPicture),
            (b"II*\0\x08\0\0\0", Looks::Other("TIFF or raw camera")),
            (b"GIF89a", Looks::Other("GIF")),
            (b"{\"version\":1}", Looks::NoPicture),
            (b"", Looks::NoPicture),
        ] {
            assert_eq!(looks_like(bytes), looks, "{bytes:?}");
        }
    }
}
