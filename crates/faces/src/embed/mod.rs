//! From a face to a vector.
//!
//! In: a picture and the five landmarks of a face in it. Out: an [`Embedding`]. Each model brings its own alignment,
//! metric and recommended threshold.

mod faceapi_resnet;
mod mobilefacenet;
mod network;

use std::cmp::Ordering;
use std::path::Path;

use crate::detect::Face;
use crate::models::{ModelError, ModelStore, Role};
use crate::onnx::{self, OnnxError};
use crate::picture::{Picture, PictureError};

/// Turns faces into vectors.
pub trait FaceEmbedder: Send {
    /// The model's name in the manifest.
    fn name(&self) -> &str;

    /// How two of its embeddings are compared.
    fn metric(&self) -> Metric;

    /// The recommended limit for "the same person", in the metric's own numbers.
    fn threshold(&self) -> f32;

    /// Values per embedding.
    fn dimensions(&self) -> usize;

    /// The embedding of a face of the picture. Only the face's landmarks are used; for a chip that is already aligned
    /// they are [`align::ARCFACE`](crate::align::ARCFACE).
    fn embed(&mut self, picture: &Picture, face: &Face) -> Result<Embedding, EmbedError>;

    /// How sure it is that two embeddings so compared are the same person; see [`Metric::confidence`].
    fn confidence(&self, value: f32) -> f32 {
        self.metric().confidence(value, self.threshold())
    }
}

/// The vector of a face, as the model named gives it: L2-normalised where the model's metric is cosine.
#[derive(Clone, PartialEq)]
pub struct Embedding {
    /// The model's name in the manifest.
    pub model: String,
    pub values: Vec<f32>,
}

/// How two embeddings are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Cosine similarity, -1 to 1: the higher, the more alike.
    Cosine,
    /// Euclidean distance, from 0: the lower, the more alike.
    L2,
}

/// Why a face has no embedding.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    #[error("cannot choose an embedding model")]
    Choose {
        #[source]
        source: ModelError,
    },
    #[error("cannot load ONNX Runtime for the embedding")]
    Runtime {
        #[source]
        source: OnnxError,
    },
    #[error("cannot load the embedding model {model}")]
    Load {
        model: String,
        #[source]
        source: OnnxError,
    },
    #[error("{model} is not an embedding model this build knows")]
    Unknown { model: String },
    #[error("cannot align the face")]
    Align {
        #[source]
        source: PictureError,
    },
    #[error("the embedding model {model} failed on a face")]
    Run {
        model: String,
        #[source]
        source: ort::Error,
    },
    #[error(
        "the embedding model {model} gave {got} values instead of {wanted}; check it with `doorward models verify`"
    )]
    Layout { model: String, got: usize, wanted: usize },
    #[error("the embedding model {model} gave values that are no numbers; check it with `doorward models verify`")]
    NotFinite { model: String },
}

/// The embedder called `wanted`, or for `auto` the first of the manifest's preference order whose file is present.
/// `threads` is how many one inference may use.
pub fn load(store: &ModelStore, wanted: &str, threads: u16) -> Result<Box<dyn FaceEmbedder>, EmbedError> {
    let choose = |source| EmbedError::Choose { source };
    let model = store.choose(Role::Embedder, wanted).map_err(choose)?;
    onnx::init(&store.runtime().map_err(choose)?).map_err(|source| EmbedError::Runtime { source })?;
    let embedder = open(&model.name, &model.path, threads)?;
    tracing::info!(model = embedder.name(), wanted, threads, "the embedding model is {}", embedder.name());
    Ok(embedder)
}

/// Opens the model file of the manifest's embedder `name`. ONNX Runtime must have been loaded.
pub fn open(name: &str, file: &Path, threads: u16) -> Result<Box<dyn FaceEmbedder>, EmbedError> {
    let session = || onnx::session(file, threads).map_err(|source| EmbedError::Load { model: name.into(), source });
    Ok(match name {
        "mobilefacenet" => Box::new(mobilefacenet::MobileFaceNet::new(name, session()?)),
        "faceapi_resnet" => Box::new(faceapi_resnet::FaceApiResNet::new(name, session()?)),
        _ => return Err(EmbedError::Unknown { model: name.into() }),
    })
}

