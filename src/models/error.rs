//! What can go wrong with model files, told so that the operator knows the next step.

use std::path::PathBuf;
use std::time::Duration;

use super::Role;

/// Everything the models room can fail at.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    // The manifest.
    #[error("cannot read the manifest")]
    ManifestSyntax(#[source] toml::de::Error),
    #[error("manifest entry `{entry}`: {problem}")]
    ManifestEntry { entry: String, problem: String },

    // Choosing a file.
    #[error("there is no {role} called `{wanted}`{}; it is one of {known}", meant(.nearest))]
    Unknown { role: &'static str, wanted: String, nearest: Option<String>, known: String },
    #[error("`{name}` is not in {}: run `doorward models pull {name}`", dir.display())]
    NotPresent { name: String, dir: PathBuf },
    #[error("no {role} model is in {}: run `doorward models pull`", dir.display())]
    NonePresent { role: Role, dir: PathBuf },
    #[error("{} has {found} bytes instead of {expected}: run `doorward models pull {name}` to fetch it again", path.display())]
    WrongSize { name: String, path: PathBuf, expected: u64, found: u64 },
    #[error("{} does not have the sha256 of the manifest: run `doorward models pull {name}` to fetch it again", path.display())]
    WrongHash { name: String, path: PathBuf },
    #[error("ORT_DYLIB_PATH names {}, which is not there: correct it, or unset it and run `doorward models pull`", path.display())]
    RuntimeOverride { path: PathBuf },
    #[error("the manifest has no ONNX Runtime for {arch}: install one and set ORT_DYLIB_PATH to its libonnxruntime.so")]
    RuntimeArch { arch: &'static str },

    // Files.
    #[error("cannot {action} {}", path.display())]
    File { action: &'static str, path: PathBuf, source: std::io::Error },

    // Fetching.
    #[error("cannot set up the HTTP client")]
    Client(#[source] reqwest::Error),
    #[error("cannot reach {host}")]
    Unreachable { host: String, source: reqwest::Error },
    #[error("{host} does not answer as a web server does")]
    NoAnswer { host: String, source: reqwest::Error },
    #[error("{host} failed a moment ago, not tried again")]
    StillSilent { host: String },
    #[error("{host} answers HTTP {status}")]
    Status { host: String, status: u16 },
    #[error("the download from {host} broke off after {received} of {expected} bytes")]
    BrokenOff { host: String, received: u64, expected: u64, source: reqwest::Error },
    #[error("the download from {host} was not through after {} s, stopped", after.as_secs())]
    Slow { host: String, after: Duration },
    #[error("nothing came from {host} within {} s", after.as_secs())]
    Stalled { host: String, after: Duration },
    #[error("{origin} gives more than the expected {expected} bytes, stopped")]
    TooLong { origin: String, expected: u64 },
    #[error("{origin} gives {received} bytes instead of {expected}")]
    TooShort { origin: String, received: u64, expected: u64 },
    #[error("what {origin} gives has the sha256 {found} instead of {expected}, thrown away")]
    ForeignBytes { origin: String, expected: String, found: String },
    #[error("{tool} is not installed: {remedy}")]
    ToolMissing { tool: &'static str, remedy: &'static str },
    #[error("cannot run {tool}")]
    ToolStart { tool: &'static str, source: std::io::Error },
    #[error("{tool} was still busy with {package} after {} s, stopped", after.as_secs())]
    ToolSlow { tool: &'static str, package: String, after: Duration },
    #[error("{tool} cannot fetch {package}: {reason}")]
    ToolFailed { tool: &'static str, package: String, reason: String },
    #[error("{package} could not be fetched a moment ago, not tried again")]
    PackageFailed { package: String },
    #[error("cannot read {member} in {package}: {reason}")]
    Archive { package: String, member: String, reason: String },

    // Preparing.
    #[error("cannot prepare {what}: {problem}")]
    Prepare { what: &'static str, problem: String },
    #[error(
        "preparing `{name}` gave the sha256 {found} instead of {expected}: this build prepares it differently, please report it"
    )]
    PreparedDifferently { name: String, expected: String, found: String },
}

fn meant(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!(", did you mean `{name}`?")).unwrap_or_default()
}

/// For `map_err` on what touches a file.
pub(super) fn file(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> ModelError {
    let path = path.to_owned();
    move |source| ModelError::File { action, path, source }
}
