//! Relays on a simulated GPIO chip, through the kernel's real character device; `tests/vm/test-vm.sh` runs it in a
//! virtual machine.
//!
//! In: `doorward actions test` with a relay, and the actions room itself. Out: what the simulated wire does while a
//! pulse is on, is killed, is ended, overlaps another, and while somebody else has the line or the chip goes away.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use doorward::actions::{ActionResult, Actions};
use doorward::config::{ActionConfig, DetectorName, EventKind, from_toml};
use doorward::rules::ActionRequest;
use doorward::track::VisitId;
use gpiocdev::Request;
use gpiocdev::line::Value;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const LABEL: &str = "door-board";
const LINES: usize = 8;
/// A virtual machine without KVM on a busy host is slow to look.
const SLACK: Duration = Duration::from_millis(1500);

/// A simulated chip; gone when dropped.
struct Chip {
    folder: PathBuf,
}

impl Chip {
    fn new() -> Self {
        let folder = PathBuf::from("/sys/kernel/config/gpio-sim/door");
        fs::create_dir_all(folder.join("bank/line3")).unwrap();
        fs::write(folder.join("bank/label"), LABEL).unwrap();
        fs::write(folder.join("bank/num_lines"), LINES.to_string()).unwrap();
        fs::write(folder.join("bank/line3/name"), "DOOR").unwrap();
        let chip = Self { folder };
        chip.plug(true);
        chip
    }

    fn plug(&self, there: bool) {
        fs::write(self.folder.join("live"), if there { "1" } else { "0" }).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap().trim().to_owned()
    }

    /// `gpiochip0`
    fn name(&self) -> String {
        self.read("bank/chip_name")
    }

    /// The wire's level.
    fn level(&self, line: usize) -> bool {
        let device = PathBuf::from("/sys/devices/platform").join(self.read("dev_name"));
        let value = device.join(self.name()).join(format!("sim_gpio{line}/value"));
        match fs::read_to_string(&value).unwrap().trim() {
            "0" => false,
            "1" => true,
            other => panic!("{other}"),
        }
    }

    /// `pull-up` or `pull-down`: the level of a line that nobody drives.
    fn pull(&self, line: usize, pull: &str) {
        let device = PathBuf::from("/sys/devices/platform").join(self.read("dev_name"));
        fs::write(device.join(self.name()).join(format!("sim_gpio{line}/pull")), pull).unwrap();
    }

    /// Waits for a level, and tells when it came.
    fn wait_for(&self, line: usize, level: bool) -> Instant {
        let started = Instant::now();
        while self.level(line) != level {
            assert!(started.elapsed() < Duration::from_secs(60), "line {line} never became {level}");
            std::thread::sleep(Duration::from_millis(1));
        }
        Instant::now()
    }
}

impl Drop for Chip {
    fn drop(&mut self) {
        let _ = fs::write(self.folder.join("live"), "0");
        for folder in ["bank/line3", "bank", ""] {
            let _ = fs::remove_dir(self.folder.join(folder));
        }
    }
}

/// The `doorward` program with a relay of these keys.
fn doorward(arguments: &[&str], relay: &str) -> Command {
    let config = format!("/tmp/doorward-{}.toml", arguments.join("-").replace('/', "-"));
    fs::write(&config, format!("[action.door]\ntype = \"relay\"\n{relay}\n")).unwrap();
    let mut command = Command::new("doorward");
    command.args(arguments).args(["--config", &config]).stdin(Stdio::null());
    command
}

fn test_door(relay: &str) -> Command {
    doorward(&["actions", "test", "door"], relay)
}

