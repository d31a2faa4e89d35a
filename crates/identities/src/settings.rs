//! EntityFieldSettings: definitions of custom fields, of which only the paths are documented.
//!
//! In: which field of which kind of entity. Out: nothing. Try it on a test system before depending on it.

use super::client::Client;
use super::error::Result;
use super::operation::{CONFIGURE_DATETIME_FIELD, CONFIGURE_STRING_FIELD, Operation};
use super::wire::FieldSetting;

impl Client {
    /// Defines a text field.
    pub async fn configure_string_field(&self, entity_type: &str, field: &str, setting: &FieldSetting) -> Result<()> {
        self.configure(&CONFIGURE_STRING_FIELD, &[entity_type, field], setting).await
    }

    /// Defines a date and time field.
    pub async fn configure_datetime_field(&self, entity_type: &str, field: &str, setting: &FieldSetting) -> Result<()> {
        self.configure(&CONFIGURE_DATETIME_FIELD, &[entity_type, field], setting).await
    }

    async fn configure(&self, operation: &Operation, given: &[&str], setting: &FieldSetting) -> Result<()> {
        self.call(operation, given, |call| call.json(setting)).await?.success(operation).map(drop)
    }
}
