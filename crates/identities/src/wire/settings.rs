//! EntityFieldSettings: definitions of custom fields. Only the paths are documented; the properties are a guess.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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

    #[test]
    fn what_is_not_known_goes_along_and_what_is_not_said_is_left_out() {
        let text = r#"{"name":"BadgeNumber","maxLength":12}"#;
        let setting: FieldSetting = serde_json::from_str(text).unwrap();
        assert_eq!((setting.disabled, setting.more["maxLength"].as_i64()), (None, Some(12)));
        assert_eq!(serde_json::to_string(&setting).unwrap(), text);
    }
}
