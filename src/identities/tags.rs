//! Tags: tag definitions.
//!
//! In: names and wire types. Out: definitions.

use reqwest::Method;

use super::client::Client;
use super::error::ClientError;
use super::transport::Operation;
use super::wire::{Tag, TagWrite};

const LIST_TAGS: Operation =
    Operation { name: "Tags", method: Method::GET, permission: "Read Tags", faults_are_final: false };
const CREATE_TAG: Operation =
    Operation { name: "Tags", method: Method::POST, permission: "Add Tags", faults_are_final: false };

impl Client {
    /// The definitions of this name, or all.
    pub async fn tags(&self, name: Option<&str>) -> Result<Vec<Tag>, ClientError> {
        let query: Vec<_> = name.map(|name| ("tagName", name)).into_iter().collect();
        let reply = self.call(&LIST_TAGS, &["api", "v1", "Tags"], |call| call.query(&query)).await?;
        let tags: Option<Vec<Tag>> = reply.success(&LIST_TAGS)?.json(&LIST_TAGS)?;
        Ok(tags.unwrap_or_default())
    }

    /// Defines a tag; `None` where the engine's answer is empty.
    pub async fn create_tag(&self, tag: &TagWrite) -> Result<Option<Tag>, ClientError> {
        let reply = self.call(&CREATE_TAG, &["api", "v1", "Tags"], |call| call.json(tag)).await?;
        reply.success(&CREATE_TAG)?.optional_json(&CREATE_TAG)
    }

    /// The id of the tag of this name, which is defined if it is not yet.
    pub async fn ensure_tag(&self, name: &str) -> Result<String, ClientError> {
        let id = |tags: Vec<Tag>| tags.into_iter().find(|tag| tag.tag_name == name).map(|tag| tag.tag_id);
        if let Some(id) = id(self.tags(Some(name)).await?) {
            return Ok(id);
        }
        let wanted = TagWrite { tag_name: name.to_owned(), ..TagWrite::default() };
        match self.create_tag(&wanted).await {
            Ok(Some(tag)) => return Ok(tag.tag_id),
            // An empty answer, or a name that somebody has defined meanwhile: read it back.
            Ok(None) | Err(ClientError::Rejected { .. }) => {}
            Err(error) => return Err(error),
        }
        id(self.tags(Some(name)).await?).ok_or(ClientError::NotFound { operation: CREATE_TAG.name })
    }
}
