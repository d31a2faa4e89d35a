//! From a decoder's frame to a picture: colours as its maker meant them, upright, rows packed.
//!
//! In: a frame in whatever pixel format, and how it is to be turned. Out: a [`Picture`]. It keeps what it has worked
//! out for one kind of frame until another kind comes; it does not know where the frames are from.

use std::ptr;

use faces::picture::Picture;
use ffmpeg_next::color::{Range, Space};
use ffmpeg_next::ffi;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::software::scaling::{Context, Flags};
use ffmpeg_next::util::frame;

use crate::capture::turn::Turn;

/// Converts frames, one after the other.
#[derive(Default)]
pub struct Converter(Option<Prepared>);

/// What is needed for frames of one kind.
struct Prepared {
    kind: Kind,
    scaler: Context,
    /// Where the converted pixels are put, in rows as long and as aligned as FFmpeg's fast code wants them.
    bgr: frame::Video,
}

/// Frames that are converted in the same way.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Kind {
    format: Pixel,
    width: u32,
    height: u32,
    space: Space,
    range: Range,
}

// SAFETY: what the scaler points to belongs to it alone and to no thread; it is used through `&mut self` only.
unsafe impl Send for Prepared {}

impl Converter {
    /// `None` for a format that cannot be shown, and when there is no memory.
    pub fn picture(&mut self, frame: &frame::Video, turn: Turn) -> Option<Picture> {
        let Prepared { kind, scaler, bgr } = self.prepared(frame)?;
        scaler.run(frame, bgr).ok()?;
        let pixels = turn.apply(bgr.data(0), bgr.stride(0), kind.width, kind.height);
        let (width, height) = turn.size(kind.width, kind.height);
        Picture::new(width, height, pixels).ok()
    }

    /// Whether a picture can be made of it.
    pub fn takes(&mut self, frame: &frame::Video) -> bool {
        self.prepared(frame).is_some()
    }

    fn prepared(&mut self, frame: &frame::Video) -> Option<&mut Prepared> {
        let kind = Kind {
            format: frame.format(),
            width: frame.width(),
            height: frame.height(),
            space: frame.color_space(),
            range: frame.color_range(),
        };
        if self.0.as_ref().is_none_or(|prepared| prepared.kind != kind) {
            self.0 = Prepared::new(kind);
        }
        self.0.as_mut()
    }
}

impl Prepared {
    fn new(kind: Kind) -> Option<Self> {
        let (width, height) = (kind.width, kind.height);
        if kind.format == Pixel::None || width == 0 || height == 0 {
            return None;
        }
        let scaler = Context::get(kind.format, width, height, Pixel::BGR24, width, height, Flags::BICUBIC).ok();
        let bgr = frame::Video::new(Pixel::BGR24, width, height);
        // Without memory the new frame is an empty one.
        let mut scaler = scaler.filter(|_| bgr.planes() == 1)?;
        set_colours(&mut scaler, kind);
        Some(Self { kind, scaler, bgr })
    }
}

/// Tells the scaler what the frames' numbers mean: which mixture of red, green and blue they are, and whether black is
/// 0 or 16. Left alone it takes everything for standard definition, and `yuv420p` for what television sends.
fn set_colours(scaler: &mut Context, kind: Kind) {
    let (mut from_table, mut to_table) = (ptr::null_mut(), ptr::null_mut());
    let (mut from_range, mut to_range, mut brightness, mut contrast, mut saturation) = (0, 0, 0, 0, 0);
    // SAFETY: the scaler is alive and nobody else's, FFmpeg writes numbers to our own variables, and the tables it
    // gives out and takes are its own constants. The crate has no safe way to this. A refusal changes nothing: the
    // colours are then the scaler's own guess.
    unsafe {
        let known = ffi::sws_getColorspaceDetails(
            scaler.as_mut_ptr(),
            &mut from_table,
            &mut from_range,
            &mut to_table,
            &mut to_range,
            &mut brightness,
            &mut contrast,
            &mut saturation,
        );
        if known >= 0 {
            let range = match kind.range {
                Range::JPEG => 1,
                Range::MPEG => 0,
                // The format says it (`yuvj420p`), or the scaler's guess is as good as any.
                Range::Unspecified => from_range,
            };
            let table = ffi::sws_getCoefficients(matrix(kind));
            let (to, b, c, s) = (to_range, brightness, contrast, saturation);
            ffi::sws_setColorspaceDetails(scaler.as_mut_ptr(), table, range, to_table, to, b, c, s);
        }
    }
}

