//! Who comes nearest to a face that matches nobody, as far as the caller may know.
//!
//! In: the nearest of the gallery, and what the caller may read. Out: the answer's `nearest`, or nothing. It is told
//! to those alone who may read something of people's records: how like somebody a stranger is says something of both.

use identities::Permission::{self, *};
use identities::wire::{FaceEdgeRecognizeWithOptions, NearestPerson};
use rusqlite::Connection;

use crate::auth::Caller;
use crate::gallery::{Near, Whose};
use crate::store::{Stop, people};

/// What a caller may know of the nearest person. The permissions are those of the sections of a matched person.
#[derive(Debug, Clone, Copy)]
pub struct MayKnow {
    person: bool,
    name: bool,
}

/// A caller who may read one of these of a person may know that it is the nearest.
const SOMETHING: [Permission; 8] = [
    ReadAllIdentity,
    MutateAllIdentity,
    ReadAliases,
    ReadAddresses,
    ReadTags,
    MutateTags,
    ReadEntityFields,
    MutateEntityFields,
];

impl MayKnow {
    pub fn of(caller: &Caller) -> Self {
        let name = caller.may(&[ReadAllIdentity, MutateAllIdentity, ReadAliases]);
        Self { person: caller.may(&SOMETHING), name }
    }

    /// What is left of it where the request says itself what of a person it wants.
    pub fn and_asked(self, request: &FaceEdgeRecognizeWithOptions) -> Self {
        Self { person: self.person && request.include_person, name: self.name && request.include_names }
    }

    /// What is told beside the answer that nobody matches; nothing of who was erased a moment ago.
    pub fn told(self, connection: &Connection, whose: Whose) -> Result<Option<NearestPerson>, Stop> {
        let Whose::Nobody(Some(Near { person, score, threshold })) = whose else { return Ok(None) };
        if !self.person || !people::exists(connection, person)? {
            return Ok(None);
        }
        let name = if self.name { people::friendly_name(connection, person)? } else { None };
        Ok(Some(NearestPerson { person_id: person.to_string(), name, score, threshold }))
    }
}
