//! What of a camera's picture anybody gets to see: turned, mirrored, cut to a part, and black where it is nobody's
//! business.
//!
//! In: a picture as the camera gave it. Out: the picture every other room sees. It knows nothing of faces.

use std::ops::Range;

use faces::picture::{Picture, PictureError, Turn};

use crate::config::{CameraConfig, Part, Point, Polygon, ViewConfig};

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

    /// What may be seen of a camera's picture.
    pub fn of(&mut self, mut picture: Picture) -> Result<Picture, PictureError> {
        if let Some(turn) = self.turn {
            picture = picture.turned(turn)?;
        }
        if self.mirror {
            picture = picture.mirrored()?;
        }
        if let Some(part) = self.crop {
            let [left, top, width, height] = pixels(part, (picture.width(), picture.height()));
            picture = picture.cropped(left.into(), top.into(), width, height)?;
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

    /// Width and height of what may be seen of a picture of this width and height, in pixels.
    pub fn size(&self, (width, height): (u32, u32)) -> (u32, u32) {
        let lies = matches!(self.turn, Some(Turn::Quarter | Turn::ThreeQuarters));
        let size = if lies { (height, width) } else { (width, height) };
        self.crop.map_or(size, |part| {
            let [.., width, height] = pixels(part, size);
            (width, height)
        })
    }

    /// Where a place of a camera's picture is seen, both in shares of their picture; `None` where it is nobody's
    /// business.
    pub fn place(&self, [x, y]: Point) -> Option<Point> {
        let [x, y] = match self.turn {
            None => [x, y],
            Some(Turn::Quarter) => [1.0 - y, x],
            Some(Turn::Half) => [1.0 - x, 1.0 - y],
            Some(Turn::ThreeQuarters) => [y, 1.0 - x],
        };
        let x = if self.mirror { 1.0 - x } else { x };
        let whole = Part { left: 0.0, top: 0.0, width: 1.0, height: 1.0 };
        let Part { left, top, width, height } = self.crop.unwrap_or(whole);
        let place = [(x - left) / width, (y - top) / height];
        let seen = place.iter().all(|share| (0.0..=1.0).contains(share));
        (seen && !self.ignore.iter().any(|polygon| polygon.holds(place))).then_some(place)
    }
}

/// A part of a picture of this size: its left, its top, its width and its height, in pixels.
fn pixels(part: Part, (width, height): (u32, u32)) -> [u32; 4] {
    let at = |share: f32, length: u32| (share * length as f32).round() as u32;
    let [wide, high] = [at(part.width, width), at(part.height, height)].map(|length| length.max(1));
    // Rounded down where the rest would lie beyond the edge.
    let left = at(part.left, width).min(width - wide.min(width));
    let top = at(part.top, height).min(height - high.min(height));
    [left, top, wide, high]
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

    #[test]
    fn a_place_is_seen_where_its_pixel_is_or_nowhere() {
        let corner = Polygon(vec![[0.0, 0.0], [0.5, 0.0], [0.5, 0.5], [0.0, 0.5]]);
        let part = Part { left: 0.25, top: 0.0, width: 0.5, height: 1.0 };
        let views = [false, true].into_iter().flat_map(|mirror| {
            let whole = ViewConfig { mirror, ..ViewConfig::default() };
            let cut = ViewConfig { crop: Some(part), ..whole.clone() };
            let black = ViewConfig { ignore: vec![corner.clone()], ..cut.clone() };
            [whole, cut, black]
        });
        for (rotate, config) in views.flat_map(|config| [0, 90, 180, 270].map(|rotate| (rotate, config.clone()))) {
            let mut view = View::new(&camera(rotate), &config);
            let (width, height) = (8, 4);
            let seen = view.of(numbered(width, height)).unwrap();
            assert_eq!(view.size((width, height)), (seen.width(), seen.height()), "{rotate} {config:?}");
            let rows = shown(&seen);
            for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
                let share = |at: u32, of: u32| (at as f32 + 0.5) / of as f32;
                let pixel = [x as u8 + 1, y as u8 + 1];
                match view.place([share(x, width), share(y, height)]) {
                    Some([across, down]) => {
                        let at = |share: f32, of: u32| (share * of as f32) as usize;
                        let found = rows[at(down, seen.height())][at(across, seen.width())];
                        assert_eq!(found, pixel, "{rotate} {config:?}");
                    }
                    None => assert!(!rows.concat().contains(&pixel), "{rotate} {config:?}: {pixel:?}"),
                }
            }
        }
    }
}
