//! From a face to a vector.
//!
//! In: a picture and the five landmarks of a face in it. Out: an [`Embedding`], as many values as the model has. Every
//! model works alike; each brings its own metric, recommended threshold, and the way its chip is cut and coloured.

use ort::session::Session;
use ort::value::TensorRef;

use crate::face::{Face, Point};
use crate::models::{ModelError, ModelStore, Role};
use crate::onnx::{self, OnnxError};
use crate::picture::{Picture, PictureError};

mod faceapi_resnet;
mod mobilefacenet;

/// An embedding model, as far as those who compare its vectors have to know it.
#[derive(Debug, Clone, PartialEq)]
pub struct FaceModel {
    /// Its name in the manifest.
    pub name: String,
    /// Values per embedding.
    pub dimensions: usize,
    pub metric: Metric,
    /// The recommended limit for "the same person", in the metric's own numbers.
    pub threshold: f32,
}

/// The vector of a face, as the model named gives it: L2-normalised where the model's metric is cosine. Its `Debug`
/// never shows the values: they are biometric data and must not reach a log.
#[derive(Clone, PartialEq, derive_more::Debug)]
#[debug("Embedding({model}, {} values)", values.len())]
pub struct Embedding {
    /// The model's name in the manifest.
    pub model: String,
    pub values: Vec<f32>,
}

/// How two embeddings are compared; `into_str` spells it as the API and the commands do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase", const_into_str)]
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
    Choose { source: ModelError },
    #[error("cannot load ONNX Runtime for the embedding")]
    Runtime { source: OnnxError },
    #[error("cannot load the embedding model {model}")]
    Load { model: String, source: OnnxError },
    #[error("{model} is not an embedding model this build knows")]
    Unknown { model: String },
    #[error("cannot align the face")]
    Align { source: PictureError },
    #[error("the embedding model {model} failed on a face")]
    Run { model: String, source: ort::Error },
    #[error(
        "the embedding model {model} gave {got} values instead of {wanted}; check it with `doorward models verify`"
    )]
    Layout { model: String, got: usize, wanted: usize },
    #[error("the embedding model {model} gave values that are no numbers; check it with `doorward models verify`")]
    NotFinite { model: String },
}

/// The embedder called `wanted`, or for `auto` the first of the manifest's preference order whose file is present.
/// `threads` is how many one inference may use.
pub fn load(store: &ModelStore, wanted: &str, threads: u16) -> Result<FaceEmbedder, EmbedError> {
    let choose = |source| EmbedError::Choose { source };
    let file = store.choose(Role::Embedder, wanted).map_err(choose)?;
    onnx::init(&store.runtime().map_err(choose)?).map_err(|source| EmbedError::Runtime { source })?;
    let Some((model, preparation)) = described(&file.name) else {
        return Err(EmbedError::Unknown { model: file.name });
    };
    let session = onnx::session(&file.name, &store.read(&file).map_err(choose)?, threads);
    let session = session.map_err(|source| EmbedError::Load { model: file.name, source })?;
    tracing::info!(model = model.name, wanted, threads, "the embedding model is {}", model.name);
    Ok(FaceEmbedder { model, preparation, session, input: Vec::new() })
}

/// What those who compare its vectors have to know of the embedding model of this name, whether its file is there or
/// not; `None` for one this build does not know.
pub fn known(name: &str) -> Option<FaceModel> {
    described(name).map(|(model, _)| model)
}

fn described(name: &str) -> Option<(FaceModel, Preparation)> {
    match name {
        "mobilefacenet" => Some((mobilefacenet::model(name), mobilefacenet::PREPARATION)),
        "faceapi_resnet" => Some((faceapi_resnet::model(name), faceapi_resnet::PREPARATION)),
        _ => None,
    }
}

impl FaceModel {
    /// How sure it is that two embeddings so compared are the same person; see [`Metric::confidence`].
    pub fn confidence(&self, value: f32) -> f32 {
        self.metric.confidence(value, self.threshold)
    }

    /// Whether an embedding somebody else made can stand for one of this model.
    pub fn takes(&self, embedding: &Embedding) -> bool {
        embedding.model == self.name
            && embedding.values.len() == self.dimensions
            && embedding.values.iter().all(|value| value.is_finite())
    }
}

impl Metric {
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
        self.beyond(value, threshold) >= 0.0
    }

    /// A compared value on one scale for every metric and model: 0.5 at the threshold, 0.99 where the median pair of
    /// two good pictures of one person lies, below 0.01 where the median pair of two people does, and a logistic curve
    /// through them. It grows with likeness; what is no number gives 0.
    pub fn confidence(self, value: f32, threshold: f32) -> f32 {
        if value.is_nan() {
            return 0.0;
        }
        1.0 / (1.0 + (-self.steepness() * self.beyond(value, threshold)).exp())
    }

    /// By how much a compared value is more alike than the threshold asks for.
    fn beyond(self, value: f32, threshold: f32) -> f32 {
        match self {
            Self::Cosine => value - threshold,
            Self::L2 => threshold - value,
        }
    }

    /// The compared value of whoever is so many times likelier the same person than one with this value.
    pub fn likelier(self, value: f32, times: f32) -> f32 {
        let more = times.ln() / self.steepness();
        match self {
            Self::Cosine => value + more,
            Self::L2 => value - more,
        }
    }

    /// ln(99) over the distance from the threshold to the median genuine pair: 0.31 of cosine for MobileFaceNet, 0.12
    /// of distance for the face-api ResNet, measured on 1,431 pairs of 54 photos.
    fn steepness(self) -> f32 {
        match self {
            Self::Cosine => 14.8,
            Self::L2 => 38.3,
        }
    }

    fn worst(self) -> f32 {
        match self {
            Self::Cosine => -1.0,
            Self::L2 => f32::INFINITY,
        }
    }
}

