//! Every end has a deadline: SIGTERM within 15 seconds whatever hangs, a second one at once; and whatever hangs is
//! named.

mod support;

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
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
    /// `recorded` makes the recording.
    fn start(recorded: fn(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        recorded(&folder.path().join("recording"));
        Self::start_in(folder, "fps = 10.0", NOBODY)
    }

    /// `pace` is that of the recording; `main` is the rest of the main file.
    fn start_in(folder: tempfile::TempDir, pace: &str, main: &str) -> Self {
        let main = format!(
            "state_dir = '{0}/state'\n[detector]\ntime_zone = 'UTC'\n[status]\nlisten = '127.0.0.1:0'\n{main}",
            folder.path().display()
        );
        std::fs::write(folder.path().join("doorward.toml"), main).unwrap();
        std::fs::create_dir_all(folder.path().join("detectors")).unwrap();
        let camera =
            format!("[camera]\ntype = 'replay'\npath = '{}/recording'\n{pace}\nloop = true\n", folder.path().display());
        std::fs::write(folder.path().join("detectors/door.toml"), camera).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = doorward();
        command.args(["run", "--config"]).arg(folder.path().join("doorward.toml"));
        // As a service manager starts it.
        command.env("NOTIFY_SOCKET", folder.path().join("notify")).env("WATCHDOG_USEC", "2000000");
        let child = command.env("NO_COLOR", "1").stderr(log).stdout(Stdio::null()).spawn().unwrap();
        let mut agent = Self { child, folder };
        wait_for("the agent to watch", || {
            assert!(agent.child.try_wait().unwrap().is_none(), "{}", agent.log());
            agent.log().contains("watching").then_some(())
        });
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

/// One signal ends it in time with `stopped` as its last word and a line that names what hung (one of these), and a
/// second one at once.
fn ends_in_time(mut start: impl FnMut() -> (Agent, Option<Hang>), named: &[&str]) {
    let (mut agent, hang) = start();
    agent.signal();
    let took = agent.ends(hang.as_ref());
    let log = agent.log();
    assert!(took < Duration::from_secs(15), "{took:?}\n{log}");
    assert!(log.lines().last().unwrap().contains("stopped"), "{log}");
    assert!(named.iter().any(|named| log.contains(named)), "{log}");

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
        let agent = Agent::start(recording::nobody);
        let hang = Hang::computing(agent.child.id(), "detect:door");
        (agent, Some(hang))
    };
    ends_in_time(start, &["detect:door hangs"]);
}

#[test]
fn a_request_that_is_never_finished_does_not_hold_it_up() {
    let mut requests = Vec::new();
    let start = || {
        let agent = Agent::start(recording::nobody);
        let mut half = TcpStream::connect(agent.page()).unwrap();
        half.write_all(b"GET /health HTTP/1.1\r\nhost: ").unwrap();
        requests.push(half);
        // It has been taken in once another one has been answered after it.
        agent.ask("/status.json");
        (agent, None)
    };
    ends_in_time(start, &["a request to the status page"]);
}

#[test]
fn a_journal_on_a_dead_disk_does_not_hold_it_up() {
    let engine = Engine::start();
    let mut pipes = Vec::new();
    let start = || {
        let folder = tempfile::tempdir().unwrap();
        // A pipe that is full and that nobody reads: writing to it waits for ever, as on a network disk that is gone.
        let journal = folder.path().join("journal");
        mkfifo(&journal, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut pipe =
            OpenOptions::new().read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(&journal).unwrap();
        while pipe.write(&[b' '; 512]).is_ok() {}
        pipes.push(pipe);
        recording::brief_visit(&folder.path().join("recording"));
        let main = format!(
            "{}[action.journal]\ntype = 'journal'\npath = '{}'\n\
             [[rule]]\nname = 'everybody'\nwhen = {{ outcome = ['known', 'unknown'] }}\nactions = ['journal']\n",
            engine.section(&engine.url),
            journal.display()
        );
        let agent = Agent::start_in(folder, "fps = 10.0", &main);
        wait_for("an answer", || {
            let visits = agent.ask("/status.json")["visits"].clone();
            visits.as_array().unwrap().iter().any(|visit| visit["outcome"] == "unknown").then_some(())
        });
        (agent, None)
    };
    // Whichever limit strikes first: the journal's for one line, or the one for all that is under way.
    ends_in_time(start, &["the file system did not answer", "still under way"]);
}

/// The agent's last words to it wait in a queue that is full; the doors are watched all the same.
#[test]
fn a_service_manager_that_never_reads_does_not_hold_it_up() {
    let mut managers = Vec::new();
    let start = || {
        let folder = tempfile::tempdir().unwrap();
        managers.push(UnixDatagram::bind(folder.path().join("notify")).unwrap());
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        while sender.send_to(b"STATUS=full", folder.path().join("notify")).is_ok() {}
        recording::nobody(&folder.path().join("recording"));
        let agent = Agent::start_in(folder, "fps = 10.0", NOBODY);
        wait_for("frames", || (agent.ask("/status.json")["detectors"][0]["searched"].as_u64()? > 10).then_some(()));
        (agent, None)
    };
    ends_in_time(start, &["a word to the service manager is under way"]);
}

/// What a service manager hears from the agent.
struct Manager(mpsc::Receiver<String>);

impl Manager {
    fn of(folder: &Path) -> Self {
        let socket = UnixDatagram::bind(folder.join("notify")).unwrap();
        let (hear, heard) = mpsc::channel();
        std::thread::spawn(move || {
            let mut message = [0; 4096];
            while let Ok(length) = socket.recv(&mut message) {
                if hear.send(String::from_utf8_lossy(&message[..length]).into_owned()).is_err() {
                    return;
                }
            }
        });
        Self(heard)
    }

    fn next(&self) -> String {
        self.0.recv_timeout(Duration::from_secs(30)).expect("the agent goes on telling how it is")
    }
}

/// Whoever hangs is named on the page and to the service manager, which is not told any more that all goes on.
fn is_named(pace: &str, hang: impl Fn(u32) -> Hang, reason: &str) {
    let folder = tempfile::tempdir().unwrap();
    let manager = Manager::of(folder.path());
    recording::nobody(&folder.path().join("recording"));
    let agent = Agent::start_in(folder, pace, NOBODY);
    wait_for("frames", || (agent.ask("/status.json")["detectors"][0]["searched"].as_u64()? > 10).then_some(()));
    let _hang = hang(agent.child.id());
    let fault = wait_for("the fault", || {
        let faults = agent.ask("/health")["faults"].clone();
        faults.as_array().unwrap().iter().find(|fault| fault["part"] == "program").cloned()
    });
    assert!(fault["reason"].as_str().unwrap().contains(reason), "{fault}");
    // It tells its state about every second.
    let mut without_watchdog = 0;
    let mut named = false;
    while without_watchdog < 5 {
        let message = manager.next();
        named |= message.starts_with("STATUS=") && message.contains(reason);
        match message.trim_end() {
            "WATCHDOG=1" => without_watchdog = 0,
            _ => without_watchdog += 1,
        }
    }
    assert!(named, "the manager was told no name");
    assert!(agent.log().contains(reason), "{}", agent.log());
}

#[test]
fn a_detector_that_hangs_in_inference_is_named() {
    let hang = |process| Hang::computing(process, "detect:door");
    is_named("pace = 'fast'", hang, "detect:door has been searching a frame");
}

#[test]
fn an_outbox_that_hangs_is_named_by_who_waits_for_it() {
    let hang = |process| Hang::thread(process, "outbox");
    is_named("fps = 10.0", hang, "delivery has been waiting for the outbox");
}

/// `DOORWARD_TEST_STOPS` says how often; a soak of hundreds is `make soak`.
#[test]
fn ended_at_any_moment_under_load_it_has_nothing_to_complain_about() {
    let times = std::env::var("DOORWARD_TEST_STOPS").map_or(8, |times| times.parse().expect("a number of stops"));
    let engine = Engine::start();
    let over = Arc::new(AtomicBool::new(false));
    let load = [(); 2].map(|()| {
        let over = Arc::clone(&over);
        std::thread::spawn(move || while !over.load(Ordering::Relaxed) {})
    });
    for n in 0..times {
        let folder = tempfile::tempdir().unwrap();
        recording::visit(&folder.path().join("recording"));
        let mut agent = Agent::start_in(folder, "pace = 'fast'", &engine.section(&engine.url));
        std::thread::sleep(Duration::from_millis(n * 37 % 400));
        agent.signal();
        agent.ends(None);
        let log = agent.log();
        assert!(agent.child.wait().unwrap().success(), "{log}");
        assert!(!log.contains(" ERROR ") && !log.contains("panicked"), "{log}");
        assert!(log.lines().last().unwrap().contains("stopped"), "{log}");
    }
    over.store(true, Ordering::Relaxed);
    load.into_iter().for_each(|load| load.join().unwrap());
}
