//! What an engine does by itself while it serves: erase what is older or more than it may be, follow what a command has
//! changed in its folder, take what was deleted out of the files.
//!
//! In: how long and how much is kept. Out: a data folder that grows no older and no larger, and the audit log's word of
//! it, in numbers. It never touches who is enrolled.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, Transaction};
use telemetry::Repeated;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use wording::with_causes;

use super::engine::{Engine, Inner};
use super::erasing::numbers;
use super::error::Refusal;
use super::store::erase::{self, Erased, Plan};
use super::store::usage::{self, Kind};
use super::store::{Stop, users};

/// How often it is looked whether there is anything to follow or to finish.
const LOOK: Duration = Duration::from_secs(1);

/// How often it is tried to scrub the files once that did not work: who writes waits for it.
const SCRUB: Duration = Duration::from_secs(10);

/// How often what is outdated is erased.
const ERASE: Duration = Duration::from_secs(60);

/// Entries erased in one transaction: requests wait for it.
const AT_ONCE: usize = 500;

/// Strangers that are recognised again at the most, the last seen ones: more would make every request slower.
const STRANGERS: usize = 10_000;

/// Who the audit log says has erased what was outdated.
const NOBODY: &str = "(housekeeping)";

/// How long what was seen is kept, in days; `None` for ever. Who is enrolled stays until somebody erases them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Entries of the history, with their photos.
    pub detections_days: Option<u32>,
    /// Faces nobody knows, from when they were last seen, with what was seen of them.
    pub unknown_days: Option<u32>,
}

/// Keeps house until told to stop.
pub async fn run(engine: Engine, retention: Retention, stopping: CancellationToken) {
    let failures = Repeated::new(Duration::from_secs(3600));
    let mut house = House { engine, retention, written: None, scrubbed: Instant::now(), erased: None };
    loop {
        if let Err(refusal) = house.look().await
            && let Some(line) = failures.note(Instant::now(), told(&refusal))
        {
            error!("housekeeping did not work, trying again: {line}");
        }
        if stopping.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_none() {
            break;
        }
    }
    // Nobody is there to undo it any more.
    if let Err(refusal) = house.engine.finish_erasing(DateTime::<Utc>::MAX_UTC).await {
        error!("what was being erased will be at the next start: {}", told(&refusal));
    }
}

struct House {
    engine: Engine,
    retention: Retention,
    /// At the last look; another number once another process has written.
    written: Option<i64>,
    scrubbed: Instant,
    erased: Option<Instant>,
}

impl House {
    async fn look(&mut self) -> Result<(), Refusal> {
        if self.scrubbed.elapsed() >= SCRUB {
            self.scrubbed = Instant::now();
            let scrub = |inner: &Inner| {
                inner.store.scrub_again();
                Ok(())
            };
            self.engine.blocking(scrub).await?;
        }
        let now = self.engine.blocking(|inner| inner.store.written_elsewhere()).await?;
        if self.written.replace(now).is_some_and(|before| before != now) {
            // Another process may have erased somebody.
            self.engine.erasing(|_| Ok(())).await?;
        }
        let finished = self.engine.finish_erasing(Utc::now()).await;
        if self.erased.is_none_or(|at| at.elapsed() >= ERASE) {
            self.erased = Some(Instant::now());
            erase_outdated(&self.engine, self.retention).await?;
        }
        erase_beyond(&self.engine).await?;
        finished
    }
}

/// Erases the oldest of what was seen where there is more of it than may be kept, in all or of one account.
async fn erase_beyond(engine: &Engine) -> Result<(), Refusal> {
    let most = engine.keep_limits().seen;
    // What makes room is what the fullest account's doors saw.
    let beyond = move |connection: &Connection| {
        let Some(fullest) = usage::fullest(connection, Kind::Seen)? else { return Ok(Plan::default()) };
        let all = usage::of_all(connection, Kind::Seen)?;
        match fullest.bytes.saturating_sub(most / 2).max(all.saturating_sub(most)) {
            0 => Ok(Plan::default()),
            // A little more, not to be back at once.
            beyond => erase::oldest(connection, &fullest.account, beyond + most / 100, AT_ONCE),
        }
    };
    let mut all = 0;
    while any(engine, beyond).await? {
        let erased = engine.erasing_sightings(move |transaction| carry_out(transaction, "eraseBeyondLimit", beyond));
        all += erased.await?.sightings;
    }
    if all > 0 {
        info!(sightings = all, "more was seen than may be kept: the oldest was erased (--keep-detections-mb)");
    }
    Ok(())
}

/// Erases everything that is outdated, some of it at a time.
async fn erase_outdated(engine: &Engine, retention: Retention) -> Result<(), Refusal> {
    let before = |days: Option<u32>| days.and_then(|days| Utc::now().checked_sub_signed(TimeDelta::days(days.into())));
    let (seen, unknown) = (before(retention.detections_days), before(retention.unknown_days));
    let mut all = Erased::default();
    if let Some(time) = seen {
        let outdated = move |connection: &Connection| erase::seen_before(connection, time, AT_ONCE);
        while any(engine, outdated).await? {
            all +=
                engine.erasing_sightings(move |transaction| carry_out(transaction, "eraseOutdated", outdated)).await?;
        }
    }
    let outdated = move |connection: &Connection| erase::outdated_strangers(connection, unknown, STRANGERS, AT_ONCE);
    while any(engine, outdated).await? {
        all += engine.erasing(move |transaction| carry_out(transaction, "eraseOutdated", outdated)).await?;
    }
    if all != Erased::default() {
        info!(sightings = all.sightings, strangers = all.strangers, "what is older than it may be was erased");
    }
    Ok(())
}

/// Whether there is anything of it.
async fn any(
    engine: &Engine,
    plan: impl Fn(&Connection) -> Result<Plan, Stop> + Send + 'static,
) -> Result<bool, Refusal> {
    engine.read("look for what is outdated", move |connection| Ok(!plan(connection)?.is_empty())).await
}

/// Erases it, and says so in the audit log.
fn carry_out(
    transaction: &Transaction,
    operation: &str,
    plan: impl Fn(&Connection) -> Result<Plan, Stop>,
) -> Result<Erased, Stop> {
    let erased = erase::carry_out(transaction, &plan(transaction)?)?;
    users::record_change(transaction, NOBODY, operation, Some(&numbers(&erased)))?;
    Ok(erased)
}

fn told(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Internal(failure) => with_causes(failure),
        other => format!("{other:?}"),
    }
}
