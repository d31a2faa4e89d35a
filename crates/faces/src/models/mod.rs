//! Model files, and the few others that come with them: the runtime's library and the demo's pictures.
//!
//! In: the manifest compiled into the program and a folder. Out: the path of the file to use for a role, or an error
//! that says which command fetches it. It fetches nothing itself and does not know what is inside a model.

mod manifest;
mod store;

use std::path::{Path, PathBuf};

use trusted::TrustError;

pub use manifest::{Digest, Entry, Manifest};
pub use store::{Model, ModelStore, Presence, Runtime, hash_file};

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
    #[error(
        "{} has {found} bytes instead of {expected}: run `doorward models pull {name}` to fetch it again",
        path.display()
    )]
    WrongSize { name: String, path: PathBuf, expected: u64, found: u64 },
    #[error(
        "{} does not have the sha256 of the manifest: run `doorward models pull {name}` to fetch it again",
        path.display()
    )]
    WrongHash { name: String, path: PathBuf },
    #[error(
        "ORT_DYLIB_PATH names {}, which is not there: correct it, or unset it and run `doorward models pull`",
        path.display()
    )]
    RuntimeOverride { path: PathBuf },
    #[error("the manifest has no ONNX Runtime for {arch}: install one and set ORT_DYLIB_PATH to its libonnxruntime.so")]
    RuntimeArch { arch: &'static str },

    // Files.
    #[error(transparent)]
    Untrusted(#[from] TrustError),
    #[error("cannot {action} {}", path.display())]
    File { action: &'static str, path: PathBuf, source: std::io::Error },
}

fn meant(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!(", did you mean `{name}`?")).unwrap_or_default()
}

impl ModelError {
    /// For `map_err` on what touches a file or a folder; `action` completes "cannot …", before its path.
    pub fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }
}

/// What an entry of the manifest is for; shown as the manifest spells it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize, strum::Display, strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Role {
    /// Finds faces.
    Detector,
    /// Turns a face into a vector.
    Embedder,
    /// Tells a person from a picture of one; nothing but what is configured to use it needs it.
    Liveness,
    /// ONNX Runtime's shared library, one entry per processor.
    Runtime,
    /// A picture of the demo.
    Picture,
}

impl Role {
    /// In the order `doorward models list` shows them.
    pub const ALL: [Self; 5] = [Self::Detector, Self::Embedder, Self::Liveness, Self::Runtime, Self::Picture];

    /// Whether doorward does its work without any file of it.
    pub fn is_optional(self) -> bool {
        self == Self::Liveness
    }

    /// Whether its files are networks.
    pub fn is_model(self) -> bool {
        matches!(self, Self::Detector | Self::Embedder | Self::Liveness)
    }
}
