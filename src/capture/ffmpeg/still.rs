//! A frame as the decoder gave it out, of which a picture can be made later.
//!
//! In: the frame, and how its picture is made. Out: its size, its light, and its picture. It does not know whether
//! anybody wants one.

use std::sync::Arc;

use faces::picture::Picture;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::util::frame;
use parking_lot::Mutex;

use super::convert::Converter;
use crate::capture::light::LightMeter;
use crate::capture::raw::{Image, Raw, Shape};
use crate::capture::turn::Turn;

/// What makes pictures of one video's frames, wherever they are wanted. No other lock is taken with it.
pub type Darkroom = Arc<Mutex<Converter>>;

/// A decoded frame, whose memory goes back to the decoder when it is dropped.
#[derive(derive_more::Debug)]
#[debug("VideoFrame({}x{})", frame.width(), frame.height())]
pub struct VideoFrame {
    frame: frame::Video,
    /// How it is set upright.
    turn: Turn,
    darkroom: Darkroom,
}

impl VideoFrame {
    /// The frame as an image: of one whose light lies open the picture is made when it is asked for, else at once.
    /// `None` for a format that cannot be shown, and when there is no memory.
    pub fn image(frame: frame::Video, turn: Turn, darkroom: &Darkroom) -> Option<Image> {
        if !is_light_first(frame.format()) {
            return Self::developed(&frame, turn, darkroom);
        }
        darkroom.lock().takes(&frame).then(|| Image::of(Self { frame, turn, darkroom: darkroom.clone() }))
    }

    /// The same at once, of a frame that has to be given back.
    pub fn developed(frame: &frame::Video, turn: Turn, darkroom: &Darkroom) -> Option<Image> {
        darkroom.lock().picture(frame, turn).map(Image::from)
    }
}

impl Raw for VideoFrame {
    fn shape(&self) -> Shape {
        let (width, height) = self.turn.size(self.frame.width(), self.frame.height());
        Shape { width, height, turn: self.turn }
    }

    fn light(&self, meter: &mut LightMeter, light: &mut Vec<u16>) {
        let (width, height) = (self.frame.width(), self.frame.height());
        let (rows, stride) = (self.frame.data(0), self.frame.stride(0));
        meter.read_grey((width, height), |y| &rows[y as usize * stride..][..width as usize], light);
    }

    fn picture(&self) -> Option<Picture> {
        self.darkroom.lock().picture(&self.frame, self.turn)
    }
}

/// Whether the first plane is the brightness of each pixel in one byte.
fn is_light_first(format: Pixel) -> bool {
    matches!(
        format,
        Pixel::YUV420P
            | Pixel::YUVJ420P
            | Pixel::YUV422P
            | Pixel::YUVJ422P
            | Pixel::YUV444P
            | Pixel::YUVJ444P
            | Pixel::YUV440P
            | Pixel::YUVJ440P
            | Pixel::YUV411P
            | Pixel::NV12
            | Pixel::NV21
            | Pixel::NV16
            | Pixel::GRAY8
    )
}
