//! Pictures as files of every kind: sound ones, and ones made to mislead.
#![allow(dead_code)] // each test uses its own part of it

use std::io::{Cursor, Write};

use faces::picture::Picture;
use image::{ImageFormat, RgbImage};

/// Colours that go from corner to corner.
pub fn gradient(width: u32, height: u32) -> Picture {
    let pixel = |x: u32, y: u32| [(x * 255 / width) as u8, (y * 255 / height) as u8, 90];
    Picture::new(width, height, (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect()).unwrap()
}

fn image(picture: &Picture) -> RgbImage {
    let rgb = picture.bgr().as_chunks::<3>().0.iter().flat_map(|&[blue, green, red]| [red, green, blue]).collect();
    RgbImage::from_raw(picture.width(), picture.height(), rgb).unwrap()
}

fn encoded(picture: &Picture, format: ImageFormat) -> Vec<u8> {
    let mut encoded = Cursor::new(Vec::new());
    image(picture).write_to(&mut encoded, format).unwrap();
    encoded.into_inner()
}

pub fn png(picture: &Picture) -> Vec<u8> {
    encoded(picture, ImageFormat::Png)
}

/// Lossless.
pub fn webp(picture: &Picture) -> Vec<u8> {
    encoded(picture, ImageFormat::WebP)
}

pub fn jpeg(picture: &Picture, progressive: bool) -> Vec<u8> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let format = turbojpeg::PixelFormat::BGR;
    let mut compressor = turbojpeg::Compressor::new().unwrap();
    compressor.set_progressive(progressive).unwrap();
    compressor.set_quality(90).unwrap();
    let image = turbojpeg::Image { pixels: picture.bgr(), width, pitch: width * 3, height, format };
    compressor.compress_to_vec(image).unwrap()
}

/// As a print shop sends it: no ink is 255, black is not used.
pub fn ink_jpeg(picture: &Picture) -> Vec<u8> {
    let pixels: Vec<u8> =
        picture.bgr().as_chunks::<3>().0.iter().flat_map(|&[blue, green, red]| [red, green, blue, 255]).collect();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let mut compressor = turbojpeg::Compressor::new().unwrap();
    compressor.set_colorspace(turbojpeg::Colorspace::CMYK).unwrap();
    let format = turbojpeg::PixelFormat::CMYK;
    compressor
        .compress_to_vec(turbojpeg::Image { pixels: &pixels[..], width, pitch: width * 4, height, format })
        .unwrap()
}

/// The JPEG with `fill` more `ff` before every marker of its header, and before its end: legal (T.81, B.1.1.2).
pub fn with_fill_bytes(jpeg: &[u8], fill: usize) -> Vec<u8> {
    let (mut filled, mut at) = (jpeg[..2].to_vec(), 2);
    loop {
        filled.extend(vec![0xff; fill]);
        let end = at + 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        filled.extend(&jpeg[at..end]);
        if jpeg[at + 1] == 0xda {
            filled.extend(&jpeg[end..jpeg.len() - 2]);
            filled.extend(vec![0xff; fill]);
            filled.extend(&jpeg[jpeg.len() - 2..]);
            return filled;
        }
        at = end;
    }
}

