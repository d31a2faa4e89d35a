//! Bringing the files of the manifest into the models folder, from other folders and over HTTP.
//!
//! In: which entries, local folders to look in first, and the manifest's sources. Out: per entry what became of it. A
//! file appears under its name only complete, hashed and on the disk; what is there and right is never touched. A
//! download is not tried again: there is another source to try. Everything else happens in a scratch folder beside it
//! that the next pull removes if this one is killed:
//!
//! ```text
//! local folder ┬─▶ .pull-XXXXXX/ready ─ length, sha256 ─ rename ─▶ yunet_n.onnx
//! addresses    ┘
//! ```

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use faces::models::{Digest, Entry, ModelError, ModelStore, Role, hash_file};
use reqwest::Client;
use tokio::time::timeout;
use url::Url;

use super::FetchError;

/// How long fetching may take before another source is tried.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a connection. Short: on a box without the internet it is what every address costs.
    pub connect: Duration,
    /// Without a single byte.
    pub silence: Duration,
    /// For one download.
    pub download: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            silence: Duration::from_secs(20),
            // 30 MB at 500 kbit/s.
            download: Duration::from_secs(600),
        }
    }
}

/// A client that remembers which hosts do not answer, so that each costs its time-out once.
pub struct Downloads {
    client: Client,
    patience: Patience,
    silent: HashSet<String>,
}

impl Downloads {
    pub fn new(patience: Patience) -> Result<Self, FetchError> {
        let client = Client::builder()
            .user_agent(concat!("doorward/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(patience.connect)
            .build()
            .map_err(FetchError::Client)?;
        Ok(Self { client, patience, silent: HashSet::new() })
    }

    /// Writes what the address gives to `to`; `received` hears of every piece.
    ///
    /// # Errors
    /// A host that cannot be reached or stops sending, any answer but 200, and bytes of another length or hash.
    pub async fn fetch(
        &mut self,
        url: &Url,
        expected: &Digest,
        to: &Path,
        received: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), FetchError> {
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or("an address without a host").to_owned(),
        };
        if self.silent.contains(&host) {
            return Err(FetchError::StillSilent { host });
        }
        let whole = self.patience.download;
        let result = match timeout(whole, self.stream(url, &host, expected, to, received)).await {
            Ok(result) => result,
            Err(_) => Err(FetchError::Slow { host: host.clone(), after: whole }),
        };
        if let Err(FetchError::Unreachable { .. } | FetchError::Stalled { .. } | FetchError::Slow { .. }) = &result {
            self.silent.insert(host);
        }
        result
    }

    async fn stream(
        &self,
        url: &Url,
        host: &str,
        expected: &Digest,
        to: &Path,
        received: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), FetchError> {
        let origin = || host.to_owned();
        let silence = self.patience.silence;
        let stalled = || FetchError::Stalled { host: origin(), after: silence };
        let answer = timeout(silence, self.client.get(url.clone()).send()).await.map_err(|_| stalled())?;
        let mut answer = answer.map_err(|source| match source.is_connect() {
            true => FetchError::Unreachable { host: origin(), source: source.without_url() },
            false => FetchError::NoAnswer { host: origin(), source: source.without_url() },
        })?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status { host: origin(), status: answer.status().as_u16() });
        }
        if answer.content_length().is_some_and(|length| length > expected.bytes) {
            return Err(FetchError::TooLong { origin: origin(), expected: expected.bytes });
        }
        let mut output = File::create(to).map_err(ModelError::file("create", to))?;
        let mut bytes = 0;
        loop {
            let chunk = timeout(silence, answer.chunk()).await.map_err(|_| stalled())?;
            let broken_off = |source: reqwest::Error| FetchError::BrokenOff {
                host: origin(),
                received: bytes,
                expected: expected.bytes,
                source: source.without_url(),
            };
            let Some(chunk) = chunk.map_err(broken_off)? else { return check(to, expected, origin()) };
            bytes += chunk.len() as u64;
            if bytes > expected.bytes {
                return Err(FetchError::TooLong { origin: origin(), expected: expected.bytes });
            }
            output.write_all(&chunk).map_err(ModelError::file("write", to))?;
            received(bytes);
        }
    }
}

