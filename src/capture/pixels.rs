//! From the bytes of a camera's buffer, or of a program's output, to a picture.
//!
//! In: the bytes, how the pixels lie in them and how long their rows are. Out: a [`Picture`], or why it is passed over.
//! Nothing that stands in the bytes makes it panic.

use std::borrow::Cow;

use faces::picture::{MAX_PIXELS, Picture};
use opencv::core::{CV_8UC1, CV_8UC2, CV_8UC3, Mat, Mat_AUTO_STEP};
use opencv::imgproc;
use strum::{Display, EnumIter};

use super::SkipReason;
use super::jpeg::{self, jpeg};
use super::raw::Image;

/// How the pixels lie, in the order in which a camera's ways are preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Display, EnumIter)]
#[strum(serialize_all = "UPPERCASE")]
pub enum Layout {
    Mjpeg,
    Yuyv,
    Nv12,
    Yuv420,
    Rgb,
    Bgr,
    #[strum(serialize = "grey")]
    Grey,
}

/// The same as [`picture`], which of a JPEG is made when it is wanted.
pub fn image(layout: Layout, bytes: &[u8], width: u32, height: u32, stride: u32) -> Result<Image, SkipReason> {
    match layout {
        Layout::Mjpeg => jpeg::image(bytes),
        _ => picture(layout, bytes, width, height, stride).map(Image::from),
    }
}

/// Decodes a buffer of `width` by `height` pixels. `stride` is the length of a row in bytes, at least the pixels'; of
/// NV12 and YUV420 that of the brightness, whose colours' rows are as long, or half as long. It is 0 when the camera
/// does not say, and meaningless for MJPEG, whose pictures say their size themselves.
pub fn picture(layout: Layout, bytes: &[u8], width: u32, height: u32, stride: u32) -> Result<Picture, SkipReason> {
    if layout == Layout::Mjpeg {
        return jpeg(bytes);
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(SkipReason::TooLarge);
    }
    // Rows of a plane, bytes of a pixel in it, OpenCV's type and conversion.
    let (rows, pixel, kind, code) = match layout {
        Layout::Yuyv => (height, 2, CV_8UC2, Some(imgproc::COLOR_YUV2BGR_YUYV)),
        Layout::Nv12 => (height / 2 * 3, 1, CV_8UC1, Some(imgproc::COLOR_YUV2BGR_NV12)),
        Layout::Yuv420 => (height / 2 * 3, 1, CV_8UC1, Some(imgproc::COLOR_YUV2BGR_I420)),
        Layout::Rgb => (height, 3, CV_8UC3, Some(imgproc::COLOR_RGB2BGR)),
        Layout::Grey => (height, 1, CV_8UC1, Some(imgproc::COLOR_GRAY2BGR)),
        Layout::Bgr | Layout::Mjpeg => (height, 3, CV_8UC3, None),
    };
    let planes = matches!(layout, Layout::Nv12 | Layout::Yuv420);
    let odd = (width % 2 == 1 && (planes || layout == Layout::Yuyv)) || (height % 2 == 1 && planes);
    if odd || width == 0 || height == 0 {
        return Err(SkipReason::Undecodable);
    }
    let stride = stride as usize;
    let packed = match layout {
        Layout::Yuv420 if stride > width as usize => {
            let (luma, colours) = bytes.split_at_checked(stride * height as usize).ok_or(SkipReason::Undecodable)?;
            let luma = packed(luma, width as usize, height as usize, stride)?;
            let colours = packed(colours, width as usize / 2, height as usize, stride / 2)?;
            Cow::Owned([luma, colours].concat())
        }
        _ => packed(bytes, width as usize * pixel, rows as usize, stride)?,
    };
    let Some(code) = code else {
        return Picture::new(width, height, packed.into_owned()).map_err(|_| SkipReason::Undecodable);
    };
    convert(&packed, rows, width, kind, code).map_err(|_| SkipReason::Undecodable)
}

/// How many bytes a picture of so many pixels takes; `None` for JPEG, which takes what it takes.
pub fn length(layout: Layout, width: u32, height: u32) -> Option<usize> {
    let pixels = width as usize * height as usize;
    Some(match layout {
        Layout::Mjpeg => return None,
        Layout::Grey => pixels,
        Layout::Nv12 | Layout::Yuv420 => pixels / 2 * 3,
        Layout::Yuyv => pixels * 2,
        Layout::Rgb | Layout::Bgr => pixels * 3,
    })
}

/// The rows without what lies between them; an error when the buffer ends too early.
fn packed(bytes: &[u8], row: usize, rows: usize, stride: usize) -> Result<Cow<'_, [u8]>, SkipReason> {
    let stride = stride.max(row);
    let needed = stride * (rows - 1) + row;
    let bytes = bytes.get(..needed).ok_or(SkipReason::Undecodable)?;
    Ok(if stride == row {
        Cow::Borrowed(bytes)
    } else {
        Cow::Owned(bytes.chunks(stride).flat_map(|line| &line[..row]).copied().collect())
    })
}

