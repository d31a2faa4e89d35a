//! A thread that hangs, as a driver or an inference that never returns would make it: stopped under the program by the
//! kernel's tracing, while the rest of the process goes on.

use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// A stopped thread; it goes on when this is dropped. To be kept on the thread that made it: the kernel knows no other
/// as the one that traces.
pub struct Hang {
    thread: Pid,
}

impl Hang {
    /// Stops the thread of this name, once there is one.
    pub fn thread(process: u32, name: &str) -> Self {
        let started = Instant::now();
        let thread = loop {
            if let Some(thread) = find(process, name) {
                break thread;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "there is no thread {name}");
            std::thread::sleep(Duration::from_millis(20));
        };
        ptrace::seize(thread, ptrace::Options::empty()).expect("the thread can be traced");
        ptrace::interrupt(thread).expect("the thread can be stopped");
        waitpid(thread, Some(WaitPidFlag::__WALL)).expect("the thread stops");
        Self { thread }
    }

    /// Stops the thread of this name while it computes something, rather than waits for something to do.
    pub fn computing(process: u32, name: &str) -> Self {
        let started = Instant::now();
        loop {
            let hang = Self::thread(process, name);
            // The kernel tells in which call a stopped thread is; -1 in none.
            let call = std::fs::read_to_string(format!("/proc/{process}/task/{}/syscall", hang.thread)).unwrap();
            if call.starts_with("-1") {
                return hang;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "the thread {name} never computes anything");
            drop(hang);
            std::thread::sleep(Duration::from_millis(7));
        }
    }

    /// To be called while the process is waited for: the kernel lets go of it only when its traced thread has been seen
    /// to end.
    pub fn let_end(&self) {
        let _ = waitpid(self.thread, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG));
    }
}

impl Drop for Hang {
    fn drop(&mut self) {
        // It fails where the process has ended meanwhile.
        let _ = ptrace::detach(self.thread, None);
    }
}

fn find(process: u32, name: &str) -> Option<Pid> {
    // The kernel keeps fifteen letters of a name.
    let name: String = name.chars().take(15).collect();
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).ok()?;
    threads.flatten().find_map(|thread| {
        let comm = std::fs::read_to_string(thread.path().join("comm")).ok()?;
        let id = thread.file_name().to_str()?.parse().ok()?;
        (comm.trim_end() == name).then(|| Pid::from_raw(id))
    })
}
