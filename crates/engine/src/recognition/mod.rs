//! What the engine does with faces: record who was seen, look somebody up, enrol, list, compare.
//!
//! In: pictures as bytes, with what the caller says of them and may know. Out: the wire types' answers. It knows the
//! rules of matching and recording; it knows neither HTTP nor models. Each request holds on to what it began with
//! ([`Current`]): a change of the model waits for it.

pub mod assign;
mod enrol;
mod nearest;
mod record;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use faces::detect::Rect;
use faces::embed::Embedding;
use faces::picture::{Interpolation, Picture, PictureError, bare_jpeg};
use identities::Permission::{self, *};
use identities::wire::{BoundingBox, DetectedFace, EdgePerson, EdgeTag, FaceDetectItem, FaceEdgeRecognizeWithOptions};
use rusqlite::Connection;
use uuid::Uuid;

use crate::admission::Asker;
use crate::analyzer::{Analyzed, Upright, Wanted, upright};
use crate::auth::Caller;
use crate::decoding::Decoded;
use crate::engine::Engine;
use crate::error::{EngineError, Refusal};
use crate::gallery::{Current, Whose};
use crate::store::{people, tags};
pub use enrol::ENROLMENT_GATE;
use nearest::MayKnow;

/// Photos of detections are kept no larger than this, in pixels of the longest side.
const DETECTION_SIDE: u32 = 1280;

/// A detector's clock may be ahead of the engine's by this much before it is not believed.
const CLOCK_AHEAD: TimeDelta = TimeDelta::minutes(1);

/// What faceEnroll asks for.
#[derive(Debug, Clone)]
pub struct Enrolment {
    pub picture: Bytes,
    /// `None`: a new person.
    pub person: Option<Uuid>,
    pub photo_reference: Option<String>,
    pub force: bool,
}

impl Engine {
    /// What answers at this moment, for as long as it is held.
    pub(super) async fn serving(&self) -> Current {
        self.inner.serving.clone().read_owned().await
    }

    /// Who is in the picture; each face goes into the history, unless the same one was seen there a moment ago.
    pub async fn publish(
        &self,
        caller: &Caller,
        mut request: FaceEdgeRecognizeWithOptions,
    ) -> Result<Vec<DetectedFace>, Refusal> {
        request.detect_time_utc = self.plausible(request.detect_time_utc, &request.detector_name);
        leave_out_what_is_not_permitted(&mut request, caller);
        let wanted = if request.largest_face_only { Wanted::Largest } else { Wanted::All };
        let (may_know, account) = (MayKnow::of(caller), caller.username.clone());
        let serving = self.serving().await;
        let picture = request.expanded.0.clone();
        let decoded = self.decoded(Asker::live(caller), [picture]).await?;
        let seen = look_at(&serving, decoded, wanted, Some(DETECTION_SIDE)).await?;
        self.blocking(move |inner| inner.record(&serving, &request, &account, may_know, &seen)).await
    }

    /// The time of a sighting, or now where the detector says that it is yet to come. The clock of a detector that is
    /// ahead would put what it sees at the head of the history for as long, and keep it there.
    fn plausible(&self, time: DateTime<Utc>, detector: &str) -> DateTime<Utc> {
        let now = Utc::now();
        if time <= now + CLOCK_AHEAD {
            return time;
        }
        metrics::counter!("doorward_engine_clock_ahead_total").increment(1);
        let ahead = (time - now).num_seconds();
        let told =
            format!("the clock of detector {detector:?} is {ahead} s ahead; what it sees is recorded as seen now");
        if let Some(told) = self.inner.clocks_ahead.note(std::time::Instant::now(), told) {
            tracing::warn!("{told}");
        }
        now
    }

