//! One file per command: arguments in, printed lines and an exit code out. The rooms do the work.

use std::path::Path;
use std::process::ExitCode;

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
pub mod pictures;
pub mod purge;
pub mod replay;
pub mod rules;
pub mod run;

use crate::terminal::{complain, print_line, print_lines};

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
pub fn load_config(file: Option<&Path>) -> Result<crate::config::Loaded, Failure> {
    crate::config::load(file).map_err(|errors| Failure::BadConfiguration(errors.into()))
}
