//! Saying who a face is, or is not, that was seen: the page's way of enrolling, and of correcting a match.
//!
//! In: sightings, and the person they are or are not. Out: what would come of it, to be shown before; then people with
//! new photos, or a denial that keeps a wrong match from coming again. The vectors are made anew from the pictures that
//! were kept: of a face that was known none is.

use bytes::Bytes;
use chrono::Utc;
use faces::detect::Rect;
use faces::picture::Picture;
use identities::wire::PersonAlias;
use rusqlite::Connection;
use serde::Serialize;
use uuid::Uuid;

use super::{ENROLMENT_GATE, JPEG_QUALITY};
use crate::admission::Asker;
use crate::analyzer::{Analyzed, FaceAnalyzer, Wanted};
use crate::auth::Caller;
use crate::engine::Engine;
use crate::error::{EngineError, Refusal};
use crate::gallery::{Current, KnownMatch, Stranger};
use crate::store::assign::{self, Shot, Which};
use crate::store::denials::{self, Before};
use crate::store::{Stop, faces as stored, people, users};

/// Photos enrolled from a group at the most, the best ones.
const MOST_PHOTOS: u32 = 6;

/// What is cut out around a face, on each side as a share of its size; and where another face would be the largest.
const AROUND: f32 = 1.0;
const CLOSE_AROUND: f32 = 0.3;

/// Who somebody is: a person there is, or a new one of this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    pub which: Which,
    pub person: Option<Uuid>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    /// Also where a photo is poor, or would be taken for somebody else.
    pub force: bool,
}

/// What would come of an assignment, or came of it.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Assigned {
    /// Nobody as long as it is only looked at.
    pub person_id: Option<String>,
    pub sightings: u32,
    /// How many photos are enrolled from it, and how many are too poor to be.
    pub photos: usize,
    pub poor: usize,
    /// Whom else the photos would be taken for.
    pub confused: Vec<Confused>,
}

/// What the engine sees in a photo that is to be enrolled.
#[derive(Debug, PartialEq, Serialize)]
pub struct Portrait {
    pub faces: usize,
    /// Of the largest face, which is the one that is enrolled.
    pub quality: Option<f32>,
    pub confused: Vec<Confused>,
}

/// Somebody else whom a photo would be taken for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Confused {
    pub person_id: String,
    pub name: Option<String>,
    /// The photo of theirs that is so near.
    pub face_id: String,
    /// How sure a match with it would be, 0 to 1.
    pub match_confidence: f32,
}

/// A shot as the models that answer now see it.
struct Looked {
    shot: Shot,
    /// `None` where the face is not found again.
    found: Option<(Analyzed, Vec<u8>)>,
}

impl Looked {
    fn good(&self) -> bool {
        self.found.as_ref().is_some_and(|(found, _)| {
            found.quality.tall_enough(&ENROLMENT_GATE) && found.quality.good_enough(&ENROLMENT_GATE)
        })
    }
}

impl Engine {
    /// What would come of saying that this is the person, or a new one.
    pub(crate) async fn would_assign(
        &self,
        caller: &Caller,
        which: Which,
        person: Option<Uuid>,
    ) -> Result<Assigned, Refusal> {
        let serving = self.serving().await;
        let looked = self.looked(&serving, caller, which).await?;
        let confused = confused(&serving, &looked, person)?;
        self.read("look what would be assigned", move |connection| {
            let good = looked.iter().filter(|one| one.good()).count();
            Ok(Assigned {
                person_id: None,
                sightings: assign::sightings(connection, which)?,
                photos: good,
                poor: looked.len() - good,
                confused: told(connection, confused)?,
            })
        })
        .await
    }

    /// What there is in a photo that is to be enrolled for the person, or for somebody new.
    pub(crate) async fn look_at_portrait(
        &self,
        caller: &Caller,
        photo: Bytes,
        person: Option<Uuid>,
    ) -> Result<Portrait, Refusal> {
        let serving = self.serving().await;
        let decoded = self.inner.decoding.decode(Asker::upload(caller), [photo]).await?;
        let seen = serving.analyzers.run(decoded, |analyzer, [picture]| Ok(analyzer.analyze(picture, Wanted::All)?));
        let seen = seen.await?;
        let (faces, quality) = (seen.len(), seen.first().map(|largest| largest.quality.total));
        let other = match seen.first() {
            Some(largest) => serving.gallery.read().confused_with(&largest.embedding.values, person)?,
            None => None,
        };
        let confused =
            self.read("read who is alike", move |connection| told(connection, other.into_iter().collect())).await?;
        Ok(Portrait { faces, quality, confused })
    }