/// The JPEG whose frame header says another size.
pub fn resized_header(jpeg: &[u8], width: u16, height: u16) -> Vec<u8> {
    let mut jpeg = jpeg.to_vec();
    // SOF0 or SOF2: marker, length (2), precision (1), height (2), width (2).
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0] || pair == [0xff, 0xc2]).unwrap();
    jpeg[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    jpeg[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    jpeg
}

/// A JPEG of 20,000 x 20,000 pixels by its frame header. Behind a fill byte stands an application segment. Who does not
/// know of fill bytes takes that byte for a marker and the segment's marker for the first byte of a length, and so
/// lands at what looks like a frame header of 16 x 16.
pub fn disguised_jpeg() -> Vec<u8> {
    let large = resized_header(&gradient(16, 16).jpeg(90).unwrap(), 20_000, 20_000);
    let decoy = b"\xff\xc0\x00\x11\x08\x00\x10\x00\x10\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01";
    let mut segment = [b"\xff\xff\xe1\xff\xfd".as_slice(), &[0; 0xfffd - 2]].concat();
    // The wrong length begins two bytes into this, and counts itself.
    segment[2 + 0xe1ff..][..decoy.len()].copy_from_slice(decoy);
    [&large[..2], &segment, &large[2..]].concat()
}

/// A progressive JPEG whose last pass comes `times` over.
pub fn many_passes(picture: &Picture, times: usize) -> Vec<u8> {
    let jpeg = jpeg(picture, true);
    let last = jpeg.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap();
    let (before, pass) = jpeg[..jpeg.len() - 2].split_at(last);
    [before, &pass.repeat(times), b"\xff\xd9"].concat()
}

/// A PNG of one colour and any size and kind, in rows or interlaced (Adam7), made without holding its pixels.
pub fn plain_png(width: u32, height: u32, bits: u8, colour: u8, interlaced: bool, pixel: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    // Where each pass begins and how far apart its pixels are, across and down.
    let adam7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];
    let passes = if interlaced { &adam7[..] } else { &[(0, 0, 1, 1)] };
    for &(left, top, across, down) in passes {
        let columns = width.saturating_sub(left).div_ceil(across) as usize;
        let rows = if columns == 0 { 0 } else { height.saturating_sub(top).div_ceil(down) };
        let row = [&[0][..], &pixel.repeat(columns)].concat();
        (0..rows).for_each(|_| packed.write_all(&row).unwrap());
    }
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[bits, colour, 0, 0, interlaced.into()]].concat();
    let chunks = [png_chunk(b"IHDR", &header), png_chunk(b"IDAT", &packed.finish().unwrap()), png_chunk(b"IEND", b"")];
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunks.concat()].concat()
}

fn png_chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut sum = flate2::Crc::new();
    sum.update(name);
    sum.update(content);
    [&(content.len() as u32).to_be_bytes()[..], name, content, &sum.sum().to_be_bytes()].concat()
}

/// The PNG with another size in its header, and an orientation in EXIF.
pub fn png_saying(png: &[u8], size: Option<(u32, u32)>, orientation: Option<u8>) -> Vec<u8> {
    let mut header = png[16..29].to_vec();
    if let Some((width, height)) = size {
        header[..4].copy_from_slice(&width.to_be_bytes());
        header[4..8].copy_from_slice(&height.to_be_bytes());
    }
    let exif = orientation.map(|value| png_chunk(b"eXIf", &exif(value))).unwrap_or_default();
    [&png[..8], &png_chunk(b"IHDR", &header), &exif, &png[33..]].concat()
}

/// The TIFF structure of an EXIF block that holds nothing but the orientation.
pub fn exif(orientation: u8) -> Vec<u8> {
    // Tag 0x0112, type SHORT, one value.
    let entry = [0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0];
    [b"II*\0\x08\0\0\0\x01\0".as_slice(), &entry, &[0; 4]].concat()
}

/// The JPEG with an orientation.
pub fn jpeg_lying(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let exif = exif(orientation);
    let length = (2 + 6 + exif.len()) as u16;
    [&jpeg[..2], &[0xff, 0xe1], &length.to_be_bytes(), b"Exif\0\0", &exif, &jpeg[2..]].concat()
}

/// WebP's extended form around a simple one, with a canvas of this size, and an orientation.
pub fn webp_saying(webp: &[u8], (width, height): (u32, u32), orientation: Option<u8>) -> Vec<u8> {
    let side = |length: u32| (length - 1).to_le_bytes()[..3].to_vec();
    let flags = if orientation.is_some() { 8 } else { 0 };
    let about = webp_chunk(b"VP8X", &[vec![flags, 0, 0, 0], side(width), side(height)].concat());
    let exif = orientation.map(|value| webp_chunk(b"EXIF", &exif(value))).unwrap_or_default();
    riff(&[&about, &webp[12..], &exif].concat())
}

