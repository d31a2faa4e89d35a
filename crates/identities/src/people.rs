//! people, detections, Tags and EntityFieldSettings: searches, records and their parts, the history of sightings, and
//! the definitions of tags and custom fields.
//!
//! In: ids and wire types. Out: what is stored now, or `None` where the engine's answer is empty; sightings one page at
//! a time. A part that is put with an id of the caller's own may be put again safely; without one each repetition may
//! make another. Of the definitions of fields only the paths are documented: try them on a test system first.

use futures_util::stream::{self, Stream, TryStreamExt};

use super::client::Client;
use super::error::{ClientError, Result};
use super::operation::{
    CONFIGURE_DATETIME_FIELD, CONFIGURE_STRING_FIELD, CREATE_TAG, DELETE_ALIAS, DELETE_FIELD, DELETE_NOTE,
    DELETE_PERSON_TAG, DELETE_TAG, DETECTIONS_OF_FACE, DETECTIONS_OF_PERSON, FIND_PEOPLE, GET_PERSON, GET_TAG,
    LIST_ALIASES, LIST_FIELDS, LIST_NOTES, LIST_PERSON_TAGS, LIST_TAGS, Operation, PUT_ADDRESS, PUT_ALIAS, PUT_FIELD,
    PUT_NOTE, PUT_PERSON_TAG, SEARCH_PEOPLE, UPDATE_TAG,
};
use super::wire::{
    DetectionItem, DetectionsQuery, EntityField, FieldSetting, IdentityPersonItem, PeopleQuery, PersonAddress,
    PersonAlias, PersonNote, PersonTag, PersonTagUpsert, Tag, TagWrite,
};
use crate::text;

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
        self.list(&LIST_PERSON_TAGS, &[person], &[("tagName", name)]).await
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
        self.list(&LIST_FIELDS, &[person], &[("fieldName", name)]).await
    }

    /// Sets a custom field.
    pub async fn put_entity_field(&self, person: &str, field: &EntityField) -> Result<Option<EntityField>> {
        self.store(&PUT_FIELD, &[person], field).await
    }

    /// Clears a custom field by its id; `false` when it was gone already.
    pub async fn delete_entity_field(&self, person: &str, field: &str) -> Result<bool> {
        self.delete(&DELETE_FIELD, &[person, field]).await
    }

    /// The definitions of this name, or all.
    pub async fn tags(&self, name: Option<&str>) -> Result<Vec<Tag>> {
        self.list(&LIST_TAGS, &[], &[("tagName", name)]).await
    }

    /// The definition of this id.
    pub async fn tag(&self, tag: &str) -> Result<Tag> {
        self.get(&GET_TAG, &[tag]).await
    }

    /// Defines a tag; `None` where the engine's answer is empty.
    pub async fn create_tag(&self, tag: &TagWrite) -> Result<Option<Tag>> {
        self.store(&CREATE_TAG, &[], tag).await
    }

    /// Replaces a definition as a whole.
    pub async fn update_tag(&self, id: &str, tag: &TagWrite) -> Result<Option<Tag>> {
        self.store(&UPDATE_TAG, &[id], tag).await
    }

    /// Deletes a definition; `false` when it was gone already.
    pub async fn delete_tag(&self, id: &str) -> Result<bool> {
        self.delete(&DELETE_TAG, &[id]).await
    }

    /// The id of the tag of this name, which is defined, tidy, if it is not yet.
    pub async fn ensure_tag(&self, wanted: &TagWrite) -> Result<String> {
        let wanted = &TagWrite { tag_name: text::tidy(&wanted.tag_name), ..wanted.clone() };
        let name = wanted.tag_name.as_str();
        let id = |tags: Vec<Tag>| tags.into_iter().find(|tag| tag.tag_name == name).map(|tag| tag.tag_id);
        if let Some(id) = id(self.tags(Some(name)).await?) {
            return Ok(id);
        }
        match self.create_tag(wanted).await {
            Ok(Some(tag)) => return Ok(tag.tag_id),
            // An empty answer, or a name that somebody has defined meanwhile: read it back.
            Ok(None) | Err(ClientError::Rejected { .. }) => {}
            Err(error) => return Err(error),
        }
        if let Some(id) = id(self.tags(Some(name)).await?) {
            return Ok(id);
        }
        // An engine that keeps one spelling of a name has it in another.
        let known = self.tag_of_any_spelling(name).await?;
        known.map(|tag| tag.tag_id).ok_or(ClientError::NotFound {
            operation: CREATE_TAG.id,
            what: "tag",
            nearest: None,
        })
    }

    /// The definition whose name is the same word; where several are, the one that is written so.
    pub async fn tag_of_any_spelling(&self, name: &str) -> Result<Option<Tag>> {
        let mut same: Vec<Tag> = self.tags(None).await?;
        same.retain(|tag| text::same(&tag.tag_name, name));
        same.sort_by_key(|tag| tag.tag_name != name);
        Ok(same.into_iter().next())
    }

    /// Defines a text field.
    pub async fn configure_string_field(&self, entity_type: &str, field: &str, setting: &FieldSetting) -> Result<()> {
        self.call(&CONFIGURE_STRING_FIELD, &[entity_type, field], |call| call.json(setting)).await.map(drop)
    }

    /// Defines a date and time field.
    pub async fn configure_datetime_field(&self, entity_type: &str, field: &str, setting: &FieldSetting) -> Result<()> {
        self.call(&CONFIGURE_DATETIME_FIELD, &[entity_type, field], |call| call.json(setting)).await.map(drop)
    }

    /// All sightings of a face, `query.take` of them in memory at a time. It ends after the first error.
    pub fn face_detections(
        &self,
        face: &str,
        query: DetectionsQuery,
    ) -> impl Stream<Item = Result<DetectionItem>> + Send + use<> {
        self.clone().pages(&DETECTIONS_OF_FACE, face.to_owned(), query)
    }

    /// All sightings of a person, `query.take` of them in memory at a time. It ends after the first error.
    pub fn person_detections(
        &self,
        person: &str,
        query: DetectionsQuery,
    ) -> impl Stream<Item = Result<DetectionItem>> + Send + use<> {
        self.clone().pages(&DETECTIONS_OF_PERSON, person.to_owned(), query)
    }

    fn pages(
        self,
        operation: &'static Operation,
        id: String,
        query: DetectionsQuery,
    ) -> impl Stream<Item = Result<DetectionItem>> + Send {
        let pages = stream::try_unfold(query, move |query| {
            let (client, id) = (self.clone(), id.clone());
            async move {
                let page: Vec<DetectionItem> = client.list(operation, &[&id], &query).await?;
                Ok(next(&query, &page).map(|next| (page, next)))
            }
        });
        pages.map_ok(|page| stream::iter(page.into_iter().map(Ok))).try_flatten()
    }
}

