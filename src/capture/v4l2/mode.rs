//! Which of a camera's modes is nearest to the configured one.
//!
//! In: the wanted size, rate and format, and the modes the camera says it has. Out: one of them. It is pure; what the
//! driver then makes of the choice is not known here.

use strum::IntoEnumIterator;

use crate::capture::pixels::Layout;
use crate::config::{PixelFormat, V4l2Config};

/// One way a camera can deliver frames.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mode {
    pub layout: Layout,
    pub width: u32,
    pub height: u32,
    /// Seconds per frame, as numerator and denominator; `None` when the camera does not say.
    pub interval: Option<(u32, u32)>,
}

/// Chooses the mode nearest to what is configured. What comes first in this list decides; the rest only between
/// modes that are alike so far:
///
/// 1. a format that was asked for by name and is there,
/// 2. the size: the fewest pixels of width and height away,
/// 3. the rate is not below the wanted one (or as little below as possible),
/// 4. the format, in the order of [`Layout`],
/// 5. the rate is not above the wanted one more than necessary.
pub fn nearest(wanted: &V4l2Config, modes: &[Mode]) -> Option<Mode> {
    modes.iter().copied().min_by_key(|mode| {
        let away = mode.width.abs_diff(wanted.width_px) + mode.height.abs_diff(wanted.height_px);
        // A camera that does not say its rate is believed to have the wanted one.
        let rate = mode.milli_fps().unwrap_or(u64::from(wanted.fps) * 1000);
        let (short, excess) = rate_distance(wanted.fps, rate);
        (!asked_for(wanted.format, mode.layout), away, short, mode.layout, excess)
    })
}

/// Whether a format was asked for by name.
pub fn asked_for(format: PixelFormat, layout: Layout) -> bool {
    match format {
        PixelFormat::Auto => false,
        PixelFormat::Mjpeg => layout == Layout::Mjpeg,
        PixelFormat::Yuyv => layout == Layout::Yuyv,
        PixelFormat::Nv12 => layout == Layout::Nv12,
        PixelFormat::Yuv420 => layout == Layout::Yuv420,
        PixelFormat::Grey => layout == Layout::Grey,
        PixelFormat::Rgb => matches!(layout, Layout::Rgb | Layout::Bgr),
    }
}

/// The configured word for a format.
pub fn word(layout: Layout) -> PixelFormat {
    match layout {
        Layout::Mjpeg => PixelFormat::Mjpeg,
        Layout::Yuyv => PixelFormat::Yuyv,
        Layout::Nv12 => PixelFormat::Nv12,
        Layout::Yuv420 => PixelFormat::Yuv420,
        Layout::Grey => PixelFormat::Grey,
        Layout::Rgb | Layout::Bgr => PixelFormat::Rgb,
    }
}

/// How far a rate lies below and above the wanted one, in thousandths of a frame per second; 29.97 is 30.
fn rate_distance(wanted_fps: u32, milli_fps: u64) -> (u64, u64) {
    let wanted = u64::from(wanted_fps) * 1000;
    let distance = (wanted.saturating_sub(milli_fps), milli_fps.saturating_sub(wanted));
    if distance.0.max(distance.1) * 100 <= wanted { (0, 0) } else { distance }
}

impl Mode {
    /// Thousandths of a frame per second.
    pub fn milli_fps(&self) -> Option<u64> {
        let (numerator, denominator) = self.interval?;
        (u64::from(denominator) * 1000).checked_div(u64::from(numerator))
    }
}

impl Layout {
    /// Its code in V4L2 (`linux/videodev2.h`).
    pub fn fourcc(self) -> [u8; 4] {
        *match self {
            Self::Mjpeg => b"MJPG",
            Self::Yuyv => b"YUYV",
            Self::Nv12 => b"NV12",
            Self::Yuv420 => b"YU12",
            Self::Rgb => b"RGB3",
            Self::Bgr => b"BGR3",
            Self::Grey => b"GREY",
        }
    }

    pub fn from_fourcc(code: [u8; 4]) -> Option<Self> {
        Self::iter().find(|layout| layout.fourcc() == code)
    }
}

