//! The folder of model files: where it is, and which file of it serves a role.
//!
//! In: the manifest and a folder. Out: a [`Model`] whose file is there and has the right length, and its bytes, which
//! are the manifest's and out of a file nobody else can change. It never fetches and never writes.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use super::{Digest, Entry, Manifest, ModelError, Role};

/// Names the models folder; wins over the configuration.
pub const DIR_VARIABLE: &str = "DOORWARD_MODELS_DIR";
/// Names ONNX Runtime's shared library; wins over the models folder. It is `ort`'s own variable.
pub const RUNTIME_VARIABLE: &str = "ORT_DYLIB_PATH";

/// Where `doorward models pull` and packages put the files on an installed system; the first that has any wins. Neither
/// is below the state folder: what the service can write to it must not run.
const SYSTEM_DIRS: [&str; 2] = ["/usr/local/share/doorward/models", "/usr/share/doorward/models"];

/// Who may have named the models folder.
const BY_VARIABLE: &str = "named by DOORWARD_MODELS_DIR";
const BY_CONFIGURATION: &str = "named by `models.dir`";
const BY_NOBODY: &str = "the usual place; DOORWARD_MODELS_DIR or `models.dir` names another";

/// A folder and the manifest its files belong to.
#[derive(Debug, Clone)]
pub struct ModelStore {
    dir: PathBuf,
    /// Who said that the models are in this folder, for people; `None` when the calling code has. The working folder
    /// and the program's own place never do: a program started as root must not run what somebody else has put beside
    /// it.
    named_by: Option<&'static str>,
    manifest: Manifest,
}

/// A file of the manifest that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    pub name: String,
    pub path: PathBuf,
}

/// ONNX Runtime's shared library, ready to be loaded.
pub struct Runtime {
    path: PathBuf,
    /// Open since it was hashed; none where the machine's owner named a library of their own.
    file: Option<File>,
}

/// What changes with a file's bytes: its place, its length, and when it and what is known of it was last changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct FileState([u64; 7]);

/// What the folder has of an entry, by a look at the file's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Missing,
    /// There, but with this many bytes.
    WrongSize(u64),
    Present,
}

impl ModelStore {
    /// The folder that `DOORWARD_MODELS_DIR` names, else the configured one, else `/usr/local/share/doorward/models` or
    /// `/usr/share/doorward/models`, whichever has files first.
    pub fn locate(configured: Option<&Path>) -> Self {
        let manifest = Manifest::embedded();
        let system: Vec<&Path> = SYSTEM_DIRS.iter().map(Path::new).collect();
        let (dir, named_by) = place(env::var_os(DIR_VARIABLE), configured, &system, manifest);
        Self { dir, named_by: Some(named_by), manifest: manifest.clone() }
    }

    /// A store in a folder that the calling code names.
    pub fn new(dir: PathBuf, manifest: Manifest) -> Self {
        Self { dir, named_by: None, manifest }
    }

    /// The folder of the files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder and who named it, for people.
    pub fn place(&self) -> String {
        match self.named_by {
            Some(by) => format!("{} ({by})", self.dir.display()),
            None => self.dir.display().to_string(),
        }
    }

