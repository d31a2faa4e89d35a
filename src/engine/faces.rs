//! What the engine does with faces: record who was seen, look somebody up, enrol, list, compare.
//!
//! In: pictures as bytes, with what the caller says of them and may know. Out: the wire types' answers. It knows the
//! rules of matching and recording; it knows neither HTTP nor models.

use std::sync::{PoisonError, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::analyzer::{AnalyzeError, Analyzed, FaceAnalyzer, Wanted};
use super::auth::Caller;
use super::gallery::{self, Gallery, KnownMatch};
use super::permission::Permission::{self, *};
use super::refusal::Refusal;
use super::store::{Stop, audit, detections, faces, people, tags};
use super::{Engine, EngineError, Inner};
use crate::config::QualityConfig;
use crate::detect::Rect;
use crate::embed::Embedding;
use crate::identities::wire::{
    BoundingBox, DetectedFace, EdgePerson, EdgeTag, FaceDetectItem, MatchedPerson, PersonAlias,
};
use crate::picture::{Interpolation, Picture, PictureError};

/// A repeated detection within this time of the first is answered but not stored again.
const DOUBLE_DETECTION: TimeDelta = TimeDelta::seconds(10);

/// The most pixels a submitted picture may have: 50 megapixels are 150 MB once decoded, for each analyser.
const MOST_PIXELS: u64 = 50_000_000;

/// Photos of detections are kept no larger than this, in pixels of the longest side.
const DETECTION_SIDE: u32 = 1280;

/// The quality at which photos are kept that did not come as JPEG, or came too large.
const JPEG_QUALITY: u8 = 92;

/// What an enrolled photo must be at least, unless it is forced; a photo is matched against for years.
const ENROLMENT_GATE: QualityConfig = QualityConfig { min_face_px: 48, min_total: 0.15 };

/// A second face of at least this share of the largest one's area makes it unclear who is being enrolled.
const RIVAL_AREA: f32 = 0.5;

/// What publish and publishWithResponse say of a picture.
#[derive(Debug, Clone)]
pub struct Published {
    pub picture: Bytes,
    pub detector: String,
    pub time_zone: String,
    pub time: DateTime<Utc>,
    pub largest_only: bool,
    pub allow_double: bool,
    pub include: Include,
}

/// The sections of a person's record that were asked for; none when `person` is false.
#[derive(Debug, Clone, Copy, Default)]
pub struct Include {
    pub person: bool,
    pub names: bool,
    pub addresses: bool,
    pub tags: bool,
    pub fields: bool,
}

/// What faceEnroll asks for.
#[derive(Debug, Clone)]
pub struct Enrolment {
    pub picture: Bytes,
    /// `None`: a new person.
    pub person: Option<Uuid>,
    pub photo_reference: Option<String>,
    pub force: bool,
}

/// Somebody to look up.
#[derive(Debug, Clone)]
pub struct Probe {
    pub crop: Bytes,
    pub embedding: Option<Embedding>,
}

/// A picture that has been looked at.
struct Seen {
    faces: Vec<Analyzed>,
    /// As it is kept; empty when there is no face in it or it is not kept.
    jpeg: Vec<u8>,
}

/// How a picture is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Not,
    /// No longer than this.
    Side(u32),
    /// In full, to be analysed again by another model.
    Whole,
}

/// A face of a published picture on its way into the history.
struct Recorded {
    detected: DetectedFace,
    person: Option<Uuid>,
}

impl Include {
    /// Without what the caller may not see: left out silently.
    fn permitted(self, caller: &Caller) -> Self {
        let may = |wanted: &[Permission]| caller.may(&[ReadAllIdentity, MutateAllIdentity]) || caller.may(wanted);
        Self {
            person: self.person,
            names: self.names && may(&[ReadAliases]),
            addresses: self.addresses && may(&[ReadAddresses]),
            tags: self.tags && may(&[MutateTags, ReadTags]),
            fields: self.fields && may(&[MutateEntityFields, ReadEntityFields]),
        }
    }
}

impl Engine {
    /// Who is in the picture; each face goes into the history, unless the same one was seen there a moment ago.
    pub async fn publish(&self, caller: &Caller, published: Published) -> Result<Vec<DetectedFace>, Refusal> {
        let wanted = if published.largest_only { Wanted::Largest } else { Wanted::All };
        let seen = self.look_at(published.picture.clone(), wanted, Keep::Side(DETECTION_SIDE)).await?;
        let include = published.include.permitted(caller);
        self.blocking(move |inner| {
            let recorded = inner.record(&published, seen)?;
            inner.store.read("read the people who were seen", |connection| {
                let now = Utc::now();
                recorded
                    .into_iter()
                    .map(|Recorded { mut detected, person }| {
                        if let Some(person) = person.filter(|_| include.person) {
                            detected.person = Some(sections(connection, person, include, now)?);
                        }
                        Ok(detected)
                    })
                    .collect()
            })
        })
        .await
    }

