//! What can be wrong with model files, told so that the operator knows the next step.

use std::path::PathBuf;

use super::Role;

/// Why there is no usable model file.
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
}

fn meant(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!(", did you mean `{name}`?")).unwrap_or_default()
}

/// For `map_err` on what touches a file.
pub(super) fn file(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> ModelError {
    let path = path.to_owned();
    move |source| ModelError::File { action, path, source }
}
