//! authenticate, renewToken, user profile; and the body of an error: RFC 7807 problem details, every property optional,
//! by which clients never decide.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::nearest::{self, NearestPerson};
use super::scalar::{self, null_is_empty};

/// `POST /api/v1/authenticate`
#[derive(Clone, Serialize, Deserialize, derive_more::Debug)]
#[debug("AuthenticateRequest")]
pub struct AuthenticateRequest {
    pub username: String,
    pub password: String,
}

/// The answer of authenticate and renewToken.
#[derive(Clone, Serialize, Deserialize, derive_more::Debug)]
#[debug("AuthenticateResponse")]
pub struct AuthenticateResponse {
    #[serde(default, deserialize_with = "null_is_empty")]
    pub username: String,
    /// A JWT, sent as the bearer token of every other call.
    pub token: String,
}

/// `GET /auth/v1/user/profile`; the documents name three properties and show no sample.
#[derive(Clone, Default, Serialize, Deserialize, derive_more::Debug)]
#[debug("UserProfile({roles:?})")]
pub struct UserProfile {
    pub email: Option<String>,
    /// Text by assumption; read as whatever they are.
    #[serde(default, deserialize_with = "scalar::list")]
    pub roles: Vec<Value>,
    pub token: Option<String>,
}

impl UserProfile {
    /// The roles as text: the item itself, or the name of an object that has one.
    pub fn role_names(&self) -> Vec<String> {
        let name = |role: &Value| {
            let named = role.get("name").or_else(|| role.get("roleName")).unwrap_or(role);
            named.as_str().map_or_else(|| role.to_string(), str::to_owned)
        };
        self.roles.iter().map(name).collect()
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProblemDetails {
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Messages per field, when the server has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Map<String, Value>>,
    /// Who comes nearest to a face that lookup or recognize match with nobody; of our engine, to who may know.
    #[serde(default, deserialize_with = "nearest::optional", skip_serializing_if = "Option::is_none")]
    pub nearest: Option<NearestPerson>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_may_be_anything_or_nothing() {
        for (text, roles) in [
            ("{}", vec![]),
            (r#"{"roles":null,"email":null}"#, vec![]),
            (r#"{"roles":["Edge Publisher",{"name":"Viewer"},7]}"#, vec!["Edge Publisher", "Viewer", "7"]),
        ] {
            assert_eq!(serde_json::from_str::<UserProfile>(text).unwrap().role_names(), roles);
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let request = AuthenticateRequest { username: "gate".into(), password: "hunter2".into() };
        let answer = AuthenticateResponse { username: "gate".into(), token: "hunter3".into() };
        let profile = UserProfile { token: Some("hunter4".into()), ..UserProfile::default() };
        assert!(!format!("{request:?}{answer:?}{profile:?}").contains("hunter"));
    }
}
