//! A frame's picture as its camera gave it: pixels are made of it when somebody wants them, and not of a frame in which
//! nothing moves.
//!
//! In: what a source has, or a picture. Out: its shape, its light, and, once asked for, a [`Picture`]. It knows nothing
//! of cameras, nor of what they send.

use faces::picture::Picture;

use super::light::LightMeter;
use super::turn::Turn;

/// A picture, or what one can be made of.
#[derive(Debug)]
pub struct Image(Kind);

#[derive(Debug)]
enum Kind {
    Picture(Picture),
    /// And the picture that was made of it.
    Raw(Box<dyn Raw>, Option<Picture>),
}

/// What a picture can be made of.
pub(super) trait Raw: Send + Sync + std::fmt::Debug {
    fn shape(&self) -> Shape;

    /// As it came, not turned.
    fn light(&self, meter: &mut LightMeter, light: &mut Vec<u16>);

    /// Upright, as far as it says itself how. `None` where that cannot be.
    fn picture(&self) -> Option<Picture>;
}

/// What two images have in common whose [light](Image::light) has the same places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// As it is to be seen, in pixels.
    pub width: u32,
    pub height: u32,
    pub(super) turn: Turn,
}

impl Shape {
    /// Where a place of the light is to be seen; both in shares of the width and the height.
    pub fn upright(&self, place: [f32; 2]) -> [f32; 2] {
        self.turn.place(place)
    }
}

impl Image {
    pub(super) fn of(raw: impl Raw + 'static) -> Self {
        Self(Kind::Raw(Box::new(raw), None))
    }

    pub fn shape(&self) -> Shape {
        match &self.0 {
            Kind::Picture(picture) => Shape { width: picture.width(), height: picture.height(), turn: Turn::default() },
            Kind::Raw(raw, _) => raw.shape(),
        }
    }

    /// The picture, upright as far as the image itself says how; it is made once. `None` where that cannot be.
    pub fn picture(&mut self) -> Option<&Picture> {
        match &mut self.0 {
            Kind::Picture(picture) => Some(picture),
            Kind::Raw(raw, picture) => {
                if picture.is_none() {
                    *picture = raw.picture();
                }
                picture.as_ref()
            }
        }
    }

    /// The picture alone.
    pub fn into_picture(self) -> Option<Picture> {
        match self.0 {
            Kind::Picture(picture) => Some(picture),
            Kind::Raw(raw, picture) => picture.or_else(|| raw.picture()),
        }
    }

    /// Its light as it came, not turned: it takes no pixels. Images of one [`Shape`] from one source have it alike.
    pub(crate) fn light(&self, meter: &mut LightMeter, light: &mut Vec<u16>) {
        match &self.0 {
            Kind::Picture(picture) => meter.read(picture, light),
            Kind::Raw(raw, _) => raw.light(meter, light),
        }
    }
}

impl From<Picture> for Image {
    fn from(picture: Picture) -> Self {
        Self(Kind::Picture(picture))
    }
}

#[cfg(test)]
mod tests {
    use faces::picture::MAX_PIXELS;

    use super::*;
    use crate::capture::jpeg;
    use crate::capture::light::{LEVEL, POINTS};

    /// Shades from black at the upper left to nearly white at the lower right.
    fn shades(width: u32, height: u32) -> Picture {
        let level = |x: u32, y: u32| (x * 120 / width + y * 120 / height) as u8;
        let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| [level(x, y); 3]));
        Picture::new(width, height, pixels.collect()).unwrap()
    }

    fn light(image: &Image) -> Vec<u16> {
        let mut light = Vec::new();
        image.light(&mut LightMeter::default(), &mut light);
        light
    }

    #[test]
    fn a_jpeg_has_the_light_and_the_shape_of_its_picture_and_its_pixels_when_they_are_wanted() {
        for (width, height) in [(64, 48), (640, 480), (1280, 720), (333, 251), (2000, 100)] {
            let encoded = shades(width, height).jpeg(90).unwrap();
            let whole = Picture::decode(&encoded, MAX_PIXELS).unwrap();
            let mut image = jpeg::image(&encoded).unwrap();
            assert!(matches!(image.0, Kind::Raw(_, None)), "{width}x{height}");
            let shape = image.shape();
            assert_eq!((shape.width, shape.height, shape.upright([0.2, 0.3])), (width, height, [0.2, 0.3]));
            let (ours, pixels) = (light(&image), light(&Image::from(whole.clone())));
            assert_eq!(ours.len(), POINTS);
            let apart = ours.iter().zip(&pixels).map(|(a, b)| f32::from(a.abs_diff(*b)) / LEVEL).fold(0.0, f32::max);
            assert!(apart < 5.0, "{width}x{height}: {apart} levels");
            assert_eq!(image.picture(), Some(&whole));
            let made = image.picture().unwrap().bgr().as_ptr();
            assert_eq!(light(&image), ours, "the same whether or not its pixels have been made");
            assert_eq!(image.into_picture().unwrap().bgr().as_ptr(), made, "made once");
        }
    }

    #[test]
    fn a_jpeg_that_is_none_is_told_before_anybody_wants_its_pixels() {
        use crate::capture::SkipReason;

        let whole = shades(640, 480).jpeg(90).unwrap();
        let cut = jpeg::image(&whole[..whole.len() / 2]).err();
        assert_eq!(cut, Some(SkipReason::CutShort));
        let mut damaged = whole.clone();
        let middle = damaged.len() / 2;
        damaged[middle..middle + 40].fill(0x55);
        assert_eq!(jpeg::image(&damaged).err(), jpeg::jpeg(&damaged).err());
        assert!(jpeg::image(&damaged).is_err());
        assert_eq!(jpeg::image(b"GIF89a").err(), Some(SkipReason::Undecodable));
    }

    #[test]
    fn a_jpeg_that_has_to_be_turned_is_a_picture_at_once() {
        // The marker of EXIF data (Exif 2.3, 4.5.4) that says a quarter to the right.
        let exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let encoded = shades(64, 48).jpeg(90).unwrap();
        let turned = [&encoded[..2], exif, &encoded[2..]].concat();
        let image = jpeg::image(&turned).unwrap();
        assert!(matches!(image.0, Kind::Picture(_)));
        assert_eq!((image.shape().width, image.shape().height), (48, 64));
    }
}