    /// Enrols the best pictures of the sightings for the person, makes the sightings theirs, and remembers of whom they
    /// were wrongly taken for that they are not.
    pub(crate) async fn assign(&self, caller: Caller, assignment: Assignment) -> Result<Assigned, Refusal> {
        let Assignment { which, person, first_name, last_name, force } = assignment;
        let nameless = [&first_name, &last_name].into_iter().flatten().all(|name| name.trim().is_empty());
        if person.is_none() && nameless {
            return Err(Refusal::bad_input("a new person needs a name"));
        }
        let serving = self.serving().await;
        let mut looked = self.looked(&serving, &caller, which).await?;
        if !force && !confused(&serving, &looked, person)?.is_empty() {
            return Err(Refusal::bad_input("the face would be taken for somebody else; say force to add it anyway"));
        }
        let all = looked.len();
        // By force the best one is taken, however poor.
        let best = looked.iter().position(|one| one.found.is_some()).filter(|_| force);
        let good: Vec<bool> = looked.iter().enumerate().map(|(n, one)| one.good() || best == Some(n)).collect();
        let mut keep = good.into_iter();
        looked.retain(|_| keep.next().unwrap_or_default());
        if looked.is_empty() {
            return Err(Refusal::bad_input("no picture of it is good enough to recognise somebody by"));
        }
        drop(serving);
        self.erasing(move |transaction| {
            let now = Utc::now();
            let owner = person.unwrap_or_else(Uuid::new_v4);
            match person {
                Some(_) => people::require(transaction, owner)?,
                None => {
                    people::create(transaction, owner, now)?;
                    people::put_alias(
                        transaction,
                        owner,
                        PersonAlias { first_name, last_name, ..PersonAlias::default() },
                    )?;
                }
            }
            let sightings = assign::sightings(transaction, which)?;
            let mut enrolled = Vec::new();
            for Looked { shot, found } in &looked {
                let Some((found, jpeg)) = found else { continue };
                let (face, detect_id, quality) = (Uuid::new_v4(), Uuid::new_v4(), found.quality.total);
                let photo = stored::Enrolled { face, person: owner, detect_id, photo_reference: None, quality, jpeg };
                stored::insert_enrolled(transaction, &photo, now)?;
                stored::insert_embedding(transaction, face, &found.embedding.model, &found.embedding.values)?;
                enrolled.push((face, shot));
            }
            assign::move_sightings(transaction, which, owner, &enrolled)?;
            users::record_change(transaction, &caller.username, "pageAssign", Some(&owner.to_string()))?;
            let (photos, poor) = (enrolled.len(), all - enrolled.len());
            Ok(Assigned { person_id: Some(owner.to_string()), sightings, photos, poor, confused: Vec::new() })
        })
        .await
    }

    /// Remembers that a sighting is not whom it was taken for; gives whom that was, for the way back.
    pub(crate) async fn deny(&self, caller: Caller, detection: Uuid) -> Result<Before, Refusal> {
        let before = self.read("read a match", move |connection| denials::taken_for(connection, detection)).await?;
        let serving = self.serving().await;
        let found = self.looked(&serving, &caller, Which::Sighting(detection)).await?.pop().and_then(|one| one.found);
        let (found, _) = found.ok_or_else(|| Refusal::bad_input("the face is not found in the picture again"))?;
        let perhaps = match serving.gallery.read().stranger(&found.embedding.values)? {
            Stranger::Same(face) | Stranger::Perhaps(face) => Some(face),
            Stranger::New => None,
        };
        drop(serving);
        self.erasing(move |transaction| {
            // A face of its own, though a stranger like it was seen before: it is this very picture that is denied.
            let face = Uuid::new_v4();
            stored::insert_unknown(transaction, face, perhaps, found.quality.total, Utc::now())?;
            stored::insert_embedding(transaction, face, &found.embedding.model, &found.embedding.values)?;
            denials::sighting(transaction, detection, &before, face)?;
            users::record_change(transaction, &caller.username, "pageDeny", Some(&before.person.to_string()))?;
            Ok(before)
        })
        .await
    }

