//! One person into the engine: whose the photos are, the photos, then the record.
//!
//! In: a person of the plan. Out: what became of each photo. The engine is asked which photos it has; of those it has,
//! whose they are. A photo is sent again after a failure only when the engine says that it does not have it.
//!
//! ```text
//! known photos? --some--▶ whose? --theirs--▶ enrol the others --▶ record
//!      │                    └--somebody else's--▶ conflict: nothing is done
//!      └--none--▶ the first that is accepted makes a new person --▶ enrol the others --▶ record
//! ```

use std::collections::BTreeMap;
use std::io;

use anyhow::{Context, bail};
use faces::picture::MAX_PHOTO_BYTES;
use identities::operation::FACE_ENROLL;
use identities::wire::{Base64, CheckImageReferenceResponse, FaceEnrollQuery, FaceEnrollRequest, IdentityPersonItem};
use identities::{Client, ClientError};
use sha2::{Digest, Sha256};

use super::super::tree::{self, Tree};
use super::cut::{Cut, is_of_one};
use super::record::{Record, share_a_name};
use super::source::{Photo, Planned};

/// How an operator settles whose a photo is.
const SAY_SO: &str = "say so: person_id in the CSV file, personId in person.json";

/// What everybody's import needs.
pub struct Importer {
    pub client: Client,
    /// Where the photos and documents are.
    pub tree: Tree,
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

/// Whether an error is the engine's, and about one photo or record.
fn is_of_one_photo(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(is_of_one)
}

impl Importer {
    /// `photo_done` is called once for every photo.
    pub async fn import(&self, wanted: &Planned, photo_done: &dyn Fn()) -> Outcome {
        let mut outcome = Outcome::default();
        if !self.cut.is_stopped()
            && let Err(error) = self.steps(wanted, &mut outcome, photo_done).await
        {
            outcome.failure = Some(format!("{error:#}"));
            // What the engine has against everybody stops everything.
            if error.downcast_ref().is_some_and(|error| !is_of_one(error)) {
                self.cut.stop(error);
            }
        }
        for _ in outcome.photos.len()..wanted.photos.len() {
            photo_done();
        }
        outcome
    }

    async fn steps(&self, wanted: &Planned, outcome: &mut Outcome, photo_done: &dyn Fn()) -> anyhow::Result<()> {
        let mut known = Vec::with_capacity(wanted.photos.len());
        for photo in &wanted.photos {
            known.push(self.known(photo).await?);
        }
        outcome.person_id = self.owner_of_known(wanted, &known).await?;
        for (photo, known) in wanted.photos.iter().zip(&known) {
            if self.cut.is_stopped() {
                return Ok(());
            }
            let fate = if known.exists { Fate::Present } else { self.bring(photo, wanted, outcome).await? };
            outcome.photos.push(fate);
            photo_done();
        }
        let Some(person) = &outcome.person_id else {
            bail!("nobody was enrolled: every photo was turned down");
        };
        let stored = self.person(person).await?;
        let record = Record { client: &self.client, tree: &self.tree, cut: &self.cut, tags: &self.tags, stored };
        record.complete(wanted).await.context("the record is not complete")
    }

    /// Enrols a photo the engine does not have: for the person so far, else for a new one, else, where it turns that
    /// down, for the one it knows in the photo, whom it may have by a photo of another reference.
    async fn bring(&self, photo: &Photo, wanted: &Planned, outcome: &mut Outcome) -> anyhow::Result<Fate> {
        let so_far = outcome.person_id.as_deref();
        let enrolled = match self.enroll(photo, so_far).await {
            Err(error) if so_far.is_none() && is_of_one_photo(&error) => match self.namesake(photo, wanted).await? {
                Some(id) => self.enroll(photo, Some(&id)).await,
                None => Err(error),
            },
            enrolled => {
                outcome.new |= so_far.is_none() && enrolled.is_ok();
                enrolled
            }
        };
        match enrolled {
            Ok(id) => {
                outcome.person_id = Some(id);
                Ok(Fate::Enrolled)
            }
            Err(error) if is_of_one_photo(&error) => Ok(Fate::Rejected(format!("{error:#}"))),
            Err(error) => Err(error),
        }
    }

    /// Who has the photos that the engine has; nobody when it has none. Somebody of another name is a conflict: adding
    /// photos to the wrong person would let one in as the other.
    async fn owner_of_known(
        &self,
        wanted: &Planned,
        known: &[CheckImageReferenceResponse],
    ) -> anyhow::Result<Option<String>> {
        let first = wanted.photos.iter().zip(known).find(|(_, known)| known.exists);
        let owner = match first {
            Some((photo, known)) => Some(self.owner(photo, known).await?),
            None => None,
        };
        let stated = match (&wanted.person_id, &wanted.record.person_id) {
            (Some(id), _) => match self.person(id).await {
                Err(ClientError::NotFound { .. }) => bail!("the engine knows nobody of person_id {id}"),
                person => Some(person?.person_id),
            },
            // Of the engine the record came from; this may be another.
            (None, Some(id)) => match self.person(id).await {
                Ok(person) => Some(person.person_id),
                Err(error) if is_of_one(&error) => None,
                Err(error) => return Err(error.into()),
            },
            (None, None) => None,
        };
        let Some(Owner { person: IdentityPersonItem { person_id: id, aliases, .. }, certain }) = owner else {
            return Ok(stated);
        };
        let names = &wanted.record.aliases;
        let nameless = names.is_empty() || aliases.is_empty();
        match stated {
            Some(stated) if stated.eq_ignore_ascii_case(&id) => Ok(Some(id)),
            None if share_a_name(names, &aliases) || (nameless && certain) => Ok(Some(id)),
            Some(stated) => bail!("a photo of them is enrolled for another person, {id}, not for {stated}"),
            None if nameless => bail!(
                "their photo is enrolled, but the engine does not tell for certain whose it is; it may be {id}: if so, \
                 {SAY_SO}"
            ),
            None => {
                bail!("their photo is enrolled for {id}, who has another name; if it is the same person, {SAY_SO}")
            }
        }
    }

