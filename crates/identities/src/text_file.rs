//! Text files as editors and spreadsheets write them.
//!
//! In: the bytes of a file. Out: its text: UTF-8 with or without a byte order mark, or UTF-16 with one, as Windows
//! programs write it. It does not guess: bytes that are none of these are no text.

use std::io;
use std::path::Path;

use encoding_rs::{Encoding, UTF_8};

/// What a file is told that is no text.
const NOT_TEXT: &str = "it is not text in UTF-8; save it as UTF-8";

/// The text of these bytes, without a byte order mark; `None` when they are no text.
pub fn decode(bytes: &[u8]) -> Option<String> {
    let (encoding, mark) = Encoding::for_bom(bytes).unwrap_or((UTF_8, 0));
    let text = encoding.decode_without_bom_handling_and_without_replacement(&bytes[mark..])?;
    Some(text.into_owned())
}

/// The text of a file.
pub fn read(file: &Path) -> io::Result<String> {
    from(&std::fs::read(file)?)
}

/// The text of what was read elsewhere; the error says what to do.
pub fn from(bytes: &[u8]) -> io::Result<String> {
    decode(bytes).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, NOT_TEXT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_taken_off_and_utf_16_is_read() {
        let utf16 = |mark: [u8; 2], unit: fn(u16) -> [u8; 2]| {
            mark.into_iter().chain("Zoë".encode_utf16().flat_map(unit)).collect::<Vec<u8>>()
        };
        for bytes in [
            "Zoë".as_bytes().to_vec(),
            "\u{feff}Zoë".as_bytes().to_vec(),
            utf16([0xff, 0xfe], u16::to_le_bytes),
            utf16([0xfe, 0xff], u16::to_be_bytes),
        ] {
            assert_eq!(decode(&bytes).as_deref(), Some("Zoë"), "{bytes:?}");
        }
        assert_eq!(decode(b"").as_deref(), Some(""));
        let error = from(b"Zo\xeb").unwrap_err().to_string();
        assert!(error.contains("save it as UTF-8"), "{error}");
    }
}
