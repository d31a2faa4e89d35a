//! One file per command: arguments in, printed lines and an exit code out. The rooms do the work.

use anyhow::Context;
use serde::Serialize;

pub mod actions;
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
pub mod models;
mod password;
pub mod pictures;
mod progress;
pub mod purge;
pub mod replay;
pub mod rules;
pub mod run;
mod table;
mod test_event;

use crate::cli::ConfigArgs;
use crate::config::{self, Loaded};
use crate::terminal::{ExitCode, complain, print_line, print_lines};

/// Why a command ended badly, as its exit code tells it.
#[derive(Debug)]
pub enum Failure {
    /// 1: it did not work.
    Failed(anyhow::Error),
    /// 78: the configuration is wrong; every mistake has been put into the message.
    BadConfiguration(anyhow::Error),
}

/// What a command gives back.
pub type CommandResult = Result<ExitCode, Failure>;

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Reads and checks the configuration; its mistakes become exit code 78.
pub fn load_config(args: &ConfigArgs) -> Result<Loaded, Failure> {
    config::load(args.config.as_deref()).map_err(|errors| Failure::BadConfiguration(errors.into()))
}

/// Runs a future to its end, on this thread alone.
fn wait_for<T>(future: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.context("cannot start tokio")?.block_on(future))
}

/// Prints a value as a line of JSON; with it the command has done its work.
fn print_json(value: &impl Serialize) -> CommandResult {
    print_line(&serde_json::to_string(value)?);
    Ok(ExitCode::SUCCESS)
}
