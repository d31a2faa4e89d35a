//! A file system of SQLite's that remembers what was written and what was forced to the disk, and fails when told to.
//!
//! It lies over SQLite's own for files below watched folders, and is transparent for all others. From what it
//! remembers, the disk can be put together as it may be after power was lost at any moment: everything that was synced,
//! and of what was not any part. It assumes what SQLite does (a write touches no byte outside its range); it does not
//! see the files SQLite does not write: the key and the lock.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::SystemTime;

use rusqlite::ffi;

/// A watched folder.
#[derive(Default)]
pub struct Disk {
    events: Mutex<Vec<Event>>,
    fault: AtomicU8,
    /// Files of which something was forgotten, and when they had last been written to.
    forgotten: Mutex<BTreeMap<String, Option<SystemTime>>>,
}

/// What reached the file system, in order.
#[derive(Clone)]
pub enum Event {
    Write {
        file: String,
        at: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        file: String,
        size: usize,
    },
    Sync {
        file: String,
    },
    /// A sync failed, and the system takes what it could not write for written.
    Forget {
        file: String,
    },
    Delete {
        file: String,
    },
    /// What the program has been promised by now.
    Promise(String),
}

/// How a disk fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    None,
    /// ENOSPC.
    Full,
    /// EIO on everything.
    Broken,
    /// EIO on syncing: what was written can be read, and is not on the disk.
    Unsynced,
}

/// What becomes of what was not synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unsynced {
    Lost,
    Kept,
    /// Each sector by chance, from this seed.
    Torn(u64),
}

/// What is written as one, at least.
const SECTOR: usize = 512;

/// The files of a disk.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Watches a folder from now on; to be called before anything is opened in it.
pub fn watch(folder: &Path) -> Arc<Disk> {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(install);
    let disk = Arc::new(Disk::default());
    WATCHED.lock().unwrap().push((folder.canonicalize().unwrap(), disk.clone()));
    disk
}

impl Disk {
    pub fn promise(&self, word: String) {
        self.events.lock().unwrap().push(Event::Promise(word));
    }

    pub fn fail(&self, fault: Fault) {
        self.fault.store(fault as u8, Ordering::SeqCst);
    }

    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    fn note(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }

    /// A file that is opened again may have been written anew in between, and not by SQLite: its time tells.
    fn look_again(&self, path: &Path, file: &str) {
        let Some(time) = self.forgotten.lock().unwrap().remove(file) else { return };
        if changed(path) != time {
            let bytes = std::fs::read(path).unwrap();
            self.note(Event::Write { file: file.into(), at: 0, bytes });
            self.note(Event::Sync { file: file.into() });
        }
    }

    fn has(&self, faults: &[Fault]) -> bool {
        let fault = self.fault.load(Ordering::SeqCst);
        faults.iter().any(|one| *one as u8 == fault)
    }
}

/// A disk as it grows, event by event.
#[derive(Default, Clone)]
pub struct Image {
    /// What is certain.
    synced: Files,
    /// What came after the last sync of its file, in order.
    unsynced: BTreeMap<String, Vec<Event>>,
    pub promised: BTreeSet<String>,
}

impl Image {
    pub fn add(&mut self, event: &Event) {
        match event {
            Event::Write { file, .. } | Event::Truncate { file, .. } => {
                self.unsynced.entry(file.clone()).or_default().push(event.clone());
            }
            Event::Sync { file } => {
                let content = self.synced.entry(file.clone()).or_default();
                for event in self.unsynced.remove(file).unwrap_or_default() {
                    apply(content, &event, |_| true);
                }
            }
            Event::Forget { file } => drop(self.unsynced.remove(file)),
            Event::Delete { file } => {
                self.synced.remove(file);
                self.unsynced.remove(file);
            }
            Event::Promise(word) => drop(self.promised.insert(word.clone())),
        }
    }

