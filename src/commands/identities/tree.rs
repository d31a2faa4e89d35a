//! Files of a folder that somebody else may have prepared, and files that the user names.
//!
//! In: a folder, then paths below it. Out: files that are open: regular ones that lie beneath the folder, reached by no
//! link and no `..`, and what is in its folders. What is looked at and what is used are one open file, so that nothing
//! can be swapped in between. Where the folder itself is, and a file that is named alone, is the user's word: links are
//! followed there. It does not know what the files should be.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{Mode, SFlag, fstat};

/// Reading, without waiting for a FIFO's other end.
const READ: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY).union(OFlag::O_LARGEFILE).union(OFlag::O_CLOEXEC);
/// A folder, to list what is in it.
const FOLDER: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);
/// Whatever it is, only to look at.
const PLACE: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Why a file is not opened, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    #[error("{} is a link, or behind one; copy the file into the folder", path.display())]
    Link { path: PathBuf },
    #[error("{} leads out of {}; copy the file into the folder, and name it from there", path.display(), top.display())]
    Outside { path: PathBuf, top: PathBuf },
    #[error("{} is no regular file but {kind}; put the file itself there", path.display())]
    NoFile { path: PathBuf, kind: &'static str },
    #[error("cannot read {}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// A folder, open, and everything beneath it; cheap to clone.
#[derive(Clone)]
pub struct Tree {
    path: PathBuf,
    top: Arc<OwnedFd>,
}

impl Tree {
    /// The folder may be reached through links.
    pub fn open(path: &Path) -> Result<Self, TreeError> {
        let folder = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let top = openat(AT_FDCWD, path, folder, Mode::empty()).map_err(|errno| failed(path, errno))?;
        Ok(Self { path: path.to_owned(), top: Arc::new(top) })
    }

    /// Where the folder is; what is below it is named from here.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A regular file beneath the folder, to be read.
    pub fn file(&self, path: &Path) -> Result<File, TreeError> {
        regular(self.find(path, READ)?, path)
    }

    /// Whether there is a folder; a link is none.
    pub fn is_folder(&self, path: &Path) -> bool {
        self.find(path, FOLDER).is_ok()
    }

    /// What is in a folder, sorted, without what is hidden.
    pub fn entries(&self, folder: &Path) -> Result<Vec<PathBuf>, TreeError> {
        let unread = |errno| failed(folder, errno);
        let found = Dir::from_fd(self.find(folder, FOLDER)?).map_err(unread)?;
        let mut paths = Vec::new();
        for entry in found {
            let entry = entry.map_err(unread)?;
            let name = std::ffi::OsStr::from_bytes(entry.file_name().to_bytes());
            if !name.as_bytes().starts_with(b".") {
                paths.push(folder.join(name));
            }
        }
        paths.sort();
        Ok(paths)
    }

    fn find(&self, path: &Path, flags: OFlag) -> Result<OwnedFd, TreeError> {
        let outside = || TreeError::Outside { path: path.to_owned(), top: self.path.clone() };
        let below = path.strip_prefix(&self.path).map_err(|_| outside())?;
        if below.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(outside());
        }
        let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
        let found = match beneath(&self.top, below, flags) {
            // Some filters of system calls say that what they do not know is not permitted.
            Err(Errno::ENOSYS | Errno::EPERM) => step_by_step(&self.top, below, flags),
            found => found,
        };
        found.map_err(|errno| if errno == Errno::EXDEV { outside() } else { failed(path, errno) })
    }
}

/// A regular file that the user names, wherever it is.
pub fn named(path: &Path) -> Result<File, TreeError> {
    regular(openat(AT_FDCWD, path, READ, Mode::empty()).map_err(|errno| failed(path, errno))?, path)
}

/// All bytes of a file; of a larger one as many as that and one more.
pub fn read(file: File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn regular(found: OwnedFd, path: &Path) -> Result<File, TreeError> {
    let kind = match kind(&found).map_err(|errno| failed(path, errno))? {
        SFlag::S_IFREG => return Ok(File::from(found)),
        SFlag::S_IFDIR => "a folder",
        SFlag::S_IFIFO => "a FIFO",
        _ => "a device",
    };
    Err(TreeError::NoFile { path: path.to_owned(), kind })
}

fn kind(found: &OwnedFd) -> nix::Result<SFlag> {
    Ok(SFlag::from_bits_truncate(fstat(found)?.st_mode) & SFlag::S_IFMT)
}

fn failed(path: &Path, errno: Errno) -> TreeError {
    let path = path.to_owned();
    match errno {
        Errno::ELOOP => TreeError::Link { path },
        // What opening a socket says.
        Errno::ENXIO => TreeError::NoFile { path, kind: "a socket or a device" },
        errno => TreeError::Io { path, source: errno.into() },
    }
}

/// Opens what is beneath a folder; the kernel sees to it that no link leads there or elsewhere.
fn beneath(top: impl AsFd, below: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let no_links = ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_BENEATH | no_links);
    openat2(top, below, how)
}

