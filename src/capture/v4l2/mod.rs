//! A camera on this machine, through Linux's V4L2.
//!
//! In: which camera, the wanted size, rate and format, and what its controls are to be set to. Out: shots dated by
//! their arrival. It does not know what is done when the camera is unplugged; it notices, and says so.
//!
//! nokhwa lists the cameras. Frames come through `v4l`, the crate that nokhwa's own V4L2 part stands on: nokhwa
//! 0.10 waits for a frame without a limit (a camera that hangs would keep its device until doorward is restarted),
//! does not tell how much of a buffer was filled or that the driver marked it as broken, does not know the
//! `GREY` of infra-red cameras, and does not open a camera that another program left in a format it does not know.

mod control;
mod device;
mod driver;
mod mode;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tracing::debug;
use v4l::Device;
use v4l::buffer::{Flags, Type};
use v4l::format::FourCC;
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::io::traits::CaptureStream;
use v4l::prelude::MmapStream;
use v4l::video::Capture;
use v4l::video::capture::Parameters;
use v4l::{Format, Fraction};

pub use self::control::{CameraControl, ControlKind};
pub use self::device::find as device_file;
use self::mode::{Mode, asked_for, nearest};
use super::pace::Pace;
use super::pixels::{self, Layout};
use super::{About, CameraSource, CaptureError, Next, Shot, ShotTime, SkipReason, Skipped, Unmet, stall_limit};
use crate::config::{PixelFormat, V4l2Config};

/// An open camera.
pub(super) struct V4l2 {
    // Before the device, whose buffers it has.
    stream: MmapStream<'static>,
    name: String,
    path: String,
    mode: Mode,
    /// Bytes per row.
    stride: u32,
    stall: Duration,
    pace: Pace,
    /// Controls that could not be set.
    unmet: Vec<Unmet>,
}

/// A camera of this machine.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraDevice {
    pub path: PathBuf,
    /// Its names that stay the same after a restart: under `/dev/v4l/by-id` and `by-path`.
    pub names: Vec<String>,
    /// What the driver calls it.
    pub card: String,
    pub driver: String,
    /// The modes whose pixels can be read; an error when it cannot be asked.
    pub modes: Result<Vec<CameraMode>, String>,
    /// What can be set of it. None when it cannot be asked.
    pub controls: Vec<CameraControl>,
}

/// One way a camera can deliver frames.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CameraMode {
    pub format: PixelFormat,
    pub width: u32,
    pub height: u32,
    /// Frames per second, by the camera's own account.
    pub fps: Option<f64>,
}

/// The cameras of this machine, by their numbers.
pub fn devices() -> Vec<CameraDevice> {
    device::all().into_iter().map(|path| asked(path, &V4l2Config::new(""))).collect()
}

fn asked(path: PathBuf, wanted: &V4l2Config) -> CameraDevice {
    let about = Device::with_path(&path).and_then(|camera| {
        let controls = driver::controls(&camera).unwrap_or_default();
        Ok((camera.query_caps()?.driver, modes(&camera, wanted)?, controls))
    });
    let (driver, modes, controls) = match about {
        Ok((driver, modes, controls)) => (driver, Ok(modes), controls),
        Err(error) => (String::new(), Err(error.to_string()), Vec::new()),
    };
    let shown = |mode: Mode| CameraMode {
        format: mode::word(mode.layout),
        width: mode.width,
        height: mode.height,
        fps: mode.milli_fps().map(|rate| rate as f64 / 1000.0),
    };
    let modes = modes.map(|modes| modes.into_iter().map(shown).collect());
    CameraDevice { names: device::names(&path), card: device::card(&path), driver, modes, controls, path }
}

/// Buffers that the driver fills while we decode one: enough not to lose frames, few enough not to collect old ones.
const BUFFERS: u32 = 3;

impl V4l2 {
    /// Opens the camera, sets the nearest mode it has and its controls, and lets it stream.
    pub fn open(config: &V4l2Config, max_fps: f32) -> Result<Self, CaptureError> {
        let path = device::find(&config.device)?;
        let shown = path.display().to_string();
        let failed = |operation| {
            let device = shown.clone();
            move |source| CaptureError::Device { operation, device, source }
        };
        let camera = Device::with_path(&path).map_err(failed("open"))?;
        let modes = modes(&camera, config).map_err(failed("list the modes of"))?;
        let Some(wanted) = nearest(config, &modes) else {
            return Err(CaptureError::NoMode { device: shown, cameras: device::cameras() });
        };
        let fourcc = FourCC::new(&wanted.layout.fourcc());
        let format =
            camera.set_format(&Format::new(wanted.width, wanted.height, fourcc)).map_err(failed("set the mode of"))?;
        // What the driver has made of it, which need not be what was asked.
        let layout = Layout::from_fourcc(format.fourcc.repr)
            .ok_or_else(|| CaptureError::NoMode { device: shown.clone(), cameras: device::cameras() })?;
        let interval = set_interval(&camera, &wanted).map_err(failed("set the frame rate of"))?;
        let mode = Mode { layout, width: format.width, height: format.height, interval };
        // After the mode, on which the ranges of exposure and gain may depend.
        let card = format!("{shown} ({})", device::card(&path));
        let (ask, set) = (|| driver::controls(&camera), |control: &_, number| driver::set(&camera, control, number));
        let unmet = control::set_all(&card, &config.controls, ask, set);

        let mut stream =
            MmapStream::with_buffers(&camera, Type::VideoCapture, BUFFERS).map_err(failed("get buffers from"))?;
        let stall = stall_limit(config.stall_ms);
        stream.set_timeout(stall);
        debug!("{shown}: the mode {mode} was chosen of {}", modes.len());
        let mut name = format!("{card} {mode}");
        if config.format != PixelFormat::Auto && !asked_for(config.format, mode.layout) {
            name += ", for want of the configured format";
        }
        let pace = Pace::new(max_fps);
        Ok(Self { stream, name, path: shown, mode, stride: format.stride, stall, pace, unmet })
    }
}

