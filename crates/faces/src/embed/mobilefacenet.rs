//! MobileFaceNet: small and sure.
//!
//! In: a face's five landmarks on its picture, laid on the ArcFace template. Out: 128 values of length 1, compared by
//! cosine (Chen, Liu, Gao, Han: "MobileFaceNets: Efficient CNNs for Accurate Real-Time Face Verification on Mobile
//! Devices", 2018; the weights and their preprocessing are those of foamliu/MobileFaceNet).

use super::{FaceModel, Metric, Preparation};
use crate::align;

/// The mean and the deviation of ImageNet, red, green, blue, of values 0 to 1.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// The chip on the ArcFace template, with the colours spread as those of ImageNet are.
pub(super) const PREPARATION: Preparation = Preparation {
    chip: align::chip,
    mean: [MEAN[0] * 255.0, MEAN[1] * 255.0, MEAN[2] * 255.0],
    factor: [1.0 / (255.0 * DEVIATION[0]), 1.0 / (255.0 * DEVIATION[1]), 1.0 / (255.0 * DEVIATION[2])],
};

/// The model under the name the manifest has for it.
pub(super) fn model(name: &str) -> FaceModel {
    // Of 9,090 pairs of photos (472 of one person), 1 of 8,618 pairs of two people is as alike as 0.45, and 1 of the
    // 472 less. A little lower lets smaller and poorer pictures in: the least alike true pair of the tests is at 0.46.
    FaceModel { name: name.into(), dimensions: 128, metric: Metric::Cosine, threshold: 0.43 }
}
