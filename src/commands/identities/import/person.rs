//! One person into the engine: whose the photos are, the photos, then the record.
//!
//! In: a person of the plan. Out: what became of each photo. The engine is asked which photos it has; of those it has,
//! whose they are. A photo is sent again after a failure only when the engine says that it does not have it.
//!
//! ```text
//! known photos? ──some──▶ whose? ──theirs──▶ enrol the others ──▶ record
//!      │                    └──somebody else's──▶ conflict: nothing is done
//!      └──none──▶ the first that is accepted makes a new person ──▶ enrol the others ──▶ record
//! ```

use std::collections::BTreeMap;

use anyhow::anyhow;
use identities::wire::{Base64, CheckImageReferenceResponse, FaceEnrollQuery, FaceEnrollRequest, IdentityPersonItem};
use identities::{Client, ClientError};

use super::cut::{Cut, Tries, is_of_one};
use super::record::{Record, same_name};
use super::source::{Photo, Planned};
use crate::terminal::with_causes;

/// How an operator settles whose a photo is.
const SAY_SO: &str = "say so: person_id in the CSV file, personId in person.json";

/// What everybody's import needs.
pub struct Importer {
    pub client: Client,
    pub cut: Cut,
    /// Enrol poor photos too.
    pub force: bool,
    /// The ids of tag definitions by folded name.
    pub tags: BTreeMap<String, String>,
}

/// What became of a person.
#[derive(Default)]
pub struct Outcome {
    /// `None`: nobody was enrolled.
    pub person_id: Option<String>,
    /// They were not in the engine before.
    pub new: bool,
    /// One for each photo that was reached, in their order.
    pub photos: Vec<Fate>,
    /// Why the person, or the rest of them, is not in the engine.
    pub failure: Option<String>,
}

/// What became of a photo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Enrolled,
    /// It was in the engine before.
    Present,
    Rejected(String),
}

/// Why a person cannot be gone on with.
enum Trouble {
    /// The others can.
    Own(String),
    Engine(ClientError),
}

impl From<ClientError> for Trouble {
    fn from(error: ClientError) -> Self {
        Self::Engine(error)
    }
}

impl Importer {
    /// `photo_done` is called once for every photo.
    pub async fn import(&self, wanted: &Planned, photo_done: &dyn Fn()) -> Outcome {
        let mut outcome = Outcome::default();
        if !self.cut.is_stopped()
            && let Err(trouble) = self.steps(wanted, &mut outcome, photo_done).await
        {
            outcome.failure = Some(self.told(trouble));
        }
        for _ in outcome.photos.len()..wanted.photos.len() {
            photo_done();
        }
        outcome
    }

    async fn steps(&self, wanted: &Planned, outcome: &mut Outcome, photo_done: &dyn Fn()) -> Result<(), Trouble> {
        let mut known = Vec::with_capacity(wanted.photos.len());
        for photo in &wanted.photos {
            known.push(self.known(photo).await?);
        }
        let mut person = self.owner_of_known(wanted, &known).await?;
        for (photo, known) in wanted.photos.iter().zip(&known) {
            if self.cut.is_stopped() {
                return Ok(());
            }
            let fate = if known.exists {
                Fate::Present
            } else {
                match self.enroll(photo, person.as_deref()).await {
                    Ok(id) => {
                        outcome.new |= person.is_none();
                        person = Some(id);
                        Fate::Enrolled
                    }
                    Err(Trouble::Engine(error)) if is_of_one(&error) => match person {
                        Some(_) => Fate::Rejected(with_causes(&error)),
                        // The engine may know them already, by a photo of another reference.
                        None => match self.namesake(photo, wanted).await? {
                            None => Fate::Rejected(with_causes(&error)),
                            Some(id) => {
                                let joined = self.enroll(photo, Some(&id)).await;
                                person = joined.is_ok().then_some(id);
                                match joined {
                                    Ok(_) => Fate::Enrolled,
                                    Err(Trouble::Engine(error)) if is_of_one(&error) => {
                                        Fate::Rejected(with_causes(&error))
                                    }
                                    Err(trouble) => return Err(trouble),
                                }
                            }
                        },
                    },
                    Err(trouble) => {
                        outcome.person_id = person;
                        return Err(trouble);
                    }
                }
            };
            outcome.photos.push(fate);
            photo_done();
            outcome.person_id.clone_from(&person);
        }
        let Some(person) = person else {
            return Err(Trouble::Own("nobody was enrolled: every photo was turned down".into()));
        };
        outcome.person_id = Some(person.clone());
        let stored = self.person(&person).await?;
        let record = Record { client: &self.client, cut: &self.cut, tags: &self.tags, stored };
        record.complete(wanted).await.map_err(|error| match is_of_one(&error) {
            true => Trouble::Own(format!("the record is not complete: {}", with_causes(&error))),
            false => Trouble::Engine(error),
        })
    }