    /// The files as they may be found when power is lost now.
    pub fn after_power_loss(&self, unsynced: Unsynced) -> Files {
        let mut files = self.synced.clone();
        let mut chance = match unsynced {
            Unsynced::Torn(seed) => seed | 1,
            _ => 1,
        };
        for (file, events) in &self.unsynced {
            if unsynced == Unsynced::Lost {
                continue;
            }
            let content = files.entry(file.clone()).or_default();
            for event in events {
                apply(content, event, |_| {
                    // xorshift64: any even chance will do.
                    chance ^= chance << 13;
                    chance ^= chance >> 7;
                    chance ^= chance << 17;
                    unsynced == Unsynced::Kept || chance & 16 == 0
                });
            }
        }
        files
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|about| about.modified()).ok()
}

fn apply(content: &mut Vec<u8>, event: &Event, mut reached: impl FnMut(usize) -> bool) {
    match event {
        Event::Write { at, bytes, .. } => {
            let mut from = 0;
            while from < bytes.len() {
                let to = bytes.len().min(from + SECTOR - (at + from) % SECTOR);
                if reached(from) {
                    content.resize(content.len().max(at + to), 0);
                    content[at + from..at + to].copy_from_slice(&bytes[from..to]);
                }
                from = to;
            }
        }
        Event::Truncate { size, .. } if reached(0) => content.resize(*size, 0),
        _ => {}
    }
}

static WATCHED: Mutex<Vec<(PathBuf, Arc<Disk>)>> = Mutex::new(Vec::new());

/// What stands behind SQLite's own open file.
struct Behind {
    original: *const ffi::sqlite3_io_methods,
    disk: Arc<Disk>,
    file: String,
    path: PathBuf,
}

fn install() {
    // SAFETY: the default file system outlives the process, and its fields are plain data; the copy is leaked on
    // purpose, as SQLite keeps it.
    unsafe {
        ffi::sqlite3_initialize();
        let base = ffi::sqlite3_vfs_find(std::ptr::null());
        let mut shim = *base;
        shim.zName = c"doorward-watched".as_ptr();
        shim.pNext = std::ptr::null_mut();
        shim.szOsFile = own_size(base) + size_of::<*mut Behind>() as c_int;
        shim.pAppData = base.cast();
        shim.xOpen = Some(open);
        shim.xDelete = Some(delete);
        assert_eq!(ffi::sqlite3_vfs_register(Box::leak(Box::new(shim)), 1), ffi::SQLITE_OK);
    }
}

/// The size of SQLite's own file, rounded up so that a pointer can stand behind it.
unsafe fn own_size(base: *const ffi::sqlite3_vfs) -> c_int {
    let align = align_of::<*mut Behind>() as c_int;
    // SAFETY: `base` is the default file system.
    unsafe { ((*base).szOsFile + align - 1) / align * align }
}

/// Where the pointer behind an open file stands.
unsafe fn behind(file: *mut ffi::sqlite3_file) -> *mut *mut Behind {
    // SAFETY: called for files of this file system alone, which have room for it.
    unsafe {
        let shim = ffi::sqlite3_vfs_find(c"doorward-watched".as_ptr());
        file.cast::<u8>().add(own_size((*shim).pAppData.cast()) as usize).cast()
    }
}

unsafe fn of<'a>(file: *mut ffi::sqlite3_file) -> &'a Behind {
    // SAFETY: only files whose methods are ours get here, and those have been given one.
    unsafe { &**behind(file) }
}

