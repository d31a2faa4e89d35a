//! `type = "exec"`: a program, without a shell.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{CommonOfActions, GuardConfig, Nature, door};
use crate::config::reading::At;
use crate::config::section::{hidden, section};

section! {
    /// `type = "exec"`: a program, without a shell, which gets the event on its standard input.
    pub struct ExecConfig: new(program: impl Into<PathBuf>), checked by check_exec {
        pub program: PathBuf;
        /// Templates, each one argument whatever it renders to. They may hold secrets.
        pub args: Vec<String> = Vec::new(), shown as hidden;
        /// Templates of variables. They may hold secrets.
        pub env: BTreeMap<String, String> = BTreeMap::new(), shown as hidden;
        pub timeout_ms: u64 = 5_000, in 100..=600_000;
        /// Programs running at once.
        pub concurrency: u16 = 4, in 1..=64;
        /// It moves something in the world (opens a door): never performed late, never repeated.
        pub actuator: bool = false;
        /// What must hold before it does.
        pub guard: GuardConfig = GuardConfig::default();
    }
}

impl CommonOfActions for ExecConfig {
    fn nature(&self) -> Nature<'_> {
        Nature {
            concurrency: self.concurrency,
            is_actuator: self.actuator,
            guard: Some(&self.guard),
            ..Nature::default()
        }
    }

    fn looks_like_a_door(&self, name: &str) -> Option<String> {
        door::in_words(name).or_else(|| door::in_program(&self.program, &self.args))
    }
}

fn check_exec(exec: &ExecConfig, at: &At<'_>) {
    at.wrong_if(exec.program.as_os_str().is_empty(), &["program"], "it must name a program");
    for variable in exec.env.keys().filter(|name| name.is_empty() || name.contains(['=', '\0'])) {
        at.wrong(&["env", variable], "this is not the name of a variable");
    }
}
