//! Erasing what is stored of a person, of the past, or everything, and looking whether it is gone.
//!
//! In: what to erase. Out: how much was erased, and every file below the state directory in which anything of it is
//! still found. It works beside a running doorward, whose memory it does not reach, and needs no key.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ToSql};

use super::broker_topics::{self, BrokerTopic};
use super::error::{OutboxError, on_file, storage};
use super::wipe::{self, Search, Searched};
use super::{key, open, quarantine, schema, sql};

/// What to erase.
#[derive(Debug, Clone, PartialEq)]
pub enum Selection {
    /// Every visit in which the engine recognised the person of this id.
    Person(String),
    /// Every visit that ended before.
    Before(DateTime<Utc>),
    All,
}

/// How much was erased.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Erased {
    pub visits: usize,
    /// Sightings that waited to be sent.
    pub sightings: usize,
    /// Kept pictures.
    pub pictures: usize,
    pub actions: usize,
    /// Times the person was noted as the nearest to somebody unknown.
    pub nearest: usize,
    /// Databases that had been put aside, the key, and the outbox itself.
    pub files: Vec<PathBuf>,
}

/// An erasure under way.
#[derive(Default)]
pub struct Purge {
    state_dir: PathBuf,
    /// Stands before the lock, so that it is closed first: whoever waits for the lock must not find it in use.
    db: Option<Connection>,
    /// Held so that no doorward starts meanwhile; `None` while one is running.
    lock: Option<File>,
    search: Search,
    visits: BTreeSet<String>,
    /// Detectors whose newest shot was erased.
    newest: BTreeSet<String>,
    broker_topics: Vec<BrokerTopic>,
    erased: Erased,
}

/// How long a running doorward may keep the log from being emptied.
const PATIENCE: Duration = Duration::from_secs(10);

impl Purge {
    pub fn start(state_dir: &Path) -> Result<Self, OutboxError> {
        if !open::directory(state_dir).exists() {
            return Err(OutboxError::Missing { path: open::directory(state_dir) });
        }
        let lock = match open::take_lock(state_dir) {
            Err(OutboxError::InUse { .. }) => None,
            lock => Some(lock?),
        };
        Ok(Self { state_dir: state_dir.into(), lock, ..Self::default() })
    }

    /// Whether a doorward is running on this state directory.
    pub fn beside_a_running_one(&self) -> bool {
        self.lock.is_none()
    }

    /// Sightings nobody knows yet whose they are.
    pub fn unanswered(&self) -> Result<usize, OutboxError> {
        let Some(db) = &self.db else { return Ok(0) };
        let rows = db.query_row("SELECT COUNT(*) FROM sighting", [], |row| row.get::<_, i64>(0));
        rows.map(|rows| rows as usize).map_err(storage("count what waits"))
    }

    /// Erases it from the outbox and everything beside it.
    pub fn erase(&mut self, selection: &Selection) -> Result<&Erased, OutboxError> {
        let whole = *selection == Selection::All && self.lock.is_some();
        match self.connect() {
            // A file nobody can read, or of another version, is erased with everything else.
            Err(error) if whole => tracing::debug!(%error, "the outbox is erased unread"),
            connected => connected?,
        }
        if let Some(mut db) = self.db.take() {
            let erased = sql::transaction(&mut db, |tx| self.erase_rows(tx, selection));
            self.db = Some(db);
            erased.map_err(storage("erase what is stored"))?;
        }
        if let Selection::Person(person) = selection {
            self.search.add(person.as_bytes());
        }
        // What was put aside cannot be told apart by people or time.
        for aside in quarantine::list(&open::directory(&self.state_dir)) {
            quarantine::erase(&aside)?;
            self.erased.files.push(aside.path);
        }
        if whole {
            self.erase_files()?;
        } else {
            self.overwrite()?;
        }
        Ok(&self.erased)
    }

