//! Files nobody else could have put there: what decides what runs is opened by this alone.
//!
//! In: a path. Out: the open file and where it is, links resolved, once it and every folder above it belong to somebody
//! who could run anything here anyway, and nobody else may write to them: what was found so cannot be swapped between
//! the look and the use. It does not know what the bytes should be.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use nix::sys::signal::Signal;
use nix::unistd::{AccessFlags, access, geteuid};

/// May do everything anyway.
const ROOT: u32 = 0;
/// Others may write.
const BY_OTHERS: u32 = 0o002;
/// The group may write.
const BY_GROUP: u32 = 0o020;
/// Only who owns what is in this folder may rename or remove it.
const STICKY: u32 = 0o1000;

/// Why a file is not opened.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("cannot {action} {}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "{} {problem}, who could make doorward run anything: let it and every folder above it belong to root or to \
         user {user}, and let nobody else write to them (`chown`, `chmod go-w`)", path.display()
    )]
    Others { path: PathBuf, problem: &'static str, user: u32 },
}

/// Who could run anything here anyway: root, the user this runs as, and who has become root by `sudo`.
#[derive(Clone, Copy)]
struct Trustees {
    user: u32,
    behind: Option<u32>,
}

/// Opens a file for reading, and tells where it is, links resolved.
///
/// # Errors
/// A file that is missing or unreadable, and one that somebody else could have put there or could change: with what is
/// wrong about which folder.
pub fn open(named: &Path) -> Result<(File, PathBuf), TrustError> {
    let path = find(named)?;
    let file = File::open(&path).map_err(failed("open", &path))?;
    Ok((file, path))
}

/// Where a file or folder is, links resolved, once it and all above it are nobody else's.
///
/// # Errors
/// As [`open`].
pub fn find(named: &Path) -> Result<PathBuf, TrustError> {
    let path = named.canonicalize().map_err(failed("find", named))?;
    // From the top: once a folder is nobody else's, what is in it stays what it is.
    let mut parts: Vec<&Path> = path.ancestors().collect();
    parts.reverse();
    for part in parts {
        check(part, &part.metadata().map_err(failed("look at", part))?)?;
    }
    Ok(path)
}

/// Where programs are looked for when doorward itself has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The folders that programs are looked for in, as in the variable `PATH`.
pub fn search_path() -> OsString {
    std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into())
}

/// Where a program is: a path as it is, a bare name in the first folder of [`search_path`] that has it; executable in
/// any case, and nobody else's.
///
/// # Errors
/// There is none, or it may not be executed, or as [`open`]: in words for whoever has named it.
pub fn program(named: &Path) -> Result<PathBuf, String> {
    let executable = |path: &Path| path.is_file() && access(path, AccessFlags::X_OK).is_ok();
    let path = if named.components().count() == 1 && !named.is_absolute() {
        let path = search_path();
        let mut found = std::env::split_paths(&path).map(|folder| folder.join(named));
        found.find(|path| executable(path)).ok_or("no folder of PATH has a program of this name")?
    } else {
        match named {
            path if executable(path) => path.to_owned(),
            path if path.is_file() => return Err("it may not be executed: `chmod +x` it, or check its owner".into()),
            _ => return Err("there is no such file".into()),
        }
    };
    find(&path).map_err(|error| error.to_string())?;
    Ok(path)
}

/// How a program ended, for people.
pub fn how_it_ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with exit code {code}"),
        (None, Some(signal)) => {
            let name = Signal::try_from(signal).map_or("a signal", Signal::as_str);
            format!("it was ended by {name} ({signal})")
        }
        (None, None) => "it ended, nobody knows how".into(),
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> TrustError {
    let path = path.to_owned();
    move |source| TrustError::File { action, path, source }
}

fn check(path: &Path, about: &Metadata) -> Result<(), TrustError> {
    let trustees = Trustees::now();
    match fault(about, trustees) {
        None => Ok(()),
        Some(problem) => Err(TrustError::Others { path: path.to_owned(), problem, user: trustees.user }),
    }
}