/// Turns faces into vectors, by one model.
pub struct FaceEmbedder {
    pub model: FaceModel,
    preparation: Preparation,
    session: Session,
    /// The memory of the network's input, used again for every face.
    input: Vec<f32>,
}

/// How a face becomes the input of a network.
#[derive(Clone, Copy)]
struct Preparation {
    /// Cuts the square chip around the five landmarks.
    pub chip: fn(&Picture, &[Point; 5]) -> Result<Picture, PictureError>,
    /// Per channel, red, green, blue: the input is `(value - mean) * factor`, `value` 0 to 255.
    pub mean: [f32; 3],
    pub factor: [f32; 3],
}

impl FaceEmbedder {
    /// The embedding of a face of the picture. Only the face's landmarks are used; for a chip that is already aligned
    /// they are [`align::ARCFACE`](crate::align::ARCFACE).
    pub fn embed(&mut self, picture: &Picture, face: &Face) -> Result<Embedding, EmbedError> {
        let Preparation { chip, mean, factor } = self.preparation;
        let chip = chip(picture, &face.landmarks).map_err(|source| EmbedError::Align { source })?;
        let plane = chip.width() as usize * chip.height() as usize;
        self.input.resize(3 * plane, 0.0);
        for (at, pixel) in chip.bgr().as_chunks::<3>().0.iter().enumerate() {
            for channel in 0..3 {
                let value = f32::from(pixel[2 - channel]);
                self.input[channel * plane + at] = (value - mean[channel]) * factor[channel];
            }
        }
        let run = |source| EmbedError::Run { model: self.model.name.clone(), source };
        let shape = [1, 3, i64::from(chip.height()), i64::from(chip.width())];
        let tensor = TensorRef::from_array_view((shape, self.input.as_slice())).map_err(run)?;
        let outputs = self.session.run(ort::inputs![tensor]).map_err(run)?;
        let (_, values) = outputs[0].try_extract_tensor::<f32>().map_err(run)?;
        checked(&self.model, values)
    }
}

/// What the network gave as the model's embedding: as many finite values as the model has, scaled to length 1 where
/// only their direction counts.
fn checked(model: &FaceModel, values: &[f32]) -> Result<Embedding, EmbedError> {
    let name = || model.name.clone();
    if values.len() != model.dimensions {
        return Err(EmbedError::Layout { model: name(), got: values.len(), wanted: model.dimensions });
    }
    let length = match model.metric {
        Metric::Cosine => values.iter().map(|value| value * value).sum::<f32>().sqrt(),
        Metric::L2 => 1.0,
    };
    if !length.is_normal() || !values.iter().all(|value| value.is_finite()) {
        return Err(EmbedError::NotFinite { model: name() });
    }
    Ok(Embedding { model: name(), values: values.iter().map(|value| value / length).collect() })
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
    }

    #[test]
    fn confidence_is_a_half_at_the_threshold_and_grows_with_likeness() {
        for (metric, threshold, alike, unlike) in [(Metric::Cosine, 0.43, 0.8, 0.05), (Metric::L2, 0.48, 0.3, 0.95)] {
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
    fn likelier_is_told_in_odds() {
        for (metric, threshold) in [(Metric::Cosine, 0.43), (Metric::L2, 0.48)] {
            let odds = |value| {
                let confidence = metric.confidence(value, threshold);
                confidence / (1.0 - confidence)
            };
            for value in [0.3, 0.43, 0.6] {
                let times = odds(metric.likelier(value, 5.0)) / odds(value);
                assert!((times - 5.0).abs() < 1e-3, "{metric:?} {value}: {times}");
            }
        }
    }

    #[test]
    fn an_embedding_does_not_show_its_values() {
        let embedding = Embedding { model: "mobilefacenet".into(), values: vec![0.125; 128] };
        assert_eq!(format!("{embedding:?}"), "Embedding(mobilefacenet, 128 values)");
    }

    fn checked(metric: Metric, values: [f32; 2], dimensions: usize) -> Result<Vec<f32>, EmbedError> {
        let model = FaceModel { name: "m".into(), dimensions, metric, threshold: 0.5 };
        super::checked(&model, &values).map(|embedding| embedding.values)
    }

    #[test]
    fn what_is_no_number_or_too_few_is_an_error() {
        assert_eq!(checked(Metric::L2, [1.0, 2.0], 2).unwrap(), [1.0, 2.0]);
        assert!(matches!(checked(Metric::L2, [1.0, 2.0], 3), Err(EmbedError::Layout { got: 2, wanted: 3, .. })));
        for metric in [Metric::L2, Metric::Cosine] {
            assert!(matches!(checked(metric, [1.0, f32::NAN], 2), Err(EmbedError::NotFinite { .. })));
            assert!(matches!(checked(metric, [f32::NEG_INFINITY, 0.0], 2), Err(EmbedError::NotFinite { .. })));
        }
    }

    #[test]
    fn vectors_that_are_compared_by_direction_are_scaled_to_length_one() {
        assert_eq!(checked(Metric::Cosine, [3.0, 4.0], 2).unwrap(), [0.6, 0.8]);
        for values in [[0.0, 0.0], [f32::MAX, f32::MAX]] {
            assert!(matches!(checked(Metric::Cosine, values, 2), Err(EmbedError::NotFinite { .. })), "{values:?}");
        }
    }
}