    fn erase_rows(&mut self, tx: &Connection, selection: &Selection) -> rusqlite::Result<()> {
        self.visits = selected(tx, selection)?.into_iter().collect();
        self.newest = newest(tx, &self.visits)?;
        self.broker_topics = broker_topics::read(tx)?;
        self.erased.visits = self.visits.len();
        for visit in &self.visits {
            mark_visit(tx, visit, &mut self.search)?;
            let erase = |table| sql::execute(tx, &format!("DELETE FROM {table} WHERE visit = ?"), [visit]);
            self.erased.sightings += erase("sighting")?;
            self.erased.pictures += erase("picture")?;
            self.erased.actions += erase("action")?;
            erase("shot")?;
            erase("judged")?;
            sql::execute(tx, "DELETE FROM visit WHERE id = ?", [visit])?;
        }
        if let Selection::Person(person) = selection {
            self.forget_nearest(tx, person)?;
        }
        if !matches!(selection, Selection::Before(_)) {
            // Who is present is sealed: whose stay is whose cannot be told without the key.
            sql::execute(tx, "DELETE FROM stay", [])?;
        }
        Ok(())
    }

    /// Forgets that strangers came near to a person; what else is known of their visits is not the person's. What an
    /// action of such a visit is to tell is sealed, so that one that has not ended fails.
    fn forget_nearest(&mut self, tx: &Connection, person: &str) -> rusqlite::Result<()> {
        let near = "nearest_person = ? COLLATE NOCASE";
        let sealed = "SELECT substr(nearest, 1, 16), substr(nearest, -16) FROM shot WHERE";
        mark(tx, &format!("{sealed} {near}"), person, &mut self.search)?;
        let of_them = format!("request IS NOT NULL AND visit IN (SELECT visit FROM shot WHERE {near})");
        let requests = "SELECT substr(request, 1, 16), substr(request, -16) FROM action WHERE";
        mark(tx, &format!("{requests} {of_them}"), person, &mut self.search)?;
        let fail = "UPDATE action SET request = NULL, reason = iif(state = 'interrupted', reason, 'what it was to tell \
                    was erased (doorward purge)'), state = iif(state = 'interrupted', state, 'failed') WHERE";
        sql::execute(tx, &format!("{fail} {of_them}"), [person])?;
        let forget = "UPDATE shot SET nearest_person = NULL, nearest = NULL WHERE";
        self.erased.nearest = sql::execute(tx, &format!("{forget} {near}"), [person])?;
        Ok(())
    }

    /// Whether this visit was erased.
    pub fn has_erased(&self, visit: &str) -> bool {
        self.visits.contains(visit)
    }

    /// Whether the newest shot of this detector was erased.
    pub fn has_erased_newest(&self, detector: &str) -> bool {
        self.newest.contains(detector)
    }

    /// The topics the MQTT broker keeps something of ours under, as far as they were on record when it was erased.
    pub fn broker_topics(&self) -> &[BrokerTopic] {
        &self.broker_topics
    }

    /// Something else that was erased and must not be found any more.
    pub fn mark(&mut self, erased: &str) {
        self.search.add(erased.as_bytes());
    }

    /// Searches every file below the state directory, and `also` these, for marks of what was erased.
    pub fn prove(&mut self, also: &[PathBuf]) -> Result<Searched, OutboxError> {
        let searched = self.look(also);
        let database = open::database(&self.state_dir);
        let in_database = |path: &PathBuf| path.to_string_lossy().starts_with(&*database.to_string_lossy());
        let Some(db) = self.db.as_ref().filter(|_| searched.found.iter().any(in_database)) else { return Ok(searched) };
        // Copies a page has kept of rows it held before: a new file has none.
        db.execute_batch("VACUUM").map_err(storage("rewrite the outbox"))?;
        self.overwrite()?;
        Ok(self.look(also))
    }

    /// What is looked for.
    pub fn marks(&self) -> usize {
        self.search.len()
    }

    fn look(&self, also: &[PathBuf]) -> Searched {
        let mut searched = Searched::default();
        self.search.below(&self.state_dir, &mut searched);
        for path in also.iter().filter(|path| !path.starts_with(&self.state_dir)) {
            self.search.below(path, &mut searched);
        }
        searched
    }

    fn connect(&mut self) -> Result<(), OutboxError> {
        let db = match open::open_beside(&self.state_dir) {
            Err(OutboxError::Missing { .. }) => return Ok(()),
            db => db?,
        };
        let failed = storage("open the outbox");
        schema::configure(&db).map_err(failed)?;
        schema::check_up_to_date(&db, &open::database(&self.state_dir))?;
        self.db = Some(db);
        Ok(())
    }