unsafe fn disk_of(name: *const c_char) -> Option<(Arc<Disk>, String, PathBuf)> {
    if name.is_null() {
        return None;
    }
    // SAFETY: SQLite passes a name that ends in a zero byte.
    let path = PathBuf::from(unsafe { CStr::from_ptr(name) }.to_str().ok()?);
    let watched = WATCHED.lock().unwrap();
    let (_, disk) = watched.iter().find(|(folder, _)| path.starts_with(folder))?;
    Some((disk.clone(), path.file_name()?.to_str()?.to_owned(), path))
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: everything is passed on as it came; methods are replaced by a copy of the file's own with five of ours.
    unsafe {
        let base: *mut ffi::sqlite3_vfs = (*vfs).pAppData.cast();
        *behind(file) = std::ptr::null_mut();
        let watched = disk_of(name);
        if watched.as_ref().is_some_and(|(disk, ..)| disk.has(&[Fault::Broken])) {
            (*file).pMethods = std::ptr::null();
            return ffi::SQLITE_CANTOPEN;
        }
        let result = ((*base).xOpen.unwrap())(base, name, file, flags, out);
        if let (ffi::SQLITE_OK, Some((disk, name, path))) = (result, watched) {
            let original = (*file).pMethods;
            let mut methods = *original;
            methods.iVersion = methods.iVersion.min(2);
            methods.xClose = Some(close);
            methods.xRead = Some(read);
            methods.xWrite = Some(write);
            methods.xTruncate = Some(truncate);
            methods.xSync = Some(sync);
            disk.look_again(&path, &name);
            *behind(file) = Box::into_raw(Box::new(Behind { original, disk, file: name, path }));
            (*file).pMethods = Box::leak(Box::new(methods));
        }
        result
    }
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: passed on as it came.
    unsafe {
        let base: *mut ffi::sqlite3_vfs = (*vfs).pAppData.cast();
        let result = ((*base).xDelete.unwrap())(base, name, sync);
        if let (ffi::SQLITE_OK, Some((disk, file, _))) = (result, disk_of(name)) {
            disk.note(Event::Delete { file });
        }
        result
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: the file is ours; SQLite closes it once.
    unsafe {
        let owned = Box::from_raw(*behind(file));
        (*file).pMethods = owned.original;
        ((*owned.original).xClose.unwrap())(file)
    }
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, to: *mut c_void, length: c_int, at: i64) -> c_int {
    // SAFETY: the file is ours; passed on as it came.
    unsafe {
        if of(file).disk.has(&[Fault::Broken]) {
            return ffi::SQLITE_IOERR_READ;
        }
        ((*of(file).original).xRead.unwrap())(file, to, length, at)
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, length: c_int, at: i64) -> c_int {
    // SAFETY: the file is ours; `from` holds `length` bytes.
    unsafe {
        let own = of(file);
        if own.disk.has(&[Fault::Full]) {
            return ffi::SQLITE_FULL;
        }
        if own.disk.has(&[Fault::Broken]) {
            return ffi::SQLITE_IOERR_WRITE;
        }
        let result = ((*own.original).xWrite.unwrap())(file, from, length, at);
        if result == ffi::SQLITE_OK {
            let bytes = std::slice::from_raw_parts(from.cast::<u8>(), length as usize).to_vec();
            own.disk.note(Event::Write { file: own.file.clone(), at: at as usize, bytes });
        }
        result
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    // SAFETY: the file is ours; passed on as it came.
    unsafe {
        let own = of(file);
        if own.disk.has(&[Fault::Broken]) {
            return ffi::SQLITE_IOERR_TRUNCATE;
        }
        let result = ((*own.original).xTruncate.unwrap())(file, size);
        if result == ffi::SQLITE_OK {
            own.disk.note(Event::Truncate { file: own.file.clone(), size: size as usize });
        }
        result
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: the file is ours. It is not passed on: what a sync means is for `Image` to say, and it costs no time.
    unsafe {
        let own = of(file);
        let _ = flags;
        if own.disk.has(&[Fault::Broken, Fault::Unsynced]) {
            own.disk.note(Event::Forget { file: own.file.clone() });
            own.disk.forgotten.lock().unwrap().insert(own.file.clone(), changed(&own.path));
            return ffi::SQLITE_IOERR_FSYNC;
        }
        own.disk.note(Event::Sync { file: own.file.clone() });
        ffi::SQLITE_OK
    }
}