    /// Who has the photos that the engine has; nobody when it has none. Somebody of another name is a conflict: adding
    /// photos to the wrong person would let one in as the other.
    async fn owner_of_known(
        &self,
        wanted: &Planned,
        known: &[CheckImageReferenceResponse],
    ) -> Result<Option<String>, Trouble> {
        let first = wanted.photos.iter().zip(known).find(|(_, known)| known.exists);
        let owner = match first {
            Some((photo, known)) => Some(self.owner(photo, known).await?),
            None => None,
        };
        let stated = match (&wanted.person_id, &wanted.record.person_id) {
            (Some(id), _) => Some(self.person(id).await.map_err(|error| nobody(error, id))?.person_id),
            // Of the engine the record came from; this may be another.
            (None, Some(id)) => match self.person(id).await {
                Ok(person) => Some(person.person_id),
                Err(error) if is_of_one(&error) => None,
                Err(error) => return Err(error.into()),
            },
            (None, None) => None,
        };
        match (&stated, owner) {
            (None, None) => Ok(None),
            (Some(id), None) => Ok(Some(id.clone())),
            (Some(id), Some(owner)) if !id.eq_ignore_ascii_case(&owner.person.person_id) => Err(Trouble::Own(format!(
                "a photo of them is enrolled for another person, {}, not for {id}",
                owner.person.person_id
            ))),
            (Some(_), Some(owner)) => Ok(Some(owner.person.person_id)),
            (None, Some(owner)) => {
                let stored = &owner.person.aliases;
                let names = &wanted.record.aliases;
                let shared = names.iter().any(|name| stored.iter().any(|known| same_name(known, name)));
                let id = owner.person.person_id;
                match (names.is_empty() || stored.is_empty(), shared, owner.certain) {
                    (_, true, _) | (true, _, true) => Ok(Some(id)),
                    (true, false, false) => Err(Trouble::Own(format!(
                        "their photo is enrolled, but the engine does not tell for certain whose it is; it may be \
                         {id}: if so, {SAY_SO}"
                    ))),
                    (false, false, _) => Err(Trouble::Own(format!(
                        "their photo is enrolled for {id}, who has another name; if it is the same \
                         person, {SAY_SO}"
                    ))),
                }
            }
        }
    }

    /// Whose a photo is that the engine has: it is shown to the engine again.
    async fn owner(&self, photo: &Photo, known: &CheckImageReferenceResponse) -> Result<Owner, Trouble> {
        let picture = read(photo).await?;
        let faces = self.cut.patiently(&self.client, || self.client.face_detect(picture.clone())).await?.detections;
        let enrolled = faces.iter().find(|face| known.face_id.as_ref() == Some(&face.face_id));
        let certain = enrolled.is_some_and(|face| face.person_id.is_some());
        let mut people = faces.iter().filter_map(|face| face.person_id.as_ref());
        let person = match (enrolled.and_then(|face| face.person_id.as_ref()), people.next(), people.next()) {
            (Some(person), _, _) | (None, Some(person), None) => person,
            _ => {
                return Err(Trouble::Own(format!(
                    "{} is enrolled, but the engine does not tell whose it is; if you know, {SAY_SO}",
                    photo.file.display()
                )));
            }
        };
        Ok(Owner { person: self.person(person).await?, certain })
    }

    /// The only person the engine knows in a photo, if they are called as the source has it.
    async fn namesake(&self, photo: &Photo, wanted: &Planned) -> Result<Option<String>, Trouble> {
        let picture = read(photo).await?;
        let faces = match self.cut.patiently(&self.client, || self.client.face_detect(picture.clone())).await {
            Ok(found) => found.detections,
            Err(error) if is_of_one(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut people = faces.into_iter().filter_map(|face| face.person_id);
        let (Some(id), None) = (people.next(), people.next()) else { return Ok(None) };
        let known = self.person(&id).await?;
        let names = &wanted.record.aliases;
        let shared = names.iter().any(|name| known.aliases.iter().any(|alias| same_name(alias, name)));
        Ok(shared.then_some(id))
    }

    /// Enrols a photo the engine does not have; gives the person's id.
    async fn enroll(&self, photo: &Photo, person: Option<&str>) -> Result<String, Trouble> {
        let query = FaceEnrollQuery { person_id: person.map(str::to_owned), force_enrollment: self.force };
        let picture = read(photo).await?;
        let request = FaceEnrollRequest { face_image: picture, photo_reference_id: Some(photo.reference.clone()) };
        let mut tries = Tries::default();
        loop {
            let error = match self.client.face_enroll(&query, &request).await {
                Ok(enrolled) => return Ok(enrolled.person_id),
                Err(error) => error,
            };
            self.cut.wait(&self.client, &mut tries, error).await?;
            // It may have happened all the same.
            let known = self.known(photo).await?;
            if known.exists {
                return match person {
                    Some(person) => Ok(person.to_owned()),
                    None => Ok(self.owner(photo, &known).await?.person.person_id),
                };
            }
        }
    }

    async fn known(&self, photo: &Photo) -> Result<CheckImageReferenceResponse, ClientError> {
        self.cut.patiently(&self.client, || self.client.check_image_reference(&photo.reference)).await
    }

    async fn person(&self, id: &str) -> Result<IdentityPersonItem, ClientError> {
        self.cut.patiently(&self.client, || self.client.person(id)).await
    }

    /// The trouble in words. One that everybody would have stops everything.
    fn told(&self, trouble: Trouble) -> String {
        match trouble {
            Trouble::Own(text) => text,
            Trouble::Engine(error) => {
                let text = with_causes(&error);
                if !is_of_one(&error) {
                    self.cut.stop(anyhow!(error));
                }
                text
            }
        }
    }
}

/// Who holds a photo.
struct Owner {
    person: IdentityPersonItem,
    /// The engine named the very face that was enrolled, not only somebody who looks like it.
    certain: bool,
}

fn nobody(error: ClientError, id: &str) -> Trouble {
    match error {
        ClientError::NotFound { .. } => Trouble::Own(format!("the engine knows nobody of person_id {id}")),
        error => Trouble::Engine(error),
    }
}

async fn read(photo: &Photo) -> Result<Base64, ClientError> {
    let bytes = tokio::fs::read(&photo.file).await;
    bytes.map(Base64::from).map_err(|source| ClientError::File { operation: "faceEnroll", source })
}