    /// The database, all of it, and the key: what a disk keeps of its own accord cannot be read without it.
    fn erase_files(&mut self) -> Result<(), OutboxError> {
        drop(self.db.take());
        let folder = open::directory(&self.state_dir);
        let own_key = key::path(&self.state_dir);
        let mut files = vec![own_key.clone()];
        for entry in [&folder, &self.state_dir].iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten() {
            let Ok(entry) = entry else { continue };
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_database = entry.path().parent() == Some(&folder) && name.starts_with("outbox.sqlite");
            let is_old_key = entry.path().parent() == Some(&self.state_dir) && name.starts_with("outbox.key.");
            if is_database || is_old_key {
                files.push(entry.path());
            }
        }
        for path in files.into_iter().filter(|path| path.exists()) {
            wipe::file(&path).map_err(on_file("erase", &path))?;
            self.erased.files.push(path);
        }
        Ok(())
    }

    /// Blank pages are given back, and the log with its older copies is emptied.
    fn overwrite(&self) -> Result<(), OutboxError> {
        let Some(db) = &self.db else { return Ok(()) };
        while schema::give_back(db).map_err(storage("give disk space back"))? {}
        let started = Instant::now();
        while !schema::empty_log(db).map_err(storage("empty the write-ahead log"))? {
            if started.elapsed() > PATIENCE {
                tracing::warn!(
                    "the running doorward is reading all the time: the write-ahead log could not be emptied"
                );
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

fn selected(tx: &Connection, selection: &Selection) -> rusqlite::Result<Vec<String>> {
    let select = |sql, params: &[&dyn ToSql]| sql::rows(tx, sql, params, |row| row.get(0));
    match selection {
        Selection::Person(person) => select(
            "SELECT visit FROM shot WHERE person = ?1 COLLATE NOCASE
             UNION SELECT visit FROM action WHERE person = ?1 COLLATE NOCASE",
            &[person],
        ),
        Selection::Before(time) => select("SELECT id FROM visit WHERE last_ms < ?", &[&time.timestamp_millis()]),
        Selection::All => select(
            "SELECT id FROM visit UNION SELECT visit FROM shot UNION SELECT visit FROM action
             UNION SELECT visit FROM sighting UNION SELECT visit FROM picture",
            &[],
        ),
    }
}

/// The detectors whose newest shot is of one of these visits.
fn newest(tx: &Connection, visits: &BTreeSet<String>) -> rusqlite::Result<BTreeSet<String>> {
    // SQLite takes the other columns from the row with the maximum.
    let sql = "SELECT visit.detector, shot.visit, MAX(shot.seen_ms) FROM shot JOIN visit ON visit.id = shot.visit
               GROUP BY visit.detector";
    let newest: Vec<(String, String)> = sql::rows(tx, sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(newest.into_iter().filter(|(_, visit)| visits.contains(visit)).map(|(detector, _)| detector).collect())
}

/// Remembers of a visit what is found nowhere else: its ids, and pieces of what was sealed.
fn mark_visit(tx: &Connection, visit: &str, search: &mut Search) -> rusqlite::Result<()> {
    search.add(visit.as_bytes());
    for sql in [
        "SELECT id, substr(sealed, 1, 16), substr(sealed, length(sealed) / 2, 16), substr(sealed, -16)
         FROM sighting WHERE visit = ?",
        "SELECT sighting, substr(sealed, 1, 16), substr(sealed, length(sealed) / 2, 16), substr(sealed, -16)
         FROM picture WHERE visit = ?",
        "SELECT sighting, substr(nearest, 1, 16), substr(nearest, -16) FROM shot WHERE visit = ?",
        "SELECT substr(request, 1, 16), substr(request, -16) FROM action WHERE visit = ?",
        "SELECT substr(record, 1, 16), substr(record, -16) FROM judged WHERE visit = ?",
    ] {
        mark(tx, sql, visit, search)?;
    }
    Ok(())
}

/// Remembers every text and every piece that a query finds.
fn mark(tx: &Connection, sql: &str, of: &str, search: &mut Search) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query([of])?;
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = row.get_ref(column)? {
                search.add(bytes);
            }
        }
    }
    Ok(())
}
