//! The engine itself: the open data folder, the models that answer, and the bounds on what they do at once.
//!
//! In: a data folder and models. Out: an [`Engine`], whose clones are handed to every request. Here is how blocking
//! work is done; what is done with faces is written in [`recognition`](crate::recognition), and how they are erased in
//! [`erasing`](crate::erasing).

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use ::faces::models::ModelStore;
use identities::operation::Operation;
use rusqlite::{Connection, Transaction};
use telemetry::Repeated;
use tokio::sync::{RwLock, Semaphore};

use super::admission::{Admission, Asker, Urgency};
use super::analyzer::{self, Loader};
use super::auth::{Accounts, Auth, Caller, network};
use super::decoding::Decoding;
use super::error::{EngineError, Refusal};
use super::gallery::Serving;
use super::limits::{Disk, KeepLimits};
use super::preparation::{self, ModelState, Preparation};
use super::store::{FolderLock, Stop, Store, users};

/// Database work under way at once; more waits. Writers queue among themselves anyway, so this bounds the readers and
/// the threads.
const BLOCKING: usize = 16;

/// Pictures analysed at once: as many as there are cores, but two at least, so that an upload leaves one to the doors,
/// and no more than this. Each has its own copy of the models.
const ANALYZERS: RangeInclusive<usize> = 2..=4;

/// A running engine; clones are the same one.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

/// What all clones of an engine share.
pub struct Inner {
    pub store: Arc<Store>,
    pub auth: Auth,
    /// The models and the gallery that answer. Requests about faces hold it to read, and take the store's writer and
    /// the gallery within it; another model that takes over waits for them.
    pub serving: Arc<RwLock<Serving>>,
    pub preparation: Preparation,
    pub analyzer_count: usize,
    /// Room for pictures that are being decoded.
    pub decoding: Decoding,
    /// How much is kept; set once, before the engine is served.
    keep: OnceLock<KeepLimits>,
    disk: Disk,
    /// Permits for blocking work.
    blocking: Arc<Semaphore>,
    /// The place to hash a password: one log-in after the other, or many clients at once could guess oftener than the
    /// throttle allows, and use up every core. Each client has its turn.
    hashing: Admission,
    /// Detectors whose clocks are ahead, told once a minute.
    pub clocks_ahead: Repeated,
    /// The folder is ours until the last clone is gone.
    _lock: FolderLock,
}

impl Engine {
    /// Opens the data folder, making it if need be, with the detector and embedding model of the manifest (`auto` or
    /// a name for the latter). Blocks, for seconds. Enrolled photos the model has not seen are analysed while the
    /// engine is [served](crate::serve); the model before answers until then.
    pub fn open(data: &Path, models: &ModelStore, model: &str) -> Result<Self, EngineError> {
        // The folder first: what is wrong with it is known at once, the models take seconds.
        let (store, lock) = (Store::open(data)?, Store::lock(data)?);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let analyzers = cores.clamp(*ANALYZERS.start(), *ANALYZERS.end());
        Self::assemble(store, lock, analyzer::loader(models.clone()), model, analyzers)
    }

    /// An engine with these parts; [`Engine::open`] gives it the real models, a test its own.
    pub(crate) fn assemble(
        store: Store,
        lock: FolderLock,
        load: Loader,
        model: &str,
        analyzer_count: usize,
    ) -> Result<Self, EngineError> {
        let (serving, preparation) = preparation::begin(&store, load, model, analyzer_count)?;
        let auth = Auth::new(&store)?;
        let inner = Inner {
            store: Arc::new(store),
            auth,
            serving: Arc::new(RwLock::new(serving)),
            preparation,
            analyzer_count,
            decoding: Decoding::new(analyzer_count),
            keep: OnceLock::new(),
            disk: Disk::default(),
            blocking: Arc::new(Semaphore::new(BLOCKING)),
            hashing: Admission::new(1, 1),
            clocks_ahead: Repeated::default(),
            _lock: lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The users and roles of the data folder.
    pub fn accounts(&self) -> Accounts {
        Accounts { store: self.inner.store.clone() }
    }

    /// Photos enrolled, and unknown faces that are recognised again.
    pub async fn faces(&self) -> (usize, usize) {
        self.inner.serving.read().await.gallery.read().sizes()
    }

    /// How much it may keep.
    pub(crate) fn keep_limits(&self) -> KeepLimits {
        self.inner.keep.get().copied().unwrap_or_default()
    }

    /// The same from now on, if nothing was said before.
    pub(crate) fn set_keep_limits(&self, limits: KeepLimits) {
        let _ = self.inner.keep.set(limits);
    }

    /// Refuses to take in more while the disk is too full.
    pub(crate) fn check_room(&self) -> Result<(), Refusal> {
        self.inner.disk.check(self.inner.store.folder(), self.keep_limits().free)
    }

    /// Which embedding model answers, and how far the next one is.
    pub fn model_state(&self) -> ModelState {
        self.inner.preparation.state()
    }

    /// Does blocking work on a thread that may block, a bounded number at once. Work once begun is finished even if
    /// nobody waits for it any more.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let permit = self.inner.blocking.clone().acquire_owned().await.map_err(|_| EngineError::Interrupted)?;
        self.holding(permit, work).await
    }

    /// Does work that hashes a password, one after the other, each client's in turn.
    pub(crate) async fn hashing<T: Send + 'static>(
        &self,
        client: IpAddr,
        work: impl FnOnce(&Inner) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let asker = Asker::new(&network(client).to_string(), Urgency::Live);
        let place = self.inner.hashing.enter(&asker, 1).await?;
        self.holding(place, work).await
    }

    /// Reads from one snapshot of the data folder. `what` completes "cannot …" should it fail.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        what: &'static str,
        read: impl FnOnce(&Connection) -> Result<T, Stop> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.blocking(move |inner| inner.store.read(what, read)).await
    }

    /// Changes a record in one transaction, and notes in the audit log that the caller did. `write` is told the
    /// caller's name; beside its result it gives the id of the record.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        caller: Caller,
        operation: &'static Operation,
        write: impl FnOnce(&Transaction, &str) -> Result<(String, T), Stop> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.blocking(move |inner| {
            inner.store.write(operation.id, |transaction| {
                let (subject, written) = write(transaction, &caller.username)?;
                users::record_change(transaction, &caller.username, operation.id, Some(&subject))?;
                Ok(written)
            })
        })
        .await
    }

    /// Does blocking work, and holds something until it is done.
    async fn holding<T: Send + 'static>(
        &self,
        held: impl Send + 'static,
        work: impl FnOnce(&Inner) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let inner = self.inner.clone();
        let worked = tokio::task::spawn_blocking(move || {
            let _held = held;
            work(&inner)
        });
        worked.await.map_err(|_| EngineError::Interrupted)?
    }
}