fn fault(about: &Metadata, trustees: Trustees) -> Option<&'static str> {
    let (owner, group, mode) = (about.uid(), about.gid(), about.mode());
    if owner != ROOT && owner != trustees.user && Some(owner) != trustees.behind {
        return Some("belongs to somebody else");
    }
    if about.is_dir() && mode & STICKY != 0 {
        return None;
    }
    if mode & BY_OTHERS != 0 {
        return Some("can be written by everybody");
    }
    // Root's group, and the group of the owner's own number, which a system gives each user alone, are no other people.
    (mode & BY_GROUP != 0 && group != ROOT && group != owner).then_some("can be written by its group")
}

impl Trustees {
    fn now() -> Self {
        let user = geteuid().as_raw();
        // `sudo` sets it for root; who could set it otherwise runs what they like already.
        let behind = if user == ROOT { std::env::var("SUDO_UID").ok().and_then(|uid| uid.parse().ok()) } else { None };
        Self { user, behind }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    fn allow(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    /// What opening a file in a folder says, after they were made so.
    fn opened(prepare: impl FnOnce(&Path, &Path)) -> Result<(), String> {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("models");
        fs::create_dir(&dir).unwrap();
        let file = dir.join("model.onnx");
        fs::write(&file, "abc").unwrap();
        allow(&file, 0o644);
        allow(&dir, 0o755);
        prepare(&dir, &file);
        open(&file).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn what_everybody_can_write_is_not_opened() {
        assert_eq!(opened(|_, _| ()), Ok(()));
        assert_eq!(opened(|dir, _| allow(dir, 0o1777)), Ok(()), "nobody can take away another's file there");
        type Prepare = fn(&Path, &Path);
        let cases: [(Prepare, &str); 2] = [
            (|_, file| allow(file, 0o646), "model.onnx can be written by everybody"),
            (|dir, _| allow(dir, 0o777), "models can be written by everybody"),
        ];
        for (prepare, expected) in cases {
            let error = opened(prepare).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_link_is_as_good_as_where_it_leads() {
        let open_to_all = tempfile::tempdir().unwrap();
        allow(open_to_all.path(), 0o777);
        let planted = open_to_all.path().join("planted.onnx");
        fs::write(&planted, "abc").unwrap();
        let linked = opened(|_, file| {
            fs::remove_file(file).unwrap();
            symlink(&planted, file).unwrap();
        });
        assert!(linked.unwrap_err().contains("can be written by everybody"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = open(Path::new("no/such/file")).map(drop).unwrap_err().to_string();
        assert_eq!(error, "cannot find no/such/file");
    }

    #[test]
    fn owner_and_group_decide() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let me = geteuid().as_raw();
        let judged = |mode, user, behind| {
            allow(file.path(), mode);
            fault(&fs::metadata(file.path()).unwrap(), Trustees { user, behind })
        };
        assert_eq!(judged(0o600, me, None), None);
        if me != ROOT {
            assert_eq!(judged(0o600, me + 1, None), Some("belongs to somebody else"));
            return;
        }
        // What is root's is as good for everybody else; others' files can be made by root alone.
        assert_eq!(judged(0o600, 4_242, None), None);
        chown(file.path(), Some(4_242), Some(4_242)).unwrap();
        assert_eq!(judged(0o600, me, None), Some("belongs to somebody else"));
        assert_eq!(judged(0o600, me, Some(4_242)), None, "by sudo");
        assert_eq!(judged(0o664, 4_242, None), None, "a group of one's own");
        chown(file.path(), Some(4_242), Some(4_243)).unwrap();
        assert_eq!(judged(0o664, 4_242, None), Some("can be written by its group"));
        assert_eq!(judged(0o644, 4_242, None), None);
    }
}
