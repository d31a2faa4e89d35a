//! No core files: the memory of this process holds faces, tokens and passwords.
//!
//! In: nothing. Out: a process that leaves no core file however it ends, whose memory no other process of the same user
//! can read, and of which even a core forced by root holds no memory. What root reads out of a running process it
//! reads.
//!
//! ```text
//! RLIMIT_CORE 0       the kernel writes no core file            also for what this process starts
//! PR_SET_DUMPABLE 0   … nor pipes it to a handler; /proc/PID/mem and ptrace are root's alone
//! coredump_filter 0   a core made all the same (gcore) leaves every mapping out
//! ```

use anyhow::Context;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};

/// Which mappings go into a core file, as a mask (core(5)).
const FILTER: &str = "/proc/self/coredump_filter";

/// Forbids core files from now on, for good. To be called before anything secret is read. The error says why core files
/// are still possible.
pub fn forbid() -> anyhow::Result<()> {
    // First, because it can only be written while the process may be dumped. A kernel without it, or a system without
    // /proc, makes cores by the two rules below alone.
    let _ = std::fs::write(FILTER, "0");
    setrlimit(Resource::RLIMIT_CORE, 0, 0).context("cannot set the limit for core files to 0")?;
    prctl::set_dumpable(false).context("cannot mark the process as one that is not dumped")
}