impl std::fmt::Display for Mode {
    /// `MJPEG 1280x720 at 30`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}x{}", self.layout, self.width, self.height)?;
        match self.milli_fps() {
            Some(rate) if rate % 1000 == 0 => write!(f, " at {}", rate / 1000),
            Some(rate) => write!(f, " at {:.2}", rate as f64 / 1000.0),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `"YUYV 640x480 30 15"`: a mode for each rate; a rate may be a fraction, `30000/1001`.
    fn modes(lines: &[&str]) -> Vec<Mode> {
        let mut modes = Vec::new();
        for line in lines {
            let parts: Vec<&str> = line.split(' ').collect();
            let layout = Layout::from_fourcc(parts[0].as_bytes().try_into().unwrap()).unwrap();
            let (width, height) = parts[1].split_once('x').unwrap();
            for rate in &parts[2..] {
                let (denominator, numerator) = rate.split_once('/').unwrap_or((rate, "1"));
                let interval = Some((numerator.parse().unwrap(), denominator.parse().unwrap()));
                modes.push(Mode { layout, width: width.parse().unwrap(), height: height.parse().unwrap(), interval });
            }
        }
        modes
    }

    fn wanted(format: PixelFormat, width_px: u32, height_px: u32, fps: u32) -> V4l2Config {
        V4l2Config { width_px, height_px, fps, format, ..V4l2Config::new("0") }
    }

    #[test]
    fn the_nearest_mode_is_taken_in_the_documented_order() {
        use PixelFormat::{Auto, Grey, Mjpeg, Nv12, Rgb, Yuyv};
        // What a common USB camera offers.
        let webcam = modes(&[
            "YUYV 640x480 30 15",
            "YUYV 1280x720 10 5",
            "YUYV 1920x1080 5",
            "MJPG 640x480 30",
            "MJPG 1280x720 30 15 5",
            "MJPG 1920x1080 30",
        ]);
        let infra_red = modes(&["GREY 640x360 30", "GREY 340x340 30"]);
        let module = modes(&["NV12 1920x1080 30000/1001 60", "RGB3 1920x1080 15", "BGR3 1280x720 30"]);
        for (camera, format, width, height, fps, chosen) in [
            (&webcam, Auto, 1280, 720, 15, "MJPEG 1280x720 at 15"),
            (&webcam, Auto, 1280, 720, 10, "MJPEG 1280x720 at 15"),
            (&webcam, Auto, 1280, 720, 20, "MJPEG 1280x720 at 30"),
            (&webcam, Auto, 1280, 720, 60, "MJPEG 1280x720 at 30"),
            (&webcam, Auto, 640, 480, 15, "MJPEG 640x480 at 30"),
            (&webcam, Yuyv, 640, 480, 15, "YUYV 640x480 at 15"),
            (&webcam, Yuyv, 1280, 720, 15, "YUYV 1280x720 at 10"),
            (&webcam, Yuyv, 1280, 720, 5, "YUYV 1280x720 at 5"),
            (&webcam, Auto, 1300, 700, 15, "MJPEG 1280x720 at 15"),
            (&webcam, Auto, 4000, 3000, 15, "MJPEG 1920x1080 at 30"),
            (&webcam, Auto, 1, 1, 1, "MJPEG 640x480 at 30"),
            (&webcam, Nv12, 1280, 720, 15, "MJPEG 1280x720 at 15"),
            (&infra_red, Auto, 1280, 720, 15, "grey 640x360 at 30"),
            (&infra_red, Grey, 340, 340, 30, "grey 340x340 at 30"),
            (&module, Auto, 1920, 1080, 30, "NV12 1920x1080 at 29.97"),
            (&module, Auto, 1920, 1080, 15, "NV12 1920x1080 at 29.97"),
            (&module, Rgb, 1920, 1080, 15, "RGB 1920x1080 at 15"),
            (&module, Rgb, 1280, 720, 15, "BGR 1280x720 at 30"),
            (&module, Mjpeg, 1280, 720, 15, "BGR 1280x720 at 30"),
        ] {
            let mode = nearest(&wanted(format, width, height, fps), camera).unwrap();
            assert_eq!(mode.to_string(), chosen, "{format:?} {width}x{height} at {fps}");
        }
        assert_eq!(nearest(&wanted(Auto, 640, 480, 30), &[]), None);
    }

    #[test]
    fn a_camera_that_is_silent_on_its_rate_can_be_used() {
        let mode = Mode { layout: Layout::Yuyv, width: 640, height: 480, interval: None };
        let broken = Mode { interval: Some((0, 30)), ..mode };
        assert_eq!(nearest(&wanted(PixelFormat::Auto, 640, 480, 15), &[mode]), Some(mode));
        assert_eq!(nearest(&wanted(PixelFormat::Auto, 640, 480, 15), &[broken]).unwrap().milli_fps(), None);
    }
}
