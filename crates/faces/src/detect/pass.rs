//! One pass of a network over a picture, the same for every model.
//!
//! In: a picture at its own size and a model's [`Layout`]. Out: its faces, overlapping boxes taken for one, largest
//! first. What the numbers of the outputs mean is the layout's to know.

use std::time::{Duration, Instant};

use ort::session::{Session, SessionOutputs};
use ort::value::TensorRef;

use super::input::{Channels, Input};
use super::{DetectError, Face, FaceDetector, Limits, boxes};
use crate::picture::Picture;

/// What the outputs of a model's network mean.
pub(super) trait Layout: Send {
    /// The order of the colours the network was trained with.
    const CHANNELS: Channels;

    /// Adds the faces whose score is at least `min_score`, and gives back how many places held what is no number or no
    /// box. `size` is the input's width and height, in pixels.
    fn decode(
        &self,
        outputs: &Outputs<'_>,
        size: (usize, usize),
        min_score: f32,
        faces: &mut Vec<Face>,
    ) -> Result<u64, DetectError>;
}

/// A network's outputs as plain values.
pub(super) struct Outputs<'a> {
    model: &'a str,
    values: SessionOutputs<'a>,
}

/// A model with its session and its memory.
pub(super) struct Pass<L> {
    name: String,
    session: Session,
    input: Input,
    layout: L,
    limits: Limits,
    network: Duration,
}

impl<L: Layout> Pass<L> {
    pub fn new(name: &str, layout: L, session: Session, limits: Limits) -> Self {
        let input = Input::new(L::CHANNELS);
        Self { name: name.into(), session, input, layout, limits, network: Duration::ZERO }
    }
}

impl<L: Layout> FaceDetector for Pass<L> {
    fn name(&self) -> &str {
        &self.name
    }

    fn detect(&mut self, picture: &Picture) -> Result<Vec<Face>, DetectError> {
        self.input.fill(picture);
        let size = (self.input.width as usize, self.input.height as usize);
        let run = |source| DetectError::Run { model: self.name.clone(), source };
        let started = Instant::now();
        let tensor = TensorRef::from_array_view((self.input.shape(), self.input.values.as_slice())).map_err(run)?;
        let values = self.session.run(ort::inputs![tensor]).map_err(run)?;
        self.network = started.elapsed();

        let mut faces = Vec::new();
        let outputs = Outputs { model: &self.name, values };
        let discarded = self.layout.decode(&outputs, size, self.limits.min_score, &mut faces)?;
        if discarded > 0 {
            // What is no number or no box is dropped, and it should not happen.
            metrics::counter!("doorward_detect_discarded_total", "model" => self.name.clone()).increment(discarded);
        }
        let mut faces = boxes::suppress(faces, self.limits.nms_iou);
        boxes::largest_first(&mut faces);
        Ok(faces)
    }

    fn network_time(&self) -> Duration {
        self.network
    }
}

impl Outputs<'_> {
    /// One output, which must be `len` values.
    pub fn get(&self, index: usize, len: usize) -> Result<&[f32], DetectError> {
        let (_, values) = self.values[index]
            .try_extract_tensor::<f32>()
            .map_err(|source| DetectError::Run { model: self.model.into(), source })?;
        if values.len() != len {
            let missing = format!("an output {index} of {len} values (it has {})", values.len());
            return Err(DetectError::Layout { model: self.model.into(), missing });
        }
        Ok(values)
    }
}