    /// Whether what is put into the folder may be used from there.
    ///
    /// # Errors
    /// A folder that is missing, and one in which somebody else could swap the files.
    pub fn trusted(&self) -> Result<(), ModelError> {
        trusted::find(&self.dir)?;
        Ok(())
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where the file of an entry is, or would be.
    pub fn path(&self, entry: &Entry) -> PathBuf {
        self.dir.join(&entry.file)
    }

    /// A look at the file's length; quick enough for every start.
    pub fn presence(&self, entry: &Entry) -> Presence {
        match fs::metadata(self.path(entry)) {
            Ok(found) if found.is_file() && found.len() == entry.bytes => Presence::Present,
            Ok(found) => Presence::WrongSize(found.len()),
            Err(_) => Presence::Missing,
        }
    }

    /// The model for a role: the one called `wanted`, or for `auto` the first of the manifest's preference order whose
    /// file is there with the right length.
    ///
    /// # Errors
    /// A name that is no model of the role (with the nearest that is), a file that is missing or has another length;
    /// each says which command to run.
    pub fn choose(&self, role: Role, wanted: &str) -> Result<Model, ModelError> {
        if wanted == "auto" {
            return self.auto(role).map(|entry| self.model(entry)).ok_or_else(|| self.none(role));
        }
        let entry = self.manifest.entry(wanted).filter(|entry| entry.role == role && entry.runs_here());
        self.there(entry.ok_or_else(|| self.manifest.unknown(Some(role), wanted))?)
    }

    /// What `auto` takes for a role, if there is anything.
    pub fn auto(&self, role: Role) -> Option<&Entry> {
        self.manifest.preference(role).into_iter().find(|entry| self.presence(entry) == Presence::Present)
    }

    /// The bytes of a model's file, which are those of the manifest.
    ///
    /// # Errors
    /// A file that others can change, cannot be read, or is not the manifest's.
    pub fn read(&self, model: &Model) -> Result<Vec<u8>, ModelError> {
        let entry = self.manifest.entry(&model.name).ok_or_else(|| self.manifest.unknown(None, &model.name))?;
        let (file, path) = trusted::open(&model.path)?;
        let mut bytes = Vec::new();
        file.take(entry.bytes + 1).read_to_end(&mut bytes).map_err(ModelError::file("read", &path))?;
        right(model, entry, &digest(bytes.as_slice(), &path)?)?;
        Ok(bytes)
    }

    /// ONNX Runtime's shared library: what `ORT_DYLIB_PATH` names, else the models folder's for this processor, hashed.
    ///
    /// # Errors
    /// When neither is there, others can change it or it is not the manifest's file, with the command to run.
    pub fn runtime(&self) -> Result<Runtime, ModelError> {
        self.runtime_or(env::var_os(RUNTIME_VARIABLE))
    }

    /// The file of a picture of the demo.
    ///
    /// # Errors
    /// As [`ModelStore::choose`].
    pub fn picture(&self, name: &str) -> Result<PathBuf, ModelError> {
        self.choose(Role::Picture, name).map(|picture| picture.path)
    }

    /// Hashes the file of an entry.
    ///
    /// # Errors
    /// A file that is missing, that others can change, cannot be read, or is not the one of the manifest.
    pub fn verify(&self, entry: &Entry) -> Result<(), ModelError> {
        self.hashed(entry).map(drop)
    }

    fn runtime_or(&self, named: Option<OsString>) -> Result<Runtime, ModelError> {
        if let Some(path) = named.filter(|path| !path.is_empty()).map(PathBuf::from) {
            // A bare file name is left to the dynamic linker's search path.
            if path.components().count() == 1 && !path.exists() {
                return Ok(Runtime { path, file: None });
            }
            return if path.is_file() { Runtime::named(&path) } else { Err(ModelError::RuntimeOverride { path }) };
        }
        let entry = self.manifest.preference(Role::Runtime).first().copied();
        let (file, path) = self.hashed_once(entry.ok_or(ModelError::RuntimeArch { arch: env::consts::ARCH })?)?;
        Ok(Runtime { path, file: Some(file) })
    }

    /// The file of an entry, whose bytes are the manifest's, and where it is.
    fn hashed(&self, entry: &Entry) -> Result<(File, PathBuf), ModelError> {
        let model = self.there(entry)?;
        let (file, path) = trusted::open(&model.path)?;
        right(&model, entry, &digest(&file, &path)?)?;
        Ok((file, path))
    }

    /// The same; what this process has hashed is hashed again only once it was changed.
    fn hashed_once(&self, entry: &Entry) -> Result<(File, PathBuf), ModelError> {
        static HASHED: Mutex<BTreeSet<(FileState, String)>> = Mutex::new(BTreeSet::new());
        let model = self.there(entry)?;
        let (file, path) = trusted::open(&model.path)?;
        let now = FileState::of(&file.metadata().map_err(ModelError::file("read", &path))?);
        let mut hashed = HASHED.lock().unwrap_or_else(PoisonError::into_inner);
        if !hashed.contains(&(now, entry.sha256.clone())) {
            right(&model, entry, &digest(&file, &path)?)?;
            hashed.insert((now, entry.sha256.clone()));
        }
        Ok((file, path))
    }

    fn there(&self, entry: &Entry) -> Result<Model, ModelError> {
        let name = entry.name.clone();
        match self.presence(entry) {
            Presence::Present => Ok(self.model(entry)),
            Presence::Missing => Err(ModelError::NotPresent { name, dir: self.dir.clone() }),
            Presence::WrongSize(found) => {
                Err(ModelError::WrongSize { name, path: self.path(entry), expected: entry.bytes, found })
            }
        }
    }

    fn none(&self, role: Role) -> ModelError {
        // A damaged file is the better explanation than a missing one.
        let damaged = self.manifest.preference(role).into_iter().map(|entry| self.there(entry));
        damaged
            .filter_map(Result::err)
            .find(|error| matches!(error, ModelError::WrongSize { .. }))
            .unwrap_or_else(|| ModelError::NonePresent { role, dir: self.dir.clone() })
    }

    fn model(&self, entry: &Entry) -> Model {
        Model { name: entry.name.clone(), path: self.path(entry) }
    }
}

impl FileState {
    fn of(about: &Metadata) -> Self {
        let [mtime, mtime_nsec] = [about.mtime(), about.mtime_nsec()].map(i64::cast_unsigned);
        let [ctime, ctime_nsec] = [about.ctime(), about.ctime_nsec()].map(i64::cast_unsigned);
        Self([about.dev(), about.ino(), about.len(), mtime, mtime_nsec, ctime, ctime_nsec])
    }
}

impl Runtime {
    /// A library that the machine's owner names. What is beside it is loaded with it, and is as safe as its folder.
    pub(crate) fn named(path: &Path) -> Result<Self, ModelError> {
        let (_, path) = trusted::open(path)?;
        Ok(Self { path, file: None })
    }

