//! people: whole records and their parts: aliases, applied tags, notes, addresses, custom fields.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::scalar::{self, null_is_empty};
use crate::text;

/// The query of `GET /api/v1/people`: exactly one selector, `tag_id` or `entity_field_name`.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeopleQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_field_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_field_string_value: Option<String>,
}

/// A person with all parts; the five lists are always written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityPersonItem {
    pub person_id: String,
    /// The first entry is the primary name.
    #[serde(default, deserialize_with = "scalar::list")]
    pub aliases: Vec<PersonAlias>,
    #[serde(default, deserialize_with = "scalar::list")]
    pub addresses: Vec<PersonAddress>,
    #[serde(default, deserialize_with = "scalar::list")]
    pub entity_fields: Vec<EntityField>,
    #[serde(default, deserialize_with = "scalar::list")]
    pub tags: Vec<PersonTag>,
    #[serde(default, deserialize_with = "scalar::list")]
    pub notes: Vec<PersonNote>,
}

/// A name. The id is left out on create to let the server pick.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PersonAlias {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person_alias_id: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub middle_name: Option<String>,
    pub title: Option<String>,
}

/// An address. There is no list or delete call: read it through the whole record.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PersonAddress {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person_address_id: Option<String>,
    pub street: Option<String>,
    pub street2: Option<String>,
    pub city: Option<String>,
    pub state: Option<String>,
    pub postal_code: Option<String>,
    pub country: Option<String>,
}

/// A tag applied to a person, as answers write it; also read with its name under `name` or `tagName`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "AnyTag")]
pub struct PersonTag {
    /// The key of this application; needed to remove it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person_tag_id: Option<String>,
    pub tag_id: String,
    #[serde(with = "scalar::optional_time", skip_serializing_if = "Option::is_none")]
    pub created: Option<DateTime<Utc>>,
    /// Written as `null` for a tag that does not lapse.
    #[serde(with = "scalar::optional_time")]
    pub expires: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<TagSummary>,
}

/// The cut-down tag within an applied one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TagSummary {
    #[serde(default, deserialize_with = "null_is_empty")]
    pub name: String,
}

/// A tag to apply, or whose expiry to change.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PersonTagUpsert {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person_tag_id: Option<String>,
    pub tag_id: String,
    /// When the tag lapses; without it the tag's default period applies.
    #[serde(default, with = "scalar::optional_time", skip_serializing_if = "Option::is_none")]
    pub expires: Option<DateTime<Utc>>,
}

/// A note. The author is left out on create: the server fills it in.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PersonNote {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note_id: Option<String>,
    pub summary: Option<String>,
    pub body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Meaning not published: sent back unchanged.
    pub shared_id: Option<String>,
}

/// A custom field: at most one of the four values is not `null`.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntityField {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_field_id: Option<String>,
    pub name: String,
    pub string_value: Option<String>,
    #[serde(default, with = "scalar::optional_time")]
    pub date_value: Option<DateTime<Utc>>,
    pub number_value: Option<f64>,
    pub bool_value: Option<bool>,
}

/// A tag as any of the three places it appears in writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AnyTag {
    person_tag_id: Option<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    tag_id: String,
    #[serde(default, with = "scalar::optional_time")]
    created: Option<DateTime<Utc>>,
    #[serde(default, with = "scalar::optional_time")]
    pub(super) expires: Option<DateTime<Utc>>,
    tag: Option<TagSummary>,
    name: Option<String>,
    tag_name: Option<String>,
}

impl AnyTag {
    pub(super) fn name(&self) -> Option<String> {
        let nested = self.tag.as_ref().map(|tag| &tag.name);
        [nested, self.name.as_ref(), self.tag_name.as_ref()]
            .into_iter()
            .flatten()
            .find(|name| !name.is_empty())
            .cloned()
    }
}

impl From<AnyTag> for PersonTag {
    fn from(any: AnyTag) -> Self {
        let tag = any.name().map(|name| TagSummary { name });
        let AnyTag { person_tag_id, tag_id, created, expires, .. } = any;
        Self { person_tag_id, tag_id, created, expires, tag }
    }
}

impl PersonTag {
    pub fn name(&self) -> Option<&str> {
        self.tag.as_ref().map(|tag| tag.name.as_str()).filter(|name| !name.is_empty())
    }

    /// Whether this is its name, in any spelling.
    pub fn is_called(&self, name: &str) -> bool {
        self.name().is_some_and(|known| text::same(known, name))
    }
}

// Of a custom field the name only: its value may be a badge number.
debug_shows! {
    PeopleQuery { tag_id, entity_field_name }
    PersonAlias { person_alias_id }
    PersonAddress { person_address_id }
    PersonNote { note_id }
    EntityField { entity_field_id, name }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = concat!(
        r#"{"personId":"2c9f9a4e-6d0c-4b57-b3f8-0b9a7f7f2e10","#,
        r#""aliases":[{"personAliasId":"93b1a0de-1c3f-4a52-8f0e-5d2c6a7b8c90","firstName":"Mara","#,
        r#""lastName":"Lindqvist","middleName":null,"title":"Ms."}],"#,
        r#""addresses":[{"personAddressId":"18273645-aabb-4ccd-8dee-ff0011223344","street":"5 Harbour Row","#,
        r#""street2":null,"city":"Turku","state":null,"postalCode":"20100","country":"Finland"}],"#,
        r#""entityFields":[{"entityFieldId":"6f5e4d3c-2b1a-4098-8765-43210fedcba9","name":"BadgeNumber","#,
        r#""stringValue":"C-1187","dateValue":null,"numberValue":null,"boolValue":null}],"#,
        r#""tags":[{"personTagId":"51d0b7a2-3c4e-4f60-9b1a-7c8d9e0f1a2b","#,
        r#""tagId":"b6f3e2d1-0c9b-4a88-9f77-665544332211","created":"2026-02-01T09:30:00Z","expires":null,"#,
        r#""tag":{"name":"Contractor"}}],"notes":[{"noteId":"c0ffee00-1234-4567-89ab-0123456789ab","#,
        r#""summary":"Access","body":"Day shift only","author":"desk@site.example","sharedId":null}]}"#,
    );

    #[test]
    fn the_sample_of_the_contract_survives_the_round_trip_unchanged() {
        let person: IdentityPersonItem = serde_json::from_str(FULL).unwrap();
        assert_eq!(serde_json::to_string(&person).unwrap(), FULL);
    }

    #[test]
    fn absent_and_null_lists_are_empty() {
        let person: IdentityPersonItem = serde_json::from_str(r#"{"personId":"p","aliases":null}"#).unwrap();
        assert_eq!(person, IdentityPersonItem { person_id: "p".into(), ..IdentityPersonItem::default() });
    }

    #[test]
    fn only_ids_show() {
        let text = format!("{:?}", serde_json::from_str::<IdentityPersonItem>(FULL).unwrap());
        for hidden in ["Mara", "Lindqvist", "Harbour", "C-1187", "Day shift", "desk@"] {
            assert!(!text.contains(hidden), "{hidden} in {text}");
        }
        assert!(text.contains("2c9f9a4e"));
    }
}