/// Started, and the line is on.
fn on(chip: &Chip, relay: &str) -> (Child, Instant) {
    let child = test_door(relay).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let since = chip.wait_for(3, true);
    (child, since)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

fn actions(relay: &str) -> Actions {
    let config: ActionConfig = from_toml(&format!("type = 'relay'\n{relay}")).unwrap_or_else(|error| panic!("{error}"));
    Actions::new(&BTreeMap::from([("door".to_owned(), config)]), None, None).unwrap()
}

fn request() -> ActionRequest {
    let nil = uuid::Uuid::nil();
    ActionRequest {
        action: "door".into(),
        event: EventKind::Recognition,
        rule: "r".into(),
        detector: DetectorName::new("d").unwrap(),
        visit: VisitId(nil),
        sighting: nil,
        person: None,
        seen_at: "2026-06-10T10:00:00Z".parse().unwrap(),
        key: "KEY".into(),
        inputs: serde_json::json!({}),
        picture: None,
        late: false,
        expires_at: Some(Instant::now() + Duration::from_secs(30)),
    }
}

#[test]
fn a_pulse_is_as_long_as_it_should_be() {
    let chip = Chip::new();
    for pulse in [100, 500, 2000] {
        let (child, since) = on(&chip, &format!("chip = \"{LABEL}\"\nline = 3\npulse_ms = {pulse}"));
        let held = chip.wait_for(3, false) - since;
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        println!("a pulse of {pulse} ms was {} ms: {}", held.as_millis(), text(&output).replace('\n', " "));
        // Seen from outside, so the beginning is seen late.
        let wanted = Duration::from_millis(pulse);
        assert!(held + SLACK >= wanted && held <= wanted + SLACK, "{held:?} for {pulse} ms");
        let said = text(&output);
        let told: u64 = said.split("on for ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap();
        assert!(told >= pulse, "{said}");
    }
}

#[test]
fn the_line_is_found_by_path_name_label_and_its_own_name() {
    let chip = Chip::new();
    let path = format!("/dev/{}", chip.name());
    for place in [
        format!("chip = \"{path}\"\nline = 3"),
        format!("chip = \"{}\"\nline = 3", chip.name()),
        format!("chip = \"{LABEL}\"\nline = \"DOOR\""),
        "line = \"DOOR\"".to_owned(),
    ] {
        let (child, _) = on(&chip, &format!("{place}\npulse_ms = 500"));
        chip.wait_for(3, false);
        assert!(child.wait_with_output().unwrap().status.success(), "{place}");
    }
    for (place, problem) in [
        (format!("chip = \"{LABEL}\"\nline = 8"), format!("{path} has lines 0 to 7, not 8")),
        (format!("chip = \"{LABEL}\"\nline = \"GATE\""), "no chip has a line GATE".to_owned()),
        ("chip = \"gate-board\"\nline = 1".to_owned(), "there is no GPIO chip `gate-board`".to_owned()),
    ] {
        let output = test_door(&place).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output).contains(&problem), "{}", text(&output));
    }
}

