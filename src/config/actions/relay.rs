//! `type = "relay"`: one pulse on a GPIO line.

use ::config::ValueKind;

use super::{CommonOfActions, GuardConfig, Nature};
use crate::config::reading::At;
use crate::config::section::section;
use crate::config::value::{Value, words};

section! {
    /// `type = "relay"`: one pulse on a GPIO line, through the kernel's character device. It is always an actuator.
    pub struct RelayConfig: on(line: LineName), checked by check_relay {
        /// The chip's path (`/dev/gpiochip0`), name (`gpiochip0`) or label (`pinctrl-bcm2711`); not needed when `line`
        /// is a name that only one chip has.
        pub chip: Option<String> = None;
        pub line: LineName;
        /// The relay is on while the line is low.
        pub active_low: bool = false;
        /// How long the relay is on.
        pub pulse_ms: u64 = 3_000, in 10..=60_000;
        pub overlap: Overlap = Overlap::Extend;
        /// However many requests overlap, the relay is not on for longer than this without a break.
        pub longest_ms: u64 = 30_000, in 10..=600_000;
        pub drive: Drive = Drive::PushPull;
        pub bias: Bias = Bias::AsIs;
        /// What must hold before it moves.
        pub guard: GuardConfig = GuardConfig::default();
    }
}

/// A line of a chip.
#[derive(Debug, Clone, PartialEq, Eq, derive_more::Display)]
#[display("line {_0}")]
pub enum LineName {
    Offset(u32),
    Name(String),
}

words! {
    /// What becomes of a request while the relay is on.
    pub enum Overlap {
        /// The relay stays on until the pulse of the last request is over.
        Extend,
        /// The request fails.
        Refuse,
    }

    /// How the line is driven.
    pub enum Drive {
        PushPull,
        OpenDrain,
        OpenSource,
    }

    /// The chip's own resistor at the line.
    pub enum Bias {
        AsIs,
        Disabled,
        PullUp,
        PullDown,
    }
}

impl RelayConfig {
    /// A relay on a line of a chip, at the defaults.
    pub fn new(chip: Option<&str>, line: LineName) -> Self {
        Self { chip: chip.map(str::to_owned), ..Self::on(line) }
    }
}

impl CommonOfActions for RelayConfig {
    fn nature(&self) -> Nature<'_> {
        // Requests meet at the line, which says what becomes of those that overlap.
        Nature { concurrency: u16::MAX, is_actuator: true, guard: Some(&self.guard), ..Nature::default() }
    }
}

fn check_relay(relay: &RelayConfig, at: &At<'_>) {
    if matches!(&relay.line, LineName::Name(name) if name.trim().is_empty()) {
        at.wrong(&["line"], "it is empty; write the line's number on its chip, or its name");
    }
    match (&relay.chip, &relay.line) {
        (None, LineName::Offset(_)) => at.wrong(
            &["line"],
            "a number is one of a chip's; name the chip as well, for example `chip = \"gpiochip0\"` (`gpiodetect` \
             lists them), or give the line's name",
        ),
        (Some(chip), _) if chip.trim().is_empty() => {
            at.wrong(&["chip"], "it is empty; write it like `/dev/gpiochip0`, or leave it out");
        }
        _ => {}
    }
    if relay.longest_ms < relay.pulse_ms {
        at.wrong(&["longest_ms"], format!("it is shorter than one pulse of {} ms", relay.pulse_ms));
    }
}

impl Value for LineName {
    fn read(at: &At<'_>) -> Option<Self> {
        match at.value()? {
            ValueKind::I64(number) if *number < 0 => at.refuse_text("lines are numbered from 0".into()),
            ValueKind::I64(number) => match (*number).try_into() {
                Ok(offset) => Some(Self::Offset(offset)),
                Err(_) => at.refuse_text("no chip has so many lines".into()),
            },
            // A number that came from a variable is text as well.
            ValueKind::String(text) => Some(text.parse().map_or_else(|_| Self::Name(text.clone()), Self::Offset)),
            _ => at.refuse("the number of a line on its chip, or its name in quotes"),
        }
    }
}
