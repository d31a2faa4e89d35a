//! MobileFaceNet: small and sure.
//!
//! In: a face's five landmarks on its picture, laid on the ArcFace template. Out: 128 values of length 1, compared by
//! cosine (Chen, Liu, Gao, Han: "MobileFaceNets: Efficient CNNs for Accurate Real-Time Face Verification on Mobile
//! Devices", 2018; the weights and their preprocessing are those of foamliu/MobileFaceNet).

use ort::session::Session;

use super::network::{Network, normalised};
use super::{EmbedError, Embedding, FaceEmbedder, Metric};
use crate::align;
use crate::detect::Face;
use crate::picture::Picture;

const DIMENSIONS: usize = 128;
/// Of 9,090 pairs of photos (472 of one person), 1 of 8,618 pairs of two people is as alike as 0.45, and 1 of the 472
/// less. A little lower lets smaller and poorer pictures in: the least alike true pair of the tests is at 0.46.
const THRESHOLD: f32 = 0.43;
/// ImageNet's, red, green, blue, of values 0 to 1.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// A MobileFaceNet with its session.
pub(super) struct MobileFaceNet {
    network: Network,
}

impl MobileFaceNet {
    pub fn new(name: &str, session: Session) -> Self {
        let (mean, factor) = (MEAN.map(|mean| mean * 255.0), DEVIATION.map(|deviation| 1.0 / (255.0 * deviation)));
        Self { network: Network::new(name, session, mean, factor) }
    }
}

impl FaceEmbedder for MobileFaceNet {
    fn name(&self) -> &str {
        &self.network.name
    }

    fn metric(&self) -> Metric {
        Metric::Cosine
    }

    fn threshold(&self) -> f32 {
        THRESHOLD
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    fn embed(&mut self, picture: &Picture, face: &Face) -> Result<Embedding, EmbedError> {
        let chip = align::chip(picture, &face.landmarks).map_err(|source| EmbedError::Align { source })?;
        let values = self.network.run(&chip, DIMENSIONS)?;
        let model = self.network.name.clone();
        match normalised(values) {
            Some(values) => Ok(Embedding { model, values }),
            None => Err(EmbedError::NotFinite { model }),
        }
    }
}
