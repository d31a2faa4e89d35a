//! What every embedding network does: an aligned chip in, as many values as it has out.
//!
//! It knows ONNX Runtime and how to lay out the input; the alignment before and the metric after it are the model's.

use ort::session::Session;
use ort::value::TensorRef;

use super::EmbedError;
use crate::picture::Picture;

/// A session on an embedding model with its input's memory.
pub(super) struct Network {
    pub name: String,
    session: Session,
    /// Per channel, red, green, blue: the input is `(value - mean) * factor`, `value` 0 to 255.
    mean: [f32; 3],
    factor: [f32; 3],
    input: Vec<f32>,
}

impl Network {
    pub fn new(name: &str, session: Session, mean: [f32; 3], factor: [f32; 3]) -> Self {
        Self { name: name.into(), session, mean, factor, input: Vec::new() }
    }

    /// One pass over a square chip; the output must be `dimensions` finite values.
    pub fn run(&mut self, chip: &Picture, dimensions: usize) -> Result<Vec<f32>, EmbedError> {
        let plane = chip.width() as usize * chip.height() as usize;
        self.input.resize(3 * plane, 0.0);
        for (at, pixel) in chip.bgr().as_chunks::<3>().0.iter().enumerate() {
            for channel in 0..3 {
                let value = f32::from(pixel[2 - channel]);
                self.input[channel * plane + at] = (value - self.mean[channel]) * self.factor[channel];
            }
        }
        let run = |source| EmbedError::Run { model: self.name.clone(), source };
        let shape = [1, 3, i64::from(chip.height()), i64::from(chip.width())];
        let tensor = TensorRef::from_array_view((shape, self.input.as_slice())).map_err(run)?;
        let outputs = self.session.run(ort::inputs![tensor]).map_err(run)?;
        let (_, values) = outputs[0].try_extract_tensor::<f32>().map_err(run)?;
        checked(&self.name, values, dimensions)
    }
}

/// Scaled to length 1; `None` for a vector without a length.
pub(super) fn normalised(mut values: Vec<f32>) -> Option<Vec<f32>> {
    let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    if !length.is_normal() {
        return None;
    }
    values.iter_mut().for_each(|value| *value /= length);
    Some(values)
}

fn checked(model: &str, values: &[f32], wanted: usize) -> Result<Vec<f32>, EmbedError> {
    if values.len() != wanted {
        return Err(EmbedError::Layout { model: model.into(), got: values.len(), wanted });
    }
    if !values.iter().all(|value| value.is_finite()) {
        return Err(EmbedError::NotFinite { model: model.into() });
    }
    Ok(values.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_or_too_few_is_an_error() {
        assert_eq!(checked("m", &[1.0, 2.0], 2).unwrap(), [1.0, 2.0]);
        assert!(matches!(checked("m", &[1.0], 2), Err(EmbedError::Layout { got: 1, wanted: 2, .. })));
        assert!(matches!(checked("m", &[1.0, f32::NAN], 2), Err(EmbedError::NotFinite { .. })));
        assert!(matches!(checked("m", &[f32::NEG_INFINITY, 0.0], 2), Err(EmbedError::NotFinite { .. })));
    }

    #[test]
    fn vectors_are_scaled_to_length_one() {
        assert_eq!(normalised(vec![3.0, 4.0]).unwrap(), [0.6, 0.8]);
        assert_eq!(normalised(vec![0.0, 0.0]), None);
        assert_eq!(normalised(vec![f32::MAX, f32::MAX]), None);
    }
}
