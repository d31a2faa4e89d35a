//! people: records and their parts.
//!
//! In: ids and wire types. Out: what is stored now, or `None` where the engine's answer is empty.

use reqwest::Method;

use super::client::Client;
use super::error::ClientError;
use super::transport::Operation;
use super::wire::{IdentityPersonItem, PersonAlias, PersonTag, PersonTagUpsert};

const GET_PERSON: Operation =
    Operation { name: "people", method: Method::GET, permission: "Read All Identity", faults_are_final: false };
const PUT_ALIAS: Operation = Operation {
    name: "people/aliases",
    method: Method::PUT,
    permission: "Mutate All Identity",
    faults_are_final: false,
};
const LIST_PERSON_TAGS: Operation =
    Operation { name: "people/tags", method: Method::GET, permission: "Read All Identity", faults_are_final: false };
const PUT_TAG: Operation =
    Operation { name: "people/tags", method: Method::PUT, permission: "Mutate All Identity", faults_are_final: false };

impl Client {
    /// A person with all parts.
    pub async fn person(&self, person: &str) -> Result<IdentityPersonItem, ClientError> {
        let reply = self.call(&GET_PERSON, &["api", "v1", "people", person], |call| call).await?;
        reply.success(&GET_PERSON)?.json(&GET_PERSON)
    }

    /// Adds or changes a name; with an id of the caller's own it may be repeated safely.
    pub async fn put_alias(&self, person: &str, alias: &PersonAlias) -> Result<Option<PersonAlias>, ClientError> {
        let path = ["api", "v1", "people", person, "aliases"];
        let reply = self.call(&PUT_ALIAS, &path, |call| call.json(alias)).await?;
        reply.success(&PUT_ALIAS)?.optional_json(&PUT_ALIAS)
    }

    /// The tags a person carries, expired ones included; of this name, or all.
    pub async fn person_tags(&self, person: &str, name: Option<&str>) -> Result<Vec<PersonTag>, ClientError> {
        let path = ["api", "v1", "people", person, "tags"];
        let query: Vec<_> = name.map(|name| ("tagName", name)).into_iter().collect();
        let reply = self.call(&LIST_PERSON_TAGS, &path, |call| call.query(&query)).await?;
        let tags: Option<Vec<PersonTag>> = reply.success(&LIST_PERSON_TAGS)?.json(&LIST_PERSON_TAGS)?;
        Ok(tags.unwrap_or_default())
    }

    /// Gives a person a tag, or changes its expiry; with an id of the caller's own it may be repeated safely.
    pub async fn put_person_tag(&self, person: &str, tag: &PersonTagUpsert) -> Result<Option<PersonTag>, ClientError> {
        let path = ["api", "v1", "people", person, "tags"];
        let reply = self.call(&PUT_TAG, &path, |call| call.json(tag)).await?;
        reply.success(&PUT_TAG)?.optional_json(&PUT_TAG)
    }
}
