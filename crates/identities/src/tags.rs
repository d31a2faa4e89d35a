//! Tags: tag definitions.
//!
//! In: names, ids and wire types. Out: definitions.

use super::client::Client;
use super::error::{ClientError, Result};
use super::operation::{CREATE_TAG, DELETE_TAG, GET_TAG, LIST_TAGS, UPDATE_TAG};
use super::wire::{Tag, TagWrite};
use crate::text;

impl Client {
    /// The definitions of this name, or all.
    pub async fn tags(&self, name: Option<&str>) -> Result<Vec<Tag>> {
        let query: Vec<_> = name.map(|name| ("tagName", name)).into_iter().collect();
        self.list(&LIST_TAGS, &[], &query).await
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
        known.map(|tag| tag.tag_id).ok_or(ClientError::NotFound { operation: CREATE_TAG.id, what: "tag" })
    }

    /// The definition whose name is the same word; where several are, the one that is written so.
    pub async fn tag_of_any_spelling(&self, name: &str) -> Result<Option<Tag>> {
        let mut same: Vec<Tag> = self.tags(None).await?;
        same.retain(|tag| text::same(&tag.tag_name, name));
        same.sort_by_key(|tag| tag.tag_name != name);
        Ok(same.into_iter().next())
    }
}

impl TagWrite {
    /// A tag of this name that says no more.
    pub fn named(name: &str) -> Self {
        Self { tag_name: name.to_owned(), ..Self::default() }
    }
}