fn webp_chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let padding = &[0][..content.len() % 2];
    [&name[..], &(content.len() as u32).to_le_bytes(), content, padding].concat()
}

fn riff(chunks: &[u8]) -> Vec<u8> {
    [b"RIFF", &(chunks.len() as u32 + 4).to_le_bytes()[..], b"WEBP", chunks].concat()
}

/// Lossy, 16 x 16, orange all over (Pillow 12).
pub const ORANGE_WEBP: &[u8] = b"RIFF\x3c\0\0\0WEBPVP8 \x30\0\0\0\x10\x02\x00\x9d\x01\x2a\x10\x00\x10\x00\x01\x40\x26\x25\
    \xa0\x02\x74\xba\x01\xf8\x01\xf8\x00\x03\xc8\x00\xfe\xdb\x51\xff\xf6\xec\xdb\x2a\xf8\xfe\x68\x3f\xfb\x07\x43\xfa\xae\
    \xfb\xb6\x00\x00\x00";
/// An animation of 16 x 16, orange and then blue (Pillow 12).
pub const ANIMATED_WEBP: &[u8] = b"RIFF\xc8\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\x0f\0\0\x0f\0\0ANIM\x06\0\0\0\0\0\0\0\0\0\
    ANMF\x4a\0\0\0\0\0\0\0\0\0\x0f\0\0\x0f\0\0\x64\0\0\x02VP8 \x32\0\0\0\x30\x01\x00\x9d\x01\x2a\x10\x00\x10\x00\x01\x40\
    \x26\x25\xa0\x00\x03\x70\x00\xfe\xdb\x51\xff\xff\xdb\xb3\xff\xfd\xc8\x07\xff\xdc\x80\x7e\xe0\x7f\xff\xf6\x0e\xff\xff\
    \x38\x0f\xff\xe7\x01\xfd\x14\x00\x00ANMF\x4a\0\0\0\0\0\0\0\0\0\x0f\0\0\x0f\0\0\x64\0\0\0VP8 \x32\0\0\0\x34\x01\x00\
    \x9d\x01\x2a\x10\x00\x10\x00\x00\x00\x26\x25\xa0\x00\x03\x70\x00\xfe\xee\x0a\x67\xff\xfb\x68\x7f\xff\xb6\x87\xff\xfb\
    \x68\x7f\xda\xc7\xff\xfe\xc6\x6f\xff\xe7\xa3\xff\xfc\xf4\x7f\xa8\x60\x00";
/// Blue, green, red of what both show.
pub const ORANGE: [u8; 3] = [10, 120, 230];

/// The animation on a canvas of this size, whose first picture claims that size as well.
pub fn large_animation(width: u16, height: u16) -> Vec<u8> {
    let mut webp = ANIMATED_WEBP.to_vec();
    let side = |length: u16| (u32::from(length) - 1).to_le_bytes();
    for at in [24, 54] {
        webp[at..at + 3].copy_from_slice(&side(width)[..3]);
        webp[at + 3..at + 6].copy_from_slice(&side(height)[..3]);
    }
    webp[78..80].copy_from_slice(&width.to_le_bytes());
    webp[80..82].copy_from_slice(&height.to_le_bytes());
    webp
}

/// How a bitmap is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bitmap {
    Windows,
    TopDown,
    Os2,
    /// OS/2 2.x.
    Os2Long,
}

