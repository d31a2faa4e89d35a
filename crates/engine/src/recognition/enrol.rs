//! Enrolling: which photos are good enough, and putting one into the data folder and the gallery.
//!
//! In: an analysed picture and whose it is. Out: the person's id; nothing is left behind of an enrolment that fails.

use ::faces::quality::QualityOptions;
use chrono::Utc;
use rusqlite::Transaction;
use uuid::Uuid;

use super::{Enrolment, Seen};
use crate::analyzer::Analyzed;
use crate::engine::Inner;
use crate::error::Refusal;
use crate::gallery::Serving;
use crate::store::{Stop, faces, people, users};

/// What an enrolled photo must be at least, unless it is forced; a photo is matched against for years.
pub const ENROLMENT_GATE: QualityOptions = QualityOptions { min_face_px: 48, min_total: 0.15 };

/// The confidence from which on a face is taken for that of a person who is enrolled; photos of one person are mostly
/// surer.
const SURELY: f32 = 0.9;

/// A second face of at least this share of the largest one's area makes it unclear who is being enrolled.
const RIVAL_AREA: f32 = 0.5;

impl Inner {
    /// Enrols the largest face of the picture in one transaction.
    pub(super) fn enroll(
        &self,
        serving: &Serving,
        enrolment: &Enrolment,
        seen: &Seen,
        username: &str,
    ) -> Result<Uuid, Refusal> {
        let found = acceptable(seen, enrolment.force)?;
        let vector = found.embedding.values.as_slice();
        serving.gallery.read().check(vector)?;
        let now = Utc::now();
        let (face, detect_id) = (Uuid::new_v4(), Uuid::new_v4());
        self.store.write_then(
            "store the enrolment",
            |transaction| {
                if let Some(reference) = &enrolment.photo_reference
                    && let Some(holder) = faces::by_reference(transaction, reference)?
                {
                    if enrolment.person.is_some_and(|person| person != holder.person) {
                        let theirs = "photoReferenceId: it belongs to a photo of another person";
                        return Err(Refusal::bad_input(theirs).into());
                    }
                    if faces::photo(transaction, &holder.face)?.as_deref() != Some(&seen.jpeg) {
                        let another = "photoReferenceId: another photo is enrolled under it; a new photo needs a \
                                       reference of its own";
                        return Err(Refusal::bad_input(another).into());
                    }
                    return Ok((holder.person, false));
                }
                if !enrolment.force {
                    nobody_elses(transaction, serving, enrolment.person, vector, &seen.jpeg)?;
                }
                let person = enrolment.person.unwrap_or_else(Uuid::new_v4);
                match enrolment.person {
                    Some(_) => people::require(transaction, person)?,
                    None => people::create(transaction, person, now)?,
                }
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
                users::record_change(transaction, username, "faceEnroll", Some(&person.to_string()))?;
                Ok::<_, Stop>((person, true))
            },
            |(person, new)| {
                if new {
                    serving.gallery.write().insert(face, Some(person), vector)?;
                }
                Ok(person)
            },
        )?
    }
}

/// Refuses a face that is surely another person's, or a photo that is enrolled for one: the engine would answer with
/// either of the two, and a tag of one would open doors to the other.
fn nobody_elses(
    transaction: &Transaction,
    serving: &Serving,
    person: Option<Uuid>,
    vector: &[f32],
    jpeg: &[u8],
) -> Result<(), Stop> {
    let whose = serving.gallery.read().whose(vector).map_err(Refusal::from)?;
    let Some(known) = whose.known().filter(|known| Some(known.person) != person) else { return Ok(()) };
    if !people::exists(transaction, known.person)? {
        return Ok(());
    }
    let same_photo = faces::photo(transaction, &known.face.to_string())?.as_deref() == Some(jpeg);
    if known.confidence < SURELY && !same_photo {
        return Ok(());
    }
    let what = if same_photo { "the photo is enrolled" } else { "the face is known" };
    Err(Refusal::TurnedDown(format!(
        "{what} as person {} already; send that personId to add the photo to them, or forceEnrollment=true if these \
         are two people",
        known.person
    ))
    .into())
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
    if let Some(doubt) = seen.doubt {
        return turned_down(doubt.into());
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
