//! The parts of a person's record: what is wanted is compared with what the engine has, and what lacks is put.
//!
//! In: a record of the source and one of the engine. Out: nothing, or the failure. Every part has an id made from the
//! person and what it says, so that putting it again changes nothing.

use std::collections::BTreeMap;
use std::io;
use std::slice;

use chrono::Utc;
use identities::operation::UPLOAD_DOCUMENT;
use identities::roster::DocumentFile;
use identities::text;
use identities::wire::{
    EntityField, IdentityPersonItem, PersonAddress, PersonAlias, PersonNote, PersonTag, PersonTagUpsert,
};
use identities::{Client, ClientError, DocumentUpload};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::super::tree::Tree;
use super::cut::Cut;
use super::source::Planned;

/// One person of an engine, whose record is to be completed.
pub struct Record<'a> {
    pub client: &'a Client,
    /// Where the documents are.
    pub tree: &'a Tree,
    pub cut: &'a Cut,
    /// The ids of tag definitions by folded name.
    pub tags: &'a BTreeMap<String, String>,
    pub stored: IdentityPersonItem,
}

impl Record<'_> {
    /// Puts what is wanted and not there yet; other parts stay as they are.
    pub async fn complete(&self, wanted: &Planned) -> Result<(), ClientError> {
        let record = &wanted.record;
        for alias in record.aliases.iter().filter(|alias| !share_a_name(&self.stored.aliases, slice::from_ref(alias))) {
            let alias = PersonAlias { person_alias_id: None, ..alias.clone() };
            let alias = PersonAlias { person_alias_id: Some(self.part_id("alias", &alias)), ..alias };
            self.cut.patiently(async || self.client.put_alias(self.id(), &alias).await).await?;
        }
        for tag in &record.tags {
            if let Some(tag) = self.tag(&tag.name, tag.expires) {
                self.cut.patiently(async || self.client.put_person_tag(self.id(), &tag).await).await?;
            }
        }
        for field in &record.entity_fields {
            if let Some(field) = self.field(field) {
                self.cut.patiently(async || self.client.put_entity_field(self.id(), &field).await).await?;
            }
        }
        for address in &record.addresses {
            let address = PersonAddress { person_address_id: None, ..address.clone() };
            let bare = |known: &PersonAddress| PersonAddress { person_address_id: None, ..known.clone() };
            if !self.stored.addresses.iter().any(|known| bare(known) == address) {
                let id = self.part_id("address", &address);
                let address = PersonAddress { person_address_id: Some(id), ..address };
                self.cut.patiently(async || self.client.put_address(self.id(), &address).await).await?;
            }
        }
        for note in &record.notes {
            let same = |known: &PersonNote| (&known.summary, &known.body) == (&note.summary, &note.body);
            if !self.stored.notes.iter().any(same) {
                let id = self.part_id("note", &(&note.summary, &note.body));
                let note = PersonNote { note_id: Some(id), ..note.clone() };
                self.cut.patiently(async || self.client.put_note(self.id(), &note).await).await?;
            }
        }
        for document in &record.documents {
            self.document(wanted, document).await?;
        }
        Ok(())
    }

    /// What to put so that the person carries the tag until then; `None` when there is nothing to.
    fn tag(&self, name: &str, expires: Option<chrono::DateTime<Utc>>) -> Option<PersonTagUpsert> {
        let now = Utc::now();
        if expires.is_some_and(|expires| expires <= now) {
            return None;
        }
        let valid = |tag: &&PersonTag| tag.is_called(name) && tag.expires.is_none_or(|expires| expires > now);
        let carried = self.stored.tags.iter().find(valid);
        if carried.is_some_and(|tag| expires.is_none() || tag.expires == expires) {
            return None;
        }
        let id = carried.and_then(|tag| tag.person_tag_id.clone());
        Some(PersonTagUpsert {
            person_tag_id: Some(id.unwrap_or_else(|| self.part_id("tag", &name))),
            // Every tag of the plan has been defined before.
            tag_id: self.tags.get(&text::folded(name)).cloned()?,
            expires,
        })
    }

    /// What to put so that the field has its value; the source's word counts.
    fn field(&self, wanted: &EntityField) -> Option<EntityField> {
        let known = self.stored.entity_fields.iter().find(|known| text::same(&known.name, &wanted.name));
        let bare = |field: &EntityField| EntityField { entity_field_id: None, ..field.clone() };
        if known.is_some_and(|known| bare(known) == bare(wanted)) {
            return None;
        }
        let id = known.and_then(|known| known.entity_field_id.clone());
        let id = id.unwrap_or_else(|| self.part_id("field", &wanted.name));
        Some(EntityField { entity_field_id: Some(id), ..wanted.clone() })
    }

    async fn document(&self, wanted: &Planned, document: &DocumentFile) -> Result<(), ClientError> {
        let mut nowhere = tokio::io::sink();
        let (id, public_id) = (self.id(), &document.public_id);
        let found = self.cut.patiently(async || self.client.download_document(id, public_id, &mut nowhere).await);
        match found.await {
            Ok(_) => return Ok(()),
            Err(ClientError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let (tree, file) = (self.tree.clone(), wanted.folder.join(&document.file));
        let open = tokio::task::spawn_blocking(move || tree.file(&file).map_err(io::Error::other)).await;
        let open = open.map_err(io::Error::other).flatten();
        let open = open.map_err(|source| ClientError::File { operation: UPLOAD_DOCUMENT.id, source })?;
        let upload = DocumentUpload {
            file: open.into(),
            file_name: document.file.clone(),
            person_id: self.id().to_owned(),
            name: document.name.clone(),
            description: document.description.clone(),
            public_id: Some(document.public_id.clone()),
            media_type: document.media_type.clone(),
        };
        // With an id of its own it takes its own place when it is sent again.
        self.cut.patiently(async || self.client.upload_document(&upload).await).await
    }

    fn id(&self) -> &str {
        &self.stored.person_id
    }

    fn part_id(&self, kind: &str, content: &impl Serialize) -> String {
        part_id(self.id(), kind, content)
    }
}

/// An id for a part that says this: always the same one, and never one that another person's part has.
fn part_id(person: &str, kind: &str, content: &impl Serialize) -> String {
    // What the API's types say can be written as JSON; nothing at all would do as well.
    let content = serde_json::to_string(&(person, kind, content)).unwrap_or_default();
    let digest = Sha256::digest(content);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

/// Whether a name is on both lists, in whatever spelling.
pub fn share_a_name(some: &[PersonAlias], others: &[PersonAlias]) -> bool {
    let parts = |alias: &PersonAlias| {
        [&alias.first_name, &alias.last_name, &alias.middle_name, &alias.title]
            .map(|part| text::folded(part.as_deref().unwrap_or_default()))
    };
    some.iter().map(parts).any(|name| others.iter().map(parts).any(|other| other == name))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_part_has_the_same_id_each_time_and_another_for_another_person() {
        let id = part_id("p", "tag", &"VIP");
        assert_eq!(id, part_id("p", "tag", &"VIP"));
        assert!(id.parse::<Uuid>().is_ok());
        for other in [part_id("q", "tag", &"VIP"), part_id("p", "note", &"VIP"), part_id("p", "tag", &"Staff")] {
            assert_ne!(id, other);
        }
    }

    #[test]
    fn names_are_the_same_whatever_their_ids_and_letters() {
        let alias = |first: &str, last: Option<&str>| PersonAlias {
            person_alias_id: Some(Uuid::new_v4().to_string()),
            first_name: Some(first.into()),
            last_name: last.map(Into::into),
            ..PersonAlias::default()
        };
        assert!(share_a_name(&[alias("Ada", Some(""))], &[alias(" ada", None)]));
        assert!(share_a_name(&[alias("Jose\u{301}", Some("García"))], &[alias("JOSÉ", Some("Garci\u{301}a\u{a0}"))]));
        assert!(!share_a_name(&[alias("Ada", Some("King"))], &[alias("Ada", None)]));
    }
}
