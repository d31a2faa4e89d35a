//! One pass of a network over a picture, the same for every model.
//!
//! In: a picture at its own size and a model's [`Layout`]. Out: its faces, overlapping boxes taken for one, largest
//! first. The network's input is the picture's bytes as three planes of 32-bit floats, padded to the network's stride,
//! whose memory is used again for every frame. What the numbers of the outputs mean is the layout's to know.

use std::time::{Duration, Instant};

use ort::session::{Session, SessionOutputs};
use ort::value::TensorRef;

use super::{DetectError, Face, Model, SearchOptions, boxes};
use crate::picture::Picture;

/// Both detectors shrink their input by 32 at the deepest point.
const STRIDE: u32 = 32;

/// The order of the planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channels {
    Bgr,
    Rgb,
}

/// The input tensor of one network.
#[derive(Debug)]
pub(super) struct Input {
    channels: Channels,
    /// With the padding, like the height.
    pub width: u32,
    pub height: u32,
    /// Of the largest picture so far; the first of them are those of the last one.
    values: Vec<f32>,
}

impl Input {
    pub fn new(channels: Channels) -> Self {
        Self { channels, width: 0, height: 0, values: Vec::new() }
    }

    /// Copies the picture to the top left and leaves zeros to the right of it and below, up to the next multiple of
    /// the stride, as OpenCV's `FaceDetectorYN` does.
    pub fn fill(&mut self, picture: &Picture) {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        (self.width, self.height) =
            (picture.width().next_multiple_of(STRIDE), picture.height().next_multiple_of(STRIDE));
        let (stride, plane) = (self.width as usize, self.plane());
        if self.values.len() < 3 * plane {
            self.values.resize(3 * plane, 0.0);
        }
        let (first, rest) = self.values.split_at_mut(plane);
        let (second, third) = rest.split_at_mut(plane);
        let (blue, green, red) = match self.channels {
            Channels::Bgr => (first, second, &mut third[..plane]),
            Channels::Rgb => (&mut third[..plane], second, first),
        };
        let rows = picture.bgr().chunks_exact(3 * width);
        for (y, row) in rows.enumerate() {
            let at = y * stride..y * stride + width;
            split(row, &mut blue[at.clone()], &mut green[at.clone()], &mut red[at]);
        }
        for plane in [blue, green, red] {
            plane[..height * stride].chunks_exact_mut(stride).for_each(|row| row[width..].fill(0.0));
            plane[height * stride..].fill(0.0);
        }
    }

    /// All of it, plane by plane.
    pub fn values(&self) -> &[f32] {
        &self.values[..3 * self.plane()]
    }

    /// Batch, channels, height, width.
    pub fn shape(&self) -> [i64; 4] {
        [1, 3, i64::from(self.height), i64::from(self.width)]
    }

    fn plane(&self) -> usize {
        self.width as usize * self.height as usize
    }
}

/// One row of packed pixels into one row of each plane.
fn split(row: &[u8], first: &mut [f32], second: &mut [f32], third: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the instructions, as was just asked.
        return unsafe { split_avx2(row, first, second, third) };
    }
    split_plain(row, first, second, third);
}

/// The same loop, compiled for the wider registers nearly every x86-64 processor has.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn split_avx2(row: &[u8], first: &mut [f32], second: &mut [f32], third: &mut [f32]) {
    split_plain(row, first, second, third);
}

#[inline(always)]
fn split_plain(row: &[u8], first: &mut [f32], second: &mut [f32], third: &mut [f32]) {
    let planes = first.iter_mut().zip(second).zip(third);
    for (pixel, ((first, second), third)) in row.as_chunks::<3>().0.iter().zip(planes) {
        *first = f32::from(pixel[0]);
        *second = f32::from(pixel[1]);
        *third = f32::from(pixel[2]);
    }
}

/// What the outputs of a model's network mean.
pub(super) trait Layout: Send {
    /// The order of the colours the network was trained with.
    const CHANNELS: Channels;
    /// See [`Model::doubtful`].
    const DOUBTFUL: f32;

