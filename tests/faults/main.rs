//! Cameras that break in twelve ways, again and again: how soon a door is watched once more, and what is said of it.
//!
//! In: the agent as it is installed, with a dozen cameras on loopback. Out: the time from a camera being well to its
//! frames being searched, what `/health` tells of a fault that lasts, and what the process holds afterwards. A machine
//! that is busy with something else is no fault of the agent's: how long it kept a thread waiting is taken off.

mod camera;

#[path = "../support/mod.rs"]
mod support;

use std::cell::LazyCell;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use faces::picture::Picture;
use strum::IntoEnumIterator;
use tempfile::TempDir;

use camera::{Camera, Fault, Speaks};
use support::{Running, doorward};

/// So many of each of the twelve cameras; `DOORWARD_TEST_FAULTS` wants another number.
const FAULTS: usize = 9;
/// What a fault must have been told within.
const TOLD: Duration = Duration::from_secs(60);

/// A library that stands before the C library's `getaddrinfo`: a name that ends in `.test` is known while a file of this
/// name is in the folder `NAMES`.
const NAMES: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
  int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");
  size_t length = node ? strlen(node) : 0;
  char path[4096];
  if (length > 5 && strcmp(node + length - 5, ".test") == 0) {
    snprintf(path, sizeof path, "%s/%s", getenv("NAMES"), node);
    if (access(path, F_OK) != 0) return EAI_AGAIN;
    node = "127.0.0.1";
  }
  return next(node, service, hints, found);
}
"#;

/// One camera of the dozen, and how it is doing.
struct Door {
    name: String,
    camera: Camera,
    /// The file by which its name is known.
    named: PathBuf,
}

struct Site {
    folder: TempDir,
    agent: Running,
    port: u16,
    doors: Vec<Arc<Door>>,
}

impl Site {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let (library, source) = (folder.path().join("names.so"), folder.path().join("names.c"));
        std::fs::write(&source, NAMES).unwrap();
        let made = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status().unwrap();
        assert!(made.success());
        let names = folder.path().join("names");
        std::fs::create_dir_all(folder.path().join("detectors")).unwrap();
        std::fs::create_dir(&names).unwrap();
        let speaks = |n: usize| match n {
            0..=5 => Speaks::Mjpeg,
            6..=9 => Speaks::Rtsp,
            _ => Speaks::RtspOverUdp,
        };
        let doors: Vec<_> = (0..12)
            .map(|n| {
                let (name, camera) = (format!("door-{n}"), Camera::start(speaks(n)));
                let host = format!("camera-{n}.test");
                let (scheme, more) = match speaks(n) {
                    Speaks::Mjpeg => ("http", ""),
                    Speaks::Rtsp => ("rtsp", ""),
                    Speaks::RtspOverUdp => ("rtsp", "transport = 'udp'\n"),
                };
                let url = format!("{scheme}://{host}:{}/door", camera.port);
                let text = format!("time_zone = 'UTC'\n[camera]\ntype = 'stream'\nurl = '{url}'\n{more}");
                std::fs::write(folder.path().join(format!("detectors/{name}.toml")), text).unwrap();
                let named = names.join(host);
                std::fs::write(&named, "").unwrap();
                Arc::new(Door { name, camera, named })
            })
            .collect();
        let (agent, port) = agent(folder.path(), |it| it.env("LD_PRELOAD", &library).env("NAMES", &names));
        Self { folder, agent, port, doors }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn holds(&self) -> Holds {
        let process = Path::new("/proc").join(self.agent.0.id().to_string());
        let count = |what: &str| std::fs::read_dir(process.join(what)).unwrap().count();
        let status = std::fs::read_to_string(process.join("status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kilobytes: usize = resident.trim().trim_end_matches(" kB").parse().unwrap();
        Holds { threads: count("task"), descriptors: count("fd"), megabytes: kilobytes >> 10 }
    }
}

/// Starts the agent on the detectors in this folder, and gives its page's port.
fn agent(folder: &Path, more: impl FnOnce(&mut Command) -> &mut Command) -> (Running, u16) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = folder.join("doorward.toml");
    let text = format!(
        "state_dir = '{}'\n[identities]\nurl = 'http://127.0.0.1:9'\nusername = 'u'\npassword = 'p'\n\
         [status]\nlisten = '127.0.0.1:{port}'\n\
         [action.log]\ntype = 'journal'\npath = '{}'\n\
         [[rule]]\nname = 'cameras'\nactions = ['log']\nwhen = {{ event = ['camera'] }}\n",
        folder.join("state").display(),
        folder.join("journal").display()
    );
    std::fs::write(&config, text).unwrap();
    let mut command = doorward();
    command.args(["run", "--config"]).arg(&config).stdout(Stdio::null());
    command.stderr(std::fs::File::create(folder.join("log")).unwrap());
    (Running(more(&mut command).spawn().unwrap()), port)
}

/// What a process holds.
#[derive(Debug)]
struct Holds {
    threads: usize,
    descriptors: usize,
    megabytes: usize,
}

impl Door {
    fn break_with(&self, fault: Fault) {
        if fault == Fault::NoName {
            std::fs::remove_file(&self.named).unwrap();
        }
        self.camera.break_with(fault);
    }

