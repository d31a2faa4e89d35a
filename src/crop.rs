//! From a best shot to what is sent: the expanded crop, the aligned chip, and the [`Sighting`] that carries them.
//!
//! Pure: no I/O, no clock. Pixels in, JPEG out. It knows how much of the picture a recognition engine wants around a
//! face, and keeps other people's faces out of it; it does not know who asks or what the engine is.

use std::time::Instant;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use faces::align;
use faces::detect::{Face, Point, Rect, SecondLook};
use faces::embed::Embedding;
use faces::liveness::Liveness;
use faces::picture::{Interpolation, Picture, PictureError};
use uuid::Uuid;

use crate::config::{CropConfig, DetectorName};
use crate::track::{self, BestShot, VisitId};

/// A best shot made ready to be stored and sent.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// UUID v7; the idempotency key of everything that follows from it.
    pub id: Uuid,
    pub visit: VisitId,
    /// The first visit of the same face, while it was not away for `presence.absent_secs` in between: this one, where
    /// it has not been there. `None` where no embedding tells.
    pub stay: Option<VisitId>,
    pub detector: DetectorName,
    pub time_zone: Tz,
    /// When the face was in front of the camera, on the pipeline's clock.
    pub seen_at: DateTime<Utc>,
    /// When the frame entered this process, on [`clock`](crate::clock); `None` for one read back after a restart, which
    /// is late by definition.
    pub arrived: Option<Instant>,
    /// 1 for the first shot of the visit, then 2, 3, …
    pub shot: u8,
    /// 0 to 1.
    pub quality: f32,
    /// The face with margin, JPEG.
    pub expanded: Bytes,
    /// Where the subject's face is in `expanded`, in its pixels.
    pub face: Rect,
    /// The face warped to the five-point template, 112x112 JPEG, when wanted.
    pub aligned: Option<Bytes>,
    /// When wanted.
    pub embedding: Option<Embedding>,
    /// Whether it is a person or a picture of one, where models were asked.
    pub liveness: Option<Liveness>,
}

/// Why a best shot cannot be made into a sighting.
#[derive(Debug, thiserror::Error)]
pub enum CropError {
    #[error("the face of visit {visit} lies outside its frame")]
    Outside { visit: VisitId },
    #[error("cannot {operation} of visit {visit}")]
    Picture {
        operation: &'static str,
        visit: VisitId,
        #[source]
        source: PictureError,
    },
}

/// Cuts the face with its margin out of the frame, and the aligned chip when wanted; stay, embedding and liveness are
/// left to who has models.
///
/// The margin is `config.margin` times the larger side of the box, on each side, as far as the frame goes; a side gives
/// way where another face would come into the crop, so that the engine cannot answer for the wrong person. The crop
/// is shrunk (never enlarged) to `config.longest_side_px`.
///
/// A face that a second look found tilted is cut out of the frame turned upright around it.
///
/// The id is made of the visit and the number of the shot, dated with the frame: the same decision made twice gives
/// the same sighting, and so does a recording played again from the same date.
pub fn cut(
    shot: &BestShot,
    look: Option<&SecondLook>,
    config: &CropConfig,
    time_zone: Tz,
    want_aligned: bool,
) -> Result<Sighting, CropError> {
    let (visit, frame) = (shot.visit, &*shot.frame.picture);
    let failed = |operation| move |source| CropError::Picture { operation, visit, source };

    let turned = look.filter(|look| !look.is_upright()).map(|look| turned(frame, look, &shot.others, config.margin));
    let turned = turned.transpose().map_err(failed("turn the face upright"))?;
    let (picture, bbox, others) = match &turned {
        Some(it) => (&it.picture, it.face.bbox, &it.others),
        None => (frame, shot.face.bbox, &shot.others),
    };
    let window = Window::around(&bbox, config.margin, picture).ok_or(CropError::Outside { visit })?;
    let window = window.without(others, &bbox);
    let (width, height) = (window.right - window.left, window.bottom - window.top);
    let crop = picture
        .cropped(i64::from(window.left), i64::from(window.top), width, height)
        .map_err(failed("cut out the face"))?;
    let scale = (config.longest_side_px.max(1) as f32 / width.max(height) as f32).min(1.0);
    let side = |length: u32| (length as f32 * scale).round().max(1.0) as u32;
    let crop = crop.resized(side(width), side(height), Interpolation::Area).map_err(failed("shrink the crop"))?;
    let expanded = crop.jpeg(config.jpeg_quality).map_err(failed("encode the crop"))?;

    let aligned = match want_aligned {
        true => {
            let chip = align::chip(frame, &shot.face.landmarks).map_err(failed("align the face"))?;
            Some(chip.jpeg(config.jpeg_quality).map_err(failed("encode the aligned face"))?.into())
        }
        false => None,
    };
    let number = shot.number;
    let time = shot.frame.time;
    Ok(Sighting {
        id: track::id_of(time.utc, &[visit.0.as_bytes(), &[number]]),
        visit,
        stay: None,
        detector: shot.frame.detector.clone(),
        time_zone,
        seen_at: time.utc,
        arrived: Some(time.arrived),
        shot: number,
        quality: shot.quality.total,
        expanded: expanded.into(),
        face: window.place(&bbox, &crop),
        aligned,
        embedding: None,
        liveness: None,
    })
}

