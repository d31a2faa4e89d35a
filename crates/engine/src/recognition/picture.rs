//! Pictures on their way in: decoded, analysed, and as they are kept.
//!
//! In: bytes of any supported format. Out: [`Seen`], the faces and the JPEG to store, or why the picture is refused. It
//! does not know what the picture is for.

use bytes::Bytes;
use faces::detect::Rect;
use faces::picture::{Interpolation, MAX_PIXELS, Picture, PictureError};

use crate::analyzer::{Analyzed, FaceAnalyzer, Upright, Wanted, upright};
use crate::error::{AnalyzeError, Refusal};
use crate::gallery::Current;

/// The quality at which photos are kept that did not come as JPEG, or came too large.
const JPEG_QUALITY: u8 = 92;

/// A picture that has been looked at.
pub struct Seen {
    pub faces: Vec<Analyzed>,
    /// The picture as it is kept; empty when there is no face in it or it is not kept.
    pub jpeg: Vec<u8>,
    /// Why the picture may be the wrong way up, when that was looked into.
    pub doubt: Option<&'static str>,
}

/// Decodes and analyses a picture with the models that answer now. It is kept no longer than `keep` pixels, or not.
pub async fn look_at(serving: &Current, picture: Bytes, wanted: Wanted, keep: Option<u32>) -> Result<Seen, Refusal> {
    serving
        .analyzers
        .run(move |analyzer| {
            let decoded = decode(&picture)?;
            let mut faces = analyzer.analyze(&decoded, wanted)?;
            for found in &mut faces {
                found.face.bbox = within(found.face.bbox, &decoded);
            }
            let jpeg = match keep.filter(|_| !faces.is_empty()) {
                Some(side) => kept(&picture, &decoded, side).map_err(picture_error)?,
                None => Vec::new(),
            };
            Ok(Seen { faces, jpeg, doubt: None })
        })
        .await
}

/// Decodes and analyses a photo that is to be enrolled, turned to where its face stands; it is kept in full, and the
/// same way up, to be analysed again by another model.
pub async fn look_at_photo(serving: &Current, photo: Bytes) -> Result<Seen, Refusal> {
    serving
        .analyzers
        .run(move |analyzer| {
            let decoded = decode(&photo)?;
            let Upright { faces, turned, doubt } = upright(analyzer, &decoded)?;
            let jpeg = match turned {
                _ if faces.is_empty() => Vec::new(),
                Some(turned) => turned.jpeg(JPEG_QUALITY).map_err(picture_error)?,
                None => as_jpeg(&photo, &decoded).map_err(picture_error)?,
            };
            Ok(Seen { faces, jpeg, doubt })
        })
        .await
}

/// The part of a box that lies in the picture: a detector's own may leave it.
fn within(bbox: Rect, picture: &Picture) -> Rect {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let (left, top) = (bbox.x.clamp(0.0, width), bbox.y.clamp(0.0, height));
    let (right, bottom) = ((bbox.x + bbox.width).clamp(left, width), (bbox.y + bbox.height).clamp(top, height));
    Rect { x: left, y: top, width: right - left, height: bottom - top }
}

pub fn decode(picture: &[u8]) -> Result<Picture, Refusal> {
    if picture.is_empty() {
        return Err(Refusal::bad_input("Face bytes are empty"));
    }
    Picture::decode(picture, MAX_PIXELS).map_err(|error| match error {
        PictureError::Read { .. } | PictureError::Operation { .. } => picture_error(error),
        _ => Refusal::bad_input(error.to_string()),
    })
}

/// The picture as it is kept: as it came, or smaller.
fn kept(encoded: &[u8], decoded: &Picture, side: u32) -> Result<Vec<u8>, PictureError> {
    let longest = decoded.width().max(decoded.height());
    if longest <= side {
        return as_jpeg(encoded, decoded);
    }
    let scaled = |length: u32| (u64::from(length) * u64::from(side) / u64::from(longest)) as u32;
    decoded.resized(scaled(decoded.width()), scaled(decoded.height()), Interpolation::Area)?.jpeg(JPEG_QUALITY)
}

/// The JPEG as it came where it is one, else a new one.
fn as_jpeg(encoded: &[u8], decoded: &Picture) -> Result<Vec<u8>, PictureError> {
    if encoded.starts_with(b"\xff\xd8\xff") { Ok(encoded.to_vec()) } else { decoded.jpeg(JPEG_QUALITY) }
}

fn picture_error(error: PictureError) -> Refusal {
    AnalyzeError::Picture(error).into()
}
