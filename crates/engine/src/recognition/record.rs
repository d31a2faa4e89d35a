//! The history: every face of a published picture, written down once.
//!
//! In: an analysed picture and where it was taken. Out: what publishWithResponse says of each face, and who it is, or
//! else who is nearest. A
//! face nobody knows becomes one that is recognised again; the same face at the same detector a moment later is
//! answered with the detection there is.

use ::faces::detect::Rect;
use chrono::{DateTime, TimeDelta, Utc};
use identities::wire::{DetectedFace, FaceEdgeRecognizeWithOptions, MatchedPerson};
use rusqlite::{Connection, Transaction};
use uuid::Uuid;

use super::Seen;
use super::nearest::MayKnow;
use crate::analyzer::Analyzed;
use crate::engine::Inner;
use crate::error::{EngineError, Refusal};
use crate::gallery::{KnownMatch, Serving, Stranger, Whose};
use crate::store::{Stop, browse, faces, people, tags};

/// A repeated detection within this time of the first is answered but not stored again.
const DOUBLE_DETECTION: TimeDelta = TimeDelta::seconds(10);

/// Writing one picture into the history.
struct Recording<'a> {
    serving: &'a Serving,
    request: &'a FaceEdgeRecognizeWithOptions,
    /// The account the picture came from.
    account: &'a str,
    /// What the caller may know of who is nearest to a stranger.
    may_know: MayKnow,
    jpeg: &'a [u8],
    now: DateTime<Utc>,
    /// The picture's id once it is stored; a picture of nothing but repetitions is not.
    photo: Option<i64>,
    /// Faces seen for the first time, for the gallery.
    strangers: Vec<(Uuid, &'a [f32])>,
}