/// Holds a file that `origin` has given against what it must be, and puts it on the disk.
pub fn check(path: &Path, expected: &Digest, origin: String) -> Result<(), FetchError> {
    let found = hash_file(path)?;
    if found.bytes < expected.bytes {
        return Err(FetchError::TooShort { origin, received: found.bytes, expected: expected.bytes });
    }
    if found.bytes > expected.bytes {
        return Err(FetchError::TooLong { origin, expected: expected.bytes });
    }
    if found.sha256 != expected.sha256 {
        return Err(FetchError::ForeignBytes { origin, expected: expected.sha256.clone(), found: found.sha256 });
    }
    Ok(File::open(path).and_then(|written| written.sync_all()).map_err(ModelError::file("write", path))?)
}

/// Held by the one pull that may write; the file stays, empty.
const LOCK: &str = ".lock";
const SCRATCH: &str = ".pull-";

/// What became of an entry.
#[derive(Debug)]
pub struct Pulled {
    pub name: String,
    pub role: Role,
    pub outcome: Outcome,
}

#[derive(Debug)]
pub enum Outcome {
    /// It was there, with the right hash.
    Kept,
    /// It has been fetched from here.
    Fetched { origin: String },
    /// No source had it; why, one by one.
    Missed { reasons: Vec<FetchError> },
}

/// How a pull gets on, for whoever shows it.
#[derive(Debug)]
pub enum Step<'a> {
    /// Another pull is writing to the folder; this one goes on when it has ended.
    Waiting,
    /// A source is being tried.
    Trying { name: &'a str, origin: &'a str, bytes: u64 },
    /// Of the file being downloaded, so far.
    Received(u64),
    /// The entry is through.
    Ended(&'a Pulled),
}