    /// Whose face fills the picture; refused as not found when there is no face or nobody matches.
    pub async fn look_up(
        &self,
        caller: &Caller,
        crop: Bytes,
        embedding: Option<Embedding>,
    ) -> Result<EdgePerson, Refusal> {
        let may_know = MayKnow::of(caller);
        let serving = self.serving().await;
        let decoded = self.decoded(Asker::live(caller), [crop]).await?;
        let embedding = match embedding.filter(|embedding| serving.analyzers.model.takes(embedding)) {
            Some(embedding) => embedding,
            None => {
                let made = serving.analyzers.run(decoded, |analyzer, [crop]| Ok(analyzer.embed_crop(crop)?));
                made.await?.ok_or(Refusal::NotFound("face in the picture"))?
            }
        };
        self.blocking(move |inner| {
            let whose = match serving.gallery.read().whose(&embedding.values) {
                Err(EngineError::Vector(_)) => return Err(Refusal::bad_input("the embedding cannot be compared")),
                whose => whose?,
            };
            inner.store.read("read the person who was found", |connection| {
                let Whose::Known(found) = whose else {
                    return Err(Refusal::NobodyMatches(may_know.told(connection, whose)?.map(Box::new)).into());
                };
                let alias = people::aliases(connection, found.person)?.into_iter().next().unwrap_or_default();
                let tags = tags::of_person(connection, found.person, None, Utc::now())?;
                Ok(EdgePerson {
                    face_id: found.face.to_string(),
                    person_id: found.person.to_string(),
                    first_name: alias.first_name,
                    last_name: alias.last_name,
                    tags: tags
                        .into_iter()
                        .map(|tag| EdgeTag { name: tag.name().unwrap_or_default().to_owned(), expires: tag.expires })
                        .collect(),
                })
            })
        })
        .await
    }

    /// Enrols the largest face of the picture, turned to where it stands, and gives the person's id. A photo that has
    /// been enrolled under its reference before changes nothing, so that a repeated request is harmless; another photo
    /// under that reference is refused, and unless it is forced, so is a face that is another person's.
    pub async fn enroll(&self, caller: &Caller, enrolment: Enrolment) -> Result<Uuid, Refusal> {
        let username = caller.username.clone();
        let serving = self.serving().await;
        let photo = enrolment.picture.clone();
        let decoded = self.decoded(Asker::upload(caller), [photo.clone()]).await?;
        let seen = look_at_photo(&serving, photo, decoded).await?;
        self.blocking(move |inner| {
            if let Some(person) = enrolment.person {
                inner.store.read("look up a person", |connection| people::require(connection, person))?;
            }
            inner.enroll(&serving, &enrolment, &seen, &username)
        })
        .await
    }

    /// All faces of a picture and who they are, or else who is nearest; nothing is stored.
    pub async fn list_faces(&self, caller: &Caller, picture: Bytes) -> Result<Vec<FaceDetectItem>, Refusal> {
        let may_know = MayKnow::of(caller);
        let serving = self.serving().await;
        let decoded = self.decoded(Asker::upload(caller), [picture]).await?;
        let seen = look_at(&serving, decoded, Wanted::All, None).await?;
        self.blocking(move |inner| {
            let item = |connection: &Connection, found: &Analyzed| {
                let (gallery, vector) = (serving.gallery.read(), &found.embedding.values);
                let whose = gallery.whose(vector)?;
                let known = whose.known();
                let face = match known {
                    Some(known) => Some(known.face),
                    None => gallery.unknown(vector)?,
                };
                Ok(FaceDetectItem {
                    face_id: face.unwrap_or_else(Uuid::new_v4).to_string(),
                    person_id: known.map(|known| known.person.to_string()),
                    confidence: Some(found.face.score),
                    match_confidence: known.map(|known| known.confidence),
                    quality: Some(found.quality.total),
                    bounding_box: bounding_box(found.face.bbox),
                    nearest: may_know.told(connection, whose)?,
                })
            };
            inner.store.read("read who is nearest", |connection| {
                seen.faces.iter().map(|found| item(connection, found)).collect()
            })
        })
        .await
    }

