//! The `exec` action: a program of the operator's, without a shell.
//!
//! In: an event, as arguments and environment (templates, each one value whatever it renders to) and as JSON on
//! standard input. Out: done when it exits with 0; else its exit code or signal. It runs in a process group of its own,
//! in a clean environment, and nothing of that group outlives the action: it is ended at the time limit, when the
//! program exits, and when the action is dropped.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::PathBuf;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::Signal;
use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop, ProcessGroup};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::setup::{ActionError, Setup};
use super::template::{Place, Template, context};
use super::{Performed, Undone};
use crate::config::ExecConfig;
use crate::rules::{ActionRequest, EVENT_KEYS};

/// How much of each output stream is kept for `explain`; what comes after is read and dropped.
const OUTPUT_BYTES: usize = 64 << 10;
/// How long a program has from SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_millis(500);
/// After everything of the group was killed, its pipes close at once, unless something left the group and holds them.
const DRAIN: Duration = Duration::from_millis(100);
/// What of the event's person stands in the environment, as it is found in the event; of the rest every key does.
const OF_PERSON: [&str; 2] = ["person/id", "person/name"];

/// A program made ready.
pub struct Exec {
    program: PathBuf,
    args: Vec<Template>,
    env: Vec<(String, Template)>,
    timeout: Duration,
}

/// A running group; dropping it kills what is left of it.
struct Group {
    leader: Box<dyn ChildWrapper>,
    ended: bool,
}

impl Exec {
    /// Finds the program and compiles the templates.
    pub fn new(action: &str, config: &ExecConfig) -> Result<Self, ActionError> {
        let mut setup = Setup::new(action);
        let env = setup.templates("env", &config.env, String::as_str);
        let args = config.args.iter().enumerate();
        let args = args.map(|(n, source)| setup.template(format!("args[{n}]"), source, Place::Text)).collect();
        let program = trusted::program(&config.program).map_err(|problem| setup.fail("program", problem))?;
        setup.finish(Self { program, args, env, timeout: Duration::from_millis(config.timeout_ms) })
    }

    /// Runs it to its end, or to the time limit. What it printed comes back either way.
    pub async fn perform(&self, request: &ActionRequest) -> Performed {
        let started = self.command(request)?.spawn();
        let leader = started.map_err(|error| format!("cannot start {}: {error}", self.program.display()))?;
        self.run(Group { leader, ended: false }).await
    }

    fn command(&self, request: &ActionRequest) -> Result<CommandWrap, String> {
        let event = context(&request.inputs);
        let fill = |template: &Template| match template.fill(&event)? {
            text if text.contains('\0') => {
                Err(template.cannot("a value holds a NUL byte, which no program can be given"))
            }
            text => Ok(text),
        };
        let args = self.args.iter().map(fill).collect::<Result<Vec<_>, _>>()?;
        let env = self.env.iter().map(|(name, template)| Ok((name, fill(template)?)));
        let env = env.collect::<Result<Vec<_>, String>>()?;
        let stdin = input(&request.inputs).map_err(|error| format!("cannot give it the event: {error}"))?;
        let mut command = CommandWrap::with_new(&self.program, |command| {
            command
                .args(args)
                .env_clear()
                .env("PATH", trusted::search_path())
                .envs(environment(&request.inputs))
                .envs(env)
                .stdin(stdin)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
        });
        command.wrap(ProcessGroup::leader()).wrap(KillOnDrop);
        Ok(command)
    }

    async fn run(&self, mut group: Group) -> Performed {
        let end = Instant::now() + self.timeout;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (out, err) = (group.leader.stdout().take(), group.leader.stderr().take());
        let result = {
            // Together with the program, which waits for a full pipe; and no longer than it, because what it started
            // may hold them open.
            let pipes = async { tokio::join!(keep(out, &mut stdout), keep(err, &mut stderr)) };
            let (mut pipes, mut drained) = (pin!(pipes), false);
            let result = {
                let mut ended = pin!(group.end(end, self.timeout));
                loop {
                    tokio::select! {
                        result = &mut ended => break result,
                        _ = &mut pipes, if !drained => drained = true,
                    }
                }
            };
            group.kill();
            if !drained {
                // Not closed even now: what was read so far is what there is.
                let _ = timeout(DRAIN, pipes).await;
            }
            result
        };
        stdout.extend_from_slice(&stderr);
        let said = (!stdout.is_empty()).then(|| String::from_utf8_lossy(&stdout).into_owned());
        match result {
            Ok(()) => Ok(said),
            Err(reason) => Err(Undone { reason, said }),
        }
    }
}

impl Group {
    /// Waits for the leader until `end`; then SIGTERM to the whole group, and SIGKILL to what does not listen.
    async fn end(&mut self, end: Instant, limit: Duration) -> Result<(), String> {
        // The leader alone: waiting for its whole group would wait for whatever it left behind.
        let failed = |error: std::io::Error| format!("cannot learn how it ended: {error}");
        if let Ok(ended) = timeout_at(end, self.leader.inner_mut().wait()).await {
            return success(ended.map_err(failed)?);
        }
        let _ = self.leader.signal(Signal::SIGTERM as i32);
        let over = format!("it did not end within {} ms", limit.as_millis());
        if timeout(GRACE, self.leader.inner_mut().wait()).await.is_ok() {
            return Err(format!("{over} and was ended"));
        }
        let _ = self.leader.start_kill();
        match timeout(GRACE, self.leader.inner_mut().wait()).await {
            Ok(_) => Err(format!("{over} and was killed")),
            Err(_) => Err(format!("{over} and could not be killed: it waits for a device")),
        }
    }

    /// SIGKILL to all that is left. The leader may have been reaped by now, and its number is only free for another
    /// group when nothing is left of this one; numbers are handed out in turn, so not within this moment.
    fn kill(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            // "No such process" is the usual answer: nothing was left.
            let _ = self.leader.start_kill();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether a program ended well; else how it ended.
fn success(status: ExitStatus) -> Result<(), String> {
    if status.success() { Ok(()) } else { Err(trusted::how_it_ended(status)) }
}

/// The event as a program's standard input. All of it is there before the program starts, so that no program ever acts
/// on a part of it, also where doorward is killed at that moment.
fn input(event: &Value) -> io::Result<File> {
    let mut file = File::from(memfd_create(c"event", MFdFlags::MFD_CLOEXEC)?);
    write!(file, "{event}")?;
    file.rewind()?;
    Ok(file)
}

/// Reads to the end, keeping the first [`OUTPUT_BYTES`].
async fn keep(stream: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut stream) = stream else { return };
    let mut chunk = vec![0; 8192];
    while let Ok(length @ 1..) = stream.read(&mut chunk).await {
        let room = OUTPUT_BYTES - kept.len();
        kept.extend_from_slice(&chunk[..length.min(room)]);
    }
}

/// The event as environment variables: `DOORWARD_` and the key, which is empty where that is `null`. A variable cannot
/// hold a NUL byte; standard input has it all.
fn environment(event: &Value) -> impl Iterator<Item = (String, String)> {
    let keys = EVENT_KEYS.into_iter().filter(|key| *key != "person").chain(OF_PERSON);
    keys.map(|key| {
        let value = match event.pointer(&format!("/{key}")) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.replace('\0', ""),
            Some(value) => value.to_string(),
        };
        (format!("DOORWARD_{}", key.replace('/', "_").to_uppercase()), value)
    })
}