/// The scaler's number for the mixture. Frames that do not say are taken as players take them: high definition is
/// BT.709, everything smaller BT.601.
fn matrix(kind: Kind) -> i32 {
    match kind.space {
        Space::BT709 => ffi::SWS_CS_ITU709,
        Space::BT470BG | Space::SMPTE170M => ffi::SWS_CS_ITU601,
        Space::FCC => ffi::SWS_CS_FCC,
        Space::SMPTE240M => ffi::SWS_CS_SMPTE240M,
        Space::BT2020NCL | Space::BT2020CL => ffi::SWS_CS_BT2020,
        _ if kind.width >= 1280 || kind.height > 576 => ffi::SWS_CS_ITU709,
        _ => ffi::SWS_CS_ITU601,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame whose planes hold one value each, all over.
    fn frame(format: Pixel, (width, height): (u32, u32), planes: &[u8], space: Space, range: Range) -> frame::Video {
        let mut frame = frame::Video::new(format, width, height);
        for (plane, &value) in planes.iter().enumerate() {
            frame.data_mut(plane).fill(value);
        }
        frame.set_color_space(space);
        frame.set_color_range(range);
        frame
    }

    fn assert_all(picture: &Picture, expected: [u8; 3], what: &str) {
        for pixel in picture.bgr().chunks(3) {
            let near = pixel.iter().zip(expected).all(|(&a, b)| a.abs_diff(b) <= 3);
            assert!(near, "{what}: {pixel:?} instead of {expected:?}");
        }
    }

    #[test]
    fn red_is_red_whatever_it_is_made_of() {
        use Range::{JPEG, MPEG, Unspecified as Silent};
        use Space::{BT470BG, BT709, BT2020NCL, SMPTE170M, Unspecified};
        let red = [0, 0, 255];
        let (small, hd) = ((64, 48), (1280, 720));
        // The numbers of pure red by each standard: ITU-R BT.601, BT.709 and BT.2020, limited and full range.
        for (what, format, size, planes, space, range) in [
            ("601", Pixel::YUV420P, small, &[81, 90, 240][..], SMPTE170M, MPEG),
            ("601, as PAL", Pixel::YUV420P, small, &[81, 90, 240], BT470BG, Silent),
            ("small and silent", Pixel::YUV420P, small, &[81, 90, 240], Unspecified, Silent),
            ("709", Pixel::YUV420P, small, &[63, 102, 240], BT709, MPEG),
            ("high and silent", Pixel::YUV420P, hd, &[63, 102, 240], Unspecified, Silent),
            ("2020", Pixel::YUV420P, small, &[74, 97, 240], BT2020NCL, MPEG),
            ("601 in full", Pixel::YUV420P, small, &[76, 85, 255], SMPTE170M, JPEG),
            ("a JPEG's", Pixel::YUVJ420P, small, &[76, 85, 255], BT470BG, JPEG),
            ("a silent JPEG's", Pixel::YUVJ422P, small, &[76, 85, 255], Unspecified, Silent),
            ("709 in full", Pixel::YUV444P, small, &[54, 99, 255], BT709, JPEG),
            ("4:2:2", Pixel::YUV422P, small, &[81, 90, 240], SMPTE170M, MPEG),
        ] {
            let picture = Converter::default().picture(&frame(format, size, planes, space, range), Turn::default());
            let picture = picture.unwrap_or_else(|| panic!("{what}"));
            assert_eq!((picture.width(), picture.height()), size);
            assert_all(&picture, red, what);
        }
    }

    #[test]
    fn other_ways_to_store_a_pixel_are_read_too() {
        let mut nv12 = frame(Pixel::NV12, (62, 46), &[81], Space::SMPTE170M, Range::MPEG);
        nv12.data_mut(1).chunks_mut(2).for_each(|pair| pair.copy_from_slice(&[90, 240]));
        let coloured = |format, bytes: &[u8]| {
            let mut frame = frame(format, (31, 17), &[], Space::RGB, Range::Unspecified);
            frame.data_mut(0).chunks_mut(bytes.len()).for_each(|pixel| pixel.copy_from_slice(&bytes[..pixel.len()]));
            frame
        };
        let grey = |range| frame(Pixel::GRAY8, (31, 17), &[128], Space::Unspecified, range);
        let mut converter = Converter::default();
        for (what, frame, expected) in [
            ("nv12", nv12, [0, 0, 255]),
            ("rgb24", coloured(Pixel::RGB24, &[200, 100, 50]), [50, 100, 200]),
            ("bgr24", coloured(Pixel::BGR24, &[50, 100, 200]), [50, 100, 200]),
            ("bgr0", coloured(Pixel::BGRZ, &[50, 100, 200, 0]), [50, 100, 200]),
            ("rgba", coloured(Pixel::RGBA, &[200, 100, 50, 255]), [50, 100, 200]),
            ("grey", grey(Range::Unspecified), [128; 3]),
            ("grey in full", grey(Range::JPEG), [128; 3]),
        ] {
            let picture = converter.picture(&frame, Turn::default()).unwrap_or_else(|| panic!("{what}"));
            assert_all(&picture, expected, what);
        }
    }

    #[test]
    fn odd_sizes_keep_every_pixel_and_no_more() {
        let mut converter = Converter::default();
        for (width, height) in [(1, 1), (2, 1), (1, 3), (3, 3), (17, 9), (33, 31), (641, 361)] {
            let frame = frame(Pixel::YUV420P, (width, height), &[81, 90, 240], Space::SMPTE170M, Range::MPEG);
            let picture = converter.picture(&frame, Turn::default()).unwrap();
            assert_eq!((picture.width(), picture.height()), (width, height));
            assert_all(&picture, [0, 0, 255], "odd");
        }
        assert!(converter.picture(&frame::Video::empty(), Turn::default()).is_none());
    }
}