    fn mend(&self) {
        std::fs::write(&self.named, "").unwrap();
        self.camera.mend();
    }
}

/// What the agent's page has under this path.
fn get(port: u16, path: &str) -> Option<String> {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(connection, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n").ok()?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

/// What the agent has searched so far at each door, and how long this machine kept a thread waiting: both looked at
/// again and again by a thread of their own.
struct Looking {
    searched: Mutex<Vec<u64>>,
    /// When a thread was kept waiting, and for how long.
    hiccups: Mutex<Vec<(Instant, Duration)>>,
    over: AtomicBool,
}

const LOOK: Duration = Duration::from_millis(50);

impl Looking {
    fn start(port: u16, doors: usize) -> Arc<Self> {
        let looking = Arc::new(Self {
            searched: Mutex::new(vec![0; doors]),
            hiccups: Mutex::new(Vec::new()),
            over: AtomicBool::new(false),
        });
        let (counts, waits) = (looking.clone(), looking.clone());
        thread::spawn(move || {
            while !counts.over.load(Ordering::Relaxed) {
                let metrics = get(port, "/metrics").unwrap_or_default();
                for (n, count) in counts.searched.lock().unwrap().iter_mut().enumerate() {
                    let now = counted(&metrics, "doorward_detect_frames_total", &format!("door-{n}"));
                    *count = now.unwrap_or(*count);
                }
                thread::sleep(LOOK);
            }
        });
        thread::spawn(move || {
            while !waits.over.load(Ordering::Relaxed) {
                let began = Instant::now();
                thread::sleep(LOOK);
                let late = began.elapsed().saturating_sub(LOOK);
                if late > LOOK {
                    waits.hiccups.lock().unwrap().push((began, late));
                }
            }
        });
        looking
    }

    fn searched(&self, door: usize) -> u64 {
        self.searched.lock().unwrap()[door]
    }

    /// How long this machine has kept a thread waiting since then.
    fn kept_waiting(&self, since: Instant) -> Duration {
        self.hiccups.lock().unwrap().iter().filter(|(at, _)| *at >= since).map(|(_, late)| *late).sum()
    }

    /// Waits until so many more frames of a door are searched; how long that took.
    fn until_searched(&self, door: usize, more: u64) -> Duration {
        let (began, before) = (Instant::now(), self.searched(door));
        while self.searched(door) < before + more {
            assert!(began.elapsed() < Duration::from_secs(60), "nothing of door-{door} is searched");
            thread::sleep(Duration::from_millis(10));
        }
        began.elapsed()
    }
}

/// Breaks every camera so often, and gives how long each door then stayed unwatched.
fn trouble(site: &Site, looking: &Looking, turns: std::ops::Range<usize>) -> Vec<Duration> {
    thread::scope(|scope| {
        let doors = site.doors.iter().enumerate();
        let troubled: Vec<_> = doors
            .map(|(n, door)| {
                scope.spawn({
                    let turns = turns.clone();
                    move || trouble_at((n, door, turns), looking)
                })
            })
            .collect();
        troubled.into_iter().flat_map(|door| door.join().unwrap()).collect()
    })
}

fn trouble_at((n, door, turns): (usize, &Door, std::ops::Range<usize>), looking: &Looking) -> Vec<Duration> {
    let possible: Vec<Fault> = Fault::iter().filter(|fault| door.camera.can_have(*fault)).collect();
    let mut chance = 0x9e37_79b9_u32.wrapping_mul((n + 100 * turns.start) as u32 + 1);
    let mut roll = |below: u64| {
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        u64::from(chance >> 8) % below
    };
    turns
        .map(|turn| {
            // Each kind comes up, in an order and for a time that chance says.
            let fault = possible[(turn + n + roll(2) as usize * 5) % possible.len()];
            door.break_with(fault);
            thread::sleep(Duration::from_millis(300 + roll(6_000)));
            door.mend();
            let well = Instant::now();
            let took = looking.until_searched(n, 2);
            let took = took.saturating_sub(looking.kept_waiting(well));
            println!("{} {fault:?}: {} ms", door.name, took.as_millis());
            thread::sleep(Duration::from_millis(500 + roll(2_000)));
            took
        })
        .collect()
}

/// What the agent holds after each of two rounds of faults (what is needed once is there after the first), and whether
/// each door was watched again in time.
fn two_rounds(site: &Site, looking: &Looking, faults: usize) -> ([Holds; 2], bool) {
    let mut times = Vec::new();
    let held = [0..faults.div_ceil(2), faults.div_ceil(2)..faults].map(|turns| {
        times.extend(trouble(site, looking, turns));
        for door in 0..site.doors.len() {
            looking.until_searched(door, 10);
        }
        site.holds()
    });
    assert_eq!(times.len(), faults * site.doors.len());
    times.sort_unstable();
    let (median, p95, most) = (times[times.len() / 2], times[times.len() * 95 / 100], times[times.len() - 1]);
    println!("{} faults: median {median:?}, p95 {p95:?}, most {most:?}; {held:?}", times.len());
    (held, p95 <= Duration::from_secs(3) && most <= Duration::from_secs(6))
}

/// Held by the test whose turn it is: each needs the processors for itself.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn whatever_a_camera_does_its_door_is_watched_again_within_seconds_of_its_being_well() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let site = Site::start();
    let looking = Looking::start(site.port, site.doors.len());
    for door in 0..site.doors.len() {
        looking.until_searched(door, 5);
    }
    // What a detector needs for a larger picture it keeps: each has seen one before its memory is looked at.
    for _ in 0..2 {
        site.doors.iter().for_each(|door| door.break_with(Fault::Resized));
        thread::sleep(Duration::from_secs(1));
        site.doors.iter().for_each(|door| door.mend());
        for door in 0..site.doors.len() {
            looking.until_searched(door, 5);
        }
    }
    let faults = std::env::var("DOORWARD_TEST_FAULTS").map_or(FAULTS, |faults| faults.parse().unwrap());
    // Something else may take the processors for a while: one good try of two is enough.
    let tries = [(); 2].map(|()| LazyCell::new(|| two_rounds(&site, &looking, faults)));
    assert!(tries.iter().any(|held_in_time| held_in_time.1), "twice: see above");
    let ([before, after], _) = &*tries[0];
    assert!(after.threads <= before.threads + 4 && after.descriptors <= before.descriptors + 8, "{before:?} {after:?}");
    assert!(after.megabytes <= before.megabytes + 48, "{before:?} {after:?}");
    looking.over.store(true, Ordering::Relaxed);
    assert!(!site.log().contains("panicked"), "{}", site.log());
}

/// A program as a camera, which does what a file says.
struct Script {
    /// `well`, or what is wrong with it.
    does: PathBuf,
}

/// Shows another picture five times a second, while it is well.
const SHOWS: &str = r#"
n=0
while :; do
  case $(cat does) in
    well) n=$(( (n + 1) % 4 )); cat "$n.jpg" || exit; sleep 0.2 ;;
    hangs) sleep 600 ;;
    dies) echo "no sensor" >&2; exit 3 ;;
    floods) head -c 1000000 /dev/zero ;;
    halves) head -c 2000 0.jpg; sleep 0.2 ;;
    *) exit ;;
  esac
