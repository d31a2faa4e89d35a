//! One outbox from within: every step goes to the disk, or to memory while the disk takes nothing.
//!
//! In: the calls of [`Outbox`](super::Outbox), one at a time. Out: their results. It keeps disk, memory and the order
//! of sending in step; what each of them does is their own business.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use telemetry::Repeated;
use uuid::Uuid;

use super::disk::Disk;
use super::error::{OutboxError, storage};
use super::memory::{self, Memory, STEP_OWN_BYTES};
use super::open::{self, Look};
use super::queue::{Bounds, Entry, Queue, Turn};
use super::record::{self, Stored};
use super::seal::Kind;
use super::store::{Place, Store, count};
use super::terms::{Accepted, Answered, DropReason, Dropped, Figures, Presence, Queued, Settled};
use super::{history, ledger, quarantine, schema};
use crate::config::OutboxConfig;
use crate::crop::Sighting;
use crate::rules::ActionRequest;
use crate::visits::{ActionResult, Visit};

pub struct Inner {
    pub disk: Disk,
    pub memory: Memory,
    /// What is stored, as far as the order of sending needs it; changed only after a commit.
    pub queue: Queue,
    /// Dropped outside `accept`; told by the next `tidy`.
    dropped: Vec<Dropped>,
    /// The queue has not been read from the file that is open now.
    stale: bool,
    failures: Repeated,
    /// What was accepted since the group began whose end is not on the disk yet; `None` outside a group.
    group: Option<Vec<Sighting>>,
    /// Disk space may be given back.
    spare: bool,
    /// The failure at hand has been logged; so will its end.
    told: bool,
}

/// How long a sighting the disk would not give waits until it is asked for again.
const READ_AGAIN: Duration = Duration::from_secs(2);

impl Inner {
    pub fn open(state_dir: &Path, config: &OutboxConfig) -> Result<Self, OutboxError> {
        let mut inner = Self {
            disk: Disk::new(state_dir.into(), config.clone()),
            memory: Memory::default(),
            queue: Queue::default(),
            dropped: Vec::new(),
            stale: true,
            failures: Repeated::default(),
            group: None,
            spare: false,
            told: false,
        };
        let opened = inner.disk.open(Look::Pages).and_then(|_| inner.reload());
        inner.unless_the_disk_failed(opened)?;
        Ok(inner)
    }

    /// A sighting younger than this is live.
    fn late_after(&self) -> Duration {
        Duration::from_millis(self.disk.config.late_after_ms)
    }