/// The part of a frame around a tilted face, turned so that the face stands.
struct Turned {
    picture: Picture,
    face: Face,
    /// The other faces' places in it: upright rectangles that hold them.
    others: Vec<Rect>,
}

fn turned(frame: &Picture, look: &SecondLook, others: &[Rect], margin: f32) -> Result<Turned, PictureError> {
    let bbox = &look.face.bbox;
    let margin = if margin.is_finite() { margin.max(0.0) } else { 0.0 };
    // No larger than the frame is long: what lies beyond it is black anyway.
    let longest = frame.width().max(frame.height());
    let side = ((1.0 + 2.0 * margin) * bbox.width.max(bbox.height)).ceil().clamp(1.0, longest as f32);
    let (picture, face, there) = look.turned(frame, side as u32)?;
    let there = |rect: &Rect| {
        let corner = |x: f32, y: f32| align::apply(&there, Point { x: rect.x + x, y: rect.y + y });
        Rect::holding(&[
            corner(0.0, 0.0),
            corner(rect.width, 0.0),
            corner(0.0, rect.height),
            corner(rect.width, rect.height),
        ])
    };
    Ok(Turned { picture, face, others: others.iter().map(there).collect() })
}

/// A part of a picture in whole pixels, `right` and `bottom` exclusive; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    left: u32,
    top: u32,
    right: u32,
    bottom: u32,
}

impl Window {
    /// The box and its margin, as far as the picture goes; `None` when nothing of the box itself is in the picture.
    fn around(bbox: &Rect, margin: f32, picture: &Picture) -> Option<Self> {
        let numbers = [bbox.x, bbox.y, bbox.width, bbox.height];
        if !numbers.iter().all(|n| n.is_finite()) || bbox.width <= 0.0 || bbox.height <= 0.0 {
            return None;
        }
        let margin = if margin.is_finite() { margin.max(0.0) * bbox.width.max(bbox.height) } else { 0.0 };
        let within = |margin: f32| {
            let edge = |at: f32, limit: u32| at.clamp(0.0, limit as f32) as u32;
            let window = Self {
                left: edge((bbox.x - margin).floor(), picture.width()),
                top: edge((bbox.y - margin).floor(), picture.height()),
                right: edge((bbox.x + bbox.width + margin).ceil(), picture.width()),
                bottom: edge((bbox.y + bbox.height + margin).ceil(), picture.height()),
            };
            (window.left < window.right && window.top < window.bottom).then_some(window)
        };
        within(0.0).and_then(|_| within(margin))
    }

