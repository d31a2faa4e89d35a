//! Every end has a deadline: SIGTERM within 15 seconds whatever hangs, a second one at once; and whatever hangs is named.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, mkfifo};
use serde_json::Value;
use support::hang::Hang;
use support::{Engine, doorward, recording, wait_for};

/// An agent that watches a recording in a loop.
struct Agent {
    child: Child,
    folder: tempfile::TempDir,
}

impl Agent {
    /// `recorded` makes the recording; `main` is the rest of the main file.
    fn start(recorded: fn(&Path), main: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        recorded(&folder.path().join("recording"));
        Self::start_in(folder, main)
    }

    fn start_in(folder: tempfile::TempDir, main: &str) -> Self {
        let main =
            format!("state_dir = '{0}/state'\n[status]\nlisten = '127.0.0.1:0'\n{main}", folder.path().display());
        std::fs::write(folder.path().join("doorward.toml"), main).unwrap();
        std::fs::create_dir_all(folder.path().join("detectors")).unwrap();
        let camera = format!(
            "[camera]\ntype = 'replay'\npath = '{}/recording'\nfps = 10.0\nloop = true\n",
            folder.path().display()
        );
        std::fs::write(folder.path().join("detectors/door.toml"), camera).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = doorward();
        command.args(["run", "--config"]).arg(folder.path().join("doorward.toml"));
        let child = command.env("NO_COLOR", "1").stderr(log).stdout(Stdio::null()).spawn().unwrap();
        let agent = Self { child, folder };
        wait_for("the agent to watch", || agent.log().contains("watching").then_some(()));
        agent
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn signal(&self) {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM).unwrap();
    }

    /// The address of the status page.
    fn page(&self) -> String {
        let log = self.log();
        let line = log.lines().find(|line| line.contains("the status page is served")).unwrap();
        line.split("address=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
    }

    fn ask(&self, path: &str) -> Value {
        let address = self.page();
        let mut page = TcpStream::connect(&address).unwrap();
        write!(page, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        page.read_to_string(&mut answer).unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// How long the process takes to end, while this hangs.
    fn ends(&mut self, hang: Option<&Hang>) -> Duration {
        let began = Instant::now();
        wait_for("the process to end", || {
            if let Some(hang) = hang {
                hang.let_end();
            }
            self.child.try_wait().unwrap()
        });
        began.elapsed()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// No engine answers here.
const NOBODY: &str = "[identities]\nurl = 'http://127.0.0.1:1'\nusername = 'box'\npassword = 'p'\n";

/// One signal ends it in time with `stopped` as its last word, and a second one at once.
fn ends_in_time(mut start: impl FnMut() -> (Agent, Option<Hang>), named: &str) {
    let (mut agent, hang) = start();
    agent.signal();
    let took = agent.ends(hang.as_ref());
    let log = agent.log();
    assert!(took < Duration::from_secs(15), "{took:?}\n{log}");
    assert!(log.lines().last().unwrap().contains("stopped"), "{log}");
    assert!(log.contains(named), "{log}");

    let (mut agent, hang) = start();
    agent.signal();
    // Long enough for the first to be taken in, far from long enough for the end it brings.
    std::thread::sleep(Duration::from_millis(300));
    assert!(agent.child.try_wait().unwrap().is_none(), "it ended before the second signal\n{}", agent.log());
    agent.signal();
    let second = agent.ends(hang.as_ref());
    assert!(second < took && second < Duration::from_secs(3), "{second:?} after the second signal, {took:?} without");
}

#[test]
fn a_detector_that_hangs_in_inference_does_not_hold_it_up() {
    let start = || {
        let agent = Agent::start(recording::nobody, NOBODY);
        let hang = Hang::thread(agent.child.id(), "detect:door");
        (agent, Some(hang))
    };
    ends_in_time(start, "detect:door hangs");
}

#[test]
fn a_request_that_is_never_finished_does_not_hold_it_up() {
    let mut requests = Vec::new();
    let start = || {
        let agent = Agent::start(recording::nobody, NOBODY);
        let mut half = TcpStream::connect(agent.page()).unwrap();
        half.write_all(b"GET /health HTTP/1.1\r\nhost: ").unwrap();
        requests.push(half);
        // It has been taken in once another one has been answered after it.
        agent.ask("/status.json");
        (agent, None)
    };
    ends_in_time(start, "a request to the status page");
}

#[test]
fn a_journal_on_a_dead_disk_does_not_hold_it_up() {
    let engine = Engine::start();
    let start = || {
        let folder = tempfile::tempdir().unwrap();
        // Nobody reads: opening it waits for ever, as a network disk that is gone does.
        let journal = folder.path().join("journal");
        mkfifo(&journal, nix::sys::stat::Mode::S_IRWXU).unwrap();
        recording::brief_visit(&folder.path().join("recording"));
        let main = format!(
            "{}[action.journal]\ntype = 'journal'\npath = '{}'\n\
             [[rule]]\nname = 'everybody'\nwhen = {{ outcome = ['known', 'unknown'] }}\nactions = ['journal']\n",
            engine.section(&engine.url),
            journal.display()
        );
        let agent = Agent::start_in(folder, &main);
        wait_for("an answer", || {
            let visits = agent.ask("/status.json")["visits"].clone();
            visits.as_array().unwrap().iter().any(|visit| visit["outcome"] == "unknown").then_some(())
        });
        (agent, None)
    };
    ends_in_time(start, "still under way");
}
