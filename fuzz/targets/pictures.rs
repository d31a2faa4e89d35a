//! Whatever is sent as a picture: it is refused in words, or decoded within what its header let expect.

#![no_main]

use faces::picture::{Picture, bare_jpeg};
use libfuzzer_sys::fuzz_target;

/// Small enough for thousands of pictures a second.
const MOST_PIXELS: u64 = 40_000;
/// What tables may take beside the pixels.
const MOST_BYTES: u64 = 64 << 20;

fuzz_target!(|data: &[u8]| {
    let expected = match Picture::check(data, MOST_PIXELS) {
        Ok(bytes) => bytes,
        Err(error) => {
            assert!((1..400).contains(&error.to_string().len()), "{error}");
            assert!(Picture::decode(data, MOST_PIXELS).is_err(), "refused and yet read");
            return;
        }
    };
    if expected > MOST_BYTES {
        return;
    }
    let Ok(picture) = Picture::decode(data, MOST_PIXELS) else { return };
    assert!(u64::from(picture.width()) * u64::from(picture.height()) <= MOST_PIXELS);
    assert!(picture.bgr().len() as u64 <= expected);
    if let Some(bare) = bare_jpeg(data) {
        assert_eq!(bare_jpeg(&bare).as_deref(), Some(&bare[..]), "something was left");
        assert!(bare.len() <= data.len());
        assert!(Picture::decode(&bare, MOST_PIXELS).is_ok_and(|again| again == picture), "another picture");
    }
});
