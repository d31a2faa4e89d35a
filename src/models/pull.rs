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
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use faces::models::{Digest, Entry, ModelError, ModelStore, Role, hash_file};
use reqwest::Client;
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
            scene.bring(entry, watcher).await
        };
        let result = Pulled { name: entry.name.clone(), role: entry.role, outcome };
        watcher(Step::Ended(&result));
        pulled.push(result);
    }
    Ok(pulled)
}

/// Everything a pull holds while it writes.
struct Scene<'a> {
    store: &'a ModelStore,
    patience: Patience,
    scratch: tempfile::TempDir,
    /// What the named folders hold of the manifest.
    local: HashMap<Digest, PathBuf>,
    /// Made when an address is first tried: a machine that takes everything from folders needs no authorities.
    client: Option<Client>,
    /// Hosts that did not answer, so that each costs its time-out once.
    silent: HashSet<String>,
    /// Let go last, when the scratch folder is gone.
    _lock: Option<File>,
}

impl<'a> Scene<'a> {
    fn enter(
        store: &'a ModelStore,
        from: &[PathBuf],
        patience: Patience,
        watcher: Watcher,
    ) -> Result<Self, FetchError> {
        let dir = store.dir();
        fs::create_dir_all(dir).map_err(ModelError::file("create", dir))?;
        store.trusted()?;
        let lock = lock(dir, watcher)?;
        if lock.is_some() {
            clean(dir);
        }
        let local = search(store, from)?;
        let scratch =
            tempfile::Builder::new().prefix(SCRATCH).tempdir_in(dir).map_err(ModelError::file("write to", dir))?;
        Ok(Self { store, patience, scratch, local, client: None, silent: HashSet::new(), _lock: lock })
    }

    async fn bring(&mut self, entry: &Entry, watcher: Watcher<'_>) -> Outcome {
        // The pull this one waited for may have brought it.
        if self.store.verify(entry).is_ok() {
            return Outcome::Kept;
        }
        let mut reasons = Vec::new();
        if let Some(path) = self.local.get(&entry.digest()) {
            match self.copy(entry, path) {
                Ok(()) => return Outcome::Fetched { origin: path.parent().unwrap_or(path).display().to_string() },
                Err(error) => reasons.push(error),
            }
        }
        for url in entry.urls() {
            let origin = host(url);
            watcher(Step::Trying { name: &entry.name, origin: &origin, bytes: entry.bytes });
            match self.download(entry, url, &origin, watcher).await {
                Ok(()) => return Outcome::Fetched { origin },
                Err(error) => {
                    if let FetchError::Unreachable { .. } | FetchError::Slow { .. } = &error {
                        self.silent.insert(origin);
                    }
                    reasons.push(error);
                }
            }
        }
        let packaged = |package| FetchError::Packaged { name: entry.name.clone(), package };
        reasons.extend(entry.packages().map(packaged));
        let made = |origin: &Url| FetchError::Made { name: entry.name.clone(), origin: origin.clone() };
        reasons.extend(entry.origin.as_ref().map(made));
        Outcome::Missed { reasons }
    }

    fn copy(&self, entry: &Entry, path: &Path) -> Result<(), FetchError> {
        let ready = self.ready();
        let mut input = File::open(path).map_err(ModelError::file("open", path))?;
        let copied = File::create(&ready).and_then(|mut output| io::copy(&mut input, &mut output));
        copied.map_err(ModelError::file("write", &ready))?;
        self.install(entry, path.display().to_string())
    }

    /// Fetches what the address gives, but for any answer other than 200; `watcher` hears of every piece.
    async fn download(&mut self, entry: &Entry, url: &Url, host: &str, watcher: Watcher<'_>) -> Result<(), FetchError> {
        if self.silent.contains(host) {
            return Err(FetchError::StillSilent { host: host.into() });
        }
        let ready = self.ready();
        let client = match &self.client {
            Some(client) => client,
            None => self.client.insert(self.patience.client()?),
        };
        let started = Instant::now();
        let failed = |source: reqwest::Error, received: Option<u64>| {
            let (host, source, expected) = (host.to_owned(), source.without_url(), entry.bytes);
            match received {
                _ if source.is_connect() => FetchError::Unreachable { host, source },
                _ if source.is_timeout() => FetchError::Slow { host, after: started.elapsed(), source },
                Some(received) => FetchError::BrokenOff { host, received, expected, source },
                None => FetchError::NoAnswer { host, source },
            }
        };
        let too_long = || FetchError::TooLong { origin: host.to_owned(), expected: entry.bytes };
        let mut answer = client.get(url.clone()).send().await.map_err(|error| failed(error, None))?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status { host: host.to_owned(), status: answer.status().as_u16() });
        }
        if answer.content_length().is_some_and(|length| length > entry.bytes) {
            return Err(too_long());
        }
        let mut output = File::create(&ready).map_err(ModelError::file("create", &ready))?;
        let mut bytes = 0;
        while let Some(chunk) = answer.chunk().await.map_err(|error| failed(error, Some(bytes)))? {
            bytes += chunk.len() as u64;
            if bytes > entry.bytes {
                return Err(too_long());
            }
            output.write_all(&chunk).map_err(ModelError::file("write", &ready))?;
            watcher(Step::Received(bytes));
        }
        self.install(entry, host.to_owned())
    }

    /// Holds what `origin` has given against what it must be, and moves it into its place in one step.
    fn install(&self, entry: &Entry, origin: String) -> Result<(), FetchError> {
        let (ready, path, dir, expected) = (self.ready(), self.store.path(entry), self.store.dir(), entry.bytes);
        let found = hash_file(&ready)?;
        if found.bytes != expected {
            return Err(FetchError::WrongLength { origin, received: found.bytes, expected });
        }
        if found.sha256 != entry.sha256 {
            return Err(FetchError::ForeignBytes { origin, expected: entry.sha256.clone(), found: found.sha256 });
        }
        let on_disk = |path: &Path| File::open(path).and_then(|written| written.sync_all());
        on_disk(&ready).map_err(ModelError::file("write", &ready))?;
        fs::rename(&ready, &path).map_err(ModelError::file("write", &path))?;
        // The new name must be on the disk as well.
        Ok(on_disk(dir).map_err(ModelError::file("write to", dir))?)
    }

    /// Where a file is until it is complete.
    fn ready(&self) -> PathBuf {
        self.scratch.path().join("ready")
    }
}

impl Patience {
    fn client(self) -> Result<Client, FetchError> {
        let agent = concat!("doorward/", env!("CARGO_PKG_VERSION"));
        let patient = Client::builder().connect_timeout(self.connect).read_timeout(self.silence).timeout(self.download);
        patient.user_agent(agent).build().map_err(FetchError::Client)
    }
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or("an address without a host");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Waits until no other pull writes to the folder. It blocks its thread: there is nothing else to do meanwhile. `None`
/// on a file system without locks: two pulls at once then do the same work twice, and nobody tidies up.
fn lock(dir: &Path, watcher: Watcher) -> Result<Option<File>, FetchError> {
    let path = dir.join(LOCK);
    let lock = File::options().create(true).append(true).open(&path).map_err(ModelError::file("write", &path))?;
    let mut locked = lock.try_lock().map_err(io::Error::from);
    if locked.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
        watcher(Step::Waiting);
        locked = lock.lock();
    }
    match locked {
        Ok(()) => Ok(Some(lock)),
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
        Err(error) => Err(ModelError::file("lock", &path)(error).into()),
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
