//! Whom the engine may mistake or miss because of the photos they were enrolled with, and what to do about it.
//!
//! In: a data folder, which an engine may be serving, and the embedding model that answers there. Out: [`Finding`]s,
//! the most urgent first, with ids and names. It changes nothing, and loads no model: the vectors are there.

mod judge;

use std::collections::HashMap;
use std::path::Path;

use ::faces::embed::{self, FaceModel};
use rusqlite::Connection;
use serde::Serialize;
use uuid::Uuid;

pub use judge::Kind;
use judge::{BARE, Enrolled, Photo, Problem, Sightings, judge};

use crate::error::EngineError;
use crate::recognition::ENROLMENT_GATE;
use crate::store::{Stop, Store, faces, meta, people};

/// Something to mend.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    pub problem: Kind,
    pub person: Named,
    /// How many photos the person has.
    pub photos: usize,
    /// The photos in question.
    pub face_ids: Vec<Uuid>,
    /// Whom a photo is like, and how much, in the model's own numbers; `threshold` is what a match takes. A likeness
    /// matches at or above it, a distance (metric L2) at or below.
    pub other: Option<Named>,
    pub other_face_id: Option<Uuid>,
    pub score: Option<f32>,
    pub threshold: Option<f32>,
}

/// A person as people know them.
#[derive(Debug, Clone, Serialize)]
pub struct Named {
    pub person_id: Uuid,
    pub name: Option<String>,
}

/// What was looked at, and what was found.
#[derive(Debug, Default)]
pub struct Quality {
    pub people: usize,
    pub photos: usize,
    pub findings: Vec<Finding>,
}

/// Looks at everybody enrolled in a data folder. `each` is told how many people there are, after every one of them.
pub fn quality(data: &Path, each: &dyn Fn(usize)) -> Result<Quality, EngineError> {
    if !data.is_dir() {
        return Err(EngineError::NotAFolderOfOurs { path: data.to_owned() });
    }
    let store = Store::open(data)?;
    let Some(name) = store.read("read which model answered last", meta::model)? else {
        return Ok(Quality::default());
    };
    let model = embed::known(&name).ok_or(EngineError::UnknownModel { model: name })?;
    let everybody = store.read("read who is enrolled", |connection| enrolled(connection, &model))?;
    let (people, photos) = (everybody.len(), everybody.iter().map(|enrolled| enrolled.photos.len()).sum());
    let problems = judge(&model, &everybody, ENROLMENT_GATE.min_total, &|| each(people));
    let photos_of: HashMap<_, _> = everybody.iter().map(|one| (one.person, one.photos.len())).collect();
    let findings = store.read("read the names of people", |connection| {
        let found = problems.into_iter().map(|problem| finding(connection, &model, &photos_of, problem));
        found.filter_map(Result::transpose).collect()
    })?;
    Ok(Quality { people, photos, findings })
}

/// Everybody, in the order they were made in, with what the model sees of them.
fn enrolled(connection: &Connection, model: &FaceModel) -> Result<Vec<Enrolled>, Stop> {
    let mut vectors = HashMap::new();
    faces::each_embedding(connection, &model.name, true, |face, _, vector| {
        vectors.insert(face, vector.to_vec());
    })?;
    let mut photos: HashMap<Uuid, Vec<Photo>> = HashMap::new();
    for (person, face, quality) in faces::qualities(connection)? {
        let vector = vectors.remove(&face);
        photos.entry(person).or_default().push(Photo { face, quality, vector });
    }
    let mut sightings = faces::matches(connection, BARE)?;
    let one = |person| Enrolled {
        person,
        photos: photos.remove(&person).unwrap_or_default(),
        sightings: sightings.remove(&person).map_or_else(Sightings::default, |(all, bare)| Sightings { all, bare }),
    };
    Ok(people::all(connection)?.into_iter().map(one).collect())
}

/// The problem with names; `None` where somebody has been erased since.
fn finding(
    connection: &Connection,
    model: &FaceModel,
    photos_of: &HashMap<Uuid, usize>,
    Problem { kind, person, faces, other }: Problem,
) -> Result<Option<Finding>, Stop> {
    let named = |person: Uuid| -> Result<Option<Named>, Stop> {
        let is_there = people::exists(connection, person)?;
        let name = if is_there { people::friendly_name(connection, person)? } else { None };
        Ok(is_there.then_some(Named { person_id: person, name }))
    };
    let Some(whose) = named(person)? else { return Ok(None) };
    let whom = other.map(|other| named(other.person)).transpose()?;
    if whom.as_ref().is_some_and(Option::is_none) {
        return Ok(None);
    }
    Ok(Some(Finding {
        problem: kind,
        person: whose,
        photos: photos_of.get(&person).copied().unwrap_or_default(),
        face_ids: faces,
        other: whom.flatten(),
        other_face_id: other.map(|other| other.face),
        score: other.map(|other| other.score),
        threshold: other.map(|_| model.threshold),
    }))
}

impl Finding {
    /// What is wrong, and what to do, for people.
    pub fn told(&self) -> (String, &'static str) {
        let photos = |n: usize| if n == 1 { "1 photo".to_owned() } else { format!("{n} photos") };
        let which = format!("{} of {}", self.face_ids.len(), photos(self.photos));
        let whom = self.other.as_ref().map(Named::told).unwrap_or_default();
        let scored = match (self.score, self.threshold) {
            (Some(score), Some(threshold)) => format!("{score:.2}; {threshold:.2} is a match"),
            _ => String::new(),
        };
        match self.problem {
            Kind::WrongFace => (
                format!("{which} matches none of the others, but {whom} ({scored})"),
                "look at the photo; if it is the other person's, erase it here",
            ),
            Kind::Alike => (
                format!("{which} matches {whom} ({scored})"),
                "if both are one person, erase one of the two; else erase these photos and enrol clearer ones of both",
            ),
            Kind::Unseen => (
                match self.photos {
                    0 => "there is no photo".to_owned(),
                    n => format!("the model sees no face in {}", photos(n)),
                },
                "enrol a photo: frontal, sharp, the face at least 100 pixels high",
            ),
            Kind::Unlike => (
                format!("unlike the person's others: {which}"),
                "look at them; erase what is somebody else's or cannot be made out",
            ),
            Kind::Poor => (
                format!("poor pictures, or without a face for the model: {which}"),
                "enrol a better one, then erase these",
            ),
            Kind::Barely => (
                "recognised barely most of the time, and so missed at others".to_owned(),
                "enrol a photo as the camera sees the person: its light, its angle, today's looks",
            ),
            Kind::TooFew => ("a single photo".to_owned(), "enrol another one, of another day and light"),
            Kind::SamePicture => (
                format!("all {} are about the same picture", photos(self.photos)),
                "enrol one of another day and light",
            ),
            Kind::Close => (
                format!("{which} is close to {whom} ({scored})"),
                "let doors want more than one picture of them, or enrol clearer photos of both",
            ),
        }
    }
}

impl Named {
    /// The name, or the id of who has none.
    pub fn told(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.person_id.to_string())
    }
}
