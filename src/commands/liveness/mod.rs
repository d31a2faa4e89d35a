//! `doorward liveness`: whether pictures show people or pictures of people, and what that would mean at a camera.
//!
//! In: the subcommand. Out: what its file prints. Nothing is configured or changed by any of it.

mod look;
mod measure;
mod tally;

use super::CommandResult;
use crate::cli::LivenessCommand;

pub fn run(command: LivenessCommand) -> CommandResult {
    match command {
        LivenessCommand::Look(args) => look::run(args),
        LivenessCommand::Measure(args) => measure::run(args),
    }
}