    /// Draws in whichever side loses least of the margin until no other face reaches into it. One that overlaps the box
    /// itself cannot be kept out and stays.
    fn without(mut self, others: &[Rect], bbox: &Rect) -> Self {
        for other in others {
            let (right, bottom) = (other.x + other.width, other.y + other.height);
            let reaches_in = other.x < self.right as f32
                && right > self.left as f32
                && other.y < self.bottom as f32
                && bottom > self.top as f32;
            if !reaches_in {
                continue;
            }
            let area = |it: &Self| u64::from(it.right - it.left) * u64::from(it.bottom - it.top);
            let drawn_in = [
                (bbox.x >= right).then(|| Self { left: right.floor() as u32, ..self }),
                (bbox.x + bbox.width <= other.x).then(|| Self { right: other.x.ceil() as u32, ..self }),
                (bbox.y >= bottom).then(|| Self { top: bottom.floor() as u32, ..self }),
                (bbox.y + bbox.height <= other.y).then(|| Self { bottom: other.y.ceil() as u32, ..self }),
            ];
            let possible = drawn_in.into_iter().flatten().filter(|it| it.left < it.right && it.top < it.bottom);
            self = possible.max_by_key(area).unwrap_or(self);
        }
        self
    }

    /// Where a rectangle of the whole picture is in `crop`, which was cut by this window and possibly shrunk; as much
    /// of it as the crop shows.
    fn place(&self, rect: &Rect, crop: &Picture) -> Rect {
        let span = |from: f32, length: f32, start: u32, end: u32, size: u32| {
            let scale = size as f32 / (end - start) as f32;
            let low = ((from - start as f32) * scale).clamp(0.0, size as f32);
            let high = ((from + length - start as f32) * scale).clamp(0.0, size as f32);
            (low, high - low)
        };
        let (x, width) = span(rect.x, rect.width, self.left, self.right, crop.width());
        let (y, height) = span(rect.y, rect.height, self.top, self.bottom, crop.height());
        Rect { x, y, width, height }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::capture::{CaptureTime, Frame};
    use crate::track::ShotReason;
    use faces::picture::MAX_PIXELS;
    use faces::quality::{Part, Quality};

    fn at(x: f32, y: f32, width: f32, height: f32) -> Rect {
        Rect { x, y, width, height }
    }

    /// A grey picture with a red face in it.
    fn shot(bbox: Rect, others: &[Rect]) -> BestShot {
        let red = |x: u32, y: u32| {
            let (x, y) = (x as f32, y as f32);
            x >= bbox.x && x < bbox.x + bbox.width && y >= bbox.y && y < bbox.y + bbox.height
        };
        let pixel = |x, y| if red(x, y) { [30, 30, 200] } else { [120; 3] };
        let bgr = (0..300).flat_map(|y| (0..400).flat_map(move |x| pixel(x, y))).collect();
        let time = CaptureTime {
            utc: DateTime::from_timestamp_millis(1_700_000_000_000).unwrap(),
            offset: Duration::from_secs(3),
            arrived: Instant::now(),
        };
        let part = Part::new(0.9, 60.0);
        BestShot {
            visit: VisitId(Uuid::from_u128(7)),
            frame: Arc::new(Frame {
                detector: DetectorName::new("front door").unwrap(),
                seq: 9,
                time,
                picture: Arc::new(Picture::new(400, 300, bgr).unwrap()),
                damaged: false,
            }),
            face: Face {
                bbox,
                landmarks: align::ARCFACE.map(|p| Point { x: bbox.x + p.x / 2.0, y: bbox.y + p.y / 2.0 }),
                score: 0.9,
            },
            others: others.to_vec(),
            quality: Quality::of([part; 6]),
            first_seen: time,
            last_seen: time,
            reason: ShotReason::First,
            number: 1,
        }
    }

    fn config(margin: f32, longest_side_px: u32) -> CropConfig {
        CropConfig { margin, longest_side_px, jpeg_quality: 95 }
    }

    #[test]
    fn the_crop_shows_the_face_where_it_says_it_does() {
        // (what, box, others, margin, longest side, width and height of the crop)
        let bbox = at(150.0, 100.0, 60.0, 80.0);
        type Case<'a> = (&'a str, Rect, &'a [Rect], f32, u32, (u32, u32));
        let cases: [Case; 9] = [
            ("margin of the taller side", bbox, &[], 0.5, 640, (140, 160)),
            ("no margin", bbox, &[], 0.0, 640, (60, 80)),
            ("shrunk", bbox, &[], 0.5, 80, (70, 80)),
            ("the frame ends at the left and top", at(10.0, 20.0, 60.0, 80.0), &[], 0.5, 640, (110, 140)),
            ("the frame ends within the face", at(370.0, 250.0, 60.0, 80.0), &[], 0.5, 640, (70, 90)),
            ("somebody at the right", bbox, &[at(230.0, 110.0, 50.0, 60.0)], 0.5, 640, (120, 160)),
            ("somebody below", bbox, &[at(160.0, 190.0, 50.0, 60.0)], 0.5, 640, (140, 130)),
            ("somebody who does not reach in", bbox, &[at(251.0, 110.0, 50.0, 60.0)], 0.5, 640, (140, 160)),
            ("somebody right before the face", bbox, &[at(190.0, 110.0, 50.0, 60.0)], 0.5, 640, (140, 160)),
        ];
        for (what, bbox, others, margin, longest, size) in cases {
            let sighting = cut(&shot(bbox, others), None, &config(margin, longest), Tz::UTC, false).unwrap();
            let crop = Picture::decode(&sighting.expanded, MAX_PIXELS).unwrap();
            assert_eq!((crop.width(), crop.height()), size, "{what}");
            let is_red = |x: f32, y: f32| {
                let pixel = &crop.row(y as u32)[x as usize * 3..][..3];
                pixel[2] > 150 && pixel[1] < 80
            };
            let f = sighting.face;
            assert!(is_red(f.x + 4.0, f.y + 4.0) && is_red(f.x + f.width - 4.0, f.y + f.height - 4.0), "{what}: {f:?}");
            if f.x > 5.0 {
                assert!(!is_red(f.x - 4.0, f.y + 4.0), "{what}: {f:?}");
            }
            if f.y + f.height + 5.0 < crop.height() as f32 {
                assert!(!is_red(f.x + 4.0, f.y + f.height + 4.0), "{what}: {f:?}");
            }
        }
    }

    #[test]
    fn a_tilted_face_is_cut_out_upright_and_others_stay_out() {
        let others = [at(270.0, 120.0, 40.0, 40.0)];
        let shot = shot(at(150.0, 100.0, 60.0, 80.0), &others);
        let frame = &shot.frame.picture;
        // The corners of the red face, which leans by 30 degrees, must come to stand upright.
        let (face, seen) = (shot.face.clone(), shot.face.clone());
        let look = SecondLook { face, turn: -30.0, sure: 0.9, seen };
        let sighting = cut(&shot, Some(&look), &config(0.8, 640), Tz::UTC, false).unwrap();
        let crop = Picture::decode(&sighting.expanded, MAX_PIXELS).unwrap();
        let red = |picture: &Picture, x: f32, y: f32| {
            let pixel = &picture.row(y as u32)[x as usize * 3..][..3];
            pixel[2] > 150 && pixel[1] < 80
        };
        let centre = sighting.face.centre();
        assert!(red(&crop, centre.x, centre.y) && red(frame, 180.0, 140.0));
        // Right above the face's middle by 36 pixels it was red; turned by 30 degrees it is red along that axis.
        let (sine, cosine) = 30f32.to_radians().sin_cos();
        assert!(red(&crop, centre.x - 36.0 * sine, centre.y - 36.0 * cosine), "the axis leans to the left now");
        assert!(!red(&crop, centre.x + 44.0 * sine, centre.y - 44.0 * cosine));
        assert!((sighting.face.width - 60.0).abs() < 2.0 && (sighting.face.height - 80.0).abs() < 2.0);
        // The other face would reach into the margin on the right.
        let right = crop.width() as f32 - sighting.face.x - sighting.face.width;
        assert!(right < 0.8 * 80.0 - 5.0, "{right} pixels of margin beside another face");
    }

    #[test]
    fn a_sighting_carries_what_the_shot_knew() {
        let shot = shot(at(150.0, 100.0, 60.0, 80.0), &[]);
        let sighting = cut(&shot, None, &CropConfig::default(), Tz::Europe__Berlin, true).unwrap();
        assert_eq!((sighting.visit, sighting.shot), (shot.visit, 1));
        assert_eq!((sighting.time_zone, sighting.seen_at), (Tz::Europe__Berlin, shot.frame.time.utc));
        assert_eq!(sighting.detector, shot.frame.detector);
        assert_eq!(sighting.quality, shot.quality.total);
        assert!(sighting.embedding.is_none() && sighting.arrived.is_some());
        let chip = Picture::decode(&sighting.aligned.unwrap(), MAX_PIXELS).unwrap();
        assert_eq!((chip.width(), chip.height()), (112, 112));
        assert!(cut(&shot, None, &CropConfig::default(), Tz::UTC, false).unwrap().aligned.is_none());
    }

    #[test]
    fn the_same_shot_has_the_same_id_and_another_one_another() {
        let first = shot(at(150.0, 100.0, 60.0, 80.0), &[]);
        let id = |shot: &BestShot| cut(shot, None, &CropConfig::default(), Tz::UTC, false).unwrap().id;
        assert_eq!(id(&first), id(&first));
        assert_eq!(id(&first).get_version_num(), 7);
        let better = BestShot { number: 2, reason: ShotReason::Better, ..first.clone() };
        let other = BestShot { visit: VisitId(Uuid::from_u128(8)), ..first.clone() };
        assert!(id(&better) != id(&first) && id(&other) != id(&first));
    }

    #[test]
    fn a_face_outside_the_frame_is_an_error_with_its_visit() {
        for bbox in [at(500.0, 10.0, 50.0, 50.0), at(f32::NAN, 0.0, 50.0, 50.0), at(10.0, 10.0, 0.0, 5.0)] {
            let error = cut(&shot(bbox, &[]), None, &CropConfig::default(), Tz::UTC, false).unwrap_err();
            assert!(matches!(error, CropError::Outside { .. }) && error.to_string().contains("00000007"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_crop_shows_another_face_that_does_not_overlap_the_box(
            x in 0f32..340.0, y in 0f32..240.0, margin in 0f32..3.0,
            others in proptest::collection::vec((-50f32..400.0, -50f32..300.0, 5f32..120.0), 0..5),
        ) {
            let bbox = at(x, y, 50.0, 55.0);
            let others: Vec<Rect> = others.into_iter().map(|(x, y, side)| at(x, y, side, side)).collect();
            let picture = Picture::filled(400, 300, [0; 3]);
            let window = Window::around(&bbox, margin, &picture).unwrap().without(&others, &bbox);
            prop_assert!(window.left as f32 <= bbox.x && window.top as f32 <= bbox.y);
            prop_assert!(window.right as f32 >= bbox.x + 50.0 && window.bottom as f32 >= bbox.y + 55.0);
            let shown = at(
                window.left as f32,
                window.top as f32,
                (window.right - window.left) as f32,
                (window.bottom - window.top) as f32,
            );
            for other in others.iter().filter(|other| other.iou(&bbox) == 0.0) {
                // Rounding to whole pixels never cuts the box, so it may leave a pixel's edge of a face touching it.
                let inner = at(other.x + 1.0, other.y + 1.0, other.width - 2.0, other.height - 2.0);
                prop_assert!(shown.iou(&inner) == 0.0, "{window:?} {other:?}");
            }
        }
    }
}
