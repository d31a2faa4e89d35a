//! What the black-box tests share: the real binary, the real engine, recordings made on the spot.
#![allow(dead_code, unused_imports)] // each test uses its own part of it

pub mod hang;
pub mod recording;
pub mod rtsp;
pub mod script;
mod shared;
pub mod sightings;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use faces::models::{ModelStore, Role};
pub use shared::shared;

/// The program under test.
pub fn doorward() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("DOORWARD_CONFIG").stdin(Stdio::null());
    command
}

/// Those of these models that are here. Some have a public address alone, which not every machine reaches; one of each
/// role always is here after `make models`.
pub fn here(role: Role, names: &[&'static str]) -> Vec<&'static str> {
    let store = ModelStore::locate(None);
    store.choose(role, "auto").expect("`make models` fetches one model of each role");
    let is_here = |name: &&'static str| match store.choose(role, name) {
        Ok(_) => true,
        Err(error) => {
            eprintln!("{name} was not checked: {error}");
            false
        }
    };
    names.iter().copied().filter(is_here).collect()
}

/// The model that `auto` takes.
pub fn auto(role: Role) -> String {
    ModelStore::locate(None).choose(role, "auto").expect("`make models` fetches one model of each role").name
}

/// Runs a command to its end; a failure shows all it said.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().expect("the program starts");
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// The JSON lines a command prints.
pub fn json_lines(output: &Output) -> Vec<serde_json::Value> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}")))
        .collect()
}

/// Waits until `state` holds; after a minute the test fails with what was waited for.
pub fn wait_for<T>(what: &str, mut state: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(reached) = state() {
            return reached;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "waited a minute for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The same for a test that shares its threads with what it waits for.
pub async fn until(what: &str, mut state: impl FnMut() -> bool) {
    let started = Instant::now();
    while !state() {
        assert!(started.elapsed() < Duration::from_secs(60), "waited a minute for {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A child that is killed when the test ends, however it ends.
pub struct Running(pub Child);

impl Running {
    /// SIGKILL: what a power cut looks like to the process.
    pub fn kill(mut self) {
        self.0.kill().expect("the child is there");
        self.0.wait().expect("the child can be waited for");
    }

    /// SIGTERM, and the way it ended.
    pub fn stop(mut self) -> std::process::ExitStatus {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.0.id() as i32), nix::sys::signal::SIGTERM).unwrap();
        wait_for("the process to stop", || self.0.try_wait().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A real engine on a free port, with a user for the agent.
pub struct Engine {
    pub url: String,
    pub data: tempfile::TempDir,
    pub password_file: PathBuf,
    running: Option<Running>,
}

/// The user every test's agent logs in as; it may also enrol.
pub const USER: &str = "test-edge";
pub const PASSWORD: &str = "a test's own password";

impl Engine {
    /// Starts one with an empty data folder.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with these variables in its environment.
    pub fn start_with(variables: &[(&str, PathBuf)]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let password_file = data.path().join("password");
        std::fs::write(&password_file, PASSWORD).unwrap();
        run(doorward()
            .args(["engine", "user", "add", "--username", USER, "--role", "Administrator", "--data"])
            .arg(data.path().join("engine"))
            .arg("--password-file")
            .arg(&password_file));
        let (running, url) = serve(&data.path().join("engine"), "127.0.0.1:0", variables);
        Self { url, data, password_file, running: Some(running) }
    }

    /// Enrols a photo as a new person and gives the person's id.
    pub fn enroll(&self, photo: &Path, first_name: &str, tags: &[&str]) -> String {
        enrolled(&run(&mut self.enrolling(photo, first_name, tags)))
    }

    /// The same; `None` when the face is that of somebody who is enrolled.
    pub fn enroll_unless_known(&self, photo: &Path, first_name: &str) -> Option<String> {
        let output = self.enrolling(photo, first_name, &[]).output().expect("the program starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() || said.contains("already"), "{said}");
        output.status.success().then(|| enrolled(&output))
    }

    fn enrolling(&self, photo: &Path, first_name: &str, tags: &[&str]) -> Command {
        let mut command = doorward();
        command.args([
            "identities",
            "enroll",
            "--json",
            "--username",
            USER,
            "--url",
            &self.url,
            "--first-name",
            first_name,
        ]);
        command.arg("--photo").arg(photo).arg("--password-file").arg(&self.password_file);
        for tag in tags {
            command.args(["--tag", tag]);
        }
        command
    }

    /// The `[identities]` section for this engine, or for something in front of it.
    pub fn section(&self, url: &str) -> String {
        format!("[identities]\nurl = \"{url}\"\nusername = \"{USER}\"\npassword = \"{PASSWORD}\"\n")
    }

    /// Stops and starts it again on the same data and address.
    pub fn restart(&mut self) {
        drop(self.running.take());
        let address = self.url.trim_start_matches("http://").to_string();
        self.running = Some(serve(&self.data.path().join("engine"), &address, &[]).0);
    }

    pub fn stop(&mut self) {
        drop(self.running.take());
    }
}

/// The person's id that an enrolment prints.
fn enrolled(output: &Output) -> String {
    let answer = json_lines(output).remove(0);
    answer["person_id"].as_str().unwrap_or_else(|| panic!("no person id in {answer}")).to_string()
}

/// The engine with the data of this folder, and its address.
pub fn serve(data: &Path, listen: &str, variables: &[(&str, PathBuf)]) -> (Running, String) {
    let mut command = doorward();
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    command.args(["engine", "serve", "--listen", listen, "--data"]).arg(data);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let running = Running(child);
    let url = loop {
        let line = lines.next().expect("the engine says where it listens").unwrap();
        if let Some(at) = line.find("listening on ") {
            break line[at + "listening on ".len()..].trim().to_string();
        }
    };
    // Somebody must keep reading, or the engine would one day block on a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    (running, url)
}
