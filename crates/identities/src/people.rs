//! people: searches, records and their parts.
//!
//! In: ids and wire types. Out: what is stored now, or `None` where the engine's answer is empty. A part that is put
//! with an id of the caller's own may be put again safely; without one each repetition may make another.

use super::client::Client;
use super::error::Result;
use super::operation::{
    DELETE_ALIAS, DELETE_FIELD, DELETE_NOTE, DELETE_PERSON_TAG, FIND_PEOPLE, GET_PERSON, LIST_ALIASES, LIST_FIELDS,
    LIST_NOTES, LIST_PERSON_TAGS, PUT_ADDRESS, PUT_ALIAS, PUT_FIELD, PUT_NOTE, PUT_PERSON_TAG, SEARCH_PEOPLE,
};
use super::wire::{
    EntityField, IdentityPersonItem, PeopleQuery, PersonAddress, PersonAlias, PersonNote, PersonTag, PersonTagUpsert,
};

impl Client {
    /// Everybody who carries the tag of this id.
    pub async fn people_with_tag(&self, tag: &str) -> Result<Vec<IdentityPersonItem>> {
        let query = PeopleQuery { tag_id: Some(tag.to_owned()), ..PeopleQuery::default() };
        self.list(&SEARCH_PEOPLE, &[], &query).await
    }

    /// Everybody who has this custom field set, to this text if one is given.
    pub async fn people_with_field(&self, name: &str, value: Option<&str>) -> Result<Vec<IdentityPersonItem>> {
        let query = PeopleQuery {
            entity_field_name: Some(name.to_owned()),
            entity_field_string_value: value.map(str::to_owned),
            ..PeopleQuery::default()
        };
        self.list(&SEARCH_PEOPLE, &[], &query).await
    }

    /// The same with the field and its value in the path, which neither may then be empty nor a dot or two.
    pub async fn find_people_by_field(&self, name: &str, value: &str) -> Result<Vec<IdentityPersonItem>> {
        self.list(&FIND_PEOPLE, &[name, value], &()).await
    }

    /// A person with all parts.
    pub async fn person(&self, person: &str) -> Result<IdentityPersonItem> {
        self.get(&GET_PERSON, &[person]).await
    }

    /// A person's names, the primary one first.
    pub async fn aliases(&self, person: &str) -> Result<Vec<PersonAlias>> {
        self.list(&LIST_ALIASES, &[person], &()).await
    }

    /// Adds or changes a name.
    pub async fn put_alias(&self, person: &str, alias: &PersonAlias) -> Result<Option<PersonAlias>> {
        self.store(&PUT_ALIAS, &[person], alias).await
    }

    /// Removes a name; `false` when it was gone already.
    pub async fn delete_alias(&self, person: &str, alias: &str) -> Result<bool> {
        self.delete(&DELETE_ALIAS, &[person, alias]).await
    }

    /// The tags a person carries, of this name or all; some engines return expired ones as well.
    pub async fn person_tags(&self, person: &str, name: Option<&str>) -> Result<Vec<PersonTag>> {
        let query: Vec<_> = name.map(|name| ("tagName", name)).into_iter().collect();
        self.list(&LIST_PERSON_TAGS, &[person], &query).await
    }

    /// Gives a person a tag, or changes its expiry.
    pub async fn put_person_tag(&self, person: &str, tag: &PersonTagUpsert) -> Result<Option<PersonTag>> {
        self.store(&PUT_PERSON_TAG, &[person], tag).await
    }

    /// Takes a tag off a person by the id of its application; `false` when it was gone already.
    pub async fn delete_person_tag(&self, person: &str, person_tag: &str) -> Result<bool> {
        self.delete(&DELETE_PERSON_TAG, &[person, person_tag]).await
    }

    pub async fn notes(&self, person: &str) -> Result<Vec<PersonNote>> {
        self.list(&LIST_NOTES, &[person], &()).await
    }

    /// Adds or changes a note.
    pub async fn put_note(&self, person: &str, note: &PersonNote) -> Result<Option<PersonNote>> {
        self.store(&PUT_NOTE, &[person], note).await
    }

    /// Removes a note; `false` when it was gone already.
    pub async fn delete_note(&self, person: &str, note: &str) -> Result<bool> {
        self.delete(&DELETE_NOTE, &[person, note]).await
    }

    /// Adds or changes an address. They are read with the whole person, and cannot be deleted.
    pub async fn put_address(&self, person: &str, address: &PersonAddress) -> Result<Option<PersonAddress>> {
        self.store(&PUT_ADDRESS, &[person], address).await
    }

    /// A person's custom fields, of this name or all.
    pub async fn entity_fields(&self, person: &str, name: Option<&str>) -> Result<Vec<EntityField>> {
        let query: Vec<_> = name.map(|name| ("fieldName", name)).into_iter().collect();
        self.list(&LIST_FIELDS, &[person], &query).await
    }

    /// Sets a custom field.
    pub async fn put_entity_field(&self, person: &str, field: &EntityField) -> Result<Option<EntityField>> {
        self.store(&PUT_FIELD, &[person], field).await
    }

    /// Clears a custom field by its id; `false` when it was gone already.
    pub async fn delete_entity_field(&self, person: &str, field: &str) -> Result<bool> {
        self.delete(&DELETE_FIELD, &[person, field]).await
    }
}