    /// Whose face fills the picture; refused as not found when there is no face or nobody matches.
    pub async fn look_up(&self, probe: Probe) -> Result<EdgePerson, Refusal> {
        let own = probe.embedding.filter(|embedding| self.inner.analyzers.model().takes(embedding));
        let made = self
            .analyze(move |analyzer| {
                let crop = decode(&probe.crop)?;
                match own {
                    Some(embedding) => Ok(Some(embedding)),
                    None => analyzer.embed_crop(&crop).map_err(analyze_error),
                }
            })
            .await?;
        let embedding = made.ok_or(Refusal::NotFound("face in the picture"))?;
        self.blocking(move |inner| {
            let found = match inner.gallery().known(&embedding.values) {
                Err(EngineError::Vector(_)) => return Err(Refusal::bad_input("the embedding cannot be compared")),
                found => found?.ok_or(Refusal::NotFound("person with this face"))?,
            };
            inner.store.read("read the person who was found", |connection| {
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

    /// Enrols the largest face of the picture and gives the person's id. A reference that has been enrolled before
    /// changes nothing: the caller's own key stands for one photo, so that a repeated request is harmless.
    pub async fn enroll(&self, caller: &Caller, enrolment: Enrolment) -> Result<Uuid, Refusal> {
        let username = caller.username.clone();
        let seen = self.look_at(enrolment.picture.clone(), Wanted::All, Keep::Whole).await?;
        self.blocking(move |inner| {
            if let Some(person) = enrolment.person {
                inner.store.read("look up a person", |connection| people::require(connection, person))?;
            }
            inner.enroll(&enrolment, &seen, &username)
        })
        .await
    }

    /// All faces of a picture and who they are; nothing is stored.
    pub async fn list_faces(&self, picture: Bytes) -> Result<Vec<FaceDetectItem>, Refusal> {
        let seen = self.look_at(picture, Wanted::All, Keep::Not).await?;
        self.blocking(move |inner| {
            let gallery = inner.gallery();
            let item = |found: &Analyzed| {
                let vector = &found.embedding.values;
                let known = gallery.known(vector)?;
                let face = match known {
                    Some(known) => Some(known.face),
                    None => gallery.unknown(vector)?.map(|unknown| unknown.face),
                };
                Ok(FaceDetectItem {
                    face_id: face.unwrap_or_else(Uuid::new_v4).to_string(),
                    person_id: known.map(|known| known.person.to_string()),
                    confidence: Some(known.map_or(found.face.score, |known| known.confidence)),
                    quality: Some(found.quality.total),
                    bounding_box: BoundingBox::from(found.face.bbox),
                })
            };
            seen.faces.iter().map(item).collect::<Result<_, EngineError>>().map_err(Refusal::from)
        })
        .await
    }

    /// Whether the largest faces of two pictures are one person's, and how sure that is.
    pub async fn compare(&self, first: Bytes, second: Bytes) -> Result<(bool, f32), Refusal> {
        let (a, b) = self
            .analyze(move |analyzer| {
                // Both must be readable before either may be unusable.
                let (first, second) = (decode(&first)?, decode(&second)?);
                let mut largest = |picture: &Picture, name| {
                    let found = analyzer.analyze(picture, Wanted::Largest).map_err(analyze_error)?.into_iter().next();
                    found.ok_or_else(|| Refusal::TurnedDown(format!("{name} shows no face")))
                };
                Ok((largest(&first, "image1")?, largest(&second, "image2")?))
            })
            .await?;
        Ok(self.inner.gallery().compare(&a.embedding.values, &b.embedding.values))
    }

    /// Decodes and analyses a picture.
    async fn look_at(&self, picture: Bytes, wanted: Wanted, keep: Keep) -> Result<Seen, Refusal> {
        self.analyze(move |analyzer| {
            let decoded = decode(&picture)?;
            let faces = analyzer.analyze(&decoded, wanted).map_err(analyze_error)?;
            let keep = if faces.is_empty() { Keep::Not } else { keep };
            let jpeg = kept(&picture, &decoded, keep).map_err(picture_error)?;
            Ok(Seen { faces, jpeg })
        })
        .await
    }

    async fn analyze<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn FaceAnalyzer) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.inner.analyzers.run(work).await?
    }
}

impl Inner {
    pub(super) fn gallery(&self) -> RwLockReadGuard<'_, Gallery> {
        self.gallery.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn gallery_mut(&self) -> RwLockWriteGuard<'_, Gallery> {
        self.gallery.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes every face of a picture into the history in one transaction.
    fn record(&self, published: &Published, seen: Seen) -> Result<Vec<Recorded>, Refusal> {
        if seen.faces.is_empty() {
            return Ok(Vec::new());
        }
        let known = self.match_known(&seen.faces)?;
        let now = Utc::now();
        let model = self.analyzers.model().name.as_str();
        self.store.write_then(
            "store what was seen",
            |transaction| {
                let mut recorded = Vec::with_capacity(seen.faces.len());
                let mut strangers = Vec::new();
                let mut photo = None;
                for (found, known) in seen.faces.iter().zip(&known) {
                    // Within the transaction: of two requests with the same stranger, the second finds the first's.
                    let before = match known {
                        Some(known) => Some(known.face),
                        None => self.gallery().unknown(&found.embedding.values).map_err(Refusal::from)?.map(|m| m.face),
                    };
                    let mut face = before.unwrap_or_else(Uuid::new_v4);
                    match (before, known) {
                        (None, _) => {
                            faces::insert_unknown(transaction, face, found.quality.total, now)?;
                            faces::insert_embedding(transaction, face, model, &found.embedding.values)?;
                            strangers.push((face, found.embedding.values.as_slice()));
                        }
                        (Some(face), None) => faces::seen(transaction, face, now)?,
                        (Some(_), Some(_)) => {}
                    }
                    let person = known.map(|known| known.person);
                    let Published { detector, time, time_zone, .. } = published;
                    let double = if published.allow_double {
                        None
                    } else {
                        detections::near(transaction, face, person, detector, *time, DOUBLE_DETECTION)?
                    };
                    let confidence = known.map_or(found.face.score, |known| known.confidence);
                    let detect_id = match double {
                        Some((detect_id, stored_face)) => {
                            face = stored_face;
                            detect_id
                        }
                        None => {
                            let photo = match photo {
                                Some(photo) => photo,
                                None => *photo.insert(faces::insert_photo(transaction, &seen.jpeg)?),
                            };
                            let detection = detections::Detection {
                                detect_id: Uuid::new_v4(),
                                face,
                                person,
                                detector,
                                time: *time,
                                time_zone,
                                confidence,
                                quality: found.quality.total,
                                bbox: whole(&found.face.bbox),
                                photo,
                            };
                            detections::insert(transaction, &detection)?;
                            detection.detect_id
                        }
                    };
                    metrics::counter!("doorward_engine_detections_total",
                        "stored" => if double.is_some() { "no" } else { "yes" })
                    .increment(1);
                    let detected = DetectedFace {
                        face_id: face.to_string(),
                        detect_id: detect_id.to_string(),
                        confidence: Some(confidence),
                        face_quality: Some(found.quality.total),
                        bounding_box: BoundingBox::from(found.face.bbox),
                        person: None,
                    };
                    recorded.push(Recorded { detected, person });
                }
                let cleaned =
                    !strangers.is_empty() && self.gallery_mut().cleaning_due(now) && gallery::clean(transaction, now)?;
                Ok((recorded, strangers, cleaned))
            },
            |(recorded, strangers, cleaned)| {
                let mut gallery = self.gallery_mut();
                if cleaned {
                    gallery.reload_unknown(&self.store)?;
                } else {
                    strangers.iter().try_for_each(|(face, vector)| gallery.insert(*face, None, vector))?;
                }
                Ok(recorded)
            },
        )?
    }

    fn match_known(&self, faces: &[Analyzed]) -> Result<Vec<Option<KnownMatch>>, EngineError> {
        let gallery = self.gallery();
        faces.iter().map(|found| gallery.known(&found.embedding.values)).collect()
    }

    fn enroll(&self, enrolment: &Enrolment, seen: &Seen, username: &str) -> Result<Uuid, Refusal> {
        let found = acceptable(seen, enrolment.force)?;
        let vector = found.embedding.values.as_slice();
        self.gallery().check(vector)?;
        let now = Utc::now();
        let (face, detect_id) = (Uuid::new_v4(), Uuid::new_v4());
        self.store.write_then(
            "store the enrolment",
            |transaction| {
                if let Some(reference) = &enrolment.photo_reference
                    && let Some(holder) = faces::by_reference(transaction, reference)?
                {
                    return match enrolment.person {
                        Some(person) if person != holder.person => {
                            Err(Refusal::bad_input("photoReferenceId: it belongs to a photo of another person").into())
                        }
                        _ => Ok((holder.person, false)),
                    };
                }
                let person = match enrolment.person {
                    Some(person) => {
                        people::require(transaction, person)?;
                        person
                    }
                    None => {
                        let person = Uuid::new_v4();
                        people::create(transaction, person, now)?;
                        person
                    }
                };
                let enrolled = faces::Enrolled {
                    face,
                    person,
                    detect_id,
                    photo_reference: enrolment.photo_reference.as_deref(),
                    quality: found.quality.total,
                    jpeg: &seen.jpeg,
                };
                faces::insert_enrolled(transaction, &enrolled, now)?;
                faces::insert_embedding(transaction, face, &found.embedding.model, vector)?;
                audit::record(transaction, username, "faceEnroll", Some(&person.to_string()))?;
                Ok::<_, Stop>((person, true))
            },
            |(person, new)| {
                if new {
                    self.gallery_mut().insert(face, Some(person), vector)?;
                }
                Ok(person)
            },
        )?
    }
}

/// The face to enrol, or why the picture is turned down.
fn acceptable(seen: &Seen, force: bool) -> Result<&Analyzed, Refusal> {
    let turned_down = |reason: String| Err(Refusal::TurnedDown(reason));
    let mut faces = seen.faces.iter();
    let Some(largest) = faces.next() else {
        return turned_down("the picture shows no face".into());
    };
    if force {
        return Ok(largest);
    }
    if faces.next().is_some_and(|second| second.face.bbox.area() >= largest.face.bbox.area() * RIVAL_AREA) {
        return turned_down("the picture shows several faces of similar size; cut out the one to enrol".into());
    }
    if !largest.quality.tall_enough(&ENROLMENT_GATE) {
        let (has, needs) = (largest.quality.size.value, ENROLMENT_GATE.min_face_px);
        return turned_down(format!("the face is {has:.0} pixels high; at least {needs} are needed"));
    }
    if !largest.quality.good_enough(&ENROLMENT_GATE) {
        let (total, weakest) = (largest.quality.total, largest.quality.weakest());
        return turned_down(format!("the face is a poor picture (quality {total:.2}), most of all its {weakest}"));
    }
    Ok(largest)
}

fn sections(
    connection: &rusqlite::Connection,
    person: Uuid,
    include: Include,
    now: DateTime<Utc>,
) -> Result<MatchedPerson, Stop> {
    let aliases = include.names.then(|| people::aliases(connection, person)).transpose()?;
    let addresses = include.addresses.then(|| people::addresses(connection, person)).transpose()?;
    let person_tags = include.tags.then(|| tags::of_person(connection, person, None, now)).transpose()?;
    let entity_fields = include.fields.then(|| people::entity_fields(connection, person, None)).transpose()?;
    let friendly_name = aliases.as_ref().and_then(|aliases| friendly_name(aliases.first()?));
    let person_id = person.to_string();
    Ok(MatchedPerson { person_id, friendly_name, aliases, addresses, person_tags, entity_fields })
}

/// First and last name, as far as there are any.
fn friendly_name(alias: &PersonAlias) -> Option<String> {
    let names: Vec<_> = [&alias.first_name, &alias.last_name].into_iter().flatten().map(|name| name.trim()).collect();
    let joined = names.join(" ").trim().to_owned();
    (!joined.is_empty()).then_some(joined)
}

fn decode(picture: &[u8]) -> Result<Picture, Refusal> {
    if picture.is_empty() {
        return Err(Refusal::bad_input("Face bytes are empty"));
    }
    Picture::decode(picture, MOST_PIXELS).map_err(|error| match error {
        PictureError::Undecodable | PictureError::TooLarge { .. } | PictureError::Empty => {
            Refusal::bad_input(error.to_string())
        }
        other => picture_error(other),
    })
}

/// The picture as it is kept: the JPEG as it came where it is one and small enough, else a new one.
fn kept(encoded: &[u8], decoded: &Picture, keep: Keep) -> Result<Vec<u8>, PictureError> {
    let longest = decoded.width().max(decoded.height());
    match keep {
        Keep::Not => Ok(Vec::new()),
        Keep::Side(side) if longest > side => {
            let scaled = |length: u32| (u64::from(length) * u64::from(side) / u64::from(longest)) as u32;
            let (width, height) = (scaled(decoded.width()), scaled(decoded.height()));
            decoded.resized(width, height, Interpolation::Area)?.jpeg(JPEG_QUALITY)
        }
        _ if encoded.starts_with(b"\xff\xd8\xff") => Ok(encoded.to_vec()),
        _ => decoded.jpeg(JPEG_QUALITY),
    }
}

fn whole(rect: &Rect) -> [i32; 4] {
    // `as` saturates and turns NaN into 0.
    [rect.x, rect.y, rect.width, rect.height].map(|value| value.round() as i32)
}

fn analyze_error(error: AnalyzeError) -> Refusal {
    Refusal::Internal(EngineError::Analyze(error))
}

fn picture_error(error: PictureError) -> Refusal {
    analyze_error(AnalyzeError::Picture(error))
}
