//! A network's input: the picture's bytes as three planes of 32-bit floats, padded to the network's stride.
//!
//! In: a [`Picture`]. Out: a `[1, 3, height, width]` tensor of values 0 to 255, whose memory is used again for every
//! frame. It knows the order of the channels the network wants and nothing else of it.

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
    /// Of the picture that was filled in last; what lies beyond is zero.
    filled: (u32, u32),
    /// With the padding, like the height.
    pub width: u32,
    pub height: u32,
    pub values: Vec<f32>,
}

impl Input {
    pub fn new(channels: Channels) -> Self {
        Self { channels, filled: (0, 0), width: 0, height: 0, values: Vec::new() }
    }

    /// Copies the picture to the top left and leaves zeros to the right of it and below, up to the next multiple of
    /// the stride, as OpenCV's `FaceDetectorYN` does.
    pub fn fill(&mut self, picture: &Picture) {
        let size = (picture.width(), picture.height());
        if self.filled != size {
            self.filled = size;
            (self.width, self.height) = (size.0.next_multiple_of(STRIDE), size.1.next_multiple_of(STRIDE));
            self.values.clear();
            self.values.resize(3 * self.plane(), 0.0);
        }
        let plane = self.plane();
        let (first, rest) = self.values.split_at_mut(plane);
        let (second, third) = rest.split_at_mut(plane);
        let (blue, green, red) = match self.channels {
            Channels::Bgr => (first, second, third),
            Channels::Rgb => (third, second, first),
        };
        let stride = self.width as usize;
        let rows = picture.bgr().chunks_exact(3 * size.0 as usize);
        for (y, row) in rows.enumerate() {
            let at = y * stride..y * stride + size.0 as usize;
            split(row, &mut blue[at.clone()], &mut green[at.clone()], &mut red[at]);
        }
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
                            let got = input.values[plane * input.plane() + (y * input.width + x) as usize];
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
        assert!(input.values.iter().all(|value| *value == 0.0));
    }

    #[test]
    fn the_same_size_again_takes_no_new_memory() {
        let mut input = Input::new(Channels::Bgr);
        input.fill(&Picture::filled(100, 50, [1; 3]));
        let before = input.values.as_ptr();
        input.fill(&Picture::filled(100, 50, [2; 3]));
        assert_eq!(before, input.values.as_ptr());
        assert_eq!(input.values[0], 2.0);
    }
}