/// Who hears of the steps.
pub type Watcher<'a> = &'a mut (dyn FnMut(Step<'_>) + Send);

impl Outcome {
    /// Whether the file is there now.
    pub fn is_here(&self) -> bool {
        !matches!(self, Self::Missed { .. })
    }
}

/// Fetches what is missing or damaged of the entries named, or of all this machine can use when none is named.
/// Folders of `from` are searched, with all below them, before any source of the manifest; a file there is known by
/// its hash. An entry that cannot be had does not keep the others from coming.
///
/// # Errors
/// An unknown name, a folder of `from` that cannot be read, and a models folder that cannot be written.
pub async fn pull(
    store: &ModelStore,
    names: &[String],
    from: &[PathBuf],
    patience: Patience,
    watcher: Watcher<'_>,
) -> Result<Vec<Pulled>, FetchError> {
    let manifest = store.manifest();
    let entries: Vec<&Entry> = if names.is_empty() {
        manifest.usable().collect()
    } else {
        let named = names.iter().map(|name| manifest.entry(name).ok_or_else(|| manifest.unknown(None, name)));
        named.collect::<Result<_, _>>()?
    };
    // A mistyped folder is told even when nothing is missing.
    for folder in from {
        fs::read_dir(folder).map_err(ModelError::file("search", folder))?;
    }
    // Without a lock, a folder or a client as long as nothing is missing: it works offline and read-only.
    let mut scene: Option<Scene> = None;
    let mut pulled = Vec::new();
    for entry in entries {
        let outcome = if store.verify(entry).is_ok() {
            Outcome::Kept
        } else {
            let scene = match &mut scene {
                Some(scene) => scene,
                None => scene.insert(Scene::enter(store, from, patience, watcher)?),
            };
            scene.bring(store, entry, watcher).await
        };
        let result = Pulled { name: entry.name.clone(), role: entry.role, outcome };
        watcher(Step::Ended(&result));
        pulled.push(result);
    }
    Ok(pulled)
}

/// Everything a pull holds while it writes.
struct Scene {
    scratch: tempfile::TempDir,
    local: HashMap<Digest, PathBuf>,
    /// Made when an address is first tried.
    downloads: Option<Downloads>,
    patience: Patience,
    /// Let go last, when the scratch folder is gone.
    _lock: Option<File>,
}

impl Scene {
    fn enter(store: &ModelStore, from: &[PathBuf], patience: Patience, watcher: Watcher) -> Result<Self, FetchError> {
        let dir = store.dir();
        fs::create_dir_all(dir).map_err(ModelError::file("create", dir))?;
        let lock = lock(dir, watcher)?;
        if lock.is_some() {
            clean(dir);
        }
        let local = search(store, from)?;
        let scratch =
            tempfile::Builder::new().prefix(SCRATCH).tempdir_in(dir).map_err(ModelError::file("write to", dir))?;
        Ok(Self { scratch, local, downloads: None, patience, _lock: lock })
    }

    async fn bring(&mut self, store: &ModelStore, entry: &Entry, watcher: Watcher<'_>) -> Outcome {
        // The pull this one waited for may have brought it.
        if store.verify(entry).is_ok() {
            return Outcome::Kept;
        }
        let mut reasons = Vec::new();
        match self.bring_local(store, entry) {
            Ok(Some(origin)) => return Outcome::Fetched { origin },
            Ok(None) => {}
            Err(error) => reasons.push(error),
        }
        for url in entry.urls() {
            let origin = url.host_str().unwrap_or("an address").to_owned();
            watcher(Step::Trying { name: &entry.name, origin: &origin, bytes: entry.bytes });
            match self.bring_remote(store, entry, url, watcher).await {
                Ok(()) => return Outcome::Fetched { origin },
                Err(error) => reasons.push(error),
            }
        }
        let packaged = |package| FetchError::Packaged { name: entry.name.clone(), package };
        reasons.extend(entry.packages().map(packaged));
        Outcome::Missed { reasons }
    }

    /// The folder the file was found in, if there was one.
    fn bring_local(&self, store: &ModelStore, entry: &Entry) -> Result<Option<String>, FetchError> {
        let Some(path) = self.local.get(&entry.digest()) else { return Ok(None) };
        let ready = self.ready();
        let mut input = File::open(path).map_err(ModelError::file("open", path))?;
        let copied = File::create(&ready).and_then(|mut output| io::copy(&mut input, &mut output));
        copied.map_err(ModelError::file("write", &ready))?;
        check(&ready, &entry.digest(), path.display().to_string())?;
        install(store, entry, &ready)?;
        Ok(Some(path.parent().unwrap_or(path).display().to_string()))
    }

    async fn bring_remote(
        &mut self,
        store: &ModelStore,
        entry: &Entry,
        url: &Url,
        watcher: Watcher<'_>,
    ) -> Result<(), FetchError> {
        let ready = self.ready();
        let downloads = match &mut self.downloads {
            Some(downloads) => downloads,
            None => self.downloads.insert(Downloads::new(self.patience)?),
        };
        downloads.fetch(url, &entry.digest(), &ready, &mut |bytes| watcher(Step::Received(bytes))).await?;
        install(store, entry, &ready)
    }

    /// Where a file is until it is complete.
    fn ready(&self) -> PathBuf {
        self.scratch.path().join("ready")
    }
}

/// Moves a file that is on the disk into its place, in one step.
fn install(store: &ModelStore, entry: &Entry, ready: &Path) -> Result<(), FetchError> {
    let path = store.path(entry);
    fs::rename(ready, &path).map_err(ModelError::file("write", &path))?;
    let dir = store.dir();
    // The new name must be on the disk as well.
    Ok(File::open(dir).and_then(|dir| dir.sync_all()).map_err(ModelError::file("write to", dir))?)
}

/// Waits until no other pull writes to the folder. It blocks its thread: there is nothing else to do meanwhile. `None`
/// on a file system without locks: two pulls at once then do the same work twice, and nobody tidies up.
fn lock(dir: &Path, watcher: Watcher) -> Result<Option<File>, FetchError> {
    let path = dir.join(LOCK);
    let lock = File::options().create(true).append(true).open(&path).map_err(ModelError::file("write", &path))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => {
            watcher(Step::Waiting);
            lock.lock().map_err(ModelError::file("lock", &path))?;
            Ok(Some(lock))
        }
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(None),
        Err(TryLockError::Error(error)) => Err(ModelError::file("lock", &path)(error).into()),
    }
}

/// Removes what a killed pull left. With the lock held nobody else is at it.
fn clean(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(SCRATCH) {
            // What cannot be removed only takes room.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Every file under the folders whose length and hash the manifest knows.
fn search(store: &ModelStore, from: &[PathBuf]) -> Result<HashMap<Digest, PathBuf>, FetchError> {
    let wanted: Vec<u64> = store.manifest().entries().iter().map(|entry| entry.bytes).collect();
    let mut found = HashMap::new();
    let mut folders = from.to_vec();
    while let Some(folder) = folders.pop() {
        // A folder below that may not be read, or a stick pulled out meanwhile, is no reason to stop.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
                continue;
            }
            // Only what has a length of the manifest is worth reading. A link may point to a file, not to a folder:
            // links to folders can go round in circles.
            let candidate = fs::metadata(&path).is_ok_and(|found| found.is_file() && wanted.contains(&found.len()));
            if candidate && let Ok(digest) = hash_file(&path) {
                found.entry(digest).or_insert(path);
            }
        }
    }
    Ok(found)
}
