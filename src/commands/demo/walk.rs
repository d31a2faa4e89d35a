//! A visitor made from a photograph: walks up to the camera, stops, leaves.
//!
//! In: a picture with a person in it, where the face is, and how the walk looks. Out: the frames of a recording, one
//! after the other. Scale, light, blur and rotation change from frame to frame, so that no frame shows the face as the
//! photograph does.

use faces::detect::Face;
use faces::picture::{Border, Interpolation, Picture, PictureError};

/// The recording's frames.
pub const WIDTH: u32 = 640;
pub const HEIGHT: u32 = 480;

/// One visitor and the way they come.
#[derive(Clone, Copy)]
pub struct Walk<'a> {
    pub picture: &'a Picture,
    pub face: &'a Face,
    /// Height of the face in the frame, at the far end and at the door, in pixels.
    pub face_px: (f32, f32),
    /// Multiplies the brightness: 1 is as photographed.
    pub light: f32,
    /// Degrees the head sways to either side.
    pub sway_degrees: f32,
    /// Shrunk by this and enlarged again: 1 is sharp.
    pub blur: f32,
    /// Mirrored, as no photograph of the person was.
    pub mirrored: bool,
    /// Frames of the walk, the last third of them standing at the door.
    pub frames: u32,
}

/// The empty doorway: a wall, a floor, and a door frame.
pub fn doorway() -> Picture {
    let mut bgr = Vec::with_capacity((WIDTH * HEIGHT * 3) as usize);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            // A fixed grain, so that the picture is not perfectly flat and compresses like a camera's.
            let grain = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)) >> 13 & 7;
            let shade = if y > HEIGHT * 5 / 6 {
                [70, 78, 84]
            } else if (WIDTH / 6..WIDTH / 6 + 14).contains(&x) || (WIDTH * 5 / 6 - 14..WIDTH * 5 / 6).contains(&x) {
                [58, 74, 96]
            } else {
                [150, 156, 160]
            };
            bgr.extend(shade.map(|channel: u32| (channel + grain - y / 24) as u8));
        }
    }
    // The loops above make exactly one pixel of three bytes for each place.
    Picture::new(WIDTH, HEIGHT, bgr).unwrap_or_else(|_| Picture::filled(WIDTH, HEIGHT, [150, 156, 160]))
}

impl Walk<'_> {
    /// Frame `n` of the walk, 0 to `frames` - 1, in front of `background`.
    pub fn frame(&self, n: u32, background: &Picture) -> Result<Picture, PictureError> {
        let through = n as f32 / self.frames.max(1) as f32;
        // Two thirds of the time walking, then standing still but for the sway.
        let near = (through * 1.5).min(1.0);
        let face_px = self.face_px.0 + (self.face_px.1 - self.face_px.0) * near;
        let scale = face_px / self.face.bbox.height.max(1.0);
        let angle = (self.sway_degrees * (through * 9.0).sin()).to_radians();
        let centre = self.face.bbox.centre();
        let target = (WIDTH as f32 * (0.40 + 0.12 * near), HEIGHT as f32 * (0.34 + 0.06 * near));
        let flip = if self.mirrored { -1.0 } else { 1.0 };
        let (cos, sin) = (angle.cos() * scale, angle.sin() * scale);
        // The photograph's pixel (x, y) goes to: rotate and scale about the face's centre, then move it to its place.
        let matrix = [
            [f64::from(flip * cos), f64::from(-sin), f64::from(target.0 - flip * cos * centre.x + sin * centre.y)],
            [f64::from(flip * sin), f64::from(cos), f64::from(target.1 - flip * sin * centre.x - cos * centre.y)],
        ];
        let visitor = self.picture.warped(&matrix, WIDTH, HEIGHT, Border::Black)?;
        let white = Picture::filled(self.picture.width(), self.picture.height(), [255; 3]);
        let outline = white.warped(&matrix, WIDTH, HEIGHT, Border::Black)?;
        let [w, h] = [WIDTH, HEIGHT].map(|side| (side as f32 / self.blur) as u32);
        let visitor = visitor.resized(w, h, Interpolation::Area)?.resized(WIDTH, HEIGHT, Interpolation::Linear)?;
        let pixels = visitor.bgr().iter().zip(outline.bgr()).zip(background.bgr());
        let mixed = pixels.map(|((&front, &cover), &back)| {
            let lit = (f32::from(front) * self.light).min(255.0);
            let cover = f32::from(cover) / 255.0;
            (lit * cover + f32::from(back) * (1.0 - cover)).round() as u8
        });
        Picture::new(WIDTH, HEIGHT, mixed.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faces::detect::{Point, Rect};

    fn face() -> Face {
        let at = |x, y| Point { x, y };
        Face {
            bbox: Rect { x: 40.0, y: 30.0, width: 20.0, height: 30.0 },
            landmarks: [at(45.0, 40.0), at(55.0, 40.0), at(50.0, 46.0), at(46.0, 52.0), at(54.0, 52.0)],
            score: 0.9,
        }
    }

    #[test]
    fn the_visitor_grows_and_leaves_the_background_alone() {
        let photograph = Picture::filled(100, 100, [20, 40, 250]);
        let background = doorway();
        let face = face();
        let walk = Walk {
            picture: &photograph,
            face: &face,
            face_px: (30.0, 90.0),
            light: 1.0,
            sway_degrees: 0.0,
            blur: 1.0,
            mirrored: false,
            frames: 20,
        };
        let covered = |frame: &Picture| frame.bgr().chunks(3).filter(|p| p[2] > 240 && p[0] < 60).count();
        let (first, last) = (walk.frame(0, &background).unwrap(), walk.frame(19, &background).unwrap());
        assert!(covered(&first) > 5_000, "the visitor is not there: {}", covered(&first));
        assert!(covered(&last) > 4 * covered(&first));
        assert_eq!(first.row(0)[..60], background.row(0)[..60], "the wall beside the visitor changed");
    }
}
