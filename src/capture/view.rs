//! What of a camera's picture anybody gets to see: turned, mirrored, cut to a part, and black where it is nobody's
//! business.
//!
//! In: a picture as the camera gave it. Out: the picture every other room sees. It knows nothing of faces.

use std::ops::Range;

use faces::picture::{Picture, PictureError, Turn};

use crate::config::{CameraConfig, Part, Polygon, ViewConfig};

/// How one camera is looked at.
#[derive(Debug, Clone)]
pub struct View {
    turn: Option<Turn>,
    mirror: bool,
    crop: Option<Part>,
    ignore: Vec<Polygon>,
    /// What is blacked out of pictures of this width and height.
    black: Option<((u32, u32), Vec<Stretch>)>,
}

/// Some pixels of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stretch {
    y: u32,
    x: Range<u32>,
}

impl View {
    pub fn new(camera: &CameraConfig, view: &ViewConfig) -> Self {
        let ViewConfig { mirror, crop, ignore, .. } = view.clone();
        Self { turn: camera.turn(), mirror, crop, ignore, black: None }
    }

    /// The picture turned as the camera hangs.
    pub fn upright(&self, picture: Picture) -> Result<Picture, PictureError> {
        match self.turn {
            Some(turn) => picture.turned(turn),
            None => Ok(picture),
        }
    }

    /// Of an upright picture what may be seen, mirrored where that is asked for.
    pub fn part(&mut self, mut picture: Picture) -> Result<Picture, PictureError> {
        if self.mirror {
            picture = picture.mirrored()?;
        }
        if let Some(part) = self.crop {
            let (width, height) = (picture.width() as f32, picture.height() as f32);
            let at = |share: f32, length: f32| (share * length).round();
            let [wide, high] = [at(part.width, width), at(part.height, height)].map(|length| length.max(1.0) as u32);
            // Rounded down where the rest would lie beyond the edge.
            let left = (at(part.left, width) as u32).min(picture.width() - wide.min(picture.width()));
            let top = (at(part.top, height) as u32).min(picture.height() - high.min(picture.height()));
            picture = picture.cropped(left.into(), top.into(), wide, high)?;
        }
        if !self.ignore.is_empty() {
            let size = (picture.width(), picture.height());
            let black = match self.black.take() {
                Some((of, black)) if of == size => black,
                _ => inside(&self.ignore, size),
            };
            for Stretch { y, x } in &black {
                picture.blacken(*y, x.clone());
            }
            self.black = Some((size, black));
        }
        Ok(picture)
    }

    /// Both, one after the other.
    pub fn of(&mut self, picture: Picture) -> Result<Picture, PictureError> {
        let picture = self.upright(picture)?;
        self.part(picture)
    }
}

/// The pixels that lie in any of these polygons, or are touched by them.
fn inside(polygons: &[Polygon], (width, height): (u32, u32)) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    for y in 0..height {
        let middle = (y as f32 + 0.5) / height as f32;
        for polygon in polygons {
            for pair in polygon.crossings(middle).chunks_exact(2) {
                let [from, to] = [pair[0], pair[1]].map(|share| share * width as f32);
                let x = from.floor().max(0.0) as u32..(to.ceil() as u32).min(width);
                if !x.is_empty() {
                    stretches.push(Stretch { y, x });
                }
            }
        }
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ReplayConfig, StreamConfig};

    /// Every pixel says where it was.
    fn numbered(width: u32, height: u32) -> Picture {
        let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| [x as u8 + 1, y as u8 + 1, 200]));
        Picture::new(width, height, pixels.collect()).unwrap()
    }

    /// Where the pixels of a picture were, from 1 on; 0 is black.
    fn shown(picture: &Picture) -> Vec<Vec<[u8; 2]>> {
        let row = |y| picture.row(y).chunks(3).map(|pixel| [pixel[0], pixel[1]]).collect();
        (0..picture.height()).map(row).collect()
    }

    fn camera(rotate: u32) -> CameraConfig {
        CameraConfig::Stream(StreamConfig { rotate, ..StreamConfig::new("rtsp://127.0.0.1/door".to_owned()) })
    }

    #[test]
    fn a_picture_is_turned_then_mirrored_then_cut() {
        let mirrored = ViewConfig { mirror: true, ..ViewConfig::default() };
        let seen = View::new(&camera(0), &mirrored).of(numbered(3, 2)).unwrap();
        assert_eq!(shown(&seen), [[[3, 1], [2, 1], [1, 1]], [[3, 2], [2, 2], [1, 2]]]);
        let seen = View::new(&camera(90), &mirrored).of(numbered(3, 2)).unwrap();
        assert_eq!(shown(&seen), [[[1, 1], [1, 2]], [[2, 1], [2, 2]], [[3, 1], [3, 2]]]);
        let right_lower = Part { left: 0.5, top: 0.5, width: 0.5, height: 0.5 };
        let cut = ViewConfig { crop: Some(right_lower), ..ViewConfig::default() };
        let seen = View::new(&camera(0), &cut).of(numbered(4, 4)).unwrap();
        assert_eq!(shown(&seen), [[[3, 3], [4, 3]], [[3, 4], [4, 4]]]);
        let thin = Part { left: 0.999, top: 0.0, width: 0.001, height: 1.0 };
        let cut = ViewConfig { crop: Some(thin), ..ViewConfig::default() };
        let seen = View::new(&camera(0), &cut).of(numbered(4, 2)).unwrap();
        assert_eq!(shown(&seen), [[[4, 1]], [[4, 2]]]);
    }

    #[test]
    fn what_is_ignored_is_black_at_every_size() {
        let left_half = Polygon(vec![[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]);
        let view = ViewConfig { ignore: vec![left_half], ..ViewConfig::default() };
        let mut view = View::new(&camera(0), &view);
        assert_eq!(shown(&view.of(numbered(4, 1)).unwrap()), [[[0, 0], [0, 0], [3, 1], [4, 1]]]);
        assert_eq!(shown(&view.of(numbered(2, 1)).unwrap()), [[[0, 0], [2, 1]]]);
        assert_eq!(shown(&view.of(numbered(4, 1)).unwrap()), [[[0, 0], [0, 0], [3, 1], [4, 1]]]);
        let triangle = Polygon(vec![[0.0, 0.0], [1.0, 1.0], [0.0, 1.0]]);
        let view = ViewConfig { ignore: vec![triangle], ..ViewConfig::default() };
        let recording = CameraConfig::Replay(ReplayConfig::new("clip.mp4".to_owned()));
        let seen = View::new(&recording, &view).of(numbered(3, 3)).unwrap();
        assert_eq!(shown(&seen), [[[0, 0], [2, 1], [3, 1]], [[0, 0], [0, 0], [3, 2]], [[0, 0], [0, 0], [0, 0]]]);
    }
}
