//! The `journal` action: one JSON line per event, appended to a file that rotates by size.
//!
//! In: an event. Out: one more whole line. A line is one `write` on a file opened for appending, so lines of several
//! processes never mix; a line cut short by a full disk is taken back. Lines are handed to the kernel, not forced to
//! the disk: a crash of this process loses none, a power cut may lose the last seconds (the outbox is the durable
//! record).

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::Performed;
use crate::config::JournalConfig;
use crate::rules::ActionRequest;

/// How long appending a line may take. A local disk takes microseconds; a network file system that hangs must not hold
/// up the actions behind it.
const LIMIT: Duration = Duration::from_secs(5);

/// Appends events to one file.
pub struct Journal {
    path: PathBuf,
    /// Guards the open file, so that one line is written at a time; it is held while the disk is written to.
    writer: Arc<Mutex<Writer>>,
}

/// The files of all journal actions: two actions on one file share its writer.
#[derive(Default)]
pub struct Writers(BTreeMap<PathBuf, Arc<Mutex<Writer>>>);

/// One file that lines are appended to.
struct Writer {
    path: PathBuf,
    max_bytes: u64,
    keep: u32,
    open: Option<File>,
}

impl Journal {
    pub fn new(config: &JournalConfig, writers: &mut Writers) -> Self {
        // The folder may not exist yet, so only what is there can be resolved.
        let folder = config.path.parent().and_then(|folder| folder.canonicalize().ok());
        let resolved = folder.zip(config.path.file_name()).map(|(folder, name)| folder.join(name));
        let writer = writers.0.entry(resolved.unwrap_or_else(|| config.path.clone())).or_insert_with(|| {
            let (path, max_bytes, keep) = (config.path.clone(), config.max_bytes, config.keep);
            Arc::new(Mutex::new(Writer { path, max_bytes, keep, open: None }))
        });
        Self { path: config.path.clone(), writer: writer.clone() }
    }

    /// Appends the request's event.
    pub async fn perform(&self, request: &ActionRequest) -> Performed {
        let mut line = request.inputs.to_string();
        line.push('\n');
        let append = async {
            let mut writer = self.writer.clone().lock_owned().await;
            tokio::task::spawn_blocking(move || writer.append(line.as_bytes())).await
        };
        let problem = match tokio::time::timeout(LIMIT, append).await {
            Ok(Ok(Ok(()))) => return Ok(None),
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(_)) => "the process is ending".into(),
            Err(_) => format!("the file system did not answer within {} s", LIMIT.as_secs()),
        };
        Err(format!("cannot append to {}: {problem}", self.path.display()).into())
    }
}

impl Writer {
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|file| !same_file(file, &self.path)) {
            self.open = None;
        }
        let mut file = match self.open.take() {
            Some(file) => file,
            None => open(&self.path)?,
        };
        let length = file.metadata()?.len();
        if self.max_bytes > 0 && length > 0 && length + line.len() as u64 > self.max_bytes {
            self.rotate()?;
            file = open(&self.path)?;
        }
        write_whole(&mut file, line)?;
        self.open = Some(file);
        Ok(())
    }

    /// `journal` becomes `journal.1`, that `journal.2`, and so on; the last one goes.
    fn rotate(&self) -> io::Result<()> {
        let nth = |n: u32| rotated(&self.path, n);
        if self.keep == 0 {
            return std::fs::remove_file(&self.path);
        }
        for n in (0..self.keep).rev() {
            match std::fs::rename(nth(n), nth(n + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The `n`th of the files a journal is rotated to; 0 is the journal itself.
pub fn rotated(path: &Path, n: u32) -> PathBuf {
    if n == 0 { path.into() } else { path.with_added_extension(n.to_string()) }
}

/// Opens for appending, making the folder and the file; a line left unfinished by a crash or a power cut is ended.
fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
    }
    // Names of people are in it: not for everybody on the machine.
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
    if file.metadata()?.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

/// One `write`; if the disk takes only a part, that part is taken back.
fn write_whole(file: &mut File, line: &[u8]) -> io::Result<()> {
    let written = loop {
        match file.write(line) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break result?,
        }
    };
    if written == line.len() {
        return Ok(());
    }
    let length = file.metadata()?.len();
    file.set_len(length.saturating_sub(written as u64))?;
    Err(io::Error::new(io::ErrorKind::StorageFull, "no space left for a whole line"))
}

/// Whether `path` still names the open file: logrotate or an operator may have moved or deleted it.
fn same_file(file: &File, path: &Path) -> bool {
    let id = |meta: io::Result<std::fs::Metadata>| meta.map(|meta| (meta.dev(), meta.ino())).ok();
    let open = id(file.metadata());
    open.is_some() && open == id(std::fs::metadata(path))
}