/// The same where the kernel is older than Linux 5.6: one part of the path after the other.
fn step_by_step(top: impl AsFd, below: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let mut place = openat(top, ".", PLACE, Mode::empty())?;
    let mut parts = below.iter().peekable();
    while let Some(part) = parts.next() {
        let next = openat(&place, part, PLACE, Mode::empty())?;
        if kind(&next)? == SFlag::S_IFLNK {
            return Err(Errno::ELOOP);
        }
        if parts.peek().is_none() {
            return openat(&place, part, flags | OFlag::O_NOFOLLOW, Mode::empty());
        }
        place = next;
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use nix::unistd::mkfifo;

    use super::*;

    /// A folder with files, links and a FIFO, and a secret beside it.
    fn prepared() -> (tempfile::TempDir, Tree) {
        let root = tempfile::tempdir().unwrap();
        let top = root.path().join("top");
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::write(root.path().join("secret"), "secret").unwrap();
        fs::write(top.join("a/b/file"), "file").unwrap();
        fs::write(top.join("a/.hidden"), "").unwrap();
        symlink(root.path().join("secret"), top.join("absolute")).unwrap();
        symlink("../secret", top.join("relative")).unwrap();
        symlink("a/b/file", top.join("inside")).unwrap();
        symlink("a", top.join("folder")).unwrap();
        symlink("nowhere", top.join("dangling")).unwrap();
        symlink("/proc/self/fd/0", top.join("magic")).unwrap();
        mkfifo(&top.join("fifo"), Mode::S_IRWXU).unwrap();
        let _listening = std::os::unix::net::UnixListener::bind(top.join("socket")).unwrap();
        let tree = Tree::open(&top).unwrap();
        (root, tree)
    }

    #[test]
    fn only_regular_files_beneath_the_folder_are_opened() {
        let (_root, tree) = prepared();
        for (name, wanted) in [
            ("a/b/file", "file"),
            ("./a/./b/file", "file"),
            ("absolute", "is a link"),
            ("relative", "is a link"),
            ("inside", "is a link"),
            ("dangling", "is a link"),
            ("magic", "is a link"),
            ("folder/b/file", "is a link, or behind one"),
            ("../secret", "leads out of"),
            ("a/../../secret", "leads out of"),
            ("a/../a/b/file", "leads out of"),
            ("/etc/passwd", "leads out of"),
            ("fifo", "no regular file but a FIFO"),
            ("socket", "no regular file but a socket"),
            ("a/b", "no regular file but a folder"),
            ("missing", "cannot read"),
            ("a/b/file/c", "cannot read"),
        ] {
            let said = match tree.file(&tree.path().join(name)) {
                Ok(file) => String::from_utf8(read(file, 100).unwrap()).unwrap(),
                Err(error) => error.to_string(),
            };
            assert!(said.contains(wanted), "{name}: {said}");
        }
    }

    /// What an old kernel is asked step by step gives the same.
    #[test]
    fn an_old_kernel_opens_the_same() {
        let (_root, tree) = prepared();
        for name in
            ["a", "a/b", "a/b/file", "a/b/file/c", "absolute", "dangling", "folder", "folder/b", "fifo", "missing", "."]
        {
            for flags in [READ, FOLDER] {
                let [new, old] =
                    [beneath(&tree.top, Path::new(name), flags), step_by_step(&tree.top, Path::new(name), flags)]
                        .map(|found| found.map(|found| kind(&found).unwrap()));
                assert_eq!(new, old, "{name}");
            }
        }
    }

    #[test]
    fn folders_are_listed_and_links_are_none() {
        let (root, tree) = prepared();
        let names = |folder: &str| {
            let entries = tree.entries(&tree.path().join(folder)).map_err(|error| error.to_string())?;
            Ok(entries.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(names("a"), Ok(vec!["b".to_owned()]));
        assert_eq!(names("").map(|names| names.len()), Ok(9));
        assert!(names("folder").is_err_and(|error: String| error.contains("is a link")));
        let is_folder = |name: &str| tree.is_folder(&tree.path().join(name));
        assert_eq!(
            [is_folder("a/b"), is_folder("folder"), is_folder("fifo"), is_folder("..")],
            [true, false, false, false]
        );
        // Where the folder itself is, is the user's word, as is a file that is named alone.
        let way = root.path().join("way");
        symlink(tree.path(), &way).unwrap();
        assert_eq!(read(Tree::open(&way).unwrap().file(&way.join("a/b/file")).unwrap(), 2).unwrap(), b"fil");
        assert!(named(&way.join("relative")).is_ok());
        assert!(named(&way.join("fifo")).is_err_and(|error| error.to_string().contains("FIFO")));
    }

    #[test]
    fn the_folder_stays_the_one_that_was_opened() {
        let (root, tree) = prepared();
        fs::rename(tree.path(), root.path().join("elsewhere")).unwrap();
        symlink("/etc", tree.path()).unwrap();
        assert!(tree.file(&tree.path().join("a/b/file")).is_ok());
        assert!(tree.file(&tree.path().join("passwd")).is_err());
    }
}
