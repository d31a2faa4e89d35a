//! libjpeg-turbo's decoder, made safe.
//!
//! In: the bytes of a JPEG and the limits. Out: its size and its pixels. The `turbojpeg` crate's own decompressor tells
//! a harmless remark of the library's from a failure no more than it sets a limit on pixels and memory, so this
//! stands on the library's functions, which the crate builds.

use std::ffi::CStr;

use turbojpeg::raw;

use crate::picture::PictureError;
use crate::picture::codec::Header;

/// A decoder for one picture.
pub struct Decompressor {
    /// Never null; freed when this is dropped.
    handle: raw::tjhandle,
}

/// As what the pixels are wanted, by the bytes of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    BlueGreenRed = 3,
    /// Cyan, magenta, yellow, black, as print shops want it: the library does not turn them into light.
    Ink = 4,
}

/// What the library keeps of a progressive picture until its last pass: two bytes for each of up to four colours.
const BYTES_PER_PIXEL: u64 = 8;
/// What it needs for rows and tables.
const BESIDE_MIB: u64 = 64;

impl Decompressor {
    pub fn new(max_pixels: u64) -> Result<Self, PictureError> {
        // SAFETY: the function takes any number and answers null when it cannot.
        let handle = unsafe { raw::tj3Init(raw::TJINIT_TJINIT_DECOMPRESS as i32) };
        if handle.is_null() {
            return Err(PictureError::damaged("there is no memory for a decoder"));
        }
        let mut decompressor = Self { handle };
        let memory = max_pixels.saturating_mul(BYTES_PER_PIXEL) / (1 << 20) + BESIDE_MIB;
        for (limit, value) in [(raw::TJPARAM_TJPARAM_MAXPIXELS, max_pixels), (raw::TJPARAM_TJPARAM_MAXMEMORY, memory)] {
            decompressor.set(limit, i32::try_from(value).unwrap_or(i32::MAX))?;
        }
        Ok(decompressor)
    }

    /// A progressive picture of more passes is refused.
    pub fn limit_passes(&mut self, passes: i32) -> Result<(), PictureError> {
        self.set(raw::TJPARAM_TJPARAM_SCANLIMIT, passes)
    }

    /// The size, and which colours to ask for.
    pub fn header(&mut self, jpeg: &[u8]) -> Result<(Header, Colours), PictureError> {
        // SAFETY: the handle is a decoder's, and the library reads `jpeg.len()` bytes during the call alone.
        let status = unsafe { raw::tj3DecompressHeader(self.handle, jpeg.as_ptr(), jpeg.len() as raw::size_t) };
        self.verdict(status)?;
        let side = |value| u32::try_from(value).ok().filter(|side| *side > 0);
        let (width, height) = (self.get(raw::TJPARAM_TJPARAM_JPEGWIDTH), self.get(raw::TJPARAM_TJPARAM_JPEGHEIGHT));
        let (Some(width), Some(height)) = (side(width), side(height)) else {
            return Err(PictureError::damaged("it has no size"));
        };
        let space = self.get(raw::TJPARAM_TJPARAM_COLORSPACE);
        let ink = space == raw::TJCS_TJCS_CMYK as i32 || space == raw::TJCS_TJCS_YCCK as i32;
        Ok((Header::of((width, height)), if ink { Colours::Ink } else { Colours::BlueGreenRed }))
    }

    /// Decodes into rows without padding; `pixels` has room for exactly what [`header`](Self::header) says.
    pub fn decode(&mut self, jpeg: &[u8], pixels: &mut [u8]) -> Result<(), PictureError> {
        let (Header { width, height, .. }, colours) = self.header(jpeg)?;
        let format = match colours {
            Colours::BlueGreenRed => raw::TJPF_TJPF_BGR,
            Colours::Ink => raw::TJPF_TJPF_CMYK,
        };
        self.decompress(jpeg, pixels, (width, height), colours as usize, format)
    }