fn convert(packed: &[u8], rows: u32, width: u32, kind: i32, code: i32) -> opencv::Result<Picture> {
    // SAFETY: OpenCV reads `rows` rows of `width` pixels of `kind` from the slice, which `packed` has cut to exactly
    // that length; it only reads (the matrix is an input), and the matrix does not outlive the slice.
    let raw = unsafe {
        Mat::new_rows_cols_with_data_unsafe(
            rows as i32,
            width as i32,
            kind,
            packed.as_ptr().cast_mut().cast(),
            Mat_AUTO_STEP,
        )
    }?;
    let mut bgr = Mat::default();
    imgproc::cvt_color(&raw, &mut bgr, code, 0)?;
    Picture::from_mat(&bgr).map_err(|error| opencv::Error::new(opencv::core::StsError, error.to_string()))
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::*;

    /// Blue, green, red of the pixel in the middle.
    fn middle(picture: &Picture) -> [u8; 3] {
        let at = (picture.height() / 2 * picture.width() + picture.width() / 2) as usize * 3;
        picture.bgr()[at..at + 3].try_into().unwrap()
    }

    fn near(one: [u8; 3], other: [u8; 3]) -> bool {
        one.iter().zip(other).all(|(a, b)| a.abs_diff(b) <= 6)
    }

    /// A buffer of red pixels (limited range Y 81, U 90, V 240; ITU-R BT.601), its rows `gap` bytes apart.
    fn red(layout: Layout, width: usize, height: usize, gap: usize) -> Vec<u8> {
        let (rows, row): (usize, Vec<u8>) = match layout {
            Layout::Mjpeg => return Picture::filled(width as u32, height as u32, [0, 0, 255]).jpeg(95).unwrap(),
            Layout::Yuyv => (height, [81, 90, 81, 240].repeat(width / 2)),
            Layout::Nv12 | Layout::Yuv420 => (height, vec![81; width]),
            Layout::Rgb => (height, [255, 0, 0].repeat(width)),
            Layout::Bgr => (height, [0, 0, 255].repeat(width)),
            Layout::Grey => (height, vec![76; width]),
        };
        let mut bytes = [&row[..], &vec![7; gap]].concat().repeat(rows);
        if layout == Layout::Nv12 {
            bytes.extend([&[90, 240].repeat(width / 2)[..], &vec![7; gap]].concat().repeat(height / 2));
        }
        if layout == Layout::Yuv420 {
            let plane = |colour| [vec![colour; width / 2], vec![7; gap / 2]].concat().repeat(height / 2);
            bytes.extend([plane(90), plane(240)].concat());
        }
        bytes
    }

    #[test]
    fn every_layout_becomes_the_same_picture_with_and_without_gaps() {
        for layout in Layout::iter() {
            let red_is = if layout == Layout::Grey { [76; 3] } else { [0, 0, 255] };
            for gap in [0, 32] {
                let bytes = red(layout, 64, 48, gap);
                let row = if layout == Layout::Mjpeg { 0 } else { red(layout, 64, 2, 0).len() / 2 };
                // The brightness alone has rows of this length.
                let row = if matches!(layout, Layout::Nv12 | Layout::Yuv420) { 64 } else { row };
                let shown = picture(layout, &bytes, 64, 48, (row + gap) as u32).unwrap();
                assert_eq!((shown.width(), shown.height()), (64, 48), "{layout}");
                assert!(near(middle(&shown), red_is), "{layout}, gap {gap}: {:?}", middle(&shown));
            }
            let bytes = red(layout, 64, 48, 0);
            assert!(picture(layout, &bytes, 64, 48, 0).is_ok(), "{layout}: no word of the stride");
            assert!(length(layout, 64, 48).is_none_or(|length| length == bytes.len()), "{layout}");
        }
    }

    #[test]
    fn what_a_camera_may_send_is_never_a_panic() {
        for layout in Layout::iter() {
            let whole = red(layout, 64, 48, 0);
            for length in [0, 1, whole.len() / 2, whole.len() - 3] {
                let cut = picture(layout, &whole[..length], 64, 48, 0);
                let told = matches!(cut, Err(SkipReason::Undecodable | SkipReason::CutShort));
                assert!(told, "{layout}, {length} bytes");
            }
            let larger = [&whole[..], &[9; 4096]].concat();
            assert!(picture(layout, &larger, 64, 48, 0).is_ok(), "{layout}: a buffer is as large as its pages");
            for (width, height) in [(0, 48), (64, 0), (63, 47), (u32::MAX, u32::MAX), (1, 1)] {
                let bytes = vec![128; 64 * 48 * 4];
                let stride = width.min(1 << 20) * 3;
                if let Ok(shown) = picture(layout, &bytes, width, height, stride) {
                    assert_eq!((shown.width(), shown.height()), (width, height), "{layout}");
                }
            }
        }
    }
}
