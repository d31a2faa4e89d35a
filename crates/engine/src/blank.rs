//! Painting faces over in a photo that has to stay for somebody else's sake.
//!
//! In: a JPEG, the boxes of faces in it. Out: a JPEG in which nothing of these faces is left, whatever the bytes are.

use ::faces::picture::{MAX_PIXELS, Picture};

/// Hair, ears and chin lie around the box of a face: on each side so much of its width and height.
const MARGIN: f32 = 0.4;
/// What is painted: no colour of a face.
const GREY: [u8; 3] = [128, 128, 128];
const QUALITY: u8 = 90;

/// The photo without these faces (x, y, width, height, in pixels). One that cannot be read becomes a grey dot.
pub fn faces(jpeg: &[u8], boxes: &[[i32; 4]]) -> Vec<u8> {
    let painted = Picture::decode(jpeg, MAX_PIXELS).and_then(|picture| without(&picture, boxes)?.jpeg(QUALITY));
    painted.unwrap_or_else(|_| Picture::filled(1, 1, GREY).jpeg(QUALITY).unwrap_or_default())
}

fn without(picture: &Picture, boxes: &[[i32; 4]]) -> Result<Picture, ::faces::picture::PictureError> {
    let (width, height) = (picture.width(), picture.height());
    let mut bgr = picture.bgr().to_vec();
    for [x, y, wide, high] in boxes.iter().map(|sides| sides.map(|side| side as f32)) {
        let within = |from: f32, length: f32, most: u32| {
            let (from, to) = (from - MARGIN * length, from + (1.0 + MARGIN) * length);
            // `as` saturates at zero.
            (from.floor() as u32).min(most)..(to.ceil() as u32).min(most)
        };
        for row in within(y, high, height) {
            for column in within(x, wide, width) {
                let at = 3 * (row as usize * width as usize + column as usize);
                bgr[at..at + 3].copy_from_slice(&GREY);
            }
        }
    }
    Picture::new(width, height, bgr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_face_is_painted_over_and_the_rest_stays() {
        let white = Picture::filled(200, 100, [255, 255, 255]).jpeg(95).unwrap();
        let picture = Picture::decode(&faces(&white, &[[20, 20, 40, 50], [-30, -30, 40, 40]]), MAX_PIXELS).unwrap();
        let near = |x: u32, y: u32, value: u8| {
            let pixel = picture.row(y)[3 * x as usize];
            assert!(pixel.abs_diff(value) < 12, "{x}, {y}: {pixel}");
        };
        for (x, y) in [(0, 0), (8, 8), (40, 45), (72, 85)] {
            near(x, y, 128);
        }
        for (x, y) in [(100, 50), (199, 99), (40, 99)] {
            near(x, y, 255);
        }
    }

    #[test]
    fn what_cannot_be_read_is_nobodys_face() {
        let dot = Picture::decode(&faces(b"no picture", &[[0, 0, 1, 1]]), MAX_PIXELS).unwrap();
        assert_eq!((dot.width(), dot.height()), (1, 1));
    }
}
