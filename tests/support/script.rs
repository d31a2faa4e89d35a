//! A server of a test's own, in Debian's Python: it prints its port, and then whatever it has to tell.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub struct Script {
    child: Child,
    pub port: u16,
    pub orders: ChildStdin,
    /// What it prints after its port, until somebody takes it.
    pub lines: Option<Lines<BufReader<ChildStdout>>>,
}

impl Script {
    /// A file of this repository; `needs` says what has to be installed for it.
    pub fn start(file: &str, args: &[&OsStr], needs: &str) -> Self {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
        // Debian's own Python: the GObject bindings are not there for any other.
        let mut command = Command::new("/usr/bin/python3");
        command.arg(format!("{root}{file}")).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("Debian's python3 must be installed");
        let (orders, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut lines = BufReader::new(output).lines();
        let port = lines.next().and_then(|line| line.ok()?.trim().parse().ok());
        let port = port.unwrap_or_else(|| panic!("{file} must start: {needs}"));
        Self { child, port, orders, lines: Some(lines) }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