    /// Where the library is, for people.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the dynamic linker is to open. The library looks for what it needs beside itself before anywhere else, so
    /// ours is opened by its descriptor, beside which there is nothing, and which is the file that was hashed.
    pub(crate) fn loadable(&self) -> PathBuf {
        match &self.file {
            Some(file) => PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())),
            None => self.path.clone(),
        }
    }
}

/// Length and sha256 of a file, whoever may write to it.
pub fn hash_file(path: &Path) -> Result<Digest, ModelError> {
    digest(File::open(path).map_err(ModelError::file("open", path))?, path)
}

/// Length and sha256 of what is read to the end; `path` is for the error.
fn digest(mut reader: impl Read, path: &Path) -> Result<Digest, ModelError> {
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        match reader.read(&mut buffer).map_err(ModelError::file("read", path))? {
            0 => return Ok(Digest { bytes, sha256: hex::encode(hash.finalize()) }),
            count => {
                hash.update(&buffer[..count]);
                bytes += count as u64;
            }
        }
    }
}

fn right(model: &Model, entry: &Entry, found: &Digest) -> Result<(), ModelError> {
    if *found == entry.digest() {
        return Ok(());
    }
    Err(ModelError::WrongHash { name: model.name.clone(), path: model.path.clone() })
}

fn place(
    named: Option<OsString>,
    configured: Option<&Path>,
    system: &[&Path],
    manifest: &Manifest,
) -> (PathBuf, &'static str) {
    if let Some(dir) = named.filter(|dir| !dir.is_empty()) {
        return (PathBuf::from(dir), BY_VARIABLE);
    }
    if let Some(dir) = configured {
        return (dir.to_owned(), BY_CONFIGURATION);
    }
    let filled = |dir: &&&Path| manifest.entries().iter().any(|entry| dir.join(&entry.file).is_file());
    let dir = system.iter().find(filled).or(system.first()).map(|dir| dir.to_path_buf());
    (dir.unwrap_or_default(), BY_NOBODY)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `abc`, three bytes.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn manifest() -> Manifest {
        let entry = |name: &str, role: &str, more: &str| {
            format!(
                "[[entry]]\nname = \"{name}\"\nrole = \"{role}\"\nlicence = \"MIT\"\nabout = \"a test\"\n\
                 file = \"{name}.bin\"\nbytes = 3\nsha256 = \"{ABC}\"\nsource = []\n{more}\n"
            )
        };
        let arch = format!("arch = \"{}\"", env::consts::ARCH);
        let text = [
            "[auto]\ndetector = [\"better\", \"faster\"]\nembedder = [\"only\"]\n".to_owned(),
            entry("faster", "detector", ""),
            entry("better", "detector", ""),
            entry("only", "embedder", ""),
            entry("library_foreign", "runtime", "arch = \"vax\""),
            entry("library", "runtime", &arch),
            entry("picture", "picture", ""),
        ];
        Manifest::parse(&text.concat()).unwrap()
    }

    fn store(files: &[(&str, &str)]) -> (tempfile::TempDir, ModelStore) {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(dir.path().join(format!("{name}.bin")), content).unwrap();
        }
        let store = ModelStore::new(dir.path().to_owned(), manifest());
        (dir, store)
    }

    #[test]
    fn auto_takes_the_first_of_the_preference_that_is_there() {
        type Files = &'static [(&'static str, &'static str)];
        let cases: [(Files, Result<&str, &str>); 5] = [
            (&[("faster", "abc"), ("better", "abc")], Ok("better")),
            (&[("faster", "abc")], Ok("faster")),
            (&[("faster", "abc"), ("better", "ab")], Ok("faster")),
            (&[("better", "ab")], Err("has 2 bytes instead of 3: run `doorward models pull better`")),
            (&[], Err("no detector model is in")),
        ];
        for (files, expected) in cases {
            let (_dir, store) = store(files);
            match (store.choose(Role::Detector, "auto"), expected) {
                (Ok(model), Ok(name)) => {
                    assert_eq!(model.name, name);
                    assert!(model.path.is_file());
                }
                (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
                (found, _) => panic!("{files:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_model_by_name_is_there_or_the_error_says_what_to_run() {
        let (_dir, store) = store(&[("faster", "abc")]);
        assert_eq!(store.choose(Role::Detector, "faster").unwrap().name, "faster");
        let cases = [
            (Role::Detector, "better", "run `doorward models pull better`"),
            (Role::Detector, "only", "there is no detector called `only`"),
            (Role::Embedder, "onyl", "did you mean `only`?"),
        ];
        for (role, wanted, text) in cases {
            let error = store.choose(role, wanted).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn pictures_are_extras_and_models_are_not() {
        let (_dir, store) = store(&[("picture", "abc"), ("only", "abc")]);
        assert!(store.picture("picture").unwrap().is_file());
        assert!(store.picture("only").unwrap_err().to_string().contains("there is no picture called `only`"));
    }

    #[test]
    fn the_variable_names_the_runtime_before_the_folder_does() {
        let (dir, store) = store(&[("library", "abc"), ("library_foreign", "abc")]);
        let path = |named: &Path| store.runtime_or(Some(named.into())).unwrap().path;
        assert!(store.runtime_or(None).unwrap().path.ends_with("library.bin"));
        assert!(path(Path::new("")).ends_with("library.bin"));
        let other = dir.path().join("other.so");
        assert!(
            store.runtime_or(Some(other.clone().into())).err().unwrap().to_string().contains("ORT_DYLIB_PATH names")
        );
        fs::write(&other, "").unwrap();
        assert_eq!(path(&other), other.canonicalize().unwrap());
        assert_eq!(path(Path::new("libonnxruntime.so")), Path::new("libonnxruntime.so"));
    }

    #[test]
    fn a_model_of_other_bytes_is_not_read() {
        let (_dir, store) = store(&[("faster", "abc"), ("better", "abd")]);
        let read = |name| store.read(&store.choose(Role::Detector, name).unwrap());
        assert_eq!(read("faster").unwrap(), b"abc");
        assert!(matches!(read("better"), Err(ModelError::WrongHash { .. })));
    }

    #[test]
    fn a_runtime_of_other_bytes_is_not_loaded() {
        let (_dir, store) = store(&[("library", "abd")]);
        let error = store.runtime_or(None).err().unwrap().to_string();
        assert!(error.contains("does not have the sha256") && error.contains("models pull library"), "{error}");
    }

    #[test]
    fn verify_tells_the_missing_the_cut_and_the_changed() {
        let (_dir, store) = store(&[("faster", "abc"), ("better", "ab"), ("only", "xyz")]);
        let verify = |name: &str| store.verify(store.manifest().entry(name).unwrap());
        assert!(verify("faster").is_ok());
        assert!(matches!(verify("better"), Err(ModelError::WrongSize { found: 2, expected: 3, .. })));
        assert!(matches!(verify("only"), Err(ModelError::WrongHash { .. })));
        assert!(matches!(verify("picture"), Err(ModelError::NotPresent { .. })));
    }

    #[test]
    fn the_folder_is_named_or_one_of_an_installed_system() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        let (var, usr) = (at("var"), at("usr"));
        fs::create_dir_all(&var).unwrap();
        fs::create_dir_all(&usr).unwrap();
        let system: [&Path; 2] = [&var, &usr];
        let manifest = manifest();
        let find = |named: Option<&str>, configured: Option<&str>| {
            let configured = configured.map(Path::new);
            place(named.map(OsString::from), configured, &system, &manifest)
        };
        assert_eq!(find(Some("/named"), Some("/configured")), ("/named".into(), BY_VARIABLE));
        assert_eq!(find(Some(""), Some("/configured")), ("/configured".into(), BY_CONFIGURATION));
        assert_eq!(find(None, None), (var.clone(), BY_NOBODY), "nothing is anywhere yet");
        fs::write(at("usr/picture.bin"), "").unwrap();
        assert_eq!(find(None, None), (usr.clone(), BY_NOBODY));
        fs::write(at("var/picture.bin"), "").unwrap();
        assert_eq!(find(None, None), (var.clone(), BY_NOBODY));
    }
}
