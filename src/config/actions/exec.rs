//! `type = "exec"`: a program, without a shell.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::{GuardConfig, default};
use crate::config::validate::ActionChecker;

/// `type = "exec"`: a program, without a shell.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecConfig {
    pub program: PathBuf,
    /// Templates, each one argument whatever it renders to.
    #[serde(default)]
    pub args: Vec<String>,
    /// Templates.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default = "default::timeout_ms")]
    pub timeout_ms: u64,
    /// Programs running at once.
    #[serde(default = "default::concurrency")]
    pub concurrency: u16,
    /// It moves something in the world (opens a door): never performed late, never repeated.
    #[serde(default)]
    pub actuator: bool,
    /// What must hold before it does.
    #[serde(default)]
    pub guard: GuardConfig,
}

impl ExecConfig {
    /// Runs the program with the event on its standard input.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            timeout_ms: default::timeout_ms(),
            concurrency: default::concurrency(),
            actuator: false,
            guard: GuardConfig::default(),
        }
    }

    pub(super) fn check(&self, checker: &mut ActionChecker<'_, '_>) {
        if self.program.as_os_str().is_empty() {
            checker.wrong(&["program"], "it must name a program");
        }
        for variable in self.env.keys().filter(|name| name.is_empty() || name.contains(['=', '\0'])) {
            checker.wrong(&["env", variable], "this is not the name of a variable");
        }
        checker.range("timeout_ms", self.timeout_ms, 100..=600_000);
        checker.range("concurrency", self.concurrency, 1..=64);
    }
}

impl std::fmt::Debug for ExecConfig {
    /// Arguments and variables may hold secrets: their count and names only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecConfig")
            .field("program", &self.program)
            .field("args", &self.args.len())
            .field("env", &self.env.keys())
            .field("timeout_ms", &self.timeout_ms)
            .field("actuator", &self.actuator)
            .field("guard", &self.guard)
            .finish()
    }
}