impl Metric {
    /// As the API and the commands spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::L2 => "l2",
        }
    }

    /// Compares two vectors. Vectors of different lengths or without any length are as unlike as can be.
    pub fn score(self, a: &[f32], b: &[f32]) -> f32 {
        if a.len() != b.len() || a.is_empty() {
            return self.worst();
        }
        let pairs = || a.iter().zip(b);
        let value = match self {
            Self::Cosine => {
                let dot: f32 = pairs().map(|(a, b)| a * b).sum();
                let square = |values: &[f32]| values.iter().map(|value| value * value).sum::<f32>();
                (dot / (square(a) * square(b)).sqrt()).clamp(-1.0, 1.0)
            }
            Self::L2 => pairs().map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt(),
        };
        if value.is_finite() { value } else { self.worst() }
    }

    /// Whether a compared value means the same person at this threshold.
    pub fn accepts(self, value: f32, threshold: f32) -> bool {
        match self {
            Self::Cosine => value >= threshold,
            Self::L2 => value <= threshold,
        }
    }

    /// The order that puts the more alike first; what is no number comes last.
    pub fn order(self, a: f32, b: f32) -> Ordering {
        let closeness = |value: f32| match self {
            _ if value.is_nan() => f32::NEG_INFINITY,
            Self::Cosine => value,
            Self::L2 => -value,
        };
        closeness(b).total_cmp(&closeness(a))
    }

    /// A compared value on one scale for every metric and model: 0.5 at the threshold, 0.99 where the median pair of
    /// two good pictures of one person lies, below 0.01 where the median pair of two people does, and a logistic curve
    /// through them. It grows with likeness; what is no number gives 0.
    pub fn confidence(self, value: f32, threshold: f32) -> f32 {
        if value.is_nan() {
            return 0.0;
        }
        let beyond = match self {
            Self::Cosine => value - threshold,
            Self::L2 => threshold - value,
        };
        1.0 / (1.0 + (-self.steepness() * beyond).exp())
    }

    /// ln(99) over the distance from the threshold to the median genuine pair: 0.31 of cosine for MobileFaceNet, 0.24
    /// of distance for the face-api ResNet, measured on 1,431 pairs of 54 photos.
    fn steepness(self) -> f32 {
        match self {
            Self::Cosine => 14.8,
            Self::L2 => 19.1,
        }
    }

    fn worst(self) -> f32 {
        match self {
            Self::Cosine => -1.0,
            Self::L2 => f32::INFINITY,
        }
    }
}

impl std::fmt::Debug for Embedding {
    /// Never the values: they are biometric data and must not reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Embedding({}, {} values)", self.model, self.values.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_vectors_compare_as_computed_by_hand() {
        for (metric, a, b, want) in [
            (Metric::Cosine, [1.0, 0.0], [1.0, 0.0], 1.0),
            (Metric::Cosine, [3.0, 0.0], [0.0, 0.5], 0.0),
            (Metric::Cosine, [1.0, 1.0], [-2.0, -2.0], -1.0),
            (Metric::Cosine, [1.0, 0.0], [3.0, 4.0], 0.6),
            (Metric::Cosine, [0.0, 0.0], [3.0, 4.0], -1.0),
            (Metric::Cosine, [f32::NAN, 0.0], [3.0, 4.0], -1.0),
            (Metric::L2, [1.0, 2.0], [1.0, 2.0], 0.0),
            (Metric::L2, [0.0, 0.0], [3.0, 4.0], 5.0),
            (Metric::L2, [f32::NAN, 0.0], [3.0, 4.0], f32::INFINITY),
        ] {
            let got = metric.score(&a, &b);
            assert!(got == want || (got - want).abs() < 1e-6, "{metric:?} {a:?} {b:?}: {got} is not {want}");
        }
        assert_eq!(Metric::Cosine.score(&[1.0], &[1.0, 0.0]), -1.0);
        assert_eq!(Metric::L2.score(&[], &[]), f32::INFINITY);
    }

    #[test]
    fn thresholds_have_the_metrics_direction() {
        assert!(Metric::Cosine.accepts(0.5, 0.43) && Metric::Cosine.accepts(0.43, 0.43));
        assert!(!Metric::Cosine.accepts(0.42, 0.43) && !Metric::Cosine.accepts(f32::NAN, 0.43));
        assert!(Metric::L2.accepts(0.5, 0.6) && Metric::L2.accepts(0.6, 0.6));
        assert!(!Metric::L2.accepts(0.61, 0.6) && !Metric::L2.accepts(f32::NAN, 0.6));
        let mut values = [0.2, f32::NAN, 0.9, 0.5];
        values.sort_by(|a, b| Metric::Cosine.order(*a, *b));
        assert_eq!(values[..3], [0.9, 0.5, 0.2]);
        values.sort_by(|a, b| Metric::L2.order(*a, *b));
        assert_eq!(values[..3], [0.2, 0.5, 0.9]);
    }

    #[test]
    fn confidence_is_a_half_at_the_threshold_and_grows_with_likeness() {
        for (metric, threshold, alike, unlike) in [(Metric::Cosine, 0.43, 0.8, 0.05), (Metric::L2, 0.6, 0.3, 0.95)] {
            let at = |value| metric.confidence(value, threshold);
            assert!((at(threshold) - 0.5).abs() < 1e-6);
            assert!(at(alike) > 0.99 && at(unlike) < 0.01, "{} {}", at(alike), at(unlike));
            let mut steps: Vec<f32> = (0..=40).map(|n| at(n as f32 / 20.0 - 0.5)).collect();
            if metric == Metric::L2 {
                steps.reverse();
            }
            assert!(steps.is_sorted() && steps.iter().all(|value| (0.0..=1.0).contains(value)));
            assert_eq!(at(f32::NAN), 0.0);
            assert_eq!(at(metric.worst()), metric.confidence(metric.worst(), threshold));
            assert!(at(metric.worst()) < 1e-6);
        }
    }

    #[test]
    fn an_embedding_does_not_show_its_values() {
        let embedding = Embedding { model: "mobilefacenet".into(), values: vec![0.125; 128] };
        assert_eq!(format!("{embedding:?}"), "Embedding(mobilefacenet, 128 values)");
    }
}
