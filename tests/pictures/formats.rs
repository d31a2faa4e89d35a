//! What is read, what is not, and what is said about it.

use faces::picture::{MAX_PIXELS, Picture, PictureError};

use crate::made::*;

/// Every kind of file there is of a gradient, or of one colour where it was made elsewhere.
fn sound() -> Vec<(&'static str, Vec<u8>, Picture)> {
    let picture = gradient(64, 48);
    let (size, orange) = ((64, 48), Picture::filled(16, 16, ORANGE));
    let plain = |bits, colour, interlaced, pixel: &[u8]| plain_png(37, 21, bits, colour, interlaced, pixel);
    let teal = Picture::filled(37, 21, [150, 100, 50]);
    let grey = Picture::filled(37, 21, [77; 3]);
    let baseline = jpeg(&picture, false);
    vec![
        ("JPEG", baseline.clone(), picture.clone()),
        ("progressive JPEG", jpeg(&picture, true), picture.clone()),
        ("JPEG in ink", ink_jpeg(&picture), picture.clone()),
        ("JPEG with a fill byte", with_fill_bytes(&baseline, 1), picture.clone()),
        ("JPEG with fill bytes", with_fill_bytes(&baseline, 7), picture.clone()),
        ("progressive JPEG with fill bytes", with_fill_bytes(&jpeg(&picture, true), 1), picture.clone()),
        ("JPEG with something behind it", [&baseline[..], b"motion"].concat(), picture.clone()),
        ("PNG", png(&picture), picture.clone()),
        ("interlaced PNG", plain(8, 2, true, &[50, 100, 150]), teal.clone()),
        ("PNG of 16 bits", plain(16, 2, false, &[50, 0, 100, 0, 150, 0]), teal.clone()),
        ("interlaced PNG of 16 bits with alpha", plain(16, 6, true, &[50, 0, 100, 0, 150, 0, 9, 9]), teal),
        ("grey PNG", plain(8, 0, false, &[77]), grey.clone()),
        ("grey PNG with alpha", plain(8, 4, true, &[77, 0]), grey),
        ("lossless WebP", webp(&picture), picture.clone()),
        ("extended WebP", webp_saying(&webp(&picture), size, None), picture.clone()),
        ("lossy WebP", ORANGE_WEBP.to_vec(), orange.clone()),
        ("animated WebP, of which the first picture counts", ANIMATED_WEBP.to_vec(), orange),
        ("BMP", bmp(&picture, Bitmap::Windows, size), picture.clone()),
        ("BMP from the top down", bmp(&picture, Bitmap::TopDown, size), picture.clone()),
        ("OS/2 BMP", bmp(&picture, Bitmap::Os2, size), picture.clone()),
        ("OS/2 2 BMP", bmp(&picture, Bitmap::Os2Long, size), picture),
    ]
}

/// Whether two pictures differ by no more than a lossy format makes of them.
fn alike(a: &Picture, b: &Picture) -> bool {
    let far = a.bgr().iter().zip(b.bgr()).filter(|(a, b)| a.abs_diff(**b) > 12).count();
    (a.width(), a.height()) == (b.width(), b.height()) && far * 100 < a.bgr().len()
}

#[test]
fn every_format_is_read_as_it_was_meant() {
    for (what, file, picture) in sound() {
        Picture::check(&file, MAX_PIXELS).unwrap_or_else(|error| panic!("{what}: {error}"));
        let read = Picture::decode(&file, MAX_PIXELS).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(alike(&read, &picture), "{what}");
    }
}

#[test]
fn what_is_cut_short_is_refused_as_incomplete_wherever_it_ends() {
    for (what, file, _) in sound() {
        if what == "JPEG with something behind it" {
            continue;
        }
        // From behind the first header on; what ends before that is no picture at all, or an incomplete one.
        for part in 2..20 {
            let cut = &file[..(file.len() - 3) * part / 19];
            for error in [Picture::decode(cut, MAX_PIXELS).err(), Picture::check(cut, MAX_PIXELS).err()] {
                let told = matches!(&error, Some(PictureError::CutShort | PictureError::NotTaken { format: None }));
                assert!(told, "{what} to {} of {} bytes: {error:?}", cut.len(), file.len());
            }
        }
        let half = Picture::decode(&file[..file.len() / 2 + 20], MAX_PIXELS).err();
        assert!(matches!(half, Some(PictureError::CutShort)), "{what}: {half:?}");
    }
}

#[test]
fn what_is_damaged_inside_is_refused_with_the_reason() {
    let picture = gradient(320, 240);
    let whole = jpeg(&picture, false);
    let without_a_part = [&whole[..whole.len() / 2], &whole[whole.len() - 200..]].concat();
    // Behind the first segment, which has 18 bytes (JFIF).
    let behind_a_note = [&without_a_part[..20], b"a note", &without_a_part[20..]].concat();
    let mut flipped = png(&picture);
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x55;
    let claims_more = webp_saying(&webp(&picture), (100, 100), None);
    let passes = many_passes(&gradient(640, 480), 600);
    for (what, file, says) in [
        ("a JPEG that lacks a part", without_a_part, "damaged"),
        ("one with something astray behind its first segment", behind_a_note, "damaged"),
        ("a PNG with a wrong byte", flipped, "damaged"),
        ("a WebP that holds a larger picture than it says", claims_more, "larger than the file says"),
        ("a JPEG of 600 passes", passes, "more than 500 scans"),
    ] {
        let error = Picture::decode(&file, MAX_PIXELS).err().unwrap_or_else(|| panic!("{what} is read"));
        assert!(matches!(error, PictureError::Damaged { .. }), "{what}: {error:?}");
        assert!(error.to_string().contains(says), "{what}: {error}");
    }
}

