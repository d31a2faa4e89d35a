//! A line of a GPIO chip, through the kernel's character device.
//!
//! In: where the line is and how it is driven. Out: a [`GpioLine`] of ours alone, inactive; or who has it, or what to
//! do. The kernel takes the line back when the process ends, however it ends. What level it has then is the chip
//! driver's business.

use std::path::{Path, PathBuf};

use gpiocdev::Request;
use gpiocdev::chip::{Chip, chips};
use gpiocdev::line::{Bias as ChipBias, Drive as ChipDrive, Info, Value};

use super::Line;
use crate::config::{Bias, Drive, LineName, RelayConfig};
use crate::terminal::with_causes;

/// A line that is ours.
pub struct GpioLine(Request);

/// Where a line was found.
struct Found {
    chip: PathBuf,
    info: Info,
}

impl Line for GpioLine {
    fn set(&mut self, active: bool) -> Result<(), String> {
        let value = if active { Value::Active } else { Value::Inactive };
        self.0
            .set_lone_value(value)
            .map_err(|error| format!("the kernel does not set the line: {}", with_causes(&error)))
    }
}

/// Takes the line, as an inactive output.
pub fn take(action: &str, config: &RelayConfig) -> Result<GpioLine, String> {
    let found = find(config)?;
    let mut request = Request::builder();
    request.on_chip(&found.chip).with_consumer(format!("doorward {action}")).with_line(found.info.offset);
    request.as_output(Value::Inactive);
    request.with_drive(match config.drive {
        Drive::PushPull => ChipDrive::PushPull,
        Drive::OpenDrain => ChipDrive::OpenDrain,
        Drive::OpenSource => ChipDrive::OpenSource,
    });
    request.with_bias(match config.bias {
        Bias::AsIs => None,
        Bias::Disabled => Some(ChipBias::Disabled),
        Bias::PullUp => Some(ChipBias::PullUp),
        Bias::PullDown => Some(ChipBias::PullDown),
    });
    if config.active_low {
        request.as_active_low();
    }
    request.request().map(GpioLine).map_err(|error| match look(config) {
        // Taken in the meantime, or before.
        Err(taken) => taken,
        Ok(line) => format!("{line}, and the kernel does not lend it: {}", with_causes(&error)),
    })
}

/// What can be told about the line without touching it: where it is and that it is free or doorward's, or what is
/// wrong.
pub fn look(config: &RelayConfig) -> Result<String, String> {
    let Found { chip, info } = find(config)?;
    let name = if info.name.is_empty() { String::new() } else { format!(" ({})", info.name) };
    let line = format!("line {}{name} of {}", info.offset, chip.display());
    if info.used && !info.consumer.starts_with("doorward ") {
        let by = match info.consumer.as_str() {
            "" => "the kernel or another program".to_owned(),
            consumer => format!("`{consumer}`"),
        };
        return Err(format!("{line} is taken by {by}; end that, or choose another line"));
    }
    match info.used {
        true => Ok(format!("{line} is held by a doorward that is running (`{}`)", info.consumer)),
        false => Ok(format!("{line} is free")),
    }
}

fn find(config: &RelayConfig) -> Result<Found, String> {
    let all = match &config.chip {
        Some(chip) => vec![open_named(chip)?],
        None => open_all()?,
    };
    let mut found = Vec::new();
    for chip in &all {
        let info = match &config.line {
            LineName::Offset(offset) => match chip.info() {
                Ok(about) if *offset >= about.num_lines => {
                    return Err(format!(
                        "{} has lines 0 to {}, not {offset}",
                        chip.path().display(),
                        about.num_lines.saturating_sub(1)
                    ));
                }
                _ => Some(chip.line_info(*offset).map_err(|error| {
                    format!("{} does not tell about line {offset}: {}", chip.path().display(), with_causes(&error))
                })?),
            },
            LineName::Name(name) => chip.find_line_info(name),
        };
        found.extend(info.map(|info| Found { chip: chip.path().to_owned(), info }));
    }
    let places = || found.iter().map(|found| found.chip.display().to_string()).collect::<Vec<_>>().join(" and ");
    match found.len() {
        0 => Err(format!("no chip has a {}; `gpioinfo` lists what there is", config.line)),
        1 => Ok(found.remove(0)),
        _ => Err(format!("there is a {} on {}; say which with `chip`", config.line, places())),
    }
}

/// By path, name or label.
fn open_named(wanted: &str) -> Result<Chip, String> {
    let path = if wanted.contains('/') { PathBuf::from(wanted) } else { PathBuf::from("/dev").join(wanted) };
    if wanted.contains('/') || path.exists() {
        return open(&path);
    }
    let is_it = |chip: &Chip| chip.info().is_ok_and(|about| about.label == wanted);
    let mut chips: Vec<Chip> = open_all()?.into_iter().filter(is_it).collect();
    match chips.len() {
        0 => Err(format!("there is no GPIO chip `{wanted}`; `gpiodetect` lists names and labels")),
        1 => Ok(chips.remove(0)),
        _ => Err(format!("several GPIO chips have the label `{wanted}`; write a path like /dev/gpiochip0")),
    }
}

fn open_all() -> Result<Vec<Chip>, String> {
    let paths = chips().map_err(|error| format!("cannot list the GPIO chips: {}", with_causes(&error)))?;
    if paths.is_empty() {
        return Err("this machine has no GPIO chip, or none that doorward may see: there is no /dev/gpiochip0".into());
    }
    paths.iter().map(|path| open(path)).collect()
}

fn open(path: &Path) -> Result<Chip, String> {
    if let Err(error) = std::fs::File::open(path) {
        let help = match error.kind() {
            std::io::ErrorKind::NotFound => "`gpiodetect` lists the chips there are",
            std::io::ErrorKind::PermissionDenied => {
                "add the user doorward runs as to the device's group (often `gpio`), and the device to the unit's \
                 DeviceAllow"
            }
            _ => "is it a GPIO chip?",
        };
        return Err(format!("cannot open {}: {error}; {help}", path.display()));
    }
    Chip::from_path(path).map_err(|error| format!("{} is not a GPIO chip: {}", path.display(), with_causes(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_chip_is_told() {
        for (chip, wanted) in [
            ("/dev/gpiochip4711", "cannot open /dev/gpiochip4711: No such file"),
            ("/dev/null", "/dev/null is not a GPIO chip: "),
        ] {
            let config = RelayConfig::new(Some(chip), LineName::Offset(3));
            let problem = look(&config).unwrap_err();
            assert!(problem.starts_with(wanted), "{problem}");
            assert_eq!(take("a", &config).err(), Some(problem));
        }
    }
}