    /// Takes a denial back.
    pub(crate) async fn undo_denial(&self, caller: Caller, detection: Uuid, before: Before) -> Result<(), Refusal> {
        self.erasing(move |transaction| {
            denials::undo(transaction, detection, &before)?;
            users::record_change(transaction, &caller.username, "pageUndoDenial", Some(&before.person.to_string()))
        })
        .await
    }

    /// The pictures of it, each looked at again.
    async fn looked(&self, serving: &Current, caller: &Caller, which: Which) -> Result<Vec<Looked>, Refusal> {
        let shots =
            self.read("read what was seen", move |connection| assign::shots(connection, which, MOST_PHOTOS)).await?;
        let mut looked = Vec::new();
        for mut shot in shots {
            let picture = Bytes::from(std::mem::take(&mut shot.jpeg));
            let decoded = self.inner.decoding.decode(Asker::upload(caller), [picture]).await?;
            let bbox = shot.bbox;
            let found =
                serving.analyzers.run(decoded, move |analyzer, [picture]| look(analyzer, picture, bbox)).await?;
            let comparable = |(found, _): &(Analyzed, _)| serving.gallery.read().check(&found.embedding.values).is_ok();
            looked.push(Looked { shot, found: found.filter(comparable) });
        }
        Ok(looked)
    }
}

/// The face of this box, found again in what is around it, and that as a photo in which it is the largest.
fn look(
    analyzer: &mut dyn FaceAnalyzer,
    picture: &Picture,
    bbox: [i32; 4],
) -> Result<Option<(Analyzed, Vec<u8>)>, Refusal> {
    let [x, y, width, height] = bbox.map(|side| side as f32);
    for around in [AROUND, CLOSE_AROUND] {
        let (left, top) = ((x - around * width).max(0.0).floor(), (y - around * height).max(0.0).floor());
        let side = |length: f32| (length * (1.0 + 2.0 * around)).ceil().max(1.0) as u32;
        let part = picture.cropped(left as i64, top as i64, side(width), side(height)).map_err(EngineError::Picture)?;
        let faces = analyzer.analyze(&part, Wanted::All)?;
        let own = Rect { x: x - left, y: y - top, width, height };
        let found = faces.iter().enumerate().map(|(n, found)| (n, found.face.bbox.iou(&own)));
        let nearest = found.filter(|(_, share)| *share > 0.3).max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((n, _)) = nearest else { continue };
        if n == 0 || around == CLOSE_AROUND {
            return Ok(Some((faces[n].clone(), part.jpeg(JPEG_QUALITY).map_err(EngineError::Picture)?)));
        }
    }
    Ok(None)
}

/// Whom else these would be taken for, each person once and with the nearest of their photos.
fn confused(serving: &Current, looked: &[Looked], person: Option<Uuid>) -> Result<Vec<KnownMatch>, Refusal> {
    let gallery = serving.gallery.read();
    let mut all: Vec<KnownMatch> = Vec::new();
    for (found, _) in looked.iter().filter_map(|one| one.found.as_ref()) {
        // Whom it was wrongly taken for is ruled out by the assignment itself.
        let wrong = |other: &KnownMatch| looked.iter().any(|one| one.shot.person == Some(other.person));
        let other = gallery.confused_with(&found.embedding.values, person)?.filter(|other| !wrong(other));
        let Some(other) = other else { continue };
        match all.iter_mut().find(|one| one.person == other.person) {
            Some(before) if before.confidence < other.confidence => *before = other,
            Some(_) => {}
            None => all.push(other),
        }
    }
    Ok(all)
}

fn told(connection: &Connection, confused: Vec<KnownMatch>) -> Result<Vec<Confused>, Stop> {
    let one = |known: KnownMatch| {
        Ok(Confused {
            person_id: known.person.to_string(),
            name: people::friendly_name(connection, known.person)?,
            face_id: known.face.to_string(),
            match_confidence: known.confidence,
        })
    };
    confused.into_iter().map(one).collect()
}
