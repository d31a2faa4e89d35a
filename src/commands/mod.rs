//! One file per command: arguments in, printed lines and an exit code out. The rooms do the work.

use serde::Serialize;
use wording::listed;

pub mod actions;
pub mod camera;
pub mod check;
#[cfg(feature = "engine")]
pub mod demo;
pub mod detect;
mod doors;
pub mod embed;
#[cfg(feature = "engine")]
pub mod engine;
pub mod explain;
pub mod identities;
mod lines;
pub mod liveness;
pub mod models;
mod password;
pub mod pictures;
pub mod purge;
pub mod replay;
pub mod rules;
pub mod run;
mod table;
mod test_event;

use crate::cli::ConfigArgs;
use crate::config::{self, ConfigErrors, DetectorName, Loaded, Settings};
use crate::terminal::{ExitCode, complain, print_line, print_lines};

/// What a command gives back. An error is exit code 78 where the configuration is wrong, which [`ConfigErrors`] and
/// [`Unconfigured`] tell, else 1.
pub type CommandResult = anyhow::Result<ExitCode>;

/// The configuration cannot serve a command.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unconfigured(String);

/// The exit code of a command that ended with this error.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    let configuration = error.is::<ConfigErrors>() || error.is::<Unconfigured>();
    if configuration { ExitCode::BAD_CONFIGURATION } else { ExitCode::FAILURE }
}

/// Reads and checks the configuration.
pub fn load_config(args: &ConfigArgs) -> Result<Loaded, ConfigErrors> {
    config::load(args.config.as_deref())
}

/// The failure of a command that is for a detector which is not configured.
fn no_detector(name: &DetectorName, settings: &Settings) -> Unconfigured {
    Unconfigured(format!("no detector is named `{name}`; there are {}", detectors(settings)))
}

/// The names of the configured detectors, as a sentence lists them.
fn detectors(settings: &Settings) -> String {
    listed(&settings.detectors.iter().map(|detector| detector.name.as_str()).collect::<Vec<_>>())
}

/// Prints a value as a line of JSON; with it the command has done its work.
fn print_json(value: &impl Serialize) -> CommandResult {
    print_line(&serde_json::to_string(value)?);
    Ok(ExitCode::SUCCESS)
}

/// Prints a value as a line of JSON where JSON is asked for; else `for_people` prints it. With it the command has done
/// its work.
fn print_either(json: bool, value: &impl Serialize, for_people: impl FnOnce()) -> CommandResult {
    if json {
        return print_json(value);
    }
    for_people();
    Ok(ExitCode::SUCCESS)
}