    /// Decodes the brightness alone, at one `part`th (1, 2, 4 or 8) of the size: its columns, its rows, and its bytes.
    pub fn decode_grey(&mut self, jpeg: &[u8], part: u32) -> Result<(u32, u32, Vec<u8>), PictureError> {
        let (Header { width, height, .. }, _) = self.header(jpeg)?;
        let factor = raw::tjscalingfactor { num: 1, denom: part as i32 };
        // SAFETY: the handle is a decoder's; a factor that cannot be is answered with a failure.
        let status = unsafe { raw::tj3SetScalingFactor(self.handle, factor) };
        self.verdict(status)?;
        let (columns, rows) = (width.div_ceil(part), height.div_ceil(part));
        let mut grey = vec![0; columns as usize * rows as usize];
        self.decompress(jpeg, &mut grey, (columns, rows), 1, raw::TJPF_TJPF_GRAY)?;
        Ok((columns, rows, grey))
    }

    /// Decodes into rows of `columns` pixels of so many bytes: what the header says, scaled as was set.
    fn decompress(
        &mut self,
        jpeg: &[u8],
        pixels: &mut [u8],
        (columns, rows): (u32, u32),
        bytes: usize,
        format: raw::TJPF,
    ) -> Result<(), PictureError> {
        let row = columns as usize * bytes;
        assert_eq!(pixels.len(), row * rows as usize, "the caller makes room for every pixel");
        let pitch = row as i32;
        // SAFETY: the handle is a decoder's. The library reads `jpeg.len()` bytes and writes rows of `pitch` bytes, as
        // many as the header says, scaled (rounded up, as here); it reads the same header from the same bytes as a
        // moment ago, so these are `columns` by `rows`, for which `pixels` has room.
        let status = unsafe {
            raw::tj3Decompress8(
                self.handle,
                jpeg.as_ptr(),
                jpeg.len() as raw::size_t,
                pixels.as_mut_ptr(),
                pitch,
                format,
            )
        };
        self.verdict(status)
    }

    fn set(&mut self, parameter: raw::TJPARAM, value: i32) -> Result<(), PictureError> {
        // SAFETY: the handle is a decoder's; a parameter or value that cannot be is answered with a failure.
        let status = unsafe { raw::tj3Set(self.handle, parameter as i32, value) };
        self.verdict(status)
    }

    fn get(&self, parameter: raw::TJPARAM) -> i32 {
        // SAFETY: the handle is a decoder's; a parameter that cannot be is answered with -1.
        unsafe { raw::tj3Get(self.handle, parameter as i32) }
    }

    /// What the library's answer means: it warns of what it has put right by guessing, which spoils a picture, and of
    /// oddities, which do not. It keeps the first of its warnings.
    fn verdict(&self, status: i32) -> Result<(), PictureError> {
        if status == 0 {
            return Ok(());
        }
        // SAFETY: the handle is a decoder's; the text is the handle's, ends with a zero, and is copied at once.
        let (code, text) = unsafe {
            (raw::tj3GetErrorCode(self.handle), CStr::from_ptr(raw::tj3GetErrorStr(self.handle)).to_string_lossy())
        };
        if code == raw::TJERR_TJERR_WARNING as i32 && HARMLESS.iter().any(|harmless| text.contains(harmless)) {
            return Ok(());
        }
        if text.contains("Premature end of JPEG file") {
            return Err(PictureError::CutShort);
        }
        if text.contains("Maximum supported image dimension") {
            return Err(PictureError::TooLong);
        }
        Err(PictureError::damaged(text.trim_start_matches("Corrupt JPEG data: ")))
    }
}

/// Warnings (libjpeg's `jerror.h`) of pictures that are nevertheless all there. The first is what webcams and phones
/// cause which pad a scan.
const HARMLESS: [&str; 6] = [
    "extraneous bytes before marker",
    "Unknown Adobe color transform",
    "unknown JFIF revision",
    "bad ICC marker",
    "Invalid SOS parameters",
    "Inconsistent progression sequence",
];

impl Drop for Decompressor {
    fn drop(&mut self) {
        // SAFETY: the handle is a decoder's and is not used after this.
        unsafe { raw::tj3Destroy(self.handle) }
    }
}