impl Inner {
    /// Writes every face of a picture into the history in one transaction.
    pub(super) fn record(
        &self,
        serving: &Serving,
        request: &FaceEdgeRecognizeWithOptions,
        account: &str,
        may_know: MayKnow,
        seen: &Seen,
    ) -> Result<Vec<DetectedFace>, Refusal> {
        if seen.faces.is_empty() {
            return Ok(Vec::new());
        }
        let whose = match_all(serving, &seen.faces)?;
        let now = Utc::now();
        let (jpeg, may_know) = (seen.jpeg.as_slice(), may_know.and_asked(request));
        let (photo, strangers) = (None, Vec::new());
        let mut recording = Recording { serving, request, account, may_know, jpeg, now, photo, strangers };
        self.store.write_then(
            "store what was seen",
            |transaction| {
                let faces = seen.faces.iter().zip(whose);
                let recorded = faces
                    .map(|(found, whose)| {
                        // Who was erased a moment ago is a stranger.
                        let known = whose.known().filter(|known| people::require(transaction, known.person).is_ok());
                        let mut face = recording.face(transaction, found, known)?;
                        face.nearest = recording.may_know.told(transaction, whose)?;
                        Ok::<_, Stop>(face)
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                Ok((recorded, recording.strangers))
            },
            |(recorded, strangers)| {
                let mut gallery = serving.gallery.write();
                strangers.iter().try_for_each(|(face, vector)| gallery.insert(*face, None, vector))?;
                Ok(recorded)
            },
        )?
    }
}

impl<'a> Recording<'a> {
    /// Writes down one face of the picture, unless the same one was seen there a moment ago.
    fn face(
        &mut self,
        transaction: &Transaction,
        found: &'a Analyzed,
        known: Option<KnownMatch>,
    ) -> Result<DetectedFace, Stop> {
        let face = match known {
            Some(known) => known.face,
            None => self.stranger(transaction, found)?,
        };
        let person = known.map(|known| known.person);
        let FaceEdgeRecognizeWithOptions { detector_name, detect_time_utc, .. } = self.request;
        let before = match self.request.allow_double_detection {
            true => None,
            false => browse::near(transaction, face, person, detector_name, *detect_time_utc, DOUBLE_DETECTION)?,
        };
        let (detect_id, face) = match before {
            Some(stored) => stored,
            None => (self.detection(transaction, found, face, known)?, face),
        };
        let asked = person.filter(|_| self.request.include_person);
        let stored = if before.is_some() { "no" } else { "yes" };
        metrics::counter!("doorward_engine_detections_total", "stored" => stored).increment(1);
        Ok(DetectedFace {
            face_id: face.to_string(),
            detect_id: detect_id.to_string(),
            confidence: Some(found.face.score),
            match_confidence: known.map(|known| known.confidence),
            face_quality: Some(found.quality.total),
            bounding_box: super::bounding_box(found.face.bbox),
            person: asked.map(|person| sections(transaction, person, self.request, self.now)).transpose()?,
            nearest: None,
        })
    }

    /// The face of somebody nobody knows: the one seen before, or a new one. Looked up within the transaction: of two
    /// requests with the same stranger, the second finds the first's.
    fn stranger(&mut self, transaction: &Transaction, found: &'a Analyzed) -> Result<Uuid, Stop> {
        let vector = found.embedding.values.as_slice();
        let before = self.serving.gallery.read().stranger(vector).map_err(Refusal::from)?;
        // Who was erased a moment ago is somebody new.
        if let Stranger::Same(before) = before
            && faces::seen(transaction, before, self.now)?
        {
            return Ok(before);
        }
        let perhaps = if let Stranger::Perhaps(face) = before { Some(face) } else { None };
        let face = Uuid::new_v4();
        faces::insert_unknown(transaction, face, perhaps, found.quality.total, self.now)?;
        faces::insert_embedding(transaction, face, &found.embedding.model, vector)?;
        self.strangers.push((face, vector));
        Ok(face)
    }

    /// A new entry of the history, with the picture.
    fn detection(
        &mut self,
        transaction: &Transaction,
        found: &Analyzed,
        face: Uuid,
        known: Option<KnownMatch>,
    ) -> Result<Uuid, Stop> {
        let photo = match self.photo {
            Some(photo) => photo,
            None => *self.photo.insert(faces::insert_photo(transaction, self.jpeg, Some(self.account))?),
        };
        let detect_id = Uuid::new_v4();
        let detection = browse::Detection {
            detect_id,
            face,
            person: known.map(|known| known.person),
            detector: &self.request.detector_name,
            time: self.request.detect_time_utc,
            time_zone: &self.request.iana_time_zone,
            confidence: found.face.score,
            match_confidence: known.map(|known| known.confidence),
            quality: found.quality.total,
            bbox: whole(&found.face.bbox),
            photo,
        };
        browse::insert(transaction, &detection)?;
        Ok(detect_id)
    }
}

fn match_all(serving: &Serving, faces: &[Analyzed]) -> Result<Vec<Whose>, EngineError> {
    let gallery = serving.gallery.read();
    faces.iter().map(|found| gallery.whose(&found.embedding.values)).collect()
}

/// What is told of a person: the sections that were asked for.
fn sections(
    connection: &Connection,
    person: Uuid,
    asked: &FaceEdgeRecognizeWithOptions,
    now: DateTime<Utc>,
) -> Result<MatchedPerson, Stop> {
    let aliases = asked.include_names.then(|| people::aliases(connection, person)).transpose()?;
    let addresses = asked.include_addresses.then(|| people::addresses(connection, person)).transpose()?;
    let person_tags = asked.include_tags.then(|| tags::of_person(connection, person, None, now)).transpose()?;
    let entity_fields = asked.include_fields.then(|| people::entity_fields(connection, person, None)).transpose()?;
    let friendly_name = aliases.as_ref().and_then(|aliases| people::joined(aliases.first()?));
    let person_id = person.to_string();
    Ok(MatchedPerson { person_id, friendly_name, aliases, addresses, person_tags, entity_fields })
}

fn whole(rect: &Rect) -> [i32; 4] {
    // `as` saturates and turns NaN into 0.
    [rect.x, rect.y, rect.width, rect.height].map(|value| value.round() as i32)
}