    /// Whose a photo is that the engine has: it is shown to the engine again.
    async fn owner(&self, photo: &Photo, known: &CheckImageReferenceResponse) -> anyhow::Result<Owner> {
        let picture = self.read(photo).await?;
        let faces = self.cut.patiently(async || self.client.face_detect(picture.clone()).await).await?.detections;
        let enrolled = faces.iter().find(|face| known.face_id.as_ref() == Some(&face.face_id));
        let certain = enrolled.is_some_and(|face| face.person_id.is_some());
        let mut people = faces.iter().filter_map(|face| face.person_id.as_ref());
        let person = match (enrolled.and_then(|face| face.person_id.as_ref()), people.next(), people.next()) {
            (Some(person), _, _) | (None, Some(person), None) => person,
            _ => bail!(
                "{} is enrolled, but the engine does not tell whose it is; if you know, {SAY_SO}",
                photo.file.display()
            ),
        };
        Ok(Owner { person: self.person(person).await?, certain })
    }

    /// The only person the engine knows in a photo, if they are called as the source has it.
    async fn namesake(&self, photo: &Photo, wanted: &Planned) -> anyhow::Result<Option<String>> {
        let picture = self.read(photo).await?;
        let faces = match self.cut.patiently(async || self.client.face_detect(picture.clone()).await).await {
            Ok(found) => found.detections,
            Err(error) if is_of_one(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut people = faces.into_iter().filter_map(|face| face.person_id);
        let (Some(id), None) = (people.next(), people.next()) else { return Ok(None) };
        let known = self.person(&id).await?;
        Ok(share_a_name(&wanted.record.aliases, &known.aliases).then_some(id))
    }

    /// Enrols a photo the engine does not have; gives the person's id.
    async fn enroll(&self, photo: &Photo, person: Option<&str>) -> anyhow::Result<String> {
        let query = FaceEnrollQuery { person_id: person.map(str::to_owned), force_enrollment: self.force };
        let picture = self.read(photo).await?;
        let request = FaceEnrollRequest { face_image: picture, photo_reference_id: Some(photo.reference.clone()) };
        let mut tried = false;
        let enrolled = self.cut.patiently(async || {
            // A try that failed may have been heard all the same.
            let again = std::mem::replace(&mut tried, true);
            if again && self.client.check_image_reference(&photo.reference).await?.exists {
                return Ok(None);
            }
            self.client.face_enroll(&query, &request).await.map(|enrolled| Some(enrolled.person_id))
        });
        match (enrolled.await?, person) {
            (Some(id), _) => Ok(id),
            (None, Some(person)) => Ok(person.to_owned()),
            (None, None) => Ok(self.owner(photo, &self.known(photo).await?).await?.person.person_id),
        }
    }

    async fn read(&self, photo: &Photo) -> Result<Base64, ClientError> {
        let (tree, photo) = (self.tree.clone(), photo.clone());
        let read = tokio::task::spawn_blocking(move || read_again(&tree, &photo)).await;
        let read = read.map_err(io::Error::other).flatten();
        read.map(Base64::from).map_err(|source| ClientError::File { operation: FACE_ENROLL.id, source })
    }

    async fn known(&self, photo: &Photo) -> Result<CheckImageReferenceResponse, ClientError> {
        self.cut.patiently(async || self.client.check_image_reference(&photo.reference).await).await
    }

    async fn person(&self, id: &str) -> Result<IdentityPersonItem, ClientError> {
        self.cut.patiently(async || self.client.person(id).await).await
    }
}

/// Who holds a photo.
struct Owner {
    person: IdentityPersonItem,
    /// The engine named the very face that was enrolled, not only somebody who looks like it.
    certain: bool,
}

/// The photo again, which must be what it was.
fn read_again(tree: &Tree, photo: &Photo) -> io::Result<Vec<u8>> {
    let open = tree.file(&photo.file).map_err(io::Error::other)?;
    let bytes = tree::read(open, MAX_PHOTO_BYTES as u64)?;
    if hex::encode(Sha256::digest(&bytes)) != photo.content {
        let changed = format!("{} is another one than a moment ago; run the import again", photo.file.display());
        return Err(io::Error::other(changed));
    }
    Ok(bytes)
}