    /// The faces whose score is at least `min_score`, or no number; whether their numbers can be a face is not looked
    /// at. `size` is the input's width and height, in pixels.
    fn decode(&self, outputs: &Outputs, size: (usize, usize), min_score: f32) -> Result<Vec<Face>, DetectError>;
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
    options: SearchOptions,
    network: Duration,
}

impl<L: Layout> Pass<L> {
    pub fn new(name: &str, layout: L, session: Session, options: SearchOptions) -> Self {
        let input = Input::new(L::CHANNELS);
        Self { name: name.into(), session, input, layout, options, network: Duration::ZERO }
    }
}

impl<L: Layout> Model for Pass<L> {
    fn name(&self) -> &str {
        &self.name
    }

    fn doubtful(&self) -> f32 {
        L::DOUBTFUL
    }

    fn detect(&mut self, picture: &Picture) -> Result<Vec<Face>, DetectError> {
        self.input.fill(picture);
        let size = (self.input.width as usize, self.input.height as usize);
        let run = |source| DetectError::Run { model: self.name.clone(), source };
        let started = Instant::now();
        let tensor = TensorRef::from_array_view((self.input.shape(), self.input.values())).map_err(run)?;
        let values = self.session.run(ort::inputs![tensor]).map_err(run)?;
        self.network += started.elapsed();

        let outputs = Outputs { model: &self.name, values };
        let found = self.layout.decode(&outputs, size, self.options.min_score)?;
        let side = size.0.max(size.1) as f32;
        let (faces, discarded): (Vec<_>, Vec<_>) = found.into_iter().partition(|face| boxes::plausible(face, side));
        if !discarded.is_empty() {
            // What is no number or no box is dropped, and it should not happen.
            let counter = metrics::counter!("doorward_detect_discarded_total", "model" => self.name.clone());
            counter.increment(discarded.len() as u64);
        }
        let mut faces = boxes::suppress(faces, self.options.nms_iou);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(width: u32, height: u32) -> Picture {
        Picture::new(width, height, (0..width * height * 3).map(|n| (n * 7 % 251) as u8).collect()).unwrap()
    }

    #[test]
    fn every_pixel_lands_in_its_plane_and_the_rest_is_zero() {
        for (width, height) in [(1, 1), (31, 33), (32, 32), (33, 7), (100, 65)] {
            let picture = counted(width, height);
            for (channels, order) in [(Channels::Bgr, [0, 1, 2]), (Channels::Rgb, [2, 1, 0])] {
                let mut input = Input::new(channels);
                input.fill(&picture);
                assert_eq!(input.shape()[2] % 32 + input.shape()[3] % 32, 0);
                for (plane, channel) in order.into_iter().enumerate() {
                    for y in 0..input.height {
                        for x in 0..input.width {
                            let got = input.values()[plane * input.plane() + (y * input.width + x) as usize];
                            let inside = x < width && y < height;
                            let want = if inside { picture.row(y)[x as usize * 3 + channel].into() } else { 0.0 };
                            assert_eq!(got, want, "{width}x{height} {channels:?} plane {plane} at {x},{y}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_smaller_picture_leaves_nothing_of_the_one_before() {
        let mut input = Input::new(Channels::Bgr);
        input.fill(&Picture::filled(64, 64, [255; 3]));
        input.fill(&Picture::filled(33, 33, [0; 3]));
        assert!(input.values().iter().all(|value| *value == 0.0));
    }

    #[test]
    fn no_size_but_a_larger_one_takes_new_memory() {
        let mut input = Input::new(Channels::Bgr);
        input.fill(&Picture::filled(100, 50, [1; 3]));
        let before = input.values().as_ptr();
        input.fill(&Picture::filled(40, 20, [3; 3]));
        input.fill(&Picture::filled(100, 50, [2; 3]));
        assert_eq!(before, input.values().as_ptr());
        assert_eq!(input.values()[0], 2.0);
    }
}