    /// Whether the largest faces of two pictures are one person's, and how sure that is.
    pub async fn compare(&self, caller: &Caller, first: Bytes, second: Bytes) -> Result<(bool, f32), Refusal> {
        let serving = self.serving().await;
        // Both must be readable before either may be unusable.
        let decoded = self.decoded(Asker::upload(caller), [first, second]).await?;
        let (a, b) = serving
            .analyzers
            .run(decoded, |analyzer, [first, second]| {
                let mut largest = |picture: &Picture, name| {
                    let found = analyzer.analyze(picture, Wanted::Largest)?.into_iter().next();
                    found.ok_or_else(|| Refusal::TurnedDown(format!("{name} shows no face")))
                };
                Ok((largest(first, "image1")?, largest(second, "image2")?))
            })
            .await?;
        let gallery = serving.gallery.read();
        Ok(gallery.compare(&a.embedding.values, &b.embedding.values))
    }

    async fn decoded<const N: usize>(&self, asker: Asker, pictures: [Bytes; N]) -> Result<Decoded<N>, Refusal> {
        self.inner.decoding.decode(asker, pictures).await
    }
}

/// Sections of a person's record that the caller may not see are left out silently.
fn leave_out_what_is_not_permitted(request: &mut FaceEdgeRecognizeWithOptions, caller: &Caller) {
    let may = |wanted: &[Permission]| caller.may(&[ReadAllIdentity, MutateAllIdentity]) || caller.may(wanted);
    request.include_names &= may(&[ReadAliases]);
    request.include_addresses &= may(&[ReadAddresses]);
    request.include_tags &= may(&[MutateTags, ReadTags]);
    request.include_fields &= may(&[MutateEntityFields, ReadEntityFields]);
}

fn bounding_box(rect: Rect) -> BoundingBox {
    [rect.x, rect.y, rect.width, rect.height].into()
}

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

/// Analyses a picture with the models that answer now. It is kept no longer than `keep` pixels, or not.
async fn look_at(serving: &Current, decoded: Decoded<1>, wanted: Wanted, keep: Option<u32>) -> Result<Seen, Refusal> {
    serving
        .analyzers
        .run(decoded, move |analyzer, [picture]| {
            let mut faces = analyzer.analyze(picture, wanted)?;
            for found in &mut faces {
                found.face.bbox = within(found.face.bbox, picture);
            }
            let jpeg = match keep.filter(|_| !faces.is_empty()) {
                Some(side) => kept(picture, side).map_err(EngineError::Picture)?,
                None => Vec::new(),
            };
            Ok(Seen { faces, jpeg, doubt: None })
        })
        .await
}

/// Analyses a photo that is to be enrolled, turned to where its face stands; it is kept in full, and the same way up,
/// to be analysed again by another model.
async fn look_at_photo(serving: &Current, photo: Bytes, decoded: Decoded<1>) -> Result<Seen, Refusal> {
    serving
        .analyzers
        .run(decoded, move |analyzer, [picture]| {
            let Upright { faces, turned, doubt } = upright(analyzer, picture)?;
            let jpeg = match turned {
                _ if faces.is_empty() => Ok(Vec::new()),
                Some(turned) => turned.jpeg(JPEG_QUALITY),
                None => bare_jpeg(&photo).map_or_else(|| picture.jpeg(JPEG_QUALITY), Ok),
            };
            Ok(Seen { faces, jpeg: jpeg.map_err(EngineError::Picture)?, doubt })
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

/// The picture as it is kept: anew, whatever it came as, so that it is no larger than such a picture is, and smaller
/// where it is a large one.
fn kept(decoded: &Picture, side: u32) -> Result<Vec<u8>, PictureError> {
    let longest = decoded.width().max(decoded.height());
    if longest <= side {
        return decoded.jpeg(JPEG_QUALITY);
    }
    let scaled = |length: u32| (u64::from(length) * u64::from(side) / u64::from(longest)) as u32;
    decoded.resized(scaled(decoded.width()), scaled(decoded.height()), Interpolation::Area)?.jpeg(JPEG_QUALITY)
}