done
"#;
/// So often each of the four programs fails, in as many ways.
const FAILS: usize = 8;

impl Script {
    fn start(folder: &Path, name: &str) -> Self {
        let own = folder.join(name);
        std::fs::create_dir(&own).unwrap();
        for (n, picture) in camera::PICTURES[0].iter().enumerate() {
            std::fs::write(own.join(format!("{n}.jpg")), picture).unwrap();
        }
        let script = format!("cd '{}'\n{SHOWS}", own.display());
        let text =
            format!("time_zone = 'UTC'\n[camera]\ntype = 'program'\nprogram = 'sh'\nargs = ['-c', '''{script}''']\n");
        std::fs::write(folder.join(format!("detectors/{name}.toml")), text).unwrap();
        let script = Self { does: own.join("does") };
        script.goes("well");
        script
    }

    fn goes(&self, how: &str) {
        // Whoever reads it sees the one or the other.
        let new = self.does.with_extension("new");
        std::fs::write(&new, how).unwrap();
        std::fs::rename(new, &self.does).unwrap();
    }
}

#[test]
fn whatever_a_program_does_its_door_is_watched_again_as_soon() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("detectors")).unwrap();
    let scripts: Vec<_> = (0..4).map(|n| Script::start(folder.path(), &format!("door-{n}"))).collect();
    let (agent, port) = agent(folder.path(), |it| it);
    let looking = Looking::start(port, scripts.len());
    for door in 0..scripts.len() {
        looking.until_searched(door, 5);
    }
    let fails = std::env::var("DOORWARD_TEST_FAULTS").map_or(FAILS, |faults| faults.parse().unwrap());
    let round = || {
        let mut times: Vec<Duration> = thread::scope(|scope| {
            let (doors, looking) = (scripts.iter().enumerate(), &looking);
            let failing: Vec<_> =
                doors.map(|(n, script)| scope.spawn(move || fail((n, script, fails), looking))).collect();
            failing.into_iter().flat_map(|door| door.join().unwrap()).collect()
        });
        times.sort_unstable();
        let (p95, most) = (times[times.len() * 95 / 100], times[times.len() - 1]);
        println!("{} faults: median {:?}, p95 {p95:?}, most {most:?}", times.len(), times[times.len() / 2]);
        p95 <= Duration::from_secs(3) && most <= Duration::from_secs(6)
    };
    assert!((0..2).any(|_| round()), "twice: see above");
    looking.over.store(true, Ordering::Relaxed);
    let children = || children_of(agent.0.id());
    support::wait_for("one shell and what it waits for, for each", || (children() <= 2 * scripts.len()).then_some(()));
}

