//! `type = "v4l2"`: a camera on this machine.

use std::collections::{BTreeMap, BTreeSet};

use ::config::ValueKind;

use crate::config::reading::At;
use crate::config::section::section;
use crate::config::value::{Value, words};

section! {
    /// `type = "v4l2"`: a camera on this machine.
    pub struct V4l2Config: new(device: impl Into<String>), checked by check_camera {
        /// `/dev/video0`, an index (`"0"`), or a name under `/dev/v4l/by-id`.
        pub device: String;
        /// The nearest mode the camera has is taken, and logged.
        pub width_px: u32 = 1_280, in 16..=16_384;
        pub height_px: u32 = 720, in 16..=16_384;
        /// Frames per second.
        pub fps: u32 = 15, in 1..=240;
        pub format: PixelFormat = PixelFormat::Auto;
        /// No frame for this long is a fault: the camera is reopened.
        pub stall_ms: u64 = 5_000, in 500..=600_000;
        /// What the camera's controls are set to each time it is opened, by their names: see [`control_word`].
        pub controls: BTreeMap<String, ControlValue> = BTreeMap::new();
        /// So many degrees clockwise each frame is turned, for a camera that hangs on its side or upside down.
        pub rotate: u32 = 0, in 0..=270;
    }
}

words! {
    /// How the camera encodes its frames.
    pub enum PixelFormat {
        /// Whatever gives the wanted size and rate: MJPEG, then YUYV, then the rest.
        Auto,
        Mjpeg,
        Yuyv,
        Nv12,
        Yuv420,
        Grey,
        Rgb,
    }
}

/// What a control is set to.
#[derive(Debug, Clone, PartialEq, Eq, derive_more::Display)]
pub enum ControlValue {
    Flag(bool),
    /// Of a menu it is the entry's number.
    Number(i64),
    /// A menu's entry, by its name.
    #[display("\"{_0}\"")]
    Entry(String),
}

impl Value for ControlValue {
    fn read(at: &At<'_>) -> Option<Self> {
        match at.value()? {
            ValueKind::Boolean(flag) => Some(Self::Flag(*flag)),
            ValueKind::I64(number) => Some(Self::Number(*number)),
            ValueKind::String(text) if at.is_filled() => Some(Self::spelled(text.trim())),
            ValueKind::String(text) => Some(Self::Entry(text.clone())),
            _ => at.refuse("a whole number, true or false, or the name of a menu's entry in quotes"),
        }
    }
}

impl ControlValue {
    /// What a text from a variable or a credential means.
    fn spelled(text: &str) -> Self {
        let number = || text.parse().map(Self::Number).ok();
        text.parse().map(Self::Flag).ok().or_else(number).unwrap_or_else(|| Self::Entry(text.to_owned()))
    }
}

/// The name of a control or of a menu's entry as `v4l2-ctl` makes it of the driver's: its letters and digits in lower
/// case, with an underscore for whatever stands between them. `Exposure Time, Absolute` is `exposure_time_absolute`.
pub fn control_word(name: &str) -> String {
    let parts = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    parts.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("_")
}

fn check_camera(camera: &V4l2Config, at: &At<'_>) {
    let help = "it is empty; write `/dev/video0` or a name under /dev/v4l/by-id";
    at.wrong_if(camera.device.is_empty(), &["device"], help);
    let mut named = BTreeSet::new();
    for name in camera.controls.keys() {
        let word = control_word(name);
        let none = "this is no control's name; `doorward camera list` shows those of this machine's cameras";
        at.wrong_if(word.is_empty(), &["controls", name], none);
        at.wrong_if(!named.insert(word), &["controls", name], "this control stands here twice");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_v4l2_ctl() {
        for (driver, word) in [
            ("Exposure Time, Absolute", "exposure_time_absolute"),
            ("White Balance, Automatic", "white_balance_automatic"),
            ("50 Hz", "50_hz"),
            (" - Aperture Priority Mode -", "aperture_priority_mode"),
            ("power_line_frequency", "power_line_frequency"),
            ("…", ""),
        ] {
            assert_eq!(control_word(driver), word);
        }
    }

    #[test]
    fn what_a_variable_spells_is_a_flag_a_number_or_an_entry() {
        for (text, value) in [
            ("true", ControlValue::Flag(true)),
            ("-12", ControlValue::Number(-12)),
            ("50_hz", ControlValue::Entry("50_hz".into())),
        ] {
            assert_eq!(ControlValue::spelled(text), value);
        }
    }
}