    /// Does something on the disk; `None` when it takes nothing. `operation` is what could not be done when it fails.
    pub fn on_disk<T>(
        &mut self,
        operation: &'static str,
        work: impl FnOnce(&mut Store) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, OutboxError> {
        let Some(store) = self.disk.working() else { return Ok(None) };
        let done = work(store).map_err(storage(operation));
        self.unless_the_disk_failed(done)
    }

    /// `None` for what the disk did not take, which is its fault and will pass.
    fn unless_the_disk_failed<T>(&mut self, done: Result<T, OutboxError>) -> Result<Option<T>, OutboxError> {
        match done {
            Err(error) if error.is_disk() => {
                self.failed(&error);
                Ok(None)
            }
            done => done.map(Some),
        }
    }

    /// Does something on the disk, or remembers that it is to be done there, for which memory takes about so many
    /// bytes.
    fn on_disk_or_later(
        &mut self,
        operation: &'static str,
        bytes: usize,
        write: impl Fn(&mut Store) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<(), OutboxError> {
        if self.on_disk(operation, &write)?.is_none() {
            self.memory.note(bytes, write);
        }
        Ok(())
    }

    /// Stores a sighting on the disk, or in memory where the disk does not take it.
    pub fn accept(&mut self, sighting: &Sighting, now: DateTime<Utc>) -> Accepted {
        if self.queue.get(sighting.id).is_some() {
            return Accepted::default();
        }
        let instant = Instant::now();
        let entry = |bytes| {
            let entry = Entry::new(sighting.id, sighting.visit, sighting.shot, bytes, now);
            entry.seen(sighting.arrived, instant)
        };
        let Some(store) = self.disk.working() else {
            return self.remember(sighting, entry(record::expected_size(sighting)), now);
        };
        let sealed = record::seal(sighting, &store.sealer, Kind::Sighting);
        let new = entry(record::size(&sealed));
        let config = &self.disk.config;
        let bounds = Bounds { bytes: config.max_bytes, sightings: config.max_sightings as usize };
        let room = self.queue.make_room(&new, bounds, instant, self.late_after());
        let place = match room.refused {
            None => Place::Stored(&sealed),
            Some(worth) => Place::Ended(DropReason::Full(worth)),
        };
        let ended: Vec<_> =
            room.victims.iter().map(|(id, tries, worth)| (*id, *tries, DropReason::Full(*worth))).collect();
        let accept = |store: &mut Store| store.accept(sighting, &place, &ended, now);
        let taken = self.on_disk("store a sighting", accept).unwrap_or_else(|error| {
            // A mistake, of ours or of somebody else who writes to the file: a face must not be lost for it.
            tracing::error!(error = &error as &dyn std::error::Error, "a sighting is kept in memory");
            None
        });
        let Some(taken) = taken else { return self.remember(sighting, new, now) };
        let Some(taken) = taken else { return Accepted::default() };
        for (id, ..) in ended {
            self.queue.remove(id);
        }
        if let Some((seq, _)) = taken.place {
            self.queue.insert(seq, new);
            self.group.iter_mut().for_each(|group| group.push(sighting.clone()));
        }
        count(&taken.dropped);
        Accepted { new: true, dropped: taken.dropped }
    }

    /// What is asked from here on shares one wait for the disk; false where that is not to be had.
    pub fn begin_group(&mut self) -> bool {
        let began = self.on_disk("write to the outbox", |store| schema::sync_at_commit(&store.db, false));
        let began = matches!(began, Ok(Some(())));
        self.group = began.then(Vec::new);
        began
    }

    /// Waits for the disk. Where that fails, what was accepted may or may not be on it: memory holds it until it is.
    pub fn end_group(&mut self) {
        let group = self.group.take().unwrap_or_default();
        let ended = self.on_disk("write to the outbox", |store| store.sync());
        if !matches!(ended, Ok(Some(()))) {
            for sighting in group.iter().filter(|sighting| self.queue.only_in_memory(sighting.id)) {
                self.memory.keep(sighting);
            }
        }
    }

    /// Memory takes it, and makes room for it among what only memory holds.
    fn remember(&mut self, sighting: &Sighting, mut new: Entry, now: DateTime<Utc>) -> Accepted {
        let on_disk = self.disk.readable().and_then(|store| store.knows(sighting.id).ok());
        if self.memory.has_seen(sighting.id) || on_disk == Some(true) {
            return Accepted::default();
        }
        new.in_memory = true;
        let room = self.queue.make_room(&new, memory::WAITING, Instant::now(), self.late_after());
        self.memory.keep(sighting);
        let mut gone = Vec::new();
        for (id, tries, _) in room.victims {
            gone.extend(self.queue.remove(id));
            self.memory.dropped(id, tries, DropReason::Memory, now);
        }
        if room.refused.is_some() {
            self.memory.dropped(sighting.id, 0, DropReason::Memory, now);
            gone.push(new);
        } else {
            self.queue.insert(self.queue.beyond().max(memory::FIRST_SEQ), new);
        }
        let dropped: Vec<_> = gone.iter().map(|entry| told(entry, DropReason::Memory)).collect();
        count(&dropped);
        Accepted { new: true, dropped }
    }

    pub fn next(&mut self, now: Instant, turn: Turn) -> Result<Option<Queued>, OutboxError> {
        let mut readable = self.disk.readable().is_some();
        loop {
            let (late_after, drain) = (self.late_after(), self.disk.config.drain);
            let within = |entry: &Entry| readable || entry.in_memory;
            let taken = self.queue.take(now, late_after, drain, turn, within);
            let Some((id, arrived, tries)) = taken else { return Ok(None) };
            if let Some(sighting) = self.memory.get(id) {
                return Ok(Some(Queued { sighting: sighting.clone(), tries }));
            }
            match self.disk.readable().map(|store| store.read(id, arrived)) {
                Some(Ok(Stored::Sighting(sighting))) => return Ok(Some(Queued { sighting: *sighting, tries })),
                Some(Ok(Stored::Unreadable)) => self.discard(&[(id, tries)], DropReason::Unreadable)?,
                Some(Ok(Stored::Gone)) => {
                    let erased = self.queue.remove(id).map(|entry| told(&entry, DropReason::Erased));
                    self.tell_later(erased.into_iter().collect());
                }
                // Not its fault: it stays, and what memory holds goes first.
                unread => {
                    self.queue.put_back(id, now + READ_AGAIN);
                    readable = false;
                    if let Some(error) = unread.and_then(Result::err) {
                        self.unless_the_disk_failed(Err::<(), _>(storage("read a sighting")(error)))?;
                    }
                }
            }
        }
    }

    pub fn answered(&mut self, answered: Answered, now: DateTime<Utc>) -> Result<Settled, OutboxError> {
        let (sighting, outcome) = (answered.sighting, answered.outcome);
        let tries = self.queue.get(sighting).map_or(0, |entry| entry.tries);
        let settled = self.on_disk("record an answer", |store| store.answered(&answered, tries, now))?;
        let Some(entry) = self.queue.remove(sighting) else { return Ok(settled.unwrap_or_default()) };
        let settled = settled.unwrap_or_else(|| self.answered_in_memory(answered, tries, now));
        if settled.first {
            self.queue.told(entry.visit, outcome.as_str());
            metrics::counter!("doorward_outbox_answered_total", "outcome" => outcome.as_str()).increment(1);
        }
        Ok(settled)
    }

    fn answered_in_memory(&mut self, mut answered: Answered, tries: u32, now: DateTime<Utc>) -> Settled {
        let planned = self.plan_in_memory(&mut answered.requests);
        let see = self.memory.take(answered.sighting, now);
        let texts = answered.judged.iter().map(|judged| &judged.rules);
        let bytes = memory::bytes_of(texts.chain(answered.requests.iter().map(|request| &request.inputs)))
            + STEP_OWN_BYTES * (1 + 2 * answered.refused.len());
        self.memory.note(bytes, move |store| {
            see(store)?;
            store.answered(&answered, tries, now).map(drop)
        });
        Settled { first: true, planned }
    }

    pub fn presence(&mut self, mut presence: Presence, now: DateTime<Utc>) -> Result<Vec<String>, OutboxError> {
        if let Some(planned) = self.on_disk("record who is present", |store| store.presence(&presence, now))? {
            return Ok(planned);
        }
        let planned = self.plan_in_memory(&mut presence.requests);
        let texts = presence.stays.iter().chain(presence.judged.iter().map(|judged| &judged.rules));
        let bytes = memory::bytes_of(texts.chain(presence.requests.iter().map(|request| &request.inputs)));
        self.memory.note(bytes, move |store| store.presence(&presence, now).map(drop));
        Ok(planned)
    }

    /// See [`Outbox::postpone`](super::Outbox::postpone).
    pub fn postpone(&mut self, sighting: Uuid, until: Instant, reason: &str) -> Result<(), OutboxError> {
        match self.queue.postpone(sighting, until) {
            // Every try would cost a write; the first and then ever fewer tell enough.
            Some(tries) if tries.is_power_of_two() => {
                let note = |store: &mut Store| history::shot_waits(&store.db, sighting, tries, reason);
                self.on_disk("note why a sighting waits", note).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// A claimed action ended.
    pub fn finish(&mut self, key: String, result: ActionResult, now: DateTime<Utc>) -> Result<(), OutboxError> {
        self.on_disk_or_later("record the end of an action", key.len(), move |store| {
            ledger::finish(&store.db, &key, &result, now).map(drop)
        })
    }

    /// A visit is over.
    pub fn visit_closed(&mut self, visit: Arc<Visit>, now: DateTime<Utc>) -> Result<(), OutboxError> {
        let bytes = STEP_OWN_BYTES * (visit.shots.len() + visit.actions.len());
        self.on_disk_or_later("record a visit", bytes, move |store| store.visit_closed(&visit, now))
    }

    /// Leaves of the actions those that have not been planned before, as far as memory and a disk that can be read
    /// tell; gives their keys.
    fn plan_in_memory(&mut self, actions: &mut Vec<ActionRequest>) -> Vec<String> {
        actions.retain(|ActionRequest { key, .. }| {
            let new = self.memory.may_claim(key).is_none() && self.state_on_disk(key).flatten().is_none();
            if new {
                self.memory.planned(key);
            }
            new
        });
        actions.iter().map(|action| action.key.clone()).collect()
    }

    /// What a disk that can be read says an action is at.
    fn state_on_disk(&self, key: &str) -> Option<Option<String>> {
        self.disk.readable().and_then(|store| ledger::state(&store.db, key).ok())
    }

    pub fn claim(&mut self, key: String) -> Result<bool, OutboxError> {
        let may = match self.memory.may_claim(&key) {
            Some(may) => may,
            None => match self.on_disk("claim an action", |store| ledger::claim(&store.db, &key))? {
                Some(claimed) => return Ok(claimed),
                // It was planned, or nobody would ask; whether it has been claimed a disk that can be read still tells.
                None => self.state_on_disk(&key).is_none_or(|state| state.as_deref() == Some("planned")),
            },
        };
        if may {
            self.memory.claimed(key);
        }
        Ok(may)
    }

    /// Ends sightings without an answer, in one step.
    pub fn discard(&mut self, sightings: &[(Uuid, u32)], reason: DropReason) -> Result<(), OutboxError> {
        let now = Utc::now();
        let on_disk = self.on_disk("drop a sighting", |store| store.discard(sightings, reason, now))?;
        let entries: Vec<_> = sightings.iter().filter_map(|(id, _)| self.queue.remove(*id)).collect();
        let dropped = on_disk.unwrap_or_else(|| {
            sightings.iter().for_each(|(id, tries)| self.memory.dropped(*id, *tries, reason, now));
            entries.iter().map(|entry| told(entry, reason)).collect()
        });
        self.tell_later(dropped);
        Ok(())
    }

    /// Counts what has ended, and keeps it for the next [`tidy`](Self::tidy).
    fn tell_later(&mut self, dropped: Vec<Dropped>) {
        count(&dropped);
        self.dropped.extend(dropped);
    }

    /// See [`Outbox::tidy`](super::Outbox::tidy); without giving disk space back.
    pub fn tidy(&mut self, now: DateTime<Utc>) -> Result<Vec<Dropped>, OutboxError> {
        let max_age = Duration::from_secs(u64::from(self.disk.config.max_age_hours) * 3600);
        let old = self.queue.older_than(max_age, now, Instant::now());
        // Many small transactions: an outage that ends must not hold up a visitor.
        for batch in old.chunks(32) {
            self.discard(batch, DropReason::TooOld)?;
        }
        let history = TimeDelta::days(self.disk.config.history_days.into());
        let folder = open::directory(&self.disk.state_dir);
        if self.on_disk("forget what is beyond its time", |store| store.forget(now, history))?.is_some() {
            let expired = quarantine::expire(&folder, now, history);
            self.unless_the_disk_failed(expired)?;
        }
        self.spare = self.queue.len() == 0;
        Ok(std::mem::take(&mut self.dropped))
    }

    /// A little of what can wait until nobody asks for anything; true while there is more of it.
    pub fn works_when_idle(&mut self) -> bool {
        if !std::mem::take(&mut self.spare) {
            return false;
        }
        let given = self.on_disk("give disk space back", |store| schema::give_back(&store.db));
        self.spare = matches!(given, Ok(Some(true)));
        if !self.spare
            && let Err(error) = self.on_disk("empty the write-ahead log", |store| schema::empty_log(&store.db))
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "the outbox's log stays as long as it is");
        }
        self.spare
    }

    /// Tries the disk again, where that is due, and writes what it has missed.
    pub fn recover(&mut self) {
        if !self.disk.is_due(Instant::now()) {
            return;
        }
        match self.write_missed() {
            Ok(true) => {
                self.disk.recovered();
                if std::mem::take(&mut self.told) {
                    tracing::info!(sightings = self.queue.len(), "the outbox is on disk again");
                }
            }
            // The rest with the next call: a visitor must not wait for all of it.
            Ok(false) => {}
            Err(error) => self.failed(&error),
        }
    }

    fn write_missed(&mut self) -> Result<bool, OutboxError> {
        if let Some(look) = self.disk.needs_opening() {
            self.disk.close();
            self.stale |= self.disk.open(look)?;
        }
        let Some(store) = &mut self.disk.store else { return Ok(false) };
        store.probe().map_err(storage("write to the outbox"))?;
        if !self.memory.write_steps(store)? {
            return Ok(false);
        }
        self.reload()?;
        let Some(store) = &mut self.disk.store else { return Ok(false) };
        self.memory.write_waiting(store, &mut self.queue)
    }

    /// Reads the queue from the file, where it is another one than before.
    fn reload(&mut self) -> Result<(), OutboxError> {
        let Some(store) = self.disk.store.as_mut().filter(|_| self.stale) else { return Ok(()) };
        let mut found = Queue::default();
        store.load(&mut found).map_err(storage("read the queue"))?;
        let lost = self.queue.reconcile(found);
        self.stale = false;
        let ids: Vec<_> = lost.iter().map(|entry| (entry.id, entry.tries)).collect();
        // Those whose history was saved get their end there.
        store.discard(&ids, DropReason::Damaged, Utc::now()).map_err(storage("drop a sighting"))?;
        self.tell_later(lost.iter().map(|entry| told(entry, DropReason::Damaged)).collect());
        Ok(())
    }

    fn failed(&mut self, error: &OutboxError) {
        let now = Instant::now();
        let first = self.disk.failed(error, now);
        metrics::counter!("doorward_outbox_disk_failures_total").increment(1);
        if first && let Some(line) = self.failures.note(now, self.disk.problem().unwrap_or_default()) {
            tracing::error!("the disk does not take what the outbox stores, going on in memory until it does: {line}");
            self.told = true;
        }
    }

    pub fn figures(&self) -> Figures {
        let figures = Figures {
            sightings: self.queue.len(),
            bytes: self.queue.bytes(),
            in_memory: self.memory.waiting(),
            oldest: self.queue.oldest(),
            next_due: self.queue.next_due(),
            problem: self.disk.problem().map(str::to_owned),
        };
        metrics::gauge!("doorward_outbox_sightings").set(figures.sightings as f64);
        metrics::gauge!("doorward_outbox_bytes").set(figures.bytes as f64);
        metrics::gauge!("doorward_outbox_memory_sightings").set(figures.in_memory as f64);
        figures
    }
}

/// A sighting that ended while the disk could not tell its detector.
fn told(entry: &Entry, reason: DropReason) -> Dropped {
    Dropped { sighting: entry.id, visit: entry.visit, detector: String::new(), reason }
}