fn fail((n, script, fails): (usize, &Script, usize), looking: &Looking) -> Vec<Duration> {
    let ways = ["hangs", "dies", "floods", "halves"];
    (0..fails)
        .map(|turn| {
            let way = ways[(n + turn) % ways.len()];
            script.goes(way);
            thread::sleep(Duration::from_millis(400 + (n + 3 * turn) as u64 * 1_700 % 5_000));
            script.goes("well");
            let well = Instant::now();
            let took = looking.until_searched(n, 2).saturating_sub(looking.kept_waiting(well));
            println!("door-{n} {way}: {} ms", took.as_millis());
            thread::sleep(Duration::from_millis(700));
            took
        })
        .collect()
}

/// How many processes there are below this one.
fn children_of(process: u32) -> usize {
    let parent = |id: u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    };
    let ids = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|it| it.file_name().to_str()?.parse().ok());
    ids.filter(|id| std::iter::successors(parent(*id), |up| parent(*up)).any(|up| up == process)).count()
}

/// The number of a metric for one detector.
fn counted(metrics: &str, metric: &str, detector: &str) -> Option<u64> {
    let series = format!("{metric}{{detector=\"{detector}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&series))?.parse().ok()
}

/// Four recordings like live cameras; the last one hangs in the middle of being read.
#[test]
fn a_camera_that_is_wedged_costs_the_others_no_frame() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    const FPS: f64 = 15.0;
    const WINDOW: Duration = Duration::from_secs(4);
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("detectors")).unwrap();
    for door in 0..4 {
        let pictures = folder.path().join(format!("pictures-{door}"));
        std::fs::create_dir(&pictures).unwrap();
        for n in 0..30u8 {
            let picture = Picture::filled(320, 240, [n * 8, 90, 250 - n * 8]).jpeg(80).unwrap();
            std::fs::write(pictures.join(format!("{n:02}.jpg")), picture).unwrap();
        }
        let text = format!(
            "time_zone = 'UTC'\n[camera]\ntype = 'replay'\npath = '{}'\npace = 'fixed'\nfps = {FPS}\nloop = true\n",
            pictures.display()
        );
        std::fs::write(folder.path().join(format!("detectors/door-{door}.toml")), text).unwrap();
    }
    let (_agent, port) = agent(folder.path(), |it| it);
    let frames = || {
        let metrics = get(port, "/metrics").unwrap_or_default();
        [0, 1, 2, 3].map(|n| counted(&metrics, "doorward_capture_frames_total", &format!("door-{n}")).unwrap_or(0))
    };
    support::wait_for("frames of all four", || frames().iter().all(|&count| count > 5).then_some(()));
    // Nobody ever writes into it: who reads it waits.
    let next = folder.path().join("pictures-3/20.jpg");
    std::fs::remove_file(&next).unwrap();
    nix::unistd::mkfifo(&next, nix::sys::stat::Mode::S_IRWXU).unwrap();
    thread::sleep(Duration::from_secs(3));
    // Something else may take the processors for a while: one good window is enough. None is where one waits for
    // another.
    let mut seen = Vec::new();
    for _ in 0..15 {
        let (before, began) = (frames(), Instant::now());
        thread::sleep(WINDOW);
        let (after, took) = (frames(), began.elapsed().as_secs_f64());
        let rates = [0, 1, 2, 3].map(|n| (after[n] - before[n]) as f64 / took);
        seen.push(rates);
        assert!(rates[3] == 0.0, "the fourth hangs: {rates:?}");
        if rates[..3].iter().all(|rate| *rate > 0.95 * FPS) {
            return println!("{rates:?}");
        }
    }
    panic!("frames a second, again and again: {seen:?}");
}