#[test]
fn held_from_the_start_the_line_is_off_whichever_level_that_is() {
    let chip = Chip::new();
    for (more, off) in [("", false), ("active_low = true", true)] {
        let actions = actions(&format!("line = 'DOOR'\npulse_ms = 300\n{more}"));
        assert!(actions.hold_lines().is_empty());
        assert_eq!(chip.level(3), off, "{more}");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let pulse = runtime.block_on(async {
            let seen = async {
                while chip.level(3) == off {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::join!(actions.perform(request()), seen).0
        });
        assert_eq!((pulse.result, chip.level(3)), (ActionResult::Done, off));
    }
}

#[test]
fn killed_in_the_middle_of_a_pulse_the_line_goes_back_to_the_kernel() {
    let chip = Chip::new();
    let place = "line = \"DOOR\"\npulse_ms = 60000\nlongest_ms = 60000";
    let (mut child, since) = on(&chip, place);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    // This driver lets go of the level as well; another may not.
    let after = chip.wait_for(3, false) - since;
    println!("killed (kill -9): {status}, off {} ms after it was on", after.as_millis());
    assert!(after < Duration::from_secs(50));
    // Nobody has it any more.
    let (child, _) = on(&chip, "line = \"DOOR\"\npulse_ms = 100");
    assert!(child.wait_with_output().unwrap().status.success());
}

#[test]
fn ended_in_the_middle_of_a_pulse_it_is_switched_off() {
    let chip = Chip::new();
    let place = "line = \"DOOR\"\npulse_ms = 60000\nlongest_ms = 60000";
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (child, since) = on(&chip, place);
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        let off = chip.wait_for(3, false) - since;
        let output = child.wait_with_output().unwrap();
        println!("{signal}: {}, off {} ms after it was on: {}", output.status, off.as_millis(), text(&output).trim());
        assert!(off < Duration::from_secs(50), "it waited for the pulse");
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    }
    // Whoever gives up while the line stays held: it is inactive, not merely let go (its pull says otherwise).
    chip.pull(3, "pull-up");
    let actions = actions(&place.replace('"', "'"));
    assert!(actions.hold_lines().is_empty() && !chip.level(3));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let on = async {
            while !chip.level(3) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        tokio::select! {
            outcome = actions.perform(request()) => panic!("{outcome:?}"),
            () = on => {}
        }
    });
    assert!(!chip.level(3));
    drop(actions);
    assert!(chip.level(3), "let go, it follows its pull");
}

#[test]
fn a_line_that_somebody_has_is_told_with_who_has_it() {
    let chip = Chip::new();
    let path = format!("/dev/{}", chip.name());
    let mut other = Request::builder();
    let other =
        other.on_chip(&path).with_line(3).with_consumer("the-other-program").as_output(Value::Inactive).request();
    let problem = format!("line 3 (DOOR) of {path} is taken by `the-other-program`");
    for output in
        [test_door("line = \"DOOR\"").output().unwrap(), doorward(&["check"], "line = \"DOOR\"").output().unwrap()]
    {
        assert!(!output.status.success() && text(&output).contains(&problem), "{}", text(&output));
    }
    let actions = actions("line = 'DOOR'\npulse_ms = 10");
    let lines = actions.hold_lines();
    assert!(lines.len() == 1 && lines[0].0 == "door" && lines[0].1.contains(&problem), "{lines:?}");
    // When it is free again, so is the relay, without a restart.
    drop(other.unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime.block_on(actions.perform(request())).result, ActionResult::Done);
    // Held by a doorward, another one is told so.
    let output = test_door("line = \"DOOR\"").output().unwrap();
    assert!(text(&output).contains("is held by a doorward that is running (`doorward door`)"), "{}", text(&output));
}

#[test]
fn requests_that_overlap_leave_no_gap() {
    let chip = Chip::new();
    let actions = actions("line = 'DOOR'\npulse_ms = 1000");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let held = runtime.block_on(async {
        let later = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            actions.perform(request()).await
        };
        let watch = async {
            while !chip.level(3) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let since = Instant::now();
            while chip.level(3) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            since.elapsed()
        };
        let (first, second, held) = tokio::join!(actions.perform(request()), later, watch);
        assert_eq!((first.result, second.result), (ActionResult::Done, ActionResult::Done));
        held
    });
    println!("two pulses of 1000 ms, 500 ms apart: on for {} ms", held.as_millis());
    assert!(held + Duration::from_millis(400) >= Duration::from_millis(1500), "{held:?}");
}

#[test]
fn a_chip_that_is_pulled_out_and_put_back_works_again() {
    let chip = Chip::new();
    let actions = actions("line = 'DOOR'\npulse_ms = 10");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let perform = || runtime.block_on(actions.perform(request())).result;
    assert_eq!(perform(), ActionResult::Done);
    chip.plug(false);
    let ActionResult::Failed { reason } = perform() else { panic!("there is no chip") };
    println!("pulled out: {reason}");
    chip.plug(true);
    assert_eq!(perform(), ActionResult::Done);
}
