//! `type = "relay"`: one pulse on a GPIO line.

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

use super::GuardConfig;
use crate::config::validate::ActionChecker;

/// `type = "relay"`: one pulse on a GPIO line, through the kernel's character device. Always an actuator.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayConfig {
    /// The chip's path (`/dev/gpiochip0`), name (`gpiochip0`) or label (`pinctrl-bcm2711`); not needed when `line` is a name
    /// that only one chip has.
    pub chip: Option<String>,
    pub line: LineName,
    /// The relay is on while the line is low.
    #[serde(default)]
    pub active_low: bool,
    /// How long the relay is on.
    #[serde(default = "default::pulse_ms")]
    pub pulse_ms: u64,
    #[serde(default)]
    pub overlap: Overlap,
    /// However many requests overlap, the relay is not on for longer than this without a break.
    #[serde(default = "default::longest_ms")]
    pub longest_ms: u64,
    #[serde(default)]
    pub drive: Drive,
    #[serde(default)]
    pub bias: Bias,
    /// What must hold before it moves.
    #[serde(default)]
    pub guard: GuardConfig,
}

/// A line of a chip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineName {
    Offset(u32),
    Name(String),
}

/// What becomes of a request while the relay is on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// The relay stays on until the pulse of the last request is over.
    #[default]
    Extend,
    /// It fails.
    Refuse,
}

/// How the line is driven.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drive {
    #[default]
    PushPull,
    OpenDrain,
    OpenSource,
}

/// The chip's own resistor at the line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bias {
    #[default]
    AsIs,
    Disabled,
    PullUp,
    PullDown,
}

impl RelayConfig {
    /// On a line, at the defaults.
    pub fn new(chip: Option<&str>, line: LineName) -> Self {
        Self {
            chip: chip.map(str::to_owned),
            line,
            active_low: false,
            pulse_ms: default::pulse_ms(),
            overlap: Overlap::default(),
            longest_ms: default::longest_ms(),
            drive: Drive::default(),
            bias: Bias::default(),
            guard: GuardConfig::default(),
        }
    }

    pub(super) fn check(&self, checker: &mut ActionChecker<'_, '_>) {
        if matches!(&self.line, LineName::Name(name) if name.trim().is_empty()) {
            checker.wrong(&["line"], "it is empty; write the line's number on its chip, or its name");
        }
        match (&self.chip, &self.line) {
            (None, LineName::Offset(_)) => checker.wrong(
                &["line"],
                "a number is one of a chip's; name the chip as well, for example `chip = \"gpiochip0\"` (`gpiodetect` lists \
                 them), or give the line's name",
            ),
            (Some(chip), _) if chip.trim().is_empty() => {
                checker.wrong(&["chip"], "it is empty; write it like `/dev/gpiochip0`, or leave it out");
            }
            _ => {}
        }
        checker.range("pulse_ms", self.pulse_ms, 10..=60_000);
        checker.range("longest_ms", self.longest_ms, 10..=600_000);
        if self.longest_ms < self.pulse_ms {
            checker.wrong(&["longest_ms"], format!("it is shorter than one pulse of {} ms", self.pulse_ms));
        }
    }
}

impl std::fmt::Display for LineName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Offset(offset) => write!(f, "line {offset}"),
            Self::Name(name) => write!(f, "line {name}"),
        }
    }
}

impl<'de> Deserialize<'de> for LineName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Line;

        impl Visitor<'_> for Line {
            type Value = LineName;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the number of a line on its chip, or its name in quotes")
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<LineName, E> {
                u32::try_from(value).map(LineName::Offset).map_err(|_| E::custom("lines are numbered from 0"))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<LineName, E> {
                u32::try_from(value).map(LineName::Offset).map_err(|_| E::custom("no chip has so many lines"))
            }

            /// A number that came from a variable is text as well.
            fn visit_str<E: Error>(self, value: &str) -> Result<LineName, E> {
                Ok(value.parse().map_or_else(|_| LineName::Name(value.to_owned()), LineName::Offset))
            }
        }

        deserializer.deserialize_any(Line)
    }
}

mod default {
    pub fn pulse_ms() -> u64 {
        3_000
    }
    pub fn longest_ms() -> u64 {
        30_000
    }
}
