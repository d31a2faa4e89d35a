//! ONNX Runtime: the shared library, loaded once per process, and sessions on model files.
//!
//! In: the library, the bytes of models. Out: sessions that use the number of threads they are told, leave idle cores
//! idle, and say nothing below an error. It knows no model.

use std::path::PathBuf;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use ort::AsPointer;
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use crate::models::Runtime;

/// Why ONNX Runtime or a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    #[error(
        "cannot load ONNX Runtime from {}; it must be version 1.{} or newer, built for this machine",
        .file.display(), ort::MINOR_VERSION
    )]
    Load { file: PathBuf, source: ort::LoadDynamicError },
    #[error(
        "ONNX Runtime is already loaded from {}; it cannot also be loaded from {}",
        .loaded.display(), .wanted.display()
    )]
    AlreadyLoaded { loaded: PathBuf, wanted: PathBuf },
    #[error("cannot start ONNX Runtime")]
    Start { source: ort::Error },
    #[error("no model can be opened before ONNX Runtime is loaded")]
    NotLoaded,
    #[error("cannot open the model {model}; check it with `doorward models verify`")]
    Open { model: String, source: ort::Error },
}

/// The one environment a process may have, with the file it came from. ONNX Runtime itself is global to the process,
/// so this mirrors what is true anyway; `ort` keeps no more than a weak reference to it.
static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

/// What keeps ONNX Runtime from making an id of this machine and sending it, with its usage, to its maker. Turning that
/// off through its interface comes too late: the id is made while the library starts.
const DISABLE_TELEMETRY: &str = "ORT_DISABLE_TELEMETRY";

/// Keeps ONNX Runtime from telling anybody anything.
///
/// # Safety
/// To be called first in `main`, while there is no other thread: it changes the environment.
pub unsafe fn prepare() {
    // SAFETY: the caller promises that this is the only thread.
    unsafe { std::env::set_var(DISABLE_TELEMETRY, "1") };
}

/// Loads ONNX Runtime, once: the same file again does nothing, another one is an error. After an error it may be tried
/// again.
pub fn init(runtime: &Runtime) -> Result<(), OnnxError> {
    let file = runtime.path().to_owned();
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    match &*loaded {
        Some((first, _)) if *first == file => return Ok(()),
        Some((first, _)) => return Err(OnnxError::AlreadyLoaded { loaded: first.clone(), wanted: file }),
        None => {}
    }
    let environment = ort::init_from(runtime.loadable())
        .map_err(|source| OnnxError::Load { file: file.clone(), source })?
        .with_name("doorward")
        .with_telemetry(false)
        .build()
        .and_then(|environment| share_arena(&environment).map(|()| environment))
        .map_err(|source| OnnxError::Start { source })?;
    *loaded = Some((file, environment));
    Ok(())
}

/// One arena for what the networks of all sessions need while they run, which grows by what is asked for. By default
/// each session has its own, grows it by doubling, and keeps it: with a detector and an embedder 37 MB instead of 21.
fn share_arena(environment: &Environment) -> ort::Result<()> {
    /// ONNX Runtime's `kSameAsRequested`, and what leaves the rest to it.
    const AS_REQUESTED: i32 = 1;
    const NO_LIMIT: usize = 0;
    const ITS_OWN: i32 = -1;
    let cpu = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Arena, MemoryType::Default)?;
    let api = ort::api();
    let mut arena = ptr::null_mut();
    // SAFETY: the environment and the memory's description live longer than the calls, which keep neither; the
    // configuration is freed once, after its last use. The crate has no safe way to this.
    unsafe {
        let made = (api.CreateArenaCfg)(NO_LIMIT, AS_REQUESTED, ITS_OWN, ITS_OWN, &raw mut arena);
        ort::Error::result_from_status(made)?;
        let shared = (api.CreateAndRegisterAllocator)(environment.ptr().cast_mut(), cpu.ptr(), arena);
        (api.ReleaseArenaCfg)(arena);
        ort::Error::result_from_status(shared)
    }
}

/// Opens the model of this name, whose file has these bytes, for inference with `threads` threads (at least 1).
/// [`init`] comes first.
pub fn session(model: &str, bytes: &[u8], threads: u16) -> Result<Session, OnnxError> {
    let loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let (_, environment) = loaded.as_ref().ok_or(OnnxError::NotLoaded)?;
    options(environment, threads)
        .and_then(|mut builder| builder.commit_from_memory(bytes))
        .map_err(|source| OnnxError::Open { model: model.into(), source })
}

fn options(environment: &Environment, threads: u16) -> ort::Result<SessionBuilder> {
    Ok(Session::builder(environment)?
        // The layout optimisations of the highest level are what makes the convolutions fast: YuNet takes 2.6 times
        // as long without them.
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(usize::from(threads.max(1)))?
        .with_inter_threads(1)?
        // Threads that wait by spinning keep a core busy between frames.
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?
        // Plans of where in its memory everything lies are kept for every size of picture, and save nothing.
        .with_memory_pattern(false)?
        .with_env_allocators()?
        // Models exported by older tools give hundreds of warnings that no user can do anything about.
        .with_log_level(LogLevel::Error)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ModelStore;

    fn runtime() -> Runtime {
        ModelStore::locate(None).runtime().expect("the runtime is there after `make models`")
    }

    #[test]
    fn a_file_that_is_no_library_is_refused_and_the_real_one_still_loads() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, b"not a library").unwrap();
        let other = Runtime::named(file.path()).unwrap();
        assert!(matches!(init(&other), Err(OnnxError::Load { .. } | OnnxError::AlreadyLoaded { .. })));
        init(&runtime()).unwrap();
        init(&runtime()).unwrap();
        assert!(matches!(init(&other), Err(OnnxError::AlreadyLoaded { .. })));
    }

    #[test]
    fn a_broken_model_says_what_to_do() {
        init(&runtime()).unwrap();
        let error = session("yunet_n", &[8; 100], 1).unwrap_err();
        assert!(matches!(error, OnnxError::Open { .. }) && error.to_string().contains("models verify"), "{error}");
    }
}