/// What to ask for after this page; `None` after the last, which is the empty one: an engine's own limit may make any
/// page shorter than asked for.
fn next(query: &DetectionsQuery, page: &[DetectionItem]) -> Option<DetectionsQuery> {
    let newest = page.first()?.date_time_utc;
    let skip = u32::try_from(page.len()).ok().and_then(|count| query.skip.checked_add(count));
    let mut next = DetectionsQuery { skip: skip.filter(|skip| *skip <= i32::MAX as u32)?, ..query.clone() };
    if !query.date_ascending && query.epoch_end_ms.is_none() {
        // What comes in from now on would push the rest onto the next page, to be told twice. The bound is inclusive
        // and the time may have a fraction.
        next.epoch_end_ms = Some(newest.timestamp_millis() + 1);
    }
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_by_what_came_until_nothing_does() {
        let item: DetectionItem = serde_json::from_str(r#"{"dateTimeUtc":"1970-01-01T00:00:01.5009Z"}"#).unwrap();
        let three = vec![item; 3];
        let oldest_first = DetectionsQuery { skip: 7, take: 10, ..DetectionsQuery::default() };
        assert_eq!(next(&oldest_first, &three), Some(DetectionsQuery { skip: 10, ..oldest_first.clone() }));
        assert_eq!(next(&oldest_first, &[]), None);
        let newest_first = DetectionsQuery { date_ascending: false, ..DetectionsQuery::default() };
        let after = next(&newest_first, &three).unwrap();
        assert_eq!((after.skip, after.epoch_end_ms), (3, Some(1501)));
        assert_eq!(next(&after, &three).unwrap().epoch_end_ms, Some(1501));
        let bounded = DetectionsQuery { epoch_end_ms: Some(5), ..newest_first };
        assert_eq!(next(&bounded, &three).unwrap().epoch_end_ms, Some(5));
        let endless = DetectionsQuery { skip: i32::MAX as u32, ..oldest_first };
        assert_eq!(next(&endless, &three), None);
    }
}