/// 24 bits a pixel. A size other than the picture's own may be claimed.
pub fn bmp(picture: &Picture, how: Bitmap, (width, height): (u32, u32)) -> Vec<u8> {
    let length = match how {
        Bitmap::Os2 => 12,
        Bitmap::Windows | Bitmap::TopDown => 40,
        Bitmap::Os2Long => 64u32,
    };
    let mut about = length.to_le_bytes().to_vec();
    if how == Bitmap::Os2 {
        for value in [width as u16, height as u16, 1, 24] {
            about.extend(value.to_le_bytes());
        }
    } else {
        let height = if how == Bitmap::TopDown { -(height as i32) } else { height as i32 };
        about.extend([width.to_le_bytes(), height.to_le_bytes()].concat());
        about.extend([1, 0, 24, 0]);
    }
    about.resize(length as usize, 0);
    let row = |y: u32| {
        let mut row = picture.row(y).to_vec();
        row.resize(row.len().next_multiple_of(4), 0);
        row
    };
    let rows = 0..picture.height();
    let pixels: Vec<u8> =
        if how == Bitmap::TopDown { rows.flat_map(row).collect() } else { rows.rev().flat_map(row).collect() };
    let begin = 14 + length;
    let size = begin + pixels.len() as u32;
    [b"BM", &size.to_le_bytes()[..], &[0; 4], &begin.to_le_bytes(), &about, &pixels].concat()
}

/// A bitmap of black and white, all black.
pub fn black_bmp(width: u32, height: u32) -> Vec<u8> {
    let mut about = [40u32.to_le_bytes(), width.to_le_bytes(), height.to_le_bytes()].concat();
    about.extend([1, 0, 1, 0]);
    about.resize(40, 0);
    let pixels = vec![0; (width.div_ceil(32) * 4 * height) as usize];
    let begin = 14 + 40 + 8u32;
    let size = begin + pixels.len() as u32;
    let colours = [0, 0, 0, 0, 255, 255, 255, 0];
    [b"BM", &size.to_le_bytes()[..], &[0; 4], &begin.to_le_bytes(), &about, &colours, &pixels].concat()
}

/// A lossless WebP of 4 x 4 pixels that brings tables of codes until it has this length. Each is said in 92 bits and
/// takes 4096 bytes once it is unpacked (RFC 9649, 6.2).
pub fn intricate_webp(length: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(0x2f, 8);
    // Width and height less one, no alpha, version 0; no transform, no cache of colours.
    for (value, count) in [(3, 14), (3, 14), (0, 1), (0, 3), (0, 1), (0, 1)] {
        bits.put(value, count);
    }
    // Which group of codes holds where: one block of 4 x 4, of a picture of one pixel without a cache of colours. Each of
    // its five codes has one symbol; green and red make the number of the last group.
    bits.put(1, 1);
    bits.put(0, 3);
    bits.put(0, 1);
    for symbol in [255, 255, 0, 0, 0] {
        bits.put(0b101, 3);
        bits.put(symbol, 8);
    }
    // The codes: eleven symbols, one each of 1 to 9 bits and two of 10.
    while bits.bytes.len() < length - 20 {
        bits.put(0, 1);
        bits.put(14 - 4, 4);
        // How lengths are said (17, 18, 0, 1 to 5, 16, 6 to 10): those of 1 to 5 and 10 in three bits, the others in four.
        for length in [0, 0, 0, 3, 3, 3, 3, 3, 0, 4, 4, 4, 4, 3] {
            bits.put(length, 3);
        }
        bits.put(1, 1);
        bits.put(1, 3);
        bits.put(11 - 2, 4);
        // Codes in order of length, then of symbol; the first bit is the most significant one.
        for code in [0b000, 0b001, 0b010, 0b011, 0b100u64] {
            bits.put(code.reverse_bits() >> 61, 3);
        }
        for code in [0b1100, 0b1101, 0b1110, 0b1111u64] {
            bits.put(code.reverse_bits() >> 60, 4);
        }
        for _ in 0..2 {
            bits.put(0b101u64.reverse_bits() >> 61, 3);
        }
    }
    riff(&webp_chunk(b"VP8L", &bits.bytes))
}

/// Bits into bytes, the least significant one first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    last: u64,
    count: u32,
}

impl Bits {
    fn put(&mut self, value: u64, count: u32) {
        self.last |= value << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.last as u8);
            self.last >>= 8;
            self.count -= 8;
        }
    }
}
