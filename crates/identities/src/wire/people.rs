//! people: whole records and their parts (aliases, applied tags, notes, addresses, custom fields), files attached to
//! them, the history of sightings, and the definitions of tags and of custom fields. Of the latter only the paths are
//! documented; the properties are a guess.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::scalar::{self, Base64, TimeSpan, null_is_empty};
use crate::text;

/// The query of `GET /api/v1/people`: exactly one selector, `tag_id` or `entity_field_name`.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, derive_more::Debug)]
#[debug("PeopleQuery({tag_id:?}, {entity_field_name:?})")]
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
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, derive_more::Debug)]
#[debug("PersonAlias({person_alias_id:?})")]
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
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, derive_more::Debug)]
#[debug("PersonAddress({person_address_id:?})")]
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
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, derive_more::Debug)]
#[debug("PersonNote({note_id:?})")]
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

/// A custom field: at most one of the four values is not `null`. Its `Debug` shows no value, which may be a
/// badge number.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, derive_more::Debug)]
#[debug("EntityField({entity_field_id:?}, {name:?})")]
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

impl TagWrite {
    /// A tag of this name that says no more.
    pub fn named(name: &str) -> Self {
        Self { tag_name: name.to_owned(), ..Self::default() }
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

/// A tag definition as returned.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "TagIn")]
pub struct Tag {
    pub tag_id: String,
    pub tag_name: String,
    /// Hidden from everyday use.
    pub disabled: bool,
    pub description: Option<String>,
    /// Zero: a tag given without an expiry does not lapse.
    pub default_expire_period: TimeSpan,
}

/// A tag definition as sent; on update it replaces everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TagWrite {
    pub tag_name: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub disabled: bool,
    pub description: Option<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub default_expire_period: TimeSpan,
}

/// What is read: the name may also be under `name`, or under both.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TagIn {
    tag_id: String,
    tag_name: Option<String>,
    name: Option<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    disabled: bool,
    description: Option<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    default_expire_period: TimeSpan,
}

impl From<TagIn> for Tag {
    fn from(tag: TagIn) -> Self {
        Self {
            tag_id: tag.tag_id,
            tag_name: tag.tag_name.or(tag.name).unwrap_or_default(),
            disabled: tag.disabled,
            description: tag.description,
            default_expire_period: tag.default_expire_period,
        }
    }
}

/// The query of both detection lists; bounds are inclusive, in milliseconds since 1970 (UTC).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DetectionsQuery {
    pub skip: u32,
    pub take: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch_start_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch_end_ms: Option<i64>,
    /// Oldest first, or newest first.
    pub date_ascending: bool,
}

/// One sighting. It carries neither face id nor detection id.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DetectionItem {
    #[serde(default, serialize_with = "scalar::unit_score")]
    pub confidence: Option<f32>,
    #[serde(with = "scalar::time")]
    pub date_time_utc: DateTime<Utc>,
    /// The IANA name recorded with the sighting.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub time_zone: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub detector: String,
    /// JPEG; written as `null` when none is kept.
    pub image: Option<Base64>,
}

impl Default for DetectionsQuery {
    fn default() -> Self {
        Self { skip: 0, take: 10, epoch_start_ms: None, epoch_end_ms: None, date_ascending: true }
    }
}

/// The part names of the form `POST /api/v1/people/fileDocuments/upload` takes; answered with an empty body.
pub mod upload_part {
    /// The file, with a file name.
    pub const FILE: &str = "file";
    pub const PERSON_ID: &str = "personId";
    /// The name that users are shown.
    pub const NAME: &str = "name";
    pub const DESCRIPTION: &str = "description";
    /// The caller's own id of the document, by which it is downloaded; without it nobody learns the id.
    pub const PUBLIC_ID: &str = "publicId";
}

/// The body of both calls; whatever else a server knows goes along under its own name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FieldSetting {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    #[serde(flatten)]
    pub more: Map<String, Value>,
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

    #[test]
    fn a_definition_goes_both_ways() {
        let text = concat!(
            r#"{"tagId":"b6f3","tagName":"Contractor","disabled":false,"description":null,"#,
            r#""defaultExpirePeriod":"90.00:00:00"}"#,
        );
        assert_eq!(serde_json::to_string(&serde_json::from_str::<Tag>(text).unwrap()).unwrap(), text);
    }

    #[test]
    fn a_bare_definition_is_read_with_its_defaults() {
        let text = r#"{"tagId":"b6f3","name":"Contractor","disabled":null,"defaultExpirePeriod":null}"#;
        let tag: Tag = serde_json::from_str(text).unwrap();
        assert_eq!(
            (tag.tag_name.as_str(), tag.disabled, tag.default_expire_period.is_zero()),
            ("Contractor", false, true)
        );
        let both = r#"{"tagId":"b6f3","tagName":"Contractor","name":"Contractor"}"#;
        assert_eq!(serde_json::from_str::<Tag>(both).unwrap().tag_name, "Contractor");
    }

    #[test]
    fn the_sample_of_the_contract_survives_the_round_trip() {
        let text = concat!(
            r#"{"confidence":0.948,"dateTimeUtc":"2026-03-04T05:06:07Z","timeZone":"Europe/Helsinki","#,
            r#""detector":"gate-2-edge","image":null}"#,
        );
        assert_eq!(serde_json::to_string(&serde_json::from_str::<DetectionItem>(text).unwrap()).unwrap(), text);
    }

    #[test]
    fn an_empty_query_means_the_contracts_defaults() {
        assert_eq!(serde_json::from_str::<DetectionsQuery>("{}").unwrap(), DetectionsQuery::default());
    }

    #[test]
    fn what_is_not_known_goes_along_and_what_is_not_said_is_left_out() {
        let text = r#"{"name":"BadgeNumber","maxLength":12}"#;
        let setting: FieldSetting = serde_json::from_str(text).unwrap();
        assert_eq!((setting.disabled, setting.more["maxLength"].as_i64()), (None, Some(12)));
        assert_eq!(serde_json::to_string(&setting).unwrap(), text);
    }
}
