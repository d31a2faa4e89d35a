//! Model files, and the few others that come with them: the runtime's library and the demo's pictures.
//!
//! In: the manifest compiled into the program and a folder. Out: the path of the file to use for a role, or an error
//! that says which command fetches it. It fetches nothing itself and does not know what is inside a model.

mod error;
mod manifest;
mod store;

pub use error::ModelError;
pub use manifest::{Digest, Entry, Manifest};
pub use store::{Model, ModelStore, Presence, hash_file};

/// What an entry of the manifest is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Finds faces.
    Detector,
    /// Turns a face into a vector.
    Embedder,
    /// ONNX Runtime's shared library, one entry per processor.
    Runtime,
    /// A picture of the demo.
    Picture,
}

impl Role {
    /// In the order `doorward models list` shows them.
    pub const ALL: [Self; 4] = [Self::Detector, Self::Embedder, Self::Runtime, Self::Picture];

    /// As the manifest spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Detector => "detector",
            Self::Embedder => "embedder",
            Self::Runtime => "runtime",
            Self::Picture => "picture",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
