//! What every embedding model does: an aligned chip in, as many values as it has out.
//!
//! In: a picture and a face of it. Out: the face's [`Embedding`]. It knows ONNX Runtime and how to lay out the input;
//! how a model wants its chip cut and coloured is the model's [`Preparation`].

use ort::session::Session;
use ort::value::TensorRef;

use super::{EmbedError, Embedding, FaceModel, Metric};
use crate::detect::{Face, Point};
use crate::picture::{Picture, PictureError};

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
pub(super) struct Preparation {
    /// Cuts the square chip around the five landmarks.
    pub chip: fn(&Picture, &[Point; 5]) -> Result<Picture, PictureError>,
    /// Per channel, red, green, blue: the input is `(value - mean) * factor`, `value` 0 to 255.
    pub mean: [f32; 3],
    pub factor: [f32; 3],
}

impl FaceEmbedder {
    pub(super) fn new(model: FaceModel, preparation: Preparation, session: Session) -> Self {
        Self { model, preparation, session, input: Vec::new() }
    }

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