#[test]
fn a_fault_that_lasts_is_told_with_its_cause() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let site = Site::start();
    let looking = Looking::start(site.port, site.doors.len());
    for door in 0..site.doors.len() {
        looking.until_searched(door, 3);
    }
    looking.over.store(true, Ordering::Relaxed);
    // The twelfth, another size, is none that lasts.
    let faults = [
        (0, Fault::Killed, "nothing listens on the port"),
        (1, Fault::Frozen, "whether the camera hangs"),
        (2, Fault::HalfOpen, "whether the camera hangs"),
        (3, Fault::Garbage, "no video"),
        (4, Fault::Trickle, "check the address and the network"),
        (5, Fault::WrongType, "what comes is no video"),
        (6, Fault::AsksWho, "write a user name and a password"),
        (7, Fault::NotFound, "check the path"),
        (8, Fault::Reset, "it hangs up"),
        (9, Fault::NoName, "nobody knows its name"),
        (10, Fault::Lossy, "whether UDP gets through"),
        (11, Fault::Killed, "nothing listens on the port"),
    ];
    for (door, fault, _) in faults {
        site.doors[door].break_with(fault);
    }
    let broken = Instant::now();
    let told = || -> Vec<(String, String)> {
        let health = get(site.port, "/health").unwrap_or_default();
        let health: serde_json::Value = serde_json::from_str(&health).unwrap_or_default();
        let faults = health["faults"].as_array().cloned().unwrap_or_default();
        let text = |fault: &serde_json::Value, key: &str| fault[key].as_str().unwrap_or_default().to_owned();
        let of_cameras = faults.iter().filter(|fault| fault["part"] == "camera");
        of_cameras.map(|fault| (text(fault, "detector"), text(fault, "reason"))).collect()
    };
    while told().len() < faults.len() && broken.elapsed() < TOLD {
        thread::sleep(Duration::from_millis(500));
    }
    let told = told();
    for (door, fault, says) in faults {
        let name = &site.doors[door].name;
        let reason = told.iter().find(|(detector, _)| detector == name).map(|(_, reason)| reason.as_str());
        println!("{fault:?}: {reason:?}");
        assert!(reason.is_some_and(|reason| reason.contains(says)), "{name}, {fault:?}: {reason:?}");
    }
    support::wait_for("the metric of each fault", || {
        let metrics = get(site.port, "/metrics").unwrap_or_default();
        let since =
            |door: usize| format!("doorward_agent_fault_since_seconds{{detector=\"door-{door}\",part=\"camera\"}} ");
        let told = |door| metrics.lines().any(|line| line.strip_prefix(&since(door)).is_some_and(|since| since != "0"));
        faults.iter().all(|(door, ..)| told(*door)).then_some(())
    });
    // A rule heard of each of them, and hears that it is over.
    let heard = |door: usize, ok: bool| {
        let journal = std::fs::read_to_string(site.folder.path().join("journal")).unwrap_or_default();
        let events = journal.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let name = &site.doors[door].name;
        events.filter(|event| event["detector"] == name.as_str() && event["camera"]["ok"] == ok).count()
    };
    for (door, ..) in faults {
        support::wait_for("the rule to hear of it", || (heard(door, false) >= 1).then_some(()));
        assert_eq!(heard(door, true), 0);
        site.doors[door].mend();
    }
    for (door, ..) in faults {
        support::wait_for("the rule to hear of its end", || (heard(door, true) >= 1).then_some(()));
    }
}
