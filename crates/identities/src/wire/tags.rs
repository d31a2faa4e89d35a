//! Tags: tag definitions, independent of any person.

use serde::{Deserialize, Serialize};

use super::scalar::{TimeSpan, null_is_empty};

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

/// What is read: the name may also be under `name`.
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

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
