//! Delivery when everything fails: the real agent against engines that misbehave, clocks that step, and kill -9.

mod answers;
mod clocks;
mod erased;
#[allow(dead_code)] // what the client's own tests need of it
#[path = "../identities_client/fake.rs"]
mod fake;
mod faults;
mod guard;
mod login;
mod nearest;
mod proxy;
#[path = "../support/mod.rs"]
mod support;
mod weak;

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use chrono::Utc;
use doorward::config::OutboxConfig;
use doorward::outbox::Outbox;
use rusqlite::{Connection, OpenFlags};
use support::sightings::sighting;
use support::{Running, doorward, recording};

/// One box: its folder with configuration, recording, state and log.
struct Site {
    folder: tempfile::TempDir,
}

/// A row of the ledger.
#[derive(Debug, Clone)]
struct Shot {
    sighting: String,
    seen_ms: i64,
    outcome: Option<String>,
    reason: Option<String>,
    tries: u32,
    late: bool,
}

impl Site {
    /// `main` is the main file but for what every box has; the detector `door` replays `folder/recording`.
    fn new(main: &str, detector: &str) -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap() };
        let folder = site.path("");
        let config = format!(
            "state_dir = \"{0}/state\"\n[status]\nlisten = \"off\"\n[log]\nformat = \"json\"\n\
             filter = \"info,doorward::agent=debug\"\n{main}",
            folder.display()
        );
        let detector = format!(
            "time_zone = \"Europe/Helsinki\"\n[camera]\ntype = \"replay\"\npath = \"{}/recording\"\n{detector}",
            folder.display()
        );
        std::fs::create_dir(site.path("detectors")).unwrap();
        std::fs::write(site.path("doorward.toml"), config).unwrap();
        std::fs::write(site.path("detectors/door.toml"), detector).unwrap();
        site
    }

    /// One where nobody comes.
    fn empty(main: &str) -> Self {
        let site = Self::new(main, "");
        recording::nobody(&site.path("recording"));
        site
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    /// Stores so many sightings, as an outage before a restart would have left them.
    async fn store(&self, sightings: u64) {
        let outbox = Outbox::open(&self.path("state"), &OutboxConfig::default()).unwrap();
        for n in 0..sightings {
            let seen_at = Utc::now() - Duration::from_secs(60 * (sightings - n));
            outbox.accept(&sighting(n, seen_at, 2000)).await.unwrap();
        }
    }

    fn command(&self) -> Command {
        let mut command = doorward();
        let log = OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        command
            .args(["run", "--config"])
            .arg(self.path("doorward.toml"))
            .stderr(log)
            .stdout(std::process::Stdio::null());
        command
    }

    fn agent(&self) -> Running {
        Running(self.command().spawn().unwrap())
    }

    /// Whether the agent, the `life`th of this site, has looked at every frame of its recording: the thread that does
    /// has come and gone.
    fn has_searched(&self, agent: &Running, life: usize) -> bool {
        let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
        let begun = log.matches("\"watching\"").count() >= life;
        let threads = Path::new("/proc").join(agent.0.id().to_string()).join("task");
        let names = std::fs::read_dir(threads).unwrap().flatten().map(|task| std::fs::read(task.path().join("comm")));
        begun && !names.flatten().any(|name| name.starts_with(b"detect"))
    }

    fn ledger(&self) -> Option<Connection> {
        let path = self.path("state/outbox/outbox.sqlite");
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags).ok()?;
        db.busy_timeout(Duration::from_secs(5)).unwrap();
        Some(db)
    }

    /// Every sighting that was ever accepted; none before the agent has made its tables.
    fn shots(&self) -> Vec<Shot> {
        let read = || {
            let db = self.ledger()?;
            let mut statement =
                db.prepare("SELECT sighting, seen_ms, outcome, reason, tries, late FROM shot ORDER BY seen_ms").ok()?;
            let shot = |row: &rusqlite::Row<'_>| {
                Ok(Shot {
                    sighting: row.get(0)?,
                    seen_ms: row.get(1)?,
                    outcome: row.get(2)?,
                    reason: row.get(3)?,
                    tries: row.get(4)?,
                    late: row.get(5)?,
                })
            };
            statement.query_map([], shot).ok()?.collect::<Result<Vec<_>, _>>().ok()
        };
        read().unwrap_or_default()
    }

    fn settled(&self) -> usize {
        self.shots().iter().filter(|shot| shot.outcome.is_some()).count()
    }
}

/// The section for an engine at this address, told to be quick about everything.
fn identities(url: &str, more: &str) -> String {
    format!(
        "[identities]\nurl = \"{url}\"\nusername = \"{}\"\npassword = \"{}\"\n{more}\n",
        support::USER,
        support::PASSWORD
    )
}

/// A field of /proc/PID/status in kB, in bytes.
fn memory_of(process: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
