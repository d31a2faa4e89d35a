//! Ids as the contract writes them.

use uuid::Uuid;

use super::error::Refusal;

/// Reads a GUID: 8-4-4-4-12 hexadecimal digits, and no other form.
pub fn guid(text: &str) -> Result<Uuid, Refusal> {
    let id = Uuid::parse_str(text).ok().filter(|_| text.len() == 36);
    id.ok_or_else(|| Refusal::bad_input("an id must be a GUID like 2c9f9a4e-6d0c-4b57-b3f8-0b9a7f7f2e10"))
}