impl CameraSource for V4l2 {
    fn about(&self) -> About {
        let fps = self.mode.milli_fps().unwrap_or(0) as f32 / 1000.0;
        About { name: self.name.clone(), fps, unmet: self.unmet.clone() }
    }

    fn next_shot(&mut self) -> Result<Next, CaptureError> {
        let asked = Instant::now();
        let (buffer, filled) = self.stream.next().map_err(|source| match source.kind() {
            io::ErrorKind::TimedOut => CaptureError::Stalled { waited_ms: asked.elapsed().max(self.stall).as_millis() },
            _ => CaptureError::Device { operation: "read a frame from", device: self.path.clone(), source },
        })?;
        let bytes = &buffer[..buffer.len().min(filled.bytesused as usize)];
        let Mode { layout, width, height, .. } = self.mode;
        // Before anything is decoded.
        if !self.pace.due_now() {
            return Ok(Next::NotDue);
        }
        let image = if filled.flags.contains(Flags::ERROR) {
            Err(SkipReason::Undecodable)
        } else {
            pixels::image(layout, bytes, width, height, self.stride)
        };
        Ok(match image {
            Ok(image) => Next::Shot(Shot { image, time: ShotTime::Arrival, damaged: false }),
            Err(reason) => Next::Skipped(Skipped { reason, what: format!("a buffer of {}", self.path) }),
        })
    }
}

/// The camera's modes whose pixels we can read. Sizes and rates that it offers in steps are represented by the one
/// nearest to the wanted one.
fn modes(camera: &Device, wanted: &V4l2Config) -> io::Result<Vec<Mode>> {
    let mut modes = Vec::new();
    for description in camera.enum_formats()? {
        let Some(layout) = Layout::from_fourcc(description.fourcc.repr) else { continue };
        let mut sizes: Vec<(u32, u32)> = Vec::new();
        // A driver without this list takes the size it is asked for, or the nearest one.
        for size in camera.enum_framesizes(description.fourcc).unwrap_or_default() {
            sizes.push(match size.size {
                FrameSizeEnum::Discrete(size) => (size.width, size.height),
                FrameSizeEnum::Stepwise(steps) => (
                    step(wanted.width_px, steps.min_width, steps.max_width, steps.step_width),
                    step(wanted.height_px, steps.min_height, steps.max_height, steps.step_height),
                ),
            });
        }
        if sizes.is_empty() {
            sizes.push((wanted.width_px, wanted.height_px));
        }
        for (width, height) in sizes {
            let intervals = camera.enum_frameintervals(description.fourcc, width, height).unwrap_or_default();
            let rates = intervals.into_iter().map(|interval| match interval.interval {
                FrameIntervalEnum::Discrete(interval) => (interval.numerator, interval.denominator),
                FrameIntervalEnum::Stepwise(steps) => between(wanted.fps, steps.min, steps.max),
            });
            let mode = Mode { layout, width, height, interval: None };
            let before = modes.len();
            modes.extend(rates.map(|interval| Mode { interval: Some(interval), ..mode }));
            if modes.len() == before {
                modes.push(mode);
            }
        }
    }
    Ok(modes)
}

/// The value nearest to the wanted one of those a camera offers in steps.
fn step(wanted: u32, min: u32, max: u32, step: u32) -> u32 {
    let wanted = wanted.clamp(min, max.max(min));
    min + (wanted - min) / step.max(1) * step.max(1)
}

/// One over the wanted rate, within the shortest and longest interval.
fn between(fps: u32, shortest: Fraction, longest: Fraction) -> (u32, u32) {
    let seconds = |interval: &Fraction| f64::from(interval.numerator) / f64::from(interval.denominator.max(1));
    let wanted = Fraction::new(1, fps.max(1));
    let nearest = match seconds(&wanted) {
        seconds_wanted if seconds_wanted < seconds(&shortest) => shortest,
        seconds_wanted if seconds_wanted > seconds(&longest) => longest,
        _ => wanted,
    };
    (nearest.numerator, nearest.denominator)
}

/// Sets the frame rate and answers the driver's; a driver that cannot be asked keeps its own.
fn set_interval(camera: &Device, wanted: &Mode) -> io::Result<Option<(u32, u32)>> {
    let Some((numerator, denominator)) = wanted.interval else { return Ok(None) };
    /// "Inappropriate ioctl": the driver has no frame rate to set (`ENOTTY` in Linux).
    const NOT_THERE: i32 = 25;
    match camera.set_params(&Parameters::new(Fraction::new(numerator, denominator))) {
        Ok(set) => Ok(Some((set.interval.numerator, set.interval.denominator))),
        Err(error) if error.raw_os_error() == Some(NOT_THERE) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_ranges_give_the_nearest_value_within() {
        for (wanted, min, max, by, expected) in
            [(1280, 32, 1920, 16, 1280), (1290, 32, 1920, 16, 1280), (5000, 32, 1920, 16, 1920), (1, 32, 64, 0, 32)]
        {
            assert_eq!(step(wanted, min, max, by), expected);
        }
        let (shortest, longest) = (Fraction::new(1, 60), Fraction::new(1, 5));
        for (fps, expected) in [(15, (1, 15)), (100, (1, 60)), (1, (1, 5)), (0, (1, 5))] {
            assert_eq!(between(fps, shortest, longest), expected, "{fps}");
        }
    }
}