#[test]
fn a_lossless_picture_of_nothing_but_tables_is_refused_before_they_are_unpacked() {
    let mut told = Picture::check(&intricate_webp(2 << 20), MAX_PIXELS).unwrap_err().to_string();
    assert!(told.contains("a lossless WebP of 2.1 MB"), "{told}");
    told = Picture::decode(&intricate_webp(2 << 20), MAX_PIXELS).unwrap_err().to_string();
    assert!(told.contains("save it as JPEG"), "{told}");
    // A shorter one is known for what it takes: 16 pixels, and 92 bits for each table of 4096 bytes.
    let memory = Picture::check(&intricate_webp(1 << 20), MAX_PIXELS).unwrap();
    assert!(memory > (1 << 20) * 8 / 92 * 4096, "{memory}");
}

#[test]
fn a_header_that_promises_too_much_is_told_with_its_numbers() {
    for (what, file, width, height) in too_large() {
        for error in [Picture::decode(&file, MAX_PIXELS).err(), Picture::check(&file, MAX_PIXELS).err()] {
            match error {
                Some(PictureError::TooLarge { width: w, height: h, limit: MAX_PIXELS }) => {
                    assert_eq!((w, h), (width, height), "{what}");
                }
                other => panic!("{what}: {other:?}"),
            }
        }
    }
    let error = Picture::decode(&gradient(100, 100).jpeg(80).unwrap(), 9_999).err().unwrap();
    assert!(error.to_string().contains("100x100 pixels"), "{error}");
    // As long as 50 million pixels, in one row.
    let row = plain_png(50_000_000, 1, 1, 0, false, &[]);
    assert!(matches!(Picture::decode(&row, MAX_PIXELS), Err(PictureError::TooLarge { .. })));
}

/// Small files of enormous pictures.
pub fn too_large() -> Vec<(&'static str, Vec<u8>, u64, u64)> {
    let small = gradient(16, 16);
    let baseline = jpeg(&small, false);
    vec![
        ("JPEG", resized_header(&baseline, 32_000, 32_000), 32_000, 32_000),
        ("progressive JPEG", resized_header(&jpeg(&small, true), 65_500, 65_500), 65_500, 65_500),
        ("JPEG in ink", resized_header(&ink_jpeg(&small), 30_000, 30_000), 30_000, 30_000),
        ("JPEG with a decoy", disguised_jpeg(), 20_000, 20_000),
        ("PNG", png_saying(&png(&small), Some((60_000, 60_000)), None), 60_000, 60_000),
        (
            "interlaced PNG",
            png_saying(&plain_png(8, 8, 16, 6, true, &[9; 8]), Some((60_000, 60_000)), None),
            60_000,
            60_000,
        ),
        ("extended WebP", webp_saying(&webp(&small), (16_000, 16_000), None), 16_000, 16_000),
        ("animated WebP", large_animation(16_000, 16_000), 16_000, 16_000),
        ("BMP", bmp(&small, Bitmap::Windows, (60_000, 60_000)), 60_000, 60_000),
        ("BMP from the top down", bmp(&small, Bitmap::TopDown, (60_000, 60_000)), 60_000, 60_000),
        ("OS/2 BMP", bmp(&small, Bitmap::Os2, (60_000, 60_000)), 60_000, 60_000),
        ("OS/2 2 BMP", bmp(&small, Bitmap::Os2Long, (60_000, 60_000)), 60_000, 60_000),
    ]
}

#[test]
fn the_orientation_is_read_in_every_format_that_has_one() {
    let upright = gradient(64, 48);
    // As a phone stores it that was held on its side: EXIF's 6 says that it has to be turned clockwise.
    let lying = upright.turned(faces::picture::Turn::ThreeQuarters).unwrap();
    let size = (lying.width(), lying.height());
    for (what, file) in [
        ("JPEG", jpeg_lying(&jpeg(&lying, false), 6)),
        ("JPEG with fill bytes", with_fill_bytes(&jpeg_lying(&jpeg(&lying, false), 6), 2)),
        ("PNG", png_saying(&png(&lying), None, Some(6))),
        ("WebP", webp_saying(&webp(&lying), size, Some(6))),
    ] {
        let read = Picture::decode(&file, MAX_PIXELS).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(alike(&read, &upright), "{what}");
    }
}

#[test]
fn other_formats_are_named() {
    for (file, name) in [
        (&b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"[..], "a HEIC picture"),
        (b"\0\0\0\x1cftypavif\0\0\0\0mif1miaf", "an AVIF picture"),
        (b"MM\0*\0\0\0\x08", "a TIFF or raw camera picture"),
        (b"GIF89a", "a GIF picture"),
        (b"", "not a picture"),
        (b"<html>", "not a picture"),
    ] {
        let error = Picture::decode(file, MAX_PIXELS).err().unwrap();
        assert!(matches!(error, PictureError::NotTaken { .. }) && error.to_string().contains(name), "{error}");
        assert!(error.to_string().contains("JPEG, PNG, WebP and BMP are"), "{error}");
    }
}

#[test]
fn bytes_at_random_are_an_error_and_never_a_panic() {
    let mut noise = 1u32;
    for (what, file, _) in sound() {
        for _ in 0..200 {
            let mut file = file.clone();
            for _ in 0..3 {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = noise as usize % file.len();
                file[at] = (noise >> 24) as u8;
            }
            let _ = Picture::check(&file, 100_000);
            if let Ok(picture) = Picture::decode(&file, 100_000) {
                assert!(u64::from(picture.width()) * u64::from(picture.height()) <= 100_000, "{what}");
            }
        }
    }
}
